//! A timer: sessions of each thread, and statistics of all of them.

mod builder;
mod encoded;
mod told;

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crate::frame::{Frame, Span};
use crate::local::{self, DEEPEST, Entry, Started};
use crate::recorder::Recorder;
use crate::ring::Sample;
use crate::statistics::Statistics;
use crate::sync::process::{AtomicU64, Ordering};
use crate::within::Part;
use crate::{Clock, TimeThis, TimerError, nanos};

pub use builder::TimerBuilder;

/// Measures how long something takes, again and again, and keeps statistics of it.
///
/// Clones are the same timer, and all threads may use it at once: each thread has sessions of its
/// own, and what they measure comes together in one [`Statistics`].
///
/// ```
/// use sk_timing::Timer;
///
/// let timer = Timer::new();
/// for _ in 0..100 {
///     timer.start();
///     let _work: u64 = (0..1_000).sum();
///     timer.stop()?;
/// }
/// let statistics = timer.statistics();
/// assert_eq!(statistics.count(), 100);
/// assert!(statistics.percentile(95.0)? >= statistics.median());
/// # Ok::<(), sk_timing::TimerError>(())
/// ```
///
/// # Sessions
///
/// [`start`](Timer::start) opens a session on the calling thread, [`stop`](Timer::stop) ends it and
/// records its time. A start within a session opens another one inside of it, with a warning (an event
/// of `tracing`), since it mostly is a forgotten stop; each stop ends the innermost. Of more than 64
/// within one another the outermost is forgotten. A session that still runs when its thread ends is
/// not recorded. Where code may leave early, [`time_this`](Timer::time_this) gives a guard.
///
/// # What failed
///
/// [`fail`](Timer::fail) ends a session without its time, and counts it apart: how long something took
/// that did not happen says nothing about how long it takes.
///
/// # Cost
///
/// A start and a stop cost what reading the clock twice and recording into a histogram costs, and a
/// few nanoseconds. The first use by a thread allocates; nothing after it does, but for a rolling
/// window longer than 4,096 until it is full, and for the first sessions within one another. A timer
/// takes 90 KiB from its first use on (which takes some 40 µs for it), and 4 KiB for each thread that
/// uses it and lives, 12 KiB for the first 16, and for all with a rolling window; it never grows.
///
/// A failure, and a session that was paused, are no such samples: each takes the lock, and gathers what
/// all threads have recorded.
///
/// An allocator or a logger may be timed. What is measured while its thread holds the lock of a timer,
/// so by an allocator that is called from in here, is not recorded where that would need a lock too.
///
/// No call blocks but for the short time in which another thread gathers samples. After a `fork`
/// without `exec`, timers that other threads used in that instant may stay locked for ever.
///
/// # Across processes
///
/// A timer is encoded with its statistics, its window and its name. Decoded it is a timer of its
/// own, by the system's clock, with no session running: what it records from then on comes back by
/// [`merge`](Timer::merge).
#[derive(Clone)]
pub struct Timer {
    pub(crate) shared: Arc<Shared>,
}

/// What the clones of a timer share.
pub(crate) struct Shared {
    /// Unlike that of any other timer of this process.
    pub(crate) number: u64,
    pub(crate) recorder: Recorder,
    clock: Clock,
    name: Option<String>,
    /// Made when it is first asked for.
    polling: OnceLock<Timer>,
}

impl Timer {
    /// A timer of the system's clock, which keeps statistics of all times.
    pub fn new() -> Timer {
        Timer::assemble(Recorder::new(Statistics::default()), Clock::System, None)
    }

    /// A timer with a rolling window, a name, or another clock.
    pub fn builder() -> TimerBuilder {
        TimerBuilder::default()
    }

    pub(crate) fn assemble(recorder: Recorder, clock: Clock, name: Option<String>) -> Timer {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        // Relaxed: the numbers have to differ, and order nothing.
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let shared = Shared { number, recorder, clock, name, polling: OnceLock::new() };
        Timer { shared: Arc::new(shared) }
    }

    /// Opens a session on the calling thread.
    #[inline]
    pub fn start(&self) {
        // The clock is read last, so that the session holds none of what a start costs.
        let begin = |entry: &mut Entry| entry.begin(Frame::begin(self.shared.clock.nanos()));
        match local::with(&self.shared, begin) {
            Some(Started::Alone) => {}
            outcome => self.warn_of_start(outcome),
        }
    }

