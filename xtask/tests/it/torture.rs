//! `torture`: a time for what searches, and an end at the first finding.

use crate::fixture::Fixture;

/// The toy with a torture test of this body.
fn with_torture(name: &str, body: &str) -> Fixture {
    let fixture = Fixture::new(name);
    let test = format!("//! Torture.\n\n#[test]\nfn long() {{\n    {body}\n}}\n");
    fixture.write("sk-toy/tests/torture.rs", &test);
    fixture
}

#[test]
fn a_torture_test_is_told_its_time() {
    let body = "assert_eq!(std::env::var(\"SK_TORTURE_SECONDS\").unwrap(), \"120\");";
    with_torture("torture_time", body)
        .xtask(&["torture", "--minutes", "2"])
        .succeeds()
        .says("1 turn, 120 s each")
        .says("sk-toy torture: nothing found");
}

#[test]
fn a_finding_ends_the_run_and_can_be_repeated() {
    with_torture("torture_finding", "panic!(\"lost an update\");")
        .xtask(&["torture", "sk-toy", "--minutes", "1"])
        .fails()
        .says("lost an update")
        .says("repeat:  SK_TORTURE_SECONDS=60 cargo test -p sk-toy --test torture");
}

#[test]
fn without_anything_to_run_it_says_so() {
    Fixture::new("torture_nothing")
        .xtask(&["torture", "--minutes", "1"])
        .fails()
        .says("nothing to run");
}
