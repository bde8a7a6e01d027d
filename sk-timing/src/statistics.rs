//! What can be said of the times of a timer, as a value that does not change.

mod encoded;
mod histogram;
mod moments;
mod select;

use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{LoopTimeReport, TimerError, nanos};

pub(crate) use histogram::Histogram;
use moments::Moments;

/// How many samples statistics of all samples keep exactly. Those before are in a histogram.
pub const EXACT_TIMES: usize = 4_096;

/// The longest rolling window: 2^24 samples, 128 MiB.
pub const LONGEST_WINDOW: usize = 1 << 24;

/// What can be said of the times of a timer: a snapshot, which later times do not change.
///
/// ```
/// use std::time::Duration;
/// use sk_timing::Statistics;
///
/// let statistics: Statistics = (1..=100).map(Duration::from_millis).collect();
/// assert_eq!(statistics.count(), 100);
/// assert_eq!(statistics.percentile(95.0)?, Some(Duration::from_millis(95)));
/// assert_eq!(statistics.mean(), Some(Duration::from_micros(50_500)));
/// assert_eq!(statistics.slowest().map(|time| time.index), Some(99));
/// # Ok::<(), sk_timing::TimerError>(())
/// ```
///
/// # What is exact
///
/// Count, total, mean, variance, minimum and maximum are those of all samples, exactly: they are
/// computed from integers, so they do not depend on the order of the samples or of merges either.
///
/// For percentiles there is one rule: **they are exact while every sample is still kept**
/// ([`is_exact`](Statistics::is_exact)), and from a histogram once one was dropped. The last
/// [`EXACT_TIMES`] samples are kept; with a rolling window the statistics are those of the window
/// alone, all of which is kept, so they are always exact. A percentile from the histogram is at
/// most 1 % off the one of all samples.
///
/// # Indices
///
/// Samples count from 0, the first that the statistics cover: the first there was, or with a rolling
/// window the oldest in it. Those of one thread stand in their order. Between threads it is that of
/// their ends with a rolling window; otherwise a thread may be up to 256 samples ahead of another.
///
/// # Merging
///
/// [`merge`](Statistics::merge) makes statistics of two processes, workers or lives into those of
/// all their samples, as if one timer had measured them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Statistics {
    /// Of all samples.
    moments: Moments,
    /// There if and only if there are samples.
    extremes: Option<Extremes>,
    /// The last samples: all of them, or at least [`EXACT_TIMES`].
    kept: VecDeque<u64>,
    /// Of all samples; there if and only if not all are kept.
    histogram: Option<Histogram>,
    aside: Aside,
}

/// One of the times that statistics cover.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexedTime {
    /// Which one, from 0.
    pub index: u64,
    /// How long it took.
    pub time: Duration,
}

/// The first of the fastest and the first of the slowest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Extremes {
    fastest: Extreme,
    slowest: Extreme,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Extreme {
    index: u64,
    nanos: u64,
}

/// What is counted beside the times.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Aside {
    pub(crate) failures: u64,
    pub(crate) paused_nanos: u128,
}

impl Statistics {
    /// How many times they cover. Failures are not among them.
    pub fn count(&self) -> u64 {
        self.moments.count
    }

    /// True without any time.
    pub fn is_empty(&self) -> bool {
        self.count() == 0
    }

    /// How many measurements were left out because what they measured failed, in all, also with a
    /// rolling window.
    pub fn failures(&self) -> u64 {
        self.aside.failures
    }

    /// The sum of all times.
    pub fn total(&self) -> Duration {
        wide_duration(self.moments.sum)
    }

    /// How long measurements were paused in all, also with a rolling window. No time includes it.
    pub fn total_paused(&self) -> Duration {
        wide_duration(self.aside.paused_nanos)
    }

    /// To the nearest nanosecond. `None` without a time.
    pub fn mean(&self) -> Option<Duration> {
        self.moments.mean_nanos().map(Duration::from_nanos)
    }

    /// The percentile 50: see [`percentile`](Statistics::percentile). `None` without a time.
    pub fn median(&self) -> Option<Duration> {
        self.percentile(50.0).ok().flatten()
    }

    /// The variance of a sample (divided by one less than the count), in square seconds. `None` below
    /// two times.
    pub fn variance_square_seconds(&self) -> Option<f64> {
        self.moments.variance().map(|square_nanos| square_nanos * 1e-18)
    }

