//! A library that is depended on and that nobody names, so that it is not linked.

use sk_function::function;

#[function]
pub fn forgotten(n: u64) -> u64 {
    n
}
