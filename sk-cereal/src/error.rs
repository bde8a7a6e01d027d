//! The one error of this crate: what went wrong, where in the value, and in which type.

use std::cell::RefCell;
use std::fmt;

use crate::header::{Mode, VERSION};
use crate::track::Place;

/// Why a value could not be encoded or decoded.
///
/// It names the type that was asked for, the path to the part that failed
/// (`job.items[3].conn`), the type of that part, and the reason:
///
/// ```text
/// cannot encode my_app::Job at job.items[3].conn (my_app::Conn): a socket does not cross processes
/// ```
///
/// The path begins with the name of the outermost struct or enum in snake case, or with `root`
/// where there is none. It is found by a second, tracking pass after a failure, so that the first
/// pass stays fast; where the second pass does not fail in the same way (a value whose `Serialize`
/// has side effects), [`path`](Error::path) is `None`.
///
/// One word wide. The kinds of failure are not an enum that callers match: they grow with each
/// mode. The questions that a program has reason to ask are the `is_` methods.
pub struct Error(Box<Repr>);

struct Repr {
    direction: Direction,
    root: Option<&'static str>,
    place: Option<Place>,
    reason: Reason,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    Encode,
    Decode,
}

/// What went wrong, without where.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Reason {
    /// What a user's `Serialize`, `Deserialize` or `Visitor` said.
    Said(String),
    /// Something that this mode cannot carry, and what to do instead.
    Unsupported {
        what: &'static str,
        detail: Option<&'static str>,
        instead: &'static str,
    },
    TooDeep {
        limit: u16,
    },
    TooLong {
        needed: usize,
        limit: usize,
    },
    OutOfMemory {
        needed: usize,
    },
    TooManyEmpty {
        elements: u64,
        limit: u64,
    },
    WrongCount {
        announced: usize,
        written: usize,
    },
    /// A key without a value, or the other way round.
    HalfAnEntry,
    /// A `Serialize` or `Deserialize` went on after a part of it had failed.
    Swallowed,
    /// Calls of the codec within calls of the codec.
    TooNested {
        limit: u32,
    },
    /// A reader that did not read all elements.
    Unread {
        left: usize,
    },
    Truncated {
        needed: usize,
        left: usize,
    },
    LengthBeyondInput {
        length: u64,
        left: usize,
    },
    Trailing {
        left: usize,
    },
    OtherShape,
    OtherVariants,
    InvalidByte {
        what: &'static str,
        found: u8,
    },
    InvalidText {
        valid_up_to: usize,
    },
    PartOfANumber {
        bytes: usize,
        size: usize,
    },
    OtherLength {
        found: usize,
    },
    NotOurs {
        start: Vec<u8>,
    },
    WrongMode {
        expected: Mode,
        found: Mode,
    },
    NotJson {
        found: Mode,
    },
    WrongVersion {
        found: u8,
    },
    Json {
        line: usize,
        column: usize,
        reason: Box<Reason>,
    },
    NoSession {
        type_name: &'static str,
    },
    NoSnapshot {
        type_name: &'static str,
    },
}

impl Error {
    #[cold]
    pub(crate) fn encode(reason: Reason) -> Self {
        Self::of(Direction::Encode, reason)
    }

    #[cold]
    pub(crate) fn decode(reason: Reason) -> Self {
        Self::of(Direction::Decode, reason)
    }

    fn of(direction: Direction, reason: Reason) -> Self {
        Error(Box::new(Repr { direction, root: None, place: None, reason }))
    }

    /// The same failure, told as one of `T`.
    pub(crate) fn in_type<T: ?Sized>(mut self, direction: Direction) -> Self {
        self.0.direction = direction;
        self.0.root = Some(std::any::type_name::<T>());
        self
    }

    /// The same failure on its way through the error type of an outer call of the codec.
    pub(crate) fn into_transit(self) -> Self {
        in_transit(self.0.reason.clone());
        self
    }

    /// The same failure with the place that a second pass found, if that failed for the same
    /// reason. A first pass that had side effects may make the second fail earlier: then its
    /// place is not the place of this failure.
    pub(crate) fn placed(mut self, again: Option<Error>, place: Option<Place>) -> Self {
        let same = again.is_some_and(|again| again.0.reason == self.0.reason);
        if same {
            self.0.place = place;
        }
        self
    }

