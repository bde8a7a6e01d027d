//! Holds measured metrics against a budget.

use anyhow::{Context, ensure};

use super::Rivals;
use super::budget::{Budget, Entry, Limit};
use super::measure::Metrics;

/// How the metrics of rivals begin.
const RIVAL: &str = "peer.";

/// A ratio moves with the machine and its load. Twice the goal is what no healthy run reaches.
const TOLERANCE: f64 = 2.0;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Strictness {
    AtGoal,
    AtTwiceGoal,
}

/// One line of the table.
#[derive(Clone, Debug)]
pub(super) struct Judged {
    pub(super) crate_name: String,
    pub(super) name: String,
    /// The median of the runs; none when nothing was measured.
    pub(super) value: Option<f64>,
    pub(super) unit: Option<String>,
    pub(super) baseline: Option<String>,
    /// The median of the ratios, each of one run.
    pub(super) ratio: Option<f64>,
    pub(super) goal: Option<String>,
    pub(super) verdict: Judgement,
    why: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Judgement {
    /// Within the budget, or without one.
    Good,
    Breach,
    /// It is held against a rival, and those were not measured.
    NeedsRivals,
}

impl Judged {
    pub(super) fn is_breach(&self) -> bool {
        self.verdict == Judgement::Breach
    }

    /// What is wrong, in a line.
    pub(super) fn complaint(&self) -> String {
        let number = self.ratio.or(self.value).unwrap_or_default();
        let goal = self.goal.as_deref().unwrap_or_default();
        let why = self.why.as_ref().map(|why| format!(" ({why})")).unwrap_or_default();
        format!("{} {}: {number:.3}, goal {goal}{why}", self.crate_name, self.name)
    }
}

/// The entries of the budget in its order, then the metrics that have none.
pub(super) fn judge(
    crate_name: &str,
    budget: &Budget,
    metrics: &Metrics,
    strictness: Strictness,
    rivals: Rivals,
) -> anyhow::Result<Vec<Judged>> {
    let mut judged = Vec::new();
    for entry in &budget.entries {
        judged.push(entry_judged(crate_name, entry, metrics, strictness, rivals)?);
    }
    for (name, measured) in metrics {
        if budget.entries.iter().all(|entry| entry.name != *name) {
            judged.push(Judged {
                crate_name: crate_name.to_owned(),
                name: name.clone(),
                value: median(&measured.values),
                unit: Some(measured.unit.clone()),
                baseline: None,
                ratio: None,
                goal: None,
                verdict: Judgement::Good,
                why: None,
            });
        }
    }
    Ok(judged)
}

fn entry_judged(
    crate_name: &str,
    entry: &Entry,
    metrics: &Metrics,
    strictness: Strictness,
    rivals: Rivals,
) -> anyhow::Result<Judged> {
    let is_rival = |name: &String| name.starts_with(RIVAL);
    let is_left = rivals == Rivals::Left;
    let needs_rivals =
        is_left && (is_rival(&entry.name) || entry.baseline.as_ref().is_some_and(is_rival));
    let measured = metrics.get(&entry.name);
    ensure!(
        measured.is_some() || (is_left && is_rival(&entry.name)),
        "the budget names the metric {}, which no bench printed",
        entry.name
    );
    let value = measured.and_then(|measured| median(&measured.values));
    let ratio = match &entry.baseline {
        Some(baseline) if !needs_rivals => Some(ratio(&entry.name, baseline, metrics)?),
        _ => None,
    };
    let verdict = match (ratio.or(value), entry.limit) {
        _ if needs_rivals => Judgement::NeedsRivals,
        (Some(number), Some(limit)) if !limit.holds(number, tolerance(entry, strictness)) => {
            Judgement::Breach
        }
        _ => Judgement::Good,
    };
    Ok(Judged {
        crate_name: crate_name.to_owned(),
        name: entry.name.clone(),
        value,
        unit: measured.map(|measured| measured.unit.clone()),
        baseline: entry.baseline.clone(),
        ratio,
        goal: goal(entry),
        verdict,
        why: entry.why.clone(),
    })
}

/// Each run is divided by the baseline of the same run, so that what slows both cancels out.
fn ratio(name: &str, baseline: &str, metrics: &Metrics) -> anyhow::Result<f64> {
    let of = |name: &str| metrics.get(name).map(|measured| measured.values.as_slice());
    let base = of(baseline)
        .with_context(|| format!("{name} is held against {baseline}, which no bench printed"))?;
    ensure!(
        base.iter().all(|&value| value != 0.0),
        "{name} is held against {baseline}, which measured 0"
    );
    let values = of(name).unwrap_or_default();
    let ratios: Vec<f64> = values.iter().zip(base).map(|(value, base)| value / base).collect();
    median(&ratios).with_context(|| format!("{name} and {baseline} were not measured together"))
}

fn tolerance(entry: &Entry, strictness: Strictness) -> f64 {
    if entry.is_exact || strictness == Strictness::AtGoal { 1.0 } else { TOLERANCE }
}

fn goal(entry: &Entry) -> Option<String> {
    let limit = entry.limit.map(|limit| match limit {
        Limit::AtMost(most) => format!("at most {most}"),
        Limit::AtLeast(least) => format!("at least {least}"),
    });
    match (limit, &entry.goal) {
        (Some(limit), Some(goal)) => Some(format!("{limit}, {goal}")),
        (limit, goal) => limit.or_else(|| goal.clone()),
    }
}

impl Limit {
    fn holds(self, number: f64, tolerance: f64) -> bool {
        match self {
            Limit::AtMost(most) => number <= most * tolerance,
            Limit::AtLeast(least) => number >= least / tolerance,
        }
    }
}

fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    let upper = *sorted.get(middle)?;
    if sorted.len() % 2 == 1 { Some(upper) } else { Some(f64::midpoint(sorted[middle - 1], upper)) }
}

