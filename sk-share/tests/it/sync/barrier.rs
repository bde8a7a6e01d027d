//! Parties that go on together, whoever died on the way.

use std::sync::Arc;
use std::thread;

use sk_share::ground::{Arrival, Attempt, Barrier, Ground, Role};

use super::super::support::{Agent, Death, Fate, Memory, late, soon};
use super::{AT, agents, assert_passed, at_every_death, memory, patience, until_asleep, very_soon};

fn make(memory: &Arc<Memory>) {
    Barrier::create(&Agent::new(memory, 15, Fate::Lives), AT, 2).unwrap();
}

fn at(agent: &Agent) -> Barrier<'_, Agent> {
    Barrier::at(agent, AT).unwrap()
}

#[test]
fn it_opens_when_all_have_come_and_one_leads() {
    let memory = memory();
    make(&memory);
    let [one, two] = agents(&memory);
    for _ in 0..5 {
        thread::scope(|scope| {
            let first = scope.spawn(|| at(&one).wait(late()).unwrap());
            until_asleep(&memory, 1, || first.is_finished());
            assert!(!first.is_finished());
            assert_eq!(at(&two).wait(late()).unwrap(), Role::Leader);
            assert_eq!(first.join().unwrap(), Role::Follower);
        });
    }
}

#[test]
fn impossible_numbers_are_errors() {
    let memory = memory();
    let [one] = agents(&memory);
    for parties in [0, Barrier::<Agent>::MOST + 1] {
        assert!(Barrier::create(&one, AT, parties).unwrap_err().is_limit());
    }
    assert_eq!(Barrier::create(&one, AT, 1).unwrap().wait(None).unwrap(), Role::Leader);
}

#[test]
fn whose_deadline_passes_has_not_arrived() {
    let memory = memory();
    make(&memory);
    let [one, two] = agents(&memory);
    assert!(at(&one).wait(soon()).unwrap_err().is_timeout());
    assert!(at(&two).wait(soon()).unwrap_err().is_timeout());
}

#[test]
fn who_gives_up_after_it_opened_went_through() {
    let memory = memory();
    make(&memory);
    let [one, two] = agents(&memory);
    let (mine, process) = (at(&one), one.my_process().unwrap());
    let mut arrival = Arrival::default();
    assert!(matches!(mine.attempt(process, &mut arrival).unwrap(), Attempt::Sleep(_)));
    assert_eq!(at(&two).wait(late()).unwrap(), Role::Leader);
    let role = mine.pass_on(process, &mut arrival, None).unwrap();
    assert_eq!(role, Some(Role::Follower));
    // And nothing of it is left.
    assert!(at(&two).wait(soon()).unwrap_err().is_timeout());
}

#[test]
fn two_tasks_of_a_process_are_two_parties_and_a_thread_is_one() {
    let memory = memory();
    make(&memory);
    let [one] = agents(&memory);
    let (mine, process) = (at(&one), one.my_process().unwrap());
    let [mut first, mut second] = [Arrival::default(), Arrival::default()];
    assert!(matches!(mine.attempt(process, &mut first).unwrap(), Attempt::Sleep(_)));
    let opens = mine.attempt(process, &mut second).unwrap();
    assert!(matches!(opens, Attempt::Done(Role::Leader)));
    assert!(matches!(mine.attempt(process, &mut first).unwrap(), Attempt::Done(Role::Follower)));
    // One that went away without a word comes again.
    let me = one.me().unwrap();
    for _ in 0..3 {
        let attempt = mine.attempt(me, &mut Arrival::default()).unwrap();
        assert!(matches!(attempt, Attempt::Sleep(_)));
    }
}

#[test]
fn an_arrived_party_that_dies_is_replaced() {
    for death in [Death::Process, Death::Thread] {
        let memory = memory();
        make(&memory);
        let one = Agent::new(&memory, 0, Fate::Lives).ending(death);
        let [two, three] = [1, 2].map(|index| Agent::new(&memory, index, Fate::Lives));
        let attempt = at(&one).attempt(one.me().unwrap(), &mut Arrival::default()).unwrap();
        assert!(matches!(attempt, Attempt::Sleep(_)));
        one.end();
        thread::scope(|scope| {
            let second = scope.spawn(|| at(&two).wait(late()).unwrap());
            until_asleep(&memory, 1, || second.is_finished());
            assert!(!second.is_finished());
            assert_eq!(at(&three).wait(late()).unwrap(), Role::Leader);
            second.join().unwrap();
        });
    }
}

