//! The side of a pipe that sends.

mod sink;

use std::any::type_name;
use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use serde::Serialize;
use sk_cereal::{Session, internal};
use sk_function::{Operation, Source};
use sk_share::bytemuck::{self, Pod};
use sk_share::ground::Ground as _;
use sk_share::memory::Descriptors;

use crate::end::{ENDED_RECEIVING, ENDED_SENDING, End, Look};
use crate::error::{Error, Reason};
use crate::frame::{FILES, FIRST, LAST};
use crate::point::Given;
use crate::ring::{Ring, Side, Writing};
use crate::sync::Arc;
use crate::waiting::{AtEnd, ROOM, waiting};
use crate::{Overflow, Plain, Raw};

/// The half of a pipe's end that sends messages of type `S`.
///
/// Dropping it tells the other end, which gets [`is_closed`](Error::is_closed) when it has read what was sent.
pub struct Sender<S> {
    tx: Tx,
    of: PhantomData<fn(&S)>,
}

/// What sends bytes.
pub(crate) struct Tx {
    end: Arc<End>,
    writing: Writing,
    /// How many bytes of a message go in one frame.
    most_short: usize,
    /// The deaths that were known when the other end was looked at last.
    deaths: u32,
    /// How many messages had descriptors beside them.
    tags: u32,
    /// Where values are encoded.
    scratch: Vec<u8>,
    /// What a sink was given, and did not send yet.
    pending: Option<Message>,
    is_closed: bool,
}

/// A message, as bytes and what travels beside them.
#[derive(Default)]
struct Message {
    bytes: Vec<u8>,
    files: Option<Files>,
    progress: Progress,
}

struct Files {
    table: Descriptors,
    given: Given,
    tag: u64,
    sent: usize,
    is_away: bool,
}

impl Drop for Files {
    fn drop(&mut self) {
        if !self.is_away {
            self.given.take_back();
        }
    }
}

/// How far a message was sent that takes several frames.
#[derive(Default)]
struct Progress {
    sent: usize,
    /// Where its first frame lies, once there is one.
    begins: Option<u64>,
}

/// Before the bytes of a message with descriptors: their number and how many there are.
pub(crate) const FILES_PREFIX: usize = 16;
/// Before the bytes of a message of several frames: how many there are in all.
pub(crate) const PARTS_PREFIX: usize = 8;

impl Tx {
    pub(crate) fn new(end: &Arc<End>) -> Result<Tx, Error> {
        Ok(Tx {
            writing: end.outgoing.writing(&end.commons)?,
            most_short: most_short(end),
            end: Arc::clone(end),
            deaths: end.commons.deaths(),
            tags: 0,
            scratch: Vec::new(),
            pending: None,
            is_closed: false,
        })
    }

    fn ring(&self) -> &Ring {
        &self.end.outgoing
    }

    pub(crate) fn close(&mut self) {
        if !std::mem::replace(&mut self.is_closed, true) {
            self.end.close(ENDED_SENDING);
        }
    }

    /// An error where nobody reads any more, as far as that is known without a look at the memory of the dead.
    #[inline(always)]
    fn check(&mut self) -> Result<(), Error> {
        // What this thread has published is seen before it counts as dead. An agent is no copy.
        if !self.end.enter() {
            self.end.check_copied()?;
        }
        let deaths = self.end.commons.deaths();
        let is_news = deaths != self.deaths || self.end.was_gone() || self.is_closed;
        if is_news || self.end.has_peer_ended(ENDED_RECEIVING)? {
            return self.look_for_reader(deaths);
        }
        Ok(())
    }

    #[cold]
    #[inline(never)]
    fn look_for_reader(&mut self, deaths: u32) -> Result<(), Error> {
        if self.is_closed {
            return Err(Error::new(Reason::Closed { what: "this end was closed" }));
        }
        // Between two lives it looks each time: that none follows is no death.
        if self.end.look_at_peer(ENDED_RECEIVING, None)? {
            self.deaths = deaths;
        }
        Ok(())
    }

