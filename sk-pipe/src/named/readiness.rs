//! Waiting for sockets, by a thread that somebody may have stop.

use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::pin::pin;
use std::task::{Context, Wake, Waker};
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SendFlags, SocketFlags, SocketType, send, socketpair};
use sk_function::CancelFlag;

use crate::error::Error;
use crate::sync::Arc;

/// Sleeps until one of these can be read, the time has come, or the flag is set.
pub(super) fn wait_readable(
    files: &[BorrowedFd<'_>],
    at: Option<Instant>,
    flag: Option<&CancelFlag>,
) -> Result<(), Error> {
    let Some(flag) = flag else { return sleep(files, at) };
    let kinds = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let (bell, heard) = socketpair(AddressFamily::UNIX, SocketType::STREAM, kinds, None)
        .map_err(|errno| Error::system("cannot make a pair of sockets", 2, errno))?;
    let waker = Waker::from(Arc::new(Bell(bell)));
    let mut cancelled = pin!(flag.cancelled());
    if cancelled.as_mut().poll(&mut Context::from_waker(&waker)).is_ready() {
        return Ok(());
    }
    let mut all = files.to_vec();
    all.push(heard.as_fd());
    sleep(&all, at)
}

fn sleep(files: &[BorrowedFd<'_>], at: Option<Instant>) -> Result<(), Error> {
    let mut files: Vec<_> =
        files.iter().map(|file| PollFd::from_borrowed_fd(*file, PollFlags::IN)).collect();
    loop {
        let left = at.map(|at| at.saturating_duration_since(Instant::now()));
        // One that is too long to be told is no limit.
        let left = left.and_then(|left| Timespec::try_from(left).ok());
        match poll(&mut files, left.as_ref()) {
            Ok(_) => return Ok(()),
            Err(Errno::INTR) => {}
            Err(errno) => {
                let count = files.len() as u64;
                return Err(Error::system("cannot wait for sockets", count, errno));
            }
        }
    }
}

/// Makes a socket readable.
struct Bell(OwnedFd);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        // Where there is no room, it is readable already.
        let _ = send(&self.0, &[0], SendFlags::NOSIGNAL | SendFlags::DONTWAIT);
    }
}
