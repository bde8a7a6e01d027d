//! Reading a list without its lock, and with it if writers are always quicker.

use std::time::Instant;

use super::super::element::{BLOCK, BYTES, IN_BLOCK, append_block, append_inline};
use super::super::words::Ground;
use super::{COPYING, INTENT, INTENT_ENTRY, LINKING, List, ONE_CHANGE, STATE, TRIES, Version};
use crate::error::Error;
use crate::sync::modelled::{AtomicU64, Ordering, fence};

/// What a copy came to.
#[derive(PartialEq, Eq)]
pub(super) enum Copied {
    Whole,
    Overtaken,
}

impl<'g, G: Ground> List<'g, G> {
    /// How many elements there are.
    #[must_use]
    pub fn len(&self) -> u64 {
        // Acquire: (A9).
        self.length.load(Ordering::Acquire)
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Which state the list is in.
    ///
    /// # Errors
    ///
    /// Damaged.
    pub fn version(&self) -> Result<Version, Error> {
        let mut version = Version::default();
        for _ in 0..TRIES {
            let epoch = self.load_epoch()?;
            // What has been committed, and not been counted yet.
            let is_ahead = match epoch & STATE {
                0 => false,
                COPYING => true,
                _ => self.is_linked(),
            };
            version =
                Version { changes: epoch / ONE_CHANGE + u64::from(is_ahead), length: self.len() };
            if !self.is_overtaken(epoch) {
                break;
            }
        }
        // Whoever overtook us tells of it when it has done.
        Ok(version)
    }

    /// Whether the entry that the intent names has the block that it names, and that counts.
    pub(super) fn is_linked(&self) -> bool {
        let get = |at| Ok::<_, Error>(self.ground.u64(at)?.load(Ordering::Acquire));
        let look = || {
            let entry = self.entry(get(self.at + INTENT)?)?;
            let block = get(self.at + INTENT_ENTRY + BLOCK)?;
            Ok::<_, Error>(get(entry)? == IN_BLOCK && get(entry + BLOCK)? == block)
        };
        look().unwrap_or(false)
    }

    /// Appends an element to `out`; false, if there is no such index.
    ///
    /// No writer keeps a reader waiting, whatever has become of it, unless others change elements again
    /// and again while it copies. Then it takes the lock, and waits for it until `deadline`.
    ///
    /// # Errors
    ///
    /// Damaged; timeout and re-entry, if it came to the lock.
    pub fn get(
        &self,
        index: u64,
        out: &mut Vec<u8>,
        deadline: Option<Instant>,
    ) -> Result<bool, Error> {
        self.find(|length| (index < length).then_some(index), out, deadline)
    }

    /// Appends the last element to `out`; false, if there is none.
    ///
    /// # Errors
    ///
    /// As for [`get`](List::get).
    pub fn last(&self, out: &mut Vec<u8>, deadline: Option<Instant>) -> Result<bool, Error> {
        self.find(|length| length.checked_sub(1), out, deadline)
    }

    #[inline]
    fn find(
        &self,
        index_of: impl Fn(u64) -> Option<u64>,
        out: &mut Vec<u8>,
        deadline: Option<Instant>,
    ) -> Result<bool, Error> {
        for _ in 0..TRIES {
            // Before the length: what is pushed into an entry that was popped has another epoch.
            let epoch = self.load_epoch()?;
            let Some(index) = index_of(self.len()) else { return Ok(false) };
            if self.copy(epoch, index, out)? == Copied::Whole {
                return Ok(true);
            }
        }
        let held = self.hold(deadline)?;
        match index_of(self.len()) {
            Some(index) => held.get(index, out),
            None => Ok(false),
        }
    }

    /// All elements, as they were at one moment.
    ///
    /// # Errors
    ///
    /// As for [`get`](List::get).
    pub fn read_all(&self, deadline: Option<Instant>) -> Result<Items, Error> {
        let mut items = Items::default();
        for _ in 0..TRIES {
            let epoch = self.load_epoch()?;
            if self.copy_all(epoch, &mut items)? == Copied::Whole {
                return Ok(items);
            }
        }
        let _held = self.hold(deadline)?;
        let epoch = self.load_epoch()?;
        match self.copy_all(epoch, &mut items)? {
            Copied::Whole => Ok(items),
            Copied::Overtaken => Err(self.moved(epoch)),
        }
    }

    fn copy_all(&self, epoch: u64, items: &mut Items) -> Result<Copied, Error> {
        items.bytes.clear();
        items.ends.clear();
        for index in 0..self.len() {
            // The last look tells that the epoch did not move, and so for all of them.
            if self.copy(epoch, index, &mut items.bytes)? == Copied::Overtaken {
                return Ok(Copied::Overtaken);
            }
            items.ends.push(items.bytes.len());
        }
        Ok(Copied::Whole)
    }

    pub(super) fn load_epoch(&self) -> Result<u64, Error> {
        // Acquire: (A10).
        let epoch = self.epoch.load(Ordering::Acquire);
        if epoch & STATE == COPYING | LINKING {
            return Err(self.moved(epoch));
        }
        Ok(epoch)
    }

    /// Somebody changed the list without the lock.
    pub(super) fn moved(&self, epoch: u64) -> Error {
        Error::damaged_at("the count of changes", self.at, epoch)
    }

    /// Appends the element of an index below the length, which was loaded after `epoch`.
    #[inline]
    pub(super) fn copy(&self, epoch: u64, index: u64, out: &mut Vec<u8>) -> Result<Copied, Error> {
        let from = out.len();
        let mut seen = None;
        self.ground.point("list.read.begin");
        let result = self.copy_at_risk(epoch, index, out, &mut seen);
        // Acquire: (A6), before this and the look at `epoch`.
        fence(Ordering::Acquire);
        // A writer gives the old block of an entry away before it counts `epoch` up. Acquire: (A11), if
        // the entry has got the same block a second time, the count in between is seen.
        let is_replaced = seen.is_some_and(|(word, block)| word.load(Ordering::Acquire) != block);
        if is_replaced || self.is_overtaken(epoch) {
            out.truncate(from);
            return Ok(Copied::Overtaken);
        }
        if result.is_err() {
            out.truncate(from);
        }
        result.map(|()| Copied::Whole)
    }

    /// Appends what may be torn by now, and says which block it came from.
    fn copy_at_risk(
        &self,
        epoch: u64,
        index: u64,
        out: &mut Vec<u8>,
        seen: &mut Option<(&'g AtomicU64, u64)>,
    ) -> Result<(), Error> {
        let ground = self.ground;
        let get = |at| Ok::<_, Error>(ground.u64(at)?.load(Ordering::Relaxed));
        if epoch & STATE == COPYING && get(self.at + INTENT)? == index {
            let intent = self.at + INTENT_ENTRY;
            return append_inline(ground, self.shape, index, get(intent)?, intent + BYTES, out);
        }
        let entry = self.entry(index)?;
        // Acquire: (A11), the block was linked before the header said so.
        let header = ground.u64(entry)?.load(Ordering::Acquire);
        if header != IN_BLOCK {
            return append_inline(ground, self.shape, index, header, entry + BYTES, out);
        }
        let word = ground.u64(entry + BLOCK)?;
        // Acquire: (A11).
        let block = word.load(Ordering::Acquire);
        *seen = Some((word, block));
        append_block(ground, self.arena, index, block, out, || self.is_overtaken(epoch))
    }

    /// Whether something may have been written over since `epoch` was loaded.
    pub(super) fn is_overtaken(&self, epoch: u64) -> bool {
        // Acquire: (A6).
        fence(Ordering::Acquire);
        self.ground.point("list.read.look");
        self.epoch.load(Ordering::Relaxed) != epoch
    }
}

/// Elements one after another.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Items {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Items {
    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The element of an index.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<&[u8]> {
        let begin = match index.checked_sub(1) {
            Some(before) => *self.ends.get(before)?,
            None => 0,
        };
        self.bytes.get(begin..*self.ends.get(index)?)
    }

    /// All of them in order.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        (0..self.len()).filter_map(|index| self.get(index))
    }
}
