//! A queue of bounded length: elements leave it in the order in which they came, each to one.
//!
//! ```text
//!   0  shape     u64, { "Queu" | bytes of an entry }, the maker, once
//!   8  capacity  u64, the maker, once
//!  16  ring      u64, a word of the arena: as many entries as `capacity`, or the next power of two
//!  64  pushing   lock, 16 bytes, of which the last four are
//!  76  items     u32, the event count of those who want an element
//!  80  filled    u64, from here on no entry behind the end has a block
//!  88  appended  u64, the end, if it is beyond `tail`: what lies between is not published
//!  96  seen      u64, what `freed` was when somebody who pushed last looked
//! 128  tail      u64, how many were pushed
//! 192  popping   lock, 16 bytes, of which the last four are
//! 204  room      u32, the event count of those who want room
//! 208  seen      u64, what `tail` was when somebody who popped last looked
//! 256  head      u64, how many were popped
//! 264  freed     u64, the entries of how many may be used anew
//! ```
//!
//! The numbers only grow; entry `n` of the ring lies at `n` modulo its length. Each side writes two lines of
//! its own, and looks at one of the other only when it has used up what it saw there: so somebody who
//! pushes and somebody who pops do not meet, neither at a lock nor at a line.
//!
//! **push**, with `pushing`: write the entry behind the end; store `tail`, the commit; unlock; count `items`.
//! **pop**, with `popping`: copy; store `head`, the commit; give the block back; store `freed`; unlock; count
//! `room`. Nobody writes an entry before it is freed, so that no element is torn.
//!
//! | dies | what is left | who goes on |
//! |---|---|---|
//! | before a push is committed | the entry behind the end is anything; its block, below `filled` | the next to push gives the block back |
//! | with elements that are not published | they are there | whoever publishes, or publishes again |
//! | before a pop is committed | the element | the next to pop |
//! | after it, before `freed` | an element that nobody has; its block | the next to pop, or to push if there is no room else |
//! | before others are woken | | `deaths` moves, they look |
//! | in `destroy` | the rest | `destroy` again |
//!
//! Pairs of orderings: (A2), (A4) of both locks. (A12) who loads a tail sees its entries: release at the
//! store, acquire where those who pop look. (A13) who loads `freed` comes after all that was read there:
//! release at the store, acquire where those who push look. (A7) of the event counts.

mod pop;
mod push;
mod wait;

use std::fmt;
use std::time::Instant;

pub use wait::QueueWaiting;

use super::arena::Arena;
use super::element::Shape;
use super::event_count::EventCount;
use super::gate::Gate;
use super::lock::Lock;
use super::words::{Ground, Offset};
use crate::error::Error;
use crate::sync::modelled::{AtomicU64, Ordering};

const SHAPE: u64 = 0;
const CAPACITY: u64 = 8;
const RING: u64 = 16;
const PUSHING: u64 = 64;
const ITEMS: u64 = 76;
const FILLED: u64 = 80;
const APPENDED: u64 = 88;
const FREED_SEEN: u64 = 96;
const TAIL: u64 = 128;
const POPPING: u64 = 192;
const ROOM: u64 = 204;
const TAIL_SEEN: u64 = 208;
const HEAD: u64 = 256;
const FREED: u64 = 264;

/// "Queu".
const KIND: u32 = 0x5175_6575;

/// A queue of byte strings in shared memory.
pub struct Queue<'g, G: Ground> {
    ground: &'g G,
    at: Offset,
    arena: &'g Arena<'g, G>,
    shape: Shape,
    capacity: u64,
    pushing: Lock<'g, G>,
    items: EventCount<'g, G>,
    filled: &'g AtomicU64,
    appended: &'g AtomicU64,
    freed_seen: &'g AtomicU64,
    tail: &'g AtomicU64,
    popping: Lock<'g, G>,
    room: EventCount<'g, G>,
    tail_seen: &'g AtomicU64,
    head: &'g AtomicU64,
    freed: &'g AtomicU64,
    gate: Option<Gate>,
}

impl<'g, G: Ground> Queue<'g, G> {
    /// The bytes of its header, at a multiple of 64.
    pub const BYTES: u64 = 320;

    /// The most elements that a queue may be made for.
    pub const MOST: u64 = 1 << 24;