    /// The standard deviation of a sample, to the nearest nanosecond. `None` below two times.
    pub fn stdev(&self) -> Option<Duration> {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a root that is not negative; the cast saturates"
        )]
        self.moments.variance().map(|variance| Duration::from_nanos(variance.sqrt().round() as u64))
    }

    /// The shortest time. `None` without a time.
    pub fn min(&self) -> Option<Duration> {
        self.fastest().map(|fastest| fastest.time)
    }

    /// The longest time. `None` without a time.
    pub fn max(&self) -> Option<Duration> {
        self.slowest().map(|slowest| slowest.time)
    }

    /// The first of the shortest times, with its index. `None` without a time.
    pub fn fastest(&self) -> Option<IndexedTime> {
        self.extremes.map(|extremes| extremes.fastest.told())
    }

    /// The first of the longest times, with its index. `None` without a time.
    pub fn slowest(&self) -> Option<IndexedTime> {
        self.extremes.map(|extremes| extremes.slowest.told())
    }

    /// The time that came last. `None` without a time.
    pub fn most_recent(&self) -> Option<Duration> {
        self.get(-1)
    }

    /// The time of this index; a negative one counts from the end, with -1 the last. `None` if there is
    /// none, or if it is kept no longer.
    pub fn get(&self, index: i64) -> Option<Duration> {
        let from_end = match u64::try_from(index) {
            Ok(index) => self.count().checked_sub(index)?,
            Err(_) => index.unsigned_abs(),
        };
        let position = self.kept.len().checked_sub(usize::try_from(from_end).ok()?)?;
        self.kept.get(position).copied().map(Duration::from_nanos)
    }

    /// The smallest time that at least so many percent of all are not longer than: 0 is the shortest
    /// time, 50 the median, 100 the longest. Always a time that was measured, where
    /// [`is_exact`](Statistics::is_exact). `None` without a time.
    ///
    /// # Errors
    /// [`TimerError::Percentile`] below 0, above 100, and for what is no number.
    pub fn percentile(&self, percentile: f64) -> Result<Option<Duration>, TimerError> {
        Ok(self.percentile_nanos(percentile)?.map(Duration::from_nanos))
    }

    /// True while all times are kept, so that percentiles are exact.
    pub fn is_exact(&self) -> bool {
        self.histogram.is_none()
    }

    /// The times that are kept, oldest first: all, or the last [`EXACT_TIMES`] at least.
    pub fn times(&self) -> impl ExactSizeIterator<Item = Duration> + '_ {
        self.kept.iter().copied().map(Duration::from_nanos)
    }

    /// Adds the times of another, as if they had been measured after the own. Counts, sums, minimum,
    /// maximum and variance are those of all samples exactly; percentiles too, while
    /// [`EXACT_TIMES`] or the longer of two windows holds both.
    ///
    /// ```
    /// use std::time::Duration;
    /// use sk_timing::Statistics;
    ///
    /// let of = |times: &[u64]| -> Statistics { times.iter().copied().map(Duration::from_millis).collect() };
    /// let mut all = of(&[5, 1]);
    /// all.merge(&of(&[9, 3]));
    /// assert_eq!(all, of(&[5, 1, 9, 3]));
    /// ```
    pub fn merge(&mut self, other: &Statistics) {
        let limit = self.kept.len().max(other.kept.len()).max(EXACT_TIMES);
        let is_too_much = self.kept.len() + other.kept.len() > limit;
        if is_too_much || !self.is_exact() || !other.is_exact() {
            let mut histogram = self.histogram.take().or_else(|| self.histogram_of_kept());
            if let Some(histogram) = &mut histogram {
                match &other.histogram {
                    Some(others) => histogram.merge(others),
                    None => other.kept.iter().for_each(|nanos| histogram.record(*nanos)),
                }
            }
            self.histogram = histogram;
        }
        if let Some(others) = other.extremes {
            self.consider(others.fastest.after(self.count()));
            self.consider(others.slowest.after(self.count()));
        }
        self.moments.merge(&other.moments);
        if !other.is_exact() {
            // What the other one dropped would lie in between.
            self.kept.clear();
        }
        self.kept.extend(&other.kept);
        self.kept.drain(..self.kept.len().saturating_sub(limit));
        self.aside.merge(&other.aside);
    }

    /// The report on the loops of a process, whose times these are.
    pub fn loop_time_report(&self, process: &str) -> LoopTimeReport {
        LoopTimeReport::of(process, self)
    }

    /// Those of a rolling window, all of which is kept.
    pub(crate) fn of_window(kept: &VecDeque<u64>, aside: Aside) -> Statistics {
        let mut statistics = Statistics { kept: kept.clone(), aside, ..Statistics::default() };
        let (first, second) = kept.as_slices();
        statistics.count_in(first);
        statistics.count_in(second);
        statistics
    }

    /// Adds samples. `spare` is an empty histogram, for when not all samples can be kept.
    pub(crate) fn push_all(&mut self, batch: &[u64], spare: &mut Option<Histogram>) {
        // So much at once that what is kept before and what is dropped is one step each.
        for batch in batch.chunks(EXACT_TIMES) {
            self.count_in(batch);
            let dropped =
                (self.kept.len() + batch.len()).saturating_sub(EXACT_TIMES.max(self.kept.len()));
            if dropped > 0 && self.histogram.is_none() {
                self.histogram = self.move_into(spare.take());
            }
            if let Some(histogram) = &mut self.histogram {
                batch.iter().for_each(|nanos| histogram.record(*nanos));
            }
            self.kept.drain(..dropped);
            self.kept.extend(batch);
        }
    }

    /// Makes room for all that are ever kept.
    pub(crate) fn reserve(&mut self) {
        self.kept.reserve(EXACT_TIMES.saturating_sub(self.kept.len()));
    }

    pub(crate) fn percentile_nanos(&self, percentile: f64) -> Result<Option<u64>, TimerError> {
        let Some(histogram) = &self.histogram else {
            return percentile_of(&self.kept, percentile);
        };
        check(percentile)?;
        Ok(self.extremes.map(|Extremes { fastest, slowest }| {
            // The ends are known exactly; in between it is the highest value of the bucket.
            let found =
                if percentile == 0.0 { fastest.nanos } else { histogram.percentile(percentile) };
            found.min(slowest.nanos).max(fastest.nanos)
        }))
    }

    pub(crate) fn kept(&self) -> impl ExactSizeIterator<Item = u64> + '_ {
        self.kept.iter().copied()
    }

    pub(crate) fn aside(&self) -> &Aside {
        &self.aside
    }

    pub(crate) fn aside_mut(&mut self) -> &mut Aside {
        &mut self.aside
    }

    fn count_in(&mut self, batch: &[u64]) {
        let (Some(&shortest), Some(&longest)) = (batch.iter().min(), batch.iter().max()) else {
            return;
        };
        // Few batches hold a new extreme, and only then is it asked which one it is.
        let is_within = self.extremes.is_some_and(|Extremes { fastest, slowest }| {
            fastest.nanos <= shortest && longest <= slowest.nanos
        });
        if !is_within {
            for (index, nanos) in (self.moments.count..).zip(batch) {
                self.consider(Extreme { index, nanos: *nanos });
            }
        }
        batch.iter().for_each(|nanos| self.moments.add(*nanos));
    }

    #[inline]
    fn consider(&mut self, candidate: Extreme) {
        match &mut self.extremes {
            None => self.extremes = Some(Extremes { fastest: candidate, slowest: candidate }),
            Some(extremes) => {
                if candidate.nanos < extremes.fastest.nanos {
                    extremes.fastest = candidate;
                }
                if candidate.nanos > extremes.slowest.nanos {
                    extremes.slowest = candidate;
                }
            }
        }
    }

    fn histogram_of_kept(&self) -> Option<Histogram> {
        self.move_into(Histogram::new())
    }

    #[cold]
    fn move_into(&self, empty: Option<Histogram>) -> Option<Histogram> {
        let mut histogram = empty.or_else(Histogram::new)?;
        self.kept.iter().for_each(|nanos| histogram.record(*nanos));
        Some(histogram)
    }
}

