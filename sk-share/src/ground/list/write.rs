//! Changing a list, with its lock.

use std::time::Instant;

use super::super::element::{
    BLOCK, BYTES, IN_BLOCK, append_inline, block_bytes, fill_block, header_of,
};
use super::super::lock::Guard;
use super::super::words::{Ground, Offset};
use super::place::Place;
use super::read::Copied;
use super::{COPYING, INTENT, INTENT_ENTRY, LINKING, List, MOST_SEGMENTS, ONE_CHANGE, STATE, Seen};
use crate::error::Error;
use crate::sync::modelled::{Ordering, fence};

/// A list whose lock is held, and in which nothing is left half done.
pub(super) struct Held<'l, 'g, G: Ground> {
    list: &'l List<'g, G>,
    _guard: Guard<'g, G>,
}

impl<'l, 'g, G: Ground> Held<'l, 'g, G> {
    /// Takes the lock, and finishes what others have begun.
    #[inline]
    pub(super) fn new(list: &'l List<'g, G>, deadline: Option<Instant>) -> Result<Self, Error> {
        let mut guard = list.lock.lock_until(deadline)?;
        if guard.was_abandoned() {
            list.repair()?;
            guard.repaired();
        }
        let epoch = list.epoch.load(Ordering::Relaxed);
        if epoch & STATE != 0 {
            list.finish(epoch)?;
        }
        if list.filled.load(Ordering::Relaxed) > list.end() {
            list.trim_if_free(list.end())?;
        }
        Ok(Held { list, _guard: guard })
    }

    pub(super) fn append<B: AsRef<[u8]>>(
        &self,
        elements: impl IntoIterator<Item = B>,
        seen: Seen,
        deadline: Option<Instant>,
    ) -> Result<u64, Error> {
        let list = self.list;
        let begin = list.end();
        // Release: (A6), who copies what we write into an entry that was popped sees that it was.
        fence(Ordering::Release);
        let mut end = begin;
        for element in elements {
            if let Err(error) = self.put(end, element.as_ref(), deadline) {
                // What they hold is given back now, or by the next holder.
                let _ = list.trim_if_free(begin);
                return Err(error);
            }
            end += 1;
        }
        list.ground.point("list.push.written");
        if seen == Seen::OncePublished {
            list.appended.store(end, Ordering::Relaxed);
            list.ground.point("list.push.appended");
        } else {
            // Release: (A9). This store is the commit.
            list.length.store(end, Ordering::Release);
            list.ground.point("list.push.committed");
        }
        Ok(begin)
    }

    /// Writes the entry of an index behind the end.
    #[inline]
    fn put(&self, index: u64, bytes: &[u8], deadline: Option<Instant>) -> Result<(), Error> {
        let List { ground, shape, arena, .. } = *self.list;
        let entry = self.reach(index, deadline)?;
        let block = entry + BLOCK;
        let fits = shape.fits(bytes);
        if index >= self.list.filled.load(Ordering::Relaxed) {
            // What the word holds is of another use of this memory.
            ground.u64(block)?.store(0, Ordering::Relaxed);
            if !fits {
                self.list.filled.store(index + 1, Ordering::Relaxed);
            }
        }
        if fits {
            ground.u64(entry)?.store(header_of(index, bytes), Ordering::Relaxed);
            return ground.copy_in(entry + BYTES, bytes);
        }
        ground.point("list.push.filled");
        let reservation = arena.exchange(block, block_bytes(bytes), deadline)?;
        fill_block(ground, reservation.block(), index, bytes)?;
        reservation.link()?;
        ground.u64(entry)?.store(IN_BLOCK, Ordering::Relaxed);
        Ok(())
    }

    /// Where the entry of an index is; its segment is taken if it is not there.
    #[inline]
    fn reach(&self, index: u64, deadline: Option<Instant>) -> Result<Offset, Error> {
        let list = self.list;
        if let Some(place) = Place::of(index).filter(|place| place.is_first()) {
            self.add_segment(place, deadline)?;
        }
        list.entry(index)
    }

    #[cold]
    fn add_segment(&self, place: Place, deadline: Option<Instant>) -> Result<(), Error> {
        let List { ground, shape, arena, .. } = *self.list;
        let word = self.list.segment(place.segment);
        if ground.u64(word)?.load(Ordering::Relaxed) == 0 {
            let bytes = shape.bytes_for(arena, place.count());
            arena.exchange(word, bytes, deadline)?.link()?;
            ground.point("list.segment.added");
        }
        Ok(())
    }

    pub(super) fn publish(&self) {
        let list = self.list;
        let end = list.end();
        list.ground.point("list.publish.begin");
        // Release: (A9). This store is the commit.
        list.length.store(end, Ordering::Release);
        list.ground.point("list.publish.committed");
    }

    pub(super) fn get(&self, index: u64, out: &mut Vec<u8>) -> Result<bool, Error> {
        let list = self.list;
        if index >= list.len() {
            return Ok(false);
        }
        let epoch = list.load_epoch()?;
        match list.copy(epoch, index, out)? {
            Copied::Whole => Ok(true),
            Copied::Overtaken => Err(list.moved(epoch)),
        }
    }

