//! Which samples are kept, and how they are reached.

use std::time::Duration;

use sk_timing::{EXACT_TIMES, IndexedTime, LONGEST_WINDOW, Statistics, Timer, TimerError};

use super::ms;

fn times_of(timer: &Timer) -> Vec<u64> {
    timer.statistics().times().map(|time| u64::try_from(time.as_millis()).unwrap()).collect()
}

/// Rows: TIM-15
#[test]
fn a_window_covers_the_last_times_and_nothing_else() {
    let timer = Timer::builder().max_times(3).build().unwrap();
    for n in 1..=10 {
        timer.add(ms(n));
    }
    assert_eq!(timer.max_times(), Some(3));
    assert_eq!(times_of(&timer), [8, 9, 10]);
    assert_eq!((timer.count(), timer.total(), timer.min()), (3, ms(27), Some(ms(8))));
    assert_eq!((timer.mean(), timer.median()), (Some(ms(9)), Some(ms(9))));
    assert!(timer.statistics().is_exact());
}

/// Rows: TIM-15
#[test]
fn a_window_can_be_set_later_to_shorter_and_to_longer() {
    let timer = Timer::new();
    assert_eq!(timer.max_times(), None);
    (1..=10).for_each(|n| timer.add(ms(n)));
    timer.set_max_times(4).unwrap();
    assert_eq!(times_of(&timer), [7, 8, 9, 10]);
    timer.set_max_times(2).unwrap();
    timer.set_max_times(5).unwrap();
    (11..=13).for_each(|n| timer.add(ms(n)));
    assert_eq!(times_of(&timer), [9, 10, 11, 12, 13]);
    timer.add(ms(14));
    assert_eq!(times_of(&timer), [10, 11, 12, 13, 14]);
    timer.reset();
    assert_eq!((timer.count(), timer.max_times()), (0, Some(5)));
}

/// Rows: TIM-15
#[test]
fn a_window_is_that_of_the_polling_times_too() {
    let made_after = Timer::builder().max_times(2).build().unwrap();
    let made_before = Timer::new();
    assert_eq!(made_before.polling().max_times(), None);
    made_before.set_max_times(2).unwrap();
    for timer in [made_after, made_before] {
        (1..=5).for_each(|n| timer.polling().add(ms(n)));
        assert_eq!(times_of(timer.polling()), [4, 5]);
        timer.set_max_times(1).unwrap();
        assert_eq!(timer.polling().max_times(), Some(1));
    }
}

/// Rows: TIM-15
#[test]
fn a_window_of_nothing_or_of_too_much_is_refused_by_name() {
    for times in [0, LONGEST_WINDOW + 1, usize::MAX] {
        let refused = Timer::builder().max_times(times).build().unwrap_err();
        assert_eq!(refused, TimerError::Window { times });
        assert!(refused.to_string().contains(&format!("{times} times is not one of 1 to")));
        let timer = Timer::new();
        assert_eq!(timer.set_max_times(times), Err(refused));
        timer.add(ms(1));
        assert_eq!((timer.count(), timer.max_times()), (1, None), "nothing has changed");
    }
}

/// Rows: TIM-16
#[test]
fn a_timer_tells_all_there_is_to_tell() {
    let timer = Timer::new();
    [4, 2, 8, 2, 8, 6].into_iter().for_each(|n| timer.add(ms(n)));
    let told = |index, time| Some(IndexedTime { index, time: ms(time) });
    assert_eq!(timer.count(), 6);
    assert_eq!(timer.most_recent(), Some(ms(6)));
    assert_eq!((timer.fastest(), timer.slowest()), (told(1, 2), told(2, 8)));
    assert_eq!((timer.min(), timer.max()), (Some(ms(2)), Some(ms(8))));
    assert_eq!((timer.mean(), timer.median()), (Some(ms(5)), Some(ms(4))));
    let variance = timer.variance_square_seconds().unwrap();
    assert!((variance - 7.6e-6).abs() < 1e-18, "{variance}");
    assert_eq!(timer.stdev(), Some(Duration::from_nanos(2_756_810)));
}

/// Rows: TIM-16
#[test]
fn what_needs_more_times_than_there_are_is_none() {
    let timer = Timer::new();
    let statistics = timer.statistics();
    assert_eq!(statistics.mean(), None);
    assert_eq!(statistics.median(), None);
    assert_eq!((statistics.min(), statistics.max()), (None, None));
    assert_eq!((statistics.fastest(), statistics.slowest()), (None, None));
    assert_eq!(statistics.most_recent(), None);
    assert_eq!(timer.percentile(95.0), Ok(None));
    timer.add(ms(3));
    assert_eq!((timer.mean(), timer.median()), (Some(ms(3)), Some(ms(3))));
    assert_eq!((timer.variance_square_seconds(), timer.stdev()), (None, None));
    timer.add(ms(3));
    assert_eq!((timer.variance_square_seconds(), timer.stdev()), (Some(0.0), Some(ms(0))));
}

/// Rows: TIM-17
#[test]
fn a_time_is_reached_from_both_ends() {
    let timer = Timer::new();
    (0..5).for_each(|n| timer.add(ms(n)));
    let get = |index| timer.get(index);
    assert_eq!((get(0), get(4), get(5)), (Some(ms(0)), Some(ms(4)), None));
    assert_eq!((get(-1), get(-5), get(-6)), (Some(ms(4)), Some(ms(0)), None));
    assert_eq!((get(i64::MIN), get(i64::MAX)), (None, None));
    assert_eq!(Statistics::default().get(0), None);
}

/// Rows: TIM-17
#[test]
fn indices_count_from_the_first_time_also_when_that_is_gone() {
    let count = EXACT_TIMES as u64 + 10;
    let timer = Timer::new();
    (0..count).for_each(|n| timer.add(Duration::from_nanos(n + 1)));
    let last = i64::try_from(count).unwrap() - 1;
    assert_eq!((timer.get(0), timer.get(9)), (None, None));
    assert_eq!(timer.get(10), Some(Duration::from_nanos(11)));
    assert_eq!(timer.get(last), timer.get(-1));
    assert_eq!(timer.get(last + 1), None);
    assert_eq!(timer.fastest().unwrap().index, 0, "it is known, though not kept");
    assert_eq!(timer.slowest().unwrap().index, count - 1);
}

/// Rows: TIM-19
#[test]
fn a_snapshot_does_not_change() {
    let timer = Timer::new();
    (0..10).for_each(|n| timer.add(ms(n)));
    let snapshot = timer.statistics();
    let copy = snapshot.clone();
    for n in 0..10_000 {
        timer.add(ms(n));
    }
    timer.add_failure();
    assert_eq!(snapshot, copy);
    assert_eq!((snapshot.count(), snapshot.total(), snapshot.failures()), (10, ms(45), 0));
    timer.reset();
    assert_eq!(snapshot, copy);
}

/// Rows: TIM-28
#[test]
fn millions_of_times_take_no_more_than_thousands() {
    let fill = |timer: &Timer, count: u64| {
        (0..count).for_each(|n| timer.add(Duration::from_nanos(1 + n * 7_919 % 1_000_003)));
    };
    let timer = Timer::new();
    fill(&timer, 10_000);
    let counted = allocation_counter::measure(|| fill(&timer, 1_000_000));
    assert_eq!(counted.count_total, 0);
    let statistics = timer.statistics();
    assert_eq!(statistics.count(), 1_010_000);
    assert_eq!(statistics.times().len(), EXACT_TIMES);
    let bytes = sk_cereal::internal::to_vec(&statistics).unwrap().len();
    assert!(bytes < 100_000, "{bytes}");
}
