//! Where atomics come from: the standard library, or loom for what is modelled.

pub(crate) use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64};
pub(crate) use std::sync::{Arc, Condvar, Mutex, MutexGuard, Weak};

#[cfg(not(loom))]
pub(crate) use std::sync::atomic::{Ordering, fence};

#[cfg(loom)]
pub(crate) use loom::sync::atomic::{Ordering, fence};

/// Locks. Every critical section of this crate leaves its state whole at every step, so that a poisoned lock says
/// nothing about it.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
