//! What programs synchronise with, by threads and by the process.

use std::sync::mpsc::channel;
use std::time::Instant;

use sk_share::{
    MutexGuard, OfProcess, OfThread, Permits, ReadGuard, Share, SharedBarrier, SharedCondvar,
    SharedEvent, SharedList, SharedMutex, SharedNumber, SharedQueue, SharedRwLock, SharedSemaphore,
    Side, WriteGuard,
};

use super::patience::{BEFORE_ANOTHER_LOOK, Polled, SHORT, WATCHDOG, add_up};

/// Guards of the process may be sent, guards of a thread may not; handles are as one likes.
#[test]
fn what_may_be_sent_to_other_threads() {
    /// Ambiguous, so that it does not compile, for what is `Send`.
    trait Stays<A> {
        fn stays() {}
    }
    struct Sent;
    impl<T: ?Sized> Stays<()> for T {}
    impl<T: ?Sized + Send> Stays<Sent> for T {}
    <MutexGuard<OfThread> as Stays<_>>::stays();
    <ReadGuard<OfThread> as Stays<_>>::stays();
    <WriteGuard<OfThread> as Stays<_>>::stays();
    <Permits<OfThread> as Stays<_>>::stays();
    fn goes<T: Send + Sync>() {}
    goes::<MutexGuard<OfProcess>>();
    goes::<ReadGuard<OfProcess>>();
    goes::<WriteGuard<OfProcess>>();
    goes::<Permits<OfProcess>>();
    goes::<(Share, SharedMutex, SharedRwLock, SharedSemaphore)>();
    goes::<(SharedEvent, SharedBarrier, SharedCondvar, SharedNumber<u8>)>();
    goes::<(SharedList<u8>, SharedQueue<u8>, sk_share::SharedBlob)>();
    // Also of what may not be sent itself.
    goes::<(sk_share::Shared<std::rc::Rc<u8>>, SharedList<std::rc::Rc<u8>>)>();
}

/// Rows: SHA-59
#[test]
fn a_mutex_is_held_by_one_at_a_time() {
    let share = Share::new().unwrap();
    let mutex = share.mutex("mutex").unwrap();
    let value = share.plain("value", 0_u64).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (mutex, value) = (&mutex, &value);
            scope.spawn(move || {
                for turn in 0..200 {
                    let of_thread = (thread + turn) % 2 == 0;
                    let one = of_thread.then(|| mutex.lock().timeout(WATCHDOG).wait().unwrap());
                    let two =
                        (!of_thread).then(|| mutex.lock_owned().timeout(WATCHDOG).wait().unwrap());
                    // Two steps that only the lock keeps together.
                    value.set(&(value.get().unwrap() + 1)).unwrap();
                    drop((one, two));
                }
            });
        }
    });
    assert_eq!(value.get().unwrap(), 800);
    let guard = mutex.lock().wait().unwrap();
    for error in [mutex.lock().wait().unwrap_err(), mutex.try_lock().unwrap_err()] {
        assert!(error.is_reentry(), "{error}");
    }
    let began = Instant::now();
    assert!(mutex.lock_owned().timeout(SHORT).wait().unwrap_err().is_timeout());
    assert!(began.elapsed() >= SHORT);
    drop(guard);
    // Of the process it is waited for, and another thread gives it back.
    let guard = mutex.lock_owned().wait().unwrap();
    assert!(mutex.try_lock_owned().unwrap().is_none() && mutex.try_lock().unwrap().is_none());
    let waits = Polled::pending(mutex.lock_owned());
    std::thread::spawn(move || drop(guard)).join().unwrap();
    assert!(!waits.done().unwrap().was_abandoned());
    assert!(!share.has_error());
    add_up(&share);
}

