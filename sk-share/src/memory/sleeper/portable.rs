//! Threads that sleep for others: for async tasks, which must not block the thread that polls them.
//!
//! There is a wait on one word only, so there is one thread for each task that sleeps, until it is woken or its
//! [`Rest`] is dropped. Whoever takes the entry out, the thread or the drop, says what becomes of a wake-up that was
//! meant for it: the thread wakes the task, which looks again; after a drop the thread passes it on.
//!
//! The process as a whole is an agent too, for what belongs to no thread: a thread of its own, which lives as
//! long as the membership.

use std::task::Waker;
use std::thread::Builder;
use std::time::{Duration, Instant};

use super::roster::{Agent, Deaths, Shared, of_this_thread};
use super::wait::Night;
use super::{Region, Wait, wake};
use crate::error::{Error, Reason};
use crate::ground::Sleep;
use crate::sync::{Arc, AtomicU32, Mutex, OnceLock, Ordering, lock};
use crate::sys;

/// After so long every task looks again, so that a damaged word lets nobody sleep for ever.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

const STACK_BYTES: usize = 128 << 10;

/// What stands for the process.
#[derive(Default)]
pub(super) struct Sleepers {
    starting: Mutex<()>,
    of_process: OnceLock<Agent>,
}

/// What a thread has in common with the rest that it sleeps for.
struct Entry {
    /// Taken by whoever ends it.
    waker: Mutex<Option<Waker>>,
}

/// A sleep that somebody sleeps for a task.
pub(crate) struct Rest {
    shared: Arc<Shared>,
    entry: Arc<Entry>,
    region: Region,
    at: u64,
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
        let waker = lock(&self.entry.waker).take();
        if waker.is_some() {
            // The thread still sleeps, or is about to: as a sleeper without a task it has reason to wake.
            self.shared.look_after_sleepers();
        } else if !self.has_looked
            && let Ok(word) = self.region.word32(self.at)
        {
            wake(word, 1);
        }
    }
}

/// Has somebody sleep in the place of the task of `waker`, which is woken as a sleeper would be.
pub(super) fn rest(
    shared: &Arc<Shared>,
    region: &Region,
    sleep: &Sleep,
    waker: &Waker,
) -> Result<Rest, Error> {
    shared.check()?;
    let entry = Arc::new(Entry { waker: Mutex::new(Some(waker.clone())) });
    let (its_shared, its_entry) = (Arc::clone(shared), Arc::clone(&entry));
    let (its_region, its_sleep) = (region.clone(), *sleep);
    thread(move || sleep_for(&its_shared, &its_region, &its_sleep, &its_entry))?;
    let shared = Arc::clone(shared);
    Ok(Rest { shared, entry, region: region.clone(), at: sleep.at, has_looked: false })
}

fn thread(work: impl FnOnce() + Send + 'static) -> Result<(), Error> {
    Builder::new()
        .name("sk-sleeper".to_owned())
        .stack_size(STACK_BYTES)
        .spawn(move || {
            sys::block_signals();
            work();
        })
        .map(drop)
        .map_err(|error| Error::system("cannot start a thread that sleeps for tasks", 1, error))
}

fn sleep_for(shared: &Arc<Shared>, region: &Region, sleep: &Sleep, entry: &Arc<Entry>) {
    let until = Instant::now() + LOOK_AGAIN;
    let is_wanted = {
        let entry = Arc::clone(entry);
        move || lock(&entry.waker).is_some()
    };
    let Ok(word) = region.word32(sleep.at) else { return wake_task(entry, region, sleep) };
    let wait = Wait {
        word,
        expected: sleep.expected,
        deaths: Deaths::from_count(sleep.deaths),
        owner: sleep.owner.and_then(Agent::of_ref),
        deadline: None,
    };
    // Interrupted or woken for no reason it only looks, as a thread would that waits for itself.
    while let Ok(Night::Over) = shared.sleep_for(&wait, until, &is_wanted) {
        let is_due = word.load(Ordering::Acquire) != sleep.expected
            || shared.has_reason(&wait).unwrap_or(true)
            || shared.check().is_err();
        if is_due || !is_wanted() {
            break;
        }
    }
    wake_task(entry, region, sleep);
}

/// The task looks again. If it does not want to know any more, a wake-up that this sleep took was for another.
fn wake_task(entry: &Entry, region: &Region, sleep: &Sleep) {
    let waker = lock(&entry.waker).take();
    match waker {
        Some(waker) => waker.wake(),
        None => {
            if let Ok(word) = region.word32(sleep.at) {
                wake(word, 1);
            }
        }
    }
}

/// The agent that stands for this process.
pub(super) fn agent_of_process(shared: &Arc<Shared>) -> Result<Agent, Error> {
    shared.check()?;
    let _one = lock(&shared.sleepers.starting);
    if let Some(agent) = shared.sleepers.of_process.get() {
        return Ok(*agent);
    }
    let (tell, told) = std::sync::mpsc::sync_channel(1);
    let its_shared = Arc::clone(shared);
    thread(move || {
        let agent = of_this_thread(&its_shared);
        let begins = agent.is_ok();
        if tell.send(agent).is_ok() && begins {
            until_left(&its_shared);
        }
    })?;
    let agent = told.recv().map_err(|_| Error::new(Reason::NotMember))??;
    Ok(*shared.sleepers.of_process.get_or_init(|| agent))
}

/// Sleeps until the membership has ended.
fn until_left(shared: &Shared) {
    let never = AtomicU32::new(0);
    while shared.check().is_ok() {
        let deaths = Deaths::from_count(shared.count_of_deaths());
        let wait = Wait { word: &never, expected: 0, deaths, owner: None, deadline: None };
        if shared.sleep(&wait, Instant::now() + LOOK_AGAIN).is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Sender, channel};
    use std::task::Wake;

    use super::*;
    use crate::memory::{Kind, Roster, wake_one};

    /// A task that tells when it is woken.
    struct Task(Mutex<Sender<()>>);

    impl Wake for Task {
        fn wake(self: Arc<Self>) {
            let _ = lock(&self.0).send(());
        }
    }

    #[test]
    fn a_task_is_woken_by_its_word_and_by_a_death_and_not_after_it_is_dropped() {
        let roster = Roster::create().unwrap();
        let shared = roster.shared();
        let region = Region::create(Kind::new(9), 4096, None).unwrap();
        let word = region.word32(256).unwrap();
        let (tell, told) = channel();
        let waker = Waker::from(Arc::new(Task(Mutex::new(tell))));
        let sleep =
            |expected| Sleep { at: 256, expected, deaths: roster.deaths().count(), owner: None };

        let of_word = rest(shared, &region, &sleep(0), &waker).unwrap();
        word.store(1, Ordering::Release);
        wake_one(word);
        told.recv().unwrap();
        of_word.over();

        let of_death = rest(shared, &region, &sleep(1), &waker).unwrap();
        shared.count_deaths(1);
        shared.look_after_sleepers();
        told.recv().unwrap();
        of_death.over();

        let dropped = rest(shared, &region, &sleep(1), &waker).unwrap();
        let entry = Arc::downgrade(&dropped.entry);
        drop(dropped);
        while entry.strong_count() > 0 {
            std::thread::yield_now();
        }
        assert!(told.try_recv().is_err());
        // An agent that is no thread of the caller's, for as long as this process is a member.
        let agent = agent_of_process(shared).unwrap();
        assert_ne!(agent, roster.agent().unwrap());
        assert!(!roster.is_dead(agent).unwrap());
        assert_eq!(agent_of_process(shared).unwrap(), agent);
    }
}
