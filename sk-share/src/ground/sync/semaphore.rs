//! Permits: so many at a time, each a lease that ends with its holder.
//!
//! The [table](super::table) of leases, a row for each permit; a row counts the permits of one lease.
//!
//! To acquire: come to the front; count the rows; if permits are missing, sweep those of the dead; take a
//! row; leave the front. Whoever is in front waits there, so a large request is not starved by small
//! ones that come later. Who comes to the front next is whoever is awake: there is no order behind it.
//!
//! | dies | what is left | who goes on |
//! |---|---|---|
//! | on the way to the front | as for the lock | |
//! | in front | the lock abandoned, perhaps a row | the next at the lock; who misses the permits sweeps |
//! | holder | its row | the one in front sweeps |
//! | giving back, before the wake | no row, the one in front asleep | `deaths` moves, it looks |
//!
//! A *stopped* process in front keeps others waiting although permits may be there, until it goes on or
//! dies; their deadlines hold. So does a future in front that nobody polls.

use std::fmt;
use std::marker::PhantomData;
use std::time::Instant;

use super::super::words::{AgentRef, Attempt, Ground, Offset, wait_for};
use super::table::{Lease, MOST, Table};
use super::{Shape, Waiting};
use crate::error::Error;

const SHAPE: Shape = Shape::new("permits of a semaphore", *b"perm", MOST);

/// So many permits in shared memory.
///
/// ```text
/// acquire(k) -> Permits       waits; acquire_until, try_acquire
/// attempt    -> Attempt       one look, for whoever drives it; pass_on if it is given up
/// ```
pub struct Semaphore<'g, G: Ground> {
    table: Table<'g, G>,
}

impl<'g, G: Ground> Semaphore<'g, G> {
    /// The most permits that there may be.
    pub const MOST: u32 = MOST;

    /// The bytes that one of `permits` takes, at a multiple of eight.
    #[must_use]
    pub const fn bytes(permits: u32) -> u64 {
        Table::<G>::bytes(permits)
    }

    /// Makes one of `permits` out of zeroed bytes at `at`.
    ///
    /// # Errors
    ///
    /// A limit, if that is 0 or more than [`MOST`](Self::MOST); damaged, if the bytes are not zero or not there.
    pub fn create(ground: &'g G, at: Offset, permits: u32) -> Result<Self, Error> {
        Ok(Semaphore { table: Table::create(ground, at, SHAPE, permits)? })
    }

    /// The one at `at`.
    ///
    /// # Errors
    ///
    /// Damaged, if none was made there.
    pub fn at(ground: &'g G, at: Offset) -> Result<Self, Error> {
        Ok(Semaphore { table: Table::at(ground, at, SHAPE)? })
    }

    /// How many permits there are, held or not.
    #[must_use]
    pub fn permits(&self) -> u32 {
        self.table.rows
    }

    /// How many nobody holds at this moment. Those of dead holders count as held until they are missed.
    ///
    /// # Errors
    ///
    /// Damaged, if a row cannot be.
    pub fn available(&self) -> Result<u32, Error> {
        let taken = self.table.count(None)?.taken;
        Ok(u32::try_from(taken).map_or(0, |taken| self.table.rows.saturating_sub(taken)))
    }

    /// Takes `count` permits, waiting for as long as it takes.
    ///
    /// # Errors
    ///
    /// A limit, if `count` is 0 or more than there are; damaged, if the words cannot be.
    pub fn acquire(&self, count: u32) -> Result<Permits<'_, 'g, G>, Error> {
        self.acquire_until(count, None)
    }

    /// Takes `count` permits, waiting no longer than until `deadline`.
    ///
    /// # Errors
    ///
    /// Timeout; else as for [`acquire`](Self::acquire).
    pub fn acquire_until(
        &self,
        count: u32,
        deadline: Option<Instant>,
    ) -> Result<Permits<'_, 'g, G>, Error> {
        let me = self.table.ground.me()?;
        let mut waiting = Waiting::default();
        let lease = wait_for(self.table.ground, "the permits were there", deadline, || {
            self.attempt(me, count, &mut waiting)
        });
        match lease {
            Ok(lease) => Ok(self.guard(me, lease)),
            Err(error) => {
                self.pass_on(me, &mut waiting)?;
                Err(error)
            }
        }
    }

    /// Takes `count` permits if they are there and nobody waits, and else gives `None`.
    ///
    /// # Errors
    ///
    /// As for [`acquire`](Self::acquire).
    pub fn try_acquire(&self, count: u32) -> Result<Option<Permits<'_, 'g, G>>, Error> {
        let me = self.table.ground.me()?;
        Ok(self.try_acquire_as(me, count)?.map(|lease| self.guard(me, lease)))
    }

    /// As [`try_acquire`](Self::try_acquire), for whoever the holder is to be.
    ///
    /// # Errors
    ///
    /// As for [`acquire`](Self::acquire).
    pub fn try_acquire_as(&self, me: AgentRef, count: u32) -> Result<Option<Lease>, Error> {
        self.check(count)?;
        let mut waiting = Waiting::default();
        if !self.table.try_advance(me, &mut waiting)? {
            return Ok(None);
        }
        let taken = match self.take(me, count, &mut waiting) {
            Ok(Some(lease)) => Ok(Some(lease)),
            Ok(None) => self.sweep_and_take(me, count, &mut waiting).map(Result::ok),
            Err(error) => Err(error),
        };
        if !matches!(taken, Ok(Some(_))) {
            self.pass_on(me, &mut waiting)?;
        }
        taken
    }

