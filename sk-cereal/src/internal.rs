//! Values between processes of one build, as fast as bytes can be written.
//!
//! The bytes carry no names and no types: both sides are the same program and know what to
//! expect. [`FORMAT`](crate::docs::format) describes them, [`SURVIVES`](crate::docs::survives) tells
//! what a value looks like on the other side and what cannot cross.
//!
//! ```
//! use serde::{Deserialize, Serialize};
//! use sk_cereal::internal;
//!
//! #[derive(Debug, PartialEq, Serialize, Deserialize)]
//! struct Job<'a> {
//!     name: &'a str,
//!     sizes: Vec<u64>,
//! }
//!
//! let job = Job { name: "count", sizes: vec![1, 2, 3] };
//! let bytes = internal::to_vec(&job)?;
//! // `name` borrows from `bytes`.
//! assert_eq!(internal::from_slice::<Job>(&bytes)?, job);
//! # Ok::<(), sk_cereal::Error>(())
//! ```
//!
//! The bytes may come from a process that died while writing them, or be damaged: decoding checks
//! everything that it believes, never panics, and reserves no more room than the input could fill.

mod decode;
mod encode;
mod shape;
mod wire;

use std::fmt;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::depth::{DEFAULT_DEPTH, drop_deep};
use crate::error::{Direction, Error, Reason};
use crate::header::{self, LEN, Mode};
use crate::nesting::Call;
use crate::session::Session;
use crate::track::{Off, On, Track};

use decode::Decoding;
use encode::Encoding;
use shape::Shape;
use wire::{Count, Fill, Grow, Sink};

/// How many elements that take no bytes (`Vec<()>`) a value may hold beyond one for each of its
/// bytes. Without a limit, eight bytes of input could keep a reader busy for ever.
const EMPTY_ELEMENTS: u64 = 1 << 20;

/// Encodes `value` into a fresh vector.
///
/// # Errors
/// The value holds what this mode cannot carry, passes a [limit](Limits), or its `Serialize`
/// refuses. The error names the path to it.
pub fn to_vec<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, Error> {
    Limits::default().to_vec(value)
}

/// Encodes `value` behind what `bytes` holds already, reusing its room.
///
/// # Errors
/// As [`to_vec`]; `bytes` is then as it was before.
pub fn append<T: Serialize + ?Sized>(value: &T, bytes: &mut Vec<u8>) -> Result<(), Error> {
    Limits::default().append(value, bytes)
}

/// Encodes `value` into `buffer` without allocating and returns how many bytes it took.
///
/// # Errors
/// [`ToSliceError::TooSmall`] tells how many bytes are needed; the content of `buffer` is then
/// unspecified, and what the value has left in the tables of its [`Session`] stays there. Else as
/// [`to_vec`].
///
/// ```
/// use sk_cereal::internal::{self, ToSliceError};
///
/// let mut buffer = [0; 4];
/// let error = internal::to_slice("hello", &mut buffer).unwrap_err();
/// let ToSliceError::TooSmall { needed, .. } = error else { panic!("{error}") };
///
/// let mut buffer = vec![0; needed];
/// assert_eq!(internal::to_slice("hello", &mut buffer)?, needed);
/// # Ok::<(), ToSliceError>(())
/// ```
pub fn to_slice<T: Serialize + ?Sized>(
    value: &T,
    buffer: &mut [u8],
) -> Result<usize, ToSliceError> {
    Limits::default().to_slice(value, buffer)
}

/// Decodes the value that `bytes` holds, all of them. Strings and byte slices in `T` may borrow
/// from `bytes`.
///
/// # Errors
/// The bytes are of another mode or version, damaged, written as another type, or pass a
/// [limit](Limits); or the `Deserialize` of `T` refuses. The error names the path to the part that
/// could not be decoded.
pub fn from_slice<'de, T: Deserialize<'de>>(bytes: &'de [u8]) -> Result<T, Error> {
    Limits::default().from_slice(bytes)
}

/// How many bytes `value` takes when encoded, header included. It is only counted: the `Serialize`
/// of the value sees a session in [rehearsal](Session::is_rehearsal).
///
/// # Errors
/// As [`to_vec`].
pub fn encoded_len<T: Serialize + ?Sized>(value: &T) -> Result<usize, Error> {
    Limits::default().encoded_len(value)
}

