//! Memory files.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::fs::{FallocateFlags, MemfdFlags, Mode, OFlags, SealFlags};
use rustix::io::Errno;

/// A file that lives in memory, has no name, and is gone with its last user. It is not handed on
/// by `exec`, and nobody can execute it.
pub(crate) fn unnamed_memory(name: &str) -> io::Result<OwnedFd> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    match rustix::fs::memfd_create(name, flags | MemfdFlags::NOEXEC_SEAL) {
        // The flag came with Linux 6.3.
        Err(Errno::INVAL) => Ok(rustix::fs::memfd_create(name, flags)?),
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

/// A descriptor of our own for the file in memory of this name that another process has open, if it lets us look.
pub(crate) fn open_of_process(process: u32, name: &str) -> Option<OwnedFd> {
    let wanted = format!("/memfd:{name} (deleted)");
    std::fs::read_dir(format!("/proc/{process}/fd")).ok()?.flatten().find_map(|entry| {
        let target = std::fs::read_link(entry.path()).ok()?;
        if target.to_str() != Some(&wanted) {
            return None;
        }
        rustix::fs::open(entry.path(), OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).ok()
    })
}
