//! What a caller may ask of a call, and the one order in which it takes effect.
//!
//! From the outside in, whatever the order of writing:
//!
//! 1. the *timeout* of the whole call, which ends everything within;
//! 2. the *retry*, which makes attempts;
//! 3. the *attempt timeout*, which ends one attempt;
//! 4. the call.
//!
//! A synchronous attempt that has a limit runs on a kept thread, since a call in this process cannot
//! be ended from outside: at its limit the caller goes on, the cancel flag of that attempt is set,
//! and the thread stays counted until the function returns.

use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::call_id::CallId;
use crate::cancel::CancelFlag;
use crate::context::Context;
use crate::operation::{Operation, Unfinished, carried_within, completion};
use crate::outcome::{Failure, catch_panic};
use crate::retry::{Repeat, Retry, one_attempt};
use crate::sync::process::atomic::{AtomicBool, Ordering};

/// What a caller asked of a call. Nothing is allocated before something is asked.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Modifiers(Option<Box<Asked>>);

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Asked {
    retry: Option<Retry>,
    timeout: Option<Duration>,
    attempt_timeout: Option<Duration>,
    id: Option<CallId>,
}

impl Modifiers {
    pub(crate) const fn none() -> Self {
        Modifiers(None)
    }

    fn asked(&mut self) -> &mut Asked {
        self.0.get_or_insert_default()
    }

    /// Repeats the call by this policy.
    pub fn retry(&mut self, policy: Retry) {
        self.asked().retry = Some(policy);
    }

    /// Bounds the whole call.
    pub fn timeout(&mut self, limit: Duration) {
        lower(&mut self.asked().timeout, limit);
    }

    /// Bounds each attempt.
    pub fn attempt_timeout(&mut self, limit: Duration) {
        lower(&mut self.asked().attempt_timeout, limit);
    }

    /// Without the id of one execution.
    pub(crate) fn forget_id(&mut self) {
        if let Some(asked) = &mut self.0 {
            asked.id = None;
        }
    }

    /// With this id.
    pub fn id(&mut self, id: CallId) {
        self.asked().id = Some(id);
    }

    /// Whether there may be more than one attempt.
    pub(crate) fn has_retry(&self) -> bool {
        self.0.as_ref().is_some_and(|asked| asked.retry.is_some())
    }

    #[inline]
    pub(crate) fn are_none(&self) -> bool {
        self.0.is_none()
    }
}

/// Of several limits the smaller holds.
fn lower(limit: &mut Option<Duration>, other: Duration) {
    *limit = Some(limit.map_or(other, |limit| limit.min(other)));
}

/// How one call is to be made: what its caller asked, over what its function declares.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    function: &'static str,
    repeat: Repeat,
    asked: Asked,
}

impl Plan {
    pub(crate) fn new(
        function: &'static str,
        repeat: Repeat,
        declared_timeout: Option<Duration>,
        modifiers: Modifiers,
    ) -> Self {
        let mut asked = modifiers.0.map_or_else(Asked::default, |asked| *asked);
        asked.attempt_timeout = asked.attempt_timeout.or(declared_timeout);
        Plan { function, repeat, asked }
    }

    pub(crate) fn asks_for_more_than_an_id(&self) -> bool {
        self.asked.retry.is_some()
            || self.asked.timeout.is_some()
            || self.asked.attempt_timeout.is_some()
    }

    /// The limit of the whole call.
    pub(crate) fn timeout(&self) -> Option<Duration> {
        self.asked.timeout
    }

    /// The context of the whole call, which this flag cancels and which ends then.
    pub(crate) fn context(&self, flag: CancelFlag, deadline: Option<Instant>) -> Context {
        let context = Context::new().with_cancel_flag(flag);
        let context = match self.asked.id {
            Some(id) => context.with_id(id),
            None => context,
        };
        match deadline {
            Some(deadline) => context.with_deadline(deadline),
            None => context,
        }
    }

