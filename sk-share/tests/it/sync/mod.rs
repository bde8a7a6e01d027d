//! What programs synchronise with: who gets what, and who gets it after a death.

mod barrier;
mod condvar;
mod damage;
mod event;
mod mutex;
mod rwlock;
mod semaphore;
mod stress;
mod tasks;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use super::support::{self, Agent, Death, Fate, Memory};

/// Where each object of these tests lies; two words beside it are theirs.
const AT: u64 = 64;
const FIRST: u64 = 0;
const SECOND: u64 = 8;

fn memory() -> Arc<Memory> {
    Memory::new(512, 512, 16)
}

fn agents<const N: usize>(memory: &Arc<Memory>) -> [Agent; N] {
    std::array::from_fn(|index| Agent::new(memory, u16::try_from(index).unwrap(), Fate::Lives))
}

/// So soon that a wait for a stopped one does not take long.
fn very_soon() -> Option<Instant> {
    Some(Instant::now() + Duration::from_millis(2))
}

/// Sooner for one that waits for somebody who may be stopped than for one that waits for the living.
fn patience(death: Death) -> Option<Instant> {
    if death == Death::Process { support::late() } else { very_soon() }
}

/// Waits until so many sleep, or `is_over`.
fn until_asleep(memory: &Memory, count: usize, is_over: impl Fn() -> bool) {
    while memory.asleep() < count && !is_over() {
        thread::yield_now();
    }
}

/// Plays a scene once for each step and each pass of a named point at which its agent, number 0, may
/// die, and in each way of dying; then whoever is left looks. Gives the points that it passed.
///
/// `scene` says whether the agent lived. After it the agent is dead in any case, also one that was
/// stopped: it comes to look with what that one had held meanwhile.
fn at_every_death(
    make: impl Fn(&Arc<Memory>),
    scene: impl Fn(&Arc<Memory>, &Agent, Death) -> Option<()>,
    look: impl Fn(&Arc<Memory>, &Agent, bool),
) -> BTreeSet<&'static str> {
    let play = |fate, death| {
        let memory = memory();
        make(&memory);
        let agent = Agent::new(&memory, 0, fate).ending(death);
        let lived = scene(&memory, &agent, death).is_some();
        let agent = agent.ending(Death::Process);
        if !lived && death == Death::Stopped {
            agent.end();
        }
        let last = Agent::new(&memory, 9, Fate::Lives);
        look(&memory, &last, lived);
        assert_eq!(memory.asleep(), 0, "{fate:?} {death:?}");
        (lived, agent)
    };
    let (lived, whole) = play(Fate::Lives, Death::Process);
    assert!(lived);
    let points: BTreeSet<_> = whole.points().into_iter().collect();
    for death in [Death::Process, Death::Thread, Death::Stopped] {
        for point in &points {
            let mut deaths = 0;
            while !play(Fate::AtPoint(point, deaths), death).0 {
                deaths += 1;
            }
            // Where others do not wait for long, what they do is a matter of time.
            assert!(deaths > 0 || death != Death::Process, "{point}");
        }
        for step in 0..whole.steps() {
            play(Fate::AtStep(step), death);
        }
    }
    points
}

fn assert_passed(points: &BTreeSet<&'static str>, own: &str, expected: &[&str]) {
    let passed: Vec<_> = points.iter().filter(|point| point.starts_with(own)).copied().collect();
    assert_eq!(passed, expected);
}
