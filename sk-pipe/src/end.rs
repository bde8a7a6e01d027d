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
//! | whoever was to attach it, before that | the kernel hangs the socket up; a task hears it, others look within five seconds |

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::{Context, Poll, Waker};

use sk_function::Until;
use sk_share::ground::{Attempt, Ground as _, Offset, Woken};
use sk_share::memory::{Commons, Kind, Member, Region, Roster};

use crate::Overflow;
use crate::error::{Error, Reason};
use crate::layout;
use crate::link::Link;
use crate::memory::Memory;
use crate::reactor;
use crate::ring::{Ring, Side};
use crate::sync::{Arc, AtomicBool, Mutex, Ordering, lock};

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
    pub(crate) commons: Memory,
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
    /// The other end was lost on its way, and nobody can have it any more.
    is_lost: AtomicBool,
    /// The other end was found dead, which is known before this process has counted that death.
    was_dead: AtomicBool,
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
        let commons = Memory::new(commons)?;
        let tasks = <[Mutex<Option<Waker>>; 2]>::default();
        let [is_lost, was_dead] = [AtomicBool::new(false), AtomicBool::new(false)];
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
            is_lost,
            was_dead,
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

    #[inline]
    fn word(&self, at: Offset) -> Result<u64, Error> {
        // Acquire: what was done before a side said that it ended, or had another holder, is seen.
        Ok(self.commons.u64(at)?.load(Ordering::Acquire))
    }

    /// Has this thread be an agent, so that it counts as awake, and its process not as gone before what it does is done.
    /// A thread is an agent of one program: what is of its own needs that, a pipe of another one goes without.
    #[inline(always)]
    pub(crate) fn enter(&self) -> bool {
        self.is_of_program && self.commons.me().is_ok()
    }

    fn me(&self) -> u64 {
        self.commons.roster().me().to_bits()
    }

    /// An error in a copy made by fork.
    #[inline(always)]
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
        // What they are to see is stored; the bells are looked at behind it: (P3) of the ring.
        self.commons.fence_light();
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
    #[inline(always)]
    pub(crate) fn wake(&self, ring: &Ring, side: Side) -> Result<(), Error> {
        if ring.is_waited(&self.commons, side)? { self.wake_waiting(ring, side) } else { Ok(()) }
    }

    #[cold]
    #[inline(never)]
    fn wake_waiting(&self, ring: &Ring, side: Side) -> Result<(), Error> {
        if ring.wake_waiting(&self.commons, side)? {
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

    /// Why there may be nothing more from the other end, or nobody to read; false where that has to be asked again:
    /// between two lives.
    ///
    /// `told` is the life whose death was told already.
    pub(crate) fn look_at_peer(&self, ended: u64, told: Option<&mut u64>) -> Result<bool, Error> {
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
        // Before who holds it: a next life that attaches in between would be told as another death of the one before.
        let life = self.life_of_peer()?;
        let found = self.word(peer.word(layout::HOLDER))?;
        let Some(holder) = Member::from_bits(found) else {
            if found != 0 {
                return Err(Error::damaged("the holder of an end", found));
            }
            if self.is_lost() {
                return Err(Error::new(Reason::Disconnected { process: None }));
            }
            return Ok(true);
        };
        let roster = self.commons.roster();
        if !roster.is_member_dead(holder)? {
            return Ok(true);
        }
        // The rest of that process has microseconds to live, and nobody tells when it is over.
        let begin = std::time::Instant::now();
        while !roster.is_member_gone(holder)? {
            if begin.elapsed() > REST_OF_A_PROCESS {
                return Ok(false);
            }
            self.nap()?;
        }
        let process = self.process_of(peer);
        let supervisor = Member::from_bits(self.word(peer.word(layout::SUPERVISOR))?);
        if supervisor.is_some_and(|member| !roster.is_member_dead(member).unwrap_or(true)) {
            return match told {
                Some(told) if *told != life => {
                    *told = life;
                    Err(Error::new(Reason::Restarting { process }))
                }
                _ => Ok(false),
            };
        }
        self.was_dead.store(true, Ordering::Relaxed);
        Err(Error::new(Reason::Disconnected { process }))
    }

    /// Leaves the processor to who is about to end, which may be one that this thread ran on all the time.
    fn nap(&self) -> Result<(), Error> {
        let deadline = Some(std::time::Instant::now() + NAP);
        let sleep = self.incoming.any_sleep(&self.commons)?;
        self.commons.wait(&sleep, deadline)?;
        Ok(())
    }

    /// Whether the other end was found lost or dead, so that whoever sends has to look at it.
    #[inline]
    pub(crate) fn was_gone(&self) -> bool {
        // Relaxed: it says nothing of other memory.
        self.is_lost() || self.was_dead.load(Ordering::Relaxed)
    }

    /// Whether the other end was lost on its way to whoever was to hold it, as far as that was noticed.
    #[inline]
    pub(crate) fn is_lost(&self) -> bool {
        // Relaxed: it says nothing of other memory.
        self.is_lost.load(Ordering::Relaxed)
    }

    /// Notices that the other end was lost, and says whether it was.
    fn look_for_loss(&self) -> Result<bool, Error> {
        if self.link.is_hung_up() { self.hung_up() } else { Ok(false) }
    }

    /// The socket is hung up. That was looked at before who holds the other end, which nobody changes from then on.
    fn hung_up(&self) -> Result<bool, Error> {
        if self.word(self.role.other().word(layout::HOLDER))? == 0 {
            self.is_lost.store(true, Ordering::Relaxed);
        }
        Ok(self.is_lost())
    }

    /// Says that the process that is to hold the end is followed by another one when it dies, as long as this process
    /// lives, and does not take it back.
    pub(crate) fn supervise(&self, role: Role, is_supervised: bool) -> Result<(), Error> {
        self.check_copied()?;
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
            let is_over = self.commons.wait(&sleep, until.at())? == Woken::TimedOut;
            if is_over || before.elapsed() >= LOOK_FOR_LOSS {
                self.look_for_loss()?;
            }
            if is_over {
                return look.look();
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
        let (ring, side) = look.place();
        if let Some(done) = look.look()? {
            self.stop_waiting(side);
            return Ok(Some(done));
        }
        reactor::register(self)?;
        self.start_waiting(side, cx.waker());
        // Before the bell is set: what rings from here on is heard.
        let cleared = self.link.clear();
        self.pass_on(side);
        if cleared? {
            self.hung_up()?;
        }
        ring.set_bell(&self.commons, side)?;
        let done = look.look()?;
        if done.is_some() {
            self.stop_waiting(side);
        }
        Ok(done)
    }

    /// A waker is the user's code: it is cloned, woken and dropped while no lock is held.
    fn start_waiting(&self, side: Side, waker: &Waker) {
        let fresh = waker.clone();
        let before = lock(self.task(side)).replace(fresh);
        drop(before);
    }

    /// Wakes the task at the other side, if who waits at this one has taken a bell off the socket that was for it.
    pub(crate) fn pass_on(&self, side: Side) {
        if self.link.was_heard() {
            self.wake_task(side.other());
        }
    }

    fn wake_task(&self, side: Side) {
        let Some(waker) = lock(self.task(side)).take() else { return };
        // A panic of one task keeps no other from being woken. The hook has told of it; what it carries may panic when it is
        // dropped, and what that carries is left alone.
        if let Err(payload) = catch_unwind(AssertUnwindSafe(|| waker.wake()))
            && let Err(again) = catch_unwind(AssertUnwindSafe(|| drop(payload)))
        {
            std::mem::forget(again);
        }
    }

    fn task(&self, side: Side) -> &Mutex<Option<Waker>> {
        let [items, room] = &self.tasks;
        match side {
            Side::Items => items,
            Side::Room => room,
        }
    }

    /// The task at this side does not wait any more, and nothing of it is kept.
    pub(crate) fn stop_waiting(&self, side: Side) {
        let waker = lock(self.task(side)).take();
        drop(waker);
    }

    /// Has the tasks that wait at this end look again.
    pub(crate) fn wake_tasks(&self) {
        self.wake_task(Side::Items);
        self.wake_task(Side::Room);
    }

    /// Wakes the tasks that have reason to look, as far as can be told without taking anything. For once in a while.
    pub(crate) fn look_for_tasks(&self) {
        let [items, room] = &self.tasks;
        let is_waiting = |task: &Mutex<Option<Waker>>| lock(task).is_some();
        let unread = |ring: &Ring| ring.unread(&self.commons).unwrap_or(u64::MAX);
        let both = ENDED_SENDING | ENDED_RECEIVING;
        let is_lost = || {
            self.look_for_loss().unwrap_or(true) || self.look_at_peer(both, Some(&mut 0)).is_err()
        };
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

const MOST_NAME: usize = 1016;
const _: () = assert!(MOST_NAME as u64 + 8 == layout::NAME_BYTES);

/// What a process takes that is ending, if there is nothing wrong with it. Then those who wait look in five seconds.
const REST_OF_A_PROCESS: std::time::Duration = std::time::Duration::from_millis(50);

const NAP: std::time::Duration = std::time::Duration::from_micros(50);

/// Tells names of types apart: FNV-1a (Fowler, Noll and Vo), 64 bits.
pub(crate) fn fingerprint(name: &[u8]) -> u64 {
    name.iter().fold(0xCBF2_9CE4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01B3)
    })
}

#[cfg(test)]
#[cfg(not(loom))]
pub(crate) mod tests {
    use std::task::Wake;

    use super::*;
    use crate::sync::AtomicU64;

    /// Counts how often it was woken.
    #[derive(Default)]
    pub(crate) struct Woken(AtomicU64);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    impl Woken {
        pub(crate) fn count(&self) -> u64 {
            self.0.load(Ordering::SeqCst)
        }
    }

    /// Both ends of a pipe, of which none is known to the reactor yet: nothing but what a test does wakes a task.
    pub(crate) fn ends() -> (Arc<End>, Arc<End>) {
        let types = [String::new(), String::new()];
        let (anchor, point) =
            End::pair(&Shape { capacities: [4096; 2], policies: [Overflow::Block; 2], types })
                .unwrap();
        point.attach().unwrap();
        (anchor, point)
    }

    fn wait_at(end: &End, side: Side) -> Arc<Woken> {
        let woken = Arc::new(Woken::default());
        *lock(end.task(side)) = Some(Waker::from(Arc::clone(&woken)));
        woken
    }

    /// Rows: PIPE-31
    #[test]
    fn a_bell_that_one_task_takes_off_wakes_the_other() {
        let (anchor, point) = ends();
        for side in [Side::Items, Side::Room] {
            let (mine, other) = (wait_at(&anchor, side), wait_at(&anchor, side.other()));
            point.link.ring();
            anchor.link.clear().unwrap();
            anchor.pass_on(side);
            assert_eq!((mine.count(), other.count()), (0, 1));
            anchor.pass_on(side.other());
            assert_eq!(mine.count(), 0, "it was told already");
            anchor.stop_waiting(side);
        }
        // Also by who takes what came beside a message.
        let room = wait_at(&anchor, Side::Room);
        point.link.ring();
        assert!(anchor.link.take_files(1, 1).unwrap().is_none());
        anchor.pass_on(Side::Items);
        assert_eq!(room.count(), 1);
    }
}
