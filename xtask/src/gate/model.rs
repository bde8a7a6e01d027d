//! `tests/model.rs` and each `tests/model_*.rs` under loom: their own target directory, because the cfg changes every
//! dependency that knows it, and the release profile, because a model runs millions of steps.

use super::Gate;
use super::test_targets::Run;
use crate::command::Line;
use crate::workspace::{Member, Target, TargetKind, Workspace};

/// The models of a crate.
pub(crate) fn targets(member: &Member) -> impl Iterator<Item = &Target> {
    member.targets_of(TargetKind::Test).filter(|target| is_model(&target.name))
}

/// Whether a test target of this name holds models.
pub(crate) fn is_model(name: &str) -> bool {
    name == "model" || name.starts_with("model_")
}

pub(crate) fn models<'w>(workspace: &'w Workspace, member: &'w Member) -> Vec<Gate<'w>> {
    let gate = |target: &'w Target| {
        Gate::new(target.name.clone(), Some(&member.name), move |evidence| {
            Run::of(workspace, member, target)
                .with_line(line(workspace, member, target))
                .count(evidence)
        })
    };
    targets(member).map(gate).collect()
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
