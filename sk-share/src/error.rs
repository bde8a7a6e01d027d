//! What goes wrong with memory that several processes hold.

use std::error::Error as StdError;
use std::{fmt, io};

use sk_function::Unfinished;

use crate::memory::RegionId;

/// Why something with shared memory did not work. One word wide.
///
/// Callers ask questions of it (`is_…`); the text names the offending value and the limit.
///
/// ```
/// use sk_share::memory::{Kind, Region};
///
/// let region = Region::create(Kind::new(7), 8192, None)?;
/// let error = region.grow(1 << 20).unwrap_err();
/// assert!(error.is_limit());
/// assert_eq!(error.to_string(), "cannot grow to 1048576 bytes: the region's own limit is 8192");
/// # Ok::<(), sk_share::Error>(())
/// ```
pub struct Error(Box<Reason>);

#[derive(Debug)]
pub(crate) enum Reason {
    /// A word holds what it cannot.
    Damaged {
        what: &'static str,
        value: u64,
        limit: u64,
    },
    /// An offset that is not within what is there, or not where such a word can lie.
    Outside {
        what: &'static str,
        offset: u64,
        bytes: u64,
        length: u64,
    },
    /// More was asked for than there may be.
    Limit {
        asked: u64,
        what: &'static str,
        limit: u64,
    },
    /// All memory that there may be is in use, or in pieces that are too small.
    NoRoom {
        asked: u64,
        limit: u64,
    },
    /// A table has no free row.
    Full {
        what: &'static str,
        limit: u64,
    },
    /// A word that none of our processes can have written.
    DamagedWord {
        what: &'static str,
        at: u64,
        found: u64,
    },
    /// The deadline passed before this came.
    TimedOut {
        what: &'static str,
    },
    /// The caller holds what it asks for.
    Reentry {
        at: u64,
    },
    /// What has this name is of another type.
    OtherType {
        name: String,
        found: String,
        expected: String,
    },
    /// Something has this name already.
    NameTaken {
        name: String,
    },
    /// The processes that had these bytes are gone.
    BytesGone {
        region: RegionId,
    },
    /// Nothing has this name, or not any more.
    NotFound {
        name: String,
    },
    /// A handle arrived without the memory that it names.
    NoDescriptor {
        region: RegionId,
    },
    /// Nobody has passed anything to this process, or it was received before.
    NothingInherited,
    /// A limit that leaves no room for anything.
    TooSmall {
        asked: u64,
        least: u64,
    },
    /// The share is stopped.
    Stopped {
        what: &'static str,
    },
    /// Bytes that do not decode, or a value that does not encode.
    Codec(sk_cereal::Error),
    /// An operation ended without an outcome.
    Unfinished(Unfinished),
    /// Something that has one user at a time has another one, who lives.
    Busy {
        what: &'static str,
        at: u64,
    },
    /// More than could ever fit.
    TooLong {
        what: &'static str,
        asked: u64,
        limit: u64,
    },
    /// None, or more than there may be.
    Count {
        what: &'static str,
        asked: u64,
        limit: u64,
    },
    /// What was opened is not what was expected.
    Foreign {
        what: &'static str,
        found: u64,
        expected: u64,
    },
    OtherRegion {
        found: RegionId,
        expected: RegionId,
    },
    /// The handle was made by the process that this one is a copy of.
    Copied,
    /// The handle's membership was ended, or there never was one.
    NotMember,
    /// The thread is an agent of another roster.
    OtherRoster,
    /// The thread holds a robust mutex of the C library.
    #[cfg_attr(sk_portable, expect(dead_code, reason = "only robust futexes need its list"))]
    RobustInUse,
    /// The thread is ending, its agent was given back.
    ThreadEnds,
    System {
        what: &'static str,
        value: u64,
        source: io::Error,
    },
}

impl Error {
    #[cold]
    pub(crate) fn new(reason: Reason) -> Error {
        Error(Box::new(reason))
    }

    #[cold]
    pub(crate) fn damaged(what: &'static str, value: u64, limit: u64) -> Error {
        Error::new(Reason::Damaged { what, value, limit })
    }

    #[cold]
    pub(crate) fn system(what: &'static str, value: u64, source: io::Error) -> Error {
        Error::new(Reason::System { what, value, source })
    }

    /// For a word at an offset: it is what no process of ours can have left there.
    #[doc(hidden)]
    #[cold]
    pub fn damaged_at(what: &'static str, at: u64, found: u64) -> Error {
        Error::new(Reason::DamagedWord { what, at, found })
    }

