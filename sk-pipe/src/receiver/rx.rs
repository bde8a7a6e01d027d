//! Messages made of frames.

use serde::de::DeserializeOwned;
use sk_cereal::{Session, internal};
use sk_share::memory::Descriptors;

use crate::Overflow;
use crate::end::{ENDED_RECEIVING, ENDED_SENDING, End};
use crate::error::{Error, Reason};
use crate::frame::{FILES, FIRST, HEADER, Header, LAST};
use crate::ring::{Reading, Ring, Side};
use crate::sender::{FILES_PREFIX, PARTS_PREFIX, most_whole};
use crate::sync::Arc;

/// What receives bytes.
pub(crate) struct Rx {
    pub(super) end: Arc<End>,
    pub(super) reading: Reading,
    /// Where all before is free, or the frames of a message that is not whole yet begin.
    pub(super) freed: u64,
    /// The bytes of the message that is being read, or was read last.
    pub(super) bytes: Vec<u8>,
    pub(super) parts: Option<Parts>,
    /// The life of the other end whose death was told.
    pub(super) told: u64,
    /// How many messages were there when they were asked for, one after another.
    pub(super) streak: u32,
    pub(super) is_closed: bool,
    /// What was read is freed by who receives, and not at once.
    pub(super) keeps: bool,
}

/// A message of which some frames were read.
pub(super) struct Parts {
    pub(super) files: Option<(u64, u64)>,
    pub(super) filled: usize,
    pub(super) total: usize,
}

/// Where the bytes of a message are put.
pub(super) enum Into<'b> {
    /// In `Rx::bytes`.
    Here,
    /// There, if they are no more than that.
    Buffer(&'b mut [u8]),
}

/// A message that was taken.
pub(super) struct Taken {
    pub(super) length: usize,
    pub(super) files: Option<Descriptors>,
}

