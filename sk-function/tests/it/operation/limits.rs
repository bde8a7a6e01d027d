//! When a limit counts, what it ends, and what it may not lose.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use sk_function::{
    Completer, Drive, Failure, Operation, Source, Unfinished, Until, blocking, completion,
};

use super::{
    Counts, FAR, Outcome, Woken, eventually, ms, poll_once, pulled, remote, shared_threads, watched,
};

fn ready() -> Operation<impl Source<Output = u32, Error = Unfinished> + Send + 'static> {
    let (completer, completion) = completion();
    completer.complete(Ok(1));
    Operation::new(completion)
}

/// Rows: FUN-29
#[test]
fn a_limit_of_zero_takes_what_is_there() {
    watched(|| {
        let zero = Duration::ZERO;
        assert_eq!(ready().timeout(zero).wait(), Ok(1));
        assert_eq!(ready().timeout(zero).background().wait(), Ok(1));
        assert_eq!(ready().background().timeout(zero).wait(), Ok(1));
        assert_eq!(ready().background().wait_timeout(zero), Some(Ok(1)));
        assert_eq!(futures::executor::block_on(ready().timeout(zero)), Ok(1));
        assert_eq!(futures::executor::block_on(ready().background().timeout(zero)), Ok(1));
    });
}

/// Rows: FUN-29
#[test]
fn a_limit_in_the_past_ends_what_is_not_there() {
    watched(|| {
        let zero = Duration::ZERO;
        let late = Err(Unfinished::TimedOut(zero));
        let counts = Counts::default();
        assert_eq!(remote(None, &counts).timeout(zero).wait(), late);
        assert_eq!(remote(None, &counts).timeout(zero).background().wait(), late);
        assert_eq!(remote(None, &counts).background().timeout(zero).wait(), late);
        assert_eq!(futures::executor::block_on(remote(None, &counts).timeout(zero)), late);
        assert_eq!((counts.begun(), counts.cancelled()), (4, 4));
    });
}

/// Rows: FUN-29
#[test]
fn a_limit_counts_from_the_begin() {
    watched(|| {
        let counts = Counts::default();
        let op = remote(Some(ms(1)), &counts).timeout(ms(500));
        std::thread::sleep(ms(600));
        assert_eq!(counts.begun(), 0);
        assert_eq!(op.wait(), Ok(7));
    });
}

/// Rows: FUN-29
#[test]
fn a_limit_set_later_counts_from_then() {
    watched(|| {
        let counts = Counts::default();
        let running = remote(None, &counts).background();
        std::thread::sleep(ms(40));
        let start = Instant::now();
        assert_eq!(running.timeout(ms(30)).wait(), Err(Unfinished::TimedOut(ms(30))));
        assert!(start.elapsed() >= ms(30));
    });
}

/// Rows: FUN-29
#[test]
fn polled_then_in_the_background_keeps_its_clock() {
    watched(|| {
        let _threads = shared_threads();
        let counts = Counts::default();
        let late = Some(Err(Unfinished::TimedOut(ms(20))));
        let waker = Waker::noop();

        let mut op = remote(None, &counts).timeout(ms(20));
        assert!(poll_once(&mut op, waker).is_pending());
        std::thread::sleep(ms(30));
        assert_eq!(op.background().wait_timeout(Duration::ZERO), late);

        let mut op = pulled(None, &counts).timeout(ms(20));
        assert!(poll_once(&mut op, waker).is_pending());
        std::thread::sleep(ms(30));
        assert_eq!(op.background().wait_timeout(Duration::ZERO), late);
    });
}

/// Rows: FUN-28, FUN-37
#[test]
fn a_limit_ends_the_work_when_nobody_looks() {
    watched(|| {
        let counts = Counts::default();
        let running = remote(None, &counts).timeout(ms(10)).background();
        eventually("the cancel", || counts.cancelled() == 1);
        eventually("the outcome", || running.is_done());
        assert_eq!(running.wait(), Err(Unfinished::TimedOut(ms(10))));
        assert_eq!(counts.cancelled(), 1);
    });
}

/// A source that is in `poll` or `block` for longer than it may.
struct Slow {
    counts: Counts,
    time: Duration,
}

impl Source for Slow {
    type Output = u32;
    type Error = Unfinished;
    const DRIVE: Drive = Drive::Itself;

    fn try_take(&mut self) -> Option<Outcome> {
        None
    }
    fn poll(&mut self, _: &mut Context<'_>) -> Poll<Outcome> {
        std::thread::sleep(self.time);
        Poll::Pending
    }
    fn block(&mut self, _: Until<'_>) -> Option<Outcome> {
        std::thread::sleep(self.time);
        None
    }
    fn cancel(&mut self) {
        self.counts.cancelled.fetch_add(1, Ordering::SeqCst);
    }
}

/// Rows: FUN-29
#[test]
fn an_expiry_that_meets_somebody_in_the_source_is_not_lost() {
    watched(|| {
        let counts = Counts::default();
        let slow = || Operation::new(Slow { counts: counts.clone(), time: ms(40) });
        let late = Err(Unfinished::TimedOut(ms(10)));

        // The second round is for a timer that comes late itself.
        let mut running = slow().timeout(ms(10)).background();
        let outcome = loop {
            if let Poll::Ready(outcome) = poll_once(&mut running, Waker::noop()) {
                break outcome;
            }
        };
        assert_eq!(outcome, late);

        let mut running = slow().timeout(ms(10)).background();
        let outcome = loop {
            if let Some(outcome) = running.wait_timeout(ms(1)) {
                break outcome;
            }
        };
        assert_eq!(outcome, late);

        let mut op = slow().timeout(ms(10));
        assert_eq!(poll_once(&mut op, Waker::noop()), Poll::Ready(late.clone()));

        assert_eq!(slow().timeout(ms(10)).wait(), late);
        assert_eq!(counts.cancelled(), 4);
    });
}

