//! Where the time comes from: the system's monotonic clock, or one that a test moves by hand.

use std::sync::Arc;
use std::time::Duration;

use crate::nanos;
use crate::sync::process::{AtomicU64, Ordering};

/// What a timer reads the time from.
///
/// The system's clock is the one of [`Instant`](std::time::Instant): monotonic, and set by nobody. What happens to it
/// while the machine is suspended differs:
///
/// | platform | clock | time in suspend |
/// |---|---|---|
/// | Linux, Android, BSDs | `CLOCK_MONOTONIC` | not counted |
/// | macOS, iOS | `CLOCK_UPTIME_RAW` | not counted |
/// | Windows | `QueryPerformanceCounter` | counted |
///
/// Nothing is calibrated, and nothing runs before `main`.
///
/// ```
/// use std::time::Duration;
/// use sk_timing::{Clock, ManualClock};
///
/// let hand = ManualClock::new();
/// let clock = Clock::from(&hand);
/// hand.advance(Duration::from_secs(2));
/// assert_eq!(clock.now(), Duration::from_secs(2));
/// assert!(Clock::System.now() <= Clock::System.now());
/// ```
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub enum Clock {
    /// The monotonic clock of the system.
    #[default]
    System,
    /// A clock that stands until it is moved.
    Manual(ManualClock),
}

impl Clock {
    /// The time since the clock's origin. That of the system's clock is some moment in the past; that of a manual clock is its zero.
    pub fn now(&self) -> Duration {
        Duration::from_nanos(self.nanos())
    }

    #[inline]
    pub(crate) fn nanos(&self) -> u64 {
        match self {
            Clock::System => system_nanos(),
            Clock::Manual(clock) => clock.nanos.load(Ordering::Relaxed),
        }
    }
}

/// Since a moment before the start of this process.
#[cfg(target_os = "linux")]
#[inline]
fn system_nanos() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    // The clock begins at zero with the machine, so neither part is negative and the sum is small.
    now.tv_sec.unsigned_abs().wrapping_mul(1_000_000_000).wrapping_add(now.tv_nsec.unsigned_abs())
}

/// Since the first call.
#[cfg(not(target_os = "linux"))]
fn system_nanos() -> u64 {
    use std::sync::OnceLock;
    use std::time::Instant;

    static ORIGIN: OnceLock<Instant> = OnceLock::new();
    let now = Instant::now();
    nanos(now.saturating_duration_since(*ORIGIN.get_or_init(|| now)))
}

impl From<&ManualClock> for Clock {
    fn from(clock: &ManualClock) -> Self {
        Clock::Manual(clock.clone())
    }
}

/// A clock for tests: it stands until it is moved. Clones are the same clock.
///
/// It may also be set back. A session that spans this is shorter for it, and takes no time at all if
/// it ends before it began; it is never an error. Times stand in the order of their ends by this clock,
/// so that those after it may come to stand before those of before, if both were not gathered yet.
///
/// ```
/// use std::time::Duration;
/// use sk_timing::{ManualClock, Timer};
///
/// let clock = ManualClock::new();
/// let timer = Timer::builder().clock(&clock).build()?;
/// timer.start();
/// clock.advance(Duration::from_millis(5));
/// assert_eq!(timer.stop()?, Duration::from_millis(5));
/// # Ok::<(), sk_timing::TimerError>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct ManualClock {
    /// Relaxed everywhere: it is a number by itself, and orders nothing else.
    nanos: Arc<AtomicU64>,
}

impl ManualClock {
    /// A clock that stands at zero.
    pub fn new() -> Self {
        ManualClock::default()
    }

    /// Moves it on. It stops at the 584 years that 64 bits of nanoseconds hold.
    pub fn advance(&self, by: Duration) {
        let step = |before: u64| Some(before.saturating_add(nanos(by)));
        let _ = self.nanos.fetch_update(Ordering::Relaxed, Ordering::Relaxed, step);
    }

    /// Sets it to a time since its zero, be it later or earlier than what it shows.
    pub fn set(&self, to: Duration) {
        self.nanos.store(nanos(to), Ordering::Relaxed);
    }
}
