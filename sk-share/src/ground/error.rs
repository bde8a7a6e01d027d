//! The one error of this crate.

use std::fmt;

/// Why an operation on shared memory did not happen.
///
/// One word wide. What a program has reason to ask are the `is_` methods.
pub struct Error(Box<Reason>);

#[derive(Debug)]
enum Reason {
    Damaged { what: &'static str, at: u64, found: u64 },
    TimedOut { what: &'static str },
    Reentry { at: u64 },
    Busy { what: &'static str, at: u64 },
    Full { wanted: u64, limit: u64 },
    TooLong { wanted: u64, limit: u64 },
    System { what: &'static str, source: std::io::Error },
}

impl Error {
    /// A word or a copy that no process of ours can have left there.
    #[cold]
    pub fn damaged(what: &'static str, at: u64, found: u64) -> Error {
        Error(Box::new(Reason::Damaged { what, at, found }))
    }

    /// The deadline passed.
    #[cold]
    pub fn timed_out(what: &'static str) -> Error {
        Error(Box::new(Reason::TimedOut { what }))
    }

    /// The calling agent holds the lock that it asks for.
    #[cold]
    pub fn reentry(at: u64) -> Error {
        Error(Box::new(Reason::Reentry { at }))
    }

    /// Something that has one user at a time has another one, who lives.
    #[cold]
    pub fn busy(what: &'static str, at: u64) -> Error {
        Error(Box::new(Reason::Busy { what, at }))
    }

    /// There is no room left below the limit of the region.
    #[cold]
    pub fn full(wanted: u64, limit: u64) -> Error {
        Error(Box::new(Reason::Full { wanted, limit }))
    }

    /// More bytes than could ever fit.
    #[cold]
    pub fn too_long(wanted: u64, limit: u64) -> Error {
        Error(Box::new(Reason::TooLong { wanted, limit }))
    }

    /// What the operating system said.
    #[cold]
    pub fn system(what: &'static str, source: std::io::Error) -> Error {
        Error(Box::new(Reason::System { what, source }))
    }

    /// Whether shared memory holds what none of our processes can have written.
    #[must_use]
    pub fn is_damaged(&self) -> bool {
        matches!(*self.0, Reason::Damaged { .. })
    }

    /// Whether the deadline passed.
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        matches!(*self.0, Reason::TimedOut { .. })
    }

    /// Whether the calling thread holds the lock that it asked for.
    #[must_use]
    pub fn is_reentry(&self) -> bool {
        matches!(*self.0, Reason::Reentry { .. })
    }

    /// Whether somebody else, who lives, is in the middle of what allows only one.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        matches!(*self.0, Reason::Busy { .. })
    }

    /// Whether the limit of the region is reached: `true` also for what could never fit.
    #[must_use]
    pub fn is_full(&self) -> bool {
        matches!(*self.0, Reason::Full { .. } | Reason::TooLong { .. })
    }
}

impl fmt::Display for Error {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.0 {
            Reason::Damaged { what, at, found } => {
                write!(out, "shared memory is damaged: {what} at offset {at} is {found:#x}")
            }
            Reason::TimedOut { what } => write!(out, "the deadline passed before {what}"),
            Reason::Reentry { at } => {
                write!(out, "this thread already holds the lock at offset {at}")
            }
            Reason::Busy { what, at } => write!(out, "{what} at offset {at} is in use"),
            Reason::Full { wanted, limit } => {
                write!(out, "no room for {wanted} bytes: the limit of the memory is {limit}")
            }
            Reason::TooLong { wanted, limit } => {
                write!(out, "{wanted} bytes are more than the {limit} that could fit")
            }
            Reason::System { what, source } => write!(out, "cannot {what}: {source}"),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Error({self})")
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &*self.0 {
            Reason::System { source, .. } => Some(source),
            _ => None,
        }
    }
}
