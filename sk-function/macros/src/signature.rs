//! What a function takes and gives, as far as its text tells.

use proc_macro2::{Span, TokenStream, TokenTree};
use quote::ToTokens as _;
use syn::ext::IdentExt as _;
use syn::spanned::Spanned as _;
use syn::{
    Error, FnArg, GenericArgument, Ident, ItemFn, Pat, PathArguments, Result, ReturnType, Type,
    TypeParamBound, parse_quote,
};

/// Parameters at most.
const MOST: usize = 12;

/// What a function takes and gives.
pub(crate) struct Signature {
    /// It takes a context first.
    pub(crate) takes_context: bool,
    pub(crate) parameters: Vec<Parameter>,
    pub(crate) kind: Kind,
    /// What it gives: returned, by its future, or as each item.
    pub(crate) output: Type,
}

pub(crate) struct Parameter {
    /// As it is written, raw or not.
    pub(crate) ident: Ident,
    pub(crate) ty: Type,
}

#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Kind {
    Sync,
    Async,
    Iterator,
    Stream,
}

impl Parameter {
    pub(crate) fn name(&self) -> String {
        self.ident.unraw().to_string()
    }
}

impl Signature {
    pub(crate) fn of(function: &ItemFn) -> Result<Signature> {
        let signature = &function.sig;
        if let Some(receiver) = signature.receiver() {
            return Err(Error::new(
                receiver.span(),
                "#[function] is for free functions: a method has no path by which another process \
                 could find it; write a free function that takes the value and calls the method",
            ));
        }
        if let Some(span) = of_an_impl(signature.to_token_stream()) {
            return Err(Error::new(
                span,
                "#[function] is for free functions: write it beside the `impl`, and the type in \
                 place of `Self`",
            ));
        }
        if !signature.generics.params.is_empty() {
            return Err(Error::new(
                signature.generics.span(),
                "#[function] is for functions without generics: a name stands for one function; \
                 declare one for each type that is needed, and let it call the generic one",
            ));
        }
        if let Some(keyword) = &signature.unsafety {
            return Err(Error::new(
                keyword.span(),
                "#[function] is for safe functions: who calls it by its name promises nothing",
            ));
        }
        if let Some(dots) = &signature.variadic {
            return Err(Error::new(dots.span(), "a variadic function has no fixed parameters"));
        }
        let (takes_context, parameters) = parameters(function)?;
        let (kind, output) = gives(function)?;
        if takes_context && matches!(kind, Kind::Iterator | Kind::Stream) {
            return Err(Error::new(
                signature.inputs.span(),
                "a function that gives many values outlives the call that a `&Context` is of; ask \
                 for `Context::current()` within it",
            ));
        }
        Ok(Signature { takes_context, parameters, kind, output })
    }
}

/// Where `Self` stands, which only a function of an `impl` or a trait can name. One that does not name
/// it cannot be told from a free function.
fn of_an_impl(tokens: TokenStream) -> Option<Span> {
    tokens.into_iter().find_map(|token| match token {
        TokenTree::Ident(ident) => (ident == "Self").then(|| ident.span()),
        TokenTree::Group(group) => of_an_impl(group.stream()),
        _ => None,
    })
}

