//! One end of a pipe in this process: its memory, who has the other end, and waiting.
//!
//! An end has one holder at a time, a process:
//!
//! ```text
//!            attach                    closed, dropped
//!   nobody ---------> held by a process ------------> ended
//!      ^                |        ^
//!      |  given away    |        |  attach: another life, after the death of the one before
//!      +----------------+--------+
//! ```
//!
//! | dies | the other side |
//! |---|---|
//! | the holder, which nobody supervises | reads all that was sent, then it is disconnected |
//! | the holder, which somebody supervises | is told once, and waits for the next life |
//! | the holder, and then its supervisor | is disconnected |
//! | whoever was to attach it, before that | the kernel hangs the socket up; noticed within five seconds |

use std::task::{Context, Poll, Waker};

use sk_function::Until;
use sk_share::ground::{Attempt, Ground as _, Offset, Woken};
use sk_share::memory::{Commons, Kind, Member, Region, Roster};

use crate::Overflow;
use crate::error::{Error, Reason};
use crate::layout;
use crate::link::Link;
use crate::reactor;
use crate::ring::{Ring, Side};
use crate::sync::{Arc, Mutex, Ordering, lock};

/// In the state of a side: it sends nothing more.
pub(crate) const ENDED_SENDING: u64 = 1;
/// It receives nothing more.
pub(crate) const ENDED_RECEIVING: u64 = 2;
/// It was dropped before anybody had it.
const NEVER_USED: u64 = 4;

/// Which end: the one that stays, or the one that may move.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Anchor,
    Point,
}

impl Role {
    fn index(self) -> u64 {
        match self {
            Role::Anchor => 0,
            Role::Point => 1,
        }
    }

    fn other(self) -> Role {
        match self {
            Role::Anchor => Role::Point,
            Role::Point => Role::Anchor,
        }
    }

    fn word(self, at: Offset) -> Offset {
        layout::SIDES + self.index() * layout::SIDE_BYTES + at
    }
}

/// What a new pipe is like: by the side that sends.
pub(crate) struct Shape {
    pub(crate) capacities: [u64; 2],
    pub(crate) policies: [Overflow; 2],
    pub(crate) types: [String; 2],
}

pub(crate) struct End {
    pub(crate) commons: Commons,
    role: Role,
    /// Into which this side writes, and from which it reads.
    pub(crate) outgoing: Ring,
    pub(crate) incoming: Ring,
    pub(crate) sends_by: Overflow,
    pub(crate) receives_by: Overflow,
    pub(crate) link: Link,
    /// The pipe is of the program that this process belongs to, and not of one that it has only met.
    is_of_program: bool,
    /// Tasks that wait for a frame, and for room.
    tasks: [Mutex<Option<Waker>>; 2],
}

impl End {
    /// Both ends of a new pipe, of which this process has the anchor.
    pub(crate) fn pair(shape: &Shape) -> Result<(Arc<End>, Arc<End>), Error> {
        for asked in shape.capacities {
            if !Ring::CAPACITIES.contains(&asked) || !asked.is_power_of_two() {
                let (least, most) = (*Ring::CAPACITIES.start(), *Ring::CAPACITIES.end());
                return Err(Error::new(Reason::Capacity { asked, least, most }));
            }
        }
        let roster = Roster::of_program()?;
        let [there, back] = shape.capacities;
        let limit = layout::DATA + there + back;
        let region = Region::create(Kind::PIPE, limit, Some(roster.id()))?;
        region.grow(limit)?;
        let commons = Commons::new(region, roster);
        for ((index, name), policy) in (0..).zip(&shape.types).zip(shape.policies) {
            let at = layout::NAMES + index * layout::NAME_BYTES;
            let name = name.as_bytes();
            let kept = name.get(..MOST_NAME).unwrap_or(name);
            commons.u64(at)?.store(kept.len() as u64, Ordering::Relaxed);
            commons.region().write(at + 8, kept)?;
            commons.u64(layout::TYPES + index * 8)?.store(fingerprint(name), Ordering::Relaxed);
            commons.u64(layout::POLICIES + index * 8)?.store(policy.to_word(), Ordering::Relaxed);
        }
        for (index, capacity) in (0..).zip(shape.capacities) {
            commons.u64(layout::CAPACITIES + index * 8)?.store(capacity, Ordering::Relaxed);
        }
        commons.u64(layout::SHAPE)?.store(layout::SHAPE_WORD, Ordering::Relaxed);
        let (anchors, points) = Link::pair()?;
        let anchor = End::open(commons.clone(), Role::Anchor, anchors)?;
        anchor.attach()?;
        Ok((Arc::new(anchor), Arc::new(End::open(commons, Role::Point, points)?)))
    }

