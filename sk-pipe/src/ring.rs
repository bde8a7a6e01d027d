//! One direction of a pipe: a ring of frames, each published by the store of its header.
//!
//! ```text
//!   0  tail   u64, behind the last frame; only whoever writes next after a death reads it
//! 128  head   u64, before it all was read
//! 136  broken u64, the last frame that was thrown away because nobody had what the frames before it were
//! 256  items  u32, the event count of who wants a frame
//! 260  bell   u32, 1: who wants a frame is a task, and its process waits at the socket
//! 384  room   u32, the event count of who wants room
//! 388  bell   u32, 1: the same for who wants room
//! ```
//!
//! Positions count bytes since the beginning and only grow; position `p` lies at `p` modulo the capacity. The reader
//! finds the next frame by its header alone, so that a message costs the transfer of its own lines and of no others.
//!
//! **put**: bytes behind the header; a zero where the next header will be; the header, the commit; `tail`; a fence; is
//! somebody waiting? **take**: the header; copy; `head`, the commit; a fence; is somebody waiting?
//!
//! | dies | what is left | who goes on |
//! |---|---|---|
//! | before the header is stored | a zero where it would be, anything behind it | the next writer writes there |
//! | before `tail` is stored | a frame, which may be read before anybody writes | the next writer finds it by its header |
//! | before others are woken | a frame, or room | `deaths` moves, they look |
//! | before `head` is stored | the frame | the next reader reads it |
//! | behind that, before it has the message | room | nobody: the message is gone with its reader |
//! | having freed a part of a message | the rest of it | the next reader throws it away, the writer begins again |
//!
//! Only messages of more than half of the ring are freed by parts. Whoever sends one waits until all of it was read, and
//! looks whether `broken` lies within it: then nobody has it as a whole. A message that was given up half sent, or whose
//! writer died, is followed by the first frame of another; its reader frees it then.
//!
//! With [`Overflow::DropOldest`](crate::Overflow::DropOldest) both move `head`, by compare-and-swap: a reader whose frame
//! was dropped while it copied finds that `head` has moved, and throws the copy away.
//!
//! Pairs of orderings: (P1) who loads a header sees its frame: release at the store, acquire in `look`. (P2) who loads
//! `head` comes after all that was read before it: release at the store, acquire where room is looked for. (P3) either who
//! wakes sees that somebody waits, or who waits sees the frame or the room: between the two a light fence on the side that
//! wakes, a heavy one on the side that waits. (P4) who sees anything that was written over a dropped frame sees that `head` moved: a release fence
//! behind the drop, an acquire fence in front of the load of `head` in `was_dropped`.
//! (P5) who sees in `head` that a frame was read sees whether it was thrown away: `broken` is stored before `head`, and
//! loaded after it.

use sk_share::ground::{Attempt, EventCount, Ground, Offset, Sleep};

use crate::error::{Error, Reason};
use crate::frame::frame_bytes;
pub use crate::frame::{FIRST, HEADER, Header, LAST};
use crate::sync::{Ordering, fence};

const TAIL: Offset = 0;
const HEAD: Offset = 128;
const BROKEN: Offset = 136;
const ITEMS: Offset = 256;
const ROOM: Offset = 384;
const BELL: Offset = 4;

/// No pipe lives so long that it sends more bytes, and what is added to a position does not overflow.
const MOST_POSITION: u64 = 1 << 62;

/// Where a ring lies.
#[derive(Debug, Clone, Copy)]
pub struct Ring {
    /// Its words.
    pub at: Offset,
    /// Its frames.
    pub data: Offset,
    /// How many bytes of frames, a power of two.
    pub capacity: u64,
}

/// What who writes remembers.
#[derive(Debug, Clone, Copy, Default)]
pub struct Writing {
    pub(crate) tail: u64,
    /// As it was seen last.
    head: u64,
}

/// What who reads remembers.
#[derive(Debug, Clone, Copy, Default)]
pub struct Reading {
    /// Before it all was read.
    pub cursor: u64,
}

