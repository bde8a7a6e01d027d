//! Retry, limits and ids of calls: one order of effect whatever the order of writing.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use sk_cereal::internal;
use sk_function::{
    BlockingThreads, Bound, CallId, CancelFlag, Context, Failure, FailureKind, Function, Repeat,
    Retry, bind, function,
};

use crate::operation::{FAR, eventually, ms, own_threads, shared_threads, watched};

/// What an attempt knows of itself.
fn told() -> (CallId, u32, bool) {
    let context = Context::current().unwrap();
    (context.id(), context.attempt(), context.remaining().is_some_and(|left| left <= FAR))
}

type Told = (CallId, u32, bool);

#[function]
fn at_third(_unused: ()) -> Result<Told, String> {
    let told = told();
    if told.1 < 3 { Err(format!("attempt {}", told.1)) } else { Ok(told) }
}

#[function]
async fn at_third_later(_unused: ()) -> Result<Told, String> {
    at_third(())
}

fn quick() -> Retry {
    Retry::new().attempts(3).delay(Duration::ZERO)
}

#[derive(Debug, Clone, Copy)]
enum Ask {
    Retry,
    Timeout(u64),
    AttemptTimeout(u64),
    Id(u128),
}

trait Asked: Sized {
    fn ask(self, ask: Ask) -> Self;
}

macro_rules! asked {
    ($($kind:ty),*) => { $(
        impl Asked for $kind {
            fn ask(self, ask: Ask) -> Self {
                match ask {
                    Ask::Retry => self.retry(quick()),
                    Ask::Timeout(hours) => self.timeout(FAR * u32::try_from(hours).unwrap()),
                    Ask::AttemptTimeout(hours) => {
                        self.attempt_timeout(FAR * u32::try_from(hours).unwrap())
                    }
                    Ask::Id(bits) => self.with_id(CallId::from_bits(bits)),
                }
            }
        }
    )* };
}

type AtThird = fn(()) -> Result<Told, String>;
asked!(Function, Bound<AtThird, ((),)>);

fn asks() -> impl Strategy<Value = Vec<Ask>> {
    let asks = [
        Ask::Retry,
        Ask::Timeout(3),
        Ask::Timeout(2),
        Ask::AttemptTimeout(1),
        Ask::AttemptTimeout(4),
        Ask::Id(7),
    ];
    Just(asks.to_vec()).prop_shuffle()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    /// Rows: FUN-29
    #[test]
    fn the_order_of_writing_does_not_matter(one in asks(), other in asks(), count in 0_usize..=6) {
        let _threads = shared_threads();
        // Of each the same is asked, in two orders: all of it, or the first few of it, sorted.
        let function = |asks: &[Ask]| {
            let function = at_third::function().arg("_unused", ()).unwrap();
            asks.iter().fold(function, |function, ask| function.ask(*ask))
        };
        let (first, second) = (function(&one), function(&other));
        prop_assert_eq!(format!("{first:?}"), format!("{second:?}"));
        prop_assert_eq!(internal::to_vec(&first).unwrap(), internal::to_vec(&second).unwrap());
        let expected = (CallId::from_bits(7), 3, true);
        prop_assert_eq!(first.try_execute::<Told>().unwrap(), expected);
        prop_assert_eq!(second.try_operation::<Told>().wait().unwrap(), expected);

        let bound = |asks: &[Ask]| {
            asks.iter().fold(bind(at_third as AtThird, ((),)), |bound, ask| bound.ask(*ask))
        };
        prop_assert_eq!(format!("{:?}", bound(&one)), format!("{:?}", bound(&other)));
        prop_assert_eq!(bound(&one).try_execute().unwrap(), expected);
        prop_assert_eq!(bound(&other).try_operation().wait().unwrap(), expected);

        // A part of it, and that part the other way round.
        let part = &one[..count];
        let reversed: Vec<_> = part.iter().rev().copied().collect();
        let outcome = |asks: &[Ask]| bound(asks).try_execute().map_err(|failure| failure.attempts());
        match (outcome(part), outcome(&reversed)) {
            (Ok(one), Ok(other)) => {
                prop_assert_eq!((one.1, one.2), (other.1, other.2));
                prop_assert_eq!(internal::to_vec(&function(part)).unwrap(), internal::to_vec(&function(&reversed)).unwrap());
            }
            (one, other) => prop_assert_eq!(one.unwrap_err(), other.unwrap_err()),
        }
    }
}

