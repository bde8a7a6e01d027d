//! The retry policy: its decisions without a clock, and the loops around them.

use std::cell::{Cell, RefCell};
use std::future::{Future, pending, ready};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use futures::executor::block_on;
use proptest::prelude::*;
use sk_cereal::{Json, Value, internal};
use sk_function::{
    BoxError, CancelFlag, Context, Decision, Failure, FailureKind, Jitter, Repeat, Retry, Stop,
    Tries,
};

const SECOND: Duration = Duration::from_secs(1);

/// `count` attempts that all failed like this and took no time.
fn made(count: u32, failure: &Failure) -> Tries {
    (0..count).fold(Tries::default(), |made, _| made.and(failure, Duration::ZERO))
}

fn decide(policy: &Retry, count: u32, failure: &Failure) -> Decision {
    policy.next(made(count, failure), failure, Repeat::Undeclared, 0)
}

/// Runs `work` on a thread and gives up on it after a minute, so that a hang is a failure.
fn watched<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let (done, answer) = mpsc::channel();
    thread::spawn(move || done.send(work()));
    answer.recv_timeout(Duration::from_secs(60)).expect("it hangs")
}

/// Rows: FUN-31
#[test]
fn the_defaults_are_3_attempts_1_second_and_every_failure() {
    let policy = Retry::new();
    for failure in [Failure::exit(1), Failure::signalled(9), Failure::timed_out("run", SECOND)] {
        assert_eq!(decide(&policy, 1, &failure), Decision::Again { after: SECOND });
        assert_eq!(decide(&policy, 2, &failure), Decision::Again { after: SECOND });
        assert_eq!(decide(&policy, 3, &failure), Decision::Stop(Stop::Attempts { limit: 3 }));
    }
}

/// Rows: FUN-31, FUN-32
#[test]
fn waits_grow_by_the_factor_up_to_the_maximum() {
    let policy = Retry::new().attempts(u32::MAX).factor(2.0).maximum_delay(5 * SECOND);
    let failure = Failure::exit(1);
    let waits: Vec<_> = (1..=5).map(|count| decide(&policy, count, &failure)).collect();
    let expected = [1, 2, 4, 5, 5].map(|n| Decision::Again { after: n * SECOND });
    assert_eq!(waits, expected);
}

/// Rows: FUN-32
#[test]
fn a_wait_without_a_maximum_ends_at_an_hour_or_at_the_delay() {
    let failure = Failure::exit(1);
    let policy = Retry::new().attempts(u32::MAX).factor(1e300);
    let hour = Duration::from_secs(3600);
    assert_eq!(decide(&policy, 1000, &failure), Decision::Again { after: hour });
    let policy = policy.delay(3 * hour);
    assert_eq!(decide(&policy, 1000, &failure), Decision::Again { after: 3 * hour });
    let policy = policy.delay(Duration::MAX).jitter(Jitter::PlusMinus(1.0));
    let wait = policy.next(made(9, &failure), &failure, Repeat::Undeclared, u64::MAX);
    assert_eq!(wait, Decision::Again { after: Duration::MAX });
    let policy = policy.delay(Duration::ZERO).jitter(Jitter::None);
    assert_eq!(decide(&policy, 1000, &failure), Decision::Again { after: Duration::ZERO });
}

/// Rows: FUN-34
#[test]
fn a_failure_sets_its_own_delay_within_the_maximum_and_the_budget() {
    let asks = Failure::exit(1).with_retry_after(60 * SECOND);
    let policy = Retry::new().jitter(Jitter::Full).factor(9.0);
    assert_eq!(decide(&policy, 2, &asks), Decision::Again { after: 60 * SECOND });
    let bounded = policy.clone().maximum_delay(30 * SECOND);
    assert_eq!(decide(&bounded, 2, &asks), Decision::Again { after: 30 * SECOND });
    let policy = policy.budget(59 * SECOND);
    let stop = Decision::Stop(Stop::Budget { limit: 59 * SECOND });
    assert_eq!(decide(&policy, 2, &asks), stop);
}

