//! What a thousand registered functions cost a program at its start.
//!
//! Two programs that differ in nothing else are written, built and started in turn, so that a slow
//! phase of the machine falls on both alike. They end as soon as `main` begins: nothing is looked up,
//! since that is the affair of who looks something up.

mod programs;

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use programs::Programs;

const FUNCTIONS: usize = 1_000;
const STARTS: usize = 300;

fn main() {
    let programs = Programs::build(FUNCTIONS);
    let (mut none, mut thousand) = (Vec::new(), Vec::new());
    for round in 0..STARTS + 10 {
        let pair = [started(&programs, "none"), started(&programs, "thousand")];
        // The first ones read the programs from the disk.
        if round >= 10 {
            none.push(pair[0]);
            thousand.push(pair[1]);
        }
    }
    let (none, thousand) = (median(none), median(thousand));
    println!("METRIC startup.none {} ns", none.as_nanos());
    println!("METRIC startup.thousand {} ns", thousand.as_nanos());
    let looked_up = programs.looked_up("thousand");
    println!("METRIC startup.first_look_up {looked_up} ns");
    let bytes = programs.bytes("thousand").saturating_sub(programs.bytes("none"));
    println!("METRIC startup.bytes_per_function {} bytes", bytes / FUNCTIONS);
}

fn started(programs: &Programs, name: &str) -> Duration {
    let mut command = Command::new(programs.path(name));
    command.stdin(Stdio::null()).stdout(Stdio::null());
    let start = Instant::now();
    let status = command.status().unwrap();
    let took = start.elapsed();
    assert!(status.success(), "{name} ended with {status}");
    took
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}
