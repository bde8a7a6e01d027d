//! Names and types in a share, what becomes of handles, and limits.

use serde::{Deserialize, Deserializer, Serialize};
use std::sync::atomic::{AtomicBool, Ordering};

use sk_share::{Error, Share, Shared, SharedNumber};

use super::patience::{Polled, add_up};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Order {
    Open { items: Vec<(String, u32)>, note: Option<String> },
    Closed(f64),
}

/// What is written and never read.
#[derive(Debug, Serialize)]
pub(crate) struct Sour(pub(crate) u32);

impl<'de> Deserialize<'de> for Sour {
    fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Sour, D::Error> {
        Err(serde::de::Error::custom("sour"))
    }
}

/// Rows: SHA-01, SHA-02
#[test]
fn a_value_is_put_and_read_back_as_its_type() {
    let share = Share::new().unwrap();
    assert!(share.is_running().unwrap());
    let open = Order::Open { items: vec![("nail".to_owned(), 7)], note: None };
    let handle = share.put("order", &open).unwrap();
    assert_eq!(share.get::<Order>("order").unwrap().get().unwrap(), open);
    // In place of what was there, for all handles.
    share.put("order", &Order::Closed(1.5)).unwrap();
    assert_eq!(handle.get().unwrap(), Order::Closed(1.5));
    // What is there is not made again.
    assert_eq!(share.value("order", open).unwrap().get().unwrap(), Order::Closed(1.5));
    assert_eq!(share.names().unwrap(), ["order"]);
    add_up(&share);
}

/// Rows: SHA-02
#[test]
fn another_type_is_refused_with_both_names() {
    let share = Share::new().unwrap();
    share.value("text", String::from("x")).unwrap();
    share.number("count", 1_u32).unwrap();
    share.mutex("mutex").unwrap();
    share.blob("blob", b"bytes").unwrap();
    let errors = [
        (
            share.get::<Vec<u8>>("text").unwrap_err(),
            ["alloc::string::String", "alloc::vec::Vec<u8>"],
        ),
        (share.value("text", 1_u8).unwrap_err(), ["alloc::string::String", "u8"]),
        (share.put("text", &1_u8).unwrap_err(), ["alloc::string::String", "u8"]),
        (share.get_number::<u64>("count").unwrap_err(), ["u32", "u64"]),
        (share.plain("count", 1_u32).unwrap_err(), ["u32", "plain u32"]),
        (share.list::<String>("text").unwrap_err(), ["\"text\"", "alloc::string::String"]),
        (share.queue::<u8>("mutex", 1).unwrap_err(), ["a mutex", "u8"]),
        (share.rwlock("mutex").unwrap_err(), ["a mutex", "a read-write lock"]),
        (share.event("blob").unwrap_err(), ["a blob", "an event"]),
        (share.get_blob("mutex").unwrap_err(), ["a mutex", "a blob"]),
    ];
    for (error, words) in errors {
        assert!(error.is_other_type(), "{error}");
        for word in words {
            assert!(error.to_string().contains(word), "{error} does not name {word}");
        }
    }
    // Nothing is held by those who were refused.
    share.clear().unwrap();
    assert_eq!(share.stats().unwrap().detached, 0);
    add_up(&share);
}

/// Rows: SHA-02
#[test]
fn names_are_any_text_of_up_to_4096_bytes() {
    let share = Share::new().unwrap();
    let longest = "ü".repeat(2048);
    let names = ["", "a", "A", "\0", "line\nbreak", "名前", "🦀", "a.b/c d", &longest];
    for (index, name) in names.iter().enumerate() {
        share.value(name, index).unwrap();
    }
    for (index, name) in names.iter().enumerate() {
        assert!(share.contains(name).unwrap());
        assert_eq!(share.get::<usize>(name).unwrap().get().unwrap(), index, "{name:?}");
    }
    let mut found = share.names().unwrap();
    let mut expected = names.map(str::to_owned);
    found.sort();
    expected.sort();
    assert_eq!(found, expected);
    let too_long = "x".repeat(4097);
    let error = share.value(&too_long, 0).unwrap_err();
    assert!(error.is_limit(), "{error}");
    assert!(error.to_string().contains("4097") && error.to_string().contains("4096"), "{error}");
    assert!(share.get::<i32>(&too_long).unwrap_err().is_not_found());
    assert!(!share.contains(&too_long).unwrap());
    let error = share.get::<u8>("none").unwrap_err();
    assert!(error.is_not_found() && error.to_string().contains("\"none\""), "{error}");
    add_up(&share);
}

