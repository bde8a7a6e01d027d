//! Barriers on all processors at once, by membarrier(2), Linux 4.16.

use std::io;

use rustix::thread::{MembarrierCommand, membarrier};

/// Has barriers of other processes reach this one. It takes microseconds in a process of one thread, and some
/// milliseconds in others.
pub(crate) fn reach_by_barriers() -> io::Result<()> {
    Ok(membarrier(MembarrierCommand::RegisterGlobalExpedited)?)
}

/// A full barrier on every processor that runs a thread of a process that is reached.
pub(crate) fn barrier_on_all() -> io::Result<()> {
    Ok(membarrier(MembarrierCommand::GlobalExpedited)?)
}