/// Rows: FUN-28, FUN-29
#[test]
fn limits_and_the_background_compose_in_any_order() {
    watched(|| {
        let _threads = shared_threads();
        let bound = || bind(|n: u64| n + 1, (1,));
        assert_eq!(bound().timeout(FAR).operation().background().wait().unwrap(), 2);
        assert_eq!(bound().operation().timeout(FAR).background().wait().unwrap(), 2);
        assert_eq!(bound().operation().background().timeout(FAR).wait().unwrap(), 2);
        futures::executor::block_on(async {
            assert_eq!(bound().timeout(FAR).operation().await.unwrap(), 2);
            assert_eq!(bound().operation().background().timeout(FAR).await.unwrap(), 2);
            assert_eq!(bound().operation().timeout(FAR).background().await.unwrap(), 2);
        });
    });
}

/// Waits for its flag and says when it was set.
fn waits(set: mpsc::Sender<CallId>) -> impl Fn() -> bool + Send + Sync + 'static {
    move || {
        let context = Context::current().unwrap();
        context.cancel_flag().wait();
        set.send(context.id()).is_ok()
    }
}

fn check_timeout(failure: &Failure, function: &str, limit: Duration) {
    assert_eq!(failure.kind(), FailureKind::Timeout, "{failure}");
    assert!(failure.function().unwrap().contains(function), "{failure}");
    assert_eq!(failure.limit(), Some(limit));
    assert!(failure.to_string().contains(&format!("{limit:?}")), "{failure}");
}

/// Rows: FUN-37
#[test]
fn a_timeout_names_the_function_and_the_limit_and_sets_its_flag() {
    #[function(name = "it.limits.later")]
    async fn later() -> u8 {
        std::future::pending().await
    }
    watched(|| {
        let _threads = shared_threads();
        let (tell, told) = mpsc::channel();
        let id = CallId::new();
        let function = || Function::local(waits(tell.clone())).with_id(id);
        let cases: [&dyn Fn(Duration) -> Failure; 7] = [
            &|limit| function().timeout(limit).execute::<bool>().unwrap_err(),
            &|limit| function().attempt_timeout(limit).execute::<bool>().unwrap_err(),
            &|limit| function().timeout(limit).attempt_timeout(FAR).execute::<bool>().unwrap_err(),
            &|limit| function().operation::<bool>().timeout(limit).wait().unwrap_err(),
            &|limit| function().operation::<bool>().background().timeout(limit).wait().unwrap_err(),
            &|limit| {
                let operation = function().timeout(limit).operation::<bool>();
                futures::executor::block_on(operation).unwrap_err()
            },
            &|limit| {
                let bound = bind(shared(waits(tell.clone())), ()).with_id(id);
                bound.timeout(limit).execute().unwrap_err()
            },
        ];
        for case in cases {
            let mut limit = ms(5);
            loop {
                let failure = case(limit);
                check_timeout(&failure, "modifiers::", limit);
                // On a machine that is busy the limit may pass before the function has begun: then it never does.
                match told.recv_timeout(limit * 20) {
                    Ok(told) => break assert_eq!(told, id),
                    Err(_) => limit *= 2,
                }
                assert!(limit < FAR);
            }
        }
        let failures = [
            later::bind().timeout(ms(5)).execute().wait().unwrap_err(),
            later::bind().attempt_timeout(ms(5)).execute().wait().unwrap_err(),
            later::function().timeout(ms(5)).operation::<u8>().wait().unwrap_err(),
            later::function()
                .attempt_timeout(ms(5))
                .operation::<u8>()
                .background()
                .wait()
                .unwrap_err(),
            futures::executor::block_on(later::bind().timeout(ms(5)).execute()).unwrap_err(),
        ];
        failures.iter().for_each(|failure| check_timeout(failure, "it.limits.later", ms(5)));
        drop(later());
    });
}

