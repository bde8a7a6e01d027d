//! The table of members. Its offsets are in section 12 of PROTOCOL.md.

use super::super::member::MOST;
use super::super::{Member, agent};
use super::slot;
use crate::error::Error;
use crate::memory::Region;
use crate::sync::{AtomicU32, AtomicU64, Ordering};
use crate::sys::BIRTH_BITS;

const AT_JOINED: u64 = Region::ROOT;
const AT_AWAKE: u64 = Region::ROOT + 64;
const AT_ROWS: u64 = Region::ROOT + 128;
const MEMBERS: u64 = Region::FIRST_PAGE_END;
const MEMBER_BYTES: u64 = 64;
pub(super) const AGENTS: u64 = MEMBERS + 512 * MEMBER_BYTES;

/// A roster has all of it from the beginning.
pub(in crate::memory::roster) const BYTES: u64 = AGENTS + 8192 * slot::BYTES;
pub(in crate::memory::roster) const FIRST_BYTES: u64 = BYTES;

const _: () = assert!(MOST == 512 && agent::MOST == 8192 && BYTES == 167_936);

/// What a row is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// Free.
    Nobody,
    /// Somebody becomes a member in it.
    Taking,
    Living,
    /// Its process is no member any more, and still has agents.
    Left,
    /// Free: somebody found that its process is gone.
    Dead,
}

/// Who has a row: { birth 29, state 3, process 32 }. One word, so that it is never half of one and half of
/// another: whoever dies between two steps has said before who it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Owner(u64);

impl Owner {
    const STATE: u64 = 7 << 32;

    pub(super) fn new(state: State, pid: u32, birth: u32) -> Owner {
        Owner(u64::from(birth) << (64 - BIRTH_BITS) | u64::from(pid)).with(state)
    }

    pub(super) fn with(self, state: State) -> Owner {
        let state: u64 = match state {
            State::Nobody => 0,
            State::Taking => 1,
            State::Living => 2,
            State::Left => 3,
            State::Dead => 4,
        };
        Owner(self.0 & !Owner::STATE | state << 32)
    }

    /// What is none of them is free, so that damage heals.
    pub(super) fn state(self) -> State {
        match (self.0 & Owner::STATE) >> 32 {
            0 => State::Nobody,
            1 => State::Taking,
            2 => State::Living,
            3 => State::Left,
            _ => State::Dead,
        }
    }

    pub(super) fn pid(self) -> u32 {
        u32::try_from(self.0 & u64::from(u32::MAX)).unwrap_or(0)
    }

    pub(super) fn birth(self) -> u32 {
        u32::try_from(self.0 >> (64 - BIRTH_BITS)).unwrap_or(0)
    }

    pub(super) fn is_same_process(self, other: Owner) -> bool {
        self.0 & !Owner::STATE == other.0 & !Owner::STATE
    }
}

/// One row.
pub(super) struct Entry<'t> {
    owner: &'t AtomicU64,
    generation: &'t AtomicU32,
    awake: &'t AtomicU32,
}

/// The roster's region as its tables.
#[derive(Clone, Copy)]
pub(in crate::memory::roster) struct Table<'t> {
    region: &'t Region,
    /// Goes up when somebody has joined or left, or an agent was given back that somebody waits for.
    pub(super) joined: &'t AtomicU32,
    awake: &'t AtomicU32,
    rows: &'t AtomicU32,
}

impl<'t> Table<'t> {
    pub(in crate::memory::roster) fn of(region: &'t Region) -> Result<Table<'t>, Error> {
        // All of it is there, or nothing is looked at.
        region.word32(BYTES - 4)?;
        Ok(Table {
            region,
            joined: region.word32(AT_JOINED)?,
            awake: region.word32(AT_AWAKE)?,
            rows: region.word32(AT_ROWS)?,
        })
    }

    /// How many rows were ever used.
    pub(in crate::memory::roster) fn rows(&self) -> usize {
        usize::try_from(self.rows.load(Ordering::Acquire)).unwrap_or(MOST).min(MOST)
    }

    /// Has everybody look at this row too.
    pub(super) fn use_row(&self, row: usize) {
        let rows = u32::try_from(row + 1).unwrap_or(u32::MAX);
        self.rows.fetch_max(rows, Ordering::Release);
    }

    fn entry(&self, row: usize) -> Option<Entry<'t>> {
        if row >= MOST {
            return None;
        }
        let at = MEMBERS + u64::try_from(row).ok()? * MEMBER_BYTES;
        Some(Entry {
            owner: self.region.word64(at).ok()?,
            generation: self.region.word32(at + 8).ok()?,
            awake: self.region.word32(at + 12).ok()?,
        })
    }

