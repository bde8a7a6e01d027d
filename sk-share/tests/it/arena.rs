//! The arena: blocks, and books that add up whoever dies.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use proptest::prelude::*;
use sk_share::ground::{Account, Arena, Ground};

use super::support::{Agent, Death, Fate, Memory, soon};

/// Words that hold blocks lie at the beginning, the arena behind them.
const WORDS: u64 = 8;
const AT: u64 = 512;
const CHUNK: u64 = 256;

fn first(chunks: u64) -> u64 {
    (AT + Arena::<Agent>::header_bytes(chunks)).next_multiple_of(32)
}

fn memory(chunks: u64) -> Arc<Memory> {
    let memory = Memory::new(first(chunks), first(chunks) + chunks * CHUNK, 16);
    let maker = Agent::new(&memory, 15, Fate::Lives);
    Arena::create(&maker, AT, first(chunks), CHUNK, chunks).unwrap();
    memory
}

fn word(index: u64) -> u64 {
    index * 8
}

fn held(agent: &Agent, index: u64) -> u64 {
    agent.u64(word(index)).unwrap().load(Ordering::SeqCst)
}

/// Puts a block of `bytes` bytes, all `fill`, where `index` says.
fn put(agent: &Agent, index: u64, bytes: u64, fill: u8) {
    let arena = Arena::open(agent, AT).unwrap();
    let reservation = arena.exchange(word(index), bytes, soon()).unwrap();
    assert!(reservation.bytes() >= bytes);
    agent.copy_in(reservation.block(), &vec![fill; usize::try_from(bytes).unwrap()]).unwrap();
    reservation.link().unwrap();
}

fn release(agent: &Agent, index: u64) {
    Arena::open(agent, AT).unwrap().release(word(index), soon()).unwrap();
}

/// The books, which are right and agree with the words.
fn checked(agent: &Agent) -> Account {
    let account = Arena::open(agent, AT).unwrap().check(soon()).unwrap();
    let linked: Vec<u64> =
        (0..WORDS).map(|index| held(agent, index)).filter(|block| *block != 0).collect();
    assert_eq!(account.against(&linked), Vec::<String>::new());
    account
}

#[test]
fn a_block_is_reserved_then_linked_then_free() {
    let memory = memory(16);
    let agent = Agent::new(&memory, 0, Fate::Lives);
    let arena = Arena::open(&agent, AT).unwrap();
    let reservation = arena.exchange(0, 20, soon()).unwrap();
    assert_eq!(reservation.bytes(), 32);
    let block = reservation.block();
    assert!(checked(&agent).reserved.contains(&block));
    assert_eq!(held(&agent, 0), 0);
    reservation.link().unwrap();
    assert_eq!(held(&agent, 0), block);
    assert_eq!(arena.bytes_of(block).unwrap(), 32);
    let account = checked(&agent);
    assert!(account.reserved.is_empty());
    assert_eq!(account.used.into_iter().collect::<Vec<_>>(), [(block, 32)]);
    put(&agent, 0, 90, 1);
    assert_ne!(held(&agent, 0), block);
    assert_eq!(checked(&agent).used.len(), 1);
    release(&agent, 0);
    release(&agent, 0);
    assert!(checked(&agent).used.is_empty());
    assert!(arena.bytes_of(block).unwrap_err().is_damaged());
}

#[test]
fn a_reservation_that_is_dropped_is_free_again() {
    let memory = memory(16);
    let agent = Agent::new(&memory, 0, Fate::Lives);
    let arena = Arena::open(&agent, AT).unwrap();
    put(&agent, 0, 10, 1);
    let block = held(&agent, 0);
    drop(arena.exchange(0, 500, soon()).unwrap());
    assert_eq!(held(&agent, 0), block);
    assert_eq!(checked(&agent).used.len(), 1);
}

