//! Every interleaving of those who change several values in one step, and of those who give names back, found by
//! loom. As `model.rs`, of which it has the manner and the words.
//!
//! ```text
//! RUSTFLAGS="--cfg loom" cargo test --release --test model_names
//! ```
#![cfg(loom)]

#[path = "support/modelling.rs"]
mod modelling;
mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32 as Plain, Ordering::SeqCst};

use loom::sync::atomic::Ordering;
use modelling::{Work, at_once, model, model_deaths};
use sk_share::Error;
use sk_share::ground::{
    AgentRef, Arena, Directory, Flip, Found, Ground, IN_PROGRESS, Objects, Offset, Open, Spec,
    Transactions, Writer,
};
use support::{Agent, Fate, Memory};

const ATTENTION: u64 = 0;
const RECORD: u64 = 8;
const VALUES: [u64; 2] = [72, 280];
const END: u64 = 488;

fn pattern(number: u8) -> [u8; 8] {
    [number; 8]
}

fn transactions(agent: &Agent) -> Transactions<'_, Agent> {
    Transactions::at(agent, ATTENTION, RECORD).unwrap()
}

/// As values are read.
fn read(agent: &Agent, value: u64) -> (u64, u8) {
    let flip = Flip::at(agent, value).unwrap();
    let transactions = transactions(agent);
    let mut bytes = Vec::new();
    let version = loop {
        if transactions.attention().unwrap() & IN_PROGRESS == 0 {
            break flip.read(&mut bytes, None).unwrap();
        }
        match transactions.version_of(value).unwrap() {
            Some(version) if flip.version() == version - 1 => {
                if flip.read_staged(version, &mut bytes).unwrap() {
                    break version;
                }
            }
            _ => {
                transactions.help().unwrap();
                break flip.read(&mut bytes, None).unwrap();
            }
        }
    };
    assert_eq!(bytes, pattern(bytes[0]));
    (version, bytes[0])
}

/// As the lock of a value is taken by whoever writes.
fn lock<'f, 'g>(agent: &'g Agent, flip: &'f Flip<'g, Agent>, value: u64) -> Writer<'f, 'g, Agent> {
    let writer = flip.lock(None).unwrap();
    let transactions = transactions(agent);
    if writer.was_abandoned()
        && transactions.attention().unwrap() & IN_PROGRESS != 0
        && let Some(version) = transactions.version_of(value).unwrap()
    {
        flip.roll_forward(version).unwrap();
    }
    writer
}

fn write(agent: &Agent, value: u64, fill: u8) -> u64 {
    let flip = Flip::at(agent, value).unwrap();
    lock(agent, &flip, value).commit(&pattern(fill)).unwrap()
}

fn transact(agent: &Agent, fill: u8) {
    let transactions = transactions(agent);
    let guard = transactions.begin(None).unwrap();
    let flips = VALUES.map(|value| Flip::at(agent, value).unwrap());
    let mut staged = Vec::new();
    for (flip, value) in flips.iter().zip(VALUES) {
        let mut writer = lock(agent, flip, value);
        staged.push((value, writer.stage(&pattern(fill)).unwrap(), writer));
    }
    transactions.commit(&guard, &mut staged).unwrap();
    drop(staged);
    drop(guard);
}

fn memory() -> Arc<Memory> {
    let memory = Memory::new(END, END, 8);
    let zeroth = Agent::new(&memory, 7, Fate::Lives);
    for value in VALUES {
        Flip::at(&zeroth, value).unwrap().write(&pattern(1), None).unwrap();
    }
    memory
}

fn transacting(memory: &Arc<Memory>, index: u16, fill: u8, fate: Fate) -> Work<(bool, [u8; 2])> {
    let memory = Arc::clone(memory);
    Box::new(move || {
        let agent = Agent::new(&memory, index, fate);
        (agent.run(|agent| transact(agent, fill)).is_none(), [0; 2])
    })
}

/// Reads both, one after the other.
fn reading(memory: &Arc<Memory>, index: u16) -> Work<(bool, [u8; 2])> {
    let memory = Arc::clone(memory);
    Box::new(move || {
        let agent = Agent::new(&memory, index, Fate::Lives);
        (false, VALUES.map(|value| read(&agent, value).1))
    })
}

