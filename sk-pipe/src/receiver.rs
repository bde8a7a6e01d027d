//! The side of a pipe that receives.

use std::any::type_name;
use std::fmt;
use std::hint::spin_loop;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_core::Stream;
use serde::de::DeserializeOwned;
use sk_cereal::{Session, internal};
use sk_function::{Operation, Source};
use sk_share::bytemuck::{self, Pod};
use sk_share::memory::Descriptors;

use crate::end::{ENDED_RECEIVING, ENDED_SENDING, End, Look};
use crate::error::{Error, Reason};
use crate::frame::{FILES, FIRST, HEADER, Header, LAST};
use crate::ring::{Reading, Ring, Side};
use crate::sender::{FILES_PREFIX, PARTS_PREFIX, most_whole};
use crate::sync::Arc;
use crate::waiting::{AtEnd, MESSAGE, waiting};
use crate::{Overflow, Plain, Raw};

/// The half of a pipe's end that receives messages of type `R`.
///
/// Dropping it tells the other end, whose sends fail from then on.
pub struct Receiver<R> {
    rx: Rx,
    /// The stream is over.
    is_over: bool,
    of: PhantomData<fn() -> R>,
}

/// What receives bytes.
pub(crate) struct Rx {
    end: Arc<End>,
    reading: Reading,
    /// Where all before is free, or the frames of a message that is not whole yet begin.
    freed: u64,
    /// The bytes of the message that is being read, or was read last.
    bytes: Vec<u8>,
    parts: Option<Parts>,
    /// The life of the other end whose death was told.
    told: u64,
    /// How many messages were there when they were asked for, one after another.
    streak: u32,
    is_closed: bool,
}

/// A message of which some frames were read.
struct Parts {
    files: Option<(u64, u64)>,
    filled: usize,
    total: usize,
}

/// Where the bytes of a message are put.
enum Into<'b> {
    /// In `Rx::bytes`.
    Here,
    /// There, if they are no more than that.
    Buffer(&'b mut [u8]),
}

/// A message that was taken.
struct Taken {
    length: usize,
    files: Option<Descriptors>,
}

/// After so many messages that were there at once, who finds none lets the writer get ahead.
const STREAK: u32 = 8;
const RESTS: u32 = 24;

/// So much is reserved before the bytes have come.
const RESERVED: usize = 1 << 20;

impl Rx {
    pub(crate) fn new(end: &Arc<End>) -> Result<Rx, Error> {
        let reading = end.incoming.reading(&end.commons)?;
        Ok(Rx {
            freed: reading.cursor,
            reading,
            end: Arc::clone(end),
            bytes: Vec::new(),
            parts: None,
            told: 0,
            streak: 0,
            is_closed: false,
        })
    }

    fn ring(&self) -> &Ring {
        &self.end.incoming
    }

    pub(crate) fn close(&mut self) {
        if !std::mem::replace(&mut self.is_closed, true) {
            self.end.close(ENDED_RECEIVING);
        }
    }

    /// One look: a message, if there is one, or why there will be none.
    #[inline]
    fn look_to_take(&mut self, into: &mut Into<'_>) -> Result<Option<Taken>, Error> {
        self.end.check_copied()?;
        if self.is_closed {
            return Err(Error::new(Reason::Closed { what: "this end was closed" }));
        }
        if let Some(taken) = self.take(into)? {
            self.streak = self.streak.saturating_add(1);
            return Ok(Some(taken));
        }
        self.look_for_end(into)
    }

    fn look_for_end(&mut self, into: &mut Into<'_>) -> Result<Option<Taken>, Error> {
        let Err(end) = self.end.look_at_peer(ENDED_SENDING, Some(&mut self.told)) else {
            return Ok(None);
        };
        // It may have sent something before its end.
        match self.take(into)? {
            Some(taken) => {
                self.told = if end.is_restarting() { 0 } else { self.told };
                Ok(Some(taken))
            }
            None => Err(end),
        }
    }

