//! The list: all or nothing for whoever changes it, and no waiting for whoever reads.

mod damage;
mod deaths;
mod model;

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use sk_share::Error;
use sk_share::ground::{Arena, Attempt, Gate, Ground, List, Lock, Version};

use super::support::{Agent, Death, Fate, Memory, late, soon};

const INLINE: u64 = 16;
const AT: u64 = 512;
const FIRST: u64 = 512 + 1536 + 1024;
const CHUNK: u64 = 512;
const CHUNKS: u64 = 96;

const FILLED: u64 = 24;
const APPENDED: u64 = 32;
const LENGTH: u64 = 64;
const EPOCH: u64 = 72;
const SEGMENTS: u64 = 128;

type TheList<'l> = List<'l, Agent>;

fn memory() -> Arc<Memory> {
    const { assert!(TheList::bytes_for(INLINE) <= AT) };
    let memory = Memory::new(FIRST, FIRST + CHUNKS * CHUNK, 16);
    let maker = Agent::new(&memory, 15, Fate::Lives);
    let arena = Arena::create(&maker, AT, FIRST, CHUNK, CHUNKS).unwrap();
    List::create(&maker, 0, &arena, INLINE).unwrap();
    memory
}

fn with<T>(agent: &Agent, work: impl FnOnce(&TheList<'_>) -> T) -> T {
    let arena = Arena::open(agent, AT).unwrap();
    work(&List::at(agent, 0, &arena).unwrap())
}

fn all(agent: &Agent) -> Vec<Vec<u8>> {
    let items = with(agent, |list| list.read_all(soon()).unwrap());
    let found: Vec<Vec<u8>> = items.iter().map(<[u8]>::to_vec).collect();
    assert_eq!(
        found.len() as u64,
        List::at(agent, 0, &Arena::open(agent, AT).unwrap()).unwrap().len()
    );
    for (index, bytes) in found.iter().enumerate() {
        assert_eq!(get(agent, index as u64).as_ref(), Some(bytes));
    }
    assert_eq!(get(agent, found.len() as u64), None);
    let mut last = Vec::new();
    assert_eq!(with(agent, |list| list.last(&mut last, soon()).unwrap()), !found.is_empty());
    assert_eq!(&last, found.last().unwrap_or(&vec![]));
    found
}

fn get(agent: &Agent, index: u64) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    with(agent, |list| list.get(index, &mut bytes, soon()).unwrap()).then_some(bytes)
}

/// The books agree with the words of the list; gives how many blocks it holds.
fn check(agent: &Agent) -> usize {
    let blocks = with(agent, |list| list.blocks(late()).unwrap());
    let account = Arena::open(agent, AT).unwrap().check(late()).unwrap();
    assert_eq!(account.against(&blocks), Vec::<String>::new());
    assert!(account.reserved.is_empty());
    account.used.len()
}

fn destroy(agent: &Agent) {
    with(agent, |list| list.destroy(late()).unwrap());
    assert_eq!(check(agent), 0);
}

fn element(seed: usize, length: usize) -> Vec<u8> {
    (0_u8..=255).cycle().skip(seed * 7 % 256).step_by(3).take(length).collect()
}

fn element_of(seed: usize) -> Vec<u8> {
    element(seed, [3, 16, 40, 0, 300, 17, 8][seed % 7])
}

#[derive(Debug, Clone)]
enum Step {
    Push(Vec<u8>),
    Extend(Vec<Vec<u8>>),
    Pending(Vec<Vec<u8>>),
    Publish,
    Pop,
    Set(u64, Vec<u8>),
    Update(u64, u8),
    Truncate(u64),
    Clear,
}

/// What a list is, published and not.
#[derive(Debug, Clone, Default, PartialEq)]
struct Model {
    seen: Vec<Vec<u8>>,
    pending: Vec<Vec<u8>>,
}

