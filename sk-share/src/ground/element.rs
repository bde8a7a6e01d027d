//! What lists and queues keep: elements of any length in entries of one stride.
//!
//! ```text
//! entry  0  header  u64  { check 48 | length 16 }, or IN_BLOCK
//!        8  block   u64, a word of the arena's
//!       16  bytes of an element that fits
//! block  0  length  u64
//!        8  check   u64
//!       16  bytes
//! ```
//!
//! `block` belongs to the entry whether or not the header says that it counts: an entry may keep one
//! that could not be given back yet. The check is of the element's index and its bytes, so that a
//! torn element, a stray store and an element of another index are told. It is no defence against intent.

use super::arena::Arena;
use super::checksum::checksum;
use super::words::{Ground, Offset};
use crate::error::Error;
use crate::sync::modelled::Ordering;

/// Where the block of an entry is.
pub(super) const BLOCK: u64 = 8;
/// Where the bytes of an entry begin.
pub(super) const BYTES: u64 = 16;
/// The header of an entry whose element lies in its block.
pub(super) const IN_BLOCK: u64 = LENGTH;

/// The bits of a header that are the length.
const LENGTH: u64 = 0xFFFF;
/// Where the bytes of a block begin.
const BLOCK_BYTES: u64 = 16;
/// The most that an entry may hold itself.
const MOST_INLINE: u64 = 4080;

/// How the entries of a collection lie in a block: all of one stride.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shape {
    stride: u64,
}

impl Shape {
    /// Entries that hold at least so many bytes themselves.
    ///
    /// # Errors
    ///
    /// Too long, if that is more than 4080.
    pub(super) fn new(inline: u64) -> Result<Shape, Error> {
        if inline > MOST_INLINE {
            return Err(Error::too_long("what an entry itself may hold", inline, MOST_INLINE));
        }
        Ok(Shape { stride: Shape::stride_for(inline) })
    }

    /// A power of two as long as that is within a cache line, then whole lines.
    const fn stride_for(inline: u64) -> u64 {
        match BYTES + inline {
            0..=32 => 32,
            33..=64 => 64,
            bytes => bytes.next_multiple_of(64),
        }
    }

    /// How many bytes an entry made for so many holds itself.
    pub(super) const fn inline_for(inline: u64) -> u64 {
        Shape::stride_for(inline) - BYTES
    }

    /// The shape of which [`to_word`](Shape::to_word) is the word.
    pub(super) fn from_word(kind: u32, word: u64) -> Option<Shape> {
        let stride = word & u64::from(u32::MAX);
        let shape = Shape::new(stride.checked_sub(BYTES)?).ok()?;
        (shape.to_word(kind) == word).then_some(shape)
    }

    /// `{ kind 32 | stride 32 }`.
    pub(super) fn to_word(self, kind: u32) -> u64 {
        u64::from(kind) << 32 | self.stride
    }

    pub(super) fn stride(self) -> u64 {
        self.stride
    }

    /// How many bytes an entry holds itself.
    pub(super) fn inline(self) -> u64 {
        self.stride - BYTES
    }

    /// Whether an element of so many bytes lies in its entry.
    pub(super) fn fits(self, bytes: &[u8]) -> bool {
        bytes.len() as u64 <= self.inline()
    }

    /// What entries begin at multiples of: then those of a power of two lie within one line or on
    /// whole ones.
    fn align(self) -> u64 {
        if self.stride.is_power_of_two() { self.stride } else { 64 }
    }

    /// How long a block for so many entries has to be, which may begin anywhere.
    pub(super) fn bytes_for<G: Ground>(self, arena: &Arena<'_, G>, count: u64) -> u64 {
        let bytes = count.saturating_mul(self.stride);
        // Blocks begin at multiples of sixteen.
        let spare = if arena.is_aligned(bytes, self.align()) { 0 } else { self.align() - 16 };
        bytes.saturating_add(spare)
    }

    /// Where the first of `count` entries in a block is; `None` if they cannot lie there.
    pub(super) fn first<G: Ground>(
        self,
        arena: &Arena<'_, G>,
        block: Offset,
        count: u64,
    ) -> Option<Offset> {
        let first = block.checked_next_multiple_of(self.align())?;
        let bytes = count.checked_mul(self.stride)?;
        (block != 0 && arena.may_hold(first, bytes)).then_some(first)
    }
}

/// The header of an element that lies in its entry.
pub(super) fn header_of(index: u64, bytes: &[u8]) -> u64 {
    checksum(index, bytes) & !LENGTH | bytes.len() as u64 & LENGTH
}

/// Appends to `out` the element of that `header` whose bytes are at `at`.
pub(super) fn append_inline<G: Ground>(
    ground: &G,
    shape: Shape,
    index: u64,
    header: u64,
    at: Offset,
    out: &mut Vec<u8>,
) -> Result<(), Error> {
    let damaged = || Error::damaged_at("the header of an entry", at, header);
    let length = header & LENGTH;
    if length > shape.inline() {
        return Err(damaged());
    }
    let bytes = append(ground, at, length, out)?;
    if header_of(index, bytes) == header { Ok(()) } else { Err(damaged()) }
}

/// Fills a block of the caller's with an element.
pub(super) fn fill_block<G: Ground>(
    ground: &G,
    block: Offset,
    index: u64,
    bytes: &[u8],
) -> Result<(), Error> {
    ground.u64(block)?.store(bytes.len() as u64, Ordering::Relaxed);
    ground.u64(block + 8)?.store(checksum(index, bytes), Ordering::Relaxed);
    ground.copy_in(block + BLOCK_BYTES, bytes)
}

/// How long the block of an element has to be.
pub(super) fn block_bytes(bytes: &[u8]) -> u64 {
    BLOCK_BYTES + bytes.len() as u64
}

/// Appends to `out` the element in a block. `is_overtaken` is asked before memory is: the
/// length may be of another element by now.
pub(super) fn append_block<G: Ground>(
    ground: &G,
    arena: &Arena<'_, G>,
    index: u64,
    block: Offset,
    out: &mut Vec<u8>,
    is_overtaken: impl FnOnce() -> bool,
) -> Result<(), Error> {
    let damaged = |found| Error::damaged_at("the block of an entry", block, found);
    if !arena.may_hold(block, BLOCK_BYTES) {
        return Err(damaged(block));
    }
    let length = ground.u64(block)?.load(Ordering::Relaxed);
    let check = ground.u64(block + 8)?.load(Ordering::Relaxed);
    let end = length.checked_add(block + BLOCK_BYTES);
    if is_overtaken() || end.is_none_or(|end| end > ground.length()) {
        return Err(damaged(length));
    }
    let bytes = append(ground, block + BLOCK_BYTES, length, out)?;
    let found = checksum(index, bytes);
    if found == check { Ok(()) } else { Err(damaged(found)) }
}

fn append<'o, G: Ground>(
    ground: &G,
    at: Offset,
    length: u64,
    out: &'o mut Vec<u8>,
) -> Result<&'o [u8], Error> {
    let length = usize::try_from(length)
        .map_err(|_| Error::damaged_at("the length of an element", at, length))?;
    let from = out.len();
    out.resize(from + length, 0);
    let room = out.get_mut(from..).unwrap_or_default();
    ground.copy_out(at, room)?;
    Ok(room)
}
