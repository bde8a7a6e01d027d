//! Unit, integration and process tests once more under the address and leak sanitizers, which need
//! the nightly toolchain. The tests were counted before; here only the sanitizer has a say, so a test
//! that skips itself under it is no skip of the run.

use super::test_targets::{Run, has_unit_tests, unit_words};
use super::{Gate, Verdict, counted, nightly};
use crate::command::Line;
use crate::workspace::{Member, Workspace};

/// The target is named even though it is the host: only then do build scripts and macros stay free
/// of the sanitizer.
const TARGET: &str = "x86_64-unknown-linux-gnu";

pub(crate) fn sanitizers<'w>(workspace: &'w Workspace, member: &'w Member) -> Option<Gate<'w>> {
    let line = line(workspace, member);
    let mut runs = Vec::new();
    if has_unit_tests(member) {
        let line = line.clone().words(unit_words(member));
        runs.push(Run::unit(workspace, member).with_line(line));
    }
    for target in ["it", "processes"].into_iter().filter_map(|name| member.test(name)) {
        let line = line.clone().words(["--test", &target.name]);
        runs.push(Run::of(workspace, member, target).with_line(line));
    }
    if runs.is_empty() {
        return None;
    }
    Some(Gate::new("sanitizers", Some(&member.name), move |_| {
        if let Some(missing) = nightly::missing(workspace) {
            return Ok(Verdict::Skipped(missing.to_owned()));
        }
        let count = runs.len();
        for run in runs {
            run.check()?;
        }
        Ok(Verdict::Passed(counted(count, "target")))
    }))
}

fn line(workspace: &Workspace, member: &Member) -> Line {
    Line::new(workspace, ["cargo", "+nightly", "test", "-p", &member.name])
        .words(["--all-features", "--target", TARGET])
        .environment("RUSTFLAGS", "-Zsanitizer=address")
        .environment("ASAN_OPTIONS", "detect_leaks=1")
        .environment("CARGO_TARGET_DIR", workspace.target.join("asan").display().to_string())
}
