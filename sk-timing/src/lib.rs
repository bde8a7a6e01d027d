//! Timers with statistics, and progress.
//!
//! ```
//! use sk_timing::{Timer, global_timer, timethis};
//!
//! #[timethis(name = "lookup")]
//! fn look_up(key: &str) -> Result<usize, std::num::ParseIntError> {
//!     Ok(key.parse::<usize>()? + 1)
//! }
//!
//! for key in ["1", "2", "three"] {
//!     let _ = look_up(key);
//! }
//! let lookups = global_timer("lookup").statistics();
//! assert_eq!((lookups.count(), lookups.failures()), (2, 1));
//!
//! let timer = Timer::new();
//! timer.start();
//! let took = timer.stop()?;
//! assert_eq!(timer.max(), Some(took));
//! # Ok::<(), sk_timing::TimerError>(())
//! ```
//!
//! # The parts
//!
//! - [`Timer`] measures sessions: start, stop, lap, pause, resume, discard, fail. All threads may
//!   use one at once, each with sessions of its own.
//! - [`TimeThis`] is the guard that times a scope, and [`timethis`] the attribute that times a
//!   function, sync or async, under a name that [`global_timer`] finds.
//! - [`Statistics`] is what can be said of the times: a value that does not change, can be sent, and
//!   can be [merged](Statistics::merge) with those of other processes. Count, sum, minimum, maximum and
//!   variance are always exact; percentiles are while all samples are kept. [`LoopTimeReport`] is a
//!   page of it.
//! - [`Progress`] is how far long work has come: done, total, rate, time left.
//! - [`Clock`] is where the time comes from; a [`ManualClock`] stands until a test moves it.
//! - [`time()`], [`elapsed`], [`sleep`] and [`sleep_async`] are for code that needs no timer.
//!
//! # How it fails
//!
//! What cannot be measured is a [`TimerError`]: a stop without a start, a percentile of 101, a window
//! of nothing. What is merely odd, such as pausing twice, is a warning, an event of `tracing`. Work
//! that fails is counted apart and in no statistic. Statistics that another process encoded are
//! checked when they are decoded, and impossible ones are an error.
//!
//! # Features
//!
//! - `terminal`: progress as a bar where standard error is a terminal. Off by default.
//!
//! # Platforms
//!
//! Linux, tested. Nothing here is special to it but what [`Clock`] says of a suspend.
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod clock;
mod moment;

mod guard;
mod named;
mod report;
mod statistics;
mod timer;

mod progress;

mod error;
mod frame;
mod local;
mod recorder;
mod ring;
mod sync;
mod within;

/// What models look into.
#[cfg(loom)]
pub mod by_hand;

#[doc(hidden)]
pub mod private;

pub use clock::{Clock, ManualClock};
pub use error::TimerError;
pub use guard::TimeThis;
pub use moment::{elapsed, sleep, sleep_async, time};
pub use named::{clear_global_timers, global_timer, global_timers};
pub use progress::{Progress, ProgressBuilder, ProgressState};
pub use report::LoopTimeReport;
/// ```
/// use std::io;
/// use sk_timing::{Timer, global_timer, timethis};
///
/// struct Store {
///     reads: Timer,
/// }
///
/// impl Store {
///     #[timethis(timer = self.reads)]
///     fn read(&mut self, key: &str) -> io::Result<String> {
///         if key.is_empty() {
///             return Err(io::Error::other("no key"));
///         }
///         Ok(key.to_owned())
///     }
///
///     #[timethis(name = "flush")]
///     async fn flush(&self) {}
/// }
///
/// let mut store = Store { reads: Timer::new() };
/// assert!(store.read("a").is_ok() && store.read("").is_err());
/// futures::executor::block_on(store.flush());
/// assert_eq!((store.reads.count(), store.reads.failures()), (1, 1));
/// assert_eq!(global_timer("flush").polling().count(), 1);
/// ```
///
pub use sk_timing_macros::timethis;
pub use statistics::{EXACT_TIMES, IndexedTime, LONGEST_WINDOW, Statistics};
pub use timer::{Timer, TimerBuilder};

/// 64 bits of nanoseconds, which is what a sample has: 584 years at most.
fn nanos(time: std::time::Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[doc = include_str!("../README.md")]
#[cfg(doctest)]
struct Readme;
