//! How work ends that did not end as a value.
//!
//! Whatever runs anywhere (here, on another thread, in a child, in a pool) ends as the value it was
//! to give or as a [`Failure`]. It is data: it crosses processes, is written down, and tells the
//! same story at every end.
//!
//! Nothing in it can grow without bound, because what it tells of was written by others:
//!
//! | part | limit |
//! |---|---|
//! | message | [`Failure::MESSAGE_LIMIT`] bytes |
//! | source chain | [`Failure::SOURCES_LIMIT`] sources of [`Failure::LINE_LIMIT`] bytes each |
//! | backtrace | [`Failure::BACKTRACE_LIMIT`] bytes |
//! | last lines | the last [`Failure::LINES_LIMIT`], of [`Failure::LINE_LIMIT`] bytes each |
//! | every name | [`Failure::LINE_LIMIT`] bytes |
//!
//! What is longer is cut between two characters and says how much was left out.

mod bounded;
mod catch;
mod display;
mod kind;
mod questions;
mod signal;
mod told;

use std::any::{Any, type_name};
use std::collections::VecDeque;
use std::error::Error;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use bounded::{cut, show};
use told::Told;

pub use catch::{PanicPlace, catch_panic};
pub use kind::FailureKind;

pub(crate) use catch::{discard, guarded};

/// Any error that may cross threads: what a function's own error is turned into.
pub type BoxError = Box<dyn Error + Send + Sync>;

/// How work ended that did not end as a value.
///
/// It is opaque: the questions that programs ask are methods, [`kind`](Failure::kind) is there for
/// a `match`. One word wide; cheap to return, not to clone.
///
/// ```
/// use std::time::Duration;
/// use sk_function::{Failure, FailureKind};
///
/// let failure = Failure::timed_out("run", Duration::from_secs(30))
///     .with_function("my_app.crawl")
///     .with_pid(4711)
///     .with_attempts(3);
///
/// assert!(failure.is_timeout());
/// assert_eq!(failure.kind(), FailureKind::Timeout);
/// assert_eq!(failure.section(), Some("run"));
/// assert_eq!(
///     failure.to_string(),
///     "my_app.crawl timed out: section run passed its limit of 30s (3 attempts, pid 4711)"
/// );
///
/// let bytes = sk_cereal::internal::to_vec(&failure)?;
/// assert_eq!(sk_cereal::internal::from_slice::<Failure>(&bytes)?, failure);
/// # Ok::<(), sk_cereal::Error>(())
/// ```
///
/// A function that returns an error may say in it how long to wait before it is repeated:
///
/// ```
/// use std::time::Duration;
/// use sk_function::{BoxError, Failure};
///
/// fn fetch() -> Result<String, BoxError> {
///     let busy = std::io::Error::other("busy");
///     Err(Failure::error(&busy).with_retry_after(Duration::from_secs(5)).into())
/// }
///
/// let failure = Failure::from(fetch().unwrap_err());
/// assert_eq!(failure.retry_after(), Some(Duration::from_secs(5)));
/// ```
#[derive(Clone, PartialEq)]
pub struct Failure(Box<Story>);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename = "Failure")]
struct Story {
    cause: Cause,
    function: Option<String>,
    pid: Option<u32>,
    attempts: u32,
    started: bool,
    retry_after: Option<Duration>,
    not_repeated: Option<String>,
    last_lines: VecDeque<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Cause {
    Error { told: Told, type_name: Option<String> },
    Panic { message: String, place: Option<PanicPlace>, backtrace: Option<String> },
    Exit { code: i32 },
    Signal { number: i32 },
    OutOfMemory { limit_bytes: Option<u64> },
    Timeout { section: String, limit: Duration },
    Cancelled(Told),
    Undecodable(Told),
    Disconnected(Told),
}

impl Cause {
    fn told(&self) -> Option<&Told> {
        match self {
            Cause::Error { told, .. }
            | Cause::Cancelled(told)
            | Cause::Undecodable(told)
            | Cause::Disconnected(told) => Some(told),
            _ => None,
        }
    }
}

/// How a failure is made.
impl Failure {
    /// The work returned this error. Its message and its chain of sources are taken as text.
    ///
    /// It never fails and always ends: a `Display` that panics is told of in place of its text,
    /// one that never ends and a chain that goes in a circle are cut. If the error or one of its
    /// sources is a failure that asks for a [delay](Failure::with_retry_after), so does this one.
    ///
    /// ```
    /// use std::error::Error;
    /// use sk_function::Failure;
    ///
    /// let inner = "x".parse::<u8>().unwrap_err();
    /// let outer = std::io::Error::other(inner);
    /// let failure = Failure::error(&outer);
    /// assert!(failure.is_error() && failure.is_error_of::<std::io::Error>());
    /// assert_eq!(failure.to_string(), "work failed: invalid digit found in string");
    /// ```
    pub fn error<E: Error + ?Sized>(error: &E) -> Self {
        let (told, retry_after) = Told::of(error);
        let mut failure = Failure::of(Cause::Error { told, type_name: known_name::<E>() });
        failure.0.retry_after = retry_after;
        failure
    }

