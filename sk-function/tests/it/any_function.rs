//! One parameter type for everything that can be called.

use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use sk_cereal::internal;
use sk_function::{
    AnyFunction, CancelFlag, Context, Failure, Function, FunctionKind, IntoFunction, Repeat, bind,
    function,
};

use crate::operation::{FAR, shared_threads, watched};

/// What takes a callable in a public interface, and works with one type inside.
fn apply<M>(f: impl IntoFunction<u64, (u64,), M>, n: u64) -> Result<u64, Failure> {
    let f: AnyFunction<u64, (u64,)> = f.into_function();
    f.execute((n,))
}

fn wait<M>(f: impl IntoFunction<u64, (u64,), M>, n: u64) -> Result<u64, Failure> {
    f.into_function().operation((n,)).wait()
}

fn any<M>(f: impl IntoFunction<u64, (u64,), M>) -> AnyFunction<u64, (u64,)> {
    f.into_function()
}

fn triple(n: u64) -> u64 {
    n * 3
}

#[function(name = "it.any.square", idempotent)]
fn square(n: u64) -> u64 {
    n * n
}

#[function(name = "it.any.later")]
async fn later(n: u64) -> u64 {
    n + 100
}

async fn undeclared(n: u64) -> u64 {
    n + 200
}

/// Rows: FUN-05, FUN-06, FUN-07
#[test]
fn whatever_can_be_called_is_taken_and_runs_alike() {
    let step = 10;
    assert_eq!(apply(triple, 2).unwrap(), 6);
    assert_eq!(apply(square, 3).unwrap(), 9);
    assert_eq!(apply(|n: u64| n + 1, 3).unwrap(), 4);
    assert_eq!(apply(move |n: u64| n + step, 3).unwrap(), 13);
    assert_eq!(apply("it.any.square", 4).unwrap(), 16);
    assert_eq!(apply("it.any.square".to_owned(), 5).unwrap(), 25);
    assert_eq!(apply(square::function(), 6).unwrap(), 36);
    assert_eq!(apply(any(square), 7).unwrap(), 49);
    assert_eq!(wait(triple, 2).unwrap(), 6);
    assert_eq!(wait("it.any.square", 2).unwrap(), 4);
    assert_eq!(wait(later, 1).unwrap(), 101);
    assert_eq!(wait(undeclared, 1).unwrap(), 201);
    assert_eq!(wait(|n: u64| async move { n + 300 }, 1).unwrap(), 301);
    assert_eq!(wait("it.any.later", 1).unwrap(), 101);
    let bound: AnyFunction<u64> = bind(triple, (5,)).into_function();
    assert_eq!((bound.execute(()).unwrap(), bound.operation(()).wait().unwrap()), (15, 15));
    let by_name: AnyFunction<u64> = square::bind().n(5).bound().into_function();
    assert_eq!(by_name.execute(()).unwrap(), 25);
    let owned = String::from("four");
    assert_eq!(apply(Function::local(move |n: u64| n + owned.len() as u64), 1).unwrap(), 5);
}

/// Rows: FUN-05
#[test]
fn arguments_fill_the_parameters_that_have_none_yet() {
    #[function]
    fn digits(a: u64, b: u64, c: u64) -> u64 {
        a * 100 + b * 10 + c
    }
    let middle = digits::function().arg("b", 2).unwrap();
    let two: AnyFunction<u64, (u64, u64)> = middle.clone().into_function();
    assert_eq!(two.execute((1, 3)).unwrap(), digits(1, 2, 3));
    let three: AnyFunction<u64, (u64, u64, u64)> = middle.clone().into_function();
    let failure = three.execute((1, 2, 3)).unwrap_err();
    assert!(!failure.has_started());
    assert!(failure.to_string().contains("takes at most 3 arguments, not 4"), "{failure}");
    let one: AnyFunction<u64, (u64,)> = middle.into_function();
    assert!(one.execute((1,)).unwrap_err().to_string().contains("argument `c`"));
}

