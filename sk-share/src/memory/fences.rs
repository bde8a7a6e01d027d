//! Fences of which one side pays for both.
//!
//! Who publishes looks whether somebody sleeps, each time; who is about to sleep looks whether something was
//! published, seldom. A full fence between store and load on both sides would do, but the publisher's waits for
//! every line of memory that it has just written, which is most of what a message costs it. So the sleeper has
//! all processors on which a publisher may run execute a full fence, by an interrupt: 1 µs where none runs, 12 µs
//! where one does **[measured on a virtual machine]**. Known as asymmetric fences (C++ proposal P1202).
//!
//! | publisher | sleeper |
//! |---|---|
//! | store, light fence, load | store, heavy fence, load |
//!
//! The interrupt comes before the publisher's store in program order, and its load sees the sleeper's store; or
//! behind it, and the sleeper's load sees the publisher's. A process is reached by interrupts once it has asked
//! for that, which takes milliseconds, so a thread of its own asks; until then its light fences are full ones.

use std::sync::Once;
use std::thread;
use std::time::{Duration, Instant};

use crate::sync::{AtomicBool, Ordering, compiler_fence, fence};
use crate::sys;

/// This process is reached by the heavy fences of others.
static IS_REACHED: AtomicBool = AtomicBool::new(false);
static BEGIN: Once = Once::new();
/// This process is forbidden (by a filter of system calls) what others may be allowed: its heavy fences meet nobody.
static IS_BLIND: AtomicBool = AtomicBool::new(false);

pub(super) fn ease() {
    BEGIN.call_once(|| {
        let reach = || {
            if sys::reach_by_barriers().is_ok() {
                // Release: the system call comes before.
                IS_REACHED.store(true, Ordering::Release);
            }
        };
        // Without a thread it stays as it is.
        let _ = thread::Builder::new().name("sk-fence".into()).stack_size(STACK).spawn(reach);
    });
}

const STACK: usize = 64 << 10;

#[inline(always)]
pub(super) fn light() {
    // Acquire: the system call came before.
    if IS_REACHED.load(Ordering::Acquire) {
        compiler_fence(Ordering::SeqCst);
    } else {
        fence(Ordering::SeqCst);
    }
}

#[cold]
pub(super) fn heavy() {
    fence(Ordering::SeqCst);
    if sys::barrier_on_all().is_err() {
        IS_BLIND.store(true, Ordering::Relaxed);
    }
}

/// Until when who sleeps behind a heavy fence sleeps at most: where it met nobody, a little at a time.
pub(super) fn until(deadline: Option<Instant>) -> Option<Instant> {
    if !IS_BLIND.load(Ordering::Relaxed) {
        return deadline;
    }
    let soon = Instant::now() + NAP;
    Some(deadline.map_or(soon, |deadline| deadline.min(soon)))
}

const NAP: Duration = Duration::from_millis(1);
