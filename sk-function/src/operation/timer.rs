//! One thread for all limits, started by the first.
//!
//! The queue is ordered by instant; a number makes keys of the same instant differ. Who owns what:
//!
//! - An [`Alarm`] is the right to take an entry back; dropped, it does. An entry that went off is
//!   gone, and then the alarm stands for nothing.
//! - The thread takes out what is due under the lock and sets it off after. Wakers and outcomes are
//!   the user's code; a panic in one ends neither the thread nor the turn of the others.
//! - The thread writes down until when it sleeps. It is rung only for an entry that is due before
//!   that: a later one costs no system call, and neither does one that is taken back.
//!
//! The thread lives as long as the process. After a `fork` without `exec` the child has none, and
//! entries there never go off.

use std::collections::BTreeMap;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, PoisonError};
use std::task::Waker;
use std::time::Instant;

use crate::outcome::discard;
use crate::sync::process::{Condvar, Mutex, lock};

static TIMER: Timer = Timer {
    state: Mutex::new(State {
        queue: BTreeMap::new(),
        next_number: 0,
        thread: ThreadState::Missing,
    }),
    bell: Condvar::new(),
};

/// The thread that runs what is due has little to do, but wakers are the user's code. Only what
/// is touched of it is memory.
const STACK_BYTES: usize = 256 << 10;

/// What ends at its limit.
pub(super) trait Expire: Send + Sync {
    /// The limit has passed. Called on the timer's thread: it must not block.
    fn expire(&self);
}

/// The right to take a limit back. Dropped, it does.
pub(super) struct Alarm(Key);

type Key = (Instant, u64);

struct Timer {
    state: Mutex<State>,
    bell: Condvar,
}

struct State {
    queue: BTreeMap<Key, Act>,
    next_number: u64,
    thread: ThreadState,
}

#[derive(Clone, Copy)]
enum ThreadState {
    /// Not started yet, or it could not be.
    Missing,
    /// It looks at the queue before it sleeps.
    Awake,
    /// It sleeps until this instant, or until it is rung.
    Asleep(Option<Instant>),
}

enum Act {
    Wake(Waker),
    Expire(Arc<dyn Expire>),
}

/// Wakes the task at this instant.
pub(super) fn wake_at(at: Instant, waker: &Waker) -> Alarm {
    add(at, Act::Wake(waker.clone()))
}

/// Tells `what` that its limit has passed, at this instant.
pub(super) fn expire_at(at: Instant, what: Arc<dyn Expire>) -> Alarm {
    add(at, Act::Expire(what))
}

impl Alarm {
    /// Has this waker woken instead. `false` if the alarm went off already: then the waker that it
    /// had was woken, and this one will not be.
    pub(super) fn rearm(&self, waker: &Waker) -> bool {
        match lock(&TIMER.state).queue.get(&self.0) {
            None => return false,
            Some(Act::Wake(before)) if before.will_wake(waker) => return true,
            Some(_) => {}
        }
        let fresh = Act::Wake(waker.clone());
        let mut state = lock(&TIMER.state);
        let Some(act) = state.queue.get_mut(&self.0) else { return false };
        let before = mem::replace(act, fresh);
        drop(state);
        drop(before);
        true
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        let removed = lock(&TIMER.state).queue.remove(&self.0);
        drop(removed);
    }
}

fn add(at: Instant, act: Act) -> Alarm {
    let mut state = lock(&TIMER.state);
    let key = (at, state.next_number);
    state.next_number += 1;
    state.queue.insert(key, act);
    match state.thread {
        ThreadState::Missing => start(&mut state),
        ThreadState::Asleep(until) if until.is_none_or(|until| at < until) => {
            // It counts as rung from here on: who comes next need not ring too.
            state.thread = ThreadState::Awake;
            drop(state);
            TIMER.bell.notify_one();
        }
        ThreadState::Asleep(_) | ThreadState::Awake => {}
    }
    Alarm(key)
}

/// Starts the thread. If that fails, each further entry tries again.
fn start(state: &mut State) {
    if cfg!(loom) {
        // In a model limits pass `by_hand`.
        return;
    }
    let builder = std::thread::Builder::new().name("sk-timer".to_owned()).stack_size(STACK_BYTES);
    match builder.spawn(run) {
        Ok(_) => state.thread = ThreadState::Awake,
        Err(error) => {
            tracing::error!(%error, "the timer thread cannot be started: no limit is kept meanwhile");
        }
    }
}

