//! One holder at a time: a [lock](super::super::lock) that says what it is.
//!
//! ```text
//!  0  shape  u64
//!  8  owner  u64  the lock
//! 16  turn   u32
//! ```
//!
//! What a death leaves is said there. Nothing is added but the guard that a [`Condvar`](super::Condvar) takes.

use std::fmt;
use std::marker::PhantomData;
use std::time::Instant;

use super::super::lock::{Guard, Lock};
use super::super::words::{AgentRef, Attempt, Ground, Offset, wait_for};
use super::{Shape, Waiting};
use crate::error::Error;

const SHAPE: Shape = Shape::new("mutexes", *b"mutx", 1);

const LOCK: u64 = 8;

/// A mutex in shared memory.
pub struct Mutex<'g, G: Ground> {
    pub(super) ground: &'g G,
    at: Offset,
    lock: Lock<'g, G>,
}

/// What is held without a guard.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "it is given back by this"]
pub struct MutexLease {
    abandoned: bool,
    unrepaired: bool,
}

impl MutexLease {
    fn of<G: Ground>(guard: Guard<'_, G>) -> MutexLease {
        let abandoned = guard.was_abandoned();
        guard.keep();
        MutexLease { abandoned, unrepaired: abandoned }
    }

    /// As [`MutexGuard::was_abandoned`].
    #[must_use]
    pub fn was_abandoned(&self) -> bool {
        self.abandoned
    }

    /// As [`MutexGuard::repaired`].
    pub fn repaired(&mut self) {
        self.unrepaired = false;
    }
}

impl<'g, G: Ground> Mutex<'g, G> {
    /// The bytes that it takes, at a multiple of eight.
    pub const BYTES: u64 = LOCK + Lock::<G>::BYTES;

    /// Makes one out of zeroed bytes at `at`.
    ///
    /// # Errors
    ///
    /// Damaged, if the bytes are not zero or not there.
    pub fn create(ground: &'g G, at: Offset) -> Result<Self, Error> {
        SHAPE.create(ground, at, 1, Self::BYTES)?;
        Mutex::at(ground, at)
    }

    /// The one at `at`.
    ///
    /// # Errors
    ///
    /// Damaged, if none was made there.
    pub fn at(ground: &'g G, at: Offset) -> Result<Self, Error> {
        SHAPE.count(ground, at)?;
        SHAPE.check_place(ground, at, Self::BYTES)?;
        Ok(Mutex { ground, at, lock: Lock::at(ground, at + LOCK)? })
    }

    /// Waits until the calling thread holds it, but no longer than until `deadline`.
    ///
    /// # Errors
    ///
    /// Timeout; re-entry, if the thread holds it; damaged, if the words cannot be.
    pub fn lock(&self, deadline: Option<Instant>) -> Result<MutexGuard<'_, 'g, G>, Error> {
        let me = self.ground.me()?;
        let mut waiting = Waiting::default();
        let lease = wait_for(self.ground, "the mutex was free", deadline, || {
            self.attempt(me, &mut waiting)
        });
        match lease {
            Ok(lease) => Ok(self.guard(me, lease)),
            Err(error) => {
                self.pass_on(me, &mut waiting)?;
                Err(error)
            }
        }
    }

    /// Takes it if it is free or its holder is dead, and else gives `None`.
    ///
    /// # Errors
    ///
    /// As for [`lock`](Self::lock).
    pub fn try_lock(&self) -> Result<Option<MutexGuard<'_, 'g, G>>, Error> {
        let me = self.ground.me()?;
        Ok(self.try_lock_as(me)?.map(|lease| self.guard(me, lease)))
    }

    /// As [`try_lock`](Self::try_lock), for whoever the holder is to be.
    ///
    /// # Errors
    ///
    /// As for [`lock`](Self::lock); there is no re-entry for what stands for a process.
    pub fn try_lock_as(&self, me: AgentRef) -> Result<Option<MutexLease>, Error> {
        Ok(self.lock.try_lock_as(me)?.map(MutexLease::of))
    }

    /// One look of one who waits: what it holds then, or what to sleep on.
    ///
    /// # Errors
    ///
    /// As for [`lock`](Self::lock); then the wait is over, so [`pass_on`](Self::pass_on).
    pub fn attempt(
        &self,
        me: AgentRef,
        waiting: &mut Waiting,
    ) -> Result<Attempt<MutexLease>, Error> {
        Ok(match waiting.attempt(&self.lock, me)? {
            Attempt::Sleep(sleep) => Attempt::Sleep(sleep),
            Attempt::Done(guard) => Attempt::Done(MutexLease::of(guard)),
        })
    }

    /// Has all who wait look, since it is not what they came for any more.
    pub fn wake_all(&self) {
        self.lock.wake_all();
    }

    /// Ends a wait before it is done, for one that looks no more: another looks in its place.
    ///
    /// # Errors
    ///
    /// None that could happen: who waits holds nothing.
    pub fn pass_on(&self, me: AgentRef, waiting: &mut Waiting) -> Result<(), Error> {
        waiting.give_up(&self.lock, me)
    }

    /// Gives back what a look or [`MutexGuard::keep`] gave.
    ///
    /// # Errors
    ///
    /// Damaged, if `me` does not hold it.
    pub fn give_back(&self, me: AgentRef, lease: MutexLease) -> Result<(), Error> {
        if lease.unrepaired { self.lock.give_back_unrepaired(me) } else { self.lock.give_back(me) }
    }

    fn guard(&self, me: AgentRef, lease: MutexLease) -> MutexGuard<'_, 'g, G> {
        MutexGuard { mutex: self, me, lease: Some(lease), stays: PhantomData }
    }
}

impl<G: Ground> fmt::Debug for Mutex<'_, G> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Mutex").field("at", &self.at).finish_non_exhaustive()
    }
}

/// A mutex that a thread holds. Dropping it gives it back; forgotten, it ends with the thread, and is abandoned.
pub struct MutexGuard<'m, 'g, G: Ground> {
    pub(super) mutex: &'m Mutex<'g, G>,
    me: AgentRef,
    lease: Option<MutexLease>,
    stays: PhantomData<*const ()>,
}

impl<G: Ground> MutexGuard<'_, '_, G> {
    /// Whether a holder died and nobody has repaired since what the mutex protects. Then the caller does,
    /// and says so with [`repaired`](Self::repaired).
    #[must_use]
    pub fn was_abandoned(&self) -> bool {
        self.lease.as_ref().is_some_and(MutexLease::was_abandoned)
    }

    /// What the mutex protects is whole. Without this, it is abandoned for the next holder too.
    pub fn repaired(&mut self) {
        if let Some(lease) = &mut self.lease {
            lease.repaired();
        }
    }

    /// Goes on holding it without this guard, until [`Mutex::give_back`] or the thread's end.
    pub fn keep(mut self) -> MutexLease {
        // There is one until the guard is gone.
        self.lease.take().unwrap_or(MutexLease { abandoned: true, unrepaired: true })
    }
}

impl<G: Ground> Drop for MutexGuard<'_, '_, G> {
    fn drop(&mut self) {
        if let Some(lease) = self.lease.take()
            && !self.mutex.ground.has_ended()
        {
            // A mutex that is not ours any more was overwritten by somebody.
            let _ = self.mutex.give_back(self.me, lease);
        }
    }
}

impl<G: Ground> fmt::Debug for MutexGuard<'_, '_, G> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("MutexGuard").field("lease", &self.lease).finish_non_exhaustive()
    }
}
