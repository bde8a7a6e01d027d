//! A module of the function's name, which would hide what binds its arguments.

use sk_function::function;

mod area {}

#[function]
fn area(width: f64, height: f64) -> f64 {
    width * height
}

fn main() {}
