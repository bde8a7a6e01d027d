//! Times closures against each other and prints the medians as METRIC lines.
//!
//! All cases of a group run in turn, repetition by repetition, so that a slow phase of the machine
//! falls on all of them alike; what is compared is medians of one run.

use std::collections::HashMap;
use std::time::{Duration, Instant};

/// How long one case runs in one repetition.
const SLICE: Duration = Duration::from_millis(8);
const REPETITIONS: usize = 31;

type Case<'a> = (&'static str, Box<dyn FnMut() -> usize + 'a>);

/// Cases that are compared with one another.
#[derive(Default)]
pub(crate) struct Group<'a> {
    cases: Vec<Case<'a>>,
}

impl<'a> Group<'a> {
    /// Adds a case. It returns something that depends on its work, a length or a checksum, which
    /// has to be the same and not 0 in each call: doing nothing cannot win.
    pub(crate) fn case(&mut self, name: &'static str, work: impl FnMut() -> usize + 'a) {
        self.cases.push((name, Box::new(work)));
    }

    /// Runs all cases, prints the median time of each in nanoseconds, and gives them by name.
    pub(crate) fn run(self) -> HashMap<&'static str, f64> {
        let mut cases: Vec<_> = self
            .cases
            .into_iter()
            .map(|(name, mut work)| {
                let checksum = work();
                assert_ne!(checksum, 0, "{name} did nothing");
                let calls = calls_in_a_slice(&mut work);
                (name, work, checksum, calls, Vec::with_capacity(REPETITIONS))
            })
            .collect();
        for _ in 0..REPETITIONS {
            for (name, work, checksum, calls, times) in &mut cases {
                // What the case before left behind, in caches and in the allocator, is not ours.
                work();
                let start = Instant::now();
                for _ in 0..*calls {
                    assert_eq!(work(), *checksum, "{name} gave another result");
                }
                times.push(start.elapsed().as_nanos() as f64 / f64::from(*calls));
            }
        }
        let medians = cases.into_iter().map(|(name, _, _, _, mut times)| {
            times.sort_by(f64::total_cmp);
            let median = times[times.len() / 2];
            metric(name, median, "ns");
            (name, median)
        });
        medians.collect()
    }
}

/// Prints one figure.
pub(crate) fn metric(name: &str, value: f64, unit: &str) {
    println!("METRIC {name} {value} {unit}");
}

fn calls_in_a_slice(work: &mut dyn FnMut() -> usize) -> u32 {
    let mut calls = 1_u32;
    loop {
        let start = Instant::now();
        for _ in 0..calls {
            std::hint::black_box(work());
        }
        let took = start.elapsed();
        if took >= SLICE / 2 || calls >= 1 << 24 {
            let per_call = took.as_nanos().max(1) / u128::from(calls);
            return u32::try_from(SLICE.as_nanos() / per_call.max(1)).unwrap_or(1).max(1);
        }
        calls *= 2;
    }
}
