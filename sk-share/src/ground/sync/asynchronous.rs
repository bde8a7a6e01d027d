//! What futures need beside the looks: nothing but care for wake-ups whose task is gone.
//!
//! A lock and a condition variable wake one. A task that waits leaves its [`Sleep`] to a thread that sleeps for
//! many, and may be dropped at any time:
//!
//! | the wake-up was taken | who passes it on |
//! |---|---|
//! | before the task was gone | the task, which ends its wait with `pass_on` of the object |
//! | after | whoever slept for it, by [`wake_another`] |
//!
//! So a task says that it is gone *before* it calls `pass_on`, and who slept for it looks for that *after* the
//! sleep. If both pass it on, one more looks in vain.

use super::super::words::{Ground, Sleep};
use crate::error::Error;

/// For whoever slept in place of a task that is gone: what woke it was for another.
///
/// # Errors
///
/// Damaged, if the sleep is of another memory.
pub fn wake_another<G: Ground>(ground: &G, sleep: &Sleep) -> Result<(), Error> {
    // Whoever was to wake one has moved the word: all that sleep on it may look.
    ground.point("sync.wake_another");
    ground.wake(ground.u32(sleep.at)?, 1);
    Ok(())
}
