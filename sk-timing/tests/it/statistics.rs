//! Statistics against their naive computation from all samples.

use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use sk_timing::{EXACT_TIMES, Statistics, Timer};

/// Nanoseconds of every magnitude, the ends included.
fn nanos() -> impl Strategy<Value = u64> {
    prop_oneof![
        1 => Just(0_u64),
        1 => Just(u64::MAX),
        8 => (0_u32..64, any::<u64>()).prop_map(|(bits, any)| any >> bits),
        8 => 1_000_u64..1_000_000,
    ]
}

fn statistics(nanos: &[u64]) -> Statistics {
    nanos.iter().copied().map(Duration::from_nanos).collect()
}

/// What the definition says, from the samples themselves.
struct Naive {
    nanos: Vec<u64>,
    sorted: Vec<u64>,
}

impl Naive {
    fn of(nanos: &[u64]) -> Naive {
        let mut sorted = nanos.to_vec();
        sorted.sort_unstable();
        Naive { nanos: nanos.to_vec(), sorted }
    }

    /// By the differences to the mean, whose products do not lose what is small against the mean.
    fn variance(&self) -> f64 {
        let count = self.nanos.len() as f64;
        let sum: u128 = self.nanos.iter().copied().map(u128::from).sum();
        let squares: f64 = self
            .nanos
            .iter()
            .map(|nanos| {
                let scaled = i128::from(*nanos) * self.nanos.len() as i128;
                ((scaled - sum as i128) as f64 / count).powi(2)
            })
            .sum();
        squares / (count - 1.0) * 1e-18
    }

    fn check_exact_figures(&self, statistics: &Statistics) {
        let sum: u128 = self.nanos.iter().copied().map(u128::from).sum();
        assert_eq!(statistics.count(), self.nanos.len() as u64);
        assert_eq!(statistics.total().as_nanos(), sum);
        assert_eq!(statistics.min().map(|time| time.as_nanos()), self.sorted.first().map(wide));
        assert_eq!(statistics.max().map(|time| time.as_nanos()), self.sorted.last().map(wide));
        for (told, time) in [
            (statistics.fastest(), self.sorted.first()),
            (statistics.slowest(), self.sorted.last()),
        ] {
            let index = self.nanos.iter().position(|nanos| Some(nanos) == time);
            assert_eq!(told.map(|told| told.index), index.map(|index| index as u64));
        }
        if !self.nanos.is_empty() {
            let count = self.nanos.len() as u128;
            let mean = statistics.mean().unwrap().as_nanos();
            assert!((mean * count).abs_diff(sum) * 2 <= count, "{mean}");
        }
        if self.nanos.len() >= 2 {
            let (found, naive) = (statistics.variance_square_seconds().unwrap(), self.variance());
            assert!((found - naive).abs() <= naive * 1e-9, "{found} for {naive}");
        }
    }

    /// The smallest time that at least so many percent are not longer than.
    fn percentile(&self, percentile: f64) -> u64 {
        let wanted = percentile * self.sorted.len() as f64;
        let reaches = |(index, _): &(usize, &u64)| (index + 1) as f64 * 100.0 >= wanted;
        *self.sorted.iter().enumerate().find(reaches).unwrap().1
    }
}

fn wide(nanos: &u64) -> u128 {
    u128::from(*nanos)
}

proptest! {
    #[test]
    fn they_are_what_the_samples_say(samples in vec(nanos(), 0..300), percentile in 0.0..=100.0) {
        let (naive, found) = (Naive::of(&samples), statistics(&samples));
        naive.check_exact_figures(&found);
        prop_assert!(found.is_exact());
        if !samples.is_empty() {
            let exact = Duration::from_nanos(naive.percentile(percentile));
            prop_assert_eq!(found.percentile(percentile).unwrap(), Some(exact));
        }
    }

    #[test]
    fn a_window_is_what_its_last_samples_say(
        samples in vec(nanos(), 0..60),
        window in 1_usize..40,
        later in 1_usize..40,
    ) {
        let timer = Timer::builder().max_times(window).build().unwrap();
        let (before, after) = samples.split_at(samples.len() / 2);
        before.iter().for_each(|nanos| timer.add(Duration::from_nanos(*nanos)));
        timer.set_max_times(later).unwrap();
        after.iter().for_each(|nanos| timer.add(Duration::from_nanos(*nanos)));
        let kept = before.len().min(window).min(later) + after.len();
        let last = &samples[samples.len() - kept.min(later)..];
        Naive::of(last).check_exact_figures(&timer.statistics());
        prop_assert_eq!(timer.statistics(), statistics(last));
    }

    /// Rows: TIM-28
    #[test]
    fn a_merge_is_what_all_samples_say(parts in vec(vec(nanos(), 0..60), 0..6)) {
        let mut merged = Statistics::default();
        parts.iter().for_each(|part| merged.merge(&statistics(part)));
        prop_assert_eq!(&merged, &statistics(&parts.concat()));
        Naive::of(&parts.concat()).check_exact_figures(&merged);
    }

    /// Rows: TIM-28
    #[test]
    fn a_merge_beyond_what_is_kept_is_exact_but_for_percentiles(
        seed in nanos(),
        lengths in vec(0_usize..6_000, 2..4),
    ) {
        let mut state = seed;
        let parts: Vec<Vec<u64>> = lengths.iter().map(|length| (0..*length).map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            state >> (1 + (state & 31))
        }).collect()).collect();
        let all = parts.concat();
        let mut merged = Statistics::default();
        parts.iter().for_each(|part| merged.merge(&statistics(part)));
        let naive = Naive::of(&all);
        naive.check_exact_figures(&merged);
        prop_assert_eq!(merged.is_exact(), all.len() <= EXACT_TIMES);
        let last: Vec<_> = all.iter().rev().map(|nanos| Duration::from_nanos(*nanos)).collect();
        let kept: Vec<_> = merged.times().collect();
        prop_assert!(kept.iter().rev().eq(last.iter().take(kept.len())));
        if !all.is_empty() {
            for percentile in [1.0, 50.0, 95.0, 99.0] {
                let exact = naive.percentile(percentile) as f64;
                let found = merged.percentile(percentile).unwrap().unwrap().as_nanos() as f64;
                prop_assert!((found - exact).abs() <= exact * 0.01, "{} for {}", found, exact);
            }
        }
    }
}

/// The samples dropped by the one lie between its kept ones and those of the other.
#[test]
fn a_merge_keeps_no_times_from_before_a_gap() {
    let long: Vec<u64> = (0..EXACT_TIMES as u64 + 1_000).collect();
    let mut merged = statistics(&[7; 100]);
    merged.merge(&statistics(&long));
    assert_eq!(merged.times().len(), EXACT_TIMES);
    assert_eq!(merged.get(1_100), Some(Duration::from_nanos(1_000)));
    assert_eq!(merged.get(50), None);
}

/// Rows: TIM-28
#[test]
fn a_timer_takes_over_the_times_of_another() {
    let add = |timer: &Timer, nanos: &[u64]| {
        nanos.iter().for_each(|nanos| timer.add(Duration::from_nanos(*nanos)));
    };
    let (all, window) = (Timer::new(), Timer::builder().max_times(3).build().unwrap());
    for timer in [&all, &window] {
        add(timer, &[1, 2]);
        let mut other = statistics(&[3, 4]);
        other.extend([Duration::from_nanos(5)]);
        timer.merge(&other);
        add(timer, &[6]);
    }
    assert_eq!(all.statistics(), statistics(&[1, 2, 3, 4, 5, 6]));
    assert_eq!(window.statistics(), statistics(&[4, 5, 6]));
}