    /// The path to the part that failed, `job.items[3].conn`; `None` where it is not known.
    pub fn path(&self) -> Option<&str> {
        self.0.place.as_ref().map(|place| place.path.as_str())
    }

    /// The type of the part that failed, as [`std::any::type_name`] writes it; `None` where it is not
    /// known.
    pub fn type_name(&self) -> Option<&'static str> {
        self.0.place.as_ref().map_or(self.0.root, |place| place.type_name)
    }

    /// The value holds something that this mode cannot carry, such as a field with
    /// `skip_serializing_if`; the message says what to do instead.
    pub fn is_unsupported(&self) -> bool {
        matches!(self.0.reason, Reason::Unsupported { .. })
    }

    /// A limit was passed: depth, size, or elements that take no bytes.
    pub fn is_limit(&self) -> bool {
        self.0.reason.is_limit()
    }

    /// The input ends before the value does.
    pub fn is_truncated(&self) -> bool {
        matches!(self.0.reason, Reason::Truncated { .. } | Reason::LengthBeyondInput { .. })
    }

    /// The bytes are of another mode or version, or were not made by this crate at all.
    pub fn is_wrong_header(&self) -> bool {
        matches!(
            self.0.reason,
            Reason::NotOurs { .. }
                | Reason::WrongMode { .. }
                | Reason::NotJson { .. }
                | Reason::WrongVersion { .. }
        )
    }

    /// The value needs a [`Session`](crate::Session), or one of the other
    /// [`Purpose`](crate::Purpose).
    pub fn is_session(&self) -> bool {
        matches!(self.0.reason, Reason::NoSession { .. } | Reason::NoSnapshot { .. })
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(root) = self.0.root {
            f.write_str(match self.0.direction {
                Direction::Encode => "cannot encode ",
                Direction::Decode => "cannot decode ",
            })?;
            f.write_str(root)?;
            if let Some(place) = &self.0.place {
                write!(f, " at {}", place.path)?;
                if let Some(type_name) = place.type_name {
                    write!(f, " ({type_name})")?;
                }
            }
            f.write_str(": ")?;
        }
        write!(f, "{}", self.0.reason)
    }
}

