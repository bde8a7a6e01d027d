//! Compiled twice: for the library and for the program.

use sk_function::function;

#[function]
fn claimed(n: u64) -> u64 {
    n
}
