//! The lock: who gets it, and who gets it after a death.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use sk_share::ground::{AgentRef, Ground, Lock};

use super::support::{Agent, Death, Fate, Memory, late, soon};

const OWNER: u64 = 0;
const COUNT: u64 = 16;

fn memory() -> Arc<Memory> {
    Memory::new(64, 64, 16)
}

fn set_owner(agent: &Agent, word: u64) {
    agent.u64(OWNER).unwrap().store(word, Ordering::SeqCst);
}

#[test]
fn one_at_a_time_holds_it() {
    let memory = memory();
    let [one, two] = [0, 1].map(|index| Agent::new(&memory, index, Fate::Lives));
    let (mine, theirs) = (Lock::at(&one, 0).unwrap(), Lock::at(&two, 0).unwrap());
    let guard = mine.lock().unwrap();
    assert!(!guard.was_abandoned());
    assert!(theirs.try_lock().unwrap().is_none());
    drop(guard);
    assert!(!theirs.try_lock().unwrap().unwrap().was_abandoned());
    assert!(mine.try_lock().unwrap().is_some());
}

#[test]
fn a_deadline_ends_the_wait() {
    let memory = memory();
    let [one, two] = [0, 1].map(|index| Agent::new(&memory, index, Fate::Lives));
    let _guard = Lock::at(&one, 0).unwrap().lock().unwrap();
    let began = Instant::now();
    let error = Lock::at(&two, 0).unwrap().lock_until(soon()).unwrap_err();
    assert!(error.is_timeout(), "{error}");
    assert!(began.elapsed() >= Duration::from_millis(20));
}

#[test]
fn taking_it_twice_is_an_error() {
    let memory = memory();
    let [one, two] = [0, 1].map(|index| Agent::new(&memory, index, Fate::Lives));
    let lock = Lock::at(&one, 0).unwrap();
    let guard = lock.lock().unwrap();
    assert!(lock.try_lock().unwrap_err().is_reentry());
    // With somebody asleep beside it, too.
    assert!(Lock::at(&two, 0).unwrap().lock_until(soon()).unwrap_err().is_timeout());
    assert!(lock.lock().unwrap_err().is_reentry());
    drop(guard);
    assert!(lock.lock().is_ok());
}

#[test]
fn words_that_nobody_wrote_are_errors() {
    let memory = memory();
    let one = Agent::new(&memory, 0, Fate::Lives);
    let living = one.me().unwrap().to_word();
    let lock = Lock::at(&one, 0).unwrap();
    for word in [1, 3, 4, 0x4000, 0xFFFF_FFFF, living | 2, living | 0x4000] {
        set_owner(&one, word);
        assert!(lock.try_lock().unwrap_err().is_damaged(), "{word:#x}");
        assert!(lock.lock_until(late()).unwrap_err().is_damaged(), "{word:#x}");
    }
    // Nobody by that name ever lived, so nobody is in the way.
    set_owner(&one, 0xDEAD_BEEF_DEAD_0001);
    assert!(lock.lock().unwrap().was_abandoned());
    for at in [4, 60, 64, u64::MAX, u64::MAX - 7] {
        assert!(Lock::at(&one, at).unwrap_err().is_damaged(), "{at}");
    }
}

#[test]
fn a_forgotten_guard_holds_until_its_thread_ends() {
    let memory = memory();
    let one = Agent::new(&memory, 0, Fate::Lives).ending(Death::Thread);
    std::mem::forget(Lock::at(&one, 0).unwrap().lock().unwrap());
    let two = Agent::new(&memory, 1, Fate::Lives);
    let lock = Lock::at(&two, 0).unwrap();
    assert!(lock.try_lock().unwrap().is_none());
    thread::scope(|scope| {
        scope.spawn(|| {
            while memory.asleep() == 0 {
                thread::yield_now();
            }
            one.end();
        });
        assert!(lock.lock_until(late()).unwrap().was_abandoned());
    });
}

#[test]
fn the_place_of_a_dead_holder_may_be_taken_again() {
    let memory = memory();
    let one = Agent::new(&memory, 0, Fate::Lives);
    std::mem::forget(Lock::at(&one, 0).unwrap().lock().unwrap());
    one.end();
    let again = Agent::next(&memory, 0, Fate::Lives);
    assert_ne!(again.me().unwrap(), one.me().unwrap());
    assert!(Lock::at(&again, 0).unwrap().try_lock().unwrap().unwrap().was_abandoned());
}

#[test]
fn it_is_abandoned_until_somebody_repairs() {
    let memory = memory();
    let one = Agent::new(&memory, 0, Fate::Lives);
    std::mem::forget(Lock::at(&one, 0).unwrap().lock().unwrap());
    one.end();
    let two = Agent::new(&memory, 1, Fate::Lives);
    let lock = Lock::at(&two, 0).unwrap();
    assert!(lock.lock().unwrap().was_abandoned());
    assert!(lock.lock().unwrap().was_abandoned());
    let mut guard = lock.lock().unwrap();
    guard.repaired();
    assert!(guard.was_abandoned());
    drop(guard);
    assert!(!lock.lock().unwrap().was_abandoned());
}

