//! A file mapped in segments, each when the file has it.
//!
//! Windows cannot map beyond the end of a file, so a region cannot be reserved whole and grow into its
//! addresses. Segments end at 1, 2, 4, 8, 16 MiB and every 16 MiB from there, or where the region's limit is; a
//! file always ends where a segment ends.

use std::io;
use std::os::fd::{AsFd as _, OwnedFd};

use crate::sync::{Arc, AtomicU32, AtomicU64, OnceLock};
use crate::sys::Mapping;

const MIB: u64 = 1 << 20;
const STEP: u64 = 16 * MIB;

/// There is a table of segments, so there is a limit: its own, below which every limit in a header lies.
const MOST_BYTES: u64 = 1 << 40;

/// The memory of one file, as far as it is mapped.
pub(crate) struct Memory {
    file: Arc<OwnedFd>,
    limit: u64,
    segments: Box<[OnceLock<Mapping>]>,
}

impl Memory {
    /// The memory of a file that may grow to so many bytes. Nothing is mapped yet.
    pub(crate) fn of(file: &Arc<OwnedFd>, bytes: u64) -> io::Result<Memory> {
        if bytes > MOST_BYTES {
            let text = format!("a region of segments has at most {MOST_BYTES} bytes");
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, text));
        }
        let count = index(segment_at(bytes.saturating_sub(1))).saturating_add(1);
        let segments = (0..count).map(|_| OnceLock::new()).collect();
        Ok(Memory { file: Arc::clone(file), limit: bytes, segments })
    }

    /// Has the first `length` bytes mapped, which are there.
    pub(crate) fn reach(&self, length: u64) -> io::Result<()> {
        let last = segment_at(length.saturating_sub(1));
        for (number, segment) in (0..=last).zip(&self.segments) {
            if segment.get().is_some() {
                continue;
            }
            let (start, end) = (start_of(number), start_of(number + 1).min(self.limit));
            let mapping = Mapping::shared(self.file.as_fd(), start, index(end - start))?;
            // Of two threads the first one's stays.
            let _ = segment.set(mapping);
        }
        Ok(())
    }

    /// Where the file ends that has `length` bytes: with a segment.
    #[inline]
    pub(crate) fn end_of_file(&self, length: u64) -> u64 {
        match length.checked_sub(1) {
            Some(last) => start_of(segment_at(last) + 1).min(self.limit),
            None => 0,
        }
    }

    /// How many bytes lie together from `offset` on: up to the end of its segment.
    #[inline]
    pub(crate) fn together_from(&self, offset: u64) -> u64 {
        start_of(segment_at(offset) + 1).saturating_sub(offset)
    }

    /// `count` words from `offset` on; `None` where they are not mapped, not aligned or in two segments.
    #[inline]
    pub(crate) fn words32(&self, offset: usize, count: usize) -> Option<&[AtomicU32]> {
        let (segment, offset) = self.place(offset)?;
        segment.words32(offset, count)
    }

    /// `count` words from `offset` on; `None` where they are not mapped, not aligned or in two segments.
    #[inline]
    pub(crate) fn words64(&self, offset: usize, count: usize) -> Option<&[AtomicU64]> {
        let (segment, offset) = self.place(offset)?;
        segment.words64(offset, count)
    }

    #[inline]
    fn place(&self, offset: usize) -> Option<(&Mapping, usize)> {
        let offset = u64::try_from(offset).ok()?;
        let number = segment_at(offset);
        let segment = self.segments.get(index(number))?.get()?;
        Some((segment, index(offset - start_of(number))))
    }
}

/// Which segment a byte lies in.
#[inline]
fn segment_at(offset: u64) -> u64 {
    match offset / MIB {
        0 => 0,
        mib @ 1..16 => u64::from(1 + mib.ilog2()),
        mib => 4 + mib / 16,
    }
}

#[inline]
fn start_of(segment: u64) -> u64 {
    match segment {
        0 => 0,
        1..=4 => MIB << (segment - 1),
        _ => (segment - 4).saturating_mul(STEP),
    }
}

#[inline]
fn index(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_lies_in_one_segment() {
        let starts: Vec<u64> = (0..9).map(|segment| start_of(segment) / MIB).collect();
        assert_eq!(starts, [0, 1, 2, 4, 8, 16, 32, 48, 64]);
        for segment in 0..70_000 {
            let (start, end) = (start_of(segment), start_of(segment + 1));
            assert!(start < end);
            assert_eq!((segment_at(start), segment_at(end - 1)), (segment, segment));
        }
        assert!(start_of(segment_at(u64::MAX) + 1) >= u64::MAX - STEP);
    }

    #[test]
    fn a_file_ends_with_a_segment_or_at_the_limit() {
        let file = Arc::new(super::super::unnamed_memory("").unwrap());
        let memory = Memory::of(&file, 3 * MIB).unwrap();
        for (length, end) in [(0, 0), (1, MIB), (MIB, MIB), (MIB + 1, 2 * MIB), (3 * MIB, 3 * MIB)]
        {
            assert_eq!(memory.end_of_file(length), end, "{length}");
        }
        assert_eq!(memory.together_from(MIB - 8), 8);
        assert!(memory.words64(0, 1).is_none(), "nothing is mapped");
        assert!(Memory::of(&file, MOST_BYTES + 1).is_err());
    }
}
