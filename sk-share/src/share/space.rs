//! What this process has of one share: its memory, and the objects in it that somebody here holds.

use std::collections::{HashMap, HashSet};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use sk_cereal::Session;

use super::kind;
use super::layout::{ACTIVITY, ARENA, ATTENTION, DIRECTORY, FAULT, Plan, RECORD};
use crate::blob;
use crate::error::{Error, Reason};
use crate::ground::{
    Arena, Directory, EventCount, FLAGS, Found, Ground as _, Layout, Open, Spec, Transactions,
};
use crate::inherit;
use crate::memory::{Commons, Descriptors, Kind, Member, Region, RegionId, Roster};
use crate::sync::{Arc, AtomicU32, AtomicU64, AtomicUsize, Mutex, Ordering, Weak, lock};
use crate::sys::{self, Held};

/// A count on a cache line of its own.
#[derive(Default)]
#[repr(align(64))]
struct Line(AtomicU64);

/// So many threads count reads without being in each other's way.
const LINES: usize = 8;

thread_local! {
    /// Which line this thread counts on.
    static PLACE: usize = {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        NEXT.fetch_add(1, Ordering::Relaxed)
    };
}

/// The memory of one share as this process has it. There is one of each in a process.
pub(crate) struct Space {
    pub(crate) commons: Commons,
    layout: Layout,
    objects: Mutex<HashMap<u64, Weak<Object>>>,
    /// The blobs that this process has met here, kept for those who come later.
    blobs: Mutex<HashMap<RegionId, Arc<blob::File>>>,
    /// About how often values were read here; see [`Space::count_read`].
    reads: [Line; LINES],
    errors: AtomicU64,
    /// Words that every operation looks at, found once.
    attention: Held<AtomicU64>,
    activity: Held<AtomicU32>,
}

/// An object that this process holds: pinned until the last handle is dropped.
pub struct Object {
    pub(crate) space: Arc<Space>,
    pub(crate) found: Found,
    /// Not 0 once it was removed; found once, since every operation looks at it.
    removed: Held<AtomicU32>,
}

/// How long one waits for another process that is at the names of a share.
static PATIENCE: AtomicU64 = AtomicU64::new(5_000_000_000);

pub(crate) fn patience() -> Duration {
    Duration::from_nanos(PATIENCE.load(Ordering::Relaxed))
}