/// Rows: SHA-59, SHA-60
#[test]
fn what_a_thread_that_is_over_forgot_is_free_and_abandoned() {
    let share = Share::new().unwrap();
    let mutex = share.mutex("mutex").unwrap();
    let rwlock = share.rwlock("rwlock").unwrap();
    let semaphore = share.semaphore("semaphore", 3).unwrap();
    let (holds, held) = channel();
    let (end, ends) = channel::<()>();
    let forgetful = {
        let (mutex, rwlock, semaphore) = (mutex.clone(), rwlock.clone(), semaphore.clone());
        std::thread::spawn(move || {
            std::mem::forget(mutex.lock().wait().unwrap());
            std::mem::forget(rwlock.write().wait().unwrap());
            std::mem::forget(semaphore.acquire(2).wait().unwrap());
            holds.send(()).unwrap();
            ends.recv().unwrap();
        })
    };
    held.recv().unwrap();
    assert!(mutex.try_lock().unwrap().is_none() && rwlock.try_read().unwrap().is_none());
    assert_eq!(semaphore.available().unwrap(), 1);
    let (lock, write) =
        (Polled::pending(mutex.lock_owned()), Polled::pending(rwlock.write_owned()));
    let acquire = Polled::pending(semaphore.acquire_owned(3));
    end.send(()).unwrap();
    // Its end is noticed by those who wait.
    let mut guard = lock.done().unwrap();
    assert!(guard.was_abandoned());
    drop(acquire.done().unwrap());
    assert_eq!(semaphore.available().unwrap(), 3);
    let mut writing = write.done().unwrap();
    assert!(writing.was_abandoned());
    forgetful.join().unwrap();
    // Whoever comes next is told too, until somebody has repaired it.
    drop((guard, writing));
    assert!(rwlock.read().wait().unwrap().was_abandoned());
    guard = mutex.lock_owned().wait().unwrap();
    assert!(guard.was_abandoned());
    guard.repaired();
    writing = rwlock.write_owned().wait().unwrap();
    writing.repaired();
    drop((guard, writing));
    assert!(!mutex.lock().wait().unwrap().was_abandoned());
    assert!(!rwlock.read().wait().unwrap().was_abandoned());
    assert!(!rwlock.write().wait().unwrap().was_abandoned());
    add_up(&share);
}

/// Rows: SHA-59
#[test]
fn many_read_or_one_writes() {
    let share = Share::new().unwrap();
    let lock = share.rwlock("lock").unwrap();
    let one = lock.read().wait().unwrap();
    let two = lock.read().wait().unwrap();
    let three = lock.read_owned().wait().unwrap();
    assert!(lock.try_write_owned().unwrap().is_none());
    assert!(lock.write().wait().unwrap_err().is_reentry());
    // A writer that waits is not kept waiting by readers that come later.
    let write = Polled::pending(lock.write_owned());
    let late = std::thread::scope(|scope| {
        scope.spawn(|| lock.try_read().unwrap().is_none()).join().unwrap()
    });
    assert!(late, "it reads before the writer");
    drop((one, two, three));
    let write = write.done().unwrap();
    assert!(lock.try_read().unwrap().is_none());
    let waits = Polled::pending(lock.write_owned());
    // Reading on, with no other writer in between.
    let read = write.downgrade().unwrap();
    assert!(lock.try_write_owned().unwrap().is_none());
    drop(read);
    drop(waits.done().unwrap());
    let write = lock.write().wait().unwrap();
    assert!(lock.read().wait().unwrap_err().is_reentry());
    assert!(lock.read_owned().timeout(SHORT).wait().unwrap_err().is_timeout());
    drop(write);
    assert!(lock.try_write().unwrap().is_some());
    add_up(&share);
}

