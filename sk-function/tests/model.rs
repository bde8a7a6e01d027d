//! Every interleaving of the hand-overs of an operation, found by loom.
//!
//! ```text
//! RUSTFLAGS="--cfg loom" cargo test --release --test model
//! ```
//!
//! The code under test is the one that ships; only `crate::sync` gives it loom's locks and threads.
//! loom has no time: a limit passes when a model calls `pass_all_limits`, on the thread that stands
//! for the timer's. A drawing above each model shows one of its interleavings, the one that the code
//! is built against; time goes down.
#![cfg(loom)]

use std::pin::Pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use loom::future::block_on;
use loom::thread;
use sk_function::by_hand::pass_all_limits;
use sk_function::{Completer, Completion, Operation, Unfinished, completion};

const LIMIT: Duration = Duration::from_secs(3_600);

/// Checks all interleavings with at most three switches that no thread asked for, or as many as
/// `LOOM_MAX_PREEMPTIONS` says. One model at a time: they share the queue of the timer.
fn model(check: impl Fn() + Send + Sync + 'static) {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _one = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = builder.preemption_bound.or(Some(3));
    builder.check(check);
}

/// The outcome. Its count says whether one was left behind.
type Value = Arc<()>;

/// What both ends of a model share. Not modelled: it is read when all threads have been joined.
#[derive(Clone, Default)]
struct Seen {
    value: Value,
    cancelled: Arc<AtomicU32>,
}

impl Seen {
    fn ends(&self) -> (Completer<Value, Unfinished>, Completion<Value, Unfinished>) {
        let cancelled = Arc::clone(&self.cancelled);
        let (completer, completion) = completion();
        let completion = completion.on_cancel(move || {
            cancelled.fetch_add(1, Ordering::SeqCst);
        });
        (completer, completion)
    }

    fn value(&self) -> Result<Value, Unfinished> {
        Ok(Arc::clone(&self.value))
    }

    fn cancelled(&self) -> u32 {
        self.cancelled.load(Ordering::SeqCst)
    }

    /// Either the value came and nothing was cancelled, or the limit did and cancelled once.
    fn check(&self, outcome: Result<Value, Unfinished>) {
        match outcome {
            Ok(_) => assert_eq!(self.cancelled(), 0),
            Err(unfinished) => {
                assert_eq!(unfinished, Unfinished::TimedOut(LIMIT));
                assert_eq!(self.cancelled(), 1);
            }
        }
    }

    /// All threads have been joined and all ends dropped: no value is left in between.
    fn nothing_is_left(&self) {
        assert_eq!(Arc::strong_count(&self.value), 1);
    }
}

/// A waker that counts.
#[derive(Default)]
struct Woken(AtomicU32);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl Woken {
    fn new() -> (Arc<Self>, Waker) {
        let woken = Arc::new(Woken::default());
        (Arc::clone(&woken), Waker::from(woken))
    }

    fn count(&self) -> u32 {
        self.0.load(Ordering::SeqCst)
    }
}

fn poll_once<F: Future + Unpin>(future: &mut F, waker: &Waker) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(waker))
}

/// ```text
///   completer                      waiting thread
///                                  try_take: Open
///                                  register(Thread)
///   put: takes the waiter, Full
///                                  try_take: Full -> the value
///   unpark                         (a token is left, for a later park to find)
///
///                        or
///
///                                  register(Thread); try_take: Open
///   put; unpark                    park returns; try_take: Full
/// ```
#[test]
fn an_outcome_reaches_a_thread() {
    model(|| {
        let seen = Seen::default();
        let (completer, completion) = seen.ends();
        let value = seen.value();
        let completing = thread::spawn(move || completer.complete(value));
        assert!(Operation::new(completion).wait().is_ok());
        completing.join().unwrap();
        assert_eq!(seen.cancelled(), 0);
        seen.nothing_is_left();
    });
}

