//! A callable with its arguments, whose types only it knows.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize, Serializer};
use sk_cereal::{Value, internal};
use sk_function::{
    ArgumentError, BuildIdentity, Failure, Function, FunctionKind, Repeat, Retry, bind, function,
};

use crate::operation::{FAR, shared_threads, watched};

#[function(idempotent)]
fn label(name: String, count: u32, scale: f64, tags: Vec<String>) -> String {
    format!("{name}/{count}/{scale}/{}", tags.join("+"))
}

fn labelled() -> Function {
    let function = label::function().arg("tags", ["x", "y"]).unwrap().arg("scale", 2).unwrap();
    function.arg("count", 7_u8).unwrap().arg("name", "n").unwrap()
}

/// The text of a failure of a call that did not start.
fn refused(failure: Failure) -> String {
    assert!(failure.is_error() && !failure.has_started(), "{failure:?}");
    assert_eq!(failure.attempts(), 1);
    failure.to_string()
}

/// Cannot be encoded.
#[derive(Clone)]
struct Secret;

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("it is a secret"))
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: serde::Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        Ok(Secret)
    }
}

/// Rows: FUN-01, FUN-02
#[test]
fn arguments_are_given_by_name_in_any_order_and_become_what_it_takes() {
    assert_eq!(labelled().execute::<String>().unwrap(), "n/7/2/x+y");
    assert_eq!(labelled().argument("count"), Some(&Value::Int(7)));
    assert_eq!(labelled().argument("nothing"), None);
    assert_eq!(labelled().arguments().len(), 4);
}

/// Rows: FUN-02
#[test]
fn arguments_by_position_come_first_and_mix_with_names() {
    let first = label::function().positional(("n", 7)).unwrap();
    assert_eq!(first.argument("count"), Some(&Value::Int(7)));
    assert_eq!(first.argument("scale"), None);
    let all = first.arg("tags", ["x"]).unwrap().arg("scale", 0.5_f32).unwrap();
    assert_eq!(all.execute::<String>().unwrap(), "n/7/0.5/x");
    let none = label::function().positional(()).unwrap();
    assert!(none.arguments().is_empty());
    let pair = Function::of(|pair: (u8, u8), unit: (), none: Option<u8>| (pair, unit, none));
    let pair = pair.positional(((1, 2), (), None::<u8>)).unwrap();
    assert_eq!(pair.execute::<((u8, u8), (), Option<u8>)>().unwrap(), ((1, 2), (), None));
}

/// Rows: FUN-42
#[test]
fn an_argument_is_overridden_for_one_call_and_a_function_derived_from_another() {
    let first = labelled();
    let other = first.clone().arg("name", "other").unwrap();
    assert_eq!(other.clone().execute::<String>().unwrap(), "other/7/2/x+y");
    assert_eq!(
        other.positional(("third", 1)).unwrap().execute::<String>().unwrap(),
        "third/1/2/x+y"
    );
    assert_eq!(first.execute::<String>().unwrap(), "n/7/2/x+y");
}

/// Rows: FUN-17
#[test]
fn metadata_travels_beside_it_and_means_nothing() {
    let function = labelled().meta("owner", "team").unwrap().meta("cost", 3).unwrap();
    let function = function.meta("owner", "other team").unwrap();
    let there: Function = internal::from_slice(&internal::to_vec(&function).unwrap()).unwrap();
    for function in [function, there] {
        let expected = [("cost", Value::Int(3)), ("owner", Value::Text("other team".to_owned()))];
        let expected: BTreeMap<_, _> =
            expected.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        assert_eq!(function.metadata(), &expected);
        assert_eq!(function.execute::<String>().unwrap(), "n/7/2/x+y");
    }
    let error = labelled().meta("key", Secret).unwrap_err().to_string();
    assert!(error.contains("`key`") && error.contains("it is a secret"), "{error}");
}

