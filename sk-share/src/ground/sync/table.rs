//! Leases: a table of who holds how much, in which only one at a time adds, and everybody takes out
//! its own.
//!
//! ```text
//!  0  shape    u64  what it is, and for how many
//!  8  owner    u64  the lock of those who add: held by the one that is in front
//! 16  turn     u32
//! 20  changes  u32  the event count of the one that is in front
//! 24  used     u32  no row from here on is taken: raised before a row is set, lowered by a sweep
//! 28  flag     u32  free for the object
//! 32  rows     u64 { generation 32 | agent 16 | of_process 1 | count 15 }, or 0
//! ```
//!
//! A row is a fact, and one compare-and-swap adds it or takes it out. Whoever adds holds the lock, so
//! what it counted can only have become less: nothing is given out twice. Taking out needs no lock, so
//! giving back never waits, and whoever has to wait may hold the lock meanwhile: the one *in front*. It
//! is served before all who come later, however much it asks for. The others sleep at the lock.
//!
//! | dies | what is left | who goes on |
//! |---|---|---|
//! | in front, before the row is set | the lock is abandoned, `used` one too high | the next at the lock |
//! | in front, after | the same, and the row of one who is dead | whoever misses it sweeps it |
//! | holder of a row | the row | whoever misses it: `deaths` moves, or the sleeper watches that thread |
//! | after the row is taken out, before the wake | the one in front sleeps | `deaths` moves, it looks |
//!
//! **The end of a thread** whose process lives moves no count. The one in front watches one thread that
//! holds a row. Who needs all rows to go (a writer) needs that one to go too, and watches the next then.
//! Who needs some (a semaphore) learns of the end of another thread only when it looks for any other
//! reason, at the latest after the five seconds for which a wait may last.
//!
//! Pairs of orderings: (A9) what a holder did is seen by whoever has what it gave back: release where the
//! row is taken out, acquire where rows are counted. (A7) of the event count: who reads a count sees the
//! rows that were taken out before it. (A2), (A4) of the lock: who is in front sees the rows that those
//! before it added, also the dead. (A4) comes with a dead holder's row as well.

use super::super::event_count::EventCount;
use super::super::lock::{Guard, Lock};
use super::super::words::{AgentRef, Attempt, Ground, Offset};
use super::{Shape, Waiting};
use crate::error::Error;
use crate::sync::modelled::{AtomicU32, AtomicU64, Ordering};

const LOCK: u64 = 8;
const CHANGES: u64 = 20;
const USED: u64 = 24;
const FLAG: u64 = 28;
const ROWS: u64 = 32;

/// Of a row: the count.
pub(super) const COUNT: u64 = 0x7FFF;
/// The most that one row counts, and the most rows that there are.
pub(super) const MOST: u32 = 0x7FFF;

/// A row that was taken, for whoever holds without a guard. Lost, it ends with its holder.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "it is given back by this"]
pub struct Lease {
    pub(super) row: u32,
    pub(super) count: u32,
}

impl Lease {
    /// For a guard that is forgotten in favour of its lease.
    pub(super) fn kept(&self) -> Lease {
        Lease { ..*self }
    }

    /// How much it is.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.count
    }
}

/// What the rows come to.
pub(super) struct Rows {
    /// The sum of all counts.
    pub(super) taken: u64,
    /// The first that is free.
    pub(super) free: Option<u32>,
    /// What the holder that asks has already, if it is a thread.
    pub(super) own: Option<Lease>,
    /// Another thread that holds one: its end would make a difference, and moves no `deaths`.
    pub(super) watch: Option<AgentRef>,
    /// No row from here on is taken.
    used: u32,
}

pub(super) struct Table<'g, G: Ground> {
    pub(super) ground: &'g G,
    at: Offset,
    name: &'static str,
    pub(super) rows: u32,
    pub(super) lock: Lock<'g, G>,
    pub(super) changes: EventCount<'g, G>,
    /// Of a barrier: its generation.
    pub(super) used: &'g AtomicU32,
    pub(super) flag: &'g AtomicU32,
}

