//! The attribute of `sk-function`, which re-exports it. Use it from there.
//!
//! A function is taken apart once (`signature`), with what the attribute says (`options`), and
//! put together again (`expand`): itself, unchanged, and beside it a type of its name that knows
//! its parameters. Every path in what is written is absolute; the root is that of the layer whose
//! attribute it is, or what `crate = …` says.

mod binding;
mod expand;
mod options;
mod signature;

use proc_macro::TokenStream;

/// Documented where it is re-exported, as `sk_function::function`.
#[proc_macro_attribute]
pub fn function(options: TokenStream, item: TokenStream) -> TokenStream {
    expand::function("sk_function", options.into(), item.into()).into()
}