/// Rows: FUN-03
#[test]
fn a_missing_argument_is_named_before_anything_runs() {
    let error =
        refused(label::function().positional(("n",)).unwrap().execute::<String>().unwrap_err());
    let expected = "it.function.label failed: argument `count` of it.function.label is missing, \
                    before it had started";
    assert_eq!(error, expected);
    let nameless = Function::of(|a: u8, b: u8| a + b).positional((1,)).unwrap();
    assert!(refused(nameless.execute::<u8>().unwrap_err()).contains("argument `1`"));
    let failure = label::function().execute::<String>().unwrap_err();
    assert!(failure.is_error_of::<ArgumentError>());
}

#[test]
fn a_wrong_type_names_the_parameter_what_is_expected_and_what_was_given() {
    for (parameter, value, expected, given) in [
        ("count", Value::Text("many".to_owned()), "u32", "the text \"many\""),
        ("count", Value::Int(-1), "u32", "the integer -1"),
        ("count", Value::Int(1 << 40), "u32", "the integer 1099511627776"),
        ("name", Value::Bool(true), "String", "the truth value true"),
        ("scale", Value::Null, "f64", "nothing"),
        ("tags", Value::Map(Vec::new()), "Vec<alloc::string::String>", "a map of 0"),
    ] {
        let function = labelled().arg(parameter, &value).unwrap();
        let error = refused(function.execute::<String>().unwrap_err());
        for part in
            [&format!("argument `{parameter}` of it.function.label is to be"), expected, given]
        {
            assert!(error.contains(part), "{error} has no {part}");
        }
    }
    // Those that have no names are told of as a whole, with the function.
    let failure = Function::of(|a: u8| a).positional(("x",)).unwrap().execute::<u8>().unwrap_err();
    assert!(failure.is_undecodable() && failure.function().unwrap().contains("closure"));
}

#[test]
fn a_huge_argument_of_the_wrong_type_makes_no_huge_message() {
    let huge = "ü".repeat(1 << 19);
    let function = labelled().arg("count", &huge).unwrap();
    assert!(function.clone().execute::<String>().unwrap_err().to_string().len() < 2_000);
    let error = function.builder().build().unwrap_err().to_string();
    assert!(error.len() < 2_000, "{} bytes", error.len());
    let error = labelled().arg(&huge, 1).unwrap_err().to_string();
    assert!(error.len() < 2_000, "{} bytes", error.len());
}

/// A wrong argument stays wrong: a policy with waits of an hour has no say in it.
#[test]
fn wrong_arguments_are_not_tried_again() {
    watched(|| {
        let policy = Retry::new().attempts(5).delay(FAR);
        let function = labelled().arg("count", "many").unwrap().retry(policy.clone());
        let error = refused(function.execute::<String>().unwrap_err());
        assert!(error.contains("`count`"), "{error}");
        #[function]
        async fn later(n: u32) -> u32 {
            n
        }
        let function = later::function().arg("n", "many").unwrap().retry(policy);
        assert!(refused(function.operation::<u32>().wait().unwrap_err()).contains("`n`"));
    });
}

#[test]
fn too_many_arguments_are_counted() {
    let error = label::function().positional((1, 2, 3, 4, 5)).unwrap_err();
    assert_eq!(error.to_string(), "it.function.label takes at most 4 arguments, not 5");
    let error = Function::of(|| 1_u8).positional((1,)).unwrap_err();
    assert!(matches!(error, ArgumentError::TooMany { given: 1, limit: 0, .. }), "{error}");
}

#[test]
fn another_result_than_it_gives_is_an_error_with_both_types() {
    let failure = labelled().execute::<u32>().unwrap_err();
    assert_eq!(failure.function(), Some("it.function.label"));
    let text = failure.to_string();
    assert!(text.contains("it gives alloc::string::String, and u32 was asked for"), "{text}");
    #[function]
    fn parse(text: String) -> Result<u64, std::num::ParseIntError> {
        text.parse()
    }
    let seven = || parse::function().arg("text", "7").unwrap();
    let text = seven().execute::<u64>().unwrap_err().to_string();
    assert!(text.contains("the `try_` form takes the value out of a Result"), "{text}");
    assert_eq!(seven().execute::<Result<u64, std::num::ParseIntError>>().unwrap(), Ok(7));
    assert_eq!(seven().try_execute::<u64>().unwrap(), 7);
    assert_eq!(seven().try_operation::<u64>().wait().unwrap(), 7);
    let text = seven().try_execute::<u32>().unwrap_err().to_string();
    assert!(text.contains("u32 was asked for"), "{text}");
    let failure = seven().arg("text", "x").unwrap().try_execute::<u64>().unwrap_err();
    assert!(failure.is_error_of::<std::num::ParseIntError>() && failure.has_started());
    assert_eq!(failure.function(), Some("it.function.parse"));
    let text = labelled().try_execute::<String>().unwrap_err().to_string();
    assert!(text.contains("no Result") && text.contains("without `try_`"), "{text}");
}

