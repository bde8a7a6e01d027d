//! One timer and many threads.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Barrier, mpsc};
use std::thread;
use std::time::Duration;

use sk_timing::{ManualClock, Timer};

use super::{by_hand, ms};

/// Rows: TIM-25
#[test]
fn no_time_of_any_thread_is_lost() {
    let timer = Timer::new();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..100 {
                    timer.start();
                    timer.stop().unwrap();
                }
            });
        }
    });
    assert_eq!(timer.count(), 400);
    assert_eq!(timer.statistics().times().len(), 400);
}

/// Rows: TIM-25
#[test]
fn each_thread_has_sessions_of_its_own() {
    let (timer, clock) = by_hand();
    timer.start();
    clock.advance(ms(1));
    thread::scope(|scope| {
        scope.spawn(|| {
            assert!(timer.stop().is_err(), "the session is another thread's");
            timer.start();
            clock.advance(ms(2));
            assert_eq!(timer.stop(), Ok(ms(2)));
        });
    });
    assert_eq!(timer.stop(), Ok(ms(3)));
}

/// Rows: TIM-25
#[test]
fn what_a_thread_has_stopped_is_seen_by_others_at_once() {
    let timer = Timer::new();
    let (stopped, seen) = (Barrier::new(2), Barrier::new(2));
    thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..300 {
                timer.start();
                timer.stop().unwrap();
                stopped.wait();
                seen.wait();
            }
        });
        for count in 1..=300 {
            stopped.wait();
            assert_eq!(timer.count(), count);
            seen.wait();
        }
    });
}

/// Rows: TIM-25
#[test]
fn sums_agree_with_counts_while_threads_record() {
    let timer = Timer::new();
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let recording: Vec<_> = (0..3)
            .map(|_| {
                scope.spawn(|| {
                    for _ in 0..20_000 {
                        timer.add(Duration::from_nanos(7));
                    }
                })
            })
            .collect();
        scope.spawn(|| {
            let mut before = 0;
            while !is_over.load(Ordering::Relaxed) {
                let statistics = timer.statistics();
                assert_eq!(statistics.total().as_nanos(), u128::from(statistics.count()) * 7);
                assert!(statistics.count() >= before);
                before = statistics.count();
            }
        });
        recording.into_iter().for_each(|thread| thread.join().unwrap());
        is_over.store(true, Ordering::Relaxed);
    });
    assert_eq!(timer.count(), 60_000);
}

#[test]
fn times_of_several_threads_stand_in_the_order_in_which_they_ended() {
    let (timer, clock) = by_hand();
    let window = Timer::builder().max_times(5).clock(&clock).build().unwrap();
    let turns = [Barrier::new(2), Barrier::new(2)];
    thread::scope(|scope| {
        scope.spawn(|| {
            for n in 0..10 {
                turns[0].wait();
                timer.add(ms(2 * n + 1));
                window.add(ms(2 * n + 1));
                clock.advance(ms(1));
                turns[1].wait();
            }
        });
        for n in 0..10 {
            timer.add(ms(2 * n));
            window.add(ms(2 * n));
            clock.advance(ms(1));
            turns[0].wait();
            turns[1].wait();
        }
    });
    let times: Vec<_> = timer.statistics().times().collect();
    assert_eq!(times, (0..20).map(ms).collect::<Vec<_>>());
    let times: Vec<_> = window.statistics().times().collect();
    assert_eq!(times, (15..20).map(ms).collect::<Vec<_>>());
}

