//! Every order of the verbs means the same, with every source and every executor.

use std::pin::Pin;
use std::time::{Duration, Instant};

use sk_function::{Operation, Source, Unfinished};

use super::{
    Counts, FAR, Outcome, closure, eventually, ms, pulled, remote, shared_threads, watched,
};

type Awaited = Pin<Box<dyn Future<Output = Outcome> + Send>>;
type Wait<S> = (&'static str, fn(Operation<S>, Duration) -> Outcome);
type Await<S> = (&'static str, fn(Operation<S>, Duration) -> Awaited);
type Executor = (&'static str, fn(Awaited) -> Outcome);

fn waits<S>() -> Vec<Wait<S>>
where
    S: Source<Output = u32, Error = Unfinished> + Send + 'static,
{
    vec![
        ("timeout wait", |op, limit| op.timeout(limit).wait()),
        ("timeout background wait", |op, limit| op.timeout(limit).background().wait()),
        ("background timeout wait", |op, limit| op.background().timeout(limit).wait()),
        ("limit, far", |op, limit| op.timeout(limit).timeout(FAR).wait()),
        ("far, limit", |op, limit| op.timeout(FAR).timeout(limit).wait()),
        ("limit, far, background", |op, limit| op.timeout(limit).timeout(FAR).background().wait()),
        ("limit, background, far", |op, limit| op.timeout(limit).background().timeout(FAR).wait()),
        ("far, background, limit", |op, limit| op.timeout(FAR).background().timeout(limit).wait()),
        ("limit, maximum", |op, limit| op.timeout(limit).timeout(Duration::MAX).wait()),
        ("maximum, background, limit", |op, limit| {
            op.timeout(Duration::MAX).background().timeout(limit).wait()
        }),
        ("background twice", |op, limit| op.background().background().timeout(limit).wait()),
        ("wait in pieces", |op, limit| {
            let mut running = op.timeout(limit).background();
            loop {
                if let Some(outcome) = running.wait_timeout(ms(3)) {
                    return outcome;
                }
            }
        }),
        ("look, then wait", |op, limit| {
            let running = op.timeout(limit).background();
            while !running.is_done() {
                std::thread::sleep(ms(1));
            }
            running.wait()
        }),
    ]
}

fn awaits<S>() -> Vec<Await<S>>
where
    S: Source<Output = u32, Error = Unfinished> + Send + 'static,
{
    vec![
        ("timeout await", |op, limit| Box::pin(op.timeout(limit))),
        ("timeout background await", |op, limit| Box::pin(op.timeout(limit).background())),
        ("background timeout await", |op, limit| Box::pin(op.background().timeout(limit))),
        ("limit, far, await", |op, limit| Box::pin(op.timeout(limit).timeout(FAR))),
        ("far, limit, await", |op, limit| Box::pin(op.timeout(FAR).timeout(limit))),
        ("far, background, limit, await", |op, limit| {
            Box::pin(op.timeout(FAR).background().timeout(limit))
        }),
        ("polled, then timeout await", |mut op, limit| {
            Box::pin(async move {
                assert!(futures::poll!(&mut op).is_pending());
                op.timeout(limit).await
            })
        }),
        ("polled, then background await", |op, limit| {
            let mut op = op.timeout(limit);
            Box::pin(async move {
                assert!(futures::poll!(&mut op).is_pending());
                op.background().await
            })
        }),
    ]
}

fn executors() -> Vec<Executor> {
    vec![
        ("tokio, current thread", |future| {
            tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
        }),
        ("tokio, multi thread, spawned", |future| {
            let mut builder = tokio::runtime::Builder::new_multi_thread();
            let runtime = builder.worker_threads(2).build().unwrap();
            runtime.block_on(runtime.spawn(future)).unwrap()
        }),
        ("futures", |future| futures::executor::block_on(future)),
    ]
}

/// Work that comes in time is given; work that does not is cancelled, once.
fn all_orders<S>(make: fn(Option<Duration>, &Counts) -> Operation<S>)
where
    S: Source<Output = u32, Error = Unfinished> + Send + 'static,
{
    let limit = ms(15);
    for (after, limit, expected) in
        [(Some(ms(5)), FAR, Ok(7)), (None, limit, Err(Unfinished::TimedOut(limit)))]
    {
        let check = |what: &str, run: &dyn Fn(Operation<S>) -> Outcome| {
            let counts = Counts::default();
            let start = Instant::now();
            let outcome = run(make(after, &counts));
            assert!(start.elapsed() >= after.unwrap_or(limit), "{what}: too soon");
            assert_eq!(outcome, expected, "{what}");
            assert_eq!(counts.begun(), 1, "{what}");
            let cancelled = u32::from(expected.is_err());
            eventually(what, || counts.cancelled() == cancelled);
        };
        for (what, wait) in waits() {
            check(what, &|op| wait(op, limit));
        }
        for (executor, run) in executors() {
            for (what, make_future) in awaits() {
                check(&format!("{executor}: {what}"), &|op| run(make_future(op, limit)));
            }
        }
    }
}

/// Rows: FUN-28, FUN-29
#[test]
fn orders_of_work_that_goes_on_by_itself() {
    watched(|| all_orders(remote));
}

/// Rows: FUN-28, FUN-29
#[test]
fn orders_of_work_that_is_driven() {
    watched(|| {
        let _threads = shared_threads();
        all_orders(pulled);
    });
}

/// Rows: FUN-28, FUN-29, FUN-37
#[test]
fn orders_of_a_closure_that_blocks() {
    watched(|| {
        let _threads = shared_threads();
        all_orders(closure);
    });
}

/// Rows: FUN-28
#[test]
fn without_a_limit_it_waits() {
    watched(|| {
        let _threads = shared_threads();
        let counts = Counts::default();
        let after = Some(ms(5));
        assert_eq!(remote(after, &counts).wait(), Ok(7));
        assert_eq!(pulled(after, &counts).wait(), Ok(7));
        assert_eq!(closure(after, &counts).wait(), Ok(7));
        assert_eq!(remote(after, &counts).background().wait(), Ok(7));
        assert_eq!(pulled(after, &counts).background().wait(), Ok(7));
        assert_eq!(closure(after, &counts).background().wait(), Ok(7));
        for (executor, run) in executors() {
            assert_eq!(run(Box::pin(remote(after, &counts))), Ok(7), "{executor}");
            assert_eq!(run(Box::pin(pulled(after, &counts))), Ok(7), "{executor}");
            assert_eq!(run(Box::pin(closure(after, &counts))), Ok(7), "{executor}");
            assert_eq!(run(Box::pin(pulled(after, &counts).background())), Ok(7), "{executor}");
        }
        assert_eq!((counts.begun(), counts.cancelled()), (18, 0));
    });
}
