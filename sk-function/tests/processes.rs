//! Functions run in another process of the same executable, found through the table.

use std::io::{Read as _, Write as _};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use libtest_mimic::{Arguments, Failed, Trial};
use sk_cereal::internal;
use sk_function::image::{self, Reference};
use sk_function::{BuildIdentity, OtherBuild};

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
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

/// What the parent sends: what to run, with which arguments, and of which build it thinks the child.
type Order = (BuildIdentity, Reference, Vec<u8>);

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
    let (build, reference, arguments): Order =
        internal::from_slice(order).map_err(|error| text(&error))?;
    let here = BuildIdentity::of_this_process().map_err(|error| text(&error))?;
    here.expect(&build).map_err(|error: OtherBuild| text(&error))?;
    let code = image::accept(reference).map_err(|error| text(&error))?;
    let mut result = Vec::new();
    code.run(&arguments, &mut result).map_err(|failure| text(&failure))?;
    Ok(result)
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
        Ok(ask(&(build, reference, arguments))??)
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
        let answer = ask(&(build.clone(), damaged(at, byte)?, arguments.clone()))?;
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
    let answer = ask(&(build, reference, internal::to_vec("seven")?))?;
    let error = answer.err().ok_or("wrong arguments were taken")?;
    assert!(error.contains("triple") && error.contains("decode"), "{error}");
    Ok(())
}

fn another_build_is_refused_with_both_identities() -> Result<(), Failed> {
    let here = BuildIdentity::of_this_process()?;
    let mut bytes = internal::to_vec(here)?;
    *bytes.last_mut().ok_or("no bytes")? ^= 0xff;
    let other: BuildIdentity = internal::from_slice(&bytes)?;
    let answer = ask(&(other.clone(), image::ship(&triple)?, internal::to_vec(&(7_u64,))?))?;
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