impl Reason {
    fn is_limit(&self) -> bool {
        match self {
            Reason::Json { reason, .. } => reason.is_limit(),
            other => matches!(
                other,
                Reason::TooDeep { .. }
                    | Reason::TooNested { .. }
                    | Reason::TooLong { .. }
                    | Reason::TooManyEmpty { .. }
                    | Reason::OutOfMemory { .. }
            ),
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::Said(message) if message.contains("path contains invalid UTF-8") => {
                write!(f, "{message}; carry it by #[serde(with = \"sk_cereal::path\")]")
            }
            Reason::Said(message) => f.write_str(message),
            Reason::Unsupported { what, detail: Some(detail), instead } => {
                write!(f, "{what} (`{detail}`) is not supported here: {instead}")
            }
            Reason::Unsupported { what, detail: None, instead } => {
                write!(f, "{what} is not supported here: {instead}")
            }
            Reason::TooDeep { limit } => write!(f, "nested deeper than the limit of {limit}"),
            Reason::TooLong { needed, limit } => {
                write!(f, "{needed} bytes are more than the limit of {limit}")
            }
            Reason::OutOfMemory { needed } => write!(f, "no memory for {needed} bytes"),
            Reason::TooManyEmpty { elements, limit } => write!(
                f,
                "{elements} elements of which too many take no bytes, the limit here is {limit}"
            ),
            Reason::WrongCount { announced, written } => {
                write!(f, "a length of {announced} was announced and {written} elements followed")
            }
            Reason::HalfAnEntry => f.write_str("a map entry with a key or a value missing"),
            Reason::Swallowed => f.write_str(
                "a part of it failed, and its Serialize or Deserialize went on as if nothing had \
                 happened",
            ),
            Reason::TooNested { limit } => {
                write!(f, "more than {limit} calls of the codec within one another")
            }
            Reason::Unread { left } => {
                write!(f, "the reader stopped {left} elements before the end of the sequence")
            }
            Reason::Truncated { needed, left } => {
                write!(f, "the input ends here: {needed} bytes are needed and {left} are left")
            }
            Reason::LengthBeyondInput { length, left } => {
                write!(f, "a length of {length}, but only {left} bytes of input are left")
            }
            Reason::Trailing { left } => {
                write!(
                    f,
                    "{left} bytes are left over behind the value: it was written as another type"
                )
            }
            Reason::OtherShape => f.write_str(
                "the bytes were written as a type with another number of fields: a different \
                 version of it, or an attribute that leaves a field out on one side only \
                 (skip_serializing, skip_serializing_if, skip_deserializing)",
            ),
            Reason::OtherVariants => f.write_str(
                "the bytes were written as an enum whose variants have other names or places: a \
                 different version of it, or #[serde(skip)], #[serde(alias)] or a one-sided \
                 #[serde(rename)] on a variant",
            ),
            Reason::InvalidByte { what, found } => write!(f, "byte {found} is no {what}"),
            Reason::InvalidText { valid_up_to } => {
                write!(f, "text is not UTF-8 after {valid_up_to} bytes")
            }
            Reason::PartOfANumber { bytes, size } => {
                write!(f, "{bytes} bytes are not a whole number of elements of {size} bytes")
            }
            Reason::OtherLength { found } => write!(f, "an array of another length: {found}"),
            Reason::NotOurs { start } => {
                write!(f, "the input does not begin with a header of this crate, but with ")?;
                write!(f, "\"{}\"", start.escape_ascii())
            }
            Reason::WrongMode { expected, found } => {
                write!(f, "the bytes are of {found} mode, expected was {expected}")
            }
            Reason::NotJson { found } => {
                write!(f, "the bytes are of {found} mode, expected was JSON text")
            }
            Reason::WrongVersion { found } => {
                write!(f, "the bytes are of format version {found}, this build reads {VERSION}")
            }
            Reason::Json { line, column, reason } => {
                write!(f, "{reason} at line {line}, column {column} of the JSON")
            }
            Reason::NoSession { type_name } => write!(
                f,
                "{type_name} crosses only within a session (sk_cereal::Session), and there is none"
            ),
            Reason::NoSnapshot { type_name } => {
                write!(f, "{type_name} can be handed over, but no snapshot of it can be taken")
            }
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Error({self})")
    }
}

impl std::error::Error for Error {}

impl serde::ser::Error for Error {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Error::encode(said(message.to_string()))
    }
}

impl serde::de::Error for Error {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Error::decode(said(message.to_string()))
    }
}

thread_local! {
    /// The last reason that had to pass through an error type of serde's as text, with that text.
    static IN_TRANSIT: RefCell<Option<(String, Reason)>> = const { RefCell::new(None) };
}

/// The text of `reason` for an error type that takes nothing else, be it ours or a format's. Where
/// it comes back to us as the same text, it is this reason again.
pub(crate) fn in_transit(reason: Reason) -> String {
    let text = reason.to_string();
    let kept = (text.clone(), reason);
    // Without a thread-local (in the destructor of another one) the text has to do.
    let _ = IN_TRANSIT.try_with(|slot| slot.borrow_mut().replace(kept));
    text
}

/// What a message stands for: the reason in transit if it is that text, else what somebody said.
pub(crate) fn said(message: String) -> Reason {
    let arrived = IN_TRANSIT.try_with(|slot| {
        slot.borrow_mut().take_if(|(text, _)| *text == message).map(|(_, reason)| reason)
    });
    arrived.ok().flatten().unwrap_or(Reason::Said(message))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::track::{On, Step, Track as _};

    #[test]
    fn an_error_is_one_word() {
        assert_eq!(size_of::<Result<(), Error>>(), size_of::<usize>());
    }

    #[test]
    fn the_message_says_what_where_and_why() {
        let reason = || Error::decode(Reason::InvalidByte { what: "bool", found: 7 });
        let mut track = On::new::<String>();
        track.enter::<bool>(0, || Step::Index(3));
        let error =
            reason().in_type::<String>(Direction::Decode).placed(Some(reason()), track.place());
        assert_eq!(
            error.to_string(),
            "cannot decode alloc::string::String at root[3] (bool): byte 7 is no bool"
        );
    }
}
