//! A call as what an operation waits for.
//!
//! ```text
//!            settle: a kept thread polls it
//!   Future ---------------------------------> Work --> (an operation's end)
//!      |                                        ^
//!      | given, or cancelled                    | a synchronous function begins here
//!      v
//!    Gone
//! ```

use std::fmt;
use std::pin::{Pin, pin};
use std::sync::{Arc, OnceLock};
use std::task::{Context as TaskContext, Poll};
use std::time::{Duration, Instant};

use crate::cancel::CancelFlag;
use crate::operation::{
    Blocking, Drive, Operation, Source, Unfinished, Until, unpark_this_thread, while_waiting,
};
use crate::outcome::Failure;

/// What waits for a call: the source of the operation that
/// [`Function::operation`](crate::Function::operation) and
/// [`Bound::operation`](crate::Bound::operation) give.
pub struct Execution<T> {
    function: &'static str,
    state: State<T>,
    ends: Ends,
}

/// When a call will be ended by a limit, once that is known.
#[derive(Clone, Default)]
pub(crate) struct Ends(Arc<OnceLock<Instant>>);

impl Ends {
    pub(crate) fn at(&self) -> Option<Instant> {
        self.0.get().copied()
    }
}

enum State<T> {
    Work(Blocking<Job<T>, T, Failure>),
    Future { future: BoxFuture<T>, flag: CancelFlag },
    Gone,
}

type Job<T> = Box<dyn FnOnce(&CancelFlag) -> Result<T, Failure> + Send>;
type BoxFuture<T> = Pin<Box<dyn Future<Output = Result<T, Failure>> + Send>>;

impl<T: Send + 'static> Execution<T> {
    /// Work that blocks, which is given the flag that cancels it and when it will be ended.
    pub(crate) fn work(
        function: &'static str,
        work: impl FnOnce(&CancelFlag, Option<Instant>) -> Result<T, Failure> + Send + 'static,
    ) -> Self {
        let ends = Ends::default();
        let job = {
            let ends = ends.clone();
            move |flag: &CancelFlag| work(flag, ends.at())
        };
        Execution { function, state: State::Work(Blocking::new(Box::new(job))), ends }
    }

    /// A future, which is dropped when it is cancelled; then `flag` is set too.
    pub(crate) fn future(
        function: &'static str,
        flag: CancelFlag,
        ends: Ends,
        future: impl Future<Output = Result<T, Failure>> + Send + 'static,
    ) -> Self {
        Execution { function, state: State::Future { future: Box::pin(future), flag }, ends }
    }

    /// A call that cannot be made.
    pub(crate) fn refused(function: &'static str, failure: Failure) -> Self {
        let refused = std::future::ready(Err(failure));
        Execution::future(function, CancelFlag::new(), Ends::default(), refused)
    }

    /// The operation that waits for it, for so long at most.
    pub(crate) fn within(self, limit: Option<Duration>) -> Operation<Self> {
        match limit {
            Some(limit) => Operation::new(self).timeout(limit),
            None => Operation::new(self),
        }
    }

    /// Hands a future to a kept thread, which polls it to its end.
    pub(crate) fn onto_a_thread(mut self) -> Self {
        self.carry();
        self
    }

    fn carry(&mut self) {
        if let State::Future { .. } = self.state
            && let State::Future { mut future, flag } =
                std::mem::replace(&mut self.state, State::Gone)
        {
            let job = move |cancel: &CancelFlag| {
                let outcome = drive(&mut future, Until::flag(cancel), cancel);
                outcome.unwrap_or_else(|| {
                    flag.cancel();
                    Err(Unfinished::Cancelled.into())
                })
            };
            self.state = State::Work(Blocking::new(Box::new(job)));
        }
    }
}

/// Polls a future on this thread until it is done or `until` is over. Whoever sets the flag unparks
/// this thread.
fn drive<T>(
    future: &mut BoxFuture<T>,
    until: Until<'_>,
    flag: &CancelFlag,
) -> Option<Result<T, Failure>> {
    let waker = unpark_this_thread();
    let mut cx = TaskContext::from_waker(&waker);
    let mut cancelled = pin!(flag.cancelled());
    loop {
        if let Poll::Ready(outcome) = future.as_mut().poll(&mut cx) {
            return Some(outcome);
        }
        let is_over = cancelled.as_mut().poll(&mut cx).is_ready();
        if is_over || !while_waiting(|| until.park()) {
            return None;
        }
    }
}

impl<T: Send + 'static> Source for Execution<T> {
    type Output = T;
    type Error = Failure;
    // `settle` takes a future to a thread.
    const DRIVE: Drive = Drive::Itself;

    fn will_end_at(&mut self, at: Instant) {
        // It is told once.
        let _ = self.ends.0.set(at);
    }

    fn begin(&mut self) {
        if let State::Work(work) = &mut self.state {
            work.begin();
        }
    }

    fn settle(&mut self) {
        self.carry();
        if let State::Work(work) = &mut self.state {
            work.settle();
        }
    }

    fn try_take(&mut self) -> Option<Result<T, Failure>> {
        match &mut self.state {
            State::Work(work) => work.try_take(),
            State::Future { .. } => None,
            State::Gone => Some(Err(self.unfinished(Unfinished::Lost))),
        }
    }

    fn poll(&mut self, cx: &mut TaskContext<'_>) -> Poll<Result<T, Failure>> {
        match &mut self.state {
            State::Work(work) => work.poll(cx),
            State::Future { future, .. } => future.as_mut().poll(cx),
            State::Gone => Poll::Ready(Err(self.unfinished(Unfinished::Lost))),
        }
    }

    fn block(&mut self, until: Until<'_>) -> Option<Result<T, Failure>> {
        match &mut self.state {
            State::Work(work) => work.block(until),
            State::Future { future, .. } => {
                let never = CancelFlag::new();
                drive(future, until, until.cancel_flag().unwrap_or(&never))
            }
            State::Gone => Some(Err(self.unfinished(Unfinished::Lost))),
        }
    }

    fn cancel(&mut self) {
        match std::mem::replace(&mut self.state, State::Gone) {
            State::Work(mut work) => work.cancel(),
            State::Future { future, flag } => {
                flag.cancel();
                drop(future);
            }
            State::Gone => {}
        }
    }

    fn unfinished(&self, why: Unfinished) -> Failure {
        match why {
            Unfinished::TimedOut(limit) => {
                Failure::timed_out("call", limit).with_function(self.function)
            }
            other => {
                let failure = Failure::from(other);
                match failure.function() {
                    Some(_) => failure,
                    None => failure.with_function(self.function),
                }
            }
        }
    }
}

impl<T> fmt::Debug for Execution<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Execution").field("function", &self.function).finish_non_exhaustive()
    }
}