impl Model {
    fn apply(&mut self, step: &Step) {
        let length = |length: u64| usize::try_from(length).unwrap();
        match step {
            Step::Push(bytes) => {
                self.seen.append(&mut self.pending);
                self.seen.push(bytes.clone());
            }
            Step::Extend(elements) => {
                self.seen.append(&mut self.pending);
                self.seen.extend(elements.iter().cloned());
            }
            Step::Pending(elements) => self.pending.extend(elements.iter().cloned()),
            Step::Publish => self.seen.append(&mut self.pending),
            Step::Set(index, bytes) => {
                if let Some(element) = self.seen.get_mut(length(*index)) {
                    element.clone_from(bytes);
                }
            }
            Step::Update(index, byte) => {
                if let Some(element) = self.seen.get_mut(length(*index)) {
                    element.push(*byte);
                }
            }
            Step::Pop | Step::Truncate(_) | Step::Clear if !self.pending.is_empty() => {}
            Step::Pop => drop(self.seen.pop()),
            Step::Truncate(to) => self.seen.truncate(length(*to)),
            Step::Clear => self.seen.clear(),
        }
    }
}

fn run(agent: &Agent, step: &Step) -> Result<(), Error> {
    with(agent, |list| match step {
        Step::Push(bytes) => list.push(bytes, soon()).map(drop),
        Step::Extend(elements) => list.extend(elements, soon()).map(drop),
        Step::Pending(elements) => list.extend_pending(elements, soon()).map(drop),
        Step::Publish => list.publish(soon()).map(|_| ()),
        Step::Pop => list.pop(&mut Vec::new(), soon()).map(drop),
        Step::Set(index, bytes) => list.set(*index, bytes, soon()).map(drop),
        Step::Update(index, byte) => {
            list.update(*index, |bytes| bytes.push(*byte), soon()).map(drop)
        }
        Step::Truncate(length) => list.truncate(*length, soon()),
        Step::Clear => list.clear(soon()),
    })
}

#[test]
fn a_list_keeps_what_is_pushed() {
    let memory = memory();
    let agent = Agent::new(&memory, 0, Fate::Lives);
    assert_eq!(all(&agent), Vec::<Vec<u8>>::new());
    let mut model = Vec::new();
    for seed in 0..70 {
        let index = with(&agent, |list| list.push(&element_of(seed), soon()).unwrap());
        assert_eq!(index, seed as u64);
        model.push(element_of(seed));
        assert_eq!(all(&agent), model);
        check(&agent);
    }
    for seed in 0..70 {
        model[seed] = element_of(seed + 3);
        with(&agent, |list| assert!(list.set(seed as u64, &model[seed], soon()).unwrap()));
        assert_eq!(all(&agent), model);
        check(&agent);
    }
    assert!(!with(&agent, |list| list.set(70, &[], soon()).unwrap()));
    assert!(!with(&agent, |list| list.update(70, |_| panic!(), soon()).unwrap()));
    while let Some(expected) = model.pop() {
        let mut bytes = vec![7];
        assert!(with(&agent, |list| list.pop(&mut bytes, soon()).unwrap()));
        assert_eq!(bytes[1..], expected);
        assert_eq!(all(&agent), model);
        check(&agent);
    }
    assert!(!with(&agent, |list| list.pop(&mut Vec::new(), soon()).unwrap()));
    // The first segment is kept for the next push, and nothing else.
    assert_eq!(check(&agent), 1);
    destroy(&agent);
}

#[test]
fn what_is_removed_is_given_back() {
    let memory = memory();
    let agent = Agent::new(&memory, 0, Fate::Lives);
    let blocks = |count: usize| {
        with(&agent, |list| list.truncate(0, soon()).unwrap());
        with(&agent, |list| list.extend((0..count).map(element_of), soon()).unwrap());
        check(&agent)
    };
    let many = blocks(60);
    assert!(many > 20);
    with(&agent, |list| list.truncate(9, soon()).unwrap());
    assert_eq!(check(&agent), blocks(9));
    with(&agent, |list| list.clear(soon()).unwrap());
    assert_eq!(check(&agent), 1);
    assert_eq!(blocks(60), many);
    // An element that shrinks keeps no block.
    for index in 0..60 {
        with(&agent, |list| assert!(list.set(index, &[1], soon()).unwrap()));
    }
    assert_eq!(check(&agent), 4);
    destroy(&agent);
    destroy(&agent);
    assert_eq!(all(&agent), Vec::<Vec<u8>>::new());
    with(&agent, |list| list.push(&[1], soon()).unwrap());
    assert_eq!(all(&agent), [[1]]);
}

