//! The queue: each element leaves it once, whole and in order, whoever dies.

mod deaths;
mod model;

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use sk_share::Error;
use sk_share::ground::{Arena, Attempt, Gate, Ground, Lock, Queue, QueueWaiting};

use super::support::{Agent, Death, Fate, Memory, late, soon};

const INLINE: u64 = 16;
const AT: u64 = 320;
const FIRST: u64 = 320 + 1536 + 1216;
const CHUNK: u64 = 512;
const CHUNKS: u64 = 64;

const PUSHING: u64 = 64;
const POPPING: u64 = 192;

type TheQueue<'l> = Queue<'l, Agent>;

fn memory(capacity: u64) -> Arc<Memory> {
    const { assert!(TheQueue::BYTES <= AT) };
    let memory = empty();
    let maker = Agent::new(&memory, 15, Fate::Lives);
    let arena = Arena::open(&maker, AT).unwrap();
    Queue::create(&maker, 0, &arena, INLINE, capacity, soon()).unwrap();
    memory
}

fn empty() -> Arc<Memory> {
    let memory = Memory::new(FIRST, FIRST + CHUNKS * CHUNK, 16);
    let maker = Agent::new(&memory, 15, Fate::Lives);
    Arena::create(&maker, AT, FIRST, CHUNK, CHUNKS).unwrap();
    memory
}

fn with<T>(agent: &Agent, work: impl FnOnce(&TheQueue<'_>) -> T) -> T {
    let arena = Arena::open(agent, AT).unwrap();
    work(&Queue::at(agent, 0, &arena).unwrap())
}

fn len(agent: &Agent) -> u64 {
    let arena = Arena::open(agent, AT).unwrap();
    Queue::at(agent, 0, &arena).unwrap().len()
}

fn push(agent: &Agent, bytes: &[u8]) -> bool {
    with(agent, |queue| queue.try_push(bytes, late()).unwrap())
}

fn pop(agent: &Agent) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    with(agent, |queue| queue.try_pop(&mut bytes, late()).unwrap()).then_some(bytes)
}

fn pop_all(agent: &Agent) -> VecDeque<Vec<u8>> {
    std::iter::from_fn(|| pop(agent)).collect()
}

fn check(agent: &Agent) -> usize {
    let blocks = with(agent, |queue| queue.blocks(late()).unwrap());
    let account = Arena::open(agent, AT).unwrap().check(late()).unwrap();
    assert_eq!(account.against(&blocks), Vec::<String>::new());
    assert!(account.reserved.is_empty());
    account.used.len()
}

fn destroy(agent: &Agent) {
    with(agent, |queue| queue.destroy(late()).unwrap());
    assert_eq!(check(agent), 0);
}

fn word(agent: &Agent, at: u64) -> u64 {
    agent.u64(at).unwrap().load(Ordering::SeqCst)
}

fn element(seed: usize) -> Vec<u8> {
    let length = [3, 16, 40, 0, 200, 17, 8][seed % 7];
    (0_u8..=255).cycle().skip(seed * 7 % 256).step_by(3).take(length).collect()
}

#[test]
fn elements_leave_in_the_order_in_which_they_came() {
    for capacity in [1, 2, 3, 5, 8] {
        let memory = memory(capacity);
        let agent = Agent::new(&memory, 0, Fate::Lives);
        let mut model = VecDeque::new();
        let used = check(&agent);
        for seed in 0..60 {
            let has_room = (model.len() as u64) < capacity;
            assert_eq!(push(&agent, &element(seed)), has_room);
            if has_room {
                model.push_back(element(seed));
            }
            with(&agent, |queue| {
                assert_eq!((queue.len(), queue.capacity()), (model.len() as u64, capacity));
                let mut first = vec![1];
                assert_eq!(queue.peek(&mut first, soon()).unwrap(), !queue.is_empty());
                assert_eq!(&first[1..], model.front().map_or(&[][..], Vec::as_slice));
            });
            check(&agent);
            if seed % 5 != 0 {
                assert_eq!(pop(&agent), model.pop_front());
                // Nothing waits for its entry to be used anew.
                let blocks = model.iter().filter(|bytes| bytes.len() > 16).count();
                assert_eq!(check(&agent), used + blocks);
            }
        }
        assert_eq!(pop_all(&agent), model);
        assert_eq!(check(&agent), used);
        assert!(push(&agent, &[1; 40]));
        destroy(&agent);
        destroy(&agent);
        let error = with(&agent, |queue| queue.try_push(&[], soon()).unwrap_err());
        assert!(error.is_damaged());
    }
}

