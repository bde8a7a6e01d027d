//! A list that grows at its end: a push costs the same with ten entries and with a million, and a
//! reader waits for nobody.
//!
//! ```text
//!   0  lock      16 bytes, of which the last four are
//!  12  changes   u32, the event count of those who watch
//!  16  shape     u64, { "List" | bytes of an entry }, the maker, once
//!  24  filled    u64, from here on no entry behind the end has a block
//!  32  appended  u64, the end, if it is beyond `length`: what lies between is not published
//!  64  length    u64, how many entries there are for readers
//!  72  epoch     u64, { changes 62 | LINKING 1 | COPYING 1 }
//! 128  segments  40 words of the arena: segment k is a block of 8 << k entries
//! 448  intent    { index u64, header u64, block u64, bytes of one entry }
//! ```
//!
//! What writers alone touch lies on the first line, what readers look at on the second.
//!
//! **push** writes the entry behind the end and stores `length`, which is the commit: several at once for
//! `extend`. No entry ever moves, so that a reader of others is not disturbed.
//!
//! **pop** and **truncate** store `length`, count `epoch` up and give the blocks back. A later push writes
//! into those entries: who copies one meanwhile finds the other `epoch`, and looks again.
//!
//! **set** of an element that fits its entry writes it into the intent first. The store of `epoch | COPYING` is
//! the commit; then it is copied into the entry, and `epoch` goes up. A reader takes that one element
//! from the intent while COPYING is set, so that a writer that stops there keeps nobody waiting. An
//! element in a block is linked to its entry by one store. The word that is to change and its new block are in
//! the intent, under LINKING: so a watcher can tell whether it has changed.
//!
//! A reader whose `epoch` does not move took everything from one state. After eight times it takes the lock.
//!
//! | dies | what is left | who goes on |
//! |---|---|---|
//! | before a push is committed | the entry behind the end is anything; its block, below `filled` | the next holder gives the block back |
//! | with entries that are not published | they are there | whoever publishes, or publishes again |
//! | before a set is committed | the old element; LINKING, and a block that the arena sweeps | the next holder counts `epoch` up |
//! | after a set is committed | the new one for all readers; COPYING, the entry is anything | the next holder copies again |
//! | after `length` was lowered | blocks below `filled`; `epoch` not counted | the next holder counts, then gives them back |
//! | in `destroy` | the rest | `destroy` again |
//!
//! Pairs of orderings: (A2), (A4) of the lock. (A9) who loads a length sees its entries: release at the
//! store, acquire in readers. (A10) who loads an `epoch` sees the intent or the entry that it speaks
//! of, and the length that was lowered before it: release at each store, acquire in readers. (A6), the
//! list's part: who copied a byte of a later use sees the `epoch` in between: a release fence after
//! that and before entry or intent are written, an acquire fence before it is looked at again. (A11)
//! who takes the block of an entry sees its bytes: release of `link`, acquire in readers; and whoever
//! copied a byte of a new user of that block sees that the entry has another one. (A7) of the event count.

mod place;
mod read;
mod write;

use std::fmt;
use std::time::Instant;

pub use read::Items;
use write::Held;

use super::arena::Arena;
use super::element::{BYTES, Shape};
use super::event_count::EventCount;
use super::gate::Gate;
use super::lock::Lock;
use super::words::{Attempt, Ground, Offset, wait_for};
use crate::error::Error;
use crate::sync::modelled::{AtomicU64, Ordering};

const CHANGES: u64 = 12;
const SHAPE: u64 = 16;
const FILLED: u64 = 24;
const APPENDED: u64 = 32;
const LENGTH: u64 = 64;
const EPOCH: u64 = 72;
const SEGMENTS: u64 = 128;
/// A model has few words.
const MOST_SEGMENTS: u64 = if cfg!(loom) { 4 } else { 40 };
/// Where the intent is, whose parts lie as those of an entry behind its index.
const INTENT: u64 = SEGMENTS + MOST_SEGMENTS * 8;
const INTENT_ENTRY: u64 = INTENT + 8;

/// "List".
const KIND: u32 = 0x4C69_7374;