pub(crate) fn set_patience(patience: Duration) {
    PATIENCE.store(u64::try_from(patience.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
}

/// All spaces of this process.
static SPACES: Mutex<Vec<Weak<Space>>> = Mutex::new(Vec::new());

/// The roster that this process made, or joined to make a share, if it was in none: it lasts until the process ends.
static ROSTER: Mutex<Option<Roster>> = Mutex::new(None);

/// The roster of the program.
pub(crate) fn roster() -> Result<Roster, Error> {
    let mut made = lock(&ROSTER);
    match Roster::current() {
        Ok(current) => Ok(current),
        // None yet, or of the process that this one is a copy of. What arrives, or is to be received, is of the program
        // that this process belongs to: who made a roster of its own could not join that any more.
        Err(_) => {
            let arrived = Session::current()
                .and_then(|session| session.with(|table: &mut Descriptors| table.find_roster()))
                .or_else(inherit::offered_roster);
            let roster = arrived.map_or_else(Roster::create, Roster::join)?;
            Ok(made.insert(roster).clone())
        }
    }
}

impl Roster {
    /// The roster of this program: the one that this process is a member of, else the one that arrived beside what is
    /// being decoded or that was passed to it, else a new one, which lasts until the process ends.
    ///
    /// # Errors
    /// As for [`Roster::create`] and [`Roster::join`].
    pub fn of_program() -> Result<Roster, Error> {
        roster()
    }
}

impl Space {
    /// Memory of its own for a new share.
    pub(crate) fn create(limit: u64) -> Result<Arc<Space>, Error> {
        let roster = roster()?;
        let region = Region::create(Kind::SHARE, limit, Some(roster.id()))?;
        let commons = Commons::new(region, roster);
        let plan = Plan::of(commons.region().limit());
        commons.grow(plan.first)?;
        let layout =
            Arena::create(&commons, ARENA, plan.first, plan.chunk_bytes, plan.chunks)?.layout();
        Space::enter(commons, layout)
    }

    /// The space of this region, which `find` supplies if this process does not have it.
    pub(crate) fn of(
        id: RegionId,
        find: impl FnOnce() -> Result<Commons, Error>,
    ) -> Result<Arc<Space>, Error> {
        let mut spaces = lock(&SPACES);
        spaces.retain(|space| space.strong_count() > 0);
        let here = spaces.iter().filter_map(Weak::upgrade).find(|space| {
            space.commons.region().id() == id && space.commons.region().check_incarnation().is_ok()
        });
        if let Some(space) = here {
            return Ok(space);
        }
        let commons = find()?;
        let layout = Arena::open(&commons, ARENA)?.layout();
        let space = Arc::new(Space::new(commons, layout)?);
        space.with_names(None, |names| names.attach(space.member().to_bits()))?;
        spaces.push(Arc::downgrade(&space));
        Ok(space)
    }

    fn enter(commons: Commons, layout: Layout) -> Result<Arc<Space>, Error> {
        let space = Arc::new(Space::new(commons, layout)?);
        space.with_names(None, |names| names.attach(space.member().to_bits()))?;
        let mut spaces = lock(&SPACES);
        spaces.retain(|space| space.strong_count() > 0);
        spaces.push(Arc::downgrade(&space));
        Ok(space)
    }

    fn new(commons: Commons, layout: Layout) -> Result<Space, Error> {
        let attention = commons.region().hold64(ATTENTION)?;
        let activity = commons.region().hold32(ACTIVITY)?;
        Ok(Space {
            commons,
            layout,
            objects: Mutex::default(),
            blobs: Mutex::default(),
            reads: Default::default(),
            errors: AtomicU64::new(0),
            attention,
            activity,
        })
    }

    fn member(&self) -> Member {
        self.commons.roster().me()
    }

    pub(crate) fn id(&self) -> RegionId {
        self.commons.region().id()
    }

    #[inline]
    pub(crate) fn arena(&self) -> Arena<'_, Commons> {
        Arena::again(&self.commons, &self.layout)
    }

    /// Works on the names, while nobody else does. Whoever is at them has done in microseconds, unless it has stopped:
    /// so nobody waits for ever.
    pub(crate) fn with_names<R>(
        &self,
        deadline: Option<Instant>,
        work: impl FnOnce(&Open<'_, '_, Commons, Space>) -> Result<R, Error>,
    ) -> Result<R, Error> {
        self.commons.region().check_incarnation()?;
        let deadline = deadline.or_else(|| Instant::now().checked_add(patience()));
        let arena = self.arena();
        let row = self.member().row() as u64;
        let directory = Directory::at(&self.commons, &arena, DIRECTORY, row)?;
        let open = directory.open(self, deadline)?;
        work(&open)
    }

    /// All objects that have names, as they were a moment ago.
    #[expect(
        clippy::redundant_closure_for_method_calls,
        reason = "the closure is for all lifetimes, and the method for some"
    )]
    pub(crate) fn all(&self) -> Result<Vec<(String, Found)>, Error> {
        self.with_names(None, |names| names.all())
    }

    /// Works with the directory, of which nobody is kept away.
    pub(crate) fn with_directory<R>(
        &self,
        work: impl FnOnce(&Directory<'_, Commons>) -> Result<R, Error>,
    ) -> Result<R, Error> {
        let arena = self.arena();
        let row = self.member().row() as u64;
        work(&Directory::at(&self.commons, &arena, DIRECTORY, row)?)
    }

    #[inline]
    pub(crate) fn transactions(&self) -> Result<Transactions<'_, Commons>, Error> {
        Transactions::at(&self.commons, ATTENTION, RECORD)
    }

    /// What has to be looked after before a read or a write; 0 as a rule.
    #[inline]
    pub(crate) fn flags(&self) -> Result<u64, Error> {
        // Acquire: (A11).
        Ok(self.attention.load(Ordering::Acquire) & FLAGS)
    }

    /// The object that `find` finds or makes, as all handles of this process have it.
    pub(crate) fn hold(
        self: &Arc<Space>,
        deadline: Option<Instant>,
        find: impl FnOnce(&Open<'_, '_, Commons, Space>) -> Result<Option<Found>, Error>,
    ) -> Result<Option<Arc<Object>>, Error> {
        // Kept from before the pin is set until the object is in the table, so that no drop of another
        // handle in between takes the pin away.
        let mut objects = lock(&self.objects);
        let Some(found) = self.with_names(deadline, find)? else { return Ok(None) };
        if let Some(here) = objects.get(&found.serial).and_then(Weak::upgrade) {
            return Ok(Some(here));
        }
        let removed = self.commons.region().hold32(found.mark_of_removal())?;
        let object = Arc::new(Object { space: Arc::clone(self), found, removed });
        objects.insert(found.serial, Arc::downgrade(&object));
        Ok(Some(object))
    }

    /// The object of this name and type, made by `make` if there is none.
    pub(crate) fn find_or_create(
        self: &Arc<Space>,
        name: &str,
        spec: &Spec<'_>,
        make: impl FnOnce(&Found) -> Result<(), Error>,
    ) -> Result<Arc<Object>, Error> {
        let mut is_new = false;
        let object = self.hold(None, |names| {
            if let Some(found) = names.find_as(name, spec)? {
                return Ok(Some(found));
            }
            // One that cannot be freed keeps nobody from making another.
            let _ = names.reap();
            is_new = true;
            names.create(name, spec, make).map(Some)
        })?;
        if is_new {
            self.notify_activity();
        }
        object.ok_or_else(|| Error::not_found(name))
    }

    /// What the work gives; if it finds no room it is tried once more, after what was removed and is held by nobody any
    /// more was freed.
    pub(crate) fn with_room<R>(
        &self,
        mut work: impl FnMut() -> Result<R, Error>,
    ) -> Result<R, Error> {
        match work() {
            Err(error) if error.is_limit() && self.is_room_made() => work(),
            result => result,
        }
    }

    /// Frees what was removed and is held by nobody any more, if nobody is at the names.
    #[cold]
    pub(crate) fn is_room_made(&self) -> bool {
        self.with_names(Some(Instant::now()), |names| names.reap().map(|_| ())).is_ok()
    }

    /// The object of this name and type.
    pub(crate) fn find(
        self: &Arc<Space>,
        name: &str,
        spec: &Spec<'_>,
    ) -> Result<Arc<Object>, Error> {
        self.hold(None, |names| names.find_as(name, spec))?.ok_or_else(|| Error::not_found(name))
    }

    /// The memory of a blob: from here, from beside the bytes that are being decoded, or from another process.
    pub(crate) fn blob(&self, found: &Found) -> Result<Arc<blob::File>, Error> {
        let id = blob::id_of(self, found)?;
        if let Some(file) = lock(&self.blobs).get(&id) {
            return Ok(Arc::clone(file));
        }
        let arrived = Session::current().and_then(|session| {
            session.with(|descriptors: &mut Descriptors| descriptors.find_blob(id))
        });
        let file = match arrived {
            Some(file) => file,
            None => self.blob_of_others(id)?,
        };
        let file = Arc::new(blob::File::open(file, id)?);
        self.keep_blob(&file);
        Ok(file)
    }

    fn blob_of_others(&self, id: RegionId) -> Result<OwnedFd, Error> {
        let roster = self.commons.roster();
        let processes = roster.members()?.into_iter().filter(|member| *member != roster.me());
        processes
            .filter_map(|member| roster.process_id(member))
            .find_map(|process| sys::open_of_process(process, &blob::file_name(id)))
            .ok_or_else(|| Error::new(Reason::BytesGone { region: id }))
    }

    pub(crate) fn keep_blob(&self, file: &Arc<blob::File>) {
        lock(&self.blobs).insert(file.id(), Arc::clone(file));
    }

    /// Lets go of the blobs that have no name any more, whoever removed them.
    pub(crate) fn drop_nameless_blobs(&self) -> Result<(), Error> {
        if lock(&self.blobs).is_empty() {
            return Ok(());
        }
        self.with_names(None, |names| {
            let mut named = HashSet::new();
            for (_, found) in names.all()?.iter().filter(|(_, found)| found.kind == kind::BLOB) {
                named.insert(blob::id_of(self, found)?);
            }
            // With the names: what is named from here on is kept after that.
            lock(&self.blobs).retain(|id, _| named.contains(id));
            Ok(())
        })
    }

    /// All blobs of the share, as far as their memory can be had.
    pub(crate) fn all_blobs(&self) -> Result<Vec<Arc<blob::File>>, Error> {
        self.drop_nameless_blobs()?;
        let all = self.all()?;
        let found = all.iter().map(|(_, found)| found).filter(|found| found.kind == kind::BLOB);
        Ok(found.filter_map(|found| self.blob(found).ok()).collect())
    }

    /// Tells those who watch more than one object that one has changed.
    #[inline]
    pub(crate) fn notify_activity(&self) {
        // As `EventCount::notify_if_waited` has it.
        if EventCount::<Commons>::is_waited(self.activity.load(Ordering::SeqCst)) {
            self.notify_watchers();
        }
    }

    /// As [`notify_activity`](Space::notify_activity), also where the change before it ended with nothing that is
    /// sequentially consistent.
    #[cold]
    pub(crate) fn notify_watchers(&self) {
        if let Ok(activity) = EventCount::at(&self.commons, ACTIVITY) {
            activity.notify_all();
        }
    }

    /// Counts a read, about: two threads at once may count one. A count of each would cost as much as
    /// the read.
    #[inline]
    pub(crate) fn count_read(&self) {
        let place = PLACE.with(|place| *place);
        if let Some(Line(count)) = self.reads.get(place % LINES) {
            count.store(count.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
        }
    }

    pub(crate) fn reads(&self) -> u64 {
        let counts = self.reads.iter().map(|Line(count)| count.load(Ordering::Relaxed));
        counts.fold(0, u64::wrapping_add)
    }

    pub(crate) fn errors(&self) -> u64 {
        self.errors.load(Ordering::Relaxed)
    }

    /// What went wrong before does not matter any more.
    pub(crate) fn forget_fault(&self) -> Result<(), Error> {
        self.commons.u64(FAULT)?.store(0, Ordering::Relaxed);
        Ok(())
    }

    /// Writes down, for all, what is wrong with an object, and gives the error back.
    #[cold]
    pub(crate) fn report(&self, serial: u64, error: Error) -> Error {
        self.errors.fetch_add(1, Ordering::Relaxed);
        if let Some(reason) = error.fault()
            && let Ok(word) = self.commons.u64(FAULT)
        {
            let fault = serial << 8 | u64::from(reason);
            let _ = word.compare_exchange(0, fault, Ordering::Relaxed, Ordering::Relaxed);
        }
        error
    }
}

