//! The roster without robust futexes: each process watches the processes of all others, and wakes its own
//! sleepers. Section 12 of PROTOCOL.md.

pub(super) mod life;
pub(super) mod slot;
pub(super) mod table;

use std::time::Instant;

use super::member::MOST;
use super::{Agent, Deaths, Member, Shared};
use crate::error::{Error, Reason};
use crate::memory::Wait;
use crate::memory::wait::Night;
use crate::sync::{Arc, AtomicBool, Mutex, OnceLock, Ordering, lock};
use crate::sys::{self, Bell, Process, Scope, Sleepers, Slept};

use slot::Slot;
use table::{Owner, State};

/// What only this process has.
pub(super) struct Local {
    /// What this process writes into its row.
    identity: OnceLock<Owner>,
    /// The life thread is to leave.
    is_ending: AtomicBool,
    /// Wakes the life thread.
    bell: Bell,
    sleepers: Sleepers<Sleeper>,
    /// The processes of the rows, as far as somebody asked after them.
    handles: Mutex<Vec<Option<Handle>>>,
    agents: Mutex<Agents>,
}

/// What a sleeping thread waits for, beside its word.
struct Sleeper {
    deaths: Deaths,
    owner: Option<Agent>,
    /// Of one that sleeps for a task: whether that still wants it.
    is_wanted: Option<IsWanted>,
}

type IsWanted = Box<dyn Fn() -> bool + Send>;

struct Handle {
    of: Owner,
    process: Arc<Process>,
}

/// The agents of this process. The last one gives the row back that was left before.
#[derive(Default)]
struct Agents {
    count: usize,
    has_left: bool,
}

/// What the owner of a row is to this process.
enum Who {
    /// This process itself.
    Here,
    There(Arc<Process>),
    Gone,
}

impl Local {
    pub(super) fn new() -> Result<Local, Error> {
        let bell = Bell::new()
            .map_err(|error| Error::system("cannot make a pipe for the life thread", 2, error))?;
        Ok(Local {
            identity: OnceLock::new(),
            is_ending: AtomicBool::new(false),
            bell,
            sleepers: Sleepers::new(),
            handles: Mutex::new((0..MOST).map(|_| None).collect()),
            agents: Mutex::default(),
        })
    }

    pub(super) fn end_life_thread(&self) {
        self.is_ending.store(true, Ordering::Release);
        self.bell.ring();
    }
}

impl Shared {
    /// Has everybody who sleeps in this process look again. The life thread repeats it for those who were
    /// between their look and their sleep.
    pub(in crate::memory) fn count_deaths(&self, count: u32) {
        // (B3) with the loads in `Roster::deaths` and `sleep`.
        self.deaths.fetch_add(count, Ordering::Release);
        self.wake_who_has_reason();
    }

    /// Wakes the sleepers that have a reason to look, and says whether there was one.
    fn wake_who_has_reason(&self) -> bool {
        self.local.sleepers.wake(|sleeper| {
            self.has_left.load(Ordering::Acquire)
                || sleeper.deaths.0 != self.deaths.load(Ordering::Acquire)
                || sleeper.owner.is_some_and(|owner| !self.is_living(owner).unwrap_or(false))
                || sleeper.is_wanted.as_ref().is_some_and(|is_wanted| !is_wanted())
        })
    }

    /// The member that lives in this row; the system is asked.
    pub(super) fn living(&self, row: usize) -> Option<Member> {
        let table = self.table().ok()?;
        let (owner, member) = table.member(row)?;
        if owner.state() != State::Living {
            return None;
        }
        if self.is_gone(row, owner) {
            table.mark_dead(row, owner);
            return None;
        }
        member
    }

    /// As far as anybody has noticed.
    ///
    /// # Errors
    /// There can be no such agent.
    pub(in crate::memory) fn is_living(&self, agent: Agent) -> Result<bool, Error> {
        let slot = Slot::of(&self.region, agent)?;
        Ok(slot.living_word(&self.table()?, agent).is_some())
    }

