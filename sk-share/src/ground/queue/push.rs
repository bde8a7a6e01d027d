//! The side of those who push, with their lock.

use std::time::Instant;

use super::super::element::{BLOCK, BYTES, IN_BLOCK, block_bytes, fill_block, header_of};
use super::super::lock::Guard;
use super::super::words::{Ground, Offset};
use super::Queue;
use crate::error::Error;
use crate::sync::modelled::{AtomicU64, Ordering};

/// Whether those who pop see at once what is pushed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Seen {
    Now,
    OncePublished,
}

impl<'g, G: Ground> Queue<'g, G> {
    /// Has everybody see all that is pending, by one store, and says whether there was any. Done again, it changes nothing; nor does it where the
    /// gate is closed, as it may be again for one who saw it open and came late.
    ///
    /// # Errors
    ///
    /// Timeout, re-entry, damaged.
    pub fn publish(&self, deadline: Option<Instant>) -> Result<bool, Error> {
        let mut guard = self.pushing.lock_until(deadline)?;
        self.settle_push(&mut guard)?;
        // As for a list: nobody is told of nothing.
        if self.is_closed()? || self.end() == self.tail.load(Ordering::Relaxed) {
            return Ok(false);
        }
        self.ground.point("queue.publish.begin");
        // Release: (A12). This store is the commit.
        self.tail.store(self.end(), Ordering::Release);
        self.ground.point("queue.publish.committed");
        drop(guard);
        self.items.notify_all();
        Ok(true)
    }

    /// Behind all elements, published or not.
    #[inline]
    pub(super) fn end(&self) -> u64 {
        // `appended` stays where it was when that is published or pushed over.
        self.tail.load(Ordering::Relaxed).max(self.appended.load(Ordering::Relaxed))
    }

    /// Gives back what somebody reserved who did not come to push it.
    #[inline]
    pub(super) fn settle_push(&self, guard: &mut Guard<'g, G>) -> Result<(), Error> {
        let end = self.end();
        let filled = self.filled.load(Ordering::Relaxed);
        if filled > end {
            self.trim(end, filled)?;
        }
        // All else that a dead one may have left is behind the end.
        guard.repaired();
        Ok(())
    }

    #[cold]
    fn trim(&self, end: u64, filled: u64) -> Result<(), Error> {
        self.check_span(end, filled)?;
        for index in (end..filled).rev() {
            let (at, block) = self.block(index)?;
            if block.load(Ordering::Relaxed) != 0 {
                // If somebody is at the books, whoever fills this entry takes its block over.
                match self.arena.release(at, Some(Instant::now())) {
                    Err(error) if error.is_timeout() => return Ok(()),
                    result => result?,
                }
                self.ground.point("queue.trim.released");
            }
            self.filled.store(index, Ordering::Relaxed);
        }
        Ok(())
    }

    /// The word that holds the block of an entry.
    pub(super) fn block(&self, index: u64) -> Result<(Offset, &'g AtomicU64), Error> {
        let at = self.entry(index)? + BLOCK;
        Ok((at, self.ground.u64(at)?))
    }

    /// Pushes, if there is room.
    #[inline]
    pub(super) fn try_put(
        &self,
        bytes: &[u8],
        seen: Seen,
        deadline: Option<Instant>,
    ) -> Result<bool, Error> {
        let end = self.end();
        if !self.has_room(end, deadline)? {
            return Ok(false);
        }
        self.put(end, bytes, deadline)?;
        self.ground.point("queue.push.written");
        if seen == Seen::OncePublished {
            self.appended.store(end + 1, Ordering::Relaxed);
            self.ground.point("queue.push.appended");
        } else {
            // Release: (A12). This store is the commit.
            self.tail.store(end + 1, Ordering::Release);
            self.ground.point("queue.push.committed");
        }
        Ok(true)
    }

    /// Whether the entry of number `end` may be written.
    #[inline]
    fn has_room(&self, end: u64, deadline: Option<Instant>) -> Result<bool, Error> {
        // Never beyond what `freed` is now; who stored it had this lock (A2), and had seen (A13).
        let seen = self.freed_seen.load(Ordering::Relaxed);
        if end.wrapping_sub(seen) < self.capacity {
            return Ok(true);
        }
        if self.look_at_freed(end)? {
            return Ok(true);
        }
        // Popped, but not given back: whoever popped is about to, or has died, or was not let to.
        if self.head.load(Ordering::Relaxed) != self.freed.load(Ordering::Relaxed)
            && let Some(mut popping) = self.popping.try_lock()?
        {
            self.free_popped(deadline)?;
            popping.repaired();
            drop(popping);
            // Others found the same, and that somebody was at it.
            self.room.notify_all();
            return self.look_at_freed(end);
        }
        Ok(false)
    }

    fn look_at_freed(&self, end: u64) -> Result<bool, Error> {
        // Acquire: (A13).
        let freed = self.freed.load(Ordering::Acquire);
        self.check_span(freed, end)?;
        self.freed_seen.store(freed, Ordering::Relaxed);
        Ok(end - freed < self.capacity)
    }

    /// Whether all entries are taken, for one who has no lock.
    pub(super) fn is_full(&self) -> bool {
        // Acquire: (A13). It is loaded first: the end is never before it.
        let freed = self.freed.load(Ordering::Acquire);
        self.end().wrapping_sub(freed) >= self.capacity
    }

    /// Writes the entry behind the end.
    #[inline]
    fn put(&self, index: u64, bytes: &[u8], deadline: Option<Instant>) -> Result<(), Error> {
        let Queue { ground, shape, arena, .. } = *self;
        let entry = self.entry(index)?;
        let fits = shape.fits(bytes);
        if index >= self.filled.load(Ordering::Relaxed) {
            // What the word holds is of another use of this memory.
            ground.u64(entry + BLOCK)?.store(0, Ordering::Relaxed);
            if !fits {
                self.filled.store(index + 1, Ordering::Relaxed);
            }
        }
        if fits {
            ground.u64(entry)?.store(header_of(index, bytes), Ordering::Relaxed);
            return ground.copy_in(entry + BYTES, bytes);
        }
        ground.point("queue.push.filled");
        let reservation = arena.exchange(entry + BLOCK, block_bytes(bytes), deadline)?;
        fill_block(ground, reservation.block(), index, bytes)?;
        reservation.link()?;
        ground.u64(entry)?.store(IN_BLOCK, Ordering::Relaxed);
        Ok(())
    }
}
