//! `leftovers`: what is ours is found, by name or by where its program was built.

use std::fs;
use std::process::{Command, Stdio};

use crate::fixture::Fixture;

#[test]
fn a_clean_machine_has_no_leftovers() {
    Fixture::new("leftovers_none").xtask(&["leftovers"]).succeeds().says("leftovers: none");
}

#[test]
fn a_temporary_file_of_ours_is_left() {
    let fixture = Fixture::new("leftovers_file");
    fs::write(fixture.temporary().join("sk-share-1"), "").unwrap();
    fs::write(fixture.temporary().join("other"), "").unwrap();
    fixture
        .xtask(&["leftovers"])
        .fails()
        .says("temporary file ")
        .says("sk-share-1")
        .says_nothing_of("other");
}

#[test]
fn a_process_built_here_is_left() {
    let fixture = Fixture::new("leftovers_process");
    // A program of this workspace that runs until its standard input ends.
    let program = fixture.path("target/debug/waits");
    fs::create_dir_all(program.parent().unwrap()).unwrap();
    fs::copy("/bin/cat", &program).unwrap();
    let mut child = Command::new(&program).stdin(Stdio::piped()).spawn().unwrap();
    let ran = fixture.xtask(&["leftovers"]);
    drop(child.stdin.take());
    child.wait().unwrap();
    ran.fails().says(&format!("process {}: ", child.id()));
    fixture.xtask(&["leftovers"]).succeeds();
}
