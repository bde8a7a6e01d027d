//! `cargo xtask features`: FEATURES.md and the tests name each other, and what is claimed was shown.
//!
//! A done row names a test; the test's doc comment names the row in a line `Rows: …`. `list.rs`
//! reads the one side, `sources.rs` the other, `agree.rs` holds them against each other, and `ran.rs`
//! asks whether the named tests ran and passed.

mod agree;
mod list;
mod ran;
mod sources;

use std::collections::BTreeSet;

use anyhow::bail;

use crate::finding::Finding;
use crate::flags::Features;
use crate::gate::{Broken, Gate, Verdict, counted, model, test_targets, without_findings};
use crate::report::{Evidence, run_gates};
use crate::workspace::{Member, Workspace};

use list::{List, State};

/// The list itself, in the root.
const FILE: &str = "FEATURES.md";

impl Features {
    pub(crate) fn run(&self, workspace: &Workspace) -> anyhow::Result<()> {
        let list = List::read(workspace)?;
        let findings = agree::findings(workspace, &list)?;
        for finding in &findings {
            println!("{finding}");
        }
        if !findings.is_empty() {
            bail!("features: {}", counted(findings.len(), "finding"));
        }
        let are_shown = self.names_only || tests_pass(workspace, &list);
        print_counts(&list);
        if are_shown { Ok(()) } else { bail!("features: a claimed row is not shown") }
    }
}

/// The gate that FEATURES.md and the sources agree about one crate. Nothing is run for it.
pub(crate) fn stated<'w>(workspace: &'w Workspace, member: &'w Member) -> Gate<'w> {
    Gate::new("features", Some(&member.name), move |_| {
        let repeat = "cargo xtask features --names-only";
        let findings = List::read(workspace)
            .and_then(|list| agree::findings(workspace, &list))
            .map_err(|error| Broken::with(repeat, &error))?;
        let about: Vec<Finding> = findings
            .into_iter()
            .filter(|finding| finding.crate_name == member.name)
            .map(|finding| finding.finding)
            .collect();
        without_findings(&about, repeat)
    })
}

/// The gate that every test of this crate which a done row names has run and passed. A row may be
/// shown by a higher crate than the one it belongs to; it is looked at where its test lives.
pub(crate) fn ran<'w>(workspace: &'w Workspace, member: &'w Member) -> Gate<'w> {
    Gate::new("features ran", Some(&member.name), move |evidence| {
        let repeat = "cargo xtask features";
        let list = List::read(workspace).map_err(|error| Broken::with(repeat, &error))?;
        let findings = ran::findings(workspace, member, &list, evidence);
        without_findings(&findings, repeat)?;
        let shown: BTreeSet<&str> =
            ran::rows_of(workspace, member, &list).map(|(row, _)| row.id.as_str()).collect();
        Ok(Verdict::Passed(counted(shown.len(), "row")))
    })
}

/// Runs the tests of the crates that show something, and looks for each named test among them.
fn tests_pass(workspace: &Workspace, list: &List) -> bool {
    let mut gates = Vec::new();
    for member in &workspace.members {
        if ran::rows_of(workspace, member, list).next().is_some() {
            gates.extend(test_targets::gates(workspace, member));
            gates.extend(model::models(workspace, member));
            gates.push(ran(workspace, member));
        }
    }
    gates.is_empty() || run_gates(gates, &mut Evidence::from_environment())
}

fn print_counts(list: &List) {
    let mut total = (0, 0);
    for section in &list.sections {
        let done = section.rows.iter().filter(|row| row.state == State::Done).count();
        let all = section.rows.iter().filter(|row| row.state.is_due()).count();
        println!("{}: {done} / {all}", section.name);
        total = (total.0 + done, total.1 + all);
    }
    println!("total: {} / {}", total.0, total.1);
}
