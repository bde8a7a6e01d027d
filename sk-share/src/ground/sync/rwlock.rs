//! Many readers or one writer.
//!
//! The [table](super::table) of leases. A reader has a row. **A writer is the one in front**: it comes
//! there, waits until all rows are gone, and holds the front as long as it writes. So no reader comes in
//! from the moment at which a writer waits in front, and it is not starved. `flag` says WRITING from
//! then until the writer has left all whole: whoever else is in front and finds it knows that a writer died.
//!
//! | dies | what is left | who goes on |
//! |---|---|---|
//! | reader | its row | the one in front sweeps |
//! | in front, waiting | the lock abandoned, `flag` as it was | the next at the lock |
//! | writer | the lock abandoned, WRITING | the next is told, until somebody has repaired |
//! | writer, when `flag` is 0 again | the lock abandoned | the next is told nothing: it was done |
//! | writer that becomes a reader | perhaps a row, WRITING or not, the lock | as for both |
//! | repairing | WRITING | the next is told the same |
//!
//! **Re-entry** of a thread is an error for all but reading within reading, which counts up the thread's own
//! row, past a writer that waits in front for it. What stands for a process is not told apart: it waits.
//!
//! Pairs of orderings: those of the table. `flag` is changed by the one in front alone (A2, A4).

use std::fmt;
use std::marker::PhantomData;
use std::time::Instant;

use super::super::words::{AgentRef, Attempt, Ground, Offset, wait_for};
use super::table::{Lease, MOST, Table};
use super::{Shape, Waiting};
use crate::error::Error;
use crate::sync::modelled::Ordering;

const SHAPE: Shape = Shape::new("readers of a lock", *b"rwlk", MOST);

const WHOLE: u32 = 0;
const WRITING: u32 = 1;

/// A lock in shared memory for many readers or one writer.
pub struct RwLock<'g, G: Ground> {
    at: Offset,
    table: Table<'g, G>,
}

/// What a writer holds without a guard.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "it is given back by this"]
pub struct WriteLease {
    abandoned: bool,
    unrepaired: bool,
}

impl WriteLease {
    /// As [`WriteGuard::was_abandoned`].
    #[must_use]
    pub fn was_abandoned(&self) -> bool {
        self.abandoned
    }

    /// As [`WriteGuard::repaired`].
    pub fn repaired(&mut self) {
        self.unrepaired = false;
    }
}

impl<'g, G: Ground> RwLock<'g, G> {
    /// The most readers at a time that there may be.
    pub const MOST: u32 = MOST;

    /// The bytes that one for so many `readers` at a time takes, at a multiple of eight.
    #[must_use]
    pub const fn bytes(readers: u32) -> u64 {
        Table::<G>::bytes(readers)
    }

    /// Makes one for so many `readers` at a time out of zeroed bytes at `at`. More readers wait.
    ///
    /// # Errors
    ///
    /// A limit, if that is 0 or more than [`MOST`](Self::MOST); damaged, if the bytes are not zero or not there.
    pub fn create(ground: &'g G, at: Offset, readers: u32) -> Result<Self, Error> {
        Ok(RwLock { at, table: Table::create(ground, at, SHAPE, readers)? })
    }

    /// The one at `at`.
    ///
    /// # Errors
    ///
    /// Damaged, if none was made there.
    pub fn at(ground: &'g G, at: Offset) -> Result<Self, Error> {
        Ok(RwLock { at, table: Table::at(ground, at, SHAPE)? })
    }

    /// Waits until it may read, but no longer than until `deadline`.
    ///
    /// # Errors
    ///
    /// Timeout; re-entry, if the thread writes; damaged, if the words cannot be.
    pub fn read(&self, deadline: Option<Instant>) -> Result<ReadGuard<'_, 'g, G>, Error> {
        let me = self.table.ground.me()?;
        let mut waiting = Waiting::default();
        let lease = wait_for(self.table.ground, "the writer was done", deadline, || {
            self.attempt_read(me, &mut waiting)
        });
        let (lease, abandoned) = lease.or_else(|error| self.failed(me, &mut waiting, error))?;
        Ok(self.read_guard(me, lease, abandoned))
    }

