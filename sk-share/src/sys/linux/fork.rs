//! Whether this process is still the one that made a handle: a page that is wiped on fork.
//!
//! This file is an island of unsafe code. Its invariants:
//!
//! 1. The page is mapped once, writable, aligned, and never unmapped; only atomics touch it.
//! 2. Wiping on fork changes the page of the copy only, before any of its code runs.
#![expect(unsafe_code, reason = "one page is mapped for ever and wiped on fork")]

use std::io;

use memmap2::MmapMut;
use rustix::mm::Advice;

use crate::sync::{AtomicU32, OnceLock, Ordering};
use crate::sys::page_bytes;

/// 0 in a copy that has not asked yet.
static PAGE: OnceLock<Option<&'static AtomicU32>> = OnceLock::new();

/// How many incarnations there were in the line of processes that fork made up to this one.
static COUNT: AtomicU32 = AtomicU32::new(0);

/// A number that this process has and no process that it was forked from.
pub(crate) fn incarnation() -> io::Result<u32> {
    let page = PAGE.get_or_init(|| wiped_page().ok());
    let page = page.ok_or_else(|| io::Error::from(io::ErrorKind::OutOfMemory))?;
    let number = page.load(Ordering::Relaxed);
    if number != 0 {
        return Ok(number);
    }
    let next = COUNT.fetch_add(1, Ordering::Relaxed).wrapping_add(1).max(1);
    match page.compare_exchange(0, next, Ordering::Relaxed, Ordering::Relaxed) {
        Ok(_) => Ok(next),
        Err(other) => Ok(other),
    }
}

fn wiped_page() -> io::Result<&'static AtomicU32> {
    let mut page = MmapMut::map_anon(page_bytes())?;
    let start = page.as_mut_ptr();
    // SAFETY: the range is one whole private anonymous page of ours (1), and the advice changes
    // nothing in this process (2).
    unsafe { rustix::mm::madvise(start.cast(), page_bytes(), Advice::LinuxWipeOnFork) }?;
    std::mem::forget(page);
    // SAFETY: 1; the page was zeroed by the kernel and lives for ever.
    Ok(unsafe { AtomicU32::from_ptr(start.cast()) })
}
