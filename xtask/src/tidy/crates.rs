//! A rule for the folder of a crate: every crate has the same things in the same places.

use std::fs;

use crate::finding::Finding;
use crate::workspace::{Member, Workspace};

/// A crate nested in another, such as its macros, is a part of it and told about there.
pub(super) fn complete(workspace: &Workspace, member: &Member) -> Vec<Finding> {
    if workspace.is_nested(member) {
        return Vec::new();
    }
    let mut findings = Vec::new();
    for (name, instead) in [
        ("README.md", "say what the crate is and show its smallest program"),
        ("tests", "give the crate a `tests/it/main.rs`"),
    ] {
        let path = member.folder.join(name);
        if !path.exists() {
            findings.push(Finding::in_file(workspace.relative(&path), "is missing", instead));
        }
    }
    let path = member.folder.join("CHANGELOG.md");
    let file = workspace.relative(&path);
    match fs::read_to_string(&path) {
        Ok(text) => findings.extend(unreleased_first(&file, &text)),
        Err(_) => findings.push(Finding::in_file(
            file,
            "is missing",
            "write one whose first section is `## Unreleased`",
        )),
    }
    findings
}

fn unreleased_first(file: &str, text: &str) -> Option<Finding> {
    let sections = || text.lines().enumerate().filter(|(_, line)| line.starts_with("## "));
    match sections().next() {
        Some((_, "## Unreleased")) => None,
        first => Some(Finding::at(
            file,
            first.map_or(1, |(index, _)| index + 1),
            "the first section is not `## Unreleased`",
            "a change is written there in the same commit",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changelog_opens_with_unreleased() {
        let good = "# Changelog\n\n## Unreleased\n\n- A.\n\n## 0.1.0\n";
        assert_eq!(unreleased_first("CHANGELOG.md", good), None);
        let released = "# Changelog\n\n## 0.1.0\n\n## Unreleased\n";
        assert_eq!(unreleased_first("CHANGELOG.md", released).unwrap().line, Some(3));
        assert!(unreleased_first("CHANGELOG.md", "# Changelog\n").is_some());
    }
}
