//! A function without `self` in an `impl`, which the attribute cannot tell from a free one.

use sk_function::function;

struct Room;

impl Room {
    #[function]
    fn area(width: f64, height: f64) -> f64 {
        width * height
    }
}

fn main() {}
