//! Every interleaving of those who share memory, with one of them dying at every step, found by loom.
//!
//! ```text
//! RUSTFLAGS="--cfg loom" cargo test --release --test model
//! ```
//!
//! The code under test is the one that ships; only `crate::sync` gives it loom's atomics, and
//! `support` the words, the sleeping and the deaths. Each model runs once for every step of the
//! agent that dies, until it has none left to die at.
#![cfg(loom)]

mod list;
#[path = "../support/modelling.rs"]
mod modelling;
mod queue;
#[path = "../support/mod.rs"]
mod support;
mod sync;

use std::sync::Arc;

use loom::sync::atomic::Ordering;
use loom::thread;
use modelling::{Work, at_once, model, model_deaths};
use sk_share::ground::{Arena, Flip, Ground, Lock};
use support::{Agent, Death, Fate, Memory};

const LOCK: u64 = 0;
const FIRST: u64 = 16;
const SECOND: u64 = 24;

/// Takes the lock, repairs what a dead holder left, and counts both words up.
fn count_both(agent: &Agent, lock: &Lock<'_, Agent>) {
    let mut guard = lock.lock().unwrap();
    let first = agent.u64(FIRST).unwrap();
    let second = agent.u64(SECOND).unwrap();
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

/// Counts once; gives whether the agent died.
fn counting(memory: &Arc<Memory>, index: u16, fate: Fate) -> Work<bool> {
    let memory = Arc::clone(memory);
    Box::new(move || {
        let agent = Agent::new(&memory, index, fate);
        agent.run(|agent| count_both(agent, &Lock::at(agent, LOCK).unwrap())).is_none()
    })
}

/// Lets one more take the lock when all others are done, and checks what they left.
fn nobody_is_blocked(memory: &Arc<Memory>, at_least: u64) {
    let last = Agent::new(memory, 7, Fate::Lives);
    let lock = Lock::at(&last, LOCK).unwrap();
    count_both(&last, &lock);
    assert!(last.u64(SECOND).unwrap().load(Ordering::Relaxed) > at_least);
    assert!(!lock.try_lock().unwrap().unwrap().was_abandoned());
}

/// The one that dies is a holder, an unlocker and a woken waiter in turn.
///
/// ```text
///   dies                      second                     third
///   owner = dies
///                             turn: 0; owner: dies
///                             owner = dies|WAITERS
///   swap 0                                               owner = third
///   turn = 1, killed
///   (deaths = 1, all woken)   looks: third; WAITERS
///                                                        swap 0, turn = 2, wakes one
///                             owner = second|WAITERS
/// ```
#[test]
fn a_lock_outlives_its_holder() {
    model_deaths("a_lock_outlives_its_holder", 2, 3, |fate, order| {
        let memory = Memory::new(32, 32, 8);
        let agents = [(0, fate), (1, Fate::Lives), (2, Fate::Lives)];
        let [died, ..] = at_once(order, agents.map(|(index, fate)| counting(&memory, index, fate)));
        nobody_is_blocked(&memory, 2);
        died
    });
}

/// Two die, one after the other: the second may be killed while it repairs.
#[test]
fn a_lock_outlives_who_took_it_over() {
    model_deaths("a_lock_outlives_who_took_it_over", 2, 1, |fate, order| {
        let memory = Memory::new(32, 32, 8);
        let agents = [(0, Fate::AtPoint("half", 0)), (1, fate), (2, Fate::Lives)];
        let work = agents.map(|(index, fate)| counting(&memory, index, fate));
        let [_, died, _] = at_once(order, work);
        nobody_is_blocked(&memory, 1);
        died
    });
}

/// A thread ends with two locks in its hands. The kernel wakes one of those who wait for it.
#[test]
fn a_thread_that_ends_with_two_locks_leaves_both() {
    let runs = model(3, || {
        let memory = Memory::new(48, 48, 8);
        let first = Agent::new(&memory, 0, Fate::Lives).ending(Death::Thread);
        for at in [0, 16] {
            std::mem::forget(Lock::at(&first, at).unwrap().lock().unwrap());
        }
        let others = [(1, 0), (2, 16)].map(|(index, at)| {
            let memory = Arc::clone(&memory);
            thread::spawn(move || {
                let agent = Agent::new(&memory, index, Fate::Lives);
                assert!(Lock::at(&agent, at).unwrap().lock().unwrap().was_abandoned());
            })
        });
        first.end();
        for other in others {
            other.join().unwrap();
        }
    });
    println!("a_thread_that_ends_with_two_locks_leaves_both: {runs} interleavings");
}

fn pattern(number: u8) -> [u8; 8] {
    [number; 8]
}

/// A value is read whole whatever its writers do, and is the one of the version that comes with it
/// or of a dead writer's try that came to be that version.
///
/// ```text
///   reader                    first writer               second writer
///   version: 1
///                             begun = 2, slot 0, killed
///   half of slot 1
///                                                        begun = 2, slot 0, version = 2
///                                                        begun = 3, slot 1
///   other half of slot 1
///   begun: 3, again
/// ```
#[test]
fn a_value_is_read_whole() {
    model_deaths("a_value_is_read_whole", 2, 1, |fate, order| {
        let memory = Memory::new(256, 256, 8);
        let zeroth = Agent::new(&memory, 3, Fate::Lives);
        Flip::at(&zeroth, 0).unwrap().write(&pattern(1), None).unwrap();
        let agents = [(0, 2, fate), (1, 3, Fate::Lives)];
        let [first, second] = agents.map(|(index, number, fate)| {
            let memory = Arc::clone(&memory);
            Box::new(move || {
                let agent = Agent::new(&memory, index, fate);
                let write = |agent: &Agent| {
                    Flip::at(agent, 0).unwrap().write(&pattern(number), None).unwrap()
                };
                agent.run(write)
            }) as Work<_>
        });
        let reader = Arc::clone(&memory);
        let reader = Box::new(move || {
            let reader = Agent::new(&reader, 2, Fate::Lives);
            let mut bytes = Vec::new();
            let version = Flip::at(&reader, 0).unwrap().read(&mut bytes, None).unwrap();
            assert_eq!(bytes, pattern(bytes[0]));
            assert_eq!(version == 1, bytes[0] == 1);
            Some(version)
        });
        let [first, second, version] = at_once(order, [first, second, reader]);
        let mut bytes = Vec::new();
        let last = Flip::at(&zeroth, 0).unwrap().read(&mut bytes, None).unwrap();
        assert!(last >= version.unwrap() && last >= second.unwrap());
        assert_eq!(bytes, pattern(bytes[0]));
        if let Some(first) = first {
            assert_eq!(last, 3);
            assert_eq!(bytes, pattern(if first == 3 { 2 } else { 3 }));
        }
        first.is_none()
    });
}

/// Whoever watches sees the commit, also of a writer that dies before it wakes.
#[test]
fn a_commit_is_noticed() {
    model_deaths("a_commit_is_noticed", 3, 2, |fate, order| {
        let memory = Memory::new(256, 256, 8);
        let writer = {
            let memory = Arc::clone(&memory);
            Box::new(move || {
                let agent = Agent::new(&memory, 0, fate);
                let write =
                    |agent: &Agent| Flip::at(agent, 0).unwrap().write(&pattern(1), None).unwrap();
                let died = agent.run(write).is_none();
                if died {
                    let agent = Agent::new(&memory, 1, Fate::Lives);
                    if Flip::at(&agent, 0).unwrap().version() == 0 {
                        write(&agent);
                    }
                }
                died
            })
        };
        let watcher = {
            let memory = Arc::clone(&memory);
            Box::new(move || {
                let watcher = Agent::new(&memory, 2, Fate::Lives);
                let flip = Flip::at(&watcher, 0).unwrap();
                assert_eq!(flip.changed(0, None).unwrap(), 1);
                let mut bytes = Vec::new();
                flip.read(&mut bytes, None).unwrap();
                assert_eq!(bytes, pattern(1));
                false
            })
        };
        let [died, _] = at_once(order, [writer as Work<bool>, watcher]);
        died
    });
}

const CHUNK: u64 = 256;

fn with_arena(at: u64, chunks: u64) -> Arc<Memory> {
    let first = (at + Arena::<Agent>::header_bytes(chunks)).next_multiple_of(32);
    let memory = Memory::new(first, first + chunks * CHUNK, 8);
    let maker = Agent::new(&memory, 7, Fate::Lives);
    Arena::create(&maker, at, first, CHUNK, chunks).unwrap();
    memory
}

/// Replaces the block that a word holds.
fn replace(agent: &Agent, at: u64, word: u64, fill: u8) {
    let arena = Arena::open(agent, at).unwrap();
    let reservation = arena.exchange(word, 8, None).unwrap();
    agent.copy_in(reservation.block(), &pattern(fill)).unwrap();
    reservation.link().unwrap();
}

/// The books agree with the words, which hold what was put there last.
fn books_are_right(memory: &Arc<Memory>, at: u64, words: &[(u64, &[u8])]) {
    let last = Agent::new(memory, 6, Fate::Lives);
    let account = Arena::open(&last, at).unwrap().check(None).unwrap();
    let blocks: Vec<u64> =
        words.iter().map(|(word, _)| last.u64(*word).unwrap().load(Ordering::Relaxed)).collect();
    assert_eq!(account.against(&blocks), Vec::<String>::new());
    for (block, (_, fills)) in blocks.iter().zip(words) {
        let mut bytes = [0; 8];
        last.copy_out(*block, &mut bytes).unwrap();
        assert!(fills.iter().any(|fill| bytes == pattern(*fill)), "{bytes:?}");
    }
}

/// Two replace blocks of their own words; one of them dies, and the other, or who comes last,
/// settles what it left.
///
/// ```text
///   dies                      second
///   lock, record, mark
///   unlock
///                             lock; the record has an owner who lives
///   word = new, killed
///                             lock again: settles, old is free
/// ```
#[test]
fn an_arena_outlives_who_changes_it() {
    model_deaths("an_arena_outlives_who_changes_it", 3, 2, |fate, order| {
        const AT: u64 = 64;
        let memory = with_arena(AT, 2);
        let zeroth = Agent::new(&memory, 5, Fate::Lives);
        replace(&zeroth, AT, 0, 1);
        replace(&zeroth, AT, 8, 2);
        let agents = [(0, 0, 3, fate), (1, 8, 4, Fate::Lives)];
        let [died, _] = at_once(
            order,
            agents.map(|(index, word, fill, fate)| {
                let memory = Arc::clone(&memory);
                Box::new(move || {
                    let agent = Agent::new(&memory, index, fate);
                    agent.run(|agent| replace(agent, AT, word, fill)).is_none()
                }) as Work<_>
            }),
        );
        let first: &[u8] = if died { &[1, 3] } else { &[3] };
        books_are_right(&memory, AT, &[(0, first), (8, &[4])]);
        died
    });
}

/// A reader copies a block that its value gives back meanwhile and another word takes.
#[test]
fn a_block_that_is_used_anew_is_not_read_as_the_old_one() {
    let began = std::time::Instant::now();
    let mut runs = 0;
    for order in 0..2 {
        runs += model(2, move || {
            const AT: u64 = 256;
            let memory = with_arena(AT, 2);
            let zeroth = Agent::new(&memory, 5, Fate::Lives);
            let write = |agent: &Agent, length: usize, fill: u8| {
                let arena = Arena::open(agent, AT).unwrap();
                let flip = Flip::at(agent, 0).unwrap().in_arena(&arena);
                flip.write(&vec![fill; length], None).unwrap()
            };
            write(&zeroth, 16, 1);
            let writer = Arc::clone(&memory);
            let writer = Box::new(move || {
                let writer = Agent::new(&writer, 0, Fate::Lives);
                write(&writer, 8, 2);
                write(&writer, 8, 3);
                0_u64
            });
            let other = Arc::clone(&memory);
            let other = Box::new(move || {
                let other = Agent::new(&other, 2, Fate::Lives);
                replace(&other, AT, 208, 4);
                0
            });
            let reader = Arc::clone(&memory);
            let reader = Box::new(move || {
                let reader = Agent::new(&reader, 1, Fate::Lives);
                let arena = Arena::open(&reader, AT).unwrap();
                let flip = Flip::at(&reader, 0).unwrap().in_arena(&arena);
                let mut bytes = Vec::new();
                let version = flip.read(&mut bytes, None).unwrap();
                let length = if version == 1 { 16 } else { 8 };
                assert_eq!(bytes, vec![u8::try_from(version).unwrap(); length]);
                version
            });
            at_once(order, [writer as Work<u64>, other, reader]);
        });
    }
    println!("a_block_that_is_used_anew: {runs} interleavings, {:.1?}", began.elapsed());
}

/// One has died, mostly with the lock. Whoever repairs may die too, at each step of that, while a third one
/// comes.
#[test]
fn an_arena_outlives_who_repairs_it() {
    for point in
        ["arena.record.entered", "arena.mark.set", "arena.link.linked", "arena.settle.freed"]
    {
        model_deaths(point, 2, 1, move |fate, order| {
            const AT: u64 = 64;
            let memory = with_arena(AT, 2);
            let zeroth = Agent::new(&memory, 5, Fate::Lives);
            replace(&zeroth, AT, 0, 1);
            replace(&zeroth, AT, 8, 2);
            let dead = Agent::new(&memory, 4, Fate::AtPoint(point, 0));
            assert!(dead.run(|agent| replace(agent, AT, 0, 3)).is_none());
            let agents = [(0, 8, 4, fate), (1, 16, 5, Fate::Lives)];
            let [died, _] = at_once(
                order,
                agents.map(|(index, word, fill, fate)| {
                    let memory = Arc::clone(&memory);
                    Box::new(move || {
                        let agent = Agent::new(&memory, index, fate);
                        agent.run(|agent| replace(agent, AT, word, fill)).is_none()
                    }) as Work<_>
                }),
            );
            let second: &[u8] = if died { &[2, 4] } else { &[4] };
            books_are_right(&memory, AT, &[(0, &[1, 3]), (8, second), (16, &[5])]);
            died
        });
    }
}