/// After so many messages that were there at once, who finds none lets the writer get ahead.
pub(super) const STREAK: u32 = 8;
pub(super) const RESTS: u32 = 24;

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
            keeps: false,
        })
    }

    pub(super) fn ring(&self) -> &Ring {
        &self.end.incoming
    }

    pub(crate) fn close(&mut self) {
        if !std::mem::replace(&mut self.is_closed, true) {
            self.end.close(ENDED_RECEIVING);
        }
    }

    /// One look: a message, if there is one, or why there will be none.
    #[inline]
    pub(super) fn look_to_take(&mut self, into: &mut Into<'_>) -> Result<Option<Taken>, Error> {
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

    /// A message of one frame that is there, into this buffer if it has that length: the way of nearly all. `false`: whatever
    /// is there, it is not that.
    #[inline(always)]
    pub(super) fn take_at_once(&mut self, buffer: &mut [u8]) -> Result<bool, Error> {
        let Some(header) = self.whole_frame()? else { return Ok(false) };
        if header.bytes as usize != buffer.len() {
            return Ok(false);
        }
        self.end.incoming.copy_out(&self.end.commons, self.reading.cursor + HEADER, buffer)?;
        self.go_behind(header)?;
        Ok(true)
    }

    /// As [`take_at_once`](Self::take_at_once), into `bytes`, whatever its length.
    #[inline(always)]
    pub(super) fn take_here_at_once(&mut self) -> Result<bool, Error> {
        let Some(header) = self.whole_frame()? else { return Ok(false) };
        resize(&mut self.bytes, header.bytes as usize)?;
        let from = self.reading.cursor + HEADER;
        self.end.incoming.copy_out(&self.end.commons, from, &mut self.bytes)?;
        self.go_behind(header)?;
        Ok(true)
    }

    /// The frame that is read next, if it is there, is a whole message with nothing beside it, and nobody drops it.
    #[inline(always)]
    fn whole_frame(&mut self) -> Result<Option<Header>, Error> {
        self.end.check_copied()?;
        if self.is_closed || self.end.receives_by == Overflow::DropOldest || self.parts.is_some() {
            return Ok(None);
        }
        let found = self.end.incoming.look(&self.end.commons, &self.reading)?;
        Ok(found.filter(|header| header.flags == FIRST | LAST))
    }

    #[inline(always)]
    fn go_behind(&mut self, header: Header) -> Result<(), Error> {
        self.reading.cursor += header.frame_bytes();
        self.streak = self.streak.saturating_add(1);
        self.free()
    }

    #[inline(never)]
    pub(super) fn look_for_end(&mut self, into: &mut Into<'_>) -> Result<Option<Taken>, Error> {
        let Err(end) = self.end.look_at_peer(ENDED_SENDING, Some(&mut self.told)) else {
            return Ok(None);
        };
        // It may have sent something before its end.
        match self.take(into)? {
            Some(taken) => {
                self.told = if end.is_restarting() { 0 } else { self.told };
                Ok(Some(taken))
            }
            None => {
                if !end.is_restarting() {
                    // Ends of pipes that lie beside half a message are lost, which who has the other ends is to hear.
                    self.end.link.close_files();
                    self.end.pass_on(Side::Items);
                }
                Err(end)
            }
        }
    }

    /// Takes the next message, if it is there as a whole.
    #[inline]
    pub(super) fn take(&mut self, into: &mut Into<'_>) -> Result<Option<Taken>, Error> {
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

    /// Whether the next message is there as a whole. What comes before its last frame is read, as by who receives it.
    pub(super) fn is_whole(&mut self) -> Result<bool, Error> {
        while let Some(header) = self.next_frame()? {
            if header.is(LAST) && (header.is(FIRST) || self.parts.is_some()) {
                return Ok(true);
            }
            match self.take_frame(header, &mut Into::Here) {
                Ok(_) => {}
                Err(_) if self.was_dropped()? => {}
                Err(error) => return Err(error),
            }
        }
        Ok(false)
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
    pub(super) fn was_dropped(&self) -> Result<bool, Error> {
        Ok(self.end.receives_by == Overflow::DropOldest
            && self.end.incoming.was_dropped(&self.end.commons, self.freed)?)
    }

    #[inline]
    pub(super) fn take_frame(
        &mut self,
        header: Header,
        into: &mut Into<'_>,
    ) -> Result<Option<Taken>, Error> {
        if header.flags == FIRST | LAST {
            self.parts = None;
            return self.take_whole(header, 0, None, into);
        }
        self.take_other(header, into)
    }

    /// A message of one frame.
    #[inline]
    pub(super) fn take_whole(
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
        self.done_with_files(tag)?;
        Ok(is_ours.then_some(Taken { length, files }))
    }

    /// A message with descriptors, or a part of one.
    #[cold]
    pub(super) fn take_other(
        &mut self,
        header: Header,
        into: &mut Into<'_>,
    ) -> Result<Option<Taken>, Error> {
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
            self.done_with_files(tag)?;
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
    pub(super) fn word_at(&self, header: Header, at: u64) -> Result<u64, Error> {
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
    pub(super) fn take_files(&self, tag: u64, count: u64) -> Result<Option<Descriptors>, Error> {
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

    /// What was beside a message is needed no more, and is room for who waits for that in the socket: the room in the ring
    /// was told before.
    fn done_with_files(&self, tag: u64) -> Result<(), Error> {
        self.end.link.done_with(tag);
        self.end.wake(&self.end.incoming, Side::Room)
    }

    /// Goes behind a frame, which is free from here on; false if it was dropped while it was read.
    #[inline]
    pub(super) fn advance(&mut self, header: Header) -> Result<bool, Error> {
        self.reading.cursor += header.frame_bytes();
        if self.end.receives_by == Overflow::DropOldest {
            let (from, end) = (self.freed, &self.end);
            return end.incoming.free_unless_dropped(&end.commons, from, &self.reading);
        }
        self.free()?;
        Ok(true)
    }

    #[inline(always)]
    pub(super) fn free(&mut self) -> Result<(), Error> {
        if self.keeps {
            return Ok(());
        }
        self.freed = self.reading.cursor;
        self.end.incoming.free(&self.end.commons, &self.reading)?;
        self.end.wake(&self.end.incoming, Side::Room)
    }

    /// The value in the message that was taken.
    pub(super) fn decode<R: DeserializeOwned>(&mut self, taken: Taken) -> Result<R, Error> {
        let Some(files) = taken.files else { return self.decode_bytes() };
        let session = Session::hand_over();
        session.put(files);
        let decoded = session.enter(|| internal::from_slice(&self.bytes));
        self.let_go();
        decoded.map_err(|error| Error::of_session(&session, error))
    }

    /// The value in the message that was taken, which had nothing beside it.
    #[inline]
    pub(super) fn decode_bytes<R: DeserializeOwned>(&mut self) -> Result<R, Error> {
        let decoded = internal::from_slice(&self.bytes);
        if self.bytes.capacity() > RESERVED {
            self.let_go();
        }
        decoded.map_err(Error::from)
    }

    /// A large buffer is not kept.
    fn let_go(&mut self) {
        if self.bytes.capacity() > RESERVED {
            self.bytes = Vec::new();
        }
    }
}

/// Has a buffer hold so many bytes, whatever they are.
#[inline(always)]
fn resize(bytes: &mut Vec<u8>, length: usize) -> Result<(), Error> {
    if length == bytes.len() { Ok(()) } else { resize_to_other(bytes, length) }
}

fn resize_to_other(bytes: &mut Vec<u8>, length: usize) -> Result<(), Error> {
    bytes.try_reserve(length.saturating_sub(bytes.len())).map_err(|error| {
        let error = std::io::Error::new(std::io::ErrorKind::OutOfMemory, error);
        Error::system("no memory for a message", length as u64, error)
    })?;
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

impl Drop for Rx {
    fn drop(&mut self) {
        self.close();
    }
}
