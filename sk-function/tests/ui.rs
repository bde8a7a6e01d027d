//! What the compiler says to a program that is wrong, and which programs it takes.
//!
//! Few files, since each is a program of its own: one file holds mistakes that the compiler tells of
//! independently. `TRYBUILD=overwrite` writes the messages anew; read them before you keep them.

/// Rows: FUN-02, FUN-03, FUN-53
#[test]
fn the_compiler_explains_what_is_wrong_with_a_declaration_or_a_call() {
    let cases = trybuild::TestCases::new();
    cases.compile_fail("tests/ui/wrong_*.rs");
    cases.pass("tests/ui/right.rs");
}
