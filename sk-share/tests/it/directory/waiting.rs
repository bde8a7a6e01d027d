//! Who waits for names.

use std::thread;

use sk_share::ground::{Attempt, wait_for};

use super::*;
use crate::support::late;

#[test]
fn a_name_that_comes_between_two_looks_is_not_slept_through() {
    let memory = memory();
    let agents = [0, 1].map(|index| Agent::new(&memory, index, Fate::Lives));
    let [one, two] = agents.each_ref().map(view);
    one.attach();
    two.attach();
    let arena = Arena::open(one.agent, ARENA).unwrap();
    let directory = Directory::at(one.agent, &arena, DIRECTORY, 0).unwrap();
    let mut looks = 0;
    let attempt = directory.look_for(|| {
        let found = one.find("a");
        looks += 1;
        if looks == 1 {
            two.create("a");
        }
        Ok(found)
    });
    assert!(matches!(attempt.unwrap(), Attempt::Done(_)));
}

#[test]
fn whoever_waits_for_a_name_is_told() {
    for point in [None, Some("directory.created"), Some("count.noticed")] {
        let memory = memory();
        let waiter = Agent::new(&memory, 0, Fate::Lives);
        view(&waiter).attach();
        thread::scope(|scope| {
            scope.spawn(|| {
                while memory.asleep() == 0 {
                    thread::yield_now();
                }
                let fate = point.map_or(Fate::Lives, |point| Fate::AtPoint(point, 0));
                let maker = Agent::new(&memory, 1, fate);
                maker.run(|maker| view(maker).create("a"));
            });
            let found = wait_for(&waiter, "the name was there", late(), || {
                let arena = Arena::open(&waiter, ARENA)?;
                let directory = Directory::at(&waiter, &arena, DIRECTORY, 0)?;
                // A maker that has not finished has the lock for a while.
                let look = || view(&waiter).try_with(|open, _| open.find("a"));
                let attempt = directory.look_for(|| look().or_else(patient(look))?)?;
                Ok(match attempt {
                    Attempt::Done(found) => Attempt::Done(found),
                    Attempt::Sleep(sleep) => Attempt::Sleep(sleep),
                })
            });
            assert_eq!(found.unwrap().serial, 1);
        });
    }
}

type Looked = Result<Result<Option<Found>, Error>, Error>;

/// Once more, as a maker may have the lock for longer than `soon` on a busy machine.
fn patient(look: impl Fn() -> Looked) -> impl FnOnce(Error) -> Looked {
    move |mut error| {
        for _ in 0..500 {
            assert!(error.is_timeout(), "{error}");
            match look() {
                Ok(found) => return Ok(found),
                Err(next) => error = next,
            }
        }
        Err(error)
    }
}
