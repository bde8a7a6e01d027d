//! What programs ask a failure.

use std::time::Duration;

use super::told::Told;
use super::{Cause, Failure, FailureKind, PanicPlace, known_name, signal};

impl Failure {
    /// What it is, for a `match`.
    pub fn kind(&self) -> FailureKind {
        match self.0.cause {
            Cause::Error { .. } => FailureKind::Error,
            Cause::Panic { .. } => FailureKind::Panic,
            Cause::Exit { .. } => FailureKind::Exit,
            Cause::Signal { .. } => FailureKind::Signal,
            Cause::OutOfMemory { .. } => FailureKind::OutOfMemory,
            Cause::Timeout { .. } => FailureKind::Timeout,
            Cause::Cancelled(_) => FailureKind::Cancelled,
            Cause::Undecodable(_) => FailureKind::Undecodable,
            Cause::Disconnected(_) => FailureKind::Disconnected,
        }
    }

    /// The work returned an error.
    pub fn is_error(&self) -> bool {
        self.kind() == FailureKind::Error
    }

    /// The work returned an error of type `E`, as far as its type is known: not where it came as a
    /// `dyn Error`. Types are told apart by name, since the error itself stayed where it was.
    pub fn is_error_of<E: ?Sized>(&self) -> bool {
        self.error_type().is_some_and(|known| Some(known) == known_name::<E>().as_deref())
    }

    /// The name of the type of the error that the work returned, as [`std::any::type_name`] writes
    /// it.
    pub fn error_type(&self) -> Option<&str> {
        let Cause::Error { type_name, .. } = &self.0.cause else { return None };
        type_name.as_deref()
    }

    /// The work panicked.
    pub fn is_panic(&self) -> bool {
        self.kind() == FailureKind::Panic
    }

    /// The signal that ended its process.
    pub fn signal(&self) -> Option<i32> {
        let Cause::Signal { number } = self.0.cause else { return None };
        Some(number)
    }

    /// The name of the signal that ended its process, `SIGKILL`; `None` for the numbers that have
    /// none on this platform.
    pub fn signal_name(&self) -> Option<&'static str> {
        self.signal().and_then(signal::name)
    }

    /// The code with which its process ended.
    pub fn exit_code(&self) -> Option<i32> {
        let Cause::Exit { code } = self.0.cause else { return None };
        Some(code)
    }

    /// It ran out of memory.
    pub fn is_out_of_memory(&self) -> bool {
        self.kind() == FailureKind::OutOfMemory
    }

    /// The limit of memory that it passed.
    pub fn limit_bytes(&self) -> Option<u64> {
        let Cause::OutOfMemory { limit_bytes } = self.0.cause else { return None };
        limit_bytes
    }

    /// It took longer than it may: [`section`](Failure::section) and [`limit`](Failure::limit) tell
    /// more.
    pub fn is_timeout(&self) -> bool {
        self.kind() == FailureKind::Timeout
    }

    /// The section that took too long.
    pub fn section(&self) -> Option<&str> {
        let Cause::Timeout { section, .. } = &self.0.cause else { return None };
        Some(section)
    }

    /// The time that was passed.
    pub fn limit(&self) -> Option<Duration> {
        let Cause::Timeout { limit, .. } = self.0.cause else { return None };
        Some(limit)
    }

    /// It was told to end.
    pub fn is_cancelled(&self) -> bool {
        self.kind() == FailureKind::Cancelled
    }

    /// Its arguments or its answer could not be decoded.
    pub fn is_undecodable(&self) -> bool {
        self.kind() == FailureKind::Undecodable
    }

    /// The other side is gone.
    pub fn is_disconnected(&self) -> bool {
        self.kind() == FailureKind::Disconnected
    }

    /// What the error or the panic said, the reason of a cancellation, the peer that is gone.
    pub fn message(&self) -> Option<&str> {
        match &self.0.cause {
            Cause::Panic { message, .. } => Some(message),
            _ => self.0.cause.told().map(Told::message),
        }
    }

    /// Where the panic was.
    pub fn place(&self) -> Option<&PanicPlace> {
        let Cause::Panic { place, .. } = &self.0.cause else { return None };
        place.as_ref()
    }

    /// How the panic came about, if `RUST_BACKTRACE` asked for it.
    pub fn backtrace(&self) -> Option<&str> {
        let Cause::Panic { backtrace, .. } = &self.0.cause else { return None };
        backtrace.as_deref()
    }

    /// The name of what failed.
    pub fn function(&self) -> Option<&str> {
        self.0.function.as_deref()
    }

    /// The process it ran in.
    pub fn pid(&self) -> Option<u32> {
        self.0.pid
    }

    /// How many attempts were made in all, at least 1.
    pub fn attempts(&self) -> u32 {
        self.0.attempts
    }

    /// What its process wrote last, the newest line last.
    pub fn last_lines(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.0.last_lines.iter().map(String::as_str)
    }

    /// How long it asks to wait before it is repeated.
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// Whether the work had started, as far as is known: repeating it does some of it twice.
    pub fn has_started(&self) -> bool {
        self.0.started
    }

    /// Why it was not repeated, where that is not plain from the number of attempts.
    pub fn not_repeated(&self) -> Option<&str> {
        self.0.not_repeated.as_deref()
    }
}
