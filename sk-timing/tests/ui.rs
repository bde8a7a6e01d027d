//! What the compiler says to functions that cannot be timed.

#[test]
fn a_wrong_use_of_the_attribute_is_told_in_words() {
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}
