//! Where the words of an arena lie, and which sizes its blocks have.
//!
//! ```text
//!    0  lock          16 bytes
//!   16  chunk_bytes   u64   the maker, once
//!   24  most_chunks   u64   the maker, once
//!   32  first         u64   the maker, once: where chunk 0 begins
//!   40  chunks        u64   how many there are
//!   48  hint          u64   no chunk below it is free          (derived)
//!   56  records       u64   no record from here on is taken    (derived)
//!   64  pages         8 u64 chunks full of more records, as offsets
//!  128  partial       47 u64, for each class a chunk with room, plus one (derived)
//!  504  empty         u64   chunks of a class without a block   (derived)
//!  512  32 records    { owner u64, word u64, new u64, old u64 }
//! 1536  table         most_chunks u64: { 0 | kind 8 | class 8 | span 32 }
//! ```
//!
//! A chunk of blocks begins with `{ room u64 (derived), next u64 (derived) }` and its bitmap. What is
//! derived follows from the rest and is made anew when a holder of the lock has died.

use super::super::words::Offset;
use crate::error::Error;

pub(super) const CHUNK_BYTES: u64 = 16;
pub(super) const MOST_CHUNKS: u64 = 24;
pub(super) const FIRST: u64 = 32;
pub(super) const CHUNKS: u64 = 40;
pub(super) const HINT: u64 = 48;
pub(super) const RECORDS: u64 = 56;
pub(super) const PAGES: u64 = 64;
pub(super) const MOST_PAGES: u64 = 8;
pub(super) const PARTIAL: u64 = 128;
pub(super) const MOST_CLASSES: u64 = 47;
pub(super) const EMPTY: u64 = 504;
pub(super) const INNER_RECORDS: u64 = 512;
/// A model has few words.
pub(super) const MOST_INNER: u64 = if cfg!(loom) { 4 } else { 32 };
pub(super) const RECORD_BYTES: u64 = 32;
pub(super) const TABLE: u64 = INNER_RECORDS + MOST_INNER * RECORD_BYTES;

/// In a chunk of blocks.
pub(super) const ROOM: u64 = 0;
pub(super) const NEXT: u64 = 8;
pub(super) const BITMAP: u64 = 16;

/// The smallest block.
const SMALLEST: u64 = 32;
/// The first block of a chunk begins at a multiple of this, where a chunk has room for it: so blocks of
/// 128 bytes and more, whose sizes are multiples of it, share no cache line with others.
const CACHE_LINE: u64 = 64;
/// Chunks below this size are aligned to half of that.
const ROOMY: u64 = 4096;
/// Classes that are not a power of two or half as much again: what fits a chunk so many times.
const LARGE: [u64; 3] = [4, 3, 2];

/// What a chunk is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Chunk {
    Free,
    /// Blocks of a class.
    Blocks(u64),
    /// The first of so many that are one block.
    Run(u64),
    /// More records.
    Records,
}

impl Chunk {
    pub(super) fn to_word(self) -> u64 {
        match self {
            Chunk::Free => 0,
            Chunk::Blocks(class) => 1 | class << 8,
            Chunk::Run(span) => 2 | span << 32,
            Chunk::Records => 3,
        }
    }

    pub(super) fn from_word(word: u64) -> Option<Chunk> {
        let chunk = match word & 0xFF {
            0 => Chunk::Free,
            1 => Chunk::Blocks(word >> 8 & 0xFF),
            2 => Chunk::Run(word >> 32),
            3 => Chunk::Records,
            _ => return None,
        };
        (chunk.to_word() == word && chunk != Chunk::Run(0)).then_some(chunk)
    }

    /// How many chunks it is.
    pub(super) fn span(self) -> u64 {
        if let Chunk::Run(span) = self { span } else { 1 }
    }
}

/// The blocks of one class.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Class {
    pub(super) number: u64,
    pub(super) bytes: u64,
    /// How many a chunk has.
    pub(super) count: u64,
    /// Where the first begins in its chunk.
    pub(super) begin: u64,
}

impl Class {
    pub(super) fn words(self) -> u64 {
        self.count.div_ceil(64)
    }

    /// The bits of a word of the bitmap that stand for blocks.
    pub(super) fn mask(self, word: u64) -> u64 {
        match self.count.saturating_sub(word * 64) {
            64.. => u64::MAX,
            bits => (1 << bits) - 1,
        }
    }
}

/// Where the parts of one arena lie and which sizes its blocks have: what never changes, to be kept by
/// whoever uses the arena often.
#[derive(Debug, Clone)]
pub struct Layout {
    pub(super) at: Offset,
    pub(super) chunk_bytes: u64,
    pub(super) most_chunks: u64,
    pub(super) first: Offset,
    classes: Vec<Class>,
}

