//! A list and those who read it without its lock.

use sk_share::ground::{Attempt, List};

use super::*;

const AT: u64 = 256;

/// A list of elements of eight bytes, and longer ones where there are chunks for them.
fn memory(chunks: u64, elements: &[u8]) -> Arc<Memory> {
    let memory = with_arena(AT, chunks);
    let maker = Agent::new(&memory, 7, Fate::Lives);
    let arena = Arena::open(&maker, AT).unwrap();
    let list = List::create(&maker, 0, &arena, 8).unwrap();
    list.extend(elements.iter().map(|number| pattern(*number)), None).unwrap();
    memory
}

fn with<T>(agent: &Agent, work: impl FnOnce(&List<'_, Agent>) -> T) -> T {
    let arena = Arena::open(agent, AT).unwrap();
    work(&List::at(agent, 0, &arena).unwrap())
}

/// What is in the list, each element by its number.
fn all(agent: &Agent) -> Vec<u8> {
    let items = with(agent, |list| list.read_all(None).unwrap());
    let number = |bytes: &[u8]| {
        assert!(bytes.iter().all(|byte| *byte == bytes[0]), "{bytes:?}");
        bytes[0]
    };
    items.iter().map(number).collect()
}

/// One who dies does something, one who lives does something else, one reads: what each saw, with
/// `None` for the one that died.
fn three<A: Send + 'static>(
    memory: &Arc<Memory>,
    order: usize,
    fate: Fate,
    dies: impl FnOnce(&Agent) -> A + Send + 'static,
    lives: impl FnOnce(&Agent) -> A + Send + 'static,
    reads: impl FnOnce(&Agent) -> A + Send + 'static,
) -> [Option<A>; 3] {
    let work: [(u16, Fate, Box<dyn FnOnce(&Agent) -> A + Send>); 3] = [
        (0, fate, Box::new(dies)),
        (1, Fate::Lives, Box::new(lives)),
        (2, Fate::Lives, Box::new(reads)),
    ];
    at_once(
        order,
        work.map(|(index, fate, work)| {
            let memory = Arc::clone(memory);
            Box::new(move || Agent::new(&memory, index, fate).run(work)) as Work<_>
        }),
    )
}

/// ```text
///   dies                      second                   reader
///   entry 1, length = 2
///                                                      epoch: 0, length: 2
///                             entry 2, length = 3
///                                                      entries 0 and 1, epoch: 0
/// ```
#[test]
fn what_is_pushed_is_read_whole() {
    model_deaths("what_is_pushed_is_read_whole", 2, 2, |fate, order| {
        let memory = memory(1, &[1]);
        let push = |number: u8| {
            move |agent: &Agent| {
                with(agent, |list| list.push(&pattern(number), None).unwrap());
                vec![]
            }
        };
        let [first, _, read] = three(&memory, order, fate, push(2), |_| vec![], |agent| all(agent));
        let read = read.unwrap();
        assert!(read == [1] || read == [1, 2], "{read:?}");
        let last = Agent::new(&memory, 3, Fate::Lives);
        let found = all(&last);
        assert!(found.starts_with(&read));
        assert!(found == [1, 2] || first.is_none() && found == [1]);
        push(3)(&last);
        assert_eq!(all(&last), [&found[..], &[3]].concat());
        first.is_none()
    });
}

/// ```text
///   dies                        second                         reader
///   intent = { 0, two }
///   epoch = COPYING, killed                                    epoch: COPYING, reads the intent
///                               copies it, epoch = 4, 8
///                               intent = { 0, three }
///                                                              epoch: 8, again, with the lock
/// ```
#[test]
fn what_is_set_is_read_whole() {
    model_deaths("what_is_set_is_read_whole", 2, 3, |fate, order| {
        let memory = memory(1, &[1, 9]);
        let set = |number: u8| {
            move |agent: &Agent| {
                with(agent, |list| list.set(0, &pattern(number), None).unwrap());
                vec![]
            }
        };
        let get = |agent: &Agent| {
            let mut bytes = Vec::new();
            assert!(with(agent, |list| list.get(0, &mut bytes, None).unwrap()));
            assert!(bytes == pattern(bytes[0]), "{bytes:?}");
            vec![bytes[0]]
        };
        let [first, ..] = three(&memory, order, fate, set(2), set(3), get);
        let last = Agent::new(&memory, 3, Fate::Lives);
        let found = all(&last);
        assert!(found == [3, 9] || found == [2, 9], "{found:?}");
        set(4)(&last);
        assert_eq!(all(&last), [4, 9]);
        first.is_none()
    });
}

