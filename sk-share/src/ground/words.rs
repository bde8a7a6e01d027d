//! What locks, values and arenas stand on: words by offset, who lives, sleeping and waking.
//!
//! One implementation is a mapped region with its roster. Tests bring another, in which agents die
//! at a chosen step.

use std::num::NonZeroU32;
use std::time::Instant;

use crate::error::Error;
use crate::sync::modelled::{AtomicU32, AtomicU64, Ordering, fence};

/// Where something lies: bytes from the beginning of the memory.
pub type Offset = u64;

/// Who holds something: a thread, or a process as a whole. For its whole life no other has the same pair
/// of index and generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct AgentRef {
    /// Its place in the table of agents.
    pub index: u16,
    /// How many agents had that place before, counted from one. Zero is left out when the count
    /// overflows, so that an agent written as a word is never zero.
    pub generation: NonZeroU32,
    /// Whether it stands for all threads of its process: what an async task holds, which may
    /// wander from thread to thread. The same holder may ask twice, and waits like any other.
    pub of_process: bool,
}

/// In the word of an agent: it stands for its process.
const OF_PROCESS: u64 = 0x8000;

impl AgentRef {
    /// `{ generation 32 | index 16 | of_process 1 | zero 15 }`. The low bits are free for whoever stores it.
    #[must_use]
    pub fn to_word(self) -> u64 {
        let of_process = if self.of_process { OF_PROCESS } else { 0 };
        u64::from(self.generation.get()) << 32 | u64::from(self.index) << 16 | of_process
    }

    /// The agent in a word, whatever the low fifteen bits are; `None` if nobody is in it.
    #[must_use]
    pub fn from_word(word: u64) -> Option<AgentRef> {
        let [_, _, low, high, a, b, c, d] = word.to_le_bytes();
        let generation = NonZeroU32::new(u32::from_le_bytes([a, b, c, d]))?;
        let of_process = word & OF_PROCESS != 0;
        Some(AgentRef { index: u16::from_le_bytes([low, high]), generation, of_process })
    }
}

/// What a sleeper waits for. It borrows nothing, so that somebody else can sleep in its place: an
/// async task leaves its sleep to a thread that sleeps for many.
#[derive(Debug, Clone, Copy)]
pub struct Sleep {
    /// Where the `u32` lies that holds `expected` as long as there is reason to sleep.
    pub at: Offset,
    /// What the sleeper saw in that word.
    pub expected: u32,
    /// What [`Ground::deaths`] was *before* the sleeper looked at anything it decided upon.
    pub deaths: u32,
    /// Whose death ends the sleep, beside that of any process.
    pub owner: Option<AgentRef>,
}

/// What one look at something came to that may have to be waited for.
///
/// Every operation that waits is written as such a look, to be repeated after each sleep. Whoever
/// drives it sleeps itself ([`wait_for`]), or has somebody sleep for it.
#[derive(Debug)]
pub enum Attempt<R> {
    /// It is done.
    Done(R),
    /// Look again after this sleep.
    Sleep(Sleep),
}

/// Repeats `look` until it is done, and sleeps in between.
///
/// # Errors
///
/// Those of `look`; timeout, which says that the deadline passed before `what`.
pub fn wait_for<G: Ground, R>(
    ground: &G,
    what: &'static str,
    deadline: Option<Instant>,
    mut look: impl FnMut() -> Result<Attempt<R>, Error>,
) -> Result<R, Error> {
    loop {
        match look()? {
            Attempt::Done(result) => return Ok(result),
            Attempt::Sleep(sleep) => {
                if ground.wait(&sleep, deadline)? == Woken::TimedOut {
                    return Err(Error::timed_out(what));
                }
            }
        }
    }
}

/// Why a sleep ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Woken {
    /// Something moved, or might have: look again.
    Look,
    /// The deadline passed, and nobody's wake-up was taken.
    TimedOut,
}

/// Memory that several agents hold, as one of them sees it.
///
/// A `u32` and a `u64` never overlap. All bytes are zero when they are first seen.
pub trait Ground {
    /// The word at `at`.
    ///
    /// # Errors
    ///
    /// Damaged, if it is not aligned or not all of it lies in the memory.
    fn u32(&self, at: Offset) -> Result<&AtomicU32, Error>;

