//! Permits: never more than there are, and all of them again after any death.

use std::mem::forget;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use sk_share::ground::{Attempt, Ground, Semaphore, Waiting};

use super::super::support::{Agent, Death, Fate, Memory, late, soon};
use super::{AT, agents, assert_passed, at_every_death, memory, patience, until_asleep, very_soon};

fn make(memory: &Arc<Memory>, permits: u32) {
    Semaphore::create(&Agent::new(memory, 15, Fate::Lives), AT, permits).unwrap();
}

fn with(permits: u32) -> Arc<Memory> {
    let memory = memory();
    make(&memory, permits);
    memory
}

fn at(agent: &Agent) -> Semaphore<'_, Agent> {
    Semaphore::at(agent, AT).unwrap()
}

#[test]
fn permits_are_given_out_as_long_as_there_are_any() {
    let memory = with(3);
    let [one, two] = agents(&memory);
    let (mine, theirs) = (at(&one), at(&two));
    assert_eq!((mine.permits(), mine.available().unwrap()), (3, 3));
    let two_of_them = mine.acquire(2).unwrap();
    assert_eq!((two_of_them.count(), theirs.available().unwrap()), (2, 1));
    assert!(theirs.try_acquire(2).unwrap().is_none());
    let last = theirs.try_acquire(1).unwrap().unwrap();
    assert!(theirs.try_acquire(1).unwrap().is_none());
    drop(two_of_them);
    assert!(theirs.try_acquire(3).unwrap().is_none());
    drop(last);
    assert!(theirs.try_acquire(3).unwrap().is_some());
    assert_eq!(mine.available().unwrap(), 3);
}

#[test]
fn impossible_numbers_are_errors_that_say_so() {
    let memory = memory();
    let [one] = agents(&memory);
    for permits in [0, Semaphore::<Agent>::MOST + 1, u32::MAX] {
        let error = Semaphore::create(&one, AT, permits).unwrap_err();
        assert!(error.is_limit(), "{error}");
    }
    let error = Semaphore::create(&one, AT, 0).unwrap_err().to_string();
    assert_eq!(error, "0 is no number of permits of a semaphore: it is from 1 to 32767");
    // One that is not there, one that does not fit, and one that is there already.
    assert!(Semaphore::at(&one, AT).unwrap_err().is_damaged());
    assert!(Semaphore::create(&one, AT, 1000).unwrap_err().is_damaged());
    let semaphore = Semaphore::create(&one, AT, 4).unwrap();
    assert!(Semaphore::create(&one, AT, 4).unwrap_err().is_damaged());
    for count in [0, 5] {
        assert!(semaphore.acquire(count).unwrap_err().is_limit());
        assert!(semaphore.try_acquire(count).unwrap_err().is_limit());
    }
}

#[test]
fn a_deadline_ends_the_wait_and_leaves_the_front() {
    let memory = with(1);
    let [one, two] = agents(&memory);
    let held = at(&one);
    let permit = held.acquire(1).unwrap();
    let began = Instant::now();
    let error = at(&two).acquire_until(1, soon()).unwrap_err();
    assert!(error.is_timeout(), "{error}");
    assert!(began.elapsed() >= Duration::from_millis(20));
    drop(permit);
    assert!(at(&one).try_acquire(1).unwrap().is_some());
}

#[test]
fn what_is_kept_its_holder_gives_back_once() {
    let memory = with(2);
    let [one, two] = agents(&memory);
    let process = one.my_process().unwrap();
    let lease = at(&one).try_acquire_as(process, 2).unwrap().unwrap();
    assert_eq!(lease.count(), 2);
    assert!(at(&one).acquire_until(1, soon()).unwrap_err().is_timeout());
    at(&one).give_back(process, lease).unwrap();
    let lease = at(&one).acquire(1).unwrap().keep();
    assert!(at(&two).give_back(two.me().unwrap(), lease).unwrap_err().is_damaged());
    assert_eq!(at(&two).available().unwrap(), 1);
}

/// One that asks for all waits in front; one that asks for less and comes later does not pass it.
#[test]
fn a_large_request_is_not_starved_by_small_ones() {
    let memory = with(3);
    let [one, two, three] = agents(&memory);
    let held = at(&one);
    let small = held.acquire(1).unwrap();
    thread::scope(|scope| {
        let large = scope.spawn(|| drop(at(&two).acquire_until(3, late()).unwrap()));
        until_asleep(&memory, 1, || large.is_finished());
        assert!(at(&three).try_acquire(1).unwrap().is_none());
        assert!(at(&three).acquire_until(1, soon()).unwrap_err().is_timeout());
        drop(small);
        large.join().unwrap();
    });
    assert!(at(&three).try_acquire(3).unwrap().is_some());
}

#[test]
fn forgotten_permits_are_back_when_their_thread_ends() {
    let memory = with(2);
    let one = Agent::new(&memory, 0, Fate::Lives).ending(Death::Thread);
    forget(at(&one).acquire(2).unwrap());
    let two = Agent::new(&memory, 1, Fate::Lives);
    assert!(at(&two).try_acquire(1).unwrap().is_none());
    thread::scope(|scope| {
        let waiter = scope.spawn(|| at(&two).acquire_until(2, late()).map(drop));
        until_asleep(&memory, 1, || waiter.is_finished());
        one.end();
        waiter.join().unwrap().unwrap();
    });
}

