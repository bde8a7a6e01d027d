//! Mapped memory, seen as atomic words.
//!
//! This file is an island of unsafe code. Its invariants:
//!
//! 1. The `bytes` bytes from the pointer of a [`Mapping`] are mapped, readable and writable, until it
//!    is dropped; the pointer is aligned to a page.
//! 2. In this process the memory is reached only through the slices of atomics that this file gives
//!    out; other processes write into it at any time, which atomics allow. A word is used with one
//!    size: that is the layout of whoever uses it, and written in PROTOCOL.md.
//! 3. Every pattern of bits is an `AtomicU32` and an `AtomicU64`.
//! 4. A [`Memory`] drops no mapping before it is dropped itself.
//!
//! Touching a page beyond the end of the file is a signal and not undefined behaviour; whoever asks
//! for words compares with the length first.
#![expect(unsafe_code, reason = "memory that other processes write is seen as atomic words")]

use std::io;
use std::ops::Deref;
use std::os::fd::{AsRawFd as _, BorrowedFd};
use std::ptr::NonNull;

use memmap2::{Advice, MmapOptions, MmapRaw};

use super::Memory;
use crate::sync::{Arc, AtomicU32, AtomicU64};

/// A file mapped for reading and writing, shared with all who map it.
pub(crate) struct Mapping {
    raw: MmapRaw,
    bytes: usize,
}

impl Mapping {
    /// Maps `bytes` bytes of the file from `from` on, which is a multiple of a page. The file may
    /// be shorter: then the addresses are reserved. They are left out of core dumps.
    pub(crate) fn shared(file: BorrowedFd<'_>, from: u64, bytes: usize) -> io::Result<Mapping> {
        let raw = MmapOptions::new().offset(from).len(bytes).map_raw(file.as_raw_fd())?;
        raw.advise(Advice::DontDump)?;
        Ok(Mapping { raw, bytes })
    }

    /// `count` words from `offset` on; `None` where they do not lie within the mapping or are not
    /// aligned.
    #[inline]
    pub(crate) fn words32(&self, offset: usize, count: usize) -> Option<&[AtomicU32]> {
        let start = self.start_of(offset, count, size_of::<u32>())?;
        // SAFETY: 1 and 3; `start_of` checked that the words lie within, aligned; 2 is why they
        // are atomics. The borrow of `self` keeps it from being dropped.
        Some(unsafe { std::slice::from_raw_parts(start.cast::<AtomicU32>(), count) })
    }

    /// `count` words from `offset` on; `None` where they do not lie within the mapping or are not
    /// aligned.
    #[inline]
    pub(crate) fn words64(&self, offset: usize, count: usize) -> Option<&[AtomicU64]> {
        let start = self.start_of(offset, count, size_of::<u64>())?;
        // SAFETY: 1 and 3; `start_of` checked that the words lie within, aligned; 2 is why they
        // are atomics. The borrow of `self` keeps it from being dropped.
        Some(unsafe { std::slice::from_raw_parts(start.cast::<AtomicU64>(), count) })
    }

    #[inline]
    fn start_of(&self, offset: usize, count: usize, size: usize) -> Option<*const u8> {
        let end = count.checked_mul(size)?.checked_add(offset)?;
        if end > self.bytes || !offset.is_multiple_of(size) {
            return None;
        }
        Some(self.raw.as_ptr().wrapping_add(offset))
    }
}

/// One word of a memory, found once, with the memory that it keeps in place.
pub(crate) struct Held<W> {
    word: NonNull<W>,
    _memory: Arc<Memory>,
}

// SAFETY: it is an `Arc` and a reference to an atomic within what that keeps alive (1).
unsafe impl Send for Held<AtomicU32> {}
// SAFETY: as for `Send`.
unsafe impl Sync for Held<AtomicU32> {}
// SAFETY: as for `Held<AtomicU32>`.
unsafe impl Send for Held<AtomicU64> {}
// SAFETY: as for `Held<AtomicU32>`.
unsafe impl Sync for Held<AtomicU64> {}

impl Held<AtomicU32> {
    /// The word at this offset; `None` as for [`Memory::words32`].
    pub(crate) fn word32(memory: &Arc<Memory>, offset: usize) -> Option<Held<AtomicU32>> {
        let word = NonNull::from(memory.words32(offset, 1)?.first()?);
        Some(Held { word, _memory: Arc::clone(memory) })
    }
}

impl Held<AtomicU64> {
    /// The word at this offset; `None` as for [`Memory::words64`].
    pub(crate) fn word64(memory: &Arc<Memory>, offset: usize) -> Option<Held<AtomicU64>> {
        let word = NonNull::from(memory.words64(offset, 1)?.first()?);
        Some(Held { word, _memory: Arc::clone(memory) })
    }
}

impl<W> Clone for Held<W> {
    fn clone(&self) -> Self {
        Held { word: self.word, _memory: Arc::clone(&self._memory) }
    }
}

impl<W> Deref for Held<W> {
    type Target = W;

    #[inline]
    fn deref(&self) -> &W {
        // SAFETY: 1 and 4; it was a reference into a mapping of the memory, which is kept. Both constructors hold atomics.
        unsafe { self.word.as_ref() }
    }
}

/// Words of a memory that lie together, found once, with the memory that they keep in place: for who looks at
/// them so often that to find them each time would be felt.
#[derive(Clone)]
pub struct HeldWords<W> {
    words: NonNull<[W]>,
    memory: Arc<Memory>,
}

// SAFETY: as for `Held<AtomicU32>`.
unsafe impl Send for HeldWords<AtomicU32> {}
// SAFETY: as for `Held<AtomicU32>`.
unsafe impl Sync for HeldWords<AtomicU32> {}
// SAFETY: as for `Held<AtomicU32>`.
unsafe impl Send for HeldWords<AtomicU64> {}
// SAFETY: as for `Held<AtomicU32>`.
unsafe impl Sync for HeldWords<AtomicU64> {}

impl HeldWords<AtomicU32> {
    /// `None` as for [`Memory::words32`].
    pub(crate) fn words32(memory: &Arc<Memory>, offset: usize, count: usize) -> Option<Self> {
        let words = NonNull::from(memory.words32(offset, count)?);
        Some(HeldWords { words, memory: Arc::clone(memory) })
    }
}

impl HeldWords<AtomicU64> {
    /// `None` as for [`Memory::words64`].
    pub(crate) fn words64(memory: &Arc<Memory>, offset: usize, count: usize) -> Option<Self> {
        let words = NonNull::from(memory.words64(offset, count)?);
        Some(HeldWords { words, memory: Arc::clone(memory) })
    }
}

impl<W> Deref for HeldWords<W> {
    type Target = [W];

    #[inline(always)]
    fn deref(&self) -> &[W] {
        // SAFETY: 1 and 4; it was a reference into a mapping of the memory, which is kept. Both constructors hold atomics.
        unsafe { self.words.as_ref() }
    }
}

impl<W> std::fmt::Debug for HeldWords<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let users = Arc::strong_count(&self.memory);
        write!(f, "HeldWords({} of a memory with {users} users)", self.words.len())
    }
}

pub(crate) fn page_bytes() -> usize {
    rustix::param::page_size()
}