impl Object {
    /// An error if it was removed, by [`clear`](crate::Share::clear) for example.
    #[inline(always)]
    pub(crate) fn check(&self) -> Result<(), Error> {
        if self.is_detached()? { Err(self.not_found()) } else { Ok(()) }
    }

    /// As [`check`](Object::check), where this process was found to be the one that has the handle.
    #[inline(always)]
    pub(crate) fn check_again(&self) -> Result<(), Error> {
        // Acquire: (A9).
        if self.removed.load(Ordering::Acquire) != 0 { Err(self.not_found()) } else { Ok(()) }
    }

    #[inline]
    pub(crate) fn is_detached(&self) -> Result<bool, Error> {
        self.space.commons.region().check_incarnation()?;
        // Acquire: (A9).
        Ok(self.removed.load(Ordering::Acquire) != 0)
    }

    #[cold]
    fn not_found(&self) -> Error {
        let names = self.space.with_names(None, |names| names.names_of(&self.found));
        Error::not_found(&names.map_or_else(|_| String::new(), |(name, _)| name))
    }

    /// Notes a fault of this object, if it is one, and gives the error back.
    pub(crate) fn report(&self, error: Error) -> Error {
        self.space.report(self.found.serial, error)
    }
}

/// The last handle in this process is gone.
impl Drop for Object {
    fn drop(&mut self) {
        let space = &self.space;
        // A copy made by fork has no pins of its own.
        if space.commons.region().check_incarnation().is_err() {
            return;
        }
        let is_to_reap = {
            let mut objects = lock(&space.objects);
            // Only the one in the table has the pin: another one that was made since has taken it over, and may
            // have given it back.
            let is_in_table = |object: &Weak<Object>| std::ptr::eq(object.as_ptr(), self);
            if !objects.get(&self.found.serial).is_some_and(is_in_table) {
                return;
            }
            objects.remove(&self.found.serial);
            // An error means damage, and then there is nothing to be given back. From here on its words may be
            // another's.
            space.with_directory(|directory| directory.unpin(&self.found)).unwrap_or(false)
        };
        if is_to_reap {
            // If somebody has the names for longer, it is freed by whoever is next.
            let soon = Instant::now().checked_add(Duration::from_millis(5));
            let _ = space.with_names(soon, |names| names.reap().map(|_| ()));
        }
    }
}
