//! A lock whose holder may die: two words, one compare-and-swap to take it, one swap to give it
//! back.
//!
//! ```text
//! owner u64   0                                      free
//!             ABANDONED                              free, and what it protects is not repaired
//!             { generation 32 | agent 16 | WAITERS } held, or held by one who is dead
//! turn  u32   counts how often a sleeper was to be woken; what sleepers sleep on
//! ```
//!
//! | dies | what is left | who goes on |
//! |---|---|---|
//! | before `owner` is taken | at most WAITERS: one wake-up for nobody | |
//! | holder | `owner` names it | all who look: one of them takes over |
//! | after the swap, before the wake | free, sleepers sleep | `deaths` moves, they look |
//! | woken, before it acts | free or held, others sleep | `deaths` moves, they look |
//! | taken over, while it repairs | `owner` names it | as for a holder, who is told the same |
//!
//! Pairs of orderings: (A2) what a holder did is seen by the next, from the release of its swap to
//! the acquire of the compare-and-swap. (A4) what a dead holder did is seen by whoever takes over,
//! from the kernel's mark to the acquire in `is_dead`. (A5) who reads a new `turn` also sees that the
//! lock was free: release in `unlock`, acquire in `lock`.

use std::fmt;
use std::marker::PhantomData;
use std::time::Instant;

use super::words::{AgentRef, Attempt, Ground, Offset, Sleep, wait_for};
use crate::error::Error;
use crate::sync::modelled::{AtomicU32, AtomicU64, Ordering};

/// Somebody sleeps, or did, and has to be woken.
const WAITERS: u64 = 1;
/// Free, but the last holder did not say that it had repaired what a dead one left.
const ABANDONED: u64 = 2;
/// Bits that are never set: besides WAITERS nothing stands beside an agent.
const UNUSED: u64 = 0x7FFE;

/// Where the word lies that sleepers sleep on.
const TURN: u64 = 8;

/// The two words of a lock in shared memory, not held.
///
/// Sixteen bytes, at a multiple of eight; zeroed bytes are a free lock.
pub struct Lock<'g, G: Ground> {
    ground: &'g G,
    at: Offset,
    owner: &'g AtomicU64,
}

impl<'g, G: Ground> Lock<'g, G> {
    /// The bytes that it takes; the last four are left to whoever places it.
    pub const BYTES: u64 = 16;

    /// The lock at `at`.
    ///
    /// # Errors
    ///
    /// Damaged, if no lock fits there.
    pub fn at(ground: &'g G, at: Offset) -> Result<Lock<'g, G>, Error> {
        let [owner, _] = ground.words::<2>(at)?;
        Ok(Lock { ground, at, owner })
    }

    /// The lock whose first word this is; the second lies behind it.
    #[inline]
    pub(super) fn of(ground: &'g G, at: Offset, owner: &'g AtomicU64) -> Lock<'g, G> {
        Lock { ground, at, owner }
    }

