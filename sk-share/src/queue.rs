//! Bounded queues between processes.

use std::any::type_name;
use std::fmt;
use std::marker::PhantomData;
use std::time::{Duration, Instant};

use sk_function::{Operation, Source};

use crate::codec::{Codec, Encoded};
use crate::error::Error;
use crate::ground::{AgentRef, Attempt, Found, Ground as _, Offset, Queue, QueueWaiting, Spec};
use crate::list::{decode, elements_of, inline_of, word_of};
use crate::memory::Commons;
use crate::share::help_start;
use crate::share::kind;
use crate::share::layout::{GATE, STARTING};
use crate::share::space::{Object, Space};
use crate::sync::{Arc, Ordering};
use crate::value::reap_deadline;
use crate::waiting::waiting;

/// A queue of several processes, with room for so many elements: each is popped once, in the order in which they were
/// pushed.
///
/// It is a handle: cheap to clone, and in another process the same queue. Whoever finds it full or empty waits without
/// polling. An element is in the queue when [`push`](SharedQueue::push) is done, and out of it, for the one that gets it,
/// when [`pop`](SharedQueue::pop) is: a process that dies takes with it at most the one that it was about to get.
///
/// ```
/// use sk_share::Share;
///
/// let share = Share::new()?;
/// let jobs = share.queue::<String>("jobs", 2)?;
/// jobs.push(&"one".to_owned()).wait()?;
/// assert!(jobs.try_push(&"two".to_owned())?);
/// assert!(!jobs.try_push(&"three".to_owned())?);
/// assert_eq!(jobs.pop().wait()?, "one");
/// assert_eq!(jobs.try_pop()?.as_deref(), Some("two"));
/// # Ok::<(), sk_share::Error>(())
/// ```
pub struct SharedQueue<T, C = Encoded> {
    object: Arc<Object>,
    patience: Option<Duration>,
    form: PhantomData<fn(T, C) -> T>,
}