    /// The word at `at`.
    ///
    /// # Errors
    ///
    /// Damaged, if it is not aligned or not all of it lies in the memory.
    fn u64(&self, at: Offset) -> Result<&AtomicU64, Error>;

    /// So many words from `at` on, looked up once and then used one by one.
    ///
    /// # Errors
    ///
    /// Damaged, if they are not aligned or not all of them lie in the memory.
    fn words<const N: usize>(&self, at: Offset) -> Result<&[AtomicU64; N], Error>;

    /// How many bytes there are. It never shrinks.
    fn length(&self) -> u64;

    /// Makes the memory at least `to` bytes long; what is new is zero.
    ///
    /// # Errors
    ///
    /// Full, if that is beyond a limit; a system error, if there is no memory to be had.
    fn grow(&self, to: u64) -> Result<(), Error>;

    /// Copies `bytes` to `at`, as relaxed words.
    ///
    /// # Errors
    ///
    /// Damaged, if `at` is not a multiple of eight or not all of it lies in the memory, where the
    /// last word counts whole.
    fn copy_in(&self, at: Offset, bytes: &[u8]) -> Result<(), Error>;

    /// Copies from `at`, as relaxed words.
    ///
    /// # Errors
    ///
    /// Damaged, as for [`copy_in`](Ground::copy_in).
    fn copy_out(&self, at: Offset, bytes: &mut [u8]) -> Result<(), Error>;

    /// The agent of the calling thread.
    ///
    /// # Errors
    ///
    /// If the thread cannot be an agent, since there are too many or the process was forked.
    fn me(&self) -> Result<AgentRef, Error>;

    /// What stands for the process of the calling thread.
    ///
    /// # Errors
    ///
    /// As for [`me`](Ground::me).
    fn my_process(&self) -> Result<AgentRef, Error>;

    /// Whether an agent executes no further instruction: its place has another generation, is given
    /// back, does not exist, or its word has `OWNER_DIED`.
    ///
    /// Loaded with acquire, so that a `true` comes after all that the agent ever did (A4): the
    /// kernel marks the word after the thread's last store, and whoever takes the place over has
    /// seen that mark.
    fn is_dead(&self, agent: AgentRef) -> bool;

    /// Counts deaths of processes as this process notices them. Loaded with acquire.
    fn deaths(&self) -> u32;

    /// Sleeps, unless the word is not `expected` any more, `deaths` has moved or the owner is dead; until
    /// `deadline` at the latest.
    ///
    /// Whoever is woken by the owner's death wakes all others that sleep on that agent, since the
    /// kernel wakes one only, and that one may be waiting for another lock of the same agent.
    ///
    /// # Errors
    ///
    /// If the system cannot have it sleep.
    fn wait(&self, sleep: &Sleep, deadline: Option<Instant>) -> Result<Woken, Error>;

    /// Repeats `look` for some microseconds until it is true, where there is reason to hope for that: somebody on
    /// another processor is about to be done. Whether it came true.
    fn spin(&self, _look: &mut dyn FnMut() -> bool) -> bool {
        false
    }

    /// As [`spin`](Ground::spin), where looking disturbs nobody.
    fn spin_closely(&self, look: &mut dyn FnMut() -> bool) -> bool {
        self.spin(look)
    }

    /// Wakes up to `count` sleepers of `word`, and says how many it woke.
    fn wake(&self, word: &AtomicU32, count: u32) -> u32;

    /// Stands between a store and a load that must not come before it, on the side that does so often. The other
    /// side has [`fence_heavy`](Ground::fence_heavy) between its own: then one of the two loads sees the other's
    /// store. Together they do what two sequentially consistent fences do.
    #[inline(always)]
    fn fence_light(&self) {
        fence(Ordering::SeqCst);
    }

    /// As [`fence_light`](Ground::fence_light), on the side that does so seldom. Two of these order each other
    /// too.
    fn fence_heavy(&self) {
        fence(Ordering::SeqCst);
    }

    /// A place between two steps, at which a test may end the agent.
    fn point(&self, _step: &'static str) {}

    /// Whether a test has ended this agent: it must not touch the memory any more.
    fn has_ended(&self) -> bool {
        false
    }
}
