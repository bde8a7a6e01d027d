//! Many readers or one writer, and who is told what after a death.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;

use sk_share::ground::{Attempt, Ground, RwLock, Waiting, WriteGuard};

use super::super::support::{Agent, Death, Fate, Memory, late, soon};
use super::{
    AT, FIRST, SECOND, agents, assert_passed, at_every_death, memory, patience, until_asleep,
};

fn make(memory: &Arc<Memory>) {
    RwLock::create(&Agent::new(memory, 15, Fate::Lives), AT, 2).unwrap();
}

fn with() -> Arc<Memory> {
    let memory = memory();
    make(&memory);
    memory
}

fn at(agent: &Agent) -> RwLock<'_, Agent> {
    RwLock::at(agent, AT).unwrap()
}

#[test]
fn many_read_or_one_writes() {
    let memory = with();
    let [one, two, three] = agents(&memory);
    let [mine, theirs, third] = [&one, &two, &three].map(at);
    let reads = (mine.read(None).unwrap(), theirs.try_read().unwrap().unwrap());
    assert!(third.try_write().unwrap().is_none());
    // There is room for two.
    assert!(third.try_read().unwrap().is_none());
    assert!(third.read(soon()).unwrap_err().is_timeout());
    assert!(third.write(soon()).unwrap_err().is_timeout());
    drop(reads);
    let write = third.try_write().unwrap().unwrap();
    assert!(!write.was_abandoned());
    assert!(mine.try_read().unwrap().is_none());
    assert!(mine.try_write().unwrap().is_none());
    assert!(mine.read(soon()).unwrap_err().is_timeout());
    assert!(mine.write(soon()).unwrap_err().is_timeout());
    drop(write);
    assert!(mine.try_write().unwrap().is_some());
    assert!(mine.try_read().unwrap().is_some());
}

#[test]
fn entering_again_is_an_error_but_for_reading_within_reading() {
    let memory = with();
    let [one, two] = agents(&memory);
    let lock = at(&one);
    let read = lock.read(None).unwrap();
    assert!(lock.write(None).unwrap_err().is_reentry());
    assert!(lock.try_write().unwrap_err().is_reentry());
    // A writer that waits in front keeps others out, but not who reads already.
    let (theirs, process) = (at(&two), two.my_process().unwrap());
    let mut waiting = Waiting::default();
    let attempt = theirs.attempt_write(process, &mut waiting).unwrap();
    assert!(matches!(attempt, Attempt::Sleep(_)));
    assert!(theirs.try_read().unwrap().is_none());
    let again = (lock.read(None).unwrap(), lock.try_read().unwrap().unwrap());
    assert!(lock.write(None).unwrap_err().is_reentry());
    assert!(lock.try_write().unwrap_err().is_reentry());
    drop(read);
    let attempt = theirs.attempt_write(process, &mut waiting).unwrap();
    assert!(matches!(attempt, Attempt::Sleep(_)));
    drop(again);
    let Attempt::Done(lease) = theirs.attempt_write(process, &mut waiting).unwrap() else {
        panic!("nobody reads")
    };
    theirs.give_back_write(process, lease).unwrap();
    let write = lock.write(None).unwrap();
    assert!(lock.read(None).unwrap_err().is_reentry());
    assert!(lock.try_read().unwrap_err().is_reentry());
    assert!(lock.write(None).unwrap_err().is_reentry());
    assert!(lock.try_write().unwrap_err().is_reentry());
    drop(write);
}

#[test]
fn a_waiting_writer_is_not_starved_by_readers() {
    let memory = with();
    let [one, two, three] = agents(&memory);
    let [mine, theirs] = [&one, &three].map(at);
    let read = mine.read(None).unwrap();
    thread::scope(|scope| {
        let writer = scope.spawn(|| drop(at(&two).write(late()).unwrap()));
        until_asleep(&memory, 1, || writer.is_finished());
        assert!(theirs.try_read().unwrap().is_none());
        assert!(theirs.read(soon()).unwrap_err().is_timeout());
        drop(read);
        writer.join().unwrap();
    });
    assert!(theirs.try_read().unwrap().is_some());
}

