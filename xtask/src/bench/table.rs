//! Judged metrics as a table to read and as JSON to keep.

use serde::Serialize;

use super::judge::{Judged, Judgement};

const HEADINGS: [&str; 7] = ["crate", "metric", "value", "baseline", "ratio", "goal", "ok"];

/// One line per metric under a line of headings, in columns.
pub(super) fn text(judged: &[Judged]) -> String {
    let mut rows = vec![HEADINGS.map(str::to_owned)];
    rows.extend(judged.iter().map(cells));
    let widths: Vec<usize> = (0..HEADINGS.len())
        .map(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default())
        .collect();
    let lines: Vec<String> = rows
        .iter()
        .map(|row| {
            let padded: Vec<String> =
                row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
            padded.join("  ").trim_end().to_owned()
        })
        .collect();
    lines.join("\n")
}

pub(super) fn json(judged: &[Judged]) -> anyhow::Result<String> {
    let entries: Vec<Entry<'_>> = judged
        .iter()
        .map(|row| Entry {
            crate_name: &row.crate_name,
            name: &row.name,
            value: row.value,
            unit: row.unit.as_deref(),
            baseline: row.baseline.as_deref(),
            ratio: row.ratio,
            goal: row.goal.as_deref(),
            ok: match row.verdict {
                Judgement::Good => Some(true),
                Judgement::Breach => Some(false),
                Judgement::NeedsRivals => None,
            },
        })
        .collect();
    Ok(serde_json::to_string_pretty(&entries)? + "\n")
}

#[derive(Serialize)]
struct Entry<'j> {
    #[serde(rename = "crate")]
    crate_name: &'j str,
    name: &'j str,
    value: Option<f64>,
    unit: Option<&'j str>,
    baseline: Option<&'j str>,
    ratio: Option<f64>,
    goal: Option<&'j str>,
    ok: Option<bool>,
}

fn cells(row: &Judged) -> [String; 7] {
    let value = match (row.value, &row.unit) {
        (Some(value), Some(unit)) => format!("{} {unit}", number(value)),
        _ => String::new(),
    };
    let verdict = match row.verdict {
        Judgement::Good => "yes",
        Judgement::Breach => "NO",
        Judgement::NeedsRivals => "needs --peers",
    };
    [
        row.crate_name.clone(),
        row.name.clone(),
        value,
        row.baseline.clone().unwrap_or_default(),
        row.ratio.map(|ratio| format!("{ratio:.3}")).unwrap_or_default(),
        row.goal.clone().unwrap_or_default(),
        verdict.to_owned(),
    ]
}

/// Whole numbers stay whole; others keep what can be told apart between runs.
fn number(value: f64) -> String {
    if value.fract() == 0.0 { format!("{value:.0}") } else { format!("{value:.3}") }
}

#[cfg(test)]
mod tests {
    use super::super::budget::Budget;
    use super::super::judge::{Strictness, judge};
    use super::super::{Rivals, measure};
    use super::*;

    fn one_metric() -> Vec<Judged> {
        let metrics = measure::measured(&[("a", &[1.5])]);
        judge("sk-toy", &Budget::default(), &metrics, Strictness::AtGoal, Rivals::Left).unwrap()
    }

    #[test]
    fn the_table_has_one_line_per_metric() {
        let text = text(&one_metric());
        let words: Vec<Vec<&str>> =
            text.lines().map(|line| line.split_ascii_whitespace().collect()).collect();
        assert_eq!(words[1], ["sk-toy", "a", "1.500", "ns", "yes"]);
    }

    #[test]
    fn json_says_null_where_there_is_nothing() {
        let value: serde_json::Value = serde_json::from_str(&json(&one_metric()).unwrap()).unwrap();
        assert_eq!(value[0]["crate"], "sk-toy");
        assert_eq!(value[0]["goal"], serde_json::Value::Null);
        assert_eq!(value[0]["ok"], true);
    }
}
