//! Linux: memory files, mappings, futexes, robust lists.

mod file;
mod fork;
mod futex;
mod mapping;
mod pass;
mod robust;
mod sealed;
mod thread;

pub(crate) use file::{
    allocate, file_size_limit, grow_to, inherited, is_sealed_against_shrinking, open_of_process,
    random, read_at, seal_shrinking, size_of_file, unnamed_memory, write_at,
};
pub(crate) use fork::{incarnation, incarnation_page};
pub(crate) use futex::{Scope, Slept, WaitOn, monotonic, wait_any, wake};
pub(crate) use mapping::{Held, Mapping, page_bytes};
pub(crate) use pass::{adopt, inheritable};
pub(crate) use robust::RobustList;
pub(crate) use sealed::{SealedBytes, seal_all};
#[cfg(feature = "faults")]
pub(crate) use thread::kill_this_process;
pub(crate) use thread::{block_signals, process_id, thread_id};
