//! Memory without processes: words in vectors, and agents that die at a chosen step.
//!
//! A dead agent executes nothing more: the step unwinds with [`Killed`] inside, and what is dropped
//! on the way asks `has_ended` and leaves the memory alone. Every access to the memory is a step, and
//! so is every named point.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::Ordering::{self, SeqCst};
use std::sync::atomic::{
    AtomicBool as PlainBool, AtomicU8 as PlainU8, AtomicU32 as PlainU32, AtomicU64 as PlainU64,
};
use std::sync::{Arc, Mutex as PlainMutex};
use std::time::Instant;

#[cfg(loom)]
use loom::{
    sync::Mutex,
    thread::{Thread, current, park},
};
use sk_share::Error;
use sk_share::ground::{AgentRef, AtomicU32, AtomicU64, Ground, Offset, Sleep, Woken};
#[cfg(not(loom))]
use std::{
    sync::Mutex,
    thread::{Thread, current, park, park_timeout},
};

/// What a killed agent unwinds with.
struct Killed;

/// Soon enough that a test which waits for nothing does not take long.
#[cfg(not(loom))]
pub(crate) fn soon() -> Option<Instant> {
    Some(Instant::now() + std::time::Duration::from_millis(20))
}

/// So late that who waits for it waits for nothing.
#[cfg(not(loom))]
pub(crate) fn late() -> Option<Instant> {
    Some(Instant::now() + std::time::Duration::from_secs(20))
}

/// How far the death of an agent is noticed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Death {
    /// Its process dies: all sleepers look.
    Process,
    /// Its thread ends: the kernel wakes one of those who sleep on it.
    Thread,
    /// It is stopped, not dead: nobody is told anything.
    Stopped,
}

/// When an agent dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    Lives,
    /// Before the step of this number, counted from zero.
    AtStep(u32),
    /// At the point of this name, when it has passed it so many times.
    AtPoint(&'static str, u32),
}

/// What happens at a point.
type Happening = Box<dyn Fn() + Send + Sync>;

struct Sleeper {
    word: usize,
    owner: Option<AgentRef>,
    thread: Thread,
    number: u64,
}

#[derive(Default)]
struct Sleepers {
    asleep: Vec<Sleeper>,
    next: u64,
}

/// The memory of one test.
pub(crate) struct Memory {
    doubles: Vec<AtomicU64>,
    singles: Vec<AtomicU32>,
    /// What each eight bytes are used as: 0 not yet, 1 a u64, 2 two u32.
    uses: Vec<PlainU8>,
    /// From here on memory is given back and used anew, maybe as words of another size.
    reused_from: PlainU64,
    length: PlainU64,
    limit: u64,
    /// For each index `generation << 1 | dead`.
    agents: Vec<AtomicU64>,
    deaths: AtomicU32,
    sleepers: Mutex<Sleepers>,
}

impl Memory {
    /// `length` bytes that may grow to `limit`, with so many places for agents.
    pub(crate) fn new(length: u64, limit: u64, agents: usize) -> Arc<Memory> {
        let singles = if cfg!(loom) { 128 } else { usize::try_from(limit / 4).unwrap() };
        Memory::with_singles(length, limit, agents, singles)
    }

    /// The same where only so many `u32` from the beginning are used, as a model has few words.
    pub(crate) fn with_singles(
        length: u64,
        limit: u64,
        agents: usize,
        singles: usize,
    ) -> Arc<Memory> {
        let words = usize::try_from(limit / 8).unwrap();
        Arc::new(Memory {
            doubles: (0..words).map(|_| AtomicU64::new(0)).collect(),
            singles: (0..singles).map(|_| AtomicU32::new(0)).collect(),
            uses: (0..words).map(|_| PlainU8::new(0)).collect(),
            reused_from: PlainU64::new(u64::MAX),
            length: PlainU64::new(length),
            limit,
            agents: (0..agents).map(|_| AtomicU64::new(1 << 1)).collect(),
            deaths: AtomicU32::new(0),
            sleepers: Mutex::new(Sleepers::default()),
        })
    }

