//! Named objects in shared memory: who has which name, who holds it, and when its memory is free.
//!
//! ```text
//!    0  lock       16 bytes
//!   16  serial     u64      the last number that was given to an object
//!   24  detached   u64      how many objects are detached and not freed yet   (derived)
//!   32  changes    u32      the event count of those who wait for names
//!   64  segments   16 u64   blocks of entries: 64, 128, 256, ...
//!  192  holders    512 u64  for each row of the roster the member that may have pins
//!
//! entry: { serial u64, hash u64, state u64, block u64 }
//! block: { serial u64, kind u32, detached u32, body u64, fingerprint u64, name u64, type u64, spare u32, 12 free }
//!        { pins 8 u64 }, the body at the next multiple of 64, then the names
//! ```
//!
//! An object is named by { index of its entry, serial }. No two objects ever have the same serial, so who
//! holds an old name never meets another object under it.
//!
//! **Pins.** Each process that has handles of an object has its bit set among the pins of the object. The memory of
//! an object is given back when it is detached (it has no name any more) and no living process has its
//! bit set. So whoever has a handle may use the object's words without asking, whatever became of its
//! name. A bit belongs to the member that `holders` says; whoever joins in the row of a dead one clears the bits
//! of that row first.
//!
//! | dies | what is left | who goes on |
//! |---|---|---|
//! | with the lock, the block not linked | a reservation | the arena |
//! | with the lock, the block linked, no serial | an entry without serial | repair: destroyed, freed |
//! | with the lock, the serial stored | the object | |
//! | with the lock, state DETACHED | handles do not know | repair: tells them |
//! | while it frees | DETACHED, without pins | repair or the next reap: frees it again |
//! | with pins | bits of a dead member | reap: they do not count |
//!
//! All words but those of a block are used under the lock only. `detached` in a block is also read by those who
//! hold the object: release when it is set, acquire when it is read (A9).

use std::time::Instant;

use super::arena::Arena;
use super::event_count::EventCount;
use super::lock::{Guard, Lock};
use super::words::{Attempt, Ground, Offset};
use crate::error::{Error, Reason};
use crate::sync::modelled::Ordering;

const SERIAL: u64 = 16;
const DETACHED_COUNT: u64 = 24;
const CHANGES: u64 = 32;
const SEGMENTS: u64 = 64;
const MOST_SEGMENTS: u64 = 16;
const HOLDERS: u64 = 192;
/// A model has few words.
const ROWS: u64 = if cfg!(loom) { 4 } else { 512 };

const ENTRY_BYTES: u64 = 32;
const FIRST_SEGMENT: u64 = if cfg!(loom) { 2 } else { 64 };

/// The state of an entry: it has a name.
const NAMED: u64 = 0;
const DETACHED: u64 = 1;

/// In a block.
const KIND: u64 = 8;
const IS_DETACHED: u64 = 12;
const BODY: u64 = 16;
const FINGERPRINT: u64 = 24;
const NAME: u64 = 32;
const TYPE_NAME: u64 = 40;
const SPARE: u64 = 48;
const PINS: u64 = 64;
const PIN_WORDS: u64 = 8;
const HEADER_BYTES: u64 = 128;

/// The longest name of an object, and of a type as far as it is kept.
pub const MOST_NAME: usize = 4096;

/// What an object is of, for whoever finds it by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spec<'s> {
    /// Which collection, lock or value.
    pub kind: u32,
    /// Says whether two types are the same.
    pub fingerprint: u64,
    /// For messages.
    pub type_name: &'s str,
    /// How many bytes its body has.
    pub bytes: u64,
}

/// An object that somebody found, pinned for the process that did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found {
    /// Its entry.
    pub index: u64,
    /// Its number.
    pub serial: u64,
    /// Its block.
    pub block: Offset,
    /// Where its body begins.
    pub body: Offset,
    /// Which collection, lock or value.
    pub kind: u32,
    /// What says whether two types are the same.
    pub fingerprint: u64,
}

impl Found {
    /// A `u32` beside the mark of removal, for the kind to use: on a line that is seldom written.
    #[must_use]
    pub fn spare(&self) -> Offset {
        self.block + SPARE
    }

