//! What travels beside encoded bytes: the descriptors of the memory that handles in them name.

use std::fmt;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use serde::{Deserialize, Serialize};

use super::{Commons, Kind, Region, RegionId, Roster};
use crate::blob;
use crate::error::{Error, Reason};
use crate::sync::Arc;
use crate::sys;

/// The descriptors beside the bytes of one encoding: a table of an [`sk_cereal::Session`].
///
/// Encoding a handle adds what its reader needs, each region once; whoever carries the bytes takes the table
/// ([`Session::take`](sk_cereal::Session::take)), carries the [descriptors](Descriptors::as_fds) too, in any order, and
/// on the other side [puts](sk_cereal::Session::put) what [arrived](Descriptors::arrived) into the session of the
/// decoding. Handles find their region in it by its id, so that descriptors that come twice, or that nobody asked
/// for, do no harm: they are closed with the table.
///
/// Tables are for those who carry bytes between processes, as pipes do. A child process that is started with
/// [`inherit`](crate::inherit) needs none of it.
#[derive(Debug, Default)]
pub struct Descriptors {
    regions: Vec<(RegionId, Held)>,
    files: Vec<(FileId, Arc<OwnedFd>)>,
    /// What arrived and is no memory of ours.
    others: Vec<(FileId, OwnedFd)>,
}

/// Which file a descriptor is of, in all processes of the machine: what travels beside the bytes is found by it.
///
/// No other file has the same as long as any process has this one open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct FileId {
    device: u64,
    inode: u64,
}

impl FileId {
    /// That of a descriptor.
    ///
    /// # Errors
    /// The system does not tell.
    pub fn of(file: BorrowedFd<'_>) -> Result<FileId, Error> {
        let (device, inode) = sys::identity_of_file(file)
            .map_err(|error| Error::system("cannot ask a descriptor what it is", 0, error))?;
        Ok(FileId { device, inode })
    }
}

enum Held {
    Here(Region),
    OfRoster(Roster),
    OfBlob(Arc<blob::File>),
    Arrived(Kind, OwnedFd),
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Held::Here(_) => "a region",
            Held::OfRoster(_) => "a roster",
            Held::OfBlob(_) => "a blob",
            Held::Arrived(..) => "a descriptor that arrived",
        })
    }
}

impl Descriptors {
    /// What arrived beside some bytes.
    pub fn arrived(files: impl IntoIterator<Item = OwnedFd>) -> Descriptors {
        let mut table = Descriptors::default();
        for file in files {
            if let Ok((kind, id)) = Region::identify(file.as_fd()) {
                table.regions.push((id, Held::Arrived(kind, file)));
            } else if let Ok(id) = FileId::of(file.as_fd()) {
                table.others.push((id, file));
            }
        }
        table
    }

    /// The descriptors to be carried, borrowed from the table.
    pub fn as_fds(&self) -> Vec<BorrowedFd<'_>> {
        let regions = self.regions.iter().filter_map(file_of);
        regions.chain(self.files.iter().map(|(_, file)| file.as_fd())).collect()
    }

    /// Whether there is nothing to be carried.
    pub fn is_empty(&self) -> bool {
        self.regions.is_empty() && self.files.is_empty()
    }

    /// Adds a file that is no memory of this crate's, and says by what its reader finds it.
    ///
    /// # Errors
    /// The system does not tell which file it is.
    pub fn add_file(&mut self, file: &Arc<OwnedFd>) -> Result<FileId, Error> {
        let id = FileId::of(file.as_fd())?;
        if !self.files.iter().any(|(there, _)| *there == id) {
            self.files.push((id, Arc::clone(file)));
        }
        Ok(id)
    }

    /// The file of this id, if it arrived; once.
    pub fn take_file(&mut self, id: FileId) -> Option<OwnedFd> {
        let place = self.others.iter().position(|(there, _)| *there == id)?;
        Some(self.others.swap_remove(place).1)
    }

    /// Adds a region, and the roster that its holders are members of.
    pub fn add(&mut self, commons: &Commons) {
        let region = commons.region();
        if self.position(region.id()).is_none() {
            self.regions.push((region.id(), Held::Here(region.clone())));
        }
        self.add_roster(commons.roster());
    }

    /// Adds the roster of a program.
    pub(crate) fn add_roster(&mut self, roster: &Roster) {
        if self.position(roster.id()).is_none() {
            self.regions.push((roster.id(), Held::OfRoster(roster.clone())));
        }
    }

    /// The roster that arrived, if one did.
    pub(crate) fn find_roster(&self) -> Option<OwnedFd> {
        self.regions.iter().find_map(|(_, held)| match held {
            Held::Arrived(Kind::ROSTER, file) => file.try_clone().ok(),
            _ => None,
        })
    }

    /// Adds the memory of a blob.
    pub(crate) fn add_blob(&mut self, file: &Arc<blob::File>) {
        if self.position(file.id()).is_none() {
            self.regions.push((file.id(), Held::OfBlob(Arc::clone(file))));
        }
    }

    /// The memory of the blob of this id, if it arrived.
    pub(crate) fn find_blob(&self, id: RegionId) -> Option<OwnedFd> {
        match self.position(id).and_then(|place| self.regions.get(place)) {
            Some((_, Held::Arrived(_, file))) => file.try_clone().ok(),
            _ => None,
        }
    }

    fn position(&self, id: RegionId) -> Option<usize> {
        self.regions.iter().position(|(there, _)| *there == id)
    }

    /// The region of this kind and id, which arrived, with its roster, which this process joins if it is no member yet.
    ///
    /// # Errors
    /// It did not arrive, or is something else; the roster cannot be joined.
    pub fn find(&self, kind: Kind, id: RegionId) -> Result<Commons, Error> {
        let missing = || Error::new(Reason::NoDescriptor { region: id });
        let region = match self.position(id).and_then(|place| self.regions.get(place)) {
            Some((_, Held::Here(region))) => region.clone(),
            Some((_, Held::Arrived(_, file))) => {
                let file = duplicate(file)?;
                Region::open(file, kind, Some(id))?
            }
            _ => return Err(missing()),
        };
        let roster = match Roster::joined(region.roster_id()) {
            Some(roster) => roster,
            None => {
                let place = self.position(region.roster_id());
                let Some((_, Held::Arrived(_, file))) = place.and_then(|at| self.regions.get(at))
                else {
                    return Err(Error::new(Reason::NoDescriptor { region: region.roster_id() }));
                };
                Roster::join(duplicate(file)?)?
            }
        };
        Ok(Commons::new(region, roster))
    }
}

fn file_of((_, held): &(RegionId, Held)) -> Option<BorrowedFd<'_>> {
    match held {
        Held::Here(region) => Some(region.as_fd()),
        Held::OfRoster(roster) => Some(roster.as_fd()),
        Held::OfBlob(file) => Some(file.descriptor().as_fd()),
        Held::Arrived(..) => None,
    }
}

fn duplicate(file: &OwnedFd) -> Result<OwnedFd, Error> {
    file.try_clone().map_err(|error| Error::system("cannot duplicate a descriptor", 1, error))
}
