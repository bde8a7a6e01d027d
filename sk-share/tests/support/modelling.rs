//! Models that run once for each step at which an agent may die.

use std::sync::atomic::{AtomicBool, AtomicU32 as Plain, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError};

use loom::thread;

use super::support::Fate;

/// Checks all interleavings with at most `switches` switches that no thread asked for, or as many as
/// `LOOM_MAX_PREEMPTIONS` says.
pub(crate) fn model(switches: usize, check: impl Fn() + Send + Sync + 'static) -> u32 {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _one = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let mut builder = loom::model::Builder::new();
    builder.max_branches = 100_000;
    builder.preemption_bound = builder.preemption_bound.or(Some(switches));
    let runs = Arc::new(Plain::new(0));
    let counted = Arc::clone(&runs);
    builder.check(move || {
        counted.fetch_add(1, SeqCst);
        check();
    });
    runs.load(SeqCst)
}

/// Runs a model once for every step at which the agent of that fate may die, and once in which it
/// lives, all that with the threads in several orders. `check` says whether it died.
pub(crate) fn model_deaths(
    name: &str,
    switches: usize,
    orders: usize,
    check: impl Fn(Fate, usize) -> bool + Clone + Send + Sync + 'static,
) {
    let began = std::time::Instant::now();
    let mut runs = 0;
    for order in 0..orders {
        for step in 0.. {
            let died = Arc::new(AtomicBool::new(false));
            let check = check.clone();
            let seen = Arc::clone(&died);
            runs += model(switches, move || {
                if check(Fate::AtStep(step), order) {
                    seen.store(true, SeqCst);
                }
            });
            if !died.load(SeqCst) {
                println!("{name}: {step} steps, {runs} interleavings, {:.1?}", began.elapsed());
                break;
            }
        }
    }
}

/// What a thread of a model does, and what it leaves to be looked at.
pub(crate) type Work<T> = Box<dyn FnOnce() -> T + Send>;

/// Runs all of `work` at once, begun in an order of its own, and gives what they left.
///
/// loom tries a switch where it sees two threads touch one word, and remembers only the last access
/// before. A store after a load of the same thread hides the load of another one that way. So what
/// runs first in the first interleaving matters, and each model is run with several orders.
pub(crate) fn at_once<T: Send + 'static, const N: usize>(
    order: usize,
    work: [Work<T>; N],
) -> [T; N] {
    let mut work = work.map(Some);
    let mut threads = [const { None }; N];
    for index in (0..N).map(|index| (index + order) % N) {
        threads[index] = work[index].take().map(thread::spawn);
    }
    threads.map(|thread| thread.unwrap().join().unwrap())
}
