//! Plain values to bytes and back: the one file that knows bincode.
//!
//! bincode 2.0.1 writes and reads the primitives, in its `legacy` configuration: little-endian,
//! fixed width, lengths as u64, variants as u32. wincode reads the same bytes, so that a later
//! change of the library changes no data. Its serde front end is not used: ours ([`super::encode`],
//! [`super::decode`]) has to check what bincode's passes on, and needs to know how much input is
//! left before it believes a length.

use std::fmt::Display;

use bincode::config::{Configuration, Fixint, LittleEndian, NoLimit, legacy};
use bincode::de::read::Reader;
use bincode::de::{Decode, Decoder as _, DecoderImpl};
use bincode::enc::write::Writer;
use bincode::enc::{Encode, Encoder as _, EncoderImpl};
use bincode::error::{DecodeError, EncodeError};

use crate::error::{Error, Reason};
use crate::header::LEN;

type Config = Configuration<LittleEndian, Fixint, NoLimit>;

/// What the wire carries as it is.
pub(super) trait Scalar: Encode + Decode<()> + Display + Copy {}

impl<V: Encode + Decode<()> + Display + Copy> Scalar for V {}

/// Where encoded bytes go.
pub(super) trait Sink: Writer {
    /// How many bytes were written, those that found no room included.
    fn written(&self) -> usize;

    /// Puts `bytes` over what was written at `at`, counted as `written` counts.
    fn patch(&mut self, at: usize, bytes: [u8; LEN]);

    /// The value is complete, and this belongs over the first bytes that were written.
    fn seal(&mut self, header: [u8; LEN]);

    /// Why the last write was refused, if it was.
    fn refusal(&mut self) -> Option<Reason> {
        None
    }
}

/// The writing side.
pub(super) struct Output<S: Sink>(EncoderImpl<S, Config>);

impl<S: Sink> Output<S> {
    pub(super) fn new(sink: S) -> Self {
        Output(EncoderImpl::new(sink, legacy()))
    }

    #[inline]
    pub(super) fn put<V: Scalar>(&mut self, value: V) -> Result<(), Error> {
        value.encode(&mut self.0).map_err(|error| self.refused(&error))
    }

    /// A length and as many bytes, in one copy.
    #[inline]
    pub(super) fn put_bytes(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.put(bytes.len() as u64)?;
        self.put_raw(bytes)
    }

    #[inline]
    pub(super) fn put_raw(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.0.writer().write(bytes).map_err(|error| self.refused(&error))
    }

    /// How many bytes were written.
    #[inline]
    pub(super) fn written(&mut self) -> usize {
        self.0.writer().written()
    }

    /// Puts a length over the one that was written at `at`.
    pub(super) fn patch_length(&mut self, at: usize, length: usize) {
        self.0.writer().patch(at, (length as u64).to_le_bytes());
    }

    pub(super) fn into_sink(self) -> S {
        self.0.into_writer()
    }

    #[cold]
    fn refused(&mut self, error: &EncodeError) -> Error {
        let refusal = self.0.writer().refusal();
        Error::encode(refusal.unwrap_or_else(|| Reason::Said(error.to_string())))
    }
}

/// Appends to a vector, which never grows beyond the limit, and takes it all back when it is
/// dropped unsealed: by an error, or by a panic in a user's `Serialize`.
///
/// It holds the vector itself and returns it in the end: through the reference each small write
/// would cost half as much again.
pub(super) struct Grow<'a> {
    owner: &'a mut Vec<u8>,
    bytes: Vec<u8>,
    start: usize,
    keep: usize,
    limit: usize,
    refused: Option<Reason>,
}

impl<'a> Grow<'a> {
    /// The least room made at once.
    const STEP: usize = 64;
    const SMALL: usize = 4 << 10;

    pub(super) fn new(owner: &'a mut Vec<u8>, limit: usize) -> Self {
        let bytes = std::mem::take(owner);
        let start = bytes.len();
        Grow { owner, bytes, start, keep: start, limit, refused: None }
    }

    #[cold]
    fn grow(&mut self, more: usize) -> Result<(), EncodeError> {
        let needed = self.bytes.len().saturating_add(more);
        let most = self.start.saturating_add(self.limit);
        // Small vectors grow in large steps: most of what they cost is the steps.
        let factor = if self.bytes.capacity() < Self::SMALL { 4 } else { 2 };
        let more_room = self.bytes.capacity().saturating_mul(factor).max(Self::STEP);
        let target = more_room.min(most).max(needed);
        self.refused = if needed > most {
            Some(Reason::TooLong { needed: needed - self.start, limit: self.limit })
        } else if self.bytes.try_reserve_exact(target - self.bytes.len()).is_err() {
            Some(Reason::OutOfMemory { needed: target })
        } else {
            return Ok(());
        };
        Err(EncodeError::UnexpectedEnd)
    }
}

impl Drop for Grow<'_> {
    fn drop(&mut self) {
        self.bytes.truncate(self.keep);
        *self.owner = std::mem::take(&mut self.bytes);
    }
}

