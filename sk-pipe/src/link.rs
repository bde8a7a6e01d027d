//! The socket between the two ends of a pipe: descriptors beside messages, and bells for tasks.
//!
//! Everything on it is a record of eight bytes: zero is a bell, any other number says of which message the descriptors
//! are that come with it. They grow from message to message. A peek takes the descriptors and a read the record, so
//! that a process that has no number left for them loses nothing. The last record of a message is read once the message
//! is free in its ring, and no other before it is needed, so that who follows a reader that died finds what is beside the
//! messages that are still there.
//!
//! The kernel closes it with the last process that could still use the end, also while that end is on its way: so a
//! point that was lost is noticed, if not at once.

use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags,
    SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recv, recvmsg,
    send, sendmsg, socketpair,
};

use crate::error::Error;
use crate::sync::{Arc, AtomicBool, Mutex, Ordering, lock};

/// So many descriptors the kernel takes with one record.
const MOST_FILES: usize = 253;
const RECORD: usize = 8;
const BELL: u64 = 0;

/// What a look at the socket finds.
enum Peeked {
    Record(u64),
    Nothing,
    /// Nor will there be anything.
    HungUp,
}

/// One end of the socket.
pub(crate) struct Link {
    socket: Arc<OwnedFd>,
    /// What has come of a message that has more than goes with one record. Locked while records are looked at and read:
    /// both halves of an end may be at it.
    arrived: Mutex<Vec<(u64, OwnedFd)>>,
    /// A bell was taken off the socket since this was asked last.
    is_heard: AtomicBool,
}

impl Link {
    /// Both ends of a new one.
    pub(crate) fn pair() -> Result<(Link, Link), Error> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let (one, two) = socketpair(AddressFamily::UNIX, SocketType::STREAM, flags, None)
            .map_err(|errno| Error::system("cannot make a pair of sockets", 2, errno))?;
        Ok((Link::of(Arc::new(one)), Link::of(Arc::new(two))))
    }

    pub(crate) fn of(socket: Arc<OwnedFd>) -> Link {
        Link { socket, arrived: Mutex::default(), is_heard: AtomicBool::new(false) }
    }

    pub(crate) fn socket(&self) -> &Arc<OwnedFd> {
        &self.socket
    }

    /// Wakes the process of the other end, which waits for this socket.
    #[cold]
    pub(crate) fn ring(&self) {
        // Where there is no room it has not read what would wake it; where it is dead, others tell.
        let _ = send(&*self.socket, &BELL.to_ne_bytes(), FLAGS);
    }

    /// Sends descriptors under this number, and says how many there was room for.
    pub(crate) fn send_files(&self, tag: u64, files: &[BorrowedFd<'_>]) -> Result<usize, Error> {
        let mut sent = 0;
        for some in files.chunks(MOST_FILES) {
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_FILES))];
            let mut beside = SendAncillaryBuffer::new(&mut space);
            beside.push(SendAncillaryMessage::ScmRights(some));
            let record = tag.to_ne_bytes();
            match sendmsg(&*self.socket, &[IoSlice::new(&record)], &mut beside, FLAGS) {
                Ok(_) => sent += some.len(),
                Err(Errno::AGAIN) => break,
                Err(errno) => {
                    let count = files.len() as u64;
                    return Err(Error::system("cannot send descriptors", count, errno));
                }
            }
        }
        Ok(sent)
    }

    /// The descriptors that came under this number, if all are there. Once they are no longer needed by another life,
    /// [`done_with`](Self::done_with) has to be told.
    pub(crate) fn take_files(&self, tag: u64, count: usize) -> Result<Option<Vec<OwnedFd>>, Error> {
        let mut arrived = lock(&self.arrived);
        arrived.retain(|(there, _)| *there == tag);
        loop {
            match self.peek()? {
                // Bells, and what was beside messages that nobody got to send.
                Peeked::Record(found) if found < tag => self.skip()?,
                Peeked::Record(found) if found == tag => {
                    let files = self.peek_files()?;
                    if files.is_empty() || arrived.len() + files.len() > count {
                        return Ok(None);
                    }
                    if arrived.len() + files.len() == count {
                        return Ok(Some(
                            arrived.drain(..).map(|(_, file)| file).chain(files).collect(),
                        ));
                    }
                    self.skip()?;
                    arrived.extend(files.into_iter().map(|file| (tag, file)));
                }
                _ => return Ok(None),
            }
        }
    }

    /// The message of this number was received.
    pub(crate) fn done_with(&self, tag: u64) {
        let _only = lock(&self.arrived);
        // What is left here is left out by whoever looks for the next one.
        while let Ok(Peeked::Record(found)) = self.peek()
            && found <= tag
            && self.skip().is_ok()
        {}
    }

    /// No message comes any more: what lies here is of some that never were whole.
    pub(crate) fn close_files(&self) {
        self.done_with(u64::MAX);
        let left = std::mem::take(&mut *lock(&self.arrived));
        drop(left);
    }

    /// Whether a bell was taken off since the last call. It may have been for the other task of this end, which nothing
    /// else wakes then: a socket that is empty again is no news to who waits for it.
    pub(crate) fn was_heard(&self) -> bool {
        // Acquire: who is woken for it comes after the read of the bell.
        self.is_heard.load(Ordering::Relaxed) && self.is_heard.swap(false, Ordering::Acquire)
    }

    /// Takes bells off the socket, as far as there is nothing else, and says whether it is hung up. What comes after that
    /// is heard as another edge, whatever is left here.
    pub(crate) fn clear(&self) -> Result<bool, Error> {
        let _only = lock(&self.arrived);
        loop {
            match self.peek()? {
                Peeked::Record(BELL) => self.skip()?,
                Peeked::Record(_) | Peeked::Nothing => return Ok(false),
                Peeked::HungUp => return Ok(true),
            }
        }
    }

    /// The number of the next record, which stays there.
    fn peek(&self) -> Result<Peeked, Error> {
        let mut record = [0; RECORD];
        match recv(&*self.socket, &mut record, RecvFlags::PEEK | RecvFlags::DONTWAIT) {
            Ok((RECORD, _)) => Ok(Peeked::Record(u64::from_ne_bytes(record))),
            Ok((0, _)) | Err(Errno::CONNRESET) => Ok(Peeked::HungUp),
            // Half a record nobody of ours writes.
            Ok(_) | Err(Errno::AGAIN) => Ok(Peeked::Nothing),
            Err(errno) => Err(Error::system("cannot read the socket of a pipe", 8, errno)),
        }
    }

    fn skip(&self) -> Result<(), Error> {
        let mut record = [0; RECORD];
        let read = recv(&*self.socket, &mut record, RecvFlags::DONTWAIT);
        read.map_err(|errno| Error::system("cannot read the socket of a pipe", 8, errno))?;
        if u64::from_ne_bytes(record) == BELL {
            // Release: with the swap in `was_heard`.
            self.is_heard.store(true, Ordering::Release);
        }
        Ok(())
    }

    /// The descriptors of the next record, which stays there.
    fn peek_files(&self) -> Result<Vec<OwnedFd>, Error> {
        let mut record = [0; RECORD];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_FILES))];
        let mut beside = RecvAncillaryBuffer::new(&mut space);
        let flags = RecvFlags::PEEK | RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT;
        let peeked =
            recvmsg(&*self.socket, &mut [IoSliceMut::new(&mut record)], &mut beside, flags)
                .map_err(|errno| Error::system("cannot read the socket of a pipe", 8, errno))?;
        let mut files = Vec::new();
        for message in beside.drain() {
            if let RecvAncillaryMessage::ScmRights(some) = message {
                files.extend(some);
            }
        }
        if peeked.flags.contains(ReturnFlags::CTRUNC) {
            let count = files.len() as u64;
            let what =
                "no descriptor left for what came beside a message, of which so many had one";
            return Err(Error::system(what, count, Errno::MFILE));
        }
        Ok(files)
    }

    /// Whether no process has the other end any more.
    pub(crate) fn is_hung_up(&self) -> bool {
        let mut fds = [PollFd::from_borrowed_fd(self.socket.as_fd(), PollFlags::empty())];
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        let polled = poll(&mut fds, Some(&now));
        let hung = |fd: &PollFd<'_>| fd.revents().contains(PollFlags::HUP);
        polled.is_ok() && fds.iter().any(hung)
    }
}

