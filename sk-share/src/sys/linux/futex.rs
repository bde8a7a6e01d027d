//! Waiting on words and waking who waits.

use std::io;
use std::marker::PhantomData;
use std::ptr;
use std::time::Instant;

use rustix::io::Errno;
use rustix::thread::futex::{self, Flags, Wait, WaitFlags, WaitPtr, WaitvFlags};
use rustix::time::{ClockId, Timespec};

use crate::sync::AtomicU32;

/// Who may wait on a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    /// Threads of this process only; the word lies in private memory.
    Private,
    /// Threads of any process that maps the word.
    Shared,
}

/// A word to wait on, and the value it must have for the wait to begin.
#[derive(Clone, Copy)]
pub(crate) struct WaitOn<'w> {
    wait: Wait,
    word: PhantomData<&'w AtomicU32>,
}

impl<'w> WaitOn<'w> {
    pub(crate) fn new(word: &'w AtomicU32, expected: u32, scope: Scope) -> WaitOn<'w> {
        let mut wait = Wait::new();
        wait.val = u64::from(expected);
        wait.uaddr = WaitPtr::new(ptr::from_ref(word).cast_mut().cast());
        wait.flags = match scope {
            Scope::Private => WaitFlags::SIZE_U32 | WaitFlags::PRIVATE,
            Scope::Shared => WaitFlags::SIZE_U32,
        };
        WaitOn { wait, word: PhantomData }
    }
}

/// Why a wait is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Slept {
    /// Somebody woke who sleeps on the word at this place; words before it may have been woken too.
    Woken(usize),
    /// A word did not have its value, so there was no sleep.
    Changed,
    /// A signal came.
    Interrupted,
    TimedOut,
}

/// Sleeps until one of the words is woken, up to `N` of them and at most 128; what is beyond `N` is not
/// waited on. `until` is a time of [`monotonic`].
pub(crate) fn wait_any<const N: usize>(
    words: &[WaitOn<'_>],
    until: Option<Timespec>,
) -> io::Result<Slept> {
    let mut waits = [Wait::new(); N];
    let mut count = 0;
    for (wait, word) in waits.iter_mut().zip(words) {
        *wait = word.wait;
        count += 1;
    }
    let waits = waits.get(..count).unwrap_or_default();
    match futex::waitv(waits, WaitvFlags::empty(), until.as_ref(), ClockId::Monotonic) {
        Ok(place) => Ok(Slept::Woken(place)),
        Err(Errno::AGAIN) => Ok(Slept::Changed),
        Err(Errno::INTR) => Ok(Slept::Interrupted),
        Err(Errno::TIMEDOUT) => Ok(Slept::TimedOut),
        Err(error) => Err(error.into()),
    }
}

/// Wakes up to `count` of those who sleep on the word, and says how many it woke. Waking cannot
/// fail for a word that is mapped.
pub(crate) fn wake(word: &AtomicU32, count: u32, scope: Scope) -> usize {
    let flags = match scope {
        Scope::Private => Flags::PRIVATE,
        Scope::Shared => Flags::empty(),
    };
    // The kernel takes the count as a signed number.
    futex::wake(word, flags, count.min(i32::MAX.unsigned_abs())).unwrap_or(0)
}

/// The instant as the time that the kernel compares with; `None` where that is out of reach.
pub(crate) fn monotonic(instant: Instant) -> Option<Timespec> {
    let now = rustix::time::clock_gettime(ClockId::Monotonic);
    let left = Timespec::try_from(instant.saturating_duration_since(Instant::now())).ok()?;
    now.checked_add(left)
}

/// The thread's number in its own pid namespace, as the kernel writes it into futex words.
pub(crate) fn thread_id() -> u32 {
    rustix::thread::gettid().as_raw_nonzero().get().unsigned_abs()
}
