//! `cargo xtask ci`: the gates, in the order in which they rest on each other.

use std::process::ExitCode;

use crate::bench;
use crate::features;
use crate::flags::Ci;
use crate::gate::{
    Gate, alone::alone, examples::examples, fuzz::fuzz, model::models, package::package,
    portable::portable, sanitizers::sanitizers, test_targets, whole,
};
use crate::leftovers::{self, Snapshot};
use crate::report::{Evidence, run_gates};
use crate::workspace::{Member, Workspace};

impl Ci {
    pub(crate) fn run(&self, workspace: &Workspace) -> anyhow::Result<ExitCode> {
        let members = workspace.members_to(self.to.as_deref())?;
        let before = Snapshot::take(workspace)?;
        let mut gates = whole_gates(workspace);
        for member in members {
            gates.extend(member_gates(workspace, member, &before));
        }
        let mut evidence = Evidence::from_environment();
        let is_whole = run_gates(gates, &mut evidence);
        Ok(if is_whole { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

fn whole_gates(workspace: &Workspace) -> Vec<Gate<'_>> {
    vec![
        whole::tidy(workspace),
        whole::layers(workspace),
        whole::format(workspace),
        whole::lints(workspace),
        whole::docs(workspace),
    ]
}

/// The gates of one crate. One whose files the crate does not have is not in the list.
fn member_gates<'w>(
    workspace: &'w Workspace,
    member: &'w Member,
    before: &Snapshot,
) -> Vec<Gate<'w>> {
    let mut gates = vec![features::stated(workspace, member), alone(workspace, member)];
    gates.extend(test_targets::gates(workspace, member));
    gates.extend(examples(workspace, member));
    gates.extend(portable(workspace, member));
    gates.extend(models(workspace, member));
    gates.extend(sanitizers(workspace, member));
    gates.extend(fuzz(workspace, member));
    gates.extend(bench::budgets(workspace, member));
    gates.push(leftovers::nothing_left(workspace, member, before.clone()));
    gates.extend(package(workspace, member));
    gates.push(features::ran(workspace, member));
    gates
}