/// Rows: SHA-59
#[test]
fn permits_are_no_more_than_there_are() {
    let share = Share::new().unwrap();
    for permits in [0, SharedSemaphore::MOST + 1, u32::MAX] {
        let error = share.semaphore("none", permits).unwrap_err();
        assert!(error.is_limit() && error.to_string().contains(&permits.to_string()), "{error}");
    }
    let semaphore = share.semaphore("semaphore", 3).unwrap();
    assert!(semaphore.acquire(0).wait().unwrap_err().is_limit());
    assert!(semaphore.acquire(4).wait().unwrap_err().is_limit());
    let one = semaphore.acquire(1).wait().unwrap();
    let many = Polled::pending(semaphore.acquire_owned(3));
    // A wait for many is not overtaken by one for few.
    assert!(semaphore.try_acquire(1).unwrap().is_none());
    assert_eq!(semaphore.available().unwrap(), 2);
    drop(one);
    let many = many.done().unwrap();
    assert_eq!((many.count(), semaphore.available().unwrap()), (3, 0));
    let began = Instant::now();
    assert!(semaphore.acquire(1).timeout(SHORT).wait().unwrap_err().is_timeout());
    assert!(began.elapsed() >= SHORT);
    std::thread::spawn(move || drop(many)).join().unwrap();
    let inside = share.number("inside", 0_i32).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..100 {
                    let permits = semaphore.acquire(2).timeout(WATCHDOG).wait().unwrap();
                    assert!(inside.add(2) <= 3);
                    inside.sub(2);
                    drop(permits);
                }
            });
        }
    });
    assert_eq!(semaphore.available().unwrap(), 3);
    add_up(&share);
}

/// Rows: SHA-59
#[test]
fn an_event_is_for_all_until_it_is_cleared() {
    let share = Share::new().unwrap();
    let event = share.event("event").unwrap();
    let waits = [(); 3].map(|()| Polled::pending(event.wait()));
    let thread = {
        let event = event.clone();
        std::thread::spawn(move || event.wait().timeout(WATCHDOG).wait())
    };
    assert!(!event.is_set().unwrap());
    event.set().unwrap();
    event.set().unwrap();
    waits.into_iter().for_each(|wait| wait.done().unwrap());
    thread.join().unwrap().unwrap();
    assert!(event.is_set().unwrap());
    event.wait().wait().unwrap();
    event.clear().unwrap();
    assert!(event.wait().timeout(SHORT).wait().unwrap_err().is_timeout());
    add_up(&share);
}

/// Rows: SHA-59
#[test]
fn a_barrier_opens_when_all_have_come_and_not_before() {
    let share = Share::new().unwrap();
    for parties in [0, SharedBarrier::MOST + 1] {
        assert!(share.barrier("none", parties).unwrap_err().is_limit());
    }
    assert_eq!(share.barrier("one", 1).unwrap().wait().wait().unwrap(), Side::Leader);
    let barrier = share.barrier("barrier", 3).unwrap();
    let come = share.number("come", 0_u32).unwrap();
    for round in 1..=50 {
        let mut sides: Vec<Side> = std::thread::scope(|scope| {
            let party = || {
                come.add(1);
                let side = barrier.wait().timeout(WATCHDOG).wait().unwrap();
                assert!(come.get() >= 3 * round);
                side
            };
            let threads = [(); 3].map(|()| scope.spawn(party));
            threads.map(|thread| thread.join().unwrap()).to_vec()
        });
        sides.sort();
        assert_eq!(sides, [Side::Follower, Side::Follower, Side::Leader]);
    }
    // One that gives up has not come.
    let first = Polled::pending(barrier.wait());
    assert!(barrier.wait().timeout(SHORT).wait().unwrap_err().is_timeout());
    drop(Polled::pending(barrier.wait()));
    let mut second = Polled::pending(barrier.wait());
    assert!(second.poll().is_none());
    assert_eq!(barrier.wait().wait().unwrap(), Side::Leader);
    assert_eq!(first.done().unwrap(), Side::Follower);
    assert_eq!(second.done().unwrap(), Side::Follower);
    add_up(&share);
}

