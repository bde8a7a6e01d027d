//! Work that blocks: where it runs, how much of it, and how it ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::task::{Context, Poll};

use sk_function::{
    BlockingThreads, BoxError, CancelFlag, Drive, Failure, Operation, Running, Source, Unfinished,
    Until, blocking,
};

use super::{FAR, Outcome, eventually, ms, own_threads, shared_threads, watched};

/// Work that goes on until its sender is dropped, whatever its flag says.
fn held_up() -> (mpsc::Sender<()>, Operation<impl Source<Output = u32, Error = Unfinished> + Send>)
{
    let (release, released) = mpsc::channel::<()>();
    let work = blocking(move |_: &CancelFlag| {
        let _ = released.recv();
        Ok(7)
    });
    (release, work)
}

/// Work on a thread of its own, begun.
fn occupy() -> (mpsc::Sender<()>, Running<u32, Unfinished>) {
    let (release, released) = mpsc::channel::<()>();
    let (begun, is_begun) = mpsc::channel();
    let running = blocking(move |_: &CancelFlag| {
        begun.send(()).unwrap();
        let _ = released.recv();
        Ok(7)
    })
    .background();
    is_begun.recv().unwrap();
    (release, running)
}

/// Rows: FUN-28
#[test]
fn more_work_than_threads_queues() {
    watched(|| {
        let _threads = own_threads(2);
        let (releases, running): (Vec<_>, Vec<_>) = (0..2).map(|_| occupy()).unzip();
        let order = Arc::new(std::sync::Mutex::new(Vec::new()));
        let queued: Vec<_> = (0..3)
            .map(|n| {
                let order = Arc::clone(&order);
                let work = move |_: &CancelFlag| {
                    order.lock().unwrap().push(n);
                    Ok::<(), Unfinished>(())
                };
                blocking(work).background()
            })
            .collect();
        assert_eq!((BlockingThreads::running(), BlockingThreads::queued()), (2, 3));
        assert!(queued.iter().all(|running| !running.is_done()));
        drop(releases);
        for running in running {
            assert_eq!(running.wait(), Ok(7));
        }
        for running in queued {
            assert_eq!(running.wait(), Ok(()));
        }
        let mut order = order.lock().unwrap().clone();
        order.sort_unstable();
        assert_eq!(order, [0, 1, 2]);
        assert!(BlockingThreads::running() <= 2);
    });
}

/// Rows: FUN-28
#[test]
fn a_higher_bound_takes_work_out_of_the_queue() {
    watched(|| {
        let _threads = own_threads(1);
        let (release, first) = occupy();
        let second = blocking(|_| Ok::<_, Unfinished>(8)).background();
        assert_eq!(BlockingThreads::queued(), 1);
        BlockingThreads::current().at_most(2).set();
        assert_eq!(second.wait(), Ok(8));
        drop(release);
        assert_eq!(first.wait(), Ok(7));
    });
}

/// Rows: FUN-28
#[test]
fn idle_threads_are_used_again_and_end_after_their_time() {
    watched(|| {
        let _threads = own_threads(8);
        BlockingThreads::current().kept_for(FAR).set();
        let name =
            || blocking(|_| Ok::<_, Unfinished>(std::thread::current().id())).background().wait();
        let first = name();
        for _ in 0..50 {
            // The thread is idle a moment after the outcome: only then it is the same for sure.
            std::thread::sleep(ms(1));
            assert!(name().is_ok());
        }
        assert!(first.is_ok() && BlockingThreads::running() < 8);
        // A thread that sleeps keeps the time it had, so each has to work once more.
        BlockingThreads::current().kept_for(ms(5)).set();
        eventually("the end of idle threads", || {
            let work: Vec<_> = (0..BlockingThreads::running()).map(|_| occupy()).collect();
            drop(work);
            std::thread::sleep(ms(10));
            BlockingThreads::running() == 0
        });
    });
}

/// Rows: FUN-37
#[test]
fn a_limit_counts_in_the_queue_and_work_that_did_not_begin_never_does() {
    watched(|| {
        let _threads = own_threads(1);
        let (release, first) = occupy();
        let ran = Arc::new(AtomicBool::new(false));
        let runs = Arc::clone(&ran);
        let second =
            blocking(move |_| Ok::<u32, Unfinished>(runs.swap(true, Ordering::SeqCst).into()));
        let late = second.timeout(ms(20)).background().wait();
        assert_eq!(late, Err(Unfinished::TimedOut(ms(20))));
        assert_eq!(BlockingThreads::queued(), 0);
        // What it had captured is free again.
        assert_eq!(Arc::strong_count(&ran), 1);
        drop(release);
        assert_eq!(first.wait(), Ok(7));
        assert!(!ran.load(Ordering::SeqCst));
    });
}

