//! What work knows of itself, and the flag that tells it to end.

use std::collections::HashSet;
use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, mpsc};
use std::task::{Context as TaskContext, Poll, Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

use futures::executor::block_on;
use sk_cereal::{Json, Value, internal};
use sk_function::{CallId, CancelFlag, Context};

/// Runs `work` on a thread and gives up on it after a minute, so that a hang is a failure.
fn watched<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let (done, answer) = mpsc::channel();
    thread::spawn(move || done.send(work()));
    answer.recv_timeout(Duration::from_secs(60)).expect("it hangs")
}

#[derive(Default)]
struct Counter(AtomicU32);

impl Wake for Counter {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// Rows: FUN-45
#[test]
fn ids_differ_on_all_threads() {
    let threads: Vec<_> = (0..4)
        .map(|_| thread::spawn(|| (0..10_000).map(|_| CallId::new()).collect::<Vec<_>>()))
        .collect();
    let ids: HashSet<_> = threads.into_iter().flat_map(|ids| ids.join().unwrap()).collect();
    assert_eq!(ids.len(), 40_000);
    // No bit is the same in all of them.
    let or = ids.iter().fold(0, |all, id| all | id.bits());
    let and = ids.iter().fold(u128::MAX, |all, id| all & id.bits());
    assert_eq!((or, and), (u128::MAX, 0));
}

/// Rows: FUN-45
#[test]
fn an_id_crosses_and_is_text_where_people_read() {
    let id = CallId::from_bits(0xab);
    assert_eq!(internal::from_slice::<CallId>(&internal::to_vec(&id).unwrap()).unwrap(), id);
    let tree = Value::of(&id).unwrap();
    let text = tree.to_json(Json::compact()).unwrap();
    assert_eq!(text, "\"000000000000000000000000000000ab\"");
    assert_eq!(Value::from_json(&text).unwrap().to::<CallId>().unwrap(), id);
    assert_eq!(format!("{id:?}"), "CallId(000000000000000000000000000000ab)");
}

/// Rows: FUN-45
#[test]
fn a_text_that_is_no_id_is_an_error() {
    let long = "a".repeat(1 << 20);
    let signed = format!("+{}", "1".repeat(31));
    for text in ["", "ab", &long, &signed, &"g".repeat(32), &"ä".repeat(16)] {
        let error = text.parse::<CallId>().unwrap_err().to_string();
        assert!(error.ends_with("is no id: 32 hexadecimal digits are needed"), "{error}");
        assert!(error.len() < 200);
    }
}

/// Rows: FUN-46
#[test]
fn a_context_tells_attempt_id_deadline_and_cancellation() {
    let context = Context::new();
    assert_eq!((context.attempt(), context.deadline(), context.remaining()), (1, None, None));
    assert_eq!(context.clone().with_attempt(0).attempt(), 1);

    let deadline = Instant::now() + Duration::from_secs(60);
    let other = CallId::new();
    let later = context.clone().with_deadline(deadline).with_id(other).with_attempt(2);
    assert_eq!((later.deadline(), later.id(), later.attempt()), (Some(deadline), other, 2));
    assert!(later.remaining().unwrap() <= Duration::from_secs(60));
    let past = later.clone().with_timeout(Duration::ZERO);
    assert_eq!(past.remaining(), Some(Duration::ZERO));
    assert_eq!(past.with_timeout(Duration::MAX).deadline(), None);

    assert!(context.cancel_flag().is_same(later.cancel_flag()));
    context.cancel_flag().cancel();
    assert!(later.is_cancelled());
    assert!(!later.with_cancel_flag(CancelFlag::new()).is_cancelled());
}

/// Rows: FUN-46
#[test]
fn the_current_context_is_the_innermost_also_after_a_panic() {
    let (outer, inner) = (Context::new(), Context::new());
    outer.enter(|| {
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            inner.enter(|| {
                assert_eq!(Context::current().unwrap().id(), inner.id());
                panic!("out of here")
            })
        }));
        assert!(panicked.is_err());
        assert_eq!(Context::current().unwrap().id(), outer.id());
        thread::scope(|scope| {
            scope.spawn(|| assert!(Context::current().is_none()));
        });
    });
    assert!(Context::current().is_none());
}

/// Rows: FUN-46
#[test]
fn a_context_costs_one_allocation() {
    let info = allocation_counter::measure(|| drop(Context::new()));
    assert_eq!(info.count_total, 1);
    let context = Context::new();
    let info = allocation_counter::measure(|| {
        let copy = context.clone().with_attempt(2);
        assert!(!copy.enter(|| Context::current().unwrap().is_cancelled()));
    });
    assert_eq!(info.count_total, 0);
}

/// Rows: FUN-46
#[test]
fn cancelling_wakes_all_threads_and_tasks() {
    watched(|| {
        let flag = CancelFlag::new();
        let (ready, is_ready) = mpsc::channel();
        let waiters: Vec<_> = (0..6)
            .map(|n| {
                let (flag, ready) = (flag.clone(), ready.clone());
                thread::spawn(move || {
                    ready.send(()).unwrap();
                    match n % 3 {
                        0 => flag.wait(),
                        1 => assert!(flag.wait_timeout(Duration::MAX)),
                        _ => block_on(flag.cancelled()),
                    }
                })
            })
            .collect();
        (0..6).for_each(|_| is_ready.recv().unwrap());
        flag.cancel();
        waiters.into_iter().for_each(|waiter| waiter.join().unwrap());
        // Set once is set for ever.
        flag.wait();
        assert!(flag.wait_timeout(Duration::ZERO));
        block_on(flag.cancelled());
        flag.cancel();
    });
}

