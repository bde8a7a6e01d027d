//! What work knows of itself while it runs: its id, which attempt this is, how long it has, and
//! whether it is still wanted.

use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant};

use crate::call_id::CallId;
use crate::cancel::CancelFlag;

/// What work knows of itself while it runs.
///
/// It is given to work that asks for it, and is [`Context::current`] for all that the work calls
/// on its thread. A clone is the same execution: it shares the cancel flag.
///
/// ```
/// use std::time::Duration;
/// use sk_function::Context;
///
/// let context = Context::new().with_timeout(Duration::from_secs(60));
/// let key = context.id();             // known before anything starts
///
/// context.enter(|| {
///     let context = Context::current().unwrap();
///     assert_eq!((context.id(), context.attempt()), (key, 1));
///     assert!(context.remaining().unwrap() <= Duration::from_secs(60));
///     assert!(!context.is_cancelled());
/// });
/// assert!(Context::current().is_none());
/// ```
#[derive(Debug, Clone)]
pub struct Context {
    id: CallId,
    attempt: u32,
    deadline: Option<Instant>,
    cancel: CancelFlag,
}

/// What is in force on a thread.
#[derive(Clone, Copy, PartialEq)]
enum State {
    /// No work runs here.
    Nothing,
    /// Work that nobody has asked for its context so far: it is made when somebody does.
    Unasked,
    /// Work whose context is in `CURRENT`.
    Made,
}

thread_local! {
    /// It has no destructor, so that a call whose context nobody asks for touches nothing else.
    static STATE: Cell<State> = const { Cell::new(State::Nothing) };
    static CURRENT: RefCell<Option<Context>> = const { RefCell::new(None) };
}

impl Context {
    /// A first attempt with a new id, without a deadline, with a cancel flag of its own.
    pub fn new() -> Self {
        Context { id: CallId::new(), attempt: 1, deadline: None, cancel: CancelFlag::new() }
    }

    /// The context in force on this thread, if there is one.
    pub fn current() -> Option<Self> {
        match STATE.get() {
            State::Nothing => None,
            State::Unasked => {
                let context = Context::new();
                replace_current(Some(context.clone()));
                STATE.set(State::Made);
                Some(context)
            }
            State::Made => CURRENT.try_with(|current| current.borrow().clone()).ok().flatten(),
        }
    }

    /// Runs `work` with this context in force on this thread, hiding any outer one.
    pub fn enter<R>(&self, work: impl FnOnce() -> R) -> R {
        within(State::Made, Some(self.clone()), work)
    }

    /// Runs `work` with a context of its own in force, which costs nothing until somebody asks.
    #[inline]
    pub(crate) fn enter_new<R>(work: impl FnOnce() -> R) -> R {
        within(State::Unasked, None, work)
    }

    /// With this id instead: the one it has where the call was made.
    #[must_use]
    pub fn with_id(mut self, id: CallId) -> Self {
        self.id = id;
        self
    }

    /// As this attempt; 0 is told as 1.
    #[must_use]
    pub fn with_attempt(mut self, attempt: u32) -> Self {
        self.attempt = attempt.max(1);
        self
    }

    /// With this deadline.
    #[must_use]
    pub fn with_deadline(mut self, deadline: Instant) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// With a deadline so far from now; without one if there is no such point in time.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.deadline = Instant::now().checked_add(timeout);
        self
    }

    /// With this cancel flag, which others may hold.
    #[must_use]
    pub fn with_cancel_flag(mut self, flag: CancelFlag) -> Self {
        self.cancel = flag;
        self
    }

    /// Which execution this is, the same for each of its attempts: a key by which effects can be
    /// recognised that were had already.
    pub fn id(&self) -> CallId {
        self.id
    }

    /// Which attempt this is, from 1.
    pub fn attempt(&self) -> u32 {
        self.attempt
    }

    /// When it will be ended.
    pub fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// How long it has left: zero when the deadline is past, `None` without one.
    pub fn remaining(&self) -> Option<Duration> {
        self.deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()))
    }

    /// Whether nobody wants it any more. Work that takes long looks now and then, and returns.
    pub fn is_cancelled(&self) -> bool {
        self.cancel.is_cancelled()
    }

    /// The flag itself, to wait for it.
    pub fn cancel_flag(&self) -> &CancelFlag {
        &self.cancel
    }
}

impl Default for Context {
    /// As [`Context::new`].
    fn default() -> Self {
        Context::new()
    }
}

/// Runs `work` in this state, and puts the outer one back when it ends, by a panic too.
#[inline]
fn within<R>(state: State, context: Option<Context>, work: impl FnOnce() -> R) -> R {
    struct Leave {
        outer: State,
        hidden: Option<Context>,
    }
    impl Drop for Leave {
        fn drop(&mut self) {
            if STATE.replace(self.outer) == State::Made || self.outer == State::Made {
                drop(replace_current(self.hidden.take()));
            }
        }
    }
    let outer = STATE.replace(state);
    let is_hidden = outer == State::Made || context.is_some();
    let hidden = if is_hidden { replace_current(context) } else { None };
    let _leave = Leave { outer, hidden };
    work()
}

/// In a thread whose thread-locals are gone already there is no context.
#[cold]
fn replace_current(next: Option<Context>) -> Option<Context> {
    CURRENT.try_with(|current| current.replace(next)).ok().flatten()
}
