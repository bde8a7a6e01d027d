//! Whether a thread that is about to block belongs to an executor.
//!
//! This crate depends on no executor. Layers that do add a probe for theirs. Without a probe a
//! wait looks at one atomic; with probes they run where a wait would really block, and nowhere else.

use std::collections::HashSet;
use std::panic::Location;
use std::sync::PoisonError;
use std::sync::RwLock;

use crate::sync::process::atomic::{AtomicBool, Ordering};
use crate::sync::process::{Mutex, lock};

/// Says which executor the calling thread runs a task of, if it does.
pub type ExecutorProbe = fn() -> Option<&'static str>;

static HAS_PROBES: AtomicBool = AtomicBool::new(false);
static PROBES: RwLock<Vec<ExecutorProbe>> = RwLock::new(Vec::new());

/// Adds a way to recognise an executor's thread.
///
/// [`wait`](crate::Operation::wait) asks all probes before it blocks. If one of them knows the
/// thread, a warning with the place of the call goes to `tracing`, once for each place. The wait
/// blocks all the same.
///
/// A probe runs often, on any thread, and must be cheap: it must not block, wait or panic. The same
/// one twice counts once; none is ever taken out. tokio is recognised by the budget of its tasks,
/// the executors of futures by `enter()`; layers above add both. smol leaves no trace to probe.
///
/// ```
/// use std::cell::Cell;
/// use sk_function::add_executor_probe;
///
/// thread_local!(static IN_TASK: Cell<bool> = const { Cell::new(false) });
///
/// add_executor_probe(|| IN_TASK.get().then_some("my executor"));
/// ```
pub fn add_executor_probe(probe: ExecutorProbe) {
    let mut probes = PROBES.write().unwrap_or_else(PoisonError::into_inner);
    if !probes.iter().any(|known| std::ptr::fn_addr_eq(*known, probe)) {
        probes.push(probe);
    }
    // Partner: the load in `warn_if_on_executor`. That one may still miss a probe that is just
    // being added, so nothing rests on the order.
    HAS_PROBES.store(true, Ordering::Relaxed);
}

/// To be called where a wait is about to block.
#[track_caller]
#[inline]
pub(super) fn warn_if_on_executor() {
    // Partner: the store in `add_executor_probe`. The list itself is behind its lock.
    if HAS_PROBES.load(Ordering::Relaxed) {
        ask(Location::caller());
    }
}

#[cold]
fn ask(place: &'static Location<'static>) {
    let executor = {
        let probes = PROBES.read().unwrap_or_else(PoisonError::into_inner);
        probes.iter().find_map(|probe| probe())
    };
    let Some(executor) = executor else { return };
    if is_new(place) {
        tracing::warn!(
            %place,
            executor,
            "a wait blocks a thread of an executor: use `.await` there, or move it to a thread that may block"
        );
    }
}

fn is_new(place: &'static Location<'static>) -> bool {
    static WARNED: Mutex<Option<HashSet<&'static Location<'static>>>> = Mutex::new(None);
    lock(&WARNED).get_or_insert_default().insert(place)
}