    /// Takes the next message, if it is there as a whole.
    #[inline]
    fn take(&mut self, into: &mut Into<'_>) -> Result<Option<Taken>, Error> {
        loop {
            let Some(header) = self.next_frame()? else { return Ok(None) };
            match self.take_frame(header, into) {
                Ok(Some(taken)) => return Ok(Some(taken)),
                Ok(None) => {}
                Err(_) if self.was_dropped()? => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// The frame that is read next, if it is there.
    #[inline]
    fn next_frame(&mut self) -> Result<Option<Header>, Error> {
        loop {
            if self.end.receives_by == Overflow::DropOldest {
                self.reading = self.end.incoming.reading(&self.end.commons)?;
                self.freed = self.reading.cursor;
            }
            match self.end.incoming.look(&self.end.commons, &self.reading) {
                Ok(Some(header)) => return Ok(Some(header)),
                // It was dropped, and what lies there now is no frame, or looks like the place of one.
                _ if self.was_dropped()? => {}
                other => return other,
            }
        }
    }

    /// Whether the writer dropped what was being read.
    #[inline]
    fn was_dropped(&self) -> Result<bool, Error> {
        Ok(self.end.receives_by == Overflow::DropOldest
            && self.end.incoming.was_dropped(&self.end.commons, self.freed)?)
    }

    #[inline]
    fn take_frame(&mut self, header: Header, into: &mut Into<'_>) -> Result<Option<Taken>, Error> {
        if header.flags == FIRST | LAST {
            self.parts = None;
            return self.take_whole(header, 0, None, into);
        }
        self.take_other(header, into)
    }

    /// A message of one frame.
    #[inline]
    fn take_whole(
        &mut self,
        header: Header,
        prefix: usize,
        files: Option<(u64, u64)>,
        into: &mut Into<'_>,
    ) -> Result<Option<Taken>, Error> {
        let length = (header.bytes as usize).saturating_sub(prefix);
        let from = self.reading.cursor + HEADER + prefix as u64;
        let ring = self.end.incoming;
        match into {
            Into::Here => {
                resize(&mut self.bytes, length)?;
                ring.copy_out(&self.end.commons, from, &mut self.bytes)?;
            }
            Into::Buffer(buffer) => {
                let limit = buffer.len() as u64;
                let buffer = buffer.get_mut(..length).ok_or_else(|| {
                    Error::new(Reason::SmallBuffer { bytes: length as u64, limit })
                })?;
                ring.copy_out(&self.end.commons, from, buffer)?;
            }
        }
        let Some((tag, count)) = files else {
            let is_ours = self.advance(header)?;
            return Ok(is_ours.then_some(Taken { length, files: None }));
        };
        let files = self.take_files(tag, count)?;
        let is_ours = self.advance(header)? && files.is_some();
        self.end.link.done_with(tag);
        Ok(is_ours.then_some(Taken { length, files }))
    }

    /// A message with descriptors, or a part of one.
    #[cold]
    fn take_other(&mut self, header: Header, into: &mut Into<'_>) -> Result<Option<Taken>, Error> {
        if self.end.receives_by != Overflow::Block && !(header.is(FIRST) && header.is(LAST)) {
            return Err(Error::damaged("a part of a message where all are whole", header.flags));
        }
        let mut prefix = 0;
        let mut files = None;
        if header.is(FIRST) {
            // What was given up half sent is room from here on, which the rest of this one may need.
            if self.parts.take().is_some() && self.freed != self.reading.cursor {
                self.free()?;
            }
            if header.is(FILES) {
                files = Some((self.word_at(header, 0)?, self.word_at(header, 8)?));
                prefix += FILES_PREFIX;
                // They may be those of another message by now, which still needs its descriptors.
                if self.was_dropped()? {
                    return Ok(None);
                }
            }
            if header.is(LAST) {
                return self.take_whole(header, prefix, files, into);
            }
            let total = self.word_at(header, prefix as u64)?;
            prefix += PARTS_PREFIX;
            let total = usize::try_from(total)
                .map_err(|_| Error::damaged("the length of a message", total))?;
            self.parts = Some(Parts { files, filled: 0, total });
        }
        // The rest of a message that another life had begun to read.
        let Some(parts) = &mut self.parts else {
            self.end.incoming.throw_away(&self.end.commons, &self.reading)?;
            self.advance(header)?;
            return Ok(None);
        };
        let length = (header.bytes as usize).saturating_sub(prefix);
        let end = parts.filled.saturating_add(length);
        let is_last = header.is(LAST);
        if end > parts.total || is_last != (end == parts.total) || length == 0 {
            return Err(Error::damaged("the length of a message", parts.total as u64));
        }
        let (from, filled, total) = (self.reading.cursor, parts.filled, parts.total);
        reserve(&mut self.bytes, end, total)?;
        let ring = self.end.incoming;
        let to = self.bytes.get_mut(filled..end).unwrap_or_default();
        ring.copy_out(&self.end.commons, from + HEADER + prefix as u64, to)?;
        if let Into::Buffer(buffer) = into
            && is_last
            && buffer.len() < total
        {
            let (bytes, limit) = (total as u64, buffer.len() as u64);
            return Err(Error::new(Reason::SmallBuffer { bytes, limit }));
        }
        let beside = parts.files.filter(|_| is_last);
        let files = match beside {
            Some((tag, count)) => self.take_files(tag, count)?,
            None => None,
        };
        if beside.is_some() && files.is_none() {
            self.end.incoming.throw_away(&self.end.commons, &self.reading)?;
        }
        if let Some(parts) = &mut self.parts {
            parts.filled = end;
        }
        self.reading.cursor += header.frame_bytes();
        if total as u64 > most_whole(&ring) || is_last {
            self.free()?;
        }
        if !is_last {
            return Ok(None);
        }
        self.parts = None;
        if let Some((tag, _)) = beside {
            self.end.link.done_with(tag);
            if files.is_none() {
                return Ok(None);
            }
        }
        self.bytes.truncate(total);
        if let Into::Buffer(buffer) = into
            && let Some(to) = buffer.get_mut(..total)
        {
            to.copy_from_slice(&self.bytes);
        }
        Ok(Some(Taken { length: total, files }))
    }

    /// The word of a frame behind so many bytes.
    fn word_at(&self, header: Header, at: u64) -> Result<u64, Error> {
        if u64::from(header.bytes) < at + 8 {
            return Err(Error::damaged("the length of a frame", u64::from(header.bytes)));
        }
        let mut word = [0; 8];
        let from = self.reading.cursor + HEADER + at;
        self.ring().copy_out(&self.end.commons, from, &mut word)?;
        Ok(u64::from_le_bytes(word))
    }

    /// What came beside a message; none of it where the life before died with some of it in its hands, which was about
    /// to receive that message.
    fn take_files(&self, tag: u64, count: u64) -> Result<Option<Descriptors>, Error> {
        let lost = || Error::damaged("what came beside a message", count);
        let count = usize::try_from(count).map_err(|_| lost())?;
        // They were sent before the message.
        let files = self.end.link.take_files(tag, count);
        self.end.pass_on(Side::Items);
        match files? {
            Some(files) => Ok(Some(Descriptors::arrived(files))),
            None if self.end.life()? > 1 => Ok(None),
            None => Err(lost()),
        }
    }

    /// Goes behind a frame, which is free from here on; false if it was dropped while it was read.
    #[inline]
    fn advance(&mut self, header: Header) -> Result<bool, Error> {
        self.reading.cursor += header.frame_bytes();
        if self.end.receives_by == Overflow::DropOldest {
            let (from, end) = (self.freed, &self.end);
            return end.incoming.free_unless_dropped(&end.commons, from, &self.reading);
        }
        self.free()?;
        Ok(true)
    }

    #[inline]
    fn free(&mut self) -> Result<(), Error> {
        self.freed = self.reading.cursor;
        self.end.incoming.free(&self.end.commons, &self.reading)?;
        self.end.wake(&self.end.incoming, Side::Room)
    }

    /// The value in the message that was taken.
    #[inline]
    fn decode<R: DeserializeOwned>(&mut self, taken: Taken) -> Result<R, Error> {
        let decoded = match taken.files {
            None => internal::from_slice(&self.bytes).map_err(Error::from),
            Some(files) => {
                let session = Session::hand_over();
                session.put(files);
                let decoded = session.enter(|| internal::from_slice(&self.bytes));
                decoded.map_err(|error| Error::of_session(&session, error))
            }
        };
        if self.bytes.capacity() > RESERVED {
            self.bytes = Vec::new();
        }
        decoded
    }
}

/// Has a buffer hold so many bytes, whatever they are.
fn resize(bytes: &mut Vec<u8>, length: usize) -> Result<(), Error> {
    if length > bytes.len() {
        let more = length - bytes.len();
        bytes.try_reserve(more).map_err(|error| {
            let error = std::io::Error::new(std::io::ErrorKind::OutOfMemory, error);
            Error::system("no memory for a message", length as u64, error)
        })?;
    }
    bytes.resize(length, 0);
    Ok(())
}

/// As [`resize`], for a part of `total`.
fn reserve(bytes: &mut Vec<u8>, length: usize, total: usize) -> Result<(), Error> {
    if bytes.capacity() < length {
        // The total is believed as far as it has come.
        let wanted = total.min(bytes.capacity().max(RESERVED).saturating_mul(2)).max(length);
        bytes.try_reserve_exact(wanted.saturating_sub(bytes.len())).map_err(|error| {
            let error = std::io::Error::new(std::io::ErrorKind::OutOfMemory, error);
            Error::system("no memory for a message", wanted as u64, error)
        })?;
    }
    // What an earlier message left is overwritten.
    if bytes.len() < length {
        bytes.resize(length, 0);
    }
    Ok(())
}

/// What one waits for who receives.
pub(crate) struct Receiving<'a, R> {
    rx: &'a mut Rx,
    of: PhantomData<fn() -> R>,
}

impl<R: DeserializeOwned> Look for Receiving<'_, R> {
    type Output = R;

    #[inline]
    fn look(&mut self) -> Result<Option<R>, Error> {
        match self.rx.look_to_take(&mut Into::Here)? {
            Some(taken) => self.rx.decode(taken).map(Some),
            None => Ok(None),
        }
    }

    fn is_likely(&self) -> bool {
        self.rx.ring().is_there(&self.rx.end.commons, &self.rx.reading)
    }

    fn rest(&mut self) {
        rest(self.rx);
    }

    fn place(&self) -> (Ring, Side) {
        (*self.rx.ring(), Side::Items)
    }
}

/// A writer that is read at its heels loses the memory at each message.
fn rest(rx: &mut Rx) {
    if std::mem::take(&mut rx.streak) >= STREAK {
        (0..RESTS).for_each(|_| spin_loop());
    }
}

impl<R: DeserializeOwned> AtEnd for Receiving<'_, R> {
    fn end(&self) -> &Arc<End> {
        &self.rx.end
    }
}

