//! `cargo xtask bench`: runs the benches of a crate and holds what they print against its budget.
//!
//! Times differ from machine to machine, so what is gated is a ratio to a baseline of the same run,
//! at twice the goal unless `--strict`, or a number that must be exact. A breach is measured twice
//! more and the median decides, because one run may have been disturbed.

mod budget;
mod host;
mod judge;
mod measure;
mod metric;
mod table;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use crate::flags::Bench;
use crate::gate::{Broken, Gate, Verdict, counted};
use crate::workspace::{Member, TargetKind, Workspace};

use budget::Budget;
use judge::{Judged, Strictness};
use measure::Programs;

impl Bench {
    pub(crate) fn run(&self, workspace: &Workspace) -> anyhow::Result<()> {
        print!("{}", host::facts(workspace));
        let strictness = if self.strict { Strictness::AtGoal } else { Strictness::AtTwiceGoal };
        let rivals = if self.peers { Rivals::Measured } else { Rivals::Left };
        let mut judged = Vec::new();
        for member in workspace.members_named(self.crate_name.as_deref())? {
            if has_benches(member) {
                judged.extend(
                    judge_crate(workspace, member, strictness, rivals)
                        .map_err(Broken::into_error)?,
                );
            }
        }
        println!("{}", table::text(&judged));
        if let Some(file) = &self.json {
            fs::write(file, table::json(&judged)?)
                .with_context(|| format!("cannot write {}", file.display()))?;
        }
        let breaches: Vec<&Judged> = judged.iter().filter(|row| row.is_breach()).collect();
        for breach in &breaches {
            println!("{}", breach.complaint());
        }
        match breaches.len() {
            0 => Ok(()),
            count => bail!("{} beyond the budget", counted(count, "metric")),
        }
    }
}

/// The gate that no metric of the crate is beyond its budget.
pub(crate) fn budgets<'w>(workspace: &'w Workspace, member: &'w Member) -> Option<Gate<'w>> {
    if !has_benches(member) {
        return None;
    }
    Some(Gate::new("budgets", Some(&member.name), move |_| {
        let judged = judge_crate(workspace, member, Strictness::AtTwiceGoal, Rivals::Left)?;
        let breaches: Vec<String> =
            judged.iter().filter(|row| row.is_breach()).map(Judged::complaint).collect();
        if breaches.is_empty() {
            return Ok(Verdict::Passed(counted(judged.len(), "metric")));
        }
        Err(Broken {
            what: format!("{} beyond the budget", counted(breaches.len(), "metric")),
            repeat: repeat(member),
            read: Some(workspace.relative(&budget_file(member))),
            output: format!("{}\n{}", table::text(&judged), breaches.join("\n")),
        })
    }))
}

/// Whether the rival crates of `peers/` are measured too.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Rivals {
    Measured,
    Left,
}

fn judge_crate(
    workspace: &Workspace,
    member: &Member,
    strictness: Strictness,
    rivals: Rivals,
) -> Result<Vec<Judged>, Broken> {
    let file = budget_file(member);
    let trouble = |error: anyhow::Error| {
        Broken::with(repeat(member), &error).or_read(workspace.relative(&file))
    };
    let budget = Budget::read(&file).map_err(trouble)?;
    let mut programs = Programs::build(workspace, member, rivals == Rivals::Measured)?;
    let runs = if rivals == Rivals::Measured { measure::RUNS } else { 1 };
    for _ in 0..runs {
        programs.run_all()?;
    }
    let judge = |programs: &Programs| {
        judge::judge(&member.name, &budget, programs.metrics(), strictness, rivals).map_err(trouble)
    };
    let mut judged = judge(&programs)?;
    if runs == 1 && judged.iter().any(Judged::is_breach) {
        let names: Vec<&str> = judged
            .iter()
            .filter(|row| row.is_breach())
            .flat_map(|row| [Some(row.name.as_str()), row.baseline.as_deref()])
            .flatten()
            .collect();
        programs.run_again(&names, measure::RUNS - runs)?;
        judged = judge(&programs)?;
    }
    Ok(judged)
}

fn has_benches(member: &Member) -> bool {
    member.targets_of(TargetKind::Bench).next().is_some() || budget_file(member).exists()
}

fn budget_file(member: &Member) -> PathBuf {
    member.folder.join(Path::new("benches/budget.toml"))
}

fn repeat(member: &Member) -> String {
    format!("cargo xtask bench {}", member.name)
}