fn run() {
    let mut state = lock(&TIMER.state);
    loop {
        let now = Instant::now();
        let due = take_due(&mut state, now);
        if !due.is_empty() {
            drop(state);
            due.into_iter().for_each(Act::set_off);
            state = lock(&TIMER.state);
            continue;
        }
        let until = state.queue.first_key_value().map(|(key, _)| key.0);
        state.thread = ThreadState::Asleep(until);
        state = match until {
            None => TIMER.bell.wait(state).unwrap_or_else(PoisonError::into_inner),
            Some(at) => {
                let slept = TIMER.bell.wait_timeout(state, at.saturating_duration_since(now));
                slept.unwrap_or_else(PoisonError::into_inner).0
            }
        };
        state.thread = ThreadState::Awake;
    }
}

fn take_due(state: &mut State, now: Instant) -> Vec<Act> {
    let mut due = Vec::new();
    while let Some(entry) = state.queue.first_entry()
        && entry.key().0 <= now
    {
        due.push(entry.remove());
    }
    due
}

impl Act {
    fn set_off(self) {
        let done = catch_unwind(AssertUnwindSafe(|| match self {
            Act::Wake(waker) => waker.wake(),
            Act::Expire(what) => what.expire(),
        }));
        // The hook has told of the panic.
        if let Err(payload) = done {
            discard(payload);
        }
    }
}

#[cfg(loom)]
pub mod by_hand {
    //! The timer of a model, whose limits pass when the model says so. One model runs at a time,
    //! since the queue is that of the process.

    use std::time::{Duration, Instant};

    use super::{Act, TIMER, lock, take_due};

    /// All limits pass now, as if the timer's thread ran on the calling one.
    pub fn pass_all_limits() {
        let far_away = Instant::now() + Duration::from_secs(1 << 30);
        let due = take_due(&mut lock(&TIMER.state), far_away);
        due.into_iter().for_each(Act::set_off);
    }
}

#[cfg(test)]
mod tests {
    use crate::sync::process::atomic::{AtomicU32, Ordering};
    use std::sync::mpsc;
    use std::task::Wake;
    use std::time::Duration;

    use super::*;

    const FAR: Duration = Duration::from_secs(3_600);

    /// Says its number, or panics without one.
    struct Say(Option<u32>, mpsc::Sender<u32>);

    impl Expire for Say {
        fn expire(&self) {
            self.1.send(self.0.unwrap()).unwrap();
        }
    }

    #[derive(Default)]
    struct Woken(AtomicU32);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// One test, because the queue is one.
    #[test]
    fn limits_go_off_in_order_and_nothing_is_left_behind() {
        let (sender, said) = mpsc::channel();
        let now = Instant::now();
        let in_ms = |ms| now + Duration::from_millis(ms);
        let say = |number| -> Arc<dyn Expire> { Arc::new(Say(number, sender.clone())) };
        let far = expire_at(now + FAR, say(Some(9)));
        let alarms = [
            expire_at(in_ms(30), say(Some(3))),
            expire_at(in_ms(20), say(Some(2))),
            expire_at(in_ms(20), say(None)),
            expire_at(in_ms(0), say(Some(1))),
        ];
        assert_eq!([(); 3].map(|()| said.recv().unwrap()), [1, 2, 3]);
        assert!(now.elapsed() >= Duration::from_millis(30));
        drop(alarms);

        let woken = Arc::new(Woken::default());
        let waker = Waker::from(Arc::clone(&woken));
        let alarm = wake_at(now + FAR, Waker::noop());
        assert!(alarm.rearm(&waker));
        assert!(alarm.rearm(&waker));
        assert_eq!(lock(&TIMER.state).queue.len(), 2);
        let soon = wake_at(now, &waker);
        while woken.0.load(Ordering::SeqCst) == 0 {
            std::thread::yield_now();
        }
        assert!(!soon.rearm(&waker), "it went off already");
        drop((far, alarm, soon));
        assert!(lock(&TIMER.state).queue.is_empty());
        assert_eq!(Arc::strong_count(&woken), 2);
    }
}
