//! The roster of a program: who lives, and the life thread that tells the others when this process
//! does not any more. Section 3 of PROTOCOL.md.

mod agent;
mod member;
#[cfg(sk_portable)]
mod portable;
#[cfg(not(sk_portable))]
mod robust;

use std::fmt;
use std::os::fd::{BorrowedFd, OwnedFd, RawFd};
use std::task::Waker;
use std::thread::JoinHandle;

use super::sleeper::{self, Rest, Sleepers};
use super::wait::Spinning;
use super::{Kind, Region, RegionId};
use crate::error::{Error, Reason};
use crate::ground::Sleep;
use crate::sync::{Arc, AtomicBool, AtomicU32, Mutex, OnceLock, Ordering, Weak, lock};

pub use agent::Agent;
pub(super) use agent::{is_this_thread_an_agent, of_this_thread};
pub use member::Member;

#[cfg(sk_portable)]
use portable as backend;
#[cfg(not(sk_portable))]
use robust as backend;

use backend::slot::Slot;
use backend::table::Table;
use backend::{Local, life};

/// The membership of this process in its program; cheap to clone.
///
/// A process joins once, and is a member until the last handle is dropped, [`leave`](Self::leave) is called,
/// or it ends in whatever way. One thread, the life thread, stands for it: the kernel marks its words
/// when it ends and wakes who waits for them, in less than a millisecond whatever the size of the
/// process, before its memory is torn down and long before `waitpid` returns. The same thread
/// watches all other members.
///
/// Notice of death is notice only: another thread of the dead process may run for some more
/// microseconds. What it *held* is taken over when the [`Agent`] that held it is dead.
///
/// On the portable backend the others watch the process itself: they notice its death when it is torn down, and
/// that it calls `exec` only when that program ends. Section 12 of [`protocol`](super::protocol).
///
/// A stopped process (SIGSTOP) lives. A process made by `fork` is no member, and handles in it are
/// errors ([`Error::is_copied`]); it may join on its own.
///
/// ```
/// use sk_share::memory::Roster;
///
/// let roster = Roster::create()?;
/// assert_eq!(roster.members()?, [roster.me()]);
/// assert!(!roster.is_member_dead(roster.me())?);
/// // In another process, which got the descriptor: `Roster::join(descriptor)`.
/// let again = Roster::join(roster.as_fd().try_clone_to_owned()?)?;
/// assert_eq!(again.me(), roster.me());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Roster {
    membership: Arc<Membership>,
}

struct Membership {
    shared: Arc<Shared>,
    me: Member,
    life: Mutex<Option<JoinHandle<()>>>,
}

/// What the handles, the life thread and the agents of this process have in common.
pub(super) struct Shared {
    pub(super) region: Region,
    /// Set by the life thread once it has a row.
    me: OnceLock<Member>,
    has_left: AtomicBool,
    /// How many deaths were noticed; a futex of this process.
    pub(super) deaths: AtomicU32,
    /// What the backend has beside it.
    local: Local,
    /// So many threads of the program may be awake for spinning to be of use.
    processors: u32,
    pub(super) spinning: Spinning,
    /// The same of locks, which are held for less time than other things are waited for.
    pub(super) spinning_for_locks: Spinning,
    pub(super) spinning_for_messages: Spinning,
    pub(super) sleepers: Sleepers,
}

/// How many deaths this process had noticed when it was asked; see [`Roster::deaths`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deaths(pub(super) u32);

/// Waits for a death in somebody's place until it is dropped; see [`Roster::on_death`].
#[must_use = "it waits no longer than it lives"]
pub struct DeathWatch {
    _rest: Rest,
}

impl fmt::Debug for DeathWatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeathWatch").finish_non_exhaustive()
    }
}

impl Deaths {
    pub(crate) fn from_count(count: u32) -> Deaths {
        Deaths(count)
    }

    #[inline]
    pub(crate) fn count(self) -> u32 {
        self.0
    }
}

/// The memberships of this process, also those in copies made by fork, which count for nothing.
static JOINED: Mutex<Vec<Weak<Membership>>> = Mutex::new(Vec::new());

impl Roster {
    /// So many processes can be members at one time.
    pub const MEMBERS: usize = member::MOST;

    /// So many threads can be agents at one time.
    pub const AGENTS: usize = agent::MOST;

    /// Makes the roster of a new program and joins it.
    ///
    /// # Errors
    /// As for [`Region::create`] and [`join`](Self::join).
    pub fn create() -> Result<Roster, Error> {
        let region = Region::create(Kind::ROSTER, backend::table::BYTES, None)?;
        region.grow(backend::table::FIRST_BYTES)?;
        Roster::join_region(region)
    }

    /// Joins the roster of this descriptor. Where this process is a member already, this is another handle
    /// of its membership.
    ///
    /// It blocks until the life thread has taken a row, which takes well under a millisecond. Whoever dies
    /// meanwhile is not waited for.
    ///
    /// # Errors
    /// The descriptor is no roster, or a damaged one; all rows are in use; there is no thread or no
    /// memory for it; the kernel is older than 5.16, which cannot wait on several words.
    pub fn join(file: OwnedFd) -> Result<Roster, Error> {
        Roster::join_region(Region::open(file, Kind::ROSTER, None)?)
    }

