//! A struct of the function's name, which would hide what binds its arguments.

use sk_function::function;

struct Area {
    width: f64,
}

#[allow(non_camel_case_types, reason = "it has the name of a function")]
type area = Area;

#[function]
fn area(width: f64, height: f64) -> f64 {
    width * height
}

fn main() {
    let _: area = Area { width: 1.0 };
}
