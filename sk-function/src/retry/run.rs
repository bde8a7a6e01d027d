//! The loops around the decision: one that blocks, one that awaits.

use std::future::Future;
use std::pin::pin;
use std::task::Poll;
use std::time::{Duration, Instant};

use super::{Decision, Origin, Repeat, Retry, Stop, Tries};
use crate::call_id::entropy;
use crate::context::Context;
use crate::outcome::{BoxError, Failure, catch_panic};

impl Retry {
    /// Runs `work` until it gives a value or this policy gives up, here and now.
    ///
    /// It blocks the thread, between the attempts too: async code uses
    /// [`run_async`](Retry::run_async). A panic of `work` is a failure like another.
    ///
    /// # Errors
    /// The last failure, with the number of attempts and the reason why there was no further one.
    /// Without any attempt if the policy [has a wrong value](Retry::check).
    ///
    /// ```
    /// use std::time::Duration;
    /// use sk_function::Retry;
    ///
    /// let policy = Retry::new().delay(Duration::from_millis(1));
    /// let failure = policy.run(|_| "x".parse::<u8>()).unwrap_err();
    /// assert_eq!(
    ///     failure.to_string(),
    ///     "work failed: invalid digit found in string (3 attempts)"
    /// );
    /// ```
    pub fn run<T, E, W>(&self, work: W) -> Result<T, Failure>
    where
        E: Into<BoxError>,
        W: FnMut(&Context) -> Result<T, E>,
    {
        self.run_in(&Context::new(), Repeat::Undeclared, work)
    }

    /// As [`run`](Retry::run), for work that declared this and within this context: its deadline
    /// ends the repetition, its cancel flag also ends a wait between two attempts at once.
    ///
    /// `work` is given the same context with the number of its attempt; it is also
    /// [`Context::current`] meanwhile.
    ///
    /// # Errors
    /// As [`run`](Retry::run). [`is_cancelled`](Failure::is_cancelled) if it was cancelled before or
    /// between attempts, with the last failure as its source. [`is_error`](Failure::is_error)
    /// without an attempt if the policy is refused.
    pub fn run_in<T, E, W>(
        &self,
        context: &Context,
        declared: Repeat,
        mut work: W,
    ) -> Result<T, Failure>
    where
        E: Into<BoxError>,
        W: FnMut(&Context) -> Result<T, E>,
    {
        let mut run = Run::begin(self, context, declared)?;
        loop {
            let attempt = run.attempt();
            let outcome = catch_panic(|| {
                attempt.enter(|| work(&attempt).map_err(|error| Failure::from(error.into())))
            });
            let failure = match outcome {
                Ok(Ok(value)) => return Ok(value),
                Ok(Err(failure)) | Err(failure) => failure,
            };
            let (failure, after) = run.again(failure)?;
            if context.cancel_flag().wait_timeout(after) {
                return Err(run.cancelled(&failure));
            }
        }
    }

    /// As [`run`](Retry::run), for async work. `sleep` makes the timer of the executor at hand.
    ///
    /// ```
    /// use std::time::Duration;
    /// use sk_function::{Context, Retry};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
    /// let policy = Retry::new().delay(Duration::from_millis(1));
    /// let answer = policy
    ///     .run_async(tokio::time::sleep, |context: Context| async move {
    ///         if context.attempt() < 3 { Err("busy") } else { Ok(7) }
    ///     })
    ///     .await;
    /// assert_eq!(answer, Ok(7));
    /// # });
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`run`](Retry::run).
    pub async fn run_async<T, E, W, F, S, Z>(&self, sleep: S, work: W) -> Result<T, Failure>
    where
        E: Into<BoxError>,
        W: FnMut(Context) -> F,
        F: Future<Output = Result<T, E>>,
        S: FnMut(Duration) -> Z,
        Z: Future<Output = ()>,
    {
        self.run_async_in(&Context::new(), Repeat::Undeclared, sleep, work).await
    }

    /// As [`run_in`](Retry::run_in), for async work. Each poll of the work has its context as
    /// [`Context::current`].
    ///
    /// # Errors
    /// As [`run_in`](Retry::run_in).
    pub async fn run_async_in<T, E, W, F, S, Z>(
        &self,
        context: &Context,
        declared: Repeat,
        mut sleep: S,
        mut work: W,
    ) -> Result<T, Failure>
    where
        E: Into<BoxError>,
        W: FnMut(Context) -> F,
        F: Future<Output = Result<T, E>>,
        S: FnMut(Duration) -> Z,
        Z: Future<Output = ()>,
    {
        let mut run = Run::begin(self, context, declared)?;
        loop {
            let attempt = run.attempt();
            let failure = match one_attempt(&attempt, &mut work).await {
                Ok(value) => return Ok(value),
                Err(failure) => failure,
            };
            let (failure, after) = run.again(failure)?;
            if is_cancelled_within(context, sleep(after)).await {
                return Err(run.cancelled(&failure));
            }
        }
    }
}

