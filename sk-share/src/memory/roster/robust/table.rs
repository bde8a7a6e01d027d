//! The table of members and the rows of their life words.
//!
//! Their offsets are in section 3 of PROTOCOL.md.

use super::super::member::MOST;
use super::super::{Member, agent};
use super::{is_living, slot};
use crate::error::Error;
use crate::memory::Region;
use crate::sync::{AtomicU32, Ordering};

const AT_JOINED: u64 = Region::ROOT;
const AT_AWAKE: u64 = Region::ROOT + 64;
const MEMBERS: u64 = Region::FIRST_PAGE_END;
const MEMBER_BYTES: u64 = 64;
pub(super) const AGENTS: u64 = MEMBERS + 512 * MEMBER_BYTES;
/// Where the rows begin; everything before is there from the beginning.
const ROWS: u64 = AGENTS + 8192 * slot::BYTES;
const ROW_BYTES: u64 = 4096;

/// What a roster has from the beginning, and what it may grow to.
pub(in crate::memory::roster) const FIRST_BYTES: u64 = ROWS;
pub(in crate::memory::roster) const BYTES: u64 = ROWS + 512 * ROW_BYTES;

const _: () = assert!(MOST == 512 && agent::MOST == 8192 && ROWS == 167_936);

/// One life word and which use of the row it speaks of.
pub(super) struct Entry<'t> {
    pub(super) word: &'t AtomicU32,
    pub(super) generation: &'t AtomicU32,
}

/// A row: the life words of one member, one for each that may watch it.
#[derive(Clone, Copy)]
pub(super) struct Row<'t> {
    words: &'t [AtomicU32],
}

impl<'t> Row<'t> {
    pub(super) fn entry(self, watcher: usize) -> Option<Entry<'t>> {
        match self.words.get(watcher * 2..watcher * 2 + 2)? {
            [word, generation] => Some(Entry { word, generation }),
            _ => None,
        }
    }
}

/// The roster's region as its tables.
#[derive(Clone, Copy)]
pub(in crate::memory::roster) struct Table<'t> {
    region: &'t Region,
    members: &'t [AtomicU32],
    pub(super) joined: &'t AtomicU32,
    awake: &'t AtomicU32,
}

impl<'t> Table<'t> {
    pub(in crate::memory::roster) fn of(region: &'t Region) -> Result<Table<'t>, Error> {
        Ok(Table {
            region,
            members: region.words32(MEMBERS, MOST * 16)?,
            joined: region.word32(AT_JOINED)?,
            awake: region.word32(AT_AWAKE)?,
        })
    }

    /// How many rows were ever used.
    pub(in crate::memory::roster) fn rows(&self) -> usize {
        // A damaged length does not end the watch over those who were seen before.
        let length = self.region.length().unwrap_or_else(|_| self.region.known_length());
        let bytes = length.saturating_sub(ROWS);
        usize::try_from(bytes / ROW_BYTES).unwrap_or(0).min(MOST)
    }

    /// Has the row there, for whoever wants to take it.
    pub(super) fn make_row(&self, row: usize) -> Result<Row<'t>, Error> {
        self.region.grow(Table::at_row(row) + ROW_BYTES)?;
        Ok(Row { words: self.region.words32(Table::at_row(row), MOST * 2)? })
    }

    pub(super) fn row(&self, row: usize) -> Option<Row<'t>> {
        if row >= self.rows() {
            return None;
        }
        Some(Row { words: self.region.words32(Table::at_row(row), MOST * 2).ok()? })
    }

    /// The offset of a row.
    pub(super) fn at_row(row: usize) -> u64 {
        ROWS + u64::try_from(row).unwrap_or(u64::MAX / ROW_BYTES / 2) * ROW_BYTES
    }

    /// The member that lives in this row as the watcher sees it.
    pub(in crate::memory::roster) fn living(&self, row: usize, watcher: usize) -> Option<Member> {
        let entry = self.row(row)?.entry(watcher)?;
        // (B1) with the store of the living word: the generation is not older than the word.
        let word = entry.word.load(Ordering::Acquire);
        let generation = entry.generation.load(Ordering::Relaxed);
        if is_living(word) { Member::new(row, generation) } else { None }
    }

    pub(in crate::memory::roster) fn process_id(&self, member: Member) -> Option<u32> {
        // Its own word speaks for this use of the row, until another takes it.
        let entry = self.row(member.row())?.entry(member.row())?;
        let pid = self.members.get(member.row() * 16)?.load(Ordering::Relaxed);
        (entry.generation.load(Ordering::Acquire) == member.generation()).then_some(pid)
    }

    /// Said by who takes a row, of its process.
    pub(super) fn introduce(&self, row: usize, pid: u32) {
        if let Some([at_pid, awake]) = self.members.get(row * 16..row * 16 + 2) {
            at_pid.store(pid, Ordering::Relaxed);
            awake.store(0, Ordering::Relaxed);
        }
    }

    /// Counts one thread of this row in or out. It is a guide for spinning: a death within makes it wrong
    /// until the next [`recount`](Self::recount).
    pub(in crate::memory::roster) fn count_awake(&self, row: usize, awake: bool) {
        let Some(of_row) = self.members.get(row * 16 + 1) else { return };
        let change = if awake { 1 } else { u32::MAX };
        of_row.fetch_add(change, Ordering::Relaxed);
        self.awake.fetch_add(change, Ordering::Relaxed);
    }

    /// So many threads of the program are awake, as far as is known; never less than none.
    pub(in crate::memory::roster) fn awake(&self) -> u32 {
        u32::try_from(self.awake.load(Ordering::Relaxed).cast_signed()).unwrap_or(0)
    }

    /// Counts the threads that are awake anew, after a death.
    pub(super) fn recount(&self, watcher: usize) {
        let rows = (0..self.rows()).filter(|row| self.living(*row, watcher).is_some());
        let counts = rows.filter_map(|row| self.members.get(row * 16 + 1));
        let sum = counts.map(|count| count.load(Ordering::Relaxed)).fold(0, u32::wrapping_add);
        self.awake.store(sum, Ordering::Relaxed);
    }
}
