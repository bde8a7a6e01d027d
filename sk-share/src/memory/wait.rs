//! Sleeping on a word, with notice of death. Section 4 of PROTOCOL.md.

use std::hint::spin_loop;
use std::time::{Duration, Instant};

use super::roster::is_this_thread_an_agent;
use super::{Agent, Deaths, Roster};
use crate::error::Error;
use crate::sync::{AtomicI32, AtomicU32, Ordering};
use crate::sys::{self, Scope};

/// After so long everybody looks again, so that a damaged word lets nobody sleep for ever.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// Some microseconds: about what it costs to be put to sleep and woken.
const SPINS: u32 = 100;

/// Who waits for a lock looks seldom: each look takes the memory from the holder, who else gets on for a while
/// before the other one has it. So both do more.
const LOOKS: u32 = 12;
const PAUSES: u32 = 24;

/// Who waits for a message looks often at first: an answer may be there in a fraction of a microsecond.
const CLOSE_LOOKS: u32 = 200;

/// Whether spinning was of use lately in this process. Other programs may have the processors, or the
/// waits may be long; then it is tried once in a while. Threads may disturb each other's counts.
pub(super) struct Spinning {
    /// So many more may fail; below 0, so many waits are left until the next try.
    score: AtomicI32,
}

impl Spinning {
    const FAILURES: i32 = 4;
    const WAITS: i32 = 64;

    pub(super) fn new() -> Spinning {
        Spinning { score: AtomicI32::new(Spinning::FAILURES) }
    }

    fn is_worth_trying(&self) -> bool {
        let score = self.score.load(Ordering::Relaxed);
        if score < 0 {
            self.score.store(score + 1, Ordering::Relaxed);
        }
        score >= 0
    }

    fn succeeded(&self) {
        self.score.store(Spinning::FAILURES, Ordering::Relaxed);
    }

    fn failed(&self) {
        let score = self.score.load(Ordering::Relaxed);
        let next = if score > 0 { score - 1 } else { -Spinning::WAITS };
        self.score.store(next, Ordering::Relaxed);
    }
}

/// What to sleep on; see [`Roster::wait`].
#[derive(Debug, Clone, Copy)]
pub struct Wait<'w> {
    /// The word, in memory that all who wake share.
    pub word: &'w AtomicU32,
    /// The value at which there is reason to sleep.
    pub expected: u32,
    /// What [`Roster::deaths`] said before you looked at what you wait for.
    pub deaths: Deaths,
    /// The agent that you wait for, if it is one.
    pub owner: Option<Agent>,
    /// When to give up.
    pub deadline: Option<Instant>,
}

/// Why a wait is over. Except for [`TimedOut`](Self::TimedOut) it says where to look first and nothing
/// more: look at everything again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Woken {
    /// The word has another value, or somebody woke those who sleep on it.
    Changed,
    /// The agent is dead. It executes no further instruction.
    OwnerDied,
    /// A member died since [`Roster::deaths`] was asked. It may have been woken in your place, or have died
    /// before it woke you.
    Death,
    /// Five seconds have passed in which nothing happened.
    LookAgain,
    /// The deadline has passed, and nobody woke this thread.
    TimedOut,
}

/// How one sleep of the kernel's ended.
pub(super) enum Night {
    /// Somebody woke this thread on the word.
    Woken,
    /// There may be reason not to sleep.
    Over,
    TimedOut,
}

