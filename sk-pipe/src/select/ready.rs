//! Which members of a select have reason to be looked at, in the order in which they said so.
//!
//! Each member has a [`Signal`], which is the waker of its task: woken, it stands in the queue, once however often it is
//! woken. So a wake-up costs what is ready, and not what is there.

use std::collections::VecDeque;
use std::mem;
use std::task::{Wake, Waker};

use super::SelectId;
use crate::sync::{Arc, AtomicBool, Mutex, Ordering, lock};

#[derive(Default)]
pub(super) struct Ready {
    queue: Mutex<Queue>,
}

#[derive(Default)]
struct Queue {
    signals: VecDeque<Arc<Signal>>,
    /// Who waits in the select. A waker is the user's code: it is cloned, woken and dropped while no lock is held.
    waiter: Option<Waker>,
    is_over: bool,
}

pub(super) struct Signal {
    id: SelectId,
    /// Changed while the queue is locked only, which orders it.
    is_queued: AtomicBool,
    ready: Arc<Ready>,
}

impl Signal {
    pub(super) fn new(id: SelectId, ready: &Arc<Ready>) -> Arc<Signal> {
        Arc::new(Signal { id, is_queued: AtomicBool::new(false), ready: Arc::clone(ready) })
    }

    pub(super) fn id(&self) -> SelectId {
        self.id
    }

    /// Has its member looked at, after all who stand in the queue already.
    pub(super) fn queue(self: &Arc<Self>) {
        let mut queue = lock(&self.ready.queue);
        if queue.is_over || self.is_queued.swap(true, Ordering::Relaxed) {
            return;
        }
        queue.signals.push_back(Arc::clone(self));
        let waiter = queue.waiter.take();
        drop(queue);
        if let Some(waiter) = waiter {
            waiter.wake();
        }
    }
}

impl Wake for Signal {
    fn wake(self: Arc<Self>) {
        self.queue();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.queue();
    }
}

impl Ready {
    /// The next in the queue. If there is none, this task is woken when there is one.
    pub(super) fn next_or_wait(&self, waker: &Waker) -> Option<Arc<Signal>> {
        let fresh = waker.clone();
        let mut queue = lock(&self.queue);
        let next = queue.signals.pop_front();
        if let Some(signal) = &next {
            signal.is_queued.store(false, Ordering::Relaxed);
        }
        let fresh = next.is_none().then_some(fresh);
        let before = mem::replace(&mut queue.waiter, fresh);
        drop(queue);
        drop(before);
        next
    }

    /// Nobody waits any more.
    pub(super) fn forget_waiter(&self) {
        let before = lock(&self.queue).waiter.take();
        drop(before);
    }

    /// Has whoever waits look.
    pub(super) fn wake(&self) {
        let waiter = lock(&self.queue).waiter.take();
        if let Some(waiter) = waiter {
            waiter.wake();
        }
    }

    /// Nothing is queued from here on.
    pub(super) fn end(&self) {
        let mut queue = lock(&self.queue);
        queue.is_over = true;
        let before = (mem::take(&mut queue.signals), queue.waiter.take());
        drop(queue);
        drop(before);
    }
}