/// What one waits for who receives bytes.
pub(crate) struct ReceivingBytes<'a> {
    rx: &'a mut Rx,
    to: Target<'a>,
}

enum Target<'a> {
    Vec(&'a mut Vec<u8>),
    Slice(&'a mut [u8]),
}

impl Look for ReceivingBytes<'_> {
    type Output = usize;

    #[inline]
    fn look(&mut self) -> Result<Option<usize>, Error> {
        let rx = &mut *self.rx;
        let taken = match &mut self.to {
            Target::Vec(to) => {
                let taken = rx.look_to_take(&mut Into::Here)?;
                if taken.is_some() {
                    std::mem::swap(*to, &mut rx.bytes);
                }
                taken
            }
            Target::Slice(to) => rx.look_to_take(&mut Into::Buffer(to))?,
        };
        Ok(taken.map(|taken| taken.length))
    }

    fn is_likely(&self) -> bool {
        self.rx.ring().is_there(&self.rx.end.commons, &self.rx.reading)
    }

    fn rest(&mut self) {
        rest(self.rx);
    }

    fn place(&self) -> (Ring, Side) {
        (*self.rx.ring(), Side::Items)
    }
}

impl AtEnd for ReceivingBytes<'_> {
    fn end(&self) -> &Arc<End> {
        &self.rx.end
    }
}