    /// Makes the call here, with the attempts that it takes; `make` makes the work of each.
    pub(crate) fn run<T, W>(
        &self,
        context: &Context,
        mut make: impl FnMut() -> W,
    ) -> Result<T, Failure>
    where
        T: Send + 'static,
        W: FnOnce() -> Result<T, Failure> + Send + 'static,
    {
        let outcome = match &self.asked.retry {
            Some(policy) => {
                policy.run_in(context, self.repeat, |context| self.attempt(context, make()))
            }
            None if context.is_cancelled() => Err(before_it_started()),
            None => {
                catch_panic(|| context.enter(|| self.attempt(context, make()))).unwrap_or_else(Err)
            }
        };
        outcome.map_err(|failure| self.name(failure))
    }

    /// One attempt, in whose context the caller is already.
    fn attempt<T, W>(&self, context: &Context, work: W) -> Result<T, Failure>
    where
        T: Send + 'static,
        W: FnOnce() -> Result<T, Failure> + Send + 'static,
    {
        let Some(limit) = self.asked.attempt_timeout else { return work() };
        let context = of_attempt(context, limit);
        let flag = context.cancel_flag().clone();
        let has_started = Arc::new(AtomicBool::new(false));
        let carried = {
            let has_started = Arc::clone(&has_started);
            move |_: &CancelFlag| {
                // Who is told that it did not start has taken this first, and then it does not.
                if has_started.swap(true, Ordering::Relaxed) {
                    return Err(before_it_started());
                }
                context.enter(work)
            }
        };
        if let Some(outcome) = carried_within(carried, limit, &flag) {
            return outcome;
        }
        // The call was cancelled, which set this flag too, or the limit has passed.
        let failure = if flag.is_cancelled() {
            Failure::cancelled("while it ran")
        } else {
            flag.cancel();
            self.timed_out(limit)
        };
        // Relaxed: one of two swaps comes first, whichever it is.
        Err(if has_started.swap(true, Ordering::Relaxed) {
            failure
        } else {
            failure.with_no_start()
        })
    }

    /// Makes the call on whatever executor polls it; `make` makes the future of each attempt.
    pub(crate) async fn run_async<T, F>(
        &self,
        context: &Context,
        mut make: impl FnMut() -> F,
    ) -> Result<T, Failure>
    where
        F: Future<Output = Result<T, Failure>>,
    {
        let mut attempt = |context: Context| {
            let limit = self.asked.attempt_timeout;
            let context = match limit {
                Some(limit) => of_attempt(&context, limit),
                None => context,
            };
            let future = context.enter(&mut make);
            self.limited(context, limit, future)
        };
        let outcome = match &self.asked.retry {
            Some(policy) => policy.run_async_in(context, self.repeat, sleep, attempt).await,
            None if context.is_cancelled() => Err(before_it_started()),
            None => one_attempt(context, &mut attempt).await,
        };
        outcome.map_err(|failure| self.name(failure))
    }

    async fn limited<T>(
        &self,
        context: Context,
        limit: Option<Duration>,
        future: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let Some(limit) = limit else { return future.await };
        let mut future = pin!(future);
        let mut sleep = pin!(sleep(limit));
        std::future::poll_fn(|cx| {
            if let Poll::Ready(outcome) = context.enter(|| future.as_mut().poll(cx)) {
                return Poll::Ready(outcome);
            }
            sleep.as_mut().poll(cx).map(|()| {
                context.cancel_flag().cancel();
                Err(self.timed_out(limit))
            })
        })
        .await
    }

    pub(crate) fn timed_out(&self, limit: Duration) -> Failure {
        Failure::timed_out("call", limit).with_function(self.function)
    }

    /// A failure names the innermost function that it is known of.
    pub(crate) fn name(&self, failure: Failure) -> Failure {
        match failure.function() {
            Some(_) => failure,
            None => failure.with_function(self.function),
        }
    }
}

fn before_it_started() -> Failure {
    Failure::cancelled("before it started").with_no_start()
}

/// The context of one attempt, which has a limit and a flag of its own: that it was timed out
/// cancels no other attempt.
fn of_attempt(context: &Context, limit: Duration) -> Context {
    let own = context.clone().with_cancel_flag(context.cancel_flag().child());
    match context.remaining() {
        Some(left) if left <= limit => own,
        _ => own.with_timeout(limit),
    }
}

/// Waits so long, by the timer thread of operations.
async fn sleep(time: Duration) {
    let (_kept, never) = completion::<(), Unfinished>();
    let outcome = Operation::new(never).timeout(time).await;
    debug_assert!(outcome.is_err());
}
