//! `cargo xtask tidy`: rules about the text of the tree, for what no compiler sees.
//!
//! A rule looks at one file, or at the folder of one crate. Each says what it found and what to do
//! instead. The rules stand in `tidy/`, grouped by what they read.

mod crates;
mod manifest;
mod rust;
mod text;
mod unsafety;

use std::fs;
use std::process::Command;

use anyhow::{Context, ensure};

use crate::finding::{self, Finding};
use crate::flags::Tidy;
use crate::source;
use crate::workspace::Workspace;

impl Tidy {
    pub(crate) fn run(&self, workspace: &Workspace) -> anyhow::Result<()> {
        finding::conclude("tidy", &findings(workspace)?)
    }
}

pub(crate) fn findings(workspace: &Workspace) -> anyhow::Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for path in paths(workspace)? {
        // What is listed but gone was deleted and not committed yet; what is not text has no rules.
        let Ok(bytes) = fs::read(workspace.root.join(&path)) else { continue };
        let Ok(text) = String::from_utf8(bytes) else { continue };
        let file = File::new(workspace, &path, &text);
        findings.extend(rules_for(&path).iter().flat_map(|rule| rule(&file)));
    }
    for member in &workspace.members {
        findings.extend(crates::complete(workspace, member));
    }
    Ok(findings)
}

/// A text file of the tree, seen with the crate it belongs to.
struct File<'t> {
    /// Relative to the root.
    path: &'t str,
    text: &'t str,
    /// The text without comments and strings; the text itself where it is not Rust.
    code: String,
    /// The folder of its crate that it lies in: `src`, `tests`, `benches`; empty outside any crate.
    area: String,
    /// Empty outside any crate.
    crate_name: String,
    /// True when the crate has a `src/sync.rs`, through which its atomics come.
    has_sync: bool,
}

type Rule = fn(&File<'_>) -> Vec<Finding>;

impl<'t> File<'t> {
    fn new(workspace: &Workspace, path: &'t str, text: &'t str) -> File<'t> {
        let absolute = workspace.root.join(path);
        let member = workspace.member_of(&absolute);
        let inside = member.and_then(|member| absolute.strip_prefix(&member.folder).ok());
        let area = inside.and_then(|inside| inside.components().next());
        File {
            path,
            text,
            code: if path.ends_with(".rs") { source::code_only(text) } else { text.to_owned() },
            area: area
                .map(|area| area.as_os_str().to_string_lossy().into_owned())
                .unwrap_or_default(),
            crate_name: member.map(|member| member.name.clone()).unwrap_or_default(),
            has_sync: member.is_some_and(|member| member.folder.join("src/sync.rs").exists()),
        }
    }

    /// The lines of the text, counted from one.
    fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text.lines().enumerate().map(|(index, line)| (index + 1, line))
    }

    /// The lines of code, counted from one.
    fn code_lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.code.lines().enumerate().map(|(index, line)| (index + 1, line))
    }
}

fn rules_for(path: &str) -> Vec<Rule> {
    let mut rules = text::rules(path);
    if path.ends_with(".rs") {
        rules.extend(rust::RULES);
        rules.extend(unsafety::RULES);
    }
    if path == "Cargo.toml" || path.ends_with("/Cargo.toml") {
        rules.push(manifest::reasons);
    }
    rules
}

/// What git would commit: files it knows and new ones that it does not ignore.
fn paths(workspace: &Workspace) -> anyhow::Result<Vec<String>> {
    let output = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(&workspace.root)
        .output()
        .context("cannot start `git ls-files`; is git on the PATH?")?;
    ensure!(
        output.status.success(),
        "`git ls-files` failed: {}",
        String::from_utf8_lossy(&output.stderr).trim()
    );
    let mut paths: Vec<String> =
        String::from_utf8_lossy(&output.stdout).split_terminator('\0').map(str::to_owned).collect();
    paths.sort();
    paths.dedup();
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The findings of one rule on a file of the crate `sk-toy`.
    pub(super) fn found(rule: Rule, path: &str, text: &str) -> Vec<String> {
        let file = File {
            path,
            text,
            code: if path.ends_with(".rs") { source::code_only(text) } else { text.to_owned() },
            area: path.split('/').nth(1).unwrap_or_default().to_owned(),
            crate_name: path.split('/').next().unwrap_or_default().to_owned(),
            has_sync: true,
        };
        rule(&file).iter().map(ToString::to_string).collect()
    }

    /// The rules hold for this tree: `cargo test -p xtask` is enough to know.
    #[test]
    fn the_tree_is_tidy() {
        let workspace = Workspace::at(env!("CARGO_MANIFEST_DIR").as_ref()).unwrap();
        let findings = findings(&workspace).unwrap();
        let lines: Vec<String> = findings.iter().map(ToString::to_string).collect();
        assert!(lines.is_empty(), "\n{}", lines.join("\n"));
    }
}
