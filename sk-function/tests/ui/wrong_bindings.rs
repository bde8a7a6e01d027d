//! Arguments that are missing, doubled, of another type, or of no parameter.

use sk_function::function;

#[function]
fn area(width: f64, height: f64) -> f64 {
    width * height
}

#[function]
async fn later(seconds: u64) -> u64 {
    seconds
}

#[function]
fn count(to: u64) -> impl Iterator<Item = u64> {
    0..to
}

fn main() {
    // One is missing.
    let _ = area::bind().height(3.0).execute();
    let _ = area::bind().width(3.0).operation();
    let _ = area::bind().width(3.0).bound();
    let _ = area::bind().width(3.0).register_and_execute("area");
    let _ = later::bind().execute();
    let _ = count::bind().iterate();

    // One is given twice.
    let _ = area::bind().width(2.0).width(3.0);

    // One is of another type.
    let _ = area::bind().width("2").height(3.0);

    // There is no such parameter.
    let _ = area::bind().depth(2.0);

    // A function that gives many values is not executed.
    let _ = count::bind().to(3).execute();
}
