//! What stays whole when any process is killed at any instruction, over words of any kind: a lock, an
//! arena that keeps books, a value that changes as a whole or not at all.
//!
//! What programs synchronise with stands on these: [`Semaphore`], [`RwLock`], [`Mutex`], [`Event`], [`Barrier`]
//! and [`Condvar`], whose permits and arrivals are leases that end with their holder (section 9).
//!
//! [`Ground`] is what the words lie in: a mapped region with its roster, or the vectors of a model in
//! which agents die at a chosen step. [`Lock`] is held by one agent at a time and taken over when
//! that one dies. [`Arena`] gives out blocks and keeps books of them. [`Flip`] is a value that
//! changes as a whole or not at all. [`List`] grows at its end and is read without waiting. [`Queue`]
//! hands elements over, each to one. Sections 5 to 14 of the [protocol](crate::memory::protocol).
//!
//! [`Commons`](crate::memory::Commons) is a region as ground; in the tests the words lie in vectors, and agents die at each
//! step.

mod arena;
mod checksum;
mod directory;
mod element;
mod event_count;
mod flip;
mod gate;
mod list;
mod lock;
mod queue;
mod sync;
mod transaction;
mod words;

pub use crate::sync::modelled::{AtomicU32, AtomicU64};
pub use arena::{Account, Arena, Layout, Reservation};
#[cfg(not(loom))]
pub(crate) use checksum::checksum;
pub use directory::{Directory, Found, MOST_NAME, Objects, Open, Spec};
pub use event_count::EventCount;
pub(crate) use flip::into;
pub use flip::{Buffer, Flip, Writer};
pub use gate::Gate;
pub use list::{Items, List, Version};
pub use lock::{Guard, Lock};
pub use queue::{Queue, QueueWaiting};
pub use sync::{
    Arrival, Barrier, Condvar, Event, Lease, Listening, Mutex, MutexGuard, MutexLease, Permits,
    ReadGuard, Role, RwLock, Semaphore, Waiting, WriteGuard, WriteLease, wake_another,
};
pub use transaction::{FLAGS, IN_PROGRESS, MOST_VALUES, Transactions};
pub use words::{AgentRef, Attempt, Ground, Offset, Sleep, Woken, wait_for};
