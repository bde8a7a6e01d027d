//! A guard that times the scope it lives in.

use std::cell::Cell;
use std::fmt;
use std::thread;
use std::time::Duration;

use crate::frame::{Frame, Span};
use crate::{Timer, nanos};

/// Times from its making to its stop or its drop, whichever comes first, and records once.
///
/// It is a measurement of its own: guards may lie within one another and within sessions of the same
/// timer, move to other threads, and be held over an `.await`.
///
/// Dropped, it records its time. Dropped by a panic, or after [`will_fail`](TimeThis::will_fail), it
/// counts a failure instead.
///
/// ```
/// use sk_timing::{TimeThis, Timer};
///
/// let timer = Timer::new();
/// {
///     let _timed = timer.time_this();
/// } // recorded here
/// let timed = TimeThis::start(&timer);
/// timed.stop(); // recorded here, and not again by the drop
/// assert_eq!(timer.count(), 2);
/// ```
#[must_use = "a guard that is not held times nothing; `let _timed = …`, not `let _ = …`"]
pub struct TimeThis<'t> {
    timer: &'t Timer,
    frame: Frame,
    threshold_nanos: u64,
    began_in_panic: bool,
    will_fail: Cell<bool>,
    is_over: bool,
}

impl<'t> TimeThis<'t> {
    /// Begins to measure.
    #[inline]
    pub fn start(timer: &'t Timer) -> TimeThis<'t> {
        TimeThis {
            timer,
            threshold_nanos: 0,
            began_in_panic: thread::panicking(),
            will_fail: Cell::new(false),
            is_over: false,
            frame: Frame::begin(timer.clock().nanos()),
        }
    }

    /// Times below this are not recorded. None is by default.
    pub fn threshold(mut self, threshold: Duration) -> TimeThis<'t> {
        self.threshold_nanos = nanos(threshold);
        self
    }

    /// Ends the measurement, records it and returns it.
    #[inline]
    pub fn stop(mut self) -> Duration {
        self.is_over = true;
        let now = self.timer.clock().nanos();
        self.record(now, self.frame.span(now))
    }

    /// Records the time since the beginning or the last lap, returns it, and goes on.
    pub fn lap(&mut self) -> Duration {
        let now = self.timer.clock().nanos();
        let span = self.frame.lap(now);
        self.record(now, span)
    }

    /// From here to [`resume`](TimeThis::resume) no time counts. If it is paused already, that is a
    /// warning and changes nothing.
    pub fn pause(&mut self) {
        if !self.frame.pause(self.timer.clock().nanos()) {
            self.timer.warn_of_pause();
        }
    }

    /// Time counts again. If it is not paused, that is a warning and changes nothing.
    pub fn resume(&mut self) {
        if !self.frame.resume(self.timer.clock().nanos()) {
            self.timer.warn_of_resume();
        }
    }

    /// Ends the measurement and forgets it. Returns what it was.
    pub fn discard(mut self) -> Duration {
        self.is_over = true;
        self.measured()
    }

    /// Ends the measurement as a failure: it is counted, and its time, which is returned, is in no
    /// statistic.
    pub fn fail(mut self) -> Duration {
        self.is_over = true;
        let measured = self.measured();
        self.timer.add_failure();
        measured
    }

    /// Makes a failure of its drop, for code that is about to leave by `?`.
    pub fn will_fail(&self) {
        self.will_fail.set(true);
    }

    fn measured(&self) -> Duration {
        Duration::from_nanos(self.frame.span(self.timer.clock().nanos()).nanos)
    }

    fn record(&self, now: u64, span: Span) -> Duration {
        if span.nanos >= self.threshold_nanos {
            self.timer.record(now, span);
        }
        Duration::from_nanos(span.nanos)
    }
}

impl Drop for TimeThis<'_> {
    #[inline]
    fn drop(&mut self) {
        if self.is_over {
            return;
        }
        let now = self.timer.clock().nanos();
        let is_unwound = thread::panicking() && !self.began_in_panic;
        if is_unwound || self.will_fail.get() {
            self.timer.add_failure();
        } else {
            self.record(now, self.frame.span(now));
        }
    }
}

impl fmt::Debug for TimeThis<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TimeThis").field("timer", self.timer).finish_non_exhaustive()
    }
}