    /// Ends the innermost session of the calling thread, records its time and returns it.
    ///
    /// # Errors
    /// [`TimerError::NotStarted`] if the thread has no session.
    #[inline]
    pub fn stop(&self) -> Result<Duration, TimerError> {
        let now = self.shared.clock.nanos();
        let stop = |entry: &mut Entry| {
            let span = entry.end()?.span(now);
            let sample = Sample { ended: now, nanos: span.nanos };
            if span.paused == 0 {
                self.shared.recorder.record(&mut entry.writer, sample);
            } else {
                self.shared.recorder.record_aside(Some(sample), span.paused, 0);
            }
            Some(Duration::from_nanos(span.nanos))
        };
        local::with(&self.shared, stop).flatten().ok_or(NOT_STARTED_STOP)
    }

    /// Records the time since the start or the last lap, returns it, and goes on. A stop records what
    /// comes after the last lap.
    ///
    /// # Errors
    /// [`TimerError::NotStarted`] if the thread has no session.
    pub fn lap(&self) -> Result<Duration, TimerError> {
        let now = self.shared.clock.nanos();
        let span = self.in_session("lap", |entry| Some(entry.current.as_mut()?.lap(now)))?;
        self.record(now, span);
        Ok(Duration::from_nanos(span.nanos))
    }

    /// Ends the innermost session of the calling thread and forgets it. Returns its time.
    ///
    /// # Errors
    /// [`TimerError::NotStarted`] if the thread has no session.
    pub fn discard(&self) -> Result<Duration, TimerError> {
        let now = self.shared.clock.nanos();
        let span = self.in_session("discard", |entry| Some(entry.end()?.span(now)))?;
        Ok(Duration::from_nanos(span.nanos))
    }

    /// Ends the innermost session of the calling thread as a failure: it is counted, and its time,
    /// which is returned, is in no statistic.
    ///
    /// # Errors
    /// [`TimerError::NotStarted`] if the thread has no session.
    pub fn fail(&self) -> Result<Duration, TimerError> {
        let now = self.shared.clock.nanos();
        let span = self.in_session("fail", |entry| Some(entry.end()?.span(now)))?;
        self.add_failure();
        Ok(Duration::from_nanos(span.nanos))
    }

    /// From here to [`resume`](Timer::resume) no time counts for the innermost session of the calling
    /// thread. If it is paused already, that is a warning and changes nothing.
    ///
    /// # Errors
    /// [`TimerError::NotStarted`] if the thread has no session.
    pub fn pause(&self) -> Result<(), TimerError> {
        let now = self.shared.clock.nanos();
        if !self.in_session("pause", |entry| Some(entry.current.as_mut()?.pause(now)))? {
            self.warn_of_pause();
        }
        Ok(())
    }

    /// Time counts again for the innermost session of the calling thread. If it is not paused, that is a
    /// warning and changes nothing.
    ///
    /// # Errors
    /// [`TimerError::NotStarted`] if the thread has no session.
    pub fn resume(&self) -> Result<(), TimerError> {
        let now = self.shared.clock.nanos();
        if !self.in_session("resume", |entry| Some(entry.current.as_mut()?.resume(now)))? {
            self.warn_of_resume();
        }
        Ok(())
    }

    /// Records a time that was measured elsewhere. One of 584 years and more counts as that long.
    pub fn add(&self, time: Duration) {
        self.record(self.shared.clock.nanos(), Span { nanos: nanos(time), paused: 0 });
    }

    /// Counts a failure that no session of this timer ran for.
    pub fn add_failure(&self) {
        self.shared.recorder.record_aside(None, 0, 1);
    }

