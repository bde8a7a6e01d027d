//! What is cancelled, what is lost, and what goes on.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;
use std::task::{Context, Poll, Waker};

use sk_function::{Completer, Drive, Operation, Source, Unfinished, Until, completion};

use super::{
    Counts, FAR, Outcome, Woken, eventually, ms, poll_once, pulled, remote, shared_threads, watched,
};

/// Rows: FUN-28
#[test]
fn dropped_before_it_began_nothing_ever_ran() {
    let counts = Counts::default();
    drop(remote(None, &counts).timeout(ms(1)));
    assert_eq!((counts.begun(), counts.cancelled()), (0, 0));
}

/// Rows: FUN-28
#[test]
fn dropped_after_it_began_it_is_cancelled_once() {
    watched(|| {
        let counts = Counts::default();
        let mut op = remote(None, &counts);
        assert!(poll_once(&mut op, Waker::noop()).is_pending());
        drop(op);
        assert_eq!((counts.begun(), counts.cancelled()), (1, 1));

        drop(remote(None, &counts).background());
        assert_eq!((counts.begun(), counts.cancelled()), (2, 2));

        drop(remote(None, &counts).timeout(FAR).background());
        assert_eq!((counts.begun(), counts.cancelled()), (3, 3));

        let _threads = shared_threads();
        let running = pulled(None, &counts).background();
        eventually("the begin", || counts.begun() == 4);
        drop(running);
        eventually("the cancel", || counts.cancelled() == 4);
    });
}

/// Rows: FUN-28
#[test]
fn dropped_with_its_outcome_it_is_not_cancelled() {
    watched(|| {
        let counts = Counts::default();
        let running = remote(Some(ms(1)), &counts).timeout(FAR).background();
        eventually("the outcome", || running.is_done());
        drop(running);
        let mut running = remote(Some(ms(1)), &counts).background();
        while running.wait_timeout(ms(1)).is_none() {}
        drop(running);
        assert_eq!((counts.begun(), counts.cancelled()), (2, 0));
    });
}

/// A drop and a completion that come at about the same time.
///
/// Rows: FUN-28
#[test]
fn a_drop_and_an_outcome_at_once() {
    watched(|| {
        let (jobs, next_job) = mpsc::channel::<Completer<u32, Unfinished>>();
        let completing = std::thread::spawn(move || {
            next_job.into_iter().for_each(|completer| completer.complete(Ok(1)));
        });
        for round in 0..4_000 {
            let cancelled = Arc::new(AtomicU32::new(0));
            let counted = Arc::clone(&cancelled);
            let (completer, completion) = completion();
            let op = Operation::new(completion.on_cancel(move || {
                counted.fetch_add(1, Ordering::SeqCst);
            }));
            let running = if round % 2 == 0 { op.timeout(FAR) } else { op }.background();
            jobs.send(completer).unwrap();
            for _ in 0..round % 50 {
                std::hint::spin_loop();
            }
            let was_done = running.is_done();
            drop(running);
            let cancelled = cancelled.load(Ordering::SeqCst);
            assert_eq!(cancelled, u32::from(!was_done));
        }
        drop(jobs);
        completing.join().unwrap();
    });
}

/// Rows: FUN-28
#[test]
fn detached_it_goes_on() {
    watched(|| {
        let (completer, completion) = completion::<u32, Unfinished>();
        let (cancelled, is_cancelled) = mpsc::channel();
        let completion = completion.on_cancel(move || cancelled.send(()).unwrap());
        Operation::new(completion).background().detach();
        // The hook was dropped and never ran.
        assert_eq!(is_cancelled.recv(), Err(mpsc::RecvError));
        assert!(!completer.is_wanted());
        completer.complete(Ok(1));
    });
}

/// Rows: FUN-28, FUN-37
#[test]
fn detached_it_keeps_its_limit() {
    watched(|| {
        let counts = Counts::default();
        remote(None, &counts).timeout(ms(10)).background().detach();
        eventually("the limit", || counts.cancelled() == 1);
    });
}

/// Rows: FUN-28
#[test]
fn detached_with_a_far_limit_its_outcome_is_not_kept_until_then() {
    watched(|| {
        let (completer, completion) = completion::<Arc<u32>, Unfinished>();
        Operation::new(completion).timeout(FAR).background().detach();
        assert!(completer.is_wanted());
        let outcome = Arc::new(7);
        completer.complete(Ok(Arc::clone(&outcome)));
        assert_eq!(Arc::strong_count(&outcome), 1);
    });
}

/// Rows: FUN-28
#[test]
fn without_its_completer_it_is_lost() {
    watched(|| {
        let (completer, one) = completion::<u32, Unfinished>();
        drop(completer);
        assert_eq!(Operation::new(one).wait(), Err(Unfinished::Lost));

        let (completer, one) = completion::<u32, Unfinished>();
        let thread = std::thread::spawn(move || {
            std::thread::sleep(ms(5));
            drop(completer);
        });
        assert_eq!(futures::executor::block_on(Operation::new(one)), Err(Unfinished::Lost));
        thread.join().unwrap();
    });
}