    pub(super) fn pop(&self, out: &mut Vec<u8>, deadline: Option<Instant>) -> Result<bool, Error> {
        self.nothing_pending()?;
        let Some(last) = self.list.len().checked_sub(1) else { return Ok(false) };
        self.get(last, out)?;
        self.shorten(last, deadline);
        Ok(true)
    }

    pub(super) fn truncate(&self, length: u64, deadline: Option<Instant>) -> Result<(), Error> {
        self.nothing_pending()?;
        if length < self.list.len() {
            self.shorten(length, deadline);
        }
        Ok(())
    }

    fn nothing_pending(&self) -> Result<(), Error> {
        if self.list.end() > self.list.len() {
            return Err(Error::busy("a list with entries that are not published", self.list.at));
        }
        Ok(())
    }

    /// Removes what lies behind `length`, and gives back what it held. What goes wrong with that goes
    /// wrong for the next holder too, and is told then: the change is made.
    fn shorten(&self, length: u64, deadline: Option<Instant>) {
        let list = self.list;
        let is_one = length + 1 == list.len();
        self.commit_shorter(length);
        if list.trim(length, deadline).is_err() {
            return;
        }
        // A pop looks for segments only when it empties one, which it keeps for the next push.
        if let Some(place) = Place::of(length).filter(|place| !is_one || place.is_first()) {
            let _ = list.give_back_segments(place.segment + 1, deadline);
        }
    }

    fn commit_shorter(&self, length: u64) {
        let list = self.list;
        let filled = list.filled.load(Ordering::Relaxed).max(list.end());
        list.filled.store(filled, Ordering::Relaxed);
        // Before `length`: beyond that it would be the end of what is not published.
        list.appended.store(0, Ordering::Relaxed);
        list.ground.point("list.shorten.begin");
        // Release: (A9). This store is the commit.
        list.length.store(length, Ordering::Release);
        list.ground.point("list.shorten.committed");
        list.count_change();
        list.ground.point("list.shorten.counted");
    }

    pub(super) fn destroy(&self, deadline: Option<Instant>) -> Result<(), Error> {
        self.commit_shorter(0);
        self.list.trim(0, deadline)?;
        self.list.give_back_segments(0, deadline)
    }

    pub(super) fn set(
        &self,
        index: u64,
        bytes: &[u8],
        deadline: Option<Instant>,
    ) -> Result<bool, Error> {
        if index >= self.list.len() {
            return Ok(false);
        }
        let entry = self.list.entry(index)?;
        if self.list.shape.fits(bytes) {
            self.set_inline(index, entry, bytes, deadline)?;
        } else {
            self.set_in_block(index, entry, bytes, deadline)?;
        }
        Ok(true)
    }

    fn set_inline(
        &self,
        index: u64,
        entry: Offset,
        bytes: &[u8],
        deadline: Option<Instant>,
    ) -> Result<(), Error> {
        let List { ground, at, arena, epoch, .. } = *self.list;
        let intent = at + INTENT_ENTRY;
        let header = header_of(index, bytes);
        // Release: (A6), who copies what we write from here on sees that the last intent is done.
        fence(Ordering::Release);
        ground.u64(at + INTENT)?.store(index, Ordering::Relaxed);
        ground.u64(intent)?.store(header, Ordering::Relaxed);
        ground.copy_in(intent + BYTES, bytes)?;
        ground.point("list.set.intended");
        // Release: (A10). This store is the commit.
        epoch.store(epoch.load(Ordering::Relaxed) | COPYING, Ordering::Release);
        ground.point("list.set.committed");
        self.list.copy_intent(entry, header, bytes)?;
        // An element that lies in its entry needs no block. If nobody can take it back now, the entry
        // keeps it until it gets another one, or is removed.
        let block = entry + BLOCK;
        if ground.u64(block)?.load(Ordering::Relaxed) != 0 {
            let _ = arena.release(block, deadline);
        }
        Ok(())
    }

    fn set_in_block(
        &self,
        index: u64,
        entry: Offset,
        bytes: &[u8],
        deadline: Option<Instant>,
    ) -> Result<(), Error> {
        let List { ground, at, arena, epoch, .. } = *self.list;
        let reservation = arena.exchange(entry + BLOCK, block_bytes(bytes), deadline)?;
        let block = reservation.block();
        fill_block(ground, block, index, bytes)?;
        // Release: (A6), as for an intent of bytes.
        fence(Ordering::Release);
        ground.u64(at + INTENT)?.store(index, Ordering::Relaxed);
        ground.u64(at + INTENT_ENTRY + BLOCK)?.store(block, Ordering::Relaxed);
        ground.point("list.link.intended");
        // Release: (A10).
        epoch.store(epoch.load(Ordering::Relaxed) | LINKING, Ordering::Release);
        ground.point("list.link.begin");
        // If the old element lies in a block, this is the commit.
        reservation.link()?;
        ground.point("list.link.linked");
        // Else it is this store. Release: (A11), the block is there before.
        ground.u64(entry)?.store(IN_BLOCK, Ordering::Release);
        ground.point("list.link.committed");
        self.list.count_change();
        ground.point("list.link.done");
        Ok(())
    }