/// A thousand names come and go, more than one table of them holds.
///
/// Rows: SHA-02
#[test]
fn many_names_come_and_go() {
    let share = Share::new().unwrap();
    for round in 0..2 {
        let all: Vec<Shared<u32>> =
            (0..1000).map(|index| share.value(&format!("name {index}"), index).unwrap()).collect();
        assert_eq!(share.stats().unwrap().names, 1000, "in round {round}");
        assert_eq!(all[999].get().unwrap(), 999);
        drop(all);
        share.clear().unwrap();
        assert_eq!(share.names().unwrap(), [""; 0]);
    }
    add_up(&share);
}

#[track_caller]
fn is_gone<T: std::fmt::Debug>(result: Result<T, Error>) {
    let error = result.unwrap_err();
    assert!(error.is_not_found(), "{error}");
}

/// Rows: SHA-24, SHA-49
#[test]
fn handles_of_what_was_cleared_are_detached() {
    let share = Share::new().unwrap();
    let value = share.value("value", 1).unwrap();
    let number = share.number("number", 1).unwrap();
    let list = share.list::<u32>("list").unwrap();
    let queue = share.queue::<u32>("queue", 4).unwrap();
    let blob = share.blob("blob", b"bytes").unwrap();
    let mutex = share.mutex("mutex").unwrap();
    let rwlock = share.rwlock("rwlock").unwrap();
    let semaphore = share.semaphore("semaphore", 1).unwrap();
    let event = share.event("event").unwrap();
    let barrier = share.barrier("barrier", 2).unwrap();
    let condvar = share.condvar("condvar").unwrap();
    assert!(!value.is_detached() && !blob.is_detached() && !barrier.is_detached());
    share.clear().unwrap();
    assert_eq!(share.names().unwrap(), [""; 0]);
    let detached = [
        value.is_detached(),
        number.is_detached(),
        list.is_detached(),
        queue.is_detached(),
        blob.is_detached(),
        mutex.is_detached(),
        rwlock.is_detached(),
        semaphore.is_detached(),
        event.is_detached(),
        barrier.is_detached(),
        condvar.is_detached(),
    ];
    assert_eq!(detached, [true; 11]);
    is_gone(value.get());
    is_gone(value.set(&2));
    is_gone(value.update(|value| *value += 1));
    is_gone(value.compare_and_set(1, &2));
    is_gone(value.version());
    is_gone(value.watch());
    is_gone(list.push(&1));
    is_gone(list.extend(&[1, 2]));
    is_gone(list.get(0));
    is_gone(list.set(0, &1));
    is_gone(list.pop());
    is_gone(list.to_vec());
    is_gone(list.truncate(0));
    is_gone(list.len());
    is_gone(list.wait_for_len(1).wait());
    is_gone(queue.try_push(&1));
    is_gone(queue.push(&1).wait());
    is_gone(queue.try_pop());
    is_gone(queue.pop().wait());
    is_gone(queue.peek());
    is_gone(queue.len());
    is_gone(mutex.lock().wait());
    is_gone(mutex.try_lock());
    is_gone(rwlock.read().wait());
    is_gone(rwlock.try_write());
    is_gone(semaphore.acquire(1).wait());
    is_gone(semaphore.try_acquire(1));
    is_gone(event.set());
    is_gone(event.wait().wait());
    is_gone(barrier.wait().wait());
    is_gone(condvar.notify_all());
    assert!(value.get().unwrap_err().to_string().contains("\"value\""));
    // Numbers go on with one another, and a blob has its bytes.
    number.clone().add(2);
    assert_eq!(number.get(), 3);
    assert_eq!(&blob[..], b"bytes");
    assert_eq!(share.stats().unwrap().detached, 11);
    add_up(&share);
    drop((value, number, list, queue, blob, mutex, rwlock, semaphore, event, barrier, condvar));
    assert_eq!(share.stats().unwrap().detached, 0);
    add_up(&share);
}

