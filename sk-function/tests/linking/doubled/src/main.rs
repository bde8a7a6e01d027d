//! Contains a module of its own library once more, so that two functions claim each of its paths.

use doubled as _;
use sk_function::{Function, registry};

mod shared;

fn main() {
    match registry::check() {
        Ok(functions) => println!("check {functions}"),
        Err(error) => println!("check {error}"),
    }
    match Function::get("doubled.shared.claimed") {
        Ok(function) => println!("found {}", function.name()),
        Err(error) => println!("refused {error}"),
    }
}
