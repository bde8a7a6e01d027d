//! What programs synchronise with: permits, turns and arrivals that end with whoever holds them.
//!
//! Every operation that waits is a *look*, which gives [`Attempt`]: one code serves threads
//! (`wait_for` with a deadline) and tasks (a future polls the look and leaves the sleep to a thread that
//! sleeps for many). What a look has to remember until the next one is a [`Waiting`] of whoever waits.
//! A wait that is given up before it is done, in whatever way, ends with `pass_on`; so does whoever slept for a
//! task that is gone ([`wake_another`]).
//!
//! Every operation takes its holder: [`Ground::me`] for a thread, [`Ground::my_process`] for what wanders
//! between threads. Objects say in their first word what they are and for how many.
//! Section 9 of the [protocol](crate::memory::protocol).

mod asynchronous;
mod barrier;
mod condvar;
mod event;
mod mutex;
mod rwlock;
mod semaphore;
mod table;

pub use asynchronous::wake_another;
pub use barrier::{Arrival, Barrier, Role};
pub use condvar::{Condvar, Listening};
pub use event::Event;
pub use mutex::{Mutex, MutexGuard, MutexLease};
pub use rwlock::{ReadGuard, RwLock, WriteGuard, WriteLease};
pub use semaphore::{Permits, Semaphore};
pub use table::Lease;

use super::lock::{Guard, Lock};
use super::words::{AgentRef, Attempt, Ground, Offset};
use crate::error::Error;
use crate::sync::modelled::Ordering;

/// How far one has come who waits: nowhere, to the lock, or through it.
///
/// It belongs to one object and one holder from the first look until the last one, or until `pass_on`.
#[derive(Debug, Default)]
pub struct Waiting {
    has_slept: bool,
    is_in_front: bool,
}

impl Waiting {
    /// One look at `lock`, as long as this one does not hold it.
    fn attempt<'g, G: Ground>(
        &mut self,
        lock: &Lock<'g, G>,
        me: AgentRef,
    ) -> Result<Attempt<Guard<'g, G>>, Error> {
        let attempt = lock.attempt(me, self.has_slept)?;
        self.has_slept = matches!(attempt, Attempt::Sleep(_));
        Ok(attempt)
    }

    /// Ends the wait before it is done: gives back the lock, or has another one look that sleeps there.
    fn give_up<G: Ground>(&mut self, lock: &Lock<'_, G>, me: AgentRef) -> Result<(), Error> {
        let Waiting { has_slept, is_in_front } = std::mem::take(self);
        if is_in_front {
            return lock.give_back(me);
        }
        if has_slept {
            lock.pass_on();
        }
        Ok(())
    }
}

/// The first word of an object: { what it is 32 | for how many 32 }. The maker stores it last, and it never
/// changes.
#[derive(Debug, Clone, Copy)]
struct Shape {
    name: &'static str,
    tag: u32,
    most: u32,
}

impl Shape {
    const fn new(name: &'static str, tag: [u8; 4], most: u32) -> Shape {
        Shape { name, tag: u32::from_le_bytes(tag), most }
    }

    fn check_count(self, count: u32) -> Result<(), Error> {
        if count == 0 || count > self.most {
            return Err(Error::count(self.name, count.into(), self.most.into()));
        }
        Ok(())
    }

    fn check_place<G: Ground>(self, ground: &G, at: Offset, bytes: u64) -> Result<(), Error> {
        if at.checked_add(bytes).is_none_or(|end| end > ground.length()) {
            return Err(Error::damaged_at(self.name, at, bytes));
        }
        Ok(())
    }

    /// Makes one of `count` out of `bytes` zeroed bytes at `at`.
    fn create<G: Ground>(
        self,
        ground: &G,
        at: Offset,
        count: u32,
        bytes: u64,
    ) -> Result<(), Error> {
        self.check_count(count)?;
        self.check_place(ground, at, bytes)?;
        let word = u64::from(self.tag) << 32 | u64::from(count);
        ground.point("sync.create");
        // Nobody has it before the maker says where it is, which orders all that the maker stored.
        match ground.u64(at)?.compare_exchange(0, word, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => Ok(()),
            Err(found) => Err(Error::damaged_at(self.name, at, found)),
        }
    }

    /// For how many the one at `at` was made, if it is one.
    fn count<G: Ground>(self, ground: &G, at: Offset) -> Result<u32, Error> {
        let found = ground.u64(at)?.load(Ordering::Relaxed);
        let damaged = || Error::damaged_at(self.name, at, found);
        if found >> 32 != u64::from(self.tag) {
            return Err(damaged());
        }
        let count = u32::try_from(found & u64::from(u32::MAX)).map_err(|_| damaged())?;
        self.check_count(count).map_err(|_| damaged())?;
        Ok(count)
    }
}
