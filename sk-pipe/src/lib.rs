//! Typed two-way pipes between processes, faster than a system call.
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
mod sender;
mod sync;
#[cfg(not(loom))]
mod sys;
#[cfg(not(loom))]
mod waiting;

pub use error::Error;
pub use sk_share as share;
#[cfg(not(loom))]
pub use {
    anchor::Anchor,
    pair::{Builder, Nothing, Overflow, Raw, builder, one_way, pair},
    point::{Point, Succession},
    receiver::Receiver,
    sender::Sender,
};
