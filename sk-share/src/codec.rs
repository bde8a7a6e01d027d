//! How a value becomes the bytes in a share, and the other way round.

use std::any::type_name;
use std::cell::Cell;

use bytemuck::Pod;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sk_cereal::{Session, internal};

use crate::error::Error;
use crate::ground::Buffer;

/// Where the bytes of a value are read from.
///
/// Of no use outside this crate.
pub trait Bytes {
    /// Reads all of them, and says which version they are.
    #[doc(hidden)]
    fn read<B: Buffer + ?Sized>(&self, buffer: &mut B) -> Result<u64, Error>;
}

/// How values of type `T` lie in shared memory: [`Encoded`] or [`Plain`].
pub trait Codec<T>: sealed::Sealed + 'static {
    /// Says which type it is, and in which form.
    #[doc(hidden)]
    fn type_name() -> String;

    /// The bytes of a value.
    #[doc(hidden)]
    fn with_bytes<R>(value: &T, work: impl FnOnce(&[u8]) -> Result<R, Error>) -> Result<R, Error>;

    /// A value and its version.
    #[doc(hidden)]
    fn read(from: &impl Bytes) -> Result<(T, u64), Error>;

    /// How many bytes a value has, if all have the same.
    #[doc(hidden)]
    fn fixed_length() -> Option<usize>;
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::Encoded {}
    impl Sealed for super::Plain {}
}

/// Any type that serde knows, as [`sk_cereal::internal`] writes it.
#[derive(Debug, Clone, Copy)]
pub struct Encoded;

/// Plain data, copied as it is: several times faster for small values.
#[derive(Debug, Clone, Copy)]
pub struct Plain;

thread_local! {
    /// What a value is read into before it is decoded. Taken out while it is in use, since decoding may
    /// read another value.
    static SCRATCH: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Larger than this it is not kept for the next value.
const KEPT: usize = 1 << 20;

impl<T: Serialize + DeserializeOwned + 'static> Codec<T> for Encoded {
    fn type_name() -> String {
        type_name::<T>().to_owned()
    }

    fn with_bytes<R>(value: &T, work: impl FnOnce(&[u8]) -> Result<R, Error>) -> Result<R, Error> {
        let mut bytes = SCRATCH.take();
        bytes.clear();
        let mut encoded = internal::append(value, &mut bytes);
        // Handles inside need a session. What they name is found by whoever has the same shares.
        if encoded.as_ref().is_err_and(sk_cereal::Error::is_session) {
            bytes.clear();
            encoded = Session::hand_over().enter(|| internal::append(value, &mut bytes));
        }
        let result = encoded.map_err(Error::from).and_then(|()| work(&bytes));
        keep(bytes);
        result
    }

    fn read(from: &impl Bytes) -> Result<(T, u64), Error> {
        let mut bytes = SCRATCH.take();
        let result =
            from.read(&mut bytes).and_then(|version| Ok((internal::from_slice(&bytes)?, version)));
        keep(bytes);
        result
    }

    fn fixed_length() -> Option<usize> {
        None
    }
}

fn keep(bytes: Vec<u8>) {
    if bytes.capacity() <= KEPT {
        SCRATCH.set(bytes);
    }
}

impl<T: Pod> Codec<T> for Plain {
    fn type_name() -> String {
        format!("plain {}", type_name::<T>())
    }

    #[inline(always)]
    fn with_bytes<R>(value: &T, work: impl FnOnce(&[u8]) -> Result<R, Error>) -> Result<R, Error> {
        work(bytemuck::bytes_of(value))
    }

    #[inline(always)]
    fn read(from: &impl Bytes) -> Result<(T, u64), Error> {
        let mut value = T::zeroed();
        let version = from.read(bytemuck::bytes_of_mut(&mut value))?;
        Ok((value, version))
    }

    fn fixed_length() -> Option<usize> {
        Some(size_of::<T>())
    }
}
