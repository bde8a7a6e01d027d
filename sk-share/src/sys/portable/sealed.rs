//! Memory that nobody changes any more, seen as plain bytes.
//!
//! This file is an island of unsafe code. Its invariant:
//!
//! 1. There is no seal here. Whoever fills such a file does not write into it once others have it, and nobody else
//!    has a way to: this crate maps it for reading, and has no writing for a file that it did not make.
#![expect(unsafe_code, reason = "memory that nobody changes is seen as plain bytes")]

use std::io;
use std::ops::Deref;
use std::os::fd::{AsRawFd as _, BorrowedFd};

use memmap2::{Mmap, MmapOptions};

/// Has the file never change again; see the invariant.
pub(crate) fn seal_all(_: BorrowedFd<'_>) -> io::Result<()> {
    Ok(())
}

/// The bytes of a file that nobody changes.
pub(crate) struct SealedBytes {
    map: Mmap,
}

impl SealedBytes {
    pub(crate) fn map(file: BorrowedFd<'_>) -> io::Result<SealedBytes> {
        // SAFETY: 1.
        let map = unsafe { MmapOptions::new().map(file.as_raw_fd()) }?;
        Ok(SealedBytes { map })
    }
}

impl Deref for SealedBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.map
    }
}
