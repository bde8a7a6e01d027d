//! A share: values by name, for all processes that have it.
//!
//! | file | what |
//! |---|---|
//! | `layout` | what lies where in its region |
//! | `space` | what this process has of it: memory, and the objects that it holds |
//! | `kind` | the kinds of objects: how each is given back and woken |
//! | `running` | start and stop |
//! | `wire` | how a share and a handle travel |
//! | `stats` | what is in it |

pub(crate) mod kind;
pub(crate) mod layout;
mod running;
pub(crate) mod space;
mod stats;
mod wire;

use std::fmt;
use std::io::Write as _;
use std::time::{Duration, Instant};

use bytemuck::Pod;
use serde::Serialize;
use serde::de::DeserializeOwned;

pub use running::StopGuard;
pub(crate) use running::help_start;
pub use stats::Stats;

use crate::blob::{self, BlobWriter, SharedBlob};
use crate::codec::{Codec, Encoded, Plain};
use crate::error::{Error, Reason};
use crate::ground::{Found, Spec};
use crate::list::{self, SharedList};
use crate::locks::{
    READERS, SharedBarrier, SharedCondvar, SharedEvent, SharedMutex, SharedRwLock, SharedSemaphore,
};
use crate::memory::{Region, RegionId};
use crate::number::{self, Number, SharedNumber};
use crate::queue::{self, SharedQueue};
use crate::sync::Arc;
use crate::value::{self, Shared};
use layout::Plan;
use space::{Object, Space};

/// Values by name, for all processes that have it.
///
/// `new` makes one that is ready for use. What is in it is created or found by its name, each kind with its own
/// handle: [`value`](Share::value), [`number`](Share::number) and others. A name has one type.
///
/// A share and every handle is `Serialize` and `Deserialize`: in another process it arrives connected, and not as
/// a copy, also after the process that made it is gone; see [`inherit`](crate::inherit). Clones are the same
/// share.
///
/// Names come and go under one lock. A process that is *stopped* (SIGSTOP) in the microseconds in which it holds that
/// keeps others from names for as long; they give up after 5 seconds with an error that says
/// [`is_timeout`](Error::is_timeout). Handles that are there already are not concerned, and the dead keep nobody waiting.
///
/// It lies in one piece of memory without a name, which is gone with the last process that has a handle, however
/// that ends. It grows up to a limit ([`ShareBuilder::limit_bytes`]).
///
/// ```
/// use sk_share::Share;
///
/// let share = Share::new()?;
/// let title = share.value("title", "draft".to_owned())?;
/// let hits = share.number("hits", 0_u64)?;
/// title.set(&"final".to_owned())?;
/// hits.add(1);
///
/// // Anywhere else, by anyone who has the share:
/// assert_eq!(share.get::<String>("title")?.get()?, "final");
/// assert!(share.get::<Vec<u8>>("title").unwrap_err().is_other_type());
/// # Ok::<(), sk_share::Error>(())
/// ```
#[derive(Clone)]
pub struct Share {
    space: Arc<Space>,
}

/// What is settled when a share is made.
#[derive(Debug, Clone)]
pub struct ShareBuilder {
    limit: u64,
}

impl ShareBuilder {
    /// So many bytes it may grow to, rounded up to whole pages; 4 GiB unless this is said, and at least 256 KiB.
    ///
    /// Each process that has the share reserves as many addresses, and memory for what is used of it.
    #[must_use]
    pub fn limit_bytes(mut self, limit: u64) -> ShareBuilder {
        self.limit = limit;
        self
    }

    /// Makes the share.
    ///
    /// # Errors
    /// No memory, addresses or descriptors for it ([`Error::is_limit`]); the limit is too small.
    pub fn create(self) -> Result<Share, Error> {
        if self.limit < Plan::SMALLEST {
            return Err(Error::new(Reason::TooSmall { asked: self.limit, least: Plan::SMALLEST }));
        }
        Ok(Share { space: Space::create(self.limit)? })
    }
}

impl Default for ShareBuilder {
    fn default() -> ShareBuilder {
        ShareBuilder { limit: 4 << 30 }
    }
}

impl Share {
    /// A new share, ready for use.
    ///
    /// # Errors
    /// As for [`ShareBuilder::create`].
    pub fn new() -> Result<Share, Error> {
        ShareBuilder::default().create()
    }

    /// A new share with other limits.
    pub fn builder() -> ShareBuilder {
        ShareBuilder::default()
    }

    pub(crate) fn of_space(space: Arc<Space>) -> Share {
        Share { space }
    }

    /// Which share it is: the same in all processes.
    #[must_use]
    pub fn id(&self) -> RegionId {
        self.space.id()
    }