/// ```text
///   completer                      task
///                                  poll: Open, lock released to clone the waker
///   put: nobody waits, Full
///                                  register: not Open
///                                  try_take: Full -> the value, without a wake
/// ```
#[test]
fn an_outcome_reaches_a_task() {
    model(|| {
        let seen = Seen::default();
        let (completer, completion) = seen.ends();
        let value = seen.value();
        let completing = thread::spawn(move || completer.complete(value));
        assert!(block_on(Operation::new(completion)).is_ok());
        completing.join().unwrap();
        assert_eq!(seen.cancelled(), 0);
        seen.nothing_is_left();
    });
}

/// ```text
///   completer                      waiting thread
///                                  register(Thread); try_take: Open; park
///   dropped: Full(Lost)
///   unpark                         try_take: Full -> Lost
/// ```
#[test]
fn a_lost_completer_is_noticed() {
    model(|| {
        let seen = Seen::default();
        let (completer, completion) = seen.ends();
        let dropping = thread::spawn(move || drop(completer));
        assert_eq!(Operation::new(completion).wait(), Err(Unfinished::Lost));
        dropping.join().unwrap();
        assert_eq!(seen.cancelled(), 0);
    });
}

/// ```text
///   completer                      task
///                                  poll(first): registered
///   put: takes first, Full
///                                  poll(second): Full -> the value
///   first woken, though nobody waits any more: harmless
///
///                        or
///
///                                  poll(second): registered, first dropped
///   put: takes second; wakes it
/// ```
#[test]
fn the_waker_of_the_last_poll_is_woken() {
    model(|| {
        let seen = Seen::default();
        let (completer, completion) = seen.ends();
        let value = seen.value();
        let mut running = Operation::new(completion).background();
        let (_, first) = Woken::new();
        let (woken, second) = Woken::new();
        assert!(poll_once(&mut running, &first).is_pending());
        let completing = thread::spawn(move || completer.complete(value));
        // A look in between leaves the waker where it is.
        let was_done = running.is_done();
        let is_pending = poll_once(&mut running, &second).is_pending();
        completing.join().unwrap();
        if is_pending {
            assert!(!was_done);
            assert_eq!(woken.count(), 1);
            assert!(poll_once(&mut running, &second).is_ready());
        }
        drop(running);
        seen.nothing_is_left();
    });
}

/// ```text
///   completer                      task
///                                  poll: registered
///   put: takes the waiter, Full
///                                  dropped: cancel hook; Closed, the value dropped
///   wakes a task that is gone
/// ```
#[test]
fn a_drop_meets_an_outcome() {
    model(|| {
        let seen = Seen::default();
        let (completer, completion) = seen.ends();
        let value = seen.value();
        let mut op = Operation::new(completion);
        assert!(poll_once(&mut op, Waker::noop()).is_pending());
        let completing = thread::spawn(move || completer.complete(value));
        drop(op);
        completing.join().unwrap();
        assert_eq!(seen.cancelled(), 1);
        seen.nothing_is_left();
    });
}

/// ```text
///   completer                      holder
///                                  block: takes the operation out, parks in the source
///   put; unpark
///                                  the value; puts down Over
/// ```
#[test]
fn an_outcome_reaches_a_thread_through_a_handle() {
    model(|| {
        let seen = Seen::default();
        let (completer, completion) = seen.ends();
        let value = seen.value();
        let running = Operation::new(completion).background();
        let completing = thread::spawn(move || completer.complete(value));
        assert!(running.wait().is_ok());
        completing.join().unwrap();
        seen.nothing_is_left();
    });
}

/// ```text
///   completer                      holder
///   put: Full
///                                  dropped: takes the operation out for good, cancels it,
///                                  the value dropped with the completion
/// ```
#[test]
fn a_drop_of_the_handle_meets_an_outcome() {
    model(|| {
        let seen = Seen::default();
        let (completer, completion) = seen.ends();
        let value = seen.value();
        let running = Operation::new(completion).timeout(LIMIT).background();
        let completing = thread::spawn(move || completer.complete(value));
        let was_done = running.is_done();
        drop(running);
        completing.join().unwrap();
        assert_eq!(seen.cancelled(), u32::from(!was_done));
        seen.nothing_is_left();
    });
}

