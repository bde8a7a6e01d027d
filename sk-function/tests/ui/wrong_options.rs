//! What the attribute cannot say.

use std::time::Duration;

use sk_function::function;

#[function(retries = 3)]
fn unknown() {}

#[function(blocking, blocking)]
fn twice() {}

#[function(idempotent, never_retry)]
fn both() {}

#[function(name = "")]
fn unnamed() {}

#[function(autoreg = "")]
fn registered_as_nothing() {}

#[function(name = area)]
fn a_name_is_a_text() {}

#[function(timeout = "30")]
fn no_unit() {}

#[function(timeout = "0s")]
fn no_time() {}

#[function(timeout = "1.5s")]
fn no_whole_number() {}

#[function(timeout = "3 days")]
fn no_such_unit() {}

#[function(timeout = 30)]
fn a_number_without_a_unit() {}

#[function(autoreg)]
const fn constant() {}

#[function(timeout = "30s")]
fn items() -> impl Iterator<Item = u64> {
    0..3
}

#[function(idempotent blocking)]
fn no_comma() {}

#[function("area")]
fn no_option() {}

#[function(crate)]
fn no_path() {}

const LIMIT: Duration = Duration::from_secs(3);

#[function(timeout = LIMIT, idempotent, blocking("file", "lock"), autoreg)]
fn right() {}

fn main() {
    unknown();
    twice();
    right();
}
