//! Named objects in shared memory: who has which name, who holds it, and when its memory is free.
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
//! | with the lock, the block linked, no serial | an entry without serial | repair or the next reap: destroyed, freed |
//! | with the lock, the serial stored | the object | |
//! | with the lock, state DETACHED | handles do not know | repair: tells them |
//! | while it frees | DETACHED, without pins | repair or the next reap: frees it again |
//! | with pins | bits of a dead member | reap: they do not count |
//!
//! All words but those of a block are used under the lock only. `detached` in a block is also read by those who
//! hold the object: release when it is set, acquire when it is read (A9). (A10) who frees an object comes after all
//! that those did who held it: release of a pin, acquire by reap. (A12) of the last one to give back its pin and of
//! one who reaps at that time, one sees what the other did: `to_free`, fence, pins; pin, fence, `to_free`.

mod layout;
mod object;

use std::time::Instant;

use layout::{
    BODY, CHANGES, DETACHED, ENTRY_BYTES, Entry, FINGERPRINT, HEADER_BYTES, HOLDERS, IS_DETACHED,
    KIND, MOST_SEGMENTS, NAME, NAMED, PIN_WORDS, PINS, ROWS, SEGMENTS, SERIAL, TO_FREE, TYPE_NAME,
    hash_of, segment, zero,
};

pub use object::{Found, MOST_NAME, Objects, Spec};

