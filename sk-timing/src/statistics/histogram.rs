//! The times beyond those that are kept: counts in buckets, of constant size.

use std::fmt;

use hdrhistogram::Histogram as Hdr;

/// Two significant digits: a bucket is at most a 128th of its values wide. Three would take eight times
/// the memory, 440 KiB for each timer.
const DIGITS: u8 = 2;

/// The most that two histograms hold together. So far below 2^64 that no later times reach it, since
/// hdrhistogram adds up the buckets without a look at overflow.
const MOST_MERGED: u64 = 1 << 62;

/// Of any time in nanoseconds, in 58 KiB.
#[derive(Clone)]
pub(crate) struct Histogram(Hdr<u64>);

impl Histogram {
    /// An empty one, all of whose memory is there: recording never allocates.
    ///
    /// `None` never happens: the bounds are constants that hdrhistogram takes.
    pub(crate) fn new() -> Option<Histogram> {
        Hdr::new_with_bounds(1, u64::MAX, DIGITS).ok().map(Histogram)
    }

    #[inline]
    pub(crate) fn record(&mut self, nanos: u64) {
        self.0.saturating_record(nanos);
    }

    pub(crate) fn record_many(&mut self, nanos: u64, count: u64) {
        self.0.saturating_record_n(nanos, count);
    }

    /// Beyond [`MOST_MERGED`] it stays as it is: no program measures that much, and of counts that
    /// somebody made up, any percentile is as good.
    pub(crate) fn merge(&mut self, other: &Histogram) {
        if self.count().saturating_add(other.count()) <= MOST_MERGED {
            // Both have the same buckets, so there is nothing that could not be added.
            let _ = self.0.add(&other.0);
        }
    }

    pub(crate) fn percentile(&self, percentile: f64) -> u64 {
        let count = self.0.len() as f64;
        // The rank that exact percentiles have. Asked for by the middle of it, which no rounding moves
        // to the next.
        let rank = (percentile * count / 100.0).ceil().max(1.0);
        self.0.value_at_quantile((rank - 0.5) / count)
    }

    pub(crate) fn count(&self) -> u64 {
        self.0.len()
    }

    /// The buckets in use, ascending: the lowest value of each, and its count.
    pub(crate) fn buckets(&self) -> impl Iterator<Item = (u64, u64)> {
        self.0.iter_recorded().map(|bucket| {
            (self.bucket_of(bucket.value_iterated_to()), bucket.count_since_last_iteration())
        })
    }

    /// The lowest value of the bucket that this one falls into.
    pub(crate) fn bucket_of(&self, nanos: u64) -> u64 {
        self.0.lowest_equivalent(nanos)
    }
}

/// By the buckets. hdrhistogram also compares the highest value that was recorded, which is not kept
/// when a histogram is sent: the extremes of the statistics tell it.
impl PartialEq for Histogram {
    fn eq(&self, other: &Histogram) -> bool {
        self.count() == other.count() && self.buckets().eq(other.buckets())
    }
}

impl fmt::Debug for Histogram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Histogram").field("count", &self.count()).finish_non_exhaustive()
    }
}
