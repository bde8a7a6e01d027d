use sk_timing::timethis;

#[timethis]
struct NotAFunction;

trait Declared {
    #[timethis]
    fn without_a_body(&self);
}

#[timethis]
const fn in_the_compiler() -> u32 {
    1
}

#[timethis]
#[track_caller]
fn asks_for_its_caller() -> Result<(), ()> {
    Ok(())
}

fn main() {}
