//! How a share and the handles of what is in it travel: as names of memory, not as copies.
//!
//! A handle is { id of the region, index, serial }. Whoever decodes it has the region already, or takes it from the
//! [`Descriptors`] beside the bytes. A share that is stopped travels as a copy of what is in it.

use std::time::Instant;

use serde::de::Error as _;
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sk_cereal::Session;

use super::layout::{ATTENTION, STOPPED};
use super::space::{self, Object, Space};
use super::{Share, kind};
use crate::blob::{self, SharedBlob};
use crate::codec::Codec;
use crate::error::{Error, Reason};
use crate::ground::{Ground as _, Spec};
use crate::list::{self, SharedList};
use crate::locks::{
    SharedBarrier, SharedCondvar, SharedEvent, SharedMutex, SharedRwLock, SharedSemaphore,
};
use crate::memory::{Descriptors, Kind, RegionId};
use crate::number::{self, Number, SharedNumber};
use crate::queue::{self, SharedQueue};
use crate::sync::{Arc, Ordering};
use crate::value::{self, Shared};

#[derive(Serialize, Deserialize)]
enum Wire {
    Live([u64; 2]),
    Stopped { limit: u64, items: Vec<Item> },
}

/// One object of a share that travels as a copy.
#[derive(Serialize, Deserialize)]
struct Item {
    name: String,
    kind: u32,
    fingerprint: u64,
    type_name: String,
    content: Vec<u8>,
}

#[derive(Serialize, Deserialize)]
struct Handle {
    region: [u64; 2],
    index: u64,
    serial: u64,
}

/// Lets the memory of a space travel beside the bytes of the session in force.
fn leave_for_reader<T>(space: &Space) -> Result<(), Error> {
    let session = Session::require::<T>()?;
    space.commons.region().check_incarnation()?;
    session.with(|descriptors: &mut Descriptors| descriptors.add(&space.commons));
    Ok(())
}

/// As [`leave_for_reader`], after it, for a blob.
fn leave_blob_for_reader(file: &Arc<blob::File>) {
    if let Some(session) = Session::current() {
        session.with(|descriptors: &mut Descriptors| descriptors.add_blob(file));
    }
}

/// The space of a region that a handle names.
fn space_of(words: [u64; 2]) -> Result<Arc<Space>, Error> {
    let id = RegionId::from_words(words);
    Space::of(id, || {
        let session =
            Session::current().ok_or_else(|| Error::new(Reason::NoDescriptor { region: id }))?;
        session.with(|descriptors: &mut Descriptors| descriptors.find(Kind::SHARE, id))
    })
}

impl Serialize for Share {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let copy = match self.is_running().map_err(S::Error::custom)? {
            true => None,
            false => self.copy_out().map_err(S::Error::custom)?,
        };
        let wire = if let Some(copy) = copy {
            // The copy is of the same program.
            if let Some(session) = Session::current() {
                let roster = self.space.commons.roster();
                session.with(|descriptors: &mut Descriptors| descriptors.add_roster(roster));
            }
            copy
        } else {
            leave_for_reader::<Share>(&self.space).map_err(S::Error::custom)?;
            let blobs = self.space.all_blobs().map_err(S::Error::custom)?;
            blobs.iter().for_each(leave_blob_for_reader);
            Wire::Live(self.id().to_words())
        };
        wire.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Share {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Share, D::Error> {
        match Wire::deserialize(deserializer)? {
            Wire::Live(region) => space_of(region).map(Share::of_space),
            Wire::Stopped { limit, items } => Share::copied(limit, &items),
        }
        .map_err(D::Error::custom)
    }
}

impl Share {
    /// A copy of what is in it; `None` if it runs again.
    fn copy_out(&self) -> Result<Option<Wire>, Error> {
        let space = &self.space;
        let items = space.with_names(None, |names| {
            // Whoever has stopped in a change must not keep all names waiting, nor keep from them who is in one.
            let deadline = Instant::now().checked_add(space::patience() / 5);
            // With the names, without which nobody starts it.
            if self.is_running()? {
                return Ok(None);
            }
            let item = |(name, found): (String, _)| {
                let (_, type_name) = names.names_of(&found)?;
                let content = kind::snapshot(space, &found, deadline)?;
                let (kind, fingerprint) = (found.kind, found.fingerprint);
                Ok(Item { name, kind, fingerprint, type_name, content })
            };
            names.all()?.into_iter().map(item).collect::<Result<Vec<_>, Error>>().map(Some)
        })?;
        Ok(items.map(|items| Wire::Stopped { limit: space.commons.region().limit(), items }))
    }