    /// Nothing: each process wakes all of its own sleepers.
    #[expect(clippy::unused_self, reason = "the other backend needs it")]
    pub(in crate::memory) fn pass_on(&self, _: Agent) {}

    /// Sleeps on the word. The life thread wakes it when a member dies or the owner does.
    pub(in crate::memory) fn sleep(&self, wait: &Wait<'_>, until: Instant) -> Result<Night, Error> {
        let what = Sleeper { deaths: wait.deaths, owner: wait.owner, is_wanted: None };
        self.local.sleepers.during(wait.word, what, || self.sleep_as_sleeper(wait, until))
    }

    /// As [`sleep`](Self::sleep), for a task, as long as that wants it; see
    /// [`look_after_sleepers`](Self::look_after_sleepers).
    pub(in crate::memory) fn sleep_for(
        &self,
        wait: &Wait<'_>,
        until: Instant,
        is_wanted: &(impl Fn() -> bool + Clone + Send + 'static),
    ) -> Result<Night, Error> {
        let of_task: IsWanted = Box::new(is_wanted.clone());
        let what = Sleeper { deaths: wait.deaths, owner: wait.owner, is_wanted: Some(of_task) };
        self.local.sleepers.during(wait.word, what, || {
            if is_wanted() { self.sleep_as_sleeper(wait, until) } else { Ok(Night::Over) }
        })
    }

    /// A sleeper of this process may have a reason that it had not before.
    pub(in crate::memory) fn look_after_sleepers(&self) {
        self.local.bell.ring();
    }

    pub(in crate::memory) fn count_of_deaths(&self) -> u32 {
        self.deaths.load(Ordering::Acquire)
    }

    fn sleep_as_sleeper(&self, wait: &Wait<'_>, until: Instant) -> Result<Night, Error> {
        // In the list first, then a look: what happened before is seen here, what happens behind it is told
        // to this thread until it is out of the list.
        self.check()?;
        if self.has_reason(wait)? {
            return Ok(Night::Over);
        }
        let slept = sys::wait_on(wait.word, wait.expected, until)
            .map_err(|error| Error::system("the system refused to wait", 0, error))?;
        match slept {
            // It may have been our own life thread, for a reason that the next look tells; or that of another
            // process, for a sleeper of its own on the same word.
            Slept::Woken if self.has_reason(wait)? => Ok(Night::Over),
            Slept::Woken => Ok(Night::Woken),
            Slept::Changed | Slept::Interrupted => Ok(Night::Over),
            Slept::TimedOut => Ok(Night::TimedOut),
        }
    }

    /// Whether somebody died, or this process has left: all for which its own threads wake it. If not, the
    /// owner will say so when it is given back.
    pub(in crate::memory) fn has_reason(&self, wait: &Wait<'_>) -> Result<bool, Error> {
        // (B3) with the count of deaths.
        if self.has_left.load(Ordering::Acquire)
            || self.deaths.load(Ordering::Acquire) != wait.deaths.0
        {
            return Ok(true);
        }
        let Some(owner) = wait.owner else { return Ok(false) };
        Ok(!Slot::of(&self.region, owner)?.ask_to_be_told(&self.table()?, owner))
    }

    /// This process, as it writes itself into a row.
    fn identity(&self) -> Result<Owner, Error> {
        if let Some(identity) = self.local.identity.get() {
            return Ok(*identity);
        }
        let pid = sys::process_id();
        let unknown = |error| {
            let what = "cannot tell when this process was born (is /proc there?)";
            Error::system(what, u64::from(pid), error)
        };
        let birth = sys::birth_of(pid)
            .and_then(|birth| birth.ok_or_else(|| std::io::ErrorKind::NotFound.into()))
            .map_err(unknown)?;
        Ok(*self.local.identity.get_or_init(|| Owner::new(State::Taking, pid, birth)))
    }

    /// Who has this row.
    ///
    /// # Errors
    /// The system does not say, for lack of descriptors for instance.
    fn who(&self, row: usize, owner: Owner) -> Result<Who, Error> {
        if self.local.identity.get().is_some_and(|here| here.is_same_process(owner)) {
            return Ok(Who::Here);
        }
        let mut handles = lock(&self.local.handles);
        let Some(handle) = handles.get_mut(row) else { return Ok(Who::Gone) };
        let process = match handle {
            Some(handle) if handle.of.is_same_process(owner) => Arc::clone(&handle.process),
            _ => {
                let found = Process::find(owner.pid(), owner.birth()).map_err(|error| {
                    let pid = u64::from(owner.pid());
                    Error::system("cannot watch the process of a member", pid, error)
                })?;
                let Some(process) = found.map(Arc::new) else { return Ok(Who::Gone) };
                *handle = Some(Handle { of: owner, process: Arc::clone(&process) });
                return Ok(Who::There(process));
            }
        };
        Ok(if process.is_gone() { Who::Gone } else { Who::There(process) })
    }

    /// Whether the process that has this row is known to be gone.
    fn is_gone(&self, row: usize, owner: Owner) -> bool {
        matches!(self.who(row, owner), Ok(Who::Gone))
    }

    /// Has the life threads of all processes look at the rows, and at the owners that their sleepers wait for.
    fn tell_all(&self) {
        let Ok(table) = self.table() else { return };
        // (B4) with the load in `life.rs`: who sees the count sees what was done before it.
        table.joined.fetch_add(1, Ordering::Release);
        sys::wake(table.joined, u32::MAX, Scope::Shared);
    }

    /// One more agent of this process.
    fn count_agent(&self) -> Result<(), Error> {
        let mut agents = lock(&self.local.agents);
        if agents.has_left {
            return Err(Error::new(Reason::NotMember));
        }
        agents.count += 1;
        Ok(())
    }

    /// One less; the last one gives the row back if the process has left.
    fn discount_agent(&self) {
        let mut agents = lock(&self.local.agents);
        agents.count = agents.count.saturating_sub(1);
        if agents.has_left && agents.count == 0 {
            self.change_row(State::Left, State::Nobody);
        }
    }

    /// Gives the row back, or leaves it to the last agent.
    fn leave_row(&self) {
        let mut agents = lock(&self.local.agents);
        agents.has_left = true;
        let next = if agents.count == 0 { State::Nobody } else { State::Left };
        self.change_row(State::Living, next);
    }

    fn change_row(&self, from: State, to: State) {
        let (Ok(table), Some(me), Some(here)) =
            (self.table(), self.me.get(), self.local.identity.get())
        else {
            return;
        };
        table.change(me.row(), here.with(from), here.with(to));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::memory::Roster;
    use crate::sync::AtomicU32;

    /// ```text
    /// sleeper:  in the list, looks                                 sleeps
    /// watcher:                       counts a death, wakes: nobody         wakes again
    /// ```
    #[test]
    fn a_sleeper_that_was_not_asleep_yet_is_woken_again() {
        let roster = Roster::create().unwrap();
        let shared = roster.shared();
        let word = AtomicU32::new(0);
        let what = Sleeper { deaths: roster.deaths(), owner: None, is_wanted: None };
        let slept = shared.local.sleepers.during(&word, what, || {
            shared.count_deaths(1);
            shared.local.bell.ring();
            // So long that the life thread has done what the bell told it to.
            std::thread::park_timeout(Duration::from_millis(50));
            // Less than it takes until everybody looks again anyway.
            sys::wait_on(&word, 0, Instant::now() + Duration::from_secs(2))
        });
        assert_eq!(slept.unwrap(), Slept::Woken);
    }

    /// It came into the list when whoever counted had looked there already.
    #[test]
    fn a_sleeper_looks_once_more_when_it_is_in_the_list() {
        let roster = Roster::create().unwrap();
        let word = AtomicU32::new(0);
        let deaths = roster.deaths();
        roster.shared().count_deaths(1);
        let wait = Wait { word: &word, expected: 0, deaths, owner: None, deadline: None };
        let slept = roster.shared().sleep(&wait, Instant::now() + Duration::from_secs(2));
        assert!(matches!(slept, Ok(Night::Over)));
    }
}
