//! The new body of a timed function.
//!
//! Names are hygienic (`mixed_site`), so the user's code cannot meet them; everything else is reached
//! by absolute paths into `sk_timing::private`.
//!
//! A closure or block drops what it captures, in the order in which its body names it. So that arguments are
//! dropped as those of a function, they are taken in and bound again in their own order first.

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::visit_mut::{self, VisitMut};
use syn::{
    Attribute, Block, FnArg, Ident, Pat, PatIdent, ReturnType, Signature, Type, parse_quote,
};

use crate::arguments::Arguments;

pub(crate) fn timed(
    arguments: &Arguments,
    signature: &mut Signature,
    body: &Block,
    may_fail: bool,
) -> TokenStream {
    let bind_again = if may_fail || signature.asyncness.is_some() {
        bind_again(arguments, signature)
    } else {
        TokenStream::new()
    };
    let parts = Parts::of(arguments, signature, bind_again);
    if signature.asyncness.is_some() {
        parts.of_async(body, may_fail)
    } else if may_fail {
        parts.of_fallible(body)
    } else {
        parts.of_infallible(body)
    }
}

/// True for a type that is written as a path whose last word ends in `Result`.
pub(crate) fn is_named_result(output: &ReturnType) -> bool {
    let ReturnType::Type(_, output) = output else { return false };
    let Type::Path(path) = &**output else { return false };
    path.path.segments.last().is_some_and(|last| last.ident.to_string().ends_with("Result"))
}

