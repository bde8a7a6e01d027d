//! Typed two-way pipes between processes, faster than a system call.
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod anchor;
mod end;
mod error;
mod frame;
mod layout;
mod link;
mod named;
mod pair;
mod point;
mod reactor;
mod receiver;
#[doc(hidden)]
pub mod ring;
mod sender;
mod sync;
mod sys;
mod waiting;

pub use anchor::Anchor;
pub use error::Error;
pub use named::{Connector, Listener, ListenerBuilder, connect, connect_with, serve_once};
pub use pair::{Builder, Nothing, Overflow, Raw, builder, one_way, pair};
pub use point::{Point, Succession};
pub use receiver::Receiver;
pub use sender::Sender;
pub use sk_share as share;
