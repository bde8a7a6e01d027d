//! Memory that nobody can change any more, seen as plain bytes.
//!
//! This file is an island of unsafe code. Its invariant:
//!
//! 1. A file that is sealed against writing, growing and shrinking, with the seals themselves sealed, never changes
//!    again: the kernel refuses to seal it while anybody has it mapped for writing.
#![expect(unsafe_code, reason = "sealed memory is seen as plain bytes")]

use std::io;
use std::ops::Deref;
use std::os::fd::{AsRawFd as _, BorrowedFd};

use memmap2::{Mmap, MmapOptions};
use rustix::fs::SealFlags;

const ALL: SealFlags =
    SealFlags::WRITE.union(SealFlags::GROW).union(SealFlags::SHRINK).union(SealFlags::SEAL);

/// Has the file never change again.
pub(crate) fn seal_all(file: BorrowedFd<'_>) -> io::Result<()> {
    Ok(rustix::fs::fcntl_add_seals(file, ALL)?)
}

/// The bytes of a sealed file.
pub(crate) struct SealedBytes {
    map: Mmap,
}

impl SealedBytes {
    pub(crate) fn map(file: BorrowedFd<'_>) -> io::Result<SealedBytes> {
        if !rustix::fs::fcntl_get_seals(file)?.contains(ALL) {
            let text = "it is not sealed against changes";
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, text));
        }
        // SAFETY: 1, and the look above.
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
