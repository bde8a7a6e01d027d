//! The ready-made source: somebody else gives the outcome.
//!
//! Two ends share one cell, a lock around its state:
//!
//! ```text
//!                  complete, or the completer is dropped (`Lost`)
//!   Open(waiter) ------------------------------------------------> Full(outcome)
//!        |                                                              |
//!        |  the completion is dropped            taken, or the completion is dropped
//!        +---------------------------> Closed <-------------------------+
//! ```
//!
//! - The **completer** makes one step: from `Open` to `Full`. It takes the waiter out under the lock
//!   and wakes it after. In any other state it does nothing, and the outcome is dropped on its thread.
//! - The **completion** registers in `Open` who is to be woken, and looks at the state once more
//!   before it sleeps; both happen under the lock, so the step of the completer is either seen by
//!   that look or finds the waiter. It alone takes the outcome, and it alone closes the cell.
//!
//! Outcomes and wakers are the user's code when they are dropped, cloned or woken. None of that
//! happens under the lock.

use std::fmt;
use std::mem;
use std::sync::Arc;
use std::task::{Context, Poll};

use super::source::{Drive, Source, Until};
use super::threads::while_waiting;
use super::unfinished::Unfinished;
use super::waiter::Waiter;
use crate::sync::{Mutex, MutexGuard, lock, thread};

/// The two ends of an outcome that somebody else gives: a thread, a reader of answers, a callback.
///
/// ```
/// use sk_function::{Operation, Unfinished, completion};
///
/// let (completer, completion) = completion::<u32, Unfinished>();
/// std::thread::spawn(move || completer.complete(Ok(7)));
/// assert_eq!(Operation::new(completion).wait(), Ok(7));
/// ```
pub fn completion<T, E: From<Unfinished>>() -> (Completer<T, E>, Completion<T, E>) {
    let cell = Arc::new(Cell { state: Mutex::new(State::Open(Waiter::Nobody)) });
    let completer = Completer { cell: Arc::clone(&cell), is_over: false };
    (completer, Completion { cell, is_over: false, on_cancel: None })
}

/// The end that gives the outcome, once. Dropped without it, the other end gets
/// [`Unfinished::Lost`].
pub struct Completer<T, E: From<Unfinished>> {
    cell: Arc<Cell<T, E>>,
    /// It has made its step: there is nothing left to do when it is dropped.
    is_over: bool,
}

impl<T, E: From<Unfinished>> Completer<T, E> {
    /// Gives the outcome and wakes whoever waits for it. It never blocks. An outcome that nobody
    /// wants is dropped here.
    pub fn complete(mut self, outcome: Result<T, E>) {
        self.is_over = true;
        self.cell.put(outcome);
    }

    /// Whether somebody may still take an outcome: the other end was not dropped, as by a limit.
    pub fn is_wanted(&self) -> bool {
        self.cell.is_open()
    }
}

impl<T, E: From<Unfinished>> Drop for Completer<T, E> {
    fn drop(&mut self) {
        // The look comes first because an error may be costly to make.
        if !self.is_over && self.cell.is_open() {
            self.cell.put(Err(Unfinished::Lost.into()));
        }
    }
}

impl<T, E: From<Unfinished>> fmt::Debug for Completer<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Completer").field("is_wanted", &self.is_wanted()).finish()
    }
}

/// The end that waits: a [`Source`] for [`Operation::new`](crate::Operation::new), or a part of one.
///
/// Dropped, it lets the [`Completer`] know by [`is_wanted`](Completer::is_wanted).
#[must_use = "a completion is waited for as an `Operation`"]
pub struct Completion<T, E> {
    cell: Arc<Cell<T, E>>,
    /// It has closed the cell: there is nothing left to do when it is dropped.
    is_over: bool,
    on_cancel: Option<Box<dyn FnOnce() + Send>>,
}

