//! Many plain numbers as one copy.
//!
//! serde visits each element of a `Vec<f64>` by itself, which costs three to seven times as
//! much as copying the memory, and more for vectors that have to grow meanwhile. As a field attribute or in a wrapper, plain numbers cross in one copy:
//!
//! ```
//! use serde::{Deserialize, Serialize};
//! use sk_cereal::{Bulk, internal};
//!
//! #[derive(Debug, PartialEq, Serialize, Deserialize)]
//! struct Samples {
//!     #[serde(with = "sk_cereal::bulk")]
//!     volts: Vec<f64>,
//!     // serde itself knows arrays of up to 32 elements only.
//!     #[serde(with = "sk_cereal::bulk")]
//!     window: [f32; 1024],
//!     channels: Vec<Bulk<i16>>,
//! }
//!
//! let samples = Samples {
//!     volts: vec![0.5, -0.0, 1.0e-300],
//!     window: [0.25; 1024],
//!     channels: vec![Bulk(vec![1, 2]), Bulk(vec![])],
//! };
//! let bytes = internal::to_vec(&samples)?;
//! assert_eq!(internal::from_slice::<Samples>(&bytes)?, samples);
//! # Ok::<(), sk_cereal::Error>(())
//! ```
//!
//! The input need not be aligned. In a human-readable format, [`Value`](crate::Value) and JSON
//! among them, the numbers appear as an ordinary sequence. The bytes are in this machine's byte
//! order: the internal mode does not leave it.
//!
//! This file is an island of unsafe code. Its invariants:
//!
//! 1. A [`Number`] has no padding, every bit pattern of its size is a value of it, and it holds no
//!    pointer. The trait is sealed with a seal of its own, for integers and floats only.
//! 2. Memory is viewed as bytes only under a borrow that covers it whole, or as its only owner, and
//!    no further than its end. A `u8` needs no alignment.
#![expect(unsafe_code, reason = "numbers are viewed as bytes and filled from bytes")]

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{DeserializeOwned, Error as _, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::Reason;

/// Encodes the numbers as one run of bytes: for `#[serde(with = "sk_cereal::bulk")]`.
///
/// # Errors
/// The serializer's own.
pub fn serialize<N: Numbers, S: Serializer>(numbers: &N, serializer: S) -> Result<S::Ok, S::Error> {
    let numbers = numbers.as_numbers();
    if serializer.is_human_readable() {
        serializer.collect_seq(numbers)
    } else {
        serializer.serialize_bytes(as_bytes(numbers))
    }
}

/// Decodes what [`serialize`] wrote: for `#[serde(with = "sk_cereal::bulk")]`.
///
/// # Errors
/// The bytes are not a whole number of elements, or not as many as the array has; or the
/// deserializer's own.
pub fn deserialize<'de, N: Numbers, D: Deserializer<'de>>(deserializer: D) -> Result<N, D::Error> {
    if deserializer.is_human_readable() {
        deserializer.deserialize_seq(NumbersVisitor(PhantomData))
    } else {
        deserializer.deserialize_bytes(NumbersVisitor(PhantomData))
    }
}

/// Numbers that cross as one copy wherever they are, where the field attribute does not reach.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bulk<T>(pub Vec<T>);

impl<T: Number> Serialize for Bulk<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serialize(&self.0, serializer)
    }
}

impl<'de, T: Number> Deserialize<'de> for Bulk<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserialize(deserializer).map(Bulk)
    }
}

/// Integers and floats. Sealed: no type with padding or forbidden bit patterns gets in here.
pub trait Number: Copy + Default + Serialize + DeserializeOwned + sealed::Number {}

/// What holds [`Number`]s one behind the other: `Vec<T>`, `Box<[T]>`, `Cow<[T]>` and `[T; N]`.
pub trait Numbers: Sized + sealed::Numbers {
    /// What it holds.
    type Number: Number;

    #[doc(hidden)]
    fn as_numbers(&self) -> &[Self::Number];

    #[doc(hidden)]
    fn from_bytes(bytes: &[u8]) -> Option<Self>;

    #[doc(hidden)]
    fn from_vec(numbers: Vec<Self::Number>) -> Option<Self>;
}

impl<T: Number> Numbers for Vec<T> {
    type Number = T;

    fn as_numbers(&self) -> &[T] {
        self
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        to_numbers(bytes)
    }

    fn from_vec(numbers: Vec<T>) -> Option<Self> {
        Some(numbers)
    }
}

impl<T: Number> Numbers for Box<[T]> {
    type Number = T;

    fn as_numbers(&self) -> &[T] {
        self
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        to_numbers(bytes).map(Vec::into_boxed_slice)
    }

    fn from_vec(numbers: Vec<T>) -> Option<Self> {
        Some(numbers.into_boxed_slice())
    }
}

