//! Kept threads for work that blocks.
//!
//! Jobs wait in a queue in the order in which they came. One lock guards the queue and the counts;
//! at each release of it this holds:
//!
//! - each queued job has a thread that was rung or started for it, or as many are at work as may be;
//! - `running` counts all threads, from before they are started until they have decided under
//!   the lock that they end; `idle` those of them that sleep for a job, `at_work` those that carry
//!   one, `waiting` those whose job waits for other work of the same queue. The bound is one of those
//!   at work: else jobs that wait for jobs could hold every thread there may be, and none would
//!   ever go on. When a wait ends there may be more at work for a while.
//!
//! A thread that finds nothing to do sleeps for the time that threads are kept, and ends after. A
//! thread that carries work which ignores its [`CancelFlag`](super::CancelFlag) stays counted.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::PoisonError;
use std::time::Duration;

use crate::outcome::discard;
use crate::sync::process::{Condvar, Mutex, MutexGuard, lock};

/// The threads that carry blocking work: how many may be at work, and for how long an idle one is
/// kept.
///
/// They are one set for the whole process, started when needed. They carry [`blocking`] work that is
/// awaited, bounded or in the background, and operations in the background whose input has to be
/// pulled. Work beyond the bound queues; its limit counts in the queue too.
///
/// Work that waits for an operation of this crate ([`blocking`] work, a call, a
/// [`completion`](crate::completion), an async function in the background) does not count against the
/// bound meanwhile, so that waiting for one another never stops all of them. What waits in
/// another way, such as for a channel, holds its thread.
///
/// After a `fork` without `exec` the child has none of these threads, and work there that needs one
/// never starts.
///
/// ```
/// use std::time::Duration;
/// use sk_function::BlockingThreads;
///
/// BlockingThreads::new().at_most(64).kept_for(Duration::from_secs(1)).set();
/// assert_eq!(BlockingThreads::current().bound(), 64);
/// ```
///
/// [`blocking`]: crate::blocking
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "settings are in force after `.set()`"]
pub struct BlockingThreads {
    at_most: usize,
    kept_for: Duration,
}

impl BlockingThreads {
    /// The settings of a process that set none: at most 256 threads, kept for 10 seconds.
    pub const fn new() -> Self {
        BlockingThreads { at_most: 256, kept_for: Duration::from_secs(10) }
    }

    /// The settings in force.
    pub fn current() -> Self {
        lock(&THREADS.state).settings
    }

    /// How many threads may be at work at once; 0 counts as 1. Those whose work waits for other work
    /// are not counted, so that there may be more threads than that: one for each such wait. A lower
    /// bound than the number of threads at work ends none of them before its time.
    pub fn at_most(mut self, threads: usize) -> Self {
        self.at_most = threads.max(1);
        self
    }

    /// For how long a thread waits for the next work before it ends.
    pub fn kept_for(mut self, time: Duration) -> Self {
        self.kept_for = time;
        self
    }

    /// Puts these settings in force, for the whole process. Work that queues gets the threads that
    /// a higher bound allows; threads that are idle already keep the time they had.
    pub fn set(self) {
        let mut state = lock(&THREADS.state);
        state.settings = self;
        let mut failed = None;
        while failed.is_none() && state.needs_a_thread() {
            failed = start(&mut state);
        }
        drop(state);
        THREADS.bell.notify_all();
        tell(failed);
    }

    /// How many threads may be at work at once.
    pub fn bound(&self) -> usize {
        self.at_most
    }

    /// How many threads there are now, idle ones and those whose work outlives its limit included.
    pub fn running() -> usize {
        lock(&THREADS.state).running
    }

    /// How much work waits for a thread now.
    pub fn queued() -> usize {
        lock(&THREADS.state).queue.len()
    }
}

impl Default for BlockingThreads {
    fn default() -> Self {
        BlockingThreads::new()
    }
}

/// The place of a job in the queue.
#[derive(Clone, Copy)]
pub(super) struct Ticket(u64);

type Job = Box<dyn FnOnce() + Send>;

static THREADS: Threads = Threads {
    state: Mutex::new(State {
        queue: BTreeMap::new(),
        next_ticket: 0,
        idle: 0,
        running: 0,
        at_work: 0,
        waiting: 0,
        settings: BlockingThreads::new(),
    }),
    bell: Condvar::new(),
};

struct Threads {
    state: Mutex<State>,
    bell: Condvar,
}

