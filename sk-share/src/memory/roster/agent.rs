//! Agents: threads that hold things.
//!
//! A slot is { `word` u32, `generation` u32, `successor` u32, `member` u32 }. The thread's own robust list
//! holds `word` and `successor` and nothing else, in place of the list of the C library, which is put
//! back when the thread ends in order.
//!
//! `successor` is for a thread that calls `exec` and is not the first of its process: the kernel gives it
//! the number of the first thread before it walks the list, and then takes `word` for another
//! thread's. So `successor` holds that number, and is marked in this case and in no other.

use std::cell::{Cell, RefCell};
use std::fmt;

use super::{Member, OWNER_DIED, Roster, Shared, THREAD, WAITERS, is_living, member};
use crate::error::{Error, Reason};
use crate::fault;
use crate::ground::AgentRef;
use crate::memory::Region;
use crate::sync::{Arc, AtomicU32, Ordering};
use crate::sys::{self, RobustList, Scope};

pub(super) const MOST: usize = 8192;
pub(super) const SLOT_BYTES: u64 = 16;

/// Of the word `member`: the row is above.
const GENERATION_BITS: u32 = 23;
pub(super) const GENERATION: u32 = (1 << GENERATION_BITS) - 1;

/// A thread that is or was an agent: its slot and its generation there. Small, and only a name: it can be
/// written into shared memory and asked after from any process, however dead.
///
/// ```
/// use sk_share::memory::{Agent, Roster};
///
/// let roster = Roster::create()?;
/// let there = std::thread::spawn(Agent::current).join().unwrap()?;
/// assert!(roster.is_dead(there)?);                  // its thread has ended
/// assert!(!roster.is_dead(roster.agent()?)?);
/// # Ok::<(), sk_share::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Agent {
    slot: u16,
    generation: u32,
}

impl Agent {
    /// The agent that the calling thread is in the roster of this process ([`Roster::current`]); see
    /// [`Roster::agent`].
    ///
    /// # Errors
    /// As for [`Roster::agent`], and where this process is no member of any roster.
    pub fn current() -> Result<Agent, Error> {
        let held = HELD.try_with(|held| {
            let held = held.try_borrow().ok()?;
            let held = held.as_ref()?;
            held.shared.check().ok()?;
            Some(held.agent)
        });
        match held {
            Ok(Some(agent)) => Ok(agent),
            _ => Roster::current()?.agent(),
        }
    }

    /// The agent with this slot and generation. `None` if there can be none.
    pub fn from_parts(slot: u16, generation: u32) -> Option<Agent> {
        (usize::from(slot) < MOST && generation != 0).then_some(Agent { slot, generation })
    }

    pub(crate) fn of_ref(of: AgentRef) -> Option<Agent> {
        Agent::from_parts(of.index, of.generation.get())
    }

    /// The place in the table, below [`Roster::AGENTS`].
    #[inline]
    pub fn slot(self) -> u16 {
        self.slot
    }

    /// Which use of that place; never 0.
    #[inline]
    pub fn generation(self) -> u32 {
        self.generation
    }
}

impl fmt::Debug for Agent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Agent({}, generation {})", self.slot, self.generation)
    }
}

/// What a thread has that is an agent.
struct Held {
    shared: Arc<Shared>,
    list: RobustList,
    agent: Agent,
}

thread_local! {
    static HELD: RefCell<Option<Held>> = const { RefCell::new(None) };

    /// The agent in `HELD`, and the address of what it is shared with, which lives as long as it is held there. Every
    /// lock asks for it, and a cell that nothing has to drop is one instruction away.
    static KNOWN: Cell<Option<(*const Shared, Agent)>> = const { Cell::new(None) };
}

/// The agent of the calling thread in this roster.
#[inline(always)]
pub(in crate::memory) fn of_this_thread(shared: &Arc<Shared>) -> Result<Agent, Error> {
    shared.check()?;
    match KNOWN.get() {
        Some((known, agent)) if known == Arc::as_ptr(shared) => Ok(agent),
        _ => find_or_take(shared),
    }
}

