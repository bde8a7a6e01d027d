//! How far long work has come: done, total, rate, time left.

mod display;
mod output;

use std::fmt;
use std::io::Write;
use std::sync::{Arc, TryLockError};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::Clock;
use crate::sync::process::{AtomicU64, Mutex, Ordering, lock};
use output::Output;

/// Between two lines where there is no bar.
const BETWEEN_LINES: Duration = Duration::from_secs(10);

/// Counts what is done of a piece of work, and shows it.
///
/// On a terminal it is a bar, with the feature `terminal`. Elsewhere, and without the feature, it is one
/// line in ten seconds at most, and one at the end. [`silent`](ProgressBuilder::silent) shows nothing and
/// only counts. It is shown on standard error unless [`lines_to`](ProgressBuilder::lines_to) says
/// where.
///
/// Clones are the same progress, and all threads may advance it. Nothing is shown but by calls: work
/// that does not advance shows no line.
///
/// ```
/// use sk_timing::Progress;
///
/// let progress = Progress::builder().total(3).label("files").silent().start();
/// for _ in 0..3 {
///     progress.advance(1);
/// }
/// let state = progress.state();
/// assert_eq!((state.done(), state.total()), (3, Some(3)));
/// progress.finish();
/// ```
#[derive(Clone)]
pub struct Progress {
    shared: Arc<Shared>,
}

/// Everything here is relaxed: each is a number by itself, and what is shown is right to within a call
/// that runs meanwhile.
struct Shared {
    label: String,
    clock: Clock,
    began: u64,
    done: AtomicU64,
    /// [`UNKNOWN`] where nobody said.
    total: AtomicU64,
    /// The clock's time from which the next line may be shown.
    next_line: AtomicU64,
    is_silent: bool,
    output: Mutex<Output>,
}

const UNKNOWN: u64 = u64::MAX;

/// What a [`Progress`] begins with.
#[derive(Default)]
#[must_use = "it shows something only after `start()`"]
pub struct ProgressBuilder {
    total: Option<u64>,
    label: String,
    clock: Clock,
    output: Output,
}

/// How far work has come at one moment: a value that can be sent and printed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProgressState {
    label: String,
    done: u64,
    total: Option<u64>,
    elapsed: Duration,
}

impl Progress {
    /// Of so many pieces, shown where the reader most likely looks.
    pub fn new(total: u64) -> Progress {
        Progress::builder().total(total).start()
    }

    /// With a label, another place to be shown at, or no total.
    pub fn builder() -> ProgressBuilder {
        ProgressBuilder::default()
    }

    /// So many more pieces are done. Shows it, if it is time; writing may then block this thread, and no
    /// other.
    pub fn advance(&self, pieces: u64) {
        let shared = &*self.shared;
        let add = |done: u64| Some(done.saturating_add(pieces));
        let _ = shared.done.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
        if !shared.is_silent {
            self.show();
        }
    }

    /// The total has become known, or another one.
    pub fn set_total(&self, total: u64) {
        self.shared.total.store(total.min(UNKNOWN - 1), Ordering::Relaxed);
    }

    /// How far it is now.
    pub fn state(&self) -> ProgressState {
        let shared = &*self.shared;
        let total = shared.total.load(Ordering::Relaxed);
        ProgressState {
            label: shared.label.clone(),
            done: shared.done.load(Ordering::Relaxed),
            total: (total != UNKNOWN).then_some(total),
            elapsed: Duration::from_nanos(shared.clock.nanos().saturating_sub(shared.began)),
        }
    }

    /// Shows how it ended, once; nothing is shown after that. Dropped without it, the progress shows
    /// no end.
    pub fn finish(&self) {
        // First, so that no thread comes to show a line of what is over.
        self.shared.next_line.store(u64::MAX, Ordering::Relaxed);
        let mut output = lock(&self.shared.output);
        std::mem::take(&mut *output).finish(&self.state());
        *output = Output::Silent;
    }

    fn show(&self) {
        let shared = &*self.shared;
        let now = shared.clock.nanos();
        let due = shared.next_line.load(Ordering::Relaxed);
        if now < due {
            return;
        }
        // While one thread writes, which may take it long, the others go on with their work.
        let mut output = match shared.output.try_lock() {
            Ok(output) => output,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return,
        };
        let next = now.saturating_add(crate::nanos(output.pause()));
        // Of the threads that came at once, one shows it.
        let is_ours =
            shared.next_line.compare_exchange(due, next, Ordering::Relaxed, Ordering::Relaxed);
        if is_ours.is_ok() {
            output.show(&self.state());
        }
    }
}

impl ProgressBuilder {
    /// How many pieces there are. Without it there is no time left and no percentage.
    pub fn total(mut self, total: u64) -> Self {
        self.total = Some(total);
        self
    }

    /// What the pieces are; shown in front.
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }

    /// The clock it reads, [`Clock::System`] by default.
    pub fn clock(mut self, clock: impl Into<Clock>) -> Self {
        self.clock = clock.into();
        self
    }

    /// Shows nothing.
    pub fn silent(mut self) -> Self {
        self.output = Output::Silent;
        self
    }

    /// Shows lines, and writes them here. An error of the writer shows less; it fails nothing.
    pub fn lines_to(mut self, writer: impl Write + Send + 'static) -> Self {
        self.output = Output::Lines(Box::new(writer));
        self
    }

    /// Begins to count, and the time with it.
    pub fn start(self) -> Progress {
        let began = self.clock.nanos();
        let is_silent = matches!(self.output, Output::Silent);
        let output = self.output.opened();
        let next_line = began.saturating_add(crate::nanos(output.pause()));
        Progress {
            shared: Arc::new(Shared {
                label: self.label,
                clock: self.clock,
                began,
                done: AtomicU64::new(0),
                total: AtomicU64::new(self.total.map_or(UNKNOWN, |total| total.min(UNKNOWN - 1))),
                next_line: AtomicU64::new(next_line),
                is_silent,
                output: Mutex::new(output),
            }),
        }
    }
}

impl ProgressState {
    /// What the pieces are; empty where nobody said.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// How many pieces are done.
    pub fn done(&self) -> u64 {
        self.done
    }

    /// How many pieces there are, if that is known.
    pub fn total(&self) -> Option<u64> {
        self.total
    }

    /// The time since the start.
    pub fn elapsed(&self) -> Duration {
        self.elapsed
    }

    /// Pieces in a second, on average since the start. `None` before any time has passed or any piece is
    /// done.
    pub fn rate_per_second(&self) -> Option<f64> {
        let is_known = self.done > 0 && !self.elapsed.is_zero();
        is_known.then(|| self.done as f64 / self.elapsed.as_secs_f64())
    }

    /// The time left if it goes on at this rate; zero once all is done. `None` without a total or a
    /// rate.
    pub fn time_left(&self) -> Option<Duration> {
        let left = self.total?.saturating_sub(self.done);
        if left == 0 {
            return Some(Duration::ZERO);
        }
        let seconds = left as f64 / self.rate_per_second()?;
        Some(Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX))
    }
}

impl fmt::Debug for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Progress").field("state", &self.state()).finish_non_exhaustive()
    }
}

impl fmt::Debug for ProgressBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProgressBuilder")
            .field("label", &self.label)
            .field("total", &self.total)
            .finish_non_exhaustive()
    }
}