    fn place(&self, at: Offset, bytes: u64, kind: u8) -> Result<usize, Error> {
        let length = self.length.load(SeqCst);
        if !at.is_multiple_of(bytes) || at.checked_add(bytes).is_none_or(|end| end > length) {
            return Err(Error::damaged_at("an offset", at, length));
        }
        let word = usize::try_from(at / 8).unwrap();
        let before = self.uses[word].swap(kind, SeqCst);
        if before != 0 && before != kind {
            assert!(at >= self.reused_from.load(SeqCst), "mixed sizes at {at}");
            self.change_size(word, kind);
        }
        Ok(usize::try_from(at / bytes).unwrap())
    }

    /// From `at` on words may be used as words of another size, one after the other.
    pub(crate) fn reused_from(&self, at: Offset) {
        self.reused_from.store(at, SeqCst);
    }

    fn change_size(&self, word: usize, kind: u8) {
        let [low, high] = [0, 1].map(|half| &self.singles[word * 2 + half]);
        let double = &self.doubles[word];
        let halves =
            |of: u64| [of, of >> 32].map(|half| u32::try_from(half & u64::from(u32::MAX)).unwrap());
        if kind == 1 {
            let [low, high] = [low, high].map(|half| u64::from(half.load(Ordering::Acquire)));
            double.store(high << 32 | low, Ordering::Release);
        } else {
            let [below, above] = halves(double.load(Ordering::Acquire));
            low.store(below, Ordering::Release);
            high.store(above, Ordering::Release);
        }
    }

    fn wake_where(&self, count: u32, is_woken: impl Fn(&Sleeper) -> bool) -> u32 {
        let mut sleepers = self.sleepers.lock().unwrap();
        let mut left = count;
        let mut index = 0;
        while left > 0 && index < sleepers.asleep.len() {
            if is_woken(&sleepers.asleep[index]) {
                let sleeper = sleepers.asleep.remove(index);
                sleeper.thread.unpark();
                left -= 1;
            } else {
                index += 1;
            }
        }
        count - left
    }

    /// Release: (A4), as the kernel marks the word of a thread after the last store of it.
    fn die(&self, agent: AgentRef, death: Death) {
        if death == Death::Stopped {
            return;
        }
        let word = u64::from(agent.generation.get()) << 1 | 1;
        self.agents[usize::from(agent.index)].store(word, Ordering::Release);
        match death {
            Death::Process => {
                self.deaths.fetch_add(1, Ordering::AcqRel);
                self.wake_where(u32::MAX, |_| true);
            }
            Death::Thread => {
                self.wake_where(1, |sleeper| sleeper.owner == Some(agent));
            }
            Death::Stopped => {}
        }
    }

    fn is_dead(&self, agent: AgentRef) -> bool {
        // Acquire: (A4).
        self.agents.get(usize::from(agent.index)).is_none_or(|word| {
            word.load(Ordering::Acquire) != u64::from(agent.generation.get()) << 1
        })
    }

    /// How many sleep.
    #[cfg(not(loom))]
    pub(crate) fn asleep(&self) -> usize {
        self.sleepers.lock().unwrap().asleep.len()
    }
}

/// The memory, as one agent sees it.
pub(crate) struct Agent {
    memory: Arc<Memory>,
    me: AgentRef,
    fate: Fate,
    death: Death,
    ended: PlainBool,
    steps: PlainU32,
    points: PlainMutex<BTreeMap<&'static str, u32>>,
    happens: Option<(&'static str, Happening)>,
}

impl Agent {
    /// The first agent of a place.
    pub(crate) fn new(memory: &Arc<Memory>, index: u16, fate: Fate) -> Agent {
        Agent::with_generation(memory, index, 1, fate)
    }

