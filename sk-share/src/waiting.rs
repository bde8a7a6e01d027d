//! How everything here waits: an operation of sk-function over looks at shared memory.
//!
//! A look ([`Attempt`]) says that it is done, or what to sleep on until the next one. Whoever blocks sleeps
//! in the kernel itself; a task leaves its sleep to a thread that sleeps for many.

use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;

use sk_function::{Drive, Operation, Source, Unfinished, Until};

use crate::error::{Error, Reason};
use crate::ground::{Attempt, Ground as _, Sleep, Woken};
use crate::memory::{Commons, Rest};
use crate::sync::Arc;

/// What is waited for: a look, repeated until it is done.
///
/// It is the source of the operations of this crate, and has no use by itself.
pub struct Waiting<L> {
    commons: Commons,
    /// "… before {what}".
    what: &'static str,
    look: L,
    /// What the last look said to sleep on.
    asleep: Option<Sleep>,
    rest: Option<Rest>,
}

/// An operation that looks until it is done.
pub(crate) fn waiting<R, L>(commons: &Commons, what: &'static str, look: L) -> Operation<Waiting<L>>
where
    L: FnMut() -> Result<Attempt<R>, Error>,
{
    let commons = commons.clone();
    Operation::new(Waiting { commons, what, look, asleep: None, rest: None })
}

impl<R, L: FnMut() -> Result<Attempt<R>, Error>> Waiting<L> {
    fn look(&mut self) -> Option<Result<R, Error>> {
        match (self.look)() {
            Ok(Attempt::Done(result)) => Some(Ok(result)),
            Ok(Attempt::Sleep(sleep)) => {
                self.asleep = Some(sleep);
                None
            }
            Err(error) => Some(Err(error)),
        }
    }

    /// A look, or the promise that this waker is called when there is reason for the next one.
    fn look_or_rest(&mut self, waker: &Waker) -> Poll<Result<R, Error>> {
        if let Some(rest) = self.rest.take() {
            rest.over();
        }
        if let Some(outcome) = self.look() {
            return Poll::Ready(outcome);
        }
        let Some(sleep) = self.asleep.take() else { return Poll::Pending };
        match self.commons.roster().rest(self.commons.region(), &sleep, waker) {
            Ok(rest) => self.rest = Some(rest),
            Err(error) => return Poll::Ready(Err(error)),
        }
        Poll::Pending
    }
}

impl<R, L: FnMut() -> Result<Attempt<R>, Error>> Source for Waiting<L> {
    type Output = R;
    type Error = Error;
    const DRIVE: Drive = Drive::Thread;

    fn try_take(&mut self) -> Option<Result<R, Error>> {
        self.look()
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<R, Error>> {
        self.look_or_rest(cx.waker())
    }

    fn block(&mut self, until: Until<'_>) -> Option<Result<R, Error>> {
        if until.cancel_flag().is_some() {
            // Whoever sets the flag unparks this thread, so it has to be parked and not asleep on words.
            let waker = unpark_this_thread();
            loop {
                match self.look_or_rest(&waker) {
                    Poll::Ready(outcome) => return Some(outcome),
                    Poll::Pending if !until.park() => return None,
                    Poll::Pending => {}
                }
            }
        }
        loop {
            // What `try_take` has seen a moment ago is slept on without another look.
            let sleep = match self.asleep.take() {
                Some(sleep) => sleep,
                None => match self.look() {
                    Some(outcome) => return Some(outcome),
                    None => continue,
                },
            };
            match self.commons.wait(&sleep, until.at()) {
                Ok(Woken::Look) => {}
                Ok(Woken::TimedOut) => return None,
                Err(error) => return Some(Err(error)),
            }
        }
    }

    fn cancel(&mut self) {
        self.rest = None;
    }

    fn unfinished(&self, why: Unfinished) -> Error {
        match why {
            Unfinished::TimedOut(_) => Error::timed_out(self.what),
            why => why.into(),
        }
    }
}

impl From<Unfinished> for Error {
    fn from(why: Unfinished) -> Error {
        match why {
            Unfinished::TimedOut(_) => Error::timed_out("what was waited for"),
            why => Error::new(Reason::Unfinished(why)),
        }
    }
}

/// Wakes the calling thread, which parks.
pub(crate) fn unpark_this_thread() -> Waker {
    Waker::from(Arc::new(Unpark(std::thread::current())))
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}
