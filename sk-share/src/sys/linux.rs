//! Linux: memory files, futexes, robust lists, barriers.

mod barrier;
mod file;
mod fork;
mod futex;
mod memory;
mod robust;
mod sealed;

pub(crate) use barrier::{barrier_on_all, reach_by_barriers};
pub(crate) use file::{
    allocate, is_sealed_against_shrinking, open_of_process, seal_shrinking, unnamed_memory,
};
pub(crate) use fork::Incarnation;
pub(crate) use futex::{Scope, Slept, WaitOn, monotonic, thread_id, wait_any, wake};
pub(crate) use memory::Memory;
pub(crate) use robust::RobustList;
pub(crate) use sealed::{SealedBytes, seal_all};