/// Rows: FUN-28
#[test]
fn an_outcome_is_given_once() {
    watched(|| {
        let waker = Waker::noop();
        let counts = Counts::default();
        let lost = Poll::Ready(Err(Unfinished::Lost));

        let mut op = remote(Some(ms(0)), &counts);
        eventually("the outcome", || poll_once(&mut op, waker).is_ready());
        assert_eq!(poll_once(&mut op, waker), lost);
        let mut running = op.background();
        assert!(running.is_done());
        assert_eq!(poll_once(&mut running, waker), lost);
        assert_eq!(running.wait(), Err(Unfinished::Lost));

        let mut running = remote(Some(ms(0)), &counts).background();
        while running.wait_timeout(ms(1)).is_none() {}
        assert_eq!(running.wait_timeout(ms(1)), Some(Err(Unfinished::Lost)));
        assert_eq!(running.timeout(ms(1)).wait(), Err(Unfinished::Lost));
        assert_eq!(counts.cancelled(), 0);
    });
}

/// Rows: FUN-28
#[test]
fn polled_and_then_waited_for() {
    watched(|| {
        let counts = Counts::default();
        let mut op = remote(Some(ms(10)), &counts);
        assert!(poll_once(&mut op, Waker::noop()).is_pending());
        assert_eq!(op.wait(), Ok(7));
        let mut running = remote(Some(ms(10)), &counts).timeout(FAR).background();
        assert!(poll_once(&mut running, Waker::noop()).is_pending());
        assert_eq!(running.wait(), Ok(7));
        assert_eq!((counts.begun(), counts.cancelled()), (2, 0));
    });
}

/// Borrows its input, and is bound to its thread.
struct Borrowed<'a> {
    numbers: std::slice::Iter<'a, u32>,
    sum: Rc<RefCell<u32>>,
}

impl Source for Borrowed<'_> {
    type Output = u32;
    type Error = Unfinished;
    const DRIVE: Drive = Drive::Thread;

    fn try_take(&mut self) -> Option<Outcome> {
        None
    }
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Outcome> {
        // One number a poll, so that a limit and an executor see it pending.
        let Some(number) = self.numbers.next() else { return Poll::Ready(Ok(*self.sum.borrow())) };
        *self.sum.borrow_mut() += number;
        cx.waker().wake_by_ref();
        Poll::Pending
    }
    fn block(&mut self, until: Until<'_>) -> Option<Outcome> {
        for number in self.numbers.by_ref() {
            if until.is_over() {
                return None;
            }
            *self.sum.borrow_mut() += number;
        }
        Some(Ok(*self.sum.borrow()))
    }
    fn cancel(&mut self) {}
}

/// Rows: FUN-28, FUN-29
#[test]
fn a_borrowed_source_is_waited_for_and_awaited() {
    let numbers = [1, 2, 3];
    let sum = || Operation::new(Borrowed { numbers: numbers.iter(), sum: Rc::default() });
    assert_eq!(sum().wait(), Ok(6));
    assert_eq!(sum().timeout(FAR).wait(), Ok(6));
    assert_eq!(futures::executor::block_on(sum()), Ok(6));
    assert_eq!(futures::executor::block_on(sum().timeout(FAR)), Ok(6));
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    assert_eq!(runtime.block_on(sum().timeout(FAR)), Ok(6));
}

/// Panics when it is used.
struct Broken(Counts);

impl Source for Broken {
    type Output = u32;
    type Error = Unfinished;
    const DRIVE: Drive = Drive::Itself;

    fn try_take(&mut self) -> Option<Outcome> {
        None
    }
    fn poll(&mut self, _: &mut Context<'_>) -> Poll<Outcome> {
        panic!("broken poll")
    }
    fn block(&mut self, _: Until<'_>) -> Option<Outcome> {
        panic!("broken block")
    }
    fn cancel(&mut self) {
        self.0.cancelled.fetch_add(1, Ordering::SeqCst);
    }
}

/// Rows: FUN-28
#[test]
fn after_a_panic_in_its_source_it_is_lost_and_does_not_hang() {
    watched(|| {
        let counts = Counts::default();
        let mut running = Operation::new(Broken(counts.clone())).timeout(FAR).background();
        let panic = catch_unwind(AssertUnwindSafe(|| poll_once(&mut running, Waker::noop())));
        assert!(panic.is_err());
        assert_eq!(running.wait(), Err(Unfinished::Lost));
        assert_eq!(counts.cancelled(), 1);

        let mut running = Operation::new(Broken(counts.clone())).background();
        let panic = catch_unwind(AssertUnwindSafe(|| running.wait_timeout(ms(1))));
        assert!(panic.is_err());
        let (woken, waker) = Woken::new();
        assert_eq!(poll_once(&mut running, &waker), Poll::Ready(Err(Unfinished::Lost)));
        assert_eq!((woken.count(), counts.cancelled()), (0, 2));
    });
}

/// Rows: FUN-28
#[test]
fn it_may_be_waited_for_while_a_thread_ends() {
    struct WaitsAtItsEnd(RefCell<Option<mpsc::Sender<Outcome>>>);
    impl Drop for WaitsAtItsEnd {
        fn drop(&mut self) {
            let counts = Counts::default();
            let bounded = remote(Some(ms(5)), &counts).timeout(FAR).background().wait();
            let outcome = bounded.and_then(|_| remote(Some(ms(5)), &counts).wait());
            self.0.take().unwrap().send(outcome).unwrap();
        }
    }
    thread_local!(static AT_THE_END: WaitsAtItsEnd = const { WaitsAtItsEnd(RefCell::new(None)) });

    watched(|| {
        let (sender, outcome) = mpsc::channel();
        std::thread::spawn(move || AT_THE_END.with(|at| at.0.replace(Some(sender))));
        assert_eq!(outcome.recv(), Ok(Ok(7)));
    });
}