    /// Sends bytes that fit into a frame, if there is room.
    #[inline(always)]
    fn send_short(&mut self, flags: u64, prefix: &[u8], bytes: &[u8]) -> Result<bool, Error> {
        let Tx { end, writing, .. } = self;
        if end.outgoing.put(&end.commons, writing, flags, prefix, bytes)? {
            end.wake(&end.outgoing, Side::Items)?;
            return Ok(true);
        }
        if end.sends_by == Overflow::Block {
            return Ok(false);
        }
        self.send_to_full(flags, prefix, bytes)
    }

    /// As [`send_short`](Self::send_short), where a full ring is not waited for.
    #[cold]
    #[inline(never)]
    fn send_to_full(&mut self, flags: u64, prefix: &[u8], bytes: &[u8]) -> Result<bool, Error> {
        let Tx { end, writing, .. } = self;
        while !end.outgoing.put(&end.commons, writing, flags, prefix, bytes)? {
            if end.sends_by == Overflow::Fail {
                let bytes = bytes.len() as u64;
                let capacity = end.outgoing.capacity;
                return Err(Error::new(Reason::NoRoom { bytes, capacity }));
            }
            end.outgoing.drop_oldest(&end.commons, writing)?;
        }
        end.wake(&end.outgoing, Side::Items)?;
        Ok(true)
    }

    /// An error for a message that has to be waited for.
    fn check_short(&self, bytes: usize) -> Result<(), Error> {
        let most = self.most_short;
        if bytes > most { Err(Error::too_long(bytes as u64, most as u64)) } else { Ok(()) }
    }

    /// One look: sends a message of one frame, if there is room.
    #[inline(always)]
    fn look_to_send(&mut self, bytes: &[u8]) -> Result<bool, Error> {
        self.check()?;
        self.send_short(FIRST | LAST, &[], bytes)
    }

    /// As [`look_to_send`](Self::look_to_send), of any message.
    fn look_to_send_any(&mut self, message: &mut Message) -> Result<bool, Error> {
        self.check()?;
        loop {
            let is_done = self.send_some(message)?;
            if !self.is_broken(&message.progress)? {
                return Ok(is_done);
            }
            // Who had begun to read it died with what it had.
            message.progress = Progress::default();
            if let Some(files) = &mut message.files {
                (files.tag, files.sent) = (self.next_tag()?, 0);
            }
        }
    }

    /// Sends of a message what there is room for, and says whether that was all.
    fn send_some(&mut self, message: &mut Message) -> Result<bool, Error> {
        if !self.is_first_frame_welcome(message)? || !self.send_files(message.files.as_mut())? {
            self.end.look_at_peer(ENDED_RECEIVING, None)?;
            // What was read until now made no room in the socket: who waits for more waits from here on.
            let Tx { end, writing, .. } = self;
            end.outgoing.look_at_head(&end.commons, writing)?;
            return Ok(false);
        }
        let Message { bytes, files, progress } = message;
        let mut prefix = Vec::new();
        let mut flags = FIRST;
        if let Some(Files { table, tag, .. }) = files {
            flags |= FILES;
            prefix.extend_from_slice(&tag.to_le_bytes());
            prefix.extend_from_slice(&(table.as_fds().len() as u64).to_le_bytes());
        }
        let most = self.most_short;
        let is_done = if bytes.len() <= most {
            self.send_short(flags | LAST, &prefix, bytes)?
        } else if self.end.sends_by == Overflow::Block {
            prefix.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
            self.send_parts(flags, &prefix, bytes, progress)?
        } else {
            return Err(Error::too_long(bytes.len() as u64, most as u64));
        };
        if !is_done {
            // Who is dead, or does not read any more, makes no room.
            self.end.look_at_peer(ENDED_RECEIVING, None)?;
        }
        Ok(is_done)
    }

