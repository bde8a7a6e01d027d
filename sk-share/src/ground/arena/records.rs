//! Who is about to change which word: the reservations of an arena, for whoever holds its lock.
//!
//! A record { owner, word, new, old } says that `word`, which holds `old`, will hold `new`: either may
//! be zero, for no block. One store of that word decides which of the two is linked, so whoever finds
//! the owner dead frees the other one.

use super::super::words::{AgentRef, Ground, Offset};
use super::books::Books;
use super::layout::{Chunk, INNER_RECORDS, MOST_INNER, MOST_PAGES, PAGES, RECORD_BYTES, RECORDS};
use crate::error::Error;
use crate::sync::modelled::Ordering;

/// The owner of a record that its agent has done with: whoever holds the lock settles it. No agent
/// has this index.
pub(super) const DONE: u64 = u64::MAX;

/// The words of a record.
#[derive(Debug, Clone, Copy)]
pub(super) struct Record {
    at: Offset,
}

impl Record {
    pub(super) fn owner(self) -> Offset {
        self.at
    }

    pub(super) fn word(self) -> Offset {
        self.at + 8
    }

    pub(super) fn next(self) -> Offset {
        self.at + 16
    }

    pub(super) fn old(self) -> Offset {
        self.at + 24
    }
}

impl<G: Ground> Books<'_, G> {
    /// How many records there is place for.
    pub(super) fn capacity(&self) -> Result<u64, Error> {
        let mut capacity = MOST_INNER;
        for page in 0..MOST_PAGES {
            if self.header(PAGES + page * 8)? == 0 {
                break;
            }
            capacity += self.layout.records_in_page();
        }
        Ok(capacity)
    }

    pub(super) fn record(&self, index: u64) -> Result<Record, Error> {
        let Some(index) = index.checked_sub(MOST_INNER) else {
            return Ok(Record { at: self.layout.at + INNER_RECORDS + index * RECORD_BYTES });
        };
        let page = index / self.layout.records_in_page();
        let at = self.header(PAGES + page * 8)?;
        let inside = at.wrapping_sub(self.layout.first);
        let chunk = inside / self.layout.chunk_bytes;
        if !inside.is_multiple_of(self.layout.chunk_bytes)
            || chunk >= self.chunks()?
            || self.chunk(chunk)? != Chunk::Records
        {
            return Err(Error::damaged_at(
                "a page of records",
                self.layout.at + PAGES + page * 8,
                at,
            ));
        }
        Ok(Record { at: at + index % self.layout.records_in_page() * RECORD_BYTES })
    }

    /// No record from here on is taken.
    pub(super) fn records(&self) -> Result<u64, Error> {
        let records = self.header(RECORDS)?;
        if records > self.capacity()? {
            return Err(Error::damaged_at(
                "the number of records",
                self.layout.at + RECORDS,
                records,
            ));
        }
        Ok(records)
    }

    /// Whether the owner of a record touches it no more; `None` for a record that is free.
    pub(super) fn is_left(&self, record: Record) -> Result<Option<bool>, Error> {
        // Acquire: (A8), what the owner did before it was done.
        let owner = self.word(record.owner())?.load(Ordering::Acquire);
        if owner == 0 {
            return Ok(None);
        }
        let agent = AgentRef::from_word(owner)
            .ok_or_else(|| Error::damaged_at("the owner of a record", record.owner(), owner))?;
        Ok(Some(owner == DONE || self.ground.is_dead(agent)))
    }

    /// Settles all records that are left, up to the one before `end`.
    ///
    /// `word` is about to be changed: if somebody who lives is about to change it too, that is an
    /// error.
    pub(super) fn sweep(&self, end: u64, word: Option<Offset>) -> Result<(), Error> {
        let mut taken = 0;
        for index in 0..end {
            let record = self.record(index)?;
            match self.is_left(record)? {
                None => {}
                Some(true) => self.settle(record)?,
                Some(false) => {
                    taken = index + 1;
                    let at = self.get(record.word())?;
                    if Some(at) == word {
                        return Err(Error::busy("the word of a reservation", at));
                    }
                }
            }
        }
        self.ground.point("arena.sweep.settled");
        self.set_header(RECORDS, taken)
    }

    /// Frees whichever block of a record is not linked, and then the record. It may end anywhere and
    /// is then begun again, before anybody else can take the block: the lock is held all the time.
    pub(super) fn settle(&self, record: Record) -> Result<(), Error> {
        let [new, old] = [self.get(record.next())?, self.get(record.old())?];
        let linked = self.get(self.get(record.word())?)?;
        let loser = match linked {
            linked if linked == new => old,
            linked if linked == old => new,
            // Somebody changed the word past the arena. Which block is linked nobody knows: both
            // stay taken, and `check` tells of them.
            _ => 0,
        };
        if loser != 0 {
            self.unmark(self.locate(loser)?)?;
        }
        self.ground.point("arena.settle.freed");
        self.set(record.owner(), 0)?;
        self.ground.point("arena.settle.cleared");
        Ok(())
    }

    /// A record that nobody has; another page of them is taken if there is none.
    pub(super) fn free_record(&self) -> Result<Record, Error> {
        let capacity = self.capacity()?;
        for index in 0..capacity {
            let record = self.record(index)?;
            if self.get(record.owner())? == 0 {
                // Before the record has an owner, so that none is ever beyond it.
                let records = self.header(RECORDS)?;
                self.set_header(RECORDS, records.max(index + 1))?;
                return Ok(record);
            }
        }
        let pages = (capacity - MOST_INNER) / self.layout.records_in_page();
        if pages >= MOST_PAGES {
            return Err(Error::full(RECORD_BYTES, capacity * RECORD_BYTES));
        }
        let chunk = self.free_chunks(1)?;
        let at = self.layout.chunk(chunk);
        for index in 0..self.layout.records_in_page() {
            self.set(at + index * RECORD_BYTES, 0)?;
        }
        self.ground.point("arena.page.cleared");
        self.set_chunk(chunk, Chunk::Records)?;
        self.ground.point("arena.page.given");
        self.set_header(PAGES + pages * 8, at)?;
        self.ground.point("arena.page.entered");
        self.set_header(RECORDS, capacity + 1)?;
        self.record(capacity)
    }

    /// Enters what is about to happen. From here on it is undone if its agent dies.
    pub(super) fn enter(
        &self,
        record: Record,
        me: AgentRef,
        word: Offset,
        new: Offset,
        old: Offset,
    ) -> Result<(), Error> {
        self.set(record.word(), word)?;
        self.set(record.next(), new)?;
        self.set(record.old(), old)?;
        self.ground.point("arena.record.described");
        self.set(record.owner(), me.to_word())?;
        self.ground.point("arena.record.entered");
        Ok(())
    }
}
