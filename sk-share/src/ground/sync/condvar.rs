//! Waiting, without a mutex, until somebody says that what it protects has changed.
//!
//! ```text
//!  0  shape    u64
//!  8  changes  u32  the event count of those who wait
//! ```
//!
//! Who waits, and holds the mutex: reads `deaths` and `changes` (and says there that somebody waits); gives the
//! mutex back; sleeps on what it read; takes the mutex. Who changes what the mutex protects counts `changes`
//! up after that, so a notice that comes when the mutex is given back is not slept through.
//!
//! **Wake-ups without notice are allowed**: the death of any process wakes all who wait, since the dead one may
//! have been woken in their place, or was about to wake them. So look at the condition in a loop
//! ([`Condvar::wait_while`]). One that was woken and goes away before it acts, because its deadline passed at the mutex
//! or its task was dropped, passes the notice on.
//!
//! | dies | what is left | who goes on |
//! |---|---|---|
//! | listening, before it sleeps | a mark that somebody waits: a wake for nobody | |
//! | changed, before it notifies | the mutex abandoned, or sleepers asleep | `deaths` moves, all look |
//! | notified, before the wake | sleepers asleep | `deaths` moves, all look |
//! | woken, before it has the mutex | others asleep | `deaths` moves, all look |
//!
//! Pairs of orderings: (A7) of the event count, and those of the mutex.

use std::fmt;
use std::time::Instant;

use super::super::event_count::EventCount;
use super::super::words::{Attempt, Ground, Offset, wait_for};
use super::Shape;
use super::mutex::MutexGuard;
use crate::error::Error;
use crate::sync::modelled::{AtomicU32, Ordering};

const SHAPE: Shape = Shape::new("condition variables", *b"cond", 1);

const CHANGES: u64 = 8;

/// A condition variable in shared memory.
pub struct Condvar<'g, G: Ground> {
    ground: &'g G,
    at: Offset,
    count: &'g AtomicU32,
    changes: EventCount<'g, G>,
}

/// What one heard before it gave the mutex back: it waits for more.
#[derive(Debug)]
pub struct Listening {
    deaths: u32,
    count: u32,
}

impl<'g, G: Ground> Condvar<'g, G> {
    /// The bytes that it takes, at a multiple of eight.
    pub const BYTES: u64 = 16;

    /// Makes one out of zeroed bytes at `at`.
    ///
    /// # Errors
    ///
    /// Damaged, if the bytes are not zero or not there.
    pub fn create(ground: &'g G, at: Offset) -> Result<Self, Error> {
        SHAPE.create(ground, at, 1, Self::BYTES)?;
        Condvar::at(ground, at)
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
        Ok(Condvar { ground, at, count: ground.u32(at + CHANGES)?, changes })
    }

    /// Gives the mutex back, waits for a notice until `deadline`, and takes the mutex again. It may return
    /// without a notice.
    ///
    /// # Errors
    ///
    /// Timeout, and whatever the mutex says; then the mutex is **not** held.
    pub fn wait<'m>(
        &self,
        guard: MutexGuard<'m, 'g, G>,
        deadline: Option<Instant>,
    ) -> Result<MutexGuard<'m, 'g, G>, Error> {
        let listening = self.listen();
        let mutex = guard.mutex;
        drop(guard);
        self.ground.point("condvar.mutex_given");
        let mut has_slept = false;
        wait_for(self.ground, "a notice", deadline, || {
            let attempt = if has_slept { Attempt::Done(()) } else { self.attempt(&listening) };
            has_slept = true;
            Ok(attempt)
        })?;
        self.ground.point("condvar.woken");
        mutex.lock(deadline).inspect_err(|_| self.pass_on())
    }

    /// Waits as long as `is_to_wait` says, which looks with the mutex held.
    ///
    /// # Errors
    ///
    /// As for [`wait`](Self::wait).
    pub fn wait_while<'m>(
        &self,
        mut guard: MutexGuard<'m, 'g, G>,
        deadline: Option<Instant>,
        mut is_to_wait: impl FnMut(&mut MutexGuard<'m, 'g, G>) -> bool,
    ) -> Result<MutexGuard<'m, 'g, G>, Error> {
        while is_to_wait(&mut guard) {
            guard = self.wait(guard, deadline)?;
        }
        Ok(guard)
    }

    /// Begins to listen. Call it with the mutex held, and give the mutex back after.
    #[must_use]
    pub fn listen(&self) -> Listening {
        // Before anything that others do from now on: a death ends the sleep.
        let deaths = self.ground.deaths();
        let count = self.changes.prepare();
        self.ground.point("condvar.listening");
        Listening { deaths, count }
    }

    /// One look: there was a notice since then, or what to sleep on. After one sleep, take the mutex whatever the
    /// next look would say.
    #[must_use]
    pub fn attempt(&self, listening: &Listening) -> Attempt<()> {
        // Acquire: (A7).
        if self.count.load(Ordering::Acquire) != listening.count {
            return Attempt::Done(());
        }
        Attempt::Sleep(self.changes.sleep(listening.deaths, listening.count, None))
    }

    /// Tells one of those who wait.
    pub fn notify_one(&self) {
        self.ground.point("condvar.notify_one");
        self.changes.notify_one();
    }

    /// Tells all who wait.
    pub fn notify_all(&self) {
        self.ground.point("condvar.notify_all");
        self.changes.notify_all();
    }

    /// For one that listened, may have been woken, and goes away without having looked with the mutex held: a
    /// notice that it took is for another.
    pub fn pass_on(&self) {
        self.ground.point("condvar.pass_on");
        self.changes.notify_one();
    }
}

impl<G: Ground> fmt::Debug for Condvar<'_, G> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Condvar").field("at", &self.at).finish_non_exhaustive()
    }
}
