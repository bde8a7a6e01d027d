//! The side of those who pop, with their lock.

use std::time::Instant;

use super::super::element::{BLOCK, BYTES, IN_BLOCK, append_block, append_inline};
use super::super::lock::Guard;
use super::super::words::Ground;
use super::Queue;
use crate::error::Error;
use crate::sync::modelled::Ordering;

impl<'g, G: Ground> Queue<'g, G> {
    /// Appends the element that would be popped next to `out`, and leaves it there; false, if there is none.
    ///
    /// # Errors
    ///
    /// Timeout, re-entry, damaged.
    pub fn peek(&self, out: &mut Vec<u8>, deadline: Option<Instant>) -> Result<bool, Error> {
        let mut guard = self.popping.lock_until(deadline)?;
        self.settle_pop(&mut guard, deadline)?;
        Ok(self.copy_first(out)?.is_some())
    }

    pub(super) fn copy_all(&self, deadline: Option<Instant>) -> Result<Vec<Vec<u8>>, Error> {
        let mut guard = self.popping.lock_until(deadline)?;
        self.settle_pop(&mut guard, deadline)?;
        let head = self.head.load(Ordering::Relaxed);
        // Acquire: (A12).
        let tail = self.tail.load(Ordering::Acquire);
        self.check_span(head, tail)?;
        let copy = |index| {
            let mut bytes = Vec::new();
            self.copy(index, &mut bytes).map(|()| bytes)
        };
        (head..tail).map(copy).collect()
    }

    /// Gives back what somebody popped who did not come to it.
    #[inline]
    pub(super) fn settle_pop(
        &self,
        guard: &mut Guard<'g, G>,
        deadline: Option<Instant>,
    ) -> Result<(), Error> {
        if self.freed.load(Ordering::Relaxed) != self.head.load(Ordering::Relaxed) {
            match self.free_popped(deadline) {
                // If somebody is at the books for so long, there is something to pop all the same.
                Err(error) if error.is_timeout() => {}
                result => result?,
            }
            // It may be room for more than one.
            self.room.notify_all();
        }
        guard.repaired();
        Ok(())
    }

    /// Gives back the blocks of all that was popped.
    pub(super) fn free_popped(&self, deadline: Option<Instant>) -> Result<(), Error> {
        let head = self.head.load(Ordering::Relaxed);
        let freed = self.freed.load(Ordering::Relaxed);
        self.check_span(freed, head)?;
        for index in freed..head {
            let (at, block) = self.block(index)?;
            if block.load(Ordering::Relaxed) != 0 {
                self.arena.release(at, deadline)?;
                self.ground.point("queue.pop.released");
            }
            // Release: (A13).
            self.freed.store(index + 1, Ordering::Release);
            self.ground.point("queue.pop.freed");
        }
        Ok(())
    }

    /// Pops, if there is something.
    #[inline]
    pub(super) fn try_take(
        &self,
        out: &mut Vec<u8>,
        deadline: Option<Instant>,
    ) -> Result<bool, Error> {
        let Some(head) = self.copy_first(out)? else { return Ok(false) };
        self.ground.point("queue.pop.copied");
        // This store is the commit. Release, so that whoever sees it finds the entry read.
        self.head.store(head + 1, Ordering::Release);
        self.ground.point("queue.pop.committed");
        // What goes wrong with that goes wrong for the next one too, and is told then: the element is
        // the caller's.
        let _ = self.free_popped(deadline);
        Ok(true)
    }

    /// Appends the first element to `out` and gives its number; `None`, if there is none.
    #[inline]
    fn copy_first(&self, out: &mut Vec<u8>) -> Result<Option<u64>, Error> {
        let head = self.head.load(Ordering::Relaxed);
        // Never beyond what `tail` is now; who stored it had this lock (A2), and had seen (A12).
        let seen = self.tail_seen.load(Ordering::Relaxed);
        if seen <= head || seen - head > self.slots() {
            // Acquire: (A12).
            let tail = self.tail.load(Ordering::Acquire);
            self.check_span(head, tail)?;
            self.tail_seen.store(tail, Ordering::Relaxed);
            if tail == head {
                return Ok(None);
            }
        }
        let from = out.len();
        let result = self.copy(head, out);
        if result.is_err() {
            out.truncate(from);
        }
        result.map(|()| Some(head))
    }

    fn copy(&self, index: u64, out: &mut Vec<u8>) -> Result<(), Error> {
        let Queue { ground, shape, arena, .. } = *self;
        let entry = self.entry(index)?;
        let header = ground.u64(entry)?.load(Ordering::Relaxed);
        if header != IN_BLOCK {
            return append_inline(ground, shape, index, header, entry + BYTES, out);
        }
        let block = ground.u64(entry + BLOCK)?.load(Ordering::Relaxed);
        append_block(ground, arena, index, block, out, || false)
    }
}