/// ```text
///   dies                      reader
///                             epoch: 0, length: 2
///   length = 1, epoch = 4
///   entry 1 = three
///                             entry 1: half two, half three; epoch: 4
/// ```
#[test]
fn an_entry_that_is_used_anew_is_not_read_as_the_old_one() {
    model_deaths("an_entry_that_is_used_anew", 3, 2, |fate, order| {
        let memory = memory(1, &[1, 2]);
        let replace = |agent: &Agent| {
            with(agent, |list| {
                assert!(list.pop(&mut Vec::new(), None).unwrap());
                list.push(&pattern(3), None).unwrap();
            });
            vec![]
        };
        let [first, _, read] = three(&memory, order, fate, replace, |_| vec![], |agent| all(agent));
        let read = read.unwrap();
        assert!([&[1, 2][..], &[1], &[1, 3]].contains(&&read[..]), "{read:?}");
        first.is_none()
    });
}

/// One who dies after its pop, and one who pushes in its place: who repairs counts what it did not.
#[test]
fn an_entry_of_one_who_died_is_not_read_as_the_old_one() {
    model_deaths("an_entry_of_one_who_died", 2, 3, |fate, order| {
        let memory = memory(1, &[1, 2]);
        let pop = |agent: &Agent| {
            with(agent, |list| assert!(list.pop(&mut Vec::new(), None).unwrap()));
            vec![]
        };
        let push = |agent: &Agent| {
            with(agent, |list| list.push(&pattern(3), None).unwrap());
            vec![]
        };
        let [first, _, read] = three(&memory, order, fate, pop, push, |agent| all(agent));
        let read = read.unwrap();
        let may_be = [&[1, 2][..], &[1], &[1, 3], &[1, 2, 3]];
        assert!(may_be.contains(&&read[..]), "{read:?}");
        first.is_none()
    });
}

/// A reader copies a block that its element gives back meanwhile and another word takes.
#[test]
fn a_block_that_is_used_anew_is_not_read_as_an_element() {
    let began = std::time::Instant::now();
    let mut runs = 0;
    for order in 0..2 {
        runs += model(2, move || {
            let memory = memory(3, &[1]);
            let set = |agent: &Agent, number: u8| {
                with(agent, |list| assert!(list.set(0, &[number; 24], None).unwrap()));
                vec![]
            };
            set(&Agent::new(&memory, 5, Fate::Lives), 2);
            let others = |agent: &Agent| {
                replace(agent, AT, 240, 7);
                vec![]
            };
            let [_, _, read] = three(
                &memory,
                order,
                Fate::Lives,
                move |agent: &Agent| set(agent, 3),
                others,
                |agent| all(agent),
            );
            let read = read.unwrap();
            assert!(read == [2] || read == [3], "{read:?}");
        });
    }
    println!(
        "a_block_that_is_used_anew_is_not_read: {runs} interleavings, {:.1?}",
        began.elapsed()
    );
}

/// Whoever watches sees a change, also of a writer that dies before it wakes.
#[test]
fn a_change_is_noticed() {
    for number in 0..2 {
        model_deaths("a_change_is_noticed", 2, 2, move |fate, order| {
            let memory = memory(1, &[1, 2]);
            let change = move |agent: &Agent| {
                with(agent, |list| match number {
                    0 => assert!(list.set(1, &pattern(3), None).unwrap()),
                    _ => assert!(list.pop(&mut Vec::new(), None).unwrap()),
                });
            };
            let writer = {
                let memory = Arc::clone(&memory);
                Box::new(move || {
                    let died = Agent::new(&memory, 0, fate).run(change).is_none();
                    if died {
                        let agent = Agent::new(&memory, 1, Fate::Lives);
                        if all(&agent) == [1, 2] {
                            change(&agent);
                        }
                    }
                    died
                })
            };
            let seen = with(&Agent::new(&memory, 4, Fate::Lives), |list| list.version().unwrap());
            let watcher = {
                let memory = Arc::clone(&memory);
                Box::new(move || {
                    let watcher = Agent::new(&memory, 2, Fate::Lives);
                    with(&watcher, |list| {
                        assert!(list.changed(seen, None).unwrap() != seen);
                        assert!(matches!(list.look_for_change(seen), Ok(Attempt::Done(_))));
                    });
                    let found = all(&watcher);
                    assert!(found == [1] || found == [1, 3] || found == [1, 2], "{found:?}");
                    false
                })
            };
            let [died, _] = at_once(order, [writer as Work<bool>, watcher]);
            died
        });
    }
}