    /// The value of this name, made with this content if there is none.
    ///
    /// # Errors
    /// The name has another type; the content cannot be encoded, or there is no room for it.
    pub fn value<T>(&self, name: &str, initial: T) -> Result<Shared<T>, Error>
    where
        T: Serialize + DeserializeOwned + 'static,
    {
        self.make_value::<T, Encoded>(name, &initial)
    }

    /// As [`value`](Share::value) for plain data ([`Pod`]), which is copied as it is: nothing is encoded, and a small
    /// one is read in some nanoseconds. `bytemuck` derives `Pod`; this crate re-exports the one that it uses.
    ///
    /// ```
    /// use bytemuck::{Pod, Zeroable};
    /// use sk_share::Share;
    ///
    /// #[derive(Clone, Copy, Default, Pod, Zeroable)]
    /// #[repr(C)]
    /// struct Position {
    ///     x: f64,
    ///     y: f64,
    /// }
    ///
    /// let share = Share::new()?;
    /// let position = share.plain("position", Position::default())?;
    /// position.update(|position| position.x += 1.5)?;
    /// assert_eq!(position.get()?.x, 1.5);
    /// # Ok::<(), sk_share::Error>(())
    /// ```
    ///
    /// # Errors
    /// As for [`value`](Share::value).
    pub fn plain<T: Pod>(&self, name: &str, initial: T) -> Result<Shared<T, Plain>, Error> {
        self.make_value::<T, Plain>(name, &initial)
    }

