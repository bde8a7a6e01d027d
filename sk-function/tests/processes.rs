//! Functions run in another process of the same executable, found through the table.

use std::io::{Read as _, Write as _};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use libtest_mimic::{Arguments, Failed, Trial};
use serde::{Deserialize, Serialize};
use sk_cereal::internal;
use sk_function::image::{self, Reference};
use sk_function::{
    AnyFunction, BuildIdentity, Call, Failure, Function, IntoFunction as _, OtherBuild, Retry,
    bind, function, magic, registry,
};

const CHILD: &str = "SK_FUNCTION_TEST_CHILD";
const WATCHDOG: Duration = Duration::from_secs(60);

fn main() -> ExitCode {
    if std::env::var_os(CHILD).is_some() {
        return child();
    }
    let trials = vec![
        Trial::test("functions_of_every_form_run_in_another_process", || {
            functions_of_every_form_run_in_another_process()
        }),
        Trial::test("a_damaged_reference_is_an_error_there", || {
            a_damaged_reference_is_an_error_there()
        }),
        Trial::test("another_build_is_refused_with_both_identities", || {
            another_build_is_refused_with_both_identities()
        }),
    ];
    let trials = trials.into_iter().chain([
        Trial::test("an_encoded_function_does_the_same_in_another_process", || {
            an_encoded_function_does_the_same_in_another_process()
        }),
        Trial::test("a_record_of_a_call_runs_in_another_process", || {
            a_record_of_a_call_runs_in_another_process()
        }),
        Trial::test("a_function_of_another_build_is_refused_with_both_identities", || {
            a_function_of_another_build_is_refused_with_both_identities()
        }),
        Trial::test("damaged_bytes_of_a_function_never_jump", || {
            damaged_bytes_of_a_function_never_jump()
        }),
        Trial::test("every_declared_function_is_found_by_its_path", || {
            every_declared_function_is_found_by_its_path()
        }),
    ]);
    let trials = trials.collect();
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

/// What the parent sends.
#[derive(Serialize, Deserialize)]
enum Order {
    /// What to run, with which arguments, and of which build it thinks the child.
    Reference(BuildIdentity, Reference, Vec<u8>),
    /// Encoded functions that give a text, each to be executed.
    Functions(Vec<Vec<u8>>),
    /// Encoded records of calls that give a text.
    Calls(Vec<Vec<u8>>),
}

/// What the child answers.
type Answer = Result<Vec<u8>, String>;

fn child() -> ExitCode {
    let mut bytes = Vec::new();
    std::io::stdin().read_to_end(&mut bytes).unwrap();
    let answer: Answer = run(&bytes);
    std::io::stdout().write_all(&internal::to_vec(&answer).unwrap()).unwrap();
    ExitCode::SUCCESS
}

fn run(order: &[u8]) -> Answer {
    let text = |error: &dyn std::fmt::Display| error.to_string();
    let (build, reference, arguments) =
        match internal::from_slice(order).map_err(|error| text(&error))? {
            Order::Reference(build, reference, arguments) => (build, reference, arguments),
            Order::Functions(functions) => {
                let texts: Vec<_> = functions.iter().map(|bytes| execute(bytes)).collect();
                return internal::to_vec(&texts).map_err(|error| text(&error));
            }
            Order::Calls(calls) => {
                let texts: Vec<_> = calls.iter().map(|bytes| call(bytes)).collect();
                return internal::to_vec(&texts).map_err(|error| text(&error));
            }
        };
    let here = BuildIdentity::of_this_process().map_err(|error| text(&error))?;
    here.expect(&build).map_err(|error: OtherBuild| text(&error))?;
    let code = image::accept(reference).map_err(|error| text(&error))?;
    let mut result = Vec::new();
    code.run(&arguments, &mut result).map_err(|failure| text(&failure))?;
    Ok(result)
}

/// What an encoded function gives, or why it does not.
fn execute(bytes: &[u8]) -> Result<String, String> {
    let function: Function = internal::from_slice(bytes).map_err(|error| error.to_string())?;
    let owner = function.metadata().get("owner").and_then(|owner| owner.to::<String>().ok());
    let result = told(function)?;
    Ok(owner.map_or(result.clone(), |owner| format!("{result} of {owner}")))
}

fn call(bytes: &[u8]) -> Result<String, String> {
    let call: Call = internal::from_slice(bytes).map_err(|error| error.to_string())?;
    told(call.function().map_err(|error| error.to_string())?)
}

fn told(function: Function) -> Result<String, String> {
    let is_tried = function.name().ends_with("at_second");
    let outcome: Result<String, Failure> =
        if is_tried { function.try_operation().wait() } else { function.operation().wait() };
    outcome.map_err(|failure| failure.to_string())
}

#[function]
fn label(name: String, count: u32) -> String {
    format!("{name} {count}")
}

#[function]
async fn label_later(name: String) -> String {
    format!("{name} later")
}

/// Which process it is, if it is the second attempt.
#[function]
fn at_second(context: &sk_function::Context) -> Result<String, std::fmt::Error> {
    match context.attempt() {
        2 => Ok(format!("second of {}", context.id())),
        _ => Err(std::fmt::Error),
    }
}

/// A damaged count is a number too, and makes no text of gigabytes.
fn undeclared(name: String, count: u32) -> String {
    name.repeat(count.min(9) as usize)
}

type Texts = Vec<Result<String, String>>;

fn texts(order: &Order) -> Result<Texts, Failed> {
    Ok(internal::from_slice(&ask(order)??)?)
}

/// Rows: FUN-14, FUN-16, FUN-17
fn an_encoded_function_does_the_same_in_another_process() -> Result<(), Failed> {
    let id = sk_function::CallId::new();
    let retry = Retry::new().attempts(2).delay(Duration::ZERO);
    let any: AnyFunction<String, (String, u32)> = undeclared.into_function();
    let functions = [
        label::function().arg("count", 7)?.arg("name", "by path")?,
        label::bind().name("bound".to_owned()).count(1).function()?.meta("owner", "us")?,
        Function::of(undeclared).positional(("ab", 2))?,
        Function::of(|name: String| name.to_uppercase()).positional(("closure",))?,
        bind(undeclared, ("x".to_owned(), 3)).timeout(WATCHDOG).function()?,
        any.function().map_err(Clone::clone)?.clone().positional(("any", 1))?,
        label_later::function().arg("name", "async")?,
        at_second::function().retry(retry).attempt_timeout(WATCHDOG).with_id(id),
        label::function().arg("name", "alone")?,
        label::function().arg("name", "wrong")?.arg("count", "many")?,
    ];
    let encoded = functions.iter().map(internal::to_vec).collect::<Result<Vec<_>, _>>()?;
    let here: Vec<_> = encoded.iter().map(|bytes| execute(bytes)).collect();
    let there = texts(&Order::Functions(encoded))?;
    let second = format!("second of {id}");
    let expected =
        ["by path 7", "bound 1 of us", "abab", "CLOSURE", "xxx", "any", "async later", &second];
    for (there, expected) in there.iter().zip(expected) {
        assert_eq!(there.as_deref(), Ok(expected));
    }
    assert!(there[8].as_ref().is_err_and(|error| error.contains("argument `count`")), "{there:?}");
    assert!(there[9].as_ref().is_err_and(|error| error.contains("is to be u32")), "{there:?}");
    assert_eq!(here, there);
    Ok(())
}

/// Rows: FUN-18, FUN-19, FUN-24
fn a_record_of_a_call_runs_in_another_process() -> Result<(), Failed> {
    let calls = [
        magic!(label("checked".to_owned(), count = 3, pop = true)).call()?.clone(),
        magic!(label_later("later".to_owned())).call()?.clone(),
        Call::new("processes.label").arg("by text")?.kwarg("count", 4)?,
        Call::new("processes.labal").arg("unknown")?,
        Call::new("processes.label").kwarg("colour", 4)?,
    ];
    let encoded = calls.iter().map(internal::to_vec).collect::<Result<Vec<_>, _>>()?;
    let there = texts(&Order::Calls(encoded))?;
    let results: Vec<_> = there.iter().filter_map(|text| text.as_deref().ok()).collect();
    assert_eq!(results, ["checked 3", "later later", "by text 4"]);
    let error = there[3].as_ref().err().ok_or("an unknown name was run")?;
    assert!(error.contains("`processes.labal`") && error.contains("`processes.label`"), "{error}");
    let error = there[4].as_ref().err().ok_or("an unknown parameter was taken")?;
    assert!(error.contains("no parameter `colour`; it has `name`, `count`"), "{error}");
    Ok(())
}

/// Rows: FUN-16
fn a_function_of_another_build_is_refused_with_both_identities() -> Result<(), Failed> {
    let here = BuildIdentity::of_this_process()?;
    let identity = internal::to_vec(here)?;
    // Behind the header and the length.
    let own = &identity[16..];
    let mut other = internal::to_vec(&Function::of(undeclared).positional(("ab", 2))?)?;
    let at = other.windows(own.len()).position(|window| window == own).ok_or("no identity")?;
    other[at] ^= 0xff;
    let mut their = identity.clone();
    their[16] ^= 0xff;
    let their: BuildIdentity = internal::from_slice(&their)?;
    let there = texts(&Order::Functions(vec![other]))?;
    let error = there[0].as_ref().err().ok_or("another build was believed")?;
    assert!(error.contains(&their.to_string()) && error.contains(&here.to_string()), "{error}");
    // By its path a function of another build would be found: it says nothing of places.
    let named = internal::to_vec(&label::function().arg("name", "x")?)?;
    assert!(!named.windows(own.len()).any(|window| window == own));
    Ok(())
}

/// One byte after another is damaged: each is an error or a function that may be called.
///
/// Rows: FUN-16
fn damaged_bytes_of_a_function_never_jump() -> Result<(), Failed> {
    for function in [
        Function::of(undeclared).positional(("ab", 2))?,
        label::function().arg("name", "ab")?.arg("count", 2)?,
    ] {
        let bytes = internal::to_vec(&function)?;
        let mut damaged: Vec<_> = (0..bytes.len())
            .map(|at| {
                let mut bytes = bytes.clone();
                bytes[at] ^= 0x81;
                bytes
            })
            .collect();
        damaged.extend((0..bytes.len()).map(|end| bytes[..end].to_vec()));
        let count = damaged.len();
        let there = texts(&Order::Functions(damaged))?;
        assert_eq!(there.len(), count);
        let refused = there.iter().filter(|text| text.is_err()).count();
        assert!(refused > count / 2, "{refused} of {count}");
        assert!(there.iter().skip(bytes.len()).all(Result::is_err));
    }
    Ok(())
}

/// Rows: FUN-04
fn every_declared_function_is_found_by_its_path() -> Result<(), Failed> {
    assert_eq!(registry::check()?, registry::declared().len());
    let declared = registry::declared();
    assert_eq!(declared, ["processes.at_second", "processes.label", "processes.label_later"]);
    for path in declared {
        assert_eq!(Function::get(path)?.name(), path);
    }
    assert_eq!(label("here".to_owned(), 1), "here 1");
    drop(label_later(String::new()));
    assert!(at_second(&sk_function::Context::new()).is_err());
    Ok(())
}

fn triple(x: u64) -> u64 {
    x * 3
}

/// The same code as `triple`, so that the linker may fold the two.
fn thrice(x: u64) -> u64 {
    x * 3
}

fn size_of_a<T>(_: ()) -> u64 {
    size_of::<T>() as u64
}

fn join(left: String, right: Vec<u8>) -> (usize, String) {
    (right.len(), left)
}

fn functions_of_every_form_run_in_another_process() -> Result<(), Failed> {
    let there = |reference, arguments: Vec<u8>| -> Result<Vec<u8>, Failed> {
        let build = BuildIdentity::of_this_process()?.clone();
        Ok(ask(&Order::Reference(build, reference, arguments))??)
    };
    let one = |reference: Reference, x: u64| -> Result<u64, Failed> {
        Ok(internal::from_slice(&there(reference, internal::to_vec(&(x,))?)?)?)
    };
    let nothing = |reference: Reference| -> Result<u64, Failed> {
        Ok(internal::from_slice(&there(reference, internal::to_vec(&((),))?)?)?)
    };
    assert_eq!(one(image::ship(&triple)?, 7)?, 21);
    assert_eq!(one(image::ship(&thrice)?, 8)?, 24);
    assert_ne!(image::ship(&triple)?, image::ship(&thrice)?);
    assert_eq!(one(image::ship(&|x: u64| x + 1)?, 7)?, 8);
    assert_eq!(one(image::ship(&|x: u64| x - 1)?, 7)?, 6);
    assert_eq!(nothing(image::ship(&size_of_a::<u8>)?)?, 1);
    assert_eq!(nothing(image::ship(&size_of_a::<u64>)?)?, 8);
    let zeros = there(image::ship(&u64::leading_zeros)?, internal::to_vec(&(1_u64,))?)?;
    assert_eq!(internal::from_slice::<u32>(&zeros)?, 63);

    let arguments = internal::to_vec(&("left".to_owned(), vec![1_u8, 2]))?;
    let result = there(image::ship(&join)?, arguments)?;
    assert_eq!(internal::from_slice::<(usize, String)>(&result)?, (2, "left".to_owned()));
    Ok(())
}

fn a_damaged_reference_is_an_error_there() -> Result<(), Failed> {
    let build = BuildIdentity::of_this_process()?.clone();
    let reference = image::ship(&triple)?;
    let arguments = internal::to_vec(&(7_u64,))?;
    let bytes = internal::to_vec(&reference)?;
    let damaged = |at: usize, byte: u8| -> Result<Reference, Failed> {
        let mut bytes = bytes.clone();
        bytes[at] ^= byte;
        Ok(internal::from_slice(&bytes)?)
    };
    // Behind the header: the place in four bytes, the signature in eight.
    for (at, byte, expected) in
        [(11, 0x80, "does not exist"), (12, 1, "has another signature"), (19, 0x80, "signature")]
    {
        let answer = ask(&Order::Reference(build.clone(), damaged(at, byte)?, arguments.clone()))?;
        let error = answer.err().ok_or("a damaged reference was run")?;
        assert!(error.contains(expected), "{error}");
    }
    // Any place at all: what has another signature is refused, what has the same is a function.
    for place in 0..image::functions() {
        let mut bytes = bytes.clone();
        bytes[8..12].copy_from_slice(&u32::try_from(place)?.to_le_bytes());
        if let Ok(code) = image::accept(internal::from_slice(&bytes)?) {
            let mut result = Vec::new();
            code.run(&internal::to_vec(&(7_u64,))?, &mut result)?;
            internal::from_slice::<u64>(&result)?;
        }
    }
    // Arguments of other types are an error that names the function.
    let answer = ask(&Order::Reference(build, reference, internal::to_vec("seven")?))?;
    let error = answer.err().ok_or("wrong arguments were taken")?;
    assert!(error.contains("triple") && error.contains("decode"), "{error}");
    Ok(())
}

fn another_build_is_refused_with_both_identities() -> Result<(), Failed> {
    let here = BuildIdentity::of_this_process()?;
    let mut bytes = internal::to_vec(here)?;
    *bytes.last_mut().ok_or("no bytes")? ^= 0xff;
    let other: BuildIdentity = internal::from_slice(&bytes)?;
    let answer =
        ask(&Order::Reference(other.clone(), image::ship(&triple)?, internal::to_vec(&(7_u64,))?))?;
    let error = answer.err().ok_or("another build was believed")?;
    assert!(error.contains(&other.to_string()) && error.contains(&here.to_string()), "{error}");
    Ok(())
}

/// Sends an order to a child and returns its answer, under a watchdog.
fn ask(order: &Order) -> Result<Answer, Failed> {
    let bytes = internal::to_vec(order)?;
    let mut child = Command::new(std::env::current_exe()?)
        .env(CHILD, "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let (Some(mut to), Some(mut from)) = (child.stdin.take(), child.stdout.take()) else {
        return Err("the child has no pipes".into());
    };
    let writer = std::thread::spawn(move || to.write_all(&bytes));
    let reader = std::thread::spawn(move || {
        let mut answer = Vec::new();
        from.read_to_end(&mut answer).map(|_| answer)
    });
    let end = Instant::now() + WATCHDOG;
    while !reader.is_finished() {
        if Instant::now() > end {
            child.kill()?;
            child.wait()?;
            return Err(format!("the child did not answer within {WATCHDOG:?}").into());
        }
        std::thread::park_timeout(Duration::from_millis(5));
    }
    let status = child.wait()?;
    writer.join().map_err(|_| "the writer panicked")??;
    let answer = reader.join().map_err(|_| "the reader panicked")??;
    if !status.success() {
        return Err(format!("the child ended with {status}").into());
    }
    Ok(internal::from_slice(&answer)?)
}
