//! Where numbers were measured: without this they say little.

use std::fs;
use std::process::Command;
use std::thread;

use crate::workspace::Workspace;

/// One line per fact, each ending in a newline. What this machine does not tell is `unknown`.
pub(super) fn facts(workspace: &Workspace) -> String {
    let unknown = || "unknown".to_owned();
    let cores = thread::available_parallelism().map(|count| count.to_string());
    let kernel =
        fs::read_to_string("/proc/sys/kernel/osrelease").map(|text| text.trim().to_owned());
    format!(
        "cpu:      {}\ncores:    {}\nkernel:   {}\nrustc:    {}\nrevision: {}\n\n",
        cpu().unwrap_or_else(unknown),
        cores.unwrap_or_else(|_| unknown()),
        kernel.unwrap_or_else(|_| unknown()),
        first_line(workspace, &["rustc", "--version"]).unwrap_or_else(unknown),
        first_line(workspace, &["git", "describe", "--always", "--dirty"]).unwrap_or_else(unknown),
    )
}

fn cpu() -> Option<String> {
    let text = fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn first_line(workspace: &Workspace, words: &[&str]) -> Option<String> {
    let (program, arguments) = words.split_first()?;
    let output =
        Command::new(program).args(arguments).current_dir(&workspace.root).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let line = text.lines().next()?.to_owned();
    output.status.success().then_some(line)
}
