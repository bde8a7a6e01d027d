//! Lists and queues.

use std::time::{Duration, Instant};

use sk_share::{Plain, Share, SharedList, SharedQueue};

use super::patience::{BEFORE_ANOTHER_LOOK, Polled, SHORT, WATCHDOG, add_up};

#[test]
fn a_list_changes_by_operation() {
    let share = Share::new().unwrap();
    let list = share.list::<String>("list").unwrap();
    assert!(list.is_empty().unwrap());
    assert_eq!(
        (list.pop().unwrap(), list.last().unwrap(), list.get(0).unwrap()),
        (None, None, None)
    );
    assert_eq!(list.push(&"one".to_owned()).unwrap(), 0);
    let more: Vec<String> = (2..200).map(|number| number.to_string().repeat(50)).collect();
    assert_eq!(list.extend(&more).unwrap(), 1);
    assert_eq!(list.extend(&[]).unwrap(), 199);
    assert_eq!(list.len().unwrap(), 199);
    assert_eq!(list.get(198).unwrap().as_ref(), more.last());
    assert_eq!(list.get(199).unwrap(), None);
    assert_eq!(list.get(u64::MAX).unwrap(), None);
    assert!(list.set(1, &"two".to_owned()).unwrap());
    assert!(!list.set(199, &"none".to_owned()).unwrap());
    let given = list.update(1, |two| std::mem::replace(two, "TWO".repeat(30))).unwrap();
    assert_eq!(given.as_deref(), Some("two"));
    assert_eq!(list.update(199, |_| panic!("there is none")).unwrap(), None::<()>);
    assert_eq!(list.get(1).unwrap(), Some("TWO".repeat(30)));
    assert_eq!(list.pop().unwrap().as_ref(), more.last());
    list.truncate(2).unwrap();
    list.truncate(1000).unwrap();
    assert_eq!(list.to_vec().unwrap(), ["one".to_owned(), "TWO".repeat(30)]);
    assert_eq!(list.last().unwrap(), Some("TWO".repeat(30)));
    // The same list, by another handle.
    share.list::<String>("list").unwrap().clear().unwrap();
    assert!(list.is_empty().unwrap());
    add_up(&share);
}

#[test]
fn a_change_of_an_element_is_all_or_nothing() {
    let share = Share::new().unwrap();
    let list = share.list::<Vec<u32>>("list").unwrap();
    list.push(&vec![1; 100]).unwrap();
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        list.update(0, |element| {
            element.clear();
            panic!("in the middle");
        })
    }));
    assert!(panicked.is_err());
    let within = list
        .update(0, |element| {
            element[0] = 2;
            (list.push(&vec![]).unwrap_err(), list.get(0).unwrap())
        })
        .unwrap()
        .unwrap();
    assert!(within.0.is_reentry(), "{}", within.0);
    assert_eq!(within.1, Some(vec![1; 100]));
    assert_eq!(list.get(0).unwrap().unwrap()[..2], [2, 1]);
    assert_eq!(list.len().unwrap(), 1);
    add_up(&share);
}

fn fill_and_empty<C: sk_share::Codec<[u8; N]>, const N: usize>(list: &SharedList<[u8; N], C>) {
    for byte in 0..100 {
        assert_eq!(list.push(&[byte; N]).unwrap(), u64::from(byte));
    }
    assert!(list.set(50, &[200; N]).unwrap());
    list.update(51, |element| element.fill(201)).unwrap();
    assert_eq!(list.get(50).unwrap(), Some([200; N]));
    let all = list.to_vec().unwrap();
    assert!(all[51] == [201; N] && all[99] == [99; N]);
    for byte in (60..100).rev() {
        assert_eq!(list.pop().unwrap(), Some([byte; N]));
    }
}

#[test]
fn plain_elements_of_any_size_are_copied_as_they_are() {
    let share = Share::new().unwrap();
    fill_and_empty::<Plain, 0>(&share.plain_list("0").unwrap());
    fill_and_empty::<Plain, 1>(&share.plain_list("1").unwrap());
    fill_and_empty::<Plain, 48>(&share.plain_list("48").unwrap());
    fill_and_empty::<Plain, 2048>(&share.plain_list("2048").unwrap());
    fill_and_empty::<Plain, 4096>(&share.plain_list("4096").unwrap());
    fill_and_empty::<sk_share::Encoded, 8>(&share.list("8").unwrap());
    add_up(&share);
}

