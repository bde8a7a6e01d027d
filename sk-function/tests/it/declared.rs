//! What `#[function]` makes of a function: itself as it was, and beside it what binds it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sk_function::{
    CallId, Callable, Context, Function, FunctionKind, Repeat, bind, function, magic,
};

/// How much carpet a room needs.
///
/// ```
/// assert_eq!(2 + 2, 4);
/// ```
#[function]
#[must_use]
pub(crate) const fn carpet(width: u64, height: u64) -> u64 {
    width * height
}

#[test]
fn a_declared_function_stays_the_function_that_it_was() {
    const HERE: u64 = carpet(2, 3);
    let pointer: fn(u64, u64) -> u64 = carpet;
    assert_eq!((HERE, pointer(4, 5)), (6, 20));
    assert_eq!([(1, 2), (3, 4)].map(|(width, height)| carpet(width, height)), [2, 12]);
    assert_eq!(Callable::call(&carpet, (6, 7)), 42);
}

/// Rows: FUN-02
#[test]
fn arguments_are_bound_by_name_in_any_order() {
    assert_eq!(carpet::bind().width(10).height(3).execute().unwrap(), 30);
    assert_eq!(carpet::bind().height(3).width(10).execute().unwrap(), 30);
    let half = carpet::bind().height(2);
    assert_eq!(half.clone().width(3).execute().unwrap(), 6);
    assert_eq!(half.function().unwrap().arg("width", 4).unwrap().execute::<u64>().unwrap(), 8);
}

/// Rows: FUN-39
#[test]
fn what_it_says_is_written_down() {
    const LIMIT: Duration = Duration::from_millis(1500);
    #[function(
        name = "it.declared.all",
        idempotent,
        blocking("read", "Path::exists"),
        timeout = "250ms",
        autoreg = "all of it"
    )]
    fn all(one: u8, other: Option<String>) -> Result<u8, std::fmt::Error> {
        other.map(|_| one).ok_or(std::fmt::Error)
    }
    #[function(never_retry, blocking, timeout = LIMIT)]
    async fn some() {}
    #[function]
    fn nothing() {}

    let declaration = all::declaration();
    assert_eq!(declaration.path(), "it.declared.all");
    assert_eq!((declaration.package(), declaration.version()), ("sk-function", "0.1.0"));
    assert_eq!((declaration.file(), declaration.kind()), (file!(), FunctionKind::Sync));
    let near = line!() - 18;
    assert!((near - 12..near + 12).contains(&declaration.line()), "{}", declaration.line());
    assert_eq!(declaration.repeat(), Repeat::Idempotent);
    assert!(declaration.has_blocking_calls());
    assert_eq!(declaration.blocking_calls(), ["read", "Path::exists"]);
    assert_eq!(declaration.timeout(), Some(Duration::from_millis(250)));
    let parameters: Vec<_> =
        declaration.parameters().iter().map(|one| (one.name(), one.type_name())).collect();
    let text = "core::option::Option<alloc::string::String>";
    assert_eq!(parameters, [("one", "u8"), ("other", text)]);
    assert_eq!(declaration.returns(), "core::result::Result<u8, core::fmt::Error>");
    assert_eq!(all(3, Some(String::new())), Ok(3));

    let declaration = some::declaration();
    assert_eq!((declaration.repeat(), declaration.kind()), (Repeat::Never, FunctionKind::Async));
    assert!(declaration.has_blocking_calls() && declaration.blocking_calls().is_empty());
    assert_eq!((declaration.timeout(), declaration.returns()), (Some(LIMIT), "()"));

    let declaration = nothing::declaration();
    assert_eq!((declaration.repeat(), declaration.timeout()), (Repeat::Undeclared, None));
    assert!(!declaration.has_blocking_calls() && declaration.parameters().is_empty());
    futures::executor::block_on(some());
    nothing();
}

