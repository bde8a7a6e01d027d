//! Start and stop.

use std::fs::File;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::Command;
use std::sync::mpsc::{Sender, channel};
use std::time::Instant;

use sk_cereal::{Session, internal};
use sk_share::{Share, Shared};

use super::patience::{Polled, SHORT, WATCHDOG, add_up};

/// Rows: SHA-16, SHA-17, SHA-22
#[test]
fn a_share_stops_and_starts_again() {
    let share = Share::new().unwrap();
    let value = share.value("value", 1).unwrap();
    assert!(share.is_running().unwrap());
    share.start().unwrap();
    assert!(share.stop(WATCHDOG).unwrap());
    assert!(!share.is_running().unwrap() && !share.clone().is_running().unwrap());
    assert!(share.stop(WATCHDOG).unwrap());
    assert!(!share.is_running().unwrap());
    value.set(&2).unwrap();
    share.start().unwrap();
    assert!(share.is_running().unwrap());
    assert_eq!(value.get().unwrap(), 2);
    share.start().unwrap();
    assert!(share.exit(WATCHDOG).unwrap());
    assert!(!share.is_running().unwrap());
    assert_eq!(value.get().unwrap(), 2);
    share.start().unwrap();
    value.set(&3).unwrap();
    assert_eq!(value.get().unwrap(), 3);
    add_up(&share);
}

/// Rows: SHA-18
#[test]
fn what_is_written_while_stopped_comes_at_the_start() {
    let share = Share::new().unwrap();
    let value = share.value("value", vec![0_u32]).unwrap();
    let number = share.number("number", 0_u32).unwrap();
    let plain = share.plain("plain", 0_u64).unwrap();
    let version = value.version().unwrap();
    assert!(share.stop(WATCHDOG).unwrap());
    // Each on top of the one before, whatever their sizes.
    value.set(&vec![1]).unwrap();
    value.update(|value| value.extend(2..2000)).unwrap();
    assert_eq!(value.update(|value| value.len()).unwrap(), 1999);
    value.update(|value| value.truncate(3)).unwrap();
    plain.update(|plain| *plain += 5).unwrap();
    plain.update(|plain| *plain += 5).unwrap();
    let failed: Result<(), sk_share::Error> = value.try_update(|value| {
        value.clear();
        Err(share.get::<u8>("none").unwrap_err())
    });
    assert!(failed.unwrap_err().is_not_found());
    assert_eq!(number.add(7), 7);
    assert_eq!(value.get_versioned().unwrap(), (vec![0], version));
    assert_eq!((plain.get().unwrap(), number.get()), (0, 7));
    assert_eq!(share.stats().unwrap().pending, 2);
    add_up(&share);
    share.start().unwrap();
    // As one change.
    assert_eq!(value.get_versioned().unwrap(), (vec![1, 2, 3], version + 1));
    assert_eq!((plain.get().unwrap(), number.get()), (10, 7));
    assert_eq!(share.stats().unwrap().pending, 0);
    add_up(&share);
}

/// What was taken to wait comes at the start, however little room is left.
///
/// Rows: SHA-18
#[test]
fn a_start_needs_no_room() {
    let share = Share::builder().limit_bytes(1 << 20).create().unwrap();
    let lengths = |turn: usize| 70 + turn * 977 % 10_000;
    let values: Vec<Shared<Vec<u8>>> = (0..40)
        .map(|number| share.value(&format!("value {number}"), vec![0; lengths(number)]).unwrap())
        .collect();
    for first in [1, 2, 3] {
        assert!(share.stop(WATCHDOG).unwrap());
        let mut expected: Vec<_> = values.iter().map(|value| value.get().unwrap()).collect();
        let mut refused = 0;
        for turn in 0..400_usize {
            let number = turn * 7 % values.len();
            // Longer and shorter ones, and more and more.
            let bytes = vec![first; lengths(turn * 3) + turn * 50];
            match values[number].set(&bytes) {
                Ok(_) => expected[number] = bytes,
                Err(error) => {
                    assert!(error.is_limit(), "{error}");
                    refused += 1;
                }
            }
        }
        assert!(refused > 20, "{refused}");
        // Nothing at all is left, of no size.
        let mut rest = Vec::new();
        let lengths = std::iter::successors(Some(60_000), |length| Some(length * 7 / 8));
        for length in lengths.take_while(|length| *length > 64) {
            while let Ok(value) = share.value(&format!("rest {}", rest.len()), vec![9; length]) {
                rest.push(value);
            }
        }
        share.start().unwrap();
        for (value, bytes) in values.iter().zip(&expected) {
            assert_eq!(&value.get().unwrap(), bytes);
        }
        add_up(&share);
        for number in 0..rest.len() {
            share.remove(&format!("rest {number}")).unwrap();
        }
        drop(rest);
        for value in &values {
            value.set(&vec![first; 1]).unwrap();
            value.set(&vec![first; 2]).unwrap();
        }
        add_up(&share);
    }
}