    /// One look for one who waits: the permits, or what to sleep on before the next look.
    ///
    /// # Errors
    ///
    /// As for [`acquire`](Self::acquire); then the wait is over, so [`pass_on`](Self::pass_on).
    pub fn attempt(
        &self,
        me: AgentRef,
        count: u32,
        waiting: &mut Waiting,
    ) -> Result<Attempt<Lease>, Error> {
        self.check(count)?;
        if let Attempt::Sleep(sleep) = self.table.advance(me, waiting)? {
            return Ok(Attempt::Sleep(sleep));
        }
        self.table.ground.point("semaphore.front");
        // Before all that is looked at: a death from here on ends the sleep.
        let deaths = self.table.ground.deaths();
        if let Some(lease) = self.take(me, count, waiting)? {
            return Ok(Attempt::Done(lease));
        }
        // Before the last look: who gives back after it sees that somebody waits.
        let expected = self.table.changes.prepare();
        self.table.ground.point("semaphore.announced");
        Ok(match self.sweep_and_take(me, count, waiting)? {
            Ok(lease) => Attempt::Done(lease),
            Err(watch) => Attempt::Sleep(self.table.changes.sleep(deaths, expected, watch)),
        })
    }

    /// Has all who wait look, since it is not what they came for any more.
    pub fn wake_all(&self) {
        self.table.wake_all();
    }

    /// Ends a wait before it is done, for one that looks no more: others look in its place.
    ///
    /// # Errors
    ///
    /// Damaged, if the lock is not as this one left it.
    pub fn pass_on(&self, me: AgentRef, waiting: &mut Waiting) -> Result<(), Error> {
        self.table.leave(me, waiting)
    }

    /// Gives back what a look or [`Permits::keep`] gave.
    ///
    /// # Errors
    ///
    /// Damaged, if `me` does not hold it.
    pub fn give_back(&self, me: AgentRef, lease: Lease) -> Result<(), Error> {
        self.table.give_back(me, &lease)
    }

    fn check(&self, count: u32) -> Result<(), Error> {
        if count == 0 || count > self.table.rows {
            return Err(Error::count(SHAPE.name, count.into(), self.table.rows.into()));
        }
        Ok(())
    }

    fn take(
        &self,
        me: AgentRef,
        count: u32,
        waiting: &mut Waiting,
    ) -> Result<Option<Lease>, Error> {
        let rows = self.table.count(Some(me))?;
        self.table.ground.point("semaphore.counted");
        self.take_of(me, count, waiting, rows.taken, rows.free)
    }

    /// The permits, or whom to watch.
    fn sweep_and_take(
        &self,
        me: AgentRef,
        count: u32,
        waiting: &mut Waiting,
    ) -> Result<Result<Lease, Option<AgentRef>>, Error> {
        let rows = self.table.sweep(me)?;
        Ok(self.take_of(me, count, waiting, rows.taken, rows.free)?.ok_or(rows.watch))
    }

    fn take_of(
        &self,
        me: AgentRef,
        count: u32,
        waiting: &mut Waiting,
        taken: u64,
        free: Option<u32>,
    ) -> Result<Option<Lease>, Error> {
        if taken + u64::from(count) > u64::from(self.table.rows) {
            return Ok(None);
        }
        // Each row that is taken counts one at least, so there is one left.
        let Some(row) = free else { return Err(self.table.damaged(0, taken)) };
        let lease = self.table.take_and_leave(me, row, count, waiting)?;
        self.table.ground.point("semaphore.acquired");
        Ok(Some(lease))
    }

    fn guard(&self, me: AgentRef, lease: Lease) -> Permits<'_, 'g, G> {
        Permits { semaphore: self, me, lease, stays: PhantomData }
    }
}

impl<G: Ground> fmt::Debug for Semaphore<'_, G> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Semaphore").field("permits", &self.table.rows).finish_non_exhaustive()
    }
}

/// Permits that a thread holds. Dropping them gives them back; forgotten, they end with the thread.
pub struct Permits<'s, 'g, G: Ground> {
    semaphore: &'s Semaphore<'g, G>,
    me: AgentRef,
    lease: Lease,
    stays: PhantomData<*const ()>,
}

impl<G: Ground> Permits<'_, '_, G> {
    /// How many.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.lease.count
    }

    /// Goes on holding them without this guard, until [`Semaphore::give_back`] or the thread's end.
    pub fn keep(self) -> Lease {
        let lease = self.lease.kept();
        std::mem::forget(self);
        lease
    }
}

impl<G: Ground> Drop for Permits<'_, '_, G> {
    fn drop(&mut self) {
        if !self.semaphore.table.ground.has_ended() {
            // A row that is not ours any more was overwritten by somebody: nothing is to be given back.
            let _ = self.semaphore.give_back(self.me, self.lease.kept());
        }
    }
}

impl<G: Ground> fmt::Debug for Permits<'_, '_, G> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Permits").field("count", &self.lease.count).finish_non_exhaustive()
    }
}