    /// An end of the pipe in this memory.
    pub(crate) fn open(commons: Commons, role: Role, link: Link) -> Result<End, Error> {
        let get = |at| Ok::<_, Error>(commons.u64(at)?.load(Ordering::Relaxed));
        let shape = get(layout::SHAPE)?;
        if shape != layout::SHAPE_WORD {
            return Err(Error::damaged("its layout", shape));
        }
        let length = commons.region().length()?;
        let mut rings = Vec::new();
        let mut data = layout::DATA;
        for index in 0..2 {
            let capacity = get(layout::CAPACITIES + index * 8)?;
            let is_one = Ring::CAPACITIES.contains(&capacity) && capacity.is_power_of_two();
            if !is_one || data + capacity > length {
                return Err(Error::damaged("the capacity of a ring", capacity));
            }
            let policy = get(layout::POLICIES + index * 8)?;
            let policy = Overflow::from_word(policy)
                .ok_or_else(|| Error::damaged("what happens when it is full", policy))?;
            let at = layout::RINGS + index * layout::RING_BYTES;
            rings.push((Ring { at, data, capacity }, policy));
            data += capacity;
        }
        let of = |role: Role| {
            let ring = if role == Role::Anchor { rings.first() } else { rings.last() };
            ring.copied().ok_or_else(|| Error::damaged("the number of rings", 0))
        };
        let (outgoing, sends_by) = of(role)?;
        let (incoming, receives_by) = of(role.other())?;
        let program = Roster::current().map(|roster| roster.id());
        let is_of_program = program.is_ok_and(|id| id == commons.roster().id());
        let tasks = <[Mutex<Option<Waker>>; 2]>::default();
        Ok(End {
            commons,
            role,
            outgoing,
            incoming,
            sends_by,
            receives_by,
            link,
            is_of_program,
            tasks,
        })
    }

    /// An error unless this end sends and receives what these names say.
    pub(crate) fn check_types(&self, sends: &str, receives: &str) -> Result<(), Error> {
        for (role, expected) in [(self.role, sends), (self.role.other(), receives)] {
            let found = self.word(layout::TYPES + role.index() * 8)?;
            if found != fingerprint(expected.as_bytes()) {
                let (found, expected) = (self.name_of(role)?, expected.to_owned());
                return Err(Error::new(Reason::OtherType { found, expected }));
            }
        }
        Ok(())
    }

    /// What a side sends.
    fn name_of(&self, role: Role) -> Result<String, Error> {
        let at = layout::NAMES + role.index() * layout::NAME_BYTES;
        let length = usize::try_from(self.word(at)?).unwrap_or(usize::MAX).min(MOST_NAME);
        let mut name = vec![0; length];
        self.commons.region().read(at + 8, &mut name)?;
        Ok(String::from_utf8_lossy(&name).into_owned())
    }

    fn word(&self, at: Offset) -> Result<u64, Error> {
        // Acquire: what was done before a side said that it ended, or had another holder, is seen.
        Ok(self.commons.u64(at)?.load(Ordering::Acquire))
    }

    /// Has this thread be an agent, so that it counts as awake, and its process not as gone before what it does is done.
    /// A thread is an agent of one program: what is of its own needs that, a pipe of another one goes without.
    #[inline]
    pub(crate) fn enter(&self) -> bool {
        self.is_of_program && self.commons.me().is_ok()
    }

