//! Arguments gathered in any order and checked together.

use sk_function::{ArgumentError, Function, function};

#[function]
fn volume(width: f64, height: f64, depth: f64) -> f64 {
    width * height * depth
}

/// Rows: FUN-02, FUN-03
#[test]
fn arguments_come_in_any_order() {
    let orders =
        [["width", "height", "depth"], ["depth", "width", "height"], ["height", "depth", "width"]];
    for order in orders {
        let builder = order.iter().fold(volume::function().builder(), |builder, name| {
            builder.arg(name, name.len() as u64)
        });
        assert_eq!(builder.build().unwrap().execute::<f64>().unwrap(), volume(5.0, 6.0, 5.0));
    }
}

/// Rows: FUN-03
#[test]
fn what_is_missing_is_named() {
    let error = volume::function().builder().arg("width", 1).arg("depth", 1).build().unwrap_err();
    assert_eq!(error.to_string(), "argument `height` of it.builder.volume is missing");
    assert!(matches!(error, ArgumentError::Missing { parameter, .. } if parameter == "height"));
}

/// Rows: FUN-03
#[test]
fn what_no_parameter_takes_is_named_with_those_that_there_are() {
    let error = volume::function().builder().arg("weight", 1).build().unwrap_err();
    let expected = "it.builder.volume has no parameter `weight`; it has `width`, `height`, `depth`";
    assert_eq!(error.to_string(), expected);
    #[function]
    fn nothing() {}
    let error = nothing::function().builder().arg("weight", 1).build().unwrap_err().to_string();
    assert_eq!(error, "it.builder.nothing has no parameter `weight`; it has none");
    nothing();
}

#[test]
fn what_is_given_twice_is_named_and_what_was_bound_before_is_replaced() {
    let error = volume::function().builder().arg("width", 1).arg("width", 1).build().unwrap_err();
    assert_eq!(error.to_string(), "argument `width` of it.builder.volume was given twice");
    let bound = volume::function().positional((1, 2, 3)).unwrap();
    let other = bound.builder().arg("width", 10).build().unwrap();
    assert_eq!(other.execute::<f64>().unwrap(), 60.0);
}

#[test]
fn a_wrong_type_is_told_when_it_is_built() {
    let builder = volume::function().builder().arg("width", "wide").arg("height", 1);
    let error = builder.arg("depth", 1).build().unwrap_err();
    assert!(matches!(&error, ArgumentError::WrongType { parameter, .. } if parameter == "width"));
    let text = error.to_string();
    assert!(text.contains("is to be f64, not the text \"wide\": "), "{text}");
}

#[test]
fn the_first_mistake_is_the_one_that_is_told() {
    let builder = volume::function().builder().arg("weight", 1).arg("width", 1).arg("width", 1);
    let error = builder.arg("height", "tall").build().unwrap_err();
    assert!(matches!(error, ArgumentError::Unknown { name, .. } if name == "weight"));
}

#[test]
fn a_function_without_names_is_built_by_position() {
    let sum = || Function::of(|a: u8, b: u8| a + b);
    let built = sum().positional((1, 2)).unwrap().builder().build().unwrap();
    assert_eq!(built.execute::<u8>().unwrap(), 3);
    let error = sum().builder().build().unwrap_err();
    assert!(matches!(error, ArgumentError::Missing { parameter, .. } if parameter == "0"));
    assert!(matches!(sum().builder().arg("a", 1).build(), Err(ArgumentError::Nameless { .. })));
}