/// Rows: SHA-59, SHA-62
#[test]
fn a_condition_is_waited_for_with_the_mutex_given_back() {
    let share = Share::new().unwrap();
    let (mutex, changed) = (share.mutex("mutex").unwrap(), share.condvar("changed").unwrap());
    let tokens = share.number("tokens", 0_u32).unwrap();
    let take = |count: u32| {
        let (mutex, changed, tokens) = (mutex.clone(), changed.clone(), tokens.clone());
        std::thread::spawn(move || {
            for _ in 0..count {
                let guard = mutex.lock().timeout(WATCHDOG).wait().unwrap();
                let look = tokens.clone();
                let waiting = changed.wait_while(guard, move || look.get() == 0);
                let guard = waiting.timeout(WATCHDOG).wait().unwrap();
                // It is held again: nobody else takes one now.
                assert!(tokens.get() > 0);
                tokens.sub(1);
                drop(guard);
            }
        })
    };
    let takers = [take(100), take(100)];
    for turn in 0..200 {
        let guard = mutex.lock().wait().unwrap();
        tokens.add(1);
        if turn % 3 == 0 {
            changed.notify_all().unwrap();
        } else {
            changed.notify_one().unwrap();
        }
        drop(guard);
    }
    takers.into_iter().for_each(|taker| taker.join().unwrap());
    assert_eq!(tokens.get(), 0);
    // A plain wait ends by one notice; with none at its limit, and then the mutex is not held.
    let guard = mutex.lock_owned().wait().unwrap();
    let waits = Polled::pending(changed.wait(guard));
    assert!(mutex.try_lock().unwrap().is_some());
    changed.notify_one().unwrap();
    drop(waits.done().unwrap());
    let guard = mutex.lock().wait().unwrap();
    let began = Instant::now();
    assert!(changed.wait(guard).timeout(SHORT).wait().unwrap_err().is_timeout());
    assert!(began.elapsed() >= SHORT);
    assert!(mutex.try_lock().unwrap().is_some());
    // What holds already is not waited for.
    let guard = mutex.lock().wait().unwrap();
    drop(changed.wait_while(guard, || false).wait().unwrap());
    add_up(&share);
}

/// Who was woken for a lock and gives up before it looks has another one woken.
///
/// Rows: SHA-59
#[test]
fn who_gives_up_a_wait_for_a_lock_forgets_nobody() {
    let share = Share::new().unwrap();
    let mutex = share.mutex("mutex").unwrap();
    let rwlock = share.rwlock("rwlock").unwrap();
    let semaphore = share.semaphore("semaphore", 1).unwrap();
    for round in 0..30 {
        let held = mutex.lock_owned().wait().unwrap();
        let mut waits = [(); 3].map(|()| Some(Polled::pending(mutex.lock_owned())));
        drop(held);
        waits[round % 3] = None;
        waits.into_iter().flatten().for_each(|wait| drop(wait.done().unwrap()));
        let held = rwlock.read_owned().wait().unwrap();
        let write = Polled::pending(rwlock.write_owned());
        let read = Polled::pending(rwlock.read_owned());
        // The writer that keeps the reader waiting is woken first, or is gone before that.
        if round % 2 == 0 {
            drop(held);
            drop(write);
        } else {
            drop(write);
            drop(held);
        }
        drop(read.done().unwrap());
        let held = semaphore.acquire_owned(1).wait().unwrap();
        let mut waits = [(); 3].map(|()| Some(Polled::pending(semaphore.acquire_owned(1))));
        drop(held);
        waits[round % 3] = None;
        waits.into_iter().flatten().for_each(|wait| drop(wait.done().unwrap()));
    }
    assert!(mutex.try_lock().unwrap().is_some() && rwlock.try_write().unwrap().is_some());
    assert_eq!(semaphore.available().unwrap(), 1);
    let guard = mutex.lock().wait().unwrap();
    assert!(mutex.lock_owned().timeout(SHORT).background().wait().is_err());
    drop(guard);
    drop(mutex.lock_owned().timeout(BEFORE_ANOTHER_LOOK).wait().unwrap());
    add_up(&share);
}
