//! The new body of a timed function.
//!
//! Names are hygienic (`mixed_site`), so the user's code cannot meet them; everything else is reached
//! by absolute paths into `sk_timing::private`.

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::visit_mut::{self, VisitMut};
use syn::{Block, Ident, ReturnType, Signature, Type, parse_quote};

use crate::arguments::Arguments;

pub(crate) fn timed(
    arguments: &Arguments,
    signature: &Signature,
    body: &Block,
    may_fail: bool,
) -> TokenStream {
    let parts = Parts::of(arguments, signature);
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

struct Parts {
    private: TokenStream,
    /// Statements that leave a `Timer` or a reference to one in `timer`.
    find_timer: TokenStream,
    /// An expression that borrows it.
    borrow_timer: TokenStream,
    threshold: TokenStream,
    /// The type in the body: what is hidden behind `impl` in the signature is for the compiler to find.
    output: Option<Type>,
}

impl Parts {
    fn of(arguments: &Arguments, signature: &Signature) -> Parts {
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
        Parts { private, find_timer, borrow_timer, threshold, output }
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
        let Parts { private, find_timer, borrow_timer, threshold, output } = self;
        let (guard, returned) = (local("guard"), local("returned"));
        let output = output.as_ref().map(|output| quote!(-> #output));
        let is_failure = self.is_failure(&returned);
        quote! {
            #find_timer
            let #guard = #private::TimeThis::start(#borrow_timer).threshold(#threshold);
            let #returned = #private::call(|| #output #body);
            #private::end(#guard, #is_failure);
            #returned
        }
    }

    fn of_async(&self, body: &Block, may_fail: bool) -> TokenStream {
        let Parts { private, find_timer, borrow_timer, threshold, output } = self;
        let (polled, returned, nothing) = (local("polled"), local("returned"), local("nothing"));
        let statements = &body.stmts;
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
                #(#statements)*
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