/// Entries of a power of two never lie across one of its multiples.
#[test]
fn entries_lie_on_multiples_of_their_stride() {
    for (inline, stride) in [(0, 32), (16, 32), (17, 64), (48, 64), (49, 128), (112, 128)] {
        let memory = Memory::new(FIRST, FIRST + CHUNKS * CHUNK, 16);
        let agent = Agent::new(&memory, 0, Fate::Lives);
        let arena = Arena::create(&agent, AT + 256, FIRST, CHUNK, CHUNKS).unwrap();
        let list = List::create(&agent, 0, &arena, inline).unwrap();
        assert_eq!(TheList::bytes_for(inline) % 64, 0);
        list.extend((0..60).map(|_| vec![0xAB; 16]), soon()).unwrap();
        let pattern = u64::from_le_bytes([0xAB; 8]);
        let entries: Vec<u64> = (FIRST..agent.length())
            .step_by(8)
            .filter(|at| [0, 8].map(|more| word(&agent, at + more)) == [pattern; 2])
            .collect();
        if inline < 16 {
            continue;
        }
        assert_eq!(entries.len(), 60, "{inline}");
        assert!(entries.iter().all(|bytes| (bytes - 16) % stride == 0), "{inline}");
    }
    let memory = memory();
    let agent = Agent::new(&memory, 0, Fate::Lives);
    let arena = Arena::open(&agent, AT).unwrap();
    assert!(List::create(&agent, 0, &arena, 5000).unwrap_err().is_limit());
}

fn word(agent: &Agent, at: u64) -> u64 {
    agent.u64(at).map_or(0, |word| word.load(Ordering::SeqCst))
}

#[test]
fn extend_is_all_or_nothing() {
    let memory = memory();
    let agent = Agent::new(&memory, 0, Fate::Lives);
    with(&agent, |list| list.push(b"first", soon()).unwrap());
    let used = check(&agent);
    let endless = std::iter::repeat_with(|| [1; 40]);
    let error = with(&agent, |list| list.extend(endless, soon()).unwrap_err());
    assert!(error.is_limit());
    assert_eq!(all(&agent), [b"first"]);
    assert!(check(&agent) < used + 12, "only segments stay");
    let steps = (0..9).map(|number| if number < 8 { [number; 40] } else { panic!("stop") });
    let caught = with(&agent, |list| catch_unwind(AssertUnwindSafe(|| list.extend(steps, None))));
    assert!(caught.is_err());
    assert_eq!(all(&agent), [b"first"]);
    with(&agent, |list| list.push(b"second", soon()).unwrap());
    assert_eq!(all(&agent), [b"first".to_vec(), b"second".to_vec()]);
    let again = (0..2).map(|_| with(&agent, |list| list.push(&[], soon())).unwrap().to_string());
    let nested = with(&agent, |list| catch_unwind(AssertUnwindSafe(|| list.extend(again, None))));
    assert!(nested.is_err(), "the iterator asked for the list");
    destroy(&agent);
}

#[test]
fn what_is_pending_is_seen_once_it_is_published() {
    let memory = memory();
    let agent = Agent::new(&memory, 0, Fate::Lives);
    let version = || with(&agent, |list| list.version().unwrap());
    with(&agent, |list| list.push(b"one", soon()).unwrap());
    let before = version();
    assert_eq!(with(&agent, |list| list.push_pending(b"two", soon()).unwrap()), 1);
    with(&agent, |list| list.extend_pending([[3; 50], [4; 50]], soon()).unwrap());
    assert_eq!(all(&agent), [b"one"]);
    assert_eq!(version(), before);
    let error = with(&agent, |list| list.pop(&mut Vec::new(), soon()).unwrap_err());
    assert!(error.is_busy());
    assert!(with(&agent, |list| list.clear(soon()).unwrap_err()).is_busy());
    assert!(with(&agent, |list| list.set(0, b"ONE", soon()).unwrap()));
    assert!(!with(&agent, |list| list.set(1, b"TWO", soon()).unwrap()));
    check(&agent);
    for _ in 0..2 {
        with(&agent, |list| list.publish(soon()).unwrap());
        let expected = [b"ONE".to_vec(), b"two".to_vec(), vec![3; 50], vec![4; 50]];
        assert_eq!(all(&agent), expected);
    }
    with(&agent, |list| list.truncate(1, soon()).unwrap());
    with(&agent, |list| list.push_pending(b"2", soon()).unwrap());
    with(&agent, |list| list.push(b"3", soon()).unwrap());
    assert_eq!(all(&agent), [b"ONE".to_vec(), b"2".to_vec(), b"3".to_vec()]);
    with(&agent, |list| list.push_pending(&[1; 90], soon()).unwrap());
    destroy(&agent);
}

