//! Where an operation in the background is kept: behind a handle that does not show its source.
//!
//! Three may use the operation: the holder of the [`Running`](super::Running), the timer at the
//! limit, and, once detached, whoever wakes it. Each takes the operation out for as long as it uses
//! it, so that the lock is held only for the step from one state to the next; nothing of the user's
//! runs under it, and nobody waits for it while somebody blocks in the source.
//!
//! ```text
//!              take out                          the limit passes
//!   Here(op) ------------> Out { expired: false } ------------> Out { expired: true }
//!      ^                        |            |                          |
//!      | no outcome: put back   |            | outcome, panic           | outcome, or cancelled
//!      +------------------------+            v                          v
//!                                       Over(Option<outcome>) <---------+
//! ```
//!
//! - **Holder**: takes it out to poll, to block, to look. If it comes back without an outcome and
//!   finds `expired`, the limit passed meanwhile and it is the one to end the operation: an expiry
//!   is never lost.
//! - **Timer**: finds it `Here`, takes it out, and ends it, unless the outcome is there; or finds it
//!   `Out` and leaves `expired` behind; or finds it `Over` and does nothing.
//! - A holder that finds it `Out` has met the timer. It registers as the waiter, which the timer
//!   wakes when it puts down `Over`.
//! - A handle that is dropped takes it out for good and cancels it. If the timer has it, the timer
//!   does so.
//!
//! In each case one takes it out and one ends it, so the source is cancelled once or never.

use std::mem;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use super::limit::Limit;
use super::source::{Source, Until};
use super::timer::{self, Alarm, Expire};
use super::unfinished::Unfinished;
use super::waiter::Waiter;
use super::{Operation, Outcome, Stage};
use crate::sync::{Mutex, lock, thread};

/// An operation in the background, whatever its source.
pub(super) trait Held<T, E>: Send + Sync {
    fn bound(self: Arc<Self>, limit: Duration);
    /// `None`: this instant has passed, and the work goes on.
    fn block(&self, until: Option<Instant>) -> Option<Result<T, E>>;
    fn poll(&self, cx: &mut Context<'_>) -> Poll<Result<T, E>>;
    fn is_done(&self) -> bool;
    fn cancel(&self);
    fn detach(self: Arc<Self>);
}

/// Keeps an operation that has begun, and its limit.
pub(super) fn hold<S>(mut operation: Operation<S>) -> Arc<dyn Held<S::Output, S::Error>>
where
    S: Source + Send + 'static,
    S::Output: Send + 'static,
    S::Error: Send + 'static,
{
    operation.alarm = None;
    let limit = mem::take(&mut operation.limit);
    let place = if operation.stage == Stage::Over {
        Place::Over(None)
    } else {
        // What is there already needs no alarm.
        match limit.at().and_then(|_| operation.try_take()) {
            Some(outcome) => Place::Over(Some(outcome)),
            None => Place::Here(operation),
        }
    };
    let state = State { place, limit, alarm: None, waiter: Waiter::Nobody };
    let holder = Arc::new(Holder { state: Mutex::new(state) });
    holder.set_alarm();
    holder
}

struct Holder<S: Source> {
    state: Mutex<State<S>>,
}

struct State<S: Source> {
    place: Place<S>,
    /// The limit of the operation, whose own is none from the time it is held.
    limit: Limit,
    alarm: Option<Alarm>,
    /// Who is to be woken when it becomes `Over` by somebody else.
    waiter: Waiter,
}

enum Place<S: Source> {
    Here(Operation<S>),
    Out {
        expired: bool,
    },
    /// The outcome until it is taken.
    Over(Option<Outcome<S>>),
}

/// What one finds who wants to use the operation.
enum Found<S: Source> {
    /// It, taken out; the limit of the work.
    Operation(Operation<S>, Limit),
    /// Somebody else has it, and wakes whoever was registered.
    Out,
    Over(Outcome<S>),
}

impl<S: Source> Holder<S> {
    /// Takes the operation out.
    ///
    /// `waiter` is who is to be woken if somebody else ends it. That is needed for a task, which
    /// goes away between two polls, and for a thread that finds it out; not for a thread that has
    /// it and blocks in the source, which leaves the task that polled before registered.
    fn take_out(&self, mut waiter: Waiter) -> Found<S> {
        let mut state = lock(&self.state);
        let found = match mem::replace(&mut state.place, Place::Out { expired: false }) {
            Place::Here(operation) => Found::Operation(operation, state.limit),
            Place::Out { expired } => {
                state.place = Place::Out { expired };
                Found::Out
            }
            Place::Over(outcome) => {
                state.place = Place::Over(None);
                drop(state);
                return Found::Over(outcome.unwrap_or_else(|| Err(Unfinished::Lost.into())));
            }
        };
        if let (Found::Out, _) | (_, Waiter::Task(_)) = (&found, &waiter) {
            mem::swap(&mut state.waiter, &mut waiter);
        }
        // The waiter that was registered before is dropped after the lock.
        drop(state);
        found
    }

