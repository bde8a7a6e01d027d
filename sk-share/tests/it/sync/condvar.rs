//! Notices: none that is lost, whoever died with it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Instant;

use sk_share::Error;
use sk_share::ground::{Attempt, Condvar, Ground, Mutex};

use super::super::support::{Agent, Death, Fate, Memory, late, soon};
use super::{AT, FIRST, agents, assert_passed, at_every_death, memory, patience, until_asleep};

const MUTEX: u64 = AT + 16;

fn make(memory: &Arc<Memory>) {
    let maker = Agent::new(memory, 15, Fate::Lives);
    Condvar::create(&maker, AT).unwrap();
    Mutex::create(&maker, MUTEX).unwrap();
}

fn at(agent: &Agent) -> (Condvar<'_, Agent>, Mutex<'_, Agent>) {
    (Condvar::at(agent, AT).unwrap(), Mutex::at(agent, MUTEX).unwrap())
}

/// Waits for one of the things that [`FIRST`] counts, and takes it.
fn take(agent: &Agent, deadline: Option<Instant>) -> Result<(), Error> {
    let (condvar, mutex) = at(agent);
    let count = agent.u64(FIRST).unwrap();
    let guard = mutex.lock(deadline)?;
    let mut guard = condvar.wait_while(guard, deadline, |_| count.load(Ordering::Relaxed) == 0)?;
    guard.repaired();
    count.fetch_sub(1, Ordering::Relaxed);
    Ok(())
}

/// Adds some and tells one or all.
fn add(agent: &Agent, some: u64) {
    let (condvar, mutex) = at(agent);
    let mut guard = mutex.lock(late()).unwrap();
    guard.repaired();
    agent.u64(FIRST).unwrap().fetch_add(some, Ordering::Relaxed);
    drop(guard);
    if some == 1 { condvar.notify_one() } else { condvar.notify_all() }
}

#[test]
fn one_or_all_are_told() {
    let memory = memory();
    make(&memory);
    let [one, two, three, four] = agents(&memory);
    thread::scope(|scope| {
        let waiters = [&one, &two, &three].map(|agent| scope.spawn(|| take(agent, late())));
        until_asleep(&memory, 3, || false);
        add(&four, 1);
        until_asleep(&memory, 2, || false);
        while memory.asleep() != 2 || one.u64(FIRST).unwrap().load(Ordering::SeqCst) != 0 {
            thread::yield_now();
        }
        add(&four, 2);
        for waiter in waiters {
            waiter.join().unwrap().unwrap();
        }
    });
}

#[test]
fn a_deadline_ends_the_wait_without_the_mutex() {
    let memory = memory();
    make(&memory);
    let [one, two] = agents(&memory);
    assert!(take(&one, soon()).unwrap_err().is_timeout());
    assert!(at(&two).1.try_lock().unwrap().is_some());
    let (condvar, mutex) = at(&one);
    assert!(condvar.wait(mutex.lock(None).unwrap(), soon()).unwrap_err().is_timeout());
}

/// A notice that comes when the mutex is given back is heard.
#[test]
fn a_notice_before_the_sleep_is_not_lost() {
    let memory = memory();
    make(&memory);
    let two = Agent::new(&memory, 1, Fate::Lives);
    let one = Agent::new(&memory, 0, Fate::Lives).when("condvar.mutex_given", move || add(&two, 1));
    take(&one, late()).unwrap();
}

/// It was told, and its deadline passes at the mutex: another one is told.
#[test]
fn a_notice_taken_by_one_that_goes_away_is_passed_on() {
    let memory = memory();
    make(&memory);
    let [one, two, three] = &agents(&memory);
    thread::scope(|scope| {
        let impatient = soon().unwrap() + std::time::Duration::from_millis(180);
        let first = scope.spawn(move || take(one, Some(impatient)));
        until_asleep(&memory, 1, || false);
        let second = scope.spawn(|| take(two, late()));
        until_asleep(&memory, 2, || false);
        let mutex = at(three).1;
        let guard = mutex.lock(None).unwrap();
        three.u64(FIRST).unwrap().fetch_add(1, Ordering::Relaxed);
        at(three).0.notify_one();
        // The first was told, and waits for the mutex until its deadline.
        assert!(first.join().unwrap().unwrap_err().is_timeout());
        drop(guard);
        second.join().unwrap().unwrap();
    });
}

