//! The kinds of failure, for a `match` and for lists.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What a [`Failure`](crate::Failure) is.
///
/// ```
/// use sk_function::{Failure, FailureKind};
///
/// let advice = match Failure::out_of_memory(None).kind() {
///     FailureKind::OutOfMemory => "send smaller pieces",
///     FailureKind::Timeout => "give it more time",
///     _ => "read the report",
/// };
/// assert_eq!(advice, "send smaller pieces");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum FailureKind {
    /// It returned an error.
    Error,
    /// It panicked.
    Panic,
    /// Its process ended with an exit code and without an answer.
    Exit,
    /// Its process was ended by a signal.
    Signal,
    /// It ran out of memory.
    OutOfMemory,
    /// It took longer than it may.
    Timeout,
    /// It was told to end.
    Cancelled,
    /// Its arguments or its answer could not be decoded.
    Undecodable,
    /// The other side is gone.
    Disconnected,
}

impl FailureKind {
    /// All of them, in the order in which they are declared.
    pub const ALL: &[FailureKind] = &[
        FailureKind::Error,
        FailureKind::Panic,
        FailureKind::Exit,
        FailureKind::Signal,
        FailureKind::OutOfMemory,
        FailureKind::Timeout,
        FailureKind::Cancelled,
        FailureKind::Undecodable,
        FailureKind::Disconnected,
    ];

    /// Whether the process was lost under the work, rather than the work having ended itself: an
    /// exit, a signal, no memory, no connection.
    pub fn is_loss(self) -> bool {
        matches!(
            self,
            FailureKind::Exit
                | FailureKind::Signal
                | FailureKind::OutOfMemory
                | FailureKind::Disconnected
        )
    }
}

impl fmt::Display for FailureKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            FailureKind::Error => "error",
            FailureKind::Panic => "panic",
            FailureKind::Exit => "exit",
            FailureKind::Signal => "signal",
            FailureKind::OutOfMemory => "out of memory",
            FailureKind::Timeout => "timeout",
            FailureKind::Cancelled => "cancelled",
            FailureKind::Undecodable => "undecodable",
            FailureKind::Disconnected => "disconnected",
        })
    }
}
