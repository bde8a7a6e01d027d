//! What the code that `#[timethis]` writes may touch. Not for anybody else, and it may change.

use std::any::type_name_of_val;
use std::future::poll_fn;
use std::pin::pin;
use std::time::Duration;

use crate::frame::Span;
pub use crate::named::Site;
pub use crate::{TimeThis, Timer};

/// The name of the function that `marker` is defined in.
pub fn name_of<M>(marker: &M) -> String {
    let path = type_name_of_val(marker);
    let path = path.rsplit_once("::").map_or(path, |(function, _)| function);
    path.replace("::{{closure}}", "")
}

/// Calls it: that the closure is called once only is said where it is written, so that it may give
/// away what it captured.
#[inline]
pub fn call<R>(body: impl FnOnce() -> R) -> R {
    body()
}

/// Nothing, of a type that is said: it lets an async block know what it returns.
pub fn nothing<T>() -> Option<T> {
    None
}

/// Ends the guard as what the value is.
#[inline]
pub fn end(guard: TimeThis<'_>, is_failure: bool) {
    if is_failure {
        guard.fail();
    } else {
        guard.stop();
    }
}

/// A value that a function returned, to be asked whether it is a failure. The method of
/// [`MayFail`] is found first, that of [`NeverFails`] for whatever is no `Result`.
#[derive(Debug)]
pub struct Returned<'r, T>(pub &'r T);

pub trait MayFail {
    fn is_failure(&self) -> bool;
}

impl<T, E> MayFail for Returned<'_, Result<T, E>> {
    fn is_failure(&self) -> bool {
        self.0.is_err()
    }
}

pub trait NeverFails {
    fn is_failure(&self) -> bool;
}

impl<T> NeverFails for &Returned<'_, T> {
    fn is_failure(&self) -> bool {
        false
    }
}

/// What an async function takes: the guard measures time on the wall, this the time in polls.
#[derive(Debug)]
pub struct Polled<'t> {
    guard: TimeThis<'t>,
    timer: &'t Timer,
    threshold: Duration,
    polled_nanos: u64,
}

impl Polled<'_> {
    /// Ends both measurements as what the value is. Time in polls is recorded beside the time on the
    /// wall, or not at all.
    pub fn end(self, is_failure: bool) {
        if is_failure {
            self.guard.fail();
        } else if self.guard.stop() >= self.threshold {
            let polling = self.timer.polling();
            polling.record(polling.clock().nanos(), Span { nanos: self.polled_nanos, paused: 0 });
        }
    }
}

/// Runs an async body. Dropped before it is done, it is a failure.
pub async fn poll<F: Future>(
    timer: &Timer,
    threshold: Duration,
    body: F,
) -> (Polled<'_>, F::Output) {
    let guard = timer.time_this().threshold(threshold);
    guard.will_fail();
    let mut polled = Polled { guard, timer, threshold, polled_nanos: 0 };
    let spent = &mut polled.polled_nanos;
    let mut body = pin!(body);
    let returned = poll_fn(|context| {
        let before = timer.clock().nanos();
        let outcome = body.as_mut().poll(context);
        *spent = spent.saturating_add(timer.clock().nanos().saturating_sub(before));
        outcome
    })
    .await;
    (polled, returned)
}
