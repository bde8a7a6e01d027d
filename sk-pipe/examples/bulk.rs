//! Bytes at full speed: `cargo run --release --example bulk`.
//!
//! The child fills a pipe with blocks of raw bytes, one copy each; the parent receives them into one buffer, by one copy
//! each, and says how fast that was.

use std::error::Error;
use std::process::Command;
use std::time::{Duration, Instant};

use sk_pipe::share::inherit;
use sk_pipe::{Nothing, Point, Raw, builder};

const BLOCK: usize = 256 << 10;
const BLOCKS: usize = 8 << 10;
const PATIENCE: Duration = Duration::from_secs(10);

fn main() -> Result<(), Box<dyn Error>> {
    if inherit::is_offered() { child() } else { parent() }
}

fn parent() -> Result<(), Box<dyn Error>> {
    // The anchor only receives. There is room for eight blocks, so that neither side waits for the other at each.
    let (mut anchor, point) =
        builder().capacity_there(4096).capacity_back(8 * BLOCK as u64).pair::<Nothing, Raw>()?;
    let mut command = Command::new(std::env::current_exe()?);
    let passed = inherit::pass(&mut command, &point)?;
    let mut child = command.spawn()?;
    drop(passed);

    let mut buffer = vec![0; BLOCK];
    let mut begin = None;
    for number in 0..BLOCKS {
        let length = anchor.recv_into(&mut buffer).timeout(PATIENCE).wait()?;
        // The first block comes when the child has started, which is not what is measured.
        begin.get_or_insert_with(Instant::now);
        assert!(length == BLOCK && buffer[0] == mark(number), "block {number} is another one");
    }
    let seconds = begin.map_or(0.0, |begin| begin.elapsed().as_secs_f64());
    let bytes = (BLOCKS - 1) as f64 * BLOCK as f64;
    println!("{:.2} GiB/s", bytes / f64::from(1_u32 << 30) / seconds);
    assert!(child.wait()?.success());
    Ok(())
}

fn child() -> Result<(), Box<dyn Error>> {
    let mut point: Point<Raw, Nothing> = inherit::receive()?;
    let mut block = vec![7; BLOCK];
    for number in 0..BLOCKS {
        block[0] = mark(number);
        point.send_bytes(&block).wait()?;
    }
    Ok(())
}

/// The first byte of each block.
fn mark(number: usize) -> u8 {
    number.to_le_bytes()[0]
}