    /// Puts the operation back; gives the outcome instead if the limit passed meanwhile.
    fn put_back(&self, mut operation: Operation<S>) -> Option<Outcome<S>> {
        let limit = {
            let mut state = lock(&self.state);
            if let Place::Out { expired: false } = state.place {
                state.place = Place::Here(operation);
                return None;
            }
            state.limit
        };
        let outcome = self.guarded(|| end(&mut operation, limit));
        drop(operation);
        self.put_down(None);
        Some(outcome)
    }

    /// The operation is over. With an outcome the waiter is woken to take it; without one, whoever
    /// calls this has taken it.
    fn put_down(&self, outcome: Option<Outcome<S>>) {
        let is_for_another = outcome.is_some();
        let mut state = lock(&self.state);
        state.place = Place::Over(outcome);
        let waiter = state.waiter.take();
        let alarm = state.alarm.take();
        drop(state);
        drop(alarm);
        if is_for_another {
            waiter.wake();
        }
    }

    /// Calls into the source while it is out. By a panic it is lost, and not out for ever.
    fn guarded<R>(&self, call: impl FnOnce() -> R) -> R {
        struct Lost<'a, S: Source>(Option<&'a Holder<S>>);
        impl<S: Source> Drop for Lost<'_, S> {
            fn drop(&mut self) {
                if let Some(holder) = self.0 {
                    holder.put_down(Some(Err(Unfinished::Lost.into())));
                }
            }
        }
        let mut lost = Lost(Some(self));
        let result = call();
        lost.0 = None;
        result
    }

    /// Blocks in the source. `None`: this instant has passed, and the operation is put back.
    fn block_in(
        &self,
        mut operation: Operation<S>,
        limit: Limit,
        until: Option<Instant>,
    ) -> Option<Outcome<S>> {
        let soonest = match (limit.at(), until) {
            (Some(limit), Some(until)) => Some(limit.min(until)),
            (limit, until) => limit.or(until),
        };
        let blocked = self.guarded(|| operation.source.block(Until::latest(soonest)));
        if let Some(outcome) = blocked {
            operation.stage = Stage::Over;
            drop(operation);
            self.put_down(None);
            return Some(outcome);
        }
        // A source that gives up without any limit has lost its outcome.
        if soonest.is_none() || limit.at() == soonest {
            let outcome = self.guarded(|| end(&mut operation, limit));
            drop(operation);
            self.put_down(None);
            return Some(outcome);
        }
        self.put_back(operation)
    }
}

impl<S> Holder<S>
where
    S: Source + Send + 'static,
    S::Output: Send + 'static,
    S::Error: Send + 'static,
{
    /// Has the timer end the work at its limit.
    fn set_alarm(self: &Arc<Self>) {
        let at = {
            let state = lock(&self.state);
            if let Place::Over(_) = state.place { None } else { state.limit.at() }
        };
        let Some(at) = at else { return };
        let share: Arc<dyn Expire> = Arc::<Self>::clone(self);
        let alarm = timer::expire_at(at, share);
        // It may have gone off already, and then stands for nothing.
        let before = lock(&self.state).alarm.replace(alarm);
        drop(before);
    }
}

/// The limit has passed: takes the outcome if it is there, cancels if it is not.
fn end<S: Source>(operation: &mut Operation<S>, limit: Limit) -> Outcome<S> {
    operation.try_take().unwrap_or_else(|| Err(operation.end_at(limit)))
}

