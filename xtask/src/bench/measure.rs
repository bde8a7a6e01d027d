//! The programs that measure one crate: its benches and, if asked for, the rivals beside it. Every
//! run of a program adds one value to each of its metrics.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::ensure;

use super::metric;
use crate::command::Line;
use crate::gate::{BUILD_LIMIT, Broken, pass};
use crate::workspace::{Member, TargetKind, Workspace};

/// Runs whose median decides.
pub(super) const RUNS: usize = 3;

const RUN_LIMIT: Duration = Duration::from_secs(10 * 60);

/// Metrics by name.
pub(super) type Metrics = BTreeMap<String, Measured>;

/// The values of one metric, one for each run of its program.
#[derive(Clone, Debug)]
pub(super) struct Measured {
    pub(super) unit: String,
    pub(super) values: Vec<f64>,
    /// Position of the program that prints it.
    program: usize,
}

pub(super) struct Programs {
    programs: Vec<Program>,
    metrics: Metrics,
}

struct Program {
    line: Line,
    /// Its source, to read when it breaks.
    source: String,
}

impl Programs {
    /// Builds all of them first, so that no measurement runs beside a compiler.
    pub(super) fn build(
        workspace: &Workspace,
        member: &Member,
        with_rivals: bool,
    ) -> Result<Programs, Broken> {
        let mut programs = Vec::new();
        for bench in member.targets_of(TargetKind::Bench) {
            // What users get by default, and not the steps at which a test may have it die.
            let mut line = Line::new(workspace, ["cargo", "bench", "-p", &member.name])
                .words(["--bench", &bench.name]);
            if !bench.required_features.is_empty() {
                line = line.words(["--features".to_owned(), bench.required_features.join(",")]);
            }
            let source = workspace.relative(&bench.source);
            pass(&line.clone().words(["--no-run"]), BUILD_LIMIT)
                .map_err(|broken| broken.or_read(&source))?;
            programs.push(Program { line, source });
        }
        if with_rivals {
            programs.extend(rivals(workspace, member)?);
        }
        Ok(Programs { programs, metrics: Metrics::new() })
    }

    /// Runs each program once, in turn.
    pub(super) fn run_all(&mut self) -> Result<(), Broken> {
        (0..self.programs.len()).try_for_each(|program| self.run(program))
    }

    /// Runs the programs that print these metrics some more times.
    pub(super) fn run_again(&mut self, names: &[&str], times: usize) -> Result<(), Broken> {
        let mut programs: Vec<usize> =
            names.iter().filter_map(|name| Some(self.metrics.get(*name)?.program)).collect();
        programs.sort_unstable();
        programs.dedup();
        for _ in 0..times {
            programs.iter().try_for_each(|&program| self.run(program))?;
        }
        Ok(())
    }

    pub(super) fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    fn run(&mut self, position: usize) -> Result<(), Broken> {
        let Program { line, source } = &self.programs[position];
        let output = pass(line, RUN_LIMIT).map_err(|broken| broken.or_read(source))?;
        metric::read(&output).and_then(|printed| add(&mut self.metrics, position, printed)).map_err(
            |error| Broken { output, ..Broken::with(line.to_string(), &error).or_read(source) },
        )
    }
}

fn add(metrics: &mut Metrics, program: usize, printed: Vec<metric::Metric>) -> anyhow::Result<()> {
    for metric::Metric { name, value, unit } in printed {
        let measured = metrics.entry(name.clone()).or_insert_with(|| Measured {
            unit,
            values: Vec::new(),
            program,
        });
        ensure!(
            measured.program == program,
            "the metric {name} is printed by two programs; names are unique in a crate"
        );
        measured.values.push(value);
    }
    Ok(())
}

/// The program of the rivals, in a workspace of its own so that nothing of theirs is built with ours.
fn rivals(workspace: &Workspace, member: &Member) -> Result<Option<Program>, Broken> {
    let folder = member.folder.join("peers");
    let manifest = folder.join("Cargo.toml");
    if !manifest.exists() {
        return Ok(None);
    }
    let target = folder.join("target");
    let build = Line::new(workspace, ["cargo", "build", "--release", "--manifest-path"])
        .words([manifest.display().to_string()])
        .words(["--target-dir".to_owned(), target.display().to_string()]);
    pass(&build, BUILD_LIMIT).map_err(|broken| broken.or_read(workspace.relative(&manifest)))?;
    let program = target.join("release/peers").display().to_string();
    let source = workspace.relative(&folder.join("src/main.rs"));
    Ok(Some(Program { line: Line::new(workspace, [program]), source }))
}

#[cfg(test)]
pub(super) fn measured(metrics: &[(&str, &[f64])]) -> Metrics {
    metrics
        .iter()
        .map(|(name, values)| {
            let unit = "ns".to_owned();
            ((*name).to_owned(), Measured { unit, values: values.to_vec(), program: 0 })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metric(name: &str, value: f64) -> metric::Metric {
        metric::Metric { name: name.to_owned(), value, unit: "ns".to_owned() }
    }

    #[test]
    fn runs_of_one_program_gather_values() {
        let mut metrics = Metrics::new();
        add(&mut metrics, 0, vec![metric("a", 1.0)]).unwrap();
        add(&mut metrics, 0, vec![metric("a", 2.0)]).unwrap();
        assert_eq!(metrics["a"].values, [1.0, 2.0]);
    }

    #[test]
    fn two_programs_do_not_share_a_name() {
        let mut metrics = Metrics::new();
        add(&mut metrics, 0, vec![metric("a", 1.0)]).unwrap();
        let error = add(&mut metrics, 1, vec![metric("a", 2.0)]).unwrap_err().to_string();
        assert!(error.contains("two programs"), "{error}");
    }
}
