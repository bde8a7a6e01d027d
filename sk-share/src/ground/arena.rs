//! Blocks of any size, whose books add up after any number of deaths.
//!
//! A block is *free*, *reserved* by an agent that is about to link it, or *linked*: some word outside
//! of the books holds its offset. [`Arena::exchange`] reserves a block and writes down which word
//! will hold it and which block that word holds now. [`Reservation::link`] stores that word. This one
//! store decides: whoever settles the record later frees the block that the word does not hold.
//!
//! | dies | what is left | who goes on |
//! |---|---|---|
//! | with the lock, before its record has an owner | nothing, or an empty chunk | the next holder makes anew what is derived |
//! | with the lock, after that | a record of a dead agent | the next holder settles it, then as above |
//! | before it links | a record; the word holds the old block | the next to come: the new block is freed |
//! | after it links | a record; the word holds the new block | the next to come: the old block is freed |
//! | while it repairs | the lock, abandoned again | the next begins again |
//!
//! No block is taken between the death and the repair: who takes the lock next is told.
//!
//! Pairs of orderings: (A2), (A4) of the lock. (A8) what an agent did before it was done with a
//! record is seen by who settles it: release of `DONE`, acquire in `is_left`. (A6), the arena's
//! part: a release fence before a new block is filled, so that who reads a byte of the new use also
//! sees all that happened before the old use ended.

mod account;
mod books;
mod layout;
mod records;

use std::borrow::Cow;
use std::fmt;
use std::time::Instant;

pub use account::Account;
use books::Books;
pub use layout::Layout;
use layout::{CHUNK_BYTES, CHUNKS, FIRST, MOST_CHUNKS, TABLE};
use records::{DONE, Record};

use super::lock::{Guard, Lock};
use super::words::{Ground, Offset};
use crate::error::Error;
use crate::sync::modelled::{Ordering, fence};

/// Blocks of shared memory.
pub struct Arena<'g, G: Ground> {
    ground: &'g G,
    layout: Cow<'g, Layout>,
}

impl<'g, G: Ground> Arena<'g, G> {
    /// How many bytes the header of an arena takes at `at`, with so many chunks at most.
    #[must_use]
    pub const fn header_bytes(most_chunks: u64) -> u64 {
        TABLE + most_chunks * 8
    }

