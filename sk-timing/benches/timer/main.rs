//! What a timer costs beside what nobody can save: two readings of the clock and one entry in a
//! histogram. That raw sequence is the baseline, in the same run.

mod measure;
mod start;

use std::hint::black_box;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use measure::{Group, metric};
use sk_timing::{EXACT_TIMES, Statistics, Timer, timethis};

const CALLS: usize = 100_000;

fn main() {
    if start::is_child() {
        return;
    }
    alone_and_together();
    others();
    allocations();
    percentiles();
    start::compare();
}

/// Start and stop, on one thread and on two at once that share the timer.
fn alone_and_together() {
    let timer = Timer::new();
    Group::new(1, CALLS)
        .case("timer.raw", raw)
        .case("timer.start_stop", |calls| started_and_stopped(&timer, calls))
        .run();
    let timer = Timer::new();
    Group::new(2, CALLS)
        .case("timer.raw.two_threads", raw)
        .case("timer.start_stop.two_threads", |calls| started_and_stopped(&timer, calls))
        .run();
}

fn others() {
    let timer = Timer::new();
    let window = Timer::builder().max_times(EXACT_TIMES).build().unwrap();
    Group::new(1, CALLS)
        .case("timer.guard", |calls| {
            (0..calls).for_each(|_| drop(timer.time_this()));
            calls
        })
        .case("timer.rolling_window", |calls| started_and_stopped(&window, calls))
        .case("timer.timethis", |calls| (0..calls).map(timed).sum())
        .run();
}

#[timethis]
#[inline(never)]
fn timed(n: usize) -> usize {
    n
}

/// Each thread with a histogram of its own, of the precision that a timer has.
fn raw(calls: usize) -> usize {
    let mut histogram = Histogram::<u64>::new_with_bounds(1, u64::MAX, 2).unwrap();
    for _ in 0..calls {
        let start = Instant::now();
        let took = start.elapsed();
        histogram.record(u64::try_from(took.as_nanos()).unwrap()).unwrap();
    }
    usize::try_from(black_box(histogram).len()).unwrap()
}

fn started_and_stopped(timer: &Timer, calls: usize) -> usize {
    let mut stopped = 0;
    for _ in 0..calls {
        timer.start();
        stopped += usize::from(timer.stop().is_ok());
    }
    stopped
}

/// After its first use by the thread.
fn allocations() {
    let timer = Timer::new();
    started_and_stopped(&timer, 1);
    let counted = allocation_counter::measure(|| {
        started_and_stopped(&timer, 3 * EXACT_TIMES);
    });
    metric("timer.start_stop.allocations", counted.count_total as f64, "count");
}

fn percentiles() {
    let times = |count: usize| {
        let mut state = 7_u64;
        (0..count).map(move |_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            Duration::from_nanos(1_000 + (state >> 40))
        })
    };
    let window: Statistics = times(EXACT_TIMES).collect();
    let timer = Timer::builder().max_times(EXACT_TIMES).build().unwrap();
    times(2 * EXACT_TIMES).for_each(|time| timer.add(time));
    let beyond: Statistics = times(100_000).collect();
    let mut hdr = Histogram::<u64>::new_with_bounds(1, u64::MAX, 2).unwrap();
    times(100_000).for_each(|time| hdr.record(u64::try_from(time.as_nanos()).unwrap()).unwrap());
    let nanos = |time: Option<Duration>| usize::try_from(time.unwrap().as_nanos()).unwrap();
    let of_calls = |calls: usize, percentile: &dyn Fn(f64) -> usize| {
        (0..calls).map(|call| percentile(black_box((call % 100) as f64))).sum()
    };
    Group::new(1, 2_000)
        .case("percentile.window", |calls| {
            of_calls(calls, &|p| nanos(window.percentile(p).unwrap()))
        })
        .case("percentile.window_of_timer", |calls| {
            of_calls(calls, &|p| nanos(timer.percentile(p).unwrap()))
        })
        .case("percentile.hdr", |calls| {
            of_calls(calls, &|p| usize::try_from(hdr.value_at_percentile(p)).unwrap())
        })
        .case("percentile.histogram", |calls| {
            of_calls(calls, &|p| nanos(beyond.percentile(p).unwrap()))
        })
        .run();
}
