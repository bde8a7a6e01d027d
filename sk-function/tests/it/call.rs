//! A call as data.

use sk_cereal::{Json, Value, internal};
use sk_function::{
    ArgumentError, CONTROL_KEYWORDS, Call, CallError, Function, Magic, NameError, Place, function,
    magic,
};

use crate::operation::{shared_threads, watched};

mod foo {
    pub(super) mod bar {
        #[sk_function::function(name = "foo.bar.baz")]
        pub(crate) fn baz(one: u64, two: u64, ape: String) -> String {
            format!("{one} {two} {ape}")
        }
    }
}

fn baz() -> Call {
    let call = Call::new("foo.bar.baz").arg(1).unwrap().arg(2).unwrap();
    call.kwarg("ape", "Teso").unwrap()
}

/// A record as another program wrote it.
fn record(text: &str) -> Result<Call, sk_cereal::Error> {
    Value::from_json(text)?.to::<Call>()
}

fn wrong(text: &str) -> String {
    record(text).unwrap().function().unwrap_err().to_string()
}

/// Rows: FUN-18, FUN-19
#[test]
fn a_record_is_exactly_func_args_and_kwargs() {
    let json = r#"{"func":"foo.bar.baz","args":[1,2],"kwargs":{"ape":"Teso"}}"#;
    let steered =
        magic!(foo::bar::baz(1, 2, ape = "Teso".to_owned(), place = Place::NewProcess, pop = true));
    let untyped: Magic<String> = magic!("foo.bar.baz", 1, 2, ape = "Teso", pop = true);
    for call in [&baz(), steered.call().unwrap(), untyped.call().unwrap()] {
        assert_eq!(Value::of(call).unwrap().to_json(Json::compact()).unwrap(), json);
        assert_eq!(call, &baz());
    }
    assert_eq!(record(json).unwrap(), baz());
}

/// The bytes that are sent. If they change, no other build understands records any more.
///
/// Rows: FUN-19
#[test]
fn a_record_has_these_bytes() {
    let bytes = internal::to_vec(&baz()).unwrap();
    assert_eq!(bytes, GOLDEN, "{bytes:?}");
    assert_eq!(internal::from_slice::<Call>(&GOLDEN).unwrap(), baz());
    let steered = magic!(foo::bar::baz(1, 2, "Teso".to_owned())).place(Place::Thread).pop(true);
    let positional = baz_by_position();
    assert_eq!(
        internal::to_vec(steered.call().unwrap()).unwrap(),
        internal::to_vec(&positional).unwrap()
    );
}

#[rustfmt::skip]
const GOLDEN: [u8; 134] = [
    158, b'S', 1, 1, 2, 0, 10, 138, // magic, mode, version, settings of internal bytes
    11, 0, 0, 0, 0, 0, 0, 0, b'f', b'o', b'o', b'.', b'b', b'a', b'r', b'.', b'b', b'a', b'z',
    2, 0, 0, 0, 0, 0, 0, 0, // two by position, each a whole number of 16 bytes
    1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    1, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, b'a', b'p', b'e', // one by name
    1, 0, 0, 0, 0, 0, 0, 0, 6, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, b'T', b'e', b's', b'o',
];

fn baz_by_position() -> Call {
    Call::new("foo.bar.baz").arg(1).unwrap().arg(2).unwrap().arg("Teso").unwrap()
}

/// Rows: FUN-18, FUN-21
#[test]
fn a_record_is_run_where_it_stands() {
    assert_eq!(baz().function().unwrap().execute::<String>().unwrap(), "1 2 Teso");
    let call = magic!(foo::bar::baz(1, 2, ape = "Teso".to_owned()));
    assert_eq!(call.execute().unwrap(), "1 2 Teso");
    assert_eq!(call.clone().execute().unwrap(), "1 2 Teso");
    let call: Magic<String> = magic!("foo.bar.baz", 1, ape = "Teso", two = 2);
    assert_eq!(call.execute().unwrap(), "1 2 Teso");
    watched(move || {
        let _threads = shared_threads();
        let here = std::thread::current().id();
        #[function]
        fn elsewhere() -> bool {
            std::thread::current().name() == Some("sk-blocking")
        }
        assert!(!magic!(elsewhere()).execute().unwrap());
        assert!(magic!(elsewhere(place = Place::Thread)).execute().unwrap());
        assert_eq!(std::thread::current().id(), here);
        #[function]
        async fn later(n: u64) -> u64 {
            n + 1
        }
        assert_eq!(magic!(later(1)).execute().unwrap(), 2);
        assert_eq!(magic!(later(1, place = Place::Thread)).execute().unwrap(), 2);
    });
}

