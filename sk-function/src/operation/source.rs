//! What the maker of an operation supplies.

use std::task::{Context, Poll};
use std::time::Instant;

use super::unfinished::Unfinished;
use crate::CancelFlag;
use crate::sync::thread;

/// Who carries the work on once it was begun and nobody waits for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drive {
    /// It goes on by itself: another process, another thread, the kernel.
    Itself,
    /// It goes on only while somebody is in [`Source::block`] or [`Source::poll`], as where the
    /// input is an iterator that has to be pulled. In the background a kept thread does that.
    Thread,
}

/// What an [`Operation`](crate::Operation) waits for.
///
/// An operation calls [`begin`](Source::begin) once, then any of `try_take`, `poll` and `block` until
/// one of them gives the outcome, and none of them after that. It calls [`cancel`](Source::cancel)
/// once if it ends before the outcome, and not otherwise. A source is never pinned and never used by
/// two threads at once. It has to be neither `Send` nor `'static`, except for
/// [`background`](crate::Operation::background).
///
/// A panic in a source is the panic of whoever waits. On a kept thread it becomes
/// [`Unfinished::Panicked`].
///
/// ```
/// use std::task::{Context, Poll};
/// use sk_function::{Drive, Operation, Source, Unfinished, Until};
///
/// /// Adds up numbers that it borrows: all work is done by whoever waits.
/// struct Sum<'a>(std::slice::Iter<'a, u64>);
///
/// impl Source for Sum<'_> {
///     type Output = u64;
///     type Error = Unfinished;
///     const DRIVE: Drive = Drive::Thread;
///
///     fn try_take(&mut self) -> Option<Result<u64, Unfinished>> {
///         None
///     }
///     fn poll(&mut self, _: &mut Context<'_>) -> Poll<Result<u64, Unfinished>> {
///         Poll::Ready(Ok(self.0.by_ref().sum()))
///     }
///     fn block(&mut self, until: Until<'_>) -> Option<Result<u64, Unfinished>> {
///         let mut sum = 0;
///         for number in self.0.by_ref() {
///             if until.is_over() {
///                 return None;
///             }
///             sum += number;
///         }
///         Some(Ok(sum))
///     }
///     fn cancel(&mut self) {}
/// }
///
/// let numbers = vec![1, 2, 3];
/// assert_eq!(Operation::new(Sum(numbers.iter())).wait(), Ok(6));
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is nothing that an operation can wait for",
    note = "implement `Source`, or use `completion()` or `blocking()`, which have one"
)]
pub trait Source {
    /// What it gives.
    type Output;
    /// How it fails. Limits, cancellations and losses come in by `From`.
    type Error: From<Unfinished>;
    /// Who carries the work on in the background.
    const DRIVE: Drive;

    /// Starts the work. It is called once, before anything else; from here on a limit counts.
    fn begin(&mut self) {}

    /// When it will be ended by a limit that is known already, for sources that tell the work of it.
    /// Called before [`begin`](Source::begin), at most once.
    fn will_end_at(&mut self, _at: Instant) {}

    /// The work goes to the background: sees to it that it goes on although nobody waits. Called
    /// after [`begin`](Source::begin), at most once, and only with [`Drive::Itself`].
    fn settle(&mut self) {}

    /// The outcome, if it is there already.
    ///
    /// It registers nothing: the task whose waker the last [`poll`](Source::poll) was given stays
    /// the one to be woken. It must not block and calls nothing of the user's.
    fn try_take(&mut self) -> Option<Result<Self::Output, Self::Error>>;

    /// The outcome, or the promise to wake the task of `cx` when it is there. It must not block.
    ///
    /// A task is woken while no lock of the source is held: a waker may poll at once.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Self::Output, Self::Error>>;

    /// Sleeps, as this source sleeps best, until the outcome is there or `until` is over.
    ///
    /// `None` means that `until` is over; nothing is lost by it, and a later call goes on.
    fn block(&mut self, until: Until<'_>) -> Option<Result<Self::Output, Self::Error>>;

    /// Ends the work early: at a limit, or because nobody wants the outcome any more.
    ///
    /// It is called at most once, after [`begin`](Source::begin) and before the outcome was given,
    /// on any thread: the timer's or that of a drop. The work may have ended by itself a moment
    /// before, with nobody having looked since. It must not block, it does not wait for the work
    /// to have ended, and it must not panic.
    fn cancel(&mut self);

    /// What the caller is told when it ends without an outcome. For sources that know more of the
    /// work than [`Unfinished`] does, such as its name.
    fn unfinished(&self, why: Unfinished) -> Self::Error {
        why.into()
    }
}

/// When a [`Source::block`] is over: at an instant, when a [`CancelFlag`] is set, or at the outcome
/// only.
#[derive(Debug, Clone, Copy, Default)]
pub struct Until<'a> {
    at: Option<Instant>,
    flag: Option<&'a CancelFlag>,
}

impl<'a> Until<'a> {
    /// Until the outcome is there.
    pub fn outcome() -> Self {
        Until::default()
    }

    /// Until this instant at the latest. One that has passed is over at once.
    pub fn instant(at: Instant) -> Self {
        Until { at: Some(at), flag: None }
    }

    /// Until `at` where there is one, else until the outcome is there.
    pub(super) fn latest(at: Option<Instant>) -> Self {
        Until { at, flag: None }
    }

    /// Until the flag is set.
    pub(crate) fn flag(flag: &'a CancelFlag) -> Self {
        Until { at: None, flag: Some(flag) }
    }

    /// Until the flag is set, and until `at` where there is one.
    pub(super) fn both(at: Option<Instant>, flag: &'a CancelFlag) -> Self {
        Until { at, flag: Some(flag) }
    }

    /// The instant at which it is over, for sources that sleep in their own way.
    pub fn at(&self) -> Option<Instant> {
        self.at
    }

    /// The flag that ends it when it is set. The thread that carries the work is unparked then.
    pub fn cancel_flag(&self) -> Option<&'a CancelFlag> {
        self.flag
    }

    /// Whether it is over.
    pub fn is_over(&self) -> bool {
        self.flag.is_some_and(CancelFlag::is_cancelled)
            || self.at.is_some_and(|at| Instant::now() >= at)
    }

    /// Parks this thread once; `false` if it is over. To be called in a loop that looks for the
    /// outcome between two calls: a park may end for no reason.
    ///
    /// What ends it, beside `until` itself, is an `unpark` by whoever has the outcome.
    pub fn park(&self) -> bool {
        if self.flag.is_some_and(CancelFlag::is_cancelled) {
            return false;
        }
        let Some(at) = self.at else {
            thread::park();
            return true;
        };
        let left = at.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return false;
        }
        thread::park_timeout(left);
        true
    }
}