/// Rows: SHA-18, SHA-52
#[test]
fn a_comparison_while_stopped_overwrites_nothing() {
    let share = Share::new().unwrap();
    let value = share.value("value", 0).unwrap();
    let (_, version) = value.get_versioned().unwrap();
    assert!(share.stop(WATCHDOG).unwrap());
    assert_eq!(value.compare_and_set(version + 1, &1).unwrap(), Err(version));
    let waits = value.compare_and_set(version, &1).unwrap().unwrap();
    // It cannot be told from what others let wait since.
    for seen in [version, waits] {
        let error = value.compare_and_set(seen, &2).unwrap_err();
        assert!(error.is_stopped(), "{error}");
    }
    value.update(|value| *value += 10).unwrap();
    share.start().unwrap();
    assert_eq!(value.get_versioned().unwrap(), (11, waits));
    assert!(value.compare_and_set(waits, &2).unwrap().is_ok());
}

/// Rows: SHA-18, SHA-24, SHA-49
#[test]
fn what_is_removed_while_stopped_does_not_come_back() {
    let share = Share::new().unwrap();
    let value = share.value("value", 1).unwrap();
    let list = share.list::<u32>("list").unwrap();
    let queue = share.queue::<u32>("queue", 4).unwrap();
    assert!(share.stop(WATCHDOG).unwrap());
    value.set(&2).unwrap();
    list.push(&1).unwrap();
    queue.push(&1).wait().unwrap();
    assert!(share.remove("value").unwrap());
    assert!(value.set(&3).unwrap_err().is_not_found());
    let again = share.value("value", 10).unwrap();
    again.set(&11).unwrap();
    share.remove("list").unwrap();
    share.remove("queue").unwrap();
    assert_eq!(share.names().unwrap(), ["value"]);
    assert_eq!(again.get().unwrap(), 10);
    share.start().unwrap();
    assert_eq!((again.get().unwrap(), share.names().unwrap()), (11, vec!["value".to_owned()]));
    assert!(value.get().unwrap_err().is_not_found());
    assert!(share.list::<u32>("list").unwrap().is_empty().unwrap());
    assert!(share.stop(WATCHDOG).unwrap());
    again.set(&12).unwrap();
    share.clear().unwrap();
    share.start().unwrap();
    assert_eq!(share.names().unwrap(), [""; 0]);
    drop((value, list, queue, again));
    assert_eq!(share.stats().unwrap().detached, 0);
    add_up(&share);
}

/// Rows: SHA-19
#[test]
fn a_stop_waits_for_writers_as_long_as_it_is_told() {
    let share = Share::new().unwrap();
    let value = share.value("value", 1_u32).unwrap();
    let (begun, begins) = channel();
    let (end, ends) = channel::<()>();
    std::thread::scope(|scope| {
        let value = &value;
        let writer = scope.spawn(move || {
            value.update(|value| {
                *value = 2;
                begun.send(()).unwrap();
                ends.recv().unwrap();
            })
        });
        begins.recv().unwrap();
        let began = Instant::now();
        assert!(!share.stop(SHORT).unwrap());
        assert!(began.elapsed() >= SHORT);
        end.send(()).unwrap();
        writer.join().unwrap().unwrap();
    });
    // A write that races with it counts as before it: after the next stop it is over.
    assert!(share.stop(WATCHDOG).unwrap());
    value.update(|value| *value += 1).unwrap();
    assert_eq!(value.get().unwrap(), 2);
    share.start().unwrap();
    assert_eq!(value.get().unwrap(), 3);
    add_up(&share);
}