/// Rows: SHA-24, SHA-49
#[test]
fn a_name_that_is_made_again_is_another_object() {
    let share = Share::new().unwrap();
    let old = share.value("name", 1_u32).unwrap();
    assert!(share.remove("name").unwrap());
    assert!(!share.remove("name").unwrap());
    // Of another type too.
    let new = share.value("name", "two".to_owned()).unwrap();
    is_gone(old.set(&3));
    is_gone(old.get());
    assert_eq!(new.get().unwrap(), "two");
    let number: SharedNumber<u8> = share.number("number", 1).unwrap();
    share.remove("number").unwrap();
    let again: SharedNumber<u8> = share.number("number", 1).unwrap();
    number.add(5);
    assert_eq!((number.get(), again.get()), (6, 1));
    add_up(&share);
}

/// Rows: SHA-24, SHA-49, SHA-62
#[test]
fn whoever_waits_for_what_is_removed_hears_of_it() {
    let share = Share::new().unwrap();
    let value = share.value("value", 1).unwrap();
    let watched = Polled::pending(value.watch().unwrap().changed());
    let until = Polled::pending(value.wait_until(|value| *value == 2));
    let list = share.list::<u32>("list").unwrap();
    let length = Polled::pending(list.wait_for_len(1));
    let queue = share.queue::<u32>("queue", 1).unwrap();
    let pop = Polled::pending(queue.pop());
    let full = share.queue::<u32>("full", 1).unwrap();
    full.push(&1).wait().unwrap();
    let push = Polled::pending(full.push(&2));
    let mutex = share.mutex("mutex").unwrap();
    let held = mutex.lock_owned().wait().unwrap();
    let lock = Polled::pending(mutex.lock_owned());
    let rwlock = share.rwlock("rwlock").unwrap();
    let reading = rwlock.read_owned().wait().unwrap();
    let write = Polled::pending(rwlock.write_owned());
    let semaphore = share.semaphore("semaphore", 1).unwrap();
    let permit = semaphore.acquire_owned(1).wait().unwrap();
    let acquire = Polled::pending(semaphore.acquire_owned(1));
    let event = Polled::pending(share.event("event").unwrap().wait());
    let barrier = Polled::pending(share.barrier("barrier", 2).unwrap().wait());
    let for_condvar = share.mutex("for condvar").unwrap().lock_owned().wait().unwrap();
    let condvar = Polled::pending(share.condvar("condvar").unwrap().wait(for_condvar));
    let number = share.number("number", 1).unwrap();
    let mut counted = Polled::pending(number.wait_until(|number| number == 2));
    share.clear().unwrap();
    watched.hears_of_removal();
    until.hears_of_removal();
    length.hears_of_removal();
    pop.hears_of_removal();
    push.hears_of_removal();
    lock.hears_of_removal();
    write.hears_of_removal();
    acquire.hears_of_removal();
    event.hears_of_removal();
    barrier.hears_of_removal();
    condvar.hears_of_removal();
    // A number does not fail: it goes on.
    counted.is_woken();
    assert!(counted.poll().is_none());
    number.add(1);
    assert_eq!(counted.done().unwrap(), 2);
    // What was held is given back without fuss.
    drop((held, reading, permit));
    assert!(!share.has_error(), "{:?}", share.error());
    add_up(&share);
}

/// Rows: SHA-24
#[test]
fn a_put_is_not_lost_to_a_removal() {
    let share = Share::new().unwrap();
    std::thread::scope(|scope| {
        let remover = scope.spawn(|| (0..500).filter(|_| share.remove("name").unwrap()).count());
        for round in 0..500 {
            share.put("name", &round).unwrap();
        }
        remover.join().unwrap();
    });
    share.clear().unwrap();
    assert_eq!(share.stats().unwrap().detached, 0);
    add_up(&share);
}

