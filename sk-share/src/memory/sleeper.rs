//! Threads that sleep for others: for async tasks, which must not block the thread that polls them.
//!
//! One such thread sleeps for as many as the kernel lets it wait for (126 words); beyond that there are more.
//! The first one also stands for the process as a whole: it is the agent that holds what belongs to no
//! thread, and it lives as long as the membership.
//!
//! Who owns what: a [`Rest`] belongs to the task that registered it. Its entry is in the list of the thread until
//! the thread has woken the task, or the rest is dropped; whoever takes it out under the lock of the list
//! says what becomes of a wake-up that was meant for it:
//!
//! | taken out by | a wake-up of the word is |
//! |---|---|
//! | the thread, which wakes the task; the task looks again | used |
//! | the thread, and the rest is dropped before the task looks | passed on, by the drop |
//! | the drop, while the thread sleeps on the word | passed on, by the thread when it wakes |

use std::task::Waker;
use std::thread::Builder;
use std::time::{Duration, Instant};

use super::roster::{Agent, Shared, of_this_thread};
use super::{Region, wake};
use crate::error::{Error, Reason};
use crate::ground::Sleep;
use crate::sync::{Arc, AtomicU32, Mutex, OnceLock, Ordering, lock};
use crate::sys::{self, Scope, Slept, WaitOn};

/// The kernel waits on so many words; two are ours.
const WORDS: usize = 128;
const OURS: usize = 2;

/// After so long every task looks again, so that a damaged word lets nobody sleep for ever.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

const STACK_BYTES: usize = 128 << 10;

/// The threads of one membership.
#[derive(Default)]
pub(super) struct Sleepers {
    threads: Mutex<Vec<Arc<Sleeper>>>,
    of_process: OnceLock<Agent>,
}

/// What a thread and those who register with it have in common.
#[derive(Default)]
struct Sleeper {
    /// Counts changes of the list; a futex of this process.
    changes: AtomicU32,
    list: Mutex<List>,
}

#[derive(Default)]
struct List {
    entries: Vec<Entry>,
    /// What was taken out by a drop since the thread went to sleep.
    dropped: Vec<Dropped>,
    next: u64,
    /// The thread serves nobody any more.
    is_over: bool,
}

impl List {
    fn slept_on(&self) -> Vec<SleptOn> {
        let slept_on = |entry: &Entry| SleptOn {
            number: entry.number,
            region: entry.region.clone(),
            sleep: entry.sleep,
        };
        self.entries.iter().map(slept_on).collect()
    }
}

/// A word that was slept on for somebody who does not want to know any more.
struct Dropped {
    region: Region,
    at: u64,
}

impl Dropped {
    fn pass_on(&self) {
        if let Ok(word) = self.region.word32(self.at) {
            wake(word, 1);
        }
    }
}

struct Entry {
    number: u64,
    region: Region,
    sleep: Sleep,
    waker: Waker,
}

impl Entry {
    fn words(&self) -> usize {
        if self.sleep.owner.is_some() { 3 } else { 1 }
    }
}

/// A sleep that somebody sleeps for a task.
pub(crate) struct Rest {
    sleeper: Arc<Sleeper>,
    region: Region,
    sleep: Sleep,
    number: u64,
    has_looked: bool,
}

impl Rest {
    /// The task looks again now, so that a wake-up that came is used.
    pub(crate) fn over(mut self) {
        self.has_looked = true;
    }
}

impl Drop for Rest {
    fn drop(&mut self) {
        let dropped = Dropped { region: self.region.clone(), at: self.sleep.at };
        let mut list = lock(&self.sleeper.list);
        let place = list.entries.iter().position(|entry| entry.number == self.number);
        let Some(place) = place else {
            drop(list);
            if !self.has_looked {
                dropped.pass_on();
            }
            return;
        };
        let entry = list.entries.swap_remove(place);
        list.dropped.push(dropped);
        drop(list);
        self.sleeper.count_change();
        // Its waker may do anything.
        drop(entry);
    }
}

impl Sleeper {
    fn count_change(&self) {
        self.changes.fetch_add(1, Ordering::Release);
        sys::wake(&self.changes, 1, Scope::Private);
    }

    /// Takes the sleep if there is room.
    fn register(
        self: &Arc<Sleeper>,
        region: &Region,
        sleep: &Sleep,
        waker: &Waker,
    ) -> Option<Rest> {
        let mut list = lock(&self.list);
        let number = list.next;
        let entry = Entry { number, region: region.clone(), sleep: *sleep, waker: waker.clone() };
        let words: usize = list.entries.iter().map(Entry::words).sum();
        if list.is_over || words + entry.words() > WORDS - OURS {
            return None;
        }
        list.next += 1;
        list.entries.push(entry);
        drop(list);
        self.count_change();
        let sleeper = Arc::clone(self);
        Some(Rest { sleeper, region: region.clone(), sleep: *sleep, number, has_looked: false })
    }
}

/// Has somebody sleep in the place of the task of `waker`, which is woken as a sleeper would be.
pub(super) fn rest(
    shared: &Arc<Shared>,
    region: &Region,
    sleep: &Sleep,
    waker: &Waker,
) -> Result<Rest, Error> {
    loop {
        shared.check()?;
        let mut threads = lock(&shared.sleepers.threads);
        if let Some(rest) =
            threads.iter().find_map(|sleeper| sleeper.register(region, sleep, waker))
        {
            return Ok(rest);
        }
        threads.retain(|sleeper| !lock(&sleeper.list).is_over);
        threads.push(start(shared)?);
    }
}