    /// The `u32` that is not 0 once the object was removed; loaded with acquire (A9).
    #[must_use]
    pub fn mark_of_removal(&self) -> Offset {
        self.block + IS_DETACHED
    }
}

/// What the directory does not know of the objects that it holds.
pub trait Objects<G: Ground> {
    /// Gives back what an object holds besides its block. It may be called again after a death within, and for an
    /// object that was not made to the end: of zeros, or of zeros and some of what makes it.
    ///
    /// # Errors
    ///
    /// Those of the arena.
    fn destroy(&self, kind: u32, body: Offset) -> Result<(), Error>;

    /// Wakes all who sleep on an object, which is detached.
    fn wake(&self, found: &Found);

    /// Whether the member with these bits is gone.
    fn is_gone(&self, member: u64) -> bool;
}

/// The names of a share.
pub struct Directory<'g, G: Ground> {
    ground: &'g G,
    arena: &'g Arena<'g, G>,
    at: Offset,
    /// The row of the calling process.
    row: u64,
}

/// The directory while nobody else changes it.
pub struct Open<'d, 'g, G: Ground, O> {
    directory: &'d Directory<'g, G>,
    objects: &'d O,
    deadline: Option<Instant>,
    guard: Guard<'g, G>,
}

impl<'g, G: Ground> Directory<'g, G> {
    /// The bytes that it takes.
    pub const BYTES: u64 = HOLDERS + ROWS * 8;

    /// The directory at `at`, of zeros at first, for a process whose row is `row`.
    ///
    /// # Errors
    ///
    /// Damaged, if it does not lie in the memory or there is no such row.
    pub fn at(
        ground: &'g G,
        arena: &'g Arena<'g, G>,
        at: Offset,
        row: u64,
    ) -> Result<Directory<'g, G>, Error> {
        ground.u64(at + Self::BYTES - 8)?;
        if row >= ROWS {
            return Err(Error::damaged_at("the row of a member", at, row));
        }
        Ok(Directory { ground, arena, at, row })
    }

    /// Keeps others away, and repairs what one left who died.
    ///
    /// # Errors
    ///
    /// Timeout, re-entry, damaged.
    pub fn open<'d, O: Objects<G>>(
        &'d self,
        objects: &'d O,
        deadline: Option<Instant>,
    ) -> Result<Open<'d, 'g, G, O>, Error> {
        let guard = Lock::at(self.ground, self.at)?.lock_until(deadline)?;
        let mut open = Open { directory: self, objects, deadline, guard };
        if open.guard.was_abandoned() {
            self.ground.point("directory.repair");
            open.repair()?;
            open.guard.repaired();
        }
        Ok(open)
    }

    /// How often names came and went, for who waits for the next time.
    ///
    /// # Errors
    ///
    /// Damaged.
    pub fn changes(&self) -> Result<EventCount<'g, G>, Error> {
        EventCount::at(self.ground, self.at + CHANGES)
    }

    /// Waits until `look`, which takes the lock itself, finds something; it looks whenever a name comes or goes.
    ///
    /// # Errors
    ///
    /// Those of `look`.
    pub fn look_for<R>(
        &self,
        mut look: impl FnMut() -> Result<Option<R>, Error>,
    ) -> Result<Attempt<R>, Error> {
        let deaths = self.ground.deaths();
        if let Some(found) = look()? {
            return Ok(Attempt::Done(found));
        }
        let changes = self.changes()?;
        let expected = changes.prepare();
        Ok(match look()? {
            Some(found) => Attempt::Done(found),
            None => Attempt::Sleep(changes.sleep(deaths, expected, None)),
        })
    }

    /// Says that this process has no handle of the object any more. Whether it is to be freed is looked at by
    /// [`Open::reap`].
    ///
    /// # Errors
    ///
    /// Damaged.
    pub fn unpin(&self, found: &Found) -> Result<(), Error> {
        let pins = self.ground.u64(found.block + PINS + self.row / 64 * 8)?;
        // Release: who frees the object comes after all that this process did with it; (A10).
        pins.fetch_and(!(1 << (self.row % 64)), Ordering::Release);
        Ok(())
    }

    /// Whether the object has lost its name.
    ///
    /// # Errors
    ///
    /// Damaged.
    #[inline]
    pub fn is_detached(ground: &G, found: &Found) -> Result<bool, Error> {
        // Acquire: (A9).
        Ok(ground.u32(found.block + IS_DETACHED)?.load(Ordering::Acquire) != 0)
    }

    fn word(&self, at: u64) -> Result<u64, Error> {
        Ok(self.ground.u64(at)?.load(Ordering::Relaxed))
    }

    fn set(&self, at: u64, value: u64) -> Result<(), Error> {
        self.ground.u64(at)?.store(value, Ordering::Relaxed);
        Ok(())
    }
}

