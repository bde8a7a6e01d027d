//! Functions that cannot be declared.
#![expect(unsafe_code, reason = "one function says that it is unsafe; none does anything unsafe")]

use sk_function::{Context, function};

struct Room {
    width: f64,
}

impl Room {
    #[function]
    fn method(&self, height: f64) -> f64 {
        self.width * height
    }

    #[function]
    fn made(width: f64) -> Self {
        Self { width }
    }
}

#[function]
fn generic<T>(value: T) -> T {
    value
}

#[function]
fn borrowing<'a>(value: &'a str) -> &'a str {
    value
}

#[function]
fn of_a_trait(value: impl Into<f64>) -> f64 {
    value.into()
}

#[function]
fn reference(name: &str) -> usize {
    name.len()
}

#[function]
fn changing(names: &mut Vec<String>) {
    names.clear();
}

#[function]
fn steered(place: String) -> String {
    place
}

#[function]
fn popped(pop: bool) -> bool {
    pop
}

#[function]
fn pattern((left, right): (u64, u64)) -> u64 {
    left + right
}

#[function]
fn unnamed(_: u64) {}

#[function]
#[expect(clippy::too_many_arguments)]
fn many(
    a: u8,
    b: u8,
    c: u8,
    d: u8,
    e: u8,
    f: u8,
    g: u8,
    h: u8,
    i: u8,
    j: u8,
    k: u8,
    l: u8,
    m: u8,
) -> u8 {
    a + b + c + d + e + f + g + h + i + j + k + l + m
}

#[function]
unsafe fn promised(at: usize) -> usize {
    at
}

#[function]
fn late_context(times: u64, context: &Context) -> u64 {
    times + u64::from(context.attempt())
}

#[function]
fn items(context: &Context, to: u32) -> impl Iterator<Item = u32> {
    context.attempt()..to
}

#[function]
fn displayed(number: u64) -> impl std::fmt::Display {
    number
}

#[function]
struct NoFunction {
    width: f64,
}

#[function]
const NOTHING: u64 = 0;

// The function stays what it is, so that its callers hear of no second mistake.
fn main() {
    let _ = reference("name");
    let _ = generic(1);
    let _ = NoFunction { width: f64::from(of_a_trait(NOTHING as f32)) };
}
