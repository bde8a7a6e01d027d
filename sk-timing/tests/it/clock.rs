//! Clocks, also such that go backwards.

use std::time::Duration;

use sk_timing::{Clock, ManualClock, Timer};

use super::{by_hand, ms};

#[test]
fn a_clock_that_is_set_back_shortens_and_never_fails() {
    let (timer, clock) = by_hand();
    clock.set(ms(100));
    timer.start();
    clock.set(ms(40));
    assert_eq!(timer.stop(), Ok(Duration::ZERO));
    timer.start();
    timer.pause().unwrap();
    clock.set(ms(10));
    timer.resume().unwrap();
    assert_eq!(timer.lap(), Ok(Duration::ZERO));
    clock.advance(ms(5));
    assert_eq!(timer.stop(), Ok(ms(5)));
    assert_eq!(timer.total_paused(), Duration::ZERO);
}

#[test]
fn a_manual_clock_stands_until_it_is_moved() {
    let clock = ManualClock::new();
    let reading = Clock::from(&clock);
    assert_eq!(reading.now(), Duration::ZERO);
    clock.advance(ms(3));
    assert_eq!(reading.now(), ms(3));
    clock.set(Duration::MAX);
    clock.advance(Duration::MAX);
    assert_eq!(reading.now(), Duration::from_nanos(u64::MAX), "it stops, and does not wrap");
}

#[test]
fn the_system_clock_measures_what_passes() {
    let timer = Timer::new();
    timer.start();
    let before = std::time::Instant::now();
    sk_timing::sleep(ms(3));
    let least = before.elapsed();
    assert!(timer.stop().unwrap() >= least);
}
