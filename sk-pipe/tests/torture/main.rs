//! Processes at both ends of a pipe that are killed, at any moment and at each named step, and followed by another life.
//!
//! `SK_TORTURE_SECONDS` says how long the loop of kills goes on, after `SK_KILLS` kills, which are 100 where nothing is
//! said and 2,000 for a longer run.

#[path = "../processes/program.rs"]
mod program;

mod kills;
mod streams;

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
    if cfg!(feature = "faults") {
        add(
            "who_dies_at_any_step_loses_nothing_that_was_sent",
            kills::who_dies_at_any_step_loses_nothing_that_was_sent,
        );
        add(
            "who_dies_while_it_attaches_is_followed_by_another",
            kills::who_dies_while_it_attaches_is_followed_by_another,
        );
        add("who_dies_while_it_closes_has_ended", kills::who_dies_while_it_closes_has_ended);
        add(
            "who_dies_while_it_drops_the_oldest_leaves_whole_messages",
            kills::who_dies_while_it_drops_the_oldest_leaves_whole_messages,
        );
    }
    add(
        "processes_killed_at_any_moment_lose_nothing_that_was_sent",
        kills::processes_killed_at_any_moment_lose_nothing_that_was_sent,
    );
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
        "streams" => streams::child(),
        "closes" => kills::closes(),
        "floods" => kills::floods(),
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
