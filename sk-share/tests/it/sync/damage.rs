//! Words that nobody wrote: errors, never a panic or a loop without end.

use std::mem::forget;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

use sk_share::Error;
use sk_share::ground::{Barrier, Condvar, Event, Ground, Mutex, RwLock, Semaphore};

use super::super::support::{Agent, Fate, Memory};
use super::{AT, memory};

/// Numbers that are the same in each run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }
}

/// More than any operation here needs, which has at most one short wait.
const MOST_STEPS: u32 = 4000;

fn shortly() -> Option<Instant> {
    Some(Instant::now() + Duration::from_micros(200))
}

/// Where the words of an object lie that are a `u32`; the others are a `u64`.
const TABLE: &[u64] = &[16, 20, 24, 28];

/// Makes an object, has some hold it, changes one or two words, and does all that can be done with it.
fn damage(
    seed: u64,
    bytes: u64,
    singles: &[u64],
    make: impl Fn(&Agent) -> Result<(), Error>,
    hold: impl Fn(&Agent),
    work: impl Fn(&Agent, &mut Vec<Result<(), Error>>),
) -> (u32, u32) {
    let mut random = Random(seed);
    let (mut damaged, mut fine) = (0, 0);
    for _ in 0..400 {
        let memory: Arc<Memory> = memory();
        let [maker, holder, dead, agent] =
            [0, 1, 2, 3].map(|index| Agent::new(&memory, index, Fate::Lives));
        make(&maker).unwrap();
        for holder in [&holder, &dead] {
            if random.below(2) == 0 {
                hold(holder);
            }
        }
        dead.end();
        for _ in 0..=random.below(2) {
            let at = random.below(bytes / 8) * 8;
            let value = match random.below(6) {
                0 => random.next(),
                1 => random.below(4),
                2 => holder.me().unwrap().to_word() | random.below(4),
                3 => dead.my_process().unwrap().to_word() | random.below(0x8000),
                4 => u64::MAX,
                _ => agent.me().unwrap().to_word() | random.below(2),
            };
            if singles.contains(&at) {
                let at = AT + at + random.below(2) * 4;
                #[expect(clippy::cast_possible_truncation, reason = "any bits will do")]
                maker.u32(at).unwrap().store(value as u32, SeqCst);
            } else {
                let word = maker.u64(AT + at).unwrap();
                let flip = word.load(SeqCst) ^ 1 << random.below(64);
                word.store(if random.below(3) == 0 { flip } else { value }, SeqCst);
            }
        }
        let mut results = Vec::new();
        work(&agent, &mut results);
        assert!(agent.steps() < MOST_STEPS, "{} steps", agent.steps());
        for result in results {
            match result {
                Ok(()) => fine += 1,
                Err(error) if error.is_damaged() => damaged += 1,
                Err(error) => {
                    assert!(
                        error.is_timeout() || error.is_reentry() || error.is_limit(),
                        "{error}"
                    );
                }
            }
        }
    }
    (damaged, fine)
}

fn both_happened((damaged, fine): (u32, u32)) {
    assert!(damaged > 20 && fine > 20, "{damaged} {fine}");
}

#[test]
fn damaged_permits_are_errors() {
    both_happened(damage(
        1,
        Semaphore::<Agent>::bytes(3),
        TABLE,
        |maker| Semaphore::create(maker, AT, 3).map(drop),
        |holder| forget(Semaphore::at(holder, AT).unwrap().try_acquire(1)),
        |agent, results| {
            for count in 1..=3 {
                let work = |agent| -> Result<(), Error> {
                    let semaphore = Semaphore::at(agent, AT)?;
                    semaphore.available()?;
                    drop(semaphore.try_acquire(1)?);
                    drop(semaphore.acquire_until(count, shortly())?);
                    Ok(())
                };
                results.push(work(agent));
            }
        },
    ));
}

