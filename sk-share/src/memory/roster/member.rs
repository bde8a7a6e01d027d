//! Members: processes that are in the roster.

use std::fmt;

/// So many rows there are.
pub(super) const MOST: usize = 512;

/// A process that is or was a member: its row and its generation there. Rows are used again, pairs are not
/// (before a row had four billion members).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Member {
    row: u16,
    generation: u32,
}

impl Member {
    pub(super) fn new(row: usize, generation: u32) -> Option<Member> {
        Some(Member { row: u16::try_from(row).ok()?, generation })
    }

    /// The place in the table, below [`Roster::MEMBERS`](super::Roster::MEMBERS).
    pub fn row(self) -> usize {
        usize::from(self.row)
    }

    /// Which use of that place.
    pub fn generation(self) -> u32 {
        self.generation
    }

    /// As one word, to be written down: the generation above the row.
    pub fn to_bits(self) -> u64 {
        u64::from(self.generation) << 32 | u64::from(self.row)
    }

    /// What [`to_bits`](Self::to_bits) gave. `None` if that is no member that could ever be.
    pub fn from_bits(bits: u64) -> Option<Member> {
        let row = u16::try_from(bits & u64::from(u32::MAX)).ok()?;
        let generation = u32::try_from(bits >> 32).ok()?;
        (usize::from(row) < MOST && generation != 0).then_some(Member { row, generation })
    }
}

impl fmt::Debug for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Member({}, generation {})", self.row, self.generation)
    }
}