/// Where an entry lies.
#[derive(Clone, Copy)]
struct Entry {
    index: u64,
    at: Offset,
}

impl Entry {
    fn serial(self) -> Offset {
        self.at
    }

    fn hash(self) -> Offset {
        self.at + 8
    }

    fn state(self) -> Offset {
        self.at + 16
    }

    fn block(self) -> Offset {
        self.at + 24
    }
}

/// The first entry of a segment, and how many it has.
fn segment(number: u64) -> (u64, u64) {
    (FIRST_SEGMENT * ((1 << number) - 1), FIRST_SEGMENT << number)
}

impl<G: Ground, O: Objects<G>> Open<'_, '_, G, O> {
    fn word(&self, at: u64) -> Result<u64, Error> {
        self.directory.word(at)
    }

    fn header(&self, at: u64) -> Result<u64, Error> {
        self.word(self.directory.at + at)
    }

    /// All entries that there are.
    fn entries(&self) -> Result<impl Iterator<Item = Entry>, Error> {
        let mut blocks = Vec::new();
        for number in 0..MOST_SEGMENTS {
            match self.header(SEGMENTS + number * 8)? {
                0 => break,
                block => blocks.push((number, block)),
            }
        }
        Ok(blocks.into_iter().flat_map(|(number, block)| {
            let (first, count) = segment(number);
            (0..count).map(move |place| Entry {
                index: first + place,
                at: block.wrapping_add(place * ENTRY_BYTES),
            })
        }))
    }

    fn entry(&self, index: u64) -> Result<Option<Entry>, Error> {
        for number in 0..MOST_SEGMENTS {
            let (first, count) = segment(number);
            if index < first + count {
                let block = self.header(SEGMENTS + number * 8)?;
                let at = block.wrapping_add((index - first) * ENTRY_BYTES);
                return Ok((block != 0).then_some(Entry { index, at }));
            }
        }
        Ok(None)
    }

    /// The object that has this name; not pinned.
    fn find_entry(&self, name: &str) -> Result<Option<Entry>, Error> {
        let hash = hash_of(name);
        for entry in self.entries()? {
            if self.word(entry.hash())? == hash
                && self.word(entry.serial())? != 0
                && self.word(entry.state())? == NAMED
                && self.name_of(entry)? == name
            {
                return Ok(Some(entry));
            }
        }
        Ok(None)
    }

    fn found(&self, entry: Entry) -> Result<Found, Error> {
        let block = self.word(entry.block())?;
        let ground = self.directory.ground;
        let serial = self.word(entry.serial())?;
        let found = Found {
            index: entry.index,
            serial,
            block,
            body: self.word(block.wrapping_add(BODY))?,
            kind: ground.u32(block.wrapping_add(KIND))?.load(Ordering::Relaxed),
            fingerprint: self.word(block.wrapping_add(FINGERPRINT))?,
        };
        let bytes = self.directory.arena.bytes_of(block)?;
        if self.word(block)? != serial
            || found.body < block.saturating_add(HEADER_BYTES)
            || found.body >= block.saturating_add(bytes)
        {
            return Err(Error::damaged_at("an object", block, serial));
        }
        Ok(found)
    }

    fn text(&self, block: Offset, which: u64) -> Result<String, Error> {
        let at = self.word(block.wrapping_add(which))?;
        let (at, length) = (block.wrapping_add(at >> 32), at & u64::from(u32::MAX));
        let damaged = || Error::damaged_at("a name", at, length);
        let length = usize::try_from(length).ok().filter(|length| *length <= MOST_NAME);
        let mut bytes = vec![0; length.ok_or_else(damaged)?];
        self.directory.ground.copy_out(at, &mut bytes)?;
        String::from_utf8(bytes).map_err(|_| damaged())
    }

