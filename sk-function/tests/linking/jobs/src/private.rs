//! Not public, and not named from outside.

use sk_function::function;

#[function(idempotent)]
fn hidden(text: String) -> usize {
    crate::helped(text.len())
}

mod deeper {
    use sk_function::function;

    #[function]
    async fn later(n: u64) -> u64 {
        n + 3
    }

    #[function]
    fn many(to: u64) -> impl Iterator<Item = u64> {
        0..to
    }
}