    /// Reads if nobody writes or waits to, and else gives `None`.
    ///
    /// # Errors
    ///
    /// As for [`read`](Self::read).
    pub fn try_read(&self) -> Result<Option<ReadGuard<'_, 'g, G>>, Error> {
        let me = self.table.ground.me()?;
        let mut waiting = Waiting::default();
        if !self.table.try_advance(me, &mut waiting)? {
            let again = self.read_again(me)?;
            return Ok(again.map(|(lease, abandoned)| self.read_guard(me, lease, abandoned)));
        }
        match self.attempt_read(me, &mut waiting) {
            Ok(Attempt::Done((lease, abandoned))) => {
                Ok(Some(self.read_guard(me, lease, abandoned)))
            }
            Ok(Attempt::Sleep(_)) => self.pass_on(me, &mut waiting).map(|()| None),
            Err(error) => self.failed(me, &mut waiting, error),
        }
    }

    /// Waits until it may write, but no longer than until `deadline`.
    ///
    /// # Errors
    ///
    /// Timeout; re-entry, if the thread reads or writes; damaged, if the words cannot be.
    pub fn write(&self, deadline: Option<Instant>) -> Result<WriteGuard<'_, 'g, G>, Error> {
        let me = self.table.ground.me()?;
        let mut waiting = Waiting::default();
        let lease = wait_for(self.table.ground, "readers and writers were done", deadline, || {
            self.attempt_write(me, &mut waiting)
        });
        let lease = lease.or_else(|error| self.failed(me, &mut waiting, error))?;
        Ok(self.write_guard(me, lease))
    }

    /// Writes if nobody reads, writes or waits to, and else gives `None`.
    ///
    /// # Errors
    ///
    /// As for [`write`](Self::write).
    pub fn try_write(&self) -> Result<Option<WriteGuard<'_, 'g, G>>, Error> {
        let me = self.table.ground.me()?;
        let mut waiting = Waiting::default();
        if !self.table.try_advance(me, &mut waiting)? {
            return self.refuse_reader(me).map(|()| None);
        }
        match self.attempt_write(me, &mut waiting) {
            Ok(Attempt::Done(lease)) => Ok(Some(self.write_guard(me, lease))),
            Ok(Attempt::Sleep(_)) => self.pass_on(me, &mut waiting).map(|()| None),
            Err(error) => self.failed(me, &mut waiting, error),
        }
    }

    /// One look of a reader: its lease and whether a writer died, or what to sleep on.
    ///
    /// # Errors
    ///
    /// As for [`read`](Self::read); then the wait is over, so [`pass_on`](Self::pass_on).
    pub fn attempt_read(
        &self,
        me: AgentRef,
        waiting: &mut Waiting,
    ) -> Result<Attempt<(Lease, bool)>, Error> {
        let ground = self.table.ground;
        let has_slept = waiting.has_slept;
        if let Attempt::Sleep(sleep) = self.table.advance(me, waiting)? {
            let Some(again) = self.read_again(me)? else { return Ok(Attempt::Sleep(sleep)) };
            // Whoever has not slept has taken nobody's wake-up.
            waiting.has_slept = has_slept;
            self.pass_on(me, waiting)?;
            return Ok(Attempt::Done(again));
        }
        ground.point("rwlock.read_front");
        // Before all that is looked at: a death from here on ends the sleep.
        let deaths = ground.deaths();
        let abandoned = self.is_abandoned()?;
        let rows = self.table.count(Some(me))?;
        if let Some(own) = rows.own {
            let again = self.add_to(me, own)?;
            self.table.leave(me, waiting)?;
            return Ok(Attempt::Done((again, abandoned)));
        }
        let mut free = rows.free;
        if free.is_none() {
            let expected = self.table.changes.prepare();
            ground.point("rwlock.read_announced");
            let rows = self.table.sweep(me)?;
            free = rows.free;
            if free.is_none() {
                let sleep = self.table.changes.sleep(deaths, expected, rows.watch);
                return Ok(Attempt::Sleep(sleep));
            }
        }
        let row = free.unwrap_or(0);
        let lease = self.table.take_and_leave(me, row, 1, waiting)?;
        ground.point("rwlock.reading");
        Ok(Attempt::Done((lease, abandoned)))
    }

