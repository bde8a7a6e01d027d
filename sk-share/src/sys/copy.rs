//! Long copies between words that others may change at the same time and memory of our own.
//!
//! This file is an island of unsafe code. Its invariants:
//!
//! 1. Both sides of a piece are references to as many bytes, and do not overlap: one is borrowed for writing, or is
//!    reached through atomics only.
//! 2. What is shared is touched by machine instructions, of which the compiler knows only that they read and write
//!    memory: no rule of the language about data races is broken, and the machine has none. What others write
//!    meanwhile is seen in part, as in a copy by words.
#![expect(unsafe_code, reason = "the language has no long copies of what others may change")]

use crate::sync::{AtomicU64, Ordering};

/// What one block of instructions moves: a line of memory.
const PIECE: usize = 64;
const WORD: usize = size_of::<u64>();

/// Copies words out, as many as there is room for.
#[inline(always)]
pub fn copy_from_words(words: &[AtomicU64], to: &mut [u8]) {
    let count = words.len().min(to.len() / WORD);
    let (Some(words), Some(to)) = (words.get(..count), to.get_mut(..count * WORD)) else { return };
    let (pieces, words) = words.as_chunks::<{ PIECE / WORD }>();
    let (to_pieces, to) = to.as_chunks_mut::<PIECE>();
    for (piece, to) in pieces.iter().zip(to_pieces) {
        // SAFETY: 1 and 2.
        unsafe { move_piece(piece.as_ptr().cast(), to.as_mut_ptr()) };
    }
    for (word, to) in words.iter().zip(to.as_chunks_mut().0) {
        *to = word.load(Ordering::Relaxed).to_ne_bytes();
    }
}

/// Copies words in, as many as there is room for.
#[inline(always)]
pub fn copy_to_words(from: &[u8], words: &[AtomicU64]) {
    let count = words.len().min(from.len() / WORD);
    let (Some(words), Some(from)) = (words.get(..count), from.get(..count * WORD)) else { return };
    let (pieces, words) = words.as_chunks::<{ PIECE / WORD }>();
    let (from_pieces, from) = from.as_chunks::<PIECE>();
    for (from, piece) in from_pieces.iter().zip(pieces) {
        // SAFETY: 1 and 2; atomics may be written through a shared reference.
        unsafe { move_piece(from.as_ptr(), piece.as_ptr().cast::<u8>().cast_mut()) };
    }
    for (from, word) in from.as_chunks().0.iter().zip(words) {
        word.store(u64::from_ne_bytes(*from), Ordering::Relaxed);
    }
}

/// # Safety
/// So many bytes can be read and written there, and do not overlap; one side is memory of our own, aligned to a byte,
/// the other one words.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
unsafe fn move_piece(from: *const u8, to: *mut u8) {
    // SAFETY: as above. Every x86-64 has these instructions.
    unsafe {
        std::arch::asm!(
            "movups {a}, [{from}]",
            "movups {b}, [{from} + 16]",
            "movups {c}, [{from} + 32]",
            "movups {d}, [{from} + 48]",
            "movups [{to}], {a}",
            "movups [{to} + 16], {b}",
            "movups [{to} + 32], {c}",
            "movups [{to} + 48], {d}",
            from = in(reg) from,
            to = in(reg) to,
            a = out(xmm_reg) _,
            b = out(xmm_reg) _,
            c = out(xmm_reg) _,
            d = out(xmm_reg) _,
            options(nostack, preserves_flags),
        );
    }
}

/// # Safety
/// So many bytes can be read and written there, and do not overlap; one side is memory of our own, aligned to a byte,
/// the other one words.
#[cfg(target_arch = "aarch64")]
#[inline(always)]
unsafe fn move_piece(from: *const u8, to: *mut u8) {
    // SAFETY: as above. Every one has these instructions.
    unsafe {
        std::arch::asm!(
            "ldp {a:q}, {b:q}, [{from}]",
            "ldp {c:q}, {d:q}, [{from}, #32]",
            "stp {a:q}, {b:q}, [{to}]",
            "stp {c:q}, {d:q}, [{to}, #32]",
            from = in(reg) from,
            to = in(reg) to,
            a = out(vreg) _,
            b = out(vreg) _,
            c = out(vreg) _,
            d = out(vreg) _,
            options(nostack, preserves_flags),
        );
    }
}

/// # Safety
/// So many bytes can be read and written there, and do not overlap.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
#[inline(always)]
unsafe fn move_piece(from: *const u8, to: *mut u8) {
    for word in 0..PIECE / WORD {
        // SAFETY: as above, and aligned or not. Volatile is the nearest that the language has.
        unsafe {
            let bytes = std::ptr::read_volatile(from.add(word * WORD).cast::<[u8; WORD]>());
            std::ptr::write_volatile(to.add(word * WORD).cast::<[u8; WORD]>(), bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_words_are_copied_as_both_have() {
        for words in 0..20 {
            for bytes in 0..170 {
                let from: Vec<u8> = (1..=bytes).collect();
                let there: Vec<AtomicU64> = (0..words).map(|_| AtomicU64::new(u64::MAX)).collect();
                copy_to_words(&from, &there);
                let mut back = vec![0; from.len()];
                copy_from_words(&there, &mut back);
                let whole = there.len().min(from.len() / WORD);
                let (copied, left) = back.split_at(whole * WORD);
                assert_eq!(copied, &from[..copied.len()], "{words} words, {bytes} bytes");
                assert!(left.iter().all(|byte| *byte == 0), "{words} words, {bytes} bytes");
                let others = there[whole..].iter().map(|word| word.load(Ordering::Relaxed));
                assert!(others.into_iter().all(|word| word == u64::MAX));
            }
        }
    }
}
