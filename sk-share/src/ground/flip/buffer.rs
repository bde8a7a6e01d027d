//! What a value is read into, and the copies of short ones.

use super::IN_PLACE;
use crate::error::Error;
use crate::sync::modelled::{AtomicU64, Ordering};

/// What a value is read into.
pub trait Buffer {
    /// So many bytes to be filled, or an error where there can be no such number.
    ///
    /// # Errors
    ///
    /// What the caller says of a value of another length than it can be.
    fn of_length(&mut self, length: usize) -> Result<&mut [u8], Error>;

    /// Whether it takes nothing that does not lie in the slot of a value.
    #[inline]
    fn is_short(&self) -> bool {
        false
    }
}

/// Reads by way of a buffer of its own. For paths that are seldom taken: a buffer that no other function ever sees
/// can be held in registers, if this is a part of whoever calls it.
#[inline(always)]
pub(crate) fn into<B: Buffer + ?Sized>(
    bytes: &mut B,
    read: impl FnOnce(&mut Vec<u8>) -> Result<u64, Error>,
) -> Result<u64, Error> {
    let mut copy = Vec::new();
    let version = read(&mut copy)?;
    bytes.of_length(copy.len())?.copy_from_slice(&copy);
    Ok(version)
}

/// It takes the length of the value.
impl Buffer for Vec<u8> {
    fn of_length(&mut self, length: usize) -> Result<&mut [u8], Error> {
        self.resize(length, 0);
        Ok(self)
    }
}

/// A value of any other length is damaged.
impl Buffer for [u8] {
    #[inline]
    fn of_length(&mut self, length: usize) -> Result<&mut [u8], Error> {
        let wanted = self.len() as u64;
        if self.len() == length {
            Ok(self)
        } else {
            Err(Error::damaged_at("the length of a value", wanted, length as u64))
        }
    }

    #[inline]
    fn is_short(&self) -> bool {
        self.len() as u64 <= IN_PLACE
    }
}

/// As relaxed words, of which the last may be used in part.
#[inline(always)]
pub(super) fn copy_out(words: &[AtomicU64], bytes: &mut [u8]) {
    let (whole, rest) = bytes.as_chunks_mut::<8>();
    let mut words = words.iter();
    for (to, word) in whole.iter_mut().zip(&mut words) {
        *to = word.load(Ordering::Relaxed).to_le_bytes();
    }
    if let Some(word) = words.next() {
        for (to, from) in rest.iter_mut().zip(word.load(Ordering::Relaxed).to_le_bytes()) {
            *to = from;
        }
    }
}

/// As relaxed words; what is left of the last one is zero.
#[inline(always)]
pub(super) fn copy_in(words: &[AtomicU64], bytes: &[u8]) {
    let (whole, rest) = bytes.as_chunks::<8>();
    let mut words = words.iter();
    for (from, word) in whole.iter().zip(&mut words) {
        word.store(u64::from_le_bytes(*from), Ordering::Relaxed);
    }
    if !rest.is_empty()
        && let Some(word) = words.next()
    {
        let mut last = [0; 8];
        for (to, from) in last.iter_mut().zip(rest) {
            *to = *from;
        }
        word.store(u64::from_le_bytes(last), Ordering::Relaxed);
    }
}
