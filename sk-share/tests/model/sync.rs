//! What programs synchronise with.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool as Plain, Ordering::SeqCst};

use super::modelling::{Work, at_once, model_deaths};
use super::support::{Agent, Fate, Memory};
use loom::sync::atomic::{AtomicBool, Ordering};
use sk_share::ground::{
    Arrival, Attempt, Barrier, Condvar, Event, Ground, Mutex, Role, RwLock, Semaphore, Waiting,
    wait_for,
};

const AT: u64 = 16;
const FIRST: u64 = 0;
const SECOND: u64 = 8;

fn memory(bytes: u64) -> Arc<Memory> {
    Memory::new(AT + bytes, AT + bytes, 8)
}

fn maker(memory: &Arc<Memory>) -> Agent {
    Agent::new(memory, 7, Fate::Lives)
}

/// One that takes all and one that takes some or all. Whichever of the two dies leaves all for the other and for the next.
///
/// ```text
///   dies                      second
///   lock; row 0 = dies|1
///   unlock
///                             lock: in front; one is missing; WAITED
///   row 0 = 0, killed
///                             sleeps
///   (deaths = 1, all woken)
///                             row 0 = second|2
/// ```
#[test]
fn permits_outlive_their_holders() {
    // A thread that holds is watched; of a process one hears only by `deaths`.
    for (mine, theirs, is_process) in [(1, 2, false), (2, 2, false), (1, 2, true)] {
        model_deaths("permits_outlive_their_holders", 2, 2, move |fate, order| {
            let memory = memory(Semaphore::<Agent>::bytes(2));
            Semaphore::create(&maker(&memory), AT, 2).unwrap();
            let agents = [(0, mine, fate), (1, theirs, Fate::Lives)];
            let [died, _] = at_once(
                order,
                agents.map(|(index, count, fate)| {
                    let memory = Arc::clone(&memory);
                    Box::new(move || {
                        let agent = Agent::new(&memory, index, fate);
                        let acquire = |agent: &Agent| {
                            let semaphore = Semaphore::at(agent, AT).unwrap();
                            let me = if is_process { agent.my_process() } else { agent.me() };
                            let (me, mut waiting) = (me.unwrap(), Waiting::default());
                            let look = || semaphore.attempt(me, count, &mut waiting);
                            let lease = wait_for(agent, "permits", None, look).unwrap();
                            if count == 2 {
                                // What a holder of all did is seen by the next one.
                                let first = agent.u64(FIRST).unwrap();
                                first.store(first.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
                            }
                            semaphore.give_back(me, lease).unwrap();
                        };
                        agent.run(acquire).is_none()
                    }) as Work<bool>
                }),
            );
            let last = Agent::new(&memory, 6, Fate::Lives);
            let semaphore = Semaphore::at(&last, AT).unwrap();
            drop(semaphore.acquire(2).unwrap());
            assert_eq!(semaphore.available().unwrap(), 2);
            let seen = last.u64(FIRST).unwrap().load(Ordering::Relaxed);
            let most = [mine, theirs].iter().filter(|count| **count == 2).count() as u64;
            assert!(seen == most || (died && mine == 2 && seen == most - 1), "{seen}");
            died
        });
    }
}

/// Two want the one permit that a third gives back: one waits in front, and one at the lock.
#[test]
fn one_permit_goes_round() {
    model_deaths("one_permit_goes_round", 1, 2, move |fate, order| {
        let memory = memory(Semaphore::<Agent>::bytes(1));
        let holder = Agent::new(&memory, 2, Fate::Lives);
        Semaphore::create(&maker(&memory), AT, 1).unwrap();
        let lease = Semaphore::at(&holder, AT).unwrap().acquire(1).unwrap().keep();
        let [first, second] = [(0, fate), (1, Fate::Lives)].map(|(index, fate)| {
            let memory = Arc::clone(&memory);
            Box::new(move || {
                let agent = Agent::new(&memory, index, fate);
                let acquire =
                    |agent: &Agent| drop(Semaphore::at(agent, AT).unwrap().acquire(1).unwrap());
                agent.run(acquire).is_none()
            }) as Work<bool>
        });
        let third = Box::new(move || {
            let me = holder.me().unwrap();
            Semaphore::at(&holder, AT).unwrap().give_back(me, lease).unwrap();
            false
        });
        let [died, ..] = at_once(order, [first, second, third]);
        let last = Agent::new(&memory, 6, Fate::Lives);
        drop(Semaphore::at(&last, AT).unwrap().acquire(1).unwrap());
        died
    });
}

fn write(agent: &Agent) {
    let lock = RwLock::at(agent, AT).unwrap();
    let mut guard = lock.write(None).unwrap();
    let [first, second] = [FIRST, SECOND].map(|at| agent.u64(at).unwrap());
    let seen = first.load(Ordering::Relaxed);
    if guard.was_abandoned() {
        second.store(seen, Ordering::Relaxed);
        guard.repaired();
    }
    assert_eq!(second.load(Ordering::Relaxed), seen);
    first.store(seen + 1, Ordering::Relaxed);
    agent.point("half");
    second.store(seen + 1, Ordering::Relaxed);
}

fn read(agent: &Agent) {
    let lock = RwLock::at(agent, AT).unwrap();
    let guard = lock.read(None).unwrap();
    let [first, second] = [FIRST, SECOND].map(|at| agent.u64(at).unwrap());
    let is_whole = first.load(Ordering::Relaxed) == second.load(Ordering::Relaxed);
    assert!(is_whole || guard.was_abandoned());
}

/// As a task, of whose end one hears only by `deaths`.
fn read_as_process(agent: &Agent) {
    let lock = RwLock::at(agent, AT).unwrap();
    let (process, mut waiting) = (agent.my_process().unwrap(), Waiting::default());
    let look = || lock.attempt_read(process, &mut waiting);
    let (lease, _) = wait_for(agent, "the writer", None, look).unwrap();
    lock.give_back_read(process, lease).unwrap();
}

/// A writer and a reader; each of them dies in turn.
///
/// ```text
///   dies                      reader
///                             lock; row 0 = reader|1; unlock
///   lock; WAITED; row 0: reader
///                             row 0 = 0; changes + 2; wakes
///   WRITING; half, killed
///                             (again) takes the lock over: WRITING, so it is told
/// ```
#[test]
fn readers_and_writers_outlive_each_other() {
    for (name, works) in [
        ("a_writer_dies", [write as fn(&Agent), read as fn(&Agent)]),
        ("a_reader_dies", [read as fn(&Agent), write as fn(&Agent)]),
        ("a_task_that_reads_dies", [read_as_process as fn(&Agent), write as fn(&Agent)]),
        ("a_writer_dies_beside_a_writer", [write as fn(&Agent), write as fn(&Agent)]),
    ] {
        model_deaths(name, 2, 2, move |fate, order| {
            let memory = memory(RwLock::<Agent>::bytes(1));
            RwLock::create(&maker(&memory), AT, 1).unwrap();
            let agents = [(0, works[0], fate), (1, works[1], Fate::Lives)];
            let [died, _] = at_once(
                order,
                agents.map(|(index, work, fate)| {
                    let memory = Arc::clone(&memory);
                    Box::new(move || {
                        let agent = Agent::new(&memory, index, fate);
                        agent.run(work).is_none()
                    }) as Work<bool>
                }),
            );
            let last = Agent::new(&memory, 6, Fate::Lives);
            read(&last);
            write(&last);
            assert!(!RwLock::at(&last, AT).unwrap().read(None).unwrap().was_abandoned());
            died
        });
    }
}

/// The one that dies comes first or last: it has arrived, or it opens. Then another comes in its place, unless the
/// second one is through.
///
/// ```text
///   dies                      second                     third
///                             row 0 = second|0
///                             generation: 0; WAITED
///   generation = 1, killed
///                             sleeps
///   (deaths = 1, all woken)
///                             generation: 1
/// ```
#[test]
fn a_barrier_opens_for_the_living() {
    model_deaths("a_barrier_opens_for_the_living", 2, 2, |fate, order| {
        let memory = memory(Barrier::<Agent>::bytes(2));
        Barrier::create(&maker(&memory), AT, 2).unwrap();
        let is_through = Arc::new(AtomicBool::new(false));
        let dies = {
            let (memory, is_through) = (Arc::clone(&memory), Arc::clone(&is_through));
            Box::new(move || {
                let agent = Agent::new(&memory, 0, fate);
                let come = |agent: &Agent| agent.u64(FIRST).unwrap().store(1, Ordering::Relaxed);
                let wait = |agent: &Agent| {
                    come(agent);
                    let role = Barrier::at(agent, AT).unwrap().wait(None).unwrap();
                    assert_eq!(agent.u64(SECOND).unwrap().load(Ordering::Relaxed), 1);
                    role
                };
                if let Some(role) = agent.run(wait) {
                    return (false, Some(role));
                }
                let third = Agent::new(&memory, 2, Fate::Lives);
                come(&third);
                let (barrier, me) = (Barrier::at(&third, AT).unwrap(), third.me().unwrap());
                let mut arrival = Arrival::default();
                loop {
                    match barrier.attempt(me, &mut arrival).unwrap() {
                        Attempt::Done(role) => return (true, Some(role)),
                        Attempt::Sleep(_) if is_through.load(Ordering::Acquire) => {
                            return (true, barrier.pass_on(me, &mut arrival, None).unwrap());
                        }
                        Attempt::Sleep(sleep) => drop(third.wait(&sleep, None).unwrap()),
                    }
                }
            }) as Work<(bool, Option<Role>)>
        };
        let second = {
            let memory = Arc::clone(&memory);
            Box::new(move || {
                let agent = Agent::new(&memory, 1, Fate::Lives);
                agent.u64(SECOND).unwrap().store(1, Ordering::Relaxed);
                let role = Barrier::at(&agent, AT).unwrap().wait(None).unwrap();
                // What a party did before it came is seen.
                assert_eq!(agent.u64(FIRST).unwrap().load(Ordering::Relaxed), 1);
                is_through.store(true, Ordering::Release);
                // Whoever came for it in vain looks.
                agent.end();
                (false, Some(role))
            }) as Work<(bool, Option<Role>)>
        };
        let [(died, mine), (_, theirs)] = at_once(order, [dies, second]);
        if mine.is_some() {
            assert_ne!(mine, theirs);
        }
        died
    });
}

const MUTEX: u64 = AT + Condvar::<Agent>::BYTES;

fn with_condvar() -> Arc<Memory> {
    let memory = memory(Condvar::<Agent>::BYTES + Mutex::<Agent>::BYTES);
    let maker = maker(&memory);
    Condvar::create(&maker, AT).unwrap();
    Mutex::create(&maker, MUTEX).unwrap();
    memory
}

/// Waits for one of the things that [`FIRST`] counts, takes it, and says so.
fn take(agent: &Agent, took: &Plain) {
    let (condvar, mutex) = (Condvar::at(agent, AT).unwrap(), Mutex::at(agent, MUTEX).unwrap());
    let count = agent.u64(FIRST).unwrap();
    let guard = mutex.lock(None).unwrap();
    let is_to_wait = |_: &mut _| count.load(Ordering::Relaxed) == 0;
    let mut guard = condvar.wait_while(guard, None, is_to_wait).unwrap();
    guard.repaired();
    count.store(count.load(Ordering::Relaxed) - 1, Ordering::Relaxed);
    took.store(true, SeqCst);
}

/// Adds one and tells one, unless there is one already and it is not asked to.
fn add(agent: &Agent, at_most: u64) {
    let (condvar, mutex) = (Condvar::at(agent, AT).unwrap(), Mutex::at(agent, MUTEX).unwrap());
    let mut guard = mutex.lock(None).unwrap();
    guard.repaired();
    let count = agent.u64(FIRST).unwrap();
    let seen = count.load(Ordering::Relaxed);
    if seen < at_most {
        count.store(seen + 1, Ordering::Relaxed);
        drop(guard);
        condvar.notify_one();
    }
}

/// Whoever adds and dies, before it tells, has told all by its death.
#[test]
fn a_notice_outlives_who_gives_it() {
    model_deaths("a_notice_outlives_who_gives_it", 2, 2, |fate, order| {
        let memory = with_condvar();
        let dies = {
            let memory = Arc::clone(&memory);
            Box::new(move || {
                let agent = Agent::new(&memory, 0, fate);
                let added = Plain::new(false);
                let add_one = |agent: &Agent| {
                    add(agent, 1);
                    added.store(true, SeqCst);
                };
                let died = agent.run(add_one).is_none();
                if died {
                    // One more does no harm; but it is told of only if there was none.
                    add(&Agent::new(&memory, 2, Fate::Lives), 1);
                }
                died
            }) as Work<bool>
        };
        let second = {
            let memory = Arc::clone(&memory);
            Box::new(move || {
                take(&Agent::new(&memory, 1, Fate::Lives), &Plain::new(false));
                false
            }) as Work<bool>
        };
        let [died, _] = at_once(order, [dies, second]);
        died
    });
}

/// Two wait for one thing. The one that was told and dies before it takes it leaves it to the other.
///
/// ```text
///   dies                      second                     third
///   listens, sleeps
///                             listens, sleeps
///                                                        adds one; changes + 2; wakes the first
///   woken, killed
///   (deaths = 1, all woken)
///                             takes it
/// ```
#[test]
fn a_notice_outlives_who_was_told() {
    model_deaths("a_notice_outlives_who_was_told", 1, 1, |fate, order| {
        let memory = with_condvar();
        let dies = {
            let memory = Arc::clone(&memory);
            Box::new(move || {
                let agent = Agent::new(&memory, 0, fate);
                let took = Plain::new(false);
                let died = agent.run(|agent| take(agent, &took)).is_none();
                if took.load(SeqCst) {
                    add(&Agent::new(&memory, 3, Fate::Lives), u64::MAX);
                }
                died
            }) as Work<bool>
        };
        let second = {
            let memory = Arc::clone(&memory);
            Box::new(move || {
                let agent = Agent::new(&memory, 1, Fate::Lives);
                take(&agent, &Plain::new(false));
                // The other may wait for one as well.
                add(&agent, u64::MAX);
                false
            }) as Work<bool>
        };
        let third = {
            let memory = Arc::clone(&memory);
            Box::new(move || {
                add(&Agent::new(&memory, 2, Fate::Lives), u64::MAX);
                false
            }) as Work<bool>
        };
        let [died, ..] = at_once(order, [dies, second, third]);
        died
    });
}

/// Whoever waits hears of it, and sees what was done before.
#[test]
fn an_event_outlives_who_sets_it() {
    model_deaths("an_event_outlives_who_sets_it", 3, 2, |fate, order| {
        let memory = memory(Event::<Agent>::BYTES);
        Event::create(&maker(&memory), AT).unwrap();
        let set = |agent: &Agent| {
            agent.u64(FIRST).unwrap().store(1, Ordering::Relaxed);
            Event::at(agent, AT).unwrap().set();
        };
        let dies = {
            let memory = Arc::clone(&memory);
            Box::new(move || {
                let died = Agent::new(&memory, 0, fate).run(set).is_none();
                let third = Agent::new(&memory, 2, Fate::Lives);
                if died && !Event::at(&third, AT).unwrap().is_set().unwrap() {
                    set(&third);
                }
                died
            }) as Work<bool>
        };
        let waits = {
            let memory = Arc::clone(&memory);
            Box::new(move || {
                let agent = Agent::new(&memory, 1, Fate::Lives);
                Event::at(&agent, AT).unwrap().wait(None).unwrap();
                assert_eq!(agent.u64(FIRST).unwrap().load(Ordering::Relaxed), 1);
                false
            }) as Work<bool>
        };
        let [died, _] = at_once(order, [dies, waits]);
        died
    });
}
