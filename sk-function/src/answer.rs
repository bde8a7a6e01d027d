//! What a function returned, when its type is known to it alone.

use std::any::{Any, type_name};
use std::marker::PhantomData;

use serde::Serialize;
use sk_cereal::internal;

use crate::outcome::{BoxError, Failure};

/// What a function returned: told on in bytes, or taken out by who knows its type.
#[doc(hidden)]
pub trait Answer: Send {
    /// Appends it in [`internal`] bytes.
    fn append(&self, bytes: &mut Vec<u8>) -> Result<(), Failure>;

    /// The name of its type.
    fn type_name(&self) -> &'static str;

    /// Itself.
    fn into_any(self: Box<Self>) -> Box<dyn Any + Send>;

    /// The value of a `Result`, or its error as a failure; `None` if it is no `Result`.
    fn tried(self: Box<Self>) -> Option<Result<Box<dyn Any + Send>, Failure>>;
}

struct Told<T> {
    value: T,
    encoder: Option<Encoder<T>>,
    trier: Option<Trier<T>>,
}

pub(crate) type Encoder<T> = fn(&T, &mut Vec<u8>) -> Result<(), Failure>;
pub(crate) type Trier<T> = fn(T) -> Result<Box<dyn Any + Send>, Failure>;

impl<T: Send + 'static> Answer for Told<T> {
    fn append(&self, bytes: &mut Vec<u8>) -> Result<(), Failure> {
        match self.encoder {
            Some(encode) => encode(&self.value, bytes),
            None => Err(Failure::error(&NotEncodable(type_name::<T>()))),
        }
    }

    fn type_name(&self) -> &'static str {
        type_name::<T>()
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any + Send> {
        Box::new(self.value)
    }

    fn tried(self: Box<Self>) -> Option<Result<Box<dyn Any + Send>, Failure>> {
        self.trier.map(|split| split(self.value))
    }
}

#[derive(Debug)]
struct NotEncodable(&'static str);

impl std::fmt::Display for NotEncodable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} does not implement Serialize, so it cannot leave this process", self.0)
    }
}

impl std::error::Error for NotEncodable {}

/// A returned value whose type is known to be encodable.
pub(crate) fn encodable<T: Serialize + Send + 'static>(value: T) -> Box<dyn Answer> {
    Box::new(Told { value, encoder: Some(encode::<T>), trier: None })
}

fn encode<T: Serialize>(value: &T, bytes: &mut Vec<u8>) -> Result<(), Failure> {
    internal::append(value, bytes).map_err(|error| Failure::error(&error))
}

/// Asks a type that the macro knows by name what it can do.
///
/// `(&Probe::<T>::new()).encoder()` finds the method of [`Encodes`] where `T` has what that needs,
/// since it is found without a reference more, and that of [`EncodesNot`] elsewhere.
#[doc(hidden)]
pub struct Probe<T>(PhantomData<T>);

impl<T> Probe<T> {
    #[expect(clippy::new_without_default, reason = "the macro writes it, nobody else")]
    pub const fn new() -> Self {
        Probe(PhantomData)
    }
}

#[doc(hidden)]
pub trait Encodes<T> {
    fn encoder(&self) -> Option<Encoder<T>>;
}

impl<T: Serialize> Encodes<T> for Probe<T> {
    fn encoder(&self) -> Option<Encoder<T>> {
        Some(encode::<T>)
    }
}

#[doc(hidden)]
pub trait EncodesNot<T> {
    fn encoder(&self) -> Option<Encoder<T>>;
}

impl<T> EncodesNot<T> for &Probe<T> {
    fn encoder(&self) -> Option<Encoder<T>> {
        None
    }
}

#[doc(hidden)]
pub trait Tries<T> {
    fn trier(&self) -> Option<Trier<T>>;
}

impl<T: Send + 'static, E: Into<BoxError> + 'static> Tries<Result<T, E>> for Probe<Result<T, E>> {
    fn trier(&self) -> Option<Trier<Result<T, E>>> {
        Some(|result| match result {
            Ok(value) => Ok(Box::new(value)),
            Err(error) => Err(Failure::from(error.into()).with_error_type::<E>()),
        })
    }
}

#[doc(hidden)]
pub trait TriesNot<T> {
    fn trier(&self) -> Option<Trier<T>>;
}

impl<T> TriesNot<T> for &Probe<T> {
    fn trier(&self) -> Option<Trier<T>> {
        None
    }
}

/// What the macro makes of a returned value.
#[doc(hidden)]
pub fn told<T: Send + 'static>(
    value: T,
    encoder: Option<Encoder<T>>,
    trier: Option<Trier<T>>,
) -> Box<dyn Answer> {
    Box::new(Told { value, encoder, trier })
}
