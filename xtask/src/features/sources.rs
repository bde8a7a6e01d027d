//! The tests in the sources, each with the rows that its doc comment names.
//!
//! The text is read line by line rather than parsed: tests also stand inside macro calls, where a
//! parser sees tokens only, and the doc comment is always in the lines above the function.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;

use super::list::TestName;
use crate::workspace::{Member, Target, TargetKind, Workspace};

/// What a doc line begins with that names rows.
const ROWS: &str = "Rows:";

/// A function, or whatever else a line naming rows stands above.
#[derive(Debug)]
pub(super) struct Documented {
    pub(super) test: TestName,
    /// Of the function, from one.
    pub(super) line: usize,
    pub(super) rows: Vec<String>,
    /// By its attribute, or because a program without the harness of libtest calls it itself.
    pub(super) is_test: bool,
}

/// The functions in the sources of a crate that are tests or name rows.
pub(super) fn documented(
    workspace: &Workspace,
    member: &Member,
) -> anyhow::Result<Vec<Documented>> {
    let mut found = Vec::new();
    for area in ["src", "tests"] {
        for path in rust_files(&member.folder.join(area))? {
            // Crates nested in this one are members of their own.
            if workspace.member_of(&path).is_none_or(|owner| owner.name != member.name) {
                continue;
            }
            let text = fs::read_to_string(&path)
                .with_context(|| format!("cannot read {}", path.display()))?;
            let has_harness = target_of(member, &path).is_none_or(|target| target.has_harness);
            found.extend(scan(&workspace.relative(&path), &text, has_harness));
        }
    }
    Ok(found)
}

/// The target whose tests a file holds: that of the file itself or of the folder it lies in.
pub(super) fn target_of<'m>(member: &'m Member, path: &Path) -> Option<&'m Target> {
    if path.starts_with(member.folder.join("src")) {
        let program = || member.targets_of(TargetKind::Binary).next();
        return member.library().or_else(program);
    }
    member.targets_of(TargetKind::Test).find(|target| {
        let folder = target.source.parent().filter(|_| target.source.ends_with("main.rs"));
        target.source == path || folder.is_some_and(|folder| path.starts_with(folder))
    })
}

fn scan(file: &str, text: &str, has_harness: bool) -> Vec<Documented> {
    let mut found = Vec::new();
    let mut above = Above::default();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if above.takes(line) {
            continue;
        }
        let function = function_name(line);
        let is_test = function.is_some() && (above.has_test_attribute || !has_harness);
        if is_test || !above.rows.is_empty() {
            found.push(Documented {
                test: TestName {
                    file: file.to_owned(),
                    function: function.unwrap_or_default().to_owned(),
                },
                line: index + 1,
                rows: std::mem::take(&mut above.rows),
                is_test,
            });
        }
        above = Above::default();
    }
    found
}

/// Doc comment and attributes gathered above the line to come.
#[derive(Default)]
struct Above {
    rows: Vec<String>,
    has_test_attribute: bool,
    /// Brackets of an attribute that are still open.
    open_brackets: usize,
}

impl Above {
    /// True when the line belongs to what stands above an item.
    fn takes(&mut self, line: &str) -> bool {
        if self.open_brackets > 0 || line.starts_with("#[") {
            self.has_test_attribute |= self.open_brackets == 0 && is_test_attribute(line);
            let opened = self.open_brackets + line.matches('[').count();
            self.open_brackets = opened.saturating_sub(line.matches(']').count());
            // `#[test] fn name()` on one line is for the caller to see.
            return self.open_brackets > 0 || line.ends_with(']');
        }
        if let Some(comment) = line.strip_prefix("///").or_else(|| line.strip_prefix("//!")) {
            if let Some(rows) = comment.trim().strip_prefix(ROWS) {
                self.rows.extend(rows.split(',').map(|row| row.trim().to_owned()));
            }
            return true;
        }
        line.is_empty() || line.starts_with("//")
    }
}

