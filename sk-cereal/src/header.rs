//! The eight bytes in front of every encoded value: bytes of one kind are never read as another.
//!
//! The first byte is `0x9e`. It begins no UTF-8 text, so no JSON, and as a protobuf tag it has the
//! wire type 6, which does not exist: readers of either refuse our bytes at the first byte.

use std::fmt;

use crate::error::{Error, Reason};

/// How many bytes the header takes.
pub const LEN: usize = 8;

/// The version of the format that this build writes and reads.
pub const VERSION: u8 = 1;

const MAGIC: [u8; 2] = [0x9e, b'S'];

/// How the bytes behind a header are encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Mode {
    /// Between processes of one build: [`internal`](crate::internal).
    Internal,
    /// A mode that this build does not know, by its number.
    Unknown(u8),
}

impl Mode {
    /// The mode of `bytes`, or `None` if they do not begin with a header of this crate.
    ///
    /// ```
    /// use sk_cereal::header::Mode;
    ///
    /// let bytes = sk_cereal::internal::to_vec("hello")?;
    /// assert_eq!(Mode::of(&bytes), Some(Mode::Internal));
    /// assert_eq!(Mode::of(b"{\"a\": 1}"), None);
    /// # Ok::<(), sk_cereal::Error>(())
    /// ```
    pub fn of(bytes: &[u8]) -> Option<Mode> {
        bytes.first_chunk::<LEN>()?.strip_prefix(&MAGIC).and_then(<[u8]>::first).map(|&mode| {
            match mode {
                1 => Mode::Internal,
                other => Mode::Unknown(other),
            }
        })
    }

    fn number(self) -> u8 {
        match self {
            Mode::Internal => 1,
            Mode::Unknown(number) => number,
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Mode::Internal => f.write_str("internal"),
            Mode::Unknown(number) => write!(f, "unknown ({number})"),
        }
    }
}

/// The header of a value of this `mode` and `shape`.
pub(crate) fn write(mode: Mode, shape: [u8; 4]) -> [u8; LEN] {
    let ([magic, kind], [a, b, c, d]) = (MAGIC, shape);
    [magic, kind, mode.number(), VERSION, a, b, c, d]
}

/// Splits `bytes` into the shape that the header gives and the encoded value behind it.
pub(crate) fn read(expected: Mode, bytes: &[u8]) -> Result<([u8; 4], &[u8]), Error> {
    let Some(found) = Mode::of(bytes) else {
        let beginning = bytes.get(..MAGIC.len()).unwrap_or(bytes);
        return Err(Error::decode(if MAGIC.starts_with(beginning) {
            Reason::Truncated { needed: LEN, left: bytes.len() }
        } else {
            Reason::NotOurs { start: bytes.iter().copied().take(LEN).collect() }
        }));
    };
    if found != expected {
        return Err(Error::decode(Reason::WrongMode { expected, found }));
    }
    match bytes {
        [_, _, _, VERSION, a, b, c, d, value @ ..] => Ok(([*a, *b, *c, *d], value)),
        [_, _, _, version, ..] => Err(Error::decode(Reason::WrongVersion { found: *version })),
        _ => Err(Error::decode(Reason::Truncated { needed: LEN, left: bytes.len() })),
    }
}