    /// Whether there is room for the first frame of a message, before what travels beside it is sent and nobody could
    /// take it back.
    fn is_first_frame_welcome(&mut self, message: &Message) -> Result<bool, Error> {
        let Message { bytes, files: Some(files), progress } = message else { return Ok(true) };
        if files.sent > 0 || progress.sent > 0 || self.end.sends_by == Overflow::DropOldest {
            return Ok(true);
        }
        let length = (bytes.len().min(self.most_short) + FILES_PREFIX) as u64;
        let Tx { end, writing, .. } = self;
        let has_room = end.outgoing.has_room(&end.commons, writing, length)?;
        if !has_room && end.sends_by == Overflow::Fail {
            let (bytes, capacity) = (bytes.len() as u64, end.outgoing.capacity);
            return Err(Error::new(Reason::NoRoom { bytes, capacity }));
        }
        Ok(has_room)
    }

    /// Sends what travels beside a message; false where there is no room for it.
    fn send_files(&mut self, files: Option<&mut Files>) -> Result<bool, Error> {
        let Some(files) = files else { return Ok(true) };
        let all = files.table.as_fds();
        if let Some(rest) = all.get(files.sent..).filter(|rest| !rest.is_empty()) {
            files.sent += self.end.link.send_files(files.tag, rest)?;
            self.end.commons.point("pipe.files.sent");
        }
        if files.sent < all.len() && self.end.sends_by != Overflow::Block {
            let (sent, all) = (files.sent as u64, all.len() as u64);
            return Err(Error::new(Reason::NoRoomBeside { sent, all }));
        }
        Ok(files.sent >= all.len())
    }

    fn send_parts(
        &mut self,
        flags: u64,
        prefix: &[u8],
        bytes: &[u8],
        progress: &mut Progress,
    ) -> Result<bool, Error> {
        let most = self.most_short - FILES_PREFIX - PARTS_PREFIX;
        // One that never lies in the ring as a whole is sent once it was taken.
        let is_whole = bytes.len() as u64 <= most_whole(self.ring());
        while progress.sent < bytes.len() {
            progress.begins.get_or_insert(self.writing.tail);
            let rest = bytes.get(progress.sent..).unwrap_or_default();
            let mut part = rest.get(..most).unwrap_or(rest);
            if !is_whole && part.len() == rest.len() {
                // Its last bytes go when all before them was read: what is given up before that is never received, and
                // whoever sends it again does not send it twice.
                if rest.len() > HELD_BACK {
                    part = rest.get(..rest.len() - HELD_BACK).unwrap_or(rest);
                } else if !self.end.outgoing.is_all_read(&self.end.commons, &mut self.writing)? {
                    return Ok(false);
                }
            }
            let (mut flags, prefix) =
                if progress.sent == 0 { (flags, prefix) } else { (0, &[][..]) };
            if part.len() == rest.len() {
                flags |= LAST;
            }
            if !self.send_short(flags, prefix, part)? {
                return Ok(false);
            }
            self.end.commons.point("pipe.part.sent");
            progress.sent += part.len();
        }
        let Tx { end, writing, .. } = self;
        Ok(is_whole || end.outgoing.is_all_read(&end.commons, writing)?)
    }

    /// Whether who had begun to read a message died, and the next one could not go on with it: it gets it from the
    /// beginning.
    fn is_broken(&self, progress: &Progress) -> Result<bool, Error> {
        let is_broken = |begins| self.ring().is_broken(&self.end.commons, &self.writing, begins);
        progress.begins.map_or(Ok(false), is_broken)
    }

    /// A value as a message.
    fn encode<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<Message, Error> {
        let files = self.encode_to_scratch(value)?;
        Ok(Message {
            bytes: std::mem::take(&mut self.scratch),
            files,
            progress: Progress::default(),
        })
    }

    /// Puts the bytes of a value where they are sent from, and gives what goes beside them.
    #[inline]
    fn encode_to_scratch<T: Serialize + ?Sized>(
        &mut self,
        value: &T,
    ) -> Result<Option<Files>, Error> {
        self.scratch.clear();
        match internal::append(value, &mut self.scratch) {
            Ok(()) => Ok(None),
            Err(error) if error.is_session() => {
                let mut bytes = std::mem::take(&mut self.scratch);
                let files = self.encode_in_session(value, &mut bytes);
                self.scratch = bytes;
                files
            }
            Err(error) => Err(error.into()),
        }
    }