/// Rows: FUN-37
#[test]
fn the_caller_gets_its_timeout_and_the_thread_stays_counted() {
    watched(|| {
        let _threads = own_threads(4);
        let (release, work) = held_up();
        assert_eq!(work.timeout(ms(20)).wait(), Err(Unfinished::TimedOut(ms(20))));
        assert_eq!(BlockingThreads::running(), 1);
        let (flag_seen, seen) = mpsc::channel();
        let polite = blocking(move |flag: &CancelFlag| {
            flag.wait();
            flag_seen.send(flag.is_cancelled()).unwrap();
            Ok::<_, Unfinished>(7)
        });
        assert_eq!(polite.timeout(ms(20)).wait(), Err(Unfinished::TimedOut(ms(20))));
        assert_eq!(seen.recv(), Ok(true));
        drop(release);
        eventually("the end of the thread", || BlockingThreads::running() == 0);
    });
}

/// Rows: FUN-37
#[test]
fn waits_within_waits_never_stop_one_another() {
    /// Work that waits for work that waits, so many deep.
    fn deep(levels: u32) -> Result<u32, Unfinished> {
        match levels {
            0 => Ok(0),
            _ => blocking(move |_| deep(levels - 1)).timeout(FAR).wait().map(|depth| depth + 1),
        }
    }
    watched(|| {
        let _threads = own_threads(1);
        let all: Vec<_> = (0..4).map(|_| blocking(|_| deep(5)).background()).collect();
        for running in all {
            assert_eq!(running.wait(), Ok(5));
        }
        // Those that waited count again.
        let (go, gone) = mpsc::channel::<()>();
        let held = blocking(move |_| Ok::<bool, Unfinished>(gone.recv().is_err())).background();
        let queued = blocking(|_| Ok::<u32, Unfinished>(1)).background();
        eventually("one waits for the other", || BlockingThreads::queued() == 1);
        drop(go);
        assert_eq!((held.wait(), queued.wait()), (Ok(true), Ok(1)));
    });
}

fn panics(n: u32) -> Result<u32, Failure> {
    panic!("no more paper in tray {n}")
}

/// Rows: FUN-28, FUN-29
#[test]
fn a_panic_is_an_outcome_with_message_and_place() {
    watched(|| {
        let _threads = shared_threads();
        let work = || blocking(|_| panics(3));
        let outcomes = [
            work().wait(),
            work().timeout(FAR).wait(),
            work().background().wait(),
            futures::executor::block_on(work()),
            futures::executor::block_on(work().background()),
        ];
        for outcome in outcomes {
            let failure = outcome.unwrap_err();
            assert_eq!(failure.message(), Some("no more paper in tray 3"));
            assert!(failure.place().unwrap().file().ends_with("kept_threads.rs"), "{failure}");
        }
        let boxed = blocking(|_| -> Result<(), BoxError> { panic!("boxed") }).wait().unwrap_err();
        assert!(boxed.to_string().contains("boxed"));
        assert!(boxed.downcast_ref::<Unfinished>().is_some());
    });
}

/// A source that has to be driven, and panics.
struct Broken;

impl Source for Broken {
    type Output = u32;
    type Error = Unfinished;
    const DRIVE: Drive = Drive::Thread;

    fn try_take(&mut self) -> Option<Outcome> {
        None
    }
    fn poll(&mut self, _: &mut Context<'_>) -> Poll<Outcome> {
        Poll::Pending
    }
    fn block(&mut self, _: Until<'_>) -> Option<Outcome> {
        panic!("a broken iterator")
    }
    fn cancel(&mut self) {}
}

/// Rows: FUN-28
#[test]
fn a_panic_of_a_driven_source_is_an_outcome_too() {
    watched(|| {
        let _threads = shared_threads();
        let Err(Unfinished::Panicked(failure)) = Operation::new(Broken).background().wait() else {
            panic!("the panic is the outcome");
        };
        assert_eq!(failure.message(), Some("a broken iterator"));
        // The thread goes on.
        assert_eq!(blocking(|_| Ok::<_, Unfinished>(1)).background().wait(), Ok(1));
    });
}

/// Rows: FUN-28
#[test]
fn without_a_limit_it_runs_on_the_waiting_thread() {
    let here = std::thread::current().id();
    let there = || blocking(|_| Ok::<_, Unfinished>(std::thread::current().id()));
    assert_eq!(there().wait(), Ok(here));
    watched(move || {
        let _threads = shared_threads();
        assert_ne!(there().background().wait(), Ok(here));
    });
}
