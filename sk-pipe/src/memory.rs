//! The memory of a pipe with its words at hand: every message looks at ten of them.

use std::ops::Deref;
use std::time::Instant;

use sk_share::Error;
use sk_share::ground::{AgentRef, AtomicU32, AtomicU64, Ground, Offset, Sleep, Woken};
use sk_share::memory::{Commons, HeldWords, copy_from_words, copy_to_words};

use crate::sync::Ordering;

/// A shorter message was most likely just written by whoever sends it, in pieces of its fields: the processor has them
/// at hand one by one, and stalls where it is asked for several at once.
const LONG: usize = 256;

/// A region of a pipe as the ground of its rings.
pub(crate) struct Memory {
    commons: Commons,
    /// All of it, where it lies in one piece.
    words: Option<HeldWords<AtomicU64>>,
    halves: Option<HeldWords<AtomicU32>>,
}

impl Memory {
    pub(crate) fn new(commons: Commons) -> Result<Memory, Error> {
        let length = usize::try_from(commons.region().length()?).unwrap_or(usize::MAX);
        let words = commons.region().hold_words64(0, length / 8).ok();
        let halves = commons.region().hold_words32(0, length / 4).ok();
        commons.ease_light_fences();
        Ok(Memory { commons, words, halves })
    }

    /// So many words from an offset on, if they are at hand.
    #[inline(always)]
    fn together(&self, at: Offset, count: usize) -> Option<&[AtomicU64]> {
        let from = usize::try_from(at / 8).ok().filter(|_| at.is_multiple_of(8))?;
        self.words.as_deref()?.get(from..from.checked_add(count)?)
    }

    #[cold]
    #[inline(never)]
    fn far32(&self, at: Offset) -> Result<&AtomicU32, Error> {
        self.commons.u32(at)
    }

    #[cold]
    #[inline(never)]
    fn far64(&self, at: Offset) -> Result<&AtomicU64, Error> {
        self.commons.u64(at)
    }

    #[cold]
    #[inline(never)]
    fn copy_in_far(&self, at: Offset, bytes: &[u8]) -> Result<(), Error> {
        self.commons.copy_in(at, bytes)
    }

    #[cold]
    #[inline(never)]
    fn copy_out_far(&self, at: Offset, bytes: &mut [u8]) -> Result<(), Error> {
        self.commons.copy_out(at, bytes)
    }
}

impl Deref for Memory {
    type Target = Commons;

    fn deref(&self) -> &Commons {
        &self.commons
    }
}

impl Ground for Memory {
    #[inline(always)]
    fn u32(&self, at: Offset) -> Result<&AtomicU32, Error> {
        let place = usize::try_from(at / 4).ok().filter(|_| at.is_multiple_of(4));
        match place.and_then(|place| self.halves.as_deref()?.get(place)) {
            Some(word) => Ok(word),
            None => self.far32(at),
        }
    }

    #[inline(always)]
    fn u64(&self, at: Offset) -> Result<&AtomicU64, Error> {
        match self.together(at, 1) {
            Some([word]) => Ok(word),
            _ => self.far64(at),
        }
    }

    fn words<const N: usize>(&self, at: Offset) -> Result<&[AtomicU64; N], Error> {
        self.commons.words(at)
    }

    fn length(&self) -> u64 {
        self.commons.length()
    }

    fn grow(&self, to: u64) -> Result<(), Error> {
        self.commons.grow(to)
    }

    #[inline(always)]
    fn copy_in(&self, at: Offset, bytes: &[u8]) -> Result<(), Error> {
        let (whole, rest) = bytes.as_chunks::<8>();
        match self.together(at, whole.len()).filter(|_| rest.is_empty()) {
            Some(words) if bytes.len() >= LONG => {
                copy_to_words(bytes, words);
                Ok(())
            }
            Some(words) => {
                for (word, bytes) in words.iter().zip(whole) {
                    word.store(u64::from_ne_bytes(*bytes), Ordering::Relaxed);
                }
                Ok(())
            }
            None => self.copy_in_far(at, bytes),
        }
    }

    #[inline(always)]
    fn copy_out(&self, at: Offset, bytes: &mut [u8]) -> Result<(), Error> {
        let Some(words) = self.together(at, bytes.len().div_ceil(8)) else {
            return self.copy_out_far(at, bytes);
        };
        copy_from_words(words, bytes);
        let (whole, rest) = bytes.as_chunks_mut::<8>();
        if let (Some(word), false) = (words.get(whole.len()), rest.is_empty()) {
            for (byte, from) in rest.iter_mut().zip(word.load(Ordering::Relaxed).to_ne_bytes()) {
                *byte = from;
            }
        }
        Ok(())
    }

    #[inline]
    fn me(&self) -> Result<AgentRef, Error> {
        self.commons.me()
    }

    fn my_process(&self) -> Result<AgentRef, Error> {
        self.commons.my_process()
    }

    fn is_dead(&self, agent: AgentRef) -> bool {
        self.commons.is_dead(agent)
    }

    #[inline]
    fn deaths(&self) -> u32 {
        self.commons.deaths()
    }

    fn wait(&self, sleep: &Sleep, deadline: Option<Instant>) -> Result<Woken, Error> {
        self.commons.wait(sleep, deadline)
    }

    fn spin(&self, look: &mut dyn FnMut() -> bool) -> bool {
        self.commons.spin(look)
    }

    fn spin_closely(&self, look: &mut dyn FnMut() -> bool) -> bool {
        self.commons.spin_closely(look)
    }

    fn wake(&self, word: &AtomicU32, count: u32) -> u32 {
        self.commons.wake(word, count)
    }

    #[inline(always)]
    fn fence_light(&self) {
        self.commons.fence_light();
    }

    fn fence_heavy(&self) {
        self.commons.fence_heavy();
    }

    #[inline(always)]
    fn point(&self, step: &'static str) {
        self.commons.point(step);
    }

    #[inline(always)]
    fn has_ended(&self) -> bool {
        self.commons.has_ended()
    }
}