/// Rows: FUN-04
#[test]
fn its_path_is_crate_modules_and_name() {
    mod outer {
        pub(super) mod inner {
            #[sk_function::function]
            pub(in super::super) fn deep() -> u32 {
                7
            }
            #[sk_function::function]
            pub(super) fn beside() -> u32 {
                deep::bind().execute().unwrap() + 1
            }
            pub(in super::super) fn through() -> u32 {
                super::through()
            }
        }
        fn through() -> u32 {
            inner::beside::bind().execute().unwrap()
        }
    }
    assert_eq!(outer::inner::deep::declaration().path(), "it.declared.outer.inner.deep");
    let found = Function::get("it.declared.outer.inner.deep").unwrap();
    assert_eq!(found.execute::<u32>().unwrap(), 7);
    assert_eq!(outer::inner::through(), 8);
    assert_eq!(carpet::declaration().path(), "it.declared.carpet");
    // A function within a function has the path of the module around both.
    #[function]
    fn within() -> u32 {
        1
    }
    assert_eq!(within::declaration().path(), "it.declared.within");
    assert_eq!(Function::get("it.declared.within").unwrap().execute::<u32>().unwrap(), within());
}

/// A type that nobody else sees may be an argument and a result.
#[test]
fn it_is_as_visible_as_its_function() {
    mod layers {
        pub(super) mod layer {
            #[derive(Clone, serde::Serialize, serde::Deserialize)]
            pub(in crate::declared) struct Seen(pub(in crate::declared) u8);
            #[derive(Clone, serde::Serialize, serde::Deserialize)]
            struct Hidden(u8);
            #[sk_function::function]
            pub(in super::super) fn seen(seen: Seen) -> Seen {
                Seen(hidden::bind().hidden(Hidden(seen.0)).execute().unwrap().0)
            }
            #[sk_function::function]
            fn hidden(hidden: Hidden) -> Hidden {
                hidden_too::bind().hidden(hidden).execute().wait().unwrap()
            }
            #[sk_function::function]
            async fn hidden_too(hidden: Hidden) -> Hidden {
                hidden
            }
            #[sk_function::function]
            pub(super) fn above() -> u8 {
                1
            }
        }
        pub(super) fn above() -> u8 {
            layer::above::bind().execute().unwrap()
        }
    }
    use layers::layer::{Seen, seen};
    assert_eq!(seen::bind().seen(Seen(3)).execute().unwrap().0, 3);
    assert_eq!(seen(Seen(layers::above())).0, 1);
}

#[test]
fn one_use_brings_the_function_and_what_binds_it_under_another_name_too() {
    mod rooms {
        #[sk_function::function]
        pub(super) fn surface(a: u64) -> u64 {
            a * a
        }
    }
    use rooms::surface as squared;
    assert_eq!((squared(3), squared::bind().a(3).execute().unwrap()), (9, 9));
    assert_eq!(magic!(squared(4)).execute().unwrap(), 16);
}

