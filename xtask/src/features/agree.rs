//! Rows and tests name each other.

use std::collections::{BTreeMap, BTreeSet};

use super::FILE;
use super::list::{List, Row, Section, State, TestName, id_prefix};
use super::sources::{Documented, documented};
use crate::finding::Finding;
use crate::workspace::Workspace;

/// A finding and the crate that it is about.
pub(super) struct About {
    pub(super) crate_name: String,
    pub(super) finding: Finding,
}

impl std::fmt::Display for About {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.finding.fmt(formatter)
    }
}

pub(super) fn findings(workspace: &Workspace, list: &List) -> anyhow::Result<Vec<About>> {
    let mut tests = Vec::new();
    for member in &workspace.members {
        let documented = documented(workspace, member)?;
        tests.extend(documented.into_iter().map(|test| (member.name.clone(), test)));
    }
    let mut about: Vec<About> = list
        .faults
        .iter()
        .map(|fault| About {
            crate_name: owner(workspace, &fault.section),
            finding: fault.finding.clone(),
        })
        .collect();
    for (section, finding) in of_rows(list, &tests) {
        about.push(About { crate_name: owner(workspace, &section), finding });
    }
    for (crate_name, test) in &tests {
        about.extend(
            of_test(list, test)
                .into_iter()
                .map(|finding| About { crate_name: crate_name.clone(), finding }),
        );
    }
    Ok(about)
}

/// The crate that answers for a section. The last one also answers for the workspace and for crates
/// that do not exist yet.
fn owner(workspace: &Workspace, section: &str) -> String {
    let named = workspace.members.iter().find(|member| member.name == section);
    named.or(workspace.members.last()).map(|member| member.name.clone()).unwrap_or_default()
}

/// Each finding with the section of its row.
fn of_rows(list: &List, tests: &[(String, Documented)]) -> Vec<(String, Finding)> {
    let mut prefixes = BTreeMap::new();
    let mut seen = BTreeSet::new();
    let mut found = Vec::new();
    for (section, row) in list.rows() {
        let mut findings = Vec::new();
        if !seen.insert(row.id.as_str()) {
            findings.push(at(row, "is listed twice", "ids are unique; remove or renumber one"));
        }
        findings.extend(prefix(section, row, &mut prefixes));
        if let State::Below(shown_in) = &row.state
            && !list.sections.iter().any(|section| section.name == *shown_in)
        {
            let what = format!("is to be shown in {shown_in}, which is no section");
            findings.push(at(row, &what, "name the crate that will show it"));
        }
        if row.state == State::Done && row.tests.is_empty() {
            findings.push(at(row, "is done without a test", "name the test that shows it"));
        }
        for name in &row.tests {
            findings.extend(named_test(row, name, tests));
        }
        found.extend(findings.into_iter().map(|finding| (section.name.clone(), finding)));
    }
    found
}

/// All the rows of a section share the capitals of their ids, and no other section has them.
fn prefix<'l>(
    section: &'l Section,
    row: &'l Row,
    prefixes: &mut BTreeMap<&'l str, &'l str>,
) -> Option<Finding> {
    let Some(prefix) = id_prefix(&row.id) else {
        return Some(at(row, "is no id", "write capitals, a hyphen and two or three digits"));
    };
    let first = section.rows.iter().find_map(|row| id_prefix(&row.id));
    let holder = prefixes.entry(prefix).or_insert(&section.name);
    if first != Some(prefix) || *holder != section.name {
        let what = format!("does not belong to the section {}", section.name);
        return Some(at(row, &what, "move it to the section of its kind"));
    }
    None
}

/// Modules of one file may hold tests of the same name; one of them naming the row is enough.
fn named_test(row: &Row, name: &TestName, tests: &[(String, Documented)]) -> Option<Finding> {
    let mut namesakes =
        tests.iter().map(|(_, test)| test).filter(|test| test.test == *name).peekable();
    if namesakes.peek().is_none() {
        return Some(at(
            row,
            &format!("names {name}, which is no test"),
            "correct the file and the name of the function",
        ));
    }
    if namesakes.any(|test| test.rows.contains(&row.id)) {
        return None;
    }
    Some(at(
        row,
        &format!("names {name}, which does not name it"),
        &format!("write `Rows: {}` into the doc comment of the test if it shows this", row.id),
    ))
}

