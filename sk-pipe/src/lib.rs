//! Typed two-way pipes between processes, faster than a system call.
//!
//! ```
//! let (mut anchor, mut point) = sk_pipe::pair::<String, usize>()?;
//! anchor.send(&"how long?".to_owned()).wait()?;
//! let question: String = point.recv().wait()?;
//! point.send(&question.len()).wait()?;
//! assert_eq!(anchor.recv().wait()?, 9);
//! # Ok::<(), sk_pipe::Error>(())
//! ```
//!
//! # The parts
//!
//! | what | type |
//! |---|---|
//! | the end that stays in the process that made it | [`Anchor`] |
//! | the end that may move, inside any value | [`Point`] |
//! | one direction of either, for a thread or task of its own | [`Sender`], [`Receiver`] |
//! | many pipes and timers, of which one waits for the next that has something | [`Select`] |
//! | bytes as they are, in place of a message type | [`Raw`] |
//! | plain data as it is, in place of a message type | [`Plain`] |
//! | capacities, and what is done when there is no room | [`builder`], [`Overflow`] |
//! | another life of the process that has the point | [`Succession`] |
//!
//! What waits is an [operation](sk_function::Operation): `.wait()` blocks, `.await` works on any executor without blocking
//! it, `.timeout(…)` bounds it. A thread that waits sleeps in the kernel, after a few microseconds of spinning where there are
//! processors to spare; tasks cost no thread. Nobody polls.
//!
//! # What a death leaves
//!
//! A process may be killed at any instruction. Then
//! - the other end reads all that was sent, and is told after that ([`Error::is_disconnected`], with the number of the
//!   process), in a millisecond or so, whatever the size of the dead one;
//! - a message that was half written is never delivered; one that was being read is lost with its reader, or kept for the
//!   next life if that had not taken it;
//! - nothing is left: the memory goes with the last process that has it.
//!
//! To close an end, or to drop it, is no death ([`Error::is_closed`]). A process that is stopped (SIGSTOP) lives.
//!
//! # Whom it trusts
//!
//! Both ends are of one program, or were let in by one. Each trusts the other's intentions, not its luck: any bytes in the
//! memory are an [`Error`] at worst, or a message that nobody sent, never undefined behaviour, a panic or a wait that does
//! not end. What lies where, and what a death leaves at each step, is in [`protocol`].
//!
//! # Features
//!
//! `faults` is for the tests of this workspace.
//!
//! # Platforms
//!
//! Linux from 5.16 on; on others, as [`sk_share`] says.
#![cfg_attr(loom, expect(dead_code, reason = "models hold a ring only"))]
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[cfg(not(loom))]
mod anchor;
#[cfg(not(loom))]
mod end;
mod error;
mod frame;
#[cfg(not(loom))]
mod layout;
#[cfg(not(loom))]
mod link;
#[cfg(not(loom))]
mod memory;
#[cfg(not(loom))]
mod named;
#[cfg(not(loom))]
mod pair;
#[cfg(not(loom))]
mod point;
#[cfg(not(loom))]
mod reactor;
#[cfg(not(loom))]
mod receiver;
#[doc(hidden)]
pub mod ring;
#[cfg(not(loom))]
mod select;
#[cfg(not(loom))]
mod sender;
mod sync;
#[cfg(not(loom))]
mod sys;
#[cfg(not(loom))]
mod waiting;

/// What lies in the memory of a pipe, who writes it, and what a death leaves at each step.
#[doc = include_str!("../PROTOCOL.md")]
pub mod protocol {}

pub use error::Error;
pub use sk_share as share;
#[cfg(not(loom))]
pub use {
    anchor::Anchor,
    named::{Connector, Listener, ListenerBuilder, connect, connect_with, serve_once},
    pair::{Builder, Nothing, Overflow, Pair, Plain, Raw, builder, one_way, pair},
    point::{Point, Succession},
    receiver::Receiver,
    select::{Key, Select, SelectHandle, SelectId},
    sender::Sender,
};

#[doc = include_str!("../README.md")]
#[cfg(doctest)]
struct Readme;
