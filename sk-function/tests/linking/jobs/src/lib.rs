//! Functions of a library that its program never names.

use sk_function::function;

mod private;
mod twins;

#[function]
pub fn area(width: f64, height: f64) -> f64 {
    width * height
}

/// In version 1 alone.
#[function]
pub fn former(n: u64) -> u64 {
    helped(n)
}

/// Nobody calls it, so nobody says for which type.
pub fn generic<T>(value: T) -> T {
    #[function]
    fn within_a_generic_one(n: u64) -> u64 {
        n + 40
    }
    value
}

/// What several call, each with a type of its own.
fn helped<T: std::ops::Add<Output = T> + Copy>(value: T) -> T {
    value + value
}