#[test]
fn one_word_has_one_reservation() {
    let memory = memory(16);
    let [one, two] = [0, 1].map(|index| Agent::new(&memory, index, Fate::Lives));
    let arena = Arena::open(&one, AT).unwrap();
    let reservation = arena.exchange(0, 10, soon()).unwrap();
    let other = Arena::open(&two, AT).unwrap();
    assert!(other.exchange(0, 10, soon()).unwrap_err().is_busy());
    assert!(other.release(0, soon()).unwrap_err().is_busy());
    assert!(other.exchange(8, 10, soon()).is_ok());
    reservation.link().unwrap();
    assert!(other.exchange(0, 10, soon()).is_ok());
}

#[test]
fn limits_are_errors_and_leave_everything_as_it_was() {
    let memory = memory(4);
    let agent = Agent::new(&memory, 0, Fate::Lives);
    let arena = Arena::open(&agent, AT).unwrap();
    put(&agent, 0, CHUNK * 3, 1);
    for bytes in [CHUNK * 2, CHUNK * 4 + 1, u64::MAX] {
        assert!(arena.exchange(word(1), bytes, soon()).unwrap_err().is_limit(), "{bytes}");
    }
    put(&agent, 1, CHUNK, 2);
    assert!(arena.exchange(word(2), 1, soon()).unwrap_err().is_limit());
    assert_eq!(checked(&agent).chunks, 4);
    release(&agent, 0);
    put(&agent, 2, 1, 3);
    // A chunk whose blocks are all free serves all sizes again.
    release(&agent, 2);
    put(&agent, 3, CHUNK * 3, 4);
    checked(&agent);
}

/// More records than the header has place for.
#[test]
fn many_may_reserve_at_once() {
    let memory = Memory::new(4096, 1 << 16, 16);
    let agent = Agent::new(&memory, 0, Fate::Lives);
    let arena = Arena::create(&agent, 1024, 4096, CHUNK, 128).unwrap();
    let reservations: Vec<_> =
        (0..96).map(|index| arena.exchange(index * 8, 40, soon()).unwrap()).collect();
    let account = arena.check(soon()).unwrap();
    assert_eq!(account.faults, Vec::<String>::new());
    assert_eq!(account.reserved.len(), 96);
    assert!(arena.exchange(1016, 40, soon()).unwrap_err().is_limit());
    drop(reservations);
    assert!(arena.check(soon()).unwrap().used.is_empty());
    arena.sweep(soon()).unwrap();
    // The chunks that hold records stay what they are.
    let account = arena.check(soon()).unwrap();
    assert_eq!(account.chunks - account.free_chunks, 8);
    assert_eq!(account.faults, Vec::<String>::new());
}

#[test]
fn words_that_nobody_wrote_are_errors() {
    let memory = memory(16);
    let agent = Agent::new(&memory, 0, Fate::Lives);
    for index in 0..WORDS {
        put(&agent, index, 20 + index * 40, 1);
    }
    let arena = Arena::open(&agent, AT).unwrap();
    let end = agent.length();
    let mut refused = 0;
    // Any one word of the header or of the heads of chunks: never a panic, never an endless loop.
    for at in (AT..end).step_by(8).filter(|at| !(AT + 8..AT + 16).contains(at)) {
        let word = agent.u64(at).unwrap();
        let whole = word.load(Ordering::SeqCst);
        for wrong in [1, whole ^ 1, whole ^ 0x100, whole.wrapping_add(1 << 33), u64::MAX, at] {
            word.store(wrong, Ordering::SeqCst);
            refused += u32::from(Arena::open(&agent, AT).is_err());
            match arena.check(soon()) {
                Ok(account) => refused += u32::from(!account.faults.is_empty()),
                Err(error) => {
                    assert!(error.is_damaged() || error.is_reentry() || error.is_timeout());
                    refused += 1;
                }
            }
            let Ok(state) = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                (arena.exchange(0, 30, soon()).is_ok(), arena.sweep(soon()).is_ok())
            })) else {
                panic!("{at} {wrong:#x}");
            };
            refused += u32::from(state != (true, true));
            word.store(whole, Ordering::SeqCst);
        }
    }
    assert!(refused > 100, "{refused}");
}

