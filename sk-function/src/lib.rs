//! Callables that have names, arguments and manners.
//!
//! ```
//! use sk_function::{Failure, FailureKind, catch_panic};
//!
//! // Whatever runs ends as a value or as a `Failure`, which can be sent to another process.
//! let failure: Failure = catch_panic(|| panic!("out of range")).unwrap_err().with_attempts(3);
//! assert_eq!(failure.kind(), FailureKind::Panic);
//! let bytes = sk_cereal::internal::to_vec(&failure)?;
//! assert_eq!(sk_cereal::internal::from_slice::<Failure>(&bytes)?, failure);
//!
//! // A function or a closure that captures nothing travels as a place in a table.
//! let reference = sk_function::image::ship(&|x: u64, y: u64| x * y)?;
//! let code = sk_function::image::accept(reference)?;      // in another process of this build
//! let mut result = Vec::new();
//! code.run(&sk_cereal::internal::to_vec(&(6_u64, 7_u64))?, &mut result)?;
//! assert_eq!(sk_cereal::internal::from_slice::<u64>(&result)?, 42);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # The parts
//!
//! - [`Failure`] is what anything that runs anywhere ends as if not as a value; [`catch_panic`] makes
//!   one of a panic.
//! - [`Retry`] decides whether work is done again, and when. It has no clock and no randomness
//!   inside, so processes, pools and cycles use the one policy. [`Repeat`] is what a function says of
//!   being done twice.
//! - [`Operation`] is anything that waits: `.wait()`, `.await`, `.timeout(d)` and `.background()` in any
//!   order, over a [`Source`] that the layers bring. [`blocking`] is such a source for a closure,
//!   [`completion`] for what another thread completes. [`Running`] is the handle of one in the
//!   background.
//! - [`Context`] is what work knows of itself: its [`CallId`], its attempt, its deadline, its
//!   [`CancelFlag`].
//! - [`image`] is the table of functions without names. A place in it means the same in all processes
//!   of one [`BuildIdentity`]. [`Callable`] is what can be called with a tuple.
//!
//! # How it fails
//!
//! Wrong values in a policy are errors of its use that name the value ([`RetryError`]). A reference
//! to a function that is damaged or of another build is an [`ImageError`](image::ImageError), never a
//! jump. Code of the user's that panics where it is asked (a predicate, a `Display`, the drop of a
//! panic's payload) is told of and goes no further.
//!
//! # Platforms
//!
//! Linux, tested. The table of functions needs its section to be described for macOS and Windows.
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod operation;
mod outcome;
mod retry;

mod call_id;
mod cancel;
mod context;

mod callable;
mod identity;
pub mod image;

mod sync;

pub use call_id::{CallId, CallIdError};
pub use callable::Callable;
pub use cancel::{CancelFlag, Cancelled};
pub use context::Context;
pub use identity::{BuildIdentity, BuildIdentityError, OtherBuild};
/// What models look into.
#[cfg(loom)]
pub use operation::by_hand;
pub use operation::{
    Blocking, BlockingThreads, Completer, Completion, Drive, ExecutorProbe, Operation, Running,
    Source, Unfinished, Until, add_executor_probe, blocking, completion,
};
pub use outcome::{BoxError, Failure, FailureKind, PanicPlace, catch_panic};
pub use retry::{Decision, Jitter, Repeat, Retry, RetryError, Stop, Tries};

#[doc = include_str!("../README.md")]
#[cfg(doctest)]
struct Readme;
