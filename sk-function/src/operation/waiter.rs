//! Who is to be told that something has come.

use std::mem;
use std::sync::Arc;
use std::task::{Wake, Waker};

use crate::sync::thread::{self, Thread};

/// One thread that is parked, or one task.
///
/// A waker is the user's code: it is cloned, woken and dropped only where no lock of ours is held.
pub(super) enum Waiter {
    Nobody,
    Thread(Thread),
    Task(Waker),
}

impl Waiter {
    /// Whether it is this task, so that nothing has to be registered again.
    pub(super) fn is(&self, waker: &Waker) -> bool {
        matches!(self, Waiter::Task(task) if task.will_wake(waker))
    }

    /// Takes the waiter out, to be woken once the lock is released.
    pub(super) fn take(&mut self) -> Waiter {
        mem::replace(self, Waiter::Nobody)
    }

    pub(super) fn wake(self) {
        match self {
            Waiter::Nobody => {}
            Waiter::Thread(thread) => thread.unpark(),
            Waiter::Task(waker) => waker.wake(),
        }
    }
}

/// A waker that unparks the thread that makes it.
pub(crate) fn unpark_this_thread() -> Waker {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    Waker::from(Arc::new(Unpark(thread::current())))
}
