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

mod any_function;
mod bound;
mod call;
mod function;
pub mod registry;

mod answer;
mod argument_error;
mod callable;
mod declaration;
mod execution;
mod kind;
mod modifiers;

mod operation;
mod outcome;
mod retry;

mod call_id;
mod cancel;
mod context;

mod identity;
pub mod image;

mod sync;

#[doc(hidden)]
pub mod private;

pub use any_function::{AnyFunction, IntoFunction};
pub use argument_error::ArgumentError;
pub use bound::{Bound, bind};
pub use call::{CONTROL_KEYWORDS, Call, CallError, Magic, Place};
pub use call_id::{CallId, CallIdError};
pub use callable::{Arguments, AsyncCallable, Callable};
pub use cancel::{CancelFlag, Cancelled};
pub use context::Context;
pub use declaration::{Declaration, Parameter};
pub use execution::Execution;
pub use function::{Function, FunctionBuilder, Items, StreamItems};
pub use identity::{BuildIdentity, BuildIdentityError, OtherBuild};
pub use kind::FunctionKind;
/// What models look into.
#[cfg(loom)]
pub use operation::by_hand;
pub use operation::{
    Blocking, BlockingThreads, Completer, Completion, Drive, ExecutorProbe, Operation, Running,
    Source, Unfinished, Until, add_executor_probe, blocking, completion,
};
pub use outcome::{BoxError, Failure, FailureKind, PanicPlace, catch_panic};
pub use registry::{Domain, NameError};
pub use retry::{Decision, Jitter, Repeat, Retry, RetryError, Stop, Tries};

/// Makes a free function one that has a name: it is found by its path, bound by the names of its
/// parameters, and sent to other processes.
///
/// It stays the function that it is. Beside it stands a type of the same name, which one `use`
/// brings along: `area::bind()` binds arguments by name, `area::function()` is the function as a
/// value, `area::declaration()` what was written down of it.
///
/// ```
/// use sk_function::{Function, function};
///
/// /// How much carpet a room needs.
/// #[function(name = "rooms.area", idempotent)]
/// pub fn area(width: f64, height: f64) -> f64 {
///     width * height
/// }
///
/// assert_eq!(area(2.0, 3.0), 6.0);
/// assert_eq!(area::bind().height(3.0).width(2.0).execute()?, 6.0);
/// assert_eq!(Function::get("rooms.area")?.positional((2.0, 3.0))?.execute::<f64>()?, 6.0);
/// # Ok::<(), sk_function::BoxError>(())
/// ```
///
/// # What it takes
///
/// Free functions without generics, with up to twelve parameters that own what they hold and are
/// `Serialize`, `Deserialize`, `Clone`, `Send` and `'static`. What is returned is `Send` and
/// `'static`; if it is `Serialize`, or a `Result` with such a value, it can be sent back.
///
/// - An `async fn` gives one value when its future is done; the future is `Send`.
/// - A function that returns `impl Iterator<Item = T>` gives many, one that returns
///   `impl Stream<Item = T>` does so without blocking. Both are `Send` and `'static`.
/// - A first parameter `&Context` is not an argument: it is the context of the call.
///
/// # What it says
///
/// | option | meaning |
/// |---|---|
/// | `name = "a.b"` | the path, in place of crate, modules and name |
/// | `idempotent` | doing it twice is as good as once |
/// | `never_retry` | it must not be done twice |
/// | `blocking`, `blocking("what", …)` | it blocks its thread for long, in these calls |
/// | `timeout = "30s"` | how long one attempt may take: a number with `ms`, `s`, `m` or `h`, or a constant `Duration` |
/// | `autoreg`, `autoreg = "name"` | at its first call it is registered under its bare name, or this one |
/// | `crate = path` | where sk-function is, if not at `::sk_function` |
///
/// # Names of parameters
///
/// The setter of a parameter has its name. If that is a verb of what is bound (`execute`,
/// `operation`, `try_execute`, `try_operation`, `function`, `bound`, `register`,
/// `register_and_execute`, `retry`, `timeout`, `attempt_timeout`, `with_id`, `iterate`, `stream`,
/// `clone`) it is called `with_…`. `place` and `pop` steer calls, so no parameter has these names.
pub use sk_function_macros::function;

#[doc = include_str!("../README.md")]
#[cfg(doctest)]
struct Readme;