/// Whoever writes may use the names before it comes to an end.
///
/// Rows: SHA-19
#[test]
fn a_stop_keeps_nobody_from_ending_a_write() {
    let share = Share::new().unwrap();
    let value = share.value("value", 1_u32).unwrap();
    std::thread::scope(|scope| {
        let (begun, begins) = channel();
        let (share, value) = (&share, &value);
        let writer = scope.spawn(move || {
            value.update(|value| {
                begun.send(()).unwrap();
                // Until the stop has begun.
                while share.is_running().unwrap() {
                    std::thread::yield_now();
                }
                *value += share.value("other", 1_u32).unwrap().get().unwrap();
            })
        });
        begins.recv().unwrap();
        assert!(share.stop(WATCHDOG).unwrap());
        writer.join().unwrap().unwrap();
    });
    assert_eq!(value.get().unwrap(), 2);
    share.start().unwrap();
    add_up(&share);
}

/// Runs `work` once `value` is within a change that goes on until it is told to end.
fn within_a_change(value: &Shared<u32>, work: impl FnOnce(&Sender<()>)) {
    std::thread::scope(|scope| {
        let (begun, begins) = channel();
        let (end, ends) = channel();
        scope.spawn(move || {
            let _ = value.update(|value| {
                begun.send(()).unwrap();
                ends.recv().unwrap();
                *value += 1;
            });
        });
        begins.recv().unwrap();
        work(&end);
    });
}

/// Rows: SHA-50
#[test]
fn a_copy_of_a_stopped_share_keeps_no_name_from_a_writer_for_long() {
    let share = Share::new().unwrap();
    let value = share.value("value", 1_u32).unwrap();
    assert!(share.stop(WATCHDOG).unwrap());
    within_a_change(&value, |end| {
        std::thread::scope(|scope| {
            let copy = scope.spawn(|| internal::to_vec(&share).map(|_| ()));
            // It has the names now, or very soon: whoever wants one comes behind it, and gets it all the same.
            while !copy.is_finished() {
                share.value("new", 1_u32).unwrap();
            }
            let error = copy.join().unwrap().unwrap_err().to_string();
            assert!(error.contains("deadline"), "{error}");
        });
        end.send(()).unwrap();
    });
    let copy = internal::from_slice::<Share>(&internal::to_vec(&share).unwrap()).unwrap();
    assert_eq!(copy.get::<u32>("value").unwrap().get().unwrap(), 1);
    share.start().unwrap();
    assert_eq!(value.get().unwrap(), 2);
    add_up(&share);
}

/// Rows: SHA-17
#[test]
fn a_start_keeps_nobody_from_ending_a_write() {
    let share = Share::new().unwrap();
    let value = share.value("value", 1_u32).unwrap();
    assert!(share.stop(WATCHDOG).unwrap());
    std::thread::scope(|scope| {
        let (begun, begins) = channel();
        let (share, value) = (&share, &value);
        let writer = scope.spawn(move || {
            value.update(|value| {
                begun.send(()).unwrap();
                // Until the start has begun.
                while !share.is_running().unwrap() {
                    std::thread::yield_now();
                }
                *value += share.value("new", 1_u32).unwrap().get().unwrap();
            })
        });
        begins.recv().unwrap();
        share.start().unwrap();
        writer.join().unwrap().unwrap();
    });
    assert_eq!(value.get().unwrap(), 2);
    assert_eq!(share.stats().unwrap().pending, 0);
    add_up(&share);
}

