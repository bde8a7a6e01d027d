//! The kernel of shared memory, which values, pipes and processes build on: regions, the roster of who
//! lives, and waiting with notice of death.
//!
//! [`PROTOCOL.md`](protocol) says what lies where, who writes it, and what the death of any process leaves at
//! each step. In short:
//!
//! - A [`Region`] is memory that several processes map. Words in it are atomics, bytes are copied in
//!   and out; an offset that does not fit is an error.
//! - A [`Roster`] is the region of a program that knows who lives. A process joins it once and is a
//!   [`Member`] until it ends in whatever way; a thread that holds something is an [`Agent`].
//! - [`Roster::wait`] sleeps on a word. Whatever dies meanwhile, the sleeper looks again: it is told
//!   when the word changes, when the agent that it waits for is dead, and when any member died.
//!
//! ```
//! use sk_share::memory::{Kind, Region, Roster, Wait, Woken, wake_all};
//! use std::sync::atomic::Ordering;
//!
//! let roster = Roster::create()?;
//! let region = Region::create(Kind::new(7), 1 << 20, Some(roster.id()))?;
//! let word = region.word32(Region::ROOT)?;
//!
//! std::thread::scope(|scope| {
//!     scope.spawn(|| {
//!         word.store(1, Ordering::Release);
//!         wake_all(word);
//!     });
//!     loop {
//!         let deaths = roster.deaths();
//!         if word.load(Ordering::Acquire) == 1 {
//!             break Ok(());
//!         }
//!         let wait = Wait { word, expected: 0, deaths, owner: None, deadline: None };
//!         match roster.wait(&wait) {
//!             Ok(Woken::TimedOut) => unreachable!("there is no deadline"),
//!             Ok(_) => {} // look again
//!             Err(error) => break Err(error),
//!         }
//!     }
//! })?;
//! # Ok::<(), sk_share::Error>(())
//! ```

#[cfg(not(loom))]
mod commons;
mod copy;
#[cfg(not(loom))]
mod descriptors;
#[cfg(not(loom))]
mod fences;
mod region;
mod roster;
#[cfg(not(sk_portable))]
mod sleeper;
#[cfg(sk_portable)]
#[path = "memory/sleeper/portable.rs"]
mod sleeper;
mod wait;

/// What lies where, who writes it, and what a death leaves at each step.
#[doc = include_str!("../PROTOCOL.md")]
pub mod protocol {}

pub use crate::sys::{HeldWords, copy_from_words, copy_to_words};
#[cfg(not(loom))]
pub use commons::Commons;
#[cfg(not(loom))]
pub use descriptors::{Descriptors, FileId};
pub use region::{Kind, Region, RegionId};
pub use roster::{Agent, DeathWatch, Deaths, Member, Roster};
pub(crate) use sleeper::Rest;
pub(crate) use wait::wake;
pub use wait::{Wait, Woken, wake_all, wake_one};