    /// Times a scope: the guard records when it is stopped or dropped.
    ///
    /// ```
    /// use sk_timing::Timer;
    ///
    /// let timer = Timer::new();
    /// let parse = |text: &str| -> Result<u32, std::num::ParseIntError> {
    ///     let timed = timer.time_this();
    ///     let number = text.parse().inspect_err(|_| timed.will_fail())?;
    ///     Ok(number)
    /// };
    /// assert!(parse("7").is_ok() && parse("seven").is_err());
    /// assert_eq!((timer.count(), timer.failures()), (1, 1));
    /// ```
    #[inline]
    pub fn time_this(&self) -> TimeThis<'_> {
        TimeThis::start(self)
    }

    /// Forgets all times, failures and pauses. Sessions that run go on, and are recorded when they stop.
    pub fn reset(&self) {
        self.shared.recorder.clear();
        if let Some(polling) = self.shared.polling.get() {
            polling.reset();
        }
    }

    /// Adds the times of another process, worker or life, as if this timer had measured them.
    pub fn merge(&self, other: &Statistics) {
        self.shared.recorder.merge(other);
    }

    /// Keeps only the last `times` times from here on, and of those that are kept now only as
    /// many: statistics are those of this rolling window. [`polling`](Timer::polling) keeps as many.
    ///
    /// # Errors
    /// [`TimerError::Window`] for 0 and beyond [`LONGEST_WINDOW`](crate::LONGEST_WINDOW).
    pub fn set_max_times(&self, times: usize) -> Result<(), TimerError> {
        self.shared.recorder.set_window(times)?;
        match self.shared.polling.get() {
            Some(polling) => polling.set_max_times(times),
            None => Ok(()),
        }
    }

    /// The length of the rolling window, or `None` where statistics of all times are kept.
    pub fn max_times(&self) -> Option<usize> {
        self.shared.recorder.window()
    }

    /// The name it was given, by [`TimerBuilder::name`] or as a global timer.
    pub fn name(&self) -> Option<&str> {
        self.shared.name.as_deref()
    }

    /// The timer of what executors spent in the async functions that this one times: the times of
    /// this one are those on the wall, from the first poll to the value; those of that one hold only
    /// the polls in between.
    pub fn polling(&self) -> &Timer {
        self.shared.polling.get_or_init(|| {
            let recorder = Recorder::new(Statistics::default());
            let timer = Timer::assemble(recorder, self.shared.clock.clone(), None);
            if let Some(times) = self.max_times() {
                // It is the length of a window, so it can be one.
                let _ = timer.set_max_times(times);
            }
            timer
        })
    }

    /// True if both are clones of one timer.
    pub fn is_same(&self, other: &Timer) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }

    /// The clock it reads.
    pub fn clock(&self) -> &Clock {
        &self.shared.clock
    }

    /// True if it has counted a time or a failure.
    pub(crate) fn is_used(&self) -> bool {
        self.shared.recorder.read(|statistics| !statistics.is_empty() || statistics.failures() > 0)
    }

    #[inline]
    pub(crate) fn record(&self, ended: u64, span: Span) {
        let sample = Sample { ended, nanos: span.nanos };
        let is_recorded = span.paused == 0
            && local::with(&self.shared, |entry| {
                self.shared.recorder.record(&mut entry.writer, sample);
            })
            .is_some();
        if !is_recorded {
            self.shared.recorder.record_aside(Some(sample), span.paused, 0);
        }
    }

    fn in_session<R>(
        &self,
        action: &'static str,
        work: impl FnOnce(&mut Entry) -> Option<R>,
    ) -> Result<R, TimerError> {
        local::with(&self.shared, work).flatten().ok_or(TimerError::NotStarted { action })
    }

    #[cold]
    fn warn_of_start(&self, outcome: Option<Started>) {
        let timer = self.name();
        warn(|| match outcome {
            Some(Started::TooDeep) => tracing::warn!(
                timer,
                limit = DEEPEST,
                "too many sessions within one another: the outermost is forgotten"
            ),
            Some(_) => tracing::warn!(timer, "a session is started within another one"),
            None => tracing::warn!(timer, "a thread that ends can start no session"),
        });
    }

    #[cold]
    pub(crate) fn warn_of_pause(&self) {
        warn(|| tracing::warn!(timer = self.name(), "paused twice: it is paused already"));
    }

    #[cold]
    pub(crate) fn warn_of_resume(&self) {
        warn(|| tracing::warn!(timer = self.name(), "resumed without a pause: it is running"));
    }
}

/// Tells a warning, unless that is what the thread does already, or it records: a logger that uses
/// a timer would be told of its own use without an end, and an allocator that does has no room for it.
fn warn(tell: impl FnOnce()) {
    if !Part::Warning.is_entered() && !Part::Recorder.is_entered() {
        let _within = Part::Warning.enter();
        tell();
    }
}

const NOT_STARTED_STOP: TimerError = TimerError::NotStarted { action: "stop" };

impl Default for Timer {
    fn default() -> Self {
        Timer::new()
    }
}

impl fmt::Debug for Timer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Timer")
            .field("name", &self.shared.name)
            .field("count", &self.count())
            .field("total", &self.total())
            .finish_non_exhaustive()
    }
}
