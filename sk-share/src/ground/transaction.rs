//! Several values changed in one step: all of them or none, whoever dies when.
//!
//! ```text
//! attention  u64   { transactions, counted 56 | flags of others 7 | `IN_PROGRESS` 1 }
//! record:  0  lock   16 bytes, held by one transaction at a time
//!         16  count  u64
//!         24  check  u64   of the number of the transaction and the list
//!         32  { value u64, version u64 } for each value
//! ```
//!
//! A transaction takes the locks of its values by their place, stages the new bytes of each beside the old ones
//! ([`Writer::stage`]), takes the lock, writes down which versions they will be, and sets `IN_PROGRESS`:
//! **this is the commit**. Then it publishes each, clears `IN_PROGRESS` and gives back the locks. What is written
//! down changes only while `IN_PROGRESS` is not set.
//!
//! A reader that finds `IN_PROGRESS` looks into the record whether its value is in it, and reads what is staged.
//! So all readers see all of it from one moment on, also when the writer stops or dies between two values.
//!
//! | dies | what is left | who goes on |
//! |---|---|---|
//! | before `IN_PROGRESS` | staged bytes that nobody looks at | the next writer of each value stages anew |
//! | after it | versions behind the record | who takes over the lock of a value rolls it forward; the next transaction, or a reader that meets it, rolls all forward and clears `IN_PROGRESS` |
//!
//! Rolling forward is a compare-and-swap of the version, so that any number of processes may do it.
//!
//! **A value outlives the record that names it.** Rolled forward later, it would be a word of whatever lies there
//! then: so [`let_go`](Transactions::let_go) comes before its memory is given back.
//!
//! (A11) who sees `IN_PROGRESS` sees the record and what is staged: release when it is set, acquire when it is read.
//! Who sees it cleared sees all versions: release when it is cleared. (A13) who read a word of the record of the next
//! transaction sees that this one is not in progress any more: a release fence before the record is written, an
//! acquire fence before the second look at the word of attention.

use std::time::Instant;

use super::checksum::checksum;
use super::flip::{Flip, Writer};
use super::lock::{Guard, Lock};
use super::words::{Ground, Offset};
use crate::error::Error;
use crate::sync::modelled::{Ordering, fence};

/// In the word of attention: the record counts.
pub const IN_PROGRESS: u64 = 1;
/// The lower bits of that word, below the count of transactions.
pub const FLAGS: u64 = 0xFF;
const ONE_TRANSACTION: u64 = FLAGS + 1;

const COUNT: u64 = 16;
const CHECK: u64 = 24;
const LIST: u64 = 32;

/// So many values change in one step at most.
pub const MOST_VALUES: u64 = if cfg!(loom) { 2 } else { 128 };

/// How often a reader is overtaken by whole transactions before it gives up.
const TRIES: u32 = 64;

/// Where the words of the transactions of a share lie.
#[derive(Debug)]
pub struct Transactions<'g, G: Ground> {
    ground: &'g G,
    attention: Offset,
    record: Offset,
}

impl<'g, G: Ground> Transactions<'g, G> {
    /// The bytes of the record.
    pub const BYTES: u64 = LIST + MOST_VALUES * 16;

