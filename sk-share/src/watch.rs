//! Changes as they come: one after another, as a stream, or by a callback.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::thread::{Builder, JoinHandle, ThreadId};

use futures_core::Stream;
use sk_function::{Operation, Source};

use crate::codec::Codec;
use crate::error::Error;
use crate::ground::Attempt;
use crate::sync::{Arc, AtomicBool, AtomicU64, Ordering};
use crate::value::Shared;
use crate::waiting::{Waiting, unpark_this_thread, waiting};

/// A look whose type nobody has to know.
type Look<R> = Box<dyn FnMut() -> Result<Attempt<R>, Error> + Send>;

/// The wait of a stream, kept from one poll to the next.
type Polled<T> = Operation<Waiting<Look<(T, u64)>>>;

/// The changes of a [`Shared`] value, each with its version.
///
/// Changes that follow closely are seen as one: what comes is always the last value, none is missed for
/// good, and versions only grow. It waits as an operation ([`changed`](Watch::changed)) and is a
/// [`Stream`], which ends after the error that ends it.
///
/// ```
/// use sk_share::Share;
///
/// let share = Share::new()?;
/// let level = share.value("level", 1_u32)?;
/// let mut changes = level.watch()?;
/// level.set(&2)?;
/// level.set(&3)?;
/// assert_eq!(changes.changed().wait()?.0, 3);
/// # Ok::<(), sk_share::Error>(())
/// ```
pub struct Watch<T, C> {
    shared: Shared<T, C>,
    seen: Arc<AtomicU64>,
    polled: Option<Polled<T>>,
    is_over: bool,
}

impl<T: 'static, C: Codec<T>> Watch<T, C> {
    pub(crate) fn new(shared: Shared<T, C>, seen: u64) -> Watch<T, C> {
        Watch { shared, seen: Arc::new(AtomicU64::new(seen)), polled: None, is_over: false }
    }

    /// Waits for the next change: the value and its version.
    ///
    /// # Errors
    /// As for [`Shared::get`], also when the value is removed while this waits; the limit of the operation.
    pub fn changed(
        &mut self,
    ) -> Operation<impl Source<Output = (T, u64), Error = Error> + use<T, C>> {
        waiting(&self.shared.object().space.commons, "the value changed", self.look())
    }

    fn look(&self) -> impl FnMut() -> Result<Attempt<(T, u64)>, Error> + use<T, C> {
        let shared = self.shared.clone();
        let seen = Arc::clone(&self.seen);
        move || {
            Ok(match shared.look_for_change(seen.load(Ordering::Relaxed))? {
                Attempt::Sleep(sleep) => Attempt::Sleep(sleep),
                Attempt::Done(_) => {
                    let (value, version) = shared.get_versioned()?;
                    seen.store(version, Ordering::Relaxed);
                    Attempt::Done((value, version))
                }
            })
        }
    }

    /// Calls `react` with the value and its version after each change, on a thread of its own, until what
    /// this returns is dropped, the value is removed, or it cannot be read; then with that error, once.
    ///
    /// # Errors
    /// There is no thread to be had.
    pub fn call(
        mut self,
        mut react: impl FnMut(Result<(T, u64), Error>) + Send + 'static,
    ) -> Result<Watching, Error> {
        let is_over = Arc::new(AtomicBool::new(false));
        let over = Arc::clone(&is_over);
        let thread = Builder::new()
            .name("sk-watch".to_owned())
            .spawn(move || {
                let waker = unpark_this_thread();
                let mut change = self.changed();
                while !over.load(Ordering::Acquire) {
                    match Pin::new(&mut change).poll(&mut Context::from_waker(&waker)) {
                        Poll::Pending => std::thread::park(),
                        Poll::Ready(changed) => {
                            let is_last = changed.is_err();
                            react(changed);
                            if is_last {
                                return;
                            }
                            change = self.changed();
                        }
                    }
                }
            })
            .map_err(|error| Error::system("cannot start a thread that watches", 1, error))?;
        Ok(Watching { thread: Some(thread), is_over })
    }
}

impl<T: 'static, C: Codec<T>> Stream for Watch<T, C> {
    type Item = Result<(T, u64), Error>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        if this.is_over {
            return Poll::Ready(None);
        }
        let look = this.look();
        let commons = &this.shared.object().space.commons;
        let operation = this.polled.get_or_insert_with(|| {
            waiting(commons, "the value changed", Box::new(look) as Look<_>)
        });
        let polled = Pin::new(operation).poll(cx);
        polled.map(|change| {
            this.polled = None;
            this.is_over = change.is_err();
            Some(change)
        })
    }
}

impl<T, C> Unpin for Watch<T, C> {}

impl<T, C> fmt::Debug for Watch<T, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").field("of", &self.shared).field("seen", &self.seen).finish()
    }
}

/// A callback that goes on until this is dropped. The drop waits for a call that is going on, except from
/// within it.
#[derive(Debug)]
#[must_use = "the callback ends when this is dropped"]
pub struct Watching {
    thread: Option<JoinHandle<()>>,
    is_over: Arc<AtomicBool>,
}

impl Drop for Watching {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Release);
        let Some(thread) = self.thread.take() else { return };
        thread.thread().unpark();
        if thread.thread().id() != this_thread() {
            // A panic of the callback was told by the panic hook.
            let _ = thread.join();
        }
    }
}

fn this_thread() -> ThreadId {
    std::thread::current().id()
}
