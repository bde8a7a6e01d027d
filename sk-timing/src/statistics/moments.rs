//! Count, sum and sum of squares of nanoseconds as integers: exact however many there are, and the
//! same in whichever order they are added or merged.
//!
//! A time is below 2^64 ns and there are fewer than 2^64 of them, so the sum fits 128 bits, the sum of
//! squares 192, and what the variance is computed from 256. Nothing is rounded before its last step.

/// Of times in nanoseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Moments {
    pub(crate) count: u64,
    pub(crate) sum: u128,
    pub(crate) squares: Squares,
}

/// A sum of squares: `carries` times 2^128, and `low`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Squares {
    pub(crate) low: u128,
    pub(crate) carries: u64,
}

impl Moments {
    #[inline]
    pub(crate) fn add(&mut self, nanos: u64) {
        self.merge(&Moments {
            count: 1,
            sum: u128::from(nanos),
            squares: Squares { low: u128::from(nanos) * u128::from(nanos), carries: 0 },
        });
    }

    #[inline]
    pub(crate) fn merge(&mut self, other: &Moments) {
        let (low, has_carry) = self.squares.low.overflowing_add(other.squares.low);
        let carries = self.squares.carries.saturating_add(other.squares.carries);
        self.squares = Squares { low, carries: carries.saturating_add(u64::from(has_carry)) };
        self.count = self.count.saturating_add(other.count);
        self.sum = self.sum.saturating_add(other.sum);
    }

    /// To the nearest nanosecond.
    pub(crate) fn mean_nanos(&self) -> Option<u64> {
        let count = u128::from(self.count);
        let (whole, rest) = (self.sum.checked_div(count)?, self.sum.checked_rem(count)?);
        // The mean of numbers below 2^64 is one.
        Some(u64::try_from(whole + u128::from(rest >= count - rest)).unwrap_or(u64::MAX))
    }

    /// Of a sample, so divided by one less than the count; in square nanoseconds. `None` below two.
    pub(crate) fn variance(&self) -> Option<f64> {
        if self.count < 2 {
            return None;
        }
        let spread = self.spread().unwrap_or_default();
        let count = self.count as f64;
        Some(spread.to_f64() / count / (count - 1.0))
    }

    /// True if these can be of times between the shortest and the longest of these.
    pub(crate) fn can_be_within(&self, shortest: u64, longest: u64) -> bool {
        let times = |nanos: u64| u128::from(nanos) * u128::from(self.count);
        let squares = Wide { high: self.squares.carries.into(), low: self.squares.low };
        (times(shortest)..=times(longest)).contains(&self.sum)
            && squares >= Wide::product(self.sum, shortest.into())
            && squares <= Wide::product(self.sum, longest.into())
            && self.spread().is_some()
    }

    /// Count times sum of squares less the square of the sum, which is never negative for numbers
    /// that exist. `None` for numbers that do not.
    fn spread(&self) -> Option<Wide> {
        let count = u128::from(self.count);
        let low = Wide::product(self.squares.low, count);
        let high = count * u128::from(self.squares.carries);
        let scaled = Wide { high: low.high.checked_add(high)?, low: low.low };
        scaled.less(Wide::product(self.sum, self.sum))
    }
}

/// 256 bits, compared as the numbers they are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Wide {
    high: u128,
    low: u128,
}

impl Wide {
    fn product(a: u128, b: u128) -> Wide {
        let half = |n: u128| (n >> 64, n & u128::from(u64::MAX));
        let ((a_high, a_low), (b_high, b_low)) = (half(a), half(b));
        let low = a_low * b_low;
        // Neither sum overflows: a product of halves is at most (2^64 - 1)^2, which leaves room
        // for two more halves.
        let middle = a_high * b_low + (low >> 64);
        let other = a_low * b_high + (middle & u128::from(u64::MAX));
        Wide {
            high: a_high * b_high + (middle >> 64) + (other >> 64),
            low: (other << 64) | (low & u128::from(u64::MAX)),
        }
    }

    fn less(self, other: Wide) -> Option<Wide> {
        let (low, has_borrow) = self.low.overflowing_sub(other.low);
        let high = self.high.checked_sub(other.high)?.checked_sub(u128::from(has_borrow))?;
        Some(Wide { high, low })
    }

    fn to_f64(self) -> f64 {
        const TWO_TO_128: f64 = 340_282_366_920_938_463_463_374_607_431_768_211_456.0;
        self.high as f64 * TWO_TO_128 + self.low as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_product_keeps_all_its_bits() {
        assert_eq!(Wide::product(u128::MAX, u128::MAX), Wide { high: u128::MAX - 1, low: 1 });
        assert_eq!(Wide::product(1 << 127, 6), Wide { high: 3, low: 0 });
        assert_eq!(Wide::product(7, 6), Wide { high: 0, low: 42 });
    }

    #[test]
    fn squares_of_the_longest_times_do_not_overflow() {
        let mut moments = Moments::default();
        for nanos in [u64::MAX, u64::MAX, 0, 0] {
            moments.add(nanos);
        }
        let half = u64::MAX as f64 / 2.0;
        assert_eq!(moments.mean_nanos(), Some(1 << 63));
        assert!((moments.variance().unwrap() / (half * half * 4.0 / 3.0) - 1.0).abs() < 1e-15);
    }

    #[test]
    fn the_mean_is_rounded_to_the_nearest() {
        for (times, mean) in [(&[1_u64, 2][..], 2), (&[1, 1, 2], 1), (&[1, 2, 2], 2)] {
            let mut moments = Moments::default();
            times.iter().for_each(|nanos| moments.add(*nanos));
            assert_eq!(moments.mean_nanos(), Some(mean), "{times:?}");
        }
        assert_eq!(Moments::default().mean_nanos(), None);
    }
}
