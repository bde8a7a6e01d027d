//! A child that answers: `cargo run --example echo`.
//!
//! This program starts itself again. The child inherits the point of a pipe, and says back what it is told.

use std::error::Error;
use std::process::Command;
use std::time::Duration;

use sk_pipe::share::inherit;
use sk_pipe::{Point, pair};

/// So long no answer takes unless something is wrong.
const PATIENCE: Duration = Duration::from_secs(10);

fn main() -> Result<(), Box<dyn Error>> {
    if inherit::is_offered() { child() } else { parent() }
}

fn parent() -> Result<(), Box<dyn Error>> {
    let (mut anchor, point) = pair::<String, String>()?;
    let mut command = Command::new(std::env::current_exe()?);
    // The point is given away here. What `pass` returns is kept until the child is there.
    let passed = inherit::pass(&mut command, &point)?;
    let mut child = command.spawn()?;
    drop(passed);

    for word in ["hello", "", "good bye"] {
        anchor.send(&word.to_owned()).wait()?;
        let answer: String = anchor.recv().timeout(PATIENCE).wait()?;
        println!("{word:?} came back as {answer:?}");
        assert_eq!(answer, word.to_uppercase());
    }

    // The child reads what was sent, is told that nothing follows, and ends.
    drop(anchor);
    assert!(child.wait()?.success());
    Ok(())
}

fn child() -> Result<(), Box<dyn Error>> {
    let mut point: Point<String, String> = inherit::receive()?;
    loop {
        match point.recv().wait() {
            Ok(word) => point.send(&word.to_uppercase()).wait()?,
            Err(error) if error.is_closed() => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
}
