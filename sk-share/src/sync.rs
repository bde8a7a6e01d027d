//! Where atomics come from.
//!
//! Words in mapped memory are always the standard library's: no model can hold them. What is to be
//! modelled is written over traits, and gets its words from there.

pub(crate) use std::sync::atomic::{
    AtomicBool, AtomicI32, AtomicU32, AtomicU64, AtomicUsize, Ordering, compiler_fence, fence,
};
pub(crate) use std::sync::{Arc, Mutex, MutexGuard, OnceLock, Weak};

/// Locks. Every critical section of this crate leaves its state whole at every step, so that a
/// poisoned lock says nothing about it.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// The words of what is written over traits: the standard library's, or loom's under `cfg(loom)`, so that
/// the models in `tests/model` run the code that ships.
pub(crate) mod modelled {
    #[cfg(not(loom))]
    pub use std::sync::atomic::{AtomicU32, AtomicU64};
    #[cfg(not(loom))]
    pub(crate) use std::sync::atomic::{Ordering, fence};

    #[cfg(loom)]
    pub use loom::sync::atomic::{AtomicU32, AtomicU64};
    #[cfg(loom)]
    pub(crate) use loom::sync::atomic::{Ordering, fence};

    /// Stands between two sequentially consistent accesses of which the order of all such has to be kept: the
    /// machine keeps it, and loom, which takes them for acquire and release, needs a fence.
    #[inline(always)]
    pub(crate) fn sequential() {
        #[cfg(loom)]
        fence(Ordering::SeqCst);
    }
}
