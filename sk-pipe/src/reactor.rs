//! One thread of this process waits for the sockets of all pipes at which tasks wait, however many.
//!
//! It is started by the first task that has to wait. Whoever rings the bell of an end makes its socket readable; the
//! thread wakes the tasks of that end, which look. It also hears of every death, and once in five seconds it looks at
//! all ends by itself, however much it has to do, so that no damaged word lets a task sleep for ever.

use std::collections::HashMap;
use std::task::{Wake, Waker};
use std::thread::Builder;
use std::time::{Duration, Instant};

use polling::{Event, Events, Poller};
use sk_share::memory::{DeathWatch, Roster};

use crate::end::End;
use crate::error::Error;
use crate::sync::{Arc, AtomicBool, Mutex, Ordering, Weak, lock};
use crate::sys;

const LOOK_AGAIN: Duration = Duration::from_secs(5);
const STACK_BYTES: usize = 128 << 10;

/// The one of this process; a copy made by fork gets one of its own.
static REACTOR: Mutex<Option<Arc<Reactor>>> = Mutex::new(None);

struct Reactor {
    process: u32,
    poller: Poller,
    ends: Mutex<HashMap<usize, Registered>>,
    /// The watch for deaths has told of one, or gave up after its time.
    is_told: AtomicBool,
}

struct Registered {
    end: Weak<End>,
}

/// Has the tasks that wait at this end woken from here on, until it is dropped.
pub(crate) fn register(end: &Arc<End>) -> Result<(), Error> {
    let reactor = Reactor::of_process(end)?;
    let key = key_of(end);
    let mut ends = lock(&reactor.ends);
    if ends.get(&key).is_some_and(|there| there.end.upgrade().is_some()) {
        return Ok(());
    }
    let added = sys::watch(&reactor.poller, end.link.socket(), Event::readable(key));
    added.map_err(|error| Error::system("cannot wait for the socket of a pipe", 1, error))?;
    ends.insert(key, Registered { end: Arc::downgrade(end) });
    Ok(())
}

/// The end is about to be dropped.
pub(crate) fn forget(end: &End) {
    // In a copy made by fork somebody may have held the lock who is not there.
    if end.check_copied().is_err() {
        return;
    }
    let Some(reactor) = lock(&REACTOR).clone() else { return };
    if reactor.process == std::process::id()
        && lock(&reactor.ends).remove(&(std::ptr::from_ref(end) as usize)).is_some()
    {
        // It leaves the poller with its last descriptor at the latest.
        let _ = reactor.poller.delete(end.link.socket());
    }
}

fn key_of(end: &Arc<End>) -> usize {
    Arc::as_ptr(end) as usize
}

impl Reactor {
    fn of_process(end: &End) -> Result<Arc<Reactor>, Error> {
        let mut here = lock(&REACTOR);
        let process = std::process::id();
        if let Some(reactor) = here.as_ref().filter(|reactor| reactor.process == process) {
            return Ok(Arc::clone(reactor));
        }
        let poller = Poller::new()
            .map_err(|error| Error::system("cannot wait for sockets of pipes", 1, error))?;
        let reactor = Arc::new(Reactor {
            process,
            poller,
            ends: Mutex::default(),
            is_told: AtomicBool::new(false),
        });
        let (its, roster) = (Arc::clone(&reactor), end.commons.roster().clone());
        Builder::new()
            .name("sk-pipe".to_owned())
            .stack_size(STACK_BYTES)
            .spawn(move || its.run(&roster))
            .map_err(|error| Error::system("cannot start a thread for tasks", 1, error))?;
        Ok(Arc::clone(here.insert(reactor)))
    }

    fn run(self: &Arc<Self>, roster: &Roster) {
        let mut events = Events::new();
        let death = Waker::from(Arc::new(OnDeath(Arc::clone(self))));
        let mut seen = None;
        let mut watch = None;
        let mut looked = Instant::now();
        loop {
            let deaths = roster.deaths();
            let is_death = seen.replace(deaths) != Some(deaths);
            let is_due = looked.elapsed() >= LOOK_AGAIN;
            // Acquire: it is told once, and after that another watch is needed.
            let is_told = self.is_told.swap(false, Ordering::Acquire);
            if is_death || is_told || is_due {
                // Without a watch the look of every five seconds has to do.
                drop::<Option<DeathWatch>>(watch.take());
                watch = roster.on_death(deaths, &death).ok();
            }
            if is_due {
                looked = Instant::now();
                self.all(End::look_for_tasks);
            }
            if is_death {
                self.all(End::wake_tasks);
            }
            events.clear();
            let left = LOOK_AGAIN.saturating_sub(looked.elapsed());
            if self.poller.wait(&mut events, Some(left)).is_err() {
                // It tells nothing any more: then the time alone tells.
                std::thread::park_timeout(left);
            }
            for event in events.iter() {
                let end = lock(&self.ends).get(&event.key).and_then(|there| there.end.upgrade());
                if let Some(end) = end {
                    sys::watch_on(&self.poller, end.link.socket(), Event::readable(event.key));
                    end.wake_tasks();
                }
            }
        }
    }

    fn all(&self, work: impl Fn(&End)) {
        let ends: Vec<_> =
            lock(&self.ends).values().filter_map(|there| there.end.upgrade()).collect();
        ends.iter().for_each(|end| work(end));
    }
}

/// Wakes the thread.
struct OnDeath(Arc<Reactor>);

impl Wake for OnDeath {
    fn wake(self: Arc<Self>) {
        // Release: with the swap of the thread. If it cannot be woken now, it looks in five seconds.
        self.0.is_told.store(true, Ordering::Release);
        let _ = self.0.poller.notify();
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use std::task::Context;

    use super::*;
    use crate::end::tests::{Woken, ends};
    use crate::ring::Side;
    use crate::{Receiver, Sender};

    const WATCHDOG: Duration = Duration::from_secs(30);

    fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
        let begin = Instant::now();
        while !is_so() {
            assert!(begin.elapsed() < WATCHDOG, "not {what}");
        }
    }

    /// Rows: PIPE-31
    #[test]
    fn a_lost_bell_is_noticed_although_others_ring_all_the_time() {
        let (anchor, point) = ends();
        let mut receiver = Receiver::<u32>::new(&anchor).unwrap();
        let mut sender = Sender::<u32>::new(&point).unwrap();
        let woken = Arc::new(Woken::default());
        let waker = Waker::from(Arc::clone(&woken));
        let mut before = None;
        // A thread that has just been started wakes all once.
        wait_until("quiet", || {
            assert!(receiver.poll_recv(&mut Context::from_waker(&waker)).is_pending());
            std::thread::park_timeout(Duration::from_millis(100));
            before.replace(woken.count()) == Some(woken.count())
        });
        // As somebody does who takes the bell and dies before he rings.
        assert!(point.outgoing.wake(&point.commons, Side::Items).unwrap());
        sender.send(&1).wait().unwrap();
        let (busy, other) = ends();
        let mut busy_receiver = Receiver::<u32>::new(&busy).unwrap();
        wait_until("noticed", || {
            let mut cx = Context::from_waker(Waker::noop());
            assert!(busy_receiver.poll_recv(&mut cx).is_pending());
            other.link.ring();
            Some(woken.count()) > before
        });
        assert!(receiver.poll_recv(&mut Context::from_waker(&waker)).is_ready());
    }
}
