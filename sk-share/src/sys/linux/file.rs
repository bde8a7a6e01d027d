//! Memory files.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd, RawFd};

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

/// Has the file be this long; what is new is zero.
pub(crate) fn grow_to(file: BorrowedFd<'_>, length: u64) -> io::Result<()> {
    Ok(rustix::fs::ftruncate(file, length)?)
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