/// Others have ended its start, stopped the share, and begun another start, when it comes to its end.
///
/// Rows: SHA-17, SHA-18
#[test]
fn a_start_that_comes_late_ends_no_other() {
    for is_started in [false, true] {
        let share = Share::new().unwrap();
        let (slow, last) = (share.value("slow", 1).unwrap(), share.value("last", 1).unwrap());
        let until_it_runs = || {
            while !share.is_running().unwrap() {
                std::thread::yield_now();
            }
        };
        assert!(share.stop(WATCHDOG).unwrap());
        std::thread::scope(|scope| {
            within_a_change(&slow, |end| {
                let late = scope.spawn(|| share.start());
                until_it_runs();
                // Nobody else waits for it, nor does the late one for what is new.
                share.remove("slow").unwrap();
                let other = share.value("other", 1).unwrap();
                share.start().unwrap();
                assert!(share.stop(WATCHDOG).unwrap());
                last.set(&2).unwrap();
                let end_late = || {
                    end.send(()).unwrap();
                    let _ = late.join().unwrap();
                };
                if is_started {
                    within_a_change(&other, |end_other| {
                        let start = scope.spawn(|| share.start());
                        until_it_runs();
                        end_late();
                        assert_eq!(last.get().unwrap(), 2);
                        end_other.send(()).unwrap();
                        start.join().unwrap().unwrap();
                    });
                } else {
                    end_late();
                    assert!(!share.is_running().unwrap());
                    assert_eq!(last.get().unwrap(), 1);
                    share.start().unwrap();
                }
                assert_eq!(other.get().unwrap(), 1 + u32::from(is_started));
            });
        });
        assert_eq!(last.get().unwrap(), 2);
        assert_eq!(share.stats().unwrap().pending, 0);
        drop(slow);
        add_up(&share);
    }
}

/// Rows: SHA-19
#[test]
fn a_stop_within_a_change_is_an_error_and_stops_nothing() {
    let share = Share::new().unwrap();
    let value = share.value("value", 1_u32).unwrap();
    let other = share.value("other", 1_u32).unwrap();
    let list = share.list("list").unwrap();
    let is_refused = |result: Result<bool, sk_share::Error>| {
        let error = result.unwrap_err();
        assert!(error.is_reentry(), "{error}");
    };
    let running = || {
        is_refused(share.stop(WATCHDOG));
        assert!(share.is_running().unwrap());
        other.update(|other| *other += 1).unwrap();
        other.get().unwrap()
    };
    let seen = value.update(|value| {
        *value = 2;
        running()
    });
    assert_eq!((seen.unwrap(), value.get().unwrap()), (2, 2));
    list.push(&1_u32).unwrap();
    let seen = list.update(0, |element| {
        *element = 2;
        running()
    });
    assert_eq!((seen.unwrap(), list.get(0).unwrap()), (Some(3), Some(2)));
    assert!(share.is_running().unwrap());
    // One that was stopped stays so.
    assert!(share.stop(WATCHDOG).unwrap());
    value.update(|_| is_refused(share.stop(WATCHDOG))).unwrap();
    assert!(!share.is_running().unwrap());
    share.start().unwrap();
    add_up(&share);
}

