//! Every example builds, runs and ends well: examples are the first thing a user copies.

use std::time::Duration;

use super::{BUILD_LIMIT, Gate, Verdict, counted, pass};
use crate::command::Line;
use crate::workspace::{Member, TargetKind, Workspace};

const EXAMPLE_LIMIT: Duration = Duration::from_secs(120);

pub(crate) fn examples<'w>(workspace: &'w Workspace, member: &'w Member) -> Option<Gate<'w>> {
    let examples: Vec<_> = member.targets_of(TargetKind::Example).collect();
    if examples.is_empty() {
        return None;
    }
    Some(Gate::new("examples", Some(&member.name), move |_| {
        let build = Line::new(workspace, ["cargo", "build", "-p", &member.name])
            .words(["--examples", "--all-features"]);
        pass(&build, BUILD_LIMIT)?;
        for example in &examples {
            let run = Line::new(workspace, ["cargo", "run", "-p", &member.name]).words([
                "--example",
                &example.name,
                "--all-features",
            ]);
            pass(&run, EXAMPLE_LIMIT)
                .map_err(|broken| broken.or_read(workspace.relative(&example.source)))?;
        }
        Ok(Verdict::Passed(counted(examples.len(), "example")))
    }))
}
