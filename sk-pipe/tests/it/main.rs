//! What pipes do within one process: the suite of both backends.
#![cfg(not(loom))]

mod asynchronous;
// The other backend lays files out differently.
#[cfg(not(sk_portable))]
mod damage;
mod keep;
mod messages;
mod named;
mod select;
mod select_model;
mod travel;

use std::time::Duration;

/// So long that who waits for it waits for nothing.
pub(crate) const WATCHDOG: Duration = Duration::from_secs(20);

/// Soon enough that a test which waits for nothing does not take long.
pub(crate) const SOON: Duration = Duration::from_millis(20);