/// A closure that can be cloned.
fn shared<R>(
    function: impl Fn() -> R + Send + Sync + 'static,
) -> impl Fn() -> R + Clone + Send + Sync + 'static {
    let function = Arc::new(function);
    move || function()
}

/// Rows: FUN-37
#[test]
fn a_thread_whose_call_was_timed_out_stays_counted_until_it_returns() {
    watched(|| {
        let _threads = own_threads(4);
        let (go, gone) = mpsc::channel::<()>();
        let (tell, told) = mpsc::channel();
        let gone = std::sync::Mutex::new(gone);
        let stubborn = Function::local(move || {
            // It does not look at its flag before somebody lets it go.
            let _ = gone.lock().unwrap().recv();
            tell.send(Context::current().unwrap().is_cancelled()).unwrap();
        });
        let failure = stubborn.attempt_timeout(ms(5)).execute::<()>().unwrap_err();
        assert!(failure.is_timeout());
        assert_eq!(BlockingThreads::running(), 1);
        drop(go);
        assert!(told.recv().unwrap());
        eventually("its thread ends", || BlockingThreads::running() == 0);
    });
}

/// Rows: FUN-37, FUN-46
#[test]
fn the_limit_of_one_attempt_does_not_cancel_the_next() {
    #[function]
    async fn later(first: u32) -> Result<(u32, bool), String> {
        let context = Context::current().unwrap();
        if context.attempt() <= first {
            std::future::pending::<()>().await;
        }
        Ok((context.attempt(), context.is_cancelled()))
    }
    fn sync(first: u32) -> Result<(u32, bool), String> {
        let context = Context::current().unwrap();
        if context.attempt() <= first {
            context.cancel_flag().wait();
        }
        Ok((context.attempt(), context.is_cancelled()))
    }
    watched(|| {
        let _threads = shared_threads();
        let bound = bind(sync, (2,)).retry(quick()).attempt_timeout(ms(5));
        assert_eq!(bound.clone().try_execute().unwrap(), (3, false));
        assert_eq!(bound.try_operation().background().wait().unwrap(), (3, false));
        let bound = bind(later, (2,)).attempt_timeout(ms(5)).retry(quick());
        assert_eq!(bound.clone().try_async_operation().wait().unwrap(), (3, false));
        assert_eq!(futures::executor::block_on(bound.try_async_operation()).unwrap(), (3, false));
        // All attempts pass it: the last is told.
        let failure =
            bind(sync, (9,)).retry(quick()).attempt_timeout(ms(5)).try_execute().unwrap_err();
        check_timeout(&failure, "sync", ms(5));
        assert_eq!(failure.attempts(), 3);
        assert_eq!(later::declaration().repeat(), Repeat::Undeclared);
        let outside = Context::new().enter(|| futures::executor::block_on(later(0)));
        assert_eq!(outside, Ok((1, false)));
    });
}

/// Rows: FUN-37
#[test]
fn what_a_function_declares_is_its_limit_until_its_caller_says_another() {
    #[function(timeout = "5ms")]
    fn limited(wait: bool) -> bool {
        let flag = Context::current().unwrap().cancel_flag().clone();
        if wait {
            flag.wait();
        }
        flag.is_cancelled()
    }
    watched(|| {
        let _threads = shared_threads();
        let wait = || limited::bind().wait(true);
        check_timeout(&wait().execute().unwrap_err(), "limited", ms(5));
        let function = wait().function().unwrap();
        check_timeout(&function.execute::<bool>().unwrap_err(), "limited", ms(5));
        check_timeout(&wait().attempt_timeout(ms(6)).execute().unwrap_err(), "limited", ms(6));
        let smaller = wait().attempt_timeout(ms(8)).attempt_timeout(ms(7)).attempt_timeout(FAR);
        check_timeout(&smaller.execute().unwrap_err(), "limited", ms(7));
        assert!(!limited::bind().wait(false).execute().unwrap());
        assert!(!Context::new().enter(|| limited(false)));
    });
}