/// All that an agent can do with an arena.
fn scene(agent: &Agent) {
    for index in 0..4 {
        put(agent, index, 90, 1);
    }
    put(agent, 0, 30, 2);
    put(agent, 1, 600, 2);
    let arena = Arena::open(agent, AT).unwrap();
    drop(arena.exchange(word(2), 60, soon()).unwrap());
    for index in [3, 2, 1] {
        release(agent, index);
    }
    put(agent, 4, CHUNK * 5, 3);
    let reservations: Vec<_> =
        (8..42).map(|index| arena.exchange(word(index), 20, soon()).unwrap()).collect();
    drop(reservations);
    arena.sweep(soon()).unwrap();
    arena.check(soon()).unwrap();
}

/// Has an agent die, or two: the second while it repairs. Then a third finds everything right.
fn kill(first_fate: Fate, second_fate: Fate, death: Death) -> (bool, bool, Agent) {
    let memory = memory(16);
    let agent = Agent::new(&memory, 0, first_fate).ending(death);
    let lived = agent.run(scene).is_some();
    let second = Agent::new(&memory, 1, second_fate).ending(death);
    let second_lived = second.run(|agent| put(agent, 5, 10, 1)).is_some();
    let third = Agent::new(&memory, 2, Fate::Lives);
    if agent.has_ended() && (second_lived || second.has_ended()) {
        let account = checked(&third);
        assert!(account.reserved.is_empty());
    }
    for index in 0..WORDS {
        put(&third, index, 50, 4);
    }
    for index in 0..WORDS {
        release(&third, index);
    }
    let account = checked(&third);
    assert!(account.used.is_empty() || !agent.has_ended());
    (lived, second_lived, if agent.has_ended() { second } else { agent })
}

#[test]
fn whoever_dies_at_any_step_leaves_books_that_add_up() {
    let (lived, _, whole) = kill(Fate::Lives, Fate::Lives, Death::Process);
    assert!(lived);
    let mut points: BTreeSet<_> = whole.points().into_iter().collect();
    for point in &points {
        for death in [Death::Process, Death::Thread] {
            let mut times = 0;
            loop {
                let (lived, _, second) = kill(Fate::AtPoint(point, times), Fate::Lives, death);
                if lived {
                    break;
                }
                times += 1;
                if times == 1 && death == Death::Process {
                    // Whoever repairs may die at each step of that.
                    for step in 0..second.steps() {
                        kill(Fate::AtPoint(point, 0), Fate::AtStep(step), death);
                    }
                }
            }
            assert!(times > 0, "{point}");
        }
    }
    for step in 0..whole.steps() {
        let (_, _, second) = kill(Fate::AtStep(step), Fate::Lives, Death::Process);
        points.extend(second.points());
    }
    let passed: Vec<_> = points.into_iter().filter(|point| point.starts_with("arena")).collect();
    assert_eq!(passed, POINTS);
}

/// Every place at which an arena may be left, in order of their names.
const POINTS: [&str; 29] = [
    "arena.check.walked",
    "arena.chunk.filled",
    "arena.chunk.given",
    "arena.grow.cleared",
    "arena.grow.counted",
    "arena.grow.grown",
    "arena.link.filled",
    "arena.link.linked",
    "arena.mark.full",
    "arena.mark.set",
    "arena.page.cleared",
    "arena.page.entered",
    "arena.page.given",
    "arena.rebuild.emptied",
    "arena.rebuild.listed",
    "arena.record.described",
    "arena.record.entered",
    "arena.record.left",
    "arena.release.unlinked",
    "arena.repair.begin",
    "arena.repair.rebuilt",
    "arena.repair.swept",
    "arena.reserve.found",
    "arena.reserve.marked",
    "arena.settle.cleared",
    "arena.settle.freed",
    "arena.sweep.settled",
    "arena.unmark.cleared",
    "arena.unmark.listing",
];

