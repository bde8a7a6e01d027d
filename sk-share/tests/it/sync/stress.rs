//! Threads that come and go and die at some step, all at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering::SeqCst};
use std::thread;

use sk_share::ground::{Barrier, Ground, Role, RwLock, Semaphore};

use super::super::support::{Agent, Fate, Memory, late};
use super::{AT, FIRST, SECOND, memory};

/// Four threads do `work` again and again, each as one agent after another, which dies at some step.
fn with_deaths(memory: &Arc<Memory>, work: impl Fn(&Agent, u32) + Sync) {
    thread::scope(|scope| {
        for index in 0..4_u16 {
            let work = &work;
            scope.spawn(move || {
                let mut agent = Agent::new(memory, index, Fate::Lives);
                for round in 0..300_u32 {
                    agent.fated(Fate::AtStep(round * 7 % 211 + u32::from(index)));
                    let mut lived = (0..4).map(|_| agent.run(|agent| work(agent, round)));
                    if lived.any(|lived| lived.is_none()) {
                        agent = Agent::next(memory, index, Fate::Lives);
                    }
                }
                agent.end();
            });
        }
    });
}

/// Counts who is within. No step lies within, so that nobody dies there.
struct Within<'c>(&'c AtomicI64, i64);

impl<'c> Within<'c> {
    fn enter(counter: &'c AtomicI64, by: i64, most: i64) -> Within<'c> {
        assert!(counter.fetch_add(by, SeqCst) + by <= most);
        Within(counter, by)
    }
}

impl Drop for Within<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(self.1, SeqCst);
    }
}

#[test]
fn permits_are_never_more_than_there_are() {
    let memory = memory();
    Semaphore::create(&Agent::new(&memory, 15, Fate::Lives), AT, 3).unwrap();
    let held = AtomicI64::new(0);
    let done = AtomicU32::new(0);
    with_deaths(&memory, |agent, round| {
        let semaphore = Semaphore::at(agent, AT).unwrap();
        let permits = semaphore.acquire_until(round % 3 + 1, late()).unwrap();
        let count = i64::from(permits.count());
        let within = Within::enter(&held, count, 3);
        thread::yield_now();
        drop(within);
        drop(permits);
        done.fetch_add(1, SeqCst);
    });
    assert!(done.into_inner() > 1000);
    let last = Agent::new(&memory, 9, Fate::Lives);
    let semaphore = Semaphore::at(&last, AT).unwrap();
    drop(semaphore.acquire_until(3, late()).unwrap());
    assert_eq!(semaphore.available().unwrap(), 3);
}

#[test]
fn writers_are_alone_and_readers_see_whole_values() {
    let memory = memory();
    RwLock::create(&Agent::new(&memory, 15, Fate::Lives), AT, 3).unwrap();
    let writers = AtomicI64::new(0);
    let readers = AtomicI64::new(0);
    with_deaths(&memory, |agent, round| {
        let lock = RwLock::at(agent, AT).unwrap();
        if round % 3 == 0 {
            let mut guard = lock.write(late()).unwrap();
            let [first, second] = [FIRST, SECOND].map(|at| agent.u64(at).unwrap());
            let seen = first.load(SeqCst);
            if guard.was_abandoned() {
                second.store(seen, SeqCst);
                guard.repaired();
            }
            assert_eq!(second.load(SeqCst), seen);
            {
                let _within = Within::enter(&writers, 1, 1);
                assert_eq!(readers.load(SeqCst), 0);
                first.store(seen + 1, SeqCst);
            }
            agent.point("half");
            second.store(seen + 1, SeqCst);
            if round % 2 == 0 {
                drop(guard.downgrade().unwrap());
            }
        } else {
            let guard = lock.read(late()).unwrap();
            let [first, second] = [FIRST, SECOND].map(|at| agent.u64(at).unwrap());
            let _within = Within::enter(&readers, 1, 3);
            assert_eq!(writers.load(SeqCst), 0);
            assert!(guard.was_abandoned() || first.load(SeqCst) == second.load(SeqCst));
        }
    });
    let last = Agent::new(&memory, 9, Fate::Lives);
    let lock = RwLock::at(&last, AT).unwrap();
    lock.write(late()).unwrap().repaired();
    assert!(!lock.read(late()).unwrap().was_abandoned());
}

#[test]
fn phases_of_a_barrier_are_never_mixed() {
    const PARTIES: u32 = 3;
    const PHASES: u32 = 300;
    let memory = memory();
    Barrier::create(&Agent::new(&memory, 15, Fate::Lives), AT, PARTIES).unwrap();
    let (arrived, led) = (AtomicU32::new(0), AtomicU32::new(0));
    thread::scope(|scope| {
        for index in 0..3_u16 {
            let (memory, arrived, led) = (&memory, &arrived, &led);
            scope.spawn(move || {
                let agent = Agent::new(memory, index, Fate::Lives);
                let barrier = Barrier::at(&agent, AT).unwrap();
                for phase in 0..PHASES {
                    arrived.fetch_add(1, SeqCst);
                    let role = barrier.wait(late()).unwrap();
                    led.fetch_add(u32::from(role == Role::Leader), SeqCst);
                    // All of this phase have come, and of the next one not all.
                    let seen = arrived.load(SeqCst);
                    assert!(seen >= PARTIES * (phase + 1) && seen < PARTIES * (phase + 2));
                }
            });
        }
    });
    assert_eq!(led.into_inner(), PHASES);
}

/// Parties die on the way again and again; three others get through as often as they want.
#[test]
fn a_barrier_opens_for_the_living() {
    let memory = memory();
    Barrier::create(&Agent::new(&memory, 15, Fate::Lives), AT, 2).unwrap();
    let through = AtomicU32::new(0);
    thread::scope(|scope| {
        let (memory, through) = (&memory, &through);
        for index in [0_u16, 1] {
            scope.spawn(move || {
                let agent = Agent::new(memory, index, Fate::Lives);
                while through.load(SeqCst) < 400 {
                    Barrier::at(&agent, AT).unwrap().wait(late()).unwrap();
                    through.fetch_add(1, SeqCst);
                }
                // Whoever is left waits for one more.
                let _ = Barrier::at(&agent, AT).unwrap().wait(super::very_soon());
                agent.end();
            });
        }
        scope.spawn(move || {
            for step in 0.. {
                if through.load(SeqCst) >= 400 {
                    break;
                }
                let agent = Agent::next(memory, 2, Fate::AtStep(step % 83));
                agent.run(|agent| Barrier::at(agent, AT).unwrap().wait(super::very_soon()).is_ok());
                agent.end();
            }
            // The two others may need one more each.
            let agent = Agent::next(memory, 2, Fate::Lives);
            let barrier = Barrier::at(&agent, AT).unwrap();
            while barrier
                .wait(Some(std::time::Instant::now() + std::time::Duration::from_millis(50)))
                .is_ok()
            {}
        });
    });
}
