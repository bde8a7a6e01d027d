//! Calls as data whose arguments are not those of their function.

use sk_function::{Magic, function, magic};

mod shapes {
    use sk_function::function;

    #[function]
    pub fn area(width: f64, height: f64) -> f64 {
        width * height
    }
}

#[function]
fn nothing() {}

fn main() {
    // Too few and too many.
    let _ = magic!(shapes::area(2.0));
    let _ = magic!(shapes::area(height = 2.0));
    let _ = magic!(shapes::area(1.0, 2.0, 3.0));
    let _ = magic!(nothing(1));

    // By position and by name.
    let _ = magic!(shapes::area(1.0, 2.0, width = 3.0));

    // Of another type.
    let _ = magic!(shapes::area("2", 3.0));
    let _ = magic!(shapes::area(2.0, height = "3"));

    // Of no parameter.
    let _ = magic!(shapes::area(2.0, depth = 3.0));

    // It returns something else.
    let _: Magic<String> = magic!(shapes::area(2.0, 3.0));

    // What steers it has a type too.
    let _ = magic!(shapes::area(2.0, 3.0, pop = 1));
}
