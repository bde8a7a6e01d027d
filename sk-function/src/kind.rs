//! How a function gives what it gives.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::outcome::Failure;

/// How a function gives what it gives.
///
/// ```
/// use sk_function::{FunctionKind, function};
///
/// #[function]
/// fn up_to(limit: u64) -> impl Iterator<Item = u64> {
///     0..limit
/// }
///
/// assert_eq!(up_to::function().kind(), FunctionKind::Iterator);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum FunctionKind {
    /// One value, when it returns.
    Sync,
    /// One value, when its future is done.
    Async,
    /// Many values, each when it is asked for.
    Iterator,
    /// Many values, each when its future is done.
    Stream,
}

impl FunctionKind {
    /// The verb that runs it.
    pub(crate) fn verb(self) -> &'static str {
        match self {
            FunctionKind::Sync => "`execute`",
            FunctionKind::Async => "`operation`, then `.await` or `.wait()`",
            FunctionKind::Iterator => "`iterate`",
            FunctionKind::Stream => "`stream`",
        }
    }
}

impl fmt::Display for FunctionKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            FunctionKind::Sync => "an ordinary function",
            FunctionKind::Async => "async",
            FunctionKind::Iterator => "an iterator",
            FunctionKind::Stream => "a stream",
        })
    }
}

/// A function was run as if it were of another kind.
#[derive(Debug)]
pub(crate) struct WrongKind {
    is: FunctionKind,
    run_as: FunctionKind,
}

impl WrongKind {
    /// As the failure of a call that did not start.
    pub(crate) fn failure(is: FunctionKind, run_as: FunctionKind) -> Failure {
        Failure::error(&WrongKind { is, run_as }).with_no_start()
    }
}

impl fmt::Display for WrongKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let WrongKind { is, run_as } = self;
        write!(f, "it is {is} and was run as {run_as}; run it with {}", is.verb())
    }
}

impl std::error::Error for WrongKind {}
