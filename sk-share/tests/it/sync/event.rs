//! An event: set until it is cleared, whoever died while setting it.

use std::sync::Arc;
use std::thread;

use sk_share::ground::Event;

use super::super::support::{Agent, Death, Fate, Memory, late, soon};
use super::{AT, agents, assert_passed, at_every_death, memory, patience, until_asleep};

fn make(memory: &Arc<Memory>) {
    Event::create(&Agent::new(memory, 15, Fate::Lives), AT).unwrap();
}

fn at(agent: &Agent) -> Event<'_, Agent> {
    Event::at(agent, AT).unwrap()
}

#[test]
fn it_is_set_until_it_is_cleared() {
    let memory = memory();
    make(&memory);
    let [one, two] = agents(&memory);
    assert!(!at(&one).is_set().unwrap());
    assert!(at(&one).wait(soon()).unwrap_err().is_timeout());
    at(&two).set();
    at(&one).wait(None).unwrap();
    at(&one).wait(None).unwrap();
    at(&two).set();
    at(&two).clear();
    assert!(!at(&one).is_set().unwrap());
    assert!(at(&one).wait(soon()).unwrap_err().is_timeout());
}

#[test]
fn all_who_wait_are_woken() {
    let memory = memory();
    make(&memory);
    let [one, two, three] = agents(&memory);
    thread::scope(|scope| {
        let waiters = [&one, &two].map(|agent| scope.spawn(|| at(agent).wait(late()).unwrap()));
        until_asleep(&memory, 2, || false);
        at(&three).set();
        for waiter in waiters {
            waiter.join().unwrap();
        }
    });
}

#[test]
fn whoever_sets_it_and_dies_leaves_nobody_asleep() {
    let scene = |memory: &Arc<Memory>, agent: &Agent, death| {
        let other = Agent::new(memory, 1, Fate::Lives);
        thread::scope(|scope| {
            let waiter = scope.spawn(|| at(&other).wait(patience(death)));
            until_asleep(memory, 1, || waiter.is_finished());
            let lived = agent.run(|agent| at(agent).set());
            if lived.is_none() && !at(&other).is_set().unwrap() {
                at(&other).set();
            }
            let waited = waiter.join().unwrap();
            assert!(waited.is_ok() || death != Death::Process, "{waited:?}");
            lived
        })?;
        agent.run(|agent| {
            at(agent).wait(None).unwrap();
            at(agent).clear();
        })?;
        thread::scope(|scope| {
            let waiter = scope.spawn(|| agent.run(|agent| at(agent).wait(late()).unwrap()));
            until_asleep(memory, 1, || waiter.is_finished());
            at(&other).set();
            waiter.join().unwrap()
        })
    };
    let points = at_every_death(make, scene, |_, last, _| {
        at(last).set();
        at(last).wait(None).unwrap();
    });
    let expected = ["event.announced", "event.clear", "event.is_set", "event.set"];
    assert_passed(&points, "event.", &expected);
}
