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
//! There is nothing to repair here: no state of the other slot matters, unless a transaction says that it counts
//! (then whoever stages next rolls it forward first, so the lock stays abandoned until somebody stages). What the dead had reserved in the
//! arena is swept there.
//!
//! Pairs of orderings: (A2) of the lock. (A3) who loads a version sees its slot: release at the
//! commit, acquire in `read`. (A6) who copied a byte of a commit sees that it was begun: a release
//! fence after the store of `begun`, an acquire fence before it is looked at. (A7) of the event count.

use std::fmt;
use std::time::Instant;

use super::arena::{Arena, Reservation};
use super::checksum::checksum;
use super::event_count::EventCount;
use super::lock::{Guard, Lock};
use super::words::{Attempt, Ground, Offset, wait_for};
use crate::error::Error;
use crate::sync::modelled::{AtomicU64, Ordering, fence};

const CHANGES: u64 = 12;
const BEGUN: u64 = 24;
const SLOTS: u64 = 32;
const SLOT_BYTES: u64 = 88;

/// All of it as words of eight bytes; the second one is two of four.
const WORDS: usize = 26;
/// Of a slot: length, check, block, and eight of bytes.
const SLOT_WORDS: usize = 11;

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
    owner: &'g AtomicU64,
    version: &'g AtomicU64,
    begun: &'g AtomicU64,
    slots: [&'g [AtomicU64; SLOT_WORDS]; 2],
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
    #[inline(always)]
    pub fn at(ground: &'g G, at: Offset) -> Result<Flip<'g, G>, Error> {
        let [owner, _, version, begun, slots @ ..] = ground.words::<WORDS>(at)?;
        let slots = slots
            .split_first_chunk()
            .and_then(|(even, odd)| Some([even, odd.first_chunk()?]))
            .ok_or_else(|| Error::damaged_at("the place of a value", at, at))?;
        Ok(Flip { ground, at, owner, version, begun, slots, arena: None })
    }

    /// Where values of more than 64 bytes lie. The same for all who write this value.
    #[inline(always)]
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
            blocks.push(self.slot(version).block.load(Ordering::Relaxed));
        }
        blocks.retain(|block| *block != 0);
        Ok(blocks)
    }

    /// The words of the arena that hold the blocks of the value.
    pub(crate) fn block_words(&self) -> [Offset; 2] {
        [0, 1].map(|version| self.slot(version).block_word())
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
    #[inline]
    pub fn read<B: Buffer + ?Sized>(
        &self,
        bytes: &mut B,
        deadline: Option<Instant>,
    ) -> Result<u64, Error> {
        self.read_with(bytes, || deadline)
    }

    /// As [`read`](Flip::read), where to know the deadline costs something.
    #[inline(always)]
    pub(crate) fn read_with<B: Buffer + ?Sized>(
        &self,
        bytes: &mut B,
        deadline: impl FnOnce() -> Option<Instant>,
    ) -> Result<u64, Error> {
        let version = self.version();
        if let Copied::Whole = self.copy(version, bytes)? {
            return Ok(version);
        }
        into(bytes, |copy| self.read_again(copy, deadline()))
    }

    /// As [`read`](Flip::read), of a value that lies in its slot and by one copy. `None`: it does not, or this was
    /// overtaken.
    #[inline(always)]
    pub(crate) fn read_short<B: Buffer + ?Sized>(
        &self,
        bytes: &mut B,
    ) -> Result<Option<u64>, Error> {
        let version = self.version();
        if self.slot(version).length.load(Ordering::Relaxed) > IN_PLACE {
            return Ok(None);
        }
        Ok(match self.copy(version, bytes)? {
            Copied::Whole => Some(version),
            Copied::Overtaken => None,
        })
    }

    /// For one who was overtaken.
    #[cold]
    fn read_again(&self, bytes: &mut Vec<u8>, deadline: Option<Instant>) -> Result<u64, Error> {
        for _ in 1..TRIES {
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
    /// If the last holder died in a transaction that counts, what it staged is rolled forward before anything else
    /// is staged: [`Writer::was_abandoned`] says so to all until somebody has staged.
    ///
    /// # Errors
    ///
    /// Timeout, re-entry, damaged.
    #[inline(always)]
    pub fn lock(&self, deadline: Option<Instant>) -> Result<Writer<'_, 'g, G>, Error> {
        let guard = Lock::of(self.ground, self.at, self.owner).lock_until(deadline)?;
        Ok(Writer { flip: self, guard, deadline })
    }

    /// Has the version that somebody staged count who died before it did, if that is still the next one.
    ///
    /// # Errors
    ///
    /// None that could happen: the words were looked at when the value was found.
    pub fn roll_forward(&self, staged: u64) -> Result<(), Error> {
        // Release: (A3), also where the one that staged it released nothing: we came by (A4) or (A11).
        let before = staged.wrapping_sub(1);
        let rolled =
            self.version.compare_exchange(before, staged, Ordering::AcqRel, Ordering::Relaxed);
        if rolled.is_ok() {
            self.changes()?.notify_all();
        }
        Ok(())
    }

    /// Copies what was staged as this version, whether or not it counts yet; `false` if it is overtaken.
    ///
    /// # Errors
    ///
    /// Damaged.
    pub fn read_staged<B: Buffer + ?Sized>(
        &self,
        staged: u64,
        bytes: &mut B,
    ) -> Result<bool, Error> {
        Ok(matches!(self.copy(staged, bytes)?, Copied::Whole))
    }

    /// The number of the last commit.
    #[inline]
    #[must_use]
    pub fn version(&self) -> u64 {
        // Acquire: (A3).
        self.version.load(Ordering::Acquire)
    }

    #[inline]
    fn changes(&self) -> Result<EventCount<'g, G>, Error> {
        EventCount::at(self.ground, self.at + CHANGES)
    }

    /// Waits until the version is beyond `seen`, and gives it. Commits that follow one another closely
    /// may be seen as one.
    ///
    /// # Errors
    ///
    /// Timeout.
    pub fn changed(&self, seen: u64, deadline: Option<Instant>) -> Result<u64, Error> {
        wait_for(self.ground, "the value changed", deadline, || self.look_for_change(seen))
    }

    /// One look of who waits for a version beyond `seen`, which may be one that is staged and does not count yet.
    ///
    /// # Errors
    ///
    /// None that could happen: the words were looked at when the value was found.
    pub fn look_for_change(&self, seen: u64) -> Result<Attempt<u64>, Error> {
        // Before the version: whoever dies between its commit and its wake is noticed.
        let deaths = self.ground.deaths();
        let mut version = self.version();
        if version <= seen {
            let changes = self.changes()?;
            let expected = changes.prepare();
            version = self.version();
            if version <= seen {
                return Ok(Attempt::Sleep(changes.sleep(deaths, expected, None)));
            }
        }
        Ok(Attempt::Done(version))
    }

    #[inline(always)]
    fn slot(&self, version: u64) -> Slot<'g> {
        let [even, odd] = self.slots;
        let (number, words) = if version & 1 == 0 { (0, even) } else { (1, odd) };
        let [length, check, block, bytes @ ..] = words;
        Slot { at: self.at + SLOTS + number * SLOT_BYTES, length, check, block, bytes }
    }

    /// Copies the slot of `version`, which was loaded with acquire (A3).
    #[inline(always)]
    fn copy<B: Buffer + ?Sized>(&self, version: u64, bytes: &mut B) -> Result<Copied, Error> {
        if version == 0 {
            bytes.of_length(0)?;
            return Ok(Copied::Whole);
        }
        let ground = self.ground;
        let slot = self.slot(version);
        ground.point("flip.read.begin");
        let length = slot.length.load(Ordering::Relaxed);
        let check = slot.check.load(Ordering::Relaxed);
        let block = slot.block.load(Ordering::Relaxed);
        let too_long = || Error::damaged_at("the length of a value", slot.at, length);
        if length > IN_PLACE {
            // Before memory is asked for: the length may be of another commit than the version.
            if self.is_overtaken(version) {
                return Ok(Copied::Overtaken);
            }
            if !self.arena.is_some_and(|arena| arena.may_hold(block, length)) {
                return Err(Error::damaged_at("the block of a value", slot.at, block));
            }
            if block.checked_add(length).is_none_or(|end| end > ground.length()) {
                return Err(too_long());
            }
        }
        let to = match bytes.of_length(usize::try_from(length).map_err(|_| too_long())?) {
            Ok(to) => to,
            Err(_) if self.is_overtaken(version) => return Ok(Copied::Overtaken),
            Err(error) => return Err(error),
        };
        // By what `to` is long, which a caller may know before it runs.
        let copied = if to.len() as u64 <= IN_PLACE {
            copy_out(slot.bytes, to);
            Ok(())
        } else {
            ground.copy_out(block, to)
        };
        if self.is_overtaken(version) {
            return Ok(Copied::Overtaken);
        }
        copied?;
        let found = checksum(version, to);
        if found != check {
            return Err(Error::damaged_at("the checksum of a value", slot.at, found));
        }
        Ok(Copied::Whole)
    }

    /// Whether somebody may have written into the slot of `version` since that was loaded.
    #[inline]
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

/// What a value is read into.
pub trait Buffer {
    /// So many bytes to be filled, or an error where there can be no such number.
    ///
    /// # Errors
    ///
    /// What the caller says of a value of another length than it can be.
    fn of_length(&mut self, length: usize) -> Result<&mut [u8], Error>;

    /// Whether it takes nothing that does not lie in the slot of a value.
    #[inline]
    fn is_short(&self) -> bool {
        false
    }
}

/// Reads by way of a buffer of its own. For paths that are seldom taken: a buffer that no other function ever sees
/// can be held in registers, if this is a part of whoever calls it.
#[inline(always)]
pub(crate) fn into<B: Buffer + ?Sized>(
    bytes: &mut B,
    read: impl FnOnce(&mut Vec<u8>) -> Result<u64, Error>,
) -> Result<u64, Error> {
    let mut copy = Vec::new();
    let version = read(&mut copy)?;
    bytes.of_length(copy.len())?.copy_from_slice(&copy);
    Ok(version)
}

/// It takes the length of the value.
impl Buffer for Vec<u8> {
    fn of_length(&mut self, length: usize) -> Result<&mut [u8], Error> {
        self.resize(length, 0);
        Ok(self)
    }
}

/// A value of any other length is damaged.
impl Buffer for [u8] {
    #[inline]
    fn of_length(&mut self, length: usize) -> Result<&mut [u8], Error> {
        let wanted = self.len() as u64;
        if self.len() == length {
            Ok(self)
        } else {
            Err(Error::damaged_at("the length of a value", wanted, length as u64))
        }
    }

    #[inline]
    fn is_short(&self) -> bool {
        self.len() as u64 <= IN_PLACE
    }
}

/// A slot, and where it lies.
#[derive(Clone, Copy)]
struct Slot<'g> {
    at: Offset,
    length: &'g AtomicU64,
    check: &'g AtomicU64,
    block: &'g AtomicU64,
    bytes: &'g [AtomicU64],
}