    fn with_generation(memory: &Arc<Memory>, index: u16, generation: u32, fate: Fate) -> Agent {
        Agent {
            memory: Arc::clone(memory),
            me: AgentRef {
                index,
                generation: NonZeroU32::new(generation).unwrap(),
                of_process: false,
            },
            fate,
            death: Death::Process,
            ended: PlainBool::new(false),
            steps: PlainU32::new(0),
            points: PlainMutex::new(BTreeMap::new()),
            happens: None,
        }
    }

    #[cfg(loom)]
    pub(crate) fn memory(&self) -> Arc<Memory> {
        Arc::clone(&self.memory)
    }

    /// What becomes of it in place of the death of its process.
    pub(crate) fn ending(mut self, death: Death) -> Agent {
        self.death = death;
        self
    }

    /// Has `happens` happen whenever the agent passes the point `name`.
    pub(crate) fn when(
        mut self,
        name: &'static str,
        happens: impl Fn() + Send + Sync + 'static,
    ) -> Agent {
        self.happens = Some((name, Box::new(happens)));
        self
    }

    /// Takes the place of a dead agent.
    pub(crate) fn next(memory: &Arc<Memory>, index: u16, fate: Fate) -> Agent {
        let word = &memory.agents[usize::from(index)];
        let generation = (word.load(Ordering::Acquire) >> 1) + 1;
        word.store(generation << 1, Ordering::Release);
        Agent::with_generation(memory, index, u32::try_from(generation).unwrap(), fate)
    }

    /// Gives the same agent another fate, its steps counted anew.
    pub(crate) fn fated(&mut self, fate: Fate) {
        self.fate = fate;
        self.steps = PlainU32::new(0);
        self.points.lock().unwrap().clear();
    }

    /// What `work` gives, or `None` if the agent dies on the way.
    pub(crate) fn run<T>(&self, work: impl FnOnce(&Agent) -> T) -> Option<T> {
        match catch_unwind(AssertUnwindSafe(|| work(self))) {
            Ok(result) => Some(result),
            Err(payload) if payload.is::<Killed>() => None,
            Err(payload) => resume_unwind(payload),
        }
    }

    /// Ends the agent between two operations.
    pub(crate) fn end(&self) {
        self.ended.store(true, SeqCst);
        self.memory.die(self.me, self.death);
    }

    pub(crate) fn steps(&self) -> u32 {
        self.steps.load(SeqCst)
    }

    /// The named points it passed.
    pub(crate) fn points(&self) -> Vec<&'static str> {
        self.points.lock().unwrap().keys().copied().collect()
    }

    fn step(&self) {
        assert!(!self.has_ended(), "the dead touch nothing");
        let step = self.steps.fetch_add(1, SeqCst);
        if self.fate == Fate::AtStep(step) {
            self.die_now();
        }
    }

    fn die_now(&self) -> ! {
        self.end();
        resume_unwind(Box::new(Killed));
    }
}

impl Ground for Agent {
    fn u32(&self, at: Offset) -> Result<&AtomicU32, Error> {
        self.step();
        Ok(&self.memory.singles[self.memory.place(at, 4, 2)?])
    }

    fn u64(&self, at: Offset) -> Result<&AtomicU64, Error> {
        self.step();
        Ok(&self.memory.doubles[self.memory.place(at, 8, 1)?])
    }

    fn words<const N: usize>(&self, at: Offset) -> Result<&[AtomicU64; N], Error> {
        self.step();
        let last = at.saturating_add(N as u64 * 8 - 8);
        if last >= self.length() || !at.is_multiple_of(8) {
            return Err(Error::damaged_at("an offset", at, self.length()));
        }
        let first = usize::try_from(at / 8).unwrap();
        Ok(self.memory.doubles[first..].first_chunk().unwrap())
    }

    fn length(&self) -> u64 {
        self.memory.length.load(SeqCst)
    }

    fn grow(&self, to: u64) -> Result<(), Error> {
        self.step();
        if to > self.memory.limit {
            return Err(Error::full(to, self.memory.limit));
        }
        self.memory.length.fetch_max(to, SeqCst);
        Ok(())
    }

