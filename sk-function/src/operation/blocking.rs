//! Work that blocks, as a source.
//!
//! A closure is in one of three places:
//!
//! ```text
//!             wait without a limit: it runs on the waiting thread
//!   Here(work) --------------------------------------------------> Gone
//!        |                                                          ^
//!        |  poll, settle, or wait with a limit                      | cancel before the begin
//!        v                                                          | of the work
//!   Carried(flag, ticket, completion) ------------------------------+
//! ```
//!
//! Once carried, the job on the kept thread owns the work and the completer; the source owns the
//! completion, the ticket to take the job out of the queue again, and one of two handles to the flag.

use std::fmt;
use std::mem;
use std::pin::pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use super::Operation;
use super::completion::{Completion, completion};
use super::source::{Drive, Source, Until};
use super::threads::{self, Ticket};
use super::unfinished::Unfinished;
use super::waiter::unpark_this_thread;
use crate::{CancelFlag, Failure, catch_panic};

/// An operation that runs a closure which may block.
///
/// Waited for without a limit it runs on the waiting thread. Awaited, bounded or in the background
/// it runs on a kept thread ([`BlockingThreads`](crate::BlockingThreads)), so that an `.await`
/// never blocks an executor.
///
/// Running work cannot be ended from outside. At a limit, or when it is not wanted any more, its
/// [`CancelFlag`] is set; the caller goes on at once, and the thread stays counted until the closure
/// returns. Work that has not begun never does.
///
/// ```
/// use std::time::Duration;
/// use sk_function::{CancelFlag, Unfinished, blocking};
///
/// let endless = blocking(|flag: &CancelFlag| -> Result<(), Unfinished> {
///     flag.wait();
///     Err(Unfinished::Cancelled)
/// });
/// let limit = Duration::from_millis(20);
/// assert_eq!(endless.timeout(limit).wait(), Err(Unfinished::TimedOut(limit)));
/// ```
///
/// A panic of the closure is an outcome, [`Unfinished::Panicked`] with message and place, wherever
/// it ran. If no thread could be started, the outcome is [`Unfinished::Lost`].
///
/// ```
/// use sk_function::{Failure, blocking};
///
/// let read = blocking(|_| std::fs::read_to_string("/dev/null").map_err(|e| Failure::error(&e)));
/// assert_eq!(read.background().wait(), Ok(String::new()));
///
/// let failure = blocking(|_| -> Result<(), Failure> { panic!("no more paper") }).wait().unwrap_err();
/// assert!(failure.is_panic());
/// assert_eq!(failure.message(), Some("no more paper"));
/// ```
pub fn blocking<F, T, E>(work: F) -> Operation<Blocking<F, T, E>>
where
    F: FnOnce(&CancelFlag) -> Result<T, E> + Send + 'static,
    T: Send + 'static,
    E: From<Unfinished> + Send + 'static,
{
    Operation::new(Blocking::new(work))
}

/// The source of a [`blocking`] operation.
pub struct Blocking<F, T, E> {
    place: Place<F, T, E>,
}

enum Place<F, T, E> {
    Here(F),
    Carried(Carried<T, E>),
    Gone,
}

impl<F, T, E> Blocking<F, T, E>
where
    F: FnOnce(&CancelFlag) -> Result<T, E> + Send + 'static,
    T: Send + 'static,
    E: From<Unfinished> + Send + 'static,
{
    /// The source of `blocking(work)`, for types that wrap it.
    pub fn new(work: F) -> Self {
        Blocking { place: Place::Here(work) }
    }

    /// The work on a kept thread; `None` if it ran here or was cancelled.
    fn carried(&mut self) -> Option<&mut Carried<T, E>> {
        if let Place::Here(_) = self.place
            && let Place::Here(work) = mem::replace(&mut self.place, Place::Gone)
        {
            self.place = Place::Carried(carry(work));
        }
        match &mut self.place {
            Place::Carried(carried) => Some(carried),
            Place::Here(_) | Place::Gone => None,
        }
    }
}

