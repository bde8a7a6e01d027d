//! Where everything that threads share comes from: the standard library, or loom under `cfg(loom)`.
//!
//! Code that hands something from one thread to another imports from here and does not know which of
//! the two it has, so the models in `tests/model.rs` run the code that ships. Three differences
//! remain, and all are kept in this file:
//!
//! - loom has no time. [`thread::park_timeout`] is `park` there, so a model has to end a wait by
//!   something that happens.
//! - loom's locks live for one run of a model, so what a process has once ([`process`]) is made of
//!   the standard library's. It must not hold such a lock while it touches a modelled type.
//! - `Arc` is the standard library's in both: what is counted is not what we check, and loom's
//!   cannot hold a `dyn Trait`.

/// What lives as long as the process: made in a `static`, and outside of what is modelled.
pub(crate) mod process {
    use std::sync::PoisonError;

    pub(crate) use std::sync::atomic;
    pub(crate) use std::sync::{Condvar, Mutex, MutexGuard};

    /// Locks. Every critical section of this crate leaves its state whole at every step, so that
    /// a poisoned lock says nothing about it.
    pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
        mutex.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(not(loom))]
pub(crate) use std::sync::{Mutex, MutexGuard};

#[cfg(loom)]
pub(crate) use loom::sync::{Mutex, MutexGuard};

/// Locks; see [`process::lock`].
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// How a thread sleeps and is woken.
pub(crate) mod thread {
    #[cfg(not(loom))]
    pub(crate) use std::thread::{Thread, current, park, park_timeout};

    #[cfg(loom)]
    pub(crate) use loom::thread::{Thread, current, park};

    #[cfg(loom)]
    pub(crate) fn park_timeout(_: std::time::Duration) {
        park();
    }
}
