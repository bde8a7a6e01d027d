//! Sessions of one thread.

use std::time::Duration;

use sk_timing::{Timer, TimerError};

use super::heard::warnings_of;
use super::{by_hand, ms};

const CENTURY: Duration = Duration::from_secs(100 * 365 * 24 * 3_600);

/// Rows: TIM-12
#[test]
fn a_stop_returns_and_records_what_passed_since_the_start() {
    let (timer, clock) = by_hand();
    timer.start();
    clock.advance(ms(5));
    assert_eq!(timer.stop(), Ok(ms(5)));
    assert_eq!((timer.count(), timer.most_recent(), timer.total()), (1, Some(ms(5)), ms(5)));
}

/// Rows: TIM-12
#[test]
fn a_discarded_session_is_not_recorded() {
    let (timer, clock) = by_hand();
    timer.start();
    clock.advance(ms(5));
    assert_eq!(timer.discard(), Ok(ms(5)));
    assert_eq!((timer.count(), timer.failures()), (0, 0));
    assert!(timer.stop().is_err());
}

/// Rows: TIM-12
#[test]
fn laps_and_the_stop_share_the_time_out() {
    let (timer, clock) = by_hand();
    timer.start();
    for lap in [3, 4] {
        clock.advance(ms(lap));
        assert_eq!(timer.lap(), Ok(ms(lap)));
    }
    clock.advance(ms(5));
    assert_eq!(timer.stop(), Ok(ms(5)));
    assert_eq!(timer.statistics().times().collect::<Vec<_>>(), [ms(3), ms(4), ms(5)]);
}

/// Rows: TIM-12
#[test]
fn an_added_time_counts_as_if_it_were_measured() {
    let timer = Timer::new();
    timer.add(ms(2));
    timer.add(ms(6));
    assert_eq!((timer.count(), timer.mean()), (2, Some(ms(4))));
}

/// Rows: TIM-12
#[test]
fn a_reset_forgets_what_was_and_keeps_what_runs() {
    let (timer, clock) = by_hand();
    timer.add(ms(1));
    timer.add_failure();
    timer.start();
    clock.advance(ms(1));
    timer.pause().unwrap();
    clock.advance(ms(1));
    timer.lap().unwrap();
    timer.reset();
    assert!(timer.statistics().is_empty());
    assert_eq!((timer.failures(), timer.total_paused(), timer.max()), (0, Duration::ZERO, None));
    timer.resume().unwrap();
    clock.advance(ms(7));
    assert_eq!(timer.stop(), Ok(ms(7)));
    assert_eq!(timer.count(), 1);
}

/// Rows: TIM-13
#[test]
fn what_needs_a_session_is_an_error_without_one() {
    let timer = Timer::new();
    let named = |action| TimerError::NotStarted { action };
    assert_eq!(timer.stop(), Err(named("stop")));
    assert_eq!(timer.discard(), Err(named("discard")));
    assert_eq!(timer.lap(), Err(named("lap")));
    assert_eq!(timer.fail(), Err(named("fail")));
    assert_eq!(timer.pause(), Err(named("pause")));
    assert_eq!(timer.resume(), Err(named("resume")));
    assert_eq!(
        timer.stop().unwrap_err().to_string(),
        "cannot stop a timer that this thread has not started"
    );
    assert_eq!((timer.count(), timer.failures()), (0, 0));
    timer.start();
    timer.stop().unwrap();
    assert!(timer.stop().is_err(), "one start, one stop");
}

/// Rows: TIM-13
#[test]
fn a_second_pause_and_a_resume_of_what_runs_only_warn() {
    let (timer, clock) = by_hand();
    timer.start();
    let warnings = warnings_of(|| {
        timer.resume().unwrap();
        clock.advance(ms(1));
        timer.pause().unwrap();
        clock.advance(ms(2));
        timer.pause().unwrap();
        clock.advance(ms(4));
        timer.resume().unwrap();
    });
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    assert!(warnings[0].contains("resumed without a pause"), "{warnings:?}");
    assert!(warnings[1].contains("paused twice"), "{warnings:?}");
    assert_eq!(timer.stop(), Ok(ms(1)));
    assert_eq!(timer.total_paused(), ms(6));
}

/// Rows: TIM-14
#[test]
fn paused_time_is_left_out_and_told() {
    let (timer, clock) = by_hand();
    for _ in 0..3 {
        timer.start();
        clock.advance(ms(5));
        timer.pause().unwrap();
        clock.advance(ms(100));
        timer.resume().unwrap();
        clock.advance(ms(5));
        timer.pause().unwrap();
        clock.advance(ms(1));
        assert_eq!(timer.stop(), Ok(ms(10)), "a stop ends a pause too");
    }
    assert_eq!((timer.total(), timer.total_paused()), (ms(30), ms(303)));
    timer.start();
    timer.pause().unwrap();
    clock.advance(ms(7));
    timer.discard().unwrap();
    assert_eq!(timer.total_paused(), ms(303), "what is not recorded was not paused either");
}

