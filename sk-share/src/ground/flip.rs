//! A value that changes as a whole: written aside, and committed by the store of its version.
//!
//! ```text
//!   0  lock      16 bytes, of which the last four are
//!  12  changes   u32, the event count of those who watch
//!  16  version   u64, the number of the last commit: its slot is `version & 1`
//!  24  begun     u64, the number of the last commit that somebody began
//!  32  slot 0    { length u64, check u64, block u64, 64 bytes }
//! 120  slot 1
//! ```
//!
//! The bytes of a slot lie in the slot if they are at most 64, else in the block of the arena. A slot
//! owns its block whether or not it is the one that counts, and the next commit but one writes into
//! the same block if it fits. So no block is given back while its bytes may count.
//!
//! To commit: `begun = version + 1`, fill the other slot, `version = version + 1`. A reader loads
//! `version`, copies that slot and then looks at `begun`: as long as that is at most one more than
//! the version it copied, nobody has begun to write where it read. So it outlives one whole commit
//! in the middle of its copy, never waits for a writer that stopped, and takes the lock only if
//! writers have overtaken it again and again.
//!
//! | dies | what is left | who goes on |
//! |---|---|---|
//! | before `version` is stored | the old value; `begun` is one ahead, the other slot is anything | the next writer begins the same number again |
//! | before others are woken | the new value | `deaths` moves, watchers look |
//!
//! There is nothing to repair: no state of the other slot matters. What the dead had reserved in the
//! arena is swept there.
//!
//! Pairs of orderings: (A2) of the lock. (A3) who loads a version sees its slot: release at the
//! commit, acquire in `read`. (A6) who copied a byte of a commit sees that it was begun: a release
//! fence after the store of `begun`, an acquire fence before it is looked at. (A7) of the event count.

use std::fmt;
use std::time::Instant;

use super::arena::{Arena, Reservation};
use super::element::checksum;
use super::event_count::EventCount;
use super::lock::{Guard, Lock};
use super::words::{Attempt, Ground, Offset, wait_for};
use crate::error::Error;
use crate::sync::modelled::{AtomicU64, Ordering, fence};

const CHANGES: u64 = 12;
const VERSION: u64 = 16;
const BEGUN: u64 = 24;
const SLOTS: u64 = 32;
const SLOT_BYTES: u64 = 88;

/// The longest value that lies in its slot. A model has few words.
const IN_PLACE: u64 = if cfg!(loom) { 8 } else { 64 };

/// How often a reader is overtaken before it takes the lock. A model gets there with few writers.
const TRIES: u32 = if cfg!(loom) { 1 } else { 8 };

/// A value in shared memory: bytes of any length, all of one commit.
///
/// Zeroed bytes are the empty value, version zero.
pub struct Flip<'g, G: Ground> {
    ground: &'g G,
    at: Offset,
    lock: Lock<'g, G>,
    changes: EventCount<'g, G>,
    version: &'g AtomicU64,
    begun: &'g AtomicU64,
    arena: Option<&'g Arena<'g, G>>,
}

/// What one copy of a slot came to.
enum Copied {
    Whole,
    Overtaken,
}

impl<'g, G: Ground> Flip<'g, G> {
    /// The bytes that it takes, at a multiple of eight.
    pub const BYTES: u64 = SLOTS + 2 * SLOT_BYTES;

    /// The value at `at`.
    ///
    /// # Errors
    ///
    /// Damaged, if none fits there.
    pub fn at(ground: &'g G, at: Offset) -> Result<Flip<'g, G>, Error> {
        if at.checked_add(Self::BYTES).is_none_or(|end| end > ground.length()) {
            return Err(Error::damaged_at("the place of a value", at, at));
        }
        Ok(Flip {
            ground,
            at,
            lock: Lock::at(ground, at)?,
            changes: EventCount::at(ground, at + CHANGES)?,
            version: ground.u64(at + VERSION)?,
            begun: ground.u64(at + BEGUN)?,
            arena: None,
        })
    }

    /// Where values of more than 64 bytes lie. The same for all who write this value.
    #[must_use]
    pub fn in_arena(self, arena: &'g Arena<'g, G>) -> Flip<'g, G> {
        Flip { arena: Some(arena), ..self }
    }

    /// The blocks that the value holds: at most one for the last commit and one for that before.
    ///
    /// # Errors
    ///
    /// None that could happen: the words were looked at when the value was found.
    pub fn blocks(&self) -> Result<Vec<Offset>, Error> {
        let mut blocks = Vec::new();
        for version in [0, 1] {
            blocks.push(self.ground.u64(self.slot(version).block())?.load(Ordering::Relaxed));
        }
        blocks.retain(|block| *block != 0);
        Ok(blocks)
    }