impl<'g, G: Ground> Table<'g, G> {
    /// Has all who wait look.
    pub(super) fn wake_all(&self) {
        self.lock.wake_all();
        self.changes.notify_all();
    }

    pub(super) const fn bytes(rows: u32) -> u64 {
        ROWS + 8 * rows as u64
    }

    pub(super) fn create(
        ground: &'g G,
        at: Offset,
        shape: Shape,
        rows: u32,
    ) -> Result<Table<'g, G>, Error> {
        shape.create(ground, at, rows, Self::bytes(rows))?;
        Table::at(ground, at, shape)
    }

    pub(super) fn at(ground: &'g G, at: Offset, shape: Shape) -> Result<Table<'g, G>, Error> {
        let rows = shape.count(ground, at)?;
        shape.check_place(ground, at, Self::bytes(rows))?;
        Ok(Table {
            ground,
            at,
            name: shape.name,
            rows,
            lock: Lock::at(ground, at + LOCK)?,
            changes: EventCount::at(ground, at + CHANGES)?,
            used: ground.u32(at + USED)?,
            flag: ground.u32(at + FLAG)?,
        })
    }

    fn row_at(&self, row: u32) -> Offset {
        self.at + ROWS + 8 * u64::from(row)
    }

    pub(super) fn row(&self, row: u32) -> Result<&'g AtomicU64, Error> {
        if row >= self.rows {
            return Err(self.damaged(row, row.into()));
        }
        self.ground.u64(self.row_at(row))
    }

    #[cold]
    pub(super) fn damaged(&self, row: u32, found: u64) -> Error {
        Error::damaged_at(self.name, self.row_at(row), found)
    }

    /// A look on the way to the front: done as soon as this one holds the lock.
    pub(super) fn advance(
        &self,
        me: AgentRef,
        waiting: &mut Waiting,
    ) -> Result<Attempt<()>, Error> {
        if waiting.is_in_front {
            return Ok(Attempt::Done(()));
        }
        match waiting.attempt(&self.lock, me)? {
            Attempt::Sleep(sleep) => Ok(Attempt::Sleep(sleep)),
            Attempt::Done(guard) => {
                self.arrive(guard, waiting);
                Ok(Attempt::Done(()))
            }
        }
    }

    /// As [`advance`](Self::advance) for one that does not wait. It bears with others that are about
    /// to go, and says no if somebody stays in front.
    pub(super) fn try_advance(&self, me: AgentRef, waiting: &mut Waiting) -> Result<bool, Error> {
        for _ in 0..if cfg!(loom) { 1 } else { 64 } {
            if let Some(guard) = self.lock.try_lock_as(me)? {
                self.arrive(guard, waiting);
                return Ok(true);
            }
            std::hint::spin_loop();
        }
        Ok(false)
    }

    fn arrive(&self, mut guard: Guard<'g, G>, waiting: &mut Waiting) {
        // There is nothing to repair: at each step of the dead one, no row from `used` on was taken.
        guard.repaired();
        guard.keep();
        waiting.is_in_front = true;
    }

    /// Leaves the front, which is then for the next.
    pub(super) fn leave(&self, me: AgentRef, waiting: &mut Waiting) -> Result<(), Error> {
        waiting.give_up(&self.lock, me)
    }

    /// What the rows come to. Exact for the one in front, but for those that are just taken out.
    pub(super) fn count(&self, me: Option<AgentRef>) -> Result<Rows, Error> {
        self.walk(me, |_, _| Ok(false))
    }

    /// For the one in front: takes out the rows of the dead, and says what is left.
    pub(super) fn sweep(&self, me: AgentRef) -> Result<Rows, Error> {
        let rows = self.walk(Some(me), |row, found| {
            let is_dead =
                AgentRef::from_word(found).is_some_and(|holder| self.ground.is_dead(holder));
            if is_dead {
                self.ground.point("table.sweep");
                // Nobody else takes it out: its holder is dead, and who sweeps is in front.
                let row = self.row(row)?;
                let _ = row.compare_exchange(found, 0, Ordering::Relaxed, Ordering::Relaxed);
            }
            Ok(is_dead)
        })?;
        self.ground.point("table.swept");
        self.used.store(rows.used, Ordering::Relaxed);
        Ok(rows)
    }

    fn walk(
        &self,
        me: Option<AgentRef>,
        mut is_out: impl FnMut(u32, u64) -> Result<bool, Error>,
    ) -> Result<Rows, Error> {
        // It only helps to be quick, so a wrong one is put right.
        let used = self.used.load(Ordering::Relaxed).min(self.rows);
        let mut rows = Rows { taken: 0, free: None, own: None, watch: None, used: 0 };
        for row in 0..used {
            // Acquire: (A9).
            let found = self.row(row)?.load(Ordering::Acquire);
            let count = found & COUNT;
            if found == 0 || is_out(row, found)? {
                rows.free = rows.free.or(Some(row));
                continue;
            }
            let Some(holder) = AgentRef::from_word(found).filter(|_| count != 0) else {
                return Err(self.damaged(row, found));
            };
            rows.taken += count;
            rows.used = row + 1;
            if holder.of_process {
                continue;
            }
            if me == Some(holder) {
                let count = u32::try_from(count).unwrap_or(MOST);
                rows.own = Some(Lease { row, count });
            } else {
                rows.watch = Some(holder);
            }
        }
        rows.free = rows.free.or((used < self.rows).then_some(used));
        Ok(rows)
    }

    /// For the one in front: takes `count` in a row that is free.
    pub(super) fn take(&self, me: AgentRef, row: u32, count: u32) -> Result<Lease, Error> {
        if row >= self.used.load(Ordering::Relaxed) {
            self.used.store(row + 1, Ordering::Relaxed);
            self.ground.point("table.used");
        }
        let word = me.to_word() | u64::from(count) & COUNT;
        // Relaxed: the next in front sees it by the lock.
        match self.row(row)?.compare_exchange(0, word, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => {
                self.ground.point("table.taken");
                Ok(Lease { row, count })
            }
            Err(found) => Err(self.damaged(row, found)),
        }
    }

    /// Takes a row and leaves the front.
    pub(super) fn take_and_leave(
        &self,
        me: AgentRef,
        row: u32,
        count: u32,
        waiting: &mut Waiting,
    ) -> Result<Lease, Error> {
        let lease = self.take(me, row, count)?;
        match self.leave(me, waiting) {
            Ok(()) => Ok(lease),
            Err(error) => {
                // The lock is damaged. Nobody is to hold what it was not told of.
                self.give_back(me, &lease)?;
                Err(error)
            }
        }
    }

    /// Has a holder's own row count `by` more, or less; the row of a thread is changed by nobody else.
    pub(super) fn recount(&self, me: AgentRef, row: u32, from: u32, to: u32) -> Result<(), Error> {
        let word = |count: u32| {
            if count == 0 { 0 } else { me.to_word() | u64::from(count) & COUNT }
        };
        self.ground.point("table.give_back");
        // Release: (A9).
        match self.row(row)?.compare_exchange(
            word(from),
            word(to),
            Ordering::Release,
            Ordering::Relaxed,
        ) {
            Ok(_) => Ok(()),
            Err(found) => Err(self.damaged(row, found)),
        }
    }

    /// Takes out a row and tells the one in front.
    pub(super) fn give_back(&self, me: AgentRef, lease: &Lease) -> Result<(), Error> {
        self.recount(me, lease.row, lease.count, 0)?;
        self.ground.point("table.given_back");
        self.changes.notify_all();
        Ok(())
    }
}