/// Rows: TIM-14
#[test]
fn a_session_that_was_paused_stands_after_those_before_it() {
    let (timer, clock) = by_hand();
    timer.start();
    clock.advance(ms(1));
    timer.stop().unwrap();
    timer.start();
    timer.pause().unwrap();
    clock.advance(ms(2));
    timer.resume().unwrap();
    clock.advance(ms(3));
    timer.stop().unwrap();
    assert_eq!(timer.statistics().times().collect::<Vec<_>>(), [ms(1), ms(3)]);
}

/// Rows: TIM-14
#[test]
fn a_lap_that_ends_in_a_pause_leaves_the_next_one_paused() {
    let (timer, clock) = by_hand();
    timer.start();
    clock.advance(ms(1));
    timer.pause().unwrap();
    clock.advance(ms(2));
    assert_eq!(timer.lap(), Ok(ms(1)));
    clock.advance(ms(3));
    timer.resume().unwrap();
    clock.advance(ms(4));
    assert_eq!(timer.stop(), Ok(ms(4)));
    assert_eq!(timer.total_paused(), ms(5));
}

/// Rows: TIM-24
#[test]
fn a_start_within_a_session_is_a_session_within_it_and_a_warning() {
    let (timer, clock) = by_hand();
    timer.start();
    clock.advance(ms(1));
    let warnings = warnings_of(|| timer.start());
    assert_eq!(warnings.len(), 1);
    assert!(warnings[0].contains("within another"), "{warnings:?}");
    clock.advance(ms(2));
    assert_eq!(timer.stop(), Ok(ms(2)));
    clock.advance(ms(4));
    assert_eq!(timer.stop(), Ok(ms(7)));
    assert!(timer.stop().is_err());
    assert!(warnings_of(|| timer.start()).is_empty(), "the one before has ended");
    timer.stop().unwrap();
}

/// Rows: TIM-24
#[test]
fn starts_without_stops_do_not_grow() {
    let (timer, clock) = by_hand();
    let mut last = Vec::new();
    for _ in 0..100 {
        last = warnings_of(|| timer.start());
        clock.advance(ms(1));
    }
    assert!(last[0].contains("the outermost is forgotten"), "{last:?}");
    let stopped: Vec<_> = std::iter::from_fn(|| timer.stop().ok()).collect();
    assert_eq!(stopped.len(), 64);
    assert_eq!(stopped.last(), Some(&ms(64)), "the innermost are those that are left");
}

/// Rows: TIM-27
#[test]
fn a_failed_session_is_counted_and_not_timed() {
    let (timer, clock) = by_hand();
    for fails in [false, true, false, true, true] {
        timer.start();
        clock.advance(if fails { ms(1_000) } else { ms(10) });
        let ended = if fails { timer.fail() } else { timer.stop() };
        assert!(ended.is_ok());
    }
    let statistics = timer.statistics();
    assert_eq!((statistics.count(), statistics.failures()), (2, 3));
    assert_eq!((statistics.total(), statistics.max()), (ms(20), Some(ms(10))));
}

#[test]
fn times_of_nothing_and_of_centuries_are_times() {
    let (timer, clock) = by_hand();
    for time in [Duration::ZERO, CENTURY, CENTURY, CENTURY] {
        timer.start();
        clock.advance(time);
        assert_eq!(timer.stop(), Ok(time));
    }
    let statistics = timer.statistics();
    assert_eq!(statistics.total(), CENTURY * 3);
    assert_eq!(statistics.mean(), Some(CENTURY * 3 / 4));
    assert_eq!(statistics.median(), Some(CENTURY));
    // Of {0, c, c, c}: a quarter of the square of c.
    let variance = statistics.variance_square_seconds().unwrap();
    assert!((variance / (CENTURY.as_secs_f64().powi(2) / 4.0) - 1.0).abs() < 1e-12);
    // More than 64 bits of nanoseconds is told as 64 bits, not as an overflow.
    for _ in 0..100 {
        timer.add(Duration::MAX);
    }
    assert_eq!(timer.max(), Some(Duration::from_nanos(u64::MAX)));
    assert!(timer.mean().is_some() && timer.stdev().is_some());
}

#[test]
fn clones_are_one_timer_and_others_are_not() {
    let timer = Timer::new();
    let clone = timer.clone();
    timer.start();
    clone.stop().unwrap();
    assert_eq!(timer.count(), 1);
    assert!(timer.is_same(&clone) && !timer.is_same(&Timer::new()));
    assert!(Timer::new().stop().is_err());
}

#[test]
fn nothing_is_allocated_after_the_first_use() {
    let timer = Timer::new();
    timer.start();
    timer.stop().unwrap();
    let counted = allocation_counter::measure(|| {
        // More than is kept exactly, so that the change to the histogram is among them.
        for _ in 0..10_000 {
            timer.start();
            timer.stop().unwrap();
            drop(timer.time_this());
        }
    });
    assert_eq!(counted.count_total, 0);
    assert_eq!(timer.count(), 20_001);
}
