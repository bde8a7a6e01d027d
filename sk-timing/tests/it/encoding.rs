//! Timers in bytes, and bytes that are no timer.

use std::time::Duration;

use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use sk_cereal::{Value, internal};
use sk_timing::{EXACT_TIMES, LONGEST_WINDOW, Progress, ProgressState, Statistics, Timer};

use super::ms;

fn sent<T: Serialize + for<'de> Deserialize<'de>>(value: &T) -> T {
    internal::from_slice(&internal::to_vec(value).unwrap()).unwrap()
}

fn statistics(count: u64) -> Statistics {
    (0..count).map(|n| Duration::from_nanos(n * n + 1)).collect()
}

fn ns(nanoseconds: u64) -> Duration {
    Duration::from_nanos(nanoseconds)
}

#[test]
fn statistics_arrive_as_they_were() {
    for count in [0, 1, 100, EXACT_TIMES as u64, 10_000] {
        let before = statistics(count);
        assert_eq!(sent(&before), before);
        assert_eq!(Value::of(&before).unwrap().to::<Statistics>().unwrap(), before);
    }
}

/// The longest times lie in the last bucket, whose end is that of 64 bits.
#[test]
fn the_longest_times_arrive_too() {
    for nanos in [u64::MAX, u64::MAX - 1, 1 << 63] {
        let mut before = statistics(5_000);
        before.extend([Duration::from_nanos(nanos), Duration::ZERO]);
        assert_eq!(sent(&before), before);
    }
}

#[test]
fn a_timer_arrives_with_what_it_knows_and_without_what_it_does() {
    let timer = Timer::builder().max_times(3).name("requests").build().unwrap();
    (1..=5).for_each(|n| timer.add(ms(n)));
    timer.add_failure();
    timer.polling().add(ms(1));
    timer.start();
    let arrived = sent(&timer);
    assert_eq!(arrived.statistics(), timer.statistics());
    assert_eq!((arrived.name(), arrived.max_times()), (Some("requests"), Some(3)));
    assert_eq!((arrived.failures(), arrived.polling().count()), (1, 1));
    assert!(arrived.stop().is_err(), "the session stayed where it runs");
    arrived.add(ms(9));
    assert_eq!((arrived.max(), timer.max()), (Some(ms(9)), Some(ms(5))));
    timer.stop().unwrap();
}

#[test]
fn the_state_of_progress_arrives() {
    let progress = Progress::builder().total(9).label("files").silent().start();
    progress.advance(4);
    let state = progress.state();
    assert_eq!(sent::<ProgressState>(&state), state);
}

/// As in the crate, so that each field can be made wrong.
#[derive(Serialize, Clone)]
#[serde(rename = "Statistics")]
struct Encoded {
    kept: Vec<u64>,
    beyond: Option<Beyond>,
    failures: u64,
    paused_nanos: [u64; 2],
}

#[derive(Serialize, Clone)]
struct Beyond {
    sum: [u64; 2],
    squares: [u64; 3],
    fastest: Extreme,
    slowest: Extreme,
    buckets: Vec<(u64, u64)>,
}

#[derive(Serialize, Clone)]
struct Extreme {
    index: u64,
    nanos: u64,
}

/// 5,000 times of 3 and 7 ns in turn.
fn valid() -> Encoded {
    let kept = (0..EXACT_TIMES).map(|n| if n % 2 == 0 { 3 } else { 7 }).collect();
    let beyond = Beyond {
        sum: [0, 25_000],
        squares: [0, 0, 2_500 * (9 + 49)],
        fastest: Extreme { index: 0, nanos: 3 },
        slowest: Extreme { index: 1, nanos: 7 },
        buckets: vec![(3, 2_500), (7, 2_500)],
    };
    Encoded { kept, beyond: Some(beyond), failures: 0, paused_nanos: [0, 0] }
}

fn decode(encoded: &Encoded) -> Result<Statistics, String> {
    Value::of(encoded).unwrap().to().map_err(|error| error.to_string())
}