/// Rows: TIM-15
#[test]
fn a_window_holds_the_last_times_of_however_many_threads() {
    const THREADS: usize = 20;
    let clock = ManualClock::new();
    let window = Timer::builder().max_times(8).clock(&clock).build().unwrap();
    // The last thread to join is the one that leaves first, with times older than those of others.
    for leaves in [false, true] {
        let turns: Vec<_> = (0..THREADS).map(|_| mpsc::channel::<u64>()).collect();
        let (turns, takers): (Vec<_>, Vec<_>) = turns.into_iter().unzip();
        let mut turns: Vec<_> = turns.into_iter().map(Some).collect();
        let (done, is_done) = mpsc::channel();
        thread::scope(|scope| {
            let mut threads: Vec<_> = takers
                .into_iter()
                .map(|taker| {
                    let (window, done) = (&window, done.clone());
                    Some(scope.spawn(move || {
                        for n in taker {
                            window.add(Duration::from_nanos(n));
                            done.send(()).unwrap();
                        }
                    }))
                })
                .collect();
            let mut last = 0;
            let mut take_turn = |thread: usize| {
                clock.advance(Duration::from_nanos(1));
                last += 1;
                turns[thread].as_ref().unwrap().send(last).unwrap();
                is_done.recv().unwrap();
                last
            };
            let oldest = [THREADS - 1; 20];
            let last = (0..THREADS).chain(oldest).chain([0; 20]).map(&mut take_turn).max().unwrap();
            if leaves {
                turns[THREADS - 1] = None;
                threads[THREADS - 1].take().unwrap().join().unwrap();
            }
            let times: Vec<_> = window.statistics().times().collect();
            // A thread that waits for its turn would keep a failure from being told.
            turns.clear();
            let expected: Vec<_> = (last - 7..=last).map(Duration::from_nanos).collect();
            assert_eq!(times, expected, "leaves: {leaves}");
        });
    }
}

/// Rows: TIM-15
#[test]
fn a_thread_with_much_to_hand_over_to_a_window_hands_over_for_others_too() {
    let clock = ManualClock::new();
    let window = Timer::builder().max_times(8).clock(&clock).build().unwrap();
    let (added, over) = (Barrier::new(2), Barrier::new(2));
    thread::scope(|scope| {
        scope.spawn(|| {
            window.add(ms(1));
            added.wait();
            over.wait();
        });
        added.wait();
        // One more than a thread keeps for itself.
        for n in 0..257 {
            clock.advance(ms(1));
            window.add(ms(1_000 + n));
        }
        let times: Vec<_> = window.statistics().times().collect();
        over.wait();
        assert_eq!(times, (1_249..1_257).map(ms).collect::<Vec<_>>());
    });
}

#[test]
fn a_session_that_its_thread_leaves_running_is_not_recorded() {
    let timer = Timer::new();
    thread::scope(|scope| {
        scope.spawn(|| {
            timer.start();
            timer.stop().unwrap();
            timer.start();
        });
    });
    assert_eq!((timer.count(), timer.failures()), (1, 0));
    assert!(timer.stop().is_err());
}

#[test]
fn a_timer_may_be_dropped_before_the_threads_that_used_it() {
    let timer = Timer::new();
    let clone = timer.clone();
    let (used, dropped) = (Barrier::new(2), Barrier::new(2));
    thread::scope(|scope| {
        scope.spawn(|| {
            let timer = timer;
            timer.start();
            drop(timer);
            used.wait();
            dropped.wait();
        });
        used.wait();
        drop(clone);
        dropped.wait();
    });
}

#[test]
fn ten_thousand_threads_record_and_leave_nothing_but_their_times() {
    const THREADS: usize = 10_000;
    // As many at a time as a machine with few limits lets live.
    const AT_A_TIME: usize = 500;
    let timer = Timer::new();
    for _ in 0..THREADS / AT_A_TIME {
        let barrier = Barrier::new(AT_A_TIME);
        thread::scope(|scope| {
            for _ in 0..AT_A_TIME {
                let thread = thread::Builder::new().stack_size(64 << 10);
                let work = || {
                    timer.start();
                    barrier.wait();
                    timer.stop().unwrap();
                    drop(timer.time_this());
                };
                thread.spawn_scoped(scope, work).unwrap();
            }
        });
    }
    assert_eq!(timer.count(), 2 * THREADS as u64);
}

/// A logger or allocator that is timed may be called while a thread ends.
#[test]
fn a_thread_that_ends_still_records() {
    struct Last(Timer);

    impl Drop for Last {
        fn drop(&mut self) {
            self.0.add(ms(1));
            let _timed = self.0.time_this();
        }
    }

    thread_local! {
        static LAST: std::cell::RefCell<Option<Last>> = const { std::cell::RefCell::new(None) };
    }

    let timer = Timer::new();
    for uses_it_first in [false, true] {
        thread::scope(|scope| {
            scope.spawn(|| {
                if uses_it_first {
                    timer.add(ms(1));
                }
                LAST.set(Some(Last(timer.clone())));
                timer.add(ms(1));
            });
        });
    }
    // Scoped threads are joined before their thread-locals are dropped.
    while timer.count() < 7 {
        thread::yield_now();
    }
}