/// Rows: FUN-28
#[test]
fn a_look_leaves_the_waker_where_it_is() {
    watched(|| {
        let (completer, completion) = completion::<u32, Unfinished>();
        let mut running = Operation::new(completion).timeout(FAR).background();
        let (woken, waker) = Woken::new();
        assert!(poll_once(&mut running, &waker).is_pending());
        assert!(!running.is_done());
        assert_eq!(running.wait_timeout(ms(1)), None);
        completer.complete(Ok(1));
        assert_eq!(woken.count(), 1);
        assert!(poll_once(&mut running, &waker).is_ready());
    });
}

/// Rows: FUN-29
#[test]
fn the_task_that_polled_last_is_woken_at_the_limit() {
    watched(|| {
        let counts = Counts::default();
        let (first, first_waker) = Woken::new();
        let (second, second_waker) = Woken::new();

        let mut op = remote(None, &counts).timeout(ms(30));
        assert!(poll_once(&mut op, &first_waker).is_pending());
        assert!(poll_once(&mut op, &second_waker).is_pending());
        eventually("the wake", || second.count() == 1);
        assert!(poll_once(&mut op, &second_waker).is_ready());

        let mut running = remote(None, &counts).background();
        assert!(poll_once(&mut running, &first_waker).is_pending());
        assert!(poll_once(&mut running, &second_waker).is_pending());
        let mut running = running.timeout(ms(30));
        eventually("the wake", || second.count() == 2);
        assert!(poll_once(&mut running, &second_waker).is_ready());
        assert_eq!(first.count(), 0);
    });
}

/// Rows: FUN-37
#[test]
fn the_error_names_the_limit() {
    let late = Unfinished::TimedOut(ms(250));
    assert_eq!(late.to_string(), "timed out after 250ms");
    let failure = Failure::from(late);
    assert!(failure.is_timeout());
    assert_eq!(failure.limit(), Some(ms(250)));
    let failure = failure.with_function("my_app.crawl");
    assert!(failure.to_string().starts_with("my_app.crawl timed out"), "{failure}");
    assert!(failure.to_string().contains("250ms"), "{failure}");
    assert!(Failure::from(Unfinished::Cancelled).is_cancelled());
    assert!(Failure::from(Unfinished::Lost).is_disconnected());
}

/// A limit and a completion that come at about the same time: one of them holds, and the hook for
/// cancels ran exactly if the limit did.
///
/// Rows: FUN-29
#[test]
fn a_limit_and_an_outcome_at_once() {
    watched(|| {
        let (jobs, next_job) = mpsc::channel::<(Completer<u32, Unfinished>, Duration)>();
        let completing = std::thread::spawn(move || {
            for (completer, after) in next_job {
                let start = Instant::now();
                while start.elapsed() < after {
                    std::hint::spin_loop();
                }
                completer.complete(Ok(1));
            }
        });
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let limit = Duration::from_micros(60);
        for round in 0..6_000_u64 {
            let cancelled = Arc::new(AtomicU32::new(0));
            let counted = Arc::clone(&cancelled);
            let (completer, completion) = completion();
            let completion = completion.on_cancel(move || {
                counted.fetch_add(1, Ordering::SeqCst);
            });
            jobs.send((completer, Duration::from_micros(round * 7919 % 120))).unwrap();
            let op = Operation::new(completion).timeout(limit);
            let outcome = match round % 6 {
                0 => op.wait(),
                1 => op.background().wait(),
                2 => runtime.block_on(op),
                3 => runtime.block_on(op.background()),
                4 => {
                    let mut running = op.background();
                    loop {
                        if let Some(outcome) = running.wait_timeout(Duration::from_micros(20)) {
                            break outcome;
                        }
                    }
                }
                _ => {
                    let running = op.background();
                    while !running.is_done() {
                        std::thread::yield_now();
                    }
                    running.wait()
                }
            };
            match outcome {
                Ok(1) => assert_eq!(cancelled.load(Ordering::SeqCst), 0),
                Err(Unfinished::TimedOut(_)) => assert_eq!(cancelled.load(Ordering::SeqCst), 1),
                other => panic!("{other:?}"),
            }
        }
        drop(jobs);
        completing.join().unwrap();
    });
}

/// Rows: FUN-28, FUN-30
#[test]
fn a_thousand_at_once() {
    watched(|| {
        let _threads = shared_threads();
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
        let (completers, tasks): (Vec<_>, Vec<_>) = (0..1_000)
            .map(|_| {
                let (completer, completion) = completion::<u32, Unfinished>();
                (completer, runtime.spawn(Operation::new(completion).timeout(FAR)))
            })
            .unzip();
        let late: Vec<_> = (0..1_000)
            .map(|_| remote(None, &Counts::default()).timeout(ms(30)).background())
            .collect();
        let closures: Vec<_> =
            (0..1_000).map(|n| blocking(move |_| Ok::<u32, Unfinished>(n)).background()).collect();
        for (n, completer) in (0..).zip(completers) {
            completer.complete(Ok(n));
        }
        for (n, task) in (0..).zip(tasks) {
            assert_eq!(runtime.block_on(task).unwrap(), Ok(n));
        }
        for running in late {
            assert_eq!(running.wait(), Err(Unfinished::TimedOut(ms(30))));
        }
        for (n, running) in (0..).zip(closures) {
            assert_eq!(running.wait(), Ok(n));
        }
    });
}
