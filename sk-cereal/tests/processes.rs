//! A value crosses to another process of the same executable and back.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use libtest_mimic::{Arguments, Failed, Trial};
use serde::{Deserialize, Serialize};
use sk_cereal::{Bulk, internal};

const CHILD: &str = "SK_CEREAL_TEST_CHILD";
const WATCHDOG: Duration = Duration::from_secs(60);

fn main() -> ExitCode {
    if std::env::var_os(CHILD).is_some() {
        return child();
    }
    let trials = vec![
        Trial::test("a_value_comes_back_equal_from_another_process", || {
            a_value_comes_back_equal_from_another_process()
        }),
        Trial::test("another_process_names_the_place_of_damage", || {
            another_process_names_the_place_of_damage()
        }),
    ];
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Job {
    name: String,
    wide: u128,
    bits: Vec<u64>,
    floats: Bulk<f64>,
    by_name: BTreeMap<String, Option<Step>>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Step {
    Wait(u8),
    Go { fast: bool },
}

fn job() -> Job {
    Job {
        name: "crosses ß".to_owned(),
        wide: u128::MAX,
        bits: vec![f64::NAN.to_bits(), (-0.0_f64).to_bits()],
        floats: Bulk((0..1_000).map(f64::from).collect()),
        by_name: BTreeMap::from([
            ("none".to_owned(), None),
            ("wait".to_owned(), Some(Step::Wait(3))),
            ("go".to_owned(), Some(Step::Go { fast: true })),
        ]),
    }
}

/// The child reads a job, changes it, and writes it back; or says why it could not read it.
fn child() -> ExitCode {
    let mut bytes = Vec::new();
    std::io::stdin().read_to_end(&mut bytes).unwrap();
    let answer: Result<Job, String> = internal::from_slice::<Job>(&bytes)
        .map(|mut job| {
            // Equal there too, not only after the way back.
            assert!(job == self::job(), "the child decoded something else");
            job.name.push_str(" and back");
            job
        })
        .map_err(|error| error.to_string());
    std::io::stdout().write_all(&internal::to_vec(&answer).unwrap()).unwrap();
    ExitCode::SUCCESS
}

/// Rows: CER-01
fn a_value_comes_back_equal_from_another_process() -> Result<(), Failed> {
    let answer = ask(internal::to_vec(&job())?)?;
    let expected = Job { name: "crosses ß and back".to_owned(), ..job() };
    assert_eq!(answer, Ok(expected));
    Ok(())
}

/// Rows: CER-01, CER-26
fn another_process_names_the_place_of_damage() -> Result<(), Failed> {
    let mut bytes = internal::to_vec(&job())?;
    // The map is sorted: what comes last is the index of the variant `Wait`, and a byte in it.
    let index = bytes.len() - 5;
    bytes[index] = 7;
    let answer = ask(bytes)?.err().ok_or("damaged bytes were read")?;
    assert!(answer.contains("job.by_name[\"wait\"]"), "{answer}");
    assert!(answer.contains("variant index 0 <= i < 2"), "{answer}");
    Ok(())
}

/// Sends bytes to a child and returns its answer, under a watchdog.
fn ask(bytes: Vec<u8>) -> Result<Result<Job, String>, Failed> {
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
