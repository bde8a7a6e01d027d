//! FEATURES.md as data: sections of rows, each with a state and the tests that show it.

use std::fs;

use anyhow::Context;

use super::FILE;
use crate::finding::Finding;
use crate::workspace::Workspace;

pub(super) struct List {
    pub(super) sections: Vec<Section>,
    /// What could not be read as a row.
    pub(super) faults: Vec<Fault>,
}

/// The rows of one crate.
pub(super) struct Section {
    pub(super) name: String,
    pub(super) rows: Vec<Row>,
}

pub(super) struct Row {
    pub(super) id: String,
    pub(super) state: State,
    pub(super) tests: Vec<TestName>,
    /// Where it stands in the file, from one.
    pub(super) line: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum State {
    Open,
    Done,
    /// Done as far as a lower layer can; the crate named will show the whole.
    Below(String),
    Later,
    Out,
}

/// `sk-cereal/tests/it/internal.rs::a_value_comes_back_equal`
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct TestName {
    /// Relative to the root.
    pub(super) file: String,
    pub(super) function: String,
}

/// Something wrong in a line of the list, and the section it stands in.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) section: String,
    pub(super) finding: Finding,
}

impl List {
    pub(super) fn read(workspace: &Workspace) -> anyhow::Result<List> {
        let path = workspace.root.join(FILE);
        let text =
            fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        Ok(List::parse(&text))
    }

    pub(super) fn parse(text: &str) -> List {
        let mut list = List { sections: Vec::new(), faults: Vec::new() };
        for (index, line) in text.lines().enumerate() {
            if let Some(name) = line.strip_prefix("## ") {
                list.sections.push(Section { name: name.trim().to_owned(), rows: Vec::new() });
            } else if let Some(section) = list.sections.last_mut()
                && line.starts_with('|')
                && !is_heading(line)
            {
                match row(line, index + 1) {
                    Ok(row) => section.rows.push(row),
                    Err((what, instead)) => list.faults.push(Fault {
                        section: section.name.clone(),
                        finding: Finding::at(FILE, index + 1, what, instead),
                    }),
                }
            }
        }
        list
    }

    /// Every row with the section it stands in.
    pub(super) fn rows(&self) -> impl Iterator<Item = (&Section, &Row)> {
        self.sections.iter().flat_map(|section| section.rows.iter().map(move |row| (section, row)))
    }

    pub(super) fn row(&self, id: &str) -> Option<&Row> {
        self.rows().map(|(_, row)| row).find(|row| row.id == id)
    }
}

impl State {
    /// True for what this version is to have.
    pub(super) fn is_due(&self) -> bool {
        !matches!(self, State::Later | State::Out)
    }
}

impl std::fmt::Display for TestName {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}::{}", self.file, self.function)
    }
}

/// What a row id looks like: the capitals of its section, then two or three digits.
pub(super) fn id_prefix(id: &str) -> Option<&str> {
    let (prefix, number) = id.split_once('-')?;
    let is_known = prefix.len() >= 2
        && prefix.bytes().all(|byte| byte.is_ascii_uppercase())
        && (2..=3).contains(&number.len())
        && number.bytes().all(|byte| byte.is_ascii_digit());
    is_known.then_some(prefix)
}

/// The line above the rows and the rule below it.
fn is_heading(line: &str) -> bool {
    let first = line.trim_start_matches('|').trim_start();
    first.starts_with("id ") || first.starts_with('-')
}

fn row(line: &str, number: usize) -> Result<Row, (String, String)> {
    let cells = cells(line);
    let [id, _behaviour, state, tests] = cells.as_slice() else {
        return Err((
            format!("a row of {} cells", cells.len()),
            "write `| id | behaviour | state | test |`, and `\\|` for a bar within a cell"
                .to_owned(),
        ));
    };
    let tests = test_names(tests).ok_or_else(|| {
        (
            format!("{id} names its tests in an unknown form"),
            "write `crate/tests/it/file.rs::test_name` in backticks, several separated by commas"
                .to_owned(),
        )
    })?;
    let state = self::state(state).ok_or_else(|| {
        (
            format!("{id} is in the unknown state {state:?}"),
            "write open, done, `below: shown in CRATE`, later or out".to_owned(),
        )
    })?;
    Ok(Row { id: id.clone(), state, tests, line: number })
}

