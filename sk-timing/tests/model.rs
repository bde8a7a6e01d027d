//! Every interleaving of threads that record and threads that read, found by loom.
//!
//! ```text
//! RUSTFLAGS="--cfg loom" cargo test --release --test model
//! ```
//!
//! The code under test is the one that ships; only `crate::sync` gives it loom's locks and atomics, and
//! a ring holds two samples, so that it fills. A drawing above each model shows one of its
//! interleavings; time goes down.
#![cfg(loom)]

use std::sync::Arc;

use loom::thread;
use sk_timing::by_hand::Recording;

/// Checks all interleavings with at most three switches that no thread asked for, or as many as
/// `LOOM_MAX_PREEMPTIONS` says.
fn model(check: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = builder.preemption_bound.or(Some(3));
    builder.check(check);
}

/// ```text
///   writer                         reader
///   slot 0 = 1, written = 1
///                                  lock, written is 1: takes 1
///   slot 1 = 2, written = 2
///   full: gathered is still 0
///                                  gathered = 1, unlock
///   lock, takes 2, gathered = 2
///   slot 0 = 3, written = 3
/// ```
#[test]
fn a_reader_sees_a_beginning_of_what_was_written_and_nothing_twice() {
    model(|| {
        let recording = Arc::new(Recording::new(None));
        let writing = {
            let recording = Arc::clone(&recording);
            thread::spawn(move || {
                let mut thread = recording.join().unwrap();
                (1..=4).for_each(|n| thread.record(n, n));
                thread.leave();
            })
        };
        let seen = recording.times();
        assert!(seen.iter().copied().eq(1..=seen.len() as u64), "{seen:?}");
        writing.join().unwrap();
        assert_eq!(recording.times(), [1, 2, 3, 4]);
    });
}

/// ```text
///   writer a                       writer b
///   written = 2
///                                  written = 2
///   full: lock, takes its own
///                                  full: waits for the lock
///   written = 3
///                                  lock, takes its own
///   leaves: lock, takes its own
/// ```
#[test]
fn writers_that_fill_up_at_once_lose_nothing() {
    model(|| {
        let recording = Arc::new(Recording::new(None));
        let writing: Vec<_> = [0, 10]
            .map(|base| {
                let recording = Arc::clone(&recording);
                thread::spawn(move || {
                    let mut thread = recording.join().unwrap();
                    (1..=3).for_each(|n| thread.record(base + n, base + n));
                    thread.leave();
                })
            })
            .into_iter()
            .collect();
        writing.into_iter().for_each(|thread| thread.join().unwrap());
        let mut times = recording.times();
        times.sort_unstable();
        assert_eq!(times, [1, 2, 3, 11, 12, 13]);
    });
}

/// With a rolling window a full ring gathers all rings, so a thread takes out what another one is
/// still writing.
///
/// ```text
///   writer a                       writer b
///                                  slot 0 = 11
///   full: lock, b's written is 0
///                                  written = 1
///   takes its own
///                                  leaves: lock, takes 11
/// ```
#[test]
fn a_window_that_gathers_from_others_takes_only_what_is_whole() {
    model(|| {
        let recording = Arc::new(Recording::new(Some(16)));
        let writing = {
            let recording = Arc::clone(&recording);
            thread::spawn(move || {
                let mut thread = recording.join().unwrap();
                [11, 12].into_iter().for_each(|n| thread.record(n, n));
                thread.leave();
            })
        };
        let mut thread = recording.join().unwrap();
        (1..=3).for_each(|n| thread.record(n, n));
        thread.leave();
        writing.join().unwrap();
        let mut times = recording.times();
        times.sort_unstable();
        assert_eq!(times, [1, 2, 3, 11, 12]);
    });
}