impl<T, E> Completion<T, E> {
    /// What to do if the operation ends before its outcome: at a limit, or dropped after it began.
    ///
    /// It runs once or never, on the thread that meets the end; it must not block. A second call
    /// replaces the first.
    ///
    /// ```
    /// use std::sync::mpsc;
    /// use sk_function::{Operation, Unfinished, completion};
    ///
    /// let (cancelled, is_cancelled) = mpsc::channel();
    /// let (_completer, completion) = completion::<(), Unfinished>();
    /// let completion = completion.on_cancel(move || cancelled.send(()).unwrap_or_default());
    /// drop(Operation::new(completion).background());
    /// assert!(is_cancelled.recv().is_ok());
    /// ```
    pub fn on_cancel(mut self, hook: impl FnOnce() + Send + 'static) -> Self {
        self.on_cancel = Some(Box::new(hook));
        self
    }
}

impl<T, E: From<Unfinished>> Source for Completion<T, E> {
    type Output = T;
    type Error = E;
    const DRIVE: Drive = Drive::Itself;

    fn try_take(&mut self) -> Option<Result<T, E>> {
        let state = lock(&self.cell.state);
        if let State::Open(_) = *state {
            return None;
        }
        self.is_over = true;
        Some(take(state))
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<T, E>> {
        let state = lock(&self.cell.state);
        match &*state {
            State::Open(waiter) if waiter.is(cx.waker()) => return Poll::Pending,
            State::Open(_) => drop(state),
            _ => {
                self.is_over = true;
                return Poll::Ready(take(state));
            }
        }
        self.cell.register(Waiter::Task(cx.waker().clone()));
        self.try_take().map_or(Poll::Pending, Poll::Ready)
    }

    fn block(&mut self, until: Until<'_>) -> Option<Result<T, E>> {
        let before = self.cell.register(Waiter::Thread(thread::current()));
        loop {
            if let Some(outcome) = self.try_take() {
                return Some(outcome);
            }
            if !while_waiting(|| until.park()) {
                break;
            }
        }
        // A task that polled before is still the one to be woken.
        self.cell.register(before);
        self.try_take()
    }

    fn cancel(&mut self) {
        if let Some(hook) = self.on_cancel.take() {
            hook();
        }
    }
}

impl<T, E> Drop for Completion<T, E> {
    fn drop(&mut self) {
        if self.is_over {
            return;
        }
        let unwanted = mem::replace(&mut *lock(&self.cell.state), State::Closed);
        drop(unwanted);
    }
}

impl<T, E> fmt::Debug for Completion<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Completion").field("is_done", &!self.cell.is_open()).finish()
    }
}

struct Cell<T, E> {
    state: Mutex<State<T, E>>,
}

enum State<T, E> {
    Open(Waiter),
    Full(Result<T, E>),
    Closed,
}

impl<T, E> Cell<T, E> {
    fn is_open(&self) -> bool {
        matches!(*lock(&self.state), State::Open(_))
    }

    fn put(&self, outcome: Result<T, E>) {
        let mut state = lock(&self.state);
        let State::Open(waiter) = &mut *state else {
            drop(state);
            drop(outcome);
            return;
        };
        let waiter = waiter.take();
        *state = State::Full(outcome);
        drop(state);
        waiter.wake();
    }

    /// Makes `waiter` the one to be woken and gives back the one before, to be dropped here and not
    /// under the lock. If the cell is not open, nobody has to be woken any more.
    fn register(&self, waiter: Waiter) -> Waiter {
        match &mut *lock(&self.state) {
            State::Open(registered) => mem::replace(registered, waiter),
            _ => waiter,
        }
    }
}

/// Takes the outcome out of a cell that is not open. That of a closed one was taken before.
fn take<T, E: From<Unfinished>>(mut state: MutexGuard<'_, State<T, E>>) -> Result<T, E> {
    let taken = mem::replace(&mut *state, State::Closed);
    drop(state);
    match taken {
        State::Full(outcome) => outcome,
        State::Open(_) | State::Closed => Err(Unfinished::Lost.into()),
    }
}