    fn me(&self) -> u64 {
        self.commons.roster().me().to_bits()
    }

    /// An error in a copy made by fork.
    #[inline]
    pub(crate) fn check_copied(&self) -> Result<(), Error> {
        if self.commons.has_ended() { Err(Error::new(Reason::Copied)) } else { Ok(()) }
    }

    /// Has this process hold the end.
    ///
    /// # Errors
    /// A process that lives holds it; it has ended.
    pub(crate) fn attach(&self) -> Result<(), Error> {
        self.check_copied()?;
        let holder = self.commons.u64(self.role.word(layout::HOLDER))?;
        let found = holder.load(Ordering::Acquire);
        let is_free = match Member::from_bits(found) {
            None if found == 0 => true,
            None => return Err(Error::damaged("the holder of an end", found)),
            Some(before) => self.commons.roster().is_member_gone(before)?,
        };
        // Acquire: all that the holder before did.
        let exchanged = is_free
            && holder
                .compare_exchange(found, self.me(), Ordering::AcqRel, Ordering::Relaxed)
                .is_ok();
        if !exchanged {
            return Err(Error::new(Reason::Held { process: self.process_of(self.role) }));
        }
        self.commons.point("pipe.attach.held");
        let state = self.word(self.role.word(layout::STATE))?;
        if state & (ENDED_SENDING | ENDED_RECEIVING) == ENDED_SENDING | ENDED_RECEIVING {
            return Err(Error::new(Reason::Closed {
                what: "the end was closed by its last holder",
            }));
        }
        let process = u64::from(std::process::id());
        self.commons.u64(self.role.word(layout::PROCESS))?.store(process, Ordering::Relaxed);
        self.commons.u64(self.role.word(layout::LIFE))?.fetch_add(1, Ordering::AcqRel);
        self.commons.point("pipe.attach.counted");
        self.wake_everybody()
    }

    /// Whether this process holds the end.
    pub(crate) fn is_held_here(&self) -> bool {
        self.word(self.role.word(layout::HOLDER)).is_ok_and(|holder| holder == self.me())
    }

    /// Gives the end up, for whoever attaches it next.
    pub(crate) fn detach(&self) -> Result<(), Error> {
        let holder = self.commons.u64(self.role.word(layout::HOLDER))?;
        let _ = holder.compare_exchange(self.me(), 0, Ordering::AcqRel, Ordering::Relaxed);
        Ok(())
    }

    /// Ends what these bits say, in order.
    pub(crate) fn close(&self, what: u64) {
        if self.commons.has_ended() {
            return;
        }
        // An error would be damage, which the other side finds itself.
        if let Ok(state) = self.commons.u64(self.role.word(layout::STATE)) {
            // Release: whoever sees it sees all that was sent.
            state.fetch_or(what, Ordering::AcqRel);
            self.commons.point("pipe.closed");
            let _ = self.wake_everybody();
        }
    }

    /// As [`close`](Self::close), of an end that nobody ever held.
    pub(crate) fn close_unused(&self) {
        self.close(NEVER_USED | ENDED_SENDING | ENDED_RECEIVING);
    }

    /// Has all who wait at either ring look again.
    fn wake_everybody(&self) -> Result<(), Error> {
        let mut bell = false;
        for ring in [&self.outgoing, &self.incoming] {
            for side in [Side::Items, Side::Room] {
                bell |= ring.wake_waiting(&self.commons, side)?;
            }
        }
        if bell {
            self.link.ring();
        }
        // Tasks of this process may wait at this end too, or at the other one.
        self.wake_tasks();
        Ok(())
    }

    /// Wakes who waits for what was just published, or for the room that was just made.
    #[inline]
    pub(crate) fn wake(&self, ring: &Ring, side: Side) -> Result<(), Error> {
        if ring.wake(&self.commons, side)? {
            self.link.ring();
        }
        Ok(())
    }

