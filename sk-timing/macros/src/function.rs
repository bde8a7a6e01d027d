//! What a function must be to be timed, and its signature around the new body.

use proc_macro2::TokenStream;
use quote::quote;
use syn::parse::{Parse, ParseStream};
use syn::{Attribute, Block, Error, Signature, Visibility};

use crate::arguments::Arguments;
use crate::body;

/// A function anywhere: free, in an implementation, or as a trait's default.
struct Function {
    attributes: Vec<Attribute>,
    visibility: Visibility,
    defaultness: Option<syn::Token![default]>,
    signature: Signature,
    body: Block,
}

pub(crate) fn timed(arguments: &Arguments, item: TokenStream) -> syn::Result<TokenStream> {
    let Function { attributes, visibility, defaultness, mut signature, body } = syn::parse2(item)?;
    let (inner, outer): (Vec<_>, Vec<_>) = attributes
        .iter()
        .partition(|attribute| matches!(attribute.style, syn::AttrStyle::Inner(_)));
    if let Some(keyword) = &signature.constness {
        return Err(Error::new_spanned(
            keyword,
            "a `const fn` cannot be timed: when it runs in the compiler there is no clock",
        ));
    }
    let may_fail = arguments.is_fallible || body::is_named_result(&signature.output);
    let track_caller = outer.iter().find(|attribute| attribute.path().is_ident("track_caller"));
    if let Some(attribute) = track_caller.filter(|_| may_fail && signature.asyncness.is_none()) {
        return Err(Error::new_spanned(
            attribute,
            "a `#[track_caller]` function that returns a `Result` cannot be timed by attribute: its \
             body would see another caller; use `Timer::time_this` in it",
        ));
    }
    let timed = body::timed(arguments, &mut signature, &body, may_fail);
    Ok(quote! {
        #(#outer)*
        #visibility #defaultness #signature {
            #(#inner)*
            #timed
        }
    })
}

impl Parse for Function {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        const ONLY: &str = "#[timethis] is for functions with a body: free ones, methods, and \
            defaults of traits";
        let mut attributes = input.call(Attribute::parse_outer)?;
        let visibility = input.parse()?;
        let defaultness = input.parse()?;
        let start = input.fork();
        let signature: Signature = input.parse().map_err(|_| Error::new(start.span(), ONLY))?;
        if input.peek(syn::Token![;]) {
            return Err(Error::new_spanned(&signature, ONLY));
        }
        let content;
        let brace_token = syn::braced!(content in input);
        attributes.extend(content.call(Attribute::parse_inner)?);
        let stmts = content.call(Block::parse_within)?;
        Ok(Function {
            attributes,
            visibility,
            defaultness,
            signature,
            body: Block { brace_token, stmts },
        })
    }
}
