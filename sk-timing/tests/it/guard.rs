//! The guard of a scope.

use std::panic::{AssertUnwindSafe, catch_unwind};

use sk_timing::{TimeThis, Timer};

use super::heard::warnings_of;
use super::{by_hand, ms};

/// Rows: TIM-23
#[test]
fn a_guard_records_once_whether_stopped_or_dropped() {
    let (timer, clock) = by_hand();
    {
        let _timed = timer.time_this();
        clock.advance(ms(3));
    }
    assert_eq!((timer.count(), timer.most_recent()), (1, Some(ms(3))));
    let timed = TimeThis::start(&timer);
    clock.advance(ms(4));
    assert_eq!(timed.stop(), ms(4));
    assert_eq!(timer.count(), 2, "the stop disarms the drop");
}

/// Rows: TIM-23
#[test]
fn a_guard_pauses_resumes_and_laps() {
    let (timer, clock) = by_hand();
    let mut timed = timer.time_this();
    clock.advance(ms(1));
    timed.pause();
    clock.advance(ms(10));
    timed.resume();
    clock.advance(ms(2));
    assert_eq!(timed.lap(), ms(3));
    clock.advance(ms(4));
    drop(timed);
    assert_eq!(timer.statistics().times().collect::<Vec<_>>(), [ms(3), ms(4)]);
    assert_eq!(timer.total_paused(), ms(10));
    let warnings = warnings_of(|| {
        let mut timed = timer.time_this();
        timed.resume();
        timed.pause();
        timed.pause();
    });
    assert_eq!(warnings.len(), 2, "{warnings:?}");
}

/// Rows: TIM-23, TIM-27
#[test]
fn a_guard_that_is_discarded_or_fails_records_no_time() {
    let (timer, clock) = by_hand();
    let timed = timer.time_this();
    clock.advance(ms(1));
    assert_eq!(timed.discard(), ms(1));
    assert_eq!((timer.count(), timer.failures()), (0, 0));
    let timed = timer.time_this();
    clock.advance(ms(2));
    assert_eq!(timed.fail(), ms(2));
    timer.time_this().will_fail();
    assert_eq!((timer.count(), timer.failures()), (0, 2));
}

/// Rows: TIM-27
#[test]
fn a_panic_in_a_timed_scope_is_a_failure() {
    struct TimesItsDrop(Timer);

    impl Drop for TimesItsDrop {
        fn drop(&mut self) {
            let _timed = self.0.time_this();
        }
    }

    let (timer, cleanup) = (Timer::new(), Timer::new());
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        let _cleanup = TimesItsDrop(cleanup.clone());
        let _timed = timer.time_this();
        panic!("in the scope");
    }));
    assert!(outcome.is_err());
    assert_eq!((timer.count(), timer.failures()), (0, 1));
    assert_eq!(
        (cleanup.count(), cleanup.failures()),
        (1, 0),
        "it began in the panic and ended well"
    );
}

/// Rows: TIM-21
#[test]
fn times_below_the_threshold_are_not_recorded() {
    let (timer, clock) = by_hand();
    for (time, is_recorded) in [(4, false), (5, true), (6, true)] {
        let before = timer.count();
        let timed = timer.time_this().threshold(ms(5));
        clock.advance(ms(time));
        assert_eq!(timed.stop(), ms(time));
        {
            let _timed = timer.time_this().threshold(ms(5));
            clock.advance(ms(time));
        }
        assert_eq!(timer.count() - before, if is_recorded { 2 } else { 0 });
    }
}

/// Rows: TIM-21
#[test]
fn laps_below_the_threshold_are_not_recorded() {
    let (timer, clock) = by_hand();
    let mut timed = timer.time_this().threshold(ms(5));
    for time in [4, 5, 1, 6] {
        clock.advance(ms(time));
        assert_eq!(timed.lap(), ms(time));
    }
    drop(timed);
    assert_eq!(timer.statistics().times().collect::<Vec<_>>(), [ms(5), ms(6)]);
}

#[test]
fn guards_lie_within_one_another_and_sessions_without_a_warning() {
    fn factorial(timer: &Timer, n: u64) -> u64 {
        let _timed = timer.time_this();
        if n < 2 { 1 } else { n * factorial(timer, n - 1) }
    }

    let timer = Timer::new();
    let warnings = warnings_of(|| {
        timer.start();
        assert_eq!(factorial(&timer, 5), 120);
        timer.stop().unwrap();
    });
    assert!(warnings.is_empty(), "{warnings:?}");
    assert_eq!(timer.count(), 6);
}

#[test]
fn a_guard_ends_on_another_thread() {
    let (timer, clock) = by_hand();
    let timed = timer.time_this();
    clock.advance(ms(2));
    std::thread::scope(|scope| {
        scope.spawn(move || assert_eq!(timed.stop(), ms(2)));
    });
    assert_eq!(timer.count(), 1);
}
