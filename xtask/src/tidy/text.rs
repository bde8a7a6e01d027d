//! Rules for every text file.

use super::{File, Rule};
use crate::finding::Finding;

/// Starts of paths that exist on one machine only. Written in halves, or this list would break its
/// own rule.
const MACHINE_PATHS: [&str; 3] =
    [concat!("/", "work/"), concat!("/", "root/"), concat!("/", "home/")];

/// Hosts that packages come from here and nowhere else. In halves for the same reason.
const REGISTRY_HOSTS: [&str; 5] = [
    concat!("index.", "crates.io"),
    concat!("static.", "crates.io"),
    concat!("pypi", ".org"),
    concat!("registry.", "npmjs.org"),
    concat!("arti", "factory"),
];

/// The rules for a file at this path. What a program wrote is kept as the program wrote it: compiler
/// messages of `tests/ui` and the inputs of fuzz targets.
pub(super) fn rules(path: &str) -> Vec<Rule> {
    let is_written_by_hand = !path.ends_with(".stderr") && !path.contains("/fuzz/seeds/");
    let mut rules: Vec<Rule> = vec![places];
    if is_written_by_hand {
        rules.extend([ends as Rule, blanks]);
    }
    rules
}

fn places(file: &File<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (number, line) in file.lines() {
        if let Some(path) = MACHINE_PATHS.iter().find(|path| begins_in(line, path)) {
            findings.push(Finding::at(
                file.path,
                number,
                format!("a path of one machine, {path}"),
                "write it relative to the workspace or take it from the environment",
            ));
        }
        if let Some(host) = REGISTRY_HOSTS.iter().find(|host| line.contains(*host)) {
            findings.push(Finding::at(
                file.path,
                number,
                format!("the host of a registry, {host}"),
                "leave the choice of registry to the configuration of whoever builds",
            ));
        }
    }
    findings
}

/// A relative path such as `net/work/` holds the same letters and is no path of a machine.
fn begins_in(line: &str, path: &str) -> bool {
    line.match_indices(path)
        .any(|(start, _)| !line[..start].ends_with(|before: char| before.is_alphanumeric()))
}

fn ends(file: &File<'_>) -> Vec<Finding> {
    let ends_well = file.text.is_empty()
        || (file.text.ends_with('\n') && !file.text.ends_with("\n\n") && file.text != "\n");
    if ends_well {
        return Vec::new();
    }
    let last = file.text.lines().count();
    vec![Finding::at(
        file.path,
        last,
        "the file does not end with exactly one newline",
        "end it with one",
    )]
}

fn blanks(file: &File<'_>) -> Vec<Finding> {
    let is_rust = file.path.ends_with(".rs");
    let mut findings = Vec::new();
    for (number, line) in file.lines() {
        if line.trim_end() != line {
            findings.push(Finding::at(file.path, number, "blanks at the end", "remove them"));
        }
        if is_rust && line.contains('\t') {
            findings.push(Finding::at(file.path, number, "a tab", "write spaces, or \\t in text"));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::super::tests::found;
    use super::*;

    #[test]
    fn a_path_of_a_machine_is_found() {
        let text = format!("see {}me/notes\n", MACHINE_PATHS[2]);
        assert!(found(places, "sk-toy/README.md", &text)[0].starts_with("sk-toy/README.md:1: "));
        assert!(
            found(places, "sk-toy/README.md", "see src/homework/notes and net/work/x\n").is_empty()
        );
    }

    #[test]
    fn the_host_of_a_registry_is_found() {
        for host in REGISTRY_HOSTS {
            assert_eq!(found(places, "a.toml", &format!("at = \"{host}\"\n")).len(), 1);
        }
        assert!(found(places, "a.toml", "at = \"crates.io\"\n").is_empty());
    }

    #[test]
    fn a_file_ends_with_one_newline() {
        assert_eq!(found(ends, "a.md", "a").len(), 1);
        assert_eq!(found(ends, "a.md", "a\n\n").len(), 1);
        assert!(found(ends, "a.md", "a\n").is_empty());
        assert!(found(ends, "a.md", "").is_empty());
    }

    #[test]
    fn blanks_at_the_end_and_tabs_are_found() {
        assert_eq!(found(blanks, "a.rs", "a \n\tb\n").len(), 2);
        assert!(found(blanks, "Makefile", "a:\n\tb\n").is_empty());
        assert!(found(blanks, "a.rs", "a b\n").is_empty());
    }

    #[test]
    fn what_a_program_wrote_is_kept() {
        assert_eq!(rules("sk-toy/tests/ui/a.stderr").len(), 1);
        assert_eq!(rules("sk-toy/fuzz/seeds/decode/one").len(), 1);
        assert_eq!(rules("sk-toy/src/lib.rs").len(), 3);
    }
}