/// What one waits for who receives plain data.
pub(crate) struct ReceivingPlain<'a, T> {
    rx: &'a mut Rx,
    of: PhantomData<fn() -> T>,
}

impl<T: Pod> Look for ReceivingPlain<'_, T> {
    type Output = T;

    #[inline]
    fn look(&mut self) -> Result<Option<T>, Error> {
        let mut value = T::zeroed();
        let bytes = bytemuck::bytes_of_mut(&mut value);
        match self.rx.look_to_take(&mut Into::Buffer(bytes))? {
            Some(taken) if taken.length == size_of::<T>() => Ok(Some(value)),
            Some(taken) => Err(Error::damaged("the length of plain data", taken.length as u64)),
            None => Ok(None),
        }
    }

    #[inline]
    fn is_likely(&self) -> bool {
        self.rx.ring().is_there(&self.rx.end.commons, &self.rx.reading)
    }

    fn rest(&mut self) {
        rest(self.rx);
    }

    fn place(&self) -> (Ring, Side) {
        (*self.rx.ring(), Side::Items)
    }
}

impl<T: Pod> AtEnd for ReceivingPlain<'_, T> {
    fn end(&self) -> &Arc<End> {
        &self.rx.end
    }
}

/// What one waits for who wants to know whether there is something.
struct Polling<'a>(&'a mut Rx);