/// What both loops keep from one attempt to the next.
struct Run<'a> {
    policy: &'a Retry,
    context: &'a Context,
    declared: Repeat,
    begun: Instant,
    tries: Tries,
}

impl<'a> Run<'a> {
    fn begin(policy: &'a Retry, context: &'a Context, declared: Repeat) -> Result<Self, Failure> {
        policy.check(declared).map_err(|error| Failure::error(&error).with_no_start())?;
        if context.is_cancelled() {
            return Err(Failure::cancelled("before attempt 1").with_no_start());
        }
        Ok(Run { policy, context, declared, begun: Instant::now(), tries: Tries::default() })
    }

    /// The context of the attempt that comes next.
    fn attempt(&self) -> Context {
        self.context.clone().with_attempt(self.tries.attempt())
    }

    /// The wait after an attempt that failed, or the failure as the caller is given it.
    fn again(&mut self, failure: Failure) -> Result<(Failure, Duration), Failure> {
        self.tries = self.tries.and(&failure, self.begun.elapsed());
        let failure = failure.with_attempts(self.tries.started());
        let stop = match self.policy.next(self.tries, &failure, self.declared, entropy()) {
            Decision::Stop(stop) => stop,
            Decision::Again { .. } if self.context.is_cancelled() => {
                return Err(self.cancelled(&failure));
            }
            Decision::Again { after } => match self.context.remaining() {
                Some(left) if left <= after => Stop::Deadline,
                _ => {
                    let attempt = self.tries.attempt();
                    tracing::debug!(attempt, ?after, %failure, "work is repeated");
                    return Ok((failure, after));
                }
            },
        };
        Err(match stop {
            // Told by the number of attempts, or by the failure itself.
            Stop::Attempts { .. } | Stop::Cancelled => failure,
            // Nobody wrote the policy that leaves it out.
            Stop::Excluded { .. } if self.policy.rules.origin == Origin::Implied => failure,
            stop => failure.with_not_repeated(&stop),
        })
    }

    fn cancelled(&self, last: &Failure) -> Failure {
        let attempt = self.tries.attempt();
        Failure::cancelled_after(last, format_args!("before attempt {attempt}"))
    }
}

/// Runs the future of one attempt to its end, its panics caught: those in making, in polling and in
/// dropping it.
pub(crate) async fn one_attempt<T, E, F>(
    context: &Context,
    work: &mut impl FnMut(Context) -> F,
) -> Result<T, Failure>
where
    E: Into<BoxError>,
    F: Future<Output = Result<T, E>>,
{
    let future = catch_panic(|| context.enter(|| work(context.clone())))?;
    let mut future = pin!(Some(future));
    std::future::poll_fn(|cx| {
        let polled = catch_panic(|| {
            context.enter(|| match future.as_mut().as_pin_mut() {
                Some(future) => future
                    .poll(cx)
                    .map(|answer| answer.map_err(|error| Failure::from(error.into()))),
                // It was polled again after its end, which `async` code does not do.
                None => Poll::Pending,
            })
        });
        let answer = match polled {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(answer)) => answer,
            Err(failure) => Err(failure),
        };
        // Its destructors belong to the attempt, and to its context.
        match catch_panic(|| context.enter(|| future.set(None))) {
            Ok(()) => Poll::Ready(answer),
            Err(failure) => Poll::Ready(answer.and(Err(failure))),
        }
    })
    .await
}

/// Waits for `sleep` to end, or for the cancel flag: whether it was the flag.
async fn is_cancelled_within(context: &Context, sleep: impl Future<Output = ()>) -> bool {
    let mut cancelled = pin!(context.cancel_flag().cancelled());
    let mut sleep = pin!(sleep);
    std::future::poll_fn(|cx| {
        if cancelled.as_mut().poll(cx).is_ready() {
            return Poll::Ready(true);
        }
        sleep.as_mut().poll(cx).map(|()| false)
    })
    .await
}
