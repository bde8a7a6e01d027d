//! The macros of sk-timing. Use them through that crate, which re-exports them and whose private parts
//! their code needs.

mod arguments;
mod body;
mod function;

use proc_macro::TokenStream;
use syn::parse_macro_input;

use arguments::Arguments;

/// Times a function, sync or async: every call is recorded by a timer.
///
/// | written | what it does |
/// |---|---|
/// | `#[timethis]` | a global timer, named as the function's path |
/// | `#[timethis(name = "requests")]` | the global timer of this name |
/// | `#[timethis(timer = self.timer)]` | a timer of one's own: any place of a `Timer` |
/// | `#[timethis(threshold = Duration::from_millis(5))]` | calls shorter than this are not recorded |
/// | `#[timethis(fallible)]` | its type is a `Result` by another name |
/// | `#[timethis(crate = my_timing)]` | where `sk_timing` is under another name |
///
/// Options may be combined, and attributes stacked: each records on a timer of its own. The path of a
/// function is what the compiler calls it, as in `my_app::jobs::Job::run`; all instances of a generic
/// function share one timer. `timer` and `threshold` are evaluated at the start of each call.
///
/// # What is recorded
///
/// The time from the call to the return; of an async function from its first poll to its value, with
/// the time spent in polls on the timer's `polling()`. A call is a failure, counted and not timed, if it
/// panics, if the future is dropped before it is done, and if an `Err` is returned by a function whose
/// type is written as a path that ends in `Result` (`io::Result<()>` too), or that is `fallible`. Of a
/// function that is not `async` and returns a future (an `impl Future`, a `Pin<Box<dyn Future>>`, what
/// `#[async_trait]` makes of a method) only the making of that future is timed.
///
/// # What stays as it is
///
/// Signature, `?`, `return`, lifetimes, generics, bounds, `unsafe` and the order in which arguments are
/// dropped: a function that cannot fail gets a guard as its first statement; the body of one that can
/// becomes a closure that takes all arguments, with the function's own type as its result; that of an
/// async function becomes an async block that takes them. What a pattern leaves where it was there, as
/// the second half of `(a, _): (A, B)` and what `ref` borrows, is dropped after all that is bound. Not timed can be
/// a `const fn`, and a function that can fail and is `#[track_caller]`, since a closure has another
/// caller.
#[proc_macro_attribute]
pub fn timethis(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let arguments = parse_macro_input!(arguments as Arguments);
    function::timed(&arguments, item.into()).unwrap_or_else(syn::Error::into_compile_error).into()
}