/// Rows: SHA-23
#[test]
fn a_value_that_does_not_decode_is_told_to_all() {
    let share = Share::new().unwrap();
    assert!(!share.has_error());
    assert_eq!(share.error().unwrap(), None);
    let sour = share.value("sour", Sour(1)).unwrap();
    assert!(!share.has_error());
    let error = sour.get().unwrap_err();
    assert!(error.is_codec() && error.to_string().contains("sour"), "{error}");
    assert!(share.has_error());
    let text = share.error().unwrap().unwrap();
    assert!(text.contains("\"sour\"") && text.contains("decode"), "{text}");
    assert!(share.stats().unwrap().errors > 0);
    // What is there is not changed by that, and can be replaced.
    assert!(sour.update(|_| ()).unwrap_err().is_codec());
    assert_eq!(sour.version().unwrap(), 1);
    sour.set(&Sour(2)).unwrap();
    share.clear().unwrap();
    assert!(!share.has_error());
    assert_eq!(share.error().unwrap(), None);
    add_up(&share);
}

/// Rows: SHA-23
#[test]
fn a_share_that_cannot_grow_says_what_its_limit_is() {
    let share = Share::builder().limit_bytes(1 << 20).create().unwrap();
    let value = share.value("value", vec![1_u8; 1000]).unwrap();
    let list = share.list::<Vec<u8>>("list").unwrap();
    let queue = share.queue::<Vec<u8>>("queue", 4).unwrap();
    list.push(&vec![1]).unwrap();
    queue.push(&vec![1]).wait().unwrap();
    // It would fit into what may be, and not beside this.
    share.value("there", vec![0_u8; 500 << 10]).unwrap();
    let large = vec![0; 700 << 10];
    let mut errors = vec![
        value.set(&large).unwrap_err(),
        value.update(|value| value.clone_from(&large)).unwrap_err(),
        list.push(&large).unwrap_err(),
        list.set(0, &large).unwrap_err(),
        queue.try_push(&large).unwrap_err(),
        queue.push(&large).wait().unwrap_err(),
        share.value("large", large.clone()).unwrap_err(),
        share.queue::<u8>("wide", 8000).unwrap_err(),
    ];
    share.stop(super::patience::WATCHDOG).unwrap();
    errors.push(value.set(&large).unwrap_err());
    share.start().unwrap();
    for error in errors {
        assert!(error.is_limit() && error.to_string().contains("1048576"), "{error}");
    }
    assert!(share.has_error());
    let text = share.error().unwrap().unwrap();
    assert!(text.contains("\"value\"") && text.contains("room"), "{text}");
    // Nothing is lost.
    assert_eq!(value.get().unwrap(), vec![1; 1000]);
    assert_eq!(list.to_vec().unwrap(), [[1]]);
    assert_eq!(queue.pop().wait().unwrap(), [1]);
    assert!(!share.contains("large").unwrap() && !share.contains("wide").unwrap());
    value.set(&vec![2; 2000]).unwrap();
    add_up(&share);
}

/// Rows: SHA-23
#[test]
fn a_limit_that_leaves_no_room_is_refused() {
    for limit in [0, 1, 4096, (256 << 10) - 1] {
        let error = Share::builder().limit_bytes(limit).create().unwrap_err();
        assert!(error.to_string().contains(&limit.to_string()), "{error}");
        assert!(error.to_string().contains("262144"), "{error}");
    }
    // No process has so many addresses.
    let error = Share::builder().limit_bytes(u64::MAX).create().unwrap_err();
    assert!(error.is_limit(), "{error}");
}

/// Rows: SHA-67
#[test]
fn the_smallest_share_is_filled_and_emptied_again_and_again() {
    let share = Share::builder().limit_bytes(256 << 10).create().unwrap();
    let mut most = Vec::new();
    for _ in 0..5 {
        let mut count = 0_u32;
        let error = loop {
            match share.value(&format!("{count}"), vec![1_u8; 500]) {
                Ok(_) => count += 1,
                Err(error) => break error,
            }
        };
        assert!(error.is_limit(), "{error}");
        add_up(&share);
        assert_eq!(share.get::<Vec<u8>>("0").unwrap().get().unwrap(), [1; 500]);
        most.push((count, share.stats().unwrap().bytes));
        share.clear().unwrap();
    }
    assert!(most[0].0 >= 30, "{most:?}");
    assert!(most.iter().all(|round| round.1 <= 256 << 10 && *round == most[0]), "{most:?}");
    assert_eq!(share.stats().unwrap().names, 0);
}

