//! Functions of one code, which a linker may make one.

use sk_function::function;

#[function]
fn left(n: u64) -> u64 {
    n + 1
}

#[function]
fn right(n: u64) -> u64 {
    n + 1
}

#[function(name = "twins.renamed")]
fn third(n: u64) -> u64 {
    n + 1
}
