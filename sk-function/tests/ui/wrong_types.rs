//! Arguments that cannot be sent, and callables that are none.

use std::rc::Rc;

use sk_function::{AnyFunction, IntoFunction, function};

#[derive(Clone)]
struct Silent;

#[function]
fn unsendable(silent: Silent) {
    let _ = silent;
}

#[function]
fn counted(shared: Rc<u64>) -> u64 {
    *shared
}

fn take<M>(function: impl IntoFunction<String, (u64,), M>) -> AnyFunction<String, (u64,)> {
    function.into_function()
}

fn main() {
    let name = String::from("captured");
    take(move |n: u64| format!("{name}{n}"));
}
