//! What an executor's thread is spared, and what it is warned of.

use std::cell::Cell;
use std::fmt::{Debug, Write};
use std::sync::mpsc;
use std::sync::{Arc, Mutex};

use sk_function::{BoxError, Operation, Unfinished, add_executor_probe, blocking, completion};
use tracing::field::{Field, Visit};
use tracing::span;
use tracing::{Event, Metadata, Subscriber};

use super::{Counts, FAR, ms, pulled, remote, shared_threads, watched};

/// Two tasks on one thread, of which the first waits for what only the second gives: it hangs if
/// the first blocks the thread.
///
/// Rows: FUN-30
#[test]
fn an_await_never_blocks_the_thread_of_the_executor() {
    watched(|| {
        let _threads = shared_threads();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        for limit in [None, Some(FAR)] {
            for is_in_background in [false, true] {
                let (give, given) = mpsc::channel::<u32>();
                let work = blocking(move |_| Ok::<u32, BoxError>(given.recv()?));
                let work = match limit {
                    Some(limit) => work.timeout(limit),
                    None => work,
                };
                let outcome = runtime.block_on(async {
                    let second = async {
                        tokio::time::sleep(ms(5)).await;
                        give.send(7).unwrap();
                    };
                    if is_in_background {
                        tokio::join!(work.background(), second).0
                    } else {
                        tokio::join!(work, second).0
                    }
                });
                assert_eq!(outcome.unwrap(), 7);
            }
        }
    });
}

/// Rows: FUN-28, FUN-30
#[test]
fn a_select_that_drops_it_cancels_it() {
    watched(|| {
        let _threads = shared_threads();
        let counts = Counts::default();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            tokio::select! {
                outcome = remote(None, &counts) => panic!("{outcome:?}"),
                () = tokio::time::sleep(ms(5)) => {}
            }
            tokio::select! {
                outcome = pulled(None, &counts).timeout(FAR) => panic!("{outcome:?}"),
                () = tokio::time::sleep(ms(5)) => {}
            }
        });
        assert_eq!((counts.begun(), counts.cancelled()), (2, 2));
        let all = futures::future::join_all((0..100).map(|_| remote(Some(ms(1)), &counts)));
        assert!(futures::executor::block_on(all).iter().all(|outcome| outcome == &Ok(7)));
    });
}

/// Writes down events of this crate.
#[derive(Clone, Default)]
struct Heard(Arc<Mutex<Vec<String>>>);

impl Heard {
    fn count(&self) -> usize {
        self.0.lock().unwrap().len()
    }
}

impl Subscriber for Heard {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event() && metadata.target().starts_with("sk_function")
    }
    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }
    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn event(&self, event: &Event<'_>) {
        struct Line(String);
        impl Visit for Line {
            fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
                write!(self.0, "{}={value:?} ", field.name()).unwrap();
            }
        }
        let mut line = Line(format!("{} ", event.metadata().level()));
        event.record(&mut line);
        self.0.lock().unwrap().push(line.0);
    }
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

thread_local!(static IN_TASK: Cell<bool> = const { Cell::new(false) });

/// Rows: FUN-28, FUN-30
#[test]
fn a_wait_on_a_thread_of_an_executor_warns_once_for_each_place() {
    watched(|| {
        let _threads = shared_threads();
        add_executor_probe(|| IN_TASK.get().then_some("the executor of this test"));
        add_executor_probe(|| futures::executor::enter().is_err().then_some("futures"));
        let heard = Heard::default();
        let wait_here = || {
            let counts = Counts::default();
            assert_eq!(remote(Some(ms(2)), &counts).wait(), Ok(7));
        };
        tracing::subscriber::with_default(heard.clone(), || {
            // On no executor's thread.
            wait_here();
            assert_eq!(heard.count(), 0);

            IN_TASK.set(true);
            // What is ready blocks nothing.
            let (completer, ready) = completion::<u32, Unfinished>();
            completer.complete(Ok(1));
            assert_eq!(Operation::new(ready).wait(), Ok(1));
            assert_eq!(heard.count(), 0);

            wait_here();
            wait_here();
            assert_eq!(heard.count(), 1, "{heard:?}", heard = heard.0);
            let line = heard.0.lock().unwrap()[0].clone();
            assert!(line.starts_with("WARN"), "{line}");
            assert!(line.contains("executors.rs:"), "{line}");
            assert!(line.contains("the executor of this test"), "{line}");

            // Other places, of each kind.
            let counts = Counts::default();
            assert_eq!(remote(Some(ms(2)), &counts).background().wait(), Ok(7));
            assert_eq!(heard.count(), 2);
            assert_eq!(remote(None, &counts).background().wait_timeout(ms(1)), None);
            assert_eq!(heard.count(), 3);
            IN_TASK.set(false);

            futures::executor::block_on(async {
                assert_eq!(remote(Some(ms(2)), &counts).wait(), Ok(7));
            });
            assert_eq!(heard.count(), 4);
        });
    });
}

/// Rows: FUN-28
#[test]
fn awaiting_what_is_ready_allocates_nothing() {
    let (completer, ready) = completion::<u32, Unfinished>();
    completer.complete(Ok(7));
    let mut op = Some(Operation::new(ready));
    let mut outcome = None;
    let counted = allocation_counter::measure(|| {
        let mut op = op.take().unwrap();
        let waker = std::task::Waker::noop();
        outcome = Some(super::poll_once(&mut op, waker));
    });
    assert_eq!(outcome, Some(std::task::Poll::Ready(Ok(7))));
    assert_eq!(counted.count_total, 0);
}