/// Rows: FUN-53
#[test]
fn a_checked_call_takes_paths_positions_names_and_a_comma_at_the_end() {
    use foo::bar::baz as renamed;
    let own = || "a".to_owned();
    let calls = [
        magic!(foo::bar::baz(1, 2, own())),
        magic!(self::foo::bar::baz(1, 2, own(),)),
        magic!(crate::call::foo::bar::baz(ape = own(), two = 2, one = 1)),
        magic!(renamed(1, ape = own(), two = 2,)),
        magic!(renamed(place = Place::Here, one = 1, pop = false, two = 2, ape = own())),
    ];
    for call in calls {
        assert_eq!(call.call().unwrap().func(), "foo.bar.baz");
        assert_eq!(call.execute().unwrap(), "1 2 a");
    }
    #[function]
    fn nothing() -> u8 {
        1
    }
    assert_eq!(magic!(nothing()).execute().unwrap(), nothing());
    assert_eq!(magic!("it.call.nothing").execute().unwrap_or(1_u8), 1);
    // Each value is evaluated once, and its type is known.
    let mut evaluated = 0;
    let mut count = || {
        evaluated += 1;
        evaluated
    };
    assert_eq!(magic!(renamed(count(), two = count(), ape = own())).execute().unwrap(), "1 2 a");
    assert_eq!(evaluated, 2);
}

/// Rows: FUN-53
#[test]
fn twelve_arguments_by_position_are_taken() {
    #[function]
    #[expect(clippy::too_many_arguments, reason = "there are as many as there may be")]
    fn twelve(
        a: u8,
        b: u8,
        c: u8,
        d: u8,
        e: u8,
        f: u8,
        g: u8,
        h: u8,
        i: u8,
        j: u8,
        k: u8,
        l: u8,
    ) -> Vec<u8> {
        vec![a, b, c, d, e, f, g, h, i, j, k, l]
    }
    let call = magic!(twelve(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12));
    assert_eq!(call.execute().unwrap(), (1..=12).collect::<Vec<_>>());
    assert_eq!(call.call().unwrap().args().len(), 12);
}

/// Rows: FUN-20
#[test]
fn what_steers_a_call_never_reaches_its_function() {
    let call =
        magic!(foo::bar::baz(1, 2, ape = "x".to_owned(), pop = true, place = Place::Worker(3)));
    assert_eq!((call.to_place(), call.is_popped()), (&Place::Worker(3), true));
    assert!(call.call().unwrap().kwargs().keys().eq(["ape"]));
    let function = call.call().unwrap().function().unwrap();
    assert_eq!(function.arguments().len(), 3);
    // As another program sends it.
    for word in CONTROL_KEYWORDS {
        let text = format!(
            r#"{{"func":"foo.bar.baz","args":[1,2],"kwargs":{{"{word}":true,"ape":"x"}}}}"#
        );
        let function = record(&text).unwrap().function().unwrap();
        assert_eq!(function.execute::<String>().unwrap(), "1 2 x");
        let error = Call::new("foo.bar.baz").kwarg(word, 1).unwrap_err();
        assert!(error.is_argument());
        assert!(error.to_string().contains(&format!("`{word}` steers a call")), "{error}");
    }
    // Also of one whose parameters have no names.
    Function::of(|n: u64| n + 1).register("it.call.nameless").unwrap();
    let text = r#"{"func":"it.call.nameless","args":[1],"kwargs":{"pop":true}}"#;
    assert_eq!(record(text).unwrap().function().unwrap().execute::<u64>().unwrap(), 2);
}

#[test]
fn a_place_that_is_not_in_this_process_needs_a_layer_above() {
    for place in [Place::NewProcess, Place::Pool("p".to_owned()), Place::Worker(1)] {
        let call = magic!(foo::bar::baz(1, 2, "x".to_owned())).place(place.clone());
        let failure = call.execute().unwrap_err();
        assert!(!failure.has_started());
        assert_eq!(failure.function(), Some("foo.bar.baz"));
        assert!(failure.to_string().contains(&format!("a call for {place:?}")), "{failure}");
    }
}

