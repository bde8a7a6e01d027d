//! Failures: what they say, what they keep, how they cross, and what cannot break them.

use std::error::Error;
use std::fmt;
use std::panic::{panic_any, resume_unwind};
use std::process::Command;
use std::time::Duration;

use proptest::prelude::*;
use sk_cereal::{Json, Value, internal};
use sk_function::{BoxError, Failure, FailureKind, PanicPlace, catch_panic};

#[derive(Debug)]
struct Outer(Option<Box<Outer>>, String);

impl fmt::Display for Outer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.1)
    }
}

impl Error for Outer {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.as_deref().map(|source| source as _)
    }
}

fn said(text: &str) -> Outer {
    Outer(None, text.to_owned())
}

fn one_of_each() -> Vec<(Failure, FailureKind, &'static str)> {
    let place = PanicPlace::new("src/a.rs", 3, 5);
    vec![
        (Failure::error(&said("refused")), FailureKind::Error, "work failed: refused"),
        (
            Failure::from_panic(Box::new("boom"), Some(place), Some("0: main")),
            FailureKind::Panic,
            "work panicked at src/a.rs:3:5: boom",
        ),
        (
            Failure::from_panic(Box::new(7), None, None),
            FailureKind::Panic,
            "work panicked: a payload that is not text",
        ),
        (Failure::exit(3), FailureKind::Exit, "work ended with exit code 3"),
        (Failure::exit(-1), FailureKind::Exit, "work ended with exit code -1"),
        (Failure::signalled(11), FailureKind::Signal, "work was ended by signal 11 (SIGSEGV)"),
        (Failure::signalled(40), FailureKind::Signal, "work was ended by signal 40"),
        (Failure::out_of_memory(None), FailureKind::OutOfMemory, "work ran out of memory"),
        (
            Failure::out_of_memory(Some(1 << 20)),
            FailureKind::OutOfMemory,
            "work ran out of memory: it passed its limit of 1048576 bytes",
        ),
        (
            Failure::timed_out("run", Duration::from_millis(1500)),
            FailureKind::Timeout,
            "work timed out: section run passed its limit of 1.5s",
        ),
        (Failure::cancelled("killed"), FailureKind::Cancelled, "work was cancelled: killed"),
        (
            Failure::undecodable(&said("byte 7 is no bool")),
            FailureKind::Undecodable,
            "work could not be decoded: byte 7 is no bool",
        ),
        (
            Failure::disconnected("worker 3"),
            FailureKind::Disconnected,
            "work lost its connection to worker 3",
        ),
    ]
}

/// Rows: FUN-37, PROC-102
#[test]
fn each_kind_says_what_it_is_in_one_line() {
    let mut seen = Vec::new();
    for (failure, kind, text) in one_of_each() {
        assert_eq!(failure.kind(), kind);
        assert_eq!(failure.to_string(), text);
        assert_eq!(format!("{failure:?}"), format!("Failure({text})"));
        seen.push(kind);
    }
    assert!(FailureKind::ALL.iter().all(|kind| seen.contains(kind)));
}

/// Rows: FUN-37, PROC-102
#[test]
fn each_question_is_answered_by_its_own_kind_only() {
    for (failure, kind, _) in one_of_each() {
        let asked = [
            (failure.is_error(), FailureKind::Error),
            (failure.is_panic(), FailureKind::Panic),
            (failure.exit_code().is_some(), FailureKind::Exit),
            (failure.signal().is_some(), FailureKind::Signal),
            (failure.is_out_of_memory(), FailureKind::OutOfMemory),
            (failure.is_timeout(), FailureKind::Timeout),
            (failure.section().is_some(), FailureKind::Timeout),
            (failure.limit().is_some(), FailureKind::Timeout),
            (failure.is_cancelled(), FailureKind::Cancelled),
            (failure.is_undecodable(), FailureKind::Undecodable),
            (failure.is_disconnected(), FailureKind::Disconnected),
        ];
        for (answer, of) in asked {
            assert_eq!(answer, of == kind, "{failure} asked for {of}");
        }
    }
    assert_eq!(Failure::signalled(9).signal_name(), Some("SIGKILL"));
    assert_eq!(Failure::signalled(40).signal_name(), None);
    assert_eq!(Failure::out_of_memory(Some(7)).limit_bytes(), Some(7));
}

