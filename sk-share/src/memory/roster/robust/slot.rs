//! The slots of agents.
//!
//! A slot is { `word` u32, `generation` u32, `successor` u32, `member` u32 }. The thread's own robust list
//! holds `word` and `successor` and nothing else, in place of the list of the C library, which is put
//! back when the thread ends in order.
//!
//! `successor` is for a thread that calls `exec` and is not the first of its process: the kernel gives it
//! the number of the first thread before it walks the list, and then takes `word` for another
//! thread's. So `successor` holds that number, and is marked in this case and in no other.

use super::super::agent::{self, MOST};
use super::super::{Agent, Member, Shared};
use super::{OWNER_DIED, THREAD, WAITERS, is_living, table};
use crate::error::{Error, Reason};
use crate::fault;
use crate::memory::Region;
use crate::sync::{Arc, AtomicU32, Ordering};
use crate::sys::{self, RobustList, Scope};

pub(super) const BYTES: u64 = 16;

/// What the thread has beside the slot.
pub(in crate::memory::roster) type Hold = RobustList;

/// Whether another thread of the process of a dead agent lives, as far as its slot still tells.
pub(in crate::memory::roster) fn has_living_sibling(shared: &Shared, of: Agent) -> bool {
    let region = &shared.region;
    let Ok(slot) = Slot::of(region, of) else { return false };
    if slot.generation().load(Ordering::Acquire) != of.generation() {
        return false;
    }
    let member = slot.row_and_generation();
    (0..MOST).filter_map(|number| Slot::at(region, number).ok()).any(|other| {
        is_living(other.word().load(Ordering::Acquire))
            && !other.has_successor()
            && other.row_and_generation() == member
    })
}

/// Takes a free slot for this thread.
pub(in crate::memory::roster) fn take(shared: &Arc<Shared>) -> Result<(Agent, Hold), Error> {
    let me = *shared.me.get().ok_or_else(|| Error::new(Reason::NotMember))?;
    let list = RobustList::register(Arc::clone(shared.region.mapping()))
        .map_err(|error| Error::system("cannot register a robust list", 0, error))?
        .ok_or_else(|| Error::new(Reason::RobustInUse))?;
    let thread = sys::thread_id() & THREAD;
    let first_thread = sys::process_id() & THREAD;
    // Processes begin at different places, so that they seldom want the same slot.
    for number in (0..MOST).map(|step| (me.row() * 16 + step) % MOST) {
        let slot = Slot::at(&shared.region, number)?;
        let seen = slot.word().load(Ordering::Relaxed);
        if seen & THREAD != 0 && !slot.has_successor() {
            continue;
        }
        if !list.aim(usize::try_from(Slot::offset(number)).unwrap_or(usize::MAX), 2) {
            return Err(slot.damaged());
        }
        fault::point("agent.aimed");
        list.begin(0);
        fault::point("agent.pending");
        let taken = thread | WAITERS | OWNER_DIED;
        // (B2) acquire: what the former owner did to this slot is over.
        if slot.word().compare_exchange(seen, taken, Ordering::AcqRel, Ordering::Relaxed).is_err() {
            list.end();
            continue;
        }
        fault::point("agent.taken");
        list.link(0);
        fault::point("agent.linked");
        list.end();
        let generation = slot.generation().load(Ordering::Relaxed).wrapping_add(1).max(1);
        slot.generation().store(generation, Ordering::Relaxed);
        fault::point("agent.generation");
        slot.set_member(me);
        slot.successor().store(0, Ordering::Relaxed);
        if thread != first_thread {
            list.link(1);
            slot.successor().store(first_thread | WAITERS, Ordering::Relaxed);
        }
        // (B1) with the load in `living_word`: who sees it alive sees its generation.
        slot.word().store(thread | WAITERS, Ordering::Release);
        fault::point("agent.living");
        let agent = u16::try_from(number).ok().and_then(|at| Agent::from_parts(at, generation));
        return Ok((agent.ok_or_else(|| slot.damaged())?, list));
    }
    Err(Error::new(Reason::Full { what: "agents of the program", limit: 8192 }))
}

/// Gives the slot of this thread back.
pub(in crate::memory::roster) fn give_back(shared: &Shared, list: &Hold, agent: Agent) {
    let Ok(slot) = Slot::of(&shared.region, agent) else { return };
    fault::point("agent.give");
    list.begin(0);
    // (B2) with the next owner.
    slot.word().store(0, Ordering::Release);
    fault::point("agent.given");
    sys::wake(slot.word(), u32::MAX, Scope::Shared);
    list.unlink(1);
    list.unlink(0);
    fault::point("agent.unlinked");
    list.end();
}

/// The words of one agent.
pub(in crate::memory::roster) struct Slot<'r> {
    words: &'r [AtomicU32; 4],
}

impl<'r> Slot<'r> {
    /// # Errors
    /// There can be no such agent.
    pub(in crate::memory::roster) fn of(
        region: &'r Region,
        agent: Agent,
    ) -> Result<Slot<'r>, Error> {
        Slot::at(region, usize::from(agent.slot()))
    }

    fn at(region: &'r Region, number: usize) -> Result<Slot<'r>, Error> {
        let no_such = || {
            let number = u64::try_from(number).unwrap_or(u64::MAX);
            Error::damaged("the slot of an agent", number, 8191)
        };
        if number >= MOST {
            return Err(no_such());
        }
        let words = region.words32(Slot::offset(number), 4)?;
        Ok(Slot { words: words.first_chunk().ok_or_else(no_such)? })
    }

    fn offset(number: usize) -> u64 {
        table::AGENTS + u64::try_from(number).unwrap_or(0) * BYTES
    }

    #[cold]
    fn damaged(&self) -> Error {
        Error::damaged("the table of agents", 0, 8191)
    }

    pub(super) fn word(&self) -> &'r AtomicU32 {
        let [word, ..] = self.words;
        word
    }

    fn generation(&self) -> &'r AtomicU32 {
        let [_, generation, ..] = self.words;
        generation
    }

    /// The word that is marked when the thread calls `exec`, where that is not [`word`](Self::word).
    pub(super) fn successor(&self) -> &'r AtomicU32 {
        let [_, _, successor, _] = self.words;
        successor
    }

    /// Whether the thread has become another program.
    fn has_successor(&self) -> bool {
        self.successor().load(Ordering::Relaxed) & OWNER_DIED != 0
    }

    fn set_member(&self, of: Member) {
        let [_, _, _, member] = self.words;
        let row = u32::from(u16::try_from(of.row()).unwrap_or(u16::MAX));
        member.store(
            row << agent::GENERATION_BITS | of.generation() & agent::GENERATION,
            Ordering::Relaxed,
        );
    }

    /// The row, and as much of the generation there as fits beside it.
    pub(in crate::memory::roster) fn row_and_generation(&self) -> (usize, u32) {
        let [_, _, _, member] = self.words;
        let member = member.load(Ordering::Relaxed);
        let row = usize::try_from(member >> agent::GENERATION_BITS).unwrap_or(usize::MAX);
        (row, member & agent::GENERATION)
    }

    pub(in crate::memory::roster) fn is_living_as(&self, agent: Agent) -> bool {
        self.living_word(agent).is_some()
    }

    /// The value of the word if the agent lives.
    pub(super) fn living_word(&self, agent: Agent) -> Option<u32> {
        // (B1) with the store in `take`: the generation is not older than the word.
        let word = self.word().load(Ordering::Acquire);
        let generation = self.generation().load(Ordering::Relaxed);
        let lives = is_living(word) && !self.has_successor() && generation == agent.generation();
        lives.then_some(word)
    }
}
