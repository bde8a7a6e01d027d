//! The life thread: it watches the processes of all other members, and wakes the sleepers of this one.
//!
//! A second thread, the herald, sleeps on the word that all members share and rings the bell of the first:
//! no system waits on processes and on a word at the same time, and every way to ring the bell of
//! another process is a name or a descriptor more to hand around and to lose. The word costs nothing, and
//! whoever dies beside it leaves nothing.
//!
//! Both are started once for a membership, and neither panics nor ends before the membership does.

use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use super::super::member::MOST;
use super::super::{Member, MustNotEnd, Shared};
use super::table::{Owner, State};
use super::{Who, slot};
use crate::error::{Error, Reason};
use crate::fault;
use crate::sync::{Arc, Ordering, lock};
use crate::sys::{self, Process};

/// How long until it looks again at processes that it has no handle for, or if the system cannot wait.
const MAKESHIFT: Duration = Duration::from_millis(10);

/// How long a sleeper has to hear that it was woken before it is woken again: it may have been between
/// its look and its sleep.
const AGAIN: Duration = Duration::from_micros(200);

/// After so long everything is looked at, so that a damaged word lets nobody sleep for ever.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

const STACK_BYTES: usize = 128 << 10;

/// Starts the life thread, and returns once it is a member and has looked at all others.
pub(in crate::memory::roster) fn start(
    shared: Arc<Shared>,
) -> Result<(Member, JoinHandle<()>), Error> {
    let (tell, told) = sync_channel(1);
    let thread = thread("sk-life", move || live(&shared, &tell))?;
    match told.recv() {
        Ok(Ok(me)) => Ok((me, thread)),
        Ok(Err(error)) => Err(error),
        Err(_) => Err(Error::new(Reason::NotMember)),
    }
}