/// Rows: PROC-102, PROC-103
#[test]
fn what_is_said_beside_the_cause_is_kept_and_told() {
    let failure = Failure::signalled(9)
        .with_function("my_app.crawl")
        .with_pid(4711)
        .with_attempts(3)
        .with_last_lines(["one", "two"])
        .with_no_start()
        .with_not_repeated("nobody\nasked");
    assert_eq!(
        failure.to_string(),
        "my_app.crawl was ended by signal 9 (SIGKILL) (3 attempts, pid 4711), before it had \
         started; not repeated: nobody\\nasked"
    );
    assert_eq!(failure.function(), Some("my_app.crawl"));
    assert_eq!((failure.pid(), failure.attempts()), (Some(4711), 3));
    assert_eq!(failure.last_lines().collect::<Vec<_>>(), ["one", "two"]);
    assert!(!failure.has_started());
    assert!(failure.report().to_string().ends_with("\nlast lines:\n  one\n  two"));
    assert_eq!(Failure::exit(1).with_attempts(0).attempts(), 1);
    assert_eq!(
        Failure::exit(1).with_attempts(2).to_string(),
        "work ended with exit code 1 (2 attempts)"
    );
    assert_eq!(Failure::exit(1).with_pid(2).to_string(), "work ended with exit code 1 (pid 2)");
}

#[test]
fn a_report_has_no_control_characters_but_line_breaks() {
    let place = PanicPlace::new("a\nb", 1, 2);
    let failure = Failure::from_panic(Box::new("x\x1b[2J"), Some(place), Some("0: a\n1: \x07b\n"))
        .with_last_lines(["\rline"]);
    assert_eq!(
        failure.report().to_string(),
        "work panicked at a\\nb:1:2: x\\u{1b}[2J\nbacktrace:\n0: a\n1: \\u{7}b\nlast lines:\n  \\rline"
    );
}

#[test]
fn the_chain_of_sources_is_rebuilt_from_text() {
    let error = Outer(Some(Box::new(Outer(Some(Box::new(said("c"))), "b".into()))), "a".into());
    let bytes = internal::to_vec(&Failure::error(&error)).unwrap();
    let failure: Failure = internal::from_slice(&bytes).unwrap();
    let mut chain = vec![failure.message().unwrap().to_owned()];
    let mut next = failure.source();
    while let Some(source) = next {
        chain.push(source.to_string());
        next = source.source();
    }
    assert_eq!(chain, ["a", "b", "c"]);
    assert_eq!(failure.report().to_string(), "work failed: a\ncaused by: b\ncaused by: c");
}

/// Rows: FUN-33
#[test]
fn the_type_of_an_error_is_known_where_it_was_seen() {
    assert!(Failure::error(&said("x")).is_error_of::<Outer>());
    assert!(!Failure::error(&said("x")).is_error_of::<std::io::Error>());
    let error: &dyn Error = &said("x");
    assert_eq!(Failure::error(error).error_type(), None);
    let error: BoxError = Box::new(said("x"));
    let failure = Failure::from(error);
    assert!(failure.error_type().is_none() && !failure.is_error_of::<dyn Error + Send + Sync>());
    assert!(failure.with_error_type::<Outer>().is_error_of::<Outer>());
    assert_eq!(Failure::exit(1).with_error_type::<Outer>().error_type(), None);
}

/// Rows: FUN-34
#[test]
fn a_failure_that_a_function_returns_is_that_failure_but_has_started() {
    let inner = Failure::timed_out("run", Duration::from_secs(1)).with_pid(7);
    let boxed: BoxError = inner.clone().with_no_start().into();
    assert_eq!(Failure::from(boxed), inner);
}

/// Rows: FUN-34
#[test]
fn a_delay_that_a_source_asks_for_is_asked_for_by_the_whole() {
    let asks = Failure::error(&said("busy")).with_retry_after(Duration::from_secs(9));
    let wrapped = std::io::Error::other(Around(asks));
    assert_eq!(Failure::error(&wrapped).retry_after(), Some(Duration::from_secs(9)));
}

#[derive(Debug)]
struct Around(Failure);

impl fmt::Display for Around {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("around")
    }
}

impl Error for Around {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.0)
    }
}

/// An error that does what no error should.
#[derive(Debug)]
enum Hostile {
    PanicsInDisplay,
    PanicsInSource,
    FailsInDisplay,
    IsItsOwnSource,
    NeverEnds,
    IsHuge,
}

impl fmt::Display for Hostile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Hostile::PanicsInDisplay => {
                f.write_str("so far")?;
                panic!("no words")
            }
            Hostile::FailsInDisplay => Err(fmt::Error),
            Hostile::NeverEnds => loop {
                f.write_str(&"never ".repeat(1 << 16))?;
            },
            Hostile::IsHuge => f.write_str(&"ä".repeat(20 << 20)),
            Hostile::IsItsOwnSource | Hostile::PanicsInSource => f.write_str("here"),
        }
    }
}