    /// A share of its own with this content, stopped.
    fn copied(limit: u64, items: &[Item]) -> Result<Share, Error> {
        let share = Share::builder().limit_bytes(limit).create()?;
        for item in items {
            let of_type = (item.kind, item.fingerprint, item.type_name.as_str());
            kind::restore(&share.space, &item.name, of_type, &item.content)?;
        }
        share.space.commons.u64(ATTENTION)?.fetch_or(STOPPED, Ordering::AcqRel);
        Ok(share)
    }
}

fn serialize_handle<T, S: Serializer>(object: &Object, serializer: S) -> Result<S::Ok, S::Error> {
    leave_for_reader::<T>(&object.space).map_err(S::Error::custom)?;
    let (index, serial) = (object.found.index, object.found.serial);
    Handle { region: object.space.id().to_words(), index, serial }.serialize(serializer)
}

fn deserialize_handle<'de, D: Deserializer<'de>>(
    deserializer: D,
    spec: &Spec<'_>,
) -> Result<Arc<Object>, D::Error> {
    let handle = Handle::deserialize(deserializer)?;
    let find = || {
        let space = space_of(handle.region)?;
        let object = space.hold(None, |names| names.find_serial(handle.index, handle.serial))?;
        let object = object.ok_or_else(|| Error::not_found("of a handle that arrived"))?;
        if (object.found.kind, object.found.fingerprint) != (spec.kind, spec.fingerprint) {
            let (name, found) = space.with_names(None, |names| names.names_of(&object.found))?;
            let expected = spec.type_name.to_owned();
            return Err(Error::new(Reason::OtherType { name, found, expected }));
        }
        Ok(object)
    };
    find().map_err(D::Error::custom)
}

impl<T: 'static, C> Serialize for Shared<T, C>
where
    C: Codec<T>,
{
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serialize_handle::<Self, S>(self.object(), serializer)
    }
}

impl<'de, T: 'static, C> Deserialize<'de> for Shared<T, C>
where
    C: Codec<T>,
{
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let type_name = C::type_name();
        deserialize_handle(deserializer, &value::spec_of(&type_name)).map(Shared::new)
    }
}

impl<N: Number> Serialize for SharedNumber<N> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serialize_handle::<Self, S>(self.object(), serializer)
    }
}

impl<'de, N: Number> Deserialize<'de> for SharedNumber<N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let object = deserialize_handle(deserializer, &number::spec::<N>())?;
        SharedNumber::new(object).map_err(D::Error::custom)
    }
}

impl Serialize for SharedBlob {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let handle = serialize_handle::<Self, S>(self.object(), serializer)?;
        leave_blob_for_reader(self.file());
        Ok(handle)
    }
}

impl<'de> Deserialize<'de> for SharedBlob {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let object = deserialize_handle(deserializer, &blob::spec())?;
        SharedBlob::new(object).map_err(D::Error::custom)
    }
}

impl<T: 'static, C: Codec<T>> Serialize for SharedList<T, C> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serialize_handle::<Self, S>(self.object(), serializer)
    }
}

impl<'de, T: 'static, C: Codec<T>> Deserialize<'de> for SharedList<T, C> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let type_name = C::type_name();
        deserialize_handle(deserializer, &list::spec::<T, C>(&type_name)).map(SharedList::new)
    }
}

impl<T: 'static, C: Codec<T>> Serialize for SharedQueue<T, C> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serialize_handle::<Self, S>(self.object(), serializer)
    }
}

impl<'de, T: 'static, C: Codec<T>> Deserialize<'de> for SharedQueue<T, C> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let type_name = C::type_name();
        deserialize_handle(deserializer, &queue::spec(&type_name)).map(SharedQueue::new)
    }
}

/// Handles whose type is their kind.
macro_rules! travels {
    ($($handle:ty),*) => {$(
        impl Serialize for $handle {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serialize_handle::<Self, S>(self.object(), serializer)
            }
        }

        impl<'de> Deserialize<'de> for $handle {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let object = deserialize_handle(deserializer, &Self::spec(1))?;
                Self::new(object).map_err(D::Error::custom)
            }
        }
    )*};
}

travels!(SharedMutex, SharedRwLock, SharedSemaphore, SharedEvent, SharedBarrier, SharedCondvar);
