//! Values that change as a whole.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::channel;
use std::time::Instant;

use sk_share::{Error, Share, Shared};

use super::patience::{Polled, SHORT, WATCHDOG, add_up};

/// Rows: SHA-04, SHA-48
#[test]
fn an_update_is_all_or_nothing() {
    let share = Share::new().unwrap();
    let value = share.value("value", (1_u32, vec![1_u8; 100])).unwrap();
    assert_eq!(value.update(|value| std::mem::replace(&mut value.0, 2)).unwrap(), 1);
    let version = value.version().unwrap();
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        value.update(|value| {
            value.0 = 3;
            value.1.clear();
            panic!("in the middle");
        })
    }));
    assert!(panicked.is_err());
    let failed: Result<(), Box<dyn std::error::Error>> = value.try_update(|value| {
        value.0 = 4;
        Err("no".into())
    });
    assert_eq!(failed.unwrap_err().to_string(), "no");
    assert_eq!(value.get_versioned().unwrap(), ((2, vec![1; 100]), version));
    assert_eq!(value.update(|value| value.0).unwrap(), 2);
    add_up(&share);
}

/// Rows: SHA-04
#[test]
fn a_change_within_a_change_of_the_same_value_is_refused() {
    let share = Share::new().unwrap();
    let (value, other) = (share.value("value", 1).unwrap(), share.value("other", 1).unwrap());
    value
        .update(|within| {
            *within = 5;
            for error in [
                value.set(&9).unwrap_err(),
                value.update(|value| *value = 9).unwrap_err(),
                value.within(WATCHDOG).compare_and_set(1, &9).unwrap_err(),
            ] {
                assert!(error.is_reentry(), "{error}");
            }
            // What is not committed is not seen; another value is changed.
            assert_eq!(value.get().unwrap(), 1);
            other.update(|other| *other += value.get().unwrap()).unwrap();
        })
        .unwrap();
    assert_eq!((value.get().unwrap(), other.get().unwrap()), (5, 2));
    // What is made and removed within a change does no harm either.
    value.update(|_| share.value("new", 1).map(drop)).unwrap().unwrap();
    value.update(|_| share.remove("value")).unwrap().unwrap();
    assert!(value.is_detached());
    drop(value);
    assert_eq!(share.stats().unwrap().detached, 0);
    add_up(&share);
}

/// Rows: SHA-52
#[test]
fn a_value_is_replaced_only_at_its_version() {
    let share = Share::new().unwrap();
    let value = share.value("value", 0_u64).unwrap();
    let (_, first) = value.get_versioned().unwrap();
    assert_eq!(value.compare_and_set(first, &1).unwrap(), Ok(first + 1));
    assert_eq!(value.compare_and_set(first, &2).unwrap(), Err(first + 1));
    assert_eq!(value.compare_and_set(first + 2, &2).unwrap(), Err(first + 1));
    assert_eq!(value.set(&1).unwrap(), first + 2);
    // The same content is another version.
    assert_eq!(value.compare_and_set(first + 1, &3).unwrap(), Err(first + 2));
    assert_eq!(value.get_versioned().unwrap(), (1, first + 2));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..250 {
                    loop {
                        let (seen, version) = value.get_versioned().unwrap();
                        if value.compare_and_set(version, &(seen + 1)).unwrap().is_ok() {
                            break;
                        }
                    }
                }
            });
        }
    });
    assert_eq!(value.get_versioned().unwrap(), (1001, first + 1002));
}

/// Rows: SHA-02
#[test]
fn a_value_grows_and_shrinks_through_all_sizes() {
    let share = Share::new().unwrap();
    let value = share.value("value", Vec::<u8>::new()).unwrap();
    let around = |size: usize| [size - 1, size, size + 1];
    let mut sizes: Vec<usize> =
        [8, 55, 56, 64, 4096, 65_536, 1 << 20].into_iter().flat_map(around).collect();
    sizes.extend([0, 3 << 20, 1]);
    let mut bytes = 0;
    for round in 0..4 {
        for (turn, size) in sizes.iter().enumerate() {
            let content = vec![u8::try_from(turn).unwrap(); *size];
            value.set(&content).unwrap();
            assert!(value.get().unwrap() == content, "{size} bytes");
        }
        let now = share.stats().unwrap().bytes;
        // After some rounds all that is needed is there.
        assert!(round < 3 || now == bytes, "{now} bytes after {bytes}");
        bytes = now;
    }
    // Nothing at all, and nothing of a type without size.
    share.value("unit", ()).unwrap().update(|()| ()).unwrap();
    share.plain("array", [0_u8; 0]).unwrap().get().unwrap();
    let large = share.plain("large", [7_u64; 1024]).unwrap();
    large.update(|large| large[1023] = 8).unwrap();
    assert_eq!(large.get().unwrap()[1022..], [7, 8]);
    add_up(&share);
}

