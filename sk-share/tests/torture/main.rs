//! Processes that work on everything at once and are killed, at any moment and at each named step.
//!
//! `SK_TORTURE_SECONDS` says how long the loop of kills goes on, after `SK_KILLS` kills, which are 100 where nothing is
//! said and 2,000 for a longer run.

#[path = "../shares/program.rs"]
mod program;

mod kills;
mod linear;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Failed, Trial};
use rustix::process::Signal;

use program::{ROLE, Tried};

fn main() -> ExitCode {
    if let Ok(role) = std::env::var(ROLE) {
        return child(&role);
    }
    let mut trials = Vec::new();
    let mut add = |name: &str, test: fn() -> Tried<()>| {
        let test = move || test().map_err(|error| Failed::from(error.to_string()));
        trials.push(Trial::test(name, test));
    };
    add("histories_of_three_processes_are_linear", linear::of_three_processes);
    if cfg!(feature = "faults") {
        add("processes_killed_at_every_step_lose_nothing", kills::at_every_step);
    }
    add("processes_killed_at_any_moment_lose_nothing", kills::at_any_moment);
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

fn child(role: &str) -> ExitCode {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL)).unwrap();
    std::thread::spawn(move || {
        std::thread::park_timeout(kills::patience());
        eprintln!("a child hangs");
        std::process::abort();
    });
    let result = match role {
        "works" => kills::works(),
        "waits" => kills::waits(),
        "lives" => linear::lives(),
        other => Err(format!("no role {other}").into()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{role}: {error}");
            ExitCode::FAILURE
        }
    }
}
