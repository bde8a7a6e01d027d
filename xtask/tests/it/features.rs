//! `features`: rows and tests name each other, and what is claimed ran.

use crate::fixture::{Fixture, features, manifest};

/// Rows: WS-03
#[test]
fn a_shown_row_is_counted_as_done() {
    Fixture::new("features_shown")
        .xtask(&["features"])
        .succeeds()
        .says("features ran")
        .says("sk-toy: 1 / 1")
        .says("total: 1 / 1");
}

/// Rows: WS-03
#[test]
fn a_done_row_whose_test_fails_is_not_shown() {
    let fixture = Fixture::new("features_failing");
    fixture.write(
        "sk-toy/tests/it/main.rs",
        "//! Tests.\n\n/// Rows: TOY-01\n#[test]\nfn adds() {\n    assert_eq!(sk_toy::add(1, 2), 4);\n}\n",
    );
    fixture.xtask(&["features"]).fails().says("1 test failed: adds").says("a claimed row");
}

/// Rows: WS-03
#[test]
fn a_done_row_whose_test_is_compiled_out_is_not_shown() {
    let fixture = Fixture::new("features_compiled_out");
    fixture.write(
        "sk-toy/tests/it/main.rs",
        "//! Tests.\n\n/// Rows: TOY-01\n#[cfg(any())]\n#[test]\nfn adds() {}\n\n#[test]\nfn other() {}\n",
    );
    fixture
        .xtask(&["features"])
        .fails()
        .says("TOY-01 is not shown: sk-toy/tests/it/main.rs::adds did not run");
    fixture.xtask(&["features", "--names-only"]).succeeds();
}

#[test]
fn a_program_without_a_harness_shows_a_row_too() {
    let fixture = Fixture::new("features_program");
    let more = "\n[[test]]\nname = \"processes\"\nharness = false\n";
    fixture.write("sk-toy/Cargo.toml", &manifest("sk-toy", more));
    let lines = [
        "//! Processes.",
        "",
        "/// Rows: TOY-02",
        "fn a_child_ends() {}",
        "",
        "fn main() {",
        "    a_child_ends();",
        "    println!(\"test a_child_ends ... ok\");",
        "}",
        "",
    ];
    fixture.write("sk-toy/tests/processes.rs", &lines.join("\n"));
    let row = "| TOY-02 | It ends | done | `sk-toy/tests/processes.rs::a_child_ends` |\n";
    let tests = "`sk-toy/tests/it/main.rs::adds`";
    fixture.write("FEATURES.md", &(features("TOY-01", "done", tests) + row));
    fixture.xtask(&["features"]).succeeds().says("sk-toy: 2 / 2");
}

#[test]
fn names_alone_need_no_run() {
    let fixture = Fixture::new("features_names");
    let tests = "`sk-toy/tests/it/main.rs::missing`";
    fixture.write("FEATURES.md", &features("TOY-01", "done", tests));
    fixture
        .xtask(&["features", "--names-only"])
        .fails()
        .says("FEATURES.md:7: TOY-01 names sk-toy/tests/it/main.rs::missing, which is no test");
}

/// Rows: WS-03
#[test]
fn a_test_may_not_name_an_open_row() {
    let fixture = Fixture::new("features_open");
    fixture.write("FEATURES.md", &features("TOY-01", "open", ""));
    fixture
        .xtask(&["features", "--names-only"])
        .fails()
        .says("sk-toy/tests/it/main.rs:5: adds names TOY-01, which is not done");
}

#[test]
fn rows_left_for_later_are_not_counted() {
    let fixture = Fixture::new("features_later");
    let later = "| TOY-02 | It subtracts | later |  |\n| TOY-03 | It sings | out |  |\n";
    let tests = "`sk-toy/tests/it/main.rs::adds`";
    fixture.write("FEATURES.md", &(features("TOY-01", "done", tests) + later));
    fixture.xtask(&["features", "--names-only"]).succeeds().says("sk-toy: 1 / 1");
}
