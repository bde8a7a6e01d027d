//! What children do.

use std::process::ExitCode;

use rustix::process::Signal;
use sk_share::{Share, Shared, SharedBlob, SharedNumber, inherit, update_together};

use super::program::{Tried, WATCHDOG, spawn};

pub(crate) fn main(role: &str) -> ExitCode {
    if role != "grandchild" {
        rustix::process::set_parent_process_death_signal(Some(Signal::KILL)).unwrap();
    }
    std::thread::spawn(move || {
        std::thread::park_timeout(WATCHDOG);
        eprintln!("a child hangs");
        std::process::abort();
    });
    let result = match role {
        "count" => count(),
        "turns" => turns(),
        "connected" => connected(),
        "maker" => maker(),
        "grandchild" => grandchild(),
        "holds" => holds(),
        "writes_while_stopped" => writes_while_stopped(),
        "starts" => starts(),
        "stops_and_starts" => stops_and_starts(),
        "blobs" => blobs(),
        "changes" => changes(),
        "forks" => forks(),
        "keeps" => keeps(),
        "steps" => steps(),
        "changes_a_copy" => changes_a_copy(),
        "leaves_nothing" => leaves_nothing(),
        "limited_files" => super::limits::limited_files(),
        "limited_addresses" => super::limits::limited_addresses(),
        "limited_descriptors" => super::limits::limited_descriptors(),
        "waits" => super::waiting::waits(),
        "holds_locks" => super::waiting::holds_locks(),
        "pushes" => super::waiting::pushes(),
        "pops" => super::waiting::pops(),
        other => Err(format!("no role {other}").into()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{role}: {error}");
            ExitCode::FAILURE
        }
    }
}

fn count() -> Tried<()> {
    let (share, kid): (Share, u32) = inherit::receive()?;
    let mut number: SharedNumber<u32> = share.get_number("number")?;
    let value: Shared<u32> = share.get("value")?;
    let order: Shared<Vec<u32>> = share.get("order")?;
    #[expect(clippy::explicit_counter_loop, reason = "others count with it")]
    for turn in 0..10 {
        number += 1;
        value.update(|value| *value += 1)?;
        order.update(|order| order.push(kid * 100 + turn))?;
    }
    Ok(())
}

fn turns() -> Tried<()> {
    let (value, turn): (Shared<u32>, SharedNumber<u32>) = inherit::receive()?;
    for round in 0..200 {
        turn.wait_until(move |turn| turn == 2 * round + 1).timeout(WATCHDOG).wait()?;
        assert_eq!(value.get()?, 2 * round + 1);
        value.set(&(2 * round + 2))?;
        turn.add(1);
    }
    Ok(())
}

type Connected = (Vec<Option<(Share, SharedNumber<i64>)>>, Shared<(u8, String)>);

fn connected() -> Tried<()> {
    // What is made before does not keep it from its program.
    let own = Share::new()?;
    own.value("own", 1)?.set(&2)?;
    assert!(inherit::is_offered());
    let (sent, stats): Connected = inherit::receive()?;
    let shares: Vec<_> = sent.into_iter().flatten().collect();
    let [(one, hits_of_one), (two, hits_of_two)] = &shares[..] else {
        return Err("two shares".into());
    };
    assert_eq!(one, two);
    assert_eq!(own.get::<i32>("own")?.get()?, 2);
    hits_of_one.add(1);
    hits_of_two.add(1);
    assert_eq!(stats.get()?, (1, "one".to_owned()));
    stats.set(&(2, "two".to_owned()))?;
    one.value("from the child", "hello".to_owned())?;
    // A second time there is nothing to be had, and it says so.
    assert!(inherit::receive::<Share>().is_err());
    Ok(())
}

fn maker() -> Tried<()> {
    let board: Share = inherit::receive()?;
    let share = Share::new()?;
    share.value("text", "kept".to_owned())?;
    let _grandchild = spawn("grandchild", &(board, share))?;
    // It is killed before it could end its child.
    loop {
        std::thread::park();
    }
}

