//! A memory file mapped whole: nothing moves and nothing is mapped anew when it grows.

use std::io;
use std::os::fd::{AsFd as _, OwnedFd};

use crate::sync::{Arc, AtomicU32, AtomicU64};
use crate::sys::Mapping;

/// The memory of one file, all that it may ever grow to.
pub(crate) struct Memory {
    mapping: Mapping,
}

impl Memory {
    /// The memory of a file that may grow to so many bytes.
    pub(crate) fn of(file: &Arc<OwnedFd>, bytes: u64) -> io::Result<Memory> {
        let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
        Ok(Memory { mapping: Mapping::shared(file.as_fd(), 0, bytes)? })
    }

    /// Has the first `length` bytes mapped, which are there.
    pub(crate) fn reach(&self, _length: u64) -> io::Result<()> {
        Ok(())
    }

    /// Where the file ends that has `length` bytes.
    #[inline]
    pub(crate) fn end_of_file(&self, length: u64) -> u64 {
        length
    }

    /// How many bytes lie together from `offset` on.
    #[inline]
    pub(crate) fn together_from(&self, offset: u64) -> u64 {
        u64::MAX - offset
    }

    /// See [`Mapping::words32`].
    #[inline]
    pub(crate) fn words32(&self, offset: usize, count: usize) -> Option<&[AtomicU32]> {
        self.mapping.words32(offset, count)
    }

    /// See [`Mapping::words64`].
    #[inline]
    pub(crate) fn words64(&self, offset: usize, count: usize) -> Option<&[AtomicU64]> {
        self.mapping.words64(offset, count)
    }
}
