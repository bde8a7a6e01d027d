//! What is in a share, and how it is.

use super::Share;
use super::kind;
use crate::error::Error;
use crate::ground::Ground as _;

/// What is in a share, and how it is; see [`Share::stats`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// How many names there are.
    pub names: u64,
    /// How many objects were removed that some process still holds.
    pub detached: u64,
    /// How many changes the values, lists and queues that are there have had; numbers are not counted.
    pub writes: u64,
    /// About how often this process has read values.
    pub reads: u64,
    /// How many operations failed in this process.
    pub errors: u64,
    /// How many objects have changes that wait for the start of the share.
    pub pending: u64,
    /// How many bytes the objects take, with what lies beside them.
    pub used_bytes: u64,
    /// How many bytes of memory there are.
    pub bytes: u64,
    /// How many there may be.
    pub limit_bytes: u64,
    /// How many processes live that may hold something of it: the members of its program.
    pub processes: u64,
}

impl Share {
    /// What is in it, and how it is, at about one moment.
    ///
    /// # Errors
    /// Damaged memory.
    pub fn stats(&self) -> Result<Stats, Error> {
        let space = &self.space;
        let mut stats = space.with_names(None, |names| {
            let detached = names.reap()?;
            let mut stats = Stats {
                names: 0,
                detached,
                writes: 0,
                reads: space.reads(),
                errors: space.errors(),
                pending: 0,
                used_bytes: 0,
                bytes: space.commons.length(),
                limit_bytes: space.commons.region().limit(),
                processes: 0,
            };
            for (_, found) in names.all()? {
                stats.names += 1;
                stats.writes += kind::writes(space, &found)?;
                stats.pending += u64::from(kind::is_pending(space, &found)?);
            }
            Ok(stats)
        })?;
        stats.used_bytes = space.arena().check(None)?.used.values().sum();
        stats.processes = space.commons.roster().members()?.len() as u64;
        Ok(stats)
    }
}
