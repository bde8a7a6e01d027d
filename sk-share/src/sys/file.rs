//! What is asked of a file, and what a process may do with files.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd, RawFd};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

/// Has the file be this long; what is new is zero.
pub(crate) fn grow_to(file: BorrowedFd<'_>, length: u64) -> io::Result<()> {
    Ok(rustix::fs::ftruncate(file, length)?)
}

/// Fills the bytes from this place of the file on.
pub(crate) fn read_at(file: BorrowedFd<'_>, from: u64, bytes: &mut [u8]) -> io::Result<()> {
    let mut filled = 0;
    while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        let at = from.saturating_add(u64::try_from(filled).unwrap_or(u64::MAX));
        match rustix::io::pread(file, rest, at) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => filled += count,
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Writes the bytes from this place of the file on.
pub(crate) fn write_at(file: BorrowedFd<'_>, from: u64, bytes: &[u8]) -> io::Result<()> {
    let mut written = 0;
    while let Some(rest) = bytes.get(written..).filter(|rest| !rest.is_empty()) {
        let at = from.saturating_add(u64::try_from(written).unwrap_or(u64::MAX));
        match rustix::io::pwrite(file, rest, at) {
            Ok(count) => written += count,
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

pub(crate) fn size_of_file(file: BorrowedFd<'_>) -> io::Result<u64> {
    Ok(u64::try_from(rustix::fs::fstat(file)?.st_size).unwrap_or(0))
}

/// How long a file of this process may be; beyond that the kernel sends a signal that kills.
pub(crate) fn identity_of_file(file: BorrowedFd<'_>) -> io::Result<(u64, u64)> {
    let stat = rustix::fs::fstat(file)?;
    Ok((stat.st_dev, stat.st_ino))
}

pub(crate) fn file_size_limit() -> Option<u64> {
    rustix::process::getrlimit(rustix::process::Resource::Fsize).current
}

/// A descriptor of our own for the open descriptor with this number.
pub(crate) fn inherited(number: RawFd) -> io::Result<OwnedFd> {
    let path = format!("/proc/self/fd/{number}");
    Ok(rustix::fs::open(path, OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?)
}

/// Sixteen random bytes as two words.
pub(crate) fn random() -> io::Result<[u64; 2]> {
    let mut bytes = [0_u8; 16];
    let mut filled = 0;
    while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match rustix::rand::getrandom(rest, rustix::rand::GetRandomFlags::empty()) {
            Ok(count) => filled += count,
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let both = u128::from_ne_bytes(bytes);
    let low = both & u128::from(u64::MAX);
    Ok([u64::try_from(low).unwrap_or(0), u64::try_from(both >> 64).unwrap_or(0)])
}