    /// Makes an arena: its header at `at`, its chunks from `first` on to the end of the memory, as
    /// that grows. Only one agent may know of the place yet, and its bytes are zero.
    ///
    /// # Errors
    ///
    /// Damaged, if the header does not fit before `first`, or the size of a chunk is not a power of
    /// two from 256 bytes to 1 GiB.
    pub fn create(
        ground: &'g G,
        at: Offset,
        first: Offset,
        chunk_bytes: u64,
        most_chunks: u64,
    ) -> Result<Arena<'g, G>, Error> {
        let layout = Layout::new(at, chunk_bytes, most_chunks, first)?;
        for (word, value) in
            [(CHUNK_BYTES, chunk_bytes), (MOST_CHUNKS, most_chunks), (FIRST, first), (CHUNKS, 0)]
        {
            ground.u64(at + word)?.store(value, Ordering::Relaxed);
        }
        Lock::at(ground, at)?;
        Ok(Arena { ground, layout: Cow::Owned(layout) })
    }

    /// An arena that somebody made.
    ///
    /// # Errors
    ///
    /// Damaged, if there is none.
    pub fn open(ground: &'g G, at: Offset) -> Result<Arena<'g, G>, Error> {
        Lock::at(ground, at)?;
        let get = |word| {
            let at = at.checked_add(word).ok_or_else(|| Error::damaged_at("an arena", at, at))?;
            ground.u64(at).map(|word| word.load(Ordering::Relaxed))
        };
        let layout = Layout::new(at, get(CHUNK_BYTES)?, get(MOST_CHUNKS)?, get(FIRST)?)?;
        Ok(Arena { ground, layout: Cow::Owned(layout) })
    }

    /// The arena of a layout that was found before, without another look at it. If it does not lie in this
    /// memory, whatever needs its books says so.
    #[inline]
    #[must_use]
    pub fn again(ground: &'g G, layout: &'g Layout) -> Arena<'g, G> {
        Arena { ground, layout: Cow::Borrowed(layout) }
    }

    /// What [`again`](Arena::again) takes.
    #[must_use]
    pub fn layout(&self) -> Layout {
        self.layout.clone().into_owned()
    }

    /// Reserves a block of at least `bytes` bytes, for `word` to hold in place of what it holds now.
    ///
    /// That word is zero or holds a block of this arena, and is changed only by [`Reservation::link`]
    /// and [`release`](Arena::release).
    ///
    /// # Errors
    ///
    /// Full, if the limit is reached; busy, if somebody else who lives has a reservation for that
    /// word; timeout, re-entry and damaged.
    pub fn exchange(
        &self,
        word: Offset,
        bytes: u64,
        deadline: Option<Instant>,
    ) -> Result<Reservation<'_, 'g, G>, Error> {
        let me = self.ground.me()?;
        let most = self.layout.most_chunks * self.layout.chunk_bytes;
        if bytes > most {
            return Err(Error::too_long("the largest block", bytes, most));
        }
        let _guard = self.hold(deadline)?;
        let books = self.books();
        books.sweep(books.records()?, Some(word))?;
        let old = self.held_by(&books, word)?;
        let record = books.free_record()?;
        let place = books.find(bytes.max(1))?;
        let new = books.offset(place);
        self.ground.point("arena.reserve.found");
        books.enter(record, me, word, new, old)?;
        books.mark(place)?;
        self.ground.point("arena.reserve.marked");
        // Release: (A6).
        fence(Ordering::Release);
        let bytes = books.bytes(place);
        Ok(Reservation { arena: self, record, word, block: new, bytes, is_done: false })
    }

    /// Frees the block that `word` holds, if any, and makes it zero.
    ///
    /// # Errors
    ///
    /// As for [`exchange`](Arena::exchange).
    pub fn release(&self, word: Offset, deadline: Option<Instant>) -> Result<(), Error> {
        let me = self.ground.me()?;
        let _guard = self.hold(deadline)?;
        let books = self.books();
        books.sweep(books.records()?, Some(word))?;
        let old = self.held_by(&books, word)?;
        if old == 0 {
            return Ok(());
        }
        let record = books.free_record()?;
        books.enter(record, me, word, 0, old)?;
        // Release: who sees that the block is gone sees what was done with it before.
        books.word(word)?.store(0, Ordering::Release);
        self.ground.point("arena.release.unlinked");
        books.settle(record)
    }

    /// How many bytes fit the block that a word of the caller's holds.
    ///
    /// # Errors
    ///
    /// Damaged, if there is no such block.
    pub fn bytes_of(&self, block: Offset) -> Result<u64, Error> {
        let books = self.books();
        let place = books.locate(block)?;
        if books.is_used(place)? {
            Ok(books.bytes(place))
        } else {
            Err(Error::damaged_at("the offset of a block", block, block))
        }
    }

    /// Whether so many bytes at `at` lie where blocks lie: what a reader asks that must not wait.
    pub(super) fn may_hold(&self, at: Offset, bytes: u64) -> bool {
        let end = self.layout.chunk(self.layout.most_chunks);
        at >= self.layout.first && at.checked_add(bytes).is_some_and(|last| last <= end)
    }

    /// Whether every block for `bytes` begins at a multiple of `align`.
    pub(super) fn is_aligned(&self, bytes: u64, align: u64) -> bool {
        let Layout { first, chunk_bytes, .. } = *self.layout;
        let [begin, step] = self
            .layout
            .class_for(bytes)
            .map_or([0, chunk_bytes], |class| [class.begin, class.bytes]);
        [first, chunk_bytes, begin, step].iter().all(|part| part.is_multiple_of(align))
    }

    /// How many bytes a new block for `bytes` would have.
    #[must_use]
    pub fn bytes_for(&self, bytes: u64) -> u64 {
        let chunk_bytes = self.layout.chunk_bytes;
        self.layout.class_for(bytes).map_or_else(
            || bytes.div_ceil(chunk_bytes).saturating_mul(chunk_bytes),
            |class| class.bytes,
        )
    }

    /// Settles what dead agents left and gives free chunks back to all sizes.
    ///
    /// # Errors
    ///
    /// Timeout, re-entry and damaged.
    pub fn sweep(&self, deadline: Option<Instant>) -> Result<(), Error> {
        let _guard = self.hold(deadline)?;
        let books = self.books();
        books.sweep(books.capacity()?, None)?;
        books.rebuild()
    }

    /// Walks all books and says what they come to, and what does not add up.
    ///
    /// # Errors
    ///
    /// Timeout, re-entry; damaged, if the books cannot even be walked.
    pub fn check(&self, deadline: Option<Instant>) -> Result<Account, Error> {
        let guard = self.hold(deadline)?;
        let books = self.books();
        books.sweep(books.records()?, None)?;
        let account = books.account();
        // By hand: what a function returns is not dropped if a guard's drop unwinds, as in the tests.
        drop(guard);
        account
    }

    fn books(&self) -> Books<'_, G> {
        Books { ground: self.ground, layout: &self.layout }
    }

    /// Takes the lock, and repairs the books if their last holder died.
    fn hold(&self, deadline: Option<Instant>) -> Result<Guard<'g, G>, Error> {
        let mut guard = Lock::at(self.ground, self.layout.at)?.lock_until(deadline)?;
        if guard.was_abandoned() {
            let books = self.books();
            self.ground.point("arena.repair.begin");
            // First the records, then what is derived: settling may make wrong lists more wrong.
            books.sweep(books.capacity()?, None)?;
            self.ground.point("arena.repair.swept");
            books.rebuild()?;
            self.ground.point("arena.repair.rebuilt");
            guard.repaired();
        }
        Ok(guard)
    }

    /// The block that a word holds, or zero.
    fn held_by(&self, books: &Books<'_, G>, word: Offset) -> Result<Offset, Error> {
        let block = books.get(word)?;
        if block != 0 && !books.is_used(books.locate(block)?)? {
            return Err(Error::damaged_at("a word that holds a block", word, block));
        }
        Ok(block)
    }
}

