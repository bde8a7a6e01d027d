//! What an operation costs beside what it waits for.
//!
//! Raw baselines in the same run: a value in a lock, and `std::sync::mpsc` for the time from the
//! sender to a thread that sleeps.

#[path = "../shared/measure.rs"]
mod measure;

use std::hint::black_box;
use std::sync::mpsc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use measure::{Group, metric};
use sk_function::{Completer, Completion, Operation, Running, Unfinished, blocking, completion};

const FAR: Duration = Duration::from_secs(3_600);

/// Operations in one repetition where making them is not measured.
const BATCH: usize = 2_000;
const REPETITIONS: usize = 31;

/// Wakes of a sleeping thread, each after a pause in which it falls asleep.
const WAKES: usize = 1_500;
const PAUSE: Duration = Duration::from_micros(200);

type Pair = (Completer<usize, Unfinished>, Completion<usize, Unfinished>);

fn main() {
    ready();
    whole_lives();
    timers();
    wakes();
}

/// What is there already: made outside of the measured time.
fn ready() {
    batched(
        "operation.baseline.lock",
        || std::sync::Mutex::new(Some(7_usize)),
        |slot| slot.into_inner().ok().flatten().unwrap_or_default(),
    );
    batched("operation.wait.ready", made_ready, |op| op.wait().unwrap_or_default());
    batched(
        "operation.wait.ready_with_limit",
        || made_ready().timeout(FAR),
        |op| op.wait().unwrap_or_default(),
    );
    batched("operation.await.ready", made_ready, |mut op| polled(&mut op));

    let mut op = Some(made_ready());
    let counted = allocation_counter::measure(|| {
        assert_eq!(op.take().map(|mut op| polled(&mut op)), Some(7));
    });
    metric("operation.await.allocations", counted.count_total as f64, "count");
}

/// From the making of both ends to the outcome.
fn whole_lives() {
    let mut group = Group::default();
    group.case("operation.life.mpsc", || {
        let (sender, receiver) = mpsc::channel();
        sender.send(7).unwrap();
        receiver.recv().unwrap()
    });
    group.case("operation.life.wait", || made_ready().wait().unwrap());
    group.case("operation.life.background_wait", || made_ready().background().wait().unwrap());
    group.case("operation.life.background_wait_with_limit", || {
        made_ready().background().timeout(FAR).wait().unwrap()
    });
    group.case("operation.life.blocking_on_a_kept_thread", || {
        blocking(|_| Ok::<usize, Unfinished>(black_box(7))).background().wait().unwrap()
    });
    group.run();
}

/// A limit that is set and taken back, among none and among many others. What it costs is the
/// difference to `timer.none`, the same life without a limit.
fn timers() {
    let mut group = Group::default();
    group.case("operation.timer.pending_0", bounded_and_dropped);
    group.run();
    let pending: Vec<(Running<usize, Unfinished>, Completer<usize, Unfinished>)> = (0_u64..10_000)
        .map(|n| {
            let (completer, completion): Pair = completion();
            let limit = FAR + Duration::from_millis(n * 7919 % 10_000);
            (Operation::new(completion).timeout(limit).background(), completer)
        })
        .collect();
    let mut group = Group::default();
    group.case("operation.timer.pending_10000", bounded_and_dropped);
    group.case("operation.timer.none", unbounded_and_dropped);
    group.run();
    drop(pending);
}

fn bounded_and_dropped() -> usize {
    let (_completer, completion): Pair = completion();
    usize::from(!Operation::new(completion).timeout(FAR).background().is_done())
}

fn unbounded_and_dropped() -> usize {
    let (_completer, completion): Pair = completion();
    usize::from(!Operation::new(completion).background().is_done())
}

/// From the call of the giver to the return of the waiter, which sleeps.
fn wakes() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let (sender, receiver) = mpsc::channel();
    let giving = std::thread::spawn(move || {
        for _ in 0..WAKES {
            std::thread::sleep(PAUSE);
            sender.send(Instant::now()).unwrap();
        }
    });
    let raw = (0..WAKES).map(|_| receiver.recv().unwrap().elapsed()).collect();
    giving.join().unwrap();
    median("operation.wake.mpsc", raw);

    woken("operation.wake.wait", |op| op.wait());
    woken("operation.wake.wait_with_limit", |op| op.timeout(FAR).wait());
    woken("operation.wake.background_wait", |op| op.background().wait());
    woken("operation.wake.await_futures", futures::executor::block_on);
    woken("operation.wake.await_tokio", |op| runtime.block_on(op));
    woken("operation.wake.await_tokio_with_limit", |op| runtime.block_on(op.timeout(FAR)));
}

type Given = Operation<Completion<Instant, Unfinished>>;

fn woken(name: &str, wait: impl Fn(Given) -> Result<Instant, Unfinished>) {
    let (completers, next) = mpsc::channel::<Completer<Instant, Unfinished>>();
    let giving = std::thread::spawn(move || {
        for completer in next {
            std::thread::sleep(PAUSE);
            completer.complete(Ok(Instant::now()));
        }
    });
    let times = (0..WAKES)
        .map(|_| {
            let (completer, completion) = completion();
            completers.send(completer).unwrap();
            wait(Operation::new(completion)).unwrap().elapsed()
        })
        .collect();
    drop(completers);
    giving.join().unwrap();
    median(name, times);
}

fn made_ready() -> Operation<Completion<usize, Unfinished>> {
    let (completer, completion) = completion();
    completer.complete(Ok(7));
    Operation::new(completion)
}

fn polled(op: &mut Operation<Completion<usize, Unfinished>>) -> usize {
    match std::pin::Pin::new(op).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Ok(value)) => value,
        _ => 0,
    }
}

/// The median time of `work`, on values that were made before.
fn batched<T>(name: &str, make: impl Fn() -> T, work: impl Fn(T) -> usize) {
    let mut times: Vec<f64> = (0..REPETITIONS)
        .map(|_| {
            let values: Vec<T> = (0..BATCH).map(|_| make()).collect();
            let start = Instant::now();
            let sum: usize = values.into_iter().map(|value| work(black_box(value))).sum();
            let took = start.elapsed();
            assert_eq!(sum, 7 * BATCH, "{name} gave another result");
            took.as_nanos() as f64 / BATCH as f64
        })
        .collect();
    times.sort_by(f64::total_cmp);
    metric(name, times[times.len() / 2], "ns");
}

fn median(name: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    metric(name, times[times.len() / 2].as_nanos() as f64, "ns");
}
