//! Whether this process is still the one that made a handle: its number is compared.
//!
//! A copy made by fork is not told from its original if it has the number of a process in its own line
//! that ended, and none in between ever asked. Where a page can be wiped on fork, that is better.

use std::io;

use crate::sync::{AtomicU64, Ordering};
use crate::sys::process_id;

/// The number of the process that asked last, above how many there were up to it.
static LAST: AtomicU64 = AtomicU64::new(0);

/// A number that this process has and no process that it was forked from.
pub(crate) fn incarnation() -> io::Result<u32> {
    let pid = u64::from(process_id());
    let count = |word: u64| u32::try_from(word & u64::from(u32::MAX)).unwrap_or(0);
    let last = LAST.load(Ordering::Relaxed);
    if last >> 32 == pid {
        return Ok(count(last));
    }
    let next = pid << 32 | u64::from(count(last).wrapping_add(1).max(1));
    match LAST.compare_exchange(last, next, Ordering::Relaxed, Ordering::Relaxed) {
        Ok(_) => Ok(count(next)),
        // Another thread of this process.
        Err(other) => Ok(count(other)),
    }
}
