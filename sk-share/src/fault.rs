//! Named steps at which a process can be made to die, for tests.
//!
//! `SK_FAULT=name` kills the process with SIGKILL when it passes that step, `SK_FAULT=name:3` when it
//! passes it for the third time. Without the feature `faults` a step is nothing at all.

/// Dies here if the environment says so.
#[cfg(not(feature = "faults"))]
#[inline(always)]
pub(crate) fn point(_: &'static str) {}

#[cfg(feature = "faults")]
pub(crate) use chosen::point;

#[cfg(feature = "faults")]
mod chosen {
    use crate::sync::{AtomicU32, OnceLock, Ordering};

    struct Chosen {
        name: String,
        /// How many times the step is still passed alive.
        left: AtomicU32,
    }

    static CHOSEN: OnceLock<Option<Chosen>> = OnceLock::new();

    fn from_environment() -> Option<Chosen> {
        let text = std::env::var("SK_FAULT").ok()?;
        let (name, pass) = match text.split_once(':') {
            Some((name, pass)) => (name.to_owned(), pass.parse().ok()?),
            None => (text, 1_u32),
        };
        Some(Chosen { name, left: AtomicU32::new(pass.saturating_sub(1)) })
    }

    /// 0 until the environment was asked; then 1 if it says nothing, so that a step costs a look at one word, and
    /// programs with the feature can be measured.
    static ASKED: AtomicU32 = AtomicU32::new(0);

    /// Dies here if the environment says so.
    #[inline(always)]
    pub(crate) fn point(name: &'static str) {
        if ASKED.load(Ordering::Relaxed) != 1 {
            ask(name);
        }
    }

    #[cold]
    fn ask(name: &'static str) {
        let Some(chosen) = CHOSEN.get_or_init(from_environment) else {
            ASKED.store(1, Ordering::Relaxed);
            return;
        };
        if chosen.name != name {
            return;
        }
        let is_last = chosen
            .left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1))
            .is_err();
        if is_last {
            crate::sys::kill_this_process();
        }
    }
}
