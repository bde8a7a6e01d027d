//! What binds arguments by name.
//!
//! Each parameter is a type parameter of the binding, `Missing` or `Given`. Traits of their own say
//! which is needed where, since only a trait can carry our text to the compiler.
//!
//! What is written stands beside the types of the function's parameters, which may have any name: so
//! every item here begins with two underscores.

use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote};
use syn::Type;
use syn::ext::IdentExt as _;

use crate::expand::Declared;
use crate::signature::Kind;

/// Methods of what is bound. A parameter of such a name is bound by `with_…`.
const VERBS: [&str; 15] = [
    "attempt_timeout",
    "bound",
    "clone",
    "execute",
    "function",
    "iterate",
    "operation",
    "register",
    "register_and_execute",
    "retry",
    "stream",
    "timeout",
    "try_execute",
    "try_operation",
    "with_id",
];

/// A parameter as the binding sees it.
struct Bindable<'a> {
    ident: &'a Ident,
    ty: &'a Type,
    name: String,
    /// Its type parameter, `Missing` or `Given`.
    state: Ident,
    /// The trait of a state that has no argument.
    free: Ident,
    /// The trait of a state that has one.
    given: Ident,
}

pub(crate) fn binding(declared: &Declared) -> TokenStream {
    let Declared { private, signature, .. } = declared;
    let parameters: Vec<_> = signature
        .parameters
        .iter()
        .enumerate()
        .map(|(at, parameter)| Bindable {
            ident: &parameter.ident,
            ty: &parameter.ty,
            name: parameter.name(),
            state: format_ident!("__P{at}"),
            free: format_ident!("__Free{at}"),
            given: format_ident!("__Given{at}"),
        })
        .collect();
    let function = declared.ident().unraw().to_string();
    let visibility = &declared.item.vis;
    let this = declared.this();
    let states: Vec<_> = parameters.iter().map(|parameter| &parameter.state).collect();
    let missing: Vec<_> = parameters.iter().map(|_| quote! { #private::Missing }).collect();
    let slots: Vec<_> = (0..parameters.len()).map(|at| format_ident!("slot_{at}")).collect();

    let traits = parameters.iter().map(|parameter| traits(declared, parameter, &function));
    let slot_setters = parameters
        .iter()
        .enumerate()
        .map(|(at, parameter)| slot_setter(declared, &parameters, &slots, at, parameter));
    let (beyond_trait, beyond_setter) = beyond(&parameters, &function);
    let bind_setters = parameters
        .iter()
        .enumerate()
        .map(|(at, parameter)| bind_setter(declared, &parameters, at, parameter));
    let all_given: Vec<_> =
        parameters.iter().map(|Bindable { state, given, .. }| quote! { #state: #given }).collect();
    let any: Vec<_> = states.iter().map(|state| quote! { #state: #private::Slot }).collect();
    let output = &signature.output;
    let to_slots: Vec<_> =
        slots.iter().map(|slot| quote! { &self.slots.#slot as &dyn #private::Slot }).collect();
    let own_slots: Vec<_> =
        slots.iter().map(|slot| quote! { &self.#slot as &dyn #private::Slot }).collect();
    let verbs = verbs(declared, &parameters, &slots);
    let clones: Vec<_> =
        states.iter().map(|state| quote! { #state: ::core::clone::Clone }).collect();

    quote! {
        #(#traits)*
        #beyond_trait

        /// Arguments, as far as they are given.
        #[derive(Clone)]
        pub struct __Slots<#(#states),*> {
            #(#slots: #states,)*
            positional: usize,
        }

        /// The function with the arguments that were bound so far.
        #[must_use = "a bound function does nothing until it is executed"]
        pub struct __Bind<#(#states = #missing),*> {
            slots: __Slots<#(#states),*>,
            modifiers: #private::Modifiers,
        }

        impl<#(#clones),*> ::core::clone::Clone for __Bind<#(#states),*> {
            fn clone(&self) -> Self {
                __Bind {
                    slots: ::core::clone::Clone::clone(&self.slots),
                    modifiers: ::core::clone::Clone::clone(&self.modifiers),
                }
            }
        }

        impl #this {
            /// It, without arguments, which are bound by name in any order.
            #visibility fn bind() -> __Bind {
                __Bind { slots: Self::__slots(), modifiers: ::core::default::Default::default() }
            }

            #[doc(hidden)]
            #visibility fn __slots() -> __Slots<#(#missing),*> {
                __Slots { #(#slots: #private::Missing,)* positional: 0 }
            }
        }

        impl<#(#states),*> __Slots<#(#states),*> {
            #(#slot_setters)*
            #beyond_setter
        }

        impl<#(#any),*> __Slots<#(#states),*> {
            #[doc(hidden)]
            pub fn __magic(self) -> #private::Magic<#output>
            where
                #(#all_given),*
            {
                #private::magic(#this::declaration(), self.positional, &[#(#own_slots),*])
            }
        }

        impl<#(#states),*> __Bind<#(#states),*> {
            #(#bind_setters)*

            /// Repeats the call by this policy when it fails.
            pub fn retry(mut self, policy: #private::Retry) -> Self {
                self.modifiers.retry(policy);
                self
            }

            /// Bounds the whole call.
            pub fn timeout(mut self, limit: #private::Duration) -> Self {
                self.modifiers.timeout(limit);
                self
            }

            /// Bounds each attempt.
            pub fn attempt_timeout(mut self, limit: #private::Duration) -> Self {
                self.modifiers.attempt_timeout(limit);
                self
            }

            /// With this id for its execution.
            pub fn with_id(mut self, id: #private::CallId) -> Self {
                self.modifiers.id(id);
                self
            }
        }

        impl<#(#any),*> __Bind<#(#states),*> {
            /// The same as a value whose types only it knows, with the arguments given so far.
            ///
            /// # Errors
            /// An argument cannot be encoded.
            pub fn function(
                self,
            ) -> ::core::result::Result<#private::Function, #private::ArgumentError> {
                #private::bound_so_far(#this::declaration(), self.modifiers, &[#(#to_slots),*])
            }

            /// Gives it this name, with the arguments given so far.
            ///
            /// # Errors
            /// The name cannot be given, or an argument cannot be encoded.
            pub fn register(
                self,
                name: &str,
            ) -> ::core::result::Result<(), #private::BoxError> {
                ::core::result::Result::Ok(self.function()?.register(name)?)
            }
        }

        #verbs
    }
}

/// What says, of one parameter, whether it has its argument.
fn traits(declared: &Declared, parameter: &Bindable<'_>, function: &str) -> TokenStream {
    let private = &declared.private;
    let Bindable { ty, name, free, given, .. } = parameter;
    let twice = format!("argument `{name}` of `{function}` is given twice");
    let missing = format!("argument `{name}` of `{function}` is missing");
    let how = format!("bind it with `.{}(…)`", setter_name(name));
    quote! {
        #[diagnostic::on_unimplemented(message = #twice, label = "it has its argument already")]
        pub trait #free {}
        impl #free for #private::Missing {}

        #[diagnostic::on_unimplemented(message = #missing, label = #how)]
        pub trait #given: #private::Slot {
            fn take(self) -> #ty;
        }
        impl #given for #private::Given<#ty> {
            #[inline]
            fn take(self) -> #ty {
                self.0
            }
        }
    }
}