    /// What is more than its bytes.
    #[cold]
    fn encode_in_session<T: Serialize + ?Sized>(
        &mut self,
        value: &T,
        bytes: &mut Vec<u8>,
    ) -> Result<Option<Files>, Error> {
        let session = Session::hand_over();
        let encoded = session.enter(|| internal::append(value, bytes));
        let (table, given) = (session.take(), session.take());
        let mut files = Files { table, given, tag: 0, sent: 0, is_away: false };
        encoded.map_err(|error| Error::of_session(&session, error))?;
        if files.table.is_empty() {
            return Ok(None);
        }
        files.tag = self.next_tag()?;
        Ok(Some(files))
    }

    /// A number for what travels beside a message: more than that of any other before it, and of a bell.
    fn next_tag(&mut self) -> Result<u64, Error> {
        self.tags = self.tags.wrapping_add(1).max(1);
        Ok(self.end.life()? << 32 | u64::from(self.tags))
    }

    fn sent(&mut self, message: Message) {
        let Message { bytes, files, .. } = message;
        if let Some(mut files) = files {
            files.is_away = true;
        }
        if bytes.capacity() <= KEPT {
            self.scratch = bytes;
        }
    }

    pub(crate) fn unread(&self) -> Result<u64, Error> {
        self.ring().unread(&self.end.commons)
    }
}

/// How many bytes of a message go in one frame.
fn most_short(end: &End) -> usize {
    let most = match end.sends_by {
        Overflow::Block => end.outgoing.capacity / 4,
        // Several frames would have to be waited for, or be dropped by halves.
        Overflow::Fail | Overflow::DropOldest => end.outgoing.most() - FILES_PREFIX as u64,
    };
    usize::try_from(most).unwrap_or(usize::MAX)
}

/// Of a message that is read while it is sent, so many bytes at most are sent when all others were read.
const HELD_BACK: usize = 8;

/// A buffer for more than this is not kept for the next message.
const KEPT: usize = 1 << 20;

/// Messages of at most so many bytes stay in the ring until they were read as a whole.
pub(crate) fn most_whole(ring: &Ring) -> u64 {
    // Each quarter of it is a frame, with a header.
    ring.capacity / 2
}

/// What one waits for who sends.
pub(crate) struct Sending<'a, S: ?Sized> {
    tx: &'a mut Tx,
    value: &'a S,
    /// Once it was encoded and there was no room.
    message: Option<Box<Message>>,
}

impl<S: Serialize + ?Sized> Sending<'_, S> {
    #[inline]
    fn look_first(&mut self) -> Result<Option<()>, Error> {
        let tx = &mut *self.tx;
        if tx.pending.is_some() {
            tx.flush()?;
            if tx.pending.is_some() {
                return Ok(None);
            }
        }
        let files = tx.encode_to_scratch(self.value)?;
        if files.is_none() && tx.scratch.len() <= tx.most_short {
            // Borrowed for the call: most messages go at once, and nothing of them is moved.
            let bytes = std::mem::take(&mut tx.scratch);
            let sent = tx.look_to_send(&bytes);
            if !matches!(sent, Ok(true)) || bytes.capacity() <= KEPT {
                tx.scratch = bytes;
            }
            if sent? {
                return Ok(Some(()));
            }
        }
        self.look_with(files)
    }

    /// The message that has just been encoded, and did not go at once.
    #[inline(never)]
    fn look_with(&mut self, files: Option<Files>) -> Result<Option<()>, Error> {
        let bytes = std::mem::take(&mut self.tx.scratch);
        self.message = Some(Box::new(Message { bytes, files, progress: Progress::default() }));
        self.look_again()
    }

    fn look_again(&mut self) -> Result<Option<()>, Error> {
        let Some(message) = &mut self.message else { return self.look_first() };
        if !self.tx.look_to_send_any(message)? {
            return Ok(None);
        }
        if let Some(message) = self.message.take() {
            self.tx.sent(*message);
        }
        Ok(Some(()))
    }
}