/// `#[test]`, `#[tokio::test(…)]` and whatever else is called test.
fn is_test_attribute(line: &str) -> bool {
    let path = line.trim_start_matches("#[").split([']', '(', ' ']).next().unwrap_or_default();
    path.rsplit("::").next() == Some("test")
}

fn function_name(line: &str) -> Option<&str> {
    let line = line.rsplit_once("] ").map_or(line, |(_, rest)| rest);
    let (before, after) = match line.strip_prefix("fn ") {
        Some(after) => ("", after),
        None => line.split_once(" fn ")?,
    };
    let is_qualifier = |word: &str| {
        matches!(word, "async" | "const" | "unsafe" | "extern" | "pub") || word.starts_with("pub(")
    };
    if !before.split_ascii_whitespace().all(is_qualifier) {
        return None;
    }
    let is_name = |letter: char| letter.is_alphanumeric() || letter == '_';
    let end = after.find(|letter| !is_name(letter)).unwrap_or(after.len());
    (end > 0).then(|| &after[..end])
}

/// Sorted, so that findings come in the same order everywhere.
fn rust_files(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let Ok(entries) = fs::read_dir(folder) else { return Ok(files) };
    for entry in entries {
        let path = entry.with_context(|| format!("cannot read {}", folder.display()))?.path();
        if path.is_dir() {
            files.extend(rust_files(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Name, rows and whether it is a test. The lines are joined here so that none of them begins
    /// like a doc comment in this file.
    fn scanned(lines: &[&str], has_harness: bool) -> Vec<(String, Vec<String>, bool)> {
        scan("a.rs", &lines.join("\n"), has_harness)
            .into_iter()
            .map(|found| (found.test.function, found.rows, found.is_test))
            .collect()
    }

    fn named(name: &str, rows: &[&str], is_test: bool) -> (String, Vec<String>, bool) {
        (name.to_owned(), rows.iter().map(|row| (*row).to_owned()).collect(), is_test)
    }

    #[test]
    fn a_test_brings_its_rows() {
        let lines = [
            "/// It works.",
            "///",
            "/// Rows: TOY-01, TOY-02",
            "#[test]",
            "fn works() {",
            "    let a = 1;",
            "}",
            "fn helper() {}",
        ];
        assert_eq!(scanned(&lines, true), [named("works", &["TOY-01", "TOY-02"], true)]);
    }

    #[test]
    fn attributes_may_be_longer_than_a_line() {
        let lines = [
            "/// Rows: TOY-01",
            "#[tokio::test(",
            "    flavor = \"multi_thread\",",
            ")]",
            "#[cfg(unix)]",
            "pub(crate) async fn works() {}",
        ];
        assert_eq!(scanned(&lines, true), [named("works", &["TOY-01"], true)]);
    }

    #[test]
    fn tests_inside_macros_are_seen() {
        let lines = ["proptest! {", "    /// Rows: TOY-01", "    #[test]", "    fn holds(x: u8) {"];
        assert_eq!(scanned(&lines, true), [named("holds", &["TOY-01"], true)]);
    }

    #[test]
    fn without_a_harness_a_plain_function_is_a_test() {
        let lines = ["/// Rows: TOY-01", "fn works() {}"];
        assert_eq!(scanned(&lines, false), [named("works", &["TOY-01"], true)]);
        assert_eq!(scanned(&lines, true), [named("works", &["TOY-01"], false)]);
    }

    #[test]
    fn rows_above_something_else_are_seen_too() {
        let lines = ["/// Rows: TOY-01", "struct A;"];
        assert_eq!(scanned(&lines, true), [named("", &["TOY-01"], false)]);
    }

    #[test]
    fn an_attribute_and_its_function_may_share_a_line() {
        assert_eq!(scanned(&["#[test] fn works() {}"], true), [named("works", &[], true)]);
        assert_eq!(scanned(&["let f: fn(u8) = g;"], false), []);
    }
}
