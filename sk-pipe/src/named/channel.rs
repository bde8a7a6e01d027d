//! Messages of the handshake on a socket, with descriptors beside them.
//!
//! A message is a head of sixteen bytes, which says what this is and in which version, and so many bytes as it says. One
//! side takes descriptors and reads with nothing but `recvmsg`; the other one takes none: the kernel closes what is
//! sent to it.

use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recv, recvmsg, send, sendmsg,
};

use super::handshake::Message;
use crate::error::{Error, Reason};
use crate::sync::Arc;

const MAGIC: [u8; 8] = *b"sk-pipe\n";
/// Of the handshake, not of what is in the memory of a pipe.
const VERSION: u32 = 1;
const HEAD: usize = 16;
/// Longer than any message of ours, and so short that the system always has room for all of a handshake.
const MOST_BYTES: usize = 8 << 10;
/// More than any point has.
const MOST_FILES: usize = 16;

/// One side of the socket.
pub(super) struct Channel {
    socket: Arc<OwnedFd>,
    bytes: Vec<u8>,
    /// What came beside the bytes; `None`: this side takes none.
    files: Option<Vec<OwnedFd>>,
}

/// What there is to be read.
pub(super) enum Read {
    Message(Message, Vec<u8>),
    Nothing,
    /// The other side is gone.
    Over,
}

impl Channel {
    pub(super) fn new(socket: OwnedFd, takes_files: bool) -> Channel {
        let files = takes_files.then(Vec::new);
        Channel { socket: Arc::new(socket), bytes: Vec::new(), files }
    }

    pub(super) fn socket(&self) -> &Arc<OwnedFd> {
        &self.socket
    }

    /// What has come beside the messages so far.
    pub(super) fn take_files(&mut self) -> Vec<OwnedFd> {
        self.files.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// Sends a message, and says what bytes it has; `false`: the other side is gone.
    pub(super) fn send(
        &self,
        message: &Message,
        files: &[BorrowedFd<'_>],
    ) -> Result<(bool, Vec<u8>), Error> {
        let body = message.to_bytes()?;
        let mut whole = head(body.len());
        whole.extend_from_slice(&body);
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_FILES))];
        let mut beside = SendAncillaryBuffer::new(&mut space);
        if !files.is_empty() && !beside.push(SendAncillaryMessage::ScmRights(files)) {
            return Err(Error::damaged("the number of descriptors", files.len() as u64));
        }
        let mut sent = sendmsg(&*self.socket, &[IoSlice::new(&whole)], &mut beside, FLAGS);
        let mut done = 0;
        loop {
            match sent {
                Ok(count) => done += count,
                Err(Errno::INTR) => {}
                Err(Errno::PIPE | Errno::CONNRESET) => return Ok((false, body)),
                Err(errno) => {
                    let bytes = whole.len() as u64;
                    return Err(Error::system("cannot send a handshake", bytes, errno));
                }
            }
            match whole.get(done..) {
                Some(rest) if !rest.is_empty() && done > 0 => {
                    sent = send(&*self.socket, rest, FLAGS);
                }
                Some(rest) if !rest.is_empty() => {
                    sent = sendmsg(&*self.socket, &[IoSlice::new(rest)], &mut beside, FLAGS);
                }
                _ => return Ok((true, body)),
            }
        }
    }

    /// The next message and its bytes, if all of it is there.
    pub(super) fn read(&mut self) -> Result<Read, Error> {
        loop {
            if let Some(body) = self.whole()? {
                return Ok(Read::Message(Message::from_bytes(&body)?, body));
            }
            match self.read_some() {
                Ok(0) | Err(Errno::CONNRESET) => return Ok(Read::Over),
                Ok(_) | Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Ok(Read::Nothing),
                Err(Errno::MFILE) => {
                    let what = "no descriptor left for those of a pipe";
                    return Err(Error::system(what, 3, Errno::MFILE));
                }
                Err(errno) => return Err(Error::system("cannot read a handshake", 1, errno)),
            }
        }
    }

    /// The body of the first message, if all of it has come.
    fn whole(&mut self) -> Result<Option<Vec<u8>>, Error> {
        let magic = self.bytes.get(..MAGIC.len()).unwrap_or(&self.bytes);
        if !MAGIC.starts_with(magic) {
            return Err(Error::foreign("it does not begin as one", word(magic)));
        }
        let Some((head, rest)) = self.bytes.split_first_chunk::<HEAD>() else { return Ok(None) };
        let [_, _, _, _, _, _, _, _, v0, v1, v2, v3, l0, l1, l2, l3] = *head;
        let version = u32::from_le_bytes([v0, v1, v2, v3]);
        if version != VERSION {
            return Err(Error::new(Reason::OtherVersion { found: version, expected: VERSION }));
        }
        let length = u32::from_le_bytes([l0, l1, l2, l3]);
        let bytes = usize::try_from(length).unwrap_or(usize::MAX);
        if bytes > MOST_BYTES {
            return Err(Error::foreign("its length", length.into()));
        }
        let Some(body) = rest.get(..bytes) else { return Ok(None) };
        let body = body.to_vec();
        self.bytes.drain(..HEAD + bytes);
        Ok(Some(body))
    }

    fn read_some(&mut self) -> Result<usize, Errno> {
        let mut some = [0; 4 << 10];
        let count = match &mut self.files {
            None => recv(&*self.socket, &mut some, RecvFlags::DONTWAIT)?.0,
            Some(files) => {
                let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_FILES))];
                let mut beside = RecvAncillaryBuffer::new(&mut space);
                let flags = RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT;
                let mut to = [IoSliceMut::new(&mut some)];
                let got = recvmsg(&*self.socket, &mut to, &mut beside, flags)?;
                for message in beside.drain() {
                    if let RecvAncillaryMessage::ScmRights(come) = message {
                        files.extend(come);
                    }
                }
                // More than a point has, or no number left for them.
                if got.flags.contains(ReturnFlags::CTRUNC) || files.len() > MOST_FILES {
                    return Err(Errno::MFILE);
                }
                got.bytes
            }
        };
        self.bytes.extend_from_slice(some.get(..count).unwrap_or_default());
        Ok(count)
    }
}

fn head(length: usize) -> Vec<u8> {
    let length = u32::try_from(length).unwrap_or(u32::MAX);
    [&MAGIC[..], &VERSION.to_le_bytes(), &length.to_le_bytes()].concat()
}

/// What is found in place of something else, for a text.
fn word(bytes: &[u8]) -> u64 {
    bytes.iter().take(8).fold(0, |word, byte| word << 8 | u64::from(*byte))
}

const FLAGS: SendFlags = SendFlags::NOSIGNAL.union(SendFlags::DONTWAIT);
