//! The report on the loops of a process.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::statistics::{IndexedTime, Statistics};

/// How long the loops of a process took: a value that can be sent, kept and printed.
///
/// ```
/// use std::time::Duration;
/// use sk_timing::Statistics;
///
/// let loops: Statistics = [4, 1, 7].into_iter().map(Duration::from_millis).collect();
/// let report = loops.loop_time_report("crawl");
/// assert_eq!(report.name(), "crawl loop times report");
/// assert_eq!(report.slowest().map(|slowest| slowest.index), Some(2));
/// println!("{report}");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoopTimeReport {
    name: String,
    count: u64,
    failures: u64,
    total: Duration,
    mean: Option<Duration>,
    p50: Option<Duration>,
    p95: Option<Duration>,
    p99: Option<Duration>,
    slowest: Option<IndexedTime>,
}

impl LoopTimeReport {
    /// Of these times, called "`process` loop times report".
    pub fn of(process: &str, loops: &Statistics) -> LoopTimeReport {
        let percentile = |percentile| loops.percentile(percentile).ok().flatten();
        LoopTimeReport {
            name: format!("{process} loop times report"),
            count: loops.count(),
            failures: loops.failures(),
            total: loops.total(),
            mean: loops.mean(),
            p50: percentile(50.0),
            p95: percentile(95.0),
            p99: percentile(99.0),
            slowest: loops.slowest(),
        }
    }

    /// With a name of one's own.
    #[must_use]
    pub fn named(mut self, name: impl Into<String>) -> LoopTimeReport {
        self.name = name.into();
        self
    }

    /// What it is called.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How many loops it tells of; failed ones are not among them.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// How many loops failed.
    pub fn failures(&self) -> u64 {
        self.failures
    }

    /// The sum of their times.
    pub fn total(&self) -> Duration {
        self.total
    }

    /// `None` without a loop, as all that follow.
    pub fn mean(&self) -> Option<Duration> {
        self.mean
    }

    /// The median.
    pub fn p50(&self) -> Option<Duration> {
        self.p50
    }

    /// The time that 95 percent of the loops did not exceed.
    pub fn p95(&self) -> Option<Duration> {
        self.p95
    }

    /// The time that 99 percent of the loops did not exceed.
    pub fn p99(&self) -> Option<Duration> {
        self.p99
    }

    /// The slowest loop: which it was, from 0, and its time.
    pub fn slowest(&self) -> Option<IndexedTime> {
        self.slowest
    }
}

impl fmt::Display for LoopTimeReport {
    /// Two lines: the name, and the figures.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.name)?;
        write!(f, "{} loops in {:?}", self.count, self.total)?;
        let figures =
            [("mean", self.mean), ("p50", self.p50), ("p95", self.p95), ("p99", self.p99)];
        for (name, time) in figures {
            if let Some(time) = time {
                write!(f, ", {name} {time:?}")?;
            }
        }
        if let Some(slowest) = self.slowest {
            write!(f, ", slowest {:?} (loop {})", slowest.time, slowest.index)?;
        }
        if self.failures > 0 {
            write!(f, ", {} failed", self.failures)?;
        }
        Ok(())
    }
}