impl<S> Held<S::Output, S::Error> for Holder<S>
where
    S: Source + Send + 'static,
    S::Output: Send + 'static,
    S::Error: Send + 'static,
{
    fn bound(self: Arc<Self>, limit: Duration) {
        let is_sooner = lock(&self.state).limit.bound_from_now(limit);
        if is_sooner {
            self.set_alarm();
        }
    }

    fn block(&self, until: Option<Instant>) -> Option<Outcome<S>> {
        loop {
            match self.take_out(Waiter::Thread(thread::current())) {
                Found::Over(outcome) => return Some(outcome),
                Found::Operation(operation, limit) => {
                    return self.block_in(operation, limit, until);
                }
                // The timer ends it, which is short.
                Found::Out if !Until::latest(until).park() => return None,
                Found::Out => {}
            }
        }
    }

    fn poll(&self, cx: &mut Context<'_>) -> Poll<Outcome<S>> {
        let mut operation = match self.take_out(Waiter::Task(cx.waker().clone())) {
            Found::Over(outcome) => return Poll::Ready(outcome),
            Found::Out => return Poll::Pending,
            Found::Operation(operation, _) => operation,
        };
        match self.guarded(|| operation.source.poll(cx)) {
            Poll::Ready(outcome) => {
                operation.stage = Stage::Over;
                drop(operation);
                self.put_down(None);
                Poll::Ready(outcome)
            }
            Poll::Pending => self.put_back(operation).map_or(Poll::Pending, Poll::Ready),
        }
    }

    fn is_done(&self) -> bool {
        let mut state = lock(&self.state);
        match &mut state.place {
            Place::Over(_) => true,
            Place::Out { .. } => false,
            // A look calls nothing of the user's, so it may be under the lock.
            Place::Here(operation) => match operation.try_take() {
                None => false,
                Some(outcome) => {
                    let over = mem::replace(&mut state.place, Place::Over(Some(outcome)));
                    let alarm = state.alarm.take();
                    drop(state);
                    drop((over, alarm));
                    true
                }
            },
        }
    }

    fn cancel(&self) {
        let mut state = lock(&self.state);
        // Out means that the timer has it and ends it.
        let dropped = match &state.place {
            Place::Out { .. } => None,
            _ => Some(mem::replace(&mut state.place, Place::Over(None))),
        };
        let alarm = state.alarm.take();
        let waiter = state.waiter.take();
        drop(state);
        // An operation that is dropped after its begin cancels its source.
        drop((alarm, dropped, waiter));
    }

    fn detach(self: Arc<Self>) {
        let has_limit = lock(&self.state).alarm.is_some();
        if has_limit {
            // The timer keeps it until its limit, or until it is done: it waits for that itself.
            self.wake();
        } else if let Found::Operation(mut operation, _) = self.take_out(Waiter::Nobody) {
            // Not cancelled, only left alone.
            operation.stage = Stage::Over;
            drop(operation);
            self.put_down(None);
        }
    }
}

impl<S> Expire for Holder<S>
where
    S: Source + Send,
    S::Output: Send,
    S::Error: Send,
{
    fn expire(&self) {
        let (mut operation, limit) = {
            let mut state = lock(&self.state);
            match mem::replace(&mut state.place, Place::Out { expired: true }) {
                Place::Here(operation) => (operation, state.limit),
                Place::Out { .. } => return,
                over @ Place::Over(_) => {
                    state.place = over;
                    return;
                }
            }
        };
        let outcome = self.guarded(|| end(&mut operation, limit));
        drop(operation);
        self.put_down(Some(outcome));
    }
}

/// The waker of a detached operation with a limit: polls it, so that one that is done is not kept
/// until then. A wake that comes while it is polled may be missed; then the limit frees it.
impl<S> Wake for Holder<S>
where
    S: Source + Send + 'static,
    S::Output: Send + 'static,
    S::Error: Send + 'static,
{
    fn wake(self: Arc<Self>) {
        let waker = Waker::from(Arc::clone(&self));
        drop(self.poll(&mut Context::from_waker(&waker)));
    }
}
