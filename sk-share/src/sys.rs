//! System calls: what they return is an `io::Result` or an owned handle, and there is no policy here.
//!
//! One folder a backend. `cfg(sk_portable)` chooses the portable one, of which section 12 of PROTOCOL.md
//! tells; what both need lies beside them.

mod copy;
mod file;
mod mapping;
mod pass;
mod thread;

#[cfg(not(sk_portable))]
mod linux;
#[cfg(sk_portable)]
mod portable;

pub use copy::{copy_from_words, copy_to_words};
pub(crate) use file::{
    file_size_limit, grow_to, identity_of_file, inherited, random, read_at, size_of_file, write_at,
};
pub use mapping::HeldWords;
pub(crate) use mapping::{Held, Mapping, page_bytes};
pub(crate) use pass::{adopt, inheritable};
#[cfg(feature = "faults")]
pub(crate) use thread::kill_this_process;
pub(crate) use thread::{block_signals, process_id};

#[cfg(not(sk_portable))]
pub(crate) use linux::*;
#[cfg(sk_portable)]
pub(crate) use portable::*;
