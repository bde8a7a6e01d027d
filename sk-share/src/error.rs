//! What goes wrong with memory that several processes hold.

use std::error::Error as StdError;
use std::{fmt, io};

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
    /// A table has no free row.
    Full {
        what: &'static str,
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

    /// True when a word of the memory holds what it never should: some process wrote where it had
    /// no business, or is of another build.
    pub fn is_damaged(&self) -> bool {
        matches!(*self.0, Reason::Damaged { .. })
    }

    /// True when an offset, a size or an alignment does not fit what is there.
    pub fn is_outside(&self) -> bool {
        matches!(*self.0, Reason::Outside { .. })
    }

    /// True when a limit was met: of the region, of files (`RLIMIT_FSIZE`), of address space
    /// (`RLIMIT_AS`), of memory, of descriptors, of members or agents.
    pub fn is_limit(&self) -> bool {
        match &*self.0 {
            Reason::Limit { .. } | Reason::Full { .. } => true,
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

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.0 {
            Reason::Damaged { what, value, limit } => {
                write!(f, "the memory is damaged: {what} is {value}, the limit is {limit}")
            }
            Reason::Outside { what, offset, bytes, length } => {
                write!(f, "{what} of {bytes} bytes at offset {offset}, where {length} bytes are")
            }
            Reason::Limit { asked, what, limit } => {
                write!(f, "cannot grow to {asked} bytes: {what} is {limit}")
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
            _ => None,
        }
    }
}