/// Rows: SHA-17
#[test]
fn a_start_within_a_change_is_ended_by_others() {
    let share = Share::new().unwrap();
    let value = share.value("value", 1_u32).unwrap();
    let other = share.value("other", 1_u32).unwrap();
    let (list, queue) = (share.list::<u8>("list").unwrap(), share.queue::<u8>("queue", 1).unwrap());
    assert!(share.stop(WATCHDOG).unwrap());
    other.set(&2).unwrap();
    value.set(&2).unwrap();
    let mut names = share.watch("other").unwrap();
    let told = Polled::pending(names.changed());
    let mut changes = value.watch().unwrap();
    let changed = Polled::pending(changes.changed());
    let update = value.update(|value| {
        *value += 1;
        let error = share.start().unwrap_err();
        assert!(error.is_reentry(), "{error}");
        // That the start is not at its end keeps nobody from hearing of what it has done.
        told.is_woken();
        // Nor do those wake themselves or each other who come while it is not.
        let pops = [Polled::pending(queue.pop()), Polled::pending(queue.pop())];
        let lengths =
            [Polled::pending(list.wait_for_len(1)), Polled::pending(list.wait_for_len(1))];
        let names = Polled::pending(share.watch("list").unwrap().changed());
        pops.iter().for_each(Polled::sleeps);
        lengths.iter().for_each(Polled::sleeps);
        names.sleeps();
        assert!(share.is_running().unwrap());
        assert_eq!(other.get().unwrap(), 2);
    });
    update.unwrap();
    // What it wrote came after the start, and waits for nothing else, not even for a reader.
    changed.is_woken();
    assert_eq!(value.version().unwrap(), 2);
    assert_eq!(value.get().unwrap(), 3);
    assert_eq!(share.stats().unwrap().pending, 0);
    assert!(share.stop(WATCHDOG).unwrap());
    assert_eq!(value.get().unwrap(), 3);
    share.start().unwrap();
    add_up(&share);
}

/// Rows: SHA-17, SHA-18
#[test]
fn stops_and_starts_among_writers_lose_nothing() {
    let share = Share::new().unwrap();
    let value = share.value("value", vec![0_u32; 4]).unwrap();
    let list = share.list::<u32>("list").unwrap();
    let queue = share.queue::<u32>("queue", 10_000).unwrap();
    let busy = share.number("busy", 3_u32).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..3 {
            let (value, list, queue, busy) = (&value, &list, &queue, &busy);
            scope.spawn(move || {
                for turn in 0..300 {
                    value.update(|value| value[thread] += 1).unwrap();
                    list.push(&turn).unwrap();
                    queue.push(&turn).timeout(WATCHDOG).wait().unwrap();
                }
                busy.sub(1);
            });
        }
        while busy.get() > 0 {
            assert!(share.stop(WATCHDOG).unwrap());
            let seen = (value.get_versioned().unwrap(), list.len().unwrap(), queue.len().unwrap());
            for _ in 0..20 {
                std::thread::yield_now();
                let again =
                    (value.get_versioned().unwrap(), list.len().unwrap(), queue.len().unwrap());
                assert_eq!(again, seen, "it changed while stopped");
            }
            share.start().unwrap();
            let now = (value.get_versioned().unwrap(), list.len().unwrap(), queue.len().unwrap());
            assert!(now.0.1 >= seen.0.1 && now.1 >= seen.1 && now.2 >= seen.2);
        }
    });
    assert_eq!(value.get().unwrap(), [300, 300, 300, 0]);
    assert_eq!((list.len().unwrap(), queue.len().unwrap()), (900, 900));
    add_up(&share);
}

/// Rows: SHA-21
#[test]
fn a_guard_stops_the_share_also_by_a_panic() {
    let share = Share::new().unwrap();
    let value: Shared<u32> = share.value("value", 1).unwrap();
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        let _stop = share.stop_at_end();
        value.set(&2).unwrap();
        panic!("in the middle");
    }));
    assert!(panicked.is_err());
    assert!(!share.is_running().unwrap());
    assert_eq!(value.get().unwrap(), 2);
    share.start().unwrap();
    let stop = share.stop_at_end();
    assert!(share.is_running().unwrap());
    drop(stop);
    assert!(!share.is_running().unwrap());
}