    /// The work panicked with this payload, at this place.
    ///
    /// [`catch_panic`] finds all three. The payload is dropped here; should its `Drop` panic, that
    /// goes no further.
    pub fn from_panic(
        payload: Box<dyn Any + Send>,
        place: Option<PanicPlace>,
        backtrace: Option<&str>,
    ) -> Self {
        Failure::panicked(catch::message_of(payload), place, backtrace.map(str::to_owned))
    }

    fn panicked(
        message: Option<String>,
        place: Option<PanicPlace>,
        backtrace: Option<String>,
    ) -> Self {
        let message = message.unwrap_or_else(|| "a payload that is not text".to_owned());
        Failure::of(Cause::Panic { message, place, backtrace }).bounded()
    }

    /// Its process ended with this exit code and without an answer.
    pub fn exit(code: i32) -> Self {
        Failure::of(Cause::Exit { code })
    }

    /// Its process was ended by this signal.
    ///
    /// ```
    /// use sk_function::Failure;
    ///
    /// let failure = Failure::signalled(9);
    /// assert_eq!((failure.signal(), failure.exit_code()), (Some(9), None));
    /// # #[cfg(unix)]
    /// assert_eq!(failure.to_string(), "work was ended by signal 9 (SIGKILL)");
    /// ```
    pub fn signalled(number: i32) -> Self {
        Failure::of(Cause::Signal { number })
    }

    /// It needed more memory than there was, or than this limit.
    pub fn out_of_memory(limit_bytes: Option<u64>) -> Self {
        Failure::of(Cause::OutOfMemory { limit_bytes })
    }

    /// This section of it (`run`, `call`, …) took longer than its limit.
    pub fn timed_out(section: impl fmt::Display, limit: Duration) -> Self {
        let section = show(&section, Self::LINE_LIMIT);
        Failure::of(Cause::Timeout { section, limit })
    }

    /// It was told to end, for this reason.
    pub fn cancelled(reason: impl fmt::Display) -> Self {
        Failure::of(Cause::Cancelled(Told::text(&reason)))
    }

    /// Its arguments or its answer could not be decoded.
    pub fn undecodable<E: Error + ?Sized>(error: &E) -> Self {
        Failure::of(Cause::Undecodable(Told::of(error).0))
    }

    /// The other side is gone; `peer` says which.
    pub fn disconnected(peer: impl fmt::Display) -> Self {
        Failure::of(Cause::Disconnected(Told::text(&peer)))
    }

    fn of(cause: Cause) -> Self {
        Failure(Box::new(Story {
            cause,
            function: None,
            pid: None,
            attempts: 1,
            started: true,
            retry_after: None,
            not_repeated: None,
            last_lines: VecDeque::new(),
        }))
    }

    /// That it was told to end while it waited to be repeated after `last`.
    pub(crate) fn cancelled_after(last: &Failure, reason: impl fmt::Display) -> Self {
        let told = Told::text(&reason).caused_by(last);
        let mut failure =
            Failure(Box::new(Story { cause: Cause::Cancelled(told), ..*last.0.clone() }));
        failure.0.retry_after = None;
        failure
    }
}

/// What is said of it beside its cause.
impl Failure {
    /// The name of the function, or whatever else it was that failed.
    #[must_use]
    pub fn with_function(mut self, name: impl fmt::Display) -> Self {
        self.0.function = Some(show(&name, Self::LINE_LIMIT));
        self
    }

    /// The process it ran in.
    #[must_use]
    pub fn with_pid(mut self, pid: u32) -> Self {
        self.0.pid = Some(pid);
        self
    }

    /// How many attempts were made in all; 0 is told as 1.
    #[must_use]
    pub fn with_attempts(mut self, attempts: u32) -> Self {
        self.0.attempts = attempts.max(1);
        self
    }

    /// What its process wrote last, the newest line last. The oldest are left out where there are
    /// more than [`Failure::LINES_LIMIT`].
    #[must_use]
    pub fn with_last_lines<L: Into<String>>(mut self, lines: impl IntoIterator<Item = L>) -> Self {
        self.0.last_lines.clear();
        for line in lines {
            if self.0.last_lines.len() == Self::LINES_LIMIT {
                self.0.last_lines.pop_front();
            }
            self.0.last_lines.push_back(cut(line.into(), Self::LINE_LIMIT));
        }
        self
    }