    /// Copies the value into `bytes`, which takes its length, and gives its version.
    ///
    /// No writer keeps a reader waiting, whatever has become of it, unless others have gone on to
    /// commit twice in each of eight copies. Then the reader takes the lock and waits for it until
    /// `deadline`.
    ///
    /// # Errors
    ///
    /// Damaged, if what was committed is not there any more; timeout and re-entry, if it came to
    /// the lock.
    pub fn read(&self, bytes: &mut Vec<u8>, deadline: Option<Instant>) -> Result<u64, Error> {
        for _ in 0..TRIES {
            let version = self.version();
            if let Copied::Whole = self.copy(version, bytes)? {
                return Ok(version);
            }
        }
        self.lock(deadline)?.read(bytes)
    }

    /// Commits `bytes`, after all that was committed before, and gives the version.
    ///
    /// # Errors
    ///
    /// Those of [`lock`](Flip::lock) and of [`Writer::commit`].
    pub fn write(&self, bytes: &[u8], deadline: Option<Instant>) -> Result<u64, Error> {
        self.lock(deadline)?.commit(bytes)
    }

    /// Keeps other writers away, for a change that depends on the value.
    ///
    /// # Errors
    ///
    /// Timeout, re-entry, damaged.
    pub fn lock(&self, deadline: Option<Instant>) -> Result<Writer<'_, 'g, G>, Error> {
        let mut guard = self.lock.lock_until(deadline)?;
        // Every state in which a writer can die is one from which the next commit starts.
        guard.repaired();
        Ok(Writer { flip: self, guard, deadline })
    }

    /// The number of the last commit.
    #[must_use]
    pub fn version(&self) -> u64 {
        // Acquire: (A3).
        self.version.load(Ordering::Acquire)
    }

    /// Waits until the version is not `seen`, and gives it. Commits that follow one another closely
    /// may be seen as one.
    ///
    /// # Errors
    ///
    /// Timeout.
    pub fn changed(&self, seen: u64, deadline: Option<Instant>) -> Result<u64, Error> {
        wait_for(self.ground, "the value changed", deadline, || Ok(self.look_for_change(seen)))
    }

    /// One look of who waits for a version other than `seen`.
    pub fn look_for_change(&self, seen: u64) -> Attempt<u64> {
        // Before the version: whoever dies between its commit and its wake is noticed.
        let deaths = self.ground.deaths();
        let mut version = self.version();
        if version == seen {
            let expected = self.changes.prepare();
            version = self.version();
            if version == seen {
                return Attempt::Sleep(self.changes.sleep(deaths, expected, None));
            }
        }
        Attempt::Done(version)
    }

    fn slot(&self, version: u64) -> Slot {
        Slot(self.at + SLOTS + (version & 1) * SLOT_BYTES)
    }

    /// Copies the slot of `version`, which was loaded with acquire (A3).
    fn copy(&self, version: u64, bytes: &mut Vec<u8>) -> Result<Copied, Error> {
        bytes.clear();
        if version == 0 {
            return Ok(Copied::Whole);
        }
        let ground = self.ground;
        let slot = self.slot(version);
        ground.point("flip.read.begin");
        let length = ground.u64(slot.length())?.load(Ordering::Relaxed);
        let check = ground.u64(slot.check())?.load(Ordering::Relaxed);
        let block = ground.u64(slot.block())?.load(Ordering::Relaxed);
        // Before memory is asked for: the length may be of another commit than the version.
        if self.is_overtaken(version) {
            return Ok(Copied::Overtaken);
        }
        let from = if length <= IN_PLACE { slot.bytes() } else { block };
        if length > IN_PLACE && !self.arena.is_some_and(|arena| arena.may_hold(block, length)) {
            return Err(Error::damaged_at("the block of a value", slot.block(), block));
        }
        if from.checked_add(length).is_none_or(|end| end > ground.length()) {
            return Err(Error::damaged_at("the length of a value", slot.length(), length));
        }
        let length = usize::try_from(length)
            .map_err(|_| Error::damaged_at("the length of a value", slot.length(), length))?;
        bytes.resize(length, 0);
        let copied = ground.copy_out(from, bytes);
        if self.is_overtaken(version) {
            return Ok(Copied::Overtaken);
        }
        copied?;
        let found = checksum(version, bytes);
        if found != check {
            return Err(Error::damaged_at("the checksum of a value", slot.check(), found));
        }
        Ok(Copied::Whole)
    }

    /// Whether somebody may have written into the slot of `version` since that was loaded.
    fn is_overtaken(&self, version: u64) -> bool {
        // Acquire: (A6).
        fence(Ordering::Acquire);
        self.ground.point("flip.read.look");
        self.begun.load(Ordering::Relaxed).wrapping_sub(version) > 1
    }
}

impl<G: Ground> fmt::Debug for Flip<'_, G> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Flip").field("at", &self.at).finish_non_exhaustive()
    }
}

/// Where a slot lies.
#[derive(Clone, Copy)]
struct Slot(Offset);