impl<S: Serialize + ?Sized> Look for Sending<'_, S> {
    type Output = ();

    #[inline]
    fn look(&mut self) -> Result<Option<()>, Error> {
        if self.message.is_none() { self.look_first() } else { self.look_again() }
    }

    fn is_likely(&self) -> bool {
        self.tx.ring().is_read(&self.tx.end.commons, &self.tx.writing)
    }

    fn place(&self) -> (Ring, Side) {
        (*self.tx.ring(), Side::Room)
    }
}

impl<S: Serialize + ?Sized> AtEnd for Sending<'_, S> {
    fn end(&self) -> &Arc<End> {
        &self.tx.end
    }
}

/// What one waits for who sends bytes.
pub(crate) struct SendingBytes<'a> {
    tx: &'a mut Tx,
    bytes: &'a [u8],
    progress: Progress,
}

impl SendingBytes<'_> {
    /// A message that takes several frames, or has to be waited for.
    #[inline(never)]
    fn look_slowly(&mut self) -> Result<Option<()>, Error> {
        let SendingBytes { tx, bytes, progress } = self;
        if bytes.len() <= tx.most_short {
            tx.end.look_at_peer(ENDED_RECEIVING, None)?;
            return Ok(None);
        }
        tx.check()?;
        if tx.end.sends_by != Overflow::Block {
            return Err(Error::too_long(bytes.len() as u64, tx.most_short as u64));
        }
        let total = (bytes.len() as u64).to_le_bytes();
        let is_done = loop {
            let is_done = tx.send_parts(FIRST, &total, bytes, progress)?;
            if !tx.is_broken(progress)? {
                break is_done;
            }
            *progress = Progress::default();
        };
        if !is_done {
            tx.end.look_at_peer(ENDED_RECEIVING, None)?;
        }
        Ok(is_done.then_some(()))
    }
}

impl Look for SendingBytes<'_> {
    type Output = ();

    #[inline(always)]
    fn look(&mut self) -> Result<Option<()>, Error> {
        if self.bytes.len() <= self.tx.most_short && self.tx.look_to_send(self.bytes)? {
            return Ok(Some(()));
        }
        self.look_slowly()
    }

    fn is_likely(&self) -> bool {
        self.tx.ring().is_read(&self.tx.end.commons, &self.tx.writing)
    }

    fn place(&self) -> (Ring, Side) {
        (*self.tx.ring(), Side::Room)
    }
}

impl AtEnd for SendingBytes<'_> {
    fn end(&self) -> &Arc<End> {
        &self.tx.end
    }
}

impl<S> Sender<S> {
    pub(crate) fn new(end: &Arc<End>) -> Result<Sender<S>, Error> {
        Ok(Sender { tx: Tx::new(end)?, of: PhantomData })
    }

    /// How many bytes of messages the pipe holds that were not read.
    pub fn capacity(&self) -> u64 {
        self.tx.ring().capacity
    }

    /// How many of them are in use, about: messages with 8 bytes before each.
    ///
    /// # Errors
    /// The memory is damaged.
    pub fn unread_bytes(&self) -> Result<u64, Error> {
        self.tx.unread()
    }

    /// Sends nothing more: who reads gets what was sent, and then [`is_closed`](Error::is_closed).
    pub fn close(&mut self) {
        self.tx.close();
    }

    pub(crate) fn is_busy(&self) -> bool {
        self.tx.pending.is_some()
    }

    #[inline]
    pub(crate) fn sending<'a>(&'a mut self, message: &'a S) -> Sending<'a, S> {
        Sending { tx: &mut self.tx, value: message, message: None }
    }

    #[inline]
    pub(crate) fn sending_bytes<'a>(&'a mut self, bytes: &'a [u8]) -> SendingBytes<'a> {
        SendingBytes { tx: &mut self.tx, bytes, progress: Progress::default() }
    }

    /// Drops it without a word: somebody else has the end.
    pub(crate) fn forget(mut self) {
        self.tx.is_closed = true;
    }
}

