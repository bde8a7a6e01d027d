//! How everything here waits: an operation of sk-function over looks at a ring.

use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;

use sk_function::{Drive, Operation, Source, Unfinished, Until};

use crate::end::{End, Look};
use crate::error::Error;
use crate::sync::Arc;

/// What is waited for at a pipe: the source of its operations. It has no use by itself.
pub(crate) struct Waiting<L> {
    look: Result<L, Option<Error>>,
    what: &'static str,
}

pub(crate) const ROOM: &str = "there was room";
pub(crate) const MESSAGE: &str = "a message came";

pub(crate) trait AtEnd: Look {
    fn end(&self) -> &Arc<End>;
}

/// An operation that looks until it is done, or fails at once.
#[inline]
pub(crate) fn waiting<L: AtEnd>(
    what: &'static str,
    look: Result<L, Error>,
) -> Operation<Waiting<L>> {
    Operation::new(Waiting { look: look.map_err(Some), what })
}

impl<L: AtEnd> Waiting<L> {
    #[cold]
    fn failure(error: &mut Option<Error>) -> Error {
        error.take().unwrap_or_else(|| Error::endpoint("the operation is over"))
    }
}

impl<L: AtEnd> Source for Waiting<L> {
    type Output = L::Output;
    type Error = Error;
    const DRIVE: Drive = Drive::Thread;

    #[inline]
    fn try_take(&mut self) -> Option<Result<L::Output, Error>> {
        match &mut self.look {
            Ok(look) => look.look().transpose(),
            Err(error) => Some(Err(Self::failure(error))),
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<L::Output, Error>> {
        match &mut self.look {
            Ok(look) => Arc::clone(look.end()).poll(look, cx),
            Err(error) => Poll::Ready(Err(Self::failure(error))),
        }
    }

    fn block(&mut self, until: Until<'_>) -> Option<Result<L::Output, Error>> {
        let look = match &mut self.look {
            Ok(look) => look,
            Err(error) => return Some(Err(Self::failure(error))),
        };
        let end = Arc::clone(look.end());
        if until.cancel_flag().is_none() {
            return end.block(look, until);
        }
        // Whoever sets the flag unparks this thread, so it has to be parked and not asleep on words.
        let waker = unpark_this_thread();
        loop {
            match end.poll(look, &mut Context::from_waker(&waker)) {
                Poll::Ready(outcome) => return Some(outcome),
                Poll::Pending if !until.park() => return None,
                Poll::Pending => {}
            }
        }
    }

    fn cancel(&mut self) {
        if let Ok(look) = &self.look {
            look.end().stop_waiting(look.place().1);
        }
    }

    fn unfinished(&self, why: Unfinished) -> Error {
        match why {
            Unfinished::TimedOut(limit) => Error::timed_out(self.what, Some(limit)),
            why => why.into(),
        }
    }
}

/// A waker that unparks the thread that makes it.
pub(crate) fn unpark_this_thread() -> Waker {
    Waker::from(Arc::new(Unpark(std::thread::current())))
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}