    /// The transactions with this word of attention and this record; zeros at first.
    ///
    /// # Errors
    ///
    /// Damaged, if they do not lie in the memory.
    #[inline]
    pub fn at(
        ground: &'g G,
        attention: Offset,
        record: Offset,
    ) -> Result<Transactions<'g, G>, Error> {
        Ok(Transactions { ground, attention, record })
    }

    /// The word of attention. Zero flags say that there is nothing to look after.
    ///
    /// # Errors
    ///
    /// Damaged.
    #[inline]
    pub fn attention(&self) -> Result<u64, Error> {
        // Acquire: (A11).
        Ok(self.ground.u64(self.attention)?.load(Ordering::Acquire))
    }

    /// What the transaction of this number has written down.
    fn record(&self, number: u64) -> Result<Vec<(Offset, u64)>, Error> {
        let at = self.record + COUNT;
        let word = |at| self.ground.u64(at).map(|word| word.load(Ordering::Relaxed));
        let count = word(at)?;
        if count > MOST_VALUES {
            return Err(Error::damaged_at("the count of values of a transaction", at, count));
        }
        let entries = (0..count).map(|index| self.record + LIST + index * 16);
        let list =
            entries.map(|at| Ok((word(at)?, word(at + 8)?))).collect::<Result<Vec<_>, Error>>()?;
        let check = word(self.record + CHECK)?;
        if check != sum(number, list.iter().copied()) {
            let at = self.record + CHECK;
            return Err(Error::damaged_at("the checksum of a transaction", at, check));
        }
        Ok(list)
    }

    /// The version that a value has in the transaction that is in progress, if it has one there.
    ///
    /// # Errors
    ///
    /// Damaged.
    pub fn version_of(&self, value: Offset) -> Result<Option<u64>, Error> {
        for _ in 0..TRIES {
            let attention = self.attention()?;
            if attention & IN_PROGRESS == 0 {
                return Ok(None);
            }
            self.ground.point("transaction.look");
            let record = self.record(number_of(attention));
            // Acquire: (A13).
            fence(Ordering::Acquire);
            let after = self.ground.u64(self.attention)?.load(Ordering::Relaxed);
            // Also that it is still in progress: before the next one counts, it writes down what it will be.
            if after & IN_PROGRESS != 0 && number_of(after) == number_of(attention) {
                let found = record?.into_iter().find(|(at, _)| *at == value);
                return Ok(found.map(|(_, version)| version));
            }
        }
        Err(Error::busy("the record of transactions", self.record))
    }

    /// Sees to it that nobody goes on with a value whose memory is about to be given back: nobody who lives has it.
    ///
    /// # Errors
    ///
    /// Busy, if somebody who has stopped finishes the transaction that it is in. Damaged.
    pub fn let_go(&self, value: Offset) -> Result<(), Error> {
        if self.attention()? & IN_PROGRESS == 0 {
            return Ok(());
        }
        self.help()?;
        match self.version_of(value)? {
            Some(_) => Err(Error::busy("the record of transactions", self.record)),
            None => Ok(()),
        }
    }

    /// Begins a transaction, after those that others left unfinished.
    ///
    /// # Errors
    ///
    /// Timeout, re-entry, damaged.
    pub fn begin(&self, deadline: Option<Instant>) -> Result<Guard<'g, G>, Error> {
        let mut guard = Lock::at(self.ground, self.record)?.lock_until(deadline)?;
        self.finish()?;
        guard.repaired();
        Ok(guard)
    }

    /// Finishes a transaction whose process died, and leaves one that goes on alone.
    ///
    /// # Errors
    ///
    /// Damaged.
    pub fn help(&self) -> Result<(), Error> {
        let lock = Lock::at(self.ground, self.record)?;
        match lock.try_lock() {
            Ok(Some(mut guard)) => {
                self.finish()?;
                guard.repaired();
                Ok(())
            }
            Ok(None) => Ok(()),
            // Asked from within one.
            Err(error) if error.is_reentry() => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Rolls forward what is in progress, with the lock.
    fn finish(&self) -> Result<(), Error> {
        let attention = self.attention()?;
        if attention & IN_PROGRESS == 0 {
            return Ok(());
        }
        for (value, version) in self.record(number_of(attention))? {
            Flip::at(self.ground, value)?.roll_forward(version)?;
            self.ground.point("transaction.rolled");
        }
        self.end()
    }

    fn end(&self) -> Result<(), Error> {
        // Release: (A11).
        self.ground.u64(self.attention)?.fetch_and(!IN_PROGRESS, Ordering::AcqRel);
        self.ground.point("transaction.ended");
        Ok(())
    }

    /// Commits what the writers staged, each for the value at its place, as these versions; `guard` is what
    /// [`begin`](Transactions::begin) gave.
    ///
    /// # Errors
    ///
    /// Too many values. Then nothing has changed.
    pub fn commit(
        &self,
        _guard: &Guard<'g, G>,
        staged: &mut [(Offset, u64, Writer<'_, 'g, G>)],
    ) -> Result<(), Error> {
        let count = staged.len() as u64;
        if count > MOST_VALUES {
            return Err(Error::too_long("the most values of a transaction", count, MOST_VALUES));
        }
        let before = self.attention()?;
        if before & IN_PROGRESS != 0 {
            // Set since `begin` by nobody who may.
            return Err(Error::damaged_at("the word of attention", self.attention, before));
        }
        let number = number_of(before.wrapping_add(ONE_TRANSACTION));
        // Release: (A13).
        fence(Ordering::Release);
        for ((value, version, _), index) in staged.iter().zip(0..) {
            let at = self.record + LIST + index * 16;
            self.ground.u64(at)?.store(*value, Ordering::Relaxed);
            self.ground.u64(at + 8)?.store(*version, Ordering::Relaxed);
        }
        self.ground.u64(self.record + COUNT)?.store(count, Ordering::Relaxed);
        let check = sum(number, staged.iter().map(|(value, version, _)| (*value, *version)));
        self.ground.u64(self.record + CHECK)?.store(check, Ordering::Relaxed);
        self.ground.point("transaction.listed");
        // Release: (A11). This is the commit.
        let attention = self.ground.u64(self.attention)?;
        attention.fetch_add(ONE_TRANSACTION | IN_PROGRESS, Ordering::AcqRel);
        self.ground.point("transaction.committed");
        for (_, version, writer) in staged {
            writer.publish(*version);
            self.ground.point("transaction.published");
        }
        self.end()
    }
}

/// Which transaction it is, as it stands in the word of attention.
fn number_of(attention: u64) -> u64 {
    attention & !FLAGS
}

fn sum(number: u64, list: impl Iterator<Item = (Offset, u64)>) -> u64 {
    let words = list.flat_map(|(value, version)| [value, version]);
    let bytes: Vec<u8> = words.flat_map(u64::to_le_bytes).collect();
    checksum(number, &bytes)
}