impl Layout {
    /// Checks what the maker wrote, or is about to write.
    pub(super) fn new(
        at: Offset,
        chunk_bytes: u64,
        most_chunks: u64,
        first: Offset,
    ) -> Result<Layout, Error> {
        let damaged = |found| Err(Error::damaged_at("the layout of an arena", at, found));
        if !(256..=1 << 30).contains(&chunk_bytes) || !chunk_bytes.is_power_of_two() {
            return damaged(chunk_bytes);
        }
        if most_chunks == 0 || most_chunks > u64::from(u32::MAX) {
            return damaged(most_chunks);
        }
        let end = at.checked_add(TABLE + most_chunks * 8);
        let last = first.checked_add(most_chunks * chunk_bytes);
        if end.is_none_or(|end| end > first)
            || last.is_none()
            || !first.is_multiple_of(CACHE_LINE / 2)
        {
            return damaged(first);
        }
        let mut layout = Layout { at, chunk_bytes, most_chunks, first, classes: Vec::new() };
        layout.add_classes();
        Ok(layout)
    }

    /// From 32 bytes on, powers of two and half as much again, while five fit a chunk; then what
    /// fits four, three and two times.
    fn add_classes(&mut self) {
        let mut bytes = SMALLEST;
        while let Some(class) = self.class_of(bytes).filter(|class| class.count >= 5) {
            self.classes.push(class);
            bytes = if bytes.is_power_of_two() { bytes / 2 * 3 } else { bytes / 3 * 4 };
        }
        for count in LARGE {
            let aligned = self.aligned();
            let bytes = (self.chunk_bytes - aligned) / count / aligned * aligned;
            let is_larger = self.classes.last().is_none_or(|last| bytes > last.bytes);
            if let Some(class) = self.class_of(bytes).filter(|_| is_larger && bytes >= SMALLEST) {
                self.classes.push(class);
            }
        }
        self.classes.truncate(usize::try_from(MOST_CLASSES).unwrap_or(usize::MAX));
    }

    fn aligned(&self) -> u64 {
        if self.chunk_bytes < ROOMY { CACHE_LINE / 2 } else { CACHE_LINE }
    }

    fn class_of(&self, bytes: u64) -> Option<Class> {
        let number = self.classes.len() as u64;
        let mut count = (self.chunk_bytes.checked_sub(BITMAP)? / bytes).max(1);
        loop {
            let begin = (BITMAP + count.div_ceil(64) * 8).next_multiple_of(self.aligned());
            if begin + count * bytes <= self.chunk_bytes {
                return Some(Class { number, bytes, count, begin });
            }
            count = count.checked_sub(1).filter(|count| *count > 0)?;
        }
    }

    /// The smallest class with room for so many bytes; `None` if that takes a run.
    pub(super) fn class_for(&self, bytes: u64) -> Option<Class> {
        let index = self.classes.partition_point(|class| class.bytes < bytes);
        self.classes.get(index).copied()
    }

    pub(super) fn class(&self, number: u64) -> Option<Class> {
        self.classes.get(usize::try_from(number).ok()?).copied()
    }

    pub(super) fn classes(&self) -> &[Class] {
        &self.classes
    }

    pub(super) fn chunk(&self, index: u64) -> Offset {
        self.first + index * self.chunk_bytes
    }

    pub(super) fn entry(&self, index: u64) -> Offset {
        self.at + TABLE + index * 8
    }

    /// How many records lie in a chunk of them.
    pub(super) fn records_in_page(&self) -> u64 {
        self.chunk_bytes / RECORD_BYTES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_grow_and_fit_their_chunk() {
        for shift in [8, 9, 12, 16, 20] {
            let layout = Layout::new(0, 1 << shift, 4, 1 << 20).unwrap();
            let classes = layout.classes();
            assert!(classes.is_sorted_by(|one, two| one.bytes < two.bytes), "{classes:?}");
            for (number, class) in classes.iter().enumerate() {
                assert_eq!(class.number, number as u64);
                assert!(class.begin >= BITMAP + class.words() * 8);
                assert!(class.begin + class.count * class.bytes <= 1 << shift);
                assert_eq!(class.begin % layout.aligned(), 0);
                let is_line = class.bytes >= 128 && shift >= 12;
                assert_eq!(class.bytes % if is_line { CACHE_LINE } else { 16 }, 0, "{class:?}");
                assert_eq!(layout.class_for(class.bytes), Some(*class));
            }
        }
    }

    #[test]
    fn a_chunk_is_a_word_and_back() {
        for chunk in [Chunk::Free, Chunk::Blocks(7), Chunk::Run(9), Chunk::Records] {
            assert_eq!(Chunk::from_word(chunk.to_word()), Some(chunk));
        }
        for word in [4, 2, 0x100, 1 | 1 << 16, 2 | 1 << 8 | 1 << 32, 3 | 1 << 40] {
            assert_eq!(Chunk::from_word(word), None, "{word:#x}");
        }
    }
}