/// The agent that stands for this process.
pub(super) fn agent_of_process(shared: &Arc<Shared>) -> Result<Agent, Error> {
    shared.check()?;
    if let Some(agent) = shared.sleepers.of_process.get() {
        return Ok(*agent);
    }
    let mut threads = lock(&shared.sleepers.threads);
    if threads.is_empty() {
        threads.push(start(shared)?);
    }
    shared.sleepers.of_process.get().copied().ok_or_else(|| Error::new(Reason::NotMember))
}

/// Starts a thread and waits until it is an agent.
fn start(shared: &Arc<Shared>) -> Result<Arc<Sleeper>, Error> {
    let sleeper = Arc::<Sleeper>::default();
    let (tell, told) = std::sync::mpsc::sync_channel(1);
    let (its_shared, its_sleeper) = (Arc::clone(shared), Arc::clone(&sleeper));
    Builder::new()
        .name("sk-sleeper".to_owned())
        .stack_size(STACK_BYTES)
        .spawn(move || {
            sys::block_signals();
            let agent = of_this_thread(&its_shared);
            if let Ok(agent) = agent {
                let _ = its_shared.sleepers.of_process.set(agent);
            }
            let begins = agent.is_ok() && tell.send(agent.map(|_| ())).is_ok();
            if begins {
                sleep_for_others(&its_shared, &its_sleeper);
            }
        })
        .map_err(|error| Error::system("cannot start a thread that sleeps for tasks", 1, error))?;
    match told.recv() {
        Ok(answer) => answer.map(|()| sleeper),
        Err(_) => Err(Error::new(Reason::NotMember)),
    }
}

/// What the thread sleeps on for one task.
struct SleptOn {
    number: u64,
    region: Region,
    sleep: Sleep,
}

fn sleep_for_others(shared: &Arc<Shared>, sleeper: &Sleeper) {
    loop {
        let changes = sleeper.changes.load(Ordering::Acquire);
        if shared.check().is_err() {
            lock(&sleeper.list).is_over = true;
            wake_where(sleeper, |_| true);
            return;
        }
        let deaths = shared.deaths.load(Ordering::Acquire);
        wake_where(sleeper, |entry| is_over(shared, deaths, &entry.region, &entry.sleep));
        let (slept_on, dropped) = {
            let mut list = lock(&sleeper.list);
            (list.slept_on(), std::mem::take(&mut list.dropped))
        };
        // They may have been dropped since the last sleep, which may have taken what was meant for them.
        dropped.iter().for_each(Dropped::pass_on);
        let ours = [
            WaitOn::new(&sleeper.changes, changes, Scope::Private),
            WaitOn::new(&shared.deaths, deaths, Scope::Private),
        ];
        // If a word cannot be had, or an owner died since the look, the next look says so.
        let Some((words, of_place)) = words_of(shared, ours, &slept_on) else { continue };
        let until = sys::monotonic(Instant::now() + LOOK_AGAIN);
        match sys::wait_any::<WORDS>(&words, until) {
            Ok(Slept::Woken(place)) => {
                let woken = of_place.get(place).copied().flatten();
                wake_where(sleeper, |entry| Some(entry.number) == woken);
            }
            Ok(Slept::Changed | Slept::Interrupted) => {}
            // Also if the kernel refuses: each task then hears of it at its own next look.
            Ok(Slept::TimedOut) | Err(_) => wake_where(sleeper, |_| true),
        }
        // A wake-up that this sleep took may have been meant for them.
        let dropped = std::mem::take(&mut lock(&sleeper.list).dropped);
        dropped.iter().for_each(Dropped::pass_on);
    }
}

/// The words to wait on, and the number of the entry whose own word stands at each place.
fn words_of<'w>(
    shared: &'w Shared,
    ours: [WaitOn<'w>; OURS],
    slept_on: &'w [SleptOn],
) -> Option<(Vec<WaitOn<'w>>, Vec<Option<u64>>)> {
    let mut words = ours.to_vec();
    let mut of_place = vec![None; OURS];
    for SleptOn { number, region, sleep } in slept_on {
        if let Some(owner) = sleep.owner.and_then(Agent::of_ref) {
            for (word, value) in shared.words_of(owner).ok()?? {
                words.push(WaitOn::new(word, value, Scope::Shared));
                of_place.push(None);
            }
        }
        words.push(WaitOn::new(region.word32(sleep.at).ok()?, sleep.expected, Scope::Shared));
        of_place.push(Some(*number));
    }
    Some((words, of_place))
}

/// Whether there is no reason to sleep any more.
fn is_over(shared: &Shared, deaths: u32, region: &Region, sleep: &Sleep) -> bool {
    // Meets the release of whoever changed the word.
    let word = region.word32(sleep.at).map(|word| word.load(Ordering::Acquire));
    if word.ok() != Some(sleep.expected) || sleep.deaths != deaths {
        return true;
    }
    let Some(owner) = sleep.owner.and_then(Agent::of_ref) else { return false };
    if matches!(shared.words_of(owner), Ok(Some(_))) {
        return false;
    }
    // The kernel woke one of those who wait for it, and this may be the one.
    shared.pass_on(owner);
    true
}

/// Takes out the entries that it is time for and wakes their tasks, with the list unlocked.
fn wake_where(sleeper: &Sleeper, is_time: impl Fn(&Entry) -> bool) {
    let woken: Vec<Entry> =
        lock(&sleeper.list).entries.extract_if(.., |entry| is_time(entry)).collect();
    for entry in woken {
        entry.waker.wake();
    }
}
