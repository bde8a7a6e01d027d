//! What a thread has timed and the recorder has not gathered yet: a ring with one writer, its thread,
//! and one reader at a time, whoever holds the recorder's lock.
//!
//! This is what makes a stop cheap: the thread stores three words that no other thread writes, and
//! takes the lock once in [`CAPACITY`] samples. The rules:
//!
//! - `written` counts the samples that the thread has put in; only it stores to it, after the slot.
//! - `gathered` counts those that were taken out; only the holder of the lock stores to it, after it
//!   has read the slots. A slot belongs to the reader from the one store to the other.

use std::array;
use std::sync::Arc;

use crate::sync::{AtomicU64, Ordering};

/// Samples that a thread may be ahead of the recorder. Few in a model, so that the ring fills.
pub(crate) const CAPACITY: usize = if cfg!(loom) { 2 } else { 256 };

/// One time that was measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sample {
    /// By the timer's clock; what orders the samples of different threads.
    pub(crate) ended: u64,
    pub(crate) nanos: u64,
}

/// Aligned to two lines of the cache, as processors fetch them: no thread writes to those of another.
#[derive(Debug)]
#[repr(align(128))]
pub(crate) struct Ring {
    written: AtomicU64,
    gathered: AtomicU64,
    slots: [Slot; CAPACITY],
}

#[derive(Debug)]
struct Slot {
    ended: AtomicU64,
    nanos: AtomicU64,
}

/// The writing end. It is not `Clone`: there is one.
#[derive(Debug)]
pub(crate) struct Writer {
    ring: Arc<Ring>,
    /// What it stored last to `written` of the ring.
    written: u64,
    /// The value of `written` at which it has to look whether slots have become free.
    full_at: u64,
}

impl Writer {
    pub(crate) fn new() -> Writer {
        let slot = |_| Slot { ended: AtomicU64::new(0), nanos: AtomicU64::new(0) };
        let ring = Ring {
            written: AtomicU64::new(0),
            gathered: AtomicU64::new(0),
            slots: array::from_fn(slot),
        };
        Writer { ring: Arc::new(ring), written: 0, full_at: CAPACITY as u64 }
    }

    pub(crate) fn ring(&self) -> &Arc<Ring> {
        &self.ring
    }

    /// Puts it into the ring. `false` if that is full.
    #[inline]
    pub(crate) fn push(&mut self, sample: Sample) -> bool {
        if self.written == self.full_at {
            // Acquire, with the release in `gather`: its reads of the slot come before our stores.
            let gathered = self.ring.gathered.load(Ordering::Acquire);
            self.full_at = gathered + CAPACITY as u64;
            if self.written == self.full_at {
                return false;
            }
        }
        self.ring.slot(self.written).fill(sample);
        self.written += 1;
        // Release, with the acquire in `gather`: who sees the count sees the slot.
        self.ring.written.store(self.written, Ordering::Release);
        true
    }
}

impl Ring {
    /// Takes out what is there. Only for the holder of the recorder's lock.
    pub(crate) fn gather(&self, mut take: impl FnMut(Sample)) {
        let written = self.written.load(Ordering::Acquire);
        // Stored under the lock that the caller holds.
        let gathered = self.gathered.load(Ordering::Relaxed);
        if gathered == written {
            return;
        }
        for position in gathered..written {
            take(self.slot(position).read());
        }
        self.gathered.store(written, Ordering::Release);
    }

    #[inline]
    #[expect(clippy::indexing_slicing, reason = "an index below the length, which is known here")]
    #[expect(
        clippy::cast_possible_truncation,
        reason = "what is cut off are multiples of the length"
    )]
    fn slot(&self, position: u64) -> &Slot {
        &self.slots[position as usize % CAPACITY]
    }
}

impl Slot {
    #[inline]
    fn fill(&self, sample: Sample) {
        self.ended.store(sample.ended, Ordering::Relaxed);
        self.nanos.store(sample.nanos, Ordering::Relaxed);
    }

    fn read(&self) -> Sample {
        Sample {
            ended: self.ended.load(Ordering::Relaxed),
            nanos: self.nanos.load(Ordering::Relaxed),
        }
    }
}