fn grandchild() -> Tried<()> {
    let (board, share): (Share, Share) = inherit::receive()?;
    let text: Shared<String> = share.get("text")?;
    let step: SharedNumber<u32> = board.get_number("step")?;
    step.set(1);
    step.wait_until(|step| step == 2).timeout(WATCHDOG).wait()?;
    text.update(|text| text.push_str(" and changed"))?;
    share.value("more", vec![0_u8; 100_000])?;
    board.value("said", text.get()?)?;
    step.set(3);
    Ok(())
}

fn holds() -> Tried<()> {
    let (value, started): (Shared<Vec<u64>>, SharedNumber<u32>) = inherit::receive()?;
    value.update(|value| {
        value.clear();
        started.set(1);
        loop {
            std::thread::park();
        }
    })?;
    Ok(())
}

fn writes_while_stopped() -> Tried<()> {
    let (value, number): (Shared<u32>, SharedNumber<u32>) = inherit::receive()?;
    value.set(&10)?;
    // On top of what waits, which nobody sees yet.
    value.update(|value| *value += 1)?;
    assert_eq!(value.get()?, 1);
    number.add(1);
    Ok(rustix::process::kill_process(rustix::process::getpid(), Signal::KILL)?)
}

/// Starts a share once it is stopped, and is killed before it is done.
fn starts() -> Tried<()> {
    let (share, stopped): (Share, SharedNumber<u32>) = inherit::receive()?;
    stopped.wait_until(|stopped| stopped == 1).timeout(WATCHDOG).wait()?;
    share.start()?;
    Err("it lives".into())
}

/// Stops, writes, and starts, until it is killed in one of these.
fn stops_and_starts() -> Tried<()> {
    let share: Share = inherit::receive()?;
    let (value, text) = (share.get::<u32>("value")?, share.get::<Vec<u8>>("text")?);
    let (list, queue) = (share.list::<Vec<u8>>("list")?, share.queue::<Vec<u8>>("queue", 1000)?);
    for turn in 1..=20_u32 {
        assert!(share.stop(WATCHDOG)?);
        let bytes = vec![u8::try_from(turn)?; 100 * turn as usize];
        value.set(&turn)?;
        text.set(&vec![0; 100])?;
        text.set(&bytes)?;
        list.push(&bytes)?;
        queue.push(&bytes).wait()?;
        share.start()?;
        assert_eq!((value.get()?, text.get()?), (turn, bytes));
    }
    Ok(())
}

fn blobs() -> Tried<()> {
    let (share, before): (Share, SharedBlob) = inherit::receive()?;
    let sum: SharedNumber<u64> = share.get_number("sum")?;
    let step: SharedNumber<u32> = share.get_number("step")?;
    sum.add(before.iter().map(|byte| u64::from(*byte)).sum());
    step.set(1);
    step.wait_until(|step| step == 2).timeout(WATCHDOG).wait()?;
    sum.add(share.get_blob("after")?.iter().map(|byte| u64::from(*byte)).sum());
    Ok(())
}

fn changes() -> Tried<()> {
    let value: Shared<u32> = inherit::receive()?;
    for _ in 0..100 {
        value.update(|value| *value += 1)?;
    }
    Ok(())
}

fn changes_a_copy() -> Tried<()> {
    let (share, board): (Share, Share) = inherit::receive()?;
    let value: Shared<Vec<u32>> = share.get("value")?;
    board.put("seen", &value.get()?)?;
    share.start()?;
    value.update(|value| value.push(7))?;
    board.put("made", &value.get()?)?;
    assert_eq!(share.list::<String>("list")?.to_vec()?, ["one"]);
    // Without any of them, it can make one of its own.
    drop((share, board, value));
    drop(Share::new()?.mutex("mutex")?.lock().wait()?);
    Ok(())
}