/// Whether `value` can cross to another process, found out by encoding and decoding it here.
///
/// It is what decides whether a value is kept in step between processes or stays local. Nothing
/// happens to the value: its `Serialize` sees a session in [rehearsal](Session::is_rehearsal). The
/// decoded copy is dropped.
///
/// ```
/// use sk_cereal::internal::is_encodable;
///
/// assert!(is_encodable(&vec![1, 2, 3]));
/// // serde has no form for a locked cell.
/// let cell = std::cell::RefCell::new(1);
/// let _borrowed = cell.borrow_mut();
/// assert!(!is_encodable(&cell));
/// ```
pub fn is_encodable<T: Serialize + DeserializeOwned>(value: &T) -> bool {
    Session::rehearse_hand_over(|| {
        to_vec(value).and_then(|bytes| from_slice::<T>(&bytes).map(drop)).is_ok()
    })
}

/// How large and how deep a value may be.
///
/// ```
/// use sk_cereal::internal::Limits;
///
/// let limits = Limits::default().bytes(16);
/// let error = limits.to_vec(&[0_u64; 4]).unwrap_err();
/// assert!(error.is_limit());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    bytes: usize,
    depth: u16,
}

impl Default for Limits {
    /// Any size, and 1,000 containers deep.
    fn default() -> Self {
        Limits { bytes: usize::MAX, depth: DEFAULT_DEPTH }
    }
}

impl Limits {
    /// At most so many bytes, header included, in an encoded value and in an input.
    #[must_use]
    pub fn bytes(self, bytes: usize) -> Self {
        Limits { bytes, ..self }
    }

    /// At most so many structs, sequences, maps, tuples and variants within one another, and as
    /// many `Some` and newtypes. The default of 1,000 fits on a thread's usual stack of 2 MiB.
    #[must_use]
    pub fn depth(self, depth: u16) -> Self {
        Limits { depth, ..self }
    }

    /// [`to_vec`] within these limits.
    ///
    /// # Errors
    /// As [`to_vec`].
    pub fn to_vec<T: Serialize + ?Sized>(&self, value: &T) -> Result<Vec<u8>, Error> {
        let mut bytes = Vec::new();
        self.append(value, &mut bytes)?;
        Ok(bytes)
    }

    /// [`append`] within these limits, which hold for what is appended.
    ///
    /// # Errors
    /// As [`append`].
    pub fn append<T: Serialize + ?Sized>(
        &self,
        value: &T,
        bytes: &mut Vec<u8>,
    ) -> Result<(), Error> {
        let call = Call::begin()?;
        match self.encode(value, Grow::new(bytes, self.bytes), &call) {
            Ok(_) => Ok(()),
            Err(error) => Err(self.explain_encode(value, error, &call)),
        }
    }

    /// [`to_slice`] within these limits.
    ///
    /// # Errors
    /// As [`to_slice`].
    pub fn to_slice<T: Serialize + ?Sized>(
        &self,
        value: &T,
        buffer: &mut [u8],
    ) -> Result<usize, ToSliceError> {
        let given = buffer.len();
        let call = Call::begin().map_err(ToSliceError::Encode)?;
        match self.encode(value, Fill::new(buffer), &call) {
            Ok(needed) if needed <= given => Ok(needed),
            Ok(needed) => Err(ToSliceError::TooSmall { needed, given }),
            Err(error) => Err(ToSliceError::Encode(self.explain_encode(value, error, &call))),
        }
    }

    /// [`encoded_len`] within these limits.
    ///
    /// # Errors
    /// As [`encoded_len`].
    pub fn encoded_len<T: Serialize + ?Sized>(&self, value: &T) -> Result<usize, Error> {
        let call = Call::begin()?;
        Session::rehearse_encoding(|| self.encode(value, Count::default(), &call))
            .map_err(|error| self.explain_encode(value, error, &call))
    }

    /// [`from_slice`] within these limits.
    ///
    /// # Errors
    /// As [`from_slice`].
    pub fn from_slice<'de, T: Deserialize<'de>>(&self, bytes: &'de [u8]) -> Result<T, Error> {
        let call = Call::begin()?;
        self.decode(bytes, Off, &call)
            .map_err(|error| self.explain_decode::<T>(bytes, error, &call))
    }