/// Who waits at a ring, and for what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The reader, for a frame.
    Items,
    /// The writer, for room.
    Room,
}

impl Side {
    pub(crate) fn other(self) -> Side {
        match self {
            Side::Items => Side::Room,
            Side::Room => Side::Items,
        }
    }

    fn at(self) -> Offset {
        match self {
            Side::Items => ITEMS,
            Side::Room => ROOM,
        }
    }
}

impl Ring {
    /// The bytes of the words of a ring.
    pub const BYTES: u64 = 512;

    /// The least and the most bytes of frames.
    pub const CAPACITIES: std::ops::RangeInclusive<u64> =
        if cfg!(loom) { 32..=1 << 30 } else { 4096..=1 << 30 };

    #[inline(always)]
    fn word<'g, G: Ground>(
        &self,
        ground: &'g G,
        position: u64,
    ) -> Result<&'g sk_share::ground::AtomicU64, Error> {
        Ok(ground.u64(self.data + (position & (self.capacity - 1)))?)
    }

    /// How many bytes one frame can have.
    pub fn most(&self) -> u64 {
        self.capacity - 2 * HEADER
    }

    /// Copies to a position, as whole words; what is left of the last one is zero.
    #[inline(always)]
    fn copy_in<G: Ground>(&self, ground: &G, position: u64, bytes: &[u8]) -> Result<(), Error> {
        let (words, rest) = bytes.split_at(bytes.len() & !7);
        let from = position & (self.capacity - 1);
        let before_end = usize::try_from(self.capacity - from).unwrap_or(usize::MAX);
        match words.split_at_checked(before_end) {
            Some((one, two)) if !two.is_empty() => {
                ground.copy_in(self.data + from, one)?;
                ground.copy_in(self.data, two)?;
            }
            _ => ground.copy_in(self.data + from, words)?,
        }
        if !rest.is_empty() {
            let mut last = [0; 8];
            for (to, from) in last.iter_mut().zip(rest) {
                *to = *from;
            }
            let word = self.word(ground, position + words.len() as u64)?;
            word.store(u64::from_le_bytes(last), Ordering::Relaxed);
        }
        Ok(())
    }

    /// Copies from a position.
    ///
    /// # Errors
    /// The words of the ring do not lie in the memory.
    #[inline(always)]
    pub fn copy_out<G: Ground>(
        &self,
        ground: &G,
        position: u64,
        bytes: &mut [u8],
    ) -> Result<(), Error> {
        let from = position & (self.capacity - 1);
        let before_end = usize::try_from(self.capacity - from).unwrap_or(usize::MAX);
        if bytes.len() <= before_end {
            return Ok(ground.copy_out(self.data + from, bytes)?);
        }
        let (one, two) = bytes.split_at_mut(before_end);
        ground.copy_out(self.data + from, one)?;
        Ok(ground.copy_out(self.data, two)?)
    }

    fn load_head<G: Ground>(&self, ground: &G) -> Result<u64, Error> {
        // Acquire: (P2).
        Ok(ground.u64(self.at + HEAD)?.load(Ordering::Acquire))
    }

    /// Where whoever writes next goes on: behind the last frame that was published.
    ///
    /// # Errors
    /// The words of the ring are damaged.
    pub fn writing<G: Ground>(&self, ground: &G) -> Result<Writing, Error> {
        let found = ground.u64(self.at + TAIL)?.load(Ordering::Relaxed);
        // Its writer died before it moved `tail`, which `head` may have passed since.
        let frame = self.header(ground, found)?.map_or(0, Header::frame_bytes);
        let tail = found.saturating_add(frame);
        let head = self.load_head(ground)?;
        self.check(head, tail)?;
        if tail != found {
            ground.u64(self.at + TAIL)?.store(tail, Ordering::Relaxed);
        }
        Ok(Writing { tail, head })
    }

    /// Where whoever reads next goes on.
    ///
    /// # Errors
    /// The words of the ring are damaged.
    pub fn reading<G: Ground>(&self, ground: &G) -> Result<Reading, Error> {
        let cursor = self.load_head(ground)?;
        if !cursor.is_multiple_of(8) || cursor > MOST_POSITION {
            return Err(Error::new(Reason::DamagedFrame { position: cursor, found: cursor }));
        }
        Ok(Reading { cursor })
    }

    fn check(&self, head: u64, tail: u64) -> Result<(), Error> {
        let is_far = tail > MOST_POSITION || head > tail || tail - head > self.capacity - HEADER;
        if is_far || !(head | tail).is_multiple_of(8) {
            return Err(Error::new(Reason::DamagedRing { head, tail, capacity: self.capacity }));
        }
        Ok(())
    }

    #[inline(always)]
    fn header<G: Ground>(&self, ground: &G, position: u64) -> Result<Option<Header>, Error> {
        // Acquire: (P1).
        let word = self.word(ground, position)?.load(Ordering::Acquire);
        Header::from_word(word, position, self.capacity)
    }

    /// Whether there is room for a frame of so many bytes.
    ///
    /// # Errors
    /// The other side has moved `head` where it cannot be.
    #[inline(always)]
    pub fn has_room<G: Ground>(
        &self,
        ground: &G,
        writing: &mut Writing,
        bytes: u64,
    ) -> Result<bool, Error> {
        let end = writing.tail + frame_bytes(bytes) + HEADER;
        if end - writing.head <= self.capacity {
            return Ok(true);
        }
        self.look_at_head(ground, writing)?;
        Ok(end - writing.head <= self.capacity)
    }

    /// What was read since the last look is room.
    ///
    /// # Errors
    /// As for [`has_room`](Self::has_room).
    #[inline(never)]
    pub(crate) fn look_at_head<G: Ground>(
        &self,
        ground: &G,
        writing: &mut Writing,
    ) -> Result<(), Error> {
        let head = self.load_head(ground)?;
        if head < writing.head {
            let (tail, capacity) = (writing.tail, self.capacity);
            return Err(Error::new(Reason::DamagedRing { head, tail, capacity }));
        }
        self.check(head, writing.tail)?;
        writing.head = head;
        Ok(())
    }

    /// Publishes a frame of these bytes, one part behind the other, if there is room.
    ///
    /// # Errors
    /// As for [`has_room`](Self::has_room); a frame can never have so many bytes.
    #[inline(always)]
    pub fn put<G: Ground>(
        &self,
        ground: &G,
        writing: &mut Writing,
        flags: u64,
        prefix: &[u8],
        bytes: &[u8],
    ) -> Result<bool, Error> {
        let length = (prefix.len() + bytes.len()) as u64;
        let header = Header { bytes: u32::try_from(length).unwrap_or(u32::MAX), flags };
        if length > self.most() {
            return Err(Error::too_long(length, self.most()));
        }
        if !self.has_room(ground, writing, length)? {
            return Ok(false);
        }
        let position = writing.tail;
        if !prefix.is_empty() {
            self.copy_in(ground, position + HEADER, prefix)?;
        }
        self.copy_in(ground, position + HEADER + prefix.len() as u64, bytes)?;
        writing.tail += header.frame_bytes();
        self.word(ground, writing.tail)?.store(0, Ordering::Relaxed);
        ground.point("pipe.put.written");
        // Release: (P1). This store is the commit.
        self.word(ground, position)?.store(header.to_word(position), Ordering::Release);
        ground.point("pipe.put.published");
        ground.u64(self.at + TAIL)?.store(writing.tail, Ordering::Relaxed);
        Ok(true)
    }

    /// Whether all that was written was read.
    ///
    /// # Errors
    /// As for [`has_room`](Self::has_room).
    pub fn is_all_read<G: Ground>(&self, ground: &G, writing: &mut Writing) -> Result<bool, Error> {
        let head = self.load_head(ground)?;
        self.check(head, writing.tail)?;
        writing.head = head;
        Ok(head == writing.tail)
    }

    /// Drops the oldest frame that nobody has read, and says whether there was one.
    ///
    /// # Errors
    /// As for [`has_room`](Self::has_room); its header is damaged.
    pub fn drop_oldest<G: Ground>(&self, ground: &G, writing: &mut Writing) -> Result<bool, Error> {
        let head = self.load_head(ground)?;
        self.check(head, writing.tail)?;
        if head == writing.tail {
            return Ok(false);
        }
        let Some(header) = self.header(ground, head)? else {
            return Err(Error::new(Reason::DamagedFrame { position: head, found: 0 }));
        };
        let next = head + header.frame_bytes();
        self.check(next, writing.tail)?;
        // Acquire: what is written from here on comes after all that a reader read before it moved `head`. If it moved,
        // there is room too.
        let word = ground.u64(self.at + HEAD)?;
        let _ = word.compare_exchange(head, next, Ordering::AcqRel, Ordering::Acquire);
        // (P4)
        fence(Ordering::Release);
        ground.point("pipe.dropped");
        Ok(true)
    }

    /// The frame at the cursor, if it is there.
    ///
    /// # Errors
    /// It is nothing that a writer of ours puts there.
    #[inline(always)]
    pub fn look<G: Ground>(&self, ground: &G, reading: &Reading) -> Result<Option<Header>, Error> {
        self.header(ground, reading.cursor)
    }

    /// Whether a frame may be there; for who spins.
    #[inline]
    pub fn is_there<G: Ground>(&self, ground: &G, reading: &Reading) -> bool {
        self.word(ground, reading.cursor).map_or(true, |word| word.load(Ordering::Relaxed) != 0)
    }

    /// Whether room was made since the writer looked; for who spins.
    #[inline]
    pub fn is_read<G: Ground>(&self, ground: &G, writing: &Writing) -> bool {
        let head = ground.u64(self.at + HEAD).map(|word| word.load(Ordering::Relaxed));
        head.ok() != Some(writing.head)
    }

    /// All before the cursor was read, and is room from here on.
    ///
    /// # Errors
    /// None that could happen: the words were looked at before.
    #[inline(always)]
    pub fn free<G: Ground>(&self, ground: &G, reading: &Reading) -> Result<(), Error> {
        ground.point("pipe.take.copied");
        // Release: (P2). This store is the commit.
        ground.u64(self.at + HEAD)?.store(reading.cursor, Ordering::Release);
        ground.point("pipe.take.freed");
        Ok(())
    }

    /// The frame at the cursor, which is about to be freed, is thrown away.
    ///
    /// # Errors
    /// As for [`free`](Self::free).
    pub(crate) fn throw_away<G: Ground>(&self, ground: &G, reading: &Reading) -> Result<(), Error> {
        // Release: (P5).
        ground.u64(self.at + BROKEN)?.store(reading.cursor, Ordering::Release);
        Ok(())
    }

    /// Whether a frame that was written since then was thrown away.
    ///
    /// # Errors
    /// As for [`free`](Self::free).
    pub(crate) fn is_broken<G: Ground>(
        &self,
        ground: &G,
        writing: &Writing,
        since: u64,
    ) -> Result<bool, Error> {
        // Acquire: (P5).
        let broken = ground.u64(self.at + BROKEN)?.load(Ordering::Acquire);
        Ok((since + 1..writing.tail).contains(&broken))
    }

    /// As [`free`](Self::free) where a writer may have dropped what was read; then it is `false`.
    ///
    /// # Errors
    /// As for [`free`](Self::free).
    pub fn free_unless_dropped<G: Ground>(
        &self,
        ground: &G,
        from: u64,
        reading: &Reading,
    ) -> Result<bool, Error> {
        ground.point("pipe.take.copied");
        let word = ground.u64(self.at + HEAD)?;
        // Release: (P2).
        let freed =
            word.compare_exchange(from, reading.cursor, Ordering::AcqRel, Ordering::Acquire);
        ground.point("pipe.take.freed");
        Ok(freed.is_ok())
    }

    /// Whether the frame at this position was dropped by its writer, and what was seen there may be anything.
    ///
    /// # Errors
    /// As for [`copy_out`](Self::copy_out).
    pub fn was_dropped<G: Ground>(&self, ground: &G, from: u64) -> Result<bool, Error> {
        // (P4)
        fence(Ordering::Acquire);
        Ok(self.load_head(ground)? != from)
    }

    /// How many bytes of frames nobody has read, about.
    ///
    /// # Errors
    /// As for [`copy_out`](Self::copy_out).
    pub fn unread<G: Ground>(&self, ground: &G) -> Result<u64, Error> {
        let head = self.load_head(ground)?;
        let tail = ground.u64(self.at + TAIL)?.load(Ordering::Relaxed);
        Ok(tail.saturating_sub(head).min(self.capacity))
    }

    /// Whether somebody waits at this side, for who has published what they wait for: then
    /// [`wake_waiting`](Self::wake_waiting) is to be called.
    ///
    /// # Errors
    /// As for [`copy_out`](Self::copy_out).
    #[inline(always)]
    pub fn is_waited<G: Ground>(&self, ground: &G, side: Side) -> Result<bool, Error> {
        // (P3)
        ground.fence_light();
        let at = self.at + side.at();
        let count = ground.u32(at)?.load(Ordering::Relaxed);
        let bell = ground.u32(at + BELL)?.load(Ordering::Relaxed);
        Ok(EventCount::<G>::is_waited(count) || bell != 0)
    }

    /// Wakes who sleeps at this side, and says whether a task waits whose process has to be told by the socket.
    ///
    /// What is woken for was stored before.
    ///
    /// # Errors
    /// As for [`copy_out`](Self::copy_out).
    pub fn wake<G: Ground>(&self, ground: &G, side: Side) -> Result<bool, Error> {
        Ok(self.is_waited(ground, side)? && self.wake_waiting(ground, side)?)
    }

    /// As [`wake`](Self::wake), without a look whether somebody waits.
    ///
    /// # Errors
    /// As for [`copy_out`](Self::copy_out).
    #[cold]
    pub fn wake_waiting<G: Ground>(&self, ground: &G, side: Side) -> Result<bool, Error> {
        let at = self.at + side.at();
        EventCount::at(ground, at)?.notify_all();
        let bell = ground.u32(at + BELL)?;
        Ok(bell.load(Ordering::Relaxed) != 0 && bell.swap(0, Ordering::AcqRel) != 0)
    }

    /// One look of who waits at this side, or what to sleep on until the next.
    ///
    /// # Errors
    /// Those of `look`.
    pub fn look_or_sleep<G: Ground, R>(
        &self,
        ground: &G,
        side: Side,
        mut look: impl FnMut() -> Result<Option<R>, Error>,
    ) -> Result<Attempt<R>, Error> {
        // Before all that is looked at: a death from here on ends the sleep.
        let deaths = ground.deaths();
        let count = EventCount::at(ground, self.at + side.at())?;
        let expected = count.prepare();
        // (P3)
        ground.fence_heavy();
        ground.point("pipe.wait.prepared");
        Ok(match look()? {
            Some(result) => Attempt::Done(result),
            None => Attempt::Sleep(count.sleep(deaths, expected, None)),
        })
    }

    /// What who only wants to sleep a little may sleep on.
    ///
    /// # Errors
    /// As for [`copy_out`](Self::copy_out).
    pub(crate) fn any_sleep<G: Ground>(&self, ground: &G) -> Result<Sleep, Error> {
        let deaths = ground.deaths();
        let count = EventCount::at(ground, self.at + ITEMS)?;
        Ok(count.sleep(deaths, count.look(), None))
    }

    /// Says that a task waits at this side; it looks again after that.
    ///
    /// # Errors
    /// As for [`copy_out`](Self::copy_out).
    pub fn set_bell<G: Ground>(&self, ground: &G, side: Side) -> Result<(), Error> {
        ground.u32(self.at + side.at() + BELL)?.store(1, Ordering::Relaxed);
        // (P3)
        ground.fence_heavy();
        Ok(())
    }
}
