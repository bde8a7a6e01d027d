//! `cargo xtask torture`: long runs of whatever searches for faults, the time split evenly.
//!
//! Fuzz targets and torture tests take a time of their own. Models and property tests take a bound
//! instead, set far above that of `ci`; when their share is over before the bound is reached, they
//! are ended and have found nothing.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::bail;

use crate::command::{Ending, Line};
use crate::flags::Torture;
use crate::gate::{BUILD_LIMIT, Broken, counted, fuzz, model, pass};
use crate::workspace::{Member, Target, Workspace};

/// Most faults of a model show with two or three forced switches; more than this takes for ever.
const PREEMPTIONS: &str = "5";

/// A hundred times what proptest tries by default.
const CASES: &str = "25600";

/// What a program that keeps its own time may take beyond it, to start and to end.
const MARGIN: Duration = Duration::from_secs(120);

/// What a program prints in front of the name of the file that repeats its finding.
const FINDING_MARKS: [&str; 2] = ["Test unit written to ", "this and future failures in "];

impl Torture {
    pub(crate) fn run(&self, workspace: &Workspace) -> anyhow::Result<()> {
        let members = workspace.members_named(self.crate_name.as_deref())?;
        let kinds: Vec<_> =
            members.iter().flat_map(|member| Kind::all_of(workspace, member)).collect();
        let Ok(count @ 1..) = u32::try_from(kinds.len()) else {
            bail!("nothing to run: no fuzz target, model, torture test or property test");
        };
        let share = Duration::from_secs(self.minutes * 60) / count;
        println!("{}, {} s each", counted(kinds.len(), "turn"), share.as_secs());
        for kind in kinds {
            let turn = kind.turn(workspace, share)?;
            turn.run(workspace, share)?;
        }
        Ok(())
    }
}

/// Something that searches.
enum Kind<'w> {
    Fuzz(&'w Member, String),
    Model(&'w Member, &'w Target),
    Torture(&'w Member, &'w Target),
    Properties(&'w Member, &'w Target),
}