/// Rows: FUN-29
#[test]
fn what_may_have_run_is_repeated_only_where_somebody_said_so() {
    let _threads = shared_threads();
    static RUNS: AtomicU32 = AtomicU32::new(0);
    fn fails(_: ()) -> Result<(), String> {
        RUNS.fetch_add(1, Ordering::SeqCst);
        Err("no".to_owned())
    }
    let runs = || RUNS.swap(0, Ordering::SeqCst);
    assert!(bind(fails, ((),)).try_execute().is_err());
    assert_eq!(runs(), 1);
    assert!(bind(fails, ((),)).attempt_timeout(FAR).retry(Retry::implied()).try_execute().is_err());
    assert_eq!(runs(), 1);
    // An Err is a failure only for the verbs that try.
    assert_eq!(bind(fails, ((),)).retry(quick()).execute().unwrap(), Err("no".to_owned()));
    assert_eq!(runs(), 1);
    let failure = bind(fails, ((),)).retry(quick()).try_execute().unwrap_err();
    assert_eq!((runs(), failure.attempts()), (3, 3));
    let limited = quick().only([FailureKind::Panic]);
    let failure = bind(fails, ((),)).retry(limited).try_execute().unwrap_err();
    assert_eq!((runs(), failure.attempts()), (1, 1));
    assert!(failure.not_repeated().unwrap().contains("leaves out this error"));
}

#[test]
fn a_policy_for_what_must_not_be_done_twice_is_refused_before_anything_runs() {
    static RUNS: AtomicU32 = AtomicU32::new(0);
    #[function(never_retry)]
    fn pay(cents: u32) -> u32 {
        RUNS.fetch_add(1, Ordering::SeqCst);
        cents
    }
    #[function(never_retry)]
    async fn pay_later(cents: u32) -> u32 {
        pay(cents)
    }
    let function = pay::function().arg("cents", 1).unwrap();
    for failure in [
        pay::bind().cents(1).retry(quick()).execute().unwrap_err(),
        pay_later::bind().cents(1).retry(quick()).execute().wait().unwrap_err(),
        function.clone().retry(quick()).execute::<u32>().unwrap_err(),
        function.retry(quick()).operation::<u32>().wait().unwrap_err(),
    ] {
        assert!(!failure.has_started() && failure.function().unwrap().contains("it.modifiers.pay"));
        assert!(failure.to_string().contains("declared never_retry"), "{failure}");
    }
    assert_eq!(RUNS.load(Ordering::SeqCst), 0);
    assert_eq!(pay::bind().cents(2).retry(quick().attempts(1)).execute().unwrap(), 2);
}

#[test]
fn a_wrong_policy_is_refused_and_says_which_value_is_wrong() {
    let ran = Arc::new(AtomicBool::new(false));
    let wrong = [
        (Retry::new().attempts(0), "at least 1 attempt, not 0"),
        (Retry::new().factor(-1.0), "not negative, not -1"),
        (Retry::new().factor(f64::NAN), "not NaN"),
        (Retry::new().factor(f64::INFINITY), "not inf"),
        (Retry::new().jitter(sk_function::Jitter::PlusMinus(2.0)), "from 0 to 1, not 2"),
    ];
    for (policy, expected) in wrong {
        let ran = Arc::clone(&ran);
        let function =
            Function::local(move || ran.store(true, Ordering::SeqCst)).retry(policy.clone());
        let later = bind(async || 1_u8, ()).retry(policy);
        let failures =
            [function.execute::<()>().unwrap_err(), later.async_operation().wait().unwrap_err()];
        for failure in failures {
            assert!(failure.to_string().contains(expected), "{failure}");
            assert!(!failure.has_started() && failure.function().is_some());
        }
    }
    assert!(!ran.load(Ordering::SeqCst));
}