    fn turn(&self) -> Result<&'g AtomicU32, Error> {
        self.ground.u32(self.at + TURN)
    }

    /// Takes the lock, waiting for as long as it takes.
    ///
    /// # Errors
    ///
    /// Re-entry, if the calling thread holds it; damaged, if its words cannot be.
    pub fn lock(&self) -> Result<Guard<'g, G>, Error> {
        self.lock_until(None)
    }

    /// Takes the lock if it is free or its holder is dead, and else gives `None`.
    ///
    /// # Errors
    ///
    /// As for [`lock`](Lock::lock).
    #[inline(always)]
    pub fn try_lock(&self) -> Result<Option<Guard<'g, G>>, Error> {
        self.try_lock_as(self.ground.me()?)
    }

    /// As [`try_lock`](Lock::try_lock), for whoever the holder is to be.
    ///
    /// # Errors
    ///
    /// As for [`lock`](Lock::lock); there is no re-entry for what stands for a process.
    #[inline(always)]
    pub fn try_lock_as(&self, me: AgentRef) -> Result<Option<Guard<'g, G>>, Error> {
        self.ground.point("lock.take");
        // Acquire: (A2).
        match self.owner.compare_exchange(0, me.to_word(), Ordering::Acquire, Ordering::Relaxed) {
            Ok(_) => Ok(Some(self.guard(false))),
            Err(found) => Ok(self.take(found, me, 0)?.map(|abandoned| self.guard(abandoned))),
        }
    }

    /// Takes the lock, waiting no longer than until `deadline`.
    ///
    /// # Errors
    ///
    /// Timeout, if it was held all that time; else as for [`lock`](Lock::lock).
    #[inline(always)]
    pub fn lock_until(&self, deadline: Option<Instant>) -> Result<Guard<'g, G>, Error> {
        match self.try_lock()? {
            Some(guard) => Ok(guard),
            None => Ok(self.guard(self.wait(deadline)?)),
        }
    }

    /// Waits until it is taken, and says whether it was abandoned. It gives no guard, so that one which is made
    /// without a wait need not lie where this could write it.
    #[cold]
    fn wait(&self, deadline: Option<Instant>) -> Result<bool, Error> {
        let me = self.ground.me()?;
        // Before WAITERS is set, which costs the holder a system call: most are held for less than that.
        if self.ground.spin(&mut || self.is_taken_free(me)) {
            return Ok(false);
        }
        let mut has_slept = false;
        let guard = wait_for(self.ground, "the lock was free", deadline, || {
            let attempt = self.attempt(me, has_slept);
            has_slept = true;
            attempt
        })?;
        let abandoned = guard.abandoned;
        guard.keep();
        Ok(abandoned)
    }

    /// Takes it if it is free, without a write if it is not.
    fn is_taken_free(&self, me: AgentRef) -> bool {
        self.owner.load(Ordering::Relaxed) == 0
            && self
                .owner
                // Acquire: (A2).
                .compare_exchange(0, me.to_word(), Ordering::Acquire, Ordering::Relaxed)
                .is_ok()
    }

    /// One look for one who waits: the lock, or what to sleep on before the next look.
    ///
    /// Whoever has slept says so: others may sleep of whom the next to unlock would not know.
    ///
    /// # Errors
    ///
    /// As for [`try_lock_as`](Lock::try_lock_as).
    pub fn attempt(&self, me: AgentRef, has_slept: bool) -> Result<Attempt<Guard<'g, G>>, Error> {
        let waiters = if has_slept { WAITERS } else { 0 };
        if has_slept {
            self.ground.point("lock.woken");
        }
        let turn_word = self.turn()?;
        loop {
            // Before all that is looked at: a death from here on ends the sleep.
            let deaths = self.ground.deaths();
            // Acquire: (A5). It stands before the look at `owner`, since a turn that was counted
            // between the two would be slept through.
            let turn = turn_word.load(Ordering::Acquire);
            let found = self.owner.load(Ordering::Relaxed);
            self.ground.point("lock.looked");
            if self.is_to_be_had(found, me)?.is_some() {
                match self.take(found, me, waiters)? {
                    Some(abandoned) => return Ok(Attempt::Done(self.guard(abandoned))),
                    None => continue,
                }
            }
            // Set before the deadline is looked at: one who was woken and is late has taken the
            // wake-up of another, and leaves the mark for that one.
            if found & WAITERS == 0
                && self
                    .owner
                    .compare_exchange(found, found | WAITERS, Ordering::Relaxed, Ordering::Relaxed)
                    .is_err()
            {
                continue;
            }
            self.ground.point("lock.announced");
            let owner = AgentRef::from_word(found);
            return Ok(Attempt::Sleep(Sleep { at: self.at + TURN, expected: turn, deaths, owner }));
        }
    }

    /// One try on what `owner` was `found` to be, with `waiters` set on success; gives whether it was abandoned.
    /// `None`: it is held by another, who lives, or was somebody else's in between.
    #[cold]
    fn take(&self, found: u64, me: AgentRef, waiters: u64) -> Result<Option<bool>, Error> {
        let Some(abandoned) = self.is_to_be_had(found, me)? else { return Ok(None) };
        // WAITERS of a dead holder stay: those sleepers have not been woken by anybody.
        let mine = me.to_word() | waiters | found & WAITERS;
        // Acquire: (A2) from whoever left it free. A dead holder released nothing; (A4) is what
        // brings us all that it did.
        match self.owner.compare_exchange(found, mine, Ordering::Acquire, Ordering::Relaxed) {
            Ok(_) => {
                self.ground.point(if abandoned { "lock.taken_over" } else { "lock.taken_late" });
                Ok(Some(abandoned))
            }
            Err(_) => Ok(None),
        }
    }

    /// Whether a lock found so can be taken, and if, whether it was abandoned.
    fn is_to_be_had(&self, found: u64, me: AgentRef) -> Result<Option<bool>, Error> {
        let Some(holder) = AgentRef::from_word(found) else {
            return match found {
                0 => Ok(Some(false)),
                ABANDONED => Ok(Some(true)),
                _ => Err(Error::damaged_at("the owner of a lock", self.at, found)),
            };
        };
        if found & UNUSED != 0 {
            return Err(Error::damaged_at("the owner of a lock", self.at, found));
        }
        if holder == me && !me.of_process {
            return Err(Error::reentry(self.at));
        }
        Ok(self.ground.is_dead(holder).then_some(true))
    }

    /// Gives back what [`Guard::keep`] kept, which any thread of the process may do.
    ///
    /// # Errors
    ///
    /// Damaged, if `me` does not hold it.
    pub fn give_back(&self, me: AgentRef) -> Result<(), Error> {
        self.guard_kept(me, false).map(drop)
    }

    /// As [`give_back`](Lock::give_back), for a lock that was abandoned and is not repaired.
    ///
    /// # Errors
    ///
    /// Damaged, if `me` does not hold it.
    pub fn give_back_unrepaired(&self, me: AgentRef) -> Result<(), Error> {
        self.guard_kept(me, true).map(drop)
    }

    /// Has another sleeper look, for one that was woken, or may have been, and looks no more.
    ///
    /// Giving back wakes one and takes the mark off: if that one goes away, nobody else is woken.
    pub fn pass_on(&self) {
        self.ground.point("lock.pass_on");
        // It was there when the lock was found, and memory never shrinks.
        let Ok(turn) = self.turn() else { return };
        // Release: (A5), though there is nothing that a sleeper would have to see.
        turn.fetch_add(1, Ordering::Release);
        self.ground.point("lock.passed_on");
        self.ground.wake(turn, 1);
    }

    /// Has all sleepers look: what the lock is of is not what they came for any more.
    pub fn wake_all(&self) {
        // It was there when the lock was found, and memory never shrinks.
        let Ok(turn) = self.turn() else { return };
        // Release: (A5), so that who reads this turn sees why it was counted.
        turn.fetch_add(1, Ordering::Release);
        self.ground.wake(turn, u32::MAX);
    }

    fn guard_kept(&self, me: AgentRef, abandoned: bool) -> Result<Guard<'g, G>, Error> {
        let found = self.owner.load(Ordering::Relaxed);
        if found & !WAITERS != me.to_word() {
            return Err(Error::damaged_at("the owner of a lock", self.at, found));
        }
        Ok(self.guard(abandoned))
    }

    #[inline(always)]
    fn guard(&self, abandoned: bool) -> Guard<'g, G> {
        Guard {
            ground: self.ground,
            at: self.at,
            owner: self.owner,
            abandoned,
            unrepaired: abandoned,
            stays: PhantomData,
        }
    }
}

