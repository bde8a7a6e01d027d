//! Callables that have names, arguments and manners.
//!
//! ```
//! use std::time::Duration;
//! use sk_function::{Function, Magic, Retry, function, magic};
//!
//! #[function(name = "shop.price", idempotent)]
//! fn price(pieces: u32, each: f64) -> f64 {
//!     f64::from(pieces) * each
//! }
//!
//! assert_eq!(price(3, 0.5), 1.5);                                 // it stays a function
//!
//! // Bound by name, in any order; the compiler knows every type.
//! let call = price::bind().each(0.5).pieces(3);
//! assert_eq!(call.retry(Retry::new()).timeout(Duration::from_secs(5)).execute()?, 1.5);
//!
//! // Found by name; what it takes and gives is checked when it runs.
//! let price = Function::get("shop.price")?.arg("pieces", 3)?;
//! assert_eq!(price.clone().arg("each", 0.5)?.execute::<f64>()?, 1.5);
//!
//! // Sent to another process, and back: the same function with the same arguments.
//! let bytes = sk_cereal::internal::to_vec(&price)?;
//! let price: Function = sk_cereal::internal::from_slice(&bytes)?;
//! assert_eq!(price.arg("each", 2)?.execute::<f64>()?, 6.0);
//!
//! // Written down as data. A path in place of the text is checked by the compiler.
//! let call: Magic<f64> = magic!("shop.price", 3, each = 0.5);
//! assert_eq!(call.execute()?, 1.5);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # The parts
//!
//! What is called:
//!
//! - [`function`](macro@function) declares a function: a path, the names of its parameters, what it says
//!   of being repeated. The linker gathers all of a program in one table; nothing runs before `main`.
//! - [`Bound`] is a callable with its arguments, typed: by name from what stands beside a declared
//!   function, by position from [`bind`].
//! - [`Function`] is the same with types that only it knows: found by a name, bound by names, encoded.
//!   [`FunctionBuilder`] gathers its arguments and checks them together.
//! - [`AnyFunction`] is one type for all of these, and [`IntoFunction`] the bound that takes them.
//! - [`Call`] is a call as data, [`magic!`] makes one that was checked, [`Place`] says where it runs.
//! - [`registry`] holds the names; [`image`] is the table of functions that have none. A place in that
//!   means the same in all processes of one [`BuildIdentity`].
//!
//! How it runs and ends:
//!
//! - [`Failure`] is what anything that runs anywhere ends as if not as a value; [`catch_panic`] makes
//!   one of a panic.
//! - [`Retry`] decides whether work is done again, and when. It has no clock and no randomness
//!   inside, so processes, pools and cycles use the one policy. [`Repeat`] is what a function says of
//!   being done twice.
//! - [`Operation`] is anything that waits: `.wait()`, `.await`, `.timeout(d)` and `.background()` in any
//!   order, over a [`Source`] that the layers bring. [`blocking`] is such a source for a closure,
//!   [`completion`] for what another thread completes, [`Execution`] for a call. [`Running`] is the
//!   handle of one in the background.
//! - [`Context`] is what work knows of itself: its [`CallId`], its attempt, its deadline, its
//!   [`CancelFlag`].
//!
//! # The order of what a caller asks
//!
//! Whatever the order of writing, from the outside in: the timeout of the whole call; the retry; the
//! timeout of each attempt; the call. What is not declared idempotent is not repeated once it may have
//! run, unless the caller writes a [`Retry`].
//!
//! A synchronous function in this process cannot be ended from outside. Where it has a limit it runs
//! on a kept thread: its caller goes on at the limit, its cancel flag is set, and the thread stays
//! counted until the function returns ([`BlockingThreads`]).
//!
//! # How it fails
//!
//! A mistake in a typed binding does not compile. Names and arguments that are wrong at run time are a
//! [`NameError`] or an [`ArgumentError`], which name what is nearest, or the parameter, what it takes
//! and what was given. Wrong values in a policy are errors of its use that name the value
//! ([`RetryError`]). A reference to a function that is damaged or of another build is an error, never a
//! jump. Code of the user's that panics where it is asked (a predicate, a `Display`, the drop of a
//! panic's payload) is told of and goes no further.
//!
//! # Platforms
//!
//! Linux, tested. The table of functions needs its section to be described for macOS and Windows;
//! without it no function is found by name there.
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
mod slot;

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