fn of_test(list: &List, test: &Documented) -> Vec<Finding> {
    let at = |what: String, instead: &str| Finding::at(&test.test.file, test.line, what, instead);
    if !test.is_test && !test.rows.is_empty() {
        return vec![at(
            "names rows and is no test".to_owned(),
            "only the doc comment of a test names rows",
        )];
    }
    test.rows
        .iter()
        .filter_map(|id| match list.row(id) {
            None => Some(at(
                format!("{} names {id:?}, which {FILE} does not list", test.test.function),
                "write ids that are listed, separated by commas",
            )),
            Some(row) if row.state != State::Done && !row.tests.contains(&test.test) => Some(at(
                format!(
                    "{} names {id}, which is not done and does not name it",
                    test.test.function
                ),
                "name the test in the row, or take the id out here",
            )),
            Some(_) => None,
        })
        .collect()
}

fn at(row: &Row, what: &str, instead: &str) -> Finding {
    Finding::at(FILE, row.line, format!("{} {what}", row.id), instead)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "## sk-toy\n\n| id | behaviour | state | test |\n|---|---|---|---|\n";

    fn test(function: &str, rows: &[&str], is_test: bool) -> Documented {
        Documented {
            test: TestName {
                file: "sk-toy/tests/it/a.rs".to_owned(),
                function: function.to_owned(),
            },
            line: 3,
            rows: rows.iter().map(|row| (*row).to_owned()).collect(),
            is_test,
        }
    }

    fn rows_say(rows: &str, tests: Vec<Documented>) -> Vec<String> {
        let list = List::parse(&format!("{HEAD}{rows}"));
        let tests: Vec<_> = tests.into_iter().map(|test| ("sk-toy".to_owned(), test)).collect();
        of_rows(&list, &tests).iter().map(|(_, finding)| finding.to_string()).collect()
    }

    fn test_says(rows: &str, test: &Documented) -> Vec<String> {
        let list = List::parse(&format!("{HEAD}{rows}"));
        of_test(&list, test).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_row_and_a_test_that_name_each_other_agree() {
        let rows = "| TOY-01 | a | done | `sk-toy/tests/it/a.rs::works` |\n";
        assert!(rows_say(rows, vec![test("works", &["TOY-01"], true)]).is_empty());
        assert!(test_says(rows, &test("works", &["TOY-01"], true)).is_empty());
    }

    #[test]
    fn one_of_several_namesakes_is_enough() {
        let rows = "| TOY-01 | a | done | `sk-toy/tests/it/a.rs::works` |\n";
        let tests = vec![test("works", &["TOY-01"], true), test("works", &[], true)];
        assert!(rows_say(rows, tests).is_empty());
    }

    #[test]
    fn a_done_row_needs_a_test_that_names_it() {
        assert!(rows_say("| TOY-01 | a | done |  |\n", vec![])[0].contains("without a test"));
        let rows = "| TOY-01 | a | done | `sk-toy/tests/it/a.rs::works` |\n";
        assert!(rows_say(rows, vec![])[0].contains("which is no test"));
        let silent = vec![test("works", &[], true)];
        assert!(rows_say(rows, silent)[0].contains("which does not name it"));
    }

    #[test]
    fn ids_are_unique_and_belong_to_their_section() {
        let twice = "| TOY-01 | a | open |  |\n| TOY-01 | b | open |  |\n";
        assert!(rows_say(twice, vec![])[0].contains("is listed twice"));
        let stray = "| TOY-01 | a | open |  |\n| TOP-01 | b | open |  |\n";
        assert!(rows_say(stray, vec![])[0].contains("does not belong"));
        assert!(rows_say("| toy1 | a | open |  |\n", vec![])[0].contains("is no id"));
    }

    #[test]
    fn a_row_below_names_a_layer() {
        let rows = "| TOY-01 | a | below: shown in sk-none |  |\n";
        assert!(rows_say(rows, vec![])[0].contains("which is no section"));
    }

    #[test]
    fn a_test_names_only_rows_that_know_of_it() {
        let open = "| TOY-01 | a | open |  |\n";
        assert!(test_says(open, &test("works", &["TOY-02"], true))[0].contains("does not list"));
        assert!(test_says(open, &test("works", &["TOY-01"], true))[0].contains("is not done"));
        let partly = "| TOY-01 | a | open | `sk-toy/tests/it/a.rs::works` |\n";
        assert!(test_says(partly, &test("works", &["TOY-01"], true)).is_empty());
        assert!(test_says(open, &test("helper", &["TOY-01"], false))[0].contains("is no test"));
    }
}
