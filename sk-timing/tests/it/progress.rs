//! How far long work has come, and what is shown of it.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use sk_timing::{ManualClock, Progress, ProgressBuilder};

use super::ms;

const SECOND: Duration = Duration::from_secs(1);

/// What was written, for the test to read.
#[derive(Clone, Default)]
struct Paper(Arc<Mutex<Vec<u8>>>);

impl Paper {
    fn lines(&self) -> Vec<String> {
        let bytes = self.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap().lines().map(str::to_owned).collect()
    }
}

impl Write for Paper {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn by_hand() -> (ProgressBuilder, ManualClock, Paper) {
    let (clock, paper) = (ManualClock::new(), Paper::default());
    (Progress::builder().clock(&clock).lines_to(paper.clone()), clock, paper)
}

/// Rows: TIM-30
#[test]
fn progress_tells_done_total_rate_and_time_left() {
    let (builder, clock, _) = by_hand();
    let progress = builder.total(120).start();
    let state = progress.state();
    assert_eq!((state.done(), state.total()), (0, Some(120)));
    assert_eq!((state.rate_per_second(), state.time_left()), (None, None));
    clock.advance(10 * SECOND);
    progress.advance(20);
    progress.advance(10);
    let state = progress.state();
    assert_eq!((state.done(), state.elapsed()), (30, 10 * SECOND));
    assert_eq!((state.rate_per_second(), state.time_left()), (Some(3.0), Some(30 * SECOND)));
    progress.advance(90);
    assert_eq!(progress.state().time_left(), Some(Duration::ZERO));
    progress.advance(u64::MAX);
    assert_eq!(progress.state().time_left(), Some(Duration::ZERO), "more than all is all");
}

/// Rows: TIM-30
#[test]
fn a_total_may_be_unknown_late_or_nothing() {
    let progress = Progress::builder().silent().start();
    progress.advance(5);
    assert_eq!((progress.state().total(), progress.state().time_left()), (None, None));
    progress.set_total(u64::MAX);
    assert!(progress.state().total().is_some());
    progress.set_total(0);
    assert_eq!(progress.state().time_left(), Some(Duration::ZERO));
    assert!(progress.state().to_string().starts_with("5 of 0"));
}

/// Rows: TIM-30
#[test]
fn it_is_one_line_in_ten_seconds_and_one_at_the_end() {
    let (builder, clock, paper) = by_hand();
    let progress = builder.total(1_000).label("files").start();
    for _ in 0..250 {
        clock.advance(ms(100));
        progress.advance(1);
    }
    assert_eq!(
        paper.lines(),
        [
            "files: 100 of 1000 (10 %), 10.0 a second, 1 min 30 s left",
            "files: 200 of 1000 (20 %), 10.0 a second, 1 min 20 s left",
        ]
    );
    progress.finish();
    assert_eq!(paper.lines().len(), 3);
    assert_eq!(paper.lines()[2], "files: 250 of 1000 (25 %), 10.0 a second, 1 min 15 s left");
    progress.finish();
    clock.advance(60 * SECOND);
    progress.advance(1);
    assert_eq!(paper.lines().len(), 3, "nothing comes after the end");
}

/// Rows: TIM-30
#[test]
fn nothing_is_shown_when_told_to_be_silent() {
    let (builder, clock, paper) = by_hand();
    let progress = builder.total(10).silent().start();
    for _ in 0..10 {
        clock.advance(60 * SECOND);
        progress.advance(1);
    }
    progress.finish();
    assert!(paper.lines().is_empty());
    assert_eq!(progress.state().done(), 10);
}

#[test]
fn threads_that_advance_at_once_show_a_line_once() {
    let (builder, clock, paper) = by_hand();
    let progress = builder.total(4_000).start();
    clock.advance(10 * SECOND);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..1_000).for_each(|_| progress.advance(1)));
        }
    });
    assert_eq!(progress.state().done(), 4_000);
    assert_eq!(paper.lines().len(), 1);
}

#[test]
fn a_writer_that_blocks_blocks_one_thread() {
    struct Blocked(mpsc::Sender<()>, mpsc::Receiver<()>);

    impl Write for Blocked {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.0.send(());
            // Until the test lets go.
            let _ = self.1.recv();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    let (writes, is_writing) = mpsc::channel();
    let (lets_go, goes) = mpsc::channel();
    let clock = ManualClock::new();
    let progress = Progress::builder().clock(&clock).lines_to(Blocked(writes, goes)).start();
    let advance_elsewhere = || {
        let (progress, (done, is_done)) = (progress.clone(), mpsc::channel());
        thread::spawn(move || {
            progress.advance(1);
            let _ = done.send(());
        });
        is_done
    };
    clock.advance(10 * SECOND);
    let writer = advance_elsewhere();
    is_writing.recv().unwrap();
    clock.advance(10 * SECOND);
    let other = advance_elsewhere().recv_timeout(60 * SECOND);
    drop(lets_go);
    writer.recv().unwrap();
    assert!(other.is_ok(), "it waits for the writer of another thread");
}

#[test]
fn a_writer_that_fails_fails_nothing() {
    struct Broken;

    impl Write for Broken {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::Error::other("gone"))
        }

        fn flush(&mut self) -> io::Result<()> {
            Err(io::Error::other("gone"))
        }
    }

    let clock = ManualClock::new();
    let progress = Progress::builder().clock(&clock).lines_to(Broken).start();
    clock.advance(60 * SECOND);
    progress.advance(1);
    progress.finish();
    assert_eq!(progress.state().done(), 1);
}