/// In `epoch`: the intent counts in place of its entry.
const COPYING: u64 = 1;
/// In `epoch`: the entry that the intent names counts with the block that it names, once it has it.
const LINKING: u64 = 2;
const STATE: u64 = COPYING | LINKING;
const ONE_CHANGE: u64 = 4;

/// How often a reader is overtaken before it takes the lock. A model gets there with few writers.
const TRIES: u32 = if cfg!(loom) { 1 } else { 8 };

/// Which state of a list it was: another one whenever something was committed in between.
///
/// It may be another one although nothing was, after a death.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Version {
    changes: u64,
    length: u64,
}

impl Version {
    /// As one number, which is another one for another version as a rule.
    #[must_use]
    pub fn mark(&self) -> u64 {
        self.changes.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(self.length)
    }

    /// How many changes there were, of whatever kind, at least.
    #[must_use]
    pub fn writes(&self) -> u64 {
        self.changes.wrapping_add(self.length)
    }
}

/// Whether readers see at once what is appended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Seen {
    Now,
    OncePublished,
}

/// A list of byte strings in shared memory.
pub struct List<'g, G: Ground> {
    ground: &'g G,
    at: Offset,
    arena: &'g Arena<'g, G>,
    shape: Shape,
    lock: Lock<'g, G>,
    changes: EventCount<'g, G>,
    filled: &'g AtomicU64,
    appended: &'g AtomicU64,
    length: &'g AtomicU64,
    epoch: &'g AtomicU64,
    gate: Option<Gate>,
}

impl<'g, G: Ground> List<'g, G> {
    /// The bytes of a header for elements of which so many lie in their entries: a multiple of 64, at a
    /// multiple of 64.
    #[must_use]
    pub const fn bytes_for(inline: u64) -> u64 {
        (INTENT_ENTRY + BYTES + Shape::inline_for(inline)).next_multiple_of(64)
    }

