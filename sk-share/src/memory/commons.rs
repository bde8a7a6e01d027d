//! A region as the ground of values: its words, and the roster of those who hold it.

use std::num::NonZeroU32;
use std::time::Instant;

use super::fences;
use super::{Agent, Region, Roster, Wait, Woken};
use crate::error::Error;
use crate::fault;
use crate::ground::{self, AgentRef, Ground, Offset, Sleep};
use crate::sync::{AtomicU32, AtomicU64};

/// A region with the roster that its program lives by: what a lock, an arena and a value lie in.
///
/// Cheap to clone.
///
/// ```
/// use sk_share::ground::{Flip, Ground};
/// use sk_share::memory::{Commons, Kind, Region, Roster};
///
/// let roster = Roster::create()?;
/// let region = Region::create(Kind::new(7), 1 << 20, Some(roster.id()))?;
/// let commons = Commons::new(region, roster);
/// commons.grow(8192)?;
/// let value = Flip::at(&commons, 4096)?;
/// value.write(b"all or nothing", None)?;
///
/// let mut bytes = Vec::new();
/// value.read(&mut bytes, None)?;
/// assert_eq!(bytes, b"all or nothing");
/// # Ok::<(), sk_share::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Commons {
    region: Region,
    roster: Roster,
}

impl Commons {
    /// This region, whose holders are members of this roster.
    pub fn new(region: Region, roster: Roster) -> Commons {
        Commons { region, roster }
    }

    /// The memory.
    #[inline]
    pub fn region(&self) -> &Region {
        &self.region
    }

    /// Has [`fence_light`](Ground::fence_light) cost this process next to nothing, from some milliseconds after the
    /// first call on; before that, and where the system does not offer it, it is a full fence. A thread is started
    /// for it, which ends then.
    pub fn ease_light_fences(&self) {
        fences::ease();
    }

    /// Who lives.
    pub fn roster(&self) -> &Roster {
        &self.roster
    }
}

impl From<Agent> for AgentRef {
    #[inline]
    fn from(agent: Agent) -> AgentRef {
        // The generation of an agent is never 0.
        let generation = NonZeroU32::new(agent.generation()).unwrap_or(NonZeroU32::MIN);
        AgentRef { index: agent.slot(), generation, of_process: false }
    }
}

impl Ground for Commons {
    #[inline]
    fn u32(&self, at: Offset) -> Result<&AtomicU32, Error> {
        self.region.word32(at)
    }

    #[inline]
    fn u64(&self, at: Offset) -> Result<&AtomicU64, Error> {
        self.region.word64(at)
    }

    #[inline]
    fn words<const N: usize>(&self, at: Offset) -> Result<&[AtomicU64; N], Error> {
        let words = self.region.words64(at, N)?;
        words.first_chunk().ok_or_else(|| Error::damaged_at("an offset", at, at))
    }

    fn length(&self) -> u64 {
        self.region.length().unwrap_or_else(|_| self.region.known_length())
    }

    fn grow(&self, to: u64) -> Result<(), Error> {
        self.region.grow(to).map(|_| ())
    }

    #[inline]
    fn copy_in(&self, at: Offset, bytes: &[u8]) -> Result<(), Error> {
        self.region.write(at, bytes)
    }

    #[inline]
    fn copy_out(&self, at: Offset, bytes: &mut [u8]) -> Result<(), Error> {
        self.region.read(at, bytes)
    }

    #[inline(always)]
    fn me(&self) -> Result<AgentRef, Error> {
        self.roster.agent().map(AgentRef::from)
    }

    fn my_process(&self) -> Result<AgentRef, Error> {
        Ok(AgentRef { of_process: true, ..self.roster.agent_of_process()?.into() })
    }

    fn is_dead(&self, of: AgentRef) -> bool {
        let Some(agent) = Agent::of_ref(of) else { return true };
        // What cannot be asked is not known to be dead: it would be taken from a living holder.
        let is_dead = self.roster.is_dead(agent).unwrap_or(false);
        // A process dies thread by thread. What it holds as a whole is free when no thread of it
        // that could still change anything here is left.
        is_dead && !(of.of_process && self.roster.has_living_sibling(agent))
    }

    #[inline]
    fn deaths(&self) -> u32 {
        self.roster.deaths().count()
    }

    fn wait(&self, sleep: &Sleep, deadline: Option<Instant>) -> Result<ground::Woken, Error> {
        let wait = Wait {
            word: self.region.word32(sleep.at)?,
            expected: sleep.expected,
            deaths: super::Deaths::from_count(sleep.deaths),
            owner: sleep.owner.and_then(Agent::of_ref),
            deadline: fences::until(deadline),
        };
        Ok(match self.roster.wait(&wait)? {
            Woken::TimedOut if wait.deadline == deadline => ground::Woken::TimedOut,
            Woken::OwnerDied if sleep.owner.is_some_and(|owner| !self.is_dead(owner)) => {
                // The rest of that process has microseconds to live.
                std::thread::yield_now();
                ground::Woken::Look
            }
            _ => ground::Woken::Look,
        })
    }

    fn spin(&self, look: &mut dyn FnMut() -> bool) -> bool {
        self.roster.spin(look)
    }

    fn spin_closely(&self, look: &mut dyn FnMut() -> bool) -> bool {
        self.roster.spin_closely(look)
    }

    fn wake(&self, word: &AtomicU32, count: u32) -> u32 {
        super::wake(word, count)
    }

    #[inline(always)]
    fn fence_light(&self) {
        fences::light();
    }

    fn fence_heavy(&self) {
        fences::heavy();
    }

    /// A copy made by fork holds nothing, and gives nothing back.
    #[inline(always)]
    fn has_ended(&self) -> bool {
        self.region.is_copied()
    }

    #[inline]
    fn point(&self, step: &'static str) {
        fault::point(step);
    }
}
