//! What an arena knows of its chunks and blocks, for whoever holds its lock.
//!
//! Facts are the table and the bitmaps: each block is taken or given back by one store. All else
//! (room, lists, hint) follows from them and is made anew by `rebuild`.

use super::super::words::{Ground, Offset};
use super::layout::{
    BITMAP, CHUNKS, Chunk, Class, EMPTY, HINT, Layout, MOST_PAGES, NEXT, PAGES, PARTIAL, ROOM,
};
use crate::error::Error;
use crate::sync::modelled::{AtomicU64, Ordering};

/// Where a block lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Block { chunk: u64, class: Class, bit: u64 },
    Run { chunk: u64, span: u64 },
}

/// The books, while the lock is held. All accesses are relaxed: (A2) and (A4) order them.
pub(super) struct Books<'b, G: Ground> {
    pub(super) ground: &'b G,
    pub(super) layout: &'b Layout,
}

impl<'b, G: Ground> Books<'b, G> {
    pub(super) fn word(&self, at: Offset) -> Result<&'b AtomicU64, Error> {
        self.ground.u64(at)
    }

    pub(super) fn get(&self, at: Offset) -> Result<u64, Error> {
        Ok(self.word(at)?.load(Ordering::Relaxed))
    }

    pub(super) fn set(&self, at: Offset, value: u64) -> Result<(), Error> {
        self.word(at)?.store(value, Ordering::Relaxed);
        Ok(())
    }

    /// A word of the header.
    pub(super) fn header(&self, at: u64) -> Result<u64, Error> {
        self.get(self.layout.at + at)
    }

    pub(super) fn set_header(&self, at: u64, value: u64) -> Result<(), Error> {
        self.set(self.layout.at + at, value)
    }

    /// How many chunks there are.
    pub(super) fn chunks(&self) -> Result<u64, Error> {
        let chunks = self.header(CHUNKS)?;
        if chunks > self.layout.most_chunks {
            return Err(Error::damaged_at("the number of chunks", self.layout.at + CHUNKS, chunks));
        }
        Ok(chunks)
    }

    pub(super) fn chunk(&self, index: u64) -> Result<Chunk, Error> {
        let at = self.layout.entry(index);
        let word = self.get(at)?;
        let chunks = self.chunks()?;
        Chunk::from_word(word)
            .filter(|chunk| match chunk {
                Chunk::Blocks(class) => self.layout.class(*class).is_some(),
                chunk => chunk.span() <= chunks.saturating_sub(index),
            })
            .ok_or_else(|| Error::damaged_at("a chunk of an arena", at, word))
    }

    pub(super) fn set_chunk(&self, index: u64, chunk: Chunk) -> Result<(), Error> {
        self.set(self.layout.entry(index), chunk.to_word())
    }

    /// Each chunk from `from` on, which begins one, and what it is.
    pub(super) fn walk(&self, from: u64) -> impl Iterator<Item = Result<(u64, Chunk), Error>> {
        let mut next = from;
        std::iter::from_fn(move || {
            let chunks = match self.chunks() {
                Ok(chunks) => chunks,
                Err(error) => return Some(Err(error)),
            };
            if next >= chunks {
                return None;
            }
            let index = next;
            let found = self.chunk(index);
            // An error ends the walk.
            next = found.as_ref().map_or(u64::MAX, |chunk| index + chunk.span());
            Some(found.map(|chunk| (index, chunk)))
        })
    }

    /// The place of a block, whether or not it is taken.
    pub(super) fn locate(&self, block: Offset) -> Result<Place, Error> {
        let damaged = || Error::damaged_at("the offset of a block", block, block);
        let inside = block.checked_sub(self.layout.first).ok_or_else(damaged)?;
        let chunk = inside / self.layout.chunk_bytes;
        if chunk >= self.chunks()? {
            return Err(damaged());
        }
        let inside = inside % self.layout.chunk_bytes;
        match self.chunk(chunk)? {
            Chunk::Blocks(class) => {
                let class = self.layout.class(class).ok_or_else(damaged)?;
                let inside = inside.checked_sub(class.begin).ok_or_else(damaged)?;
                let bit = inside / class.bytes;
                if inside % class.bytes != 0 || bit >= class.count {
                    return Err(damaged());
                }
                Ok(Place::Block { chunk, class, bit })
            }
            Chunk::Run(span) if inside == 0 => Ok(Place::Run { chunk, span }),
            // One that died before it marked its run, or after it gave it back.
            Chunk::Free if inside == 0 => Ok(Place::Run { chunk, span: 0 }),
            _ => Err(damaged()),
        }
    }

    pub(super) fn offset(&self, place: Place) -> Offset {
        match place {
            Place::Block { chunk, class, bit } => {
                self.layout.chunk(chunk) + class.begin + bit * class.bytes
            }
            Place::Run { chunk, .. } => self.layout.chunk(chunk),
        }
    }

    /// How many bytes fit a block.
    pub(super) fn bytes(&self, place: Place) -> u64 {
        match place {
            Place::Block { class, .. } => class.bytes,
            Place::Run { span, .. } => span * self.layout.chunk_bytes,
        }
    }

    fn bitmap(&self, chunk: u64, word: u64) -> Offset {
        self.layout.chunk(chunk) + BITMAP + word * 8
    }

    pub(super) fn is_used(&self, place: Place) -> Result<bool, Error> {
        match place {
            Place::Block { chunk, bit, .. } => {
                Ok(self.get(self.bitmap(chunk, bit / 64))? >> (bit % 64) & 1 == 1)
            }
            Place::Run { span, .. } => Ok(span > 0),
        }
    }

    /// A place for so many bytes that is not taken. It may grow the memory.
    pub(super) fn find(&self, bytes: u64) -> Result<Place, Error> {
        let Some(class) = self.layout.class_for(bytes) else {
            let span = bytes.div_ceil(self.layout.chunk_bytes);
            return Ok(Place::Run { chunk: self.free_chunks(span)?, span });
        };
        let head = self.layout.at + PARTIAL + class.number * 8;
        let chunk = match self.get(head)?.checked_sub(1) {
            Some(chunk) => chunk,
            None => self.add_chunk(class, head)?,
        };
        let damaged = || Error::damaged_at("the list of chunks with room", head, chunk);
        if chunk >= self.chunks()? || self.chunk(chunk)? != Chunk::Blocks(class.number) {
            return Err(damaged());
        }
        for word in 0..class.words() {
            let free = !self.get(self.bitmap(chunk, word))? & class.mask(word);
            if free != 0 {
                let bit = word * 64 + u64::from(free.trailing_zeros());
                return Ok(Place::Block { chunk, class, bit });
            }
        }
        Err(damaged())
    }

    /// Makes a free chunk one of a class that has no room.
    fn add_chunk(&self, class: Class, head: Offset) -> Result<u64, Error> {
        let chunk = self.free_chunks(1)?;
        for word in 0..class.words() {
            self.set(self.bitmap(chunk, word), 0)?;
        }
        let at = self.layout.chunk(chunk);
        self.set(at + ROOM, class.count)?;
        // Not zero if a rebuild on the way here found room.
        self.set(at + NEXT, self.get(head)?)?;
        self.ground.point("arena.chunk.filled");
        self.set_chunk(chunk, Chunk::Blocks(class.number))?;
        self.ground.point("arena.chunk.given");
        self.set_header(EMPTY, self.header(EMPTY)?.wrapping_add(1))?;
        self.set(head, chunk + 1)?;
        Ok(chunk)
    }

    /// The first of `span` free chunks in a row. It may grow the memory.
    pub(super) fn free_chunks(&self, span: u64) -> Result<u64, Error> {
        if let Ok(found) = self.free_chunks_there(span)? {
            return Ok(found);
        }
        if self.header(EMPTY)? > 0 {
            self.rebuild()?;
        }
        match self.free_chunks_there(span)? {
            Ok(found) => Ok(found),
            Err(begin) => self.grow(begin, span),
        }
    }

    /// `Err` says where the row of free chunks at the end begins, which was too short.
    fn free_chunks_there(&self, span: u64) -> Result<Result<u64, u64>, Error> {
        let mut first_free = None;
        let hint = self.header(HINT)?;
        let mut begin = hint;
        for step in self.walk(hint) {
            let (index, chunk) = step?;
            if chunk != Chunk::Free {
                begin = index + chunk.span();
                continue;
            }
            first_free.get_or_insert(index);
            if index + 1 - begin >= span {
                self.set_header(HINT, first_free.unwrap_or(begin))?;
                return Ok(Ok(begin));
            }
        }
        let chunks = self.chunks()?;
        self.set_header(HINT, first_free.unwrap_or(chunks))?;
        Ok(Err(begin.min(chunks)))
    }

    /// Has the memory grow for a row of `span` that begins at `begin`: by an eighth if it may, so
    /// that growing often costs little.
    fn grow(&self, begin: u64, span: u64) -> Result<u64, Error> {
        let chunks = self.chunks()?;
        let most = self.layout.most_chunks;
        let needed = begin.checked_add(span).filter(|needed| *needed <= most).ok_or_else(|| {
            let bytes = self.layout.chunk_bytes;
            Error::no_room(span.saturating_mul(bytes), self.layout.chunk(most))
        })?;
        let wanted = needed.max(chunks + chunks / 8).min(most);
        let grow = |to| self.ground.grow(self.layout.chunk(to)).map(|()| to);
        let to = grow(wanted)
            .or_else(|error| if wanted > needed { grow(needed) } else { Err(error) })?;
        self.ground.point("arena.grow.grown");
        for index in chunks..to {
            self.set_chunk(index, Chunk::Free)?;
        }
        self.ground.point("arena.grow.cleared");
        self.set_header(CHUNKS, to)?;
        self.ground.point("arena.grow.counted");
        Ok(begin)
    }

    /// Takes a place that `find` gave.
    pub(super) fn mark(&self, place: Place) -> Result<(), Error> {
        match place {
            Place::Run { chunk, span } => self.set_chunk(chunk, Chunk::Run(span)),
            Place::Block { chunk, class, bit } => {
                self.set_bit(chunk, bit, true)?;
                self.ground.point("arena.mark.set");
                let at = self.layout.chunk(chunk);
                let room = self.get(at + ROOM)?;
                if room == class.count {
                    self.set_header(EMPTY, self.header(EMPTY)?.wrapping_sub(1))?;
                }
                self.set(at + ROOM, room.wrapping_sub(1))?;
                if room == 1 {
                    self.ground.point("arena.mark.full");
                    let head = self.layout.at + PARTIAL + class.number * 8;
                    self.set(head, self.get(at + NEXT)?)?;
                }
                Ok(())
            }
        }
    }

    /// Gives a place back, if it is taken, with all that follows from that. Wrong lists do no harm
    /// here: they are not walked.
    pub(super) fn unmark(&self, place: Place) -> Result<(), Error> {
        if !self.is_used(place)? {
            return Ok(());
        }
        match place {
            Place::Run { chunk, .. } => self.set_chunk(chunk, Chunk::Free)?,
            Place::Block { chunk, bit, .. } => self.set_bit(chunk, bit, false)?,
        }
        self.ground.point("arena.unmark.cleared");
        match place {
            Place::Run { chunk, .. } => self.set_header(HINT, self.header(HINT)?.min(chunk)),
            Place::Block { chunk, class, .. } => {
                let at = self.layout.chunk(chunk);
                let room = self.get(at + ROOM)?;
                self.set(at + ROOM, room.wrapping_add(1))?;
                if room == 0 {
                    let head = self.layout.at + PARTIAL + class.number * 8;
                    self.set(at + NEXT, self.get(head)?)?;
                    self.ground.point("arena.unmark.listing");
                    self.set(head, chunk + 1)?;
                }
                if room.wrapping_add(1) == class.count {
                    self.set_header(EMPTY, self.header(EMPTY)?.wrapping_add(1))?;
                }
                Ok(())
            }
        }
    }

    fn set_bit(&self, chunk: u64, bit: u64, is_set: bool) -> Result<(), Error> {
        let at = self.bitmap(chunk, bit / 64);
        let mask = 1 << (bit % 64);
        let word = self.get(at)?;
        self.set(at, if is_set { word | mask } else { word & !mask })
    }

    /// How many blocks of a chunk are taken.
    pub(super) fn count_used(&self, chunk: u64, class: Class) -> Result<u64, Error> {
        (0..class.words()).try_fold(0, |sum, word| {
            let at = self.bitmap(chunk, word);
            let bits = self.get(at)?;
            if bits & !class.mask(word) != 0 {
                return Err(Error::damaged_at("a bitmap of blocks", at, bits));
            }
            Ok(sum + u64::from(bits.count_ones()))
        })
    }

    /// Makes all that is derived from table and bitmaps anew, and chunks without a block free. It may
    /// end anywhere and is then begun again.
    pub(super) fn rebuild(&self) -> Result<(), Error> {
        for class in self.layout.classes() {
            self.set_header(PARTIAL + class.number * 8, 0)?;
        }
        self.set_header(EMPTY, 0)?;
        self.ground.point("arena.rebuild.emptied");
        let mut hint = None;
        for step in self.walk(0) {
            let (index, chunk) = step?;
            let is_free = match chunk {
                Chunk::Free => true,
                Chunk::Run(_) => false,
                Chunk::Records => self.free_if_unknown(index)?,
                Chunk::Blocks(class) => self.list_or_free(index, class)?,
            };
            if is_free {
                hint.get_or_insert(index);
            }
        }
        self.ground.point("arena.rebuild.listed");
        self.set_header(
            HINT,
            match hint {
                Some(index) => index,
                None => self.chunks()?,
            },
        )
    }

    /// Lists a chunk of blocks if it has room, or frees it if it has no blocks.
    fn list_or_free(&self, index: u64, class: u64) -> Result<bool, Error> {
        let at = self.layout.chunk(index);
        let Some(class) = self.layout.class(class) else {
            return Err(Error::damaged_at("a chunk of an arena", at, class));
        };
        let used = self.count_used(index, class)?;
        if used == 0 {
            self.set_chunk(index, Chunk::Free)?;
            return Ok(true);
        }
        self.set(at + ROOM, class.count.saturating_sub(used))?;
        if used < class.count {
            let head = self.layout.at + PARTIAL + class.number * 8;
            self.set(at + NEXT, self.get(head)?)?;
            self.set(head, index + 1)?;
        }
        Ok(false)
    }

    /// Frees a chunk of records that its maker did not live to enter.
    fn free_if_unknown(&self, index: u64) -> Result<bool, Error> {
        let at = self.layout.chunk(index);
        for page in 0..MOST_PAGES {
            if self.header(PAGES + page * 8)? == at {
                return Ok(false);
            }
        }
        self.set_chunk(index, Chunk::Free)?;
        Ok(true)
    }
}
