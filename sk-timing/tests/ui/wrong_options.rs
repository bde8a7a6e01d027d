use sk_timing::{Timer, timethis};

static TIMER: std::sync::LazyLock<Timer> = std::sync::LazyLock::new(Timer::new);

#[timethis(treshold = 5)]
fn misspelt() {}

#[timethis(name = "a", name = "b")]
fn twice() {}

#[timethis(name = "a", timer = TIMER)]
fn of_two_timers() {}

#[timethis(name = 5)]
fn no_text() {}

fn main() {}
