//! Waiting on one word, across processes, and waking who waits.

use std::io;
use std::time::Instant;

use rustix::io::Errno;
use rustix::thread::futex::{self, Flags};
use rustix::time::Timespec;

use crate::sync::AtomicU32;

/// Who may wait on a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    /// Threads of any process that maps the word.
    Shared,
}

/// Why a wait is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Slept {
    /// Somebody woke who sleeps on the word.
    Woken,
    /// The word did not have its value, so there was no sleep.
    Changed,
    /// A signal came.
    Interrupted,
    TimedOut,
}

/// Sleeps until the word is woken, if it has this value.
pub(crate) fn wait_on(word: &AtomicU32, expected: u32, until: Instant) -> io::Result<Slept> {
    let left = until.saturating_duration_since(Instant::now());
    let left = Timespec::try_from(left).ok();
    match futex::wait(word, Flags::empty(), expected, left.as_ref()) {
        Ok(()) => Ok(Slept::Woken),
        Err(Errno::AGAIN) => Ok(Slept::Changed),
        Err(Errno::INTR) => Ok(Slept::Interrupted),
        Err(Errno::TIMEDOUT) => Ok(Slept::TimedOut),
        Err(error) => Err(error.into()),
    }
}

/// Wakes up to `count` of those who sleep on the word, and says how many it woke. Waking cannot
/// fail for a word that is mapped.
pub(crate) fn wake(word: &AtomicU32, count: u32, Scope::Shared: Scope) -> usize {
    // The kernel takes the count as a signed number.
    futex::wake(word, Flags::empty(), count.min(i32::MAX.unsigned_abs())).unwrap_or(0)
}