impl<G: Ground> fmt::Debug for Arena<'_, G> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Arena").field("layout", &self.layout).finish_non_exhaustive()
    }
}

/// A block that no word holds yet. Dropped, it is free again.
pub struct Reservation<'a, 'g, G: Ground> {
    arena: &'a Arena<'g, G>,
    record: Record,
    word: Offset,
    block: Offset,
    bytes: u64,
    is_done: bool,
}

impl<G: Ground> Reservation<'_, '_, G> {
    /// Where the block lies.
    #[must_use]
    pub fn block(&self) -> Offset {
        self.block
    }

    /// How many bytes fit.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Has the word hold this block, and frees the one that it held. It waits for nobody: whoever
    /// needs the books next brings them up to date.
    ///
    /// # Errors
    ///
    /// Damaged, if there is no such word; then the block is free again.
    pub fn link(mut self) -> Result<(), Error> {
        let ground = self.arena.ground;
        ground.point("arena.link.filled");
        // Release: who sees the block sees what was written into it.
        ground.u64(self.word)?.store(self.block, Ordering::Release);
        ground.point("arena.link.linked");
        self.leave();
        Ok(())
    }

    fn leave(&mut self) {
        self.is_done = true;
        if let Ok(owner) = self.arena.ground.u64(self.record.owner()) {
            // Release: (A8).
            owner.store(DONE, Ordering::Release);
        }
        self.arena.ground.point("arena.record.left");
    }
}

impl<G: Ground> Drop for Reservation<'_, '_, G> {
    fn drop(&mut self) {
        if !self.is_done && !self.arena.ground.has_ended() {
            self.leave();
        }
    }
}

impl<G: Ground> fmt::Debug for Reservation<'_, '_, G> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Reservation")
            .field("block", &self.block)
            .field("bytes", &self.bytes)
            .field("word", &self.word)
            .finish_non_exhaustive()
    }
}
