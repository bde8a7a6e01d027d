//! What an object is for whoever finds it, and what the directory does not know of it.

use super::super::words::{Ground, Offset};
use super::layout::SPARE;
use crate::error::Error;

/// The longest name of an object, and of a type as far as it is kept.
pub const MOST_NAME: usize = 4096;

/// What an object is of, for whoever finds it by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spec<'s> {
    /// Which collection, lock or value.
    pub kind: u32,
    /// Says whether two types are the same.
    pub fingerprint: u64,
    /// For messages.
    pub type_name: &'s str,
    /// How many bytes its body has.
    pub bytes: u64,
}

/// An object that somebody found, pinned for the process that did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found {
    /// Its entry.
    pub index: u64,
    /// Its number.
    pub serial: u64,
    /// Its block.
    pub block: Offset,
    /// Where its body begins.
    pub body: Offset,
    /// Which collection, lock or value.
    pub kind: u32,
    /// What says whether two types are the same.
    pub fingerprint: u64,
}

impl Found {
    /// A `u32` beside the mark of removal, for the kind to use: on a line that is seldom written.
    #[must_use]
    pub fn spare(&self) -> Offset {
        self.block + SPARE
    }
}

/// What the directory does not know of the objects that it holds.
pub trait Objects<G: Ground> {
    /// Gives back what an object holds besides its block. It may be called again after a death within, and for an
    /// object that was not made to the end: of zeros, or of zeros and some of what makes it.
    ///
    /// # Errors
    ///
    /// Those of the arena.
    fn destroy(&self, kind: u32, body: Offset) -> Result<(), Error>;

    /// Wakes all who sleep on an object, which is detached.
    fn wake(&self, found: &Found);

    /// Whether the member with these bits is gone.
    fn is_gone(&self, member: u64) -> bool;
}