/// Whoever has seen the one value change sees the other one changed.
///
/// ```text
///   dies                          reader
///   stages both, lists
///                                 attention: nothing
///   IN_PROGRESS; first = 2
///                                 first: 2
///   killed                        attention: IN_PROGRESS; second: what is staged
/// ```
#[test]
fn all_of_a_step_is_seen_or_nothing() {
    model_deaths("all_of_a_step_is_seen_or_nothing", 3, 2, |fate, order| {
        let memory = memory();
        let work = [transacting(&memory, 0, 2, fate), reading(&memory, 1)];
        let [(died, _), (_, [first, second])] = at_once(order, work);
        assert!(first <= second, "{first} then {second}");
        let last = Agent::new(&memory, 2, Fate::Lives);
        let now = VALUES.map(|value| read(&last, value));
        assert_eq!(now[0], now[1]);
        assert!(now[0].1 >= second && (died || now[0] == (2, 2)));
        died
    });
}

/// A dead one is finished by the next transaction while somebody reads: what that one writes down is not believed
/// before it counts.
///
/// ```text
///   dead: IN_PROGRESS             dies                         reader
///                                                              attention: IN_PROGRESS
///                                 rolls forward, clears it
///                                 stages, lists, killed
///                                                              record: of the next one
///                                                              attention: not any more
/// ```
#[test]
fn a_step_that_is_written_down_is_none_yet() {
    for (fate, most) in [
        (Fate::AtPoint("transaction.listed", 0), 2),
        (Fate::AtPoint("transaction.committed", 0), 3),
        (Fate::Lives, 3),
    ] {
        let began = std::time::Instant::now();
        let mut runs = 0;
        for order in 0..2 {
            runs += model(1, move || {
                let memory = memory();
                let dead = Agent::new(&memory, 3, Fate::AtPoint("transaction.committed", 0));
                assert!(dead.run(|agent| transact(agent, 2)).is_none());
                let reader = Arc::clone(&memory);
                let reader = Box::new(move || {
                    let agent = Agent::new(&reader, 1, Fate::Lives);
                    (false, [read(&agent, VALUES[0]).1; 2])
                });
                let work = [transacting(&memory, 0, 3, fate), reader as Work<_>];
                let [_, (_, [seen, _])] = at_once(order, work);
                assert!((2..=most).contains(&seen), "{seen}");
                let last = Agent::new(&memory, 2, Fate::Lives);
                let most = u64::from(most);
                assert!(VALUES.iter().all(|value| read(&last, *value).0 == most));
            });
        }
        let took = began.elapsed();
        println!("a_step_that_is_written_down_is_none_yet: {runs} interleavings, {took:.1?}");
    }
}

/// One who writes one of the values takes its lock over, and comes after all of the step or before all of it.
///
/// ```text
///   dies                          writer
///   stages both, IN_PROGRESS
///   killed
///                                 second: lock taken over, rolled forward, commits
/// ```
#[test]
fn who_takes_a_value_over_comes_after_the_step() {
    model_deaths("who_takes_a_value_over_comes_after_the_step", 3, 2, |fate, order| {
        let memory = memory();
        let writer = Arc::clone(&memory);
        let writer = Box::new(move || {
            let agent = Agent::new(&writer, 1, Fate::Lives);
            let version = write(&agent, VALUES[1], 4);
            (false, [u8::try_from(version).unwrap(), 0])
        });
        let work = [transacting(&memory, 0, 2, fate), writer as Work<_>];
        let [(died, _), (_, [version, _])] = at_once(order, work);
        let last = Agent::new(&memory, 2, Fate::Lives);
        let [first, second] = VALUES.map(|value| read(&last, value));
        let happened = first == (2, 2);
        assert!(happened || died && first == (1, 1));
        match version {
            // Before the step, or there was none.
            2 => assert_eq!(second, if happened { (3, 2) } else { (2, 4) }),
            _ => assert_eq!((version, second, happened), (3, (3, 4), true)),
        }
        died
    });
}