const FLAGS: SendFlags = SendFlags::NOSIGNAL.union(SendFlags::DONTWAIT);

#[cfg(test)]
mod tests {
    use super::*;

    fn files(count: usize) -> Vec<OwnedFd> {
        (0..count).map(|_| std::fs::File::open("/dev/null").unwrap().into()).collect()
    }

    #[test]
    fn descriptors_come_in_order_and_those_of_messages_never_sent_are_closed() {
        let (one, two) = Link::pair().unwrap();
        let some = files(300);
        let some: Vec<_> = some.iter().map(|file| file.as_fd()).collect();
        assert_eq!(one.send_files(7, &some[..2]).unwrap(), 2);
        one.ring();
        assert_eq!(one.send_files(8, &some).unwrap(), 300);
        one.ring();
        assert_eq!(one.send_files(9, &some[..1]).unwrap(), 1);
        // A task that waits in between takes nothing of it.
        assert!(!two.clear().unwrap());
        assert_eq!(two.take_files(8, 300).unwrap().unwrap().len(), 300);
        two.done_with(8);
        assert!(two.take_files(8, 1).unwrap().is_none());
        // Until it is done with, it can be taken again.
        assert_eq!(two.take_files(9, 1).unwrap().unwrap().len(), 1);
        assert_eq!(two.take_files(9, 1).unwrap().unwrap().len(), 1);
        two.done_with(9);
        assert!(two.take_files(9, 1).unwrap().is_none());
        assert!(two.was_heard() && !two.was_heard());
        assert!(!two.clear().unwrap());
        assert!(!two.was_heard());
        assert!(!two.is_hung_up());
        drop(one);
        assert!(two.is_hung_up());
        assert!(two.clear().unwrap());
        two.ring();
        assert!(two.take_files(9, 1).unwrap().is_none());
    }
}