fn parameters(function: &ItemFn) -> Result<(bool, Vec<Parameter>)> {
    let mut takes_context = false;
    let mut parameters = Vec::new();
    for (at, input) in function.sig.inputs.iter().enumerate() {
        let FnArg::Typed(input) = input else { continue };
        if is_context(&input.ty) {
            if at > 0 {
                return Err(Error::new(input.span(), "a `&Context` is the first parameter"));
            }
            takes_context = true;
            continue;
        }
        let Pat::Ident(pattern) = &*input.pat else {
            return Err(Error::new(
                input.pat.span(),
                "a parameter of a #[function] has a name, by which it is bound; take it apart in the body",
            ));
        };
        let ident = pattern.ident.clone();
        if let Some(span) = reference(&input.ty) {
            return Err(Error::new(
                span,
                format!(
                    "parameter `{ident}` is a reference, and an argument owns what it holds, since \
                     it may come from another process: take a String for a &str, a Vec for a slice, \
                     a PathBuf for a &Path"
                ),
            ));
        }
        if let Type::ImplTrait(unnamed) = &*input.ty {
            return Err(Error::new(
                unnamed.span(),
                format!("parameter `{ident}` is generic: a #[function] names its types"),
            ));
        }
        let name = ident.unraw().to_string();
        if ["place", "pop", "where"].contains(&name.as_str()) {
            return Err(Error::new(
                ident.span(),
                format!(
                    "`{name}` steers a call and is never an argument: name the parameter otherwise"
                ),
            ));
        }
        parameters.push(Parameter { ident, ty: (*input.ty).clone() });
    }
    match parameters.get(MOST) {
        None => Ok((takes_context, parameters)),
        Some(beyond) => Err(Error::new(
            beyond.ident.span(),
            format!(
                "a #[function] has at most {MOST} parameters, not {}: take a struct",
                parameters.len()
            ),
        )),
    }
}

fn is_context(ty: &Type) -> bool {
    let Type::Reference(reference) = ty else { return false };
    let Type::Path(path) = &*reference.elem else { return false };
    reference.mutability.is_none()
        && path.path.segments.last().is_some_and(|last| last.ident == "Context")
}

/// Where a type is a reference, on its outside.
fn reference(ty: &Type) -> Option<Span> {
    match ty {
        Type::Reference(reference) => Some(reference.span()),
        Type::Paren(inner) => reference(&inner.elem),
        Type::Group(inner) => reference(&inner.elem),
        _ => None,
    }
}

fn gives(function: &ItemFn) -> Result<(Kind, Type)> {
    let signature = &function.sig;
    let returned: Type = match &signature.output {
        ReturnType::Default => parse_quote!(()),
        ReturnType::Type(_, ty) => (**ty).clone(),
    };
    let many = match &returned {
        Type::ImplTrait(unnamed) => many(unnamed.bounds.iter()),
        Type::Path(path) => boxed(path),
        _ => None,
    };
    if signature.asyncness.is_some() {
        if let (Some(_), Type::ImplTrait(_)) = (&many, &returned) {
            return Err(Error::new(
                returned.span(),
                "an async function gives one value; a function that is not async returns the \
                 `impl Stream` at once",
            ));
        }
        return Ok((Kind::Async, returned));
    }
    match (many, &returned) {
        (Some(many), _) => Ok(many),
        (None, Type::ImplTrait(unnamed)) => Err(Error::new(
            unnamed.span(),
            "a #[function] names what it returns, or returns `impl Iterator<Item = …>` or \
             `impl Stream<Item = …>`",
        )),
        (None, _) => Ok((Kind::Sync, returned)),
    }
}

/// What an iterator or a stream gives, if one of the bounds says that it is one.
fn many<'a>(bounds: impl Iterator<Item = &'a TypeParamBound>) -> Option<(Kind, Type)> {
    bounds.into_iter().find_map(|bound| {
        let TypeParamBound::Trait(bound) = bound else { return None };
        let last = bound.path.segments.last()?;
        let kind = match last.ident.to_string().as_str() {
            "Iterator" => Kind::Iterator,
            "Stream" => Kind::Stream,
            _ => return None,
        };
        let PathArguments::AngleBracketed(arguments) = &last.arguments else { return None };
        arguments.args.iter().find_map(|argument| match argument {
            GenericArgument::AssocType(item) if item.ident == "Item" => {
                Some((kind, item.ty.clone()))
            }
            _ => None,
        })
    })
}

/// The same of `Box<dyn Iterator>` and `Pin<Box<dyn Stream>>`.
fn boxed(path: &syn::TypePath) -> Option<(Kind, Type)> {
    let last = path.path.segments.last()?;
    if last.ident != "Box" && last.ident != "Pin" {
        return None;
    }
    let PathArguments::AngleBracketed(arguments) = &last.arguments else { return None };
    match arguments.args.first()? {
        GenericArgument::Type(Type::TraitObject(object)) => many(object.bounds.iter()),
        GenericArgument::Type(Type::Path(inner)) => boxed(inner),
        _ => None,
    }
}
