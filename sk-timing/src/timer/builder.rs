//! What a timer is made with.

use super::Timer;
use crate::recorder::Recorder;
use crate::statistics::Statistics;
use crate::{Clock, TimerError};

/// Makes a [`Timer`] that is not the default one.
///
/// ```
/// use std::time::Duration;
/// use sk_timing::Timer;
///
/// let timer = Timer::builder().max_times(3).name("requests").build()?;
/// (1..=5).for_each(|n| timer.add(Duration::from_secs(n)));
/// assert_eq!(timer.statistics().times().map(|time| time.as_secs()).collect::<Vec<_>>(), [3, 4, 5]);
/// # Ok::<(), sk_timing::TimerError>(())
/// ```
#[derive(Debug, Clone, Default)]
#[must_use = "it makes a timer only by `build()`"]
pub struct TimerBuilder {
    max_times: Option<usize>,
    name: Option<String>,
    clock: Clock,
}

impl TimerBuilder {
    /// Keeps only the last `times` times: statistics are those of this rolling window. By default
    /// they are of all times.
    pub fn max_times(mut self, times: usize) -> Self {
        self.max_times = Some(times);
        self
    }

    /// What the timer is called in warnings. Timers of one name are still timers apart; those that are
    /// found by name are the [global](crate::global_timer) ones.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// The clock it reads, [`Clock::System`] by default.
    pub fn clock(mut self, clock: impl Into<Clock>) -> Self {
        self.clock = clock.into();
        self
    }

    /// Makes the timer.
    ///
    /// # Errors
    /// [`TimerError::Window`] for a rolling window of 0 or beyond
    /// [`LONGEST_WINDOW`](crate::LONGEST_WINDOW).
    pub fn build(self) -> Result<Timer, TimerError> {
        let recorder = Recorder::new(Statistics::default());
        if let Some(times) = self.max_times {
            recorder.set_window(times)?;
        }
        Ok(Timer::assemble(recorder, self.clock, self.name))
    }
}