#[test]
fn a_capacity_that_cannot_be_is_an_error() {
    let memory = empty();
    let agent = Agent::new(&memory, 0, Fate::Lives);
    let arena = Arena::open(&agent, AT).unwrap();
    for (capacity, inline) in [(0, 8), ((1 << 24) + 1, 8), (u64::MAX, 8), (4, 5000), (1 << 20, 8)] {
        let error = Queue::create(&agent, 0, &arena, inline, capacity, soon()).unwrap_err();
        assert!(error.is_limit(), "{capacity} {error}");
    }
    let error = Queue::create(&agent, 0, &arena, 8, 0, soon()).unwrap_err().to_string();
    assert_eq!(error, "0 is no number of elements of a queue: it is from 1 to 16777216");
    assert!(Queue::create(&agent, 1 << 20, &arena, 8, 4, soon()).unwrap_err().is_damaged());
}

#[test]
fn what_is_pending_is_popped_once_it_is_published() {
    let memory = memory(4);
    let agent = Agent::new(&memory, 0, Fate::Lives);
    let pending = |bytes: &[u8]| with(&agent, |queue| queue.push_pending(bytes, soon()).unwrap());
    assert!(push(&agent, b"one"));
    assert!(pending(b"two"));
    assert!(pending(&[3; 40]));
    assert!(pending(b"four"));
    assert!(!pending(b"five"));
    check(&agent);
    assert_eq!(pop_all(&agent), [b"one"]);
    for _ in 0..2 {
        with(&agent, |queue| queue.publish(soon()).unwrap());
        assert_eq!(len(&agent), 3);
    }
    assert_eq!(pop_all(&agent), [b"two".to_vec(), vec![3; 40], b"four".to_vec()]);
    assert!(pending(&[5; 20]));
    assert!(push(&agent, b"six"));
    assert_eq!(pop_all(&agent), [vec![5; 20], b"six".to_vec()]);
    assert!(pending(&[5; 20]));
    destroy(&agent);
}

/// Who was to publish may come when the queue is closed again.
/// Rows: SHA-17
#[test]
fn what_waits_behind_a_closed_gate_is_not_published() {
    const FIRST_BEHIND: u64 = FIRST + 64;
    let memory = Memory::new(FIRST_BEHIND, FIRST_BEHIND + CHUNKS * CHUNK, 16);
    let agent = Agent::new(&memory, 0, Fate::Lives);
    let arena = Arena::create(&agent, AT, FIRST_BEHIND, CHUNK, CHUNKS).unwrap();
    let gate = Gate { at: FIRST, mask: 3, closed: 1 };
    let queue = Queue::create(&agent, 0, &arena, INLINE, 4, soon()).unwrap().behind(gate);
    let word = agent.u64(gate.at).unwrap();
    word.store(1, Ordering::Relaxed);
    assert!(queue.try_push(b"one", soon()).unwrap());
    queue.publish(soon()).unwrap();
    assert_eq!(queue.len(), 0);
    word.store(3, Ordering::Relaxed);
    queue.publish(soon()).unwrap();
    assert_eq!(pop_all(&agent), [b"one"]);
    destroy(&agent);
}

#[derive(Debug, Clone)]
enum Step {
    Push(Vec<u8>),
    Pending(Vec<u8>),
    Publish,
    Pop,
    Peek,
}

#[derive(Debug, Clone, Default, PartialEq)]
struct Model {
    seen: VecDeque<Vec<u8>>,
    pending: VecDeque<Vec<u8>>,
}

impl Model {
    fn apply(&mut self, step: &Step, capacity: u64) {
        let is_full = (self.seen.len() + self.pending.len()) as u64 >= capacity;
        match step {
            Step::Push(_) | Step::Pending(_) if is_full => {}
            Step::Push(bytes) => {
                self.seen.append(&mut self.pending);
                self.seen.push_back(bytes.clone());
            }
            Step::Pending(bytes) => self.pending.push_back(bytes.clone()),
            Step::Publish => self.seen.append(&mut self.pending),
            Step::Pop => drop(self.seen.pop_front()),
            Step::Peek => {}
        }
    }
}

