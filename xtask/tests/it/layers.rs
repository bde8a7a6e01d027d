//! `layers`: order and inheritance.

use std::fs;

use crate::fixture::{Fixture, features, manifest};

/// The toy with a second crate above it.
fn two_layers(name: &str) -> Fixture {
    let fixture = Fixture::new(name);
    fixture.write("sk-top/Cargo.toml", &manifest("sk-top", ""));
    fixture.write("sk-top/src/lib.rs", "//! Top.\n");
    list(&fixture, "\"sk-toy\", \"sk-top\"");
    fixture.write("FEATURES.md", &(features("TOY-01", "open", "") + "\n## sk-top\n"));
    fixture
}

fn list(fixture: &Fixture, members: &str) {
    let manifest = fs::read_to_string(fixture.path("Cargo.toml")).unwrap();
    let (before, after) = manifest.split_once("members = [").unwrap();
    let (_, after) = after.split_once(']').unwrap();
    fixture.write("Cargo.toml", &format!("{before}members = [{members}]{after}"));
}

#[test]
fn a_crate_may_depend_on_one_below_it() {
    let fixture = two_layers("layers_below");
    let more = "\n[dependencies]\nsk-toy = { path = \"../sk-toy\" }\n";
    fixture.write("sk-top/Cargo.toml", &manifest("sk-top", more));
    fixture.xtask(&["layers"]).succeeds().says("layers: ok");
}

#[test]
fn a_crate_may_not_depend_on_one_above_it() {
    let fixture = two_layers("layers_above");
    let more = "\n[dev-dependencies]\nsk-top = { path = \"../sk-top\" }\n";
    fixture.write("sk-toy/Cargo.toml", &manifest("sk-toy", more));
    fixture
        .xtask(&["layers"])
        .fails()
        .says("sk-toy/Cargo.toml: sk-toy depends on sk-top, which is listed after it");
}

#[test]
fn a_crate_nested_in_the_dependent_is_part_of_it() {
    let fixture = Fixture::new("layers_nested");
    let more = "\n[dependencies]\nsk-toy-macros = { path = \"macros\" }\n";
    fixture.write("sk-toy/Cargo.toml", &manifest("sk-toy", more));
    fixture.write("sk-toy/macros/Cargo.toml", &manifest("sk-toy-macros", ""));
    fixture.write("sk-toy/macros/src/lib.rs", "//! Macros.\n");
    fixture.xtask(&["layers"]).succeeds();
}

#[test]
fn the_order_of_the_members_is_that_of_the_layers() {
    let fixture = two_layers("layers_order");
    list(&fixture, "\"sk-top\", \"sk-toy\"");
    fixture.xtask(&["layers"]).fails().says("the member sk-toy is listed too late");
}

#[test]
fn a_member_takes_lints_and_version_from_the_workspace() {
    let fixture = Fixture::new("layers_inherit");
    let own = manifest("sk-toy", "")
        .replace("version.workspace = true\nedition", "version = \"0.1.0\"\nedition")
        .replace("[lints]\nworkspace = true\n", "");
    fixture.write("sk-toy/Cargo.toml", &own);
    fixture
        .xtask(&["layers"])
        .fails()
        .says("version is not taken from the workspace")
        .says("the lints of the workspace are not taken over")
        .says("2 findings");
}
