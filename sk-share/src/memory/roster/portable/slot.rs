//! The slots of agents.
//!
//! A slot is { `word` u32, `generation` u32, free, `member` u32 }. `word` is { somebody waits 1, not yet 1, row + 1
//! 10, generation of the row 20 }, so that one CAS says whose it is: an agent lives as long as its process
//! is there and has not given it back. A thread that ends without its destructors is not noticed.

use super::super::agent::{self, MOST};
use super::super::{Agent, Member, Shared};
use super::table::{self, Table};
use crate::error::{Error, Reason};
use crate::fault;
use crate::memory::Region;
use crate::sync::{Arc, AtomicU32, Ordering};

pub(super) const BYTES: u64 = 16;

/// Somebody waits for the agent: whoever gives it back tells all.
const WAITERS: u32 = 1 << 31;
/// It is being taken, so its generation says nothing yet.
const NOT_YET: u32 = 1 << 30;
/// The rest says whose it is; 0 is nobody's.
const OWNER: u32 = NOT_YET - 1;
const GENERATION_BITS: u32 = 20;

/// What of a row's generation is beside the row. An older use of the row is not mistaken for one that has
/// the same bits: whoever takes a row first frees all slots of it.
pub(super) const GENERATION: u32 = (1 << GENERATION_BITS) - 1;

/// What the thread has beside the slot.
pub(in crate::memory::roster) struct Hold;

fn owned_by(member: Member) -> u32 {
    let row = u32::from(u16::try_from(member.row()).unwrap_or(u16::MAX));
    (row + 1) << GENERATION_BITS & OWNER | member.generation() & GENERATION
}

/// The row of a word, if it names one.
fn row_of(word: u32) -> Option<usize> {
    usize::try_from((word & OWNER) >> GENERATION_BITS).ok()?.checked_sub(1)
}

fn is_there(table: &Table<'_>, word: u32) -> bool {
    row_of(word).is_some_and(|row| table.is_there(row, word & GENERATION))
}

/// Whether another thread of the process of a dead agent lives, as far as its slot still tells.
pub(in crate::memory::roster) fn has_living_sibling(shared: &Shared, of: Agent) -> bool {
    let (Ok(table), Ok(slot)) = (shared.table(), Slot::of(&shared.region, of)) else {
        return false;
    };
    if slot.generation().load(Ordering::Acquire) != of.generation() {
        return false;
    }
    let member = slot.row_and_generation();
    (0..MOST).filter_map(|number| Slot::at(&shared.region, number).ok()).any(|other| {
        let word = other.word().load(Ordering::Acquire);
        word & NOT_YET == 0 && is_there(&table, word) && other.row_and_generation() == member
    })
}

/// Takes a free slot for this thread.
pub(in crate::memory::roster) fn take(shared: &Arc<Shared>) -> Result<(Agent, Hold), Error> {
    let me = *shared.me.get().ok_or_else(|| Error::new(Reason::NotMember))?;
    shared.count_agent()?;
    let taken = take_slot(shared, me);
    if taken.is_err() {
        shared.discount_agent();
    }
    taken.map(|agent| (agent, Hold))
}

fn take_slot(shared: &Shared, me: Member) -> Result<Agent, Error> {
    let table = shared.table()?;
    let owned = owned_by(me);
    // Processes begin at different places, so that they seldom want the same slot.
    for number in (0..MOST).map(|step| (me.row() * 16 + step) % MOST) {
        let slot = Slot::at(&shared.region, number)?;
        let seen = slot.word().load(Ordering::Relaxed);
        if is_there(&table, seen) {
            continue;
        }
        let taken = owned | NOT_YET;
        // (B2) acquire: what the former owner did to this slot is over.
        if slot.word().compare_exchange(seen, taken, Ordering::AcqRel, Ordering::Relaxed).is_err() {
            continue;
        }
        fault::point("agent.taken");
        let generation = slot.generation().load(Ordering::Relaxed).wrapping_add(1).max(1);
        slot.generation().store(generation, Ordering::Relaxed);
        fault::point("agent.generation");
        slot.set_member(me);
        // (B1) with the load in `living_word`: who sees it alive sees its generation.
        slot.word().store(owned, Ordering::Release);
        fault::point("agent.living");
        let agent = u16::try_from(number).ok().and_then(|at| Agent::from_parts(at, generation));
        return agent.ok_or_else(|| Error::damaged("the table of agents", 0, 8191));
    }
    Err(Error::new(Reason::Full { what: "agents of the program", limit: 8192 }))
}