fn thread(name: &str, work: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, Error> {
    Builder::new()
        .name(name.to_owned())
        .stack_size(STACK_BYTES)
        .spawn(work)
        .map_err(|error| Error::system("cannot start a thread that watches", 1, error))
}

fn live(shared: &Arc<Shared>, tell: &SyncSender<Result<Member, Error>>) {
    sys::block_signals();
    let mut watch = Watch::new(Arc::clone(shared));
    let (me, herald) = match watch.join() {
        Ok(joined) => joined,
        Err(error) => return drop(tell.send(Err(error))),
    };
    let must_not_end = MustNotEnd;
    // Whoever asked may be gone; the membership then ends with the handle that was not made.
    let _ = tell.send(Ok(me));
    watch.until_told_to_end();
    give_row_back(shared);
    let _ = herald.join();
    // All of them have reason to look, and nobody is there to tell them behind this.
    while shared.wake_who_has_reason() {
        std::thread::park_timeout(AGAIN);
    }
    std::mem::forget(must_not_end);
}

/// Sleeps on the word that moves when somebody joins or leaves, and rings when it does. `seen` was read
/// before the rows were looked at.
fn herald(shared: &Shared, mut seen: u32) {
    sys::block_signals();
    let must_not_end = MustNotEnd;
    while !shared.local.is_ending.load(Ordering::Acquire) {
        let Ok(table) = shared.table() else { break };
        if sys::wait_on(table.joined, seen, Instant::now() + LOOK_AGAIN).is_err() {
            // There is no telling why; it must go on all the same.
            std::thread::park_timeout(MAKESHIFT);
        }
        // (B4) with the count in `tell_all`: what was done before it is seen by whoever hears the bell.
        seen = table.joined.load(Ordering::Acquire);
        shared.local.bell.ring();
    }
    std::mem::forget(must_not_end);
}

/// Others notice it as a death.
fn give_row_back(shared: &Shared) {
    fault::point("leave.begin");
    shared.leave_row();
    fault::point("leave.given");
    shared.tell_all();
    fault::point("leave.told");
}

/// What the life thread knows.
struct Watch {
    shared: Arc<Shared>,
    /// What was last seen of each row: the generation above how much of it was there.
    known: Vec<u64>,
    rows: usize,
    /// The processes to wait for.
    processes: Vec<Arc<Process>>,
    /// Not all of them could be had.
    is_makeshift: bool,
}

impl Watch {
    fn new(shared: Arc<Shared>) -> Watch {
        let known = vec![0; MOST];
        Watch { shared, known, rows: 0, processes: Vec::new(), is_makeshift: false }
    }

    /// Becomes a member in the first row that is free, and looks at all others before and after: so of two
    /// that join at the same time one at least sees the other.
    fn join(&mut self) -> Result<(Member, JoinHandle<()>), Error> {
        let shared = Arc::clone(&self.shared);
        shared.identity()?;
        // (B4) before the rows are looked at, so that whoever joins behind this changes it.
        let joined = shared.table()?.joined.load(Ordering::Acquire);
        // Before there is a row: an error then leaves nothing.
        let herald = {
            let shared = Arc::clone(&shared);
            thread("sk-herald", move || herald(&shared, joined))?
        };
        match take_row(&shared) {
            Ok(me) => {
                let _ = shared.me.set(me);
                shared.tell_all();
                fault::point("join.told");
                self.look();
                Ok((me, herald))
            }
            Err(error) => {
                // It sleeps on a word that others share; if it was about to, the count tells it.
                shared.local.is_ending.store(true, Ordering::Release);
                shared.tell_all();
                let _ = herald.join();
                Err(error)
            }
        }
    }

    fn until_told_to_end(&mut self) {
        let shared = Arc::clone(&self.shared);
        while !shared.local.is_ending.load(Ordering::Acquire) {
            let deaths = self.look();
            if deaths > 0 {
                shared.count_deaths(deaths);
                if let Ok(table) = shared.table() {
                    table.recount();
                }
            }
            let limit = if shared.wake_who_has_reason() {
                Some(AGAIN)
            } else if self.is_makeshift {
                Some(MAKESHIFT)
            } else {
                None
            };
            let processes = self.processes.iter().map(|process| &**process);
            if sys::wait_for_any(&shared.local.bell, processes, limit).is_err() {
                // There is no telling why; it must go on all the same.
                std::thread::park_timeout(MAKESHIFT);
            }
        }
    }

    /// Looks at all rows, and says how many deaths it found that it did not know of.
    fn look(&mut self) -> u32 {
        let shared = Arc::clone(&self.shared);
        let Ok(table) = shared.table() else { return 0 };
        let me = shared.me.get().map(|me| me.row());
        // A damaged word does not end the watch over those who were seen before.
        self.rows = self.rows.max(table.rows());
        self.processes.clear();
        self.is_makeshift = false;
        let mut deaths = 0;
        for row in (0..self.rows).filter(|row| Some(*row) != me) {
            let Some((owner, Some(member))) = table.member(row) else { continue };
            let Some(before) = self.known.get(row).copied() else { break };
            let level = match owner.state() {
                // Nobody yet. What was before is gone, if it is not known already.
                State::Taking if level_of(before) == NOBODY => continue,
                State::Living if self.is_there(row, owner) => LIVING,
                State::Left if self.is_there(row, owner) => LEFT,
                _ => NOBODY,
            };
            if level == NOBODY {
                forget_process(&shared, row);
            }
            let now = u64::from(member.generation()) << LEVEL_BITS | level;
            deaths += u32::from(has_died(before, now));
            if let Some(known) = self.known.get_mut(row) {
                *known = now;
            }
        }
        deaths
    }

    /// Whether the row's process is there, which is waited for then. If it is not, the row says so from
    /// here on.
    fn is_there(&mut self, row: usize, owner: Owner) -> bool {
        match self.shared.who(row, owner) {
            Ok(Who::Here) => {}
            Ok(Who::There(process)) => self.processes.push(process),
            Ok(Who::Gone) => {
                if let Ok(table) = self.shared.table() {
                    table.mark_dead(row, owner);
                }
                return false;
            }
            // It is held for living until the system says more.
            Err(_) => self.is_makeshift = true,
        }
        true
    }
}

/// The handle of a process that has this row no more is closed.
fn forget_process(shared: &Shared, row: usize) {
    if let Some(handle) = lock(&shared.local.handles).get_mut(row) {
        *handle = None;
    }
}

/// Takes the first row that is free.
fn take_row(shared: &Shared) -> Result<Member, Error> {
    let table = shared.table()?;
    let here = shared.identity()?;
    for row in 0..MOST {
        let Some(mut seen) = table.owner(row) else { break };
        if matches!(seen.state(), State::Taking | State::Living | State::Left) {
            if !shared.is_gone(row, seen) {
                continue;
            }
            table.mark_dead(row, seen);
            seen = seen.with(State::Dead);
        }
        table.use_row(row);
        fault::point("join.row");
        if !table.change(row, seen, here.with(State::Taking)) {
            continue;
        }
        fault::point("join.taken");
        slot::free_all_of(&shared.region, row)?;
        fault::point("join.freed");
        let generation = table.next_generation(row);
        fault::point("join.generation");
        let member = generation.and_then(|generation| Member::new(row, generation));
        let member = member.ok_or_else(|| Error::new(Reason::NotMember))?;
        if !table.change(row, here.with(State::Taking), here.with(State::Living)) {
            // Nobody else changes the row of a process that is there.
            return Err(Error::damaged("the owner of a row for members", 0, 511));
        }
        fault::point("join.living");
        return Ok(member);
    }
    Err(Error::new(Reason::Full { what: "rows for members of the program", limit: 512 }))
}

/// How much there is of a row's member: nothing, its agents, all.
const LEVEL_BITS: u32 = 2;
const NOBODY: u64 = 0;
const LEFT: u64 = 1;
const LIVING: u64 = 2;

fn level_of(known: u64) -> u64 {
    known & ((1 << LEVEL_BITS) - 1)
}

/// Whether somebody died between two looks at a row, or left, or the last agent ended of one that had left.
fn has_died(before: u64, now: u64) -> bool {
    let (was, is) = (level_of(before), level_of(now));
    match (now >> LEVEL_BITS).wrapping_sub(before >> LEVEL_BITS) {
        0 => is < was,
        // The next one, where nobody was: it lives, or has come and gone.
        1 if was == NOBODY => is != LIVING,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_death_is_seen_however_much_was_missed() {
        let state = |generation: u64, level: u64| generation << LEVEL_BITS | level;
        let none = state(0, NOBODY);
        assert!(!has_died(none, none));
        assert!(!has_died(none, state(1, LIVING)));
        assert!(has_died(none, state(1, NOBODY)));
        assert!(has_died(none, state(1, LEFT)));
        assert!(has_died(none, state(2, LIVING)));
        assert!(!has_died(state(1, LIVING), state(1, LIVING)));
        assert!(has_died(state(1, LIVING), state(1, LEFT)));
        assert!(has_died(state(1, LEFT), state(1, NOBODY)));
        assert!(has_died(state(1, LIVING), state(2, LIVING)));
        assert!(!has_died(state(1, NOBODY), state(2, LIVING)));
        assert!(has_died(state(1, NOBODY), state(2, NOBODY)));
    }
}
