//! Where the words of a directory lie.
//!
//! ```text
//!    0  lock       16 bytes
//!   16  serial     u64      the last number that was given to an object
//!   24  to_free    u64      how many are detached or half made, and not freed yet   (derived)
//!   32  changes    u32      the event count of those who wait for names
//!   64  segments   16 u64   blocks of entries: 64, 128, 256, ...
//!  192  holders    512 u64  for each row of the roster the member that may have pins
//!
//! entry: { serial u64, hash u64, state u64, block u64 }
//! block: { serial u64, kind u32, detached u32, body u64, fingerprint u64, name u64, type u64, spare u32, 12 free }
//!        { pins 8 u64 }, the body at 128, then the names
//! ```

use super::super::checksum::checksum;
use super::super::words::{Ground, Offset};
use crate::error::Error;
use crate::sync::modelled::Ordering;

pub(super) const SERIAL: u64 = 16;
pub(super) const TO_FREE: u64 = 24;
pub(super) const CHANGES: u64 = 32;
pub(super) const SEGMENTS: u64 = 64;
pub(super) const MOST_SEGMENTS: u64 = 16;
pub(super) const HOLDERS: u64 = 192;
/// A model has few words.
pub(super) const ROWS: u64 = if cfg!(loom) { 4 } else { 512 };

pub(super) const ENTRY_BYTES: u64 = 32;
pub(super) const FIRST_SEGMENT: u64 = if cfg!(loom) { 2 } else { 64 };

/// The state of an entry: it has a name.
pub(super) const NAMED: u64 = 0;
pub(super) const DETACHED: u64 = 1;

/// In a block.
pub(super) const KIND: u64 = 8;
pub(super) const IS_DETACHED: u64 = 12;
pub(super) const BODY: u64 = 16;
pub(super) const FINGERPRINT: u64 = 24;
pub(super) const NAME: u64 = 32;
pub(super) const TYPE_NAME: u64 = 40;
pub(super) const SPARE: u64 = 48;
pub(super) const PINS: u64 = 64;
pub(super) const PIN_WORDS: u64 = 8;
pub(super) const HEADER_BYTES: u64 = 128;

/// Where an entry lies.
#[derive(Clone, Copy)]
pub(super) struct Entry {
    pub(super) index: u64,
    pub(super) at: Offset,
}

impl Entry {
    pub(super) fn serial(self) -> Offset {
        self.at
    }

    pub(super) fn hash(self) -> Offset {
        self.at + 8
    }

    pub(super) fn state(self) -> Offset {
        self.at + 16
    }

    pub(super) fn block(self) -> Offset {
        self.at + 24
    }
}

/// The first entry of a segment, and how many it has.
pub(super) fn segment(number: u64) -> (u64, u64) {
    (FIRST_SEGMENT * ((1 << number) - 1), FIRST_SEGMENT << number)
}

/// A name as a number that is not 0; the same in every process of a build.
pub(super) fn hash_of(name: &str) -> u64 {
    checksum(0, name.as_bytes()).max(1)
}

pub(super) fn zero<G: Ground>(ground: &G, at: Offset, bytes: u64) -> Result<(), Error> {
    for step in 0..bytes.div_ceil(8) {
        ground.u64(at + step * 8)?.store(0, Ordering::Relaxed);
    }
    Ok(())
}
