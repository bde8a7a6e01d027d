//! One waiting value: everything in the workspace that waits is an [`Operation`].
//!
//! It is lazy, and it is waited for as the caller likes: [`wait`](Operation::wait) blocks, `.await`
//! works on any executor and blocks none, [`background`](Operation::background) gives a handle, a
//! [`timeout`](Operation::timeout) bounds it. Order makes no difference to what comes out.
//!
//! An operation is in one of three stages:
//!
//! ```text
//!         wait, the first poll, background             the outcome is given, or the limit passed
//!   New ------------------------------------> Begun ---------------------------------------------> Over
//!    |                                          |
//!    | dropped: nothing ever ran                | dropped: the source is cancelled
//!    v                                          v
//! ```
//!
//! Who owns what:
//!
//! - The operation owns its [`Source`] and its limit. Nobody else touches the source, so a source
//!   needs no lock for its own sake.
//! - In the background, the operation moves into a shared place behind the handle (`held`), since
//!   the timer has to end it while nobody looks. Whoever uses it takes it out for that time.
//! - The `timer` owns a waker or a share of that place, until it goes off or the alarm is dropped.
//! - Work that blocks is owned by the job that carries it (`blocking`, `threads`); what is left
//!   with the operation is the completing end's partner and a flag.
//!
//! `Source::cancel` is called by the step to `Over` that gives no outcome of the source, and by
//! nothing else: once or never.

mod blocking;
mod completion;
mod executor;
mod held;
mod limit;
mod running;
mod source;
mod threads;
mod timer;
mod unfinished;
mod verbs;
mod waiter;

use std::fmt;
use std::mem;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use crate::CancelFlag;
use limit::Limit;
use timer::Alarm;

pub(crate) use blocking::carried_within;
pub use blocking::{Blocking, blocking};
pub use completion::{Completer, Completion, completion};
pub use executor::{ExecutorProbe, add_executor_probe};
pub use running::Running;
pub use source::{Drive, Source, Until};
pub use threads::BlockingThreads;
pub use unfinished::Unfinished;

pub(crate) use threads::while_waiting;
pub(crate) use waiter::unpark_this_thread;

#[cfg(loom)]
pub use timer::by_hand;

/// What `S` gives: its output or its error.
type Outcome<S> = Result<<S as Source>::Output, <S as Source>::Error>;

/// Something that is waited for, and does nothing before.
///
/// It begins with [`wait`](Operation::wait), with the first poll of an `.await`, or with
/// [`background`](Operation::background). Dropped before that, nothing ever ran; dropped after, as by
/// a `select!`, the work is cancelled.
///
/// ```
/// use std::time::Duration;
/// use sk_function::{BoxError, blocking};
///
/// let answer = || blocking(|_| Ok::<u32, BoxError>(42)).timeout(Duration::from_secs(5));
///
/// assert_eq!(answer().wait()?, 42);
/// assert_eq!(answer().background().wait()?, 42);
/// futures::executor::block_on(async {
///     assert_eq!(answer().await?, 42);
///     assert_eq!(answer().background().await?, 42);
///     Ok::<(), BoxError>(())
/// })
/// # ?; Ok::<(), BoxError>(())
/// ```
#[must_use = "an operation does nothing until it is waited for: `.wait()`, `.await` or `.background()`"]
pub struct Operation<S: Source> {
    source: S,
    stage: Stage,
    limit: Limit,
    /// Wakes the task that polled, at the limit.
    alarm: Option<Alarm>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Nothing runs; the limit is a span.
    New,
    /// The source has begun; the limit is an instant.
    Begun,
    /// The outcome was given, or the source was cancelled.
    Over,
}

impl<S: Source> Operation<S> {
    /// An operation that waits for this source.
    pub fn new(source: S) -> Self {
        Operation { source, stage: Stage::New, limit: Limit::default(), alarm: None }
    }

    /// Bounds it: the limit counts from the begin, or from this call if it has begun already. Of
    /// several limits the smaller holds.
    ///
    /// A limit ends the work, also when nobody looks: the source is cancelled and the outcome is
    /// [`Unfinished::TimedOut`]. An outcome that is there already is given all the same, so a limit
    /// of zero takes what there is. [`Duration::MAX`] is no limit.
    ///
    /// A blocking [`wait`](Operation::wait) keeps its limit itself. Those of an `.await` and of the
    /// background are kept by one timer thread for the whole process, which the first of them starts.
    /// After a `fork` without `exec` the child has no such thread, and they never pass there.
    ///
    /// ```
    /// use std::time::Duration;
    /// use sk_function::{Operation, Unfinished, completion};
    ///
    /// let (completer, ready) = completion::<u32, Unfinished>();
    /// completer.complete(Ok(1));
    /// assert_eq!(Operation::new(ready).timeout(Duration::ZERO).wait(), Ok(1));
    ///
    /// let (_completer, never) = completion::<u32, Unfinished>();
    /// let late = Operation::new(never).timeout(Duration::from_secs(60)).timeout(Duration::ZERO);
    /// assert_eq!(late.wait(), Err(Unfinished::TimedOut(Duration::ZERO)));
    /// ```
    pub fn timeout(mut self, limit: Duration) -> Self {
        if self.stage == Stage::New {
            self.limit.bound_span(limit);
        } else if self.limit.bound_from_now(limit) {
            self.alarm = None;
        }
        self
    }

