//! What a call costs beside the function that it calls.
//!
//! Raw baselines in the same run: a `Box<dyn Fn>`, and a look-up in a `HashMap<&str, _>` of as many
//! names.

#[path = "../shared/measure.rs"]
mod measure;

use std::collections::HashMap;
use std::hint::black_box;

use measure::{Group, metric};
use sk_function::{AnyFunction, Function, IntoFunction as _, bind, function};

/// Names that are registered before one is looked up.
const NAMES: usize = 10_000;

#[function(idempotent)]
fn area(width: usize, height: usize) -> usize {
    black_box(width) * black_box(height)
}

fn main() {
    calls();
    names();
    dynamic();
    allocations();
}

fn calls() {
    type Boxed = Box<dyn Fn(usize, usize) -> usize>;
    let boxed: Boxed = black_box(Box::new(area));
    let any: AnyFunction<usize, (usize, usize)> = area.into_function();
    let mut group = Group::default();
    group.case("call.boxed", || boxed(black_box(2), 3));
    group.case("call.bound", || area::bind().height(3).width(black_box(2)).execute().unwrap());
    group.case("call.bound_by_position", || bind(area, (black_box(2), 3)).execute().unwrap());
    group.case("call.any", || any.execute((black_box(2), 3)).unwrap());
    let times = group.run();
    metric("call.bound.above_boxed", times["call.bound"] - times["call.boxed"], "ns");
}

fn names() {
    let names: Vec<String> = (0..NAMES).map(|n| format!("shapes.area_{n}")).collect();
    for name in &names {
        area::function().register(name).unwrap();
    }
    let raw: HashMap<&str, usize> =
        names.iter().enumerate().map(|(at, name)| (name.as_str(), at + 1)).collect();
    // What is looked up is not the memory that a map keeps its names in.
    let asked = names.clone();
    let mut at = 0;
    // Another name each time, so that both find it as cold as it is.
    let mut next = move || {
        at = (at + 7_919) % NAMES;
        at
    };
    let mut next_raw = next;
    let mut group = Group::default();
    group.case("call.name.hash_map", || {
        usize::from(raw.contains_key(black_box(asked[next_raw()].as_str())))
    });
    group.case("call.name.get", || usize::from(Function::get(black_box(&asked[next()])).is_ok()));
    group.case("call.name.declared", || usize::from(Function::get(black_box("call.area")).is_ok()));
    group.run();
}

fn dynamic() {
    let mut group = Group::default();
    group.case("call.dynamic", || {
        let call = Function::get("call.area").unwrap();
        let call = call.arg("height", black_box(3_usize)).unwrap().arg("width", 2_usize).unwrap();
        call.execute::<usize>().unwrap()
    });
    group.run();
}

fn allocations() {
    let call = || area::bind().height(3).width(black_box(2)).execute();
    let counted = allocation_counter::measure(|| assert_eq!(call(), Ok(6)));
    metric("call.bound.allocations", counted.count_total as f64, "count");
}