    /// As [`join`](Self::join) of a descriptor that this process inherited under this number. For tests.
    #[doc(hidden)]
    pub fn from_inherited(number: RawFd) -> Result<Roster, Error> {
        Roster::join(Region::inherited(number)?)
    }

    fn join_region(region: Region) -> Result<Roster, Error> {
        let mut joined = lock(&JOINED);
        joined.retain(|membership| membership.strong_count() > 0);
        let of_this = joined.iter().filter_map(Weak::upgrade).find(|membership| {
            membership.shared.region.id() == region.id() && membership.shared.check().is_ok()
        });
        if let Some(membership) = of_this {
            return Ok(Roster { membership });
        }
        let shared = Arc::new(Shared {
            region,
            me: OnceLock::new(),
            has_left: AtomicBool::new(false),
            deaths: AtomicU32::new(0),
            local: Local::new()?,
            processors: std::thread::available_parallelism()
                .map_or(1, |count| u32::try_from(count.get()).unwrap_or(u32::MAX)),
            spinning: Spinning::new(),
            spinning_for_locks: Spinning::new(),
            spinning_for_messages: Spinning::new(),
            sleepers: Sleepers::default(),
        });
        let (me, life) = life::start(Arc::clone(&shared))?;
        let membership = Arc::new(Membership { shared, me, life: Mutex::new(Some(life)) });
        joined.push(Arc::downgrade(&membership));
        Ok(Roster { membership })
    }

    /// The roster that this process is a member of; the one it joined first, if there are several.
    ///
    /// # Errors
    /// It is a member of none.
    pub fn current() -> Result<Roster, Error> {
        let joined = lock(&JOINED);
        let living = joined.iter().filter_map(Weak::upgrade);
        let mut current = living.filter(|membership| membership.shared.check().is_ok());
        current
            .next()
            .map(|membership| Roster { membership })
            .ok_or_else(|| Error::new(Reason::NotMember))
    }

    /// The roster of this id, if this process is a member of it.
    pub(crate) fn joined(id: RegionId) -> Option<Roster> {
        let joined = lock(&JOINED);
        let mut living = joined.iter().filter_map(Weak::upgrade);
        living
            .find(|there| there.shared.region.id() == id && there.shared.check().is_ok())
            .map(|membership| Roster { membership })
    }

    /// Which roster it is; all regions of the program name it.
    pub fn id(&self) -> RegionId {
        self.shared().region.id()
    }