/// Rows: FUN-46
#[test]
fn a_wait_that_nobody_ends_lasts_its_time() {
    let begun = Instant::now();
    assert!(!CancelFlag::new().wait_timeout(Duration::from_millis(30)));
    assert!(begun.elapsed() >= Duration::from_millis(30));
    assert!(!CancelFlag::new().wait_timeout(Duration::ZERO));
}

/// Rows: FUN-46
#[test]
fn a_task_is_woken_once_by_its_last_waker_and_not_at_all_once_it_is_gone() {
    let flag = CancelFlag::new();
    let counters: Vec<_> = (0..3).map(|_| Arc::new(Counter::default())).collect();
    let wakers: Vec<_> = counters.iter().cloned().map(Waker::from).collect();
    let woken =
        || counters.iter().map(|counter| counter.0.load(Ordering::Relaxed)).collect::<Vec<_>>();
    {
        let mut future = pin!(flag.cancelled());
        for waker in &wakers[..2] {
            assert_eq!(future.as_mut().poll(&mut TaskContext::from_waker(waker)), Poll::Pending);
        }
        {
            let mut gone = pin!(flag.cancelled());
            let waker = &mut TaskContext::from_waker(&wakers[2]);
            assert_eq!(gone.as_mut().poll(waker), Poll::Pending);
        }
        flag.cancel();
        assert_eq!(woken(), [0, 1, 0]);
        let waker = &mut TaskContext::from_waker(&wakers[0]);
        assert_eq!(future.as_mut().poll(waker), Poll::Ready(()));
    }
    drop(wakers);
    assert!(counters.iter().all(|counter| Arc::strong_count(counter) == 1), "no waker is kept");
}

/// Rows: FUN-46
#[test]
fn a_waker_that_panics_keeps_none_from_waking() {
    struct Panics;
    impl Wake for Panics {
        fn wake(self: Arc<Self>) {
            panic!("no");
        }
    }
    let flag = CancelFlag::new();
    let counter = Arc::new(Counter::default());
    let (bad, good) = (Waker::from(Arc::new(Panics)), Waker::from(Arc::clone(&counter)));
    let mut first = pin!(flag.cancelled());
    let mut second = pin!(flag.cancelled());
    assert!(first.as_mut().poll(&mut TaskContext::from_waker(&bad)).is_pending());
    assert!(second.as_mut().poll(&mut TaskContext::from_waker(&good)).is_pending());
    flag.cancel();
    assert_eq!(counter.0.load(Ordering::Relaxed), 1);
}

/// Rows: FUN-46
#[test]
fn a_waker_that_holds_a_future_of_the_flag_does_not_lock_up() {
    struct Holds(#[expect(dead_code, reason = "it is there to be dropped")] sk_function::Cancelled);
    impl Wake for Holds {
        fn wake(self: Arc<Self>) {}
    }
    watched(|| {
        let flag = CancelFlag::new();
        let held = |flag: &CancelFlag| {
            let mut inner = flag.cancelled();
            let waker = Waker::from(Arc::new(Counter::default()));
            let _ = std::pin::Pin::new(&mut inner).poll(&mut TaskContext::from_waker(&waker));
            Waker::from(Arc::new(Holds(inner)))
        };
        let mut future = pin!(flag.cancelled());
        // The second takes the place of the first, which is dropped then.
        for _ in 0..2 {
            let waker = held(&flag);
            let _ = future.as_mut().poll(&mut TaskContext::from_waker(&waker));
        }
        flag.cancel();
    });
}

/// Rows: FUN-46
#[test]
fn a_child_is_set_with_its_parent_and_alone() {
    let parent = CancelFlag::new();
    let child = parent.child();
    let grandchild = child.child();
    let sibling = parent.child();
    child.cancel();
    assert!(grandchild.is_cancelled() && child.child().is_cancelled());
    assert!(!parent.is_cancelled() && !sibling.is_cancelled());
    watched(move || {
        let waiter = thread::spawn(move || sibling.wait());
        parent.cancel();
        waiter.join().unwrap();
    });
}

/// Rows: FUN-46
#[test]
fn a_long_line_of_flags_is_set_and_dropped_without_recursion() {
    let first = CancelFlag::new();
    let line = |first: &CancelFlag| (0..100_000).fold(first.child(), |last, _| last.child());
    drop(line(&first));
    let last = line(&first);
    first.cancel();
    assert!(last.is_cancelled());
}

/// Rows: FUN-46
#[test]
fn children_that_are_gone_leave_nothing_with_their_parent() {
    let parent = CancelFlag::new();
    let _stays = parent.child();
    let info = allocation_counter::measure(|| (0..1000).for_each(|_| drop(parent.child())));
    assert_eq!(info.bytes_current, 0);
}

#[test]
fn contexts_flags_and_futures_cross_threads() {
    fn crosses<T: Send + Sync + Unpin + 'static>() {}
    crosses::<Context>();
    crosses::<CancelFlag>();
    crosses::<sk_function::Cancelled>();
    crosses::<sk_function::Failure>();
    crosses::<sk_function::Retry>();
}