/// Rows: SHA-61
#[test]
fn elements_may_be_large() {
    let share = Share::new().unwrap();
    let large = |byte: u8| vec![byte; (1 << 20) + usize::from(byte)];
    let list = share.list::<Vec<u8>>("list").unwrap();
    let queue = share.queue::<Vec<u8>>("queue", 3).unwrap();
    let mut bytes = 0;
    for round in 0..3 {
        for byte in 0..3 {
            list.push(&large(byte)).unwrap();
            queue.push(&large(byte)).wait().unwrap();
        }
        assert!(list.to_vec().unwrap() == [large(0), large(1), large(2)]);
        for byte in 0..3 {
            assert!(queue.pop().wait().unwrap() == large(byte));
        }
        list.clear().unwrap();
        let now = share.stats().unwrap().bytes;
        assert!(round == 0 || now == bytes);
        bytes = now;
    }
    add_up(&share);
}

/// Rows: SHA-62
#[test]
fn a_length_is_waited_for() {
    let share = Share::new().unwrap();
    let list = share.list::<u32>("list").unwrap();
    let mut waits = Polled::pending(list.wait_for_len(3));
    list.push(&1).unwrap();
    waits.is_woken();
    assert!(waits.poll().is_none());
    list.extend(&[2, 3, 4]).unwrap();
    assert_eq!(waits.done().unwrap(), 4);
    assert_eq!(list.wait_for_len(0).wait().unwrap(), 4);
    let began = Instant::now();
    let error = list.wait_for_len(5).timeout(SHORT).wait().unwrap_err();
    assert!(error.is_timeout() && began.elapsed() >= SHORT);
}

/// Rows: SHA-07
#[test]
fn pushes_of_many_threads_all_come_in_their_order() {
    let share = Share::new().unwrap();
    let list = share.list::<(usize, u32)>("list").unwrap();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let list = &list;
            scope.spawn(move || {
                for turn in 0..250 {
                    list.push(&(thread, turn)).unwrap();
                }
            });
        }
        let mut before = 0;
        while before < 1000 {
            let all = list.to_vec().unwrap();
            assert!(all.len() >= before);
            before = all.len();
        }
    });
    let all = list.to_vec().unwrap();
    for thread in 0..4 {
        assert!(all.iter().filter(|entry| entry.0 == thread).map(|entry| entry.1).eq(0..250));
    }
    add_up(&share);
}

/// Rows: SHA-18
#[test]
fn while_stopped_a_list_is_read_and_only_pushed_to() {
    let share = Share::new().unwrap();
    let list = share.list::<String>("list").unwrap();
    let long = "long".repeat(100);
    list.push(&"one".to_owned()).unwrap();
    assert!(share.stop(WATCHDOG).unwrap());
    assert_eq!(list.push(&long).unwrap(), 1);
    assert_eq!(list.extend(&["three".to_owned(), long.clone()]).unwrap(), 2);
    let one = "one".to_owned();
    for error in [
        list.set(0, &one).map(drop).unwrap_err(),
        list.update(0, String::clear).map(drop).unwrap_err(),
        list.pop().map(drop).unwrap_err(),
        list.truncate(0).unwrap_err(),
        list.clear().unwrap_err(),
    ] {
        assert!(error.is_stopped(), "{error}");
    }
    assert_eq!(list.to_vec().unwrap(), ["one"]);
    assert_eq!((list.len().unwrap(), list.get(1).unwrap()), (1, None));
    assert!(list.wait_for_len(2).timeout(SHORT).wait().unwrap_err().is_timeout());
    let waits = Polled::pending(list.wait_for_len(4));
    assert_eq!(share.stats().unwrap().pending, 1);
    share.start().unwrap();
    assert_eq!(waits.done().unwrap(), 4);
    assert_eq!(list.to_vec().unwrap(), ["one", &long, "three", &long]);
    // Stopped with nothing that waits.
    assert!(share.stop(WATCHDOG).unwrap());
    share.start().unwrap();
    assert_eq!(list.pop().unwrap(), Some(long));
    add_up(&share);
}

