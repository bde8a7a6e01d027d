//! Values, collections and locks that several processes hold in common.
//!
//! ```
//! use sk_share::Share;
//!
//! let share = Share::new()?;
//! let hits = share.number("hits", 0_u64)?;
//! hits.add(1);                                                // one atomic instruction
//! let seen = share.list::<String>("seen")?;
//! seen.push(&"https://example.org".to_owned())?;
//! let stats = share.value("stats", (0_u64, 0_u64))?;
//! stats.update(|(files, bytes)| {                             // all or nothing
//!     *files += 1;
//!     *bytes += 512;
//! })?;
//!
//! // A share and every handle is `Serialize`: given to another process, it arrives connected.
//! let bytes = sk_cereal::Session::hand_over().enter(|| sk_cereal::internal::to_vec(&share))?;
//! # let again: Share = sk_cereal::internal::from_slice(&bytes)?;
//! # assert_eq!(again.get_number::<u64>("hits")?.get(), 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # The parts
//!
//! | what | handle |
//! |---|---|
//! | things by name, for all who have it | [`Share`] |
//! | a value that changes as a whole; plain data without a codec | [`Shared`] |
//! | several values in one step | [`update_together`], [`get_together`] |
//! | an integer or float | [`SharedNumber`] |
//! | collections that change by operation | [`SharedList`], [`SharedQueue`] |
//! | bytes, written once, read in place | [`SharedBlob`] |
//! | locks and permits that end with their holder | [`SharedMutex`], [`SharedRwLock`], [`SharedSemaphore`] |
//! | meeting and telling | [`SharedEvent`], [`SharedBarrier`], [`SharedCondvar`] |
//! | changes as they come | [`Shared::watch`], [`Share::watch`] |
//! | a child that is started by hand | [`inherit`] |
//!
//! What waits is an [operation](sk_function::Operation): `.wait()` blocks, `.await` works on any executor,
//! `.timeout(…)` bounds it. No thread polls.
//!
//! Below that, for those who build on it: [`memory`] is the kernel (regions, the roster of who lives, waiting with
//! notice of death), [`ground`] what stays whole when a process dies at any instruction (lock, arena, commit by
//! flip, list, queue, leases). What lies where in the memory, who writes it, and what the death of any process leaves at each
//! step, is in [`memory::protocol`].
//!
//! # What a death leaves
//!
//! A process may be killed at any instruction. Then
//! - every change whose call had returned is there; the one that was being made is there as a whole or not at all;
//! - whoever waits for what it held goes on within a millisecond or so, whatever its size;
//! - locks, permits and memory that it held are given back;
//! - the share lives as long as any process has a handle of it or of what is in it, whoever made it.
//!
//! A process that is *stopped* (SIGSTOP) lives: readers go on, those who change what it is changing wait until
//! it goes on or their limit passes.
//!
//! # Whom it trusts
//!
//! Processes of one program run as one user and trust each other's intentions, not their luck: any may die at any
//! instruction and leave any bytes. What is read is checked before it is used, so damage is an [`Error`], never
//! undefined behaviour, a panic or a loop without end; only a number has nothing by which a wrong one is told. Nobody
//! else has a name by which to reach the memory. It is no defence against a process of the same user that wants to do
//! harm.
//!
//! # How it fails
//!
//! Everything that can fail gives an [`Error`] that names the value and the limit, and loses nothing: limits of the share, of
//! files, of address space, of memory, of descriptors, of members. [`Share::has_error`] says in every process that
//! something went wrong in one. The copy of a process that `fork` makes has no handles but numbers: others are errors there,
//! and dropping them does nothing.
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

pub use bytemuck;
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
