//! Linux: memory files, mappings, futexes, robust lists.

mod file;
mod fork;
mod futex;
mod mapping;
mod robust;
mod thread;

pub(crate) use file::{
    allocate, file_size_limit, inherited, is_sealed_against_shrinking, random, seal_shrinking,
    size_of_file, unnamed_memory,
};
pub(crate) use fork::incarnation;
pub(crate) use futex::{Scope, Slept, WaitOn, monotonic, wait_any, wake};
pub(crate) use mapping::{Mapping, page_bytes};
pub(crate) use robust::RobustList;
#[cfg(feature = "faults")]
pub(crate) use thread::kill_this_process;
pub(crate) use thread::{block_signals, process_id, thread_id};