fn run(agent: &Agent, step: &Step) -> Result<(), Error> {
    let mut bytes = Vec::new();
    with(agent, |queue| match step {
        Step::Push(bytes) => queue.try_push(bytes, late()).map(drop),
        Step::Pending(bytes) => queue.push_pending(bytes, late()).map(drop),
        Step::Publish => queue.publish(late()).map(|_| ()),
        Step::Pop => queue.try_pop(&mut bytes, late()).map(drop),
        Step::Peek => queue.peek(&mut bytes, late()).map(drop),
    })
}

#[test]
fn whoever_pops_does_not_meet_whoever_pushes() {
    let memory = memory(4);
    let agent = Agent::new(&memory, 0, Fate::Lives);
    push(&agent, b"one");
    let other = Agent::new(&memory, 1, Fate::Lives);
    std::mem::forget(Lock::at(&other, PUSHING).unwrap().lock().unwrap());
    assert_eq!(pop(&agent).unwrap(), b"one");
    assert!(with(&agent, |queue| queue.try_push(&[], soon()).unwrap_err()).is_timeout());
    let memory = self::memory(4);
    let agent = Agent::new(&memory, 0, Fate::Lives);
    let other = Agent::new(&memory, 1, Fate::Lives);
    std::mem::forget(Lock::at(&other, POPPING).unwrap().lock().unwrap());
    assert!(push(&agent, b"one"));
    let error = with(&agent, |queue| queue.try_pop(&mut Vec::new(), soon()).unwrap_err());
    assert!(error.is_timeout());
}

#[test]
fn full_and_empty_wait_until_the_deadline() {
    let memory = memory(1);
    let agent = Agent::new(&memory, 0, Fate::Lives);
    let mut bytes = vec![7];
    let error = with(&agent, |queue| queue.pop(&mut bytes, soon()).unwrap_err());
    assert_eq!(error.to_string(), "the deadline passed before the queue had an element");
    with(&agent, |queue| queue.push(b"one", soon()).unwrap());
    let error = with(&agent, |queue| queue.push(b"two", soon()).unwrap_err());
    assert_eq!(error.to_string(), "the deadline passed before the queue had room");
    assert_eq!(bytes, [7]);
    let mut waiting = QueueWaiting::default();
    with(&agent, |queue| {
        let attempt = queue.look_to_push(b"two", &mut waiting, soon()).unwrap();
        let Attempt::Sleep(sleep) = attempt else { panic!() };
        assert_eq!(sleep.at, 204);
        queue.pop(&mut bytes, soon()).unwrap();
        let attempt = queue.look_to_push(b"two", &mut waiting, soon()).unwrap();
        assert!(matches!(attempt, Attempt::Done(())));
        queue.pass_on();
    });
    assert_eq!(bytes, b"\x07one");
}

#[test]
fn sleepers_see_what_one_did_that_died_before_it_woke_anybody() {
    for point in ["queue.push.committed", "count.noticed", "unlock.give"] {
        let memory = memory(2);
        let popper = Agent::new(&memory, 0, Fate::Lives);
        thread::scope(|scope| {
            scope.spawn(|| {
                while memory.asleep() == 0 {
                    thread::yield_now();
                }
                let pusher = Agent::new(&memory, 1, Fate::AtPoint(point, 0));
                assert!(pusher.run(|agent| push(agent, &[5; 4])).is_none());
            });
            let mut bytes = Vec::new();
            with(&popper, |queue| queue.pop(&mut bytes, late()).unwrap());
            assert_eq!(bytes, [5; 4]);
        });
    }
    for point in ["queue.pop.committed", "queue.pop.released", "count.noticed", "queue.pop.freed"] {
        let memory = memory(1);
        let pusher = Agent::new(&memory, 0, Fate::Lives);
        push(&pusher, &[1; 40]);
        thread::scope(|scope| {
            scope.spawn(|| {
                while memory.asleep() == 0 {
                    thread::yield_now();
                }
                let popper = Agent::new(&memory, 1, Fate::AtPoint(point, 0));
                assert!(popper.run(pop).is_none());
            });
            with(&pusher, |queue| queue.push(&[2; 3], late()).unwrap());
        });
        assert_eq!(pop_all(&pusher), [[2; 3]]);
    }
}