#[test]
fn words_of_the_language_are_names_in_a_text_too() {
    #[function(name = "it.call.words")]
    fn words(r#type: u64, r#move: u64) -> u64 {
        r#type * 10 + r#move
    }
    let checked = magic!(words(r#type = 1, r#move = 2));
    assert_eq!(checked.execute().unwrap(), words(1, 2));
    let raw: Magic<u64> = magic!("it.call.words", r#type = 1, r#move = 2);
    assert_eq!(raw.execute().unwrap(), 12);
    let plain: Magic<u64> = magic!("it.call.words", type = 1, move = 2);
    assert_eq!(plain.execute().unwrap(), 12);
}

/// Rows: FUN-24
#[test]
fn a_record_of_an_unknown_function_names_the_nearest() {
    let error = Call::new("foo.bar.bas").function().unwrap_err();
    assert!(error.is_name() && !error.is_argument());
    let text = error.to_string();
    assert!(text.contains("`foo.bar.bas`") && text.contains("`foo.bar.baz`"), "{text}");
    let text = Call::new("foo.bar").function().unwrap_err().to_string();
    assert!(text.contains("`foo.bar.baz`"), "{text}");
    let call: Magic<u8> = magic!("");
    let failure = call.execute().unwrap_err();
    assert!(!failure.has_started() && failure.is_error_of::<CallError>(), "{failure}");
    let huge = Call::new("x".repeat(1 << 20)).function().unwrap_err().to_string();
    assert!(huge.len() < 2_000);
}

#[test]
fn a_hostile_record_is_an_error_that_says_what_is_wrong() {
    for text in [
        "1",
        "null",
        "[]",
        "{}",
        r#""foo.bar.baz""#,
        r#"{"func":1,"args":[],"kwargs":{}}"#,
        r#"{"func":"f","args":{},"kwargs":{}}"#,
        r#"{"func":"f","args":[],"kwargs":[1]}"#,
        r#"{"func":"f","args":[],"kwargs":{"1":2},"func":"g"}"#,
        r#"{"func":"f","args":[]}"#,
        r#"{"func":"f","kwargs":{}}"#,
        r#"{"args":[],"kwargs":{}}"#,
        r#"{"func":"f","args":[],"kwargs":{},"where":"new_process"}"#,
        r#"{"func":"f","args":[],"kwargs":{"a":1,"a":2}}"#,
    ] {
        assert!(record(text).is_err(), "{text} was taken");
    }
    let text = wrong(r#"{"func":"foo.bar.baz","args":[1,2,"x",4],"kwargs":{}}"#);
    assert_eq!(text, "foo.bar.baz takes at most 3 arguments, not 4");
    let text = wrong(r#"{"func":"foo.bar.baz","args":[1],"kwargs":{"one":2}}"#);
    assert_eq!(text, "argument `one` of foo.bar.baz was given twice");
    let text = wrong(r#"{"func":"foo.bar.baz","args":[1],"kwargs":{"four":2}}"#);
    assert_eq!(text, "foo.bar.baz has no parameter `four`; it has `one`, `two`, `ape`");
    let text = wrong(r#"{"func":"","args":[],"kwargs":{}}"#);
    assert!(text.starts_with("no function is named ``"), "{text}");
    let call =
        record(r#"{"func":"foo.bar.baz","args":["1"],"kwargs":{"ape":"x","two":2}}"#).unwrap();
    let failure = call.function().unwrap().execute::<String>().unwrap_err();
    assert!(failure.is_error_of::<ArgumentError>() && !failure.has_started());
    assert!(failure.to_string().contains("argument `one`"), "{failure}");
    let call = record(r#"{"func":"foo.bar.baz","args":[],"kwargs":{"ape":"x","two":2}}"#).unwrap();
    let failure = call.function().unwrap().execute::<String>().unwrap_err();
    assert!(failure.to_string().contains("argument `one` of foo.bar.baz is missing"), "{failure}");
    let error = baz().kwarg("ape", 1).unwrap_err();
    assert_eq!(error.to_string(), "argument `ape` was given twice");
}

#[test]
fn damaged_bytes_of_a_record_are_an_error_or_another_record() {
    let bytes = internal::to_vec(&baz()).unwrap();
    for at in 0..bytes.len() {
        assert!(internal::from_slice::<Call>(&bytes[..at]).is_err());
        for flip in [0x01, 0x40, 0xff] {
            let mut damaged = bytes.clone();
            damaged[at] ^= flip;
            if let Ok(call) = internal::from_slice::<Call>(&damaged)
                && let Ok(function) = call.function()
            {
                let _ = function.execute::<String>();
            }
        }
    }
}

#[test]
fn a_call_of_a_name_overrides_what_that_has() {
    let function = foo::bar::baz::function().positional((1, 2, "bound")).unwrap();
    function.register("it.call.bound").unwrap();
    let run = |call: Call| call.function().unwrap().execute::<String>().unwrap();
    assert_eq!(run(Call::new("it.call.bound")), "1 2 bound");
    assert_eq!(run(Call::new("it.call.bound").kwarg("ape", "other").unwrap()), "1 2 other");
    assert_eq!(run(Call::new("it.call.bound").arg(9).unwrap()), "9 2 bound");
    assert!(matches!(Function::get("it.call.bounds"), Err(NameError::Unknown { .. })));
}

#[test]
fn a_value_that_cannot_be_encoded_is_told_when_it_is_called() {
    use std::os::unix::ffi::OsStringExt as _;
    #[function]
    fn length(path: std::path::PathBuf) -> usize {
        path.as_os_str().len()
    }
    let path: std::path::PathBuf = std::ffi::OsString::from_vec(vec![0xff]).into();
    let call = magic!(length(path.clone()));
    assert!(call.call().unwrap_err().is_argument());
    let failure = call.execute().unwrap_err();
    assert!(!failure.has_started() && failure.to_string().contains("argument `path`"), "{failure}");
    let call: Magic<usize> = magic!("it.call.length", path = path.clone());
    assert!(call.execute().unwrap_err().to_string().contains("argument `path`"));
    assert_eq!(length(path), 1);
}
