//! The handle to work that goes on in the background.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use super::Operation;
use super::executor::warn_if_on_executor;
use super::held::{Held, hold};
use super::source::Source;
use super::unfinished::Unfinished;

/// Work that goes on by itself, from [`Operation::background`].
///
/// Dropped, it cancels the work; [`detach`](Running::detach) lets it go on. What the work was
/// made of does not show in its type, so handles of different sources fit in one list.
///
/// ```
/// use std::time::Duration;
/// use sk_function::{Operation, Running, Unfinished, completion};
///
/// let (completer, one) = completion::<u32, Unfinished>();
/// let mut running: Running<u32, Unfinished> = Operation::new(one).background();
/// assert_eq!(running.wait_timeout(Duration::from_millis(1)), None);
/// completer.complete(Ok(7));
/// assert!(running.is_done());
/// assert_eq!(running.wait(), Ok(7));
/// ```
#[must_use = "dropped, it cancels the work: keep it, or `.detach()` it"]
pub struct Running<T, E> {
    held: Arc<dyn Held<T, E>>,
    is_detached: bool,
}

impl<T, E> Running<T, E> {
    /// Takes an operation that has begun.
    pub(super) fn hold<S>(operation: Operation<S>) -> Self
    where
        S: Source<Output = T, Error = E> + Send + 'static,
        T: Send + 'static,
        E: Send + 'static,
    {
        Running { held: hold(operation), is_detached: false }
    }

    /// Bounds the work; the limit counts from this call, and an earlier one still holds if it is
    /// the smaller. See [`Operation::timeout`].
    pub fn timeout(self, limit: Duration) -> Self {
        Arc::clone(&self.held).bound(limit);
        self
    }

    /// Blocks until the outcome is there or the limit of the work has passed. It warns on an
    /// executor's thread as [`Operation::wait`] does.
    ///
    /// # Errors
    /// What the work failed with. [`Unfinished::Lost`] if [`wait_timeout`](Running::wait_timeout)
    /// or a poll has taken the outcome before.
    #[track_caller]
    pub fn wait(self) -> Result<T, E>
    where
        E: From<Unfinished>,
    {
        if !self.held.is_done() {
            warn_if_on_executor();
        }
        self.held.block(None).unwrap_or_else(|| Err(Unfinished::Lost.into()))
    }

    /// Blocks for at most `time` and takes the outcome if it is there; leaves the work alone if it
    /// is not. It warns on an executor's thread as [`Operation::wait`] does.
    #[track_caller]
    pub fn wait_timeout(&mut self, time: Duration) -> Option<Result<T, E>> {
        if !time.is_zero() && !self.held.is_done() {
            warn_if_on_executor();
        }
        // A time that no clock reaches is no end.
        let until = Instant::now().checked_add(time);
        self.held.block(until)
    }

    /// Whether the outcome is there, or was taken. It never blocks. While another thread looks at
    /// the same handle the answer may still be `false`.
    pub fn is_done(&self) -> bool {
        self.held.is_done()
    }

    /// The handle that it is, so that code need not know whether it was given an operation.
    pub fn background(self) -> Self {
        self
    }

    /// Lets the work go on without anybody. Its limit still ends it; an outcome is dropped.
    ///
    /// ```
    /// use std::sync::mpsc;
    /// use sk_function::{BoxError, blocking};
    ///
    /// let (done, is_done) = mpsc::channel();
    /// blocking(move |_| Ok::<_, BoxError>(done.send("written")?)).background().detach();
    /// assert_eq!(is_done.recv()?, "written");
    /// # Ok::<(), BoxError>(())
    /// ```
    pub fn detach(mut self) {
        self.is_detached = true;
        Arc::clone(&self.held).detach();
    }
}

/// Polled again after it gave its outcome, it gives [`Unfinished::Lost`].
impl<T, E> Future for Running<T, E> {
    type Output = Result<T, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.held.poll(cx)
    }
}

impl<T, E> Drop for Running<T, E> {
    fn drop(&mut self) {
        if !self.is_detached {
            self.held.cancel();
        }
    }
}

impl<T, E> fmt::Debug for Running<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Running").field("is_done", &self.is_done()).finish_non_exhaustive()
    }
}
