//! Now, from there to here, and not before then.

use std::time::{Duration, Instant};

use sk_function::{Completer, Completion, Operation, Unfinished, completion};

use crate::sync::process::{Condvar, Mutex, lock};

/// The time now, by the system's monotonic clock (see [`Clock`](crate::Clock)). For the time of day
/// there is [`SystemTime`](std::time::SystemTime), which may jump.
pub fn time() -> Instant {
    Instant::now()
}

/// The time between two moments, whichever comes first.
///
/// ```
/// use sk_timing::{elapsed, time};
///
/// let (a, b) = (time(), time());
/// assert_eq!(elapsed(a, b), elapsed(b, a));
/// ```
pub fn elapsed(a: Instant, b: Instant) -> Duration {
    a.max(b).saturating_duration_since(a.min(b))
}

/// Blocks the thread for at least this long, and returns the time after.
///
/// ```
/// use std::time::Duration;
/// use sk_timing::{elapsed, sleep, time};
///
/// let before = time();
/// assert!(elapsed(before, sleep(Duration::from_millis(2))) >= Duration::from_millis(2));
/// ```
pub fn sleep(time: Duration) -> Instant {
    // Nobody knows of these two, so nobody rings. A parked thread could be woken by who means another
    // park of it, which would then wait for ever.
    let (bell, mutex) = (Condvar::new(), Mutex::new(()));
    drop(bell.wait_timeout_while(lock(&mutex), time, |()| true));
    Instant::now()
}

/// Waits at least this long without blocking the thread, on any executor, and returns the time after.
/// It begins with the first poll. All sleeps of a process are woken by one thread, which the first
/// one starts.
///
/// ```
/// use std::time::Duration;
/// use sk_timing::{elapsed, sleep_async, time};
///
/// futures::executor::block_on(async {
///     let before = time();
///     let after = sleep_async(Duration::from_millis(2)).await;
///     assert!(elapsed(before, after) >= Duration::from_millis(2));
/// });
/// ```
pub async fn sleep_async(time: Duration) -> Instant {
    let (completer, never): (Completer<(), Unfinished>, Completion<(), Unfinished>) = completion();
    // It ends with its limit, since the other end is held and says nothing.
    let _ = Operation::new(never).timeout(time).await;
    drop(completer);
    Instant::now()
}
