//! A flag that says once and for all that something is not wanted any more.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use crate::outcome::guarded;
use crate::sync::process::atomic::{AtomicBool, Ordering};

/// Says once and for all that something is not wanted any more, and wakes those who wait for that.
///
/// A clone is the same flag. Asking costs a load; waiting sleeps, it does not poll.
///
/// ```
/// use std::time::Duration;
/// use sk_function::CancelFlag;
///
/// let flag = CancelFlag::new();
/// assert!(!flag.wait_timeout(Duration::from_millis(1)));
///
/// std::thread::scope(|scope| {
///     scope.spawn(|| flag.wait());
///     flag.cancel();
/// });
/// assert!(flag.is_cancelled());
/// ```
#[derive(Clone, Default)]
pub struct CancelFlag(Arc<Flag>);

#[derive(Default)]
struct Flag {
    /// Changed under the lock of `waiters` only; read without it.
    is_set: AtomicBool,
    waiters: Mutex<Waiters>,
    threads: Condvar,
    /// The flag that sets this one too, and the key under which it knows it.
    parent: Option<(Arc<Flag>, u64)>,
}

/// What waits, but for the threads.
#[derive(Default)]
struct Waiters {
    by_key: BTreeMap<u64, Waiter>,
    next_key: u64,
}

enum Waiter {
    Task(Waker),
    Child(Weak<Flag>),
}

impl CancelFlag {
    /// A flag that is not set.
    pub fn new() -> Self {
        CancelFlag::default()
    }

    /// A flag that is set with this one, and that can be set alone: that of one attempt, whose
    /// timeout does not cancel the attempts to come.
    ///
    /// ```
    /// use sk_function::CancelFlag;
    ///
    /// let call = CancelFlag::new();
    /// let (first, second) = (call.child(), call.child());
    /// first.cancel();
    /// assert!(!call.is_cancelled() && !second.is_cancelled());
    /// call.cancel();
    /// assert!(second.is_cancelled());
    /// ```
    #[must_use]
    pub fn child(&self) -> CancelFlag {
        let mut waiters = self.0.lock();
        if self.is_cancelled() {
            let child = CancelFlag::new();
            child.cancel();
            return child;
        }
        let key = waiters.key();
        let mut child = Flag::default();
        child.parent = Some((Arc::clone(&self.0), key));
        let child = Arc::new(child);
        waiters.by_key.insert(key, Waiter::Child(Arc::downgrade(&child)));
        CancelFlag(child)
    }

    /// Sets it and wakes all who wait. From then on it stays set.
    pub fn cancel(&self) {
        // A list in place of recursion: children may have children.
        let mut flags = vec![Arc::clone(&self.0)];
        while let Some(flag) = flags.pop() {
            for waiter in flag.set() {
                match waiter {
                    // An executor's waker that panics takes nothing from the others.
                    Waiter::Task(waker) => drop(guarded(|| waker.wake())),
                    Waiter::Child(child) => flags.extend(child.upgrade()),
                }
            }
        }
    }

    /// Whether it is set.
    pub fn is_cancelled(&self) -> bool {
        // Pairs with the store in `set`.
        self.0.is_set.load(Ordering::Acquire)
    }

    /// Blocks until it is set.
    pub fn wait(&self) {
        let mut waiters = self.0.lock();
        while !self.is_cancelled() {
            waiters = self.0.threads.wait(waiters).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Blocks until it is set, at most so long: whether it is.
    pub fn wait_timeout(&self, timeout: Duration) -> bool {
        let Some(deadline) = Instant::now().checked_add(timeout) else {
            self.wait();
            return true;
        };
        let mut waiters = self.0.lock();
        while !self.is_cancelled() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            (waiters, _) =
                self.0.threads.wait_timeout(waiters, left).unwrap_or_else(PoisonError::into_inner);
        }
        true
    }

    /// A future that ends when it is set.
    pub fn cancelled(&self) -> Cancelled {
        Cancelled { flag: self.clone(), key: None }
    }

    /// Whether `other` is this same flag.
    pub fn is_same(&self, other: &CancelFlag) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Flag {
    fn lock(&self) -> MutexGuard<'_, Waiters> {
        self.waiters.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets it, wakes its threads, and gives out what else is to be woken, without the lock.
    fn set(&self) -> impl Iterator<Item = Waiter> {
        let mut waiters = self.lock();
        // Pairs with the load in `is_cancelled`: who sees it sees what was written before.
        self.is_set.store(true, Ordering::Release);
        let taken = std::mem::take(&mut waiters.by_key);
        drop(waiters);
        self.threads.notify_all();
        taken.into_values()
    }

    /// Forgets a waiter, whose own destructor runs without the lock.
    fn forget(&self, key: u64) {
        let waiter = self.lock().by_key.remove(&key);
        drop(waiter);
    }
}

impl Drop for Flag {
    fn drop(&mut self) {
        // A loop in place of recursion: parents may have parents.
        let mut next = self.parent.take();
        while let Some((parent, key)) = next {
            parent.forget(key);
            next = Arc::into_inner(parent).and_then(|mut last| last.parent.take());
        }
    }
}

impl Waiters {
    fn key(&mut self) -> u64 {
        self.next_key += 1;
        self.next_key
    }
}

impl fmt::Debug for CancelFlag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CancelFlag").field("is_cancelled", &self.is_cancelled()).finish()
    }
}

/// Ends when its [`CancelFlag`] is set.
///
/// ```
/// use sk_function::CancelFlag;
///
/// let flag = CancelFlag::new();
/// let cancelled = flag.cancelled();
/// flag.cancel();
/// futures::executor::block_on(cancelled);
/// ```
#[derive(Debug)]
#[must_use = "futures do nothing unless they are awaited"]
pub struct Cancelled {
    flag: CancelFlag,
    key: Option<u64>,
}

impl Future for Cancelled {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut std::task::Context<'_>) -> Poll<()> {
        if self.flag.is_cancelled() {
            return Poll::Ready(());
        }
        // Wakers are cloned and dropped outside the lock: their code is the executor's, and may
        // drop a task that holds a future of this very flag.
        let waker = cx.waker().clone();
        let flag = Arc::clone(&self.flag.0);
        let mut waiters = flag.lock();
        if self.flag.is_cancelled() {
            drop(waiters);
            return Poll::Ready(());
        }
        let key = *self.key.get_or_insert_with(|| waiters.key());
        let earlier = waiters.by_key.insert(key, Waiter::Task(waker));
        drop(waiters);
        drop(earlier);
        Poll::Pending
    }
}

impl Drop for Cancelled {
    fn drop(&mut self) {
        if let Some(key) = self.key {
            self.flag.0.forget(key);
        }
    }
}
