//! An allocator and a logger that are timed, in a process of their own since it has one of each.
#![expect(unsafe_code, reason = "an allocator is unsafe to implement")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{OnceLock, mpsc};
use std::thread;
use std::time::Duration;

use sk_timing::Timer;
use tracing::{Event, Metadata, Subscriber, span};

static ALLOCATIONS: OnceLock<Timer> = OnceLock::new();
static EVENTS: OnceLock<Timer> = OnceLock::new();
static TOLD: AtomicU64 = AtomicU64::new(0);

thread_local! {
    static IS_TIMED: Cell<bool> = const { Cell::new(false) };
}

struct Timed;

#[global_allocator]
static TIMED: Timed = Timed;

// SAFETY: it is the system's allocator, with a guard around one call.
unsafe impl GlobalAlloc for Timed {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let timer = ALLOCATIONS.get().filter(|_| IS_TIMED.get());
        let _timed = timer.map(Timer::time_this);
        // SAFETY: the caller's promises are those that this asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as above; it came from the same allocator.
        unsafe { System.dealloc(pointer, layout) }
    }
}

/// Fails where it would wait for ever.
fn within_a_minute(work: impl FnOnce() + Send + 'static) {
    let (done, is_done) = mpsc::channel();
    thread::spawn(move || {
        work();
        done.send(()).unwrap();
    });
    is_done.recv_timeout(Duration::from_secs(60)).unwrap();
}

#[test]
fn an_allocator_may_be_timed() {
    within_a_minute(|| {
        let timer = ALLOCATIONS.get_or_init(Timer::new);
        IS_TIMED.set(true);
        // More than a ring holds, and with a reader that allocates while it holds the lock.
        for _ in 0..600 {
            black_box(Box::new(7_u64));
            black_box(timer.statistics());
        }
        timer.add_failure();
        timer.start();
        let _ = timer.stop();
        IS_TIMED.set(false);
        assert!(timer.count() >= 600, "{}", timer.count());
    });
}

/// It starts sessions that nobody stops, so that each event is a reason for the next.
struct Logger;

impl Subscriber for Logger {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, _: &Event<'_>) {
        TOLD.fetch_add(1, Ordering::Relaxed);
        let timer = EVENTS.get_or_init(Timer::new);
        timer.start();
        timer.start();
        let _ = timer.resume();
        let _ = timer.stop();
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

#[test]
fn a_logger_may_use_the_timer_whose_warnings_it_is_told() {
    within_a_minute(|| {
        tracing::subscriber::set_global_default(Logger).unwrap();
        let timer = EVENTS.get_or_init(Timer::new);
        timer.start();
        timer.start();
        assert_eq!(TOLD.load(Ordering::Relaxed), 1, "of the sessions within it is not told");
        timer.start();
        assert_eq!(TOLD.load(Ordering::Relaxed), 2, "of the next one it is");
    });
}