impl Slot<'_> {
    /// The word that holds its block.
    fn block_word(&self) -> Offset {
        self.at + 16
    }
}

/// As relaxed words, of which the last may be used in part.
#[inline(always)]
fn copy_out(words: &[AtomicU64], bytes: &mut [u8]) {
    let (whole, rest) = bytes.as_chunks_mut::<8>();
    let mut words = words.iter();
    for (to, word) in whole.iter_mut().zip(&mut words) {
        *to = word.load(Ordering::Relaxed).to_le_bytes();
    }
    if let Some(word) = words.next() {
        for (to, from) in rest.iter_mut().zip(word.load(Ordering::Relaxed).to_le_bytes()) {
            *to = from;
        }
    }
}

/// As relaxed words; what is left of the last one is zero.
#[inline(always)]
fn copy_in(words: &[AtomicU64], bytes: &[u8]) {
    let (whole, rest) = bytes.as_chunks::<8>();
    let mut words = words.iter();
    for (from, word) in whole.iter().zip(&mut words) {
        word.store(u64::from_le_bytes(*from), Ordering::Relaxed);
    }
    if !rest.is_empty()
        && let Some(word) = words.next()
    {
        let mut last = [0; 8];
        for (to, from) in last.iter_mut().zip(rest) {
            *to = *from;
        }
        word.store(u64::from_le_bytes(last), Ordering::Relaxed);
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

    /// Copies the value into `bytes`, which takes its length, and gives its version.
    ///
    /// # Errors
    ///
    /// Damaged.
    #[inline(always)]
    pub fn read<B: Buffer + ?Sized>(&self, bytes: &mut B) -> Result<u64, Error> {
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
    #[inline(always)]
    fn place(&self, slot: Slot<'g>, length: u64) -> Result<Place<'f, 'g, G>, Error> {
        let block = slot.block.load(Ordering::Relaxed);
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
        let has = if block == 0 { 0 } else { arena.bytes_of(block)? };
        if has == arena.bytes_for(length) {
            return Ok(Place::Again(block));
        }
        match arena.exchange(slot.block_word(), length, self.deadline) {
            Ok(reservation) => Ok(Place::New(reservation)),
            // One that is too large will do where there is no room for another.
            Err(error) if error.is_limit() && has >= length => Ok(Place::Again(block)),
            Err(error) => Err(error),
        }
    }

    /// The number of the next commit.
    #[inline(always)]
    fn next(&self) -> Result<u64, Error> {
        let number = self.version();
        let begun = self.flip.begun.load(Ordering::Relaxed);
        if begun.wrapping_sub(number) > 1 {
            return Err(Error::damaged_at("the count of commits", self.flip.at + BEGUN, begun));
        }
        Ok(number.wrapping_add(1))
    }

    /// Says that from here on the slot of the next commit is not read any more.
    #[inline(always)]
    fn begin(&self, next: u64) {
        self.flip.begun.store(next, Ordering::Relaxed);
        // Release: (A6).
        fence(Ordering::Release);
        self.flip.ground.point("flip.begun");
    }

    /// Has the next commit, if it is of at most so many bytes, need no room that is not there already.
    ///
    /// # Errors
    ///
    /// Full, if there is no room; damaged. Then the value is as it was.
    pub fn reserve(&mut self, length: u64) -> Result<(), Error> {
        let next = self.next()?;
        let slot = self.flip.slot(next);
        let Some(arena) = self.flip.arena.filter(|_| length > IN_PLACE) else { return Ok(()) };
        let block = slot.block.load(Ordering::Relaxed);
        if block != 0 && arena.bytes_of(block)? >= length {
            return Ok(());
        }
        let reservation = arena.exchange(slot.block_word(), length, self.deadline)?;
        // As in `stage`: whoever still reads there finds that it was overtaken, before the block is another's.
        self.begin(next);
        reservation.link()
    }

    /// Commits `bytes`, wakes all who watch, and gives the version.
    ///
    /// # Errors
    ///
    /// Full, if there is no room; damaged. Then the value is as it was.
    #[inline(always)]
    pub fn commit(&mut self, bytes: &[u8]) -> Result<u64, Error> {
        let next = self.stage(bytes)?;
        self.publish(next)?;
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
        let ground = self.flip.ground;
        let next = self.next()?;
        let slot = self.flip.slot(next);
        let length = bytes.len() as u64;
        // All that can fail for want of room comes before anything changes.
        let place = self.place(slot, length)?;
        ground.point("flip.begin");
        // Every state in which a writer can die is one from which the next commit starts. Not before: who only
        // took the lock has not looked for a transaction that the dead one was in.
        self.guard.repaired();
        self.begin(next);
        match place {
            Place::Slot => copy_in(slot.bytes, bytes),
            Place::SlotAlone(arena) => {
                copy_in(slot.bytes, bytes);
                // If the arena is in use for longer than we may wait, a later commit frees it.
                if let Err(error) = arena.release(slot.block_word(), self.deadline)
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
        slot.length.store(length, Ordering::Relaxed);
        slot.check.store(checksum(next, bytes), Ordering::Relaxed);
        ground.point("flip.described");
        Ok(next)
    }

    /// Has what was staged as this version count, and wakes all who watch.
    ///
    /// # Errors
    ///
    /// None that could happen: the words were looked at when the value was found.
    #[inline(always)]
    pub fn publish(&mut self, next: u64) -> Result<(), Error> {
        let ground = self.flip.ground;
        // All that can fail comes before anything changes.
        let changes = self.flip.changes()?;
        // Release: (A3). This store is the commit.
        self.flip.version.store(next, Ordering::Release);
        ground.point("flip.committed");
        changes.notify_all();
        ground.point("flip.woken");
        Ok(())
    }
}

impl<G: Ground> fmt::Debug for Writer<'_, '_, G> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Writer").field("flip", &self.flip).finish_non_exhaustive()
    }
}
