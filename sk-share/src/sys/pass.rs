//! Descriptors that a child process inherits.
//!
//! This file is an island of unsafe code. Its invariant:
//!
//! 1. [`adopt`] is called once for each number that the parent wrote down for this process, by whoever takes them over
//!    from `exec`. A descriptor of that number which is of the file that the parent meant has no other owner here: it
//!    was open before the first instruction of this program.
#![expect(unsafe_code, reason = "a descriptor that was inherited is given an owner")]

use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, FromRawFd as _, OwnedFd, RawFd};

use rustix::io::FdFlags;

/// A duplicate that is not closed by `exec`, and the inode of its file.
pub(crate) fn inheritable(file: BorrowedFd<'_>) -> io::Result<(OwnedFd, u64)> {
    let inode = rustix::fs::fstat(file)?.st_ino;
    Ok((rustix::io::dup(file)?, inode))
}

/// The descriptor of this number, if it is of the file with this inode. From here on `exec` closes it.
pub(crate) fn adopt(number: RawFd, inode: u64) -> io::Result<OwnedFd> {
    // Through a name, so that nothing is claimed before it is known what it is.
    let there = rustix::fs::stat(format!("/proc/self/fd/{number}"))?;
    if there.st_ino != inode {
        return Err(io::ErrorKind::NotFound.into());
    }
    // SAFETY: 1; it is open, as the look has shown.
    let file = unsafe { OwnedFd::from_raw_fd(number) };
    rustix::io::fcntl_setfd(file.as_fd(), FdFlags::CLOEXEC)?;
    Ok(file)
}
