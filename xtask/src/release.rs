//! `cargo xtask release --dry-run`: the tree could be released as it is.

use std::fs;
use std::process::Command;

use anyhow::{Context, bail};

use crate::command::Line;
use crate::finding::{self, Finding};
use crate::flags::Release;
use crate::gate::{BUILD_LIMIT, Broken, package, pass};
use crate::workspace::{Member, Workspace, read_toml};

impl Release {
    pub(crate) fn run(&self, workspace: &Workspace) -> anyhow::Result<()> {
        if !self.dry_run {
            bail!(
                "publishing is done by hand, as it cannot be undone: run `cargo xtask release \
                 --dry-run`, give the Unreleased sections the version and the date, commit, tag \
                 that commit, then `cargo publish --workspace`"
            );
        }
        let mut findings = uncommitted(workspace)?;
        findings.extend(versions(workspace)?);
        for member in libraries(workspace) {
            findings.extend(changelog(workspace, member)?);
        }
        finding::conclude("release", &findings)?;
        pass(&package_line(workspace), BUILD_LIMIT).map_err(Broken::into_error)?;
        println!("package: ok");
        Ok(())
    }
}

fn libraries(workspace: &Workspace) -> impl Iterator<Item = &Member> {
    workspace.members.iter().filter(|member| member.is_published && member.library().is_some())
}

fn package_line(workspace: &Workspace) -> Line {
    package::line(workspace, &workspace.members)
}

fn uncommitted(workspace: &Workspace) -> anyhow::Result<Vec<Finding>> {
    let output = Command::new("git")
        .args(["status", "--porcelain"])
        .current_dir(&workspace.root)
        .output()
        .context("cannot start `git status`; is git on the PATH?")?;
    if !output.status.success() {
        bail!("`git status` failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    let status = String::from_utf8_lossy(&output.stdout);
    Ok(status
        .lines()
        .filter_map(|line| line.get(3..))
        .map(|path| Finding::in_file(path, "is not committed", "a release is one commit"))
        .collect())
}

/// One version for the workspace, for each crate, and for each crate as a dependency.
fn versions(workspace: &Workspace) -> anyhow::Result<Vec<Finding>> {
    let root = read_toml(&workspace.root.join("Cargo.toml"))?;
    let shared = root.get("workspace").context("the root Cargo.toml has no [workspace]")?;
    let version = shared
        .get("package")
        .and_then(|package| package.get("version"))
        .and_then(toml::Value::as_str)
        .context("the root Cargo.toml has no workspace.package.version")?;
    let mut findings = Vec::new();
    for member in &workspace.members {
        if member.version != version {
            findings.push(Finding::in_file(
                workspace.relative(&member.folder.join("Cargo.toml")),
                format!("the version is {} and that of the workspace {version}", member.version),
                "write `version.workspace = true`",
            ));
        }
        let stated = shared
            .get("dependencies")
            .and_then(|dependencies| dependencies.get(&member.name))
            .and_then(|dependency| dependency.get("version"))
            .and_then(toml::Value::as_str);
        if let Some(stated) = stated
            && stated.trim_start_matches('=') != version
        {
            findings.push(Finding::in_file(
                "Cargo.toml",
                format!("{} is required as {stated}, the workspace is {version}", member.name),
                "write the version of the workspace in workspace.dependencies",
            ));
        }
    }
    Ok(findings)
}

/// A crate nested in another is told about in the changelog of that one.
fn changelog(workspace: &Workspace, member: &Member) -> anyhow::Result<Option<Finding>> {
    if workspace.is_nested(member) {
        return Ok(None);
    }
    let path = member.folder.join("CHANGELOG.md");
    let text =
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok((!has_unreleased_entry(&text)).then(|| {
        Finding::in_file(
            workspace.relative(&path),
            "the first section is not `## Unreleased` with an entry",
            "say there what the release changes for users",
        )
    }))
}

fn has_unreleased_entry(text: &str) -> bool {
    let mut lines = text.lines().skip_while(|line| !line.starts_with("## "));
    lines.next() == Some("## Unreleased")
        && lines.take_while(|line| !line.starts_with("## ")).any(|line| line.starts_with("- "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_needs_an_entry() {
        assert!(has_unreleased_entry("# Changelog\n\n## Unreleased\n\n- It works.\n"));
        assert!(!has_unreleased_entry("# Changelog\n\n## Unreleased\n\n## 0.1.0\n\n- It works.\n"));
        assert!(!has_unreleased_entry("# Changelog\n\n## 0.1.0\n\n- It works.\n"));
    }
}
