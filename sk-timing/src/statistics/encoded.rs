//! Statistics as they are encoded, and what is checked of the bytes of another process.
//!
//! While all samples are kept, they are all there is to say: everything else is computed from them
//! anew. Beyond that, what can be checked is: counts add up, sums lie between what the extremes allow,
//! and the variance is not negative.

use std::collections::VecDeque;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::moments::{Moments, Squares};
use super::{Aside, EXACT_TIMES, Extreme, Extremes, Histogram, LONGEST_WINDOW, Statistics};

/// The most times that are believed: 2^48 of a microsecond each are nine years. It leaves a process
/// room to merge what thousands of others send.
const MOST_TIMES: u64 = 1 << 48;

#[derive(Serialize, Deserialize)]
#[serde(rename = "Statistics")]
struct Encoded {
    kept: Vec<u64>,
    beyond: Option<Beyond>,
    failures: u64,
    paused_nanos: [u64; 2],
}

/// What samples that are not kept have left.
#[derive(Serialize, Deserialize)]
struct Beyond {
    /// High part first, as in all wide numbers here: not every format has 128 bits.
    sum: [u64; 2],
    squares: [u64; 3],
    fastest: Extreme,
    slowest: Extreme,
    /// A time of each bucket in use, ascending, with its count.
    buckets: Vec<(u64, u64)>,
}

impl Serialize for Statistics {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let beyond = self.histogram.as_ref().zip(self.extremes).map(|(histogram, extremes)| {
            let [high, low] = halves(self.moments.squares.low);
            Beyond {
                sum: halves(self.moments.sum),
                squares: [self.moments.squares.carries, high, low],
                fastest: extremes.fastest,
                slowest: extremes.slowest,
                buckets: histogram.buckets().collect(),
            }
        });
        Encoded {
            kept: self.kept().collect(),
            beyond,
            failures: self.aside.failures,
            paused_nanos: halves(self.aside.paused_nanos),
        }
        .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Statistics {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let encoded = Encoded::deserialize(deserializer)?;
        if encoded.kept.len() > LONGEST_WINDOW {
            let count = encoded.kept.len();
            return Err(de::Error::custom(format_args!(
                "{count} times are kept, more than {LONGEST_WINDOW}"
            )));
        }
        let aside = Aside { failures: encoded.failures, paused_nanos: whole(encoded.paused_nanos) };
        let kept = VecDeque::from(encoded.kept);
        match encoded.beyond {
            None => Ok(Statistics::of_window(&kept, aside)),
            Some(beyond) => beyond.checked(kept, aside).map_err(de::Error::custom),
        }
    }
}

impl Beyond {
    fn checked(self, kept: VecDeque<u64>, aside: Aside) -> Result<Statistics, &'static str> {
        let Extremes { fastest, slowest } =
            Extremes { fastest: self.fastest, slowest: self.slowest };
        let (histogram, count) = self.histogram()?;
        if kept.len() < EXACT_TIMES || u64::try_from(kept.len()).is_ok_and(|kept| kept >= count) {
            return Err("the times that are kept are not the last of all times");
        }
        let lies_within = |nanos: &u64| (fastest.nanos..=slowest.nanos).contains(nanos);
        let ends = (self.buckets.first(), self.buckets.last());
        let are_ends = matches!(ends, (Some((first, _)), Some((last, _)))
            if histogram.bucket_of(*first) == histogram.bucket_of(fastest.nanos)
                && histogram.bucket_of(*last) == histogram.bucket_of(slowest.nanos));
        if !are_ends || !kept.iter().all(lies_within) {
            return Err("the fastest and the slowest time are not the ends of all times");
        }
        if fastest.index >= count || slowest.index >= count {
            return Err("the index of the fastest or slowest time is none of a time");
        }
        let [carries, high, low] = self.squares;
        let squares = Squares { low: whole([high, low]), carries };
        let moments = Moments { count, sum: whole(self.sum), squares };
        if !moments.can_be_within(fastest.nanos, slowest.nanos) {
            return Err("the sums are none of times between the fastest and the slowest");
        }
        let extremes = Some(Extremes { fastest, slowest });
        Ok(Statistics { moments, extremes, kept, histogram: Some(histogram), aside })
    }

    /// The histogram, and how many times are in it.
    fn histogram(&self) -> Result<(Histogram, u64), &'static str> {
        let mut histogram = Histogram::new().ok_or("there is no histogram of these bounds")?;
        let mut sum = 0_u64;
        let mut before = None;
        for (nanos, count) in &self.buckets {
            sum = sum.saturating_add(*count);
            if sum > MOST_TIMES {
                return Err("the buckets hold more than 2^48 times");
            }
            let bucket = histogram.bucket_of(*nanos);
            if *count == 0 || before.is_some_and(|before| before >= bucket) {
                return Err("the buckets are not ascending, or one is empty");
            }
            before = Some(bucket);
            histogram.record_many(*nanos, *count);
        }
        Ok((histogram, sum))
    }
}

#[expect(clippy::cast_possible_truncation, reason = "each half is a half")]
fn halves(wide: u128) -> [u64; 2] {
    [(wide >> 64) as u64, wide as u64]
}

fn whole([high, low]: [u64; 2]) -> u128 {
    (u128::from(high) << 64) | u128::from(low)
}