impl Error for Hostile {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Hostile::IsItsOwnSource => Some(self),
            Hostile::PanicsInSource => panic!("no source"),
            _ => None,
        }
    }
}

impl Drop for Hostile {
    fn drop(&mut self) {
        if matches!(self, Hostile::FailsInDisplay) {
            panic!("no drop either");
        }
    }
}

#[test]
fn a_hostile_error_becomes_a_bounded_failure_that_can_be_encoded() {
    let cases = [
        (Hostile::PanicsInDisplay, "so far (its Display panicked: no words)"),
        (Hostile::FailsInDisplay, "(its Display failed)"),
        (Hostile::IsItsOwnSource, "here"),
        (Hostile::PanicsInSource, "here"),
    ];
    for (error, text) in cases {
        let failure = Failure::from(BoxError::from(error));
        assert_eq!(failure.message(), Some(text));
        crosses(&failure);
    }
    let circle = Failure::error(&Hostile::IsItsOwnSource);
    let report = circle.report().to_string();
    assert_eq!(report.matches("caused by: ").count(), Failure::SOURCES_LIMIT);
    assert!(report.ends_with("further sources are left out"));
    assert!(
        Failure::error(&Hostile::PanicsInSource)
            .report()
            .to_string()
            .ends_with("caused by: its source panicked: no source")
    );
}

#[test]
fn a_text_that_is_too_long_is_cut_and_says_so() {
    let huge = Failure::error(&Hostile::IsHuge);
    let text = huge.message().unwrap();
    assert!(text.len() <= Failure::MESSAGE_LIMIT);
    let (kept, note) = text.split_once(" … ").unwrap();
    assert_eq!(note, format!("[{} bytes left out]", (40 << 20) - kept.len()));

    let endless = Failure::error(&Hostile::NeverEnds);
    assert!(endless.message().unwrap().contains("[at least "), "{endless}");

    let long = "ö".repeat(1 << 20);
    let failure = Failure::from_panic(
        Box::new(long.clone()),
        Some(PanicPlace::new(long.clone(), 1, 1)),
        Some(&long),
    )
    .with_function(&long)
    .with_not_repeated(&long)
    .with_last_lines((0..1000).map(|n| format!("{n} {long}")));
    assert_eq!(failure.last_lines().count(), Failure::LINES_LIMIT);
    assert!(failure.last_lines().next().unwrap().starts_with("968 "), "the newest stay");
    assert!(failure.last_lines().all(|line| line.len() <= Failure::LINE_LIMIT));
    assert!(failure.backtrace().unwrap().len() <= Failure::BACKTRACE_LIMIT);
    crosses(&failure);
}

fn crosses(failure: &Failure) {
    let bytes = internal::to_vec(failure).unwrap();
    assert!(bytes.len() <= Failure::ENCODED_LIMIT, "{} bytes", bytes.len());
    assert_eq!(&internal::from_slice::<Failure>(&bytes).unwrap(), failure);
    let tree = Value::of(failure).unwrap();
    assert_eq!(&tree.to::<Failure>().unwrap(), failure);
    let text = tree.to_json(Json::compact()).unwrap();
    assert_eq!(&Value::from_json(&text).unwrap().to::<Failure>().unwrap(), failure);
}

#[test]
fn each_kind_crosses() {
    for (failure, ..) in one_of_each() {
        crosses(&failure);
    }
}

