//! Writing a value, by whoever holds its lock.

use std::fmt;
use std::time::Instant;

use super::buffer::copy_in;
use super::{BEGUN, Buffer, Flip, IN_PLACE, Slot};
use crate::error::Error;
use crate::ground::arena::{Arena, Reservation};
use crate::ground::checksum::checksum;
use crate::ground::lock::{Guard, Lock};
use crate::ground::words::{Ground, Offset};
use crate::sync::modelled::{Ordering, fence};

/// Where the bytes of a commit lie.
enum Place<'g, G: Ground> {
    Slot,
    /// In the slot, and the block that the slot has is given back.
    SlotAlone(&'g Arena<'g, G>),
    /// In the block that the slot has.
    Again(Offset),
    New(Reservation<'g, 'g, G>),
}

/// The only one that may commit, until it is dropped.
pub struct Writer<'f, 'g, G: Ground> {
    flip: &'f Flip<'g, G>,
    guard: Guard<'g, G>,
    /// Behind the guard: dropped after it.
    notice: Notice<'f, 'g, G>,
    deadline: Option<Instant>,
}

/// Tells those who watch, when it is dropped, if there is something to tell.
struct Notice<'f, 'g, G: Ground> {
    flip: &'f Flip<'g, G>,
    is_due: bool,
}

impl<G: Ground> Drop for Notice<'_, '_, G> {
    #[inline(always)]
    fn drop(&mut self) {
        // The word was there when the value was found, and memory never shrinks.
        if self.is_due
            && !self.flip.ground.has_ended()
            && let Ok(changes) = self.flip.changes()
        {
            changes.notify_if_waited();
            self.flip.ground.point("flip.woken");
        }
    }
}

impl<'f, 'g, G: Ground> Writer<'f, 'g, G> {
    #[inline(always)]
    pub(super) fn begin(
        flip: &'f Flip<'g, G>,
        deadline: Option<Instant>,
    ) -> Result<Writer<'f, 'g, G>, Error> {
        let guard = Lock::of(flip.ground, flip.at, flip.owner).lock_until(deadline)?;
        Ok(Writer { flip, guard, notice: Notice { flip, is_due: false }, deadline })
    }

    /// Whether the last writer died: it may have committed, or not.
    #[inline]
    #[must_use]
    pub fn was_abandoned(&self) -> bool {
        self.guard.was_abandoned()
    }

    /// The number of the last commit.
    #[inline]
    #[must_use]
    pub fn version(&self) -> u64 {
        self.flip.version()
    }

    /// The value that it writes.
    #[inline]
    pub(crate) fn flip(&self) -> &'f Flip<'g, G> {
        self.flip
    }

    /// How long it waits for the books of the arena.
    #[inline]
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// What [`Flip::commit_held`] committed is whole.
    #[inline]
    pub(crate) fn repaired(&mut self) {
        self.guard.repaired();
    }

    /// Copies the value into `bytes`, which takes its length, and gives its version.
    ///
    /// # Errors
    ///
    /// Damaged.
    #[inline(always)]
    pub fn read<B: Buffer + ?Sized>(&self, bytes: &mut B) -> Result<u64, Error> {
        let version = self.version();
        // Nobody writes while we hold the lock.
        self.flip.copy_unless(version, bytes, || false)?;
        Ok(version)
    }

    /// Has the next commit, if it is of at most so many bytes, need no room that is not there already.
    ///
    /// # Errors
    ///
    /// Full, if there is no room; damaged. Then the value is as it was.
    pub fn reserve(&mut self, length: u64) -> Result<(), Error> {
        self.flip.reserve_held(length, self.deadline)
    }

    /// Commits `bytes`, and gives the version. All who watch are woken when the lock is given back.
    ///
    /// # Errors
    ///
    /// Full, if there is no room; damaged. Then the value is as it was.
    #[inline(always)]
    pub fn commit(&mut self, bytes: &[u8]) -> Result<u64, Error> {
        let next = self.stage(bytes)?;
        self.publish(next);
        Ok(next)
    }

    /// Writes `bytes` beside the value, and gives the version that they will be once they are
    /// [published](Writer::publish). Until then nothing has changed, and the next to stage begins the same version
    /// again.
    ///
    /// # Errors
    ///
    /// As for [`commit`](Writer::commit).
    #[inline(always)]
    pub fn stage(&mut self, bytes: &[u8]) -> Result<u64, Error> {
        let (next, place) = self.flip.next_place(bytes.len() as u64, self.deadline)?;
        // Every state in which a writer can die is one from which the next commit starts. Not before: who only
        // took the lock has not looked for a transaction that the dead one was in.
        self.guard.repaired();
        self.flip.fill(next, place, bytes, self.deadline)?;
        Ok(next)
    }

