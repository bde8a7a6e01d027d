//! A queue, those who push, those who pop, and those who sleep until they can.

use sk_share::ground::Queue;

use super::*;

const AT: u64 = 320;

fn memory(chunks: u64, capacity: u64, elements: &[u8]) -> Arc<Memory> {
    let memory = with_arena(AT, chunks);
    let maker = Agent::new(&memory, 7, Fate::Lives);
    let arena = Arena::open(&maker, AT).unwrap();
    Queue::create(&maker, 0, &arena, 8, capacity, None).unwrap();
    for number in elements {
        assert!(try_push(&maker, *number));
    }
    memory
}

fn with<T>(agent: &Agent, work: impl FnOnce(&Queue<'_, Agent>) -> T) -> T {
    let arena = Arena::open(agent, AT).unwrap();
    work(&Queue::at(agent, 0, &arena).unwrap())
}

fn try_push(agent: &Agent, number: u8) -> bool {
    with(agent, |queue| queue.try_push(&pattern(number), None).unwrap())
}

fn number(bytes: &[u8]) -> u8 {
    assert!(bytes.iter().all(|byte| *byte == bytes[0]), "{bytes:?}");
    bytes[0]
}

fn try_pop(agent: &Agent) -> Option<u8> {
    let mut bytes = Vec::new();
    with(agent, |queue| queue.try_pop(&mut bytes, None).unwrap()).then(|| number(&bytes))
}

fn pop(agent: &Agent) -> u8 {
    let mut bytes = Vec::new();
    with(agent, |queue| queue.pop(&mut bytes, None).unwrap());
    number(&bytes)
}

fn rest(memory: &Arc<Memory>) -> Vec<u8> {
    let last = Agent::new(memory, 6, Fate::Lives);
    let mut rest = Vec::new();
    while let Some(number) = try_pop(&last) {
        rest.push(number);
    }
    // What is left of an element that somebody took with it is given back.
    let blocks = with(&last, |queue| queue.blocks(None).unwrap());
    let account = Arena::open(&last, AT).unwrap().check(None).unwrap();
    assert_eq!(account.against(&blocks), Vec::<String>::new());
    assert_eq!(account.used.len(), 1);
    rest
}

fn work<T: Send + 'static>(
    memory: &Arc<Memory>,
    index: u16,
    fate: Fate,
    work: impl FnOnce(&Agent) -> T + Send + 'static,
) -> Work<Option<T>> {
    let memory = Arc::clone(memory);
    Box::new(move || Agent::new(&memory, index, fate).run(work))
}

/// The one that pushes dies; another pops meanwhile, and pushes after it.
///
/// ```text
///   dies                    second
///   entry 1, tail = 2
///                           tail: 2; entry 0, head = 1, freed = 1
///   killed with the lock
///                           lock; entry 2, tail = 3
/// ```
#[test]
fn a_queue_outlives_who_pushes() {
    model_deaths("a_queue_outlives_who_pushes", 2, 2, |fate, order| {
        let memory = memory(1, 2, &[1]);
        let second = |agent: &Agent| {
            let first = try_pop(agent).unwrap();
            let is_pushed = try_push(agent, 3);
            [Some(first), try_pop(agent)]
                .into_iter()
                .flatten()
                .chain(is_pushed.then_some(9))
                .collect()
        };
        let push = |agent: &Agent| vec![u8::from(try_push(agent, 2))];
        let [first, second] =
            at_once(order, [work(&memory, 0, fate, push), work(&memory, 1, Fate::Lives, second)]);
        let mut all: Vec<u8> = second.unwrap();
        assert_eq!(all.pop(), Some(9), "there was room");
        all.extend(rest(&memory));
        let in_doubt = first.as_ref().is_none_or(|pushed| pushed == &[0]);
        let may_be = [&[1, 2, 3][..], &[1, 3, 2]];
        assert!(may_be.contains(&&all[..]) || in_doubt && all == [1, 3], "{all:?}");
        first.is_none()
    });
}