#[test]
fn bytes_that_hold_too_much_give_a_bounded_value_or_an_error() {
    let long = "x".repeat(100_000);
    let lines = vec![long.clone(); 100];
    let tree = |cause: &str| {
        let lines = serde_json_list(&lines);
        let text = format!(
            r#"{{"cause":{cause},"function":"{long}","pid":1,"attempts":0,"started":true,
            "retry_after":null,"not_repeated":"{long}","last_lines":{lines}}}"#
        );
        Value::from_json(&text).unwrap()
    };
    let failure: Failure =
        tree(&format!(r#"{{"Disconnected":["{long}","{long}"]}}"#)).to().unwrap();
    assert_eq!((failure.attempts(), failure.last_lines().count()), (1, Failure::LINES_LIMIT));
    assert!(failure.function().unwrap().len() <= Failure::LINE_LIMIT);
    crosses(&failure);

    let too_many = serde_json_list(&vec!["x".to_owned(); Failure::SOURCES_LIMIT + 2]);
    let error = tree(&format!(r#"{{"Disconnected":{too_many}}}"#)).to::<Failure>().unwrap_err();
    assert!(error.to_string().contains("at most 16 sources"), "{error}");
    let error = tree(r#"{"Disconnected":[]}"#).to::<Failure>().unwrap_err();
    assert!(error.to_string().contains("a message"), "{error}");
    tree(r#"{"Unheard":[]}"#).to::<Failure>().unwrap_err();
}

fn serde_json_list(texts: &[String]) -> String {
    format!("[{}]", texts.iter().map(|text| format!("\"{text}\"")).collect::<Vec<_>>().join(","))
}

/// Rows: PROC-103
#[test]
fn a_caught_panic_has_message_and_place() {
    assert_eq!(catch_panic(|| 7), Ok(7));
    let (line, failure) = (line!(), catch_panic(|| panic!("no {}", 4)).unwrap_err());
    let place = failure.place().unwrap();
    assert_eq!((failure.message(), place.line()), (Some("no 4"), line));
    assert!(place.file().ends_with("outcome.rs") && place.column() > 0);
    crosses(&failure);
    let failure = catch_panic(|| panic!("literal")).unwrap_err();
    assert!(failure.message() == Some("literal") && failure.place().is_some());
    let failure = catch_panic(|| panic_any(7)).unwrap_err();
    assert!(failure.place().is_some(), "{failure}");
}

/// Rows: PROC-103
#[test]
fn a_place_is_only_told_of_the_panic_that_arrived() {
    let failure = catch_panic(|| {
        let _ = std::panic::catch_unwind(|| panic!("inner"));
        resume_unwind(Box::new("raised without a hook"));
    })
    .unwrap_err();
    assert_eq!(failure.to_string(), "work panicked: raised without a hook");

    let failure = catch_panic(|| {
        assert!(catch_panic(|| panic!("inner")).is_err());
        panic!("outer")
    })
    .unwrap_err();
    assert!(failure.message() == Some("outer") && failure.place().is_some());

    let failure = catch_panic(|| {
        let outer = std::panic::catch_unwind(|| panic!("first")).unwrap_err();
        assert!(catch_panic(|| panic!("second")).is_err());
        resume_unwind(outer)
    })
    .unwrap_err();
    assert!(failure.message() == Some("first") && failure.place().is_some(), "{failure}");
}

/// A payload whose drop panics with one like itself, for ever.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic_any(Bomb);
    }
}

/// Rows: PROC-103
#[test]
fn a_payload_whose_drop_panics_goes_no_further() {
    let failure = catch_panic(|| panic_any(Bomb)).unwrap_err();
    assert_eq!(failure.message(), Some("a payload that is not text"));
    assert!(Failure::from_panic(Box::new(Bomb), None, None).is_panic());
}

#[test]
fn a_panic_is_caught_while_another_unwinds() {
    struct CatchesInDrop;
    impl Drop for CatchesInDrop {
        fn drop(&mut self) {
            assert!(catch_panic(|| panic!("in drop")).is_err());
        }
    }
    let failure = catch_panic(|| {
        let _guard = CatchesInDrop;
        panic!("outside")
    })
    .unwrap_err();
    assert_eq!(failure.message(), Some("outside"));
    assert!(failure.place().is_some());
}

/// Hooks and the environment are of the whole process, so these are run in one of their own.
fn alone(test: &str, role: &str, backtrace: &str) {
    if std::env::var_os("SK_TEST_ROLE").is_some() {
        return;
    }
    let output = Command::new(std::env::current_exe().unwrap())
        .args([test, "--exact", "--nocapture", "--test-threads=1"])
        .env("SK_TEST_ROLE", role)
        .env("RUST_BACKTRACE", backtrace)
        .env_remove("RUST_LIB_BACKTRACE")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Rows: PROC-103
#[test]
fn the_hook_of_the_user_is_run_and_may_be_replaced() {
    use std::sync::atomic::{AtomicUsize, Ordering};
    static BEFORE: AtomicUsize = AtomicUsize::new(0);
    static AFTER: AtomicUsize = AtomicUsize::new(0);

    alone("outcome::the_hook_of_the_user_is_run_and_may_be_replaced", "hooks", "0");
    if std::env::var_os("SK_TEST_ROLE").is_none() {
        return;
    }
    std::panic::set_hook(Box::new(|_| {
        BEFORE.fetch_add(1, Ordering::Relaxed);
    }));
    let failure = catch_panic(|| panic!("one")).unwrap_err();
    assert!(failure.place().is_some() && failure.backtrace().is_none());
    assert_eq!(BEFORE.load(Ordering::Relaxed), 1);
    std::panic::set_hook(Box::new(|_| {
        AFTER.fetch_add(1, Ordering::Relaxed);
    }));
    let failure = catch_panic(|| panic!("two")).unwrap_err();
    assert_eq!((failure.message(), failure.place()), (Some("two"), None));
    assert_eq!((BEFORE.load(Ordering::Relaxed), AFTER.load(Ordering::Relaxed)), (1, 1));
}

/// Rows: PROC-103
#[test]
fn a_backtrace_is_kept_when_the_environment_asks_for_it() {
    alone("outcome::a_backtrace_is_kept_when_the_environment_asks_for_it", "backtrace", "1");
    if std::env::var_os("SK_TEST_ROLE").is_none() {
        return;
    }
    let failure = catch_panic(|| panic!("traced")).unwrap_err();
    let backtrace = failure.backtrace().unwrap();
    assert!(backtrace.contains("a_backtrace_is_kept"), "{backtrace}");
    assert!(failure.report().to_string().contains("\nbacktrace:\n"));
    crosses(&failure);
}

#[test]
fn a_panic_is_caught_where_thread_locals_are_gone() {
    struct Late;
    impl Drop for Late {
        fn drop(&mut self) {
            let failure = catch_panic(|| panic!("late")).unwrap_err();
            assert_eq!(failure.message(), Some("late"));
        }
    }
    thread_local!(static LATE: Late = const { Late });
    std::thread::spawn(|| {
        LATE.with(|_| ());
        let _ = catch_panic(|| panic!("early"));
    })
    .join()
    .unwrap();
}

fn texts() -> impl Strategy<Value = String> {
    prop_oneof![any::<String>(), "[a-zä€\n]{900,1500}", "x{8000,9000}"]
}

fn failures() -> impl Strategy<Value = Failure> {
    let cause = prop_oneof![
        prop::collection::vec(texts(), 1..20).prop_map(|texts| {
            let chain = texts
                .into_iter()
                .rev()
                .fold(None, |source, text| Some(Box::new(Outer(source, text))));
            Failure::error(&*chain.unwrap())
        }),
        (texts(), texts(), any::<(u32, u32)>(), prop::option::of(texts())).prop_map(
            |(message, file, (line, column), backtrace)| {
                let place = PanicPlace::new(file, line, column);
                Failure::from_panic(Box::new(message), Some(place), backtrace.as_deref())
            }
        ),
        any::<i32>().prop_map(Failure::exit),
        any::<i32>().prop_map(Failure::signalled),
        any::<Option<u64>>().prop_map(Failure::out_of_memory),
        (texts(), any::<Duration>())
            .prop_map(|(section, limit)| Failure::timed_out(section, limit)),
        texts().prop_map(Failure::cancelled),
        texts().prop_map(|text| Failure::undecodable(&said(&text))),
        texts().prop_map(Failure::disconnected),
    ];
    let beside = (
        prop::option::of(texts()),
        any::<Option<u32>>(),
        any::<u32>(),
        prop::collection::vec(texts(), 0..40),
        any::<Option<Duration>>(),
        any::<bool>(),
        prop::option::of(texts()),
    );
    (cause, beside).prop_map(|(mut failure, (name, pid, attempts, lines, after, started, stop))| {
        failure = failure.with_attempts(attempts).with_last_lines(lines);
        if let Some(name) = name {
            failure = failure.with_function(name);
        }
        if let Some(pid) = pid {
            failure = failure.with_pid(pid);
        }
        if let Some(after) = after {
            failure = failure.with_retry_after(after);
        }
        if let Some(stop) = stop {
            failure = failure.with_not_repeated(stop);
        }
        if started { failure } else { failure.with_no_start() }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 48, ..Default::default() })]

    #[test]
    fn any_failure_crosses_and_says_one_line(failure in failures()) {
        crosses(&failure);
        let line = failure.to_string();
        prop_assert!(!line.chars().any(|c| c.is_control() || c == '\u{2028}'), "{line:?}");
    }

    #[test]
    fn damaged_bytes_give_an_error_or_a_bounded_value(
        failure in failures(),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
        length in any::<prop::sample::Index>(),
    ) {
        let mut bytes = internal::to_vec(&failure).unwrap();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if let Ok(other) = internal::from_slice::<Failure>(&bytes) {
            crosses(&other);
        }
        let _ = internal::from_slice::<Failure>(&bytes[..length.index(bytes.len())]);
    }
}