#[test]
fn who_wrote_may_read_on_with_no_writer_in_between() {
    let memory = with();
    let [one, two, three] = agents(&memory);
    let [mine, theirs] = [&one, &three].map(at);
    let write = mine.write(None).unwrap();
    thread::scope(|scope| {
        let writer = scope.spawn(|| drop(at(&two).write(late()).unwrap()));
        until_asleep(&memory, 1, || writer.is_finished());
        let read = write.downgrade().unwrap();
        assert!(!read.was_abandoned());
        until_asleep(&memory, 1, || writer.is_finished());
        assert!(!writer.is_finished());
        drop(read);
        writer.join().unwrap();
    });
    // With nobody waiting, others read too.
    let _read = mine.write(None).unwrap().downgrade().unwrap();
    assert!(theirs.try_read().unwrap().is_some());
    assert!(theirs.try_write().unwrap().is_none());
}

#[test]
fn what_a_dead_writer_left_is_abandoned_until_repaired() {
    let memory = with();
    let [one, two] = agents(&memory);
    let lock = at(&two);
    let _ = at(&one).write(None).unwrap().keep();
    one.end();
    assert!(lock.read(None).unwrap().was_abandoned());
    assert!(lock.write(None).unwrap().was_abandoned());
    assert!(lock.write(None).unwrap().downgrade().unwrap().was_abandoned());
    assert!(lock.try_read().unwrap().unwrap().was_abandoned());
    let mut write = lock.try_write().unwrap().unwrap();
    assert!(write.was_abandoned());
    write.repaired();
    assert!(write.was_abandoned());
    assert!(!write.downgrade().unwrap().was_abandoned());
    assert!(!lock.write(None).unwrap().was_abandoned());
}

#[test]
fn dead_readers_abandon_nothing() {
    let memory = with();
    let one = Agent::new(&memory, 0, Fate::Lives).ending(Death::Thread);
    let _ = at(&one).read(None).unwrap().keep();
    let two = Agent::new(&memory, 1, Fate::Lives);
    thread::scope(|scope| {
        let writer = scope.spawn(|| at(&two).write(late()).map(|guard| guard.was_abandoned()));
        until_asleep(&memory, 1, || writer.is_finished());
        one.end();
        assert!(!writer.join().unwrap().unwrap());
    });
}

/// The one that is watched ends last but one, and the other after it: the writer hears of both.
#[test]
fn a_writer_hears_of_the_ends_of_all_threads_that_read() {
    let memory = with();
    let [one, two] =
        [0, 1].map(|index| Agent::new(&memory, index, Fate::Lives).ending(Death::Thread));
    for reader in [&one, &two] {
        let _ = at(reader).read(None).unwrap().keep();
    }
    let three = Agent::new(&memory, 2, Fate::Lives);
    thread::scope(|scope| {
        let writer = scope.spawn(|| at(&three).write(late()).map(drop));
        for reader in [&one, &two] {
            until_asleep(&memory, 1, || writer.is_finished());
            reader.end();
        }
        writer.join().unwrap().unwrap();
    });
}

#[test]
fn what_is_kept_only_its_holder_gives_back() {
    let memory = with();
    let [one, two] = agents(&memory);
    let (mine, process) = (at(&one), one.my_process().unwrap());
    let mut waiting = Waiting::default();
    let Attempt::Done((lease, _)) = mine.attempt_read(process, &mut waiting).unwrap() else {
        panic!("nobody writes")
    };
    let own = at(&two).read(None).unwrap().keep();
    assert!(at(&two).give_back_read(process, own).unwrap_err().is_damaged());
    mine.give_back_read(process, lease).unwrap();
    two.end();
    let lease = mine.write(None).unwrap().keep();
    assert!(mine.give_back_write(process, lease).unwrap_err().is_damaged());
}

/// A writer's future in front is dropped, and one that was woken at the lock.
#[test]
fn one_that_goes_away_lets_others_in() {
    let memory = with();
    let [one, two, three] = &agents(&memory);
    let held = at(one);
    let read = held.read(None).unwrap();
    let (theirs, process) = (at(two), two.my_process().unwrap());
    let [mut in_front, mut behind] = [Waiting::default(), Waiting::default()];
    assert!(matches!(theirs.attempt_write(process, &mut in_front).unwrap(), Attempt::Sleep(_)));
    let Attempt::Sleep(sleep) = theirs.attempt_read(process, &mut behind).unwrap() else {
        panic!("a writer is in front")
    };
    thread::scope(|scope| {
        let sleeper = scope.spawn(move || two.wait(&sleep, late()).unwrap());
        until_asleep(&memory, 1, || false);
        let last = scope.spawn(|| drop(at(three).read(late()).unwrap()));
        until_asleep(&memory, 2, || false);
        theirs.pass_on(process, &mut in_front).unwrap();
        sleeper.join().unwrap();
        assert_eq!(memory.asleep(), 1);
        theirs.pass_on(process, &mut behind).unwrap();
        last.join().unwrap();
    });
    drop(read);
    assert!(theirs.try_write().unwrap().is_some());
}