/// That its caller asked for another type does not make it run again.
#[test]
fn a_result_of_another_type_is_not_tried_again() {
    watched(|| {
        let policy = Retry::new().attempts(5).delay(FAR);
        assert!(labelled().retry(policy.clone()).execute::<u32>().is_err());
        assert!(labelled().retry(policy).try_execute::<u32>().is_err());
    });
}

/// Rows: FUN-13, FUN-15
#[test]
fn each_kind_says_by_which_verb_it_runs() {
    #[function]
    fn one() -> u8 {
        1
    }
    #[function]
    async fn one_later() -> u8 {
        1
    }
    #[function]
    fn many() -> impl Iterator<Item = u8> {
        0..3
    }
    #[function]
    fn many_later() -> impl futures::Stream<Item = u8> {
        futures::stream::iter(0..3)
    }
    let kinds = [one::function(), one_later::function(), many::function(), many_later::function()];
    let kinds: Vec<_> = kinds.map(|function| function.kind()).to_vec();
    let (sync, later) = (FunctionKind::Sync, FunctionKind::Async);
    assert_eq!(kinds, [sync, later, FunctionKind::Iterator, FunctionKind::Stream]);

    let verb = |failure: Failure, is: &str, verb: &str| {
        let text = refused(failure);
        assert!(text.contains(&format!("it is {is} and was run as")), "{text}");
        assert!(text.contains(&format!("run it with {verb}")), "{text}");
    };
    verb(one_later::function().execute::<u8>().unwrap_err(), "async", "`operation`");
    verb(many::function().execute::<u8>().unwrap_err(), "an iterator", "`iterate`");
    verb(many::function().operation::<u8>().wait().unwrap_err(), "an iterator", "`iterate`");
    verb(many::function().stream::<u8>().unwrap_err(), "an iterator", "`iterate`");
    verb(many_later::function().iterate::<u8>().unwrap_err(), "a stream", "`stream`");
    verb(one::function().iterate::<u8>().unwrap_err(), "an ordinary function", "`execute`");
    verb(one::function().stream::<u8>().unwrap_err(), "an ordinary function", "`execute`");
    assert_eq!(one::function().operation::<u8>().wait().unwrap(), one());
    assert_eq!(futures::executor::block_on(one_later()), 1);
    assert_eq!(many().count(), 3);
    drop(many_later());
}

/// Rows: FUN-14
#[test]
fn a_closure_that_captures_runs_here_and_says_why_it_cannot_be_sent() {
    let step = 5_u64;
    let copied = Function::of(move |n: u64| n + step);
    let text = String::from("kept");
    let owned = Function::local(move |n: u64| n + text.len() as u64);
    for (function, expected) in [(copied, 6), (owned, 5)] {
        assert!(function.is_local());
        assert_eq!(function.declaration().map(sk_function::Declaration::path), None);
        let one = function.clone().positional((1,)).unwrap();
        assert_eq!(one.clone().execute::<u64>().unwrap(), expected);
        assert_eq!(one.operation::<u64>().wait().unwrap(), expected);
        let error = internal::to_vec(&function).unwrap_err().to_string();
        assert!(error.contains("captures something") && error.contains("closure"), "{error}");
        assert!(error.contains("as an argument"), "{error}");
    }
    assert!(!Function::of(|n: u64| n).is_local());
}

