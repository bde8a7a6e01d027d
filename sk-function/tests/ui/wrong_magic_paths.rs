//! Calls as data of functions that are not there, or not declared.

use sk_function::magic;

mod shapes {
    pub fn plain(width: f64) -> f64 {
        width
    }
}

fn main() {
    let _ = magic!(shapes::volume(2.0));
    let _ = magic!(forms::area(2.0));
    let _ = magic!(shapes::plain(2.0));
}
