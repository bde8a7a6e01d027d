//! Where atomics come from.
//!
//! Words in mapped memory are always the standard library's: no model can hold them. What is to be
//! modelled is written over traits, and gets its words from there.

pub(crate) use std::sync::atomic::{
    AtomicBool, AtomicI32, AtomicU32, AtomicU64, AtomicUsize, Ordering, compiler_fence,
};
pub(crate) use std::sync::{Arc, Mutex, MutexGuard, OnceLock, Weak};

/// Locks. Every critical section of this crate leaves its state whole at every step, so that a
/// poisoned lock says nothing about it.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