#[test]
fn what_is_not_declared_has_no_names_of_parameters() {
    let error = Function::of(|a: u8| a).arg("a", 1).unwrap_err();
    assert!(matches!(&error, ArgumentError::Nameless { name, .. } if name == "a"));
    assert!(error.to_string().contains("by position"), "{error}");
    assert_eq!(Function::of(|a: u8| a).repeat(), Repeat::Undeclared);
    assert_eq!(label::function().repeat(), Repeat::Idempotent);
    let error = label::function().arg("colour", 1).unwrap_err().to_string();
    let expected =
        "it.function.label has no parameter `colour`; it has `name`, `count`, `scale`, `tags`";
    assert_eq!(error, expected);
}

/// Rows: FUN-16
#[test]
fn encoded_and_decoded_it_is_the_same() {
    let _threads = shared_threads();
    fn twice(n: u64) -> u64 {
        n * 2
    }
    let policy = Retry::new().attempts(2);
    let functions = [
        (labelled().retry(policy).timeout(FAR).attempt_timeout(FAR), None),
        (Function::of(twice).positional((4,)).unwrap(), Some(8)),
        (Function::of(|n: u64| n + 1).positional((4,)).unwrap(), Some(5)),
        (bind(twice, (5,)).timeout(FAR).function().unwrap(), Some(10)),
    ];
    for (function, result) in functions {
        let bytes = internal::to_vec(&function).unwrap();
        let there: Function = internal::from_slice(&bytes).unwrap();
        assert_eq!(internal::to_vec(&there).unwrap(), bytes);
        assert_eq!(format!("{there:?}"), format!("{function:?}"));
        let as_text = Value::of(&function).unwrap().to_json(sk_cereal::Json::compact()).unwrap();
        let by_text: Function = Value::from_json(&as_text).unwrap().to().unwrap();
        for there in [there, by_text] {
            match result {
                Some(result) => assert_eq!(there.execute::<u64>().unwrap(), result),
                None => assert_eq!(there.execute::<String>().unwrap(), "n/7/2/x+y"),
            }
        }
    }
}

/// What has no argument and what has nothing as its argument are two.
#[test]
fn an_argument_that_is_nothing_is_kept_on_every_way() {
    #[function]
    fn maybe(first: Option<u8>, second: ()) -> Option<u8> {
        let () = second;
        first
    }
    let full = maybe::function().arg("first", None::<u8>).unwrap().arg("second", ()).unwrap();
    let half = maybe::function().arg("second", ()).unwrap();
    let ways = |function: &Function| -> [Function; 2] {
        let bytes = internal::to_vec(function).unwrap();
        let text = Value::of(function).unwrap().to_json(sk_cereal::Json::compact()).unwrap();
        [internal::from_slice(&bytes).unwrap(), Value::from_json(&text).unwrap().to().unwrap()]
    };
    for there in ways(&full) {
        assert_eq!(there.execute::<Option<u8>>().unwrap(), maybe(None, ()));
    }
    for there in ways(&half) {
        let failure = there.execute::<Option<u8>>().unwrap_err();
        assert!(failure.is_error_of::<ArgumentError>(), "{failure}");
    }
}

#[test]
fn an_argument_that_cannot_be_encoded_is_an_error_that_names_it() {
    #[function]
    fn tell(secret: Secret, number: u8) -> u8 {
        let _ = secret;
        number
    }
    let check = |error: ArgumentError, name: &str| {
        assert!(
            matches!(&error, ArgumentError::NotEncodable { parameter, .. } if parameter == name)
        );
        let text = error.to_string();
        assert!(text.contains("it.function.tell cannot be encoded: "), "{text}");
        assert!(text.contains("it is a secret"), "{text}");
    };
    check(tell::function().arg("secret", Secret).unwrap_err(), "secret");
    check(tell::bind().secret(Secret).function().unwrap_err(), "secret");
    assert!(tell::function().positional((Secret, 1)).is_err());
    // Bound it never is encoded.
    assert_eq!(tell::bind().secret(Secret).number(3).execute().unwrap(), tell(Secret, 3));
    assert!(tell::bind().secret(Secret).number(3).register_and_execute("it.secret").is_err());
    assert!(Function::get("it.secret").is_err());
}