#[cfg(test)]
mod tests {
    use super::super::measure::measured;
    use super::*;

    fn entry(name: &str, baseline: Option<&str>, limit: Limit, is_exact: bool) -> Budget {
        Budget {
            entries: vec![Entry {
                name: name.to_owned(),
                baseline: baseline.map(str::to_owned),
                limit: Some(limit),
                is_exact,
                goal: None,
                why: None,
            }],
        }
    }

    fn verdict(budget: &Budget, metrics: &Metrics, strictness: Strictness) -> Judgement {
        judge("sk-toy", budget, metrics, strictness, Rivals::Left).unwrap()[0].verdict
    }

    #[test]
    fn a_ratio_is_gated_at_twice_the_goal_unless_strict() {
        let budget = entry("a", Some("b"), Limit::AtMost(1.0), false);
        let metrics = measured(&[("a", &[1.5]), ("b", &[1.0])]);
        assert_eq!(verdict(&budget, &metrics, Strictness::AtTwiceGoal), Judgement::Good);
        assert_eq!(verdict(&budget, &metrics, Strictness::AtGoal), Judgement::Breach);
        let metrics = measured(&[("a", &[2.5]), ("b", &[1.0])]);
        assert_eq!(verdict(&budget, &metrics, Strictness::AtTwiceGoal), Judgement::Breach);
    }

    #[test]
    fn a_lower_limit_is_halved_instead() {
        let budget = entry("a", Some("b"), Limit::AtLeast(2.0), false);
        let metrics = measured(&[("a", &[1.5]), ("b", &[1.0])]);
        assert_eq!(verdict(&budget, &metrics, Strictness::AtTwiceGoal), Judgement::Good);
        assert_eq!(verdict(&budget, &metrics, Strictness::AtGoal), Judgement::Breach);
    }

    #[test]
    fn an_exact_number_has_no_tolerance() {
        let budget = entry("a", None, Limit::AtMost(2.0), true);
        let three = measured(&[("a", &[3.0])]);
        assert_eq!(verdict(&budget, &three, Strictness::AtTwiceGoal), Judgement::Breach);
        let two = measured(&[("a", &[2.0])]);
        assert_eq!(verdict(&budget, &two, Strictness::AtTwiceGoal), Judgement::Good);
    }

    #[test]
    fn the_median_of_the_runs_decides() {
        let budget = entry("a", Some("b"), Limit::AtMost(1.0), false);
        let metrics = measured(&[("a", &[9.0, 1.0, 1.2]), ("b", &[1.0, 1.0, 1.0])]);
        let judged =
            judge("sk-toy", &budget, &metrics, Strictness::AtTwiceGoal, Rivals::Left).unwrap();
        assert_eq!((judged[0].value, judged[0].ratio), (Some(1.2), Some(1.2)));
        assert_eq!(judged[0].verdict, Judgement::Good);
    }

    #[test]
    fn a_rival_as_baseline_waits_for_the_rivals() {
        let budget = entry("a", Some("peer.b"), Limit::AtMost(1.0), false);
        let metrics = measured(&[("a", &[9.0])]);
        assert_eq!(verdict(&budget, &metrics, Strictness::AtGoal), Judgement::NeedsRivals);
        let judged = judge("sk-toy", &budget, &metrics, Strictness::AtGoal, Rivals::Measured);
        assert!(judged.unwrap_err().to_string().contains("no bench printed"));
    }

    #[test]
    fn a_metric_that_nothing_printed_is_an_error() {
        let budget = entry("a", None, Limit::AtMost(1.0), true);
        let judged = judge("sk-toy", &budget, &measured(&[]), Strictness::AtGoal, Rivals::Left);
        assert!(judged.unwrap_err().to_string().contains("names the metric a"));
    }

    #[test]
    fn metrics_without_an_entry_are_listed_and_good() {
        let metrics = measured(&[("a", &[1.0])]);
        let judged =
            judge("sk-toy", &Budget::default(), &metrics, Strictness::AtGoal, Rivals::Left);
        let judged = judged.unwrap();
        assert_eq!((judged[0].goal.clone(), judged[0].verdict), (None, Judgement::Good));
    }
}
