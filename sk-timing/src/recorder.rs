//! What all threads have timed, gathered from their rings.

use std::collections::VecDeque;
use std::mem;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use crate::ring::{CAPACITY, Ring, Sample, Writer};
use crate::statistics::{Aside, EXACT_TIMES, Histogram, Statistics, percentile_of};
use crate::sync::{Mutex, MutexGuard, lock};
use crate::within::{Part, Within};
use crate::{LONGEST_WINDOW, TimerError};

/// Rings that are gathered at once and brought into one order, where statistics of all samples are
/// kept. A window needs the order of all rings: which samples are its last depends on it.
const GATHERED_TOGETHER: usize = 16;

/// The samples of one timer, shared by all of its threads.
///
/// Aligned to two lines of the cache, as processors fetch them: what stands beside it in a timer is
/// read at each start, and must not be taken away by each write in here.
#[derive(Debug)]
#[repr(align(128))]
pub(crate) struct Recorder(Mutex<State>);

#[derive(Debug)]
struct State {
    store: Store,
    /// Made before the first sample, for the first that the kept ones have no room for, so that no
    /// stop allocates.
    spare: Option<Histogram>,
    /// Of the threads that have used the timer and still live.
    rings: Vec<Arc<Ring>>,
    /// Where samples of several threads are brought into one order. Empty between calls, as is the
    /// next; their memory is kept.
    scratch: Vec<(Sample, usize)>,
    batch: Vec<u64>,
}

#[derive(Debug)]
enum Store {
    /// Statistics of all samples there were.
    All(Statistics),
    /// The last `times` samples, of which statistics are made when they are asked for.
    Last { times: usize, kept: VecDeque<u64>, aside: Aside },
}

/// The lock, and that the thread has it: what it allocates meanwhile may be timed, and what that times
/// is not recorded where it would need a lock.
struct Locked<'r> {
    /// Goes first.
    state: MutexGuard<'r, State>,
    _within: Within,
}

impl Recorder {
    /// Keeps statistics of all samples, beginning with these.
    pub(crate) fn new(statistics: Statistics) -> Self {
        Recorder(Mutex::new(State {
            store: Store::All(statistics),
            spare: None,
            rings: Vec::new(),
            scratch: Vec::new(),
            batch: Vec::new(),
        }))
    }

    /// The calling thread becomes one of those that record. `None` where it holds a recorder's lock.
    pub(crate) fn join(&self) -> Option<Writer> {
        if Part::Recorder.is_entered() {
            return None;
        }
        let writer = Writer::new();
        let mut state = self.state();
        state.rings.push(Arc::clone(writer.ring()));
        state.prepare();
        Some(writer)
    }

    /// What the thread has recorded stays; its ring goes.
    pub(crate) fn leave(&self, writer: &Writer) {
        let mut state = self.state();
        if state.rings.len() <= state.gathered_together() {
            // In order with what other threads have not handed over yet.
            state.gather();
        } else {
            state.gather_one(writer.ring());
        }
        state.rings.retain(|ring| !Arc::ptr_eq(ring, writer.ring()));
    }

    #[inline]
    pub(crate) fn record(&self, writer: &mut Writer, sample: Sample) {
        if !writer.push(sample) {
            self.make_room(writer, sample);
        }
    }

    #[cold]
    fn make_room(&self, writer: &mut Writer, sample: Sample) {
        if Part::Recorder.is_entered() {
            return;
        }
        let mut state = self.state();
        match state.store {
            // Which samples are the last ones depends on the order between the threads.
            Store::Last { .. } => state.gather(),
            // Gathering what other threads write would cost them a cache miss for each sample.
            Store::All(_) => state.gather_one(writer.ring()),
        }
        drop(state);
        let has_room = writer.push(sample);
        debug_assert!(has_room, "the ring was just gathered");
    }

    /// Records without a ring: for a thread that has none, or has more to say than a sample.
    pub(crate) fn record_aside(&self, sample: Option<Sample>, paused: u64, failures: u64) {
        if Part::Recorder.is_entered() {
            return;
        }
        let mut state = self.state();
        state.gather();
        state.prepare();
        if let Some(sample) = sample {
            state.push_all(&[sample.nanos]);
        }
        let aside = state.aside_mut();
        aside.paused_nanos = aside.paused_nanos.saturating_add(paused.into());
        aside.failures = aside.failures.saturating_add(failures);
    }

    pub(crate) fn clear(&self) {
        let mut state = self.state();
        state.gather();
        state.store = match &state.store {
            Store::All(_) => Store::All(Statistics::default()),
            Store::Last { times, .. } => {
                Store::Last { times: *times, kept: VecDeque::new(), aside: Aside::default() }
            }
        };
        if !state.rings.is_empty() {
            state.prepare();
        }
    }

    pub(crate) fn merge(&self, other: &Statistics) {
        let mut state = self.state();
        state.gather();
        match &mut state.store {
            Store::All(statistics) => statistics.merge(other),
            Store::Last { times, kept, aside } => {
                aside.merge(other.aside());
                kept.extend(other.kept());
                kept.drain(..kept.len().saturating_sub(*times));
            }
        }
    }