impl<G: Ground> fmt::Debug for Lock<'_, G> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Lock").field("at", &self.at).finish_non_exhaustive()
    }
}

/// A held lock. Dropping it gives the lock back.
///
/// It stays on its thread, which is the agent that holds the lock. Forgotten, the lock stays taken
/// until that thread ends, and is then abandoned.
pub struct Guard<'g, G: Ground> {
    ground: &'g G,
    at: Offset,
    owner: &'g AtomicU64,
    abandoned: bool,
    unrepaired: bool,
    stays: PhantomData<*const ()>,
}

impl<G: Ground> Guard<'_, G> {
    /// Whether a holder died and nobody has repaired since what the lock protects. Then the caller
    /// does, and says so with [`repaired`](Guard::repaired).
    #[inline]
    #[must_use]
    pub fn was_abandoned(&self) -> bool {
        self.abandoned
    }

    /// What the lock protects is whole. Without this, an abandoned lock that is given back is
    /// abandoned for the next holder too.
    #[inline]
    pub fn repaired(&mut self) {
        self.unrepaired = false;
    }

    /// Goes on holding the lock without this guard, until [`Lock::give_back`] or the holder's death.
    pub fn keep(self) {
        std::mem::forget(self);
    }
}

/// Wakes one who waits for a lock that was given back. By values: a guard that only inlined code sees need not
/// lie in memory.
#[cold]
fn wake_one<G: Ground>(ground: &G, at: Offset) {
    ground.point("unlock.given");
    // It was there when the lock was found, and memory never shrinks.
    let Ok(turn) = ground.u32(at + TURN) else { return };
    // Release: (A5), so that who reads this turn finds the lock as we left it, or later.
    turn.fetch_add(1, Ordering::Release);
    ground.point("unlock.turned");
    ground.wake(turn, 1);
    ground.point("unlock.woken");
}

impl<G: Ground> Drop for Guard<'_, G> {
    #[inline(always)]
    fn drop(&mut self) {
        if self.ground.has_ended() {
            return;
        }
        self.ground.point("unlock.give");
        // Release: (A2). Sequentially consistent, for who tells of a change after it was unlocked.
        let held = self.owner.swap(if self.unrepaired { ABANDONED } else { 0 }, Ordering::SeqCst);
        if held & WAITERS != 0 {
            wake_one(self.ground, self.at);
        }
    }
}

impl<G: Ground> fmt::Debug for Guard<'_, G> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Guard").field("was_abandoned", &self.abandoned).finish_non_exhaustive()
    }
}