/// Freeing and adding for long does not grow the memory.
#[test]
fn churn_does_not_grow_the_memory() {
    let memory = memory(64);
    let agent = Agent::new(&memory, 0, Fate::Lives);
    let mut random = 1_u64;
    let mut chunks = 0;
    for round in 0..4_000 {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let index = random >> 60 & 7;
        match random >> 40 & 3 {
            0 => release(&agent, index),
            _ => put(&agent, index, 1 + (random >> 20) % 500, 1),
        }
        if round == 400 {
            chunks = checked(&agent).chunks;
        }
    }
    assert!(checked(&agent).chunks <= chunks + 8, "{chunks}");
}

#[derive(Debug, Clone)]
enum Step {
    Put { index: u64, bytes: u64 },
    Drop { index: u64, bytes: u64 },
    Forget { index: u64, bytes: u64 },
    Release { index: u64 },
    Sweep,
}

fn step() -> impl Strategy<Value = Step> {
    let bytes = || prop_oneof![3 => 1_u64..=120, 1 => 1_u64..=1200];
    prop_oneof![
        6 => (0..WORDS, bytes()).prop_map(|(index, bytes)| Step::Put { index, bytes }),
        1 => (0..WORDS, bytes()).prop_map(|(index, bytes)| Step::Drop { index, bytes }),
        1 => (0..WORDS, bytes()).prop_map(|(index, bytes)| Step::Forget { index, bytes }),
        3 => (0..WORDS).prop_map(|index| Step::Release { index }),
        1 => Just(Step::Sweep),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Against a table of what each word should hold: what died half-way happened or did not.
    #[test]
    fn blocks_keep_what_was_put_into_them(
        steps in prop::collection::vec((0_u16..3, step(), prop::option::of(0_u32..160)), 1..60)
    ) {
        let memory = memory(48);
        let mut agents = [0, 1, 2].map(|index| Agent::new(&memory, index, Fate::Lives));
        let watcher = Agent::new(&memory, 14, Fate::Lives);
        let mut model = vec![None::<(u64, u8)>; usize::try_from(WORDS).unwrap()];
        let mut fill = 0_u8;
        for (who, step, dies) in steps {
            fill = fill.wrapping_add(1);
            let agent = &mut agents[usize::from(who)];
            agent.fated(dies.map_or(Fate::Lives, Fate::AtStep));
            let agent = &*agent;
            let before: Vec<u64> = (0..WORDS).map(|index| held(&watcher, index)).collect();
            let mut forgotten = false;
            let lived = agent.run(|agent| {
                let arena = Arena::open(agent, AT).unwrap();
                match step {
                    Step::Put { index, bytes } => put(agent, index, bytes, fill),
                    Step::Drop { index, bytes } => drop(arena.exchange(word(index), bytes, soon()).unwrap()),
                    Step::Forget { index, bytes } => {
                        std::mem::forget(arena.exchange(word(index), bytes, soon()).unwrap());
                        forgotten = true;
                    }
                    Step::Release { index } => release(agent, index),
                    Step::Sweep => arena.sweep(soon()).unwrap(),
                }
            }).is_some();
            if forgotten && lived {
                agent.end();
            }
            if !lived || forgotten {
                agents[usize::from(who)] = Agent::next(&memory, who, Fate::Lives);
            }
            for index in 0..WORDS {
                let now = held(&watcher, index);
                let slot = usize::try_from(index).unwrap();
                let is_changed = now != before[slot];
                match step {
                    Step::Put { index: at, bytes } if at == index && (lived || is_changed) => {
                        model[slot] = Some((bytes, fill));
                    }
                    Step::Release { index: at } if at == index && (lived || is_changed) => {
                        model[slot] = None;
                    }
                    _ => prop_assert!(!is_changed),
                }
                match model[slot] {
                    None => prop_assert_eq!(now, 0),
                    Some((bytes, fill)) => {
                        let mut found = vec![0; usize::try_from(bytes).unwrap()];
                        watcher.copy_out(now, &mut found).unwrap();
                        prop_assert!(found.iter().all(|byte| *byte == fill));
                    }
                }
            }
            let account = checked(&watcher);
            prop_assert!(account.reserved.is_empty());
        }
    }
}
