//! Memory that several processes hold in common.
//!
//! ```
//! use sk_share::memory::{Kind, Region, Roster};
//! use std::sync::atomic::Ordering;
//!
//! // The first process of a program makes its roster and some memory.
//! let roster = Roster::create()?;
//! let region = Region::create(Kind::new(7), 64 << 20, Some(roster.id()))?;
//! region.grow(1 << 20)?;
//!
//! // Others get both descriptors; `Roster::join` and `Region::open` check what they got.
//! let there = Region::open(region.as_fd().try_clone_to_owned()?, Kind::new(7), Some(region.id()))?;
//! there.word64(4096)?.store(42, Ordering::Release);
//! assert_eq!(region.word64(4096)?.load(Ordering::Acquire), 42);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # The parts
//!
//! [`memory`] is the kernel: regions of memory, the roster of who lives, waiting with notice of death. It is
//! what values, pipes and processes build on. What lies where in the memory, and what the death of any
//! process leaves at each step, is in [`memory::protocol`].
//!
//! [`ground`] holds the parts that change what is shared: a lock, an arena, a value that commits by one
//! store. They stand on a trait, and on nothing of [`memory`] so far.
//!
//! # How it fails
//!
//! Processes of one program trust each other's intentions and not their luck: any may die at any instruction
//! and leave any bytes. What is read is checked before it is used, so damage is an [`Error`], never
//! undefined behaviour, a panic or a loop without end. Limits (of a region, of files, of address space, of
//! memory, of descriptors, of members) are errors that name the value and the limit and lose nothing.
//!
//! # Features
//!
//! `faults` is for the tests of this workspace.
//!
//! # Platforms
//!
//! Linux from 5.16 on. `--cfg sk_portable` (in `RUSTFLAGS`, for all processes of a program) chooses a backend that
//! needs nothing that only Linux has and notices less; [`memory::protocol`] says what. On it the other systems are
//! to be built; so far it runs on Linux too, and nowhere else.
#![cfg_attr(
    loom,
    expect(dead_code, unused_imports, reason = "models hold the words of `ground` only")
)]
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

pub mod ground;
pub mod memory;

mod error;

mod fault;
mod sync;
mod sys;

#[cfg(not(loom))]
mod blob;
#[cfg(not(loom))]
mod codec;
#[cfg(not(loom))]
pub mod inherit;
#[cfg(not(loom))]
mod list;
#[cfg(not(loom))]
mod locks;
#[cfg(not(loom))]
mod number;
#[cfg(not(loom))]
mod queue;
#[cfg(not(loom))]
mod share;
#[cfg(not(loom))]
mod together;
#[cfg(not(loom))]
mod value;
#[cfg(not(loom))]
mod waiting;
#[cfg(not(loom))]
mod watch;
#[cfg(not(loom))]
mod watch_names;

pub use error::Error;

#[cfg(not(loom))]
pub use {
    blob::{BlobWriter, SharedBlob},
    codec::{Codec, Encoded, Plain},
    list::SharedList,
    locks::{
        Holder, MutexGuard, OfProcess, OfThread, Permits, ReadGuard, SharedBarrier, SharedCondvar,
        SharedEvent, SharedMutex, SharedRwLock, SharedSemaphore, Side, WriteGuard,
    },
    number::{Integer, Number, SharedNumber},
    queue::SharedQueue,
    share::{Share, ShareBuilder, Stats, StopGuard},
    together::{Together, get_together, try_update_together, update_together},
    value::Shared,
    waiting::Waiting,
    watch::{Watch, Watching},
    watch_names::{Change, ChangeKind, WatchNames},
};

#[doc = include_str!("../README.md")]
#[cfg(doctest)]
struct Readme;
