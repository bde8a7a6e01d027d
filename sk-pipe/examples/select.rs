//! One loop for all that can happen: `cargo run --example select`.
//!
//! Workers report by pipes of two types, one of them comes later, and a clock ticks. One select gives all of it, one
//! thing at a time, until the last worker has gone.

use std::error::Error;
use std::thread;
use std::time::Duration;

use sk_pipe::{Select, one_way};

enum Event {
    Number(u64),
    Text(String),
    Tick,
}

const TICK: Duration = Duration::from_millis(20);

fn main() -> Result<(), Box<dyn Error>> {
    let mut select = Select::new();
    let (mut numbers, point) = one_way::<u64>()?;
    select.add(point.split()?.1, Event::Number);
    let clock = select.every(TICK, || Event::Tick);

    let counter = thread::spawn(move || (1..=10).try_for_each(|n| numbers.send(&n).wait()));
    // Another thread adds a pipe while this one waits.
    let handle = select.handle();
    let latecomer = thread::spawn(move || {
        thread::sleep(2 * TICK);
        let (mut texts, point) = one_way::<String>()?;
        handle.add(point.split()?.1, Event::Text)?;
        texts.send(&"late, but here".to_owned()).wait()
    });

    let (mut sum, mut heard, mut ticks) = (0, None, 0);
    // The last thing in it is the clock.
    while select.len() > 1 || heard.is_none() {
        let (_, event) = select.recv().timeout(Duration::from_secs(10)).wait()?;
        match event {
            Ok(Event::Number(number)) => sum += number,
            Ok(Event::Text(text)) => heard = Some(text),
            Ok(Event::Tick) => ticks += 1,
            // The sender was dropped: this pipe has left the select.
            Err(error) if error.is_closed() => {}
            Err(error) => return Err(error.into()),
        }
    }
    // Without the clock, and with no handle left, nothing can come any more.
    select.discard(clock);
    for worker in [counter, latecomer] {
        worker.join().map_err(|_| "a worker panicked")??;
    }
    assert!(select.recv().wait().is_err_and(|error| error.is_closed()));
    println!("numbers: {sum} in all; text: {heard:?}; {ticks} ticks");
    assert!(sum == 55 && heard.is_some());
    Ok(())
}