/// The same for a task that is dropped: it listened, and somebody slept for it.
#[test]
fn a_task_that_is_dropped_passes_its_notice_on() {
    let memory = memory();
    make(&memory);
    let [one, two, three] = &agents(&memory);
    let condvar = at(one).0;
    let listening = condvar.listen();
    let Attempt::Sleep(sleep) = condvar.attempt(&listening) else { panic!("no notice yet") };
    thread::scope(|scope| {
        let sleeper = scope.spawn(move || one.wait(&sleep, late()).unwrap());
        until_asleep(&memory, 1, || false);
        let second = scope.spawn(|| take(two, late()));
        until_asleep(&memory, 2, || false);
        add(three, 1);
        sleeper.join().unwrap();
        assert!(matches!(condvar.attempt(&listening), Attempt::Done(())));
        assert_eq!(memory.asleep(), 1);
        condvar.pass_on();
        second.join().unwrap().unwrap();
    });
}

fn scene(memory: &Arc<Memory>, agent: &Agent, death: Death) -> Option<()> {
    let [other, third] = [1, 2].map(|index| Agent::new(memory, index, Fate::Lives));
    let left = || third.u64(FIRST).unwrap().load(Ordering::SeqCst);
    let told = |waited: Result<(), Error>| {
        assert!(waited.is_ok() || death != Death::Process, "{waited:?}");
    };
    // The agent tells, one and all.
    for some in [1, 2] {
        thread::scope(|scope| {
            let waiter = scope.spawn(|| take(&other, patience(death)));
            until_asleep(memory, 1, || waiter.is_finished());
            let lived = agent.run(|agent| add(agent, some));
            // Whoever is told of a death looks; it has nothing to wait for if the agent had added.
            if lived.is_none() && death == Death::Process && left() == 0 && !waiter.is_finished() {
                add(&third, 1);
            }
            told(waiter.join().unwrap());
            lived
        })?;
    }
    assert!(left() <= 3);
    third.u64(FIRST).unwrap().store(0, Ordering::SeqCst);
    // Two wait for one thing: whoever is told and dies leaves it to the other.
    thread::scope(|scope| {
        let mine = scope.spawn(|| agent.run(|agent| take(agent, late()).unwrap()));
        until_asleep(memory, 1, || mine.is_finished());
        let theirs = scope.spawn(|| take(&other, patience(death)));
        until_asleep(memory, 2, || mine.is_finished() || theirs.is_finished());
        let may_hold = death != Death::Process;
        if may_hold {
            told(theirs.join().unwrap());
            if mine.is_finished() {
                return mine.join().unwrap();
            }
            add(&third, 1);
            return mine.join().unwrap();
        }
        add(&third, 1);
        let lived = mine.join().unwrap();
        if lived.is_some() {
            add(&third, 1);
        } else if left() == 0 && !theirs.is_finished() {
            // It took the thing, and died after.
            add(&third, 1);
        }
        told(theirs.join().unwrap());
        lived
    })
}

#[test]
fn whoever_dies_at_any_step_takes_no_notice_with_it() {
    let points = at_every_death(make, scene, |_, last, _| {
        add(last, 1);
        take(last, late()).unwrap();
    });
    let expected = [
        "condvar.listening",
        "condvar.mutex_given",
        "condvar.notify_all",
        "condvar.notify_one",
        "condvar.woken",
    ];
    assert_passed(&points, "condvar.", &expected);
}