impl Slot {
    fn length(self) -> Offset {
        self.0
    }

    fn check(self) -> Offset {
        self.0 + 8
    }

    fn block(self) -> Offset {
        self.0 + 16
    }

    fn bytes(self) -> Offset {
        self.0 + 24
    }
}

/// Where the bytes of a commit lie.
enum Place<'f, 'g, G: Ground> {
    Slot,
    /// In the slot, and the block that the slot has is given back.
    SlotAlone(&'f Arena<'g, G>),
    /// In the block that the slot has.
    Again(Offset),
    New(Reservation<'f, 'g, G>),
}

/// The only one that may commit, until it is dropped.
pub struct Writer<'f, 'g, G: Ground> {
    flip: &'f Flip<'g, G>,
    guard: Guard<'g, G>,
    deadline: Option<Instant>,
}

impl<'f, 'g, G: Ground> Writer<'f, 'g, G> {
    /// Whether the last writer died: it may have committed, or not.
    #[must_use]
    pub fn was_abandoned(&self) -> bool {
        self.guard.was_abandoned()
    }

    /// The number of the last commit.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.flip.version()
    }

    /// Copies the value into `bytes`, which takes its length, and gives its version.
    ///
    /// # Errors
    ///
    /// Damaged.
    pub fn read(&self, bytes: &mut Vec<u8>) -> Result<u64, Error> {
        let version = self.version();
        match self.flip.copy(version, bytes)? {
            Copied::Whole => Ok(version),
            // Nobody writes while we hold the lock.
            Copied::Overtaken => {
                let begun = self.flip.begun.load(Ordering::Relaxed);
                Err(Error::damaged_at("the count of commits", self.flip.at + BEGUN, begun))
            }
        }
    }

    /// Where the bytes of the next commit lie. A block of the slot that is not needed any more is
    /// given back.
    fn place(&self, slot: Slot, length: u64) -> Result<Place<'f, 'g, G>, Error> {
        let block = self.flip.ground.u64(slot.block())?.load(Ordering::Relaxed);
        let Some(arena) = self.flip.arena else {
            let fits = length <= IN_PLACE;
            return if fits {
                Ok(Place::Slot)
            } else {
                Err(Error::too_long("a value without an arena", length, IN_PLACE))
            };
        };
        if length <= IN_PLACE {
            return Ok(if block == 0 { Place::Slot } else { Place::SlotAlone(arena) });
        }
        if block != 0 && arena.bytes_of(block)? == arena.bytes_for(length) {
            return Ok(Place::Again(block));
        }
        Ok(Place::New(arena.exchange(slot.block(), length, self.deadline)?))
    }

    /// Commits `bytes`, wakes all who watch, and gives the version.
    ///
    /// # Errors
    ///
    /// Full, if there is no room; damaged. Then the value is as it was.
    pub fn commit(&mut self, bytes: &[u8]) -> Result<u64, Error> {
        let Flip { ground, version, begun, .. } = *self.flip;
        let number = self.version();
        if begun.load(Ordering::Relaxed).wrapping_sub(number) > 1 {
            let found = begun.load(Ordering::Relaxed);
            return Err(Error::damaged_at("the count of commits", self.flip.at + BEGUN, found));
        }
        let next = number.wrapping_add(1);
        let slot = self.flip.slot(next);
        let length = bytes.len() as u64;
        // All that can fail for want of room comes before anything changes.
        let place = self.place(slot, length)?;
        ground.point("flip.begin");
        begun.store(next, Ordering::Relaxed);
        // Release: (A6).
        fence(Ordering::Release);
        ground.point("flip.begun");
        match place {
            Place::Slot => ground.copy_in(slot.bytes(), bytes)?,
            Place::SlotAlone(arena) => {
                ground.copy_in(slot.bytes(), bytes)?;
                // If the arena is in use for longer than we may wait, a later commit frees it.
                if let Err(error) = arena.release(slot.block(), self.deadline)
                    && !error.is_timeout()
                {
                    return Err(error);
                }
            }
            Place::Again(block) => ground.copy_in(block, bytes)?,
            Place::New(reservation) => {
                ground.copy_in(reservation.block(), bytes)?;
                reservation.link()?;
            }
        }
        ground.point("flip.filled");
        ground.u64(slot.length())?.store(length, Ordering::Relaxed);
        ground.u64(slot.check())?.store(checksum(next, bytes), Ordering::Relaxed);
        ground.point("flip.described");
        // Release: (A3). This store is the commit.
        version.store(next, Ordering::Release);
        ground.point("flip.committed");
        self.flip.changes.notify_all();
        ground.point("flip.woken");
        Ok(next)
    }
}

impl<G: Ground> fmt::Debug for Writer<'_, '_, G> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Writer").field("flip", &self.flip).finish_non_exhaustive()
    }
}