/// What tells a call with more arguments than there are parameters how many those are: a trait that
/// no type has, and the setter of the first position beyond.
fn beyond(parameters: &[Bindable<'_>], function: &str) -> (TokenStream, TokenStream) {
    let position = format_ident!("__argument_{}", parameters.len() + 1);
    let takes = match parameters.len() {
        0 => format!("`{function}` takes no arguments"),
        1 => format!("`{function}` takes 1 argument, and here are more"),
        several => format!("`{function}` takes {several} arguments, and here are more"),
    };
    let beyond = quote! {
        #[diagnostic::on_unimplemented(message = #takes, label = "one argument too many")]
        pub trait Beyond {}
    };
    let setter = quote! {
        #[doc(hidden)]
        pub fn #position<T: Beyond>(self, _: T) -> Self {
            self
        }
    };
    (beyond, setter)
}

/// The setter of a parameter, by name and by position, for `magic!`.
fn slot_setter(
    declared: &Declared,
    parameters: &[Bindable<'_>],
    slots: &[Ident],
    at: usize,
    parameter: &Bindable<'_>,
) -> TokenStream {
    let private = &declared.private;
    let Bindable { ident, ty, state, free, .. } = parameter;
    let states = states_with(declared, parameters, at);
    let position = format_ident!("__argument_{}", at + 1);
    let own = slots.get(at);
    let others: Vec<_> =
        slots.iter().enumerate().filter(|(other, _)| *other != at).map(|(_, slot)| slot).collect();
    quote! {
        #[inline]
        pub fn #ident(self, #ident: #ty) -> __Slots<#(#states),*>
        where
            #state: #free,
        {
            __Slots {
                #own: #private::Given(#ident),
                #(#others: self.#others,)*
                positional: self.positional,
            }
        }

        #[doc(hidden)]
        pub fn #position(mut self, argument: #ty) -> __Slots<#(#states),*>
        where
            #state: #free,
        {
            self.positional += 1;
            self.#ident(argument)
        }
    }
}

/// The setter of a parameter by name.
fn bind_setter(
    declared: &Declared,
    parameters: &[Bindable<'_>],
    at: usize,
    parameter: &Bindable<'_>,
) -> TokenStream {
    let Bindable { ident, ty, name, state, free, .. } = parameter;
    let states = states_with(declared, parameters, at);
    let setter = if VERBS.contains(&name.as_str()) {
        format_ident!("with_{name}")
    } else {
        (*ident).clone()
    };
    let doc = format!("With this argument for `{name}`.");
    quote! {
        #[doc = #doc]
        #[inline]
        pub fn #setter(self, #ident: #ty) -> __Bind<#(#states),*>
        where
            #state: #free,
        {
            __Bind { slots: self.slots.#ident(#ident), modifiers: self.modifiers }
        }
    }
}

fn setter_name(name: &str) -> String {
    if VERBS.contains(&name) { format!("with_{name}") } else { name.to_owned() }
}

/// The type parameters, with that at a place given.
fn states_with(declared: &Declared, parameters: &[Bindable<'_>], at: usize) -> Vec<TokenStream> {
    let private = &declared.private;
    let state = |(place, parameter): (usize, &Bindable<'_>)| {
        let Bindable { ty, state, .. } = parameter;
        if place == at {
            quote! { #private::Given<#ty> }
        } else {
            quote! { #state }
        }
    };
    parameters.iter().enumerate().map(state).collect()
}

/// What runs it when all arguments are given, by its kind.
fn verbs(declared: &Declared, parameters: &[Bindable<'_>], slots: &[Ident]) -> TokenStream {
    let Declared { private, signature, .. } = declared;
    let this = declared.this();
    let arguments = declared.arguments();
    let states: Vec<_> = parameters.iter().map(|parameter| &parameter.state).collect();
    let given: Vec<_> =
        parameters.iter().map(|Bindable { state, given, .. }| quote! { #state: #given }).collect();
    let taken: Vec<_> = parameters
        .iter()
        .zip(slots)
        .map(|(Bindable { given, .. }, slot)| quote! { #given::take(self.slots.#slot) })
        .collect();
    let output = &signature.output;
    let bound = quote! {
        /// The same as what is bound by position.
        #[inline]
        pub fn bound(self) -> #private::Bound<#this, #arguments>
        where
            #(#given),*
        {
            #private::Bound::declared(
                #this {},
                (#(#taken,)*),
                #this::declaration(),
                self.modifiers,
            )
        }

        /// Gives it this name, and runs it.
        ///
        /// # Errors
        /// It cannot have the name, or an argument cannot be encoded, and then it did not run; or
        /// it failed.
        pub fn register_and_execute(
            self,
            name: &str,
        ) -> ::core::result::Result<#output, #private::BoxError>
        where
            #(#given),*
        {
            let function = self.function()?;
            ::core::clone::Clone::clone(&function).register(name)?;
            ::core::result::Result::Ok(function.operation::<#output>().wait()?)
        }
    };
    let failure = quote! { #private::Failure };
    let kind = match signature.kind {
        Kind::Sync => quote! {
            #bound

            /// Runs it here and now.
            ///
            /// # Errors
            /// It panicked, or a limit has passed.
            #[inline]
            pub fn execute(self) -> ::core::result::Result<#output, #failure>
            where
                #(#given),*
            {
                self.bound().execute()
            }

            /// What waits for it.
            pub fn operation(self) -> #private::Operation<#private::Execution<#output>>
            where
                #(#given),*
            {
                self.bound().operation()
            }
        },
        Kind::Async => quote! {
            #bound

            /// What waits for it: `.await` or `.wait()`.
            pub fn execute(self) -> #private::Operation<#private::Execution<#output>>
            where
                #(#given),*
            {
                self.bound().async_operation()
            }

            /// What waits for it: `.await` or `.wait()`.
            pub fn operation(self) -> #private::Operation<#private::Execution<#output>>
            where
                #(#given),*
            {
                self.bound().async_operation()
            }
        },
        Kind::Iterator => quote! {
            /// Its values, each when it is asked for.
            ///
            /// # Errors
            /// An argument cannot be encoded, or a limit was set.
            pub fn iterate(self) -> ::core::result::Result<#private::Items<#output>, #private::BoxError>
            where
                #(#given),*
            {
                ::core::result::Result::Ok(self.function()?.iterate()?)
            }
        },
        Kind::Stream => quote! {
            /// Its values, each when its future is done.
            ///
            /// # Errors
            /// An argument cannot be encoded, or a limit was set.
            pub fn stream(
                self,
            ) -> ::core::result::Result<#private::StreamItems<#output>, #private::BoxError>
            where
                #(#given),*
            {
                ::core::result::Result::Ok(self.function()?.stream()?)
            }
        },
    };
    let any: Vec<_> = states.iter().map(|state| quote! { #state: #private::Slot }).collect();
    quote! {
        impl<#(#any),*> __Bind<#(#states),*> {
            #kind
        }
    }
}
