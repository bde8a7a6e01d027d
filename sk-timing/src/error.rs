//! The one error of this crate.

use std::fmt;

/// Why a timer refused.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum TimerError {
    /// This thread has no running session of this timer that could be stopped, discarded, paused
    /// and so on. Sessions belong to the thread that started them.
    NotStarted {
        /// What was asked for, such as `stop`.
        action: &'static str,
    },
    /// A percentile that is not a number from 0 to 100.
    Percentile {
        /// What was asked for.
        percentile: f64,
    },
    /// A rolling window of no samples, or of more than [`LONGEST_WINDOW`](crate::LONGEST_WINDOW).
    Window {
        /// What was asked for.
        times: usize,
    },
}

impl fmt::Display for TimerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TimerError::NotStarted { action } => {
                write!(f, "cannot {action} a timer that this thread has not started")
            }
            TimerError::Percentile { percentile } => {
                write!(f, "percentile {percentile} is not a number from 0 to 100")
            }
            TimerError::Window { times } => write!(
                f,
                "a rolling window of {times} times is not one of 1 to {}",
                crate::LONGEST_WINDOW
            ),
        }
    }
}

impl std::error::Error for TimerError {}
