//! What is written beside a function.

use proc_macro2::{Ident, TokenStream};
use quote::{ToTokens as _, format_ident, quote, quote_spanned};
use syn::ext::IdentExt as _;
use syn::spanned::Spanned as _;
use syn::{Error, ItemFn, Path, Result, Visibility, parse_quote};

use crate::binding::binding;
use crate::options::{Options, Repeat, Timeout};
use crate::signature::{Kind, Parameter, Signature};

/// A function and all that is known of it.
pub(crate) struct Declared {
    pub(crate) item: ItemFn,
    pub(crate) signature: Signature,
    pub(crate) options: Options,
    /// The module of the root crate that expansions name.
    pub(crate) private: Path,
}

/// The attribute of the layer whose crate is `root`.
pub(crate) fn function(root: &str, options: TokenStream, item: TokenStream) -> TokenStream {
    let written = item.clone();
    match declared(root, options, item) {
        Ok(declared) => declared.expand(),
        Err(error) => {
            // The function stays, so that those who call it are not told of a second mistake.
            let error = error.into_compile_error();
            quote! { #error #written }
        }
    }
}

fn declared(root: &str, options: TokenStream, item: TokenStream) -> Result<Declared> {
    let written = item.clone();
    let item: ItemFn = syn::parse2(item).map_err(|_| {
        Error::new_spanned(written, "#[function] is for free functions: there is none here")
    })?;
    let options: Options = syn::parse2(options)?;
    let signature = Signature::of(&item)?;
    if let Some(autoreg) = &options.autoreg
        && item.sig.constness.is_some()
    {
        return Err(Error::new(autoreg.span, "a const fn cannot register itself"));
    }
    if let (Some(_), Kind::Iterator | Kind::Stream) = (&options.timeout, signature.kind) {
        return Err(Error::new_spanned(
            &item.sig.ident,
            "a function that gives many values has no timeout: who takes them decides how long to wait",
        ));
    }
    let root: Path = match &options.root {
        Some(path) => path.clone(),
        None => {
            let root = format_ident!("{root}");
            parse_quote!(::#root)
        }
    };
    Ok(Declared { item, signature, options, private: parse_quote!(#root::private) })
}

impl Declared {
    /// The name of the function and of the type beside it.
    pub(crate) fn ident(&self) -> &Ident {
        &self.item.sig.ident
    }

    /// The module that hides the type, so that a module of the function's name is not an error by
    /// itself but is explained.
    fn hidden(&self) -> Ident {
        format_ident!("__sk_function_{}", self.ident().unraw())
    }

    /// The path of the type.
    pub(crate) fn this(&self) -> TokenStream {
        let (hidden, ident) = (self.hidden(), self.ident());
        quote! { #hidden::#ident }
    }

    fn expand(&self) -> TokenStream {
        let Declared { private, .. } = self;
        let (hidden, ident, this) = (self.hidden(), self.ident(), self.this());
        let visibility = &self.item.vis;
        let hidden_visibility = one_module_deeper(visibility);
        let function = self.function();
        let checks = self.checks();
        let declaration = self.declaration();
        let start = self.start();
        let callable = self.callable();
        let binding = binding(self);
        let beside = self.beside();
        let hides = format_ident!(
            "the_type_or_module_{}_hides_what_binds_the_function_{}_so_rename_one_of_them",
            ident.unraw(),
            ident.unraw()
        );
        let check = quote_spanned! { ident.span() => #ident::#hides };
        quote! {
            #function

            #[doc(hidden)]
            #[allow(non_camel_case_types, non_snake_case, reason = "it has the name of its function")]
            mod #hidden {
                #[derive(Clone, Copy)]
                #hidden_visibility struct #ident {}
            }
            #[doc(hidden)]
            #[allow(unused_imports, reason = "a function may be found by its name alone")]
            #visibility use #hidden::*;

            #[allow(
                non_camel_case_types, non_snake_case, deprecated, dead_code, unused_variables,
                unused_qualifications,
                unreachable_pub, missing_docs, clippy::all, clippy::pedantic,
                reason = "it is written by a macro"
            )]
            const _: () = {
                #checks
                #declaration
                #start
                #callable
                #binding
                #beside

                impl #this {
                    const fn #hides() {}
                }
                const _: fn() = || #check();

                #[used]
                static __ENTRY: fn() = #private::declare::<#this>;
            };
        }
    }

    /// The function as it was written, or registering itself first.
    fn function(&self) -> TokenStream {
        let Declared { item, private, .. } = self;
        let Some(autoreg) = &self.options.autoreg else { return quote! { #item } };
        let this = self.this();
        let name = match &autoreg.name {
            Some(name) => name.value(),
            None => self.ident().unraw().to_string(),
        };
        let mut item = item.clone();
        let body = &item.block;
        item.block = parse_quote!({
            {
                static __ONCE: ::std::sync::Once = ::std::sync::Once::new();
                #private::name_at_first_call(&__ONCE, #name, #this::declaration());
            }
            #body
        });
        quote! { #item }
    }

    /// Comes first, so that what is wrong with the type of a parameter is told as that.
    fn checks(&self) -> TokenStream {
        let checks = self.signature.parameters.iter().map(|Parameter { ident, ty }| {
            // Every token stands where the type does, or the compiler would show the attribute.
            let private = self.private.to_token_stream().into_iter().map(|mut token| {
                token.set_span(ty.span().resolved_at(token.span()));
                token
            });
            let private: TokenStream = private.collect();
            quote_spanned! { ty.span() => #ident: #private::Checked<#ty> }
        });
        quote! { fn __arguments(#(#checks),*) {} }
    }

    /// What is written down of it.
    fn declaration(&self) -> TokenStream {
        let Declared { private, signature, options, .. } = self;
        let (ident, this) = (self.ident(), self.this());
        let path = match &options.name {
            Some(name) => quote! { #name },
            None => {
                let name = ident.unraw().to_string();
                quote! { ::core::concat!(::core::module_path!(), "::", #name) }
            }
        };
        let arity = signature.parameters.len();
        let parameters = signature.parameters.iter().map(|parameter| {
            let (name, ty) = (parameter.name(), &parameter.ty);
            quote! { #private::Parameter::new::<#ty>(#name) }
        });
        let output = &signature.output;
        let repeat = match options.repeat {
            Repeat::Idempotent => quote! { Idempotent },
            Repeat::Never => quote! { Never },
            Repeat::Undeclared => quote! { Undeclared },
        };
        let blocking = match &options.blocking {
            Some(calls) => quote! { ::core::option::Option::Some(&[#(#calls),*]) },
            None => quote! { ::core::option::Option::None },
        };
        let timeout = match &options.timeout {
            None => quote! { ::core::option::Option::None },
            Some(Timeout::Expression(limit)) => quote! { ::core::option::Option::Some(#limit) },
            Some(Timeout::Text(limit)) => {
                let (seconds, nanos) = (limit.as_secs(), limit.subsec_nanos());
                quote! { ::core::option::Option::Some(#private::Duration::new(#seconds, #nanos)) }
            }
        };
        let kind = match signature.kind {
            Kind::Sync => quote! { Sync },
            Kind::Async => quote! { Async },
            Kind::Iterator => quote! { Iterator },
            Kind::Stream => quote! { Stream },
        };
        quote! {
            const __WRITTEN: &str = #path;
            const __PATH: [u8; #private::dotted_length(__WRITTEN)] = #private::dotted(__WRITTEN);

            impl #private::Declared for #this {
                const ARITY: usize = #arity;
                const START: #private::Start = #private::Start::#kind(__start);

                fn declaration() -> &'static #private::Declaration {
                    static __DECLARATION: ::std::sync::OnceLock<#private::Declaration> =
                        ::std::sync::OnceLock::new();
                    #private::made_once(&__DECLARATION, __declaration)
                }
            }

            fn __declaration() -> #private::Declaration {
                #private::Declaration::new(#private::Parts {
                        path: #private::text(&__PATH),
                        package: ::core::env!("CARGO_PKG_NAME"),
                        version: ::core::env!("CARGO_PKG_VERSION"),
                        file: ::core::file!(),
                        line: ::core::line!(),
                        binary: ::core::option_env!("CARGO_BIN_NAME"),
                        parameters: ::std::boxed::Box::new([#(#parameters),*]),
                        returns: #private::type_name::<#output>,
                        repeat: #private::Repeat::#repeat,
                        blocking: #blocking,
                        timeout: #timeout,
                        function: #private::type_id_of(&#ident),
                        start: <#this as #private::Declared>::START,
                })
            }
        }
    }

    /// Calls the function with its [`names`](Declared::names).
    fn call(&self) -> TokenStream {
        let Declared { private, signature, .. } = self;
        let ident = self.ident();
        let names = self.locals();
        match (signature.takes_context, signature.kind) {
            (false, _) => quote! { #ident(#(#names),*) },
            (true, Kind::Async) => {
                quote! { { let __context = #private::context(); async move { #ident(&__context, #(#names),*).await } } }
            }
            (true, _) => quote! { #ident(&#private::context(), #(#names),*) },
        }
    }

    /// The tuple of the parameters' types.
    pub(crate) fn arguments(&self) -> TokenStream {
        let types = self.signature.parameters.iter().map(|parameter| &parameter.ty);
        quote! { (#(#types,)*) }
    }

    /// The tuple of the locals that hold the arguments.
    fn names(&self) -> TokenStream {
        let names = self.locals();
        quote! { (#(#names,)*) }
    }

    /// The locals that hold the arguments. They are not the parameters' own names: one of these may
    /// be that of the function.
    fn locals(&self) -> impl Iterator<Item = Ident> + use<> {
        (0..self.signature.parameters.len()).map(|at| format_ident!("__argument_{at}"))
    }

    /// What starts it for those who do not know its types.
    fn start(&self) -> TokenStream {
        let Declared { private, signature, .. } = self;
        let (arguments, names, call) = (self.arguments(), self.names(), self.call());
        let output = &signature.output;
        let answer = quote! { ::std::boxed::Box<dyn #private::Answer> };
        let result = |ok: TokenStream| quote! { ::core::result::Result<#ok, #private::Failure> };
        let read = quote! { let #names = __input.read::<#arguments>()?; };
        let start = match signature.kind {
            Kind::Sync => {
                let ends = result(quote! { () });
                quote! {
                    fn __start(
                        __input: #private::Input<'_>,
                        __output: #private::Output<'_>,
                    ) -> #ends {
                        #read
                        __output.answer(__told(#call))
                    }
                }
            }
            Kind::Async => {
                let ends = result(quote! { #private::BoxFuture });
                quote! {
                    fn __start(__input: #private::Input<'_>) -> #ends {
                        #read
                        let __future = #call;
                        ::core::result::Result::Ok(::std::boxed::Box::pin(async move {
                            __told(__future.await)
                        }))
                    }
                }
            }
            Kind::Iterator => {
                let ends = result(quote! { #private::BoxIterator });
                quote! {
                    fn __start(__input: #private::Input<'_>) -> #ends {
                        #read
                        ::core::result::Result::Ok(::std::boxed::Box::new(
                            ::core::iter::Iterator::map(#call, __told),
                        ))
                    }
                }
            }
            Kind::Stream => {
                let ends = result(quote! { #private::BoxStream });
                quote! {
                    fn __start(__input: #private::Input<'_>) -> #ends {
                        #read
                        ::core::result::Result::Ok(#private::told_stream(#call, __told))
                    }
                }
            }
        };
        quote! {
            fn __told(__value: #output) -> #answer {
                use #private::{Encodes as _, EncodesNot as _, Tries as _, TriesNot as _};
                let __probe = &#private::Probe::<#output>::new();
                #private::told(__value, __probe.encoder(), __probe.trier())
            }
            #start
        }
    }

    /// The type beside it, as what can be called with a tuple.
    fn callable(&self) -> TokenStream {
        let Declared { private, signature, .. } = self;
        let (this, arguments, names, call) =
            (self.this(), self.arguments(), self.names(), self.call());
        let output = &signature.output;
        let declaration = quote! {
            fn declaration(&self) -> ::core::option::Option<&'static #private::Declaration> {
                ::core::option::Option::Some(<Self as #private::Declared>::declaration())
            }
        };
        match signature.kind {
            Kind::Sync => quote! {
                impl #private::Callable<#arguments> for #this {
                    type Output = #output;
                    #[inline]
                    fn call(&self, #names: #arguments) -> #output {
                        #call
                    }
                    #declaration
                }
            },
            Kind::Async => quote! {
                impl #private::AsyncCallable<#arguments> for #this {
                    type Output = #output;
                    fn call(
                        &self,
                        #names: #arguments,
                    ) -> impl ::core::future::Future<Output = #output>
                           + ::core::marker::Send + 'static + use<> {
                        #call
                    }
                    #declaration
                }
            },
            Kind::Iterator | Kind::Stream => TokenStream::new(),
        }
    }

    /// What the type beside it offers.
    fn beside(&self) -> TokenStream {
        let Declared { private, .. } = self;
        let this = self.this();
        let visibility = &self.item.vis;
        quote! {
            impl #this {
                /// What was written down of it.
                #visibility fn declaration() -> &'static #private::Declaration {
                    <Self as #private::Declared>::declaration()
                }

                /// It, as a value that finds its arguments by name.
                #visibility fn function() -> #private::Function {
                    #private::Function::declared(Self::declaration())
                }
            }
        }
    }
}

/// What is as visible from a module within as this is from here. The type may be no more visible
/// than its function, since a private function may return a private type.
fn one_module_deeper(visibility: &Visibility) -> Visibility {
    match visibility {
        Visibility::Inherited => parse_quote!(pub(super)),
        Visibility::Restricted(restricted) => {
            let path = &restricted.path;
            if path.is_ident("self") {
                parse_quote!(pub(super))
            } else if path.segments.first().is_some_and(|first| first.ident == "super") {
                parse_quote!(pub(in super::#path))
            } else {
                visibility.clone()
            }
        }
        Visibility::Public(_) => visibility.clone(),
    }
}
