//! What a function gives that gives many values.

use std::any::type_name;
use std::fmt;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context as TaskContext, Poll};

use futures_core::Stream;

use super::ready::{Ready, misfit, whole};
use crate::answer::Answer;
use crate::cancel::CancelFlag;
use crate::context::Context;
use crate::declaration::{BoxIterator, BoxStream, Declaration, Input, Start};
use crate::kind::{FunctionKind, WrongKind};
use crate::outcome::{Failure, catch_panic};

/// The values of an iterator, each when it is asked for.
///
/// A panic of the function is its last item, a failure. Dropped, it sets the cancel flag of its
/// context and drops what is left.
pub struct Items<T> {
    // Dropped first: what is left may wait in its drop for those whom the flag ends.
    running: Running<T>,
    items: Option<BoxIterator>,
}

/// The values of a stream, each when its future is done; otherwise as [`Items`].
pub struct StreamItems<T> {
    running: Running<T>,
    items: Option<BoxStream>,
}

struct Running<T> {
    function: &'static str,
    context: Context,
    items: PhantomData<fn() -> T>,
}

impl Ready {
    pub(super) fn items<T: Send + 'static>(self) -> Result<Items<T>, Failure> {
        let running = self.begin()?;
        let started = match self.target.declaration().map(Declaration::start) {
            Some(Start::Iterator(start)) => running.enter(|| start(Input::Tree(&self.arguments))),
            _ => Err(WrongKind::failure(self.target.kind(), FunctionKind::Iterator)),
        };
        let items = started.map_err(|failure| self.explained(failure))?;
        Ok(Items { running, items: Some(items) })
    }

    pub(super) fn stream_items<T: Send + 'static>(self) -> Result<StreamItems<T>, Failure> {
        let running = self.begin()?;
        let started = match self.target.declaration().map(Declaration::start) {
            Some(Start::Stream(start)) => running.enter(|| start(Input::Tree(&self.arguments))),
            _ => Err(WrongKind::failure(self.target.kind(), FunctionKind::Stream)),
        };
        let items = started.map_err(|failure| self.explained(failure))?;
        Ok(StreamItems { running, items: Some(items) })
    }

    fn begin<T>(&self) -> Result<Running<T>, Failure> {
        if self.plan.asks_for_more_than_an_id() {
            return Err(self.plan.name(Failure::error(&NotForMany).with_no_start()));
        }
        let context = self.plan.context(CancelFlag::new(), None);
        Ok(Running { function: self.target.name(), context, items: PhantomData })
    }

    fn explained(&self, failure: Failure) -> Failure {
        self.plan.name(misfit(&self.target, &self.arguments, failure))
    }
}

impl<T: 'static> Running<T> {
    /// Runs the user's code: in its context, its panic caught.
    fn enter<R>(&self, work: impl FnOnce() -> Result<R, Failure>) -> Result<R, Failure> {
        catch_panic(|| self.context.enter(work)).unwrap_or_else(Err)
    }

    /// Drops what gave the items, which is the user's code too.
    fn end<I>(&self, items: &mut Option<I>) -> Result<(), Failure> {
        let dropped = self.enter(|| {
            *items = None;
            Ok(())
        });
        dropped.map_err(|failure| failure.with_function(self.function))
    }

    fn item(&self, answer: Box<dyn Answer>) -> Result<T, Failure> {
        whole(answer).unwrap_or_else(Err).map_err(|failure| failure.with_function(self.function))
    }
}

impl<T: 'static> Iterator for Items<T> {
    type Item = Result<T, Failure>;

    fn next(&mut self) -> Option<Self::Item> {
        let items = self.items.as_mut()?;
        match self.running.enter(|| Ok(items.next())) {
            Ok(Some(answer)) => Some(self.running.item(answer)),
            Ok(None) => self.running.end(&mut self.items).err().map(Err),
            Err(failure) => {
                // It failed already: what its drop may say besides is not told.
                drop(self.running.end(&mut self.items));
                Some(Err(failure.with_function(self.running.function)))
            }
        }
    }
}

impl<T: 'static> Stream for StreamItems<T> {
    type Item = Result<T, Failure>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        let Some(items) = this.items.as_mut() else { return Poll::Ready(None) };
        match this.running.enter(|| Ok(items.as_mut().poll_next(cx))) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(Some(answer))) => Poll::Ready(Some(this.running.item(answer))),
            Ok(Poll::Ready(None)) => Poll::Ready(this.running.end(&mut this.items).err().map(Err)),
            Err(failure) => {
                drop(this.running.end(&mut this.items));
                Poll::Ready(Some(Err(failure.with_function(this.running.function))))
            }
        }
    }
}

impl<T> Drop for Running<T> {
    fn drop(&mut self) {
        self.context.cancel_flag().cancel();
    }
}

impl<T> fmt::Debug for Items<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Items<{}> of {}", type_name::<T>(), self.running.function)
    }
}

impl<T> fmt::Debug for StreamItems<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StreamItems<{}> of {}", type_name::<T>(), self.running.function)
    }
}

/// A retry or a limit for what gives many values.
#[derive(Debug)]
struct NotForMany;

impl fmt::Display for NotForMany {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "a function that gives many values takes neither a retry nor a timeout: it cannot be \
             repeated from where it was",
        )
    }
}

impl std::error::Error for NotForMany {}