/// Alone in its process, so that its files and mappings can be counted.
fn leaves_nothing() -> Tried<()> {
    let count = || -> Tried<(usize, usize)> {
        let maps = std::fs::read_to_string("/proc/self/maps")?;
        let files = std::fs::read_dir("/proc/self/fd")?.count();
        Ok((files, maps.lines().filter(|line| line.contains("sk-")).count()))
    };
    let use_one = || -> Tried<()> {
        let share = Share::new()?;
        let value = share.value("value", vec![1_u8; 100_000])?;
        let blob = share.blob("blob", &[1; 100_000])?;
        let queue = share.queue::<u8>("queue", 1)?;
        let mut pop = Box::pin(queue.pop());
        assert!(futures::executor::block_on(futures::future::poll_immediate(&mut pop)).is_none());
        drop(pop);
        assert!(share.stop(WATCHDOG)?);
        drop(share);
        // As long as anybody has a handle.
        assert_eq!((value.get()?.len(), blob.len()), (100_000, 100_000));
        Ok(())
    };
    // The first one leaves what the process has for all: who lives, and a thread that sleeps for others.
    use_one()?;
    let before = count()?;
    for _ in 0..20 {
        use_one()?;
    }
    // A thread that slept for a task lets go of the memory when it wakes.
    let deadline = std::time::Instant::now() + WATCHDOG;
    let mut after = count()?;
    while after > before && std::time::Instant::now() < deadline {
        std::thread::yield_now();
        after = count()?;
    }
    assert!(after.0 <= before.0 && after.1 <= before.1, "{after:?} after {before:?}");
    Ok(())
}

fn keeps() -> Tried<()> {
    let (_held, step): (Shared<Vec<u8>>, SharedNumber<u32>) = inherit::receive()?;
    step.set(1);
    loop {
        std::thread::park();
    }
}

fn forks() -> Tried<()> {
    let share: Share = inherit::receive()?;
    let value = share.value("value", 1_u32)?;
    let held = share.value("held", 1_u32)?;
    let number = share.number("number", 1_u32)?;
    // In the middle of a change, whose lock the copy must not give back.
    let (status, before) = value.update(|value| {
        *value += 1;
        let before = share.stats().map(|stats| stats.names);
        let pid = super::fork();
        if pid == 0 {
            let is_refused =
                |error: Option<sk_share::Error>| error.is_some_and(|it| it.is_copied());
            let mut is_right = is_refused(held.get().err());
            is_right &= is_refused(held.set(&2).err());
            is_right &= is_refused(share.value("new", 0_u8).err());
            number.add(1);
            drop(held.clone());
            super::end_this_process(if is_right { 0 } else { 1 });
        }
        let pid = rustix::process::Pid::from_raw(pid);
        (rustix::process::waitpid(pid, rustix::process::WaitOptions::empty()), before)
    })?;
    let (_, status) = status?.ok_or("no copy ended")?;
    assert_eq!(status.exit_status(), Some(0));
    assert_eq!((value.get()?, held.get()?, number.get()), (2, 1, 2));
    assert_eq!(share.stats()?.names, before?);
    // A copy that goes on with the change commits nothing, and gives back neither its lock nor a mutex.
    let mutex = share.mutex("mutex")?;
    let guard = mutex.lock().wait()?;
    let version = value.version()?;
    let patient = value.within(std::time::Duration::from_millis(50));
    let changed = value.update(|value| {
        *value += 1;
        let pid = super::fork();
        if pid == 0 {
            return None;
        }
        let pid = rustix::process::Pid::from_raw(pid);
        let ended = rustix::process::waitpid(pid, rustix::process::WaitOptions::empty());
        let others = std::thread::spawn(move || patient.set(&9));
        Some((ended, others.join()))
    });
    // The closure gives nothing in the copy, whose change is refused.
    let Some((ended, others)) = changed.as_ref().ok().and_then(Option::as_ref) else {
        drop(guard);
        let is_refused = changed.is_err_and(|error| error.is_copied());
        super::end_this_process(if is_refused { 0 } else { 1 });
    };
    let ended = ended.as_ref().map_err(ToString::to_string)?.ok_or("no copy ended")?;
    assert_eq!(ended.1.exit_status(), Some(0));
    let others = others.as_ref().map_err(|_| "a thread panicked")?;
    assert!(others.as_ref().is_err_and(sk_share::Error::is_timeout), "{others:?}");
    assert_eq!((value.get()?, value.version()?), (3, version + 1));
    assert!(mutex.try_lock_owned()?.is_none());
    drop(guard);
    assert!(mutex.try_lock_owned()?.is_some());
    Ok(())
}

/// Changes two values in one step, and is killed before anybody is told.
fn steps() -> Tried<()> {
    let (one, two): (Shared<u32>, Shared<u32>) = inherit::receive()?;
    update_together((&one, &two), |(one, two)| {
        *one += 1;
        *two += 1;
    })?;
    Err("it lives".into())
}