/// Gives the slot of this thread back.
pub(in crate::memory::roster) fn give_back(shared: &Shared, _: &Hold, agent: Agent) {
    let Ok(slot) = Slot::of(&shared.region, agent) else { return };
    fault::point("agent.give");
    // (B2) with the next owner, and with who looks whether this one is dead.
    let word = slot.word().swap(0, Ordering::AcqRel);
    fault::point("agent.given");
    if word & WAITERS != 0 {
        shared.tell_all();
    }
    shared.discount_agent();
}

/// Frees all slots of this row, whose former owner is gone.
pub(super) fn free_all_of(region: &Region, row: usize) -> Result<(), Error> {
    for number in 0..MOST {
        let word = Slot::at(region, number)?.word();
        let seen = word.load(Ordering::Relaxed);
        if row_of(seen) == Some(row) {
            // If another was quicker it is that one's.
            let _ = word.compare_exchange(seen, 0, Ordering::Relaxed, Ordering::Relaxed);
        }
    }
    Ok(())
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
        let offset = table::AGENTS + u64::try_from(number).unwrap_or(0) * BYTES;
        let words = region.words32(offset, 4)?;
        Ok(Slot { words: words.first_chunk().ok_or_else(no_such)? })
    }

    fn word(&self) -> &'r AtomicU32 {
        let [word, ..] = self.words;
        word
    }

    fn generation(&self) -> &'r AtomicU32 {
        let [_, generation, ..] = self.words;
        generation
    }

    fn set_member(&self, of: Member) {
        let [_, _, _, member] = self.words;
        let row = u32::from(u16::try_from(of.row()).unwrap_or(u16::MAX));
        let word = row << agent::GENERATION_BITS | of.generation() & agent::GENERATION;
        member.store(word, Ordering::Relaxed);
    }

    /// The row, and as much of the generation there as fits beside it.
    pub(in crate::memory::roster) fn row_and_generation(&self) -> (usize, u32) {
        let [_, _, _, member] = self.words;
        let member = member.load(Ordering::Relaxed);
        let row = usize::try_from(member >> agent::GENERATION_BITS).unwrap_or(usize::MAX);
        (row, member & agent::GENERATION)
    }

    /// The value of the word if the agent lives, as far as anybody has noticed.
    pub(super) fn living_word(&self, table: &Table<'_>, agent: Agent) -> Option<u32> {
        // (B1) with the store in `take_slot`: the generation is not older than the word.
        let word = self.word().load(Ordering::Acquire);
        let generation = self.generation().load(Ordering::Relaxed);
        let lives = word & NOT_YET == 0 && generation == agent.generation();
        (lives && is_there(table, word)).then_some(word)
    }

    /// Marks that somebody waits for the agent; false if it is dead.
    pub(super) fn ask_to_be_told(&self, table: &Table<'_>, agent: Agent) -> bool {
        let Some(word) = self.living_word(table, agent) else { return false };
        if word & WAITERS != 0 {
            return true;
        }
        // It fails if the agent ends at this moment, or another has marked it: the next look tells which.
        self.word()
            .compare_exchange(word, word | WAITERS, Ordering::AcqRel, Ordering::Relaxed)
            .is_ok()
            || self.living_word(table, agent).is_some_and(|word| word & WAITERS != 0)
    }
}