/// ```text
///   timer                          holder
///   expire: takes the operation out
///                                  dropped: finds it Out, leaves it to the timer
///   cancels it; puts down Over(TimedOut)
/// ```
#[test]
fn a_drop_of_the_handle_meets_the_limit() {
    model(|| {
        let seen = Seen::default();
        let (completer, completion) = seen.ends();
        let running = Operation::new(completion).timeout(LIMIT).background();
        let timer = thread::spawn(pass_all_limits);
        drop(running);
        timer.join().unwrap();
        assert_eq!(seen.cancelled(), 1);
        assert!(!completer.is_wanted());
    });
}

/// ```text
///   timer                          task
///                                  poll: takes the operation out
///   expire: Out -> expired
///                                  source pending; put back finds expired: ends it itself
///
///                        or
///
///   expire: takes it out
///                                  poll: Out, registers
///   cancels; Over(TimedOut); wakes the task
///                                  poll: Over -> TimedOut
/// ```
#[test]
fn the_limit_reaches_a_task() {
    model(|| {
        let seen = Seen::default();
        let (completer, completion) = seen.ends();
        let running = Operation::new(completion).timeout(LIMIT).background();
        let timer = thread::spawn(pass_all_limits);
        assert_eq!(block_on(running), Err(Unfinished::TimedOut(LIMIT)));
        timer.join().unwrap();
        assert_eq!(seen.cancelled(), 1);
        assert!(!completer.is_wanted());
    });
}

/// ```text
///   completer          timer                          task
///                                                     poll: registered in the source, put back
///                      expire: takes it out
///   put: Full; wakes the task
///                                                     poll: Out, registers, pending
///                      try_take: Full -> the value
///                      Over(the value); wakes the task
///                                                     poll: Over -> the value
/// ```
#[test]
fn the_limit_meets_an_outcome_and_a_task() {
    model(|| {
        let seen = Seen::default();
        let (completer, completion) = seen.ends();
        let value = seen.value();
        let running = Operation::new(completion).timeout(LIMIT).background();
        let completing = thread::spawn(move || completer.complete(value));
        let timer = thread::spawn(pass_all_limits);
        seen.check(block_on(running));
        completing.join().unwrap();
        timer.join().unwrap();
        seen.nothing_is_left();
    });
}

/// ```text
///   completer          timer                          holder
///                      expire: takes it out
///                                                     block: Out, registers Thread, parks
///   put: Full, nobody waits in the source
///                      try_take: Full -> the value
///                      Over(the value); unparks
///                                                     block: Over -> the value
/// ```
#[test]
fn the_limit_meets_an_outcome_and_a_thread() {
    model(|| {
        let seen = Seen::default();
        let (completer, completion) = seen.ends();
        let value = seen.value();
        let running = Operation::new(completion).timeout(LIMIT).background();
        let completing = thread::spawn(move || completer.complete(value));
        let timer = thread::spawn(pass_all_limits);
        seen.check(running.wait());
        completing.join().unwrap();
        timer.join().unwrap();
        seen.nothing_is_left();
    });
}

/// ```text
///   completer          timer                          nobody
///   put: Full; wakes
///     polls: takes it out
///                      expire: Out -> expired
///     the value; Over; both dropped
/// ```
#[test]
fn the_limit_meets_an_outcome_that_nobody_waits_for() {
    model(|| {
        let seen = Seen::default();
        let (completer, completion) = seen.ends();
        let value = seen.value();
        Operation::new(completion).timeout(LIMIT).background().detach();
        let completing = thread::spawn(move || completer.complete(value));
        let timer = thread::spawn(pass_all_limits);
        completing.join().unwrap();
        timer.join().unwrap();
        assert!(seen.cancelled() <= 1);
        seen.nothing_is_left();
    });
}