    /// One look of a writer: its lease, or what to sleep on.
    ///
    /// # Errors
    ///
    /// As for [`write`](Self::write); then the wait is over, so [`pass_on`](Self::pass_on).
    pub fn attempt_write(
        &self,
        me: AgentRef,
        waiting: &mut Waiting,
    ) -> Result<Attempt<WriteLease>, Error> {
        let ground = self.table.ground;
        if let Attempt::Sleep(sleep) = self.table.advance(me, waiting)? {
            self.refuse_reader(me)?;
            return Ok(Attempt::Sleep(sleep));
        }
        ground.point("rwlock.write_front");
        // Before all that is looked at: a death from here on ends the sleep.
        let deaths = ground.deaths();
        let mut rows = self.table.count(Some(me))?;
        if rows.taken != 0 {
            let expected = self.table.changes.prepare();
            ground.point("rwlock.write_announced");
            rows = self.table.sweep(me)?;
            if rows.own.is_some() {
                return Err(Error::reentry(self.at));
            }
            if rows.taken != 0 {
                let sleep = self.table.changes.sleep(deaths, expected, rows.watch);
                return Ok(Attempt::Sleep(sleep));
            }
        }
        let abandoned = self.is_abandoned()?;
        self.table.flag.store(WRITING, Ordering::Relaxed);
        // From here on the lock is the writer's, and no wait holds it.
        *waiting = Waiting::default();
        ground.point("rwlock.writing");
        Ok(Attempt::Done(WriteLease { abandoned, unrepaired: abandoned }))
    }

    /// How many may read at once.
    #[must_use]
    pub fn readers(&self) -> u32 {
        self.table.rows
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

    /// Gives back what a look or [`ReadGuard::keep`] gave.
    ///
    /// # Errors
    ///
    /// Damaged, if `me` does not hold it.
    pub fn give_back_read(&self, me: AgentRef, lease: Lease) -> Result<(), Error> {
        if me.of_process {
            return self.table.give_back(me, &lease);
        }
        // A thread may read more than once in one row, which nobody else changes.
        let found = self.table.row(lease.row)?.load(Ordering::Relaxed);
        let count = u32::try_from(found & super::table::COUNT).unwrap_or(0);
        if count > 1 {
            return self.table.recount(me, lease.row, count, count - 1);
        }
        self.table.give_back(me, &Lease { count: 1, ..lease })
    }

    /// Gives back what a look or [`WriteGuard::keep`] gave.
    ///
    /// # Errors
    ///
    /// Damaged, if `me` does not hold it.
    pub fn give_back_write(&self, me: AgentRef, lease: WriteLease) -> Result<(), Error> {
        self.table.ground.point("rwlock.written");
        if !lease.unrepaired {
            self.table.flag.store(WHOLE, Ordering::Relaxed);
            self.table.ground.point("rwlock.whole");
        }
        self.table.lock.give_back(me)
    }

    /// Reads on where it wrote, with no other writer in between. Says whether what it reads is still as a
    /// dead writer left it.
    ///
    /// # Errors
    ///
    /// Damaged, if `me` does not hold it.
    pub fn downgrade(&self, me: AgentRef, lease: WriteLease) -> Result<(Lease, bool), Error> {
        // All rows are gone, and nobody but the one in front adds any.
        let read = self.table.take(me, 0, 1)?;
        self.table.ground.point("rwlock.downgraded");
        let unrepaired = lease.unrepaired;
        match self.give_back_write(me, lease) {
            Ok(()) => Ok((read, unrepaired)),
            Err(error) => {
                self.table.give_back(me, &read)?;
                Err(error)
            }
        }
    }

    fn failed<R>(&self, me: AgentRef, waiting: &mut Waiting, error: Error) -> Result<R, Error> {
        self.pass_on(me, waiting)?;
        Err(error)
    }

    /// What the flag says to the one in front, who knows that nobody else writes.
    fn is_abandoned(&self) -> Result<bool, Error> {
        match self.table.flag.load(Ordering::Relaxed) {
            WHOLE => Ok(false),
            WRITING => Ok(true),
            found => Err(Error::damaged_at("the state of a lock", self.at, found.into())),
        }
    }

    /// For a thread that reads: one more, whoever is in front and waits for it. No writer writes, so the
    /// flag does not move.
    fn read_again(&self, me: AgentRef) -> Result<Option<(Lease, bool)>, Error> {
        if me.of_process {
            return Ok(None);
        }
        let Some(own) = self.table.count(Some(me))?.own else { return Ok(None) };
        let again = self.add_to(me, own)?;
        Ok(Some((again, self.is_abandoned()?)))
    }

    fn add_to(&self, me: AgentRef, own: Lease) -> Result<Lease, Error> {
        if own.count >= MOST {
            return Err(Error::count("reads of one thread", u64::from(own.count) + 1, MOST.into()));
        }
        self.table.recount(me, own.row, own.count, own.count + 1)?;
        Ok(Lease { count: 1, ..own })
    }

    /// Re-entry, if the thread reads: then the one in front may wait for it.
    fn refuse_reader(&self, me: AgentRef) -> Result<(), Error> {
        if !me.of_process && self.table.count(Some(me))?.own.is_some() {
            return Err(Error::reentry(self.at));
        }
        Ok(())
    }

    fn read_guard(&self, me: AgentRef, lease: Lease, abandoned: bool) -> ReadGuard<'_, 'g, G> {
        ReadGuard { lock: self, me, lease, abandoned, stays: PhantomData }
    }

    fn write_guard(&self, me: AgentRef, lease: WriteLease) -> WriteGuard<'_, 'g, G> {
        WriteGuard { lock: self, me, lease: Some(lease), stays: PhantomData }
    }
}

impl<G: Ground> fmt::Debug for RwLock<'_, G> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("RwLock").field("at", &self.at).finish_non_exhaustive()
    }
}

