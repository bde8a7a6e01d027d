//! One line on how far it is.

use std::fmt;
use std::time::Duration;

use super::ProgressState;

impl fmt::Display for ProgressState {
    /// As in `files: 30 of 120 (25 %), 3.0 a second, 30 s left`, as far as it is known.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.label.is_empty() {
            write!(f, "{}: ", self.label)?;
        }
        write!(f, "{}", self.done)?;
        if let Some(total) = self.total {
            write!(f, " of {total}")?;
            let percent = u128::from(self.done) * 100;
            if let Some(percent) = percent.checked_div(u128::from(total)) {
                write!(f, " ({percent} %)")?;
            }
        }
        if let Some(rate) = self.rate_per_second() {
            write!(f, ", {rate:.1} a second")?;
        }
        match self.time_left() {
            Some(left) if !left.is_zero() => write!(f, ", {} left", Coarse(left)),
            _ => Ok(()),
        }
    }
}

/// A time in its two largest units.
struct Coarse(Duration);

impl fmt::Display for Coarse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Rounded up: nothing is said to take no time.
        let seconds = self.0.as_secs().saturating_add(u64::from(self.0.subsec_nanos() > 0));
        let (minutes, hours) = (seconds / 60, seconds / 3_600);
        match (hours, minutes) {
            (0, 0) => write!(f, "{seconds} s"),
            (0, _) => write!(f, "{minutes} min {} s", seconds % 60),
            _ => write!(f, "{hours} h {} min", minutes % 60),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_in_two_units() {
        for (time, text) in [
            (Duration::from_millis(1), "1 s"),
            (Duration::from_secs(60), "1 min 0 s"),
            (Duration::from_secs(7_260), "2 h 1 min"),
            (Duration::MAX, "5124095576030431 h 0 min"),
        ] {
            assert_eq!(Coarse(time).to_string(), text);
        }
    }
}
