//! Whether what is written to a collection counts at once, or waits for its share to be started.

use super::words::{Ground, Offset};
use crate::error::Error;
use crate::sync::modelled::Ordering;

/// A word that says so: closed while `word & mask == closed`.
///
/// Whoever writes looks at it with the lock of the collection. So who closes it and then takes each lock once
/// knows that no write which saw it open is still on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gate {
    /// Where the `u64` lies.
    pub at: Offset,
    /// The bits to be looked at.
    pub mask: u64,
    /// What they are while it is closed.
    pub closed: u64,
}

impl Gate {
    /// Whether it is closed.
    ///
    /// # Errors
    ///
    /// Damaged.
    pub fn is_closed<G: Ground>(&self, ground: &G) -> Result<bool, Error> {
        // Acquire: who finds it open again finds what was there when it was opened.
        Ok(ground.u64(self.at)?.load(Ordering::Acquire) & self.mask == self.closed)
    }

    /// Whether there is one, and it is closed.
    pub(super) fn is_shut<G: Ground>(gate: Option<Gate>, ground: &G) -> Result<bool, Error> {
        gate.map_or(Ok(false), |gate| gate.is_closed(ground))
    }

    /// An error if it is closed: what is asked for cannot wait.
    pub(super) fn check<G: Ground>(
        gate: Option<Gate>,
        ground: &G,
        what: &'static str,
    ) -> Result<(), Error> {
        if Gate::is_shut(gate, ground)? { Err(Error::stopped(what)) } else { Ok(()) }
    }
}
