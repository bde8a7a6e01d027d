//! So many parties that go on together.
//!
//! The [table](super::table) of leases. `flag` is the *generation*, which counts how often it opened. A row is
//! an arrived party, and its count is the low 15 bits of the generation in which it arrived.
//!
//! To arrive, in front: clear the rows of other generations; count the others; if it is the last, sweep the dead
//! and count again; set a row, or, as the last, **count the generation up, which opens it**. That one is the
//! leader. All others wait, no longer in front, for the generation to move, and never look at rows. So only
//! an arrival opens it, and only then does it matter who has died.
//!
//! | dies | what is left | who goes on |
//! |---|---|---|
//! | in front, row not set | the lock abandoned | the next at the lock |
//! | arrived | its row | the last to arrive sweeps it, and waits for another |
//! | last, before the generation | closed, without it | the next to arrive |
//! | last, after | open, and nobody leads; sleepers asleep | `deaths` moves, they look |
//! | taking its row out | the row, or not; the lock abandoned | as for both |
//!
//! A row of another generation is cleared by the next to arrive, so none is left when the 15 bits begin anew.
//!
//! **A deadline** ends the wait, and then the arrival is taken back, in front. If it opened meanwhile, the
//! wait was successful. Whoever is in front then has few instructions left, and is waited for that long. If it is
//! stopped, the row stays, and counts as a party until its thread comes again or ends.
//!
//! Pairs of orderings: (A11) what a party did before it arrived is seen by all that go on: by the lock to the
//! leader, from there by release and acquire of the generation. (A7) of the event count.

use std::fmt;
use std::time::{Duration, Instant};

use super::super::words::{AgentRef, Attempt, Ground, Offset, wait_for};
use super::table::{COUNT, Table};
use super::{Shape, Waiting};
use crate::error::Error;
use crate::sync::modelled::Ordering;

/// Each arrival looks at all rows.
const MOST: u32 = 4096;
const SHAPE: Shape = Shape::new("parties of a barrier", *b"barr", MOST);

/// How long one that gives up waits for the one in front. Much longer than that one needs.
const GRACE: Duration = Duration::from_millis(100);

/// A barrier in shared memory.
pub struct Barrier<'g, G: Ground> {
    table: Table<'g, G>,
}

/// What a party is when it goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The one that came last.
    Leader,
    /// Any other.
    Follower,
}

/// How far one party has come, from the first look until the last one, or until `pass_on`.
#[derive(Debug, Default)]
pub struct Arrival {
    waiting: Waiting,
    arrived: Option<Arrived>,
}

#[derive(Debug, Clone, Copy)]
struct Arrived {
    row: u32,
    generation: u32,
}

/// What rows hold when one arrives.
struct Others {
    count: u32,
    free: Option<u32>,
}

impl<'g, G: Ground> Barrier<'g, G> {
    /// The most parties that there may be.
    pub const MOST: u32 = MOST;

    /// The bytes that one of so many `parties` takes, at a multiple of eight.
    #[must_use]
    pub const fn bytes(parties: u32) -> u64 {
        Table::<G>::bytes(parties)
    }

    /// Makes one of so many `parties` out of zeroed bytes at `at`.
    ///
    /// # Errors
    ///
    /// A limit, if that is 0 or more than [`MOST`](Self::MOST); damaged, if the bytes are not zero or not there.
    pub fn create(ground: &'g G, at: Offset, parties: u32) -> Result<Self, Error> {
        Ok(Barrier { table: Table::create(ground, at, SHAPE, parties)? })
    }

    /// The one at `at`.
    ///
    /// # Errors
    ///
    /// Damaged, if none was made there.
    pub fn at(ground: &'g G, at: Offset) -> Result<Self, Error> {
        Ok(Barrier { table: Table::at(ground, at, SHAPE)? })
    }

    /// Arrives, and waits until all have, but no longer than until `deadline`.
    ///
    /// # Errors
    ///
    /// Timeout, and then this party has not arrived; damaged, if the words cannot be.
    pub fn wait(&self, deadline: Option<Instant>) -> Result<Role, Error> {
        let me = self.table.ground.me()?;
        let mut arrival = Arrival::default();
        wait_for(self.table.ground, "all parties had arrived", deadline, || {
            self.attempt(me, &mut arrival)
        })
        .or_else(|error| {
            let grace = Some(Instant::now() + GRACE);
            self.pass_on(me, &mut arrival, grace).ok().flatten().ok_or(error)
        })
    }