/// Rows: SHA-07
#[test]
fn changes_of_many_threads_are_all_made() {
    let share = Share::new().unwrap();
    let value = share.value("value", Vec::<(u32, u32)>::new()).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let value = &value;
            scope.spawn(move || {
                for turn in 0..100 {
                    value.update(|value| value.push((thread, turn))).unwrap();
                }
            });
        }
        // Each read is of one moment: nobody's turns are out of order or missing.
        for _ in 0..200 {
            let seen = value.get().unwrap();
            for thread in 0..4 {
                let turns = seen.iter().filter(|entry| entry.0 == thread).map(|entry| entry.1);
                assert!(
                    turns
                        .eq(0..u32::try_from(seen.iter().filter(|e| e.0 == thread).count())
                            .unwrap())
                );
            }
        }
    });
    assert_eq!(value.get().unwrap().len(), 400);
    assert_eq!(value.version().unwrap(), 401);
    add_up(&share);
}

/// A thread in the middle of a change of `value`, until the closure that this gives is called.
fn in_the_middle(value: &Shared<u32>) -> impl FnOnce() {
    let (begun, begins) = channel();
    let (end, ends) = channel::<()>();
    let value = value.clone();
    let thread = std::thread::spawn(move || {
        value.update(|value| {
            *value += 10;
            begun.send(()).unwrap();
            ends.recv().unwrap();
        })
    });
    begins.recv().unwrap();
    move || {
        end.send(()).unwrap();
        thread.join().unwrap().unwrap();
    }
}

/// Rows: SHA-68
#[test]
fn patience_ends_and_not_before() {
    let share = Share::new().unwrap();
    let value = share.value("value", 1).unwrap();
    let end = in_the_middle(&value);
    let impatient = value.within(SHORT);
    for attempt in [
        || |value: &Shared<u32>| value.set(&2).map(drop),
        || |value: &Shared<u32>| value.update(|value| *value += 1),
        || |value: &Shared<u32>| value.compare_and_set(1, &2).map(drop),
    ] as [fn() -> fn(&Shared<u32>) -> Result<(), Error>; 3]
    {
        let began = Instant::now();
        let error = attempt()(&impatient).unwrap_err();
        assert!(error.is_timeout(), "{error}");
        assert!(began.elapsed() >= SHORT);
    }
    // Who reads waits for nobody.
    assert_eq!(impatient.get().unwrap(), 1);
    end();
    impatient.within(WATCHDOG).set(&2).unwrap();
    assert_eq!(value.get().unwrap(), 2);
}

/// The predicate is asked once for each version that is seen, and not in between.
///
/// Rows: SHA-62
#[test]
fn a_wait_does_not_poll() {
    let share = Share::new().unwrap();
    let value = share.value("value", 0_u32).unwrap();
    let asked = Arc::new(AtomicU32::new(0));
    let waits = |value: &Shared<u32>| {
        let (value, asked) = (value.clone(), Arc::clone(&asked));
        value.wait_until(move |value| {
            asked.fetch_add(1, Ordering::SeqCst);
            *value == 3
        })
    };
    let mut polled = Polled::pending(waits(&value));
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    assert!(polled.poll().is_none() && polled.poll().is_none());
    assert_eq!(asked.load(Ordering::SeqCst), 1, "nothing has changed");
    for step in 1..=3 {
        value.set(&step).unwrap();
        polled.is_woken();
        assert_eq!(polled.poll().transpose().unwrap(), (step == 3).then_some(3));
        assert_eq!(asked.load(Ordering::SeqCst), 1 + step);
    }
    // The same by a thread that blocks, for longer than everybody looks again.
    value.set(&0).unwrap();
    asked.store(0, Ordering::SeqCst);
    let late = waits(&value).timeout(SHORT).wait().unwrap_err();
    assert!(late.is_timeout(), "{late}");
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    let thread = {
        let waiting = waits(&value);
        std::thread::spawn(move || waiting.wait())
    };
    value.set(&3).unwrap();
    assert_eq!(thread.join().unwrap().unwrap(), 3);
    assert!(asked.load(Ordering::SeqCst) <= 3);
}

/// Rows: SHA-62
#[test]
fn a_wait_ends_at_its_limit_and_not_before() {
    let share = Share::new().unwrap();
    let value = share.value("value", 0).unwrap();
    let began = Instant::now();
    let error = value.wait_until(|value| *value == 1).timeout(SHORT).wait().unwrap_err();
    assert!(error.is_timeout() && began.elapsed() >= SHORT, "{error}");
    let error = value.watch().unwrap().changed().timeout(SHORT).background().wait().unwrap_err();
    assert!(error.is_timeout(), "{error}");
    // What is there already is given all the same.
    value.set(&1).unwrap();
    let there = value.wait_until(|value| *value == 1).timeout(std::time::Duration::ZERO);
    assert_eq!(there.wait().unwrap(), 1);
}
