//! What programs synchronise with, by name: what somebody holds ends with whoever holds it.
//!
//! Everything that is held is held by a thread or by a process ([`Holder`]). Guards of a thread stay on it; guards of a
//! process may be sent to other threads, and are what an async task takes that wanders between threads. Either way
//! a guard that is dropped gives back what it holds, and so does the end of the holder, however it ends:
//! killed, the thread over, or the guard forgotten and the thread over.

mod barrier;
mod condvar;
mod event;
mod mutex;
mod rwlock;
mod semaphore;

use std::fmt;
use std::marker::PhantomData;

pub use barrier::{SharedBarrier, Side};
pub use condvar::SharedCondvar;
pub use event::SharedEvent;
pub use mutex::{MutexGuard, SharedMutex};
pub(crate) use rwlock::READERS;
pub use rwlock::{ReadGuard, SharedRwLock, WriteGuard};
pub use semaphore::{Permits, SharedSemaphore};

use crate::error::Error;
use crate::ground::{AgentRef, Attempt, Ground as _, Offset};
use crate::memory::Commons;
use crate::share::space::Object;
use crate::sync::Arc;

/// Who holds something: [`OfThread`] or [`OfProcess`].
pub trait Holder: sealed::Sealed + 'static {
    #[doc(hidden)]
    fn me(commons: &Commons) -> Result<AgentRef, Error>;
}

mod sealed {
    pub trait Sealed {}
}

/// Held by the thread that took it, which is the only one that can give it back. Taking it again is an error.
#[derive(Debug)]
pub struct OfThread(PhantomData<*const ()>);

/// Held by the process: any thread of it may give it back. Taken again in the same process it is waited for.
#[derive(Debug)]
pub struct OfProcess(());

impl sealed::Sealed for OfThread {}
impl sealed::Sealed for OfProcess {}

impl Holder for OfThread {
    fn me(commons: &Commons) -> Result<AgentRef, Error> {
        commons.me()
    }
}

impl Holder for OfProcess {
    fn me(commons: &Commons) -> Result<AgentRef, Error> {
        commons.my_process()
    }
}

/// Something that is waited for in turn: who gives up has another one look.
pub(crate) trait Turns: 'static {
    type State: Default;

    fn pass_on(commons: &Commons, at: Offset, me: AgentRef, state: &mut Self::State);
}

/// One wait of one holder, from the first look until it is done or given up.
pub(crate) struct Turn<T: Turns, H> {
    object: Arc<Object>,
    /// Set from the first look until the wait is done.
    me: Option<AgentRef>,
    state: T::State,
    holder: PhantomData<fn() -> H>,
}

impl<T: Turns, H: Holder> Turn<T, H> {
    fn new(object: &Arc<Object>) -> Turn<T, H> {
        let object = Arc::clone(object);
        Turn { object, me: None, state: T::State::default(), holder: PhantomData }
    }

    /// One look, and who holds it if it is done.
    fn attempt<R>(
        &mut self,
        look: impl FnOnce(&Commons, Offset, AgentRef, &mut T::State) -> Result<Attempt<R>, Error>,
    ) -> Result<Attempt<(AgentRef, R)>, Error> {
        let object = Arc::clone(&self.object);
        object.check()?;
        let commons = &object.space.commons;
        let me = H::me(commons)?;
        // A task may be looked after by another thread than before.
        if self.me.is_some_and(|before| before != me) {
            self.give_up();
        }
        self.me = Some(me);
        Ok(match look(commons, object.found.body, me, &mut self.state)? {
            Attempt::Sleep(sleep) => {
                // After the look, so that a removal since then moved the word.
                object.check()?;
                Attempt::Sleep(sleep)
            }
            Attempt::Done(result) => {
                self.me = None;
                Attempt::Done((me, result))
            }
        })
    }
}

impl<T: Turns, H> Turn<T, H> {
    fn give_up(&mut self) {
        // A copy made by fork waits for nothing.
        if self.object.space.commons.has_ended() {
            return;
        }
        if let Some(me) = self.me.take() {
            let commons = &self.object.space.commons;
            T::pass_on(commons, self.object.found.body, me, &mut self.state);
        }
    }
}

impl<T: Turns, H> Drop for Turn<T, H> {
    fn drop(&mut self) {
        self.give_up();
    }
}

/// What a guard gives back when it is dropped.
pub(crate) struct Hold<L, H> {
    object: Arc<Object>,
    me: AgentRef,
    lease: Option<L>,
    holder: PhantomData<H>,
}

impl<L, H> Hold<L, H> {
    fn new(object: &Arc<Object>, (me, lease): (AgentRef, L)) -> Hold<L, H> {
        Hold { object: Arc::clone(object), me, lease: Some(lease), holder: PhantomData }
    }

    /// Gives the lease back, unless this is a copy made by fork, which holds nothing.
    fn give_back(&mut self, give: impl FnOnce(&Commons, Offset, AgentRef, L) -> Result<(), Error>) {
        let commons = &self.object.space.commons;
        if commons.region().check_incarnation().is_err() {
            return;
        }
        if let Some(lease) = self.lease.take()
            && let Err(error) = give(commons, self.object.found.body, self.me, lease)
        {
            // A drop has nobody to tell; the share has.
            let _ = self.object.report(error);
        }
    }
}

/// A guard as its place and what it is of.
fn debug<L, H>(f: &mut fmt::Formatter<'_>, name: &str, hold: &Hold<L, H>) -> fmt::Result {
    f.debug_struct(name).field("of", &hold.object.found.serial).finish_non_exhaustive()
}

/// The parts that the handle of every kind has: creation, travel, `is_detached`.
macro_rules! handle {
    ($name:ident, $kind:expr, $text:literal, $bytes:expr) => {
        impl $name {
            pub(crate) fn new(
                object: crate::sync::Arc<crate::share::space::Object>,
            ) -> Result<$name, crate::error::Error> {
                Ok($name { object })
            }

            pub(crate) fn object(&self) -> &crate::sync::Arc<crate::share::space::Object> {
                &self.object
            }

            pub(crate) fn spec(count: u32) -> crate::ground::Spec<'static> {
                let bytes: fn(u32) -> u64 = $bytes;
                crate::share::kind::spec($kind, $text, bytes(count))
            }

            /// Whether it was removed from its share. Whoever waits for it then is woken with an error
            /// ([`is_not_found`](crate::Error::is_not_found)).
            #[must_use]
            pub fn is_detached(&self) -> bool {
                self.object.is_detached().unwrap_or(true)
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.object.found.serial)
            }
        }
    };
}

pub(crate) use handle;