    /// One look: what this party is when it goes on, or what to sleep on.
    ///
    /// # Errors
    ///
    /// Damaged, if the words cannot be; then the wait is over, so [`pass_on`](Self::pass_on).
    pub fn attempt(&self, me: AgentRef, arrival: &mut Arrival) -> Result<Attempt<Role>, Error> {
        let ground = self.table.ground;
        if arrival.arrived.is_none() {
            if let Attempt::Sleep(sleep) = self.table.advance(me, &mut arrival.waiting)? {
                return Ok(Attempt::Sleep(sleep));
            }
            ground.point("barrier.front");
            arrival.arrived = self.arrive(me)?;
            self.table.leave(me, &mut arrival.waiting)?;
            ground.point("barrier.left");
        }
        let Some(arrived) = arrival.arrived else {
            self.table.changes.notify_all();
            return Ok(Attempt::Done(Role::Leader));
        };
        // Before all that is looked at: a death from here on ends the sleep.
        let deaths = ground.deaths();
        if self.has_opened(arrived) {
            *arrival = Arrival::default();
            return Ok(Attempt::Done(Role::Follower));
        }
        let expected = self.table.changes.prepare();
        ground.point("barrier.announced");
        // Who opens it after this look sees that somebody waits.
        if self.has_opened(arrived) {
            *arrival = Arrival::default();
            return Ok(Attempt::Done(Role::Follower));
        }
        Ok(Attempt::Sleep(self.table.changes.sleep(deaths, expected, None)))
    }

    /// How many parties meet.
    #[must_use]
    pub fn parties(&self) -> u32 {
        self.table.rows
    }

    /// Has all who wait look, since it is not what they came for any more.
    pub fn wake_all(&self) {
        self.table.wake_all();
    }

    /// Ends a wait before it is done: the arrival is taken back. If it had opened, gives what this party was.
    ///
    /// # Errors
    ///
    /// Timeout, if another one was in front until `deadline`: then the arrival stays. Damaged, if the words cannot be.
    pub fn pass_on(
        &self,
        me: AgentRef,
        arrival: &mut Arrival,
        deadline: Option<Instant>,
    ) -> Result<Option<Role>, Error> {
        let Arrival { mut waiting, arrived } = std::mem::take(arrival);
        let Some(arrived) = arrived else {
            return self.table.leave(me, &mut waiting).map(|()| None);
        };
        let come = wait_for(self.table.ground, "the barrier was free", deadline, || {
            self.table.advance(me, &mut waiting)
        });
        if let Err(error) = come {
            self.table.leave(me, &mut waiting)?;
            return Err(error);
        }
        self.table.ground.point("barrier.taking_back");
        let has_opened = self.has_opened(arrived);
        let cleared = if has_opened {
            Ok(())
        } else {
            self.clear(arrived.row, row_word(me, arrived.generation))
        };
        self.table.ground.point("barrier.taken_back");
        self.table.leave(me, &mut waiting)?;
        cleared.map(|()| has_opened.then_some(Role::Follower))
    }

    fn has_opened(&self, arrived: Arrived) -> bool {
        // Acquire: (A11).
        self.table.flag.load(Ordering::Acquire) != arrived.generation
    }

    /// In front: sets a row, or opens the barrier and gives `None`.
    fn arrive(&self, me: AgentRef) -> Result<Option<Arrived>, Error> {
        let parties = self.table.rows;
        let generation = self.table.flag.load(Ordering::Relaxed);
        let mut others = self.others(me, generation, |_| false)?;
        if others.count + 1 >= parties {
            // The last but for the dead, who do not count.
            others = self.others(me, generation, |holder| self.table.ground.is_dead(holder))?;
        }
        self.table.ground.point("barrier.counted");
        if others.count + 1 == parties {
            // Release: (A11).
            self.table.flag.store(generation.wrapping_add(1), Ordering::Release);
            self.table.ground.point("barrier.opened");
            return Ok(None);
        }
        let row = others.free.unwrap_or(parties);
        let word = row_word(me, generation);
        // Relaxed: the next in front sees it by the lock.
        match self.table.row(row)?.compare_exchange(0, word, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => {
                self.table.ground.point("barrier.arrived");
                Ok(Some(Arrived { row, generation }))
            }
            Err(found) => Err(self.table.damaged(row, found)),
        }
    }

    /// In front: counts the others of this generation and clears all rows but theirs.
    fn others(
        &self,
        me: AgentRef,
        generation: u32,
        is_out: impl Fn(AgentRef) -> bool,
    ) -> Result<Others, Error> {
        let mut others = Others { count: 0, free: None };
        for row in 0..self.table.rows {
            let found = self.table.row(row)?.load(Ordering::Relaxed);
            if found != 0 {
                let Some(holder) = AgentRef::from_word(found) else {
                    return Err(self.table.damaged(row, found));
                };
                // A thread is one party: what it left behind, when it went away without a word, is this.
                let is_mine = holder == me && !me.of_process;
                if found == row_word(holder, generation) && !is_mine && !is_out(holder) {
                    others.count += 1;
                    continue;
                }
                self.table.ground.point("barrier.clear");
                self.clear(row, found)?;
            }
            others.free = others.free.or(Some(row));
        }
        Ok(others)
    }

    fn clear(&self, row: u32, found: u64) -> Result<(), Error> {
        match self.table.row(row)?.compare_exchange(found, 0, Ordering::Relaxed, Ordering::Relaxed)
        {
            Ok(_) => Ok(()),
            Err(found) => Err(self.table.damaged(row, found)),
        }
    }
}

fn row_word(party: AgentRef, generation: u32) -> u64 {
    party.to_word() | u64::from(generation) & COUNT
}

impl<G: Ground> fmt::Debug for Barrier<'_, G> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Barrier").field("parties", &self.table.rows).finish_non_exhaustive()
    }
}