    /// The process of the last holder of a side.
    fn process_of(&self, role: Role) -> Option<u32> {
        let process = self.word(role.word(layout::PROCESS)).ok()?;
        u32::try_from(process).ok().filter(|process| *process != 0)
    }

    /// How many times this end was attached.
    pub(crate) fn life(&self) -> Result<u64, Error> {
        self.word(self.role.word(layout::LIFE))
    }

    /// How many times the other end was attached.
    pub(crate) fn life_of_peer(&self) -> Result<u64, Error> {
        self.word(self.role.other().word(layout::LIFE))
    }

    /// Whether the other end has ended this.
    #[inline]
    pub(crate) fn has_peer_ended(&self, what: u64) -> Result<bool, Error> {
        Ok(self.word(self.role.other().word(layout::STATE))? & what != 0)
    }

    /// Why there may be nothing more from the other end, or nobody to read.
    ///
    /// `told` is the life whose death was told already.
    pub(crate) fn look_at_peer(&self, ended: u64, told: Option<&mut u64>) -> Result<(), Error> {
        let peer = self.role.other();
        let state = self.word(peer.word(layout::STATE))?;
        if state & ended != 0 {
            let what = match peer {
                _ if state & NEVER_USED != 0 => "the point was dropped before it was used",
                Role::Anchor => "the anchor was closed",
                Role::Point => "the point was closed",
            };
            return Err(Error::new(Reason::Closed { what }));
        }
        let found = self.word(peer.word(layout::HOLDER))?;
        let Some(holder) = Member::from_bits(found) else {
            if found != 0 {
                return Err(Error::damaged("the holder of an end", found));
            }
            return Ok(());
        };
        let roster = self.commons.roster();
        if !roster.is_member_gone(holder)? {
            return Ok(());
        }
        let process = self.process_of(peer);
        let supervisor = Member::from_bits(self.word(peer.word(layout::SUPERVISOR))?);
        if supervisor.is_some_and(|member| !roster.is_member_dead(member).unwrap_or(true)) {
            let life = self.life_of_peer()?;
            return match told {
                Some(told) if *told != life => {
                    *told = life;
                    Err(Error::new(Reason::Restarting { process }))
                }
                _ => Ok(()),
            };
        }
        Err(Error::new(Reason::Disconnected { process }))
    }

    /// Whether the end was lost on its way to whoever was to hold it.
    fn look_for_loss(&self) -> Result<(), Error> {
        let holder = self.word(self.role.other().word(layout::HOLDER))?;
        if holder == 0 && self.link.is_hung_up() {
            return Err(Error::new(Reason::Disconnected { process: None }));
        }
        Ok(())
    }

    /// Says that the process that is to hold the end is followed by another one when it dies, as long as this process
    /// lives, and does not take it back.
    pub(crate) fn supervise(&self, role: Role, is_supervised: bool) -> Result<(), Error> {
        let word = self.commons.u64(role.word(layout::SUPERVISOR))?;
        word.store(if is_supervised { self.me() } else { 0 }, Ordering::Release);
        if is_supervised { Ok(()) } else { self.wake_everybody() }
    }

    pub(crate) fn role(&self) -> Role {
        self.role
    }

    /// Sleeps until the look gives something; `None`: `until` is over.
    pub(crate) fn block<L: Look>(&self, look: &mut L, until: Until<'_>) -> Outcome<L::Output> {
        match self.block_until(look, until) {
            Ok(done) => done.map(Ok),
            Err(error) => Some(Err(error)),
        }
    }

    fn block_until<L: Look>(
        &self,
        look: &mut L,
        until: Until<'_>,
    ) -> Result<Option<L::Output>, Error> {
        // Counted as awake, this thread lets others know whether spinning is of use. If it cannot be, it does not spin.
        let is_agent = self.enter();
        loop {
            if let Some(done) = look.look()? {
                return Ok(Some(done));
            }
            look.rest();
            if is_agent && self.commons.spin_closely(&mut || look.is_likely()) {
                continue;
            }
            let (ring, side) = look.place();
            let sleep = match ring.look_or_sleep(&self.commons, side, || look.look())? {
                Attempt::Done(done) => return Ok(Some(done)),
                Attempt::Sleep(sleep) => sleep,
            };
            let before = std::time::Instant::now();
            if self.commons.wait(&sleep, until.at())? == Woken::TimedOut {
                return look.look();
            }
            if before.elapsed() >= LOOK_FOR_LOSS {
                self.look_for_loss()?;
            }
        }
    }