/// A future that was woken and is dropped: the next in the queue is woken in its place.
#[test]
fn one_that_is_woken_and_goes_away_passes_it_on() {
    for looks in [1, 2] {
        let memory = with(1);
        let [one, two, three, four] = &agents(&memory);
        let held = at(one);
        let permit = held.acquire(1).unwrap();
        let process = two.my_process().unwrap();
        let semaphore = at(two);
        let mut waiting = Waiting::default();
        thread::scope(|scope| {
            // Number four is in front, then number two sleeps at the lock, and then number three does.
            let front = scope.spawn(|| drop(at(four).acquire_until(1, late()).unwrap()));
            until_asleep(&memory, 1, || false);
            let Attempt::Sleep(sleep) = semaphore.attempt(process, 1, &mut waiting).unwrap() else {
                panic!("nothing is free");
            };
            // Somebody sleeps for it, so the one wake-up is for it.
            let sleeper = scope.spawn(move || two.wait(&sleep, late()).unwrap());
            until_asleep(&memory, 2, || false);
            let last = scope.spawn(|| drop(at(three).acquire_until(1, late()).unwrap()));
            until_asleep(&memory, 3, || false);
            drop(permit);
            front.join().unwrap();
            sleeper.join().unwrap();
            assert_eq!(memory.asleep(), 1);
            if looks == 2 {
                let held = at(one).try_acquire_as(process, 1).unwrap();
                assert!(semaphore.attempt(process, 1, &mut waiting).unwrap().is_sleep());
                semaphore.pass_on(process, &mut waiting).unwrap();
                semaphore.give_back(process, held.unwrap()).unwrap();
            } else {
                semaphore.pass_on(process, &mut waiting).unwrap();
            }
            last.join().unwrap();
        });
        assert_eq!(at(one).available().unwrap(), 1);
    }
}

trait IsSleep {
    fn is_sleep(&self) -> bool;
}

impl<R> IsSleep for Attempt<R> {
    fn is_sleep(&self) -> bool {
        matches!(self, Attempt::Sleep(_))
    }
}

/// The agent acquires in all ways: at once, after one in front, after a holder, after dead ones of both kinds; and
/// it gives back what another one waits for.
fn scene(memory: &Arc<Memory>, agent: &Agent, death: Death) -> Option<()> {
    let [other, dead, in_front] = [1, 2, 3].map(|index| Agent::new(memory, index, Fate::Lives));
    agent.run(|agent| {
        drop(at(agent).acquire(1).unwrap());
        drop(at(agent).try_acquire(2).unwrap().unwrap());
    })?;
    // Dead holders, and one that died in front.
    forget(at(&dead).acquire(2).unwrap());
    let process = in_front.my_process().unwrap();
    let mut waiting = Waiting::default();
    assert!(at(&in_front).attempt(process, 2, &mut waiting).unwrap().is_sleep());
    dead.end();
    in_front.end();
    agent.run(|agent| drop(at(agent).acquire_until(3, late()).unwrap()))?;
    // A holder that goes is waited for.
    let others = at(&other);
    let permits = others.acquire(2).unwrap();
    thread::scope(|scope| {
        let waiter =
            scope.spawn(|| agent.run(|agent| drop(at(agent).acquire_until(2, late()).unwrap())));
        until_asleep(memory, 1, || waiter.is_finished());
        drop(permits);
        waiter.join().unwrap()
    })?;
    // One in front that gives up.
    let _permit = others.acquire(1).unwrap();
    let mut waiting = Waiting::default();
    let process = other.my_process().unwrap();
    assert!(at(&other).attempt(process, 3, &mut waiting).unwrap().is_sleep());
    let gave_up = agent.run(|agent| {
        assert!(at(agent).acquire_until(1, very_soon()).unwrap_err().is_timeout());
    });
    if gave_up.is_none() {
        at(&other).pass_on(process, &mut waiting).unwrap();
        return None;
    }
    thread::scope(|scope| {
        let waiter =
            scope.spawn(|| agent.run(|agent| drop(at(agent).acquire_until(1, late()).unwrap())));
        until_asleep(memory, 1, || waiter.is_finished());
        at(&other).pass_on(process, &mut waiting).unwrap();
        waiter.join().unwrap()
    })?;
    // What the agent holds is waited for.
    let permits = agent.run(|agent| at(agent).acquire(1).unwrap().keep())?;
    let mut permits = Some(permits);
    thread::scope(|scope| {
        let waiter = scope.spawn(|| at(&other).acquire_until(2, patience(death)).map(drop));
        until_asleep(memory, 1, || waiter.is_finished());
        let me = agent.me().unwrap();
        let gave = agent.run(|agent| at(agent).give_back(me, permits.take().unwrap()).unwrap());
        let waited = waiter.join().unwrap();
        assert!(waited.is_ok() || death != Death::Process, "{waited:?}");
        gave
    })
}

#[test]
fn all_permits_are_there_whoever_died_at_any_step() {
    let points = at_every_death(
        |memory| make(memory, 3),
        scene,
        |_, last, _| {
            drop(at(last).acquire_until(3, late()).unwrap());
            assert_eq!(at(last).available().unwrap(), 3);
        },
    );
    assert_passed(
        &points,
        "semaphore.",
        &["semaphore.acquired", "semaphore.announced", "semaphore.counted", "semaphore.front"],
    );
    assert_passed(
        &points,
        "table.",
        &[
            "table.give_back",
            "table.given_back",
            "table.sweep",
            "table.swept",
            "table.taken",
            "table.used",
        ],
    );
}