    /// Makes an empty queue at `at`, where all bytes are zero and of which only the caller knows: for
    /// `capacity` elements at most, of which those of at most `inline` bytes lie in their entries and longer
    /// ones in blocks of their own.
    ///
    /// Whoever ends in the middle leaves what [`destroy`](Queue::destroy) gives back.
    ///
    /// # Errors
    ///
    /// A limit, if `capacity` is 0 or more than [`MOST`](Queue::MOST), if `inline` is more than
    /// 4080 or there is no room; timeout, damaged.
    pub fn create(
        ground: &'g G,
        at: Offset,
        arena: &'g Arena<'g, G>,
        inline: u64,
        capacity: u64,
        deadline: Option<Instant>,
    ) -> Result<Queue<'g, G>, Error> {
        if !(1..=Self::MOST).contains(&capacity) {
            return Err(Error::count("elements of a queue", capacity, Self::MOST));
        }
        let queue = Queue::place(ground, at, arena, Shape::new(inline)?, capacity)?;
        let Queue { shape, .. } = queue;
        ground.u64(at + CAPACITY)?.store(capacity, Ordering::Relaxed);
        ground.u64(at + SHAPE)?.store(shape.to_word(KIND), Ordering::Relaxed);
        ground.point("queue.create.described");
        let bytes = shape.bytes_for(arena, queue.slots());
        arena.exchange(at + RING, bytes, deadline)?.link()?;
        ground.point("queue.create.linked");
        Ok(queue)
    }

    /// The queue at `at`, whose entries lie in `arena`.
    ///
    /// # Errors
    ///
    /// Damaged, if there is none.
    pub fn at(ground: &'g G, at: Offset, arena: &'g Arena<'g, G>) -> Result<Queue<'g, G>, Error> {
        let end = at.checked_add(Self::BYTES).filter(|end| *end <= ground.length());
        end.ok_or_else(|| Error::damaged_at("the place of a queue", at, at))?;
        let found = ground.u64(at + SHAPE)?.load(Ordering::Relaxed);
        let shape = Shape::from_word(KIND, found)
            .ok_or_else(|| Error::damaged_at("the shape of a queue", at + SHAPE, found))?;
        let capacity = ground.u64(at + CAPACITY)?.load(Ordering::Relaxed);
        if !(1..=Self::MOST).contains(&capacity) {
            return Err(Error::damaged_at("the capacity of a queue", at + CAPACITY, capacity));
        }
        Queue::place(ground, at, arena, shape, capacity)
    }

    fn place(
        ground: &'g G,
        at: Offset,
        arena: &'g Arena<'g, G>,
        shape: Shape,
        capacity: u64,
    ) -> Result<Queue<'g, G>, Error> {
        let end = at.checked_add(Self::BYTES).filter(|end| *end <= ground.length());
        end.ok_or_else(|| Error::damaged_at("the place of a queue", at, at))?;
        Ok(Queue {
            ground,
            at,
            arena,
            shape,
            capacity,
            pushing: Lock::at(ground, at + PUSHING)?,
            items: EventCount::at(ground, at + ITEMS)?,
            filled: ground.u64(at + FILLED)?,
            appended: ground.u64(at + APPENDED)?,
            freed_seen: ground.u64(at + FREED_SEEN)?,
            tail: ground.u64(at + TAIL)?,
            popping: Lock::at(ground, at + POPPING)?,
            room: EventCount::at(ground, at + ROOM)?,
            tail_seen: ground.u64(at + TAIL_SEEN)?,
            head: ground.u64(at + HEAD)?,
            freed: ground.u64(at + FREED)?,
            gate: None,
        })
    }

    /// The same queue, where what is written waits while the gate is closed: what is pushed is pending then, and
    /// nothing is popped.
    #[must_use]
    pub fn behind(self, gate: Gate) -> Queue<'g, G> {
        Queue { gate: Some(gate), ..self }
    }

    /// Has all who wait look, since it is not what they came for any more.
    pub fn wake_all(&self) {
        self.pushing.wake_all();
        self.popping.wake_all();
        self.items.notify_all();
        self.room.notify_all();
    }

    /// After this nobody is still at a push or a pop that began before.
    ///
    /// # Errors
    ///
    /// Timeout, re-entry, damaged.
    pub fn take_locks_once(&self, deadline: Option<Instant>) -> Result<(), Error> {
        // What a dead holder left is for whoever comes to use it.
        drop(self.pushing.lock_until(deadline)?);
        drop(self.popping.lock_until(deadline)?);
        Ok(())
    }

    /// Whether something was pushed that is not published.
    #[must_use]
    pub fn is_pending(&self) -> bool {
        self.end() > self.tail.load(Ordering::Relaxed)
    }

    /// How many bytes of an element lie in its entry.
    #[must_use]
    pub fn inline(&self) -> u64 {
        self.shape.inline()
    }

    /// How often it was pushed to and popped from.
    #[must_use]
    pub fn mark(&self) -> u64 {
        let popped = self.head.load(Ordering::SeqCst);
        self.tail.load(Ordering::SeqCst).wrapping_add(popped)
    }

    /// All elements, which stay.
    ///
    /// # Errors
    ///
    /// Timeout, re-entry, damaged.
    pub fn peek_all(&self, deadline: Option<Instant>) -> Result<Vec<Vec<u8>>, Error> {
        self.copy_all(deadline)
    }

    fn is_closed(&self) -> Result<bool, Error> {
        Gate::is_shut(self.gate, self.ground)
    }

    /// Gives all blocks back, whatever the queue holds. Nobody else uses it any more. After a death in the
    /// middle, or an error, it is done again; in the end there is a header without a ring, of which each
    /// use is an error.
    ///
    /// # Errors
    ///
    /// Timeout, re-entry, damaged.
    pub fn destroy(&self, deadline: Option<Instant>) -> Result<(), Error> {
        let _pushing = self.pushing.lock_until(deadline)?;
        let _popping = self.popping.lock_until(deadline)?;
        let end = self.end().max(self.filled.load(Ordering::Relaxed));
        if self.load_ring()? != 0 {
            // As if all had been pushed, and popped.
            self.check_span(self.freed.load(Ordering::Relaxed), end)?;
            self.tail.store(end, Ordering::Release);
            self.ground.point("queue.destroy.begin");
            self.head.store(end, Ordering::Release);
            self.free_popped(deadline)?;
            self.ground.point("queue.destroy.freed");
            self.arena.release(self.at + RING, deadline)?;
        }
        self.ground.point("queue.destroy.done");
        Ok(())
    }

    /// All blocks that the queue holds.
    ///
    /// # Errors
    ///
    /// Timeout, re-entry, damaged.
    pub fn blocks(&self, deadline: Option<Instant>) -> Result<Vec<Offset>, Error> {
        let _pushing = self.pushing.lock_until(deadline)?;
        let _popping = self.popping.lock_until(deadline)?;
        let mut blocks = vec![self.load_ring()?];
        if blocks != [0] {
            let end = self.end().max(self.filled.load(Ordering::Relaxed));
            let freed = self.freed.load(Ordering::Relaxed);
            self.check_span(freed, end)?;
            for index in freed..end {
                blocks.push(self.block(index)?.1.load(Ordering::Relaxed));
            }
        }
        blocks.retain(|block| *block != 0);
        Ok(blocks)
    }

    /// How many elements there are to be popped.
    #[must_use]
    pub fn len(&self) -> u64 {
        // Acquire: (A12). The head first: it is never beyond a tail that was loaded later.
        let head = self.head.load(Ordering::Acquire);
        self.tail.load(Ordering::Acquire).saturating_sub(head).min(self.capacity)
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many elements there may be at once.
    #[must_use]
    pub fn capacity(&self) -> u64 {
        self.capacity
    }

    /// How many entries the ring has.
    fn slots(&self) -> u64 {
        self.capacity.next_power_of_two()
    }

    fn load_ring(&self) -> Result<u64, Error> {
        // Relaxed: whoever got to know of the queue knows of its ring.
        Ok(self.ground.u64(self.at + RING)?.load(Ordering::Relaxed))
    }

    /// Where the entry of a number is.
    #[inline]
    fn entry(&self, index: u64) -> Result<Offset, Error> {
        let ring = self.load_ring()?;
        let slots = self.slots();
        self.shape
            .first(self.arena, ring, slots)
            .map(|first| first + (index & (slots - 1)) * self.shape.stride())
            .ok_or_else(|| Error::damaged_at("the ring of a queue", self.at + RING, ring))
    }

    /// The numbers from `begin` to `end` must have entries of their own.
    #[inline]
    fn check_span(&self, begin: u64, end: u64) -> Result<(), Error> {
        if end.wrapping_sub(begin) > self.slots() || end < begin {
            return Err(Error::damaged_at("the numbers of a queue", begin, end));
        }
        Ok(())
    }
}

impl<G: Ground> fmt::Debug for Queue<'_, G> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Queue")
            .field("at", &self.at)
            .field("shape", &self.shape)
            .field("capacity", &self.capacity)
            .finish_non_exhaustive()
    }
}
