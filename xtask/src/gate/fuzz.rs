//! A short run of each fuzz target of a crate: it still builds, and nothing easy is found.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;

use super::{BUILD_LIMIT, Broken, Gate, Verdict, counted, nightly, pass};
use crate::command::Line;
use crate::workspace::{Member, Workspace, read_toml};

const SMOKE: Duration = Duration::from_secs(15);
/// The smoke run draws the same inputs each time, so that it speaks of the change and not of luck.
/// `torture` looks for what is new.
const SMOKE_SEED: u32 = 1;
const PROBE_LIMIT: Duration = Duration::from_secs(60);

pub(crate) fn fuzz<'w>(workspace: &'w Workspace, member: &'w Member) -> Option<Gate<'w>> {
    let folder = folder(member)?;
    Some(Gate::new("fuzz smoke", Some(&member.name), move |_| {
        if let Some(missing) = missing(workspace) {
            return Ok(Verdict::Skipped(missing.to_owned()));
        }
        let targets =
            targets(&folder).map_err(|error| Broken::with("cargo +nightly fuzz list", &error))?;
        for target in &targets {
            let source = folder.join("fuzz_targets").join(format!("{target}.rs"));
            let line = line(workspace, member, target, SMOKE)
                .map_err(|error| Broken::with("cargo +nightly fuzz list", &error))?
                .words([format!("-seed={SMOKE_SEED}")]);
            pass(&line, BUILD_LIMIT + SMOKE)
                .map_err(|broken| broken.or_read(workspace.relative(&source)))?;
        }
        Ok(Verdict::Passed(counted(targets.len(), "target")))
    }))
}

/// The fuzz folder of the crate, if it has one.
pub(crate) fn folder(member: &Member) -> Option<PathBuf> {
    let folder = member.folder.join("fuzz");
    folder.join("Cargo.toml").exists().then_some(folder)
}

/// What keeps fuzzing from running here.
pub(crate) fn missing(workspace: &Workspace) -> Option<&'static str> {
    nightly::missing(workspace).or_else(|| {
        let is_here = Line::new(workspace, ["cargo", "fuzz", "--version"])
            .run(PROBE_LIMIT)
            .is_ok_and(|finished| finished.is_success());
        (!is_here).then_some("cargo-fuzz is missing; `cargo install --locked cargo-fuzz` brings it")
    })
}

/// The names of the fuzz targets, in the order of the manifest.
pub(crate) fn targets(folder: &Path) -> anyhow::Result<Vec<String>> {
    let path = folder.join("Cargo.toml");
    let manifest = read_toml(&path)?;
    let programs = manifest.get("bin").and_then(toml::Value::as_array);
    programs
        .into_iter()
        .flatten()
        .map(|program| {
            let name = program.get("name").and_then(toml::Value::as_str);
            let name =
                name.with_context(|| format!("a [[bin]] of {} has no name", path.display()))?;
            Ok(name.to_owned())
        })
        .collect()
}

/// The command that fuzzes one target for this long. What it finds worth keeping goes into the
/// corpus, which git ignores; the seeds beside it are committed and only read.
pub(crate) fn line(
    workspace: &Workspace,
    member: &Member,
    target: &str,
    time: Duration,
) -> anyhow::Result<Line> {
    let corpus = member.folder.join("fuzz/corpus").join(target);
    fs::create_dir_all(&corpus).with_context(|| format!("cannot create {}", corpus.display()))?;
    let seeds = member.folder.join("fuzz/seeds").join(target);
    let line = Line::new(workspace, ["cargo", "+nightly", "fuzz", "run", target])
        .in_folder(&member.folder)
        .words([format!("fuzz/corpus/{target}")])
        .words(seeds.is_dir().then(|| format!("fuzz/seeds/{target}")))
        .words(["--".to_owned(), format!("-max_total_time={}", time.as_secs())]);
    Ok(line)
}
