//! A word to sleep on until something else changes: an event count.
//!
//! ```text
//! u32  { notices, counted 31 | WAITED }
//! ```
//!
//! Who waits for a condition: reads `deaths`; looks; has WAITED set ([`EventCount::prepare`]); looks again;
//! sleeps on what it saw. Who changes the condition: changes it, then counts, and wakes if WAITED was set.
//! Either the sleeper's second look sees the change, or the count meets WAITED.
//!
//! | dies | what is left | who goes on |
//! |---|---|---|
//! | between the change and the wake | sleepers asleep | `deaths` moves, they look |
//! | woken, before it acts | others asleep | `deaths` moves, they look |
//!
//! (A7) release at the count, acquire in `prepare`: who reads a count sees the change before it.

use super::words::{AgentRef, Ground, Offset, Sleep};
use crate::error::Error;
use crate::sync::modelled::{AtomicU32, Ordering, sequential};

/// Somebody sleeps, or did.
const WAITED: u32 = 1;
const ONE_NOTICE: u32 = 2;

/// A count of notices that others sleep on: four bytes, zero at first.
pub struct EventCount<'g, G: Ground> {
    ground: &'g G,
    at: Offset,
    word: &'g AtomicU32,
}

impl<'g, G: Ground> EventCount<'g, G> {
    /// The one at `at`.
    ///
    /// # Errors
    ///
    /// Damaged, if none fits there.
    #[inline]
    pub fn at(ground: &'g G, at: Offset) -> Result<EventCount<'g, G>, Error> {
        Ok(EventCount { ground, at, word: ground.u32(at)? })
    }

    /// Tells all who wait that something has changed.
    #[inline]
    pub fn notify_all(&self) {
        // Release: (A7). Sequentially consistent, for who looks at another count after this one.
        if self.word.fetch_add(ONE_NOTICE, Ordering::SeqCst) & WAITED != 0 {
            self.wake_all();
        }
    }

    /// As [`notify_all`](EventCount::notify_all) where somebody waits, and a load where nobody does.
    ///
    /// The change before it has to end with a sequentially consistent access, and the second look of who waits
    /// to begin with one: then either this load sees WAITED or that look sees the change.
    #[inline]
    pub fn notify_if_waited(&self) {
        sequential();
        if Self::is_waited(self.word.load(Ordering::SeqCst)) {
            self.notify_all();
        }
    }

    #[cold]
    fn wake_all(&self) {
        self.ground.point("count.noticed");
        // One that sets it again before it is woken sleeps on another number, or not at all.
        self.word.fetch_and(!WAITED, Ordering::SeqCst);
        self.ground.point("count.cleared");
        self.ground.wake(self.word, u32::MAX);
    }

    /// Tells one of those who wait that there is something for one of them.
    ///
    /// Others may go on sleeping, so WAITED stays until nobody is found asleep.
    #[inline]
    pub fn notify_one(&self) {
        // Release: (A7).
        if self.word.fetch_add(ONE_NOTICE, Ordering::Release) & WAITED != 0 {
            self.ground.point("count.noticed");
            if self.ground.wake(self.word, 1) == 0 {
                // Whoever fell asleep since then is woken, and sets it again.
                self.wake_all();
            }
        }
    }

    /// Says that the caller is about to wait, and gives what it may sleep on after another look.
    #[inline]
    pub fn prepare(&self) -> u32 {
        // Acquire: (A7). Sequentially consistent, for `notify_if_waited`.
        let count = self.word.fetch_or(WAITED, Ordering::SeqCst) | WAITED;
        sequential();
        count
    }

    /// Whether a count that was loaded says that somebody waits.
    #[inline]
    #[must_use]
    pub fn is_waited(count: u32) -> bool {
        count & WAITED != 0
    }

    /// A sequentially consistent look at the count, for who waits by another one.
    pub fn look(&self) -> u32 {
        self.word.load(Ordering::SeqCst)
    }

    /// The sleep of one who read `deaths`, looked, [prepared](Self::prepare) and looked again.
    #[inline]
    pub fn sleep(&self, deaths: u32, expected: u32, owner: Option<AgentRef>) -> Sleep {
        self.ground.point("count.sleep");
        Sleep { at: self.at, expected, deaths, owner }
    }
}
