//! Pushing and popping, and waiting for room and for elements.

use std::time::Instant;

use super::super::gate::Gate;
use super::super::lock::{Guard, Lock};
use super::super::words::{Attempt, Ground, wait_for};
use super::Queue;
use super::push::Seen;
use crate::error::Error;
use crate::sync::modelled::Ordering;

/// What one who waits remembers from one look to the next: whether the last sleep was for the lock. One
/// for each operation, false at first.
#[derive(Debug, Default)]
pub struct QueueWaiting {
    for_lock: bool,
}

impl QueueWaiting {
    fn lock<'g, G: Ground>(
        &mut self,
        ground: &'g G,
        lock: &Lock<'g, G>,
    ) -> Result<Attempt<Guard<'g, G>>, Error> {
        if !self.for_lock
            && let Some(guard) = lock.try_lock()?
        {
            return Ok(Attempt::Done(guard));
        }
        let attempt = lock.attempt(ground.me()?, self.for_lock);
        self.for_lock = matches!(attempt, Ok(Attempt::Sleep(_)));
        attempt
    }
}

impl<'g, G: Ground> Queue<'g, G> {
    /// Pushes an element, and waits for room. What is pending is published with it, since it comes first.
    ///
    /// # Errors
    ///
    /// Full, if the arena has no room; timeout, re-entry, damaged. Then nothing was pushed.
    #[inline]
    pub fn push(&self, bytes: &[u8], deadline: Option<Instant>) -> Result<(), Error> {
        let mut waiting = QueueWaiting::default();
        wait_for(self.ground, "the queue had room", deadline, || {
            self.look_to_push(bytes, &mut waiting, deadline).inspect_err(|_| self.room.notify_one())
        })
    }

    /// Pushes an element if there is room, and says whether there was. It waits for nothing but the lock.
    ///
    /// # Errors
    ///
    /// As for [`push`](Queue::push).
    pub fn try_push(&self, bytes: &[u8], deadline: Option<Instant>) -> Result<bool, Error> {
        self.try_push_seen(bytes, Seen::Now, deadline)
    }

    /// Pushes an element that can be popped once it is [published](Queue::publish), if there is room.
    ///
    /// # Errors
    ///
    /// As for [`push`](Queue::push).
    pub fn push_pending(&self, bytes: &[u8], deadline: Option<Instant>) -> Result<bool, Error> {
        self.try_push_seen(bytes, Seen::OncePublished, deadline)
    }

    fn try_push_seen(
        &self,
        bytes: &[u8],
        seen: Seen,
        deadline: Option<Instant>,
    ) -> Result<bool, Error> {
        let guard = self.pushing.lock_until(deadline)?;
        self.push_held(guard, bytes, seen, deadline)
    }

    /// One look of who waits for room: it pushes, or says what to sleep on before the next look.
    ///
    /// `deadline` is for the books of the arena, if the element does not fit its entry. Whoever was woken
    /// and does not look again, or gives up on an error, has others [look](Queue::pass_on) in its place.
    ///
    /// # Errors
    ///
    /// As for [`push`](Queue::push).
    #[inline]
    pub fn look_to_push(
        &self,
        bytes: &[u8],
        waiting: &mut QueueWaiting,
        deadline: Option<Instant>,
    ) -> Result<Attempt<()>, Error> {
        loop {
            // Before all that is looked at: a death from here on ends the sleep.
            let deaths = self.ground.deaths();
            let guard = match waiting.lock(self.ground, &self.pushing)? {
                Attempt::Done(guard) => guard,
                Attempt::Sleep(sleep) => return Ok(Attempt::Sleep(sleep)),
            };
            if self.push_held(guard, bytes, Seen::Now, deadline)? {
                return Ok(Attempt::Done(()));
            }
            self.ground.point("queue.push.full");
            let expected = self.room.prepare();
            if self.is_full() {
                return Ok(Attempt::Sleep(self.room.sleep(deaths, expected, None)));
            }
        }
    }

    /// Has somebody else look who waits: for one that was woken and goes no further.
    pub fn pass_on(&self) {
        self.room.notify_one();
        self.items.notify_one();
    }

    #[inline]
    fn push_held(
        &self,
        mut guard: Guard<'g, G>,
        bytes: &[u8],
        seen: Seen,
        deadline: Option<Instant>,
    ) -> Result<bool, Error> {
        self.settle_push(&mut guard)?;
        let seen = if self.is_closed()? { Seen::OncePublished } else { seen };
        let had_pending = self.end() > self.tail.load(Ordering::Relaxed);
        let is_pushed = self.try_put(bytes, seen, deadline)?;
        drop(guard);
        if is_pushed && seen == Seen::Now {
            if had_pending { self.items.notify_all() } else { self.items.notify_one() }
        }
        Ok(is_pushed)
    }

    /// Pops the first element, and waits until there is one. It is appended to `out`.
    ///
    /// # Errors
    ///
    /// Timeout, re-entry, damaged. Then nothing was popped.
    #[inline]
    pub fn pop(&self, out: &mut Vec<u8>, deadline: Option<Instant>) -> Result<(), Error> {
        let mut waiting = QueueWaiting::default();
        wait_for(self.ground, "the queue had an element", deadline, || {
            self.look_to_pop(out, &mut waiting, deadline).inspect_err(|_| self.items.notify_one())
        })
    }

    /// Pops the first element if there is one, and says whether there was. It waits for nothing but the
    /// lock.
    ///
    /// # Errors
    ///
    /// As for [`pop`](Queue::pop).
    pub fn try_pop(&self, out: &mut Vec<u8>, deadline: Option<Instant>) -> Result<bool, Error> {
        Gate::check(self.gate, self.ground, "to pop from a queue")?;
        let guard = self.popping.lock_until(deadline)?;
        self.pop_held(guard, out, deadline)
    }

    /// One look of who waits for an element: it pops, or says what to sleep on before the next look.
    ///
    /// `deadline` is for the books of the arena, as for [`look_to_push`](Queue::look_to_push).
    ///
    /// # Errors
    ///
    /// As for [`pop`](Queue::pop).
    #[inline]
    pub fn look_to_pop(
        &self,
        out: &mut Vec<u8>,
        waiting: &mut QueueWaiting,
        deadline: Option<Instant>,
    ) -> Result<Attempt<()>, Error> {
        loop {
            // Before all that is looked at: a death from here on ends the sleep.
            let deaths = self.ground.deaths();
            let guard = match waiting.lock(self.ground, &self.popping)? {
                Attempt::Done(guard) => guard,
                Attempt::Sleep(sleep) => return Ok(Attempt::Sleep(sleep)),
            };
            if self.pop_held(guard, out, deadline)? {
                return Ok(Attempt::Done(()));
            }
            self.ground.point("queue.pop.empty");
            let expected = self.items.prepare();
            // Whoever opens the gate publishes after it, and tells.
            if self.is_empty() || self.is_closed()? {
                return Ok(Attempt::Sleep(self.items.sleep(deaths, expected, None)));
            }
        }
    }

    #[inline]
    fn pop_held(
        &self,
        mut guard: Guard<'g, G>,
        out: &mut Vec<u8>,
        deadline: Option<Instant>,
    ) -> Result<bool, Error> {
        self.settle_pop(&mut guard, deadline)?;
        let is_popped = !self.is_closed()? && self.try_take(out, deadline)?;
        drop(guard);
        if is_popped {
            self.room.notify_one();
        }
        Ok(is_popped)
    }
}