impl<S: Serialize> Sender<S> {
    /// Sends a message, which the other end can read when this is done. It waits only while the pipe is full, or as long
    /// as the other end takes to read a message that is larger than half of the pipe.
    ///
    /// A message is sent as a whole or not at all, whoever dies when; one whose sending is given up in the middle is not
    /// sent. Only one that is larger than half of the pipe may still come, if it is given up while the other end reads the
    /// last of it.
    ///
    /// # Errors
    /// It cannot be encoded; the other end was closed, or its process died ([`Error::is_disconnected`]); the
    /// [`Overflow`] of the pipe forbids waiting; the limit of the operation. Then it was not sent, and ends of pipes
    /// in it are still here.
    #[inline]
    pub fn send<'a>(
        &'a mut self,
        message: &'a S,
    ) -> Operation<impl Source<Output = (), Error = Error> + use<'a, S>> {
        waiting(ROOM, Ok(self.sending(message)))
    }

    /// Sends a message if there is room, and says whether there was.
    ///
    /// # Errors
    /// As for [`send`](Self::send); it is larger than a quarter of the pipe, and would have to be waited for.
    #[inline]
    pub fn try_send(&mut self, message: &S) -> Result<bool, Error> {
        self.tx.flush()?;
        if self.tx.pending.is_some() {
            return Ok(false);
        }
        let mut message = self.tx.encode(message)?;
        self.tx.check_short(message.bytes.len())?;
        let is_sent = self.tx.look_to_send_any(&mut message)?;
        if is_sent {
            self.tx.sent(message);
        }
        Ok(is_sent)
    }

    /// As [`send`](Self::send), for no longer than this.
    ///
    /// # Errors
    /// As for [`send`](Self::send); the time passed ([`Error::is_timeout`]).
    pub fn send_timeout(&mut self, message: &S, timeout: Duration) -> Result<(), Error> {
        self.send(message).timeout(timeout).wait()
    }
}

impl<T: Pod> Sender<Plain<T>> {
    /// As [`Sender::send`], of plain data as it is: one copy, from here into the memory of the pipe.
    ///
    /// # Errors
    /// As for [`Sender::send`].
    #[inline]
    pub fn send_plain<'a>(
        &'a mut self,
        message: &'a T,
    ) -> Operation<impl Source<Output = (), Error = Error> + use<'a, T>> {
        waiting(ROOM, Ok(self.sending_bytes(bytemuck::bytes_of(message))))
    }

    /// As [`Sender::try_send`], of plain data as it is.
    ///
    /// # Errors
    /// As for [`Sender::try_send`].
    pub fn try_send_plain(&mut self, message: &T) -> Result<bool, Error> {
        let bytes = bytemuck::bytes_of(message);
        self.tx.check_short(bytes.len())?;
        self.sending_bytes(bytes).look().map(|sent| sent.is_some())
    }
}

impl Sender<Raw> {
    /// As [`Sender::send`], of bytes as they are: one copy, from here into the memory of the pipe.
    ///
    /// # Errors
    /// As for [`Sender::send`].
    #[inline]
    pub fn send_bytes<'a>(
        &'a mut self,
        bytes: &'a [u8],
    ) -> Operation<impl Source<Output = (), Error = Error> + use<'a>> {
        waiting(ROOM, Ok(self.sending_bytes(bytes)))
    }

    /// As [`Sender::try_send`], of bytes as they are.
    ///
    /// # Errors
    /// As for [`Sender::try_send`].
    pub fn try_send_bytes(&mut self, bytes: &[u8]) -> Result<bool, Error> {
        self.tx.check_short(bytes.len())?;
        let progress = Progress::default();
        SendingBytes { tx: &mut self.tx, bytes, progress }.look().map(|sent| sent.is_some())
    }
}

impl Drop for Tx {
    fn drop(&mut self) {
        self.close();
    }
}

impl<S> Unpin for Sender<S> {}

impl<S> fmt::Debug for Sender<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sender<{}>", type_name::<S>())
    }
}
