//! `ci` stops at the first broken gate and tells how to repeat it. The gates before the tests of a
//! crate are passed with it, so these runs are few.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::thread;
use std::time::Duration;

use crate::fixture::{Fixture, manifest};

#[test]
fn a_whole_crate_passes_and_what_is_missing_here_is_listed() {
    let fixture = Fixture::new("ci_passes");
    let path = without_rustup(&fixture);
    let ran = fixture.xtask_with(&["ci", "--to", "sk-toy"], &[("PATH", &path)]).succeeds();
    let ran = ran
        .says("1 skip:")
        .says("sk-toy sanitizers: the nightly toolchain is missing")
        .says("features ran");
    assert_eq!(ran.last_line(), "2 passed, 0 failed, 1 skipped", "{}", ran.text);
}

#[test]
fn with_ci_set_a_skip_is_a_failure() {
    let fixture = Fixture::new("ci_strict");
    let path = without_rustup(&fixture);
    let ran = fixture.xtask_with(&["ci"], &[("PATH", &path), ("CI", "1")]).fails();
    let ran = ran.says("broken gate: sanitizers").says("skipped, which CI does not allow");
    assert_eq!(ran.last_line(), "2 passed, 1 failed, 0 skipped", "{}", ran.text);
}

#[test]
fn a_test_that_cannot_run_here_is_counted_as_skipped() {
    let fixture = Fixture::new("ci_skips_test");
    fixture.write(
        "sk-toy/tests/it/main.rs",
        "//! Tests.\n\n/// Rows: TOY-01\n#[test]\nfn adds() {\n    println!(\"SKIP no server\");\n}\n",
    );
    let path = without_rustup(&fixture);
    let ran = fixture.xtask_with(&["ci"], &[("PATH", &path)]).succeeds();
    let ran = ran.says("sk-toy it adds: no server");
    assert_eq!(ran.last_line(), "1 passed, 0 failed, 2 skipped", "{}", ran.text);
}

#[test]
fn a_failed_test_breaks_its_gate() {
    let fixture = Fixture::new("ci_fails");
    fixture.write(
        "sk-toy/tests/it/main.rs",
        "//! Tests.\n\n/// Rows: TOY-01\n#[test]\nfn adds() {\n    panic!(\"out of order\");\n}\n",
    );
    let ran = fixture
        .xtask(&["ci"])
        .fails()
        .says("broken gate: integration")
        .says("crate:       sk-toy")
        .says("repeat:      cargo test -p sk-toy --test it --all-features -- --show-output")
        .says("read:        sk-toy/tests/it/main.rs:6")
        .says("out of order")
        .says_nothing_of("leftovers");
    assert_eq!(ran.last_line(), "1 passed, 1 failed, 0 skipped", "{}", ran.text);
}

#[test]
fn a_target_that_shows_nothing_breaks_its_gate() {
    let fixture = Fixture::new("ci_shows_nothing");
    fixture.write("sk-toy/tests/empty.rs", "//! Nothing.\n");
    fixture.xtask(&["ci"]).fails().says("broken gate: empty").says("a target without tests");
    // In two words, or the rule against such tests would find this one.
    let ignore = ["#[", "ignore]"].concat();
    let test = format!("//! Rests.\n\n#[test]\n{ignore}\nfn rests() {{}}\n");
    fixture.write("sk-toy/tests/empty.rs", &test);
    fixture.write(".gitignore", "/target\n/tmp\nempty.rs\n");
    fixture.xtask(&["ci"]).fails().says("broken gate: empty").says("run or remove rests");
}

/// Rows: WS-01
#[test]
fn a_crate_that_does_not_build_alone_breaks_its_gate() {
    let fixture = Fixture::new("ci_alone");
    fixture.write("sk-toy/Cargo.toml", &manifest("sk-toy", "[features]\nextra = []\n"));
    fixture.write(
        "sk-toy/src/lib.rs",
        "//! Adds.\n\n/// Adds.\npub fn add(a: u8, b: u8) -> u8 {\n    sum(a, b)\n}\n\n\
         #[cfg(feature = \"extra\")]\nfn sum(a: u8, b: u8) -> u8 {\n    a + b\n}\n",
    );
    fixture
        .xtask(&["ci"])
        .fails()
        .says("broken gate: alone")
        .says("read:        sk-toy/src/lib.rs:5")
        .says_nothing_of("integration");
}

#[test]
fn an_example_that_fails_breaks_its_gate() {
    let fixture = Fixture::new("ci_example");
    fixture.write(
        "sk-toy/examples/first.rs",
        "//! First.\n\nfn main() {\n    std::process::exit(2);\n}\n",
    );
    fixture
        .xtask(&["ci"])
        .fails()
        .says("broken gate: examples")
        .says("repeat:      cargo run -p sk-toy --example first --all-features")
        .says("read:        sk-toy/examples/first.rs");
}

/// An interrupt at the terminal does not reach the process group of the running gate by itself.
#[test]
fn an_interrupt_ends_the_running_gate_too() {
    let fixture = Fixture::new("ci_interrupted");
    fixture.write(
        "sk-toy/tests/it/main.rs",
        "//! Tests.\n\n/// Rows: TOY-01\n#[test]\nfn adds() {\n    \
         std::fs::write(\"../tmp/begun\", \"\").unwrap();\n    loop {\n        \
         std::thread::park();\n    }\n}\n",
    );
    let begun = fixture.temporary().join("begun");
    let mut run = fixture.start_xtask(&["ci"]);
    while !begun.exists() {
        assert!(run.try_wait().unwrap().is_none(), "it ended before its tests began");
        thread::sleep(Duration::from_millis(20));
    }
    Command::new("kill").args(["-INT", &run.id().to_string()]).status().unwrap();
    assert_eq!(run.wait().unwrap().code(), Some(130));
    fixture.xtask(&["leftovers"]).succeeds();
}

#[test]
fn what_tests_leave_behind_breaks_a_gate() {
    let fixture = Fixture::new("ci_leaves");
    fixture.write(
        "sk-toy/tests/it/main.rs",
        "//! Tests.\n\n/// Rows: TOY-01\n#[test]\nfn adds() {\n    \
         std::fs::write(std::env::temp_dir().join(\"sk-left\"), \"\").unwrap();\n}\n",
    );
    let path = without_rustup(&fixture);
    fixture
        .xtask_with(&["ci"], &[("PATH", &path)])
        .fails()
        .says("broken gate: leftovers")
        .says("sk-left");
}

/// A search path on which `rustup` knows no toolchain, as on a machine without nightly.
fn without_rustup(fixture: &Fixture) -> String {
    let folder = fixture.temporary().join("bin");
    fixture.write("tmp/bin/rustup", "#!/bin/sh\nexit 1\n");
    let program = folder.join("rustup");
    fs::set_permissions(&program, Permissions::from_mode(0o755)).unwrap();
    format!("{}:{}", folder.display(), std::env::var("PATH").unwrap())
}
