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
//! Watchers are told once the lock is given back, which costs a load where there are none: unlocking is sequentially
//! consistent, and so is the look at `owner` of who watches, before its second look at the version. So either
//! the writer sees that somebody waits, or that one sees the commit.
//!
//! There is nothing to repair here: no state of the other slot matters, unless a transaction says that it counts
//! (then whoever stages next rolls it forward first, so the lock stays abandoned until somebody stages). What the dead had reserved in the
//! arena is swept there.
//!
//! Pairs of orderings: (A2) of the lock. (A3) who loads a version sees its slot: release at the
//! commit, acquire in `read`. (A6) who copied a byte of a commit sees that it was begun: a release
//! fence after the store of `begun`, an acquire fence before it is looked at. (A7) of the event count.

mod buffer;
mod writer;

use std::fmt;
use std::time::Instant;

pub use buffer::Buffer;
use buffer::copy_out;
pub(crate) use buffer::into;
pub use writer::Writer;

use super::arena::Arena;
use super::checksum::checksum;
use super::event_count::EventCount;
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

    /// Whether a value lies in its slot, whatever its slot held before.
    #[inline(always)]
    pub(crate) fn is_short(bytes: &[u8]) -> bool {
        bytes.len() as u64 <= IN_PLACE
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
        for _ in (0..TRIES).skip(1) {
            let version = self.version();
            if let Copied::Whole = self.copy(version, bytes)? {
                return Ok(version);
            }
        }
        let writer = self.lock(deadline)?;
        // Who was overtaken by nobody found a damaged count.
        self.next()?;
        writer.read(bytes)
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
        Writer::begin(self, deadline)
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

    /// The number of the last commit, for who has said that it waits.
    pub(crate) fn version_for_watchers(&self) -> u64 {
        // Sequentially consistent: not before the unlock of whoever did not see that somebody waits. Acquire: (A2).
        self.owner.load(Ordering::SeqCst);
        self.version()
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
            version = self.version_for_watchers();
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
        self.copy_unless(version, bytes, || self.is_overtaken(version))
    }

    /// As [`copy`](Flip::copy), by who says whether it is overtaken: it never is for the holder of the lock.
    #[inline(always)]
    fn copy_unless<B: Buffer + ?Sized>(
        &self,
        version: u64,
        bytes: &mut B,
        is_overtaken: impl Fn() -> bool,
    ) -> Result<Copied, Error> {
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
            if is_overtaken() {
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
            Err(_) if is_overtaken() => return Ok(Copied::Overtaken),
            Err(error) => return Err(error),
        };
        // By what `to` is long, which a caller may know before it runs.
        let copied = if to.len() as u64 <= IN_PLACE {
            copy_out(slot.bytes, to);
            Ok(())
        } else {
            ground.copy_out(block, to)
        };
        if is_overtaken() {
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