/// Repairs if need be, checks, and changes both words.
fn change(agent: &Agent, guard: &mut WriteGuard<'_, '_, Agent>) {
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

fn check(agent: &Agent, was_abandoned: bool) {
    let [first, second] = [FIRST, SECOND].map(|at| agent.u64(at).unwrap());
    let is_whole = first.load(Ordering::Relaxed) == second.load(Ordering::Relaxed);
    assert!(is_whole || was_abandoned);
}

fn write(agent: &Agent) {
    let lock = at(agent);
    let mut guard = lock.write(late()).unwrap();
    change(agent, &mut guard);
}

fn read(agent: &Agent) {
    let lock = at(agent);
    let guard = lock.read(late()).unwrap();
    check(agent, guard.was_abandoned());
}

fn scene(memory: &Arc<Memory>, agent: &Agent, death: Death) -> Option<()> {
    let other = Agent::new(memory, 1, Fate::Lives);
    let others = at(&other);
    agent.run(|agent| {
        write(agent);
        read(agent);
        let lock = at(agent);
        let mut guard = lock.write(late()).unwrap();
        change(agent, &mut guard);
        let read = guard.downgrade().unwrap();
        check(agent, read.was_abandoned());
        drop((lock.read(late()).unwrap(), read));
    })?;
    // Dead readers take all the room; a dead writer leaves it half changed.
    let dead = [2, 3].map(|index| Agent::new(memory, index, Fate::Lives));
    for reader in &dead {
        let _ = at(reader).read(None).unwrap().keep();
    }
    dead.iter().for_each(Agent::end);
    agent.run(read)?;
    let dead = Agent::new(memory, 4, Fate::AtPoint("half", 0));
    assert!(dead.run(write).is_none());
    agent.run(read)?;
    agent.run(write)?;
    // A reader that goes is waited for, and a writer.
    let guard = others.read(None).unwrap();
    wait_for(memory, agent, write, || drop(guard))?;
    let guard = others.write(None).unwrap();
    wait_for(memory, agent, read, || drop(guard))?;
    // Room is waited for.
    let third = Agent::new(memory, 5, Fate::Lives);
    let thirds = at(&third);
    let (guard, _other) = (others.read(None).unwrap(), thirds.read(None).unwrap());
    wait_for(memory, agent, read, || drop(guard))?;
    drop(_other);
    // A writer in front lets in again who reads already, and waits for all that it holds.
    let lease = agent.run(|agent| at(agent).read(late()).unwrap().keep())?;
    let mut lease = Some(lease);
    thread::scope(|scope| {
        let waiter = scope.spawn(|| others.write(patience(death)).map(drop));
        until_asleep(memory, 1, || waiter.is_finished());
        let me = agent.me().unwrap();
        let lived = agent.run(|agent| {
            // A waiter that must not wait long is gone by now.
            drop(at(agent).read(late()).unwrap());
            at(agent).give_back_read(me, lease.take().unwrap()).unwrap();
        });
        let waited = waiter.join().unwrap();
        assert!(waited.is_ok() || death != Death::Process, "{waited:?}");
        lived
    })
}

fn wait_for(
    memory: &Memory,
    agent: &Agent,
    work: impl Fn(&Agent) + Sync,
    go: impl FnOnce(),
) -> Option<()> {
    thread::scope(|scope| {
        let waiter = scope.spawn(|| agent.run(|agent| work(agent)));
        until_asleep(memory, 1, || waiter.is_finished());
        go();
        waiter.join().unwrap()
    })
}

#[test]
fn whoever_dies_at_any_step_keeps_nobody_out_and_is_told_of() {
    let points = at_every_death(make, scene, |_, last, _| {
        read(last);
        write(last);
        assert!(!at(last).read(late()).unwrap().was_abandoned());
        assert!(at(last).try_write().unwrap().is_some());
    });
    let expected = [
        "rwlock.downgraded",
        "rwlock.read_announced",
        "rwlock.read_front",
        "rwlock.reading",
        "rwlock.whole",
        "rwlock.write_announced",
        "rwlock.write_front",
        "rwlock.writing",
        "rwlock.written",
    ];
    assert_passed(&points, "rwlock.", &expected);
}
