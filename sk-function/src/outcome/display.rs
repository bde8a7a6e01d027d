//! What a failure says: one line, or all there is.

use std::error::Error;
use std::fmt;

use super::bounded::OneLine;
use super::{Cause, Failure, signal};

impl Failure {
    /// All that is known, on as many lines as it takes: for a log, or the last words of a program.
    ///
    /// ```
    /// use sk_function::Failure;
    ///
    /// let failure = Failure::exit(3).with_function("my_app.scan").with_last_lines(["disk full"]);
    /// assert_eq!(
    ///     failure.report().to_string(),
    ///     "my_app.scan ended with exit code 3\nlast lines:\n  disk full"
    /// );
    /// ```
    pub fn report(&self) -> impl fmt::Display + '_ {
        fmt::from_fn(move |f| {
            write!(f, "{self}")?;
            let mut source = self.source();
            while let Some(error) = source {
                write!(f, "\ncaused by: {error}")?;
                source = error.source();
            }
            if let Some(backtrace) = self.backtrace() {
                f.write_str("\nbacktrace:")?;
                backtrace.lines().try_for_each(|line| write!(f, "\n{}", OneLine(line)))?;
            }
            if !self.0.last_lines.is_empty() {
                f.write_str("\nlast lines:")?;
            }
            self.last_lines().try_for_each(|line| write!(f, "\n  {}", OneLine(line)))
        })
    }
}

impl fmt::Display for Failure {
    /// One line: what failed, how, after how many attempts, in which process.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let story = &*self.0;
        write!(f, "{} {}", OneLine(self.function().unwrap_or("work")), story.cause)?;
        match (story.attempts, story.pid) {
            (..=1, None) => {}
            (..=1, Some(pid)) => write!(f, " (pid {pid})")?,
            (attempts, None) => write!(f, " ({attempts} attempts)")?,
            (attempts, Some(pid)) => write!(f, " ({attempts} attempts, pid {pid})")?,
        }
        if !story.started {
            f.write_str(", before it had started")?;
        }
        match self.not_repeated() {
            Some(reason) => write!(f, "; not repeated: {}", OneLine(reason)),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cause::Error { told, .. } => write!(f, "failed: {told}"),
            Cause::Panic { message, place: Some(place), .. } => {
                write!(f, "panicked at {place}: {}", OneLine(message))
            }
            Cause::Panic { message, place: None, .. } => {
                write!(f, "panicked: {}", OneLine(message))
            }
            Cause::Exit { code } => write!(f, "ended with exit code {code}"),
            Cause::Signal { number } => {
                write!(f, "was ended by signal {number}")?;
                signal::name(*number).map_or(Ok(()), |name| write!(f, " ({name})"))
            }
            Cause::OutOfMemory { limit_bytes: Some(limit) } => {
                write!(f, "ran out of memory: it passed its limit of {limit} bytes")
            }
            Cause::OutOfMemory { limit_bytes: None } => f.write_str("ran out of memory"),
            Cause::Timeout { section, limit } => {
                write!(f, "timed out: section {} passed its limit of {limit:?}", OneLine(section))
            }
            Cause::Cancelled(reason) => write!(f, "was cancelled: {reason}"),
            Cause::Undecodable(told) => write!(f, "could not be decoded: {told}"),
            Cause::Disconnected(peer) => write!(f, "lost its connection to {peer}"),
        }
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if f.alternate() {
            return f.debug_tuple("Failure").field(&self.0).finish();
        }
        write!(f, "Failure({self})")
    }
}
