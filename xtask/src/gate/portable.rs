//! Lints, unit tests and every program under `tests/` but models once more on the portable backend of a
//! crate, or of one that it rests on, which nothing else here would build: its own target directory, because the
//! cfg changes what is compiled. A test that cannot run there is a skip as any other.

use std::path::Path;

use super::model::is_model;
use super::test_targets::{Run, has_unit_tests, unit_words};
use super::{BUILD_LIMIT, Gate, Verdict, counted, pass};
use crate::command::Line;
use crate::workspace::{Member, TargetKind, Workspace};

/// Only for crates that have such a backend, and for those that reach them by path.
pub(crate) fn portable<'w>(workspace: &'w Workspace, member: &'w Member) -> Option<Gate<'w>> {
    if !rests_on_portable(workspace, member) {
        return None;
    }
    let lints = line(workspace, member, "clippy").words(["--all-targets", "--", "-D", "warnings"]);
    let line = line(workspace, member, "test");
    let mut runs = Vec::new();
    if has_unit_tests(member) {
        let line = line.clone().words(unit_words(member));
        runs.push(Run::unit(workspace, member).with_line(line));
    }
    for target in member.targets_of(TargetKind::Test).filter(|target| !is_model(&target.name)) {
        let line = line.clone().words(["--test", &target.name]);
        runs.push(Run::of(workspace, member, target).with_line(line));
    }
    Some(Gate::new("portable", Some(&member.name), move |evidence| {
        pass(&lints, BUILD_LIMIT)?;
        let count = runs.len();
        for run in runs {
            run.called("portable").count(evidence)?;
        }
        Ok(Verdict::Passed(counted(count, "target")))
    }))
}

/// Layers know only those below them, so this comes to an end.
fn rests_on_portable(workspace: &Workspace, member: &Member) -> bool {
    let below = |folder: &Path| workspace.members.iter().find(|other| other.folder == folder);
    member.folder.join("src/sys/portable.rs").is_file()
        || member
            .path_dependencies
            .iter()
            // A crate nested in the folder of this one may lead back here.
            .filter(|dependency| !dependency.folder.starts_with(&member.folder))
            .filter_map(|dependency| below(&dependency.folder))
            .any(|dependency| rests_on_portable(workspace, dependency))
}

fn line(workspace: &Workspace, member: &Member, verb: &str) -> Line {
    Line::new(workspace, ["cargo", verb, "-p", &member.name])
        .words(["--all-features"])
        .environment("RUSTFLAGS", "--cfg sk_portable")
        .environment("CARGO_TARGET_DIR", workspace.target.join("portable").display().to_string())
}
