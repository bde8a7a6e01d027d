//! What is measured against: a mapping of our own, with the least in it that could do the same.
//!
//! This file is an island of unsafe code. Its invariants:
//!
//! 1. The mapping is `BYTES` long, which the file is from the beginning and stays, and is mapped as long as a [`Raw`]
//!    lives; its pointer is aligned to a page.
//! 2. Places of words are multiples of 128 below `CELLS`, and only atomics of one size touch each.
//! 3. A cell is written by one process between two stores of its sequence, and read by the other one between them.
//! 4. A slot of a ring is written before `head` is stored with release, read after it was loaded with acquire, and
//!    written again after `tail` was.
#![expect(unsafe_code, reason = "bytes in memory that two processes map")]

use std::fs::{File, OpenOptions};
use std::hint::spin_loop;
use std::os::fd::AsRawFd as _;
use std::ptr;
use std::sync::atomic::Ordering::{Acquire, Release, SeqCst};
use std::sync::atomic::{AtomicU32, AtomicU64};

use memmap2::{MmapOptions, MmapRaw};
use rustix::fs::MemfdFlags;
use rustix::thread::futex;

const CELLS: usize = 4096;
const CELL_BYTES: usize = 256;
const RING: usize = 8192;
const BYTES: usize = RING + (4 << 20);

/// Spins before the futex, as the ping-pong that pipes are held against has it.
const SPINS: u32 = 2000;

/// Memory that both processes map.
pub(crate) struct Raw {
    file: File,
    map: MmapRaw,
}

/// Whether who waits spins first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Awake {
    Yes,
    No,
}

impl Raw {
    pub(crate) fn create() -> Raw {
        let file = File::from(rustix::fs::memfd_create("bench", MemfdFlags::CLOEXEC).unwrap());
        file.set_len(BYTES as u64).unwrap();
        Raw::map(file)
    }

    pub(crate) fn open(path: &str) -> Raw {
        Raw::map(OpenOptions::new().read(true).write(true).open(path).unwrap())
    }

    fn map(file: File) -> Raw {
        let map = MmapOptions::new().len(BYTES).map_raw(&file).unwrap();
        Raw { file, map }
    }

    /// Where a child finds it as long as this process lives.
    pub(crate) fn path(&self) -> String {
        format!("/proc/{}/fd/{}", std::process::id(), self.file.as_raw_fd())
    }

    fn word32(&self, place: usize) -> &AtomicU32 {
        let word = self.map.as_mut_ptr().wrapping_add(place * 128);
        // SAFETY: 1 and 2.
        unsafe { AtomicU32::from_ptr(word.cast()) }
    }

    fn word64(&self, place: usize) -> &AtomicU64 {
        let word = self.map.as_mut_ptr().wrapping_add(place * 128);
        // SAFETY: 1 and 2.
        unsafe { AtomicU64::from_ptr(word.cast()) }
    }

    fn cell(&self, direction: usize) -> *mut [u8; 64] {
        self.map.as_mut_ptr().wrapping_add(CELLS + direction * CELL_BYTES).cast()
    }

    /// One message in a direction, 0 or 1: the bytes, and a sequence that is a futex too.
    pub(crate) fn send(&self, direction: usize, message: &[u8; 64]) {
        // SAFETY: 1 and 3.
        unsafe { ptr::write_volatile(self.cell(direction), *message) };
        let sequence = self.word32(direction * 2);
        sequence.fetch_add(1, SeqCst);
        if self.word32(direction * 2 + 1).load(SeqCst) != 0 {
            let _ = futex::wake(sequence, futex::Flags::empty(), 1);
        }
    }

    /// The next message after the sequence that was seen last.
    pub(crate) fn receive(&self, direction: usize, seen: &mut u32, awake: Awake) -> [u8; 64] {
        let (sequence, waits) = (self.word32(direction * 2), self.word32(direction * 2 + 1));
        let mut spins = 0;
        while sequence.load(SeqCst) == *seen {
            if awake == Awake::Yes && spins < SPINS {
                spins += 1;
                spin_loop();
                continue;
            }
            waits.store(1, SeqCst);
            if sequence.load(SeqCst) == *seen {
                let _ = futex::wait(sequence, futex::Flags::empty(), *seen, None);
            }
            waits.store(0, SeqCst);
        }
        *seen = sequence.load(SeqCst);
        // SAFETY: 1 and 3.
        unsafe { ptr::read_volatile(self.cell(direction)) }
    }

    /// The sequence of a direction, for who comes later.
    pub(crate) fn sequence(&self, direction: usize) -> u32 {
        self.word32(direction * 2).load(SeqCst)
    }
}

/// A ring of slots, each published by itself, at which both sides spin.
pub(crate) struct RawRing<'r> {
    raw: &'r Raw,
    slot_bytes: usize,
    slots: u64,
    position: u64,
    seen: u64,
}

impl<'r> RawRing<'r> {
    /// For who pushes: an empty one of slots of this size.
    pub(crate) fn to_push(raw: &'r Raw, slot_bytes: usize) -> RawRing<'r> {
        RawRing::of(raw, slot_bytes, 8)
    }

    /// For who pops, who may come when something was pushed.
    pub(crate) fn to_pop(raw: &'r Raw, slot_bytes: usize) -> RawRing<'r> {
        RawRing::of(raw, slot_bytes, 9)
    }

    fn of(raw: &'r Raw, slot_bytes: usize, own: usize) -> RawRing<'r> {
        let slots = if slot_bytes < 4096 { 1024 } else { 4 };
        assert!(usize::try_from(slots).unwrap() * slot_bytes <= BYTES - RING);
        let position = raw.word64(own).load(SeqCst);
        RawRing { raw, slot_bytes, slots, position, seen: position }
    }

    fn slot(&self) -> *mut u8 {
        let at = usize::try_from(self.position % self.slots).unwrap() * self.slot_bytes;
        self.raw.map.as_mut_ptr().wrapping_add(RING + at)
    }

    pub(crate) fn push(&mut self, message: &[u8]) {
        assert_eq!(message.len(), self.slot_bytes);
        // What was pushed before lies between; of a fresh one nothing does.
        while self.position - self.seen >= self.slots {
            self.seen = self.raw.word64(9).load(Acquire);
            spin_loop();
        }
        // SAFETY: 1 and 4; the slot lies within the ring.
        unsafe { ptr::copy_nonoverlapping(message.as_ptr(), self.slot(), message.len()) };
        self.position += 1;
        self.raw.word64(8).store(self.position, Release);
    }

    pub(crate) fn pop(&mut self, message: &mut [u8]) {
        assert_eq!(message.len(), self.slot_bytes);
        while self.position == self.seen {
            self.seen = self.raw.word64(8).load(Acquire);
            spin_loop();
        }
        // SAFETY: 1 and 4; the slot lies within the ring.
        unsafe { ptr::copy_nonoverlapping(self.slot(), message.as_mut_ptr(), message.len()) };
        self.position += 1;
        self.raw.word64(9).store(self.position, Release);
    }
}
