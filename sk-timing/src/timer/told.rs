//! What a timer tells of its times. Each is what [`Statistics`] of this moment would tell; a program
//! that asks for several takes one [`statistics`](Timer::statistics), which is also consistent.

use std::time::Duration;

use super::Timer;
use crate::statistics::{IndexedTime, Statistics};
use crate::{LoopTimeReport, TimerError};

impl Timer {
    /// A snapshot of all that was recorded until now, by any thread. Later times do not change it.
    ///
    /// ```
    /// use std::time::Duration;
    /// use sk_timing::Timer;
    ///
    /// let timer = Timer::new();
    /// timer.add(Duration::from_secs(1));
    /// let before = timer.statistics();
    /// timer.add(Duration::from_secs(3));
    /// assert_eq!((before.count(), timer.count()), (1, 2));
    /// ```
    pub fn statistics(&self) -> Statistics {
        self.shared.recorder.read(Clone::clone)
    }

    /// How many times there are: see [`Statistics::count`].
    pub fn count(&self) -> u64 {
        self.shared.recorder.read(Statistics::count)
    }

    /// See [`Statistics::failures`].
    pub fn failures(&self) -> u64 {
        self.shared.recorder.read(Statistics::failures)
    }

    /// The sum of all times: see [`Statistics::total`].
    pub fn total(&self) -> Duration {
        self.shared.recorder.read(Statistics::total)
    }

    /// See [`Statistics::total_paused`].
    pub fn total_paused(&self) -> Duration {
        self.shared.recorder.read(Statistics::total_paused)
    }

    /// See [`Statistics::mean`].
    pub fn mean(&self) -> Option<Duration> {
        self.shared.recorder.read(Statistics::mean)
    }

    /// See [`Statistics::median`].
    pub fn median(&self) -> Option<Duration> {
        self.percentile(50.0).ok().flatten()
    }

    /// See [`Statistics::stdev`].
    pub fn stdev(&self) -> Option<Duration> {
        self.shared.recorder.read(Statistics::stdev)
    }

    /// See [`Statistics::variance_square_seconds`].
    pub fn variance_square_seconds(&self) -> Option<f64> {
        self.shared.recorder.read(Statistics::variance_square_seconds)
    }

    /// See [`Statistics::min`].
    pub fn min(&self) -> Option<Duration> {
        self.shared.recorder.read(Statistics::min)
    }

    /// See [`Statistics::max`].
    pub fn max(&self) -> Option<Duration> {
        self.shared.recorder.read(Statistics::max)
    }

    /// See [`Statistics::fastest`].
    pub fn fastest(&self) -> Option<IndexedTime> {
        self.shared.recorder.read(Statistics::fastest)
    }

    /// See [`Statistics::slowest`].
    pub fn slowest(&self) -> Option<IndexedTime> {
        self.shared.recorder.read(Statistics::slowest)
    }

    /// See [`Statistics::most_recent`].
    pub fn most_recent(&self) -> Option<Duration> {
        self.get(-1)
    }

    /// See [`Statistics::get`].
    pub fn get(&self, index: i64) -> Option<Duration> {
        self.shared.recorder.read(|statistics| statistics.get(index))
    }

    /// See [`Statistics::percentile`].
    ///
    /// # Errors
    /// [`TimerError::Percentile`] below 0, above 100, and for what is no number.
    pub fn percentile(&self, percentile: f64) -> Result<Option<Duration>, TimerError> {
        Ok(self.shared.recorder.percentile(percentile)?.map(Duration::from_nanos))
    }

    /// See [`Statistics::loop_time_report`].
    pub fn loop_time_report(&self, process: &str) -> LoopTimeReport {
        self.shared.recorder.read(|statistics| statistics.loop_time_report(process))
    }
}
