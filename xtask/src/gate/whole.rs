//! Gates over the whole workspace at once: tidy, layers, format, lints, docs.

use std::time::Duration;

use super::{BUILD_LIMIT, Broken, Gate, Verdict, pass, without_findings};
use crate::command::Line;
use crate::finding::Finding;
use crate::workspace::Workspace;
use crate::{layers, tidy};

const FORMAT_LIMIT: Duration = Duration::from_secs(120);

pub(crate) fn tidy(workspace: &Workspace) -> Gate<'_> {
    looking("tidy", workspace, tidy::findings)
}

pub(crate) fn layers(workspace: &Workspace) -> Gate<'_> {
    looking("layers", workspace, layers::findings)
}

pub(crate) fn format(workspace: &Workspace) -> Gate<'_> {
    let line = Line::new(workspace, ["cargo", "fmt", "--all", "--check"]);
    passing("format", line, FORMAT_LIMIT)
}

pub(crate) fn lints(workspace: &Workspace) -> Gate<'_> {
    let line = Line::new(workspace, ["cargo", "clippy", "--workspace", "--all-targets"]).words([
        "--all-features",
        "--",
        "-D",
        "warnings",
    ]);
    passing("lints", line, BUILD_LIMIT)
}

pub(crate) fn docs(workspace: &Workspace) -> Gate<'_> {
    let line = Line::new(workspace, ["cargo", "doc", "--workspace", "--no-deps", "--all-features"])
        .environment("RUSTDOCFLAGS", "-D warnings");
    passing("docs", line, BUILD_LIMIT)
}

fn looking<'w>(
    verb: &'static str,
    workspace: &'w Workspace,
    findings: fn(&Workspace) -> anyhow::Result<Vec<Finding>>,
) -> Gate<'w> {
    Gate::new(verb, None, move |_| {
        let repeat = format!("cargo xtask {verb}");
        let findings = findings(workspace).map_err(|error| Broken::with(&repeat, &error))?;
        without_findings(&findings, &repeat)
    })
}

fn passing<'w>(name: &str, line: Line, limit: Duration) -> Gate<'w> {
    Gate::new(name, None, move |_| {
        pass(&line, limit)?;
        Ok(Verdict::Passed(String::new()))
    })
}