/// The rank of a percentile among so many values, and the value there.
pub(crate) fn percentile_of(
    values: &VecDeque<u64>,
    percentile: f64,
) -> Result<Option<u64>, TimerError> {
    check(percentile)?;
    let (first, second) = values.as_slices();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a window is short, and the percentile was checked"
    )]
    let rank = (percentile * values.len() as f64 / 100.0).ceil() as usize;
    Ok(select::select([first, second], rank.saturating_sub(1)))
}

fn check(percentile: f64) -> Result<(), TimerError> {
    if (0.0..=100.0).contains(&percentile) {
        Ok(())
    } else {
        Err(TimerError::Percentile { percentile })
    }
}

fn wide_duration(nanos: u128) -> Duration {
    const IN_A_SECOND: u128 = 1_000_000_000;
    match u64::try_from(nanos / IN_A_SECOND) {
        Ok(seconds) => Duration::new(seconds, u32::try_from(nanos % IN_A_SECOND).unwrap_or(0)),
        Err(_) => Duration::MAX,
    }
}

impl Extreme {
    fn told(self) -> IndexedTime {
        IndexedTime { index: self.index, time: Duration::from_nanos(self.nanos) }
    }

    fn after(self, count: u64) -> Extreme {
        Extreme { index: self.index.saturating_add(count), nanos: self.nanos }
    }
}

impl Aside {
    pub(crate) fn merge(&mut self, other: &Aside) {
        self.failures = self.failures.saturating_add(other.failures);
        self.paused_nanos = self.paused_nanos.saturating_add(other.paused_nanos);
    }
}

/// Durations of 584 years and more count as that long.
impl Extend<Duration> for Statistics {
    fn extend<I: IntoIterator<Item = Duration>>(&mut self, times: I) {
        times.into_iter().for_each(|time| self.push_all(&[nanos(time)], &mut None));
    }
}

impl FromIterator<Duration> for Statistics {
    fn from_iter<I: IntoIterator<Item = Duration>>(times: I) -> Self {
        let mut statistics = Statistics::default();
        statistics.extend(times);
        statistics
    }
}