impl<T: Number> Numbers for Cow<'_, [T]> {
    type Number = T;

    fn as_numbers(&self) -> &[T] {
        self
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        to_numbers(bytes).map(Cow::Owned)
    }

    fn from_vec(numbers: Vec<T>) -> Option<Self> {
        Some(Cow::Owned(numbers))
    }
}

impl<T: Number, const N: usize> Numbers for [T; N] {
    type Number = T;

    fn as_numbers(&self) -> &[T] {
        self
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut numbers = [T::default(); N];
        let room = as_bytes_mut(&mut numbers);
        (room.len() == bytes.len()).then(|| room.copy_from_slice(bytes))?;
        Some(numbers)
    }

    fn from_vec(numbers: Vec<T>) -> Option<Self> {
        numbers.try_into().ok()
    }
}

struct NumbersVisitor<N>(PhantomData<N>);

impl<'de, N: Numbers> Visitor<'de> for NumbersVisitor<N> {
    type Value = N;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "numbers for {}", std::any::type_name::<N>())
    }

    fn visit_bytes<E: serde::de::Error>(self, bytes: &[u8]) -> Result<N, E> {
        N::from_bytes(bytes).ok_or_else(|| {
            let size = size_of::<N::Number>();
            E::custom(if bytes.len().is_multiple_of(size) {
                Reason::OtherLength { found: bytes.len() / size }
            } else {
                Reason::PartOfANumber { bytes: bytes.len(), size }
            })
        })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<N, A::Error> {
        let mut numbers = Vec::new();
        while let Some(number) = elements.next_element()? {
            numbers.push(number);
        }
        let found = numbers.len();
        N::from_vec(numbers).ok_or_else(|| A::Error::custom(Reason::OtherLength { found }))
    }
}

fn as_bytes<T: Number>(numbers: &[T]) -> &[u8] {
    // SAFETY: invariant 1, all bytes are initialized; invariant 2, the borrow covers them.
    unsafe { std::slice::from_raw_parts(numbers.as_ptr().cast(), size_of_val(numbers)) }
}

fn as_bytes_mut<T: Number>(numbers: &mut [T]) -> &mut [u8] {
    let (start, length) = (numbers.as_mut_ptr(), size_of_val(numbers));
    // SAFETY: invariant 1, whatever is written is a value; invariant 2, the borrow covers it.
    unsafe { std::slice::from_raw_parts_mut(start.cast(), length) }
}

/// The numbers that `bytes` hold, in one copy, without clearing the room for them first.
fn to_numbers<T: Number>(bytes: &[u8]) -> Option<Vec<T>> {
    let count = bytes.len().checked_div(size_of::<T>())?;
    if count * size_of::<T>() != bytes.len() {
        return None;
    }
    let mut numbers = Vec::<T>::with_capacity(count);
    let room = numbers.as_mut_ptr().cast::<u8>();
    // SAFETY: invariant 2, `numbers` is the only owner of room for at least `count` numbers, which
    // is as long as `bytes`.
    unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), room, bytes.len()) };
    // SAFETY: the first `count` numbers were just written; invariant 1, whatever they are is values.
    unsafe { numbers.set_len(count) };
    Some(numbers)
}

mod sealed {
    use std::borrow::Cow;

    pub trait Number {}

    pub trait Numbers {}
    impl<T: Number> Numbers for Vec<T> {}
    impl<T: Number> Numbers for Box<[T]> {}
    impl<T: Number + Clone> Numbers for Cow<'_, [T]> {}
    impl<T: Number, const N: usize> Numbers for [T; N] {}
}

macro_rules! numbers {
    ($($number:ty)*) => {$(
        impl sealed::Number for $number {}
        impl Number for $number {}
    )*};
}
numbers! { u8 u16 u32 u64 u128 usize i8 i16 i32 i64 i128 isize f32 f64 }

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unaligned_bytes_are_read_at_every_offset() {
        let numbers = [1.5_f64, -0.0, f64::from_bits(0x7ff8_0000_dead_beef)];
        for offset in 0..8 {
            let mut bytes = vec![0xff; offset];
            bytes.extend_from_slice(as_bytes(&numbers));
            let back: Vec<f64> = to_numbers(&bytes[offset..]).unwrap();
            assert!(back.iter().zip(&numbers).all(|(a, b)| a.to_bits() == b.to_bits()));
            assert_eq!(back.len(), 3);
        }
    }

    #[test]
    fn a_part_of_a_number_is_refused() {
        assert_eq!(to_numbers::<u32>(&[0; 7]), None);
        assert_eq!(<[u32; 2]>::from_bytes(&[0; 4]), None);
        assert_eq!(to_numbers::<u32>(&[]), Some(vec![]));
    }
}