    fn make_value<T: 'static, C: Codec<T>>(
        &self,
        name: &str,
        initial: &T,
    ) -> Result<Shared<T, C>, Error> {
        let type_name = C::type_name();
        let spec = value::spec_of(&type_name);
        C::with_bytes(initial, |bytes| {
            let make = |found: &_| value::make(&self.space, found, bytes);
            self.space.find_or_create(name, &spec, make).map(Shared::new)
        })
        .map_err(|error| self.space.report(0, error))
    }

    /// The value of this name, which is there already.
    ///
    /// # Errors
    /// There is none ([`Error::is_not_found`]), or it has another type.
    pub fn get<T>(&self, name: &str) -> Result<Shared<T>, Error>
    where
        T: Serialize + DeserializeOwned + 'static,
    {
        let type_name = <Encoded as Codec<T>>::type_name();
        self.space.find(name, &value::spec_of(&type_name)).map(Shared::new)
    }

    /// As [`get`](Share::get) for plain data.
    ///
    /// # Errors
    /// As for [`get`](Share::get).
    pub fn get_plain<T: Pod>(&self, name: &str) -> Result<Shared<T, Plain>, Error> {
        let type_name = <Plain as Codec<T>>::type_name();
        self.space.find(name, &value::spec_of(&type_name)).map(Shared::new)
    }

    /// Puts a value under a name, in place of the value of the same type that it may have.
    ///
    /// # Errors
    /// As for [`value`](Share::value) and [`Shared::set`].
    pub fn put<T>(&self, name: &str, value: &T) -> Result<Shared<T>, Error>
    where
        T: Serialize + DeserializeOwned + 'static,
    {
        loop {
            let shared: Shared<T> = self.make_value(name, value)?;
            match shared.set(value) {
                // Removed in between: then it is made anew.
                Err(error) if error.is_not_found() => {}
                set => return set.map(|_| shared),
            }
        }
    }

    /// The number of this name, made with this value if there is none.
    ///
    /// # Errors
    /// The name has another type, or there is no room.
    pub fn number<N: Number>(&self, name: &str, initial: N) -> Result<SharedNumber<N>, Error> {
        let make = |found: &_| number::make(&self.space, found, initial.to_bits());
        let object = self.space.find_or_create(name, &number::spec::<N>(), make);
        SharedNumber::new(object.map_err(|error| self.space.report(0, error))?)
    }

    /// The number of this name, which is there already.
    ///
    /// # Errors
    /// As for [`get`](Share::get).
    pub fn get_number<N: Number>(&self, name: &str) -> Result<SharedNumber<N>, Error> {
        SharedNumber::new(self.space.find(name, &number::spec::<N>())?)
    }

    /// The list of this name, made empty if there is none.
    ///
    /// # Errors
    /// The name has another type, or there is no room.
    pub fn list<T>(&self, name: &str) -> Result<SharedList<T>, Error>
    where
        T: Serialize + DeserializeOwned + 'static,
    {
        self.make_list(name)
    }

    /// As [`list`](Share::list), of plain data, which is copied as it is.
    ///
    /// # Errors
    /// As for [`list`](Share::list).
    pub fn plain_list<T: Pod>(&self, name: &str) -> Result<SharedList<T, Plain>, Error> {
        self.make_list(name)
    }

    fn make_list<T: 'static, C: Codec<T>>(&self, name: &str) -> Result<SharedList<T, C>, Error> {
        let type_name = C::type_name();
        let make = |found: &_| list::make(&self.space, found, list::inline_of::<T, C>());
        self.make_object(name, &list::spec::<T, C>(&type_name), make).map(SharedList::new)
    }

    /// The queue of this name, made empty and with room for `capacity` elements, from 1 to 16,777,216, if there is
    /// none. Its memory is there from the beginning: 64 bytes for each element.
    ///
    /// # Errors
    /// The name has another type; there is no room, or can be no such capacity ([`Error::is_limit`]).
    pub fn queue<T>(&self, name: &str, capacity: u64) -> Result<SharedQueue<T>, Error>
    where
        T: Serialize + DeserializeOwned + 'static,
    {
        self.make_queue(name, capacity)
    }

    /// As [`queue`](Share::queue), of plain data, which is copied as it is.
    ///
    /// # Errors
    /// As for [`queue`](Share::queue).
    pub fn plain_queue<T: Pod>(
        &self,
        name: &str,
        capacity: u64,
    ) -> Result<SharedQueue<T, Plain>, Error> {
        self.make_queue(name, capacity)
    }

    fn make_queue<T: 'static, C: Codec<T>>(
        &self,
        name: &str,
        capacity: u64,
    ) -> Result<SharedQueue<T, C>, Error> {
        let type_name = C::type_name();
        let make = |found: &_| queue::make::<T, C>(&self.space, found, capacity);
        self.make_object(name, &queue::spec(&type_name), make).map(SharedQueue::new)
    }

    fn make_object(
        &self,
        name: &str,
        spec: &Spec<'_>,
        make: impl FnOnce(&Found) -> Result<(), Error>,
    ) -> Result<Arc<Object>, Error> {
        let object = self.space.find_or_create(name, spec, make);
        object.map_err(|error| self.space.report(0, error))
    }

    fn make_lock(&self, name: &str, spec: &Spec<'_>, count: u32) -> Result<Arc<Object>, Error> {
        self.make_object(name, spec, |found| kind::make_lock(&self.space, found, count))
    }

    /// The mutex of this name, made free if there is none.
    ///
    /// # Errors
    /// The name has another type, or there is no room.
    pub fn mutex(&self, name: &str) -> Result<SharedMutex, Error> {
        SharedMutex::new(self.make_lock(name, &SharedMutex::spec(1), 1)?)
    }

    /// The read-write lock of this name, made free if there is none.
    ///
    /// # Errors
    /// The name has another type, or there is no room.
    pub fn rwlock(&self, name: &str) -> Result<SharedRwLock, Error> {
        SharedRwLock::new(self.make_lock(name, &SharedRwLock::spec(READERS), READERS)?)
    }

    /// The semaphore of this name, made with so many permits, from 1 to 32,767, if there is none.
    ///
    /// # Errors
    /// The name has another type; there is no room, or can be no such number ([`Error::is_limit`]).
    pub fn semaphore(&self, name: &str, permits: u32) -> Result<SharedSemaphore, Error> {
        let spec = SharedSemaphore::spec(permits.min(SharedSemaphore::MOST));
        SharedSemaphore::new(self.make_lock(name, &spec, permits)?)
    }

    /// The event of this name, made clear if there is none.
    ///
    /// # Errors
    /// The name has another type, or there is no room.
    pub fn event(&self, name: &str) -> Result<SharedEvent, Error> {
        SharedEvent::new(self.make_lock(name, &SharedEvent::spec(1), 1)?)
    }

    /// The barrier of this name, made for so many parties, from 1 to 4,096, if there is none.
    ///
    /// # Errors
    /// The name has another type; there is no room, or can be no such number ([`Error::is_limit`]).
    pub fn barrier(&self, name: &str, parties: u32) -> Result<SharedBarrier, Error> {
        let spec = SharedBarrier::spec(parties.min(SharedBarrier::MOST));
        SharedBarrier::new(self.make_lock(name, &spec, parties)?)
    }

    /// The condition variable of this name, made if there is none.
    ///
    /// # Errors
    /// The name has another type, or there is no room.
    pub fn condvar(&self, name: &str) -> Result<SharedCondvar, Error> {
        SharedCondvar::new(self.make_lock(name, &SharedCondvar::spec(1), 1)?)
    }

    /// The blob of this name, made of these bytes if there is none. Their number is limited by the memory of the machine, not
    /// by the limit of the share.
    ///
    /// # Errors
    /// The name has another type, or there is no room; there is one, and no process has its bytes any more
    /// that lets us look ([`Error::is_not_found`]).
    pub fn blob(&self, name: &str, bytes: &[u8]) -> Result<SharedBlob, Error> {
        match self.get_blob(name) {
            Err(error) if error.is_not_found() && !self.contains(name)? => {}
            other => return other,
        }
        let mut writer = self.write_blob(name)?;
        writer
            .write_all(bytes)
            .map_err(|error| Error::system("cannot write a blob", bytes.len() as u64, error))?;
        match writer.seal() {
            // Somebody was quicker.
            Err(error) if error.is_name_taken() => self.get_blob(name),
            sealed => sealed,
        }
    }

    /// Writes a blob piece by piece; it has its name once it is [sealed](BlobWriter::seal).
    ///
    /// # Errors
    /// There is no memory or descriptor left.
    pub fn write_blob(&self, name: &str) -> Result<BlobWriter, Error> {
        BlobWriter::new(&self.space, name)
    }

    /// The blob of this name, which is there already.
    ///
    /// # Errors
    /// As for [`get`](Share::get); no process that lets us look has its bytes any more
    /// ([`Error::is_not_found`]).
    pub fn get_blob(&self, name: &str) -> Result<SharedBlob, Error> {
        SharedBlob::new(self.space.find(name, &blob::spec())?)
    }

    /// For tests that damage it.
    #[doc(hidden)]
    pub fn region(&self) -> &Region {
        self.space.commons.region()
    }

    /// For tests of damage: how long this process waits for one that is at the names of a share.
    #[doc(hidden)]
    pub fn set_patience(patience: Duration) {
        space::set_patience(patience);
    }

    pub(crate) fn space(&self) -> &Arc<Space> {
        &self.space
    }

    /// Walks the books of its memory, and says what does not add up: nothing, if all is well. For tests and for
    /// who looks for a fault; it keeps others waiting meanwhile.
    ///
    /// # Errors
    /// The memory is too damaged to be walked; the deadline has passed.
    pub fn check(&self, deadline: Option<Instant>) -> Result<Vec<String>, Error> {
        self.space.with_names(deadline, |names| {
            names.reap()?;
            let (mut blocks, objects) = names.blocks()?;
            for found in objects {
                blocks.extend(kind::blocks(&self.space, &found)?);
            }
            Ok(self.space.arena().check(deadline)?.against(&blocks))
        })
    }

    /// The names that are there, in no order.
    ///
    /// # Errors
    /// Damaged memory.
    pub fn names(&self) -> Result<Vec<String>, Error> {
        let all = self.space.all()?;
        Ok(all.into_iter().map(|(name, _)| name).collect())
    }

    /// Whether something has this name.
    ///
    /// # Errors
    /// Damaged memory.
    pub fn contains(&self, name: &str) -> Result<bool, Error> {
        self.space.with_names(None, |names| Ok(names.look(name)?.is_some()))
    }

    /// Removes what has this name; `false` if nothing has it. Handles of it are detached: operations that return
    /// a `Result` give [`is_not_found`](Error::is_not_found), whoever waits for it is woken with that, and numbers
    /// go on counting with one another. A change that waits for the start of the share is gone with it.
    ///
    /// # Errors
    /// Damaged memory.
    pub fn remove(&self, name: &str) -> Result<bool, Error> {
        let is_removed = self.space.with_names(None, |names| {
            let is_removed = match names.look(name)? {
                Some(found) => names.remove(&found)?,
                None => false,
            };
            // What cannot be freed now is left for the next time.
            let _ = names.reap();
            Ok(is_removed)
        })?;
        self.space.drop_nameless_blobs()?;
        self.space.notify_activity();
        Ok(is_removed)
    }

    /// Removes everything, as [`remove`](Share::remove) does it for one name, and forgets what went wrong
    /// ([`error`](Share::error)).
    ///
    /// # Errors
    /// Damaged memory.
    pub fn clear(&self) -> Result<(), Error> {
        self.space.with_names(None, |names| {
            for (_, found) in names.all()? {
                names.remove(&found)?;
            }
            self.space.forget_fault()?;
            let _ = names.reap();
            Ok(())
        })?;
        self.space.drop_nameless_blobs()?;
        self.space.notify_activity();
        Ok(())
    }

    /// Gives back what dead processes left, now rather than when somebody needs the room.
    ///
    /// # Errors
    /// Damaged memory; the deadline has passed.
    pub fn sweep(&self, deadline: Option<Instant>) -> Result<(), Error> {
        self.space.with_names(deadline, |names| names.reap().map(|_| ()))?;
        self.space.arena().sweep(deadline)
    }
}

impl PartialEq for Share {
    fn eq(&self, other: &Share) -> bool {
        self.id() == other.id()
    }
}

impl Eq for Share {}

impl fmt::Debug for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Share").field("id", &self.id()).finish_non_exhaustive()
    }
}