    pub(super) fn owner(&self, row: usize) -> Option<Owner> {
        // (B1) with `change`: the generation that is read behind it is not older.
        Some(Owner(self.entry(row)?.owner.load(Ordering::Acquire)))
    }

    /// Who has this row, and as which member. Between the two looks the row may have gone on to another:
    /// then it is looked at again, and in the end taken for nobody's.
    pub(super) fn member(&self, row: usize) -> Option<(Owner, Option<Member>)> {
        let entry = self.entry(row)?;
        for _ in 0..8 {
            let owner = self.owner(row)?;
            let generation = entry.generation.load(Ordering::Acquire);
            if self.owner(row)? == owner {
                return Some((owner, Member::new(row, generation)));
            }
        }
        None
    }

    /// Whether the process that had the row in this generation, of which `generation` are the lowest bits, may
    /// still run: nobody has found it gone, and it has not given back the row and all agents.
    pub(super) fn is_there(&self, row: usize, generation: u32) -> bool {
        let Some(entry) = self.entry(row) else { return false };
        let owner = Owner(entry.owner.load(Ordering::Acquire));
        let now = entry.generation.load(Ordering::Relaxed) & slot::GENERATION;
        matches!(owner.state(), State::Living | State::Left) && now == generation
    }

    /// Takes the row from one owner to the next; false if it is not that one's.
    pub(super) fn change(&self, row: usize, from: Owner, to: Owner) -> bool {
        let Some(entry) = self.entry(row) else { return false };
        // (B1) release: who sees the owner sees what it wrote before. (B2) acquire: what the former owner
        // did is over.
        entry.owner.compare_exchange(from.0, to.0, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }

    /// The row's process was found to be gone.
    pub(super) fn mark_dead(&self, row: usize, owner: Owner) {
        // The same process cannot have come back, so the word is still of its time.
        self.change(row, owner, owner.with(State::Dead));
    }

    /// The generation of a row that this process has just taken.
    pub(super) fn next_generation(&self, row: usize) -> Option<u32> {
        let entry = self.entry(row)?;
        let generation = entry.generation.load(Ordering::Relaxed).wrapping_add(1).max(1);
        entry.generation.store(generation, Ordering::Release);
        entry.awake.store(0, Ordering::Relaxed);
        Some(generation)
    }

    pub(in crate::memory::roster) fn process_id(&self, member: Member) -> Option<u32> {
        let (owner, of_now) = self.member(member.row())?;
        (of_now == Some(member)).then(|| owner.pid())
    }

    /// Counts one thread of this row in or out. It is a guide for spinning: a death within makes it wrong
    /// until the next [`recount`](Self::recount).
    pub(in crate::memory::roster) fn count_awake(&self, row: usize, awake: bool) {
        let Some(entry) = self.entry(row) else { return };
        let change = if awake { 1 } else { u32::MAX };
        entry.awake.fetch_add(change, Ordering::Relaxed);
        self.awake.fetch_add(change, Ordering::Relaxed);
    }

    /// So many threads of the program are awake, as far as is known; never less than none.
    pub(in crate::memory::roster) fn awake(&self) -> u32 {
        u32::try_from(self.awake.load(Ordering::Relaxed).cast_signed()).unwrap_or(0)
    }

    /// Counts the threads that are awake anew, after a death.
    pub(super) fn recount(&self) {
        let entries = (0..self.rows()).filter_map(|row| self.entry(row));
        let living = entries
            .filter(|entry| Owner(entry.owner.load(Ordering::Relaxed)).state() == State::Living);
        let sum =
            living.map(|entry| entry.awake.load(Ordering::Relaxed)).fold(0, u32::wrapping_add);
        self.awake.store(sum, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_owner_is_one_word() {
        for state in [State::Nobody, State::Taking, State::Living, State::Left, State::Dead] {
            let owner = Owner::new(State::Taking, u32::MAX - 1, (1 << BIRTH_BITS) - 2).with(state);
            assert_eq!(
                (owner.state(), owner.pid(), owner.birth()),
                (state, u32::MAX - 1, (1 << BIRTH_BITS) - 2)
            );
            assert!(owner.is_same_process(owner.with(State::Dead)));
        }
        assert!(!Owner::new(State::Living, 7, 8).is_same_process(Owner::new(State::Living, 7, 9)));
        assert_eq!(Owner(u64::MAX).state(), State::Dead);
    }
}