#[test]
fn what_cannot_be_encoded_is_returned_all_the_same() {
    struct Opaque(u8);
    #[function]
    fn opaque(n: u8) -> Opaque {
        Opaque(n)
    }
    assert_eq!(opaque::function().arg("n", 3).unwrap().execute::<Opaque>().unwrap().0, 3);
    #[function]
    fn try_opaque(n: u8) -> Result<Opaque, fmt::Error> {
        if n > 0 { Ok(Opaque(n)) } else { Err(fmt::Error) }
    }
    assert_eq!((opaque(1).0, try_opaque(2).map(|one| one.0)), (1, Ok(2)));
    assert_eq!(try_opaque::function().arg("n", 3).unwrap().try_execute::<Opaque>().unwrap().0, 3);
    let failure = try_opaque::function().arg("n", 0).unwrap().try_execute::<Opaque>();
    assert!(failure.err().unwrap().is_error_of::<fmt::Error>());
}

#[test]
fn damaged_bytes_of_a_function_are_an_error_or_another_function_and_never_a_jump() {
    fn triple(n: u64) -> u64 {
        n * 3
    }
    for function in [labelled(), Function::of(triple).positional((7,)).unwrap()] {
        let bytes = internal::to_vec(&function).unwrap();
        for at in 0..bytes.len() {
            assert!(internal::from_slice::<Function>(&bytes[..at]).is_err());
            for flip in [0x01, 0x80, 0xff] {
                let mut damaged = bytes.clone();
                damaged[at] ^= flip;
                // Decoding it is safe, and so is asking it; what it calls need not be ours to run.
                if let Ok(other) = internal::from_slice::<Function>(&damaged) {
                    let _ = (format!("{other:?}"), other.arguments().len(), other.kind());
                }
            }
        }
    }
}

/// Rows: FUN-16
#[test]
fn a_function_of_another_build_is_refused_with_both_identities() {
    let here = BuildIdentity::of_this_process().unwrap();
    let bytes = internal::to_vec(&Function::of(|n: u64| n)).unwrap();
    let own: Vec<u8> = (0..here.to_string().len() / 2)
        .map(|at| u8::from_str_radix(&here.to_string()[2 * at..2 * at + 2], 16).unwrap())
        .collect();
    let at = bytes.windows(own.len()).position(|window| window == own).unwrap();
    let mut other = bytes;
    other[at] ^= 0xff;
    let error = internal::from_slice::<Function>(&other).unwrap_err().to_string();
    let mut their = own;
    their[0] ^= 0xff;
    let their: String = their.iter().map(|byte| format!("{byte:02x}")).collect();
    assert!(error.contains(&here.to_string()) && error.contains(&their), "{error}");
}

/// Rows: FUN-16
#[test]
fn more_arguments_than_there_can_be_are_refused_before_they_take_memory() {
    #[derive(serde::Serialize)]
    struct Many {
        func: String,
        args: Vec<Option<()>>,
        kwargs: BTreeMap<String, Value>,
    }
    let func = "it.function.many".to_owned();
    let many = Many { func, args: vec![None; 1 << 20], kwargs: BTreeMap::new() };
    let bytes = internal::to_vec(&many).unwrap();
    let used = allocation_counter::measure(|| {
        let error = internal::from_slice::<sk_function::Call>(&bytes).unwrap_err();
        assert!(!error.to_string().is_empty());
    });
    assert!(used.bytes_max < 1 << 20, "{} bytes", used.bytes_max);
}

/// Rows: FUN-16
#[test]
fn a_name_that_this_program_gave_is_not_taken_from_elsewhere() {
    Function::of(|n: u64| n + 1).register("it.function.given").unwrap();
    let json = r#"{"target":{"Name":"it.function.given"},"given":{"arguments":[],"modifiers":null,"metadata":{}}}"#;
    let error = Value::from_json(json).unwrap().to::<Function>().unwrap_err();
    assert!(error.to_string().contains("no function is named `it.function.given`"), "{error}");
}

/// Rows: FUN-17
#[test]
fn a_builder_takes_metadata_too() {
    let function = Function::of(|| 1_u8).builder().meta("owner", "me").build().unwrap();
    assert_eq!(function.metadata()["owner"], Value::Text("me".to_owned()));
}
