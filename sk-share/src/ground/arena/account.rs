//! What the books of an arena come to, and what does not add up.

use std::collections::{BTreeMap, BTreeSet};

use super::super::words::{Ground, Offset};
use super::books::{Books, Place};
use super::layout::{Chunk, EMPTY, HINT, NEXT, PARTIAL, ROOM};
use crate::error::Error;

/// A walk over all books.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Account {
    /// How many chunks there are.
    pub chunks: u64,
    /// How many of them are free for any size.
    pub free_chunks: u64,
    /// All blocks that are taken, reserved or linked, with the bytes that fit each.
    pub used: BTreeMap<Offset, u64>,
    /// Those of them that agents who live have reserved, or have not given back yet.
    pub reserved: BTreeSet<Offset>,
    /// What contradicts itself. Empty, if the books are right.
    pub faults: Vec<String>,
}

impl Account {
    /// What contradicts `linked`, which are all blocks that words hold: used but nobody's, held but
    /// free, held twice.
    #[must_use]
    pub fn against(&self, linked: &[Offset]) -> Vec<String> {
        let mut faults = self.faults.clone();
        let mut seen = BTreeSet::new();
        for block in linked {
            if !seen.insert(*block) {
                faults.push(format!("block {block} is held twice"));
            }
            if !self.used.contains_key(block) {
                faults.push(format!("block {block} is held but free"));
            }
        }
        for block in self.used.keys() {
            if !seen.contains(block) && !self.reserved.contains(block) {
                faults.push(format!("block {block} is used but nobody's"));
            }
        }
        faults
    }
}

impl<G: Ground> Books<'_, G> {
    pub(super) fn account(&self) -> Result<Account, Error> {
        let mut account = Account { chunks: self.chunks()?, ..Account::default() };
        let mut with_room = BTreeMap::new();
        let mut empty = 0;
        let mut first_free = None;
        let mut begins = BTreeSet::from([account.chunks]);
        for step in self.walk(0) {
            let (index, chunk) = step?;
            begins.insert(index);
            match chunk {
                Chunk::Records => {}
                Chunk::Free => {
                    account.free_chunks += 1;
                    first_free.get_or_insert(index);
                }
                Chunk::Run(span) => {
                    let place = Place::Run { chunk: index, span };
                    account.used.insert(self.offset(place), self.bytes(place));
                }
                Chunk::Blocks(number) => {
                    let Some(class) = self.layout.class(number) else { continue };
                    for bit in 0..class.count {
                        let place = Place::Block { chunk: index, class, bit };
                        if self.is_used(place)? {
                            account.used.insert(self.offset(place), self.bytes(place));
                        }
                    }
                    let room = class.count.saturating_sub(self.count_used(index, class)?);
                    if self.get(self.layout.chunk(index) + ROOM)? != room {
                        account.faults.push(format!("chunk {index} has room for {room}"));
                    }
                    if room > 0 {
                        with_room.insert(index, number);
                    }
                    if room == class.count {
                        empty += 1;
                    }
                }
            }
        }
        if self.header(EMPTY)? != empty {
            account.faults.push(format!("{empty} chunks have no block"));
        }
        let hint = self.header(HINT)?;
        if first_free.is_some_and(|first| hint > first) || !begins.contains(&hint) {
            account.faults.push(format!("the hint is {hint}, the first free is {first_free:?}"));
        }
        self.account_lists(&mut account, with_room)?;
        self.account_records(&mut account)?;
        self.ground.point("arena.check.walked");
        Ok(account)
    }

    /// Every chunk with room is in the list of its class, once.
    fn account_lists(
        &self,
        account: &mut Account,
        mut with_room: BTreeMap<u64, u64>,
    ) -> Result<(), Error> {
        for class in self.layout.classes() {
            let mut next = self.header(PARTIAL + class.number * 8)?;
            while let Some(index) = next.checked_sub(1) {
                if with_room.remove(&index) != Some(class.number) {
                    account.faults.push(format!("chunk {index} is in the list of {class:?}"));
                    break;
                }
                next = self.get(self.layout.chunk(index) + NEXT)?;
            }
        }
        account
            .faults
            .extend(with_room.keys().map(|index| format!("chunk {index} with room is in no list")));
        Ok(())
    }

    fn account_records(&self, account: &mut Account) -> Result<(), Error> {
        let records = self.records()?;
        for index in 0..self.capacity()? {
            let record = self.record(index)?;
            let Some(is_left) = self.is_left(record)? else { continue };
            if index >= records {
                account.faults.push(format!("record {index} is beyond {records}"));
            }
            for block in [self.get(record.next())?, self.get(record.old())?] {
                if block != 0 && !account.used.contains_key(&block) {
                    account.faults.push(format!("block {block} of record {index} is free"));
                } else if block != 0 && !is_left {
                    account.reserved.insert(block);
                }
            }
        }
        Ok(())
    }
}
