//! Waits of many tasks, and of those who wait for processes that die.

use std::time::Duration;

use futures::executor::block_on;
use futures::future::{join_all, poll_immediate};
use rustix::process::Signal;
use sk_share::{
    Share, SharedBarrier, SharedList, SharedMutex, SharedNumber, SharedQueue, SharedRwLock,
    SharedSemaphore, inherit,
};

use super::program::{Kid, Tried, WATCHDOG, spawn};

/// Rows: SHA-62
pub(crate) fn thousands_of_waits_cost_few_threads() -> Tried<()> {
    spawn("waits", &Share::new()?)?.succeeded()
}

fn threads() -> Tried<usize> {
    Ok(std::fs::read_dir("/proc/self/task")?.count())
}

/// Alone in its process, so that its threads can be counted.
pub(crate) fn waits() -> Tried<()> {
    const WAITS: usize = 2000;
    let share: Share = inherit::receive()?;
    let values = (0..WAITS)
        .map(|index| share.plain(&format!("value {index}"), 0_u32))
        .collect::<Result<Vec<_>, _>>()?;
    let before = threads()?;
    for round in 0..3 {
        let mut waits: Vec<_> = values
            .iter()
            .map(|value| Box::pin(value.wait_until(|value| *value == 1).timeout(WATCHDOG)))
            .collect();
        for wait in &mut waits {
            assert!(block_on(poll_immediate(wait)).is_none());
        }
        // One thread sleeps for 126 of them; the portable ones sleep for one each.
        let now = threads()?;
        let most = before + WAITS.div_ceil(126) + 1;
        assert!(now <= most || cfg!(sk_portable), "{now} threads after {before}");
        // Given up, they leave room for those who come next.
        if round == 0 {
            continue;
        }
        for value in &values {
            value.set(&1)?;
        }
        let woken = block_on(join_all(waits));
        for value in woken {
            assert_eq!(value?, 1);
        }
        for value in &values {
            value.set(&0)?;
        }
    }
    Ok(())
}

type Locks = (SharedMutex, SharedRwLock, SharedSemaphore, SharedBarrier, SharedNumber<u32>);

/// Rows: SHA-60
pub(crate) fn what_a_killed_process_held_is_free() -> Tried<()> {
    let share = Share::new()?;
    let step = share.number("step", 0)?;
    let locks: Locks = (
        share.mutex("mutex")?,
        share.rwlock("rwlock")?,
        share.semaphore("semaphore", 3)?,
        share.barrier("barrier", 2)?,
        step.clone(),
    );
    let (mutex, rwlock, semaphore, barrier, _) = &locks;
    for of_thread in [true, false] {
        step.set(0);
        let kid = spawn("holds_locks", &(locks.clone(), of_thread))?;
        step.wait_until(|step| step == 1).timeout(WATCHDOG).wait()?;
        assert!(mutex.try_lock()?.is_none() && rwlock.try_read()?.is_none());
        assert_eq!(semaphore.available()?, 1);
        // Those who block and those who poll.
        let waiter = {
            let mutex = mutex.clone();
            std::thread::spawn(move || {
                let mut guard = mutex.lock().timeout(WATCHDOG).wait()?;
                let was_abandoned = guard.was_abandoned();
                guard.repaired();
                Ok::<bool, sk_share::Error>(was_abandoned)
            })
        };
        let mut write = Box::pin(rwlock.write_owned().timeout(WATCHDOG));
        let mut acquire = Box::pin(semaphore.acquire_owned(3).timeout(WATCHDOG));
        assert!(block_on(poll_immediate(&mut write)).is_none());
        assert!(block_on(poll_immediate(&mut acquire)).is_none());
        kid.signal(Signal::KILL);
        assert!(waiter.join().map_err(|_| "the waiter panicked")??);
        let mut write = block_on(write)?;
        assert!(write.was_abandoned());
        write.repaired();
        assert_eq!(block_on(acquire)?.count(), 3);
        kid.was_killed()?;
        // It has not come to where two meet.
        let alone = barrier.wait().timeout(Duration::from_millis(50)).wait();
        assert!(alone.unwrap_err().is_timeout());
    }
    assert_eq!(semaphore.available()?, 3);
    assert!(!share.has_error());
    assert_eq!(share.check(None)?, [""; 0]);
    Ok(())
}

pub(crate) fn holds_locks() -> Tried<()> {
    let (locks, of_thread): (Locks, bool) = inherit::receive()?;
    let (mutex, rwlock, semaphore, barrier, step) = locks;
    let of_thread = of_thread
        .then(|| {
            Ok::<_, sk_share::Error>((
                mutex.lock().wait()?,
                rwlock.write().wait()?,
                semaphore.acquire(2).wait()?,
            ))
        })
        .transpose()?;
    let of_process = if of_thread.is_none() {
        Some((
            mutex.lock_owned().wait()?,
            rwlock.write_owned().wait()?,
            semaphore.acquire_owned(2).wait()?,
        ))
    } else {
        None
    };
    let mut meeting = Box::pin(barrier.wait());
    assert!(block_on(poll_immediate(&mut meeting)).is_none());
    step.set(1);
    loop {
        std::thread::park();
        std::hint::black_box((&of_thread, &of_process));
    }
}

