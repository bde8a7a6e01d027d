//! Whether the calling thread is within a part of this crate that must not be entered again: an
//! allocator or a logger that is timed is called from in here too.
//!
//! The flags have no destructor, so they can be asked while a thread ends, and asking allocates nothing.

use std::cell::Cell;

thread_local! {
    static RECORDER: Cell<bool> = const { Cell::new(false) };
    static WARNING: Cell<bool> = const { Cell::new(false) };
}

/// What a thread is within.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Part {
    /// It holds the lock of a recorder.
    Recorder,
    /// It tells a warning.
    Warning,
}

/// From its making to its drop the thread is within the part.
#[derive(Debug)]
pub(crate) struct Within {
    part: Part,
    was_within: bool,
}

impl Part {
    pub(crate) fn enter(self) -> Within {
        Within { part: self, was_within: self.set(true) }
    }

    /// True within [`enter`](Part::enter). Under loom never: its threads are one thread of the system.
    pub(crate) fn is_entered(self) -> bool {
        !cfg!(loom) && self.with(Cell::get)
    }

    fn set(self, is_within: bool) -> bool {
        self.with(|flag| flag.replace(is_within))
    }

    fn with(self, look: impl FnOnce(&Cell<bool>) -> bool) -> bool {
        let flag = match self {
            Part::Recorder => &RECORDER,
            Part::Warning => &WARNING,
        };
        // Without a destructor it is there as long as the thread is.
        flag.try_with(look).unwrap_or(false)
    }
}

impl Drop for Within {
    fn drop(&mut self) {
        self.part.set(self.was_within);
    }
}
