//! Values to bytes and back.
//!
//! ```
//! use serde::{Deserialize, Serialize};
//! use sk_cereal::{Json, Value, internal};
//!
//! #[derive(Debug, PartialEq, Serialize, Deserialize)]
//! struct Job {
//!     name: String,
//!     #[serde(with = "sk_cereal::bulk")]
//!     samples: Vec<f64>,
//! }
//!
//! let job = Job { name: "mean".to_owned(), samples: vec![0.5, 1.5] };
//!
//! // Between processes of one build, as fast as memory is copied.
//! let bytes = internal::to_vec(&job)?;
//! assert_eq!(internal::from_slice::<Job>(&bytes)?, job);
//!
//! // To look at, to change, to log.
//! let tree = Value::of(&job)?;
//! assert_eq!(tree.to_json(Json::compact())?, r#"{"name":"mean","samples":[0.5,1.5]}"#);
//! assert_eq!(tree.to::<Job>()?, job);
//! # Ok::<(), sk_cereal::Error>(())
//! ```
//!
//! # The parts
//!
//! - [`internal`] is the codec that processes, pools, shared memory and pipes of this workspace
//!   use: any serde type, no names in the bytes. It refuses what such bytes cannot carry instead
//!   of writing something that decodes as garbage.
//! - [`bulk`] and [`Bulk`] carry plain numbers in one copy. [`path`] carries paths that are not
//!   UTF-8, [`instant`] points in monotonic time.
//! - [`Value`] is the tree of a value, for looking at it and for JSON.
//! - [`Session`] is what travels beside the bytes of one encoding: descriptors of shared memory,
//!   identities of links. Types that need it look for the one in force on their thread.
//! - [`header`] tells bytes of this crate from others.
//!
//! What a value looks like on the other side, and what does not cross, is told in
//! [`docs::survives`], the bytes in [`docs::format`].
//!
//! # How it fails
//!
//! All functions return an [`Error`] that names the type, the path to the part that failed and the
//! reason. Input is never believed: bytes of another process, a file or a network give an error
//! or a value of the type, whatever they are. They cause no panic. They do not overflow the stack: a
//! deep value is read on pieces of stack of its own. They make
//! reading reserve no more elements than the input has bytes; elements that take no bytes are
//! counted by what they take in memory, up to a mebibyte and the length of the input.
//!
//! What a type does in its own `Serialize`, `Deserialize` and `Drop` is its own: a `Mutex` waits for
//! its lock, a deep value recurses when it is dropped. Nothing else here waits for anything, and
//! apart from the [`Session`] in force on the thread every function is one of its arguments.
//!
//! # Platforms
//!
//! Linux, macOS and Windows, 64 bit. It is tested on Linux only.
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

pub mod internal;
mod value;

pub mod bulk;
pub mod instant;
pub mod path;

pub mod header;
mod session;

mod depth;
mod error;
mod nesting;
mod track;

pub mod docs;

pub use bulk::Bulk;
pub use error::Error;
pub use session::{Purpose, Session};
pub use value::{Json, Value, Variant};