    /// Blocks until the outcome is there or the limit has passed.
    ///
    /// Where it would block a thread that an [executor probe](add_executor_probe) knows, it warns,
    /// once for each place of a call, and blocks.
    ///
    /// # Errors
    /// What the source fails with; [`Unfinished`] as its error type tells it.
    #[track_caller]
    #[inline]
    pub fn wait(mut self) -> Result<S::Output, S::Error> {
        self.begin();
        if let Some(outcome) = self.try_take() {
            return outcome;
        }
        executor::warn_if_on_executor();
        match self.source.block(Until::latest(self.limit.at())) {
            Some(outcome) => {
                self.stage = Stage::Over;
                outcome
            }
            None => Err(self.end_at_limit()),
        }
    }

    /// Lets the work go on while the caller does something else.
    ///
    /// It begins now, and so does its limit. A source that has to be driven by somebody is carried
    /// by a kept thread; see [`BlockingThreads`]. This never blocks.
    ///
    /// ```
    /// use sk_function::{BoxError, blocking};
    ///
    /// let both: Vec<_> = (0..2).map(|n| blocking(move |_| Ok::<_, BoxError>(n)).background()).collect();
    /// let sum: u32 = both.into_iter().map(|running| running.wait()).sum::<Result<_, _>>()?;
    /// assert_eq!(sum, 1);
    /// # Ok::<(), BoxError>(())
    /// ```
    pub fn background(mut self) -> Running<S::Output, S::Error>
    where
        S: Send + 'static,
        S::Output: Send + 'static,
        S::Error: Send + 'static,
    {
        if S::DRIVE == Drive::Itself || self.stage == Stage::Over {
            self.begin();
            if self.stage == Stage::Begun {
                self.source.settle();
            }
            return Running::hold(self);
        }
        // The limit counts from here, also while the work queues for a thread. It is kept by the
        // handle, which ends the carried work by the flag.
        self.alarm = None;
        let mut limit = mem::take(&mut self.limit);
        if self.stage == Stage::New {
            limit.begin();
        }
        let carried = blocking::carry(move |flag| self.drive(flag));
        let stage = Stage::Begun;
        Running::hold(Operation { source: carried, stage, limit, alarm: None })
    }

    /// Drives the source on a kept thread.
    fn drive(mut self, flag: &CancelFlag) -> Outcome<S> {
        self.begin();
        // While this is kept, setting the flag unparks this thread. A flag that is set already is
        // seen by `Until`, so the answer does not matter.
        let mut cancelled = pin!(flag.cancelled());
        let unpark = unpark_this_thread();
        let _ = cancelled.as_mut().poll(&mut Context::from_waker(&unpark));
        match self.source.block(Until::flag(flag)) {
            Some(outcome) => {
                self.stage = Stage::Over;
                outcome
            }
            None => {
                self.cancel();
                Err(self.source.unfinished(Unfinished::Cancelled))
            }
        }
    }

    #[inline]
    fn begin(&mut self) {
        if self.stage == Stage::New {
            self.stage = Stage::Begun;
            self.limit.begin();
            if let Some(at) = self.limit.at() {
                self.source.will_end_at(at);
            }
            self.source.begin();
        }
    }

    /// The outcome, if it is there already.
    #[inline]
    fn try_take(&mut self) -> Option<Outcome<S>> {
        if self.stage == Stage::Over {
            return Some(Err(Unfinished::Lost.into()));
        }
        let outcome = self.source.try_take()?;
        self.stage = Stage::Over;
        Some(outcome)
    }

    /// The limit has passed and there is no outcome.
    fn end_at_limit(&mut self) -> S::Error {
        self.end_at(self.limit)
    }

    /// This limit, its own or that of its handle, has passed and there is no outcome.
    fn end_at(&mut self, limit: Limit) -> S::Error {
        self.cancel();
        self.source.unfinished(limit.passed())
    }

    fn cancel(&mut self) {
        self.alarm = None;
        if mem::replace(&mut self.stage, Stage::Over) == Stage::Begun {
            self.source.cancel();
        }
    }

    /// Has the task woken at the limit; `false` if that has passed.
    fn set_alarm(&mut self, at: Instant, cx: &Context<'_>) -> bool {
        if Instant::now() >= at {
            return false;
        }
        match &self.alarm {
            Some(alarm) => alarm.rearm(cx.waker()),
            None => {
                self.alarm = Some(timer::wake_at(at, cx.waker()));
                true
            }
        }
    }
}

/// Polled again after it gave its outcome, an operation gives [`Unfinished::Lost`].
impl<S: Source> Future for Operation<S> {
    type Output = Result<S::Output, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        if this.stage == Stage::Over {
            return Poll::Ready(Err(Unfinished::Lost.into()));
        }
        this.begin();
        if let Poll::Ready(outcome) = this.source.poll(cx) {
            this.stage = Stage::Over;
            this.alarm = None;
            return Poll::Ready(outcome);
        }
        match this.limit.at() {
            Some(at) if !this.set_alarm(at, cx) => {
                // It may have come since the poll.
                Poll::Ready(this.try_take().unwrap_or_else(|| Err(this.end_at_limit())))
            }
            _ => Poll::Pending,
        }
    }
}

/// The source is never pinned, so an operation may always move.
impl<S: Source> Unpin for Operation<S> {}

impl<S: Source> Drop for Operation<S> {
    fn drop(&mut self) {
        self.cancel();
    }
}

impl<S: Source> fmt::Debug for Operation<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stage = match self.stage {
            Stage::New => "new",
            Stage::Begun => "begun",
            Stage::Over => "over",
        };
        f.debug_struct("Operation").field("stage", &stage).finish_non_exhaustive()
    }
}