/// Who was to publish may come when the list is closed again.
/// Rows: SHA-17
#[test]
fn what_waits_behind_a_closed_gate_is_not_published() {
    const FIRST_BEHIND: u64 = FIRST + 64;
    let memory = Memory::new(FIRST_BEHIND, FIRST_BEHIND + CHUNKS * CHUNK, 16);
    let agent = Agent::new(&memory, 0, Fate::Lives);
    let arena = Arena::create(&agent, AT, FIRST_BEHIND, CHUNK, CHUNKS).unwrap();
    let gate = Gate { at: FIRST, mask: 3, closed: 1 };
    let list = List::create(&agent, 0, &arena, INLINE).unwrap().behind(gate);
    let word = agent.u64(gate.at).unwrap();
    word.store(1, Ordering::Relaxed);
    list.push(b"one", soon()).unwrap();
    list.publish(soon()).unwrap();
    assert_eq!(list.len(), 0);
    word.store(3, Ordering::Relaxed);
    list.publish(soon()).unwrap();
    assert_eq!(all(&agent), [b"one"]);
    destroy(&agent);
}

/// Every change tells, and nothing else does.
#[test]
fn each_commit_is_another_version() {
    let memory = memory();
    let agent = Agent::new(&memory, 0, Fate::Lives);
    let version = || with(&agent, |list| list.version().unwrap());
    let mut seen = BTreeSet::new();
    let mut last = Version::default();
    assert_eq!(version(), last);
    let steps = [
        Step::Push(vec![1; 4]),
        Step::Push(vec![1; 90]),
        Step::Set(0, vec![2]),
        Step::Set(1, vec![2; 90]),
        Step::Set(0, vec![3; 90]),
        Step::Set(0, vec![3; 4]),
        Step::Pop,
        Step::Push(vec![1; 90]),
        Step::Update(0, 4),
        Step::Truncate(1),
        Step::Extend(vec![vec![]; 9]),
        Step::Clear,
    ];
    for step in steps {
        run(&agent, &step).unwrap();
        assert_ne!(version(), last, "{step:?}");
        last = version();
        assert!(seen.insert(format!("{last:?}")));
        assert!(with(&agent, |list| list.changed(last, soon()).unwrap_err()).is_timeout());
        for step in [Step::Pop, Step::Set(99, vec![1]), Step::Update(99, 1), Step::Truncate(99)] {
            if all(&agent).is_empty() || !matches!(step, Step::Pop) {
                run(&agent, &step).unwrap();
            }
        }
        assert_eq!(version(), last);
    }
}

/// Eight times it is overtaken. Then it waits for the lock, and no longer than it said.
#[test]
fn a_reader_that_is_always_overtaken_takes_the_lock() {
    for is_held in [false, true] {
        let memory = memory();
        let writer = Agent::new(&memory, 1, Fate::Lives);
        run(&writer, &Step::Push(vec![0; 4])).unwrap();
        let looks = Arc::new(AtomicU32::new(0));
        let looked = Arc::clone(&looks);
        let reader = Agent::new(&memory, 0, Fate::Lives).when("list.read.begin", move || {
            let look = looked.fetch_add(1, Ordering::SeqCst);
            if look < 8 {
                run(&writer, &Step::Set(0, vec![u8::try_from(look).unwrap(); 4])).unwrap();
            }
            if look == 7 && is_held {
                std::mem::forget(Lock::at(&writer, 0).unwrap().lock().unwrap());
            }
        });
        let mut bytes = vec![1];
        let began = Instant::now();
        let result = with(&reader, |list| list.get(0, &mut bytes, soon()));
        if is_held {
            assert!(result.unwrap_err().is_timeout());
            assert!(began.elapsed() >= Duration::from_millis(20));
            assert_eq!(looks.load(Ordering::SeqCst), 8);
            assert_eq!(bytes, [1]);
        } else {
            assert!(result.unwrap());
            assert_eq!(bytes, [1, 7, 7, 7, 7]);
            assert_eq!(looks.load(Ordering::SeqCst), 9);
        }
    }
}

