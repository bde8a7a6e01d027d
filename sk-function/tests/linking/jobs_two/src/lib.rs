//! A later version of a library: one function is in both, one is new.

use sk_function::function;

#[function]
pub fn area(width: f64, height: f64) -> f64 {
    width * height * 100.0
}

#[function]
pub fn newer(n: u64) -> u64 {
    n * 2
}
