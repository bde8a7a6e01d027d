//! A list and those who read it without its lock.

use sk_share::ground::List;

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

fn push(agent: &Agent, number: u8) {
    with(agent, |list| list.push(&pattern(number), None).unwrap());
}

fn pop(agent: &Agent) {
    with(agent, |list| assert!(list.pop(&mut Vec::new(), None).unwrap()));
}

fn set(agent: &Agent, index: u64, bytes: &[u8]) {
    with(agent, |list| assert!(list.set(index, bytes, None).unwrap()));
}

/// One who dies does something, and one reads all: whether it died, and what was read.
fn beside(
    memory: &Arc<Memory>,
    order: usize,
    fate: Fate,
    dies: impl FnOnce(&Agent) + Send + 'static,
) -> (bool, Vec<u8>) {
    beside_who(memory, order, fate, dies, all)
}

/// As [`beside`], with one who reads what it likes.
fn beside_who(
    memory: &Arc<Memory>,
    order: usize,
    fate: Fate,
    dies: impl FnOnce(&Agent) + Send + 'static,
    reads: impl FnOnce(&Agent) -> Vec<u8> + Send + 'static,
) -> (bool, Vec<u8>) {
    let dying = Arc::clone(memory);
    let reading = Arc::clone(memory);
    let [died, read] = at_once(
        order,
        [
            Box::new(move || Agent::new(&dying, 0, fate).run(dies).map(|()| vec![])) as Work<_>,
            Box::new(move || Some(reads(&Agent::new(&reading, 2, Fate::Lives)))),
        ],
    );
    (died.is_none(), read.unwrap())
}

/// ```text
///   dies                      reader
///   entry 1
///                             epoch: 0, length: 1
///   length = 2
///                             entry 0, epoch: 0
/// ```
#[test]
fn what_is_pushed_is_read_whole() {
    model_deaths("what_is_pushed_is_read_whole", 2, 2, |fate, order| {
        let memory = memory(1, &[1]);
        let (died, read) = beside(&memory, order, fate, |agent| push(agent, 2));
        assert!(read == [1] || read == [1, 2], "{read:?}");
        let last = Agent::new(&memory, 3, Fate::Lives);
        let found = all(&last);
        assert!(found.starts_with(&read));
        assert!(found == [1, 2] || died && found == [1]);
        died
    });
}

/// The last one is the first that is read: nothing but the length says that it is there.
#[test]
fn what_is_pushed_is_there_once_the_length_says_so() {
    model_deaths("what_is_pushed_is_there", 2, 2, |fate, order| {
        let memory = memory(1, &[1]);
        let last = |agent: &Agent| {
            let mut bytes = Vec::new();
            assert!(with(agent, |list| list.last(&mut bytes, None).unwrap()));
            bytes
        };
        let (died, read) = beside_who(&memory, order, fate, |agent| push(agent, 2), last);
        assert!(read == pattern(1) || read == pattern(2), "{read:?}");
        died
    });
}

/// ```text
///   dies                        reader
///   intent = { 0, two }
///   epoch = COPYING             epoch: COPYING, half of the intent
///   copies it, epoch = 4
///   intent = { 0, three }
///                               the other half; epoch: 4, again, with the lock
/// ```
#[test]
fn what_is_set_is_read_whole() {
    model_deaths("what_is_set_is_read_whole", 1, 2, |fate, order| {
        let memory = memory(1, &[1, 9]);
        let sets = |agent: &Agent| {
            set(agent, 0, &pattern(2));
            set(agent, 0, &pattern(3));
        };
        let (died, read) = beside(&memory, order, fate, sets);
        assert!([[1, 9], [2, 9], [3, 9]].contains(&[read[0], read[1]]), "{read:?}");
        let last = Agent::new(&memory, 3, Fate::Lives);
        assert!(all(&last)[0] >= read[0]);
        set(&last, 0, &pattern(4));
        assert_eq!(all(&last), [4, 9]);
        died
    });
}

/// One has died in the middle of a set. Who comes next finishes it, and may die too.
#[test]
fn what_a_dead_one_set_is_read_whole() {
    for point in ["list.set.committed", "list.set.copied"] {
        model_deaths(point, 1, 1, move |fate, order| {
            let memory = memory(1, &[1, 9]);
            let dead = Agent::new(&memory, 4, Fate::AtPoint(point, 0));
            assert!(dead.run(|agent| set(agent, 0, &pattern(2))).is_none());
            let (died, read) = beside(&memory, order, fate, |agent| set(agent, 1, &pattern(8)));
            assert!(read == [2, 9] || read == [2, 8], "{read:?}");
            died
        });
    }
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
    model_deaths("an_entry_that_is_used_anew", 2, 1, |fate, order| {
        let memory = memory(1, &[1, 2]);
        let replace = |agent: &Agent| {
            pop(agent);
            push(agent, 3);
        };
        let (died, read) = beside(&memory, order, fate, replace);
        assert!([&[1, 2][..], &[1], &[1, 3]].contains(&&read[..]), "{read:?}");
        died
    });
}

/// One has died after its pop: who pushes in its place counts what it did not.
#[test]
fn an_entry_of_one_who_died_is_not_read_as_the_old_one() {
    model_deaths("an_entry_of_one_who_died", 2, 1, |fate, order| {
        let memory = memory(1, &[1, 2]);
        // It dies while the reader is at it, too.
        let pops_and_pushes = move |agent: &Agent| {
            let dead = Agent::new(&agent.memory(), 4, Fate::AtPoint("list.shorten.committed", 0));
            assert!(dead.run(pop).is_none());
            push(agent, 3);
        };
        let (died, read) = beside(&memory, order, fate, pops_and_pushes);
        assert!([&[1, 2][..], &[1], &[1, 3]].contains(&&read[..]), "{read:?}");
        died
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
            set(&Agent::new(&memory, 5, Fate::Lives), 0, &[2; 24]);
            let sets = |agent: &Agent| {
                set(agent, 0, &[3; 24]);
                replace(agent, AT, 240, 7);
            };
            let (_, read) = beside(&memory, order, Fate::Lives, sets);
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
        model_deaths("a_change_is_noticed", 1, 1, move |fate, order| {
            let memory = memory(2, &[1, 2]);
            let change = move |agent: &Agent| {
                with(agent, |list| match number {
                    0 => assert!(list.set(1, &pattern(3), None).unwrap()),
                    _ => drop(list.push(&pattern(3), None).unwrap()),
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
                    let mut seen = seen;
                    // Once more, if it was only told of a repair.
                    loop {
                        let now = with(&watcher, |list| list.changed(seen, None).unwrap());
                        assert!(now != seen);
                        seen = now;
                        let found = all(&watcher);
                        if found != [1, 2] {
                            assert!(found == [1, 2, 3] || found == [1, 3], "{found:?}");
                            break;
                        }
                    }
                    false
                })
            };
            let [died, _] = at_once(order, [writer as Work<bool>, watcher]);
            died
        });
    }
}
