//! The tests that done rows name have run and passed.

use std::path::Path;

use super::FILE;
use super::list::{List, Row, State, TestName};
use super::sources::target_of;
use crate::finding::Finding;
use crate::gate::test_targets::UNIT;
use crate::outcome::{Ending, Outcome};
use crate::report::{Evidence, Place};
use crate::workspace::{Member, Workspace};

/// The done rows that a test of this crate shows, each with that test.
pub(super) fn rows_of<'l>(
    workspace: &'l Workspace,
    member: &'l Member,
    list: &'l List,
) -> impl Iterator<Item = (&'l Row, &'l TestName)> {
    list.rows()
        .filter(|(_, row)| row.state == State::Done)
        .flat_map(|(_, row)| row.tests.iter().map(move |name| (row, name)))
        .filter(move |(_, name)| {
            let owner = workspace.member_of(&workspace.root.join(&name.file));
            owner.is_some_and(|owner| owner.name == member.name)
        })
}

pub(super) fn findings(
    workspace: &Workspace,
    member: &Member,
    list: &List,
    evidence: &Evidence,
) -> Vec<Finding> {
    rows_of(workspace, member, list)
        .filter_map(|(row, name)| {
            let what = fault(&workspace.root.join(&name.file), member, name, evidence)?;
            Some(Finding::at(
                FILE,
                row.line,
                format!("{} is not shown: {name} {what}", row.id),
                "make the test run and pass, or call the row open",
            ))
        })
        .collect()
}

fn fault(
    path: &Path,
    member: &Member,
    name: &TestName,
    evidence: &Evidence,
) -> Option<&'static str> {
    let Some(target) = target_of(member, path) else {
        return Some("belongs to no test target");
    };
    let is_unit = path.starts_with(member.folder.join("src"));
    let place = Place {
        member: member.name.clone(),
        target: if is_unit { UNIT.to_owned() } else { target.name.clone() },
    };
    let Some(outcomes) = evidence.outcomes(&place) else {
        return Some("did not run, as its target was not run");
    };
    let modules = target.source.parent().and_then(|folder| modules(folder, &target.source, path));
    let outcomes = of_function(outcomes, modules.as_deref().unwrap_or_default(), &name.function);
    if outcomes.is_empty() {
        return Some("did not run");
    }
    outcomes.iter().find_map(|outcome| match outcome.ending {
        Ending::Passed => None,
        Ending::Failed => Some("failed"),
        Ending::Ignored => Some("is ignored"),
        // What this test needs is missing here: that is listed among the skips.
        Ending::Skipped(_) if evidence.allows_skips => None,
        Ending::Skipped(_) => Some("was skipped"),
    })
}

/// The path of modules of a file below the root file of its target: `tests/it/net/close.rs` is
/// `net::close`. The root file itself has none.
fn modules(folder: &Path, root: &Path, path: &Path) -> Option<String> {
    if path == root {
        return Some(String::new());
    }
    let path = path.strip_prefix(folder).ok()?.with_extension("");
    let mut names: Vec<_> =
        path.components().map(|part| part.as_os_str().to_string_lossy().into_owned()).collect();
    if names.last().is_some_and(|name| name == "mod") {
        names.pop();
    }
    Some(names.join("::"))
}

/// The outcomes of a function: those in the modules of its file, or those of its name anywhere in
/// the target when a macro of this file has put it into another one. A test written once for several
/// backends has one outcome for each, and all of them count.
fn of_function<'o>(outcomes: &'o [Outcome], modules: &str, function: &str) -> Vec<&'o Outcome> {
    let named: Vec<&Outcome> = outcomes
        .iter()
        .filter(|outcome| outcome.name.rsplit("::").next() == Some(function))
        .collect();
    let is_inside = |outcome: &Outcome| {
        modules.is_empty()
            || outcome.name.strip_prefix(modules).is_some_and(|rest| rest.starts_with("::"))
    };
    let inside: Vec<&Outcome> =
        named.iter().copied().filter(|outcome| is_inside(outcome)).collect();
    if inside.is_empty() { named } else { inside }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_the_modules_of_its_path() {
        let root = Path::new("t/it/main.rs");
        let of = |path: &str| modules(Path::new("t/it"), root, Path::new(path));
        assert_eq!(of("t/it/main.rs").unwrap(), "");
        assert_eq!(of("t/it/net/close.rs").unwrap(), "net::close");
        assert_eq!(of("t/it/net/mod.rs").unwrap(), "net");
    }

    #[test]
    fn a_test_is_told_from_its_namesake_in_another_module() {
        let outcomes: Vec<Outcome> = ["net::works", "net::memfd::works", "disk::works", "other"]
            .iter()
            .map(|name| Outcome { name: (*name).to_owned(), ending: Ending::Passed })
            .collect();
        let names = |modules: &str, function: &str| -> Vec<String> {
            of_function(&outcomes, modules, function)
                .iter()
                .map(|outcome| outcome.name.clone())
                .collect()
        };
        assert_eq!(names("net", "works"), ["net::works", "net::memfd::works"]);
        assert_eq!(names("suite", "works").len(), 3);
        assert!(names("net", "rests").is_empty());
    }
}
