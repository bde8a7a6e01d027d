//! The shared recorder as a model drives it: without thread-locals, and without a clock.

use std::sync::Arc;

use crate::recorder::Recorder;
use crate::ring::{Sample, Writer};
use crate::statistics::Statistics;

/// The samples of one timer.
#[derive(Debug)]
pub struct Recording(Recorder);

/// One thread that records.
#[derive(Debug)]
pub struct Thread {
    recording: Arc<Recording>,
    writer: Writer,
}

impl Recording {
    /// With a rolling window, or statistics of all samples.
    pub fn new(window: Option<usize>) -> Recording {
        let recorder = Recorder::new(Statistics::default());
        if let Some(times) = window {
            let is_window = recorder.set_window(times).is_ok();
            assert!(is_window, "a window that can be");
        }
        Recording(recorder)
    }

    /// The calling thread becomes one of those that record.
    pub fn join(self: &Arc<Self>) -> Option<Thread> {
        Some(Thread { recording: Arc::clone(self), writer: self.0.join()? })
    }

    /// What was recorded until now, in nanoseconds.
    pub fn times(&self) -> Vec<u64> {
        self.0.read(|statistics| statistics.kept().collect())
    }
}

impl Thread {
    /// Records a sample that ended then and took so long.
    pub fn record(&mut self, ended: u64, nanos: u64) {
        self.recording.0.record(&mut self.writer, Sample { ended, nanos });
    }

    /// As a thread that ends.
    pub fn leave(self) {
        self.recording.0.leave(&self.writer);
    }
}
