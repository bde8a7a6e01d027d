//! `release`: only a dry run, and only from a clean tree.

use crate::fixture::Fixture;

#[test]
fn publishing_is_done_by_hand() {
    Fixture::new("release_by_hand").xtask(&["release"]).fails().says("cargo publish --workspace");
}

#[test]
fn what_is_not_committed_is_not_released() {
    let fixture = Fixture::new("release_dirty");
    fixture.commit();
    fixture.write("sk-toy/src/lib.rs", "//! Changed.\n");
    fixture.xtask(&["release", "--dry-run"]).fails().says("sk-toy/src/lib.rs: is not committed");
}

#[test]
fn a_release_has_something_to_say() {
    let fixture = Fixture::new("release_silent");
    fixture.write("sk-toy/CHANGELOG.md", "# Changelog\n\n## Unreleased\n");
    fixture.commit();
    fixture
        .xtask(&["release", "--dry-run"])
        .fails()
        .says("sk-toy/CHANGELOG.md: the first section is not");
}
