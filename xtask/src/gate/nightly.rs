//! Whether the nightly toolchain is here, which sanitizers and fuzzing need.

use std::time::Duration;

use crate::command::Line;
use crate::workspace::Workspace;

const PROBE_LIMIT: Duration = Duration::from_secs(60);

/// What is missing and how to get it. `rustup run` asks without installing, which `cargo +nightly`
/// might.
pub(crate) fn missing(workspace: &Workspace) -> Option<&'static str> {
    let is_here = Line::new(workspace, ["rustup", "run", "nightly", "cargo", "--version"])
        .run(PROBE_LIMIT)
        .is_ok_and(|finished| finished.is_success());
    (!is_here)
        .then_some("the nightly toolchain is missing; `rustup toolchain install nightly` brings it")
}
