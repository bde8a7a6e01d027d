//! Work that fails twice and then goes well, and work that never does.

use std::time::Duration;

use sk_function::{Context, Failure, Jitter, Retry, catch_panic};

fn main() -> Result<(), Failure> {
    let policy =
        Retry::new().attempts(3).delay(Duration::from_millis(10)).factor(2.0).jitter(Jitter::Full);

    let answer = policy.run(|context: &Context| {
        println!("attempt {} of call {}", context.attempt(), context.id());
        if context.attempt() < 3 { Err(std::io::Error::other("busy")) } else { Ok(42) }
    })?;
    println!("answer {answer}");

    let failure = policy.run(|_| "four".parse::<u8>());
    println!("{}", failure.err().map_or_else(String::new, |failure| failure.to_string()));

    let panicked = catch_panic(|| [1, 2, 3].iter().position(|n| *n == 4).expect("no four"));
    println!("{}", panicked.err().map_or_else(String::new, |failure| failure.to_string()));
    Ok(())
}
