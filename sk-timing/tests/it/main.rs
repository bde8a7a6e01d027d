//! What sk-timing does, one module per subject.

mod clock;
mod encoding;
mod guard;
mod heard;
mod moment;
mod percentiles;
mod progress;
mod report;
mod statistics;
mod threads;
mod timer;
mod timethis;
mod window;

use std::time::Duration;

use sk_timing::{ManualClock, Timer};

fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// A timer whose clock stands until it is moved.
fn by_hand() -> (Timer, ManualClock) {
    let clock = ManualClock::new();
    let timer = Timer::builder().clock(&clock).build().unwrap();
    (timer, clock)
}