impl<'w> Kind<'w> {
    fn all_of(workspace: &Workspace, member: &'w Member) -> Vec<Kind<'w>> {
        let mut kinds = Vec::new();
        if let Some(folder) = fuzz::folder(member) {
            match (fuzz::missing(workspace), fuzz::targets(&folder)) {
                (None, Ok(targets)) => {
                    kinds.extend(targets.into_iter().map(|target| Kind::Fuzz(member, target)));
                }
                (Some(missing), _) => println!("{} fuzz: left out, {missing}", member.name),
                (None, Err(error)) => println!("{} fuzz: left out, {error:#}", member.name),
            }
        }
        kinds.extend(model::targets(member).map(|target| Kind::Model(member, target)));
        kinds.extend(member.test("torture").map(|target| Kind::Torture(member, target)));
        kinds.extend(
            member
                .test("it")
                .filter(|target| uses_proptest(target))
                .map(|target| Kind::Properties(member, target)),
        );
        kinds
    }

    fn turn(&self, workspace: &Workspace, share: Duration) -> anyhow::Result<Turn> {
        let seconds = share.as_secs().to_string();
        let test = |member: &Member, target: &Target| {
            Line::new(workspace, ["cargo", "test", "-p", &member.name]).words([
                "--test",
                &target.name,
                "--all-features",
            ])
        };
        Ok(match self {
            Kind::Fuzz(member, target) => Turn {
                title: format!("{} fuzz {target}", member.name),
                build: Line::new(workspace, ["cargo", "+nightly", "fuzz", "build", target])
                    .in_folder(&member.folder),
                line: fuzz::line(workspace, member, target, share)?,
                keeps_time: true,
            },
            Kind::Model(member, target) => {
                let line = model::line(workspace, member, target);
                Turn {
                    title: format!("{} {}", member.name, target.name),
                    build: line.clone().words(["--no-run"]),
                    line: line
                        .environment("LOOM_MAX_PREEMPTIONS", PREEMPTIONS)
                        .environment("LOOM_MAX_DURATION", seconds),
                    keeps_time: false,
                }
            }
            Kind::Torture(member, target) => Turn {
                title: format!("{} torture", member.name),
                build: test(member, target).words(["--no-run"]),
                line: test(member, target).environment("SK_TORTURE_SECONDS", seconds),
                keeps_time: true,
            },
            Kind::Properties(member, target) => Turn {
                title: format!("{} properties", member.name),
                build: test(member, target).words(["--no-run"]),
                line: test(member, target).environment("PROPTEST_CASES", CASES),
                keeps_time: false,
            },
        })
    }
}

struct Turn {
    title: String,
    build: Line,
    line: Line,
    /// It ends by itself when its share is over, so one that does not hangs.
    keeps_time: bool,
}

impl Turn {
    fn run(&self, workspace: &Workspace, share: Duration) -> anyhow::Result<()> {
        pass(&self.build, BUILD_LIMIT).map_err(Broken::into_error)?;
        let begin = Instant::now();
        let limit = if self.keeps_time { share + MARGIN } else { share };
        let finished = self.line.run(limit)?;
        let is_over = matches!(finished.ending, Ending::OutOfTime(_)) && !self.keeps_time;
        if !finished.is_success() && !is_over {
            let finding = finding(&finished.output)
                .map(|file| format!("\nfinding: {}", workspace.relative(Path::new(file))))
                .unwrap_or_default();
            bail!(
                "{}\n{}: {}\nrepeat:  {}{finding}",
                finished.output.trim_end(),
                self.title,
                finished.ending,
                self.line
            );
        }
        let note = match executions(&finished.output) {
            Some((runs, rate)) => format!("{runs} runs, {rate} executions/s"),
            None if self.keeps_time => "nothing found".to_owned(),
            None if is_over => "nothing found before its share was over".to_owned(),
            None => "nothing found up to its bound".to_owned(),
        };
        println!("{}: {note} ({:.0} s)", self.title, begin.elapsed().as_secs_f64());
        Ok(())
    }
}

/// The file that repeats what was found, where the program says so.
fn finding(output: &str) -> Option<&str> {
    output.lines().find_map(|line| {
        FINDING_MARKS.iter().find_map(|mark| Some(line.split_once(mark)?.1.trim()))
    })
}

/// Runs and runs per second from the last line of a fuzzer, `Done 1200 runs in 16 second(s)`.
fn executions(output: &str) -> Option<(u64, u64)> {
    output.lines().find_map(|line| {
        let (runs, rest) = line.strip_prefix("Done ")?.split_once(" runs in ")?;
        let runs: u64 = runs.parse().ok()?;
        let seconds: u64 = rest.split(' ').next()?.parse().ok()?;
        Some((runs, runs / seconds.max(1)))
    })
}

/// The word in any file of the target; a property test cannot be written without it.
fn uses_proptest(target: &Target) -> bool {
    let Some(folder) = target.source.parent() else { return false };
    let Ok(entries) = fs::read_dir(folder) else { return false };
    entries
        .flatten()
        .filter_map(|entry| fs::read_to_string(entry.path()).ok())
        .any(|text| text.contains("proptest"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_of_a_fuzzer_is_read() {
        let output = "#8 pulse cov: 3\nDone 1200 runs in 16 second(s)\n";
        assert_eq!(executions(output), Some((1200, 75)));
        assert_eq!(executions("Done 5 runs in 0 second(s)"), Some((5, 5)));
        assert_eq!(executions("nothing of the kind"), None);
    }

    #[test]
    fn the_file_of_a_finding_is_read() {
        let output = "artifact_prefix='a/'; Test unit written to a/crash-01\n";
        assert_eq!(finding(output), Some("a/crash-01"));
        let output = "proptest: Saving this and future failures in b/it.txt\n";
        assert_eq!(finding(output), Some("b/it.txt"));
        assert_eq!(finding("all is well"), None);
    }
}