/// Rows: SHA-61
#[test]
fn a_queue_gives_each_element_once_in_order() {
    let share = Share::new().unwrap();
    let queue = share.queue::<String>("queue", 3).unwrap();
    assert_eq!((queue.capacity().unwrap(), queue.len().unwrap()), (3, 0));
    assert_eq!((queue.try_pop().unwrap(), queue.peek().unwrap()), (None, None));
    let text = |number: u32| number.to_string().repeat(30);
    for number in 0..100 {
        assert!(queue.try_push(&text(number)).unwrap());
        queue.push(&text(1000 + number)).wait().unwrap();
        assert_eq!(queue.peek().unwrap(), Some(text(number)));
        assert_eq!(queue.len().unwrap(), 2);
        assert_eq!(queue.pop().wait().unwrap(), text(number));
        assert_eq!(queue.try_pop().unwrap(), Some(text(1000 + number)));
    }
    for number in 0..3 {
        assert!(queue.try_push(&text(number)).unwrap());
    }
    assert!(!queue.try_push(&text(3)).unwrap());
    // Opened again it is the same, whatever capacity is asked for.
    let again = share.queue::<String>("queue", 100).unwrap();
    assert_eq!((again.capacity().unwrap(), again.len().unwrap()), (3, 3));
    assert!(!again.is_empty().unwrap());
    add_up(&share);
}

/// Rows: SHA-61
#[test]
fn a_capacity_that_can_not_be_is_refused() {
    let share = Share::new().unwrap();
    for capacity in [0, (1 << 24) + 1, u64::MAX] {
        let error = share.queue::<u8>("queue", capacity).unwrap_err();
        assert!(error.is_limit() && error.to_string().contains(&capacity.to_string()), "{error}");
    }
    assert!(!share.contains("queue").unwrap());
    let queue = share.plain_queue::<u64>("queue", 100_000).unwrap();
    for element in 0..100_000 {
        assert!(queue.try_push(&element).unwrap());
    }
    assert!(!queue.try_push(&0).unwrap());
    assert_eq!(queue.try_pop().unwrap(), Some(0));
    drop(queue);
    share.remove("queue").unwrap();
    let one = share.queue::<u8>("one", 1).unwrap();
    assert!(one.try_push(&1).unwrap() && !one.try_push(&2).unwrap());
    add_up(&share);
}

/// Rows: SHA-61, SHA-62
#[test]
fn who_finds_a_queue_full_or_empty_waits() {
    let share = Share::new().unwrap();
    let queue = share.queue::<u32>("queue", 1).unwrap();
    let began = Instant::now();
    assert!(queue.pop().timeout(SHORT).wait().unwrap_err().is_timeout());
    assert!(began.elapsed() >= SHORT);
    let pop = Polled::pending(queue.pop());
    queue.push(&1).wait().unwrap();
    assert_eq!(pop.done().unwrap(), 1);
    queue.push(&2).wait().unwrap();
    let began = Instant::now();
    assert!(queue.push(&0).timeout(SHORT).wait().unwrap_err().is_timeout());
    assert!(began.elapsed() >= SHORT);
    let push = Polled::pending(queue.push(&3));
    assert_eq!(queue.pop().wait().unwrap(), 2);
    push.done().unwrap();
    // What ended at its limit was not pushed.
    assert_eq!(queue.pop().wait().unwrap(), 3);
    assert!(queue.is_empty().unwrap());
}

/// One that waited was woken and went away before it looked: another one has its element.
///
/// Rows: SHA-61
#[test]
fn who_gives_up_forgets_nobody() {
    let share = Share::new().unwrap();
    let queue = share.queue::<u32>("queue", 2).unwrap();
    for round in 0..50 {
        let mut pops = [(); 3].map(|()| Some(Polled::pending(queue.pop())));
        queue.push(&round).wait().unwrap();
        queue.push(&(round + 100)).wait().unwrap();
        // One that was woken or not, before it could look.
        pops[usize::try_from(round % 3).unwrap()] = None;
        let mut got: Vec<u32> = pops.into_iter().flatten().map(|pop| pop.done().unwrap()).collect();
        got.sort_unstable();
        assert_eq!(got, [round, round + 100]);
        queue.push(&0).wait().unwrap();
        queue.push(&0).wait().unwrap();
        let mut pushes = [1, 2].map(|element| Some(Polled::pending(queue.push(&element))));
        assert_eq!(queue.pop().wait().unwrap(), 0);
        pushes[usize::try_from(round % 2).unwrap()] = None;
        pushes.into_iter().flatten().for_each(|push| push.done().unwrap());
        assert_eq!(queue.pop().wait().unwrap(), 0);
        assert_eq!(queue.pop().wait().unwrap(), 2 - round % 2);
        if round % 2 == 1 {
            assert!(queue.is_empty().unwrap());
        }
        while queue.try_pop().unwrap().is_some() {}
    }
    add_up(&share);
}

