//! Where the entries of a list lie: segments, each twice as long as the one before.

use super::super::words::{Ground, Offset};
use super::{List, MOST_SEGMENTS, SEGMENTS};
use crate::error::Error;
use crate::sync::modelled::Ordering;

/// How many entries the first segment has. A model has few words.
const FIRST: u64 = if cfg!(loom) { 2 } else { 8 };

/// A segment, and how many entries of it come before one.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub(super) segment: u64,
    inside: u64,
}

impl Place {
    /// Where an index is; `None`, if no list has it.
    pub(super) fn of(index: u64) -> Option<Place> {
        let number = index.checked_add(FIRST)?;
        let segment = u64::from(number.ilog2() - FIRST.ilog2());
        (segment < MOST_SEGMENTS).then(|| Place { segment, inside: number - (FIRST << segment) })
    }

    /// Whether it is the first of its segment.
    pub(super) fn is_first(self) -> bool {
        self.inside == 0
    }

    /// How many entries its segment has.
    pub(super) fn count(self) -> u64 {
        FIRST << self.segment
    }
}

impl<G: Ground> List<'_, G> {
    /// The word that holds the block of a segment.
    pub(super) fn segment(&self, segment: u64) -> Offset {
        self.at + SEGMENTS + segment * 8
    }

    /// Where the entry of an index is, whose segment is there.
    #[inline]
    pub(super) fn entry(&self, index: u64) -> Result<Offset, Error> {
        let Some(place) = Place::of(index) else {
            return Err(Error::damaged_at("the length of a list", self.at, index));
        };
        let word = self.segment(place.segment);
        // Relaxed: whoever knows of the index knows of the segment (A2, A9).
        let block = self.ground.u64(word)?.load(Ordering::Relaxed);
        self.shape
            .first(self.arena, block, place.count())
            .map(|first| first + place.inside * self.shape.stride())
            .ok_or_else(|| Error::damaged_at("a segment of a list", word, block))
    }
}