/// Whether a descriptor of the memory of this id is open here, and whether it is mapped. Once it was seen open, it is
/// known by its inode, which nobody else has in a process that is alone.
fn is_here(id: &str, inode: &mut Option<u64>) -> [bool; 2] {
    let is_region = |file: &File| {
        let mut words = [0; 16];
        let is_read = file.read_exact_at(&mut words, 16).is_ok();
        let words = words.as_chunks().0.iter().map(|word| u64::from_le_bytes(*word));
        is_read && words.map(|word| format!("{word:016x}")).collect::<String>() == id
    };
    let files = std::fs::read_dir("/proc/self/fd").unwrap();
    let files = files.filter_map(|entry| {
        let path = entry.unwrap().path();
        std::fs::metadata(&path)
            .is_ok_and(|found| found.is_file())
            .then(|| File::open(&path).ok())?
    });
    let found = files.filter(is_region).map(|file| file.metadata().unwrap().ino()).last();
    *inode = inode.or(found);
    let number = inode.expect("it was open once").to_string();
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let is_mapped = maps.lines().any(|line| line.split_whitespace().nth(4) == Some(&number));
    [found.is_some(), is_mapped]
}

/// Rows: SHA-15
#[test]
fn the_memory_goes_with_the_last_handle() {
    const ALONE: &str = "SK_SHARE_ALONE";
    if std::env::var_os(ALONE).is_none() {
        let output = Command::new("/proc/self/exe")
            .args(["--exact", "running::the_memory_goes_with_the_last_handle"])
            .env(ALONE, "1")
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && text.contains("1 passed"), "{text}");
        return;
    }
    let share = Share::new().unwrap();
    let id = share.id().to_string();
    let mut inode = None;
    let value = share.value("value", 1).unwrap();
    assert_eq!(is_here(&id, &mut inode), [true, true]);
    assert!(share.stop(WATCHDOG).unwrap());
    drop(share);
    assert_eq!(value.get().unwrap(), 1);
    assert_eq!(is_here(&id, &mut inode), [true, true]);
    drop(value);
    assert_eq!(is_here(&id, &mut inode), [false, false]);
    // No name of it was ever in a file system.
    let names = std::fs::read_dir("/dev/shm").unwrap();
    assert!(
        names.filter_map(Result::ok).all(|name| !name.file_name().to_string_lossy().contains(&id))
    );
}

/// Rows: SHA-50
#[test]
fn a_stopped_share_travels_as_a_copy_and_a_running_one_does_not() {
    let share = Share::builder().limit_bytes(16 << 20).create().unwrap();
    let value = share.value("value", vec![1_u32; 500]).unwrap();
    share.plain("plain", 2.5_f64).unwrap();
    share.number("number", -3_i16).unwrap();
    let list = share.list::<String>("list").unwrap();
    list.extend(&["one".to_owned(), "two".repeat(100)]).unwrap();
    let plain_list = share.plain_list::<[u8; 128]>("plain list").unwrap();
    plain_list.push(&[7; 128]).unwrap();
    let queue = share.queue::<String>("queue", 5).unwrap();
    queue.push(&"popped".to_owned()).wait().unwrap();
    queue.push(&"first".to_owned()).wait().unwrap();
    queue.push(&"second".repeat(100)).wait().unwrap();
    queue.pop().wait().unwrap();
    share.blob("blob", b"bytes").unwrap();
    let mutex = share.mutex("mutex").unwrap();
    let held = mutex.lock().wait().unwrap();
    share.rwlock("rwlock").unwrap();
    let semaphore = share.semaphore("semaphore", 5).unwrap();
    let permit = semaphore.acquire(2).wait().unwrap();
    share.event("event").unwrap().set().unwrap();
    share.event("clear").unwrap();
    share.barrier("barrier", 3).unwrap();
    share.condvar("condvar").unwrap();
    let travel = |share: &Share| -> Share {
        let session = Session::hand_over();
        session.enter(|| internal::from_slice(&internal::to_vec(share).unwrap()).unwrap())
    };
    let live = travel(&share);
    assert_eq!(live, share);
    assert!(share.stop(WATCHDOG).unwrap());
    // What waits for the start is not in it yet.
    value.set(&vec![9]).unwrap();
    list.push(&"three".to_owned()).unwrap();
    // A copy needs no session: it is all in its bytes.
    let bytes = internal::to_vec(&share).unwrap();
    let copy: Share = internal::from_slice(&bytes).unwrap();
    share.start().unwrap();
    share.clear().unwrap();
    drop((held, permit));
    assert_ne!(copy, share);
    assert!(!copy.is_running().unwrap());
    assert_eq!(copy.stats().unwrap().limit_bytes, 16 << 20);
    assert_eq!(copy.names().unwrap().len(), 14);
    copy.start().unwrap();
    let value: Shared<Vec<u32>> = copy.get("value").unwrap();
    assert_eq!(value.get().unwrap(), vec![1; 500]);
    assert_eq!(copy.get_plain::<f64>("plain").unwrap().get().unwrap(), 2.5);
    assert_eq!(copy.get_number::<i16>("number").unwrap().get(), -3);
    let list = copy.list::<String>("list").unwrap();
    assert_eq!(list.to_vec().unwrap(), ["one".to_owned(), "two".repeat(100)]);
    list.push(&"three".to_owned()).unwrap();
    assert_eq!(copy.plain_list::<[u8; 128]>("plain list").unwrap().pop().unwrap(), Some([7; 128]));
    let queue = copy.queue::<String>("queue", 1).unwrap();
    assert_eq!(queue.capacity().unwrap(), 5);
    assert_eq!(queue.try_pop().unwrap().as_deref(), Some("first"));
    assert_eq!(queue.try_pop().unwrap(), Some("second".repeat(100)));
    assert_eq!(&copy.get_blob("blob").unwrap()[..], b"bytes");
    // What programs synchronise with is free there.
    assert!(copy.mutex("mutex").unwrap().try_lock().unwrap().is_some());
    assert!(copy.rwlock("rwlock").unwrap().try_write().unwrap().is_some());
    let semaphore = copy.semaphore("semaphore", 1).unwrap();
    assert_eq!((semaphore.permits().unwrap(), semaphore.available().unwrap()), (5, 5));
    assert!(copy.event("event").unwrap().is_set().unwrap());
    assert!(!copy.event("clear").unwrap().is_set().unwrap());
    let barrier = copy.barrier("barrier", 1).unwrap();
    assert!(barrier.wait().timeout(SHORT).wait().unwrap_err().is_timeout());
    copy.condvar("condvar").unwrap().notify_all().unwrap();
    add_up(&copy);
    add_up(&share);
}