fn with<R>(
    space: &Space,
    body: Offset,
    work: impl FnOnce(&Queue<'_, Commons>) -> Result<R, Error>,
) -> Result<R, Error> {
    let arena = space.arena();
    work(&Queue::at(&space.commons, body, &arena)?.behind(GATE))
}

pub(crate) fn spec(type_name: &str) -> Spec<'_> {
    kind::spec(kind::QUEUE, type_name, Queue::<'static, Commons>::BYTES)
}

pub(crate) fn make<T, C: Codec<T>>(
    space: &Space,
    found: &Found,
    capacity: u64,
) -> Result<(), Error> {
    make_of(space, found, inline_of::<T, C>(), capacity)
}

fn make_of(space: &Space, found: &Found, inline: u64, capacity: u64) -> Result<(), Error> {
    let arena = space.arena();
    Queue::create(&space.commons, found.body, &arena, inline, capacity, None).map(|_| ())
}

/// What a queue is to those who do not know its elements.
pub(crate) mod whole {
    use super::*;

    pub(crate) const BODY_BYTES: u64 = Queue::<'static, Commons>::BYTES;

    pub(crate) fn destroy(space: &Space, body: Offset) -> Result<(), Error> {
        // One that was not made to the end has nothing.
        if space.commons.u64(body)?.load(Ordering::Relaxed) == 0 {
            return Ok(());
        }
        with(space, body, |queue| queue.destroy(reap_deadline()))
    }

    pub(crate) fn blocks(space: &Space, body: Offset) -> Result<Vec<Offset>, Error> {
        with(space, body, |queue| queue.blocks(None))
    }

    pub(crate) fn take_lock_once(
        space: &Space,
        body: Offset,
        deadline: Option<Instant>,
    ) -> Result<(), Error> {
        with(space, body, |queue| queue.take_locks_once(deadline))
    }

    pub(crate) fn publish(
        space: &Space,
        body: Offset,
        deadline: Option<Instant>,
    ) -> Result<(), Error> {
        if with(space, body, |queue| queue.publish(deadline))? {
            // Not at the end of the start only, which something else may keep from coming.
            space.notify_activity();
        }
        Ok(())
    }

    pub(crate) fn is_pending(space: &Space, body: Offset) -> Result<bool, Error> {
        with(space, body, |queue| Ok(queue.is_pending()))
    }

    pub(crate) fn mark(space: &Space, body: Offset) -> Result<u64, Error> {
        with(space, body, |queue| Ok(queue.mark()))
    }

    pub(crate) fn wake(space: &Space, body: Offset) -> Result<(), Error> {
        with(space, body, |queue| {
            queue.wake_all();
            Ok(())
        })
    }

    /// How many bytes of an element lie in the queue, how many elements there may be, and those that there are, each
    /// behind its length.
    pub(crate) fn snapshot(
        space: &Space,
        body: Offset,
        deadline: Option<Instant>,
    ) -> Result<Vec<u8>, Error> {
        with(space, body, |queue| {
            let mut bytes = queue.inline().to_le_bytes().to_vec();
            bytes.extend_from_slice(&queue.capacity().to_le_bytes());
            for element in queue.peek_all(deadline)? {
                bytes.extend_from_slice(&(element.len() as u64).to_le_bytes());
                bytes.extend_from_slice(&element);
            }
            Ok(bytes)
        })
    }

    pub(crate) fn restore(space: &Space, found: &Found, bytes: &[u8]) -> Result<(), Error> {
        let (inline, bytes) = word_of(bytes);
        let (capacity, elements) = word_of(bytes);
        make_of(space, found, inline, capacity)?;
        with(space, found.body, |queue| {
            for element in elements_of(elements) {
                queue.try_push(element, None)?;
            }
            Ok(())
        })
    }
}

/// One wait for a queue: who gives up has another one look.
struct Wait {
    object: Arc<Object>,
    /// The thread that looked last: a lock belongs to a thread.
    me: Option<AgentRef>,
    state: QueueWaiting,
}

impl Wait {
    fn look<R>(
        &mut self,
        look: impl FnOnce(&Queue<'_, Commons>, &mut QueueWaiting) -> Result<Attempt<R>, Error>,
    ) -> Result<Attempt<R>, Error> {
        let object = Arc::clone(&self.object);
        object.check()?;
        let space = &*object.space;
        let me = space.commons.me()?;
        if self.me.is_some_and(|before| before != me) {
            self.give_up();
        }
        self.me = Some(me);
        let attempt = with(space, object.found.body, |queue| {
            if space.flags()? & STARTING != 0 {
                help_start(space);
                if queue.publish(None)? {
                    space.notify_activity();
                }
            }
            look(queue, &mut self.state)
        })?;
        // After the look, so that a removal since then moved the word.
        if let Attempt::Sleep(_) = attempt {
            object.check()?;
        } else {
            self.me = None;
            space.notify_activity();
        }
        Ok(attempt)
    }

    fn give_up(&mut self) {
        if self.me.take().is_some() && !self.object.space.commons.has_ended() {
            self.state = QueueWaiting::default();
            let _ = with(&self.object.space, self.object.found.body, |queue| {
                queue.pass_on();
                Ok(())
            });
        }
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        self.give_up();
    }
}

impl<T: 'static, C: Codec<T>> SharedQueue<T, C> {
    pub(crate) fn new(object: Arc<Object>) -> SharedQueue<T, C> {
        SharedQueue { object, patience: None, form: PhantomData }
    }

    pub(crate) fn object(&self) -> &Arc<Object> {
        &self.object
    }

    /// The same queue, as a handle whose `try_` operations wait no longer than this for another process that is just
    /// at it; see [`Shared::within`](crate::Shared::within).
    #[must_use]
    pub fn within(&self, patience: Duration) -> SharedQueue<T, C> {
        SharedQueue { patience: Some(patience), ..self.clone() }
    }

    fn deadline(&self) -> Option<Instant> {
        self.patience.and_then(|patience| Instant::now().checked_add(patience))
    }

    fn with<R>(
        &self,
        work: impl FnOnce(&Queue<'_, Commons>) -> Result<R, Error>,
    ) -> Result<R, Error> {
        let object = &*self.object;
        let result = object.check().and_then(|()| {
            with(&object.space, object.found.body, |queue| {
                if object.space.flags()? & STARTING != 0 {
                    // Whoever is to end the start may be dead.
                    help_start(&object.space);
                    if queue.publish(self.deadline())? {
                        object.space.notify_activity();
                    }
                }
                work(queue)
            })
        });
        result.map_err(|error| object.report(error))
    }

    fn wait(&self) -> Wait {
        let object = Arc::clone(&self.object);
        Wait { object, me: None, state: QueueWaiting::default() }
    }

    /// Pushes an element, and waits for room. While the share is stopped it waits in the queue, and comes at the
    /// start.
    ///
    /// # Errors
    /// It cannot be encoded; the queue was removed, also while this waits; there is no memory; the limit of the
    /// operation. Then it was not pushed.
    pub fn push(
        &self,
        element: &T,
    ) -> Operation<impl Source<Output = (), Error = Error> + use<T, C>> {
        let mut bytes = C::with_bytes(element, |bytes| Ok(bytes.to_vec()));
        let mut wait = self.wait();
        let space = Arc::clone(&self.object.space);
        waiting(&self.object.space.commons, "the queue had room", move || match &bytes {
            Ok(bytes) => {
                wait.look(|queue, state| space.with_room(|| queue.look_to_push(bytes, state, None)))
            }
            Err(_) => {
                let error = std::mem::replace(&mut bytes, Ok(Vec::new()));
                Err(error.err().unwrap_or_else(|| Error::timed_out("the queue had room")))
            }
        })
    }

    /// Pushes an element if there is room, and says whether there was.
    ///
    /// # Errors
    /// As for [`push`](Self::push).
    pub fn try_push(&self, element: &T) -> Result<bool, Error> {
        C::with_bytes(element, |bytes| {
            let space = &self.object.space;
            let is_pushed =
                self.with(|queue| space.with_room(|| queue.try_push(bytes, self.deadline())))?;
            space.notify_activity();
            Ok(is_pushed)
        })
    }

    /// Pops the first element, and waits for one. While the share is stopped nothing is popped.
    ///
    /// # Errors
    /// It does not decode, and is gone; the queue was removed, also while this waits; the limit of the operation.
    pub fn pop(&self) -> Operation<impl Source<Output = T, Error = Error> + use<T, C>> {
        let mut wait = self.wait();
        let mut bytes = Vec::new();
        waiting(&self.object.space.commons, "the queue had an element", move || {
            Ok(match wait.look(|queue, state| queue.look_to_pop(&mut bytes, state, None))? {
                Attempt::Sleep(sleep) => Attempt::Sleep(sleep),
                Attempt::Done(()) => {
                    let decoded = decode::<T, C>(&bytes);
                    Attempt::Done(decoded.map_err(|error| wait.object.report(error))?)
                }
            })
        })
    }

    /// Pops the first element, if there is one.
    ///
    /// # Errors
    /// As for [`pop`](Self::pop); the share is stopped ([`Error::is_stopped`]).
    pub fn try_pop(&self) -> Result<Option<T>, Error> {
        let mut bytes = Vec::new();
        if !self.with(|queue| queue.try_pop(&mut bytes, self.deadline()))? {
            return Ok(None);
        }
        self.object.space.notify_activity();
        decode::<T, C>(&bytes).map(Some).map_err(|error| self.object.report(error))
    }

    /// The element that would be popped next, which stays.
    ///
    /// # Errors
    /// As for [`pop`](Self::pop).
    pub fn peek(&self) -> Result<Option<T>, Error> {
        let mut bytes = Vec::new();
        if !self.with(|queue| queue.peek(&mut bytes, self.deadline()))? {
            return Ok(None);
        }
        decode::<T, C>(&bytes).map(Some).map_err(|error| self.object.report(error))
    }

    /// How many elements there are.
    ///
    /// # Errors
    /// It was removed.
    pub fn len(&self) -> Result<u64, Error> {
        self.with(|queue| Ok(queue.len()))
    }

    /// Whether there is none.
    ///
    /// # Errors
    /// It was removed.
    pub fn is_empty(&self) -> Result<bool, Error> {
        Ok(self.len()? == 0)
    }

    /// How many elements there may be.
    ///
    /// # Errors
    /// It was removed.
    pub fn capacity(&self) -> Result<u64, Error> {
        self.with(|queue| Ok(queue.capacity()))
    }

    /// Whether it was removed from its share.
    #[must_use]
    pub fn is_detached(&self) -> bool {
        self.object.is_detached().unwrap_or(true)
    }
}

impl<T, C> Clone for SharedQueue<T, C> {
    fn clone(&self) -> Self {
        SharedQueue { object: Arc::clone(&self.object), patience: self.patience, form: PhantomData }
    }
}

impl<T, C> fmt::Debug for SharedQueue<T, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SharedQueue<{}>({})", type_name::<T>(), self.object.found.serial)
    }
}