/// Several on both sides, each element once, in the order of whoever pushed it.
#[test]
fn many_push_and_pop_and_sleep() {
    const EACH: u64 = 300;
    let memory = memory(3);
    let popped = thread::scope(|scope| {
        for index in [0_u16, 1] {
            let memory = &memory;
            scope.spawn(move || {
                let agent = Agent::new(memory, index, Fate::Lives);
                for number in 0..EACH {
                    let mut bytes = vec![u8::try_from(index).unwrap(); (number % 50) as usize + 9];
                    bytes[1..9].copy_from_slice(&number.to_le_bytes());
                    with(&agent, |queue| queue.push(&bytes, late()).unwrap());
                }
            });
        }
        let poppers = [2_u16, 3].map(|index| {
            let memory = &memory;
            scope.spawn(move || {
                let agent = Agent::new(memory, index, Fate::Lives);
                let pop = |_| {
                    let mut bytes = Vec::new();
                    with(&agent, |queue| queue.pop(&mut bytes, late()).unwrap());
                    (bytes[0], u64::from_le_bytes(bytes[1..9].try_into().unwrap()))
                };
                (0..EACH).map(pop).collect::<Vec<_>>()
            })
        });
        poppers.map(|popper| popper.join().unwrap())
    });
    for one in &popped {
        for who in 0..2 {
            assert!(one.iter().filter(|popped| popped.0 == who).is_sorted());
        }
    }
    let all: BTreeSet<_> = popped.iter().flatten().collect();
    assert_eq!(all.len() as u64, EACH * 2);
    assert_eq!(check(&Agent::new(&memory, 5, Fate::Lives)), 1);
}

/// Everybody dies now and then; what was pushed for certain is popped, but for what is in doubt.
#[test]
fn nothing_is_lost_or_doubled_among_many_deaths() {
    let memory = memory(5);
    let is_over = AtomicBool::new(false);
    let (pushed, popped, doubt) = thread::scope(|scope| {
        let (memory, is_over) = (&memory, &is_over);
        let pusher = scope.spawn(move || {
            let mut agent = Agent::new(memory, 0, Fate::Lives);
            let mut sure = BTreeSet::new();
            for number in 0..500_u32 {
                agent.fated(Fate::AtStep(number * 29 % 397 + 30));
                let mut bytes = vec![1; (number % 60) as usize + 4];
                bytes[..4].copy_from_slice(&number.to_le_bytes());
                match agent.run(|agent| with(agent, |queue| queue.push(&bytes, late()).unwrap())) {
                    Some(()) => drop(sure.insert(number)),
                    None => agent = Agent::next(memory, 0, Fate::Lives),
                }
            }
            agent.fated(Fate::Lives);
            // Whoever pops may take one of these with it, but then no more.
            is_over.store(true, Ordering::SeqCst);
            for _ in 0..2 {
                with(&agent, |queue| queue.push(&[0xFF; 4], late()).unwrap());
            }
            sure
        });
        let popper = scope.spawn(move || {
            let mut agent = Agent::new(memory, 1, Fate::Lives);
            let mut popped = Vec::new();
            let mut doubt = 0;
            for round in 0_u32.. {
                let dies = Fate::AtStep(round * 31 % 389 + 20);
                agent.fated(if is_over.load(Ordering::SeqCst) { Fate::Lives } else { dies });
                let mut bytes = Vec::new();
                let pop =
                    |agent: &Agent| with(agent, |queue| queue.pop(&mut bytes, late()).unwrap());
                if agent.run(pop).is_none() {
                    agent = Agent::next(memory, 1, Fate::Lives);
                    doubt += 1;
                    continue;
                }
                let number = u32::from_le_bytes(bytes[..4].try_into().unwrap());
                if number == u32::MAX {
                    break;
                }
                popped.push(number);
            }
            (popped, doubt)
        });
        let pushed = pusher.join().unwrap();
        let (popped, doubt) = popper.join().unwrap();
        (pushed, popped, doubt)
    });
    assert!(popped.is_sorted_by(|one, two| one < two), "in order, and each once");
    let popped: BTreeSet<_> = popped.into_iter().collect();
    assert!(pushed.difference(&popped).count() <= doubt);
    let last = Agent::new(&memory, 4, Fate::Lives);
    assert!(pop_all(&last).iter().all(|bytes| *bytes == [0xFF; 4]));
    assert_eq!(check(&last), 1);
}