    fn name_of(&self, entry: Entry) -> Result<String, Error> {
        self.text(self.word(entry.block())?, NAME)
    }

    fn pin(&self, found: &Found) -> Result<(), Error> {
        let row = self.directory.row;
        let pins = self.directory.ground.u64(found.block + PINS + row / 64 * 8)?;
        pins.fetch_or(1 << (row % 64), Ordering::Relaxed);
        Ok(())
    }

    /// The calling process is `member` in its row: pins of whoever had that row are not its own.
    ///
    /// # Errors
    ///
    /// Damaged.
    pub fn attach(&self, member: u64) -> Result<(), Error> {
        let row = self.directory.row;
        let at = self.directory.at + HOLDERS + row * 8;
        let before = self.word(at)?;
        if before == member {
            return Ok(());
        }
        if before != 0 {
            for entry in self.entries()? {
                let block = self.word(entry.block())?;
                if block != 0 {
                    let pins = self.directory.ground.u64(block + PINS + row / 64 * 8)?;
                    pins.fetch_and(!(1 << (row % 64)), Ordering::Relaxed);
                }
            }
        }
        self.directory.set(at, member)
    }

    /// The object of this name, of whatever type, pinned.
    ///
    /// # Errors
    ///
    /// Damaged.
    pub fn find(&self, name: &str) -> Result<Option<Found>, Error> {
        let Some(entry) = self.find_entry(name)? else { return Ok(None) };
        let found = self.found(entry)?;
        self.pin(&found)?;
        Ok(Some(found))
    }

    /// The object of this name, pinned.
    ///
    /// # Errors
    ///
    /// It is of another kind or type; damaged.
    pub fn find_as(&self, name: &str, spec: &Spec<'_>) -> Result<Option<Found>, Error> {
        let Some(found) = self.find(name)? else { return Ok(None) };
        if (found.kind, found.fingerprint) == (spec.kind, spec.fingerprint) {
            return Ok(Some(found));
        }
        Err(Error::new(Reason::OtherType {
            name: name.to_owned(),
            found: self.text(found.block, TYPE_NAME)?,
            expected: spec.type_name.to_owned(),
        }))
    }

    /// The object of these numbers, named or not, pinned.
    ///
    /// # Errors
    ///
    /// Damaged.
    pub fn find_serial(&self, index: u64, serial: u64) -> Result<Option<Found>, Error> {
        let Some(entry) = self.entry(index)? else { return Ok(None) };
        if serial == 0 || self.word(entry.serial())? != serial {
            return Ok(None);
        }
        let found = self.found(entry)?;
        self.pin(&found)?;
        Ok(Some(found))
    }

    /// The name and the type of an object.
    ///
    /// # Errors
    ///
    /// Damaged.
    pub fn names_of(&self, found: &Found) -> Result<(String, String), Error> {
        Ok((self.text(found.block, NAME)?, self.text(found.block, TYPE_NAME)?))
    }

    /// All objects that have names; not pinned, so to be used only while this is open.
    ///
    /// # Errors
    ///
    /// Damaged.
    pub fn all(&self) -> Result<Vec<(String, Found)>, Error> {
        let mut all = Vec::new();
        for entry in self.entries()? {
            if self.word(entry.serial())? != 0 && self.word(entry.state())? == NAMED {
                all.push((self.name_of(entry)?, self.found(entry)?));
            }
        }
        Ok(all)
    }

    /// All objects that hold blocks, named or not, with their own blocks and those of the directory: what
    /// [`Arena::check`] is compared with.
    ///
    /// # Errors
    ///
    /// Damaged.
    pub fn blocks(&self) -> Result<(Vec<Offset>, Vec<Found>), Error> {
        let mut blocks = Vec::new();
        let mut objects = Vec::new();
        for number in 0..MOST_SEGMENTS {
            blocks.push(self.header(SEGMENTS + number * 8)?);
        }
        for entry in self.entries()? {
            let block = self.word(entry.block())?;
            if block != 0 {
                blocks.push(block);
                objects.push(self.found(entry)?);
            }
        }
        blocks.retain(|block| *block != 0);
        Ok((blocks, objects))
    }