    /// Has what was staged as this version count. All who watch are woken when the lock is given back.
    #[inline(always)]
    pub fn publish(&mut self, next: u64) {
        self.flip.publish_held(next);
        self.notice.is_due = true;
    }
}

impl<G: Ground> fmt::Debug for Writer<'_, '_, G> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Writer").field("flip", &self.flip).finish_non_exhaustive()
    }
}

/// What the holder of the lock does. It does not ask for the guard: one that no function but inlined ones sees
/// need not lie in memory.
impl<'g, G: Ground> Flip<'g, G> {
    /// As [`Writer::commit`], for the holder of the lock, who then has the guard [repaired](Guard::repaired).
    pub(crate) fn commit_held(
        &self,
        bytes: &[u8],
        deadline: Option<Instant>,
    ) -> Result<u64, Error> {
        let (next, place) = self.next_place(bytes.len() as u64, deadline)?;
        self.fill(next, place, bytes, deadline)?;
        self.publish_held(next);
        self.changes()?.notify_all();
        self.ground.point("flip.woken");
        Ok(next)
    }

    /// The version of the next commit, and where its bytes lie. All that can fail for want of room comes here,
    /// before anything changes.
    #[inline(always)]
    fn next_place(
        &self,
        length: u64,
        deadline: Option<Instant>,
    ) -> Result<(u64, Place<'g, G>), Error> {
        let next = self.next()?;
        let place = self.place(self.slot(next), length, deadline)?;
        Ok((next, place))
    }

    /// Where so many bytes lie. A block of the slot that is not needed any more is given back.
    #[inline(always)]
    fn place(
        &self,
        slot: Slot<'g>,
        length: u64,
        deadline: Option<Instant>,
    ) -> Result<Place<'g, G>, Error> {
        let block = slot.block.load(Ordering::Relaxed);
        let Some(arena) = self.arena else {
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
        let has = if block == 0 { 0 } else { arena.bytes_of(block)? };
        if has == arena.bytes_for(length) {
            return Ok(Place::Again(block));
        }
        match arena.exchange(slot.block_word(), length, deadline) {
            Ok(reservation) => Ok(Place::New(reservation)),
            // One that is too large will do where there is no room for another.
            Err(error) if error.is_limit() && has >= length => Ok(Place::Again(block)),
            Err(error) => Err(error),
        }
    }

    /// As [`Writer::reserve`], for the holder of the lock.
    #[cold]
    pub(crate) fn reserve_held(&self, length: u64, deadline: Option<Instant>) -> Result<(), Error> {
        let next = self.next()?;
        let slot = self.slot(next);
        let Some(arena) = self.arena.filter(|_| length > IN_PLACE) else { return Ok(()) };
        let block = slot.block.load(Ordering::Relaxed);
        if block != 0 && arena.bytes_of(block)? >= length {
            return Ok(());
        }
        let reservation = arena.exchange(slot.block_word(), length, deadline)?;
        // As in `fill`: whoever still reads there finds that it was overtaken, before the block is another's.
        self.begin(next);
        reservation.link()
    }

    /// The number of the next commit.
    #[inline(always)]
    pub(super) fn next(&self) -> Result<u64, Error> {
        let number = self.version();
        let begun = self.begun.load(Ordering::Relaxed);
        if begun.wrapping_sub(number) > 1 {
            return Err(Error::damaged_at("the count of commits", self.at + BEGUN, begun));
        }
        Ok(number.wrapping_add(1))
    }

    /// Says that from here on the slot of the next commit is not read any more.
    #[inline(always)]
    fn begin(&self, next: u64) {
        self.begun.store(next, Ordering::Relaxed);
        // Release: (A6).
        fence(Ordering::Release);
        self.ground.point("flip.begun");
    }

    /// Writes the bytes of a commit beside the value.
    #[inline(always)]
    fn fill(
        &self,
        next: u64,
        place: Place<'g, G>,
        bytes: &[u8],
        deadline: Option<Instant>,
    ) -> Result<(), Error> {
        let ground = self.ground;
        let slot = self.slot(next);
        ground.point("flip.begin");
        self.begin(next);
        match place {
            Place::Slot => copy_in(slot.bytes, bytes),
            Place::SlotAlone(arena) => {
                copy_in(slot.bytes, bytes);
                // If the arena is in use for longer than we may wait, a later commit frees it.
                if let Err(error) = arena.release(slot.block_word(), deadline)
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
        slot.length.store(bytes.len() as u64, Ordering::Relaxed);
        slot.check.store(checksum(next, bytes), Ordering::Relaxed);
        ground.point("flip.described");
        Ok(())
    }

    #[inline(always)]
    fn publish_held(&self, next: u64) {
        // Release: (A3). This store is the commit.
        self.version.store(next, Ordering::Release);
        self.ground.point("flip.committed");
    }
}
