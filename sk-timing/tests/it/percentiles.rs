//! Percentiles, exact and from the histogram.

use std::time::Duration;

use sk_timing::{EXACT_TIMES, Statistics, Timer, TimerError};

use super::ms;

fn up_to(count: u64) -> Statistics {
    (1..=count).map(Duration::from_micros).collect()
}

/// Rows: TIM-18
#[test]
fn a_percentile_that_is_none_is_an_error_that_names_it() {
    let timer = Timer::new();
    for statistics in [Statistics::default(), up_to(10), up_to(10_000)] {
        timer.merge(&statistics);
        for percentile in [-0.001, 100.001, f64::INFINITY, f64::NEG_INFINITY] {
            let refused = Err(TimerError::Percentile { percentile });
            assert_eq!(statistics.percentile(percentile), refused);
            assert_eq!(timer.percentile(percentile), refused);
        }
        assert!(statistics.percentile(f64::NAN).is_err() && timer.percentile(f64::NAN).is_err());
        assert!(statistics.percentile(-0.0).is_ok());
    }
    let refused = timer.percentile(101.0).unwrap_err();
    assert_eq!(refused.to_string(), "percentile 101 is not a number from 0 to 100");
}

/// Rows: TIM-18
#[test]
fn a_percentile_is_a_time_that_was_measured() {
    let statistics: Statistics = [40, 10, 30, 20].into_iter().map(ms).collect();
    for (percentile, time) in
        [(0.0, 10), (25.0, 10), (25.1, 20), (50.0, 20), (75.0, 30), (99.9, 40), (100.0, 40)]
    {
        assert_eq!(statistics.percentile(percentile), Ok(Some(ms(time))), "{percentile}");
    }
}

#[test]
fn percentiles_are_exact_until_the_first_time_is_dropped() {
    let kept = EXACT_TIMES as u64;
    let mut statistics = up_to(kept);
    assert!(statistics.is_exact());
    assert_eq!(statistics.percentile(50.0), Ok(Some(Duration::from_micros(kept / 2))));
    statistics.extend([Duration::from_micros(kept + 1)]);
    assert!(!statistics.is_exact());
    for percentile in 1..100 {
        let exact = (kept + 1) as f64 * f64::from(percentile) / 100.0;
        let found = statistics.percentile(percentile.into()).unwrap().unwrap().as_secs_f64() * 1e6;
        assert!((found / exact - 1.0).abs() < 0.01, "{percentile}: {found} for {exact}");
    }
    assert_eq!(statistics.percentile(0.0), Ok(Some(Duration::from_micros(1))));
    assert_eq!(statistics.percentile(100.0), Ok(Some(Duration::from_micros(kept + 1))));
}

/// 7 % of 5,000 are 350, and 351 where 7 % are rounded first.
#[test]
fn a_percentile_beyond_the_kept_times_has_the_rank_of_an_exact_one() {
    let (short, long) = (Duration::from_nanos(10), Duration::from_secs(1));
    let times = (0..5_000).map(|n| if n < 350 { short } else { long });
    let statistics: Statistics = times.collect();
    assert!(!statistics.is_exact());
    assert_eq!(statistics.percentile(7.0), Ok(Some(short)));
    assert_eq!(statistics.percentile(7.01), Ok(Some(long)));
    assert_eq!(statistics.percentile(f64::MIN_POSITIVE), Ok(Some(short)));
}