#[test]
fn whoever_watches_sees_a_commit_of_one_that_died_before_it_woke_anybody() {
    for (step, point) in [
        (Step::Push(vec![1]), "list.push.committed"),
        (Step::Set(0, vec![2]), "list.set.committed"),
        (Step::Set(0, vec![2; 40]), "list.link.committed"),
        (Step::Set(1, vec![2; 40]), "list.link.linked"),
        (Step::Pop, "list.shorten.committed"),
        (Step::Pop, "count.noticed"),
    ] {
        let memory = memory();
        let watcher = Agent::new(&memory, 0, Fate::Lives);
        run(&watcher, &Step::Extend(vec![vec![1], vec![3; 50]])).unwrap();
        let seen = with(&watcher, |list| list.version().unwrap());
        thread::scope(|scope| {
            scope.spawn(|| {
                while memory.asleep() == 0 {
                    thread::yield_now();
                }
                let writer = Agent::new(&memory, 1, Fate::AtPoint(point, 0));
                assert!(writer.run(|writer| run(writer, &step).unwrap()).is_none());
            });
            let version = with(&watcher, |list| list.changed(seen, late()).unwrap());
            assert_ne!(version, seen);
        });
    }
}

/// Elements that do not fit are given back by whoever comes when the books are free again.
#[test]
fn somebody_at_the_books_keeps_only_those_waiting_who_need_a_block() {
    let memory = memory();
    let agent = Agent::new(&memory, 0, Fate::Lives);
    run(&agent, &Step::Extend((0..6).map(|_| vec![1; 50]).collect())).unwrap();
    let other = Agent::new(&memory, 1, Fate::Lives);
    let books = Lock::at(&other, AT).unwrap().lock().unwrap();
    assert!(run(&agent, &Step::Push(vec![1; 50])).unwrap_err().is_timeout());
    run(&agent, &Step::Pop).unwrap();
    run(&agent, &Step::Truncate(3)).unwrap();
    run(&agent, &Step::Push(vec![2; 5])).unwrap();
    run(&agent, &Step::Set(0, vec![3; 5])).unwrap();
    let expected = [vec![3; 5], vec![1; 50], vec![1; 50], vec![2; 5]];
    assert_eq!(all(&agent), expected);
    drop(books);
    check(&agent);
    assert_eq!(all(&agent), expected);
    run(&agent, &Step::Set(0, vec![4; 50])).unwrap();
    run(&agent, &Step::Pop).unwrap();
    assert_eq!(check(&agent), 4);
    destroy(&agent);
}

/// Writers that die, and readers beside them.
#[test]
fn elements_are_whole_among_many_deaths() {
    let memory = memory();
    thread::scope(|scope| {
        for index in [0_u16, 1] {
            let memory = &memory;
            scope.spawn(move || {
                let mut agent = Agent::new(memory, index, Fate::Lives);
                for round in 0..600_usize {
                    agent.fated(Fate::AtStep(u32::try_from(round * 13 % 397 + 40).unwrap()));
                    let bytes = vec![u8::try_from(round % 251).unwrap(); round * 37 % 90];
                    let lived = agent.run(|agent| {
                        with(agent, |list| match round % 7 {
                            0..=2 => drop(list.push(&bytes, late()).unwrap()),
                            3 | 4 => drop(list.set(round as u64 % 11, &bytes, late()).unwrap()),
                            5 => drop(list.pop(&mut Vec::new(), late()).unwrap()),
                            _ => list.truncate(13, late()).unwrap(),
                        });
                    });
                    if lived.is_none() {
                        agent = Agent::next(memory, index, Fate::Lives);
                    }
                }
            });
        }
        let memory = &memory;
        scope.spawn(move || {
            let agent = Agent::new(memory, 3, Fate::Lives);
            for _ in 0..400 {
                let items = with(&agent, |list| list.read_all(late()).unwrap());
                assert!(items.iter().all(|bytes| bytes.windows(2).all(|pair| pair[0] == pair[1])));
                let mut bytes = Vec::new();
                with(&agent, |list| list.get(5, &mut bytes, late()).unwrap());
                assert!(bytes.windows(2).all(|pair| pair[0] == pair[1]));
            }
        });
    });
    let last = Agent::new(&memory, 4, Fate::Lives);
    check(&last);
    destroy(&last);
}
