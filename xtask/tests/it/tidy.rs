//! `tidy` over a whole tree; each rule by itself is tested beside its code.

use crate::fixture::Fixture;

#[test]
fn a_tidy_tree_passes() {
    Fixture::new("tidy_passes").xtask(&["tidy"]).succeeds().says("tidy: ok");
}

#[test]
fn a_finding_has_a_place_and_says_what_to_do() {
    let fixture = Fixture::new("tidy_finds");
    fixture.write("sk-toy/src/bare.rs", "fn a() {} \n");
    fixture.remove("sk-toy/README.md");
    fixture
        .xtask(&["tidy"])
        .fails()
        .says("sk-toy/src/bare.rs:1: no header; open the file with")
        .says("sk-toy/src/bare.rs:1: blanks at the end; remove them")
        .says("sk-toy/README.md: is missing; ")
        .says("3 findings");
}

#[test]
fn ignored_files_have_no_rules() {
    let fixture = Fixture::new("tidy_ignores");
    fixture.write("target/left.rs", "fn a() {} \n");
    fixture.xtask(&["tidy"]).succeeds();
}
