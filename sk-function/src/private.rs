//! What the expansion of `#[function]` names. Nothing here is public: it changes without notice.

use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::{Once, OnceLock};
use std::task::{Context as TaskContext, Poll};

use futures_core::Stream;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::context::Context;

pub use std::any::TypeId;
pub use std::any::type_name;
pub use std::time::Duration;

pub use crate::answer::{Answer, Encodes, EncodesNot, Probe, Tries, TriesNot, told};
pub use crate::any_function::marker;
pub use crate::argument_error::ArgumentError;
pub use crate::bound::Bound;
pub use crate::call::{Call, CallError, Magic};
pub use crate::callable::{AsyncCallable, Callable};
pub use crate::declaration::{
    BoxFuture, BoxIterator, BoxStream, Declaration, Input, Output, Parameter, Parts, Start,
};
pub use crate::execution::Execution;
pub use crate::function::{Function, Items, StreamItems};
pub use crate::image::{Declared, declare};
pub use crate::modifiers::Modifiers;
pub use crate::operation::Operation;
pub use crate::outcome::{BoxError, Failure};
pub use crate::registry::NameError;
pub use crate::retry::{Repeat, Retry};
pub use crate::slot::{Given, Missing, Slot};
pub use crate::{CallId, Context as CallContext};

/// The type of a function that can only be named by its value.
pub const fn type_id_of<F: 'static>(_: &F) -> TypeId {
    TypeId::of::<F>()
}

/// How long a path is with dots in place of its double colons.
pub const fn dotted_length(path: &str) -> usize {
    let bytes = path.as_bytes();
    let (mut at, mut length) = (0, 0);
    while at < bytes.len() {
        at += if is_colons(bytes, at) { 2 } else { 1 };
        length += 1;
    }
    length
}

/// A path with dots in place of its double colons.
#[expect(clippy::indexing_slicing, reason = "it runs while the program is built")]
pub const fn dotted<const LENGTH: usize>(path: &str) -> [u8; LENGTH] {
    let bytes = path.as_bytes();
    let mut dotted = [b'.'; LENGTH];
    let (mut from, mut to) = (0, 0);
    while from < bytes.len() {
        if is_colons(bytes, from) {
            from += 2;
        } else {
            dotted[to] = bytes[from];
            from += 1;
        }
        to += 1;
    }
    dotted
}

#[expect(clippy::indexing_slicing, reason = "it runs while the program is built")]
const fn is_colons(bytes: &[u8], at: usize) -> bool {
    at + 1 < bytes.len() && bytes[at] == b':' && bytes[at + 1] == b':'
}

/// The text of a dotted path.
#[expect(clippy::panic, reason = "it runs while the program is built, on a path of the compiler's")]
pub const fn text(bytes: &[u8]) -> &str {
    match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(_) => panic!("a path is UTF-8"),
    }
}

/// What was written down of a function, made at the first call. Not generic over what makes it, since
/// then each function would bring a table of pointers for the loader to relocate.
pub fn made_once(
    place: &'static OnceLock<Declaration>,
    make: fn() -> Declaration,
) -> &'static Declaration {
    place.get_or_init(make)
}

/// What a function that takes a context is given: the one in force, or a new one.
pub fn context() -> Context {
    Context::current().unwrap_or_default()
}

/// What may be an argument of a declared function. The macro asks for it before anything else, so
/// that the first error says what all the others are about.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be an argument of a #[function]",
    label = "an argument is Serialize, Deserialize, Clone, Send and 'static",
    note = "it may come from another process, and be used for several attempts"
)]
pub trait Argument: Serialize + DeserializeOwned + Clone + Send + 'static {}

#[diagnostic::do_not_recommend]
impl<T: Serialize + DeserializeOwned + Clone + Send + 'static> Argument for T {}

/// A type that may be an argument.
pub struct Checked<T: Argument>(PhantomData<T>);

/// A declared function with the arguments that were bound so far.
pub fn bound_so_far(
    declaration: &'static Declaration,
    modifiers: Modifiers,
    slots: &[&dyn Slot],
) -> Result<Function, ArgumentError> {
    let mut function = Function::declared(declaration).with_modifiers(modifiers);
    for (at, (slot, parameter)) in slots.iter().zip(declaration.parameters()).enumerate() {
        if let Some(value) = slot.to_value(parameter.name(), declaration.path())? {
            function.put(at, value);
        }
    }
    Ok(function)
}

/// The record of a call of a declared function, the first so many arguments by position.
pub fn magic<R>(
    declaration: &'static Declaration,
    positional: usize,
    slots: &[&dyn Slot],
) -> Magic<R> {
    Magic::new(Call::of(declaration, positional, slots))
}

/// Gives a function its name at its first call.
pub fn name_at_first_call(once: &Once, name: &str, declaration: &'static Declaration) {
    let mut refused = None;
    once.call_once(|| refused = Function::declared(declaration).register(name).err());
    // Not within: who listens may call the function.
    if let Some(error) = refused {
        tracing::warn!(%error, path = declaration.path(), "a function could not be named");
    }
}

/// A stream whose items are told.
pub fn told_stream<S>(stream: S, tell: fn(S::Item) -> Box<dyn Answer>) -> BoxStream
where
    S: Stream + Send + 'static,
    S::Item: 'static,
{
    struct ToldStream<S: Stream> {
        stream: Pin<Box<S>>,
        tell: fn(S::Item) -> Box<dyn Answer>,
    }
    impl<S: Stream> Stream for ToldStream<S> {
        type Item = Box<dyn Answer>;
        fn poll_next(self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Option<Self::Item>> {
            let this = self.get_mut();
            this.stream.as_mut().poll_next(cx).map(|item| item.map(this.tell))
        }
    }
    Box::pin(ToldStream { stream: Box::pin(stream), tell })
}
