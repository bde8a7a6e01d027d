//! The timers that a process finds by name: those of `#[timethis]`, and whichever a program asks for.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use crate::sync::process::{AtomicU64, Mutex, Ordering, lock};
use crate::{Clock, Statistics, Timer, recorder::Recorder};

static NAMED: Mutex<BTreeMap<String, Entry>> = Mutex::new(BTreeMap::new());

/// How often [`clear_global_timers`] was called. It changes under the lock of [`NAMED`] only.
static GENERATION: AtomicU64 = AtomicU64::new(0);

struct Entry {
    timer: Timer,
    /// False from a clearing until it is asked for again.
    is_listed: bool,
}

/// The global timer of this name, which is made by the first call. All that ask for it, functions
/// with `#[timethis]` included, share one timer.
///
/// ```
/// use sk_timing::{global_timer, timethis};
///
/// #[timethis(name = "parsing")]
/// fn parse(text: &str) -> Option<u32> {
///     text.parse().ok()
/// }
///
/// parse("7");
/// assert_eq!(global_timer("parsing").count(), 1);
/// ```
pub fn global_timer(name: &str) -> Timer {
    named(&mut lock(&NAMED), name)
}

/// All global timers that were asked for or have counted something since they were last cleared, by
/// name, in the order of their names.
pub fn global_timers() -> Vec<(String, Timer)> {
    let named = lock(&NAMED);
    // Who held a timer over the clearing uses it without asking for it again.
    let listed = named.iter().filter(|(_, entry)| entry.is_listed || entry.timer.is_used());
    listed.map(|(name, entry)| (name.clone(), entry.timer.clone())).collect()
}

/// Forgets all global timers. Their times are gone, also for those that hold such a timer; a function
/// that is timed begins anew with its next call.
pub fn clear_global_timers() {
    let mut named = lock(&NAMED);
    // Who holds a timer goes on with it, so that its name has to stay with it too.
    named.retain(|_, entry| Arc::strong_count(&entry.timer.shared) > 1);
    for entry in named.values_mut() {
        entry.is_listed = false;
        entry.timer.reset();
    }
    // Relaxed, as the loads in `Site`: a call that runs beside this one counts before or after it.
    GENERATION.fetch_add(1, Ordering::Relaxed);
}

fn named(named: &mut BTreeMap<String, Entry>, name: &str) -> Timer {
    if let Some(entry) = named.get_mut(name) {
        entry.is_listed = true;
        return entry.timer.clone();
    }
    let recorder = Recorder::new(Statistics::default());
    let timer = Timer::assemble(recorder, Clock::System, Some(name.to_owned()));
    named.insert(name.to_owned(), Entry { timer: timer.clone(), is_listed: true });
    timer
}

/// The timer of one function, found by name once and listed again after each clearing.
#[derive(Debug)]
pub struct Site {
    timer: OnceLock<Timer>,
    /// One more than the generation in which it was listed last; 0 before the first.
    listed_in: AtomicU64,
}

impl Site {
    #[doc(hidden)]
    pub const fn new() -> Site {
        Site { timer: OnceLock::new(), listed_in: AtomicU64::new(0) }
    }

    #[doc(hidden)]
    #[inline]
    pub fn timer(&'static self, name: fn() -> String) -> &'static Timer {
        let generation = GENERATION.load(Ordering::Relaxed);
        if self.listed_in.load(Ordering::Relaxed) == generation + 1
            && let Some(timer) = self.timer.get()
        {
            return timer;
        }
        self.list(name)
    }

    #[cold]
    fn list(&'static self, name: fn() -> String) -> &'static Timer {
        let name = name();
        let mut all = lock(&NAMED);
        let timer = named(&mut all, &name);
        self.listed_in.store(GENERATION.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        // A name stays with its timer as long as somebody holds that, and a site does for ever.
        self.timer.get_or_init(|| timer)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn names_made_at_run_time_do_not_outlive_a_clearing() {
        let is_made = |name: &String| name.starts_with("made at run time");
        let held = global_timer("made at run time, held");
        for n in 0..100 {
            global_timer(&format!("made at run time {n}")).add_failure();
        }
        assert_eq!(lock(&NAMED).keys().filter(|name| is_made(name)).count(), 101);
        clear_global_timers();
        assert_eq!(lock(&NAMED).keys().filter(|name| is_made(name)).count(), 1);
        assert!(!global_timers().iter().any(|(name, _)| is_made(name)));
        held.add_failure();
        assert!(global_timers().iter().any(|(name, _)| is_made(name)), "it is used");
    }
}
