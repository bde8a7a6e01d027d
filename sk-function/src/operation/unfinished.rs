//! Why an operation ended without an outcome of its own.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use crate::Failure;

/// Why an operation ended without an outcome of its own.
///
/// Every error that a [`Source`](crate::Source) gives takes it in by `From`; [`Failure`] and a boxed
/// error do.
///
/// ```
/// use std::time::Duration;
/// use sk_function::{Failure, Unfinished};
///
/// let late = Unfinished::TimedOut(Duration::from_millis(250));
/// assert_eq!(late.to_string(), "timed out after 250ms");
/// assert_eq!(Failure::from(late).limit(), Some(Duration::from_millis(250)));
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Unfinished {
    /// It took longer than this limit, which ended the work.
    TimedOut(Duration),
    /// It was told to end before it had an outcome.
    Cancelled,
    /// Whoever was to give the outcome is gone, or the outcome was taken before.
    Lost,
    /// The work panicked on a thread of ours; the failure says where and with what message.
    Panicked(Failure),
}

impl fmt::Display for Unfinished {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unfinished::TimedOut(limit) => write!(f, "timed out after {limit:?}"),
            Unfinished::Cancelled => f.write_str("cancelled before it had an outcome"),
            Unfinished::Lost => f.write_str("whoever was to give the outcome is gone"),
            Unfinished::Panicked(failure) => failure.fmt(f),
        }
    }
}

impl Error for Unfinished {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        // The text of a panic is this error's own.
        None
    }
}

impl From<Unfinished> for Failure {
    fn from(unfinished: Unfinished) -> Self {
        match unfinished {
            Unfinished::TimedOut(limit) => Failure::timed_out("operation", limit),
            Unfinished::Cancelled => Failure::cancelled("before it had an outcome"),
            Unfinished::Lost => Failure::disconnected("whoever was to give the outcome"),
            Unfinished::Panicked(failure) => failure,
        }
    }
}