/// A limit that has passed before the call begins.
///
/// Rows: FUN-37
#[test]
fn a_limit_of_zero_is_a_timeout_and_one_without_end_is_none() {
    watched(|| {
        let _threads = shared_threads();
        let waits = || {
            Context::current().unwrap().cancel_flag().wait();
        };
        let zero = Duration::ZERO;
        check_timeout(&bind(waits, ()).timeout(zero).execute().unwrap_err(), "modifiers", zero);
        check_timeout(
            &bind(waits, ()).attempt_timeout(zero).execute().unwrap_err(),
            "modifiers",
            zero,
        );
        let all = bind(waits, ()).attempt_timeout(zero).timeout(zero).retry(quick());
        check_timeout(&all.execute().unwrap_err(), "modifiers", zero);
        let later = bind(async || std::future::pending::<u8>().await, ()).timeout(zero);
        check_timeout(&later.async_operation().wait().unwrap_err(), "modifiers", zero);
        let endless = bind(|| Context::current().unwrap().deadline(), ());
        let endless = endless.timeout(Duration::MAX).attempt_timeout(Duration::MAX);
        assert_eq!(endless.execute().unwrap(), None);
    });
}

/// Rows: FUN-29
#[test]
fn a_wait_that_would_pass_the_limit_is_not_begun() {
    watched(|| {
        let _threads = shared_threads();
        let fails = || Err::<(), _>("no");
        let failure = bind(fails, ()).retry(quick().delay(FAR)).timeout(ms(60_000));
        let failure = failure.try_execute().unwrap_err();
        assert!(failure.is_error() && failure.attempts() == 1);
        assert!(failure.not_repeated().unwrap().contains("deadline"), "{failure}");
    });
}

/// Panics when it is dropped, if it is told to.
#[derive(Clone, Serialize, Deserialize)]
struct Drops(bool);

impl Drop for Drops {
    fn drop(&mut self) {
        if self.0 && !std::thread::panicking() {
            panic!("an argument was dropped");
        }
    }
}

#[test]
fn a_panic_anywhere_in_a_call_is_its_failure() {
    fn takes(argument: Drops) -> bool {
        argument.0
    }
    async fn takes_later(argument: Drops) -> bool {
        argument.0
    }
    watched(|| {
        let _threads = shared_threads();
        let policy = || quick().attempts(1);
        // The one that makes the argument is not told to, the clones are.
        let bound = || bind(takes, (Drops(true),));
        let later = || bind(takes_later, (Drops(true),));
        let failures = [
            bound().execute().unwrap_err(),
            bound().retry(policy()).execute().unwrap_err(),
            bound().attempt_timeout(FAR).execute().unwrap_err(),
            bound().timeout(FAR).execute().unwrap_err(),
            bound().operation().wait().unwrap_err(),
            bound().operation().background().wait().unwrap_err(),
            later().async_operation().wait().unwrap_err(),
            later().retry(policy()).async_operation().wait().unwrap_err(),
            later().async_operation().background().wait().unwrap_err(),
            futures::executor::block_on(later().async_operation()).unwrap_err(),
            Function::of(takes).positional((true,)).unwrap().execute::<bool>().unwrap_err(),
        ];
        for failure in failures {
            assert!(failure.is_panic() || failure.is_undecodable(), "{failure}");
        }
        let panics = || -> u8 { panic!("inside") };
        let failure = bind(panics, ()).retry(quick()).execute().unwrap_err();
        assert_eq!((failure.attempts(), failure.message()), (3, Some("inside")));
        let failure = bind(panics, ()).execute().unwrap_err();
        assert!(failure.function().unwrap().contains("closure"));
        let predicate = quick().only_if(|_| panic!("in the predicate"));
        let failure = bind(panics, ()).retry(predicate).execute().unwrap_err();
        assert_eq!((failure.attempts(), failure.message()), (1, Some("inside")));
        assert!(failure.not_repeated().unwrap().contains("in the predicate"), "{failure}");
    });
}

