//! The portable backend, chosen by `cfg(sk_portable)`: nothing here needs robust futexes, a wait on several
//! words, or files in memory. Section 12 of PROTOCOL.md says what that costs.
//!
//! Each file is one thing that a platform has to provide. Linux is the one that was written and run; what
//! the others have for it:
//!
//! | file | Linux | macOS | Windows |
//! |---|---|---|---|
//! | `file` | `O_TMPFILE`, `fallocate` | unlinked file, `F_PREALLOCATE` and `ftruncate` | delete on close, `FileAllocationInfo` |
//! | `segments` | `mmap` | `mmap` | `CreateFileMapping` and `MapViewOfFile` for each segment |
//! | `address` | `futex` | `os_sync_wait_on_address` and its wakes, with `SHARED` | see below |
//! | `process` | `pidfd`, `poll`, `/proc/PID/stat` | `EVFILT_PROC` of `kqueue`, `proc_pidinfo` | `OpenProcess`, `WaitForMultipleObjects` in groups of 63, `GetProcessTimes` |
//! | `sealed` | `mmap` | `mmap` | `MapViewOfFile` |
//! | `fork` | number of the process | the same | there is no fork |
//!
//! **Windows has no wait on an address across processes** (`WaitOnAddress` is for one process). What would
//! stand in for it is a table in the region: a sleeper writes {offset of the word, number of its event} into a
//! free row, looks at the word once more, and waits on its own named event; whoever wakes walks the rows of
//! that word and sets their events. Rows of the dead are freed by whoever notices the death, as slots of
//! agents are. The interface of `address` would get the region beside the word.
//!
//! It is not chosen at run time where a Linux kernel lacks `futex_waitv`: the two backends lay files out
//! differently, so all processes of a program have the same one. There `Roster::join` of the other backend is an
//! error that says so, and opening a region of the other backend is one everywhere.

mod address;
mod barrier;
mod file;
mod fork;
mod process;
mod sealed;
mod segments;
mod sleepers;

pub(crate) use address::{Scope, Slept, wait_on, wake};
pub(crate) use barrier::{barrier_on_all, reach_by_barriers};
pub(crate) use file::{
    allocate, is_sealed_against_shrinking, open_of_process, seal_shrinking, unnamed_memory,
};
pub(crate) use fork::Incarnation;
pub(crate) use process::{BIRTH_BITS, Bell, Process, birth_of, wait_for_any};
pub(crate) use sealed::{SealedBytes, seal_all};
pub(crate) use segments::Memory;
pub(crate) use sleepers::Sleepers;
