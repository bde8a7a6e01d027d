//! How long to wait: arithmetic that cannot overflow.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Rules;
use crate::outcome::Failure;

/// The longest computed wait of a policy that sets none.
const USUAL_MAXIMUM: Duration = Duration::from_secs(60 * 60);

/// How the waits of a [`Retry`](crate::Retry) are spread.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Jitter {
    /// Not at all.
    #[default]
    None,
    /// Anywhere from none to the whole wait. It spreads best.
    Full,
    /// Anywhere from so much less to so much more: 0.1 is ten in a hundred. From 0 to 1; what it
    /// adds does not pass the maximum.
    PlusMinus(f64),
}

impl Rules {
    /// The wait after the failed attempt `index`, counted from 0.
    pub(super) fn wait(&self, index: u32, failure: &Failure, entropy: u64) -> Duration {
        let bound = self.maximum_delay.unwrap_or(Duration::MAX);
        if let Some(asked) = failure.retry_after() {
            return asked.min(bound);
        }
        let maximum = self.maximum_delay.unwrap_or(USUAL_MAXIMUM.max(self.delay));
        let wait = self.grown(index).min(maximum);
        // From 0 to just under 1, in the 53 bits of a float.
        let part = (entropy >> 11) as f64 / (1_u64 << 53) as f64;
        match self.jitter {
            Jitter::None => wait,
            Jitter::Full => times(wait, part).min(wait),
            Jitter::PlusMinus(fraction) => {
                times(wait, 1.0 - fraction + 2.0 * fraction * part).min(maximum)
            }
        }
    }

    /// `delay * factor ^ index`.
    fn grown(&self, index: u32) -> Duration {
        if index == 0 || self.factor == 1.0 {
            return self.delay;
        }
        // A growth that is no longer a finite number is past every maximum.
        let growth = self.factor.powf(f64::from(index)).min(f64::MAX);
        let wait = times(self.delay, growth);
        // Rounding takes nothing away from a delay that only grows.
        if self.factor > 1.0 { wait.max(self.delay) } else { wait }
    }
}

/// `duration * factor`, the longest duration where that is not one.
fn times(duration: Duration, factor: f64) -> Duration {
    Duration::try_from_secs_f64(duration.as_secs_f64() * factor).unwrap_or(Duration::MAX)
}