    /// The outcome of the look, or the promise to wake the task when there is reason for another one.
    pub(crate) fn poll<L: Look>(
        self: &Arc<Self>,
        look: &mut L,
        cx: &mut Context<'_>,
    ) -> Poll<Result<L::Output, Error>> {
        match self.poll_once(look, cx) {
            Ok(Some(done)) => Poll::Ready(Ok(done)),
            Ok(None) => Poll::Pending,
            Err(error) => Poll::Ready(Err(error)),
        }
    }

    fn poll_once<L: Look>(
        self: &Arc<Self>,
        look: &mut L,
        cx: &mut Context<'_>,
    ) -> Result<Option<L::Output>, Error> {
        if let Some(done) = look.look()? {
            return Ok(Some(done));
        }
        reactor::register(self)?;
        let (ring, side) = look.place();
        *lock(self.task(side)) = Some(cx.waker().clone());
        // Before the bell is set: what rings from here on is heard.
        self.link.clear()?;
        ring.set_bell(&self.commons, side)?;
        look.look()
    }

    fn task(&self, side: Side) -> &Mutex<Option<Waker>> {
        let [items, room] = &self.tasks;
        match side {
            Side::Items => items,
            Side::Room => room,
        }
    }

    /// Has the tasks that wait at this end look again.
    pub(crate) fn wake_tasks(&self) {
        for task in &self.tasks {
            let waker = lock(task).take();
            if let Some(waker) = waker {
                waker.wake();
            }
        }
    }

    /// Wakes the tasks that have reason to look, as far as can be told without taking anything. For once in a while.
    pub(crate) fn look_for_tasks(&self) {
        let [items, room] = &self.tasks;
        let is_waiting = |task: &Mutex<Option<Waker>>| lock(task).is_some();
        let unread = |ring: &Ring| ring.unread(&self.commons).unwrap_or(u64::MAX);
        let both = ENDED_SENDING | ENDED_RECEIVING;
        let is_lost =
            || self.look_at_peer(both, Some(&mut 0)).is_err() || self.look_for_loss().is_err();
        let is_for_items = is_waiting(items) && unread(&self.incoming) > 0;
        let is_for_room = is_waiting(room) && unread(&self.outgoing) <= self.outgoing.capacity / 2;
        if is_for_items || is_for_room || (is_waiting(items) || is_waiting(room)) && is_lost() {
            self.wake_tasks();
        }
    }
}

impl Drop for End {
    fn drop(&mut self) {
        reactor::forget(self);
    }
}

/// What one waits for at an end.
pub(crate) trait Look {
    type Output;

    /// The outcome, if it is there.
    fn look(&mut self) -> Result<Option<Self::Output>, Error>;

    /// Whether a look may find something; for who spins.
    fn is_likely(&self) -> bool;

    /// Lets the other side get ahead a little, if that is of use.
    fn rest(&mut self) {}

    /// Where it waits.
    fn place(&self) -> (Ring, Side);
}

pub(crate) type Outcome<R> = Option<Result<R, Error>>;

/// Whoever has waited so long looks whether the other end was lost on its way.
const LOOK_FOR_LOSS: std::time::Duration = std::time::Duration::from_secs(4);

#[expect(clippy::cast_possible_truncation, reason = "a few hundred bytes")]
const MOST_NAME: usize = (layout::NAME_BYTES - 8) as usize;

/// Tells names of types apart: FNV-1a (Fowler, Noll and Vo), 64 bits.
pub(crate) fn fingerprint(name: &[u8]) -> u64 {
    name.iter().fold(0xCBF2_9CE4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01B3)
    })
}