/// Statements that bind each argument again, in their order, where a closure or an async block shall
/// take them in. What was said of a binding in the signature, as `mut`, goes to the new one.
fn bind_again(arguments: &Arguments, signature: &mut Signature) -> TokenStream {
    // An argument that only an option of the attribute looks at is used, which the compiler cannot see.
    let may_be_used = arguments.timer.is_some() || arguments.threshold.is_some();
    let mut statements = TokenStream::new();
    for (position, argument) in signature.inputs.iter_mut().enumerate() {
        match argument {
            FnArg::Receiver(receiver) if receiver.reference.is_none() => {
                // There is no other `self`, but a look at it takes in the whole of it.
                let receiver = &receiver.self_token;
                statements.extend(quote!(let _ = &#receiver;));
            }
            FnArg::Receiver(_) => {}
            FnArg::Typed(argument) => {
                if let Pat::Wild(_) = &*argument.pat {
                    let name = local(&format!("_argument{position}"));
                    *argument.pat = parse_quote!(#name);
                }
                let mut attributes = argument.attrs.clone();
                if may_be_used {
                    attributes.push(parse_quote! {
                    #[allow(unused_variables, reason = "an option may use it")]
                    });
                }
                argument.attrs.retain(|attribute| !attribute.path().is_ident("expect"));
                let mut bindings = Bindings { attributes, statements: &mut statements };
                bindings.visit_pat_mut(&mut argument.pat);
            }
        }
    }
    statements
}

/// Of one argument, each name of its pattern.
struct Bindings<'s> {
    attributes: Vec<Attribute>,
    statements: &'s mut TokenStream,
}

impl VisitMut for Bindings<'_> {
    fn visit_pat_ident_mut(&mut self, pattern: &mut PatIdent) {
        let mutability = match pattern.by_ref {
            Some(_) => None,
            None => pattern.mutability.take(),
        };
        let (attributes, name) = (&self.attributes, &pattern.ident);
        self.statements.extend(quote!(#(#attributes)* let #mutability #name = #name;));
        visit_mut::visit_pat_ident_mut(self, pattern);
    }
}

struct Parts {
    private: TokenStream,
    /// Statements that leave a `Timer` or a reference to one in `timer`.
    find_timer: TokenStream,
    /// An expression that borrows it.
    borrow_timer: TokenStream,
    threshold: TokenStream,
    /// The type in the body: what is hidden behind `impl` in the signature is for the compiler to find.
    output: Option<Type>,
    bind_again: TokenStream,
}

impl Parts {
    fn of(arguments: &Arguments, signature: &Signature, bind_again: TokenStream) -> Parts {
        let private = match &arguments.krate {
            Some(path) => quote!(#path::private),
            None => quote!(::sk_timing::private),
        };
        let timer = local("timer");
        let (find_timer, borrow_timer) = match &arguments.timer {
            // A clone, so that nothing of `self` stays borrowed while the body runs.
            Some(place) => {
                let find = quote_spanned! {Span::mixed_site()=>
                    let #timer: #private::Timer = #private::Timer::clone(&#place);
                };
                (find, quote!(&#timer))
            }
            None => {
                let name = match &arguments.name {
                    Some(name) => quote!(|| ::std::string::String::from(#name)),
                    None => quote!(|| {
                        fn marker() {}
                        #private::name_of(&marker)
                    }),
                };
                let find = quote_spanned! {Span::mixed_site()=>
                    let #timer: &'static #private::Timer = {
                        // In a block of its own: the hygiene of macros does not cover items.
                        static SITE: #private::Site = #private::Site::new();
                        SITE.timer(#name)
                    };
                };
                (find, quote!(#timer))
            }
        };
        let threshold = match &arguments.threshold {
            Some(threshold) => quote!(#threshold),
            None => quote!(::core::time::Duration::ZERO),
        };
        let output = match &signature.output {
            ReturnType::Default => None,
            ReturnType::Type(_, output) => {
                let mut output = (**output).clone();
                HideImpl.visit_type_mut(&mut output);
                Some(output)
            }
        };
        Parts { private, find_timer, borrow_timer, threshold, output, bind_again }
    }

    fn of_infallible(&self, body: &Block) -> TokenStream {
        let Parts { private, find_timer, borrow_timer, threshold, .. } = self;
        let guard = local("_guard");
        let statements = &body.stmts;
        quote! {
            #find_timer
            let #guard = #private::TimeThis::start(#borrow_timer).threshold(#threshold);
            #(#statements)*
        }
    }

    fn of_fallible(&self, body: &Block) -> TokenStream {
        let Parts { private, find_timer, borrow_timer, threshold, output, bind_again } = self;
        let (guard, returned) = (local("guard"), local("returned"));
        let output = output.as_ref().map(|output| quote!(-> #output));
        let is_failure = self.is_failure(&returned);
        quote! {
            #find_timer
            let #guard = #private::TimeThis::start(#borrow_timer).threshold(#threshold);
            let #returned = #private::call(move || #output {
                #bind_again
                // What an arm leaves for the end of its expression goes before the arguments, as
                // in a function, in every edition.
                match () {
                    () => #body
                }
            });
            #private::end(#guard, #is_failure);
            #returned
        }
    }

    fn of_async(&self, body: &Block, may_fail: bool) -> TokenStream {
        let Parts { private, find_timer, borrow_timer, threshold, output, bind_again } = self;
        let (polled, returned, nothing) = (local("polled"), local("returned"), local("nothing"));
        // An async block cannot be told its type; a return that is never reached tells it.
        let type_of_body = match output {
            Some(Type::Never(_)) | None => TokenStream::new(),
            Some(output) => quote! {
                if let ::core::option::Option::Some(#nothing) = #private::nothing::<#output>() {
                    return #nothing;
                }
            },
        };
        let is_failure = if may_fail { self.is_failure(&returned) } else { quote!(false) };
        quote! {
            #find_timer
            let (#polled, #returned) = #private::poll(#borrow_timer, #threshold, async move {
                #type_of_body
                #bind_again
                match () {
                    () => #body
                }
            })
            .await;
            #polled.end(#is_failure);
            #returned
        }
    }

    fn is_failure(&self, returned: &Ident) -> TokenStream {
        let private = &self.private;
        quote! {{
            #[allow(unused_imports, reason = "which one is used depends on the type")]
            use #private::{MayFail as _, NeverFails as _};
            (&#private::Returned(&#returned)).is_failure()
        }}
    }
}

fn local(name: &str) -> Ident {
    Ident::new(name, Span::mixed_site())
}

/// Puts `_` where a type says `impl Trait`.
struct HideImpl;

impl VisitMut for HideImpl {
    fn visit_type_mut(&mut self, part: &mut Type) {
        if matches!(part, Type::ImplTrait(_)) {
            *part = parse_quote!(_);
        } else {
            visit_mut::visit_type_mut(self, part);
        }
    }
}