/// Rows: FUN-33
#[test]
fn kinds_and_types_of_errors_are_named_or_left_out() {
    let io = Failure::error(&io::Error::other("x"));
    let parse = Failure::error(&"x".parse::<u8>().unwrap_err());
    let exit = Failure::exit(1);
    let answers = |policy: &Retry| {
        [&io, &parse, &exit]
            .map(|failure| matches!(decide(policy, 1, failure), Decision::Again { .. }))
    };
    assert_eq!(answers(&Retry::new()), [true, true, true]);
    assert_eq!(answers(&Retry::new().only([FailureKind::Error])), [true, true, false]);
    assert_eq!(answers(&Retry::new().except([FailureKind::Error])), [false, false, true]);
    assert_eq!(answers(&Retry::new().only_error::<io::Error>()), [true, false, false]);
    assert_eq!(answers(&Retry::new().except_error::<io::Error>()), [false, true, true]);
    let mixed = Retry::new().only([FailureKind::Exit]).only_error::<io::Error>();
    assert_eq!(answers(&mixed), [true, false, true]);
    let both = mixed.except_error::<io::Error>();
    assert_eq!(answers(&both), [false, false, true]);
    assert_eq!(answers(&Retry::new().only([])), [false, false, false]);
    assert_eq!(answers(&Retry::new().only_if(|failure| !failure.is_error())), [false, false, true]);
}

/// Rows: FUN-33
#[test]
fn a_predicate_that_panics_stops_and_says_so() {
    let policy = Retry::new().only_if(|_| panic!("not so"));
    let stop = Stop::PredicatePanicked { message: "not so".to_owned() };
    assert_eq!(decide(&policy, 1, &Failure::exit(1)), Decision::Stop(stop));
    let failure = policy.run(|_| Err::<(), _>("x")).unwrap_err();
    assert_eq!(
        failure.to_string(),
        "work failed: x; not repeated: the predicate of the retry policy panicked: not so"
    );
}

/// Rows: FUN-33
#[test]
fn a_predicate_is_asked_only_where_it_decides() {
    let asked = Arc::new(AtomicU32::new(0));
    let counter = Arc::clone(&asked);
    let policy = Retry::new().budget(10 * SECOND).only_if(move |_| {
        counter.fetch_add(1, Ordering::Relaxed);
        true
    });
    let failure = Failure::exit(1);
    let _ = decide(&policy, 3, &failure);
    let _ = decide(&policy, 1, &Failure::cancelled("x"));
    let _ =
        policy.next(Tries::default().and(&failure, 10 * SECOND), &failure, Repeat::Undeclared, 0);
    let unstarted = failure.clone().with_no_start();
    assert!(matches!(decide(&policy, 1, &unstarted), Decision::Again { .. }));
    assert_eq!(asked.load(Ordering::Relaxed), 0);
    let _ = decide(&policy, 1, &failure);
    assert_eq!(asked.load(Ordering::Relaxed), 1);
}

/// Rows: FUN-31, POOL-63
#[test]
fn started_work_is_repeated_only_if_declared_or_written() {
    let lost = Failure::signalled(9);
    let again = |policy: &Retry, failure: &Failure, declared| {
        matches!(policy.next(made(1, failure), failure, declared, 0), Decision::Again { .. })
    };
    let written = Retry::new();
    let implied = Retry::implied();
    for (policy, declared, expected) in [
        (&written, Repeat::Idempotent, true),
        (&written, Repeat::Undeclared, true),
        (&written, Repeat::Never, false),
        (&implied, Repeat::Idempotent, true),
        (&implied, Repeat::Undeclared, false),
        (&implied, Repeat::Never, false),
    ] {
        assert_eq!(again(policy, &lost, declared), expected, "{policy:?} {declared:?}");
        assert!(again(policy, &lost.clone().with_no_start(), declared), "never started");
    }
    // An answer is an answer: nobody asked to repeat it.
    let answered = Failure::error(&io::Error::other("x"));
    assert!(!again(&implied, &answered, Repeat::Idempotent));
    for declared in [Repeat::Idempotent, Repeat::Undeclared, Repeat::Never] {
        assert!(!again(&written, &Failure::cancelled("x"), declared));
        assert!(!again(&written, &Failure::cancelled("x").with_no_start(), declared));
    }
}

