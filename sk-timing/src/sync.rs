//! Where everything that threads share comes from: the standard library, or loom under `cfg(loom)`.
//!
//! The shared recorder imports from here and does not know which of the two it has, so the models in
//! `tests/model.rs` run the code that ships. `Arc` is the standard library's in both: what is counted
//! is not what we check. What a process has once ([`process`]) is the standard library's too, since
//! loom's types live for one run of a model.

use std::sync::PoisonError;

/// What lives as long as the process, or is never modelled.
pub(crate) mod process {
    pub(crate) use std::sync::atomic::{AtomicU64, Ordering};
    pub(crate) use std::sync::{Condvar, Mutex, MutexGuard};

    use super::PoisonError;

    /// Locks. Every critical section of this crate leaves its state whole at every step, so that
    /// a poisoned lock says nothing about it.
    pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
        mutex.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(not(loom))]
pub(crate) use std::sync::{
    Mutex, MutexGuard,
    atomic::{AtomicU64, Ordering},
};

#[cfg(loom)]
pub(crate) use loom::sync::{
    Mutex, MutexGuard,
    atomic::{AtomicU64, Ordering},
};

/// Locks; see [`process::lock`].
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
