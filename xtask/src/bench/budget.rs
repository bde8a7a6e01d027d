//! `benches/budget.toml`: what each metric may be, and why.

use std::fs;
use std::path::Path;

use anyhow::{Context, bail, ensure};
use serde::Deserialize;

#[derive(Debug, Default)]
pub(super) struct Budget {
    pub(super) entries: Vec<Entry>,
}

/// What one metric may be.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) name: String,
    /// The metric of the same run that it is divided by.
    pub(super) baseline: Option<String>,
    /// Of the ratio, or of the value itself where there is no baseline. Without one, the entry is
    /// there to be printed.
    pub(super) limit: Option<Limit>,
    /// Counts and bytes are the same on every machine, so the goal itself is the gate.
    pub(super) is_exact: bool,
    /// A goal in absolute numbers, printed only.
    pub(super) goal: Option<String>,
    pub(super) why: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Limit {
    AtMost(f64),
    AtLeast(f64),
}

impl Budget {
    /// A crate without a budget has an empty one.
    pub(super) fn read(path: &Path) -> anyhow::Result<Budget> {
        if !path.exists() {
            return Ok(Budget::default());
        }
        let text =
            fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        Budget::parse(&text).with_context(|| format!("{} is no budget", path.display()))
    }

    fn parse(text: &str) -> anyhow::Result<Budget> {
        let file: File = toml::from_str(text)?;
        let mut entries: Vec<Entry> = Vec::new();
        for metric in file.metric {
            let entry = entry(metric)?;
            ensure!(
                entries.iter().all(|other| other.name != entry.name),
                "the metric {} has two entries; keep one",
                entry.name
            );
            entries.push(entry);
        }
        Ok(Budget { entries })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    metric: Vec<FileEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileEntry {
    name: String,
    baseline: Option<String>,
    at_most: Option<f64>,
    at_least: Option<f64>,
    #[serde(default)]
    exact: bool,
    goal: Option<String>,
    why: Option<String>,
}

fn entry(entry: FileEntry) -> anyhow::Result<Entry> {
    let FileEntry { name, baseline, at_most, at_least, exact, goal, why } = entry;
    let limit = match (at_most, at_least) {
        (Some(most), None) => Some(Limit::AtMost(most)),
        (None, Some(least)) => Some(Limit::AtLeast(least)),
        (None, None) => None,
        (Some(_), Some(_)) => bail!("{name} has at_most and at_least; keep one"),
    };
    match (&limit, &baseline) {
        (None, Some(_)) => bail!("{name} has a baseline and no limit; add at_most or at_least"),
        (Some(_), None) if !exact => bail!(
            "{name} has a limit and no baseline; name a baseline, or say `exact = true` if it is a \
             count or bytes"
        ),
        (None, None) if exact || goal.is_none() => {
            bail!("{name} has no limit; add at_most or at_least, or a goal to print")
        }
        _ => Ok(Entry { name, baseline, limit, is_exact: exact, goal, why }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_three_kinds_of_entry_are_read() {
        let text = "[[metric]]\nname = \"a\"\nbaseline = \"b\"\nat_most = 1.10\ngoal = \"11 us\"\n\
            why = \"checks\"\n[[metric]]\nname = \"c\"\nat_most = 0\nexact = true\n\
            [[metric]]\nname = \"d\"\ngoal = \"1 ms\"\n";
        let budget = Budget::parse(text).unwrap();
        assert_eq!(budget.entries[0].limit, Some(Limit::AtMost(1.10)));
        assert_eq!(budget.entries[0].baseline.as_deref(), Some("b"));
        assert_eq!(budget.entries[1].limit, Some(Limit::AtMost(0.0)));
        assert!(budget.entries[1].is_exact);
        assert_eq!(budget.entries[2].limit, None);
    }

    #[test]
    fn entries_that_gate_nothing_or_everything_are_refused() {
        for (entry, what) in [
            ("at_most = 1.0\nat_least = 1.0\nexact = true", "keep one"),
            ("baseline = \"b\"", "no limit"),
            ("at_most = 1.0", "no baseline"),
            ("why = \"because\"", "no limit"),
            ("exact = true\ngoal = \"1\"", "no limit"),
            ("at_mots = 1.0", "at_mots"),
        ] {
            let error = Budget::parse(&format!("[[metric]]\nname = \"a\"\n{entry}\n")).unwrap_err();
            assert!(format!("{error:#}").contains(what), "{entry}: {error:#}");
        }
    }

    #[test]
    fn a_metric_has_one_entry() {
        let entry = "[[metric]]\nname = \"a\"\ngoal = \"1 ms\"\n";
        let error = Budget::parse(&entry.repeat(2)).unwrap_err().to_string();
        assert!(error.contains("two entries"), "{error}");
    }
}