impl Roster {
    /// Sleeps until the word is woken or has another value, the owner dies, another member dies, or the
    /// deadline passes; and no longer than five seconds, so call it in a loop that looks at its
    /// condition. See [`memory`](super) for such a loop.
    ///
    /// It spins for some microseconds first if the threads of the program that are awake, as far as they are
    /// agents, are no more than the processors of this process, and if that was of use lately.
    ///
    /// A wake-up that this call took is never lost in a time-out: then it returns [`Woken::Changed`].
    ///
    /// # Errors
    /// There can be no such owner ([`Error::is_damaged`]), the handle is a copy made by fork, or this process
    /// has left the roster, also while it sleeps.
    pub fn wait(&self, wait: &Wait<'_>) -> Result<Woken, Error> {
        let shared = self.shared();
        shared.check()?;
        let is_counted = is_this_thread_an_agent(shared);
        if let Some(woken) = self.look(wait)? {
            return Ok(woken);
        }
        if is_counted && shared.has_processors_to_spare() && shared.spinning.is_worth_trying() {
            for _ in 0..SPINS {
                spin_loop();
                // Meets the release of whoever changed the word.
                if wait.word.load(Ordering::Acquire) != wait.expected {
                    shared.spinning.succeeded();
                    return Ok(Woken::Changed);
                }
            }
            shared.spinning.failed();
        }
        if is_counted {
            shared.count_awake(false);
        }
        let woken = self.sleep(wait);
        if is_counted {
            shared.count_awake(true);
        }
        woken
    }

    /// Repeats `look` as a wait spins, for who has not said yet that they wait. Whether it was true.
    pub(crate) fn spin(&self, look: &mut dyn FnMut() -> bool) -> bool {
        self.spin_by(&self.shared().spinning_for_locks, LOOKS, PAUSES, look)
    }

    /// As [`spin`](Self::spin), of who waits for what comes from another process: it disturbs nobody by looking.
    pub(crate) fn spin_closely(&self, look: &mut dyn FnMut() -> bool) -> bool {
        self.spin_by(&self.shared().spinning_for_messages, CLOSE_LOOKS, 1, look)
    }

    fn spin_by(
        &self,
        spinning: &Spinning,
        looks: u32,
        pauses: u32,
        look: &mut dyn FnMut() -> bool,
    ) -> bool {
        if !(self.shared().has_processors_to_spare() && spinning.is_worth_trying()) {
            return false;
        }
        for _ in 0..looks {
            (0..pauses).for_each(|_| spin_loop());
            if look() {
                spinning.succeeded();
                return true;
            }
        }
        spinning.failed();
        false
    }

    fn sleep(&self, wait: &Wait<'_>) -> Result<Woken, Error> {
        let shared = self.shared();
        let look_again = Instant::now() + LOOK_AGAIN;
        let until = wait.deadline.map_or(look_again, |deadline| deadline.min(look_again));
        loop {
            shared.check()?;
            if let Some(woken) = self.look(wait)? {
                return Ok(woken);
            }
            match shared.sleep(wait, until)? {
                Night::Woken => return Ok(Woken::Changed),
                Night::Over => {}
                Night::TimedOut => {
                    let is_over = wait.deadline.is_some_and(|deadline| deadline <= Instant::now());
                    return Ok(if is_over { Woken::TimedOut } else { Woken::LookAgain });
                }
            }
        }
    }

    /// Whether there is reason not to sleep.
    fn look(&self, wait: &Wait<'_>) -> Result<Option<Woken>, Error> {
        let shared = self.shared();
        // Meets the release of whoever changed the word.
        if wait.word.load(Ordering::Acquire) != wait.expected {
            return Ok(Some(Woken::Changed));
        }
        if let Some(owner) = wait.owner
            && !shared.is_living(owner)?
        {
            // The kernel woke one of those who wait for it, and this may be the one.
            shared.pass_on(owner);
            return Ok(Some(Woken::OwnerDied));
        }
        if self.deaths() != wait.deaths {
            // Leaving counts as a death too, and then nothing here can be used any more.
            shared.check()?;
            return Ok(Some(Woken::Death));
        }
        Ok(None)
    }
}

/// Wakes up to `count` of those who sleep on the word, and says how many it woke.
pub(crate) fn wake(word: &AtomicU32, count: u32) -> u32 {
    u32::try_from(sys::wake(word, count, Scope::Shared)).unwrap_or(u32::MAX)
}

/// Wakes one of those who sleep on the word, in whatever process. Change the word before.
pub fn wake_one(word: &AtomicU32) {
    sys::wake(word, 1, Scope::Shared);
}

/// Wakes all who sleep on the word, in whatever process. Change the word before.
pub fn wake_all(word: &AtomicU32) {
    sys::wake(word, u32::MAX, Scope::Shared);
}