    /// All blocks that words of the list hold.
    pub(super) fn blocks(&self) -> Result<Vec<Offset>, Error> {
        let list = self.list;
        let get = |at| Ok::<_, Error>(list.ground.u64(at)?.load(Ordering::Relaxed));
        let mut blocks = Vec::new();
        for segment in 0..MOST_SEGMENTS {
            blocks.push(get(list.segment(segment))?);
        }
        for index in 0..list.filled.load(Ordering::Relaxed).max(list.end()) {
            blocks.push(get(list.entry(index)? + BLOCK)?);
        }
        blocks.retain(|block| *block != 0);
        Ok(blocks)
    }
}

/// What the holder of the lock does, and whoever holds it next does again.
impl<G: Ground> List<'_, G> {
    /// Behind all entries, published or not.
    #[inline]
    pub(super) fn end(&self) -> u64 {
        // `appended` stays where it was when that is published or pushed over.
        self.length.load(Ordering::Relaxed).max(self.appended.load(Ordering::Relaxed))
    }

    /// The next epoch, in which no intent counts.
    fn count_change(&self) {
        let epoch = self.epoch.load(Ordering::Relaxed) & !STATE;
        // Release: (A10).
        self.epoch.store(epoch.wrapping_add(ONE_CHANGE), Ordering::Release);
    }

    #[cold]
    fn repair(&self) -> Result<(), Error> {
        self.ground.point("list.repair.begin");
        let epoch = self.epoch.load(Ordering::Relaxed);
        if epoch & STATE != 0 {
            self.finish(epoch)?;
        }
        // The dead may have lowered the length and not come to this.
        self.count_change();
        self.ground.point("list.repair.counted");
        self.changes.notify_all();
        Ok(())
    }

    /// Carries an intent out.
    #[cold]
    fn finish(&self, epoch: u64) -> Result<(), Error> {
        let get = |at| Ok::<_, Error>(self.ground.u64(at)?.load(Ordering::Relaxed));
        let index = get(self.at + INTENT)?;
        if index >= self.len() || epoch & STATE == STATE {
            return Err(Error::damaged_at("the intent of a list", self.at + INTENT, index));
        }
        let intent = self.at + INTENT_ENTRY;
        let entry = self.entry(index)?;
        self.ground.point("list.finish.begin");
        if epoch & STATE == COPYING {
            let header = get(intent)?;
            let mut bytes = Vec::new();
            append_inline(self.ground, self.shape, index, header, intent + BYTES, &mut bytes)?;
            return self.copy_intent(entry, header, &bytes);
        }
        // It was committed or it was not. A block that is linked where the header does not say so stays
        // with its entry; one that is not linked is swept in the arena.
        self.count_change();
        Ok(())
    }

    /// Puts what the intent says into its entry, after which the intent does not count.
    fn copy_intent(&self, entry: Offset, header: u64, bytes: &[u8]) -> Result<(), Error> {
        // Release: (A6), who copies what we write into the entry sees that the intent counted.
        fence(Ordering::Release);
        self.ground.u64(entry)?.store(header, Ordering::Relaxed);
        self.ground.copy_in(entry + BYTES, bytes)?;
        self.ground.point("list.set.copied");
        self.count_change();
        self.ground.point("list.set.done");
        Ok(())
    }

    /// Gives back what entries from `end` on hold, if nobody is at the books of the arena: whoever comes
    /// for something else need not wait for that.
    #[cold]
    fn trim_if_free(&self, end: u64) -> Result<(), Error> {
        match self.trim(end, Some(Instant::now())) {
            Err(error) if error.is_timeout() => Ok(()),
            result => result,
        }
    }

    /// Gives back what entries from `end` on hold, the last one first.
    fn trim(&self, end: u64, deadline: Option<Instant>) -> Result<(), Error> {
        let mut filled = self.filled.load(Ordering::Relaxed);
        while filled > end {
            let block = self.entry(filled - 1)? + BLOCK;
            if self.ground.u64(block)?.load(Ordering::Relaxed) != 0 {
                self.arena.release(block, deadline)?;
                self.ground.point("list.trim.released");
            }
            filled -= 1;
            self.filled.store(filled, Ordering::Relaxed);
        }
        self.ground.point("list.trim.done");
        Ok(())
    }

    /// Gives back the segments from one on, of which no entry holds anything.
    fn give_back_segments(&self, from: u64, deadline: Option<Instant>) -> Result<(), Error> {
        for segment in (from..MOST_SEGMENTS).rev() {
            let word = self.segment(segment);
            if self.ground.u64(word)?.load(Ordering::Relaxed) != 0 {
                self.arena.release(word, deadline)?;
                self.ground.point("list.segment.released");
            }
        }
        Ok(())
    }
}