/// Rows: FUN-05
#[test]
fn it_tells_what_it_is() {
    assert_eq!((any(square).name(), any(square).kind()), ("it.any.square", FunctionKind::Sync));
    assert_eq!((any(later).name(), any(later).kind()), ("it.any.later", FunctionKind::Async));
    assert_eq!(
        (any(square).repeat(), any(triple).repeat()),
        (Repeat::Idempotent, Repeat::Undeclared)
    );
    assert_eq!(any("it.any.later").kind(), FunctionKind::Async);
    assert_eq!(any(undeclared).kind(), FunctionKind::Async);
    assert!(format!("{:?}", any(square)).contains("it.any.square"));
    assert_eq!(any(square).clone().function().unwrap().name(), "it.any.square");
}

/// Rows: FUN-16
#[test]
fn what_can_be_sent_is_the_same_after_it() {
    let functions = [any(triple), any(square), any(|n: u64| n * n * n), any("it.any.square")];
    for (function, expected) in functions.into_iter().zip([15, 25, 125, 25]) {
        let bytes = internal::to_vec(&function).unwrap();
        let there: AnyFunction<u64, (u64,)> = internal::from_slice(&bytes).unwrap();
        assert_eq!(there.execute((5,)).unwrap(), expected);
        assert_eq!(there.name(), function.name());
        assert_eq!(there.operation((5,)).wait().unwrap(), expected);
    }
    let bytes = internal::to_vec(&any(later)).unwrap();
    let there: AnyFunction<u64, (u64,)> = internal::from_slice(&bytes).unwrap();
    assert_eq!((there.kind(), there.operation((5,)).wait().unwrap()), (FunctionKind::Async, 105));
    let bound: AnyFunction<u64> = bind(triple, (5,)).into_function();
    let bytes = internal::to_vec(&bound).unwrap();
    assert_eq!(internal::from_slice::<AnyFunction<u64>>(&bytes).unwrap().execute(()).unwrap(), 15);
}

/// Rows: FUN-14
#[test]
fn what_cannot_be_sent_says_why() {
    let step = 1_u64;
    let refusal =
        |function: &AnyFunction<u64, (u64,)>| internal::to_vec(function).unwrap_err().to_string();
    let text = refusal(&any(move |n: u64| n + step));
    assert!(text.contains("captures something"), "{text}");
    let text = refusal(&any(undeclared));
    assert!(text.contains("undeclared") && text.contains("declare it with #[function]"), "{text}");
    let text = refusal(&any("it.any.no such"));
    assert!(text.contains("no function is named `it.any.no such`"), "{text}");
}

/// Rows: FUN-24
#[test]
fn a_name_that_nobody_has_is_told_when_it_is_called() {
    let nobody = any("it.any.squara");
    let expected = "no function is named `it.any.squara`; the nearest of";
    for failure in [nobody.execute((1,)).unwrap_err(), nobody.operation((1,)).wait().unwrap_err()] {
        assert!(failure.to_string().contains(expected), "{failure}");
        assert!(failure.to_string().contains("`it.any.square`"), "{failure}");
        assert!(!failure.has_started());
    }
    assert!(nobody.function().is_err());
}

#[test]
fn wrong_kinds_and_types_are_failures_that_name_the_function() {
    let failure = any(later).execute((1,)).unwrap_err();
    assert_eq!(failure.function(), Some("it.any.later"));
    assert!(failure.to_string().contains("it is async"), "{failure}");
    let wrong: AnyFunction<String, (u64,)> = square::function().into_function();
    let text = wrong.execute((1,)).unwrap_err().to_string();
    assert!(text.contains("it gives u64, and alloc::string::String was asked for"), "{text}");
    let wrong: AnyFunction<u64, (String,)> = square::function().into_function();
    let text = wrong.execute(("x".to_owned(),)).unwrap_err().to_string();
    assert!(text.contains("argument `n` of it.any.square is to be u64"), "{text}");
}

