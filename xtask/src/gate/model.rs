//! `tests/model.rs` under loom: its own target directory, because the cfg changes every dependency
//! that knows it, and the release profile, because a model runs millions of steps.

use super::Gate;
use super::test_targets::Run;
use crate::command::Line;
use crate::workspace::{Member, Target, Workspace};

pub(crate) fn model<'w>(workspace: &'w Workspace, member: &'w Member) -> Option<Gate<'w>> {
    let target = member.test("model")?;
    Some(Gate::new("model", Some(&member.name), move |evidence| {
        Run::of(workspace, member, target)
            .with_line(line(workspace, member, target))
            .count(evidence)
    }))
}

/// Only the features that the target asks for: most that a crate offers bring dependencies that
/// leave parts of themselves out under this cfg.
pub(crate) fn line(workspace: &Workspace, member: &Member, target: &Target) -> Line {
    let line = Line::new(workspace, ["cargo", "test", "-p", &member.name])
        .words(["--test", &target.name, "--release"])
        .environment("RUSTFLAGS", "--cfg loom")
        .environment("CARGO_TARGET_DIR", workspace.target.join("loom").display().to_string());
    if target.required_features.is_empty() {
        line
    } else {
        line.words(["--features".to_owned(), target.required_features.join(",")])
    }
}
