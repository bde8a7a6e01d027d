//! A panic as a failure: its message, its place, its backtrace.
//!
//! What is caught knows its message only. Place and backtrace are known to the panic hook, so the
//! first use of [`catch_panic`] puts one in front of the hook there is. It writes both down, on
//! threads that are inside `catch_panic`, and then runs the hook that was there before.
//!
//! A record may be of another panic than the one that arrives: one that was caught further in,
//! while the one that arrives was raised by `resume_unwind`, which runs no hook. So a record is
//! believed only if it has the message and the type of the payload.

use std::any::{Any, TypeId};
use std::backtrace::{Backtrace, BacktraceStatus};
use std::cell::{Cell, RefCell};
use std::fmt;
use std::panic::{AssertUnwindSafe, Location, PanicHookInfo, catch_unwind};
use std::sync::Once;

use serde::{Deserialize, Serialize};

use super::Failure;
use super::bounded::{OneLine, cut, show};

/// Runs `work` and turns its panic into a [`Failure`] with message, place and, if
/// `RUST_BACKTRACE` or `RUST_LIB_BACKTRACE` asks for it, backtrace.
///
/// The first use puts a panic hook in front of the one there is, which is still run for every
/// panic. A program that sets a hook of its own later takes this one out, unless it runs the hook
/// that it replaces: panics are caught as before, but without place and backtrace.
///
/// What `work` was changing when it panicked is left as it was then; see
/// [`UnwindSafe`](std::panic::UnwindSafe), which is not asked for here. A panic is caught only in
/// programs that unwind, not with `panic = "abort"`.
///
/// ```
/// use sk_function::catch_panic;
///
/// let failure = catch_panic(|| [1, 2, 3].iter().position(|&n| n == 4).expect("no four")).unwrap_err();
/// assert!(failure.is_panic());
/// assert_eq!(failure.message(), Some("no four"));
/// assert!(failure.place().is_some_and(|place| place.file().ends_with(".rs")));
/// ```
///
/// # Errors
/// The panic.
pub fn catch_panic<T>(work: impl FnOnce() -> T) -> Result<T, Failure> {
    // In a thread that panics already the hook cannot be changed: then the next use does it.
    if !std::thread::panicking() {
        static INSTALLED: Once = Once::new();
        INSTALLED.call_once(install);
    }
    let outer = if HAS_RECORD.get() { record(None) } else { None };
    CATCHING.set(CATCHING.get() + 1);
    let result = catch_unwind(AssertUnwindSafe(work));
    CATCHING.set(CATCHING.get() - 1);
    // Without a panic in here or around here there is nothing to look at.
    let inner = if HAS_RECORD.get() || outer.is_some() { record(outer) } else { None };
    result.map_err(|payload| {
        let type_id = (*payload).type_id();
        let message = message_of(payload);
        match inner.filter(|record| record.type_id == type_id && record.message == message) {
            Some(Record { place, backtrace, .. }) => Failure::panicked(message, place, backtrace),
            None => Failure::panicked(message, None, None),
        }
    })
}

/// Runs code of the user's where a panic is an answer too: its message.
pub(crate) fn guarded<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|payload| {
        message_of(payload).unwrap_or_else(|| "a payload that is not text".to_owned())
    })
}

/// The text of a payload, which is dropped.
pub(super) fn message_of(payload: Box<dyn Any + Send>) -> Option<String> {
    let text = match payload.downcast_ref::<&'static str>() {
        Some(text) => Some(*text),
        None => payload.downcast_ref::<String>().map(String::as_str),
    };
    let message = text.map(|text| show(text, Failure::MESSAGE_LIMIT));
    discard(payload);
    message
}

/// Drops a payload whose drop may panic, with a payload whose drop may panic. There has to be an end
/// to it: what still panics then is forgotten.
pub(crate) fn discard(mut payload: Box<dyn Any + Send>) {
    const PATIENCE: u32 = 8;
    for _ in 0..PATIENCE {
        match catch_unwind(AssertUnwindSafe(|| drop(payload))) {
            Ok(()) => return,
            Err(next) => payload = next,
        }
    }
    std::mem::forget(payload);
}

/// Where in the source a panic was: `src/main.rs:3:5`.
///
/// ```
/// use sk_function::PanicPlace;
///
/// let place = PanicPlace::new("src/main.rs", 3, 5);
/// assert_eq!((place.file(), place.line(), place.column()), ("src/main.rs", 3, 5));
/// assert_eq!(place.to_string(), "src/main.rs:3:5");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PanicPlace {
    file: String,
    line: u32,
    column: u32,
}

impl PanicPlace {
    /// The place at this line and column, both counted from 1.
    pub fn new(file: impl Into<String>, line: u32, column: u32) -> Self {
        let mut place = PanicPlace { file: file.into(), line, column };
        place.bound();
        place
    }

    /// The file, as the compiler was given it.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// The line, from 1.
    pub fn line(&self) -> u32 {
        self.line
    }

    /// The column, from 1.
    pub fn column(&self) -> u32 {
        self.column
    }

    pub(super) fn bound(&mut self) {
        self.file = cut(std::mem::take(&mut self.file), Failure::LINE_LIMIT);
    }
}

impl From<&Location<'_>> for PanicPlace {
    fn from(location: &Location<'_>) -> Self {
        PanicPlace::new(location.file(), location.line(), location.column())
    }
}

impl fmt::Display for PanicPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", OneLine(&self.file), self.line, self.column)
    }
}

/// What the hook wrote down of the last panic on this thread.
struct Record {
    type_id: TypeId,
    message: Option<String>,
    place: Option<PanicPlace>,
    backtrace: Option<String>,
}

thread_local! {
    /// How many `catch_panic` this thread is in. It has no destructor, so that it is there until the thread is gone.
    static CATCHING: Cell<u32> = const { Cell::new(0) };
    /// Whether there is a record, also without a destructor: most calls look no further.
    static HAS_RECORD: Cell<bool> = const { Cell::new(false) };
    static RECORD: RefCell<Option<Record>> = const { RefCell::new(None) };
}

/// Puts a record in place of the one there is. In a thread whose thread-locals are gone already
/// there is none.
#[cold]
fn record(next: Option<Record>) -> Option<Record> {
    HAS_RECORD.set(next.is_some());
    RECORD.try_with(|slot| slot.replace(next)).ok().flatten()
}

fn install() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if CATCHING.get() > 0 {
            record(Some(Record::of(info)));
        }
        before(info);
    }));
}

impl Record {
    fn of(info: &PanicHookInfo<'_>) -> Self {
        let backtrace = Backtrace::capture();
        let is_captured = backtrace.status() == BacktraceStatus::Captured;
        Record {
            type_id: info.payload().type_id(),
            message: info.payload_as_str().map(|text| show(text, Failure::MESSAGE_LIMIT)),
            place: info.location().map(PanicPlace::from),
            backtrace: is_captured.then(|| show(&backtrace, Failure::BACKTRACE_LIMIT)),
        }
    }
}
