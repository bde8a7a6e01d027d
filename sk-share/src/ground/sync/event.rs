//! Something that is so or is not, and can be waited for.
//!
//! ```text
//!  0  shape    u64
//!  8  state    u32  CLEAR or SET
//! 12  changes  u32  the event count of those who wait
//! ```
//!
//! Who waits while it is set returns at once, and nothing is passed from one who sets to one who waits: so
//! there is nothing that a death could lose, and one who waits may find it cleared again and go on waiting.
//!
//! | dies | what is left | who goes on |
//! |---|---|---|
//! | before `state` is stored | as it was | |
//! | after, before the wake | set, sleepers asleep | `deaths` moves, they look |
//!
//! Pairs of orderings: (A10) what was done before `set` is seen by whoever waited: release, acquire. (A7) of
//! the event count.

use std::fmt;
use std::time::Instant;

use super::super::event_count::EventCount;
use super::super::words::{Attempt, Ground, Offset, wait_for};
use super::Shape;
use crate::error::Error;
use crate::sync::modelled::{AtomicU32, Ordering};

const SHAPE: Shape = Shape::new("events", *b"evnt", 1);

const STATE: u64 = 8;
const CHANGES: u64 = 12;

const CLEAR: u32 = 0;
const SET: u32 = 1;

/// An event in shared memory: set until it is cleared.
pub struct Event<'g, G: Ground> {
    ground: &'g G,
    at: Offset,
    state: &'g AtomicU32,
    changes: EventCount<'g, G>,
}

impl<'g, G: Ground> Event<'g, G> {
    /// The bytes that it takes, at a multiple of eight.
    pub const BYTES: u64 = 16;

    /// Makes one out of zeroed bytes at `at`, not set.
    ///
    /// # Errors
    ///
    /// Damaged, if the bytes are not zero or not there.
    pub fn create(ground: &'g G, at: Offset) -> Result<Self, Error> {
        SHAPE.create(ground, at, 1, Self::BYTES)?;
        Event::at(ground, at)
    }

    /// The one at `at`.
    ///
    /// # Errors
    ///
    /// Damaged, if none was made there.
    pub fn at(ground: &'g G, at: Offset) -> Result<Self, Error> {
        SHAPE.count(ground, at)?;
        SHAPE.check_place(ground, at, Self::BYTES)?;
        let changes = EventCount::at(ground, at + CHANGES)?;
        Ok(Event { ground, at, state: ground.u32(at + STATE)?, changes })
    }

    /// Whether it is set. If so, all that was done before that is seen.
    ///
    /// # Errors
    ///
    /// Damaged, if the word cannot be.
    pub fn is_set(&self) -> Result<bool, Error> {
        // Acquire: (A10).
        match self.state.load(Ordering::Acquire) {
            CLEAR => Ok(false),
            SET => Ok(true),
            found => Err(Error::damaged_at("the state of an event", self.at + STATE, found.into())),
        }
    }

    /// Sets it, and wakes all who wait.
    pub fn set(&self) {
        self.ground.point("event.set");
        // Release: (A10). Whoever finds it set already goes on from the one who set it now.
        self.state.store(SET, Ordering::Release);
        self.ground.point("event.is_set");
        self.changes.notify_all();
    }

    /// Has all who wait look, since it is not what they came for any more.
    pub fn wake_all(&self) {
        self.changes.notify_all();
    }

    /// Clears it: whoever waits from now on waits for the next time.
    pub fn clear(&self) {
        self.ground.point("event.clear");
        self.state.store(CLEAR, Ordering::Relaxed);
    }

    /// Waits until it is set, but no longer than until `deadline`.
    ///
    /// # Errors
    ///
    /// Timeout; damaged, if the words cannot be.
    pub fn wait(&self, deadline: Option<Instant>) -> Result<(), Error> {
        wait_for(self.ground, "the event was set", deadline, || self.attempt())
    }

    /// One look: it is set, or what to sleep on. A wait may be given up at any time.
    ///
    /// # Errors
    ///
    /// Damaged, if the words cannot be.
    pub fn attempt(&self) -> Result<Attempt<()>, Error> {
        // Before all that is looked at: a death from here on ends the sleep.
        let deaths = self.ground.deaths();
        if self.is_set()? {
            return Ok(Attempt::Done(()));
        }
        let expected = self.changes.prepare();
        self.ground.point("event.announced");
        // Who sets it after this look sees that somebody waits.
        if self.is_set()? {
            return Ok(Attempt::Done(()));
        }
        Ok(Attempt::Sleep(self.changes.sleep(deaths, expected, None)))
    }
}

impl<G: Ground> fmt::Debug for Event<'_, G> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Event").field("at", &self.at).finish_non_exhaustive()
    }
}