fn through(queue: &SharedQueue<(usize, u32)>) -> Vec<Vec<(usize, u32)>> {
    const EACH: u32 = 300;
    std::thread::scope(|scope| {
        for thread in 0..3 {
            scope.spawn(move || {
                for turn in 0..EACH {
                    queue.push(&(thread, turn)).timeout(WATCHDOG).wait().unwrap();
                }
            });
        }
        let pops: Vec<_> = (0..3)
            .map(|_| {
                let pop = || queue.pop().timeout(WATCHDOG).wait().unwrap();
                scope.spawn(move || (0..EACH).map(|_| pop()).collect::<Vec<_>>())
            })
            .collect();
        pops.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

/// Rows: SHA-61
#[test]
fn among_many_threads_each_element_comes_once_and_in_order() {
    let share = Share::new().unwrap();
    for capacity in [1, 2, 7, 1000] {
        let queue = share.queue(&capacity.to_string(), capacity).unwrap();
        let got = through(&queue);
        for part in &got {
            for thread in 0..3 {
                let turns: Vec<u32> =
                    part.iter().filter(|entry| entry.0 == thread).map(|entry| entry.1).collect();
                assert!(turns.is_sorted(), "{turns:?}");
            }
        }
        let mut all = got.concat();
        all.sort_unstable();
        let expected = (0..3).flat_map(|thread| (0..300).map(move |turn| (thread, turn)));
        assert!(all.into_iter().eq(expected), "through {capacity}");
        assert!(queue.is_empty().unwrap());
    }
    add_up(&share);
}

/// Rows: SHA-18, SHA-61
#[test]
fn while_stopped_a_queue_takes_and_gives_nothing_out() {
    let share = Share::new().unwrap();
    let queue = share.queue::<String>("queue", 3).unwrap();
    queue.push(&"one".to_owned()).wait().unwrap();
    assert!(share.stop(WATCHDOG).unwrap());
    queue.push(&"two".repeat(50)).wait().unwrap();
    assert!(queue.try_push(&"three".to_owned()).unwrap());
    // What waits has its place.
    assert!(!queue.try_push(&"four".to_owned()).unwrap());
    let push = Polled::pending(queue.push(&"four".to_owned()));
    assert_eq!(queue.len().unwrap(), 1);
    assert_eq!(queue.peek().unwrap().as_deref(), Some("one"));
    assert!(queue.try_pop().unwrap_err().is_stopped());
    assert!(queue.pop().timeout(SHORT).wait().unwrap_err().is_timeout());
    let pop = Polled::pending(queue.pop());
    share.start().unwrap();
    assert_eq!(pop.done().unwrap(), "one");
    push.done().unwrap();
    let rest = [(); 3].map(|()| queue.pop().timeout(BEFORE_ANOTHER_LOOK).wait().unwrap());
    assert_eq!(rest, ["two".repeat(50), "three".to_owned(), "four".to_owned()]);
    add_up(&share);
}

/// Rows: SHA-61
#[test]
fn patience_is_for_others_at_it_and_not_for_elements() {
    let share = Share::new().unwrap();
    let queue = share.queue::<u32>("queue", 1).unwrap().within(Duration::from_secs(30));
    // At once, although it is so patient.
    assert_eq!(queue.try_pop().unwrap(), None);
    assert!(queue.try_push(&1).unwrap() && !queue.try_push(&2).unwrap());
    let list = share.list::<u32>("list").unwrap().within(SHORT);
    list.push(&1).unwrap();
    let error = list.update(0, |_| {
        std::thread::scope(|scope| scope.spawn(|| list.push(&2)).join().unwrap().unwrap_err())
    });
    assert!(error.unwrap().unwrap().is_timeout());
    assert_eq!(list.to_vec().unwrap(), [1]);
}