impl Look for Polling<'_> {
    type Output = ();

    fn look(&mut self) -> Result<Option<()>, Error> {
        self.0.end.check_copied()?;
        // An end is something to be received too: the next call tells it.
        let is_news = self.0.next_frame()?.is_some()
            || self.0.end.look_at_peer(ENDED_SENDING, Some(&mut self.0.told.clone())).is_err();
        Ok(is_news.then_some(()))
    }

    fn is_likely(&self) -> bool {
        self.0.ring().is_there(&self.0.end.commons, &self.0.reading)
    }

    fn place(&self) -> (Ring, Side) {
        (*self.0.ring(), Side::Items)
    }
}

impl AtEnd for Polling<'_> {
    fn end(&self) -> &Arc<End> {
        &self.0.end
    }
}

impl<R> Receiver<R> {
    pub(crate) fn new(end: &Arc<End>) -> Result<Receiver<R>, Error> {
        Ok(Receiver { rx: Rx::new(end)?, is_over: false, of: PhantomData })
    }

    /// Waits until there is something to be received, a message or the end, for no longer than this; `false` if there
    /// is not. Zero does not wait.
    ///
    /// # Errors
    /// The memory is damaged; the handle is a copy made by fork.
    pub fn poll(&mut self, timeout: Duration) -> Result<bool, Error> {
        let polled = waiting("something came", Ok(Polling(&mut self.rx))).timeout(timeout).wait();
        match polled {
            Ok(()) => Ok(true),
            Err(error) if error.is_timeout() => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Receives nothing more: sends of the other end fail from now on, with [`is_closed`](Error::is_closed).
    pub fn close(&mut self) {
        self.rx.close();
    }

    /// How many bytes of messages the pipe holds that were not read.
    pub fn capacity(&self) -> u64 {
        self.rx.ring().capacity
    }

    pub(crate) fn is_busy(&self) -> bool {
        self.rx.parts.is_some()
    }

    #[inline]
    pub(crate) fn receiving(&mut self) -> Receiving<'_, R> {
        Receiving { rx: &mut self.rx, of: PhantomData }
    }

    #[inline]
    pub(crate) fn receiving_plain<T>(&mut self) -> ReceivingPlain<'_, T> {
        ReceivingPlain { rx: &mut self.rx, of: PhantomData }
    }

    #[inline]
    pub(crate) fn receiving_bytes<'a>(&'a mut self, to: &'a mut Vec<u8>) -> ReceivingBytes<'a> {
        ReceivingBytes { rx: &mut self.rx, to: Target::Vec(to) }
    }

    #[inline]
    pub(crate) fn receiving_into<'a>(&'a mut self, to: &'a mut [u8]) -> ReceivingBytes<'a> {
        ReceivingBytes { rx: &mut self.rx, to: Target::Slice(to) }
    }

    /// The task that waited waits no more.
    pub(crate) fn stop_waiting(&self) {
        self.rx.end.stop_waiting(Side::Items);
    }

    /// Drops it without a word: somebody else has the end.
    pub(crate) fn forget(mut self) {
        self.rx.is_closed = true;
    }
}

