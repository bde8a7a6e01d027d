//! Waits of tasks: many of them, wandering between threads, given up in the middle.

use std::time::Duration;

use futures::executor::block_on;
use futures::future::{FutureExt as _, join_all, select_all};
use sk_share::{Share, Side};
use tokio::runtime::{Builder, Runtime};

use super::patience::{Polled, WATCHDOG, add_up};

fn runtime() -> Runtime {
    Builder::new_multi_thread().worker_threads(3).enable_time().build().unwrap()
}

/// Rows: SHA-59
#[test]
fn a_thousand_tasks_take_one_mutex_in_turn() {
    let share = Share::new().unwrap();
    let mutex = share.mutex("mutex").unwrap();
    let value = share.plain("value", 0_u64).unwrap();
    runtime().block_on(async {
        let tasks = (0..1000).map(|_| {
            let (mutex, value) = (mutex.clone(), value.clone());
            tokio::spawn(async move {
                let guard = mutex.lock_owned().timeout(WATCHDOG).await.unwrap();
                let seen = value.get().unwrap();
                // Another thread may go on with it.
                tokio::task::yield_now().await;
                value.set(&(seen + 1)).unwrap();
                drop(guard);
            })
        });
        join_all(tasks.collect::<Vec<_>>()).await.into_iter().for_each(Result::unwrap);
    });
    assert_eq!(value.get().unwrap(), 1000);
    assert!(mutex.try_lock().unwrap().is_some());
    add_up(&share);
}