#[cold]
fn find_or_take(shared: &Arc<Shared>) -> Result<Agent, Error> {
    HELD.try_with(|cell| {
        let mut held = cell.try_borrow_mut().map_err(|_| Error::new(Reason::ThreadEnds))?;
        match &*held {
            Some(held) if Arc::ptr_eq(&held.shared, shared) => return Ok(held.agent),
            Some(held) if held.shared.check().is_ok() => {
                return Err(Error::new(Reason::OtherRoster));
            }
            // Of a membership that was ended, or of the process that this one is a copy of.
            Some(_) => drop(held.take()),
            None => {}
        }
        let new = take(shared)?;
        let agent = new.agent;
        *held = Some(new);
        KNOWN.set(Some((Arc::as_ptr(shared), agent)));
        Ok(agent)
    })
    .unwrap_or_else(|_| Err(Error::new(Reason::ThreadEnds)))
}

/// Whether the calling thread is an agent of this roster already.
pub(in crate::memory) fn is_this_thread_an_agent(shared: &Arc<Shared>) -> bool {
    let held = HELD.try_with(|held| {
        let held = held.try_borrow().ok()?;
        Some(Arc::ptr_eq(&held.as_ref()?.shared, shared))
    });
    held.is_ok_and(|held| held == Some(true))
}

/// Whether another thread of the process of a dead agent lives, as far as its slot still tells.
pub(super) fn has_living_sibling(region: &Region, of: Agent) -> bool {
    let Ok(slot) = Slot::of(region, of) else { return false };
    if slot.generation().load(Ordering::Acquire) != of.generation {
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
fn take(shared: &Arc<Shared>) -> Result<Held, Error> {
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
        let slot = u16::try_from(number).map_err(|_| slot.damaged())?;
        shared.count_awake(true);
        return Ok(Held { shared: Arc::clone(shared), list, agent: Agent { slot, generation } });
    }
    Err(Error::new(Reason::Full { what: "agents of the program", limit: 8192 }))
}

impl Drop for Held {
    fn drop(&mut self) {
        KNOWN.set(None);
        // In a copy made by fork the slot belongs to the other process.
        if self.shared.region.check_incarnation().is_err() {
            return;
        }
        if self.shared.check().is_ok() {
            self.shared.count_awake(false);
        }
        let Ok(slot) = Slot::of(&self.shared.region, self.agent) else { return };
        fault::point("agent.give");
        self.list.begin(0);
        // (B2) with the next owner.
        slot.word().store(0, Ordering::Release);
        fault::point("agent.given");
        sys::wake(slot.word(), u32::MAX, Scope::Shared);
        self.list.unlink(1);
        self.list.unlink(0);
        fault::point("agent.unlinked");
        self.list.end();
    }
}

/// The words of one agent.
pub(super) struct Slot<'r> {
    words: &'r [AtomicU32; 4],
}

impl<'r> Slot<'r> {
    /// # Errors
    /// There can be no such agent.
    pub(super) fn of(region: &'r Region, agent: Agent) -> Result<Slot<'r>, Error> {
        Slot::at(region, usize::from(agent.slot))
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
        member::AGENTS + u64::try_from(number).unwrap_or(0) * SLOT_BYTES
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
        member.store(row << GENERATION_BITS | of.generation() & GENERATION, Ordering::Relaxed);
    }

    /// The row, and as much of the generation there as fits beside it.
    pub(super) fn row_and_generation(&self) -> (usize, u32) {
        let [_, _, _, member] = self.words;
        let member = member.load(Ordering::Relaxed);
        let row = usize::try_from(member >> GENERATION_BITS).unwrap_or(usize::MAX);
        (row, member & GENERATION)
    }

    pub(super) fn is_living_as(&self, agent: Agent) -> bool {
        self.living_word(agent).is_some()
    }

    /// The value of the word if the agent lives.
    pub(super) fn living_word(&self, agent: Agent) -> Option<u32> {
        // (B1) with the store in `take`: the generation is not older than the word.
        let word = self.word().load(Ordering::Acquire);
        let generation = self.generation().load(Ordering::Relaxed);
        let lives = is_living(word) && !self.has_successor() && generation == agent.generation;
        lives.then_some(word)
    }
}