/// Rows: SHA-67
#[test]
fn what_is_freed_is_used_again() {
    let share = Share::new().unwrap();
    let mut before = None;
    for round in 0..30 {
        let value = share.value("value", vec![round; 5000]).unwrap();
        value.set(&vec![round; 100_000]).unwrap();
        let list = share.list::<String>("list").unwrap();
        list.extend(&vec![
            "an element that is longer than its entry allows, so in a block"
                .to_owned();
            500
        ])
        .unwrap();
        let queue = share.queue::<u64>("queue", 100).unwrap();
        for element in 0..100 {
            queue.push(&element).wait().unwrap();
        }
        share.mutex("mutex").unwrap();
        let blob = share.blob("blob", &[1; 10_000]).unwrap();
        assert_eq!(blob.len(), 10_000);
        share.clear().unwrap();
        drop((value, list, queue, blob));
        let stats = share.stats().unwrap();
        assert_eq!(stats.detached, 0);
        let now = (stats.used_bytes, stats.bytes);
        assert_eq!(*before.get_or_insert(now), now, "in round {round}");
    }
    add_up(&share);
}

/// Rows: SHA-67
#[test]
fn stats_tell_what_there_is() {
    let share = Share::new().unwrap();
    let value = share.value("value", 1).unwrap();
    let before = share.stats().unwrap();
    assert_eq!((before.names, before.detached, before.pending, before.errors), (1, 0, 0, 0));
    assert_eq!((before.writes, before.limit_bytes), (1, 4 << 30));
    assert!(before.processes >= 1 && before.used_bytes > 0 && before.bytes >= before.used_bytes);
    value.set(&2).unwrap();
    for _ in 0..10 {
        value.get().unwrap();
    }
    assert!(value.compare_and_set(1, &2).unwrap().is_err());
    let list = share.list::<u8>("list").unwrap();
    list.push(&1).unwrap();
    list.push(&2).unwrap();
    assert!(share.get::<u8>("value").is_err());
    share.remove("list").unwrap();
    assert!(list.len().is_err());
    let stats = share.stats().unwrap();
    assert_eq!((stats.names, stats.detached, stats.writes), (1, 1, 2));
    assert!(stats.reads >= before.reads + 10 && stats.errors >= 1, "{stats:?}");
    share.stop(super::patience::WATCHDOG).unwrap();
    value.set(&3).unwrap();
    assert_eq!(share.stats().unwrap().pending, 1);
    share.start().unwrap();
    assert_eq!(share.stats().unwrap().pending, 0);
}

/// Threads that drop and look up the same handle at once: what another object lies in is not given back by them.
#[test]
fn a_handle_that_is_dropped_and_found_at_once_keeps_its_object() {
    let share = Share::new().unwrap();
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    // It may be gone just now.
                    drop(share.get::<Vec<u64>>("contended"));
                }
            });
        }
        for round in 0..2000_u64 {
            let held = share.value("held", vec![round; 20]).unwrap();
            let contended = share.value("contended", vec![round; 20]).unwrap();
            drop(contended);
            share.remove("contended").unwrap();
            share.remove("held").unwrap();
            // It has no name any more, and is held.
            let other = share.value("other", vec![0_u64; 20]).unwrap();
            other.set(&vec![7; 20]).unwrap();
            assert!(held.is_detached());
            assert_eq!(other.get().unwrap(), vec![7; 20]);
            share.remove("other").unwrap();
        }
        is_over.store(true, Ordering::Relaxed);
    });
    assert_eq!(share.stats().unwrap().detached, 0);
    assert_eq!(share.check(None).unwrap(), [""; 0]);
}