struct State {
    queue: BTreeMap<u64, Job>,
    next_ticket: u64,
    idle: usize,
    running: usize,
    at_work: usize,
    waiting: usize,
    settings: BlockingThreads,
}

impl State {
    /// Whether more jobs may begin than there are threads that sleep or start.
    fn needs_a_thread(&self) -> bool {
        let free = self.settings.at_most.saturating_sub(self.at_work);
        let ready = self.running.saturating_sub(self.at_work + self.waiting);
        self.queue.len().min(free) > ready
    }

    fn may_begin(&self) -> bool {
        !self.queue.is_empty() && self.at_work < self.settings.at_most
    }
}

thread_local! {
    /// Whether this thread is one of the set.
    static IS_KEPT: Cell<bool> = const { Cell::new(false) };
}

/// Runs `wait`, in which this thread does nothing but wait for work of the same set.
pub(crate) fn while_waiting<R>(wait: impl FnOnce() -> R) -> R {
    /// Counts the thread again when the wait ends, by a panic too.
    struct Counted;
    impl Drop for Counted {
        fn drop(&mut self) {
            let mut state = lock(&THREADS.state);
            state.waiting -= 1;
            state.at_work += 1;
        }
    }
    if !IS_KEPT.get() {
        return wait();
    }
    let mut state = lock(&THREADS.state);
    state.waiting += 1;
    state.at_work -= 1;
    let _counted = Counted;
    find_a_thread(state);
    wait()
}

/// Queues a job. If there is no thread and none can be started, the job is dropped.
pub(super) fn submit(job: Job) -> Ticket {
    let mut state = lock(&THREADS.state);
    let ticket = state.next_ticket;
    state.next_ticket += 1;
    state.queue.insert(ticket, job);
    if let Some(mut state) = find_a_thread(state) {
        let dropped = state.queue.remove(&ticket);
        drop(state);
        drop(dropped);
    }
    Ticket(ticket)
}

/// Sees to it that a job that may begin does. The lock is given back if there is no thread at all
/// and none can be started.
fn find_a_thread(mut state: MutexGuard<'static, State>) -> Option<MutexGuard<'static, State>> {
    if state.needs_a_thread() {
        let failed = start(&mut state);
        let is_lost = failed.is_some() && state.running == 0;
        drop(state);
        tell(failed);
        return is_lost.then(|| lock(&THREADS.state));
    } else if state.idle > 0 && state.may_begin() {
        drop(state);
        THREADS.bell.notify_one();
    }
    None
}

/// Drops a job that no thread has taken yet, with all it holds.
pub(super) fn withdraw(ticket: Ticket) {
    let withdrawn = lock(&THREADS.state).queue.remove(&ticket.0);
    drop(withdrawn);
}

/// Starts a thread, or says why it cannot.
fn start(state: &mut State) -> Option<io::Error> {
    let error = std::thread::Builder::new().name("sk-blocking".to_owned()).spawn(run).err();
    if error.is_none() {
        // The new thread cannot look before the lock is released.
        state.running += 1;
    }
    error
}

/// Not under the lock: who listens may ask how many threads there are.
fn tell(failed: Option<io::Error>) {
    if let Some(error) = failed {
        let running = BlockingThreads::running();
        tracing::error!(%error, running, "a thread for blocking work cannot be started");
    }
}

fn run() {
    IS_KEPT.set(true);
    let mut state = lock(&THREADS.state);
    loop {
        if state.may_begin()
            && let Some((_, job)) = state.queue.pop_first()
        {
            state.at_work += 1;
            drop(state);
            // A job catches the panic of its work. What is left are drops of the user's values.
            if let Err(payload) = catch_unwind(AssertUnwindSafe(job)) {
                discard(payload);
            }
            state = lock(&THREADS.state);
            state.at_work -= 1;
            continue;
        }
        let was_rung;
        (state, was_rung) = sleep(state);
        if !was_rung && !state.may_begin() {
            state.running -= 1;
            // What thread-locals drop from here on is no job.
            IS_KEPT.set(false);
            return;
        }
    }
}

/// Sleeps for a job; `false` after the time that threads are kept.
fn sleep(mut state: MutexGuard<'_, State>) -> (MutexGuard<'_, State>, bool) {
    let kept_for = state.settings.kept_for;
    state.idle += 1;
    let slept = THREADS
        .bell
        .wait_timeout_while(state, kept_for, |state| !state.may_begin())
        .unwrap_or_else(PoisonError::into_inner);
    let (mut state, result) = slept;
    state.idle -= 1;
    (state, !result.timed_out())
}