/// Two tasks on one thread: the second sees to it that the first ends. It hangs if the first blocks
/// the thread.
///
/// Rows: FUN-30
#[test]
fn retries_and_limits_of_async_calls_block_no_executor() {
    watched(|| {
        let _threads = shared_threads();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let ticks = Cell::new(0_u32);
            let tick = async {
                loop {
                    tokio::task::yield_now().await;
                    ticks.set(ticks.get() + 1);
                }
            };
            let calls = async {
                let policy = Retry::new().attempts(3).delay(ms(5));
                let before = ticks.get();
                let outcome = at_third_later::bind()._unused(()).bound().retry(policy.clone());
                assert_eq!(outcome.try_async_operation().await.unwrap().1, 3);
                assert!(ticks.get() > before, "the waits between attempts blocked");
                let before = ticks.get();
                let never = bind(async || std::future::pending::<u8>().await, ());
                assert!(
                    never.attempt_timeout(ms(5)).async_operation().await.unwrap_err().is_timeout()
                );
                assert!(ticks.get() > before, "the limit blocked");
                let before = ticks.get();
                assert_eq!(bind(at_third, ((),)).retry(policy).try_operation().await.unwrap().1, 3);
                assert!(ticks.get() > before, "a synchronous call blocked");
            };
            tokio::select! {
                () = tick => unreachable!(),
                () = calls => {}
            }
        });
    });
}

/// Rows: FUN-28
#[test]
fn the_sync_form_needs_no_runtime_and_the_waits_are_waited() {
    watched(|| {
        let _threads = shared_threads();
        let begun = Instant::now();
        let policy = Retry::new().attempts(3).delay(ms(10));
        let bound = || bind(at_third, ((),)).retry(policy.clone());
        assert_eq!(bound().try_execute().unwrap().1, 3);
        assert!(begun.elapsed() >= ms(20));
        assert_eq!(bound().try_operation().wait().unwrap().1, 3);
        let later = bind(at_third_later, ((),)).retry(policy.clone());
        assert_eq!(later.try_async_operation().wait().unwrap().1, 3);
        assert!(begun.elapsed() >= ms(60));
    });
}

/// Rows: FUN-45, FUN-46
#[test]
fn an_id_is_known_before_and_the_same_in_all_attempts() {
    #[function]
    fn seen(context: &Context, fails: u32) -> Result<(CallId, u32, bool), String> {
        let current = Context::current().unwrap();
        assert_eq!((current.id(), current.attempt()), (context.id(), context.attempt()));
        assert_eq!(current.deadline(), context.deadline());
        assert!(current.cancel_flag().is_same(context.cancel_flag()));
        (context.attempt() > fails)
            .then(|| (context.id(), context.attempt(), context.deadline().is_some()))
            .ok_or_else(|| context.id().to_string())
    }
    watched(|| {
        let _threads = shared_threads();
        let id = CallId::new();
        let function = || seen::function().arg("fails", 0).unwrap().with_id(id);
        type Answer = Result<(CallId, u32, bool), String>;
        assert_eq!(function().execute::<Answer>().unwrap().unwrap(), (id, 1, false));
        let limited = function().timeout(FAR).execute::<Answer>().unwrap();
        assert_eq!(limited.unwrap(), (id, 1, true));
        let limited = function().attempt_timeout(FAR).execute::<Answer>().unwrap();
        assert_eq!(limited.unwrap(), (id, 1, true));
        let there: Function =
            internal::from_slice(&internal::to_vec(&function()).unwrap()).unwrap();
        assert_eq!(there.execute::<Answer>().unwrap().unwrap().0, id);
        let two = [(); 2].map(|()| seen::bind().fails(0).execute().unwrap().unwrap().0);
        assert_ne!(two[0], two[1]);
    });
    let third = bind(at_third, ((),)).retry(quick()).with_id(CallId::from_bits(5));
    assert_eq!(third.try_execute().unwrap(), (CallId::from_bits(5), 3, false));
}

