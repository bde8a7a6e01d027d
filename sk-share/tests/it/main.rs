//! What sk-share does within one process, one module per subject.
#![cfg(not(loom))]

mod arena;
mod asynchronous;
mod blob;
mod collections;
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
#[path = "../support/mod.rs"]
mod support;
mod sync;
mod together;
mod travel;
mod value;
mod wait;
mod watch;