const ARENA: u64 = 224;
const CHUNK: u64 = 256;
const CHUNKS: u64 = 3;
const FIRST: u64 = (ARENA + Arena::<Agent>::header_bytes(CHUNKS)).next_multiple_of(64);

/// Objects that have nothing besides their block, and were left at 5 by who held them.
struct Things<'a>(&'a Agent);

impl Objects<Agent> for Things<'_> {
    fn destroy(&self, _: u32, body: Offset) -> Result<(), Error> {
        assert_eq!(self.0.u64(body)?.load(Ordering::Relaxed), 5);
        Ok(())
    }

    fn wake(&self, _: &Found) {}

    fn is_gone(&self, member: u64) -> bool {
        AgentRef::from_word(member).is_none_or(|member| self.0.is_dead(member))
    }
}

fn with_names<R>(agent: &Agent, work: impl FnOnce(&Open<'_, '_, Agent, Things<'_>>) -> R) -> R {
    let arena = Arena::open(agent, ARENA).unwrap();
    let things = Things(agent);
    let row = u64::from(agent.me().unwrap().index);
    let directory = Directory::at(agent, &arena, 0, row).unwrap();
    let open = directory.open(&things, None).unwrap();
    let result = work(&open);
    drop(open);
    result
}

fn attach(agent: &Agent) {
    with_names(agent, |open| open.attach(agent.me().unwrap().to_word()).unwrap());
}

fn unpin(agent: &Agent, found: &Found) -> bool {
    let arena = Arena::open(agent, ARENA).unwrap();
    let row = u64::from(agent.me().unwrap().index);
    Directory::at(agent, &arena, 0, row).unwrap().unpin(found).unwrap()
}

/// A name is removed while the last one who holds it gives it back: it is freed once, after all that this one did
/// with it, and by one of the two.
///
/// ```text
///   holder                        dies
///                                 removes: to_free = 1
///                                 reaps: held
///   pin cleared
///   to_free: 1, reaps
/// ```
#[test]
fn what_is_given_back_as_it_is_removed_is_freed_once() {
    model_deaths("what_is_given_back_as_it_is_removed_is_freed_once", 2, 2, |fate, order| {
        let length = FIRST + CHUNKS * CHUNK;
        let memory = Memory::with_singles(FIRST, length, 4, usize::try_from(length / 4).unwrap());
        memory.reused_from(FIRST);
        let maker = Agent::new(&memory, 2, Fate::Lives);
        Arena::create(&maker, ARENA, FIRST, CHUNK, CHUNKS).unwrap();
        let holder = Agent::new(&memory, 0, Fate::Lives);
        attach(&holder);
        let spec = Spec { kind: 1, fingerprint: 1, type_name: "", bytes: 8 };
        let found = with_names(&holder, |open| open.create("a", &spec, |_| Ok(()))).unwrap();
        let removing = Arc::clone(&memory);
        let removing = Box::new(move || {
            let agent = Agent::new(&removing, 1, fate);
            let remove = |agent: &Agent| {
                with_names(agent, |open| {
                    assert!(open.remove(&found).unwrap());
                    open.reap().unwrap();
                });
            };
            agent.run(remove).is_none()
        });
        let holding = Box::new(move || {
            holder.u64(found.body).unwrap().store(5, Ordering::Relaxed);
            if unpin(&holder, &found) {
                with_names(&holder, |open| assert_eq!(open.reap().unwrap(), 0));
            }
            false
        });
        let [_, died] = at_once(order, [holding as Work<bool>, removing]);
        let blocks = with_names(&maker, |open| {
            if died {
                open.reap().unwrap();
            }
            let is_named = open.find("a").unwrap() == Some(found);
            let (blocks, objects) = open.blocks().unwrap();
            assert_eq!(objects.len(), usize::from(is_named));
            assert!(!is_named || died);
            blocks
        });
        let account = Arena::open(&maker, ARENA).unwrap().check(None).unwrap();
        assert_eq!(account.against(&blocks), Vec::<String>::new());
        died
    });
}