    #[doc(hidden)]
    #[cold]
    pub fn full(asked: u64, limit: u64) -> Error {
        Error::new(Reason::Limit { asked, what: "the region's own limit", limit })
    }

    #[cold]
    pub(crate) fn no_room(asked: u64, limit: u64) -> Error {
        Error::new(Reason::NoRoom { asked, limit })
    }

    #[cold]
    pub(crate) fn timed_out(what: &'static str) -> Error {
        Error::new(Reason::TimedOut { what })
    }

    #[cold]
    pub(crate) fn reentry(at: u64) -> Error {
        Error::new(Reason::Reentry { at })
    }

    #[cold]
    pub(crate) fn busy(what: &'static str, at: u64) -> Error {
        Error::new(Reason::Busy { what, at })
    }

    #[cold]
    pub(crate) fn too_long(what: &'static str, asked: u64, limit: u64) -> Error {
        Error::new(Reason::TooLong { what, asked, limit })
    }

    #[cold]
    pub(crate) fn count(what: &'static str, asked: u64, limit: u64) -> Error {
        Error::new(Reason::Count { what, asked, limit })
    }

    /// True when the deadline passed before what was waited for came.
    pub fn is_timeout(&self) -> bool {
        matches!(*self.0, Reason::TimedOut { .. })
    }

    /// True when the calling thread holds the lock that it asks for, or asks from within a change
    /// of the same value.
    pub fn is_reentry(&self) -> bool {
        matches!(*self.0, Reason::Reentry { .. })
    }

    #[cold]
    pub(crate) fn not_found(name: &str) -> Error {
        Error::new(Reason::NotFound { name: name.to_owned() })
    }

    #[cold]
    pub(crate) fn stopped(what: &'static str) -> Error {
        Error::new(Reason::Stopped { what })
    }

    /// What of this is the fault of the memory and to be told to all who hold it.
    pub(crate) fn fault(&self) -> Option<u8> {
        match &*self.0 {
            Reason::Damaged { .. } | Reason::DamagedWord { .. } => Some(1),
            Reason::Codec(_) => Some(2),
            Reason::Limit { .. } | Reason::NoRoom { .. } | Reason::Full { .. } => Some(3),
            Reason::System { .. } => Some(4),
            _ => None,
        }
    }

    /// True when nothing has the name, or what had it was removed.
    pub fn is_not_found(&self) -> bool {
        matches!(*self.0, Reason::NotFound { .. } | Reason::BytesGone { .. })
    }

    /// True when the name is taken, where only a new one would do.
    pub fn is_name_taken(&self) -> bool {
        matches!(*self.0, Reason::NameTaken { .. })
    }

    /// True when what has the name is of another type.
    pub fn is_other_type(&self) -> bool {
        matches!(*self.0, Reason::OtherType { .. })
    }

    /// True when the share is stopped and the operation cannot wait in the memory until it starts.
    pub fn is_stopped(&self) -> bool {
        matches!(*self.0, Reason::Stopped { .. })
    }

    /// True when a value could not be encoded, or bytes not be decoded.
    pub fn is_codec(&self) -> bool {
        matches!(*self.0, Reason::Codec(_))
    }

    /// True when somebody else, who lives, is in the middle of what allows only one.
    pub fn is_busy(&self) -> bool {
        matches!(*self.0, Reason::Busy { .. })
    }

    /// True when a word of the memory holds what it never should: some process wrote where it had
    /// no business, or is of another build.
    pub fn is_damaged(&self) -> bool {
        matches!(*self.0, Reason::Damaged { .. } | Reason::DamagedWord { .. })
    }

    /// True when an offset, a size or an alignment does not fit what is there.
    pub fn is_outside(&self) -> bool {
        matches!(*self.0, Reason::Outside { .. })
    }

    /// True when a limit was met: of the region, of files (`RLIMIT_FSIZE`), of address space
    /// (`RLIMIT_AS`), of memory, of descriptors, of members or agents.
    pub fn is_limit(&self) -> bool {
        match &*self.0 {
            Reason::Limit { .. }
            | Reason::NoRoom { .. }
            | Reason::Full { .. }
            | Reason::TooLong { .. }
            | Reason::Count { .. } => true,
            Reason::System { source, .. } => {
                matches!(
                    source.kind(),
                    io::ErrorKind::OutOfMemory
                        | io::ErrorKind::StorageFull
                        | io::ErrorKind::FileTooLarge
                        | io::ErrorKind::QuotaExceeded
                ) || rustix::io::Errno::from_io_error(source).is_some_and(|errno| {
                    [rustix::io::Errno::MFILE, rustix::io::Errno::NFILE].contains(&errno)
                })
            }
            _ => false,
        }
    }