impl<R: DeserializeOwned> Receiver<R> {
    /// Receives the next message, and waits for one.
    ///
    /// Given up in the middle, also by dropping the future, nothing is lost.
    ///
    /// # Errors
    /// After all that was sent: the other end was closed ([`Error::is_closed`]), its process died
    /// ([`Error::is_disconnected`]) or is between two lives ([`Error::is_restarting`], once). The message does not decode,
    /// and is gone. The limit of the operation.
    #[inline]
    pub fn recv(&mut self) -> Operation<impl Source<Output = R, Error = Error> + use<'_, R>> {
        waiting(MESSAGE, Ok(self.receiving()))
    }

    /// The next message, or the promise to wake the task.
    pub(crate) fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Result<R, Error>> {
        let end = Arc::clone(&self.rx.end);
        end.poll(&mut self.receiving(), cx)
    }

    /// Receives the next message if it is there.
    ///
    /// # Errors
    /// As for [`recv`](Self::recv).
    #[inline]
    pub fn try_recv(&mut self) -> Result<Option<R>, Error> {
        Receiving { rx: &mut self.rx, of: PhantomData }.look()
    }

    /// As [`recv`](Self::recv), for no longer than this.
    ///
    /// # Errors
    /// As for [`recv`](Self::recv); the time passed ([`Error::is_timeout`]).
    pub fn recv_timeout(&mut self, timeout: Duration) -> Result<R, Error> {
        self.recv().timeout(timeout).wait()
    }
}

impl<T: Pod> Receiver<Plain<T>> {
    /// As [`Receiver::recv`], of plain data as it is: one copy, out of the memory of the pipe.
    ///
    /// # Errors
    /// As for [`Receiver::recv`].
    #[inline]
    pub fn recv_plain(&mut self) -> Operation<impl Source<Output = T, Error = Error> + use<'_, T>> {
        waiting(MESSAGE, Ok(self.receiving_plain()))
    }

    /// As [`Receiver::try_recv`], of plain data as it is.
    ///
    /// # Errors
    /// As for [`Receiver::try_recv`].
    pub fn try_recv_plain(&mut self) -> Result<Option<T>, Error> {
        self.receiving_plain().look()
    }
}

impl Receiver<Raw> {
    /// As [`poll_recv`](Self::poll_recv), of bytes.
    pub(crate) fn poll_bytes(
        &mut self,
        to: &mut Vec<u8>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<usize, Error>> {
        let end = Arc::clone(&self.rx.end);
        end.poll(&mut self.receiving_bytes(to), cx)
    }

    /// Receives the bytes of the next message in place of what the vector holds, and says how many there are.
    ///
    /// # Errors
    /// As for [`Receiver::recv`].
    #[inline]
    pub fn recv_bytes<'a>(
        &'a mut self,
        to: &'a mut Vec<u8>,
    ) -> Operation<impl Source<Output = usize, Error = Error> + use<'a>> {
        waiting(MESSAGE, Ok(self.receiving_bytes(to)))
    }

    /// Receives the bytes of the next message into this buffer, by one copy, and says how many there are.
    ///
    /// # Errors
    /// As for [`Receiver::recv`]; the message is longer than the buffer ([`Error::is_limit`]), and can still be received.
    #[inline]
    pub fn recv_into<'a>(
        &'a mut self,
        to: &'a mut [u8],
    ) -> Operation<impl Source<Output = usize, Error = Error> + use<'a>> {
        waiting(MESSAGE, Ok(self.receiving_into(to)))
    }
}

/// Messages until the other end is closed. An error that is no end is an item, and so is a death, after which it is over.
impl<R: DeserializeOwned> Stream for Receiver<R> {
    type Item = Result<R, Error>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let receiver = self.get_mut();
        if receiver.is_over {
            return Poll::Ready(None);
        }
        receiver.poll_recv(cx).map(|item| match item {
            Err(error) if error.is_closed() => {
                receiver.is_over = true;
                None
            }
            item => {
                receiver.is_over = item.as_ref().is_err_and(Error::ends_receiving);
                Some(item)
            }
        })
    }
}

impl Drop for Rx {
    fn drop(&mut self) {
        self.close();
    }
}

impl<R> Unpin for Receiver<R> {}

impl<R> fmt::Debug for Receiver<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Receiver<{}>", type_name::<R>())
    }
}