    /// `None` where statistics of all are kept.
    pub(crate) fn window(&self) -> Option<usize> {
        match self.state().store {
            Store::All(_) => None,
            Store::Last { times, .. } => Some(times),
        }
    }

    pub(crate) fn set_window(&self, times: usize) -> Result<(), TimerError> {
        let mut state = self.state();
        state.gather();
        state.keep_last(times)?;
        state.prepare();
        Ok(())
    }

    /// Shows the statistics of all that was recorded until now.
    pub(crate) fn read<R>(&self, look: impl FnOnce(&Statistics) -> R) -> R {
        let mut state = self.state();
        state.gather();
        match &state.store {
            Store::All(statistics) => look(statistics),
            Store::Last { kept, aside, .. } => look(&Statistics::of_window(kept, *aside)),
        }
    }

    /// As through [`read`](Recorder::read), without statistics of a window of which nothing else is asked.
    pub(crate) fn percentile(&self, percentile: f64) -> Result<Option<u64>, TimerError> {
        let mut state = self.state();
        state.gather();
        match &state.store {
            Store::All(statistics) => statistics.percentile_nanos(percentile),
            Store::Last { kept, .. } => percentile_of(kept, percentile),
        }
    }

    fn state(&self) -> Locked<'_> {
        let within = Part::Recorder.enter();
        Locked { state: lock(&self.0), _within: within }
    }
}

impl Deref for Locked<'_> {
    type Target = State;

    fn deref(&self) -> &State {
        &self.state
    }
}

impl DerefMut for Locked<'_> {
    fn deref_mut(&mut self) -> &mut State {
        &mut self.state
    }
}

impl State {
    /// Sees to it that recording allocates nothing from here on: a window longer than the exact
    /// samples of the default excepted, which grows until it is full.
    fn prepare(&mut self) {
        match &mut self.store {
            Store::All(statistics) => {
                statistics.reserve();
                if self.spare.is_none() && statistics.is_exact() {
                    self.spare = Histogram::new();
                }
            }
            Store::Last { times, kept, .. } => {
                let room = (*times).min(EXACT_TIMES);
                kept.reserve(room.saturating_sub(kept.len()));
            }
        }
        let together = self.rings.len().min(self.gathered_together()) * CAPACITY;
        self.scratch.reserve(together);
        self.batch.reserve(together);
    }

    fn keep_last(&mut self, times: usize) -> Result<(), TimerError> {
        if times == 0 || times > LONGEST_WINDOW {
            return Err(TimerError::Window { times });
        }
        let (mut kept, aside) = match &mut self.store {
            Store::All(statistics) => (statistics.kept().collect(), *statistics.aside()),
            Store::Last { kept, aside, .. } => (mem::take(kept), *aside),
        };
        kept.drain(..kept.len().saturating_sub(times));
        self.spare = None;
        self.store = Store::Last { times, kept, aside };
        Ok(())
    }

    fn gathered_together(&self) -> usize {
        match self.store {
            Store::All(_) => GATHERED_TOGETHER,
            Store::Last { .. } => usize::MAX,
        }
    }

    /// Gathers all rings, in the order in which the samples ended. Where statistics of all are kept
    /// and there are more than [`GATHERED_TOGETHER`] threads, that order holds within groups of so many.
    fn gather(&mut self) {
        let rings = mem::take(&mut self.rings);
        for group in rings.chunks(self.gathered_together()) {
            let mut contributed = 0;
            for ring in group {
                let before = self.scratch.len();
                let scratch = &mut self.scratch;
                ring.gather(|sample| scratch.push((sample, scratch.len())));
                contributed += usize::from(self.scratch.len() > before);
            }
            if contributed > 1 {
                // Those of one thread that ended at the same time stay in their order.
                self.scratch.sort_unstable_by_key(|(sample, order)| (sample.ended, *order));
            }
            self.batch.extend(self.scratch.drain(..).map(|(sample, _)| sample.nanos));
            self.push_batch();
        }
        self.rings = rings;
    }

    fn gather_one(&mut self, ring: &Ring) {
        ring.gather(|sample| self.batch.push(sample.nanos));
        self.push_batch();
    }

    fn push_batch(&mut self) {
        let mut batch = mem::take(&mut self.batch);
        self.push_all(&batch);
        batch.clear();
        self.batch = batch;
    }

    fn push_all(&mut self, batch: &[u64]) {
        match &mut self.store {
            Store::All(statistics) => statistics.push_all(batch, &mut self.spare),
            Store::Last { times, kept, .. } => {
                let batch = batch.get(batch.len().saturating_sub(*times)..).unwrap_or_default();
                kept.drain(..(kept.len() + batch.len()).saturating_sub(*times));
                kept.extend(batch);
            }
        }
    }

    fn aside_mut(&mut self) -> &mut Aside {
        match &mut self.store {
            Store::All(statistics) => statistics.aside_mut(),
            Store::Last { aside, .. } => aside,
        }
    }
}