#[test]
fn damaged_readers_and_writers_are_errors() {
    both_happened(damage(
        2,
        RwLock::<Agent>::bytes(3),
        TABLE,
        |maker| RwLock::create(maker, AT, 3).map(drop),
        |holder| forget(RwLock::at(holder, AT).unwrap().try_read()),
        |agent, results| {
            let read = |agent| -> Result<(), Error> {
                let lock = RwLock::at(agent, AT)?;
                let outer = lock.read(shortly())?;
                drop(lock.try_read()?);
                drop(outer);
                Ok(())
            };
            let write = |agent| -> Result<(), Error> {
                let lock = RwLock::at(agent, AT)?;
                drop(lock.try_write()?);
                drop(lock.write(shortly())?.downgrade()?);
                Ok(())
            };
            results.extend([read(agent), write(agent)]);
        },
    ));
}

#[test]
fn damaged_parties_are_errors() {
    both_happened(damage(
        3,
        Barrier::<Agent>::bytes(2),
        TABLE,
        |maker| Barrier::create(maker, AT, 2).map(drop),
        |holder| {
            let me = holder.me().unwrap();
            let _ = Barrier::at(holder, AT).unwrap().attempt(me, &mut Default::default());
        },
        |agent, results| {
            for _ in 0..2 {
                let barrier = Barrier::at(agent, AT);
                results.push(barrier.and_then(|barrier| barrier.wait(shortly()).map(drop)));
            }
        },
    ));
}

#[test]
fn damaged_small_objects_are_errors() {
    both_happened(damage(
        4,
        Event::<Agent>::BYTES,
        &[8],
        |maker| Event::create(maker, AT).map(drop),
        |holder| Event::at(holder, AT).unwrap().set(),
        |agent, results| {
            results.push(Event::at(agent, AT).and_then(|event| event.wait(shortly())));
        },
    ));
    const MUTEX: u64 = AT + Condvar::<Agent>::BYTES;
    both_happened(damage(
        5,
        Condvar::<Agent>::BYTES + Mutex::<Agent>::BYTES,
        &[8, 32],
        |maker| {
            Condvar::create(maker, AT)?;
            Mutex::create(maker, MUTEX).map(drop)
        },
        |holder| forget(Mutex::at(holder, MUTEX).unwrap().try_lock()),
        |agent, results| {
            let wait = |agent| -> Result<(), Error> {
                let condvar = Condvar::at(agent, AT)?;
                let mutex = Mutex::at(agent, MUTEX)?;
                condvar.notify_one();
                drop(condvar.wait(mutex.lock(shortly())?, shortly())?);
                Ok(())
            };
            let lock = |agent| -> Result<(), Error> {
                drop(Mutex::at(agent, MUTEX)?.lock(shortly())?);
                Ok(())
            };
            results.extend([lock(agent), wait(agent)]);
        },
    ));
}

#[test]
fn an_object_is_not_taken_for_another_one() {
    type At = fn(&Agent) -> Result<(), Error>;
    let make: [At; 6] = [
        |agent| Semaphore::create(agent, AT, 1).map(drop),
        |agent| RwLock::create(agent, AT, 1).map(drop),
        |agent| Barrier::create(agent, AT, 1).map(drop),
        |agent| Mutex::create(agent, AT).map(drop),
        |agent| Event::create(agent, AT).map(drop),
        |agent| Condvar::create(agent, AT).map(drop),
    ];
    let find: [At; 6] = [
        |agent| Semaphore::at(agent, AT).map(drop),
        |agent| RwLock::at(agent, AT).map(drop),
        |agent| Barrier::at(agent, AT).map(drop),
        |agent| Mutex::at(agent, AT).map(drop),
        |agent| Event::at(agent, AT).map(drop),
        |agent| Condvar::at(agent, AT).map(drop),
    ];
    for (made, make) in make.iter().enumerate() {
        let memory: Arc<Memory> = memory();
        let agent = Agent::new(&memory, 0, Fate::Lives);
        for find in find {
            assert!(find(&agent).unwrap_err().is_damaged());
        }
        make(&agent).unwrap();
        assert!(make(&agent).unwrap_err().is_damaged());
        for (found, find) in find.iter().enumerate() {
            let result = find(&agent);
            assert_eq!(result.is_ok(), made == found);
            assert!(result.err().is_none_or(|error| error.is_damaged()));
        }
    }
}
