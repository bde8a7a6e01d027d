//! `bench`: metrics against a budget.

use std::fs;

use crate::fixture::{Fixture, manifest};

/// The toy with a bench that prints these lines, and this budget.
fn with_bench(name: &str, lines: &[&str], budget: &str) -> Fixture {
    let fixture = Fixture::new(name);
    let more = "\n[[bench]]\nname = \"adding\"\nharness = false\n";
    fixture.write("sk-toy/Cargo.toml", &manifest("sk-toy", more));
    let prints: String = lines.iter().map(|line| format!("    println!(\"{line}\");\n")).collect();
    fixture.write("sk-toy/benches/adding.rs", &format!("//! Bench.\n\nfn main() {{\n{prints}}}\n"));
    fixture.write("sk-toy/benches/budget.toml", budget);
    fixture
}

const RATIO: &str =
    "[[metric]]\nname = \"add\"\nbaseline = \"add.raw\"\nat_most = 1.0\nwhy = \"toy\"\n";

#[test]
fn a_ratio_below_twice_the_goal_passes_and_is_written_down() {
    let lines = ["METRIC add 15 ns", "METRIC add.raw 10 ns"];
    let fixture = with_bench("bench_passes", &lines, RATIO);
    let file = fixture.path("numbers.json");
    let json = file.to_str().unwrap();
    let words = ["bench", "sk-toy", "--json", json];
    fixture.xtask(&words).succeeds().says("cpu:").says("revision:").says("at most 1");
    let numbers: serde_json::Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    assert_eq!(numbers[0]["name"], "add");
    assert_eq!(numbers[0]["ratio"], 1.5);
    assert_eq!(numbers[0]["ok"], true);
    assert_eq!(numbers[1]["goal"], serde_json::Value::Null);
    fixture.xtask(&["bench", "sk-toy", "--strict"]).fails().says("1 metric beyond the budget");
}

#[test]
fn a_breach_says_why_the_budget_is_what_it_is() {
    let lines = ["METRIC add 25 ns", "METRIC add.raw 10 ns"];
    let fixture = with_bench("bench_breach", &lines, RATIO);
    fixture.xtask(&["bench"]).fails().says("sk-toy add: 2.500, goal at most 1 (toy)");
}

/// The first run is slow and leaves a file by which the next ones know that they are not the first.
#[test]
fn one_disturbed_run_is_no_breach() {
    let fixture = with_bench("bench_disturbed", &[], RATIO);
    fixture.write(
        "sk-toy/benches/adding.rs",
        "//! Bench.\n\nfn main() {\n    let is_first = !std::fs::exists(\"../tmp/ran\").unwrap();\n    \
         std::fs::write(\"../tmp/ran\", \"\").unwrap();\n    \
         println!(\"METRIC add {} ns\", if is_first { 90 } else { 11 });\n    \
         println!(\"METRIC add.raw 10 ns\");\n}\n",
    );
    fixture.xtask(&["bench"]).succeeds().says("1.100");
}

#[test]
fn a_malformed_line_breaks_the_bench() {
    let fixture = with_bench("bench_malformed", &["METRIC add fast ns"], "");
    fixture.xtask(&["bench"]).fails().says("malformed").says("sk-toy/benches/adding.rs");
}

#[test]
fn a_rival_is_measured_only_when_asked_for() {
    let budget = "[[metric]]\nname = \"add\"\nbaseline = \"peer.add\"\nat_most = 1.0\n";
    let fixture = with_bench("bench_peers", &["METRIC add 5 ns"], budget);
    fixture.write(
        "sk-toy/peers/Cargo.toml",
        "[package]\nname = \"peers\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n[workspace]\n",
    );
    fixture.write(
        "sk-toy/peers/src/main.rs",
        "//! Rivals.\n\nfn main() {\n    println!(\"METRIC peer.add 10 ns\");\n}\n",
    );
    fixture.xtask(&["bench"]).succeeds().says("needs --peers");
    fixture.xtask(&["bench", "--peers"]).succeeds().says("0.500");
}