#[test]
fn words_that_nobody_wrote_are_errors() {
    let memory = memory(6);
    let agent = Agent::new(&memory, 0, Fate::Lives);
    let mut refused = 0;
    for seed in 0..7 {
        push(&agent, &element(seed));
        if seed == 1 {
            pop(&agent);
        }
    }
    pop(&agent);
    let end = agent.length();
    // The two u32 words beside each lock are whatever they are.
    let is_whole = |at: &u64| ![72, 200, AT + 8].contains(at);
    let words: Vec<u64> = (0..AT).chain(AT..end).step_by(8).filter(|at| is_whole(at)).collect();
    let saved: Vec<_> = words.iter().map(|at| (*at, word(&agent, *at))).collect();
    for at in words.into_iter().filter(|at| !(AT..FIRST).contains(at)) {
        let whole = word(&agent, at);
        for wrong in [
            1,
            2,
            whole ^ 1,
            whole ^ 0x100,
            whole.wrapping_add(1 << 33),
            whole.wrapping_sub(1),
            whole.wrapping_add(7),
            u64::MAX,
            FIRST,
            at,
        ] {
            agent.u64(at).unwrap().store(wrong, Ordering::SeqCst);
            let bounded = Agent::new(&memory, 2, Fate::AtStep(30_000)).ending(Death::Stopped);
            let outcome = bounded.run(|agent| {
                let arena = Arena::open(agent, AT).unwrap();
                let Ok(queue) = Queue::at(agent, 0, &arena) else { return 1 };
                let mut bytes = Vec::new();
                let results = [
                    queue.peek(&mut bytes, soon()).map(drop),
                    queue.push(&[1; 7], soon()),
                    queue.push_pending(&[1; 70], soon()).map(drop),
                    queue.pop(&mut bytes, soon()),
                    queue.publish(soon()).map(|_| ()),
                    queue.try_push(&[1; 70], soon()).map(drop),
                    queue.blocks(soon()).map(drop),
                    queue.try_pop(&mut bytes, soon()).map(drop),
                    queue.destroy(soon()),
                ];
                results.iter().filter(|result| result.is_err()).count()
            });
            refused += outcome.unwrap_or_else(|| panic!("without end: {at} {wrong:#x}"));
            for (at, whole) in &saved {
                agent.u64(*at).unwrap().store(*whole, Ordering::SeqCst);
            }
        }
    }
    assert!(refused > 300, "{refused}");
    let arena = Arena::open(&agent, AT).unwrap();
    for at in [4, 8, 256, u64::MAX, u64::MAX - 7] {
        assert!(Queue::at(&agent, at, &arena).unwrap_err().is_damaged(), "{at}");
    }
}

/// Somebody who stopped at the books: elements that fit go on until the ring is full of what cannot be
/// given back.
#[test]
fn somebody_at_the_books_stops_only_what_needs_them() {
    let memory = memory(4);
    let agent = Agent::new(&memory, 0, Fate::Lives);
    for number in 0..4 {
        push(&agent, &[number; 40]);
    }
    let other = Agent::new(&memory, 1, Fate::Lives);
    let books = Lock::at(&other, AT).unwrap().lock().unwrap();
    let take = || {
        let mut bytes = Vec::new();
        with(&agent, |queue| queue.try_pop(&mut bytes, soon()).unwrap()).then_some(bytes)
    };
    assert_eq!(take().unwrap(), [0; 40]);
    assert_eq!(take().unwrap(), [1; 40]);
    let error = with(&agent, |queue| queue.push(&[5], soon()).unwrap_err());
    assert!(error.is_timeout());
    drop(books);
    // Nobody pops, and there is room.
    assert!(push(&agent, &[5]));
    assert!(push(&agent, &[6]));
    assert_eq!(pop_all(&agent), [vec![2; 40], vec![3; 40], vec![5], vec![6]]);
    assert_eq!(check(&agent), 1);
}