    fn copy_in(&self, at: Offset, bytes: &[u8]) -> Result<(), Error> {
        for (at, chunk) in (at..).step_by(8).zip(bytes.chunks(8)) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.u64(at)?.store(u64::from_le_bytes(word), Ordering::Relaxed);
        }
        Ok(())
    }

    fn copy_out(&self, at: Offset, bytes: &mut [u8]) -> Result<(), Error> {
        for (at, chunk) in (at..).step_by(8).zip(bytes.chunks_mut(8)) {
            let word = self.u64(at)?.load(Ordering::Relaxed).to_le_bytes();
            chunk.copy_from_slice(&word[..chunk.len()]);
        }
        Ok(())
    }

    fn me(&self) -> Result<AgentRef, Error> {
        Ok(self.me)
    }

    fn my_process(&self) -> Result<AgentRef, Error> {
        Ok(AgentRef { of_process: true, ..self.me })
    }

    fn is_dead(&self, agent: AgentRef) -> bool {
        self.memory.is_dead(agent)
    }

    fn deaths(&self) -> u32 {
        self.memory.deaths.load(Ordering::Acquire)
    }

    fn wait(&self, sleep: &Sleep, deadline: Option<Instant>) -> Result<Woken, Error> {
        let slept_on = self.u32(sleep.at)?;
        let word = std::ptr::from_ref(slept_on).addr();
        let number = {
            let mut sleepers = self.memory.sleepers.lock().unwrap();
            if slept_on.load(Ordering::Acquire) != sleep.expected
                || self.deaths() != sleep.deaths
                || sleep.owner.is_some_and(|owner| self.is_dead(owner))
            {
                return Ok(Woken::Look);
            }
            let number = sleepers.next;
            sleepers.next += 1;
            let sleeper = Sleeper { word, owner: sleep.owner, thread: current(), number };
            sleepers.asleep.push(sleeper);
            number
        };
        loop {
            if pause(deadline) {
                let mut sleepers = self.memory.sleepers.lock().unwrap();
                if let Some(index) = sleepers.asleep.iter().position(|s| s.number == number) {
                    sleepers.asleep.remove(index);
                    return Ok(Woken::TimedOut);
                }
                return Ok(Woken::Look);
            }
            let sleepers = self.memory.sleepers.lock().unwrap();
            if sleepers.asleep.iter().all(|sleeper| sleeper.number != number) {
                break;
            }
        }
        self.step();
        if let Some(owner) = sleep.owner.filter(|owner| self.is_dead(*owner)) {
            self.memory.wake_where(u32::MAX, |sleeper| sleeper.owner == Some(owner));
        }
        Ok(Woken::Look)
    }

    fn wake(&self, word: &AtomicU32, count: u32) -> u32 {
        self.step();
        let word = std::ptr::from_ref(word).addr();
        self.memory.wake_where(count, |sleeper| sleeper.word == word)
    }

    fn point(&self, step: &'static str) {
        let passed = {
            let mut points = self.points.lock().unwrap();
            let times = points.entry(step).or_default();
            *times += 1;
            *times - 1
        };
        if let Fate::AtPoint(name, times) = self.fate
            && name == step
            && times == passed
        {
            self.die_now();
        }
        if let Some((name, happens)) = &self.happens
            && *name == step
        {
            happens();
        }
        self.step();
    }

    fn has_ended(&self) -> bool {
        self.ended.load(SeqCst)
    }
}

/// Parks; true when the deadline has passed.
#[cfg(not(loom))]
fn pause(deadline: Option<Instant>) -> bool {
    let Some(deadline) = deadline else {
        park();
        return false;
    };
    let now = Instant::now();
    if now >= deadline {
        return true;
    }
    park_timeout(deadline - now);
    false
}

/// loom has no time: a deadline never passes.
#[cfg(loom)]
fn pause(_: Option<Instant>) -> bool {
    park();
    false
}
