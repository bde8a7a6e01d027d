//! A line `METRIC name value unit`, as benches print it.

use anyhow::{Context, ensure};

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Metric {
    pub(super) name: String,
    pub(super) value: f64,
    pub(super) unit: String,
}

/// The metrics in the output of one program. Any other line is its own affair, but one that begins
/// with `METRIC` and cannot be read is an error, as is a name that comes twice.
pub(super) fn read(output: &str) -> anyhow::Result<Vec<Metric>> {
    let mut metrics: Vec<Metric> = Vec::new();
    for line in output.lines().filter(|line| line.starts_with("METRIC")) {
        let metric = parse(line).with_context(|| {
            format!("`{line}` is malformed; print `METRIC name value unit` with a plain number")
        })?;
        ensure!(
            metrics.iter().all(|other| other.name != metric.name),
            "the metric {} is printed twice; names are unique",
            metric.name
        );
        metrics.push(metric);
    }
    Ok(metrics)
}

fn parse(line: &str) -> Option<Metric> {
    let words: Vec<&str> = line.split(' ').collect();
    let ["METRIC", name, value, unit] = words.as_slice() else { return None };
    let value: f64 = value.parse().ok().filter(|value: &f64| value.is_finite())?;
    let is_whole = !name.is_empty() && !unit.is_empty();
    is_whole.then(|| Metric { name: (*name).to_owned(), value, unit: (*unit).to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_are_read_between_other_lines() {
        let metrics = read("warming up\nMETRIC record.encode 10.5 ns\nchecksum 7\n").unwrap();
        let expected =
            Metric { name: "record.encode".to_owned(), value: 10.5, unit: "ns".to_owned() };
        assert_eq!(metrics, [expected]);
    }

    #[test]
    fn a_malformed_line_is_an_error() {
        for line in [
            "METRIC a 1",
            "METRIC a b c d",
            "METRIC a one ns",
            "METRIC a NaN ns",
            "METRIC  1 ns",
            "METRICS a 1 ns",
        ] {
            let error = read(line).unwrap_err().to_string();
            assert!(error.contains("malformed"), "{line}: {error}");
        }
    }

    #[test]
    fn a_name_comes_once() {
        let error = read("METRIC a 1 ns\nMETRIC a 2 ns\n").unwrap_err().to_string();
        assert!(error.contains("printed twice"), "{error}");
    }
}