#[test]
fn a_panic_is_a_failure_that_names_the_function() {
    fn panics(n: u64) -> u64 {
        panic!("no {n}")
    }
    async fn panics_later(n: u64) -> u64 {
        panic!("no {n}")
    }
    watched(|| {
        let _threads = shared_threads();
        let failures = [
            any(panics).execute((1,)).unwrap_err(),
            any(panics).operation((1,)).wait().unwrap_err(),
            any(panics_later).operation((1,)).wait().unwrap_err(),
            futures::executor::block_on(any(panics).operation((1,))).unwrap_err(),
            futures::executor::block_on(any(panics_later).operation((1,))).unwrap_err(),
        ];
        for failure in failures {
            assert!(failure.is_panic(), "{failure}");
            assert_eq!(failure.message(), Some("no 1"));
        }
        assert!(any(panics).execute((1,)).unwrap_err().function().unwrap().contains("panics"));
    });
}

/// Rows: FUN-37, FUN-46
#[test]
fn its_operation_cancels_what_runs_whatever_it_was_made_of() {
    fn waits(_: ()) -> bool {
        Context::current().unwrap().cancel_flag().wait();
        true
    }
    #[function]
    fn waits_by_name(nothing: ()) -> bool {
        waits(nothing)
    }
    watched(|| {
        let _threads = shared_threads();
        let (tell, told) = mpsc::channel();
        let tells = move || {
            let tell = tell.clone();
            Function::local(move |nothing: ()| {
                let answer = waits(nothing);
                tell.send(answer).unwrap();
                answer
            })
        };
        let made: AnyFunction<bool, ((),)> = tells().into_function();
        let failure = made.operation(((),)).timeout(Duration::from_millis(5)).wait().unwrap_err();
        assert!(failure.is_timeout());
        assert!(told.recv().unwrap());

        // They hold their thread until their flag is set, so this ends only if it is.
        let plain: AnyFunction<bool, ((),)> = waits.into_function();
        let bound: AnyFunction<bool> = bind(waits, ((),)).into_function();
        let bounded: AnyFunction<bool> = bind(waits, ((),)).timeout(FAR).into_function();
        let named: AnyFunction<bool> = waits_by_name::bind().nothing(()).bound().into_function();
        let limit = Duration::from_millis(5);
        assert!(plain.operation(((),)).timeout(limit).wait().unwrap_err().is_timeout());
        for bound in [bound, bounded, named] {
            assert!(bound.operation(()).timeout(limit).wait().unwrap_err().is_timeout());
        }
        crate::operation::eventually("all have ended", || {
            sk_function::BlockingThreads::running() == 0
        });
    });
}

/// Rows: FUN-37
#[test]
fn what_a_function_declares_holds_also_for_this() {
    #[function(timeout = "5ms")]
    fn slow(flag: u8) -> bool {
        let _ = flag;
        Context::current().unwrap().cancel_flag().wait_timeout(FAR)
    }
    #[function(timeout = "5ms")]
    async fn slow_later(flag: u8) -> bool {
        let _ = flag;
        std::future::pending::<()>().await;
        true
    }
    fn any<M>(f: impl IntoFunction<bool, (u8,), M>) -> AnyFunction<bool, (u8,)> {
        f.into_function()
    }
    watched(|| {
        let _threads = shared_threads();
        for failure in [
            any(slow).execute((1,)).unwrap_err(),
            any(slow).operation((1,)).wait().unwrap_err(),
            any(slow_later).operation((1,)).wait().unwrap_err(),
            any(slow::function()).execute((1,)).unwrap_err(),
        ] {
            assert!(failure.is_timeout(), "{failure}");
            assert_eq!(failure.limit(), Some(Duration::from_millis(5)));
        }
    });
}

#[test]
fn it_crosses_threads_and_drops_what_it_holds() {
    fn crosses<T: Send + Sync + Clone + 'static>(_: &T) {}
    let held = Arc::new(CancelFlag::new());
    let inner = Arc::clone(&held);
    let function: AnyFunction<bool> = Function::local(move || inner.is_cancelled()).into_function();
    crosses(&function);
    crosses(&any(undeclared));
    let other = function.clone();
    assert!(!std::thread::spawn(move || other.execute(()).unwrap()).join().unwrap());
    drop(function);
    assert_eq!(Arc::strong_count(&held), 1);
}
