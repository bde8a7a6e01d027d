//! What sk-share does within one process, one module per subject.
#![cfg(not(loom))]

mod arena;
mod directory;
mod flip;
mod list;
mod lock;
mod queue;
mod region;
mod roster;
// Files in memory know no disk.
#[cfg(sk_portable)]
mod small_disk;
#[path = "../support/mod.rs"]
mod support;
mod sync;
mod transaction;
mod wait;