    /// How long to wait before it is repeated, in place of what the [policy](crate::Retry) says.
    #[must_use]
    pub fn with_retry_after(mut self, delay: Duration) -> Self {
        self.0.retry_after = Some(delay);
        self
    }

    /// That the work had not started, so that repeating it is no repetition.
    #[must_use]
    pub fn with_no_start(mut self) -> Self {
        self.0.started = false;
        self
    }

    /// Why it was not repeated.
    #[must_use]
    pub fn with_not_repeated(mut self, reason: impl fmt::Display) -> Self {
        self.0.not_repeated = Some(show(&reason, Self::LINE_LIMIT));
        self
    }

    /// The type of the error that the work returned, where the error itself came as a
    /// [`BoxError`] and its type is known from elsewhere.
    #[must_use]
    pub fn with_error_type<E: ?Sized>(mut self) -> Self {
        if let Cause::Error { type_name, .. } = &mut self.0.cause {
            *type_name = known_name::<E>();
        }
        self
    }
}

/// How much it holds at most.
impl Failure {
    /// Bytes of a message: 8 KiB.
    pub const MESSAGE_LIMIT: usize = 8 << 10;
    /// Sources in a chain: 16.
    pub const SOURCES_LIMIT: usize = 16;
    /// Bytes of a backtrace: 32 KiB.
    pub const BACKTRACE_LIMIT: usize = 32 << 10;
    /// Last lines: 32.
    pub const LINES_LIMIT: usize = 32;
    /// Bytes of a last line, of a source's message and of a name: 1 KiB.
    pub const LINE_LIMIT: usize = 1 << 10;
    /// Bytes of a whole failure in [`sk_cereal::internal`] encoding: 128 KiB.
    pub const ENCODED_LIMIT: usize = 128 << 10;

    /// The same, with each part cut at its limit: what was decoded, or given in one piece.
    fn bounded(mut self) -> Self {
        let line = |text: &mut String| *text = cut(std::mem::take(text), Self::LINE_LIMIT);
        let story = &mut *self.0;
        story.attempts = story.attempts.max(1);
        story.function.iter_mut().for_each(line);
        story.not_repeated.iter_mut().for_each(line);
        let too_many = story.last_lines.len().saturating_sub(Self::LINES_LIMIT);
        story.last_lines.drain(..too_many);
        story.last_lines.shrink_to_fit();
        story.last_lines.iter_mut().for_each(line);
        match &mut story.cause {
            Cause::Error { type_name, .. } => type_name.iter_mut().for_each(line),
            Cause::Panic { message, place, backtrace } => {
                *message = cut(std::mem::take(message), Self::MESSAGE_LIMIT);
                place.iter_mut().for_each(PanicPlace::bound);
                *backtrace = backtrace.take().map(|text| cut(text, Self::BACKTRACE_LIMIT));
            }
            Cause::Timeout { section, .. } => line(section),
            // `Told` keeps to its limits itself.
            Cause::Cancelled(_) | Cause::Undecodable(_) | Cause::Disconnected(_) => {}
            Cause::Exit { .. } | Cause::Signal { .. } | Cause::OutOfMemory { .. } => {}
        }
        self
    }
}

impl Error for Failure {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.cause.told().and_then(Error::source)
    }
}

impl From<BoxError> for Failure {
    /// What the work returned, as a failure. If it returned a failure it is that one, with one
    /// change: work that returns has started.
    fn from(error: BoxError) -> Self {
        match error.downcast::<Failure>() {
            Ok(mut failure) => {
                failure.0.started = true;
                *failure
            }
            Err(error) => {
                let failure = Failure::error(&*error);
                // The text is all that is kept; what a user's `Drop` does stays here.
                let _ = guarded(|| drop(error));
                failure
            }
        }
    }
}

impl Serialize for Failure {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Failure {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Box::<Story>::deserialize(deserializer).map(|story| Failure(story).bounded())
    }
}

/// The name of an error's type, unless it says no more than that it is an error.
fn known_name<E: ?Sized>() -> Option<String> {
    let name = type_name::<E>();
    (!is_opaque(name)).then(|| cut(name.to_owned(), Failure::LINE_LIMIT))
}

/// Whether this is the name of any error: `dyn Error` and its box.
pub(crate) fn is_opaque(type_name: &str) -> bool {
    type_name.starts_with("dyn ") || type_name.starts_with("alloc::boxed::Box<dyn ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_one_word() {
        assert_eq!(size_of::<Result<(), Failure>>(), size_of::<usize>());
    }
}
