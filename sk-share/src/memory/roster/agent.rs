//! Agents: threads that hold things. How a slot is taken and given back is the backend's.

use std::cell::RefCell;
use std::fmt;

use super::backend::slot::{self, Hold};
use super::{Roster, Shared};
use crate::error::{Error, Reason};
use crate::ground::AgentRef;
use crate::sync::Arc;

pub(super) const MOST: usize = 8192;

/// Of the word that names an agent's member: the row is above.
pub(super) const GENERATION_BITS: u32 = 23;
pub(super) const GENERATION: u32 = (1 << GENERATION_BITS) - 1;

/// A thread that is or was an agent: its slot and its generation there. Small, and only a name: it can be
/// written into shared memory and asked after from any process, however dead.
///
/// ```
/// use sk_share::memory::{Agent, Roster};
///
/// let roster = Roster::create()?;
/// let there = std::thread::spawn(Agent::current).join().unwrap()?;
/// assert!(roster.is_dead(there)?);                  // its thread has ended
/// assert!(!roster.is_dead(roster.agent()?)?);
/// # Ok::<(), sk_share::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Agent {
    slot: u16,
    generation: u32,
}

impl Agent {
    /// The agent that the calling thread is in the roster of this process ([`Roster::current`]); see
    /// [`Roster::agent`].
    ///
    /// # Errors
    /// As for [`Roster::agent`], and where this process is no member of any roster.
    pub fn current() -> Result<Agent, Error> {
        let held = HELD.try_with(|held| {
            let held = held.try_borrow().ok()?;
            let held = held.as_ref()?;
            held.shared.check().ok()?;
            Some(held.agent)
        });
        match held {
            Ok(Some(agent)) => Ok(agent),
            _ => Roster::current()?.agent(),
        }
    }

    /// The agent with this slot and generation. `None` if there can be none.
    pub fn from_parts(slot: u16, generation: u32) -> Option<Agent> {
        (usize::from(slot) < MOST && generation != 0).then_some(Agent { slot, generation })
    }

    pub(crate) fn of_ref(of: AgentRef) -> Option<Agent> {
        Agent::from_parts(of.index, of.generation.get())
    }

    /// The place in the table, below [`Roster::AGENTS`].
    pub fn slot(self) -> u16 {
        self.slot
    }

    /// Which use of that place; never 0.
    pub fn generation(self) -> u32 {
        self.generation
    }
}

impl fmt::Debug for Agent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Agent({}, generation {})", self.slot, self.generation)
    }
}

/// What a thread has that is an agent; dropped, the slot is given back.
struct Held {
    shared: Arc<Shared>,
    hold: Hold,
    agent: Agent,
}

thread_local! {
    static HELD: RefCell<Option<Held>> = const { RefCell::new(None) };
}

/// The agent of the calling thread in this roster.
pub(in crate::memory) fn of_this_thread(shared: &Arc<Shared>) -> Result<Agent, Error> {
    shared.check()?;
    HELD.try_with(|cell| {
        let mut held = cell.try_borrow_mut().map_err(|_| Error::new(Reason::ThreadEnds))?;
        match &*held {
            Some(held) if Arc::ptr_eq(&held.shared, shared) => return Ok(held.agent),
            Some(held) if held.shared.check().is_ok() => {
                return Err(Error::new(Reason::OtherRoster));
            }
            // Of a membership that was ended, or of the process that this one is a copy of.
            Some(_) => drop(held.take()),
            None => {}
        }
        let (agent, hold) = slot::take(shared)?;
        shared.count_awake(true);
        *held = Some(Held { shared: Arc::clone(shared), hold, agent });
        Ok(agent)
    })
    .unwrap_or_else(|_| Err(Error::new(Reason::ThreadEnds)))
}

/// Whether the calling thread is an agent of this roster already.
pub(in crate::memory) fn is_this_thread_an_agent(shared: &Arc<Shared>) -> bool {
    let held = HELD.try_with(|held| {
        let held = held.try_borrow().ok()?;
        Some(Arc::ptr_eq(&held.as_ref()?.shared, shared))
    });
    held.is_ok_and(|held| held == Some(true))
}

impl Drop for Held {
    fn drop(&mut self) {
        // In a copy made by fork the slot belongs to the other process.
        if self.shared.region.check_incarnation().is_err() {
            return;
        }
        if self.shared.check().is_ok() {
            self.shared.count_awake(false);
        }
        slot::give_back(&self.shared, &self.hold, self.agent);
    }
}
