//! Files without a name in the directory for temporary files.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::fs::{FallocateFlags, OFlags};
use rustix::io::Errno;

use crate::sys::{file_size_limit, size_of_file};

/// So much is written at a time where there is no `fallocate`.
const PIECE: usize = 64 << 10;

/// So far from `RLIMIT_FSIZE` it stays there: as many pieces as processes are thought to grow at once.
const MARGIN: u64 = 1 << 20;

/// A file without a name, gone with its last user. It is not handed on by `exec`.
pub(crate) fn unnamed_memory(_: &str) -> io::Result<OwnedFd> {
    Ok(tempfile::tempfile()?.into())
}

/// None: these files have no names to be found by.
pub(crate) fn open_of_process(_: u32, _: &str) -> Option<OwnedFd> {
    None
}

/// There is no such seal: nobody of this crate ever shortens a file.
pub(crate) fn seal_shrinking(_: BorrowedFd<'_>) -> io::Result<()> {
    Ok(())
}

pub(crate) fn is_sealed_against_shrinking(_: BorrowedFd<'_>) -> bool {
    true
}

/// Has room on the disk for the bytes from `from` to `to`, so that touching them cannot fail. What lies
/// there already stays.
pub(crate) fn allocate(file: BorrowedFd<'_>, from: u64, to: u64) -> io::Result<()> {
    loop {
        match rustix::fs::fallocate(file, FallocateFlags::empty(), from, to.saturating_sub(from)) {
            Err(Errno::INTR) => {}
            Err(Errno::OPNOTSUPP | Errno::NOSYS) => return append_zeros(file, to),
            result => return Ok(result?),
        }
    }
}

/// Zeros behind the end until the file has `to` bytes. They are appended and never written over what is
/// there, since others may grow the file at the same time and have put something into it already; so it may
/// become a few pieces longer than anybody wanted.
fn append_zeros(file: BorrowedFd<'_>, to: u64) -> io::Result<()> {
    // Two who append at once may go beyond `to`, and beyond the limit comes a signal that kills.
    if file_size_limit().is_some_and(|limit| limit.saturating_sub(MARGIN) < to) {
        return Err(Errno::FBIG.into());
    }
    let flags = rustix::fs::fcntl_getfl(file)?;
    rustix::fs::fcntl_setfl(file, flags | OFlags::APPEND)?;
    let zeros = [0_u8; PIECE];
    loop {
        let left = to.saturating_sub(size_of_file(file)?);
        let count = usize::try_from(left).unwrap_or(PIECE).min(PIECE);
        match zeros.get(..count) {
            None | Some([]) => return Ok(()),
            Some(piece) => match rustix::io::write(file, piece) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::{Read as _, Seek as _, Write as _};
    use std::os::fd::AsFd as _;

    use super::*;

    #[test]
    fn appended_zeros_leave_what_is_there() {
        let mut file = File::from(unnamed_memory("").unwrap());
        file.write_all(b"kept").unwrap();
        file.rewind().unwrap();
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| append_zeros(file.as_fd(), 300_000).unwrap());
            }
        });
        let mut bytes = Vec::new();
        file.rewind().unwrap();
        file.read_to_end(&mut bytes).unwrap();
        assert!((300_000..300_000 + 3 * PIECE).contains(&bytes.len()), "{}", bytes.len());
        assert_eq!(&bytes[..4], b"kept");
        assert!(bytes[4..].iter().all(|byte| *byte == 0));
        append_zeros(file.as_fd(), 100).unwrap();
    }
}
