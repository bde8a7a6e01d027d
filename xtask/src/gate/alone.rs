//! The crate builds by itself, without warnings, with its default features, with none and with all.
//!
//! Only `-p` is given, so no feature that another crate of the workspace turns on is unified in.
//! Clippy takes `-D warnings` for this crate alone; in RUSTFLAGS it would rebuild every dependency.

use super::{BUILD_LIMIT, Gate, Verdict, pass};
use crate::command::Line;
use crate::workspace::{Member, Workspace};

pub(crate) fn alone<'w>(workspace: &'w Workspace, member: &'w Member) -> Gate<'w> {
    Gate::new("alone", Some(&member.name), move |_| {
        for features in [None, Some("--no-default-features"), Some("--all-features")] {
            let line = Line::new(workspace, ["cargo", "clippy", "-p", &member.name])
                .words(features)
                .words(["--", "-D", "warnings"]);
            pass(&line, BUILD_LIMIT)?;
        }
        Ok(Verdict::Passed(String::new()))
    })
}
