//! The calling thread and its process.
//!
//! This file is an island of unsafe code. Its invariant:
//!
//! 1. A set of signals is plain memory, initialised by `sigfillset` before it is read.
#![expect(unsafe_code, reason = "only the C library sets the signal mask of a thread")]

use std::mem::MaybeUninit;

pub(crate) fn process_id() -> u32 {
    std::process::id()
}

/// From here on no handler of a signal runs on this thread.
pub(crate) fn block_signals() {
    let mut set = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: 1; it writes the set and nothing else.
    unsafe { libc::sigfillset(set.as_mut_ptr()) };
    // SAFETY: 1; it reads the set, and null is how one says not to want the old one.
    unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, set.as_ptr(), std::ptr::null_mut()) };
}

/// Does not return.
#[cfg(feature = "faults")]
pub(crate) fn kill_this_process() {
    let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    loop {
        std::thread::park();
    }
}
