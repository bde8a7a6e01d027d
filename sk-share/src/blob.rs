//! Bytes that are written once and read in place.
//!
//! A blob lies in memory of its own, which is sealed against any further change when it is written. So a process may
//! look at it as plain bytes; the directory of the share knows its id and length only.
//!
//! ```text
//! body:   0  id      2 u64
//!        16  length  u64
//! file:   0  magic, layout, kind, id, as for a region; 32 length u64
//!        64  the bytes
//! ```
//!
//! Its descriptor travels with its handles, and with handles of its share as far as they know of it. A process that
//! has the share and finds the blob by name takes it from one of the processes that have it, through
//! `/proc/PID/fd`. When the last of those is gone, so are the bytes.

use std::fmt;
use std::io;
use std::ops::Deref;
use std::os::fd::{AsFd as _, OwnedFd};

use crate::error::{Error, Reason};
use crate::ground::{Found, Ground as _, Spec};
use crate::memory::{Kind, Region, RegionId};
use crate::share::kind;
use crate::share::space::{Object, Space};
use crate::sync::{Arc, Ordering};
use crate::sys::{self, SealedBytes};

pub(crate) const BODY_BYTES: u64 = 24;

/// Where the bytes begin.
const FIRST: u64 = 64;
const LENGTH: usize = 32;

/// The memory of a blob, as this process has it.
pub(crate) struct File {
    id: RegionId,
    file: OwnedFd,
    bytes: SealedBytes,
    length: usize,
}

impl File {
    /// Takes a descriptor for the blob of this id, if it is.
    pub(crate) fn open(file: OwnedFd, id: RegionId) -> Result<File, Error> {
        let (kind, found) = Region::identify(file.as_fd())?;
        if kind != Kind::BLOB || found != id {
            return Err(Error::new(Reason::OtherRegion { found, expected: id }));
        }
        let bytes = SealedBytes::map(file.as_fd())
            .map_err(|error| Error::system("cannot map a blob", 0, error))?;
        let length = bytes
            .get(LENGTH..)
            .and_then(<[u8]>::first_chunk)
            .map(|bytes| u64::from_ne_bytes(*bytes))
            .unwrap_or_default();
        let size = bytes.len() as u64;
        if length.checked_add(FIRST).is_none_or(|end| end > size) {
            return Err(Error::damaged_at("the length of a blob", 32, length));
        }
        let length = usize::try_from(length).unwrap_or_default();
        Ok(File { id, file, bytes, length })
    }

    pub(crate) fn id(&self) -> RegionId {
        self.id
    }

    pub(crate) fn descriptor(&self) -> &OwnedFd {
        &self.file
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        let first = usize::try_from(FIRST).unwrap_or_default();
        self.bytes.get(first..first + self.length).unwrap_or_default()
    }
}

/// Bytes that were written once, and that every process which has a handle reads in place: nothing is copied or
/// decoded.
///
/// It is a handle: cheap to clone, and in another process the same bytes. They are aligned to 64 bytes.
///
/// ```
/// use std::io::Write;
/// use sk_share::Share;
///
/// let share = Share::new()?;
/// let table = share.blob("table", &[1, 2, 3])?;
/// assert_eq!(&table[..], [1, 2, 3]);
///
/// let mut writer = share.write_blob("large")?;
/// for line in 0..1000 {
///     writeln!(writer, "line {line}")?;
/// }
/// let large = writer.seal()?;
/// assert!(large.ends_with(b"line 999\n"));
/// assert_eq!(&share.get_blob("large")?[..], &large[..]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct SharedBlob {
    object: Arc<Object>,
    file: Arc<File>,
}

pub(crate) fn spec() -> Spec<'static> {
    kind::spec(kind::BLOB, "a blob", BODY_BYTES)
}

impl SharedBlob {
    /// The blob of this object, from wherever its memory can be had.
    pub(crate) fn new(object: Arc<Object>) -> Result<SharedBlob, Error> {
        let file = object.space.blob(&object.found)?;
        Ok(SharedBlob { object, file })
    }