    /// Makes an object under a name that nobody has, pinned. `make` gives it its first content; nobody sees it
    /// before that.
    ///
    /// # Errors
    ///
    /// Too long a name; full; those of `make`. Then there is no such object.
    pub fn create(
        &self,
        name: &str,
        spec: &Spec<'_>,
        make: impl FnOnce(&Found) -> Result<(), Error>,
    ) -> Result<Found, Error> {
        if name.len() > MOST_NAME {
            let length = name.len() as u64;
            return Err(Error::too_long("the longest name", length, MOST_NAME as u64));
        }
        let directory = self.directory;
        let entry = self.free_entry()?;
        let serial = self.header(SERIAL)?.wrapping_add(1).max(1);
        // Before it is used, so that it is never used again.
        directory.set(directory.at + SERIAL, serial)?;
        let type_name: String = spec.type_name.chars().take(MOST_NAME / 4).collect();
        let names_at = (HEADER_BYTES + spec.bytes).next_multiple_of(8);
        let type_at = (names_at + name.len() as u64).next_multiple_of(8);
        let bytes = type_at + (type_name.len() as u64).next_multiple_of(8);
        let reservation = directory.arena.exchange(entry.block(), bytes, self.deadline)?;
        let block = reservation.block();
        let ground = directory.ground;
        zero(ground, block, names_at)?;
        for (at, value) in [
            (0, serial),
            (BODY, block + HEADER_BYTES),
            (FINGERPRINT, spec.fingerprint),
            (NAME, names_at << 32 | name.len() as u64),
            (TYPE_NAME, type_at << 32 | type_name.len() as u64),
        ] {
            directory.set(block + at, value)?;
        }
        ground.u32(block + KIND)?.store(spec.kind, Ordering::Relaxed);
        ground.copy_in(block + names_at, name.as_bytes())?;
        ground.copy_in(block + type_at, type_name.as_bytes())?;
        directory.set(entry.hash(), hash_of(name))?;
        directory.set(entry.state(), NAMED)?;
        ground.point("directory.filled");
        reservation.link()?;
        ground.point("directory.linked");
        let found = Found {
            index: entry.index,
            serial,
            block,
            body: block + HEADER_BYTES,
            kind: spec.kind,
            fingerprint: spec.fingerprint,
        };
        if let Err(error) = make(&found) {
            self.free(entry)?;
            return Err(error);
        }
        self.pin(&found)?;
        ground.point("directory.made");
        directory.set(entry.serial(), serial)?;
        ground.point("directory.created");
        directory.changes()?.notify_all();
        Ok(found)
    }

    /// An entry without an object; makes more if there is none.
    fn free_entry(&self) -> Result<Entry, Error> {
        for entry in self.entries()? {
            if self.word(entry.serial())? == 0 && self.word(entry.block())? == 0 {
                return Ok(entry);
            }
        }
        let directory = self.directory;
        for number in 0..MOST_SEGMENTS {
            let word = directory.at + SEGMENTS + number * 8;
            if self.word(word)? != 0 {
                continue;
            }
            let (first, count) = segment(number);
            let bytes = count * ENTRY_BYTES;
            let reservation = directory.arena.exchange(word, bytes, self.deadline)?;
            zero(directory.ground, reservation.block(), bytes)?;
            let at = reservation.block();
            reservation.link()?;
            return Ok(Entry { index: first, at });
        }
        let (first, count) = segment(MOST_SEGMENTS - 1);
        Err(Error::new(Reason::Full { what: "names of a share", limit: first + count }))
    }