#[test]
fn work_that_never_starts_is_not_sent_out_for_ever() {
    let lost = Failure::disconnected("worker").with_no_start();
    let policy = Retry::new().attempts(1);
    assert!(matches!(decide(&policy, Retry::UNSTARTED_LIMIT, &lost), Decision::Again { .. }));
    let stop = Stop::Unstarted { limit: Retry::UNSTARTED_LIMIT };
    assert_eq!(decide(&policy, Retry::UNSTARTED_LIMIT + 1, &lost), Decision::Stop(stop));
    // However often it did not start, its attempts are still to be made.
    let made = made(9, &lost).and(&Failure::exit(1), SECOND);
    assert_eq!((made.started(), made.attempt()), (1, 2));
}

/// Rows: FUN-31
#[test]
fn a_policy_for_work_that_must_never_be_repeated_is_refused_before_it_runs() {
    let ran = Cell::new(false);
    let work = |_: &Context| {
        ran.set(true);
        Ok::<_, BoxError>(())
    };
    let failure = Retry::new().run_in(&Context::new(), Repeat::Never, work).unwrap_err();
    assert!(!ran.get() && !failure.has_started());
    assert_eq!(
        failure.message(),
        Some(
            "a retry policy of 3 attempts for a function that is declared never_retry: drop the \
             policy, or the declaration"
        )
    );
    let failure = Failure::exit(1);
    let decision = Retry::new().next(made(1, &failure), &failure, Repeat::Never, 0);
    assert_eq!(decision, Decision::Stop(Stop::Never));
    assert!(Retry::implied().check(Repeat::Never).is_ok());
    Retry::new().attempts(1).run_in(&Context::new(), Repeat::Never, work).unwrap();
    assert!(ran.get());
}