/// A bar after a backslash belongs to its cell.
fn cells(line: &str) -> Vec<String> {
    let line = line.trim();
    let line = line.strip_prefix('|').unwrap_or(line);
    let line = line.strip_suffix('|').unwrap_or(line);
    let mut cells = vec![String::new()];
    let mut is_escaped = false;
    for letter in line.chars() {
        match cells.last_mut() {
            Some(cell) if letter != '|' || is_escaped => cell.push(letter),
            _ => cells.push(String::new()),
        }
        is_escaped = letter == '\\';
    }
    cells.iter().map(|cell| cell.trim().to_owned()).collect()
}

fn state(text: &str) -> Option<State> {
    match text {
        "open" => Some(State::Open),
        "done" => Some(State::Done),
        "later" => Some(State::Later),
        "out" => Some(State::Out),
        _ => {
            let shown_in = text.strip_prefix("below: shown in ")?.trim();
            (!shown_in.is_empty()).then(|| State::Below(shown_in.to_owned()))
        }
    }
}

fn test_names(text: &str) -> Option<Vec<TestName>> {
    if text.is_empty() {
        return Some(Vec::new());
    }
    text.split(',')
        .map(|name| {
            let name = name.trim().strip_prefix('`')?.strip_suffix('`')?;
            let (file, function) = name.split_once("::")?;
            let is_name = |letter: char| letter.is_alphanumeric() || letter == '_';
            let is_function = !function.is_empty() && function.chars().all(is_name);
            (is_function && file.ends_with(".rs"))
                .then(|| TestName { file: file.to_owned(), function: function.to_owned() })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# Features\n\n## sk-toy\n\n| id | behaviour | state | test |\n|---|---|---|---|\n\
        | TOY-01 | `a \\| b` works | done | `sk-toy/tests/it/a.rs::works`, `sk-toy/src/a.rs::too` |\n\
        | TOY-02 | more | below: shown in sk-top |  |\n";

    #[test]
    fn rows_are_read_with_their_tests() {
        let list = List::parse(TEXT);
        assert!(list.faults.is_empty());
        let row = list.row("TOY-01").unwrap();
        assert_eq!((row.line, &row.state), (7, &State::Done));
        let names: Vec<String> = row.tests.iter().map(ToString::to_string).collect();
        assert_eq!(names, ["sk-toy/tests/it/a.rs::works", "sk-toy/src/a.rs::too"]);
        assert_eq!(list.row("TOY-02").unwrap().state, State::Below("sk-top".to_owned()));
    }

    #[test]
    fn what_is_no_row_is_a_fault_with_its_line() {
        for (row, what) in [
            ("| TOY-03 | a | b | open |  |", "5 cells"),
            ("| TOY-03 | a | perhaps |  |", "unknown state"),
            ("| TOY-03 | a | done | works |", "unknown form"),
        ] {
            let list = List::parse(&format!("{TEXT}{row}\n"));
            let fault = list.faults[0].finding.to_string();
            assert!(fault.starts_with("FEATURES.md:9: ") && fault.contains(what), "{fault}");
        }
    }

    #[test]
    fn ids_have_one_form() {
        assert_eq!(id_prefix("TOY-01"), Some("TOY"));
        assert_eq!(id_prefix("TOY-123"), Some("TOY"));
        for id in ["TOY", "TOY-1", "toy-01", "TOY-01a", "T-01", "TOY-0001"] {
            assert_eq!(id_prefix(id), None, "{id}");
        }
    }
}