    /// Takes the name from an object: it is not found any more, and handles of it are told. `false` if it
    /// has none.
    ///
    /// # Errors
    ///
    /// Damaged.
    pub fn remove(&self, found: &Found) -> Result<bool, Error> {
        let Some(entry) = self.entry(found.index)? else { return Ok(false) };
        let is_named =
            self.word(entry.serial())? == found.serial && self.word(entry.state())? == NAMED;
        if !is_named {
            return Ok(false);
        }
        let directory = self.directory;
        directory.ground.point("directory.remove");
        directory.set(entry.state(), DETACHED)?;
        directory.ground.point("directory.detached");
        directory.set(directory.at + DETACHED_COUNT, self.header(DETACHED_COUNT)? + 1)?;
        self.tell(found)?;
        directory.changes()?.notify_all();
        Ok(true)
    }

    /// Tells those who hold a detached object.
    fn tell(&self, found: &Found) -> Result<(), Error> {
        let word = self.directory.ground.u32(found.block + IS_DETACHED)?;
        // Release: (A9).
        word.store(1, Ordering::Release);
        self.directory.ground.point("directory.told");
        self.objects.wake(found);
        Ok(())
    }

    /// Frees the objects that have no name and no living process that holds them. Says how many are left that
    /// somebody holds.
    ///
    /// # Errors
    ///
    /// Those of the arena. What could not be freed is left for the next time.
    pub fn reap(&self) -> Result<u64, Error> {
        if self.header(DETACHED_COUNT)? == 0 {
            return Ok(0);
        }
        let mut held = 0;
        for entry in self.entries()? {
            if self.word(entry.state())? != DETACHED || self.word(entry.serial())? == 0 {
                continue;
            }
            if self.is_held(entry)? {
                held += 1;
            } else {
                self.free(entry)?;
            }
        }
        self.directory.set(self.directory.at + DETACHED_COUNT, held)?;
        Ok(held)
    }

    fn is_held(&self, entry: Entry) -> Result<bool, Error> {
        let block = self.word(entry.block())?;
        if block == 0 {
            return Ok(false);
        }
        for number in 0..PIN_WORDS.min(ROWS.div_ceil(64)) {
            // Acquire: (A10).
            let at = block.wrapping_add(PINS + number * 8);
            let mut pins = self.directory.ground.u64(at)?.load(Ordering::Acquire);
            while pins != 0 {
                let row = number * 64 + u64::from(pins.trailing_zeros());
                let member = self.header(HOLDERS + row.min(ROWS - 1) * 8)?;
                if member != 0 && !self.objects.is_gone(member) {
                    return Ok(true);
                }
                pins &= pins - 1;
            }
        }
        Ok(false)
    }

    /// Frees an object that nobody can reach, in steps that may be repeated.
    fn free(&self, entry: Entry) -> Result<(), Error> {
        let directory = self.directory;
        let block = self.word(entry.block())?;
        if block != 0 {
            let kind = directory.ground.u32(block.wrapping_add(KIND))?.load(Ordering::Relaxed);
            let body = self.word(block.wrapping_add(BODY))?;
            self.objects.destroy(kind, body)?;
            directory.ground.point("directory.destroyed");
            directory.arena.release(entry.block(), self.deadline)?;
        }
        directory.ground.point("directory.released");
        directory.set(entry.hash(), 0)?;
        directory.set(entry.serial(), 0)?;
        directory.set(entry.state(), NAMED)?;
        Ok(())
    }

    /// Ends what a dead one began.
    fn repair(&self) -> Result<(), Error> {
        let mut detached = 0;
        for entry in self.entries()? {
            let block = self.word(entry.block())?;
            if self.word(entry.serial())? == 0 {
                if block != 0 {
                    self.free(entry)?;
                }
                continue;
            }
            if self.word(entry.state())? == DETACHED {
                detached += 1;
                if block != 0 {
                    self.tell(&self.found(entry)?)?;
                }
            }
        }
        self.directory.set(self.directory.at + DETACHED_COUNT, detached)?;
        self.reap()?;
        self.directory.changes()?.notify_all();
        Ok(())
    }
}

/// A name as a number that is not 0; the same in every process of a build.
fn hash_of(name: &str) -> u64 {
    super::checksum::checksum(0, name.as_bytes()).max(1)
}

fn zero<G: Ground>(ground: &G, at: Offset, bytes: u64) -> Result<(), Error> {
    for step in 0..bytes.div_ceil(8) {
        ground.u64(at + step * 8)?.store(0, Ordering::Relaxed);
    }
    Ok(())
}