/// Rows: FUN-31, FUN-32
#[test]
fn wrong_values_are_errors_that_name_them() {
    let cases = [
        (Retry::new().attempts(0), "at least 1 attempt, not 0"),
        (Retry::new().factor(f64::NAN), "not NaN"),
        (Retry::new().factor(-0.5), "not -0.5"),
        (Retry::new().factor(f64::INFINITY), "not inf"),
        (Retry::new().factor(f64::NEG_INFINITY), "not -inf"),
        (Retry::new().jitter(Jitter::PlusMinus(1.5)), "from 0 to 1, not 1.5"),
        (Retry::new().jitter(Jitter::PlusMinus(-0.1)), "from 0 to 1, not -0.1"),
        (Retry::new().jitter(Jitter::PlusMinus(f64::NAN)), "from 0 to 1, not NaN"),
        (Retry::new().only_error::<BoxError>(), "is known by a type of its own only"),
        (Retry::new().except_error::<dyn std::error::Error>(), "by a type of its own only"),
    ];
    for (policy, text) in cases {
        let error = policy.check(Repeat::Idempotent).unwrap_err();
        assert!(error.to_string().ends_with(text) && !error.is_never_retry(), "{error}");
        let decision = decide(&policy, 1, &Failure::exit(1));
        assert_eq!(decision, Decision::Stop(Stop::Invalid { message: error.to_string() }));
        let failure = policy.run(|_| Ok::<_, BoxError>(1)).unwrap_err();
        assert_eq!(failure.message(), Some(error.to_string().as_str()));
        let error = internal::to_vec(&policy).unwrap_err();
        assert!(error.to_string().contains(text), "{error}");
    }
    let text = Value::of(&Retry::new()).unwrap().to_json(Json::compact()).unwrap();
    let hostile = text.replace(r#""attempts":3"#, r#""attempts":0"#);
    assert_ne!(text, hostile);
    let error = Value::from_json(&hostile).unwrap().to::<Retry>().unwrap_err();
    assert!(error.to_string().contains("not 0"), "{error}");
}

#[test]
fn a_policy_crosses_unless_it_has_a_predicate() {
    let policy = Retry::new()
        .attempts(7)
        .delay(2 * SECOND)
        .factor(1.5)
        .maximum_delay(9 * SECOND)
        .jitter(Jitter::PlusMinus(0.25))
        .budget(60 * SECOND)
        .only([FailureKind::Exit])
        .except_error::<io::Error>();
    let bytes = internal::to_vec(&policy).unwrap();
    let copy: Retry = internal::from_slice(&bytes).unwrap();
    assert_eq!(format!("{copy:?}"), format!("{policy:?}"));
    let copy: Retry = Value::of(&policy).unwrap().to().unwrap();
    assert_eq!(format!("{copy:?}"), format!("{policy:?}"));

    let error = internal::to_vec(&policy.only_if(|_| true)).unwrap_err();
    assert!(error.to_string().contains("only_if") && error.to_string().contains("only_error"));
}

#[test]
fn each_reason_says_itself_in_one_line() {
    let reasons = [
        (Stop::Attempts { limit: 1 }, "1 attempt was to be made"),
        (Stop::Attempts { limit: 3 }, "all 3 attempts are made"),
        (Stop::Unstarted { limit: 16 }, "more than 16 attempts did not start"),
        (Stop::Budget { limit: SECOND }, "the next attempt would pass the budget of 1s"),
        (Stop::Deadline, "the next attempt would pass the deadline"),
        (Stop::Cancelled, "it was cancelled"),
        (Stop::Never, "its function is declared never_retry"),
        (
            Stop::Undeclared,
            "it had started, its function is not declared idempotent, and no retry policy is given",
        ),
        (Stop::Excluded { kind: FailureKind::Exit }, "the retry policy leaves out this kind: exit"),
        (Stop::Excluded { kind: FailureKind::Error }, "the retry policy leaves out this error"),
        (Stop::Predicate, "the predicate of the retry policy said no"),
    ];
    for (reason, text) in reasons {
        assert_eq!(reason.to_string(), text);
    }
}

fn policies() -> impl Strategy<Value = Retry> {
    let jitter = prop_oneof![
        Just(Jitter::None),
        Just(Jitter::Full),
        (0.0..=1.0_f64).prop_map(Jitter::PlusMinus)
    ];
    let factor = prop_oneof![Just(1.0), 0.0..10.0_f64, Just(f64::MAX), Just(f64::MIN_POSITIVE)];
    (
        1..u32::MAX,
        durations(),
        factor,
        prop::option::of(durations()),
        jitter,
        prop::option::of(durations()),
    )
        .prop_map(|(attempts, delay, factor, maximum, jitter, budget)| {
            let mut policy = Retry::new().attempts(attempts).delay(delay).factor(factor);
            if let Some(maximum) = maximum {
                policy = policy.maximum_delay(maximum);
            }
            if let Some(budget) = budget {
                policy = policy.budget(budget);
            }
            policy.jitter(jitter)
        })
}

fn durations() -> impl Strategy<Value = Duration> {
    prop_oneof![
        any::<Duration>(),
        (0..100_000_u64).prop_map(Duration::from_millis),
        Just(Duration::ZERO),
        Just(Duration::MAX)
    ]
}

fn again(decision: Decision) -> Duration {
    match decision {
        Decision::Again { after } => after,
        Decision::Stop(stop) => panic!("{stop}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

    /// Rows: FUN-32
    #[test]
    fn no_wait_passes_the_maximum_or_the_budget(
        policy in policies(),
        maximum in durations(),
        budget in durations(),
        elapsed in durations(),
        asked in prop::option::of(durations()),
        count in 1..200_u32,
        entropy in any::<u64>(),
    ) {
        let policy = policy.maximum_delay(maximum).budget(budget);
        let mut failure = Failure::exit(1);
        if let Some(asked) = asked {
            failure = failure.with_retry_after(asked);
        }
        let made = made(count, &failure).and(&failure, elapsed);
        match policy.next(made, &failure, Repeat::Idempotent, entropy) {
            Decision::Again { after } => {
                prop_assert!(after <= maximum);
                prop_assert!(elapsed.checked_add(after).is_some_and(|end| end <= budget));
            }
            Decision::Stop(stop) => {
                let is_expected = matches!(stop, Stop::Attempts { .. } | Stop::Budget { .. });
                prop_assert!(is_expected, "{}", stop);
            }
        }
    }

    /// Rows: FUN-32
    #[test]
    fn no_policy_overflows(policy in policies(), count in 1..200_u32, entropy in any::<u64>()) {
        let failure = Failure::exit(1);
        let made = made(count, &failure).and(&failure, Duration::MAX);
        let first = policy.next(made, &failure, Repeat::Undeclared, entropy);
        prop_assert_eq!(policy.next(made, &failure, Repeat::Undeclared, entropy), first);
    }

    /// Rows: FUN-31
    #[test]
    fn waits_without_jitter_never_shrink(
        delay in durations(),
        factor in 1.0..10.0_f64,
        count in 1..100_u32,
    ) {
        let policy = Retry::new().attempts(u32::MAX).delay(delay).factor(factor);
        let failure = Failure::exit(1);
        let shorter = again(decide(&policy, count, &failure));
        prop_assert!(shorter <= again(decide(&policy, count + 1, &failure)));
    }

    /// Rows: FUN-32
    #[test]
    fn jitter_stays_within_its_bounds(
        millis in 1..10_000_000_u64,
        fraction in 0.0..=1.0_f64,
        entropy in any::<u64>(),
    ) {
        let delay = Duration::from_millis(millis);
        let failure = Failure::exit(1);
        let wait = |jitter, entropy| {
            let policy = Retry::new().delay(delay).maximum_delay(Duration::MAX).jitter(jitter);
            again(policy.next(made(1, &failure), &failure, Repeat::Undeclared, entropy))
        };
        prop_assert!(wait(Jitter::Full, entropy) <= delay);
        prop_assert_eq!(wait(Jitter::Full, 0), Duration::ZERO);

        let nano = Duration::from_nanos(1);
        let drawn = wait(Jitter::PlusMinus(fraction), entropy);
        prop_assert!(drawn + nano >= delay.mul_f64(1.0 - fraction), "{drawn:?} of {delay:?}");
        prop_assert!(drawn <= delay.mul_f64(1.0 + fraction) + nano, "{drawn:?} of {delay:?}");
        prop_assert_eq!(wait(Jitter::PlusMinus(0.0), entropy), delay);
    }
}

/// Rows: FUN-31, FUN-46
#[test]
fn a_run_repeats_until_there_is_a_value() {
    let policy = Retry::new().delay(Duration::ZERO);
    let attempts = RefCell::new(Vec::new());
    let ids = RefCell::new(Vec::new());
    let answer = policy.run(|context| {
        attempts.borrow_mut().push(context.attempt());
        ids.borrow_mut().push(Context::current().unwrap().id());
        if context.attempt() == 2 { Ok("done") } else { Err("busy") }
    });
    assert_eq!(answer, Ok("done"));
    assert_eq!(*attempts.borrow(), [1, 2]);
    assert_eq!(ids.borrow()[0], ids.borrow()[1]);
    assert!(Context::current().is_none());
}

/// Rows: FUN-31
#[test]
fn a_policy_of_one_attempt_repeats_nothing() {
    let count = Cell::new(0);
    let failure = Retry::new()
        .attempts(1)
        .run(|_| {
            count.set(count.get() + 1);
            Err::<(), _>("no")
        })
        .unwrap_err();
    assert_eq!(count.get(), 1);
    assert_eq!(failure.to_string(), "work failed: no");
    assert_eq!((failure.attempts(), failure.not_repeated()), (1, None));
}

/// Rows: FUN-34
#[test]
fn a_run_waits_as_long_as_the_error_asks() {
    let begun = Instant::now();
    let asked = Duration::from_millis(30);
    let busy = || BoxError::from(Failure::error(&io::Error::other("busy")).with_retry_after(asked));
    let policy = Retry::new().attempts(2).delay(Duration::MAX);
    let failure = policy.run(|_| Err::<(), _>(busy())).unwrap_err();
    assert!(begun.elapsed() >= asked);
    assert_eq!((failure.attempts(), failure.retry_after()), (2, Some(asked)));
}

#[test]
fn a_policy_that_nobody_wrote_repeats_no_answer_and_says_nothing_of_it() {
    let policy = Retry::implied();
    let run = |declared| policy.run_in(&Context::new(), declared, |_| Err::<(), _>("no"));
    assert_eq!(run(Repeat::Idempotent).unwrap_err().to_string(), "work failed: no");
    let failure = run(Repeat::Undeclared).unwrap_err();
    assert_eq!((failure.attempts(), failure.not_repeated().is_some()), (1, true));
}

/// Rows: FUN-31
#[test]
fn a_run_waits_between_its_attempts() {
    let begun = Instant::now();
    let wait = Duration::from_millis(30);
    let failure = Retry::new().delay(wait).run(|_| Err::<(), _>("no")).unwrap_err();
    assert!(begun.elapsed() >= 2 * wait);
    assert_eq!(failure.attempts(), 3);
}

#[test]
fn a_panic_of_the_work_is_repeated_like_another_failure() {
    let policy = Retry::new().delay(Duration::ZERO);
    let answer = policy.run(|context| {
        assert!(context.attempt() > 1, "not yet");
        Ok::<_, BoxError>(context.attempt())
    });
    assert_eq!(answer, Ok(2));
    let failure = policy.run(|_| -> Result<(), BoxError> { panic!("never") }).unwrap_err();
    assert!(failure.is_panic() && failure.attempts() == 3 && failure.place().is_some());
}

/// Rows: FUN-46
#[test]
fn a_wait_ends_at_once_when_it_is_cancelled() {
    let failure = watched(|| {
        let flag = CancelFlag::new();
        let context = Context::new().with_cancel_flag(flag.clone());
        let (started, has_started) = mpsc::channel();
        let canceller = thread::spawn(move || {
            has_started.recv().unwrap();
            flag.cancel();
        });
        let policy = Retry::new().delay(Duration::MAX);
        let failure = policy
            .run_in(&context, Repeat::Undeclared, |_| {
                started.send(()).unwrap();
                Err::<(), _>("busy")
            })
            .unwrap_err();
        canceller.join().unwrap();
        failure
    });
    assert!(failure.is_cancelled());
    assert_eq!(
        failure.report().to_string(),
        "work was cancelled: before attempt 2\ncaused by: work failed: busy"
    );
    assert_eq!(failure.attempts(), 1);
}

/// Rows: FUN-46
#[test]
fn what_is_cancelled_before_does_not_run() {
    let context = Context::new();
    context.cancel_flag().cancel();
    let work = |_: &Context| -> Result<(), BoxError> { panic!("it ran") };
    let failure = Retry::new().run_in(&context, Repeat::Idempotent, work).unwrap_err();
    assert!(failure.is_cancelled() && !failure.has_started());
}

/// Rows: FUN-46
#[test]
fn no_attempt_is_begun_past_the_deadline() {
    let context = Context::new().with_timeout(60 * SECOND);
    let policy = Retry::new().delay(61 * SECOND);
    let failure = policy.run_in(&context, Repeat::Undeclared, |_| Err::<(), _>("x")).unwrap_err();
    assert_eq!(failure.not_repeated(), Some("the next attempt would pass the deadline"));
    assert_eq!(failure.attempts(), 1);
}

/// Rows: FUN-31, FUN-46
#[test]
fn an_async_run_repeats_and_sleeps_by_the_timer_it_is_given() {
    let slept = RefCell::new(Vec::new());
    let policy = Retry::new().factor(2.0);
    let sleep = |duration| {
        slept.borrow_mut().push(duration);
        ready(())
    };
    let answer = block_on(policy.run_async(sleep, async |context: Context| {
        assert_eq!(Context::current().unwrap().id(), context.id());
        yield_once().await;
        assert_eq!(Context::current().unwrap().attempt(), context.attempt());
        if context.attempt() < 3 { Err("busy") } else { Ok(context.attempt()) }
    }));
    assert_eq!(answer, Ok(3));
    assert_eq!(*slept.borrow(), [SECOND, 2 * SECOND]);
}

async fn yield_once() {
    let mut is_second = false;
    std::future::poll_fn(|cx| {
        cx.waker().wake_by_ref();
        if std::mem::replace(&mut is_second, true) {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
}

/// Rows: FUN-46
#[test]
fn an_async_wait_ends_when_it_is_cancelled() {
    let failure = watched(|| {
        let context = Context::new();
        let flag = context.cancel_flag().clone();
        let sleep = move |_| {
            let flag = flag.clone();
            thread::spawn(move || flag.cancel());
            pending()
        };
        block_on(
            Retry::new()
                .run_async_in(&context, Repeat::Undeclared, sleep, async |_| Err::<(), _>("busy")),
        )
        .unwrap_err()
    });
    assert!(failure.is_cancelled() && failure.attempts() == 1);
}

#[test]
fn an_async_panic_is_caught_in_making_in_polling_and_in_dropping() {
    let policy = Retry::new().attempts(2);
    let sleep = |_| ready(());

    let making =
        |_: Context| -> Pin<Box<dyn Future<Output = Result<(), BoxError>>>> { panic!("in making") };
    let failure = block_on(policy.run_async(sleep, making)).unwrap_err();
    assert_eq!((failure.message(), failure.attempts()), (Some("in making"), 2));

    let polling = async |_: Context| -> Result<(), BoxError> { panic!("in polling") };
    let failure = block_on(policy.run_async(sleep, polling)).unwrap_err();
    assert_eq!((failure.message(), failure.attempts()), (Some("in polling"), 2));

    struct PanicsInDrop;
    impl Drop for PanicsInDrop {
        fn drop(&mut self) {
            panic!("in dropping");
        }
    }
    struct Answers(PanicsInDrop);
    impl Future for Answers {
        type Output = Result<(), BoxError>;
        fn poll(
            self: Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Self::Output> {
            let Answers(PanicsInDrop) = &*self;
            std::task::Poll::Ready(Ok(()))
        }
    }
    let failure = block_on(policy.run_async(sleep, |_| Answers(PanicsInDrop))).unwrap_err();
    assert_eq!((failure.message(), failure.attempts()), (Some("in dropping"), 2));
}

#[test]
fn an_async_run_can_be_spawned_on_an_executor() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_time().build().unwrap();
    let answer = runtime.block_on(async {
        tokio::spawn(async {
            let policy = Retry::new().delay(Duration::from_millis(1));
            policy
                .run_async(tokio::time::sleep, |context: Context| async move {
                    tokio::task::yield_now().await;
                    if context.attempt() < 3 { Err("busy") } else { Ok(7) }
                })
                .await
        })
        .await
        .unwrap()
    });
    assert_eq!(answer, Ok(7));
}
