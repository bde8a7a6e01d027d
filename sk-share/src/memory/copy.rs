//! Bytes copied into and out of words that others may change at the same time.
//!
//! The words are relaxed atomics of eight bytes each; a copy may be torn between words and never
//! within one. At the edges, where a word is shared with bytes that are not ours, only our bytes
//! of it are changed.

use crate::sync::{AtomicU64, Ordering};
use crate::sys::{copy_from_words, copy_to_words};

const WORD: usize = size_of::<u64>();
/// From here on whole lines are moved at a time. What was just written word by word is read back faster that way too.
const LONG: usize = 256;

/// Copies the bytes from `skip` bytes behind the start of `words` on.
pub(super) fn read(words: &[AtomicU64], skip: usize, mut to: &mut [u8]) {
    let mut words = words.iter();
    if skip > 0
        && let Some(word) = words.next()
    {
        let bytes = word.load(Ordering::Relaxed).to_ne_bytes();
        let (head, rest) = to.split_at_mut(to.len().min(WORD - skip));
        copy(bytes.get(skip..).unwrap_or_default(), head);
        to = rest;
    }
    if to.len() >= LONG {
        let (whole, tail) = to.split_at_mut(to.len() / WORD * WORD);
        copy_from_words(words.as_slice(), whole);
        words = words.as_slice().get(whole.len() / WORD..).unwrap_or_default().iter();
        to = tail;
    }
    let (whole, tail) = to.as_chunks_mut::<WORD>();
    for (bytes, word) in whole.iter_mut().zip(&mut words) {
        *bytes = word.load(Ordering::Relaxed).to_ne_bytes();
    }
    if !tail.is_empty()
        && let Some(word) = words.next()
    {
        copy(&word.load(Ordering::Relaxed).to_ne_bytes(), tail);
    }
}

/// Copies the bytes to `skip` bytes behind the start of `words`.
pub(super) fn write(words: &[AtomicU64], skip: usize, mut from: &[u8]) {
    let mut words = words.iter();
    if skip > 0
        && let Some(word) = words.next()
    {
        let (head, rest) = from.split_at(from.len().min(WORD - skip));
        write_part(word, skip, head);
        from = rest;
    }
    if from.len() >= LONG {
        let (whole, tail) = from.split_at(from.len() / WORD * WORD);
        copy_to_words(whole, words.as_slice());
        words = words.as_slice().get(whole.len() / WORD..).unwrap_or_default().iter();
        from = tail;
    }
    let (whole, tail) = from.as_chunks::<WORD>();
    for (bytes, word) in whole.iter().zip(&mut words) {
        word.store(u64::from_ne_bytes(*bytes), Ordering::Relaxed);
    }
    if !tail.is_empty()
        && let Some(word) = words.next()
    {
        write_part(word, 0, tail);
    }
}

/// Changes those bytes of the word and no other, whatever happens to the others meanwhile.
fn write_part(word: &AtomicU64, skip: usize, from: &[u8]) {
    let mut bytes = [0; WORD];
    let mut mask = [0; WORD];
    copy(from, bytes.get_mut(skip..).unwrap_or_default());
    mask.iter_mut().skip(skip).take(from.len()).for_each(|byte| *byte = u8::MAX);
    word.fetch_and(!u64::from_ne_bytes(mask), Ordering::Relaxed);
    word.fetch_or(u64::from_ne_bytes(bytes), Ordering::Relaxed);
}

/// As many bytes as both have.
fn copy(from: &[u8], to: &mut [u8]) {
    let count = from.len().min(to.len());
    if let (Some(from), Some(to)) = (from.get(..count), to.get_mut(..count)) {
        to.copy_from_slice(from);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_range_is_copied_and_its_neighbours_stay() {
        for skip in 0..WORD {
            for length in 0..40 {
                let words: Vec<AtomicU64> = (0..6).map(|_| AtomicU64::new(u64::MAX)).collect();
                let from: Vec<u8> = (1..).take(length).collect();
                write(&words, skip, &from);
                let all: Vec<u8> = words
                    .iter()
                    .flat_map(|word| word.load(Ordering::Relaxed).to_ne_bytes())
                    .collect();
                assert_eq!(all[skip..skip + length], from);
                assert!(all[..skip].iter().chain(&all[skip + length..]).all(|byte| *byte == 0xff));
                let mut to = vec![0; length];
                read(&words, skip, &mut to);
                assert_eq!(to, from);
            }
        }
    }
}
