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

/// A duplicate that is not closed by `exec`, and which file it is: device and inode as one number.
pub(crate) fn inheritable(file: BorrowedFd<'_>) -> io::Result<(OwnedFd, u64)> {
    let which = which(&rustix::fs::fstat(file)?);
    Ok((rustix::io::dup(file)?, which))
}

fn which(of: &rustix::fs::Stat) -> u64 {
    of.st_dev.rotate_left(40) ^ of.st_ino
}

/// The descriptor of this number, if it is of the file with this inode. From here on `exec` closes it.
pub(crate) fn adopt(number: RawFd, inode: u64) -> io::Result<OwnedFd> {
    // Through a name, so that nothing is claimed before it is known what it is.
    let there = rustix::fs::stat(format!("/proc/self/fd/{number}"))?;
    if which(&there) != inode {
        return Err(io::ErrorKind::NotFound.into());
    }
    // SAFETY: 1; it is open, as the look has shown.
    let file = unsafe { OwnedFd::from_raw_fd(number) };
    rustix::io::fcntl_setfd(file.as_fd(), FdFlags::CLOEXEC)?;
    Ok(file)
}