#[test]
fn names_may_be_words_of_the_language() {
    #[function]
    fn r#match(r#type: String, r#move: u8, mut count: usize) -> String {
        count += usize::from(r#move);
        r#type.repeat(count)
    }
    assert_eq!(r#match::declaration().path(), "it.declared.match");
    let bound = r#match::bind().r#type("ab".to_owned()).r#move(1).count(1);
    assert_eq!(bound.execute().unwrap(), "abab");
    let by_name = Function::get("it.declared.match").unwrap();
    let by_name = by_name.arg("type", "x").unwrap().arg("move", 2).unwrap().arg("count", 1);
    assert_eq!(by_name.unwrap().execute::<String>().unwrap(), "xxx");
    let call = magic!(r#match(r#type = "y".to_owned(), count = 0, r#move = 2));
    assert_eq!(call.execute().unwrap(), r#match("y".to_owned(), 2, 0));
}

/// Rows: FUN-46
#[test]
fn a_context_is_no_argument() {
    #[function]
    fn told(context: &Context, factor: u32) -> (CallId, u32) {
        assert_eq!(Context::current().unwrap().id(), context.id());
        (context.id(), context.attempt() * factor)
    }
    #[function]
    async fn told_async(context: &Context, factor: u32) -> (CallId, u32) {
        assert_eq!(Context::current().unwrap().id(), context.id());
        (context.id(), context.attempt() * factor)
    }
    assert_eq!(told::declaration().parameters().len(), 1);
    let id = CallId::new();
    assert_eq!(told::bind().factor(3).with_id(id).execute().unwrap(), (id, 3));
    let function = told::function().with_id(id).arg("factor", 2).unwrap();
    assert_eq!(function.execute::<(CallId, u32)>().unwrap(), (id, 2));
    assert_eq!(told_async::bind().factor(4).with_id(id).execute().wait().unwrap(), (id, 4));
    let function = told_async::function().with_id(id).positional((5_u32,)).unwrap();
    assert_eq!(function.operation::<(CallId, u32)>().wait().unwrap(), (id, 5));
    // By itself it is given a context of the caller's choice.
    let mine = Context::new().with_attempt(9);
    assert_eq!(mine.enter(|| told(&mine, 1)), (mine.id(), 9));
}

/// Rows: FUN-02
#[test]
fn parameters_may_be_named_like_verbs() {
    #[function]
    #[expect(clippy::too_many_arguments, reason = "each is a verb")]
    fn verbs(
        execute: u64,
        operation: u64,
        function: u64,
        bound: u64,
        register: u64,
        retry: u64,
        timeout: u64,
        with_id: u64,
        iterate: u64,
        stream: u64,
        attempt_timeout: u64,
        register_and_execute: u64,
    ) -> u64 {
        let all = [
            execute,
            operation,
            function,
            bound,
            register,
            retry,
            timeout,
            with_id,
            iterate,
            stream,
            attempt_timeout,
            register_and_execute,
        ];
        all.into_iter().fold(0, |all, one| all * 10 + one)
    }
    let bound = verbs::bind()
        .with_execute(1)
        .with_operation(2)
        .with_function(3)
        .with_bound(4)
        .with_register(5)
        .with_retry(6)
        .with_timeout(7)
        .with_with_id(8)
        .with_iterate(9)
        .with_stream(0)
        .with_attempt_timeout(1)
        .with_register_and_execute(2)
        .timeout(Duration::MAX);
    assert_eq!(bound.execute().unwrap(), 123_456_789_012);
    let call = magic!(verbs(
        1,
        2,
        3,
        4,
        5,
        6,
        timeout = 7,
        with_id = 8,
        iterate = 9,
        stream = 0,
        attempt_timeout = 1,
        register_and_execute = 2
    ));
    assert_eq!(call.execute().unwrap(), 123_456_789_012);
}

#[test]
fn parameters_may_be_named_like_what_the_macro_writes() {
    #[function]
    fn clone(clone: u64, try_execute: u64) -> u64 {
        clone + try_execute
    }
    #[function]
    fn same(same: u64, call: u64, arguments: u64, output: u64) -> u64 {
        same + call + arguments + output
    }
    #[function]
    async fn same_async(same_async: u64, slots: u64, modifiers: u64, positional: u64) -> u64 {
        same_async + slots + modifiers + positional
    }
    #[function]
    fn up_from(context: &Context, up_from: u64) -> u64 {
        up_from + u64::from(context.attempt())
    }
    let bound = clone::bind().with_clone(1);
    assert_eq!(bound.clone().with_try_execute(2).execute().unwrap(), 3);
    let bound = same::bind().same(1).call(2).arguments(3).output(4);
    assert_eq!(bound.clone().function().unwrap().execute::<u64>().unwrap(), 10);
    assert_eq!(bound.execute().unwrap(), 10);
    let bound = same_async::bind().same_async(1).slots(2).modifiers(3).positional(4);
    assert_eq!(bound.clone().function().unwrap().operation::<u64>().wait().unwrap(), 10);
    assert_eq!(bound.execute().wait().unwrap(), 10);
    assert_eq!(up_from::bind().up_from(1).execute().unwrap(), 2);
}

#[test]
fn types_may_be_named_like_what_the_macro_writes() {
    macro_rules! numbers {
        ($($name:ident)*) => { $(
            #[derive(Clone, Serialize, Deserialize)]
            struct $name(u64);
        )* };
    }
    numbers! { Bind Slots P0 Free0 Given0 Missing Given Function Result Option Box Failure Declared }
    #[function]
    #[expect(clippy::too_many_arguments, reason = "there is one of each type")]
    fn sum(
        a: Bind,
        b: Slots,
        c: P0,
        d: Free0,
        e: Given0,
        f: Missing,
        g: Given,
        h: Function,
        i: Result,
        j: Option,
        k: Box,
    ) -> u64 {
        [a.0, b.0, c.0, d.0, e.0, f.0, g.0, h.0, i.0, j.0, k.0].into_iter().sum()
    }
    #[function]
    fn made(of: u64) -> Failure {
        Failure(Declared(of).0)
    }
    let bound = sum::bind().a(Bind(1)).b(Slots(1)).c(P0(1)).d(Free0(1)).e(Given0(1)).f(Missing(1));
    let bound = bound.g(Given(1)).h(Function(1)).i(Result(1)).j(Option(1)).k(Box(1));
    assert_eq!(bound.clone().function().unwrap().execute::<u64>().unwrap(), 11);
    assert_eq!(bound.execute().unwrap(), 11);
    assert_eq!(made::bind().of(2).execute().unwrap().0, 2);
}

/// Where sk-function is not found under its own name.
mod elsewhere {
    pub(crate) use sk_function as renamed;

    #[renamed::function(crate = crate::declared::elsewhere::renamed, idempotent, autoreg = "renamed")]
    pub(crate) fn found(a: u64) -> u64 {
        a + 1
    }

    #[renamed::function(crate = crate::declared::elsewhere::renamed)]
    pub(crate) async fn found_async(context: &renamed::Context, a: u64) -> u64 {
        a + u64::from(context.attempt())
    }

    #[renamed::function(crate = crate::declared::elsewhere::renamed)]
    pub(crate) fn found_many(a: u64) -> impl Iterator<Item = u64> {
        0..a
    }
}

#[test]
fn it_works_where_the_crate_has_another_name() {
    assert_eq!(elsewhere::found::bind().a(1).execute().unwrap(), 2);
    assert_eq!(elsewhere::found_async::bind().a(2).execute().wait().unwrap(), 3);
    let items = elsewhere::found_many::bind().a(3).iterate().unwrap();
    assert_eq!(items.map(Result::unwrap).collect::<Vec<_>>(), [0, 1, 2]);
    assert_eq!(elsewhere::renamed::magic!(elsewhere::found(a = 7)).execute().unwrap(), 8);
}

/// Rows: FUN-42
#[test]
fn bound_arguments_are_kept_for_every_execution() {
    #[function]
    fn append(to: Vec<u32>, what: u32) -> Vec<u32> {
        let mut all = to;
        all.push(what);
        all
    }
    let bound = append::bind().to(vec![1]).what(2).bound();
    assert_eq!(bound.arguments(), &(vec![1], 2));
    assert_eq!(bound.name(), "it.declared.append");
    assert_eq!(bound.clone().execute().unwrap(), [1, 2]);
    assert_eq!(bound.execute().unwrap(), [1, 2]);
}

/// Rows: FUN-01
#[test]
fn a_function_passed_by_value_is_known_by_its_type() {
    assert_eq!(bind(carpet, (2, 3)).name(), "it.declared.carpet");
    assert_eq!(Function::of(carpet).name(), "it.declared.carpet");
    assert_eq!(bind(carpet, (2, 3)).execute().unwrap(), 6);
    let closure = |width: u64, height: u64| carpet(width, height);
    assert!(bind(closure, (2, 3)).name().contains("closure"));
    assert_eq!(bind(closure, (2, 3)).execute().unwrap(), 6);
    let shared = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&shared);
    let count = bind(move |by: u32| counted.fetch_add(by, Ordering::SeqCst), (5,));
    count.clone().execute().unwrap();
    assert_eq!((count.execute().unwrap(), shared.load(Ordering::SeqCst)), (5, 10));
}

#[test]
fn a_plain_call_of_what_is_bound_allocates_nothing() {
    carpet::bind().width(1).height(1).execute().unwrap();
    let info = allocation_counter::measure(|| {
        assert_eq!(carpet::bind().width(3).height(4).execute().unwrap(), 12);
        assert_eq!(bind(|a: u64, b: u64| a + b, (3, 4)).execute().unwrap(), 7);
    });
    assert_eq!(info.count_total, 0);
}