/// Rows: FUN-46
#[test]
fn a_call_within_a_call_has_a_context_of_its_own() {
    let (outer, inner) = bind(
        || {
            let outer = Context::current().unwrap().id();
            (outer, bind(|| Context::current().unwrap().id(), ()).execute().unwrap())
        },
        (),
    )
    .execute()
    .unwrap();
    assert_ne!(outer, inner);
    assert!(Context::current().is_none());
}

/// Rows: FUN-28
#[test]
fn a_handle_that_is_dropped_cancels_the_call() {
    watched(|| {
        let _threads = shared_threads();
        let (tell, told) = mpsc::channel();
        let (begin, begun) = mpsc::channel();
        let waits = waits(tell);
        let function = Function::local(move || {
            begin.send(()).unwrap();
            waits()
        });
        for function in
            [function.clone(), function.clone().attempt_timeout(FAR), function.retry(quick())]
        {
            let running = function.operation::<bool>().background();
            begun.recv().unwrap();
            drop(running);
            told.recv().unwrap();
        }
    });
}

#[test]
fn what_a_call_holds_is_gone_when_it_has_ended() {
    watched(|| {
        let _threads = shared_threads();
        let held = Arc::new(CancelFlag::new());
        let function = |held: &Arc<CancelFlag>| {
            let held = Arc::clone(held);
            Function::local(move || held.is_cancelled())
        };
        assert!(!function(&held).execute::<bool>().unwrap());
        assert!(
            !function(&held)
                .retry(quick())
                .timeout(FAR)
                .attempt_timeout(FAR)
                .execute::<bool>()
                .unwrap()
        );
        drop(function(&held).operation::<bool>());
        eventually("nothing holds it", || Arc::strong_count(&held) == 1);
    });
}

/// Rows: FUN-30, FUN-37
#[test]
fn a_call_that_waits_for_its_attempt_takes_no_thread_from_it() {
    fn doubled(n: u64) -> u64 {
        n * 2
    }
    watched(|| {
        // One thread may be at work. Each call below waits on a kept thread for one more.
        let _threads = own_threads(1);
        let call = bind(doubled, (4,)).attempt_timeout(FAR).timeout(FAR);
        assert_eq!(call.clone().execute(), Ok(8));
        let running: Vec<_> = (0..8).map(|_| call.clone().operation().background()).collect();
        for running in running {
            assert_eq!(running.wait(), Ok(8));
        }
        eventually("its threads end", || BlockingThreads::running() == 0);
    });
}

/// Rows: FUN-37, FUN-46
#[test]
fn a_cancelled_call_waits_for_no_attempt_and_one_that_queued_never_started() {
    watched(|| {
        let _threads = own_threads(1);
        let (started, has_started) = mpsc::channel();
        let stubborn = Function::local(move || {
            let flag = Context::current().unwrap().cancel_flag().clone();
            started.send(()).unwrap();
            flag.wait();
        });
        // The thread that waits for the attempt looks at the flag of the whole.
        let running = stubborn.attempt_timeout(FAR).operation::<()>().background();
        has_started.recv().unwrap();
        drop(running);
        eventually("both threads end", || BlockingThreads::running() == 0);

        let (go, gone) = mpsc::channel::<()>();
        let holding = sk_function::blocking(move |_| Ok::<_, Failure>(gone.recv().is_err()));
        let holding = holding.background();
        let failure = bind(|| (), ()).attempt_timeout(ms(5)).execute().unwrap_err();
        assert!(failure.is_timeout() && !failure.has_started(), "{failure}");
        drop(go);
        assert_eq!(holding.wait(), Ok(true));
    });
}

