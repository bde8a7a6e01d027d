//! Memory files.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::fs::{FallocateFlags, MemfdFlags, SealFlags};
use rustix::io::Errno;

/// For whoever looks at the maps of a process.
const NAME: &str = "sk-share";

/// A file that lives in memory, has no name, and is gone with its last user. It is not handed on
/// by `exec`, and nobody can execute it.
pub(crate) fn unnamed_memory() -> io::Result<OwnedFd> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    match rustix::fs::memfd_create(NAME, flags | MemfdFlags::NOEXEC_SEAL) {
        // The flag came with Linux 6.3.
        Err(Errno::INVAL) => Ok(rustix::fs::memfd_create(NAME, flags)?),
        result => Ok(result?),
    }
}

/// From here on the file can grow and never shrink, and no other seal can be set.
pub(crate) fn seal_shrinking(file: BorrowedFd<'_>) -> io::Result<()> {
    Ok(rustix::fs::fcntl_add_seals(file, SealFlags::SHRINK | SealFlags::SEAL)?)
}

pub(crate) fn is_sealed_against_shrinking(file: BorrowedFd<'_>) -> bool {
    rustix::fs::fcntl_get_seals(file).is_ok_and(|seals| seals.contains(SealFlags::SHRINK))
}

/// Has memory for the bytes from `from` to `to`, so that touching them cannot fail. What lies there
/// already stays. Killed in the middle, it has done nothing.
pub(crate) fn allocate(file: BorrowedFd<'_>, from: u64, to: u64) -> io::Result<()> {
    loop {
        match rustix::fs::fallocate(file, FallocateFlags::empty(), from, to.saturating_sub(from)) {
            Err(Errno::INTR) => {}
            result => return Ok(result?),
        }
    }
}