/// Rows: SHA-59
#[test]
fn another_executor_does_as_well() {
    let share = Share::new().unwrap();
    let (semaphore, number) =
        (share.semaphore("semaphore", 2).unwrap(), share.number("number", 0).unwrap());
    let (lock, barrier) = (share.rwlock("lock").unwrap(), share.barrier("barrier", 20).unwrap());
    let task = async |task: u32| {
        let permit = semaphore.acquire_owned(1).timeout(WATCHDOG).await.unwrap();
        assert!(semaphore.available().unwrap() <= 1);
        drop(permit);
        let side = barrier.wait().timeout(WATCHDOG).await.unwrap();
        if task.is_multiple_of(2) {
            let _write = lock.write_owned().timeout(WATCHDOG).await.unwrap();
            number.set(number.get() + 1);
        } else {
            let _read = lock.read_owned().timeout(WATCHDOG).await.unwrap();
            assert!(number.get() <= 10);
        }
        side
    };
    let sides: Vec<Side> = std::thread::scope(|scope| {
        let some = |first: u32| join_all((first..first + 5).map(task));
        let threads = [0, 5, 10, 15].map(|first| scope.spawn(move || block_on(some(first))));
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(sides.iter().filter(|side| **side == Side::Leader).count(), 1);
    assert_eq!(number.get(), 10);
    add_up(&share);
}

/// Rows: SHA-61
#[test]
fn a_pop_that_is_given_up_takes_nothing_with_it() {
    const ELEMENTS: u32 = 400;
    let share = Share::new().unwrap();
    let queue = share.queue::<u32>("queue", 2).unwrap();
    let got = runtime().block_on(async {
        let pushes = (0..ELEMENTS).map(|element| {
            let queue = queue.clone();
            tokio::spawn(async move {
                // Given up again and again, and pushed once in the end.
                loop {
                    let push = queue
                        .push(&element)
                        .timeout(Duration::from_micros(50 + u64::from(element)));
                    match push.await {
                        Ok(()) => return,
                        Err(error) => assert!(error.is_timeout(), "{error}"),
                    }
                }
            })
        });
        let pushes: Vec<_> = pushes.collect();
        let pops = (0..4_u64).map(|task| {
            let queue = queue.clone();
            tokio::spawn(async move {
                let mut got = Vec::new();
                while got.last().is_none_or(|last| *last != u32::MAX) {
                    tokio::select! {
                        element = queue.pop() => got.push(element.unwrap()),
                        () = tokio::time::sleep(Duration::from_micros(100 * task)) => {}
                    }
                }
                got
            })
        });
        let pops: Vec<_> = pops.collect();
        join_all(pushes).await.into_iter().for_each(Result::unwrap);
        for _ in 0..4 {
            queue.push(&u32::MAX).timeout(WATCHDOG).await.unwrap();
        }
        join_all(pops).await.into_iter().flat_map(Result::unwrap).collect::<Vec<_>>()
    });
    let mut got: Vec<u32> = got.into_iter().filter(|element| *element != u32::MAX).collect();
    got.sort_unstable();
    assert!(got.into_iter().eq(0..ELEMENTS));
    assert!(queue.is_empty().unwrap());
    add_up(&share);
}

/// Rows: SHA-62
#[test]
fn thousands_of_waits_are_all_woken() {
    let share = Share::new().unwrap();
    let values: Vec<_> =
        (0..2000).map(|index| share.plain(&format!("value {index}"), 0_u32).unwrap()).collect();
    runtime().block_on(async {
        let tasks: Vec<_> = (0_u32..)
            .zip(&values)
            .map(|(index, value)| {
                let value = value.clone();
                tokio::spawn(async move {
                    value
                        .wait_until(move |value| *value == index + 1)
                        .timeout(WATCHDOG)
                        .await
                        .unwrap()
                })
            })
            .collect();
        // Some change before their task has looked at all, and some after.
        for (index, value) in (0_u32..).zip(&values) {
            value.set(&(index + 1)).unwrap();
            if index % 100 == 0 {
                tokio::task::yield_now().await;
            }
        }
        let woken = join_all(tasks).await.into_iter().map(Result::unwrap);
        assert!(woken.eq(1..=2000));
    });
}

/// What was given up is forgotten: there is room for as many again, and nobody is woken for it.
///
/// Rows: SHA-62
#[test]
fn waits_that_are_given_up_leave_nothing() {
    let share = Share::new().unwrap();
    let value = share.value("value", 0_u32).unwrap();
    let queue = share.queue::<u32>("queue", 1).unwrap();
    for _ in 0..20 {
        let waits: Vec<_> =
            (0..100).map(|_| Polled::pending(value.wait_until(|value| *value == 1))).collect();
        let pops: Vec<_> = (0..100).map(|_| Polled::pending(queue.pop())).collect();
        drop((waits, pops));
    }
    queue.push(&1).wait().unwrap();
    assert_eq!(queue.pop().wait().unwrap(), 1);
    // The handles that they had are gone with them.
    share.clear().unwrap();
    assert_eq!(share.stats().unwrap().detached, 2);
    drop((value, queue));
    assert_eq!(share.stats().unwrap().detached, 0);
    add_up(&share);
}

/// Rows: SHA-62
#[test]
fn the_first_of_many_waits_ends_the_others() {
    let share = Share::new().unwrap();
    let numbers: Vec<_> =
        (0..10).map(|index| share.number(&index.to_string(), 0_u32).unwrap()).collect();
    let (began, event) = (share.number("began", 0_u32).unwrap(), share.event("event").unwrap());
    let changer = {
        let (numbers, began) = (numbers.clone(), began.clone());
        std::thread::spawn(move || {
            began.wait_until(|began| began == 1).timeout(WATCHDOG).wait().unwrap();
            numbers[7].add(1);
        })
    };
    block_on(async {
        let waits =
            numbers.iter().map(|number| number.wait_until(|number| number > 0).boxed_local());
        let first = select_all(waits);
        began.add(1);
        let (number, place, others) = first.await;
        assert_eq!((number.unwrap(), place, others.len()), (1, 7, 9));
        let late = event.wait().timeout(Duration::from_millis(20)).await;
        assert!(late.unwrap_err().is_timeout());
    });
    changer.join().unwrap();
    add_up(&share);
}

/// Operations that block, in the background.
///
/// Rows: SHA-61
#[test]
fn an_operation_goes_on_in_the_background() {
    let share = Share::new().unwrap();
    let queue = share.queue::<u32>("queue", 1).unwrap();
    let pop = queue.pop().background();
    let give_up = queue.pop().background();
    drop(give_up);
    queue.push(&1).wait().unwrap();
    assert_eq!(pop.wait().unwrap(), 1);
    queue.push(&2).wait().unwrap();
    let push = queue.push(&3).timeout(WATCHDOG).background();
    assert_eq!(queue.pop().wait().unwrap(), 2);
    block_on(push).unwrap();
    assert_eq!(queue.pop().timeout(WATCHDOG).wait().unwrap(), 3);
    let error = block_on(queue.pop().timeout(Duration::from_millis(20)).background()).unwrap_err();
    assert!(error.is_timeout(), "{error}");
    add_up(&share);
}
