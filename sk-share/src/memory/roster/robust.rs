//! The roster on robust futexes: the kernel marks the words of a thread when it ends and wakes who
//! waits for them. Section 3 of PROTOCOL.md.

pub(super) mod life;
pub(super) mod slot;
pub(super) mod table;

use std::time::Instant;

use super::member::MOST;
use super::{Agent, Member, Shared};
use crate::error::Error;
use crate::memory::Wait;
use crate::memory::wait::Night;
use crate::sync::{AtomicU32, AtomicU64, Ordering};
use crate::sys::{self, Scope, Slept, WaitOn};

use slot::Slot;

/// The kernel's bits of a robust word: somebody waits, the owner died, and the rest is its thread.
const WAITERS: u32 = 0x8000_0000;
const OWNER_DIED: u32 = 0x4000_0000;
const THREAD: u32 = 0x3fff_ffff;

/// A word says "I live" when it names a thread that did not die. A word that is being taken names
/// its thread beside the mark of its former owner's death, so that nobody believes it yet.
fn is_living(word: u32) -> bool {
    word & THREAD != 0 && word & OWNER_DIED == 0
}

/// What only this process has.
pub(super) struct Local {
    /// Anything but 0 tells the life thread to leave; a futex of this process.
    control: AtomicU32,
    /// What was last seen of each row: the generation and, in the lowest bit, whether it lived.
    known: Vec<AtomicU64>,
}

impl Local {
    pub(super) fn new() -> Result<Local, Error> {
        let known = (0..MOST).map(|_| AtomicU64::new(0)).collect();
        Ok(Local { control: AtomicU32::new(0), known })
    }

    pub(super) fn end_life_thread(&self) {
        self.control.store(1, Ordering::Release);
        sys::wake(&self.control, u32::MAX, Scope::Private);
    }
}

impl Shared {
    /// Has everybody who sleeps in this process look again.
    pub(super) fn count_deaths(&self, count: u32) {
        // (B3) with the loads in `Roster::deaths` and `Roster::wait`.
        self.deaths.fetch_add(count, Ordering::Release);
        sys::wake(&self.deaths, u32::MAX, Scope::Private);
    }

    /// The member that lives in this row.
    pub(super) fn living(&self, row: usize) -> Option<Member> {
        self.table().ok()?.living(row, self.me.get()?.row())
    }

    /// # Errors
    /// There can be no such agent.
    pub(in crate::memory) fn is_living(&self, agent: Agent) -> Result<bool, Error> {
        Ok(Slot::of(&self.region, agent)?.is_living_as(agent))
    }

    /// The words that the kernel marks when the agent's thread ends or becomes another program, with
    /// their values, if it lives.
    pub(in crate::memory) fn words_of(
        &self,
        agent: Agent,
    ) -> Result<Option<[(&AtomicU32, u32); 2]>, Error> {
        let slot = Slot::of(&self.region, agent)?;
        // Before the word, so that a mark that comes behind this look has another value.
        let successor = slot.successor().load(Ordering::Acquire);
        let Some(word) = slot.living_word(agent) else { return Ok(None) };
        Ok(Some([(slot.word(), word), (slot.successor(), successor)]))
    }

    /// Passes the notice of an agent's death on: the kernel wakes one of those who wait for it.
    pub(in crate::memory) fn pass_on(&self, agent: Agent) {
        if let Ok(slot) = Slot::of(&self.region, agent) {
            sys::wake(slot.word(), u32::MAX, Scope::Shared);
            sys::wake(slot.successor(), u32::MAX, Scope::Shared);
        }
    }

    /// Sleeps on the word, on the deaths of members and on the two words of the owner.
    pub(in crate::memory) fn sleep(&self, wait: &Wait<'_>, until: Instant) -> Result<Night, Error> {
        let word = WaitOn::new(wait.word, wait.expected, Scope::Shared);
        let deaths = WaitOn::new(&self.deaths, wait.deaths.0, Scope::Private);
        let until = sys::monotonic(until);
        // Of several that were woken the kernel names the last, so the word is the last.
        let (slept, last) = match wait.owner {
            Some(owner) => {
                // If it died a moment ago, the next look says so.
                let Some(of_owner) = self.words_of(owner)? else { return Ok(Night::Over) };
                let [ends, becomes] =
                    of_owner.map(|(word, value)| WaitOn::new(word, value, Scope::Shared));
                (sys::wait_any::<4>(&[deaths, ends, becomes, word], until), 3)
            }
            None => (sys::wait_any::<2>(&[deaths, word], until), 1),
        };
        match slept.map_err(|error| Error::system("the kernel refused to wait", 0, error))? {
            // The wake-up was for this thread, whatever else happened.
            Slept::Woken(place) if place == last => Ok(Night::Woken),
            Slept::Woken(_) | Slept::Changed | Slept::Interrupted => Ok(Night::Over),
            Slept::TimedOut => Ok(Night::TimedOut),
        }
    }
}
