//! What sk-share does within one process, one module per subject.
#![cfg(not(loom))]

mod arena;
mod directory;
mod flip;
mod lock;
mod region;
mod roster;
#[path = "../support/mod.rs"]
mod support;
mod transaction;
mod wait;