/// Rows: SHA-62, SHA-68
pub(crate) fn a_wait_survives_the_death_of_others() -> Tried<()> {
    let share = Share::new()?;
    let value = share.value("value", 0_u32)?;
    let step = share.number("step", 0_u32)?;
    let queue = share.queue::<u32>("queue", 1)?;
    let waiter = {
        let value = value.clone();
        std::thread::spawn(move || value.wait_until(|value| *value == 1).timeout(WATCHDOG).wait())
    };
    let mut wait = Box::pin(value.wait_until(|value| *value == 1).timeout(WATCHDOG));
    let mut pop = Box::pin(queue.pop().timeout(WATCHDOG));
    for _ in 0..3 {
        assert!(block_on(poll_immediate(&mut wait)).is_none());
        assert!(block_on(poll_immediate(&mut pop)).is_none());
        step.set(0);
        let held = share.value("held", vec![1_u8])?;
        let kid = spawn("keeps", &(held, step.clone()))?;
        step.wait_until(|step| step == 1).timeout(WATCHDOG).wait()?;
        kid.signal(Signal::KILL);
        kid.was_killed()?;
    }
    assert!(!waiter.is_finished());
    value.set(&1)?;
    queue.push(&7).wait()?;
    assert_eq!(waiter.join().map_err(|_| "the waiter panicked")??, 1);
    assert_eq!(block_on(wait)?, 1);
    assert_eq!(block_on(pop)?, 7);
    Ok(())
}

type Jobs = (SharedQueue<(u64, u64)>, SharedList<(u64, u64)>, SharedNumber<u64>, SharedNumber<u32>);

/// Two that push and two that pop, of which one each is killed and comes again.
///
/// Rows: SHA-61, SHA-68
pub(crate) fn a_queue_loses_at_most_what_a_dead_one_was_about_to_get() -> Tried<()> {
    const LIVES: u64 = 10;
    let share = Share::new()?;
    let queue = share.queue::<(u64, u64)>("queue", 8)?;
    let got = share.list::<(u64, u64)>("got")?;
    let turns = share.number("turns", 0_u64)?;
    let end = share.number("end", 0_u32)?;
    let mut pushed = Vec::new();
    let mut start = |role: &str| -> Tried<Kid> {
        let acknowledged = share.number(&format!("pushed {}", pushed.len()), 0_u64)?;
        let jobs: Jobs = (queue.clone(), got.clone(), turns.clone(), end.clone());
        let kid = spawn(role, &(jobs, pushed.len() as u64, acknowledged.clone()))?;
        pushed.push(acknowledged);
        Ok(kid)
    };
    let (steady_pusher, steady_popper) = (start("pushes")?, start("pops")?);
    for life in 0..LIVES {
        let (pusher, popper) = (start("pushes")?, start("pops")?);
        let before = turns.get();
        turns.wait_until(move |turns| turns > before + 30 + life).timeout(WATCHDOG).wait()?;
        pusher.signal(Signal::KILL);
        popper.signal(Signal::KILL);
        pusher.was_killed()?;
        popper.was_killed()?;
    }
    end.set(1);
    steady_pusher.succeeded()?;
    end.set(2);
    // One that waits for an element is told by one; where there is no room, nobody does.
    queue.try_push(&(u64::MAX, 0))?;
    steady_popper.succeeded()?;
    let mut all = got.to_vec()?;
    while let Some(left) = queue.try_pop()? {
        all.push(left);
    }
    all.retain(|element| element.0 != u64::MAX);
    let count = all.len() as u64;
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len() as u64, count, "something came twice");
    let acknowledged: u64 = pushed.iter().map(SharedNumber::get).sum();
    // Each dead one that popped may have had one, each dead one that pushed may have pushed one more.
    assert!(
        (acknowledged - LIVES..=acknowledged + LIVES).contains(&count),
        "{count} came of {acknowledged}"
    );
    assert_eq!(share.check(None)?, [""; 0]);
    Ok(())
}

pub(crate) fn pushes() -> Tried<()> {
    let ((queue, _, turns, end), me, acknowledged): (Jobs, u64, SharedNumber<u64>) =
        inherit::receive()?;
    while end.get() == 0 {
        queue.push(&(me, acknowledged.get())).timeout(WATCHDOG).wait()?;
        acknowledged.add(1);
        turns.add(1);
    }
    Ok(())
}

pub(crate) fn pops() -> Tried<()> {
    let ((queue, got, _, end), ..): (Jobs, u64, SharedNumber<u64>) = inherit::receive()?;
    loop {
        got.push(&queue.pop().timeout(WATCHDOG).wait()?)?;
        if end.get() == 2 {
            return Ok(());
        }
    }
}
