//! A rule for manifests: a dependency brings its reason on the line above.

use super::File;
use crate::finding::Finding;

/// How the group of `[workspace.dependencies]` begins that is not ours.
const OTHERS: &str = "# Others";

/// Members take most dependencies from the workspace, where the reason stands; an entry of a member
/// needs one of its own only when it does not. Fuzz targets and peers are no members, and what they
/// depend on is what they are about.
pub(super) fn reasons(file: &File<'_>) -> Vec<Finding> {
    let is_root = file.path == "Cargo.toml";
    if !is_root && file.area != "Cargo.toml" {
        return Vec::new();
    }
    let mut findings = Vec::new();
    let mut section = Section::Other;
    let mut previous = "";
    let mut depth = 0_usize;
    for (number, line) in file.lines() {
        let line = line.trim();
        if depth == 0 && line.starts_with('[') {
            section = Section::of(line);
            if section == Section::OneDependency && !previous.starts_with('#') {
                findings.push(finding(file, number, line));
            }
        } else if depth == 0 && section == Section::Ours && line.starts_with(OTHERS) {
            section = Section::Dependencies;
            // The line that names the group is not the reason of its first entry.
            previous = "";
            continue;
        } else if depth == 0 && section == Section::Dependencies && lacks_reason(line, previous) {
            findings.push(finding(file, number, line));
        }
        if !line.starts_with('#') && !line.starts_with('[') {
            depth = (depth + count(line, &['[', '{'])).saturating_sub(count(line, &[']', '}']));
        }
        previous = line;
    }
    findings
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Section {
    /// Entries are dependencies, each with a reason.
    Dependencies,
    /// `[workspace.dependencies]` before the group of others.
    Ours,
    /// `[dependencies.NAME]`: the heading itself is the dependency.
    OneDependency,
    Other,
}

impl Section {
    fn of(heading: &str) -> Section {
        let name = heading.trim_start_matches('[').trim_end_matches(']');
        if name == "workspace.dependencies" {
            return Section::Ours;
        }
        let is_table = |part: &str| part.ends_with("dependencies");
        // `target.'cfg(any())'.dependencies` ends with the word, `dependencies.serde` holds it.
        match name.rsplit_once('.') {
            _ if is_table(name) => Section::Dependencies,
            Some((before, _)) if is_table(before) => Section::OneDependency,
            _ => Section::Other,
        }
    }
}

fn lacks_reason(line: &str, previous: &str) -> bool {
    let is_entry = !line.starts_with('#') && line.contains('=');
    is_entry && !takes_from_workspace(line) && !previous.starts_with('#')
}

fn takes_from_workspace(line: &str) -> bool {
    let compact: String = line.split_whitespace().collect();
    compact.contains("workspace=true")
}

fn count(line: &str, letters: &[char]) -> usize {
    line.matches(letters).count()
}

fn finding(file: &File<'_>, number: usize, line: &str) -> Finding {
    let name = line.split('=').next().unwrap_or(line).trim();
    Finding::at(
        file.path,
        number,
        format!("the dependency {name} has no reason"),
        "say on the line above what it is needed for",
    )
}

#[cfg(test)]
mod tests {
    use super::super::tests::found;
    use super::*;

    const MEMBER: &str = "sk-toy/Cargo.toml";

    #[test]
    fn a_dependency_of_a_member_has_a_reason_or_comes_from_the_workspace() {
        let bare = "[dependencies]\nserde = \"1\"\n";
        assert!(found(reasons, MEMBER, bare)[0].contains(":2: the dependency serde"));
        let told = "[dependencies]\n# The data model.\nserde = \"1\"\nlog.workspace = true\n\
            toml = { workspace = true, optional = true }\n";
        assert!(found(reasons, MEMBER, told).is_empty());
    }

    #[test]
    fn nested_workspaces_need_no_reasons() {
        let bare = "[dependencies]\nserde = \"1\"\n";
        assert!(found(reasons, "sk-toy/fuzz/Cargo.toml", bare).is_empty());
    }

    #[test]
    fn other_tables_of_dependencies_count_too() {
        let bare = "[dev-dependencies]\na = \"1\"\n[target.'cfg(unix)'.dependencies]\nb = \"1\"\n\
            [dependencies.c]\nversion = \"1\"\n";
        assert_eq!(found(reasons, MEMBER, bare).len(), 3);
        assert!(found(reasons, MEMBER, "[features]\na = []\n[package]\nname = \"a\"\n").is_empty());
    }

    #[test]
    fn the_workspace_gives_a_reason_for_each_of_the_others() {
        let root = "[workspace.dependencies]\n# Ours.\nsk-toy = { path = \"sk-toy\" }\n\n\
            # Others, each with its reason.\nbare = \"1\"\n# Told.\ntold = { version = \"1\", \
            features = [\n    \"a\",\n] }\nagain = \"1\"\n";
        let findings = found(reasons, "Cargo.toml", root);
        assert_eq!(findings.len(), 2, "{findings:?}");
        assert!(findings[0].contains("bare") && findings[1].contains("again"));
    }
}
