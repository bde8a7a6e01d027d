//! Shares among real processes: what each sees of the others, and what is left when they die.
//!
//! The same program is parent and child.
//!
//! Unsafe is to fork, which safe code cannot. Its invariant: the copy uses what its only thread may, and ends by
//! `_exit`.
#![expect(unsafe_code, reason = "a test forks")]

mod child;
mod limits;
mod program;
mod waiting;

use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use libtest_mimic::{Arguments, Failed, Trial};
use rustix::process::Signal;
use sk_share::memory::Roster;
use sk_share::{ChangeKind, Share, Shared, SharedList, SharedQueue, update_together};

use program::{Kid, ROLE, Tried, WATCHDOG, spawn, start};

fn main() -> ExitCode {
    if let Ok(role) = std::env::var(ROLE) {
        return child::main(&role);
    }
    let mut trials = Vec::new();
    let mut add = |name: &str, test: fn() -> Tried<()>| {
        let test = move || test().map_err(|error| Failed::from(error.to_string()));
        trials.push(Trial::test(name, test));
    };
    add("ten_processes_count_to_a_hundred", ten_processes_count_to_a_hundred);
    add("a_write_is_seen_by_the_next_read_elsewhere", a_write_is_seen_by_the_next_read_elsewhere);
    add("a_share_arrives_connected", a_share_arrives_connected);
    add("a_share_outlives_its_maker", a_share_outlives_its_maker);
    add("a_stopped_writer_keeps_no_reader_waiting", a_stopped_writer_keeps_no_reader_waiting);
    add(
        "what_is_written_while_stopped_outlives_its_writer",
        what_is_written_while_stopped_outlives_its_writer,
    );
    if cfg!(not(sk_portable)) {
        // Files in the directory for temporary files have no names to be found by.
        add(
            "a_blob_is_found_by_name_in_another_process",
            a_blob_is_found_by_name_in_another_process,
        );
    }
    add(
        "a_waiter_hears_of_a_change_in_another_process",
        a_waiter_hears_of_a_change_in_another_process,
    );
    add("a_forked_copy_has_no_handles_but_numbers", a_forked_copy_has_no_handles_but_numbers);
    if cfg!(feature = "faults") {
        add(
            "who_watches_names_hears_of_a_step_of_the_dead",
            who_watches_names_hears_of_a_step_of_the_dead,
        );
        add("a_start_of_the_dead_is_ended_by_who_reads", a_start_of_the_dead_is_ended_by_who_reads);
        add("a_start_of_the_dead_is_ended_by_who_waits", a_start_of_the_dead_is_ended_by_who_waits);
        add(
            "who_dies_at_any_step_of_a_stop_or_start_loses_nothing",
            who_dies_at_any_step_of_a_stop_or_start_loses_nothing,
        );
    }
    add("what_a_dead_process_held_is_given_back", what_a_dead_process_held_is_given_back);
    add("what_a_dead_process_held_is_room_for_others", what_a_dead_process_held_is_room_for_others);
    add(
        "a_limit_of_files_is_an_error_and_loses_nothing",
        limits::a_limit_of_files_is_an_error_and_loses_nothing,
    );
    add(
        "a_limit_of_addresses_is_an_error_and_loses_nothing",
        limits::a_limit_of_addresses_is_an_error_and_loses_nothing,
    );
    add(
        "a_limit_of_descriptors_is_an_error_and_loses_nothing",
        limits::a_limit_of_descriptors_is_an_error_and_loses_nothing,
    );
    add("thousands_of_waits_cost_few_threads", waiting::thousands_of_waits_cost_few_threads);
    add("a_stopped_share_arrives_as_a_copy", a_stopped_share_arrives_as_a_copy);
    add("a_share_leaves_nothing_behind", a_share_leaves_nothing_behind);
    add("what_a_killed_process_held_is_free", waiting::what_a_killed_process_held_is_free);
    add("a_wait_survives_the_death_of_others", waiting::a_wait_survives_the_death_of_others);
    add(
        "a_queue_loses_at_most_what_a_dead_one_was_about_to_get",
        waiting::a_queue_loses_at_most_what_a_dead_one_was_about_to_get,
    );
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

/// Rows: SHA-06, SHA-07
fn ten_processes_count_to_a_hundred() -> Tried<()> {
    let share = Share::new()?;
    let number = share.number("number", 0_u32)?;
    let value = share.value("value", 0_u32)?;
    let order = share.value("order", Vec::<u32>::new())?;
    let kids = (0..10)
        .map(|kid: u32| spawn("count", &(share.clone(), kid)))
        .collect::<Tried<Vec<Kid>>>()?;
    for kid in kids {
        kid.succeeded()?;
    }
    assert_eq!(number.get(), 100);
    assert_eq!(value.get()?, 100);
    // All writes in one order, in which each process finds its own as it made them.
    let order = order.get()?;
    assert_eq!(order.len(), 100);
    for kid in 0..10 {
        let of_kid: Vec<u32> = order.iter().filter(|entry| **entry / 100 == kid).copied().collect();
        assert!(of_kid.is_sorted() && of_kid.len() == 10, "{of_kid:?}");
    }
    Ok(())
}

/// Rows: SHA-50
fn a_stopped_share_arrives_as_a_copy() -> Tried<()> {
    let (share, board) = (Share::new()?, Share::new()?);
    let value = share.value("value", vec![1_u32])?;
    let list = share.list::<String>("list")?;
    list.push(&"one".to_owned())?;
    assert!(share.stop(WATCHDOG)?);
    value.set(&vec![2])?;
    let kid = spawn("changes_a_copy", &(share.clone(), board.clone()))?;
    kid.succeeded()?;
    share.start()?;
    assert_eq!((value.get()?, list.to_vec()?), (vec![2], vec!["one".to_owned()]));
    // What it had then, and what it made of that.
    assert_eq!(board.get::<Vec<u32>>("seen")?.get()?, [1]);
    assert_eq!(board.get::<Vec<u32>>("made")?.get()?, [1, 7]);
    // Running it arrives as what it is.
    let kid = spawn("changes_a_copy", &(share.clone(), board))?;
    kid.succeeded()?;
    assert_eq!(value.get()?, [2, 7]);
    Ok(())
}

/// Rows: SHA-15
fn a_share_leaves_nothing_behind() -> Tried<()> {
    spawn("leaves_nothing", &())?.succeeded()
}

/// Two processes in turn: each adds one to what the other has just written.
///
/// Rows: SHA-05, SHA-08
fn a_write_is_seen_by_the_next_read_elsewhere() -> Tried<()> {
    let share = Share::new()?;
    let value = share.value("value", 0_u32)?;
    let turn = share.number("turn", 0_u32)?;
    let kid = spawn("turns", &(value.clone(), turn.clone()))?;
    for round in 0..200 {
        turn.wait_until(move |turn| turn == 2 * round).timeout(WATCHDOG).wait()?;
        assert_eq!(value.get()?, 2 * round);
        value.set(&(2 * round + 1))?;
        turn.add(1);
    }
    kid.succeeded()?;
    assert_eq!(value.get()?, 400);
    Ok(())
}

/// Rows: SHA-51, CER-44
fn a_share_arrives_connected() -> Tried<()> {
    let share = Share::new()?;
    let stats = share.value("stats", (1_u8, "one".to_owned()))?;
    let hits = share.number("hits", 1_i64)?;
    // Twice, inside other values, beside handles of the same.
    let sent = vec![Some((share.clone(), hits.clone())), None, Some((share.clone(), hits.clone()))];
    spawn("connected", &(sent, stats.clone()))?.succeeded()?;
    assert_eq!(stats.get()?, (2, "two".to_owned()));
    assert_eq!(hits.get(), 3);
    assert_eq!(share.get::<String>("from the child")?.get()?, "hello");
    Ok(())
}

/// The child makes the share, hands it to a grandchild, and dies; the grandchild goes on with it.
///
/// Rows: SHA-09
fn a_share_outlives_its_maker() -> Tried<()> {
    let board = Share::new()?;
    let step = board.number("step", 0_u32)?;
    let kid = spawn("maker", &board)?;
    step.wait_until(|step| step >= 1).timeout(WATCHDOG).wait()?;
    kid.signal(Signal::KILL);
    kid.was_killed()?;
    step.set(2);
    // The grandchild belongs to nobody now; it says when it is done.
    step.wait_until(|step| step >= 3).timeout(WATCHDOG).wait()?;
    assert_eq!(board.get::<String>("said")?.get()?, "kept and changed");
    Ok(())
}

/// Rows: SHA-68
fn a_stopped_writer_keeps_no_reader_waiting() -> Tried<()> {
    let share = Share::new()?;
    let value = share.value("value", vec![0_u64; 4])?;
    let started = share.number("started", 0_u32)?;
    let kid = spawn("holds", &(value.clone(), started.clone()))?;
    started.wait_until(|started| started == 1).timeout(WATCHDOG).wait()?;
    kid.signal(Signal::STOP);
    // It is within an update now, and stays there.
    assert_eq!(value.get()?, vec![0; 4]);
    let patient = value.within(Duration::from_millis(50));
    let began = Instant::now();
    let error = patient.set(&vec![1]).unwrap_err();
    assert!(error.is_timeout(), "{error}");
    assert!(began.elapsed() >= Duration::from_millis(50));
    assert_eq!(patient.get()?, vec![0; 4]);
    // Dead, it is waited for no longer, and has changed nothing.
    kid.signal(Signal::KILL);
    value.update(|value| value.push(7))?;
    assert_eq!(value.get()?, vec![0, 0, 0, 0, 7]);
    kid.was_killed().map(|_| ())
}

/// Rows: SHA-18
fn what_is_written_while_stopped_outlives_its_writer() -> Tried<()> {
    let share = Share::new()?;
    let value = share.value("value", 1_u32)?;
    let number = share.number("number", 1_u32)?;
    assert!(share.stop(Duration::from_secs(5))?);
    spawn("writes_while_stopped", &(value.clone(), number.clone()))?.was_killed()?;
    assert_eq!((value.get()?, number.get()), (1, 2));
    share.start()?;
    assert_eq!((value.get()?, number.get()), (11, 2));
    assert_eq!(share.check(None)?, [""; 0]);
    Ok(())
}

/// Rows: SHA-17, SHA-18
fn a_start_of_the_dead_is_ended_by_who_reads() -> Tried<()> {
    type Read = fn(&(Shared<u32>, SharedList<u32>, SharedQueue<u32>)) -> Tried<u64>;
    let reads: [(&str, Read); 5] = [
        ("get", |(value, _, _)| Ok(value.get()?.into())),
        ("len of a list", |(_, list, _)| Ok(list.len()?)),
        ("len of a queue", |(_, _, queue)| Ok(queue.len()?)),
        ("peek", |(_, _, queue)| Ok(queue.peek()?.unwrap_or(0).into())),
        ("pop", |(_, _, queue)| Ok(queue.pop().timeout(WATCHDOG).wait()?.into())),
    ];
    // With all that waits, with some of it, and with nothing left to be published.
    let points = ["share.starting", "value.published", "share.published", "share.published:3"];
    for point in points.into_iter().chain(["value.published:2", "share.started"]) {
        for (what, read) in reads {
            let share = Share::new()?;
            let objects = (share.value("value", 1)?, share.list("list")?, share.queue("queue", 4)?);
            let other = share.value("other", 1_u32)?;
            let stopped = share.number("stopped", 0_u32)?;
            // Before the stop: a share that is stopped would travel as a copy.
            let mut command = Command::new("/proc/self/exe");
            command.env("SK_FAULT", point);
            let kid = start("starts", &(share.clone(), stopped.clone()), &mut command)?;
            assert!(share.stop(WATCHDOG)?);
            objects.0.set(&2)?;
            objects.1.extend(&[1, 2])?;
            objects.2.push(&2).wait()?;
            objects.2.push(&2).wait()?;
            other.set(&2)?;
            stopped.set(1);
            // Who reads does not wait until the death is noticed, which may take a moment.
            is_noticed(kid.was_killed()?)?;
            assert!(share.is_running()?);
            assert_eq!(read(&objects)?, 2, "{what} after {point}");
            // One reader, and all is as after any start.
            assert_eq!(share.stats()?.pending, 0, "{what} after {point}");
            assert_eq!(other.version()?, 2, "{what} after {point}");
            assert_eq!(share.check(None)?, [""; 0]);
        }
    }
    Ok(())
}

/// Waits until this process has noticed the death of that one.
fn is_noticed(process: u32) -> Tried<()> {
    let roster = Roster::current()?;
    let begin = Instant::now();
    while roster.members()?.iter().any(|member| roster.process_id(*member) == Some(process)) {
        assert!(begin.elapsed() < WATCHDOG, "{:?} are there", roster.members()?);
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}

/// The steps of a process that stops a share, writes to it and starts it.
const STEPS: [&str; 27] = [
    "share.stopped",
    "share.starting",
    "share.published",
    "share.started",
    "value.pending",
    "value.waits",
    "value.published",
    "flip.begun",
    "flip.begin",
    "flip.filled",
    "flip.described",
    "flip.committed",
    "flip.woken",
    "arena.reserve.found",
    "arena.reserve.marked",
    "arena.link.filled",
    "arena.link.linked",
    "arena.record.left",
    "arena.release.unlinked",
    "unlock.give",
    "lock.take",
    "list.publish.begin",
    "list.publish.committed",
    "queue.publish.begin",
    "queue.publish.committed",
    "directory.unpinned",
    "arena.settle.freed",
];

/// Rows: SHA-17, SHA-18, SHA-68
fn who_dies_at_any_step_of_a_stop_or_start_loses_nothing() -> Tried<()> {
    for step in STEPS {
        let mut killed = 0;
        for pass in [1, 2, 3, 5, 8, 13, 21, 34, 55] {
            let share = Share::new()?;
            let (value, text) = (share.value("value", 0_u32)?, share.value("text", vec![])?);
            let (list, queue) = (share.list::<Vec<u8>>("list")?, share.queue("queue", 1000)?);
            let mut command = Command::new("/proc/self/exe");
            command.env("SK_FAULT", format!("{step}:{pass}"));
            let kid = start("stops_and_starts", &share, &mut command)?;
            killed += u32::from(kid.was_killed().is_ok());
            let what = |error: sk_share::Error| format!("{step}:{pass}: {error}");
            share.start().map_err(what)?;
            let turn = value.get().map_err(what)?;
            let text: Vec<u8> = text.get().map_err(what)?;
            let (list, mut queued) = (list.to_vec().map_err(what)?, Vec::new());
            while let Some(element) = queue.try_pop().map_err(what)? {
                let element: Vec<u8> = element;
                queued.push(element);
            }
            // Each is written after the one before it.
            let of = |turn: u32| vec![turn.to_le_bytes()[0]; 100 * turn as usize];
            let before = turn.saturating_sub(1);
            let is_one = text == of(turn) || text == of(before) || text == vec![0; 100];
            assert!(is_one, "{step}:{pass}: {text:?} at {turn}");
            for all in [list, queued] {
                let count = u32::try_from(all.len())?;
                assert!((before..=turn).contains(&count), "{step}:{pass}: {count} at {turn}");
                assert!(all.into_iter().eq((1..=count).map(of)), "{step}:{pass}");
            }
            assert_eq!(share.error()?, None, "{step}:{pass}");
            assert_eq!(share.check(None)?, [""; 0], "{step}:{pass}");
            assert!(share.stop(WATCHDOG)?);
            value.set(&1000)?;
            share.start()?;
            assert_eq!(value.get()?, 1000);
        }
        assert!(killed >= 3, "nobody came to {step} often enough: {killed}");
    }
    Ok(())
}

/// Rows: SHA-17, SHA-53, SHA-62
fn a_start_of_the_dead_is_ended_by_who_waits() -> Tried<()> {
    use futures::{executor::block_on, future::poll_immediate};

    for point in ["share.starting", "value.published", "share.published", "share.published:2"] {
        for waits in 0..3 {
            let share = Share::new()?;
            let (value, other) = (share.value("value", 1_u32)?, share.value("other", 1_u32)?);
            let stopped = share.number("stopped", 0_u32)?;
            // Before the stop: a share that is stopped would travel as a copy.
            let mut command = Command::new("/proc/self/exe");
            command.env("SK_FAULT", point);
            let kid = start("starts", &(share.clone(), stopped.clone()), &mut command)?;
            assert!(share.stop(WATCHDOG)?);
            value.set(&2)?;
            other.set(&2)?;
            // Each is asleep before the start.
            match waits {
                0 => {
                    let mut waits = value.wait_until(|value| *value == 2).timeout(WATCHDOG);
                    assert!(block_on(poll_immediate(&mut waits)).is_none());
                    stopped.set(1);
                    kid.was_killed()?;
                    block_on(waits).map_err(|error| format!("{point}: {error}"))?;
                }
                1 => {
                    let mut watch = value.watch()?;
                    let mut waits = watch.changed().timeout(WATCHDOG);
                    assert!(block_on(poll_immediate(&mut waits)).is_none());
                    stopped.set(1);
                    kid.was_killed()?;
                    let seen = block_on(waits).map_err(|error| format!("{point}: {error}"))?;
                    assert_eq!(seen, (2, 2), "{point}");
                }
                _ => {
                    let mut watch = share.watch("value")?;
                    let mut waits = watch.changed().timeout(WATCHDOG);
                    assert!(block_on(poll_immediate(&mut waits)).is_none());
                    stopped.set(1);
                    kid.was_killed()?;
                    let seen = block_on(waits).map_err(|error| format!("{point}: {error}"))?;
                    assert_eq!(seen.what, ChangeKind::Changed, "{point}");
                }
            }
        }
    }
    Ok(())
}

/// Rows: SHA-63, CER-44
fn a_blob_is_found_by_name_in_another_process() -> Tried<()> {
    let share = Share::new()?;
    let bytes: Vec<u8> = (0..100_000_u32).map(|number| number.to_le_bytes()[0]).collect();
    let sum: u64 = bytes.iter().map(|byte| u64::from(*byte)).sum();
    let before = share.blob("before", &bytes)?;
    let added = share.number("sum", 0_u64)?;
    let step = share.number("step", 0_u32)?;
    let kid = spawn("blobs", &(share.clone(), before))?;
    step.wait_until(|step| step == 1).timeout(WATCHDOG).wait()?;
    // It was made after the child got the share, so that its descriptor did not travel.
    let after = share.blob("after", &bytes)?;
    step.set(2);
    kid.succeeded()?;
    drop(after);
    assert_eq!(added.get(), 2 * sum);
    Ok(())
}

/// Rows: SHA-53, SHA-62
fn a_waiter_hears_of_a_change_in_another_process() -> Tried<()> {
    let share = Share::new()?;
    let value: Shared<u32> = share.value("value", 0)?;
    let kid = spawn("changes", &value)?;
    let mut changes = value.watch_from(0);
    let mut last = (None, 0);
    while last.0 != Some(100) {
        let (seen, version) = changes.changed().timeout(WATCHDOG).wait()?;
        assert!(Some(seen) > last.0 && version > last.1, "{seen} at {version} after {last:?}");
        last = (Some(seen), version);
    }
    kid.succeeded()
}

fn a_forked_copy_has_no_handles_but_numbers() -> Tried<()> {
    spawn("forks", &Share::new()?)?.succeeded()
}

/// Killed between the commit of several values and the first notice, it has told nobody.
///
/// Rows: SHA-53, SHA-58
fn who_watches_names_hears_of_a_step_of_the_dead() -> Tried<()> {
    let share = Share::new()?;
    let (one, two) = (share.value("one", 1_u32)?, share.value("two", 1_u32)?);
    let mut changes = share.watch("one")?;
    let mut command = Command::new("/proc/self/exe");
    command.env("SK_FAULT", "transaction.committed");
    start("steps", &(one.clone(), two.clone()), &mut command)?.was_killed()?;
    let change = changes.changed().timeout(WATCHDOG).wait()?;
    assert_eq!((change.name.as_str(), change.what), ("one", ChangeKind::Changed));
    assert_eq!((one.get()?, two.get()?), (2, 2));
    Ok(())
}

/// What a process that was killed had of removed objects is freed.
///
/// Rows: SHA-49
fn what_a_dead_process_held_is_given_back() -> Tried<()> {
    let share = Share::new()?;
    let step = share.number("step", 0_u32)?;
    let held = share.value("held", vec![1_u8; 10_000])?;
    let kid = spawn("keeps", &(held.clone(), step.clone()))?;
    step.wait_until(|step| step == 1).timeout(WATCHDOG).wait()?;
    drop(held);
    assert!(share.remove("held")?);
    let before = share.stats()?;
    assert_eq!(before.detached, 1);
    kid.signal(Signal::KILL);
    kid.was_killed()?;
    let after = share.stats()?;
    assert_eq!(after.detached, 0);
    assert!(after.used_bytes + 10_000 <= before.used_bytes, "{after:?} after {before:?}");
    assert_eq!(share.check(None)?, [""; 0]);
    Ok(())
}

/// Also without a call for that, where there is no other room.
///
/// Rows: SHA-49
fn what_a_dead_process_held_is_room_for_others() -> Tried<()> {
    type Write = fn(&Share, Vec<u8>) -> Tried<()>;
    let writes: [(&str, Write); 8] = [
        ("set", |share, bytes| Ok(share.get("value")?.set(&bytes).map(|_| ())?)),
        ("update", |share, bytes| Ok(share.get("value")?.update(|value| *value = bytes)?)),
        ("set while stopped", |share, bytes| {
            let value: Shared<Vec<u8>> = share.get("value")?;
            assert!(share.stop(WATCHDOG)?);
            value.set(&bytes[bytes.len() / 2..].to_vec())?;
            Ok(share.start()?)
        }),
        ("update together", |share, bytes| {
            let value: Shared<Vec<u8>> = share.get("value")?;
            Ok(update_together((&value,), |(value,)| *value = bytes)?)
        }),
        ("push to a list", |share, bytes| Ok(share.list("list")?.push(&bytes).map(|_| ())?)),
        ("set in a list", |share, bytes| Ok(share.list("list")?.set(0, &bytes).map(|_| ())?)),
        ("push to a queue", |share, bytes| Ok(share.queue("queue", 4)?.push(&bytes).wait()?)),
        ("try to push", |share, bytes| {
            Ok(share.queue("queue", 4)?.try_push(&bytes).map(|_| ())?)
        }),
    ];
    for (what, write) in writes {
        let share = Share::builder().limit_bytes(4 << 20).create()?;
        share.value("value", vec![1_u8])?;
        share.list("list")?.push(&vec![1_u8])?;
        share.queue::<Vec<u8>>("queue", 4)?;
        let held = share.value("held", vec![1_u8; 2 << 20])?;
        let step = share.number("step", 0_u32)?;
        let kid = spawn("keeps", &(held.clone(), step.clone()))?;
        step.wait_until(|step| step == 1).timeout(WATCHDOG).wait()?;
        drop(held);
        assert!(share.remove("held")?);
        let bytes = vec![2_u8; 2 << 20];
        let error = write(&share, bytes.clone()).unwrap_err();
        assert!(error.downcast_ref().is_some_and(sk_share::Error::is_limit), "{what}: {error}");
        if !share.is_running()? {
            share.start()?;
        }
        kid.signal(Signal::KILL);
        kid.was_killed()?;
        write(&share, bytes).map_err(|error| format!("{what}: {error}"))?;
        assert_eq!(share.check(None)?, [""; 0], "{what}");
    }
    Ok(())
}

fn fork() -> i32 {
    // SAFETY: the copy uses what its only thread may, and ends by `_exit`.
    unsafe { libc::fork() }
}

fn end_this_process(code: i32) -> ! {
    // SAFETY: it runs no destructor and does not return.
    unsafe { libc::_exit(code) }
}
