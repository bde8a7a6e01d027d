//! The four kinds of functions, by their names: one value, one value later, many, many later.
//!
//! `cargo run --example kinds`

use futures::{Stream, StreamExt as _, executor::block_on};
use sk_function::{BoxError, Context, Function, function};

#[function(name = "numbers.square", idempotent)]
fn square(n: u64) -> u64 {
    n * n
}

#[function(name = "numbers.later")]
async fn later(context: &Context, n: u64) -> Result<u64, BoxError> {
    // A first parameter `&Context` is the call's own: it is no argument.
    assert_eq!(context.attempt(), 1);
    Ok(n + 1)
}

#[function(name = "numbers.up_to")]
fn up_to(limit: u64) -> impl Iterator<Item = u64> {
    0..limit
}

#[function(name = "numbers.slowly_up_to")]
fn slowly_up_to(limit: u64) -> impl Stream<Item = u64> {
    futures::stream::iter(0..limit)
}

fn main() -> Result<(), BoxError> {
    // What stands beside a function binds its arguments by name; the compiler checks them.
    assert_eq!(square::bind().n(12).execute()?, 144);
    assert_eq!(block_on(later::bind().n(1).execute())??, 2);

    // A name finds the same functions from anywhere.
    let square = Function::get("numbers.square")?;
    assert_eq!(square.arg("n", 12)?.execute::<u64>()?, 144);
    let later = Function::get("numbers.later")?.arg("n", 1)?;
    assert_eq!(later.clone().try_operation::<u64>().wait()?, 2);

    let values: Result<Vec<u64>, _> = up_to::function().arg("limit", 4)?.iterate()?.collect();
    assert_eq!(values?, [0, 1, 2, 3]);
    let stream = slowly_up_to::function().arg("limit", 3)?.stream::<u64>()?;
    assert_eq!(block_on(stream.collect::<Vec<_>>()), [Ok(0), Ok(1), Ok(2)]);

    // One that is run as another says so.
    println!("{}", later.execute::<u64>().unwrap_err());
    println!("{}", Function::get("numbers.sqare").unwrap_err());
    Ok(())
}