use super::arena::Arena;
use super::event_count::EventCount;
use super::lock::{Guard, Lock};
use super::words::{Attempt, Ground, Offset};
use crate::error::{Error, Reason};
use crate::sync::modelled::{Ordering, fence};

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

    /// Says that this process has no handle of the object any more: from here on its words may be another's.
    /// `true` if something waits to be freed by [`Open::reap`], which may be this object.
    ///
    /// # Errors
    ///
    /// Damaged.
    pub fn unpin(&self, found: &Found) -> Result<bool, Error> {
        let pins = self.ground.u64(found.block + PINS + self.row / 64 * 8)?;
        // Release: who frees the object comes after all that this process did with it; (A10).
        pins.fetch_and(!(1 << (self.row % 64)), Ordering::Release);
        // (A12): either a reap sees the bit gone, or we see that it was in need of that.
        fence(Ordering::SeqCst);
        self.ground.point("directory.unpinned");
        Ok(self.word(self.at + TO_FREE)? != 0)
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

impl<G: Ground, O: Objects<G>> Open<'_, '_, G, O> {
    fn word(&self, at: u64) -> Result<u64, Error> {
        self.directory.word(at)
    }

    fn header(&self, at: u64) -> Result<u64, Error> {
        self.word(self.directory.at + at)
    }

    /// Where the entries of a segment lie, if it is there.
    fn segment_block(&self, number: u64) -> Result<Option<Offset>, Error> {
        let block = self.header(SEGMENTS + number * 8)?;
        let (_, count) = segment(number);
        if block != 0 && self.directory.arena.bytes_of(block)? < count * ENTRY_BYTES {
            return Err(Error::damaged_at("a segment of names", block, number));
        }
        Ok(Some(block).filter(|block| *block != 0))
    }

    /// All entries that there are.
    fn entries(&self) -> Result<impl Iterator<Item = Entry>, Error> {
        let mut blocks = Vec::new();
        for number in 0..MOST_SEGMENTS {
            let Some(block) = self.segment_block(number)? else { break };
            blocks.push((number, block));
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
                let block = self.segment_block(number)?;
                let at = |block: Offset| block.wrapping_add((index - first) * ENTRY_BYTES);
                return Ok(block.map(|block| Entry { index, at: at(block) }));
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
        let serial = self.word(entry.serial())?;
        // Before anything else of it is looked at: where no object lies, words may be of another size.
        let body = self.body(block)?;
        if self.word(block)? != serial {
            return Err(Error::damaged_at("an object", block, serial));
        }
        Ok(Found {
            index: entry.index,
            serial,
            block,
            body,
            kind: self.kind(block)?,
            fingerprint: self.word(block.wrapping_add(FINGERPRINT))?,
        })
    }

    fn kind(&self, block: Offset) -> Result<u32, Error> {
        Ok(self.directory.ground.u32(block.wrapping_add(KIND))?.load(Ordering::Relaxed))
    }

    /// Where the body of the object of this block lies.
    fn body(&self, block: Offset) -> Result<Offset, Error> {
        let body = self.word(block.wrapping_add(BODY))?;
        let bytes = self.directory.arena.bytes_of(block)?;
        if bytes < HEADER_BYTES || body != block.wrapping_add(HEADER_BYTES) {
            return Err(Error::damaged_at("the body of an object", block, body));
        }
        Ok(body)
    }

    fn text(&self, block: Offset, which: u64) -> Result<String, Error> {
        let bytes = self.directory.arena.bytes_of(block)?;
        let word = self.word(block.wrapping_add(which))?;
        let (begin, length) = (word >> 32, word & u64::from(u32::MAX));
        let damaged = || Error::damaged_at("a name", block.wrapping_add(which), word);
        let is_within = begin >= HEADER_BYTES && begin + length <= bytes;
        let length =
            usize::try_from(length).ok().filter(|length| *length <= MOST_NAME && is_within);
        let mut text = vec![0; length.ok_or_else(damaged)?];
        self.directory.ground.copy_out(block.wrapping_add(begin), &mut text)?;
        String::from_utf8(text).map_err(|_| damaged())
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
                    self.body(block)?;
                    let pins =
                        self.directory.ground.u64(block.wrapping_add(PINS + row / 64 * 8))?;
                    pins.fetch_and(!(1 << (row % 64)), Ordering::Relaxed);
                }
            }
        }
        self.directory.set(at, member)
    }

    /// The object of this name, of whatever type; not pinned, so to be used only while this is open.
    ///
    /// # Errors
    ///
    /// Damaged.
    pub fn look(&self, name: &str) -> Result<Option<Found>, Error> {
        let Some(entry) = self.find_entry(name)? else { return Ok(None) };
        self.found(entry).map(Some)
    }

    /// The object of this name, of whatever type, pinned.
    ///
    /// # Errors
    ///
    /// Damaged.
    pub fn find(&self, name: &str) -> Result<Option<Found>, Error> {
        let found = self.look(name)?;
        found.iter().try_for_each(|found| self.pin(found))?;
        Ok(found)
    }

    /// The object of this name, pinned.
    ///
    /// # Errors
    ///
    /// It is of another kind or type; damaged.
    pub fn find_as(&self, name: &str, spec: &Spec<'_>) -> Result<Option<Found>, Error> {
        let Some(found) = self.look(name)? else { return Ok(None) };
        if (found.kind, found.fingerprint) == (spec.kind, spec.fingerprint) {
            // Not before: of what is of another type nobody gets a handle that would take the pin away.
            self.pin(&found)?;
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
        let most = u64::from(u32::MAX) - HEADER_BYTES - 3 * MOST_NAME as u64;
        if spec.bytes > most {
            return Err(Error::too_long("the largest object", spec.bytes, most));
        }
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
        let changes = directory.changes()?;
        // From the link on until there is a serial it is one to be freed: also if `make` fails or panics.
        let to_free = self.header(TO_FREE)?;
        directory.set(directory.at + TO_FREE, to_free.saturating_add(1))?;
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
        if let Err(error) = make(&found).and_then(|()| self.pin(&found)) {
            // What cannot be freed now is left for the next time.
            let _ = self.reap();
            return Err(error);
        }
        ground.point("directory.made");
        directory.set(entry.serial(), serial)?;
        ground.point("directory.created");
        directory.set(directory.at + TO_FREE, to_free)?;
        changes.notify_all();
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
        let to_free = self.header(TO_FREE)?;
        directory.set(directory.at + TO_FREE, to_free.saturating_add(1))?;
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

    /// Frees the objects that have no name and no living process that holds them, and those that were not made to
    /// the end. Says how many are left that somebody holds.
    ///
    /// # Errors
    ///
    /// The first of those of [`Objects::destroy`] and of the arena. What could not be freed is left for the next
    /// time, and keeps nothing else from being freed.
    pub fn reap(&self) -> Result<u64, Error> {
        if self.header(TO_FREE)? == 0 {
            return Ok(0);
        }
        // (A12).
        fence(Ordering::SeqCst);
        let mut held = 0;
        let mut left = 0;
        let mut result = Ok(());
        for entry in self.entries()? {
            if !self.is_to_be_freed(entry)? {
                continue;
            }
            match self.is_held(entry) {
                Ok(true) => held += 1,
                Ok(false) => {
                    if let Err(error) = self.free(entry) {
                        left += 1;
                        result = result.and(Err(error));
                    }
                }
                Err(error) => {
                    left += 1;
                    result = result.and(Err(error));
                }
            }
        }
        self.directory.set(self.directory.at + TO_FREE, held + left)?;
        result.map(|()| held)
    }

    /// It is detached, or was not made to the end.
    fn is_to_be_freed(&self, entry: Entry) -> Result<bool, Error> {
        Ok(if self.word(entry.serial())? == 0 {
            self.word(entry.block())? != 0
        } else {
            self.word(entry.state())? == DETACHED
        })
    }

    fn is_held(&self, entry: Entry) -> Result<bool, Error> {
        let block = self.word(entry.block())?;
        // Nobody has a handle of what was not made to the end, though its maker may have pinned it.
        if block == 0 || self.word(entry.serial())? == 0 {
            return Ok(false);
        }
        self.body(block)?;
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
            let body = self.body(block)?;
            self.objects.destroy(self.kind(block)?, body)?;
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
        let mut to_free = 0;
        for entry in self.entries()? {
            if !self.is_to_be_freed(entry)? {
                continue;
            }
            to_free += 1;
            if self.word(entry.serial())? != 0 && self.word(entry.block())? != 0 {
                self.tell(&self.found(entry)?)?;
            }
        }
        self.directory.set(self.directory.at + TO_FREE, to_free)?;
        self.directory.changes()?.notify_all();
        // All is whole now. What cannot be freed is counted, and left for the next time.
        let _ = self.reap();
        Ok(())
    }
}