    pub(crate) fn object(&self) -> &Arc<Object> {
        &self.object
    }

    pub(crate) fn file(&self) -> &Arc<File> {
        &self.file
    }

    /// Whether it was removed from its share. Handles of it go on giving its bytes.
    #[must_use]
    pub fn is_detached(&self) -> bool {
        self.object.is_detached().unwrap_or(true)
    }
}

impl Deref for SharedBlob {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.file.as_bytes()
    }
}

impl AsRef<[u8]> for SharedBlob {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl fmt::Debug for SharedBlob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SharedBlob({} bytes)", self.len())
    }
}

/// Writes a blob piece by piece; nobody sees it before [`seal`](BlobWriter::seal), and dropped before that it is
/// gone.
#[derive(Debug)]
pub struct BlobWriter {
    space: Arc<Space>,
    name: String,
    id: RegionId,
    file: OwnedFd,
    written: u64,
}

impl fmt::Debug for Space {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Space").field("id", &self.id()).finish_non_exhaustive()
    }
}

impl BlobWriter {
    pub(crate) fn new(space: &Arc<Space>, name: &str) -> Result<BlobWriter, Error> {
        let id = RegionId::random()?;
        let file = sys::unnamed_memory(&file_name(id))
            .map_err(|error| Error::system("cannot make memory for a blob", 0, error))?;
        let space = Arc::clone(space);
        Ok(BlobWriter { space, name: name.to_owned(), id, file, written: 0 })
    }

    /// Ends the writing: from here on nobody can change the bytes, and the share has them by their name.
    ///
    /// # Errors
    /// The name has another type, or a blob already; there is no room for the name.
    pub fn seal(self) -> Result<SharedBlob, Error> {
        let BlobWriter { space, name, id, file, written } = self;
        let mut header = Region::header_of(Kind::BLOB, id);
        header.extend_from_slice(&written.to_ne_bytes());
        sys::write_at(file.as_fd(), 0, &header)
            .and_then(|()| sys::grow_to(file.as_fd(), FIRST.saturating_add(written)))
            .and_then(|()| sys::seal_all(file.as_fd()))
            .map_err(|error| Error::system("cannot seal a blob", written, error))?;
        let file = Arc::new(File::open(file, id)?);
        space.drop_nameless_blobs()?;
        let object = space.hold(None, |names| {
            if names.look(&name)?.is_some() {
                return Err(Error::new(Reason::NameTaken { name: name.clone() }));
            }
            let found = names.create(&name, &spec(), |found| make(&space, found, id, written))?;
            // While nobody else finds it.
            space.keep_blob(&file);
            Ok(Some(found))
        })?;
        let object = object.ok_or_else(|| Error::not_found(&name))?;
        space.notify_activity();
        Ok(SharedBlob { object, file })
    }
}

impl io::Write for BlobWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let from = FIRST.saturating_add(self.written);
        let to = from.saturating_add(bytes.len() as u64);
        // Beyond this the kernel would send a signal that kills.
        if let Some(limit) = sys::file_size_limit().filter(|limit| to > *limit) {
            let text = format!(
                "cannot grow a blob to {to} bytes: the limit of this process for files, RLIMIT_FSIZE, is {limit}"
            );
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, text));
        }
        sys::write_at(self.file.as_fd(), from, bytes)?;
        self.written += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The name of the file, for whoever looks for it among the descriptors of another process.
pub(crate) fn file_name(id: RegionId) -> String {
    format!("sk-blob-{id}")
}

fn make(space: &Space, found: &Found, id: RegionId, length: u64) -> Result<(), Error> {
    let [first, second] = id.to_words();
    for (at, word) in [(0, first), (8, second), (16, length)] {
        space.commons.u64(found.body + at)?.store(word, Ordering::Relaxed);
    }
    Ok(())
}

/// The id of the memory of a blob.
pub(crate) fn id_of(space: &Space, found: &Found) -> Result<RegionId, Error> {
    let word = |at| space.commons.u64(found.body + at).map(|word| word.load(Ordering::Relaxed));
    Ok(RegionId::from_words([word(0)?, word(8)?]))
}
