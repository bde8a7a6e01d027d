//! What can be called with a tuple of arguments.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;

use serde::de::{Error as _, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::declaration::Declaration;

/// A function or closure, by the tuple of its arguments: `(f64, f64)` for `fn(f64, f64) -> f64`.
///
/// Implemented for everything that implements `Fn` with up to twelve arguments, and for what stands
/// beside a function that is declared with [`#[function]`](macro@crate::function).
///
/// ```
/// use sk_function::Callable;
///
/// fn area(width: f64, height: f64) -> f64 {
///     width * height
/// }
/// assert_eq!(area.call((2.0, 3.0)), 6.0);
/// ```
pub trait Callable<A: Arguments> {
    /// What it returns.
    type Output;

    /// Calls it.
    fn call(&self, arguments: A) -> Self::Output;

    /// What it was declared as, where its type says so.
    #[doc(hidden)]
    fn declaration(&self) -> Option<&'static Declaration> {
        None
    }
}

/// An async function or closure, by the tuple of its arguments.
///
/// Implemented for everything that implements `Fn` and returns a future that is `Send`, with up to
/// twelve arguments, and for what stands beside an async function that is declared with
/// [`#[function]`](macro@crate::function).
pub trait AsyncCallable<A: Arguments> {
    /// What its future gives.
    type Output;

    /// Calls it. Nothing runs before the future is polled.
    fn call(
        &self,
        arguments: A,
    ) -> impl Future<Output = Self::Output> + Send + 'static + use<Self, A>;

    /// What it was declared as, where its type says so.
    #[doc(hidden)]
    fn declaration(&self) -> Option<&'static Declaration> {
        None
    }
}

/// A tuple of arguments: `()`, `(A,)`, `(A, B)` and so on, up to twelve.
pub trait Arguments: sealed::Sealed {
    /// How many there are.
    const COUNT: usize;
}

/// Reads elements of which there can be no more than there are arguments: one more is an error
/// before it takes memory.
pub(crate) fn few<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Vec<T>, D::Error> {
    struct Few<T>(PhantomData<T>);

    impl<'de, T: Deserialize<'de>> Visitor<'de> for Few<T> {
        type Value = Vec<T>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "at most {MOST} arguments")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Vec<T>, A::Error> {
            let mut few = Vec::new();
            while let Some(element) = elements.next_element()? {
                if few.len() == MOST {
                    return Err(A::Error::invalid_length(MOST + 1, &self));
                }
                few.push(element);
            }
            Ok(few)
        }
    }

    deserializer.deserialize_seq(Few(PhantomData))
}

/// Arguments at most.
const MOST: usize = 12;

mod sealed {
    pub trait Sealed {}
}

macro_rules! callable {
    ($count:literal: $($Argument:ident $argument:ident),*) => {
        impl<$($Argument),*> sealed::Sealed for ($($Argument,)*) {}

        impl<$($Argument),*> Arguments for ($($Argument,)*) {
            const COUNT: usize = $count;
        }

        impl<Function, Output, $($Argument),*> Callable<($($Argument,)*)> for Function
        where
            Function: Fn($($Argument),*) -> Output,
        {
            type Output = Output;

            #[inline]
            fn call(&self, ($($argument,)*): ($($Argument,)*)) -> Output {
                self($($argument),*)
            }
        }

        impl<Function, Running, $($Argument),*> AsyncCallable<($($Argument,)*)> for Function
        where
            Function: Fn($($Argument),*) -> Running,
            Running: Future + Send + 'static,
        {
            type Output = Running::Output;

            #[inline]
            fn call(
                &self,
                ($($argument,)*): ($($Argument,)*),
            ) -> impl Future<Output = Running::Output> + Send + 'static
            + use<Function, Running, $($Argument),*> {
                self($($argument),*)
            }
        }
    };
}

callable! { 0: }
callable! { 1: A a }
callable! { 2: A a, B b }
callable! { 3: A a, B b, C c }
callable! { 4: A a, B b, C c, D d }
callable! { 5: A a, B b, C c, D d, E e }
callable! { 6: A a, B b, C c, D d, E e, F f }
callable! { 7: A a, B b, C c, D d, E e, F f, G g }
callable! { 8: A a, B b, C c, D d, E e, F f, G g, H h }
callable! { 9: A a, B b, C c, D d, E e, F f, G g, H h, I i }
callable! { 10: A a, B b, C c, D d, E e, F f, G g, H h, I i, J j }
callable! { 11: A a, B b, C c, D d, E e, F f, G g, H h, I i, J j, K k }
callable! { 12: A a, B b, C c, D d, E e, F f, G g, H h, I i, J j, K k, L l }
