//! The test targets of a crate, each with a command of its own, so that every outcome belongs to one
//! crate and one target: unit, docs, integration, then the other programs under `tests/`.

use std::fs;
use std::path::Path;
use std::time::Duration;

use super::model::is_model;
use super::{BUILD_LIMIT, Broken, Gate, Verdict, counted, pass};
use crate::command::{Finished, Line};
use crate::outcome::{self, Ending, Outcome, Tally};
use crate::report::{Evidence, Place};
use crate::workspace::{Member, Target, TargetKind, Workspace};

/// How long the tests of one target may run once they are built.
const TEST_LIMIT: Duration = Duration::from_secs(10 * 60);

/// What unit tests and doc tests are called among the targets of a crate. A space keeps these names
/// apart from those of files under `tests/`.
pub(crate) const UNIT: &str = "unit tests";
pub(crate) const DOC: &str = "doc tests";

/// How the attribute of a test is written, be it that of libtest or of another crate.
const TEST_ATTRIBUTES: [&str; 3] = ["#[test]", "::test]", "::test("];

/// What opens an example in a doc comment.
const CODE_FENCES: [&str; 2] = ["/// ```", "//! ```"];

/// What a torture test is to spend where it only has to show that it still runs.
const TORTURE_GLANCE_SECONDS: &str = "5";

/// All the gates whose outcomes count, in the order in which they run.
pub(crate) fn gates<'w>(workspace: &'w Workspace, member: &'w Member) -> Vec<Gate<'w>> {
    let mut gates = Vec::new();
    gates.extend(unit(workspace, member));
    gates.extend(doc(workspace, member));
    gates.extend(integration(workspace, member));
    gates.extend(others(workspace, member));
    gates
}

/// The tests beside the code.
fn unit<'w>(workspace: &'w Workspace, member: &'w Member) -> Option<Gate<'w>> {
    if !has_unit_tests(member) {
        return None;
    }
    Some(Gate::new("unit", Some(&member.name), move |evidence| {
        Run::unit(workspace, member).count(evidence)
    }))
}

/// A library shows its use in doc tests. A crate nested in another is reached through that one and
/// may leave them to it.
fn doc<'w>(workspace: &'w Workspace, member: &'w Member) -> Option<Gate<'w>> {
    member.library()?;
    if workspace.is_nested(member) && !folder_holds(&member.folder.join("src"), &CODE_FENCES) {
        return None;
    }
    Some(Gate::new("docs", Some(&member.name), move |evidence| {
        Run::new(workspace, member, DOC, ["--doc"]).built_by_the_run().count(evidence)
    }))
}

fn integration<'w>(workspace: &'w Workspace, member: &'w Member) -> Option<Gate<'w>> {
    let target = member.test("it")?;
    Some(Gate::new("integration", Some(&member.name), move |evidence| {
        Run::of(workspace, member, target).count(evidence)
    }))
}

/// Processes, crash, ui and whatever else stands under `tests/`. Models have a gate of their own,
/// as they are another build.
fn others<'w>(workspace: &'w Workspace, member: &'w Member) -> Vec<Gate<'w>> {
    member
        .targets_of(TargetKind::Test)
        .filter(|target| target.name != "it" && !is_model(&target.name))
        .map(|target| {
            Gate::new(target.name.clone(), Some(&member.name), move |evidence: &mut Evidence| {
                let run = Run::of(workspace, member, target);
                let run = if target.name == "torture" {
                    run.environment("SK_TORTURE_SECONDS", TORTURE_GLANCE_SECONDS)
                } else {
                    run
                };
                run.count(evidence)
            })
        })
        .collect()
}

/// The words that choose the unit tests of a crate: of its library, its programs, or both.
pub(crate) fn unit_words(member: &Member) -> impl Iterator<Item = &'static str> {
    let library = member.library().map(|_| "--lib");
    let programs = member.targets_of(TargetKind::Binary).next().map(|_| "--bins");
    library.into_iter().chain(programs)
}

/// Looked for in the text, because building a target only to run nothing is slow, and because a run
/// of no tests is a failure everywhere else.
pub(crate) fn has_unit_tests(member: &Member) -> bool {
    folder_holds(&member.folder.join("src"), &TEST_ATTRIBUTES)
}

/// One run of the tests of one target.
pub(crate) struct Run<'w> {
    member: &'w Member,
    target: String,
    line: Line,
    read: String,
    is_built_first: bool,
}

