//! Bindings that are made and not used.
#![deny(unused_must_use)]

use sk_function::{bind, function, magic};

#[function]
fn area(width: f64, height: f64) -> f64 {
    width * height
}

fn main() {
    area::bind().width(2.0).height(3.0);
    bind(area, (2.0, 3.0));
    magic!(area(2.0, 3.0));
}