impl<F, T, E> Source for Blocking<F, T, E>
where
    F: FnOnce(&CancelFlag) -> Result<T, E> + Send + 'static,
    T: Send + 'static,
    E: From<Unfinished> + Send + 'static,
{
    type Output = T;
    type Error = E;
    // `settle` takes it to a thread.
    const DRIVE: Drive = Drive::Itself;

    fn settle(&mut self) {
        self.carried();
    }

    fn try_take(&mut self) -> Option<Result<T, E>> {
        match &mut self.place {
            Place::Here(_) => None,
            Place::Carried(carried) => carried.try_take(),
            Place::Gone => Some(Err(Unfinished::Lost.into())),
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<T, E>> {
        match self.carried() {
            Some(carried) => carried.poll(cx),
            None => Poll::Ready(Err(Unfinished::Lost.into())),
        }
    }

    fn block(&mut self, until: Until<'_>) -> Option<Result<T, E>> {
        if until.at().is_none()
            && let Place::Here(_) = self.place
            && let Place::Here(work) = mem::replace(&mut self.place, Place::Gone)
        {
            let own_flag = CancelFlag::new();
            return Some(run(work, until.cancel_flag().unwrap_or(&own_flag)));
        }
        match self.carried() {
            Some(carried) => carried.block(until),
            None => Some(Err(Unfinished::Lost.into())),
        }
    }

    fn cancel(&mut self) {
        if let Place::Carried(mut carried) = mem::replace(&mut self.place, Place::Gone) {
            carried.cancel();
        }
    }
}

impl<F, T, E> fmt::Debug for Blocking<F, T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Blocking").finish_non_exhaustive()
    }
}

/// Work on a kept thread, or in the queue for one.
pub(super) struct Carried<T, E> {
    completion: Completion<T, E>,
    flag: CancelFlag,
    ticket: Ticket,
}

/// Gives work to a kept thread. It goes on, whoever drops what this returns, until it is cancelled.
pub(super) fn carry<F, T, E>(work: F) -> Carried<T, E>
where
    F: FnOnce(&CancelFlag) -> Result<T, E> + Send + 'static,
    T: Send + 'static,
    E: From<Unfinished> + Send + 'static,
{
    let (completer, completion) = completion();
    let flag = CancelFlag::new();
    let flag_of_job = flag.clone();
    let span = tracing::Span::current();
    let ticket = threads::submit(Box::new(move || {
        // It was cancelled after it left the queue.
        if flag_of_job.is_cancelled() {
            return completer.complete(Err(Unfinished::Cancelled.into()));
        }
        let outcome = span.in_scope(|| run(work, &flag_of_job));
        completer.complete(outcome);
    }));
    Carried { completion, flag, ticket }
}

/// Runs work on a kept thread and waits for it: for so long, and until this flag is set. `None` if
/// it was one of these, and then the work is not wanted any more.
pub(crate) fn carried_within<F, T, E>(
    work: F,
    limit: Duration,
    flag: &CancelFlag,
) -> Option<Result<T, E>>
where
    F: FnOnce(&CancelFlag) -> Result<T, E> + Send + 'static,
    T: Send + 'static,
    E: From<Unfinished> + Send + 'static,
{
    let mut carried = carry(work);
    // While this is kept, setting the flag unparks this thread.
    let mut cancelled = pin!(flag.cancelled());
    let unpark = unpark_this_thread();
    let _ = cancelled.as_mut().poll(&mut Context::from_waker(&unpark));
    let outcome = carried.block(Until::both(Instant::now().checked_add(limit), flag));
    if outcome.is_none() {
        carried.cancel();
    }
    outcome
}

impl<T, E: From<Unfinished>> Source for Carried<T, E> {
    type Output = T;
    type Error = E;
    const DRIVE: Drive = Drive::Itself;

    fn try_take(&mut self) -> Option<Result<T, E>> {
        self.completion.try_take()
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<T, E>> {
        self.completion.poll(cx)
    }

    fn block(&mut self, until: Until<'_>) -> Option<Result<T, E>> {
        self.completion.block(until)
    }

    fn cancel(&mut self) {
        self.flag.cancel();
        threads::withdraw(self.ticket);
    }
}

fn run<F, T, E>(work: F, flag: &CancelFlag) -> Result<T, E>
where
    F: FnOnce(&CancelFlag) -> Result<T, E>,
    E: From<Unfinished>,
{
    catch_panic(|| work(flag))
        .unwrap_or_else(|panic: Failure| Err(Unfinished::Panicked(panic).into()))
}
