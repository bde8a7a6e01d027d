//! The crate can be packaged and builds from its package, together with every crate below it, so
//! that path dependencies resolve to the packages that would be published with it.

use super::{BUILD_LIMIT, Gate, Verdict, counted, pass};
use crate::command::Line;
use crate::workspace::{Member, Workspace};

pub(crate) fn package<'w>(workspace: &'w Workspace, member: &'w Member) -> Option<Gate<'w>> {
    if !member.is_published {
        return None;
    }
    Some(Gate::new("package", Some(&member.name), move |_| {
        let members = workspace
            .members_to(Some(&member.name))
            .map_err(|error| super::Broken::with("cargo metadata", &error))?;
        let line = line(workspace, members).words(["--allow-dirty"]);
        pass(&line, BUILD_LIMIT).map_err(|broken| {
            broken.or_read(workspace.relative(&member.folder.join("Cargo.toml")))
        })?;
        Ok(Verdict::Passed(counted(members.len(), "crate")))
    }))
}

/// Packages those of the members that are published, all at once.
pub(crate) fn line(workspace: &Workspace, members: &[Member]) -> Line {
    let published = members.iter().filter(|member| member.is_published);
    Line::new(workspace, ["cargo", "package"])
        .words(published.flat_map(|member| ["-p", member.name.as_str()]))
}