    /// Leaves room for the header, encodes behind it, seals it, and returns the number of bytes.
    fn encode<T: Serialize + ?Sized, S: Sink>(
        &self,
        value: &T,
        sink: S,
        call: &Call,
    ) -> Result<usize, Error> {
        let mut encoding = Encoding::new(sink, Off);
        encoding.output.put_raw(&[0; LEN])?;
        encoding.encode(value, call.depth(self.depth))?;
        if encoding.failed {
            return Err(Error::encode(Reason::Swallowed));
        }

        let (shape, elements) = (encoding.shape, encoding.elements);
        let mut sink = encoding.output.into_sink();
        let written = sink.written();
        if written > self.bytes {
            return Err(Error::encode(Reason::TooLong { needed: written, limit: self.bytes }));
        }
        let most = most_elements(written - LEN);
        if elements > most {
            return Err(Error::encode(Reason::TooManyEmpty { elements, limit: most }));
        }
        sink.seal(header::write(Mode::Internal, shape.to_bytes()));
        Ok(written)
    }

    fn decode<'de, T: Deserialize<'de>, K: Track>(
        &self,
        bytes: &'de [u8],
        track: K,
        call: &Call,
    ) -> Result<T, Error> {
        if bytes.len() > self.bytes {
            return Err(Error::decode(Reason::TooLong { needed: bytes.len(), limit: self.bytes }));
        }
        let (shape, body) = header::read(Mode::Internal, bytes)?;
        let shape = Shape::from_bytes(shape);
        let mut decoding = Decoding::new(body, track);
        let value = decoding.decode(call.depth(self.depth))?;
        decoding.track.finish();
        let left = decoding.input.left();
        let reason = if decoding.failed {
            Reason::Swallowed
        } else if left > 0 {
            Reason::Trailing { left }
        } else if !decoding.shape.has_variants_of(&shape) {
            Reason::OtherVariants
        } else if decoding.shape.fields != shape.fields {
            Reason::OtherShape
        } else {
            return Ok(value);
        };
        drop_deep(value);
        Err(Error::decode(reason))
    }

    /// Adds to `error` where in `value` it happened, by a second pass that keeps track.
    #[cold]
    fn explain_encode<T: Serialize + ?Sized>(&self, value: &T, error: Error, call: &Call) -> Error {
        if !call.is_outermost() {
            return error.into_transit();
        }
        let mut encoding = Encoding::new(Count::default(), On::new::<T>());
        let again = Session::rehearse_encoding(|| encoding.encode(value, call.depth(self.depth)));
        error.in_type::<T>(Direction::Encode).placed(again.err(), encoding.track.place())
    }

    /// Adds to `error` where in the `T` it happened, by a second pass that keeps track.
    #[cold]
    fn explain_decode<'de, T: Deserialize<'de>>(
        &self,
        bytes: &'de [u8],
        error: Error,
        call: &Call,
    ) -> Error {
        if !call.is_outermost() {
            return error.into_transit();
        }
        let mut track = On::new::<T>();
        let again = Session::rehearse_decoding(|| self.decode::<T, _>(bytes, &mut track, call));
        error.in_type::<T>(Direction::Decode).placed(again.err(), track.place())
    }
}

/// Why [`to_slice`] failed.
#[derive(Debug)]
#[non_exhaustive]
pub enum ToSliceError {
    /// The buffer is too small.
    TooSmall {
        /// How many bytes the value needs.
        needed: usize,
        /// How many bytes the buffer has.
        given: usize,
    },
    /// The value cannot be encoded.
    Encode(Error),
}

impl fmt::Display for ToSliceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ToSliceError::TooSmall { needed, given } => {
                write!(f, "the value needs {needed} bytes and the buffer has {given}")
            }
            ToSliceError::Encode(_) => f.write_str("the value cannot be encoded"),
        }
    }
}

impl std::error::Error for ToSliceError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            ToSliceError::TooSmall { .. } => None,
            ToSliceError::Encode(error) => Some(error),
        }
    }
}

/// How many elements of sequences and maps a body of so many bytes may announce in all.
fn most_elements(body: usize) -> u64 {
    EMPTY_ELEMENTS.saturating_add(body as u64)
}