/// Rows: SHA-17, SHA-24
#[cfg(not(sk_portable))]
#[test]
fn what_waits_and_is_damaged_is_told_of_once() {
    let share = Share::new().unwrap();
    let value = share.value("value", "before".to_owned()).unwrap();
    assert!(share.stop(WATCHDOG).unwrap());
    let waits = "what waits for the start, and is damaged before";
    value.set(&waits.to_owned()).unwrap();
    let session = Session::hand_over();
    session.enter(|| internal::to_vec(&share)).unwrap();
    let shares = std::fs::read_dir("/proc/self/fd").unwrap();
    let mut count = 0;
    for file in shares {
        let path = file.unwrap().path();
        let is_ours = |link: std::path::PathBuf| link.to_string_lossy().contains("sk-share");
        if !std::fs::read_link(&path).is_ok_and(is_ours) {
            continue;
        }
        let file = File::options().read(true).write(true).open(&path).unwrap();
        let mut bytes = vec![0; usize::try_from(file.metadata().unwrap().len()).unwrap()];
        file.read_exact_at(&mut bytes, 0).unwrap();
        let found = bytes.windows(waits.len()).position(|window| window == waits.as_bytes());
        if let Some(at) = found {
            file.write_all_at(b"W", at as u64).unwrap();
            count += 1;
        }
    }
    assert_eq!(count, 1, "what waits lies in one place");
    assert!(share.start().is_err());
    assert!(share.has_error());
    share.start().unwrap();
    assert!(share.is_running().unwrap());
    assert_eq!(value.get().unwrap(), "before");
    value.set(&"after".to_owned()).unwrap();
    assert!(share.stop(WATCHDOG).unwrap());
    value.set(&"later".to_owned()).unwrap();
    share.start().unwrap();
    assert_eq!(value.get().unwrap(), "later");
    add_up(&share);
}