#[test]
fn statistics_that_cannot_be_are_refused_with_the_reason() {
    let whole: Statistics =
        (0..5_000).map(|n| Duration::from_nanos(if n % 2 == 0 { 3 } else { 7 })).collect();
    assert_eq!(decode(&valid()).unwrap(), whole);
    type Damage = fn(&mut Encoded, &mut Beyond);
    let damages: [(Damage, &str); 16] = [
        (|encoded, _| encoded.kept.truncate(10), "not the last"),
        (|_, beyond| beyond.buckets = vec![(3, 10), (7, 10)], "not the last"),
        (|encoded, _| encoded.kept[0] = 8, "not the ends"),
        (|_, beyond| beyond.fastest.nanos = 4, "not the ends"),
        (|_, beyond| beyond.slowest.nanos = u64::MAX, "not the ends"),
        (|_, beyond| beyond.buckets.clear(), "not the last"),
        (|_, beyond| beyond.fastest.index = 5_000, "none of a time"),
        (|_, beyond| beyond.slowest.index = u64::MAX, "none of a time"),
        (|_, beyond| beyond.sum = [0, 14_999], "the sums are none"),
        (|_, beyond| beyond.sum = [u64::MAX; 2], "the sums are none"),
        (|_, beyond| beyond.squares = [0, 0, 1], "the sums are none"),
        (|_, beyond| beyond.squares = [u64::MAX; 3], "the sums are none"),
        (|_, beyond| beyond.buckets.swap(0, 1), "not ascending"),
        (|_, beyond| beyond.buckets[1].1 = 0, "one is empty"),
        (|_, beyond| beyond.buckets[1].1 = u64::MAX, "more than 2^48"),
        (|_, beyond| beyond.buckets[0].1 = (1 << 48) - 2_499, "more than 2^48"),
    ];
    for (number, (damage, reason)) in damages.into_iter().enumerate() {
        let mut encoded = valid();
        let mut beyond = encoded.beyond.take().unwrap();
        damage(&mut encoded, &mut beyond);
        encoded.beyond = Some(beyond);
        let refused = decode(&encoded).unwrap_err();
        assert!(refused.contains(reason), "{number}: {refused}");
    }
}

/// Twenty doublings of 2^48 would be more than 64 bits count.
#[test]
fn the_most_times_that_can_arrive_can_be_merged_again_and_again() {
    let mut encoded = valid();
    if let Some(beyond) = &mut encoded.beyond {
        let half = 1 << 47;
        beyond.sum = [0, 10 * half];
        beyond.squares = [0, 0, (9 + 49) * half];
        beyond.buckets = vec![(3, half), (7, half)];
    }
    let mut arrived = decode(&encoded).unwrap();
    for _ in 0..20 {
        let copy = arrived.clone();
        arrived.merge(&copy);
        arrived.extend([ns(3), ns(7), ns(7)]);
        assert_eq!(arrived.percentile(25.0), Ok(Some(ns(3))));
        assert_eq!(arrived.percentile(99.0), Ok(Some(ns(7))));
        assert!(arrived.stdev().is_some() && arrived.mean().is_some());
    }
}

#[test]
fn a_timer_with_a_window_that_cannot_be_is_refused() {
    #[derive(Serialize)]
    #[serde(rename = "Timer")]
    struct Encoded {
        name: Option<String>,
        max_times: Option<u64>,
        statistics: Statistics,
        polling: Option<Statistics>,
    }

    for times in [0, LONGEST_WINDOW as u64 + 1, u64::MAX] {
        let statistics = statistics(3);
        let encoded = Encoded { name: None, max_times: Some(times), statistics, polling: None };
        let refused = Value::of(&encoded).unwrap().to::<Timer>().unwrap_err();
        assert!(refused.to_string().contains(&times.to_string()), "{refused}");
    }
}

proptest! {
    /// Whatever arrives can be asked everything, grows, and merges.
    #[test]
    fn damaged_bytes_are_an_error_or_statistics_like_others(
        count in prop_oneof![0_u64..40, Just(5_000)],
        damages in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut bytes = internal::to_vec(&statistics(count)).unwrap();
        for (place, byte) in damages {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        if let Ok(mut arrived) = internal::from_slice::<Statistics>(&bytes) {
            let copy = arrived.clone();
            arrived.merge(&copy);
            arrived.extend([Duration::MAX, Duration::ZERO]);
            let asked = (arrived.mean(), arrived.stdev(), arrived.get(-1), arrived.total());
            prop_assert!(asked.0.is_some() && arrived.percentile(99.0).unwrap().is_some());
            prop_assert!(arrived.min() <= arrived.median() && arrived.median() <= arrived.max());
            prop_assert_eq!(sent(&arrived).count(), arrived.count());
        }
    }
}
