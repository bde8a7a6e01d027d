//! What each thread has of the timers it uses: running sessions, and a ring to record into.
//!
//! A table per thread, by the number of the timer. Numbers are given out in turn, so the lowest bits of
//! a number are a perfect hash for the timers that a program makes at once. An entry holds its
//! timer weakly; the entries of dropped timers are swept out before the table would grow. So it has
//! less than eight places for each timer that lived at the last sweep and one more, at least eight, and
//! holds those of dropped timers until the next.

use std::cell::RefCell;
use std::sync::{Arc, Weak};

use crate::frame::Frame;
use crate::ring::Writer;
use crate::timer::Shared;

/// Sessions of one timer within one another. With one more, the outermost is forgotten: a program
/// that starts and never stops must not grow.
pub(crate) const DEEPEST: usize = 64;

/// The smallest table that is not empty.
const SMALLEST: usize = 8;

thread_local! {
    static TABLE: RefCell<Table> = const { RefCell::new(Table { entries: Vec::new(), used: 0 }) };
}

/// Calls `work` with the entry of this timer, which is made if there is none.
///
/// `None` where a thread has no table: while it ends, and within this function itself (an allocator
/// or a logger that is timed). `work` must not call code of the user's.
#[inline]
pub(crate) fn with<R>(shared: &Arc<Shared>, work: impl FnOnce(&mut Entry) -> R) -> Option<R> {
    TABLE
        .try_with(|table| {
            let mut table = table.try_borrow_mut().ok()?;
            let position = match table.find(shared.number) {
                Some(position) => position,
                None => table.add(shared)?,
            };
            table.entries.get_mut(position)?.as_mut().map(work)
        })
        .ok()
        .flatten()
}

/// One timer, as one thread sees it.
pub(crate) struct Entry {
    number: u64,
    timer: Weak<Shared>,
    pub(crate) writer: Writer,
    /// The innermost session, if any runs.
    pub(crate) current: Option<Frame>,
    /// Those around it, outermost first.
    pub(crate) around: Vec<Frame>,
}

/// What became of a start.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Started {
    Alone,
    WithinAnother,
    /// Within others, the outermost of which was forgotten.
    TooDeep,
}

impl Entry {
    #[inline]
    pub(crate) fn begin(&mut self, frame: Frame) -> Started {
        match self.current.replace(frame) {
            None => Started::Alone,
            Some(before) => self.begin_within(before),
        }
    }

    #[cold]
    fn begin_within(&mut self, before: Frame) -> Started {
        let is_too_deep = self.around.len() + 1 >= DEEPEST;
        if is_too_deep {
            self.around.remove(0);
        }
        self.around.push(before);
        if is_too_deep { Started::TooDeep } else { Started::WithinAnother }
    }

    /// Takes the innermost session out.
    #[inline]
    pub(crate) fn end(&mut self) -> Option<Frame> {
        let ended = self.current.take()?;
        if !self.around.is_empty() {
            self.current = self.around.pop();
        }
        Some(ended)
    }
}

/// Open addressing with steps of one; at most half of it is used, so that a search ends.
struct Table {
    /// Empty, or a power of two long.
    entries: Vec<Option<Entry>>,
    used: usize,
}

impl Table {
    #[inline]
    fn find(&self, number: u64) -> Option<usize> {
        let mut position = self.home(number);
        while let Some(Some(entry)) = self.entries.get(position) {
            if entry.number == number {
                return Some(position);
            }
            position = (position + 1) & (self.entries.len() - 1);
        }
        None
    }

    #[expect(clippy::cast_possible_truncation, reason = "the lowest bits are what is wanted")]
    fn home(&self, number: u64) -> usize {
        number as usize & self.entries.len().wrapping_sub(1)
    }

    #[cold]
    fn add(&mut self, shared: &Arc<Shared>) -> Option<usize> {
        if (self.used + 1) * 2 > self.entries.len() {
            self.sweep();
        }
        let entry = Entry {
            number: shared.number,
            timer: Arc::downgrade(shared),
            writer: shared.recorder.join()?,
            current: None,
            around: Vec::new(),
        };
        self.insert(entry)
    }

    /// Drops the entries of timers that are gone, and makes room for twice as many as live.
    fn sweep(&mut self) {
        let entries = std::mem::take(&mut self.entries);
        let living: Vec<Entry> =
            entries.into_iter().flatten().filter(|entry| entry.timer.strong_count() > 0).collect();
        let length = ((living.len() + 1) * 4).next_power_of_two().max(SMALLEST);
        self.entries.resize_with(length, || None);
        self.used = 0;
        for entry in living {
            self.insert(entry);
        }
    }

    fn insert(&mut self, entry: Entry) -> Option<usize> {
        let mut position = self.home(entry.number);
        while self.entries.get(position)?.is_some() {
            position = (position + 1) & (self.entries.len() - 1);
        }
        *self.entries.get_mut(position)? = Some(entry);
        self.used += 1;
        Some(position)
    }
}

impl Drop for Table {
    /// The thread ends: what it recorded stays with its timers, sessions that still run are not
    /// recorded.
    fn drop(&mut self) {
        for entry in self.entries.drain(..).flatten() {
            if let Some(shared) = entry.timer.upgrade() {
                shared.recorder.leave(&entry.writer);
            }
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::Timer;

    #[test]
    fn the_table_holds_no_more_than_the_timers_that_live() {
        let kept: Vec<Timer> = (0..10).map(|_| Timer::new()).collect();
        for _ in 0..1_000 {
            let timer = Timer::new();
            timer.start();
            assert!(timer.stop().is_ok());
            for timer in &kept {
                timer.start();
            }
        }
        let length = TABLE.with_borrow(|table| table.entries.len());
        assert!(length <= 64, "{length}");
        for timer in &kept {
            timer.start();
            assert!(timer.stop().is_ok());
        }
    }
}