#[test]
fn what_a_process_holds_any_thread_gives_back_and_nobody_else() {
    let memory = memory();
    let [one, two] = [0, 1].map(|index| Agent::new(&memory, index, Fate::Lives));
    let (mine, theirs) = (Lock::at(&one, 0).unwrap(), Lock::at(&two, 0).unwrap());
    let process = one.my_process().unwrap();
    mine.try_lock_as(process).unwrap().unwrap().keep();
    // Another task of the same process is no re-entry, and has to wait.
    assert!(mine.try_lock_as(process).unwrap().is_none());
    assert!(mine.try_lock().unwrap().is_none());
    assert!(mine.give_back(one.me().unwrap()).unwrap_err().is_damaged());
    assert!(theirs.give_back(two.my_process().unwrap()).unwrap_err().is_damaged());
    assert!(theirs.try_lock().unwrap().is_none());
    mine.give_back(process).unwrap();
    assert!(theirs.try_lock().unwrap().is_some());
}

#[test]
fn an_agent_is_a_word_and_back() {
    let memory = memory();
    let agent = Agent::new(&memory, 7, Fate::Lives);
    for agent in [agent.me().unwrap(), agent.my_process().unwrap()] {
        assert_eq!(AgentRef::from_word(agent.to_word()), Some(agent));
        assert_eq!(AgentRef::from_word(agent.to_word() | 0x7FFF), Some(agent));
    }
    assert_eq!(AgentRef::from_word(0xFFFF_FFFF), None);
}

/// What an agent does in each test below: it waits for a holder that goes, takes the lock over from
/// a dead one, and gives it back with sleepers beside it.
fn scene(memory: &Arc<Memory>, agent: &Agent) -> Option<()> {
    let other = Agent::new(memory, 1, Fate::Lives);
    let other_lock = Lock::at(&other, 0).unwrap();
    // Somebody has slept here, so that giving back passes all points.
    let noisy = |waiter: &Agent| {
        assert!(Lock::at(waiter, 0).unwrap().lock_until(soon()).is_err());
    };
    // A holder that dies is taken over.
    let dead = Agent::new(memory, 2, Fate::Lives);
    std::mem::forget(Lock::at(&dead, 0).unwrap().lock().unwrap());
    dead.end();
    agent.run(|agent| {
        let mut guard = Lock::at(agent, 0).unwrap().lock().unwrap();
        guard.repaired();
        noisy(&other);
    })?;
    // A holder that goes is waited for.
    let guard = other_lock.lock().unwrap();
    thread::scope(|scope| {
        let agent = &agent;
        let waiter = scope.spawn(move || {
            agent.run(|agent| drop(Lock::at(agent, 0).unwrap().lock_until(late()).unwrap()))
        });
        while memory.asleep() == 0 && !waiter.is_finished() {
            thread::yield_now();
        }
        drop(guard);
        waiter.join().unwrap()
    })?;
    // One that gave back what was abandoned has left it so.
    set_owner(&other, 2);
    agent.run(|agent| drop(Lock::at(agent, 0).unwrap().lock().unwrap()))
}

fn kill(fate: Fate) -> (bool, Agent) {
    let memory = memory();
    let agent = Agent::new(&memory, 0, fate);
    let lived = scene(&memory, &agent).is_some();
    let last = Agent::new(&memory, 3, Fate::Lives);
    let mut guard = Lock::at(&last, 0).unwrap().lock_until(soon()).unwrap();
    guard.repaired();
    drop(guard);
    assert!(!Lock::at(&last, 0).unwrap().try_lock().unwrap().unwrap().was_abandoned());
    (lived, agent)
}

#[test]
fn whoever_dies_at_any_step_blocks_nobody() {
    let (lived, whole) = kill(Fate::Lives);
    assert!(lived);
    let points: BTreeSet<_> = whole.points().into_iter().collect();
    assert_eq!(
        points.iter().copied().collect::<Vec<_>>(),
        [
            "lock.announced",
            "lock.looked",
            "lock.take",
            "lock.taken_late",
            "lock.taken_over",
            "lock.woken",
            "unlock.give",
            "unlock.given",
            "unlock.turned",
            "unlock.woken",
        ]
    );
    for point in points {
        let mut deaths = 0;
        while !kill(Fate::AtPoint(point, deaths)).0 {
            deaths += 1;
        }
        assert!(deaths > 0, "{point}");
    }
    for step in 0..whole.steps() {
        kill(Fate::AtStep(step));
    }
}

/// Threads that take the lock and die at some step, and others that take their places.
#[test]
fn a_count_under_the_lock_is_right_after_many_deaths() {
    let memory = memory();
    let counted: u64 = thread::scope(|scope| {
        let threads = [0_u16, 1, 2, 3].map(|index| {
            let memory = &memory;
            scope.spawn(move || {
                let mut counted = 0;
                let mut agent = Agent::new(memory, index, Fate::Lives);
                for round in 0..300_u32 {
                    agent.fated(Fate::AtStep(round * 7 % 61 + u32::from(index)));
                    let count = || {
                        agent.run(|agent| {
                            let mut guard = Lock::at(agent, 0).unwrap().lock_until(late()).unwrap();
                            guard.repaired();
                            let count = agent.u64(COUNT).unwrap();
                            count.store(count.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
                            // From here on it counts, also if the agent dies.
                            counted += 1;
                        })
                    };
                    if std::iter::repeat_with(count).take(4).any(|lived| lived.is_none()) {
                        agent = Agent::next(memory, index, Fate::Lives);
                    }
                }
                counted
            })
        });
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    let last = Agent::new(&memory, 4, Fate::Lives);
    let _guard = Lock::at(&last, 0).unwrap().lock_until(late()).unwrap();
    assert_eq!(last.u64(COUNT).unwrap().load(Ordering::Relaxed), counted);
}
