//! The header of a frame: one word, whose store publishes the frame behind it.
//!
//! ```text
//! u64  { sequence 24 | zero 4 | FILES 1 | LAST 1 | FIRST 1 | THERE 1 | bytes 32 }
//! ```
//!
//! The sequence is the position of the header in words, so that a header of an earlier lap, or a word of somebody's
//! message, is not taken for one. Zero says that nothing is there yet.

use crate::error::{Error, Reason};

const THERE: u64 = 1 << 32;
/// A message begins with this frame.
pub const FIRST: u64 = 1 << 33;
/// A message ends with this frame.
pub const LAST: u64 = 1 << 34;
/// Descriptors travel beside the message, and the frame begins with how many and which.
pub(crate) const FILES: u64 = 1 << 35;
const FLAGS: u64 = FIRST | LAST | FILES;
const SEQUENCE: u32 = 40;

/// The bytes of a header.
pub const HEADER: u64 = 8;

/// What a header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// How many bytes are behind it.
    pub bytes: u32,
    /// Of `FIRST`, `LAST` and `FILES`.
    pub flags: u64,
}

fn sequence_of(position: u64) -> u64 {
    (position / 8) << SEQUENCE
}

impl Header {
    pub(crate) fn to_word(self, position: u64) -> u64 {
        sequence_of(position) | self.flags | THERE | u64::from(self.bytes)
    }

    /// What the word at this position says, if anything; a frame of it lies within `capacity`.
    ///
    /// # Errors
    /// It is nothing that a writer of ours puts there.
    #[inline]
    pub(crate) fn from_word(
        word: u64,
        position: u64,
        capacity: u64,
    ) -> Result<Option<Header>, Error> {
        if word == 0 {
            return Ok(None);
        }
        let flags = word & FLAGS;
        let bytes = u32::try_from(word & u64::from(u32::MAX)).unwrap_or(u32::MAX);
        let header = Header { bytes, flags };
        if header.to_word(position) != word || header.frame_bytes() + HEADER > capacity {
            return Err(Error::new(Reason::DamagedFrame { position, found: word }));
        }
        Ok(Some(header))
    }

    /// How many bytes of the ring the frame takes.
    #[inline]
    pub fn frame_bytes(self) -> u64 {
        frame_bytes(u64::from(self.bytes))
    }

    pub(crate) fn is(self, flag: u64) -> bool {
        self.flags & flag != 0
    }
}

/// How many bytes of the ring a frame of so many bytes takes.
#[inline]
pub(crate) fn frame_bytes(bytes: u64) -> u64 {
    HEADER + bytes.next_multiple_of(8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_read_back_only_where_it_was_written() {
        let header = Header { bytes: 64, flags: FIRST | LAST };
        let word = header.to_word(4096);
        assert_eq!(Header::from_word(word, 4096, 8192).unwrap(), Some(header));
        assert!(Header::from_word(word, 4104, 8192).is_err());
        assert!(Header::from_word(word, 4096 + 65536, 8192).is_err());
        assert!(Header::from_word(word, 4096, 64).is_err());
        assert!(Header::from_word(word | 1 << 37, 4096, 8192).is_err());
        assert_eq!(Header::from_word(0, 4096, 8192).unwrap(), None);
        assert!(Header::from_word(u64::MAX, 4096, 8192).is_err());
        assert!(Header::from_word(64, 4096, 8192).is_err());
    }
}
