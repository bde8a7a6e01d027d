//! What is written to a value while its share is stopped.

use std::time::Instant;

use crate::error::Error;
use crate::ground::{Arena, Buffer as _, Flip, Ground as _, Offset, checksum};
use crate::memory::Commons;
use crate::share::space::Space;
use crate::sync::Ordering;

/// Where its word lies, behind the flip.
pub(super) const PENDING: u64 = Flip::<'static, Commons>::BYTES;

/// Before the bytes of a pending value: their length and their checksum.
const PENDING_HEADER: u64 = 16;

/// Which commit what waits is.
#[derive(PartialEq, Eq)]
enum AsWhat {
    Next,
    Last,
}

/// What is written while the share is stopped, by whoever has the lock of the value.
pub(super) struct Waiting<'w, 'f, 'g> {
    pub(super) space: &'w Space,
    pub(super) body: Offset,
    pub(super) arena: &'w Arena<'g, Commons>,
    pub(super) flip: &'f Flip<'g, Commons>,
    pub(super) deadline: Option<Instant>,
}

impl Waiting<'_, '_, '_> {
    /// Writes what may need room, and makes some if there is none.
    #[inline(never)]
    pub(super) fn write_with_room(&self, bytes: &[u8], is_stopped: bool) -> Result<u64, Error> {
        let write = || {
            if is_stopped { self.write(bytes) } else { self.flip.commit_held(bytes, self.deadline) }
        };
        match write() {
            Err(error) if error.is_limit() && self.space.is_room_made() => write(),
            written => written,
        }
    }

    #[cold]
    fn write(&self, bytes: &[u8]) -> Result<u64, Error> {
        let commons = &self.space.commons;
        let length = bytes.len() as u64;
        let version = self.flip.version().wrapping_add(1);
        let word = self.body + PENDING;
        // Before anything waits: whoever starts the share must not need room.
        self.flip.reserve_held(length, self.deadline)?;
        let reservation = self.arena.exchange(word, PENDING_HEADER + length, self.deadline)?;
        let block = reservation.block();
        commons.u64(block)?.store(length, Ordering::Relaxed);
        commons.u64(block + 8)?.store(checksum(version, bytes), Ordering::Relaxed);
        commons.copy_in(block + PENDING_HEADER, bytes)?;
        commons.point("value.pending");
        reservation.link()?;
        commons.point("value.waits");
        Ok(version)
    }

    /// What waits, in this block, and the version that it will be.
    #[cold]
    pub(super) fn read(&self, block: Offset, buffer: &mut Vec<u8>) -> Result<u64, Error> {
        self.read_as(block, buffer)?;
        Ok(self.flip.version().wrapping_add(1))
    }

    /// What waits, in this block, and whether it is committed already, by one who could not give the block back.
    #[cold]
    fn read_as(&self, block: Offset, buffer: &mut Vec<u8>) -> Result<AsWhat, Error> {
        let commons = &self.space.commons;
        let length = commons.u64(block)?.load(Ordering::Relaxed);
        let damaged = || Error::damaged_at("the length of a value that waits", block, length);
        if length.saturating_add(PENDING_HEADER) > self.arena.bytes_of(block)? {
            return Err(damaged());
        }
        let bytes = buffer.of_length(usize::try_from(length).map_err(|_| damaged())?)?;
        commons.copy_out(block + PENDING_HEADER, bytes)?;
        let version = self.flip.version();
        let found = commons.u64(block + 8)?.load(Ordering::Relaxed);
        // Nobody commits anything else before the block is given back.
        if found == checksum(version.wrapping_add(1), bytes) {
            Ok(AsWhat::Next)
        } else if found == checksum(version, bytes) {
            Ok(AsWhat::Last)
        } else {
            Err(Error::damaged_at("the checksum of a value that waits", block, found))
        }
    }

    /// Commits what waits, and says whether anything did.
    #[cold]
    pub(super) fn publish(&self) -> Result<bool, Error> {
        let word = self.body + PENDING;
        let block = self.space.commons.u64(word)?.load(Ordering::Relaxed);
        if block == 0 {
            return Ok(false);
        }
        let mut bytes = Vec::new();
        let what = match self.read_as(block, &mut bytes) {
            // It is lost, and told of once; what comes after it goes on.
            Err(error) if error.is_damaged() => {
                self.arena.release(word, self.deadline)?;
                return Err(error);
            }
            what => what?,
        };
        if what == AsWhat::Next {
            self.flip.commit_held(&bytes, self.deadline)?;
            self.space.commons.point("value.published");
            // Also by one who has only come to publish, and is at the end of no start.
            self.space.notify_watchers();
        }
        self.arena.release(word, self.deadline)?;
        Ok(true)
    }
}