impl Writer for Grow<'_> {
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> Result<(), EncodeError> {
        if self.bytes.capacity() - self.bytes.len() < bytes.len() {
            self.grow(bytes.len())?;
        }
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }
}

impl Sink for Grow<'_> {
    fn written(&self) -> usize {
        self.bytes.len() - self.start
    }

    fn patch(&mut self, at: usize, bytes: [u8; LEN]) {
        let at = self.start + at;
        if let Some(place) = self.bytes.get_mut(at..at + LEN) {
            place.copy_from_slice(&bytes);
        }
    }

    fn seal(&mut self, header: [u8; LEN]) {
        self.patch(0, header);
        self.keep = self.bytes.len();
    }

    fn refusal(&mut self) -> Option<Reason> {
        self.refused.take()
    }
}

/// Fills a slice, and goes on counting when it is full: one pass tells how much is needed.
pub(super) struct Fill<'a> {
    buffer: &'a mut [u8],
    written: usize,
}

impl<'a> Fill<'a> {
    pub(super) fn new(buffer: &'a mut [u8]) -> Self {
        Fill { buffer, written: 0 }
    }
}

impl Writer for Fill<'_> {
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> Result<(), EncodeError> {
        let end = self.written.saturating_add(bytes.len());
        if let Some(room) = self.buffer.get_mut(self.written..end) {
            room.copy_from_slice(bytes);
        }
        self.written = end;
        Ok(())
    }
}

impl Sink for Fill<'_> {
    fn written(&self) -> usize {
        self.written
    }

    fn patch(&mut self, at: usize, bytes: [u8; LEN]) {
        if let Some(place) = self.buffer.get_mut(at..at.saturating_add(LEN)) {
            place.copy_from_slice(&bytes);
        }
    }

    fn seal(&mut self, header: [u8; LEN]) {
        self.patch(0, header);
    }
}

/// Counts.
#[derive(Default)]
pub(super) struct Count(usize);

impl Writer for Count {
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> Result<(), EncodeError> {
        self.0 = self.0.saturating_add(bytes.len());
        Ok(())
    }
}

impl Sink for Count {
    fn written(&self) -> usize {
        self.0
    }

    fn patch(&mut self, _: usize, _: [u8; LEN]) {}

    fn seal(&mut self, _: [u8; LEN]) {}
}

/// The reading side.
pub(super) struct Input<'de>(DecoderImpl<Rest<'de>, Config, ()>);

/// What is left of the input.
struct Rest<'de>(&'de [u8]);

impl Reader for Rest<'_> {
    #[inline]
    fn read(&mut self, out: &mut [u8]) -> Result<(), DecodeError> {
        let Some((taken, rest)) = self.0.split_at_checked(out.len()) else {
            return Err(DecodeError::UnexpectedEnd { additional: out.len() - self.0.len() });
        };
        out.copy_from_slice(taken);
        self.0 = rest;
        Ok(())
    }
}

impl<'de> Input<'de> {
    pub(super) fn new(bytes: &'de [u8]) -> Self {
        Input(DecoderImpl::new(Rest(bytes), legacy(), ()))
    }

    #[inline]
    pub(super) fn left(&mut self) -> usize {
        self.0.reader().0.len()
    }

    #[inline]
    pub(super) fn take<V: Scalar>(&mut self) -> Result<V, Error> {
        V::decode(&mut self.0).map_err(|error| self.refused(&error))
    }

    /// A length of things that take up to `left()` bytes in all.
    #[inline]
    pub(super) fn take_length(&mut self) -> Result<usize, Error> {
        let length: u64 = self.take()?;
        usize::try_from(length).map_err(|_| self.beyond(length))
    }

    /// A length and as many bytes, borrowed from the input.
    #[inline]
    pub(super) fn take_bytes(&mut self) -> Result<&'de [u8], Error> {
        let length = self.take_length()?;
        let rest = &mut self.0.reader().0;
        match rest.split_at_checked(length) {
            Some((taken, left)) => {
                *rest = left;
                Ok(taken)
            }
            None => Err(self.beyond(length as u64)),
        }
    }

    #[cold]
    pub(super) fn beyond(&mut self, length: u64) -> Error {
        Error::decode(Reason::LengthBeyondInput { length, left: self.left() })
    }

    #[cold]
    fn refused(&mut self, error: &DecodeError) -> Error {
        let left = self.left();
        Error::decode(match error {
            DecodeError::UnexpectedEnd { additional } => {
                Reason::Truncated { needed: left.saturating_add(*additional), left }
            }
            DecodeError::InvalidBooleanValue(found) => {
                Reason::InvalidByte { what: "bool", found: *found }
            }
            DecodeError::InvalidCharEncoding([found, ..]) => {
                Reason::InvalidByte { what: "start of a char", found: *found }
            }
            other => Reason::Said(other.to_string()),
        })
    }
}
