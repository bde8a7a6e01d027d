//! Times closures against each other and prints the medians as METRIC lines.
//!
//! All cases of a group run in turn, repetition by repetition, so that a slow phase of the machine
//! falls on all of them alike; what is compared is medians of one run.

use std::sync::Barrier;
use std::thread;
use std::time::Instant;

const REPETITIONS: usize = 41;

/// Does something so often, and returns a checksum that is not 0 and the same each time.
type Work<'a> = Box<dyn Fn(usize) -> usize + Sync + 'a>;

/// Cases that are compared with one another.
pub(crate) struct Group<'a> {
    threads: usize,
    calls: usize,
    cases: Vec<(&'static str, Work<'a>)>,
}

impl<'a> Group<'a> {
    /// Each case runs on so many threads at once, in repetitions of so many calls each.
    pub(crate) fn new(threads: usize, calls: usize) -> Self {
        Group { threads, calls, cases: Vec::new() }
    }

    /// Adds a case. It is told how often to do its work, and returns a checksum: doing nothing cannot
    /// win.
    pub(crate) fn case(
        mut self,
        name: &'static str,
        work: impl Fn(usize) -> usize + Sync + 'a,
    ) -> Self {
        self.cases.push((name, Box::new(work)));
        self
    }

    /// Runs all cases and prints the median time of one call in nanoseconds.
    pub(crate) fn run(self) {
        let mut times = vec![Vec::new(); self.cases.len()];
        for _ in 0..REPETITIONS {
            for ((name, work), times) in self.cases.iter().zip(&mut times) {
                times.push(self.repetition(name, work) / self.calls as f64);
            }
        }
        for ((name, _), mut times) in self.cases.into_iter().zip(times) {
            times.sort_by(f64::total_cmp);
            metric(name, times[times.len() / 2], "ns");
        }
    }

    /// The mean time of the threads, in nanoseconds.
    fn repetition(&self, name: &str, work: &Work<'_>) -> f64 {
        let barrier = Barrier::new(self.threads);
        let one = || {
            // What the case before left behind, in caches and in the allocator, is not ours.
            work(self.calls / 10 + 1);
            barrier.wait();
            let start = Instant::now();
            let checksum = work(self.calls);
            let took = start.elapsed();
            assert_ne!(checksum, 0, "{name} did nothing");
            took.as_nanos() as f64
        };
        let sum: f64 = thread::scope(|scope| {
            let threads: Vec<_> = (0..self.threads).map(|_| scope.spawn(one)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        sum / self.threads as f64
    }
}

/// Prints one figure.
pub(crate) fn metric(name: &str, value: f64, unit: &str) {
    println!("METRIC {name} {value} {unit}");
}