    /// True when a descriptor is not the region that it was taken for.
    pub fn is_foreign(&self) -> bool {
        matches!(*self.0, Reason::Foreign { .. } | Reason::OtherRegion { .. })
    }

    /// True when the handle belongs to the process of which this one is a copy made by `fork`.
    pub fn is_copied(&self) -> bool {
        matches!(*self.0, Reason::Copied)
    }

    /// True when this process is no member: it left, or never joined.
    pub fn is_not_member(&self) -> bool {
        matches!(*self.0, Reason::NotMember)
    }
}

impl From<sk_cereal::Error> for Error {
    #[cold]
    fn from(error: sk_cereal::Error) -> Error {
        Error::new(Reason::Codec(error))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.0 {
            Reason::Damaged { what, value, limit } => {
                write!(f, "the memory is damaged: {what} is {value}, the limit is {limit}")
            }
            Reason::DamagedWord { what, at, found } => {
                write!(f, "the memory is damaged: {what} at offset {at} is {found:#x}")
            }
            Reason::TimedOut { what } => write!(f, "the deadline passed before {what}"),
            Reason::Reentry { at } => {
                write!(f, "this thread already holds the lock at offset {at}")
            }
            Reason::OtherType { name, found, expected } => {
                write!(f, "{name:?} is {found} and not {expected}")
            }
            Reason::NameTaken { name } => write!(f, "something has the name {name:?} already"),
            Reason::BytesGone { region } => {
                write!(f, "no process that can be asked has the bytes of the blob {region} any more")
            }
            Reason::NotFound { name } => write!(f, "nothing has the name {name:?}"),
            Reason::NoDescriptor { region } => write!(
                f,
                "the memory {region} did not come with its handle: its descriptor has to travel beside \
                 the bytes"
            ),
            Reason::NothingInherited => f.write_str(
                "nothing was passed to this process by the one that started it, or it was received before",
            ),
            Reason::TooSmall { asked, least } => {
                write!(f, "a limit of {asked} bytes is too small: the least is {least}")
            }
            Reason::Stopped { what } => {
                write!(f, "the share is stopped, so {what} is not possible until start()")
            }
            Reason::Codec(error) => error.fmt(f),
            Reason::Unfinished(why) => why.fmt(f),
            Reason::Busy { what, at } => write!(f, "{what} at offset {at} is in use"),
            Reason::TooLong { what, asked, limit } => {
                write!(f, "{asked} bytes are more than {what} of {limit}")
            }
            Reason::Count { what, asked, limit } => {
                write!(f, "{asked} is no number of {what}: it is from 1 to {limit}")
            }
            Reason::Outside { what, offset, bytes, length } => {
                write!(f, "{what} of {bytes} bytes at offset {offset}, where {length} bytes are")
            }
            Reason::Limit { asked, what, limit } => {
                write!(f, "cannot grow to {asked} bytes: {what} is {limit}")
            }
            Reason::NoRoom { asked, limit } => {
                write!(f, "there is no room for {asked} bytes more: the limit is {limit} for all")
            }
            Reason::Full { what, limit } => write!(f, "all {limit} {what} are in use"),
            Reason::Foreign { what, found, expected } => {
                write!(f, "not the region expected: {what} is {found:#x} and not {expected:#x}")
            }
            Reason::OtherRegion { found, expected } => {
                write!(f, "not the region expected: it is {found} and not {expected}")
            }
            Reason::Copied => {
                f.write_str("the handle belongs to the process that this one was forked from")
            }
            Reason::NotMember => f.write_str("this process is not a member of a roster"),
            Reason::OtherRoster => f.write_str("this thread is an agent of another roster"),
            Reason::RobustInUse => f.write_str(
                "this thread holds a robust mutex of the C library, so it cannot be an agent",
            ),
            Reason::ThreadEnds => f.write_str("this thread is ending and is no agent any more"),
            Reason::System { what, value, source } => write!(f, "{what} ({value}): {source}"),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match &*self.0 {
            Reason::System { source, .. } => Some(source),
            Reason::Codec(source) => source.source(),
            _ => None,
        }
    }
}
