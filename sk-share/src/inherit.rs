//! Shares for a child process that is started by hand: it inherits their memory.
//!
//! [`pass`] writes any value, with the shares and handles in it, down for a child; [`receive`] reads it
//! there. Only what a handle names is inherited, and nothing of it has a name in the system.
//!
//! ```no_run
//! use std::process::Command;
//! use sk_share::{Share, SharedNumber, inherit};
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     if inherit::is_offered() {
//!         let hits: SharedNumber<u64> = inherit::receive()?;
//!         hits.add(1);
//!         return Ok(());
//!     }
//!     let share = Share::new()?;
//!     let hits = share.number("hits", 0_u64)?;
//!     let mut command = Command::new(std::env::current_exe()?);
//!     let passed = inherit::pass(&mut command, &hits)?;
//!     command.spawn()?.wait()?;
//!     drop(passed);
//!     assert_eq!(hits.get(), 1);
//!     Ok(())
//! }
//! ```

use std::fmt::Write as _;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::process::Command;

use serde::Serialize;
use serde::de::DeserializeOwned;
use sk_cereal::{Session, internal};

use crate::error::{Error, Reason};
use crate::memory::Descriptors;
use crate::sync::{Mutex, lock};
use crate::sys;

/// `{process that passes}/{descriptor of the bytes}:{inode},{descriptor}:{inode},…`
const VARIABLE: &str = "SK_SHARE_INHERITED";

/// What this process inherited. The descriptors are taken once, by whoever needs the first of them.
static INHERITED: Mutex<Inherited> = Mutex::new(Inherited::There);

enum Inherited {
    /// Nobody has looked.
    There,
    /// The bytes of the value, and what they name.
    Taken(OwnedFd, Descriptors),
    Received,
}

/// What a child is about to inherit. Keep it until the child was spawned; as long as it lives, every process
/// that this one starts inherits it too, and only the one of the command can use it.
#[derive(Debug)]
#[must_use = "the child inherits nothing if this is dropped before it is spawned"]
pub struct Passed {
    _files: Vec<OwnedFd>,
}

/// Writes a value down for the child that this command starts, which gets it with [`receive`]. The command may
/// be spawned more than once.
///
/// # Errors
/// The value cannot be encoded, or there is no memory or descriptor left.
pub fn pass<T: Serialize + ?Sized>(command: &mut Command, value: &T) -> Result<Passed, Error> {
    let session = Session::hand_over();
    let bytes = session.enter(|| internal::to_vec(value))?;
    let descriptors: Descriptors = session.take();
    let length = bytes.len() as u64;
    let payload = sys::unnamed_memory("sk-share-inherit")
        .and_then(|file| sys::write_at(file.as_fd(), 0, &bytes).map(|()| file))
        .map_err(|error| Error::system("cannot write a value for a child", length, error))?;
    let mut files = Vec::new();
    let mut text = format!("{}/", std::process::id());
    for file in std::iter::once(payload.as_fd()).chain(descriptors.as_fds()) {
        let (file, inode) = sys::inheritable(file)
            .map_err(|error| Error::system("cannot duplicate a descriptor", 1, error))?;
        // Writing to a string cannot fail.
        let _ = write!(text, "{}:{inode},", file.as_raw_fd());
        files.push(file);
    }
    command.env(VARIABLE, text);
    Ok(Passed { _files: files })
}

/// Whether the process that started this one has [passed](pass) something to it.
pub fn is_offered() -> bool {
    offered().is_some()
}

/// The numbers of the descriptors, with their inodes.
fn offered() -> Option<Vec<(i32, u64)>> {
    let text = std::env::var(VARIABLE).ok()?;
    let (parent, files) = text.split_once('/')?;
    // A child of a child has the same environment, and other descriptors.
    if parent.parse() != Ok(std::os::unix::process::parent_id()) {
        return None;
    }
    files
        .split_terminator(',')
        .map(|file| {
            let (number, inode) = file.split_once(':')?;
            Some((number.parse().ok()?, inode.parse().ok()?))
        })
        .collect()
}

/// The value that the process which started this one has [passed](pass) to it. Once: a second call is an error.
///
/// # Errors
/// Nothing was passed, or it was received before; it is of another type; the process that passed it is gone.
pub fn receive<T: DeserializeOwned>() -> Result<T, Error> {
    let files = offered().ok_or_else(|| Error::new(Reason::NothingInherited))?;
    let inherited = std::mem::replace(&mut *lock(&INHERITED), Inherited::Received);
    let (payload, descriptors) = match inherited {
        Inherited::There => take(files)?,
        Inherited::Taken(payload, descriptors) => (payload, descriptors),
        Inherited::Received => return Err(Error::new(Reason::NothingInherited)),
    };
    let length = sys::size_of_file(payload.as_fd())
        .map_err(|error| Error::system("cannot ask an inherited value for its size", 0, error))?;
    let mut bytes = vec![0; usize::try_from(length).unwrap_or_default()];
    sys::read_at(payload.as_fd(), 0, &mut bytes)
        .map_err(|error| Error::system("cannot read an inherited value", length, error))?;
    let session = Session::hand_over();
    session.put(descriptors);
    Ok(session.enter(|| internal::from_slice(&bytes))?)
}

fn take(files: Vec<(i32, u64)>) -> Result<(OwnedFd, Descriptors), Error> {
    let mut files = files.into_iter().map(|(number, inode)| {
        let value = u64::from(number.unsigned_abs());
        sys::adopt(number, inode)
            .map_err(|error| Error::system("no inherited descriptor of this number", value, error))
    });
    let payload = files.next().ok_or_else(|| Error::new(Reason::NothingInherited))??;
    Ok((payload, Descriptors::arrived(files.collect::<Result<Vec<_>, _>>()?)))
}

/// The roster of the program of which this process is a child, if it has not received what was passed to it yet.
pub(crate) fn offered_roster() -> Option<OwnedFd> {
    let mut inherited = lock(&INHERITED);
    if matches!(*inherited, Inherited::There) {
        let (payload, descriptors) = take(offered()?).ok()?;
        *inherited = Inherited::Taken(payload, descriptors);
    }
    match &*inherited {
        Inherited::Taken(_, descriptors) => descriptors.find_roster(),
        _ => None,
    }
}