/// A thread reads. Dropping it ends that; forgotten, it ends with the thread.
pub struct ReadGuard<'s, 'g, G: Ground> {
    lock: &'s RwLock<'g, G>,
    me: AgentRef,
    lease: Lease,
    abandoned: bool,
    stays: PhantomData<*const ()>,
}

impl<G: Ground> ReadGuard<'_, '_, G> {
    /// Whether a writer died and nobody has repaired since what it left.
    #[must_use]
    pub fn was_abandoned(&self) -> bool {
        self.abandoned
    }

    /// Goes on reading without this guard, until [`RwLock::give_back_read`] or the thread's end.
    pub fn keep(self) -> Lease {
        let lease = self.lease.kept();
        std::mem::forget(self);
        lease
    }
}

impl<G: Ground> Drop for ReadGuard<'_, '_, G> {
    fn drop(&mut self) {
        if !self.lock.table.ground.has_ended() {
            // A row that is not ours any more was overwritten by somebody: nothing is to be given back.
            let _ = self.lock.give_back_read(self.me, self.lease.kept());
        }
    }
}

impl<G: Ground> fmt::Debug for ReadGuard<'_, '_, G> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("ReadGuard")
            .field("was_abandoned", &self.abandoned)
            .finish_non_exhaustive()
    }
}

/// A thread writes. Dropping it ends that; forgotten, it ends with the thread, and is abandoned.
pub struct WriteGuard<'s, 'g, G: Ground> {
    lock: &'s RwLock<'g, G>,
    me: AgentRef,
    lease: Option<WriteLease>,
    stays: PhantomData<*const ()>,
}

impl<'s, 'g, G: Ground> WriteGuard<'s, 'g, G> {
    /// Whether a writer died and nobody has repaired since what it left. Then the caller does, and says so
    /// with [`repaired`](Self::repaired).
    #[must_use]
    pub fn was_abandoned(&self) -> bool {
        self.lease.as_ref().is_some_and(WriteLease::was_abandoned)
    }

    /// What the lock protects is whole. Without this, it is abandoned for the next too.
    pub fn repaired(&mut self) {
        if let Some(lease) = &mut self.lease {
            lease.repaired();
        }
    }

    /// Goes on writing without this guard, until [`RwLock::give_back_write`] or the thread's end.
    pub fn keep(mut self) -> WriteLease {
        // There is one until the guard is gone.
        self.lease.take().unwrap_or(WriteLease { abandoned: true, unrepaired: true })
    }

    /// Reads on, with no other writer in between.
    ///
    /// # Errors
    ///
    /// Damaged, if the words are not as this one left them.
    pub fn downgrade(mut self) -> Result<ReadGuard<'s, 'g, G>, Error> {
        let lease = self.lease.take().unwrap_or(WriteLease { abandoned: true, unrepaired: true });
        let (read, unrepaired) = self.lock.downgrade(self.me, lease)?;
        Ok(self.lock.read_guard(self.me, read, unrepaired))
    }
}

impl<G: Ground> Drop for WriteGuard<'_, '_, G> {
    fn drop(&mut self) {
        if let Some(lease) = self.lease.take()
            && !self.lock.table.ground.has_ended()
        {
            // A lock that is not ours any more was overwritten by somebody.
            let _ = self.lock.give_back_write(self.me, lease);
        }
    }
}

impl<G: Ground> fmt::Debug for WriteGuard<'_, '_, G> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("WriteGuard").field("lease", &self.lease).finish_non_exhaustive()
    }
}
