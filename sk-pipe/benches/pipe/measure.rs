//! How is measured, here and beside the peers: two processors, cases in turn, medians.

use std::time::{Duration, Instant};

use rustix::thread::CpuSet;

const REPETITIONS: usize = 31;

/// By then both sleep.
pub(crate) const ASLEEP: Duration = Duration::from_micros(200);

/// A name, what is done, and how often in each repetition.
pub(crate) type Case<W> = (&'static str, W, u64);

/// The median time of each case in nanoseconds. All run in turn, repetition by repetition, so that a slow phase of the
/// machine falls on all of them alike.
pub(crate) fn in_turn<W: Copy>(
    cases: &[Case<W>],
    mut run: impl FnMut(W, u64) -> Duration,
) -> Vec<f64> {
    let mut times = vec![Vec::new(); cases.len()];
    for _ in 0..REPETITIONS {
        for ((_, work, count), times) in cases.iter().zip(&mut times) {
            times.push(run(*work, *count).as_nanos() as f64 / *count as f64);
        }
    }
    times.into_iter().map(median).collect()
}

/// Times one round trip after the other, each after a pause in which both fall asleep.
pub(crate) fn asleep(count: u64, mut round: impl FnMut(u64)) -> Duration {
    let mut total = Duration::ZERO;
    for number in 0..count {
        std::thread::sleep(ASLEEP);
        let begin = Instant::now();
        round(number);
        total += begin.elapsed();
    }
    total
}

/// Two processors that this process may use; one, twice, if there is no other.
pub(crate) fn processors() -> [usize; 2] {
    let set = rustix::thread::sched_getaffinity(None).unwrap();
    let mut usable = (0..CpuSet::MAX_CPU).filter(|processor| set.is_set(*processor));
    let first = usable.next().unwrap();
    [first, usable.next().unwrap_or(first)]
}

/// Keeps the calling thread on these processors.
pub(crate) fn pin(processors: &[usize]) {
    let mut set = CpuSet::new();
    processors.iter().for_each(|processor| set.set(*processor));
    rustix::thread::sched_setaffinity(None, &set).unwrap();
}

pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Prints one figure.
pub(crate) fn metric(name: &str, value: f64, unit: &str) {
    println!("METRIC {name} {value} {unit}");
}
