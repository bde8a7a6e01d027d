//! `cargo xtask`: everything that is done to this workspace rather than by it.
//!
//! `flags.rs` lists the verbs, and each verb is a file with a `run`. What they stand on comes after
//! them: the workspace as cargo sees it, a command under a watchdog, the outcomes of tests.
//! The gates of `ci` are in `gate/`, one file each.
//!
//! Dependencies are few on purpose: every gate waits for this program to be built.

mod flags;

mod bench;
mod ci;
mod features;
mod layers;
mod leftovers;
mod release;
mod tidy;
mod torture;

mod command;
mod finding;
mod gate;
mod outcome;
mod process;
mod report;
mod source;
mod workspace;

use std::process::ExitCode;

use flags::XtaskCmd;
use workspace::Workspace;

fn main() -> ExitCode {
    let flags = flags::Xtask::from_env_or_exit();
    match dispatch(flags.subcommand) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(verb: XtaskCmd) -> anyhow::Result<ExitCode> {
    command::end_with_us()?;
    let workspace = Workspace::load()?;
    match verb {
        // The last line of `ci` counts tests, so what is broken is told before and not as an error.
        XtaskCmd::Ci(flags) => return flags.run(&workspace),
        XtaskCmd::Features(flags) => flags.run(&workspace),
        XtaskCmd::Bench(flags) => flags.run(&workspace),
        XtaskCmd::Layers(flags) => flags.run(&workspace),
        XtaskCmd::Tidy(flags) => flags.run(&workspace),
        XtaskCmd::Leftovers(flags) => flags.run(&workspace),
        XtaskCmd::Torture(flags) => flags.run(&workspace),
        XtaskCmd::Release(flags) => flags.run(&workspace),
    }?;
    Ok(ExitCode::SUCCESS)
}