impl<'w> Run<'w> {
    /// The tests chosen by these words of `cargo test`, with every feature.
    fn new<'a>(
        workspace: &Workspace,
        member: &'w Member,
        target: &str,
        words: impl IntoIterator<Item = &'a str>,
    ) -> Run<'w> {
        let line = Line::new(workspace, ["cargo", "test", "-p", &member.name])
            .words(words)
            .words(["--all-features"]);
        Run {
            member,
            target: target.to_owned(),
            line,
            read: workspace.relative(&member.folder.join("src")),
            is_built_first: true,
        }
    }

    /// The tests beside the code of the crate.
    pub(crate) fn unit(workspace: &Workspace, member: &'w Member) -> Run<'w> {
        Run::new(workspace, member, UNIT, unit_words(member))
    }

    /// The tests of one file or folder under `tests/`.
    pub(crate) fn of(workspace: &Workspace, member: &'w Member, target: &Target) -> Run<'w> {
        Run {
            read: workspace.relative(&target.source),
            ..Run::new(workspace, member, &target.name, ["--test", &target.name])
        }
    }

    /// Another command in place of `cargo test … --all-features`.
    pub(crate) fn with_line(self, line: Line) -> Run<'w> {
        Run { line, ..self }
    }

    /// The outcomes count beside those of another build of this target, which has this name without the word.
    pub(crate) fn called(self, word: &str) -> Run<'w> {
        Run { target: format!("{} ({word})", self.target), ..self }
    }

    pub(crate) fn environment(self, name: &str, value: &str) -> Run<'w> {
        Run { line: self.line.environment(name, value), ..self }
    }

    /// Doc tests are built while they run.
    fn built_by_the_run(self) -> Run<'w> {
        Run { is_built_first: false, ..self }
    }

    /// Runs the tests and adds their outcomes to the evidence.
    pub(crate) fn count(self, evidence: &mut Evidence) -> Result<Verdict, Broken> {
        let (result, outcomes) = self.outcomes();
        let tally = Tally::of(&outcomes);
        let place = Place { member: self.member.name.clone(), target: self.target.clone() };
        evidence.add(place, outcomes);
        result?;
        if tally.skipped > 0 && !evidence.allows_skips {
            let what =
                format!("{} skipped, which CI does not allow", counted(tally.skipped, "test"));
            return Err(self.broken(what, String::new()));
        }
        Ok(Verdict::Passed(note(tally)))
    }

    /// Runs the tests beside the count: they have been counted once, in another build.
    pub(crate) fn check(self) -> Result<Verdict, Broken> {
        let (result, outcomes) = self.outcomes();
        result.map(|()| Verdict::Passed(note(Tally::of(&outcomes))))
    }

    /// The outcomes come in any case; they are what a broken run has to show.
    fn outcomes(&self) -> (Result<(), Broken>, Vec<Outcome>) {
        if self.is_built_first
            && let Err(broken) = pass(&self.line.clone().words(["--no-run"]), BUILD_LIMIT)
        {
            return (Err(broken.or_read(&self.read)), Vec::new());
        }
        let line = self.shown_line();
        let finished = match line.run(TEST_LIMIT) {
            Ok(finished) => finished,
            Err(error) => return (Err(Broken::with(line.to_string(), &error)), Vec::new()),
        };
        let (outcomes, unread) = match outcome::read(&finished.output) {
            Ok(outcomes) => (outcomes, None),
            Err(error) => (Vec::new(), Some(error.to_string())),
        };
        let result = match failure(&finished, &outcomes).or(unread).or_else(|| emptiness(&outcomes))
        {
            Some(what) => Err(self.broken(what, finished.output)),
            None => Ok(()),
        };
        (result, outcomes)
    }

    /// With the output of tests that pass, since a test that cannot run here says so there.
    fn shown_line(&self) -> Line {
        self.line.clone().words(["--", "--show-output"])
    }

    fn broken(&self, what: String, output: String) -> Broken {
        Broken::new(what, self.shown_line().to_string(), output).or_read(&self.read)
    }
}

/// What the end of the command says, with the tests that failed when it names any.
fn failure(finished: &Finished, outcomes: &[Outcome]) -> Option<String> {
    if finished.is_success() {
        return None;
    }
    let names = names_of(outcomes, &Ending::Failed);
    Some(match names.len() {
        0 => format!("the tests {}", finished.ending),
        count => format!("{} failed: {}", counted(count, "test"), names.join(", ")),
    })
}

/// A run that shows less than it seems to.
fn emptiness(outcomes: &[Outcome]) -> Option<String> {
    if outcomes.is_empty() {
        return Some("a target without tests; give it one or remove it".to_owned());
    }
    let ignored = names_of(outcomes, &Ending::Ignored);
    (!ignored.is_empty())
        .then(|| format!("ignored tests show nothing; run or remove {}", ignored.join(", ")))
}

fn names_of<'a>(outcomes: &'a [Outcome], ending: &Ending) -> Vec<&'a str> {
    outcomes
        .iter()
        .filter(|outcome| outcome.ending == *ending)
        .map(|outcome| outcome.name.as_str())
        .collect()
}

fn note(tally: Tally) -> String {
    let tests = counted(tally.passed + tally.failed + tally.skipped, "test");
    if tally.skipped == 0 { tests } else { format!("{tests}, {} of them skipped", tally.skipped) }
}

/// True when a Rust file below the folder holds one of these texts.
fn folder_holds(folder: &Path, texts: &[&str]) -> bool {
    let Ok(entries) = fs::read_dir(folder) else { return false };
    entries.flatten().map(|entry| entry.path()).any(|path| {
        if path.is_dir() {
            return folder_holds(&path, texts);
        }
        path.extension().is_some_and(|extension| extension == "rs")
            && fs::read_to_string(&path)
                .is_ok_and(|content| texts.iter().any(|text| content.contains(text)))
    })
}
