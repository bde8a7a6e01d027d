//! A mutex: the lock, with what it says about the dead kept in leases.

use std::thread;

use sk_share::ground::{Attempt, Ground, Mutex, Waiting};

use super::super::support::{Agent, Fate, Memory, late, soon};
use super::{AT, agents, memory, until_asleep};

fn with() -> std::sync::Arc<Memory> {
    let memory = memory();
    Mutex::create(&Agent::new(&memory, 15, Fate::Lives), AT).unwrap();
    memory
}

fn at(agent: &Agent) -> Mutex<'_, Agent> {
    Mutex::at(agent, AT).unwrap()
}

#[test]
fn one_at_a_time_holds_it_and_not_twice() {
    let memory = with();
    let [one, two] = agents(&memory);
    let mutex = at(&one);
    let guard = mutex.lock(None).unwrap();
    assert!(mutex.lock(None).unwrap_err().is_reentry());
    assert!(mutex.try_lock().unwrap_err().is_reentry());
    assert!(at(&two).try_lock().unwrap().is_none());
    assert!(at(&two).lock(soon()).unwrap_err().is_timeout());
    drop(guard);
    assert!(at(&two).try_lock().unwrap().is_some());
    let lease = mutex.lock(None).unwrap().keep();
    assert!(at(&two).try_lock().unwrap().is_none());
    mutex.give_back(one.me().unwrap(), lease).unwrap();
    assert!(at(&two).try_lock().unwrap().is_some());
}

#[test]
fn what_a_dead_holder_left_is_abandoned_until_repaired_with_and_without_guards() {
    let memory = with();
    let [one, two] = agents(&memory);
    let _ = at(&one).lock(None).unwrap().keep();
    one.end();
    let (mutex, process) = (at(&two), two.my_process().unwrap());
    assert!(mutex.lock(None).unwrap().was_abandoned());
    let lease = mutex.try_lock_as(process).unwrap().unwrap();
    assert!(lease.was_abandoned());
    mutex.give_back(process, lease).unwrap();
    let mut lease = mutex.try_lock_as(process).unwrap().unwrap();
    assert!(lease.was_abandoned());
    lease.repaired();
    mutex.give_back(process, lease).unwrap();
    assert!(!mutex.lock(None).unwrap().was_abandoned());
}

#[test]
fn one_that_is_woken_and_goes_away_passes_it_on() {
    let memory = with();
    let [one, two, three] = &agents(&memory);
    let mutex = at(one);
    let guard = mutex.lock(None).unwrap();
    let process = two.my_process().unwrap();
    let mut waiting = Waiting::default();
    thread::scope(|scope| {
        let Attempt::Sleep(sleep) = at(two).attempt(process, &mut waiting).unwrap() else {
            panic!("it is held");
        };
        let sleeper = scope.spawn(move || two.wait(&sleep, late()).unwrap());
        until_asleep(&memory, 1, || false);
        let last = scope.spawn(|| drop(at(three).lock(late()).unwrap()));
        until_asleep(&memory, 2, || false);
        drop(guard);
        sleeper.join().unwrap();
        assert_eq!(memory.asleep(), 1);
        at(two).pass_on(process, &mut waiting).unwrap();
        last.join().unwrap();
    });
}