/// Rows: FUN-45
#[test]
fn a_name_does_not_keep_the_id_of_one_execution() {
    let id = CallId::new();
    let told = Function::local(|| Context::current().unwrap().id().bits()).with_id(id);
    assert_eq!(told.clone().execute::<u128>(), Ok(id.bits()));
    told.register("it.modifiers.told").unwrap();
    let again = || Function::get("it.modifiers.told").unwrap().execute::<u128>().unwrap();
    let (first, second) = (again(), again());
    assert!(first != id.bits() && second != id.bits() && first != second);
}

/// Rows: FUN-30, FUN-37
#[test]
fn an_async_function_in_the_background_takes_no_thread_from_what_it_awaits() {
    #[function]
    async fn outer() -> u32 {
        let inner = sk_function::blocking(|_| Ok::<u32, Failure>(7));
        inner.await.unwrap()
    }
    watched(|| {
        let _threads = own_threads(1);
        let all: Vec<_> = (0..3).map(|_| outer::bind().execute().background()).collect();
        for running in all {
            assert_eq!(running.wait(), Ok(7));
        }
        // One that waits for what another is to complete.
        let (completer, completion) = sk_function::completion::<u32, Failure>();
        let waits = sk_function::blocking(move |_| sk_function::Operation::new(completion).wait());
        let waits = waits.background();
        let gives = sk_function::blocking(move |_| {
            completer.complete(Ok(3));
            Ok::<(), Failure>(())
        });
        gives.background().wait().unwrap();
        assert_eq!(waits.wait(), Ok(3));
    });
}

/// Rows: FUN-37
#[test]
fn a_kept_thread_that_ends_may_wait_in_what_it_drops() {
    struct Waits(mpsc::Sender<Result<u32, Failure>>);
    impl Drop for Waits {
        fn drop(&mut self) {
            let inner = sk_function::blocking(|_| Ok::<u32, Failure>(7)).timeout(FAR);
            let _ = self.0.send(inner.wait());
        }
    }
    thread_local! {
        static LEFT: std::cell::RefCell<Option<Waits>> = const { std::cell::RefCell::new(None) };
    }
    watched(|| {
        let _threads = own_threads(2);
        BlockingThreads::new().at_most(2).kept_for(Duration::ZERO).set();
        let (tell, told) = mpsc::channel();
        let leaves = sk_function::blocking(move |_| {
            LEFT.set(Some(Waits(tell)));
            Ok::<(), Failure>(())
        });
        leaves.background().wait().unwrap();
        assert_eq!(told.recv().unwrap(), Ok(7));
        eventually("the counts are right", || BlockingThreads::running() == 0);
        assert_eq!(sk_function::blocking(|_| Ok::<u32, Failure>(8)).background().wait(), Ok(8));
    });
}

/// Rows: FUN-29, FUN-46
#[test]
fn the_deadline_is_that_of_the_limit_however_it_was_written() {
    fn left() -> Option<Duration> {
        Context::current().unwrap().remaining()
    }
    #[function]
    async fn left_later() -> Option<Duration> {
        left()
    }
    watched(|| {
        let _threads = shared_threads();
        let limits = [
            bind(left, ()).timeout(FAR).operation().wait(),
            bind(left, ()).operation().timeout(FAR).wait(),
            bind(left, ()).timeout(FAR).execute(),
            left_later::bind().timeout(FAR).execute().wait(),
            left_later::bind().execute().timeout(FAR).wait(),
            left_later::function().timeout(FAR).operation().wait(),
            left_later::function().operation().timeout(FAR).background().wait(),
        ];
        for (at, left) in limits.into_iter().enumerate() {
            let left = left.unwrap().unwrap_or_else(|| panic!("no deadline in {at}"));
            assert!(left <= FAR && left > FAR / 2, "{left:?} in {at}");
        }
        assert_eq!(bind(left, ()).operation().wait(), Ok(None));

        // It counts from the begin, not from the making.
        let limit = Duration::from_millis(400);
        let made = left_later::bind().timeout(limit).execute();
        let pause = Instant::now();
        while pause.elapsed() < limit {
            std::thread::park_timeout(limit);
        }
        assert!(made.wait().unwrap().unwrap() > Duration::ZERO);
    });
}