/// The tag of a row begins anew after 32,768 times; rows of long ago do not count.
#[test]
fn a_row_of_long_ago_is_no_party() {
    let memory = memory();
    make(&memory);
    let [one, two] = agents(&memory);
    let generation = one.u32(AT + 28).unwrap();
    let attempt = at(&one).attempt(one.my_process().unwrap(), &mut Arrival::default()).unwrap();
    assert!(matches!(attempt, Attempt::Sleep(_)));
    generation.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
    assert!(at(&two).wait(soon()).unwrap_err().is_timeout());
    generation.fetch_add((1 << 15) - 1, std::sync::atomic::Ordering::SeqCst);
    assert!(at(&two).wait(soon()).unwrap_err().is_timeout());
}

/// The agent comes last, then first, and then too early; whenever it dies another comes in its place.
fn scene(memory: &Arc<Memory>, agent: &Agent, death: Death) -> Option<()> {
    let [other, third] = [1, 2].map(|index| Agent::new(memory, index, Fate::Lives));
    let until = |role: &thread::ScopedJoinHandle<'_, Role>| {
        let mut led = 0;
        while !role.is_finished() {
            led += u32::from(at(&third).wait(very_soon()).is_ok_and(|role| role == Role::Leader));
        }
        led
    };
    for is_last in [true, false] {
        let lived = thread::scope(|scope| {
            let waits = || loop {
                // Stopped in front, it lets nobody come, and then it dies.
                match at(&other).wait(patience(death)) {
                    Ok(role) => break role,
                    Err(error) => assert!(error.is_timeout() && death != Death::Process, "{error}"),
                }
                if agent.has_ended() && death == Death::Stopped {
                    break Role::Follower;
                }
            };
            let goes = || agent.run(|agent| at(agent).wait(late()).unwrap());
            if is_last {
                let waiter = scope.spawn(waits);
                until_asleep(memory, 1, || waiter.is_finished());
                let mine = goes();
                let led = until(&waiter);
                let theirs = waiter.join().unwrap();
                if let Some(mine) = mine {
                    assert_ne!(mine, theirs);
                } else {
                    assert!(led <= 1);
                }
                mine
            } else {
                let goer = scope.spawn(goes);
                until_asleep(memory, 1, || goer.is_finished());
                let waiter = scope.spawn(waits);
                if goer.join().unwrap().is_none() {
                    until(&waiter);
                    waiter.join().unwrap();
                    return None;
                }
                Some(waiter.join().unwrap())
            }
        });
        if lived.is_none() && death == Death::Stopped {
            // They could not take back that they had come, as long as it was stopped in front.
            other.end();
            third.end();
        }
        lived?;
    }
    // One died when it had arrived.
    let dead = Agent::new(memory, 3, Fate::Lives);
    let attempt = at(&dead).attempt(dead.me().unwrap(), &mut Arrival::default()).unwrap();
    assert!(matches!(attempt, Attempt::Sleep(_)));
    dead.end();
    agent.run(|agent| assert!(at(agent).wait(very_soon()).unwrap_err().is_timeout()))
}

#[test]
fn whoever_dies_at_any_step_is_no_party_or_has_opened_it() {
    let points = at_every_death(make, scene, |memory, last, _| {
        // Nobody has arrived: one does not go through, and two do.
        assert!(at(last).wait(very_soon()).unwrap_err().is_timeout());
        let another = Agent::new(memory, 8, Fate::Lives);
        thread::scope(|scope| {
            let first = scope.spawn(|| at(last).wait(late()).unwrap());
            let second = at(&another).wait(late()).unwrap();
            assert_ne!(first.join().unwrap(), second);
        });
    });
    let expected = [
        "barrier.announced",
        "barrier.arrived",
        "barrier.clear",
        "barrier.counted",
        "barrier.front",
        "barrier.left",
        "barrier.opened",
        "barrier.taken_back",
        "barrier.taking_back",
    ];
    assert_passed(&points, "barrier.", &expected);
}
