//! What sk-share does within one process, one module per subject.
#![cfg(not(loom))]

mod arena;
mod asynchronous;
mod blob;
mod collections;
mod directory;
mod flip;
mod list;
mod lock;
mod locks;
mod number;
mod patience;
mod queue;
mod region;
mod roster;
mod running;
mod share;
// Files in memory know no disk.
#[cfg(sk_portable)]
mod small_disk;
#[path = "../support/mod.rs"]
mod support;
mod sync;
mod together;
mod transaction;
mod travel;
mod value;
mod wait;
mod watch;