    /// Makes an empty list at `at`, where all bytes are zero and of which only the caller knows.
    /// Elements of at most `inline` bytes lie in their entries, longer ones in blocks of their own.
    ///
    /// # Errors
    ///
    /// Too long, if `inline` is more than 4080; damaged, if no list fits there.
    pub fn create(
        ground: &'g G,
        at: Offset,
        arena: &'g Arena<'g, G>,
        inline: u64,
    ) -> Result<List<'g, G>, Error> {
        let shape = Shape::new(inline)?;
        let list = List::place(ground, at, arena, shape)?;
        ground.u64(at + SHAPE)?.store(shape.to_word(KIND), Ordering::Relaxed);
        Ok(list)
    }

    /// The list at `at`, whose entries lie in `arena`.
    ///
    /// # Errors
    ///
    /// Damaged, if there is none.
    pub fn at(ground: &'g G, at: Offset, arena: &'g Arena<'g, G>) -> Result<List<'g, G>, Error> {
        let shape = at.checked_add(SHAPE).ok_or_else(|| Error::damaged_at("a list", at, at))?;
        let found = ground.u64(shape)?.load(Ordering::Relaxed);
        let shape = Shape::from_word(KIND, found)
            .ok_or_else(|| Error::damaged_at("the shape of a list", shape, found))?;
        List::place(ground, at, arena, shape)
    }

    fn place(
        ground: &'g G,
        at: Offset,
        arena: &'g Arena<'g, G>,
        shape: Shape,
    ) -> Result<List<'g, G>, Error> {
        let end = at.checked_add(Self::bytes_for(shape.inline()));
        if end.is_none_or(|end| end > ground.length()) {
            return Err(Error::damaged_at("the place of a list", at, at));
        }
        Ok(List {
            ground,
            at,
            arena,
            shape,
            lock: Lock::at(ground, at)?,
            changes: EventCount::at(ground, at + CHANGES)?,
            filled: ground.u64(at + FILLED)?,
            appended: ground.u64(at + APPENDED)?,
            length: ground.u64(at + LENGTH)?,
            epoch: ground.u64(at + EPOCH)?,
            gate: None,
        })
    }

    /// The same list, where what is written waits while the gate is closed: appended elements are pending then, and
    /// everything else is an error.
    #[must_use]
    pub fn behind(self, gate: Gate) -> List<'g, G> {
        List { gate: Some(gate), ..self }
    }

    /// After this nobody is still at a change that began before.
    ///
    /// # Errors
    ///
    /// Timeout, re-entry, damaged.
    pub fn take_lock_once(&self, deadline: Option<Instant>) -> Result<(), Error> {
        self.hold(deadline).map(drop)
    }

    /// Whether something was appended that is not published.
    #[must_use]
    pub fn is_pending(&self) -> bool {
        self.appended.load(Ordering::Relaxed) > self.length.load(Ordering::Relaxed)
    }

    /// How many bytes of an element lie in its entry.
    #[must_use]
    pub fn inline(&self) -> u64 {
        self.shape.inline()
    }

    /// Has all who watch look, since it is not what they came for any more.
    pub fn wake_all(&self) {
        self.changes.notify_all();
    }

    /// Gives all blocks back, whatever the list holds. Nobody else uses it any more. After a death in the
    /// middle, or an error, it is done again; in the end it is an empty list.
    ///
    /// # Errors
    ///
    /// Timeout, re-entry, damaged.
    pub fn destroy(&self, deadline: Option<Instant>) -> Result<(), Error> {
        self.hold(deadline)?.destroy(deadline)
    }

    /// All blocks that the list holds.
    ///
    /// # Errors
    ///
    /// Timeout, re-entry, damaged.
    pub fn blocks(&self, deadline: Option<Instant>) -> Result<Vec<Offset>, Error> {
        self.hold(deadline)?.blocks()
    }

    /// Appends an element, and gives its index. What was appended before and is not published yet is
    /// published with it, since it comes first.
    ///
    /// # Errors
    ///
    /// Full, if there is no room; timeout, re-entry, damaged. Then the list is as it was.
    #[inline]
    pub fn push(&self, bytes: &[u8], deadline: Option<Instant>) -> Result<u64, Error> {
        self.append(std::iter::once(bytes), Seen::Now, deadline)
    }

    /// Appends all elements of an iterator with one commit, and gives the index of the first. The lock is
    /// held meanwhile, so the iterator must not ask for this list.
    ///
    /// # Errors
    ///
    /// As for [`push`](List::push); then none of them is in the list.
    pub fn extend<B: AsRef<[u8]>>(
        &self,
        elements: impl IntoIterator<Item = B>,
        deadline: Option<Instant>,
    ) -> Result<u64, Error> {
        self.append(elements, Seen::Now, deadline)
    }

    /// Appends all elements of an iterator, which are in the list once they are
    /// [published](List::publish), and gives the index that the first will have.
    ///
    /// # Errors
    ///
    /// As for [`push`](List::push); then none of them will be in the list.
    pub fn extend_pending<B: AsRef<[u8]>>(
        &self,
        elements: impl IntoIterator<Item = B>,
        deadline: Option<Instant>,
    ) -> Result<u64, Error> {
        self.append(elements, Seen::OncePublished, deadline)
    }

    /// Appends an element that is in the list once it is [published](List::publish), and gives the index
    /// that it will have.
    ///
    /// # Errors
    ///
    /// As for [`push`](List::push).
    pub fn push_pending(&self, bytes: &[u8], deadline: Option<Instant>) -> Result<u64, Error> {
        self.append(std::iter::once(bytes), Seen::OncePublished, deadline)
    }

    /// Has everybody see all that is pending, by one store, and says whether there was any. Done again, it changes nothing; nor does it where the
    /// gate is closed, as it may be again for one who saw it open and came late.
    ///
    /// # Errors
    ///
    /// Timeout, re-entry, damaged.
    pub fn publish(&self, deadline: Option<Instant>) -> Result<bool, Error> {
        let held = self.hold(deadline)?;
        // Where nothing is pending nobody is told: those who wait publish too, and would wake each other for ever.
        if Gate::is_shut(self.gate, self.ground)? || self.end() == self.len() {
            return Ok(false);
        }
        held.publish();
        drop(held);
        self.changes.notify_all();
        Ok(true)
    }

    #[inline]
    fn append<B: AsRef<[u8]>>(
        &self,
        elements: impl IntoIterator<Item = B>,
        seen: Seen,
        deadline: Option<Instant>,
    ) -> Result<u64, Error> {
        let held = self.hold(deadline)?;
        let seen = if Gate::is_shut(self.gate, self.ground)? { Seen::OncePublished } else { seen };
        let index = held.append(elements, seen, deadline)?;
        drop(held);
        if seen == Seen::Now {
            self.changes.notify_all();
        }
        Ok(index)
    }

    /// Removes the last element and appends it to `out`; false, if there is none.
    ///
    /// # Errors
    ///
    /// Busy, while entries are pending, which come behind the last one; timeout, re-entry, damaged. Then
    /// the list is as it was.
    pub fn pop(&self, out: &mut Vec<u8>, deadline: Option<Instant>) -> Result<bool, Error> {
        let held = self.hold(deadline)?;
        Gate::check(self.gate, self.ground, "to pop from a list")?;
        let is_there = held.pop(out, deadline)?;
        drop(held);
        if is_there {
            self.changes.notify_all();
        }
        Ok(is_there)
    }

    /// Removes all elements from index `length` on.
    ///
    /// # Errors
    ///
    /// As for [`pop`](List::pop).
    pub fn truncate(&self, length: u64, deadline: Option<Instant>) -> Result<(), Error> {
        let held = self.hold(deadline)?;
        Gate::check(self.gate, self.ground, "to truncate a list")?;
        held.truncate(length, deadline)?;
        drop(held);
        self.changes.notify_all();
        Ok(())
    }

    /// Removes all elements.
    ///
    /// # Errors
    ///
    /// As for [`pop`](List::pop).
    pub fn clear(&self, deadline: Option<Instant>) -> Result<(), Error> {
        self.truncate(0, deadline)
    }

    /// Puts `bytes` in the place of an element; false, if there is no such index.
    ///
    /// # Errors
    ///
    /// As for [`push`](List::push).
    pub fn set(&self, index: u64, bytes: &[u8], deadline: Option<Instant>) -> Result<bool, Error> {
        let held = self.hold(deadline)?;
        Gate::check(self.gate, self.ground, "to set an element of a list")?;
        let is_there = held.set(index, bytes, deadline)?;
        drop(held);
        if is_there {
            self.changes.notify_all();
        }
        Ok(is_there)
    }

    /// Changes an element by what it is, with the lock held; false, if there is no such index.
    ///
    /// # Errors
    ///
    /// As for [`push`](List::push).
    pub fn update(
        &self,
        index: u64,
        change: impl FnOnce(&mut Vec<u8>),
        deadline: Option<Instant>,
    ) -> Result<bool, Error> {
        let held = self.hold(deadline)?;
        Gate::check(self.gate, self.ground, "to change an element of a list")?;
        let mut bytes = Vec::new();
        if !held.get(index, &mut bytes)? {
            return Ok(false);
        }
        change(&mut bytes);
        held.set(index, &bytes, deadline)?;
        drop(held);
        self.changes.notify_all();
        Ok(true)
    }

    /// Waits until the list is not as it was `seen`, and gives its version. Changes that follow one
    /// another closely may be seen as one.
    ///
    /// # Errors
    ///
    /// Timeout, damaged.
    pub fn changed(&self, seen: Version, deadline: Option<Instant>) -> Result<Version, Error> {
        wait_for(self.ground, "the list changed", deadline, || self.look_for_change(seen))
    }

    /// One look of who waits for a version other than `seen`.
    ///
    /// # Errors
    ///
    /// Damaged.
    pub fn look_for_change(&self, seen: Version) -> Result<Attempt<Version>, Error> {
        // Before the version: whoever dies between its commit and its wake is noticed.
        let deaths = self.ground.deaths();
        let mut version = self.version()?;
        if version == seen {
            let expected = self.changes.prepare();
            version = self.version()?;
            if version == seen {
                return Ok(Attempt::Sleep(self.changes.sleep(deaths, expected, None)));
            }
        }
        Ok(Attempt::Done(version))
    }

    fn hold(&self, deadline: Option<Instant>) -> Result<Held<'_, 'g, G>, Error> {
        Held::new(self, deadline)
    }
}

impl<G: Ground> fmt::Debug for List<'_, G> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("List")
            .field("at", &self.at)
            .field("shape", &self.shape)
            .finish_non_exhaustive()
    }
}