/// The one that pops dies; another pushes into what is given back, and pops.
///
/// ```text
///   dies                    second
///   entry 0, head = 1
///   killed
///                           full, and `freed` is 0: the lock of those who pop, freed = 1
///                           entry 0 = three, tail = 3
///                           entry 1, head = 2
/// ```
#[test]
fn a_queue_outlives_who_pops() {
    model_deaths("a_queue_outlives_who_pops", 2, 2, |fate, order| {
        let memory = memory(1, 2, &[1, 2]);
        let second = |agent: &Agent| {
            let pushed = try_push(agent, 3).then_some(3);
            [pushed, try_pop(agent)]
        };
        let [first, second] = at_once(
            order,
            [
                work(&memory, 0, fate, |agent: &Agent| [None, try_pop(agent)]),
                work(&memory, 1, Fate::Lives, second),
            ],
        );
        let died = first.is_none();
        let [pushed, popped] = second.unwrap();
        let taken = first.map_or(None, |[_, popped]| popped);
        let mut all: Vec<u8> = [taken, popped].into_iter().flatten().collect();
        all.extend(rest(&memory));
        all.sort_unstable();
        let whole: Vec<u8> = [Some(1), Some(2), pushed].into_iter().flatten().collect();
        // At most the one that it took with it.
        let is_lost = |gone: usize| {
            let mut rest = whole.clone();
            rest.remove(gone);
            rest == all
        };
        assert!(all == whole || died && (is_lost(0) || is_lost(1)), "{all:?} {pushed:?}");
        died
    });
}

/// The popper sleeps; whoever pushes may die between its commit and its wake.
#[test]
fn a_popper_sleeps_until_there_is_an_element() {
    model_deaths("a_popper_sleeps_until_there_is_an_element", 2, 1, |fate, order| {
        let memory = memory(1, 2, &[]);
        let pusher = {
            let memory = Arc::clone(&memory);
            Box::new(move || {
                let push = |agent: &Agent| assert!(try_push(agent, 1));
                let died = Agent::new(&memory, 0, fate).run(push).is_none();
                let agent = Agent::new(&memory, 1, Fate::Lives);
                // It has not been pushed, or it may be popped by now.
                if died && with(&agent, |queue| queue.is_empty()) {
                    push(&agent);
                }
                died
            })
        };
        let popper = {
            let memory = Arc::clone(&memory);
            Box::new(move || {
                let agent = Agent::new(&memory, 2, Fate::Lives);
                assert_eq!(pop(&agent), 1);
                false
            })
        };
        let [died, _] = at_once(order, [pusher as Work<bool>, popper]);
        assert!(rest(&memory).iter().all(|number| *number == 1));
        died
    });
}

/// The pusher sleeps; whoever pops may die between its commit and its wake, before or after it gave the
/// entry back.
#[test]
fn a_pusher_sleeps_until_there_is_room() {
    model_deaths("a_pusher_sleeps_until_there_is_room", 2, 1, |fate, order| {
        let memory = memory(1, 1, &[1]);
        let popper = {
            let memory = Arc::clone(&memory);
            Box::new(move || {
                let died = Agent::new(&memory, 0, fate).run(try_pop).is_none();
                let agent = Agent::new(&memory, 1, Fate::Lives);
                if died {
                    // The first one, or what came in its place.
                    try_pop(&agent);
                }
                died
            })
        };
        let pusher = {
            let memory = Arc::clone(&memory);
            Box::new(move || {
                let agent = Agent::new(&memory, 2, Fate::Lives);
                with(&agent, |queue| queue.push(&pattern(2), None).unwrap());
                false
            })
        };
        let [died, _] = at_once(order, [popper as Work<bool>, pusher]);
        let rest = rest(&memory);
        assert!(rest == [2] || died && rest.is_empty(), "{rest:?}");
        died
    });
}

/// Two sleep, and two elements come, of which each wakes one.
#[test]
fn each_element_wakes_one() {
    let runs = model(2, || {
        let memory = memory(1, 2, &[]);
        let pops = |index: u16| work(&memory, index, Fate::Lives, pop);
        let pushes = work(&memory, 0, Fate::Lives, |agent: &Agent| {
            assert!(try_push(agent, 1));
            assert!(try_push(agent, 2));
            0
        });
        let [_, one, two] = at_once(0, [pushes, pops(1), pops(2)]);
        assert_eq!(one.unwrap() + two.unwrap(), 3);
    });
    println!("each_element_wakes_one: {runs} interleavings");
}