    /// Its descriptor, to be handed to another process.
    pub fn as_fd(&self) -> BorrowedFd<'_> {
        self.shared().region.as_fd()
    }

    /// This process.
    pub fn me(&self) -> Member {
        self.membership.me
    }

    /// All members that live, by row. Who joins or dies meanwhile may be among them or not.
    ///
    /// # Errors
    /// The handle is a copy, or this process has left.
    pub fn members(&self) -> Result<Vec<Member>, Error> {
        self.shared().check()?;
        let rows = self.shared().table()?.rows();
        Ok((0..rows).filter_map(|row| self.shared().living(row)).collect())
    }

    /// Whether the member is dead or has left. True from the moment that the kernel says so, a little
    /// before [`deaths`](Self::deaths) counts it.
    ///
    /// # Errors
    /// There can be no such member, the handle is a copy, or this process has left.
    pub fn is_member_dead(&self, member: Member) -> Result<bool, Error> {
        self.shared().check()?;
        if member.row() >= member::MOST {
            let row = u64::try_from(member.row()).unwrap_or(u64::MAX);
            return Err(Error::damaged("the row of a member", row, 511));
        }
        Ok(self.shared().living(member.row()) != Some(member))
    }

    /// The number of the member's process as that process sees it; for messages, since numbers are used
    /// again and are others in other namespaces.
    pub fn process_id(&self, member: Member) -> Option<u32> {
        let table = self.shared().table().ok()?;
        table.process_id(member)
    }

    /// The agent that the calling thread is, made at the first call and given back when the thread ends.
    ///
    /// # Errors
    /// All agents are in use; the thread is one of another roster, is ending, or holds a robust mutex of the
    /// C library; the handle is a copy, or this process has left.
    #[inline(always)]
    pub fn agent(&self) -> Result<Agent, Error> {
        of_this_thread(self.shared())
    }

    /// Whether the thread that this agent was has ended, in whatever way. Then it executes no further
    /// instruction, and what it held can be taken over. (On the portable backend the end of a thread without
    /// its destructors counts only when its process ends.) Also true for an agent of a process that
    /// was stopped in the middle of becoming one.
    ///
    /// # Errors
    /// There can be no such agent, the handle is a copy, or this process has left.
    pub fn is_dead(&self, agent: Agent) -> Result<bool, Error> {
        self.shared().check()?;
        Ok(!self.shared().is_living(agent)?)
    }

    /// The agent that stands for this process as a whole: a thread that lives as long as the membership.
    ///
    /// # Errors
    /// As for [`agent`](Self::agent); there is no thread to be had.
    pub(crate) fn agent_of_process(&self) -> Result<Agent, Error> {
        sleeper::agent_of_process(self.shared())
    }

    /// Has a thread of this process sleep in the place of a task.
    ///
    /// # Errors
    /// There is no thread to be had, the handle is a copy, or this process has left.
    pub(crate) fn rest(
        &self,
        region: &Region,
        sleep: &Sleep,
        waker: &Waker,
    ) -> Result<Rest, Error> {
        sleeper::rest(self.shared(), region, sleep, waker)
    }

    /// Has the waker called when this process notices another death than those it had noticed when it
    /// [asked](Self::deaths), and in five seconds at the latest. No thread sleeps for this alone. Dropped before, it calls nobody.
    ///
    /// # Errors
    /// There is no thread to be had, the handle is a copy, or this process has left.
    pub fn on_death(&self, since: Deaths, waker: &Waker) -> Result<DeathWatch, Error> {
        // A word that never changes.
        let (at, expected) = (super::region::AT_KIND, Kind::ROSTER.number());
        let sleep = Sleep { at, expected, deaths: since.0, owner: None };
        self.rest(&self.shared().region, &sleep, waker).map(|rest| DeathWatch { _rest: rest })
    }

    /// Whether the member is dead and none of its threads that were agents lives: the life thread of a process may end some
    /// microseconds before others do. What a process held as a whole is taken over from then on.
    ///
    /// # Errors
    /// As for [`is_member_dead`](Self::is_member_dead).
    pub fn is_member_gone(&self, member: Member) -> Result<bool, Error> {
        let is_dead = self.is_member_dead(member)?;
        Ok(is_dead && !backend::slot::has_living_agent(self.shared(), member))
    }

    /// Whether an agent of the same process as this one, which is dead, still lives. False when the slot
    /// was used again since: that takes longer than a process takes to end.
    pub(crate) fn has_living_sibling(&self, of: Agent) -> bool {
        backend::slot::has_living_sibling(self.shared(), of)
    }

    /// The member that an agent is a thread of, as long as it lives.
    pub fn member_of(&self, agent: Agent) -> Option<Member> {
        let slot = Slot::of(&self.shared().region, agent).ok()?;
        let (row, generation) = slot.row_and_generation();
        let member = self.shared().living(row)?;
        let is_same = member.generation() & agent::GENERATION == generation;
        (is_same && self.shared().is_living(agent).ok()?).then_some(member)
    }

    /// How many deaths of members this process has noticed. Ask before you look at anything that
    /// another process may leave unfinished, and give the answer to [`wait`](Self::wait), which returns
    /// when there is another death.
    #[inline]
    pub fn deaths(&self) -> Deaths {
        // (B3) with the count in `life.rs`: what the dead did before is seen by whoever sees the count.
        Deaths(self.shared().deaths.load(Ordering::Acquire))
    }

    /// Ends the membership of this process in order. All handles of it are errors from here on, and
    /// threads that wait return. Others notice it as they notice a death.
    ///
    /// It blocks until the life thread has given back its row, a fraction of a millisecond.
    pub fn leave(&self) {
        self.membership.leave();
    }

    #[inline]
    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.membership.shared
    }
}

impl Membership {
    fn leave(&self) {
        let shared = &self.shared;
        // A copy made by fork has no life thread, and nothing to give back.
        if shared.region.check_incarnation().is_err() {
            return;
        }
        shared.has_left.store(true, Ordering::Release);
        shared.local.end_life_thread();
        shared.count_deaths(1);
        if let Some(life) = lock(&self.life).take() {
            // The life thread does not panic, and an error here would have nobody to go to.
            let _ = life.join();
        }
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        self.leave();
    }
}

impl Shared {
    /// # Errors
    /// The handle is a copy made by fork, or this process has left.
    #[inline]
    pub(super) fn check(&self) -> Result<(), Error> {
        self.region.check_incarnation()?;
        if self.has_left.load(Ordering::Acquire) {
            return Err(Error::new(Reason::NotMember));
        }
        Ok(())
    }

    fn table(&self) -> Result<Table<'_>, Error> {
        Table::of(&self.region)
    }

    /// One more or less of the threads of this process that are agents and not asleep.
    pub(super) fn count_awake(&self, awake: bool) {
        if let (Ok(table), Some(me)) = (self.table(), self.me.get()) {
            table.count_awake(me.row(), awake);
        }
    }

    /// Whether the program has a processor for each of its agents that is awake.
    pub(super) fn has_processors_to_spare(&self) -> bool {
        self.table().is_ok_and(|table| table.awake() <= self.processors)
    }
}

/// Ends the process when a thread that must not end does: the others would wait for what it has to tell,
/// or hold this process for dead.
struct MustNotEnd;

impl Drop for MustNotEnd {
    fn drop(&mut self) {
        std::process::abort();
    }
}

impl fmt::Debug for Roster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Roster")
            .field("id", &self.id())
            .field("me", &self.me())
            .finish_non_exhaustive()
    }
}
