//! A function with its arguments, sent to a second process of the same program.
//!
//! `cargo run --example child`

use std::io::{Read as _, Write as _};
use std::process::{Command, Stdio};

use sk_cereal::internal;
use sk_function::{BoxError, Failure, Function, function};

const CHILD: &str = "EXAMPLE_CHILD";

#[function(name = "text.count")]
fn count(text: String, letter: char) -> usize {
    text.chars().filter(|other| *other == letter).count()
}

fn main() -> Result<(), BoxError> {
    if std::env::var_os(CHILD).is_some() {
        return child();
    }
    // By its path, and a closure as a place in the table of this program.
    let counted = count::function().arg("text", "banana")?.arg("letter", 'a')?;
    let summed = Function::of(|left: usize, right: usize| left + right).positional((40, 2))?;
    assert_eq!(ask(&counted)?, Ok(3));
    assert_eq!(ask(&summed)?, Ok(42));

    // What captures something says why it stays.
    let step = 2_usize;
    let local = Function::of(move |n: usize| n + step).positional((1,))?;
    println!("{}", ask(&local).unwrap_err());
    Ok(())
}

fn ask(function: &Function) -> Result<Result<usize, Failure>, BoxError> {
    let bytes = internal::to_vec(function)?;
    let mut child = Command::new(std::env::current_exe()?)
        .env(CHILD, "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    if let Some(mut input) = child.stdin.take() {
        input.write_all(&bytes)?;
    }
    let output = child.wait_with_output()?;
    Ok(internal::from_slice(&output.stdout)?)
}

fn child() -> Result<(), BoxError> {
    let mut bytes = Vec::new();
    std::io::stdin().read_to_end(&mut bytes)?;
    let function: Function = internal::from_slice(&bytes)?;
    let answer: Result<usize, Failure> = function.execute();
    Ok(std::io::stdout().write_all(&internal::to_vec(&answer)?)?)
}
