//! Limits that the system has for a process, and what a process is left with.

use std::thread;
use std::time::Duration;

use futures::executor::block_on;
use futures::future::{join_all, poll_immediate};
use rustix::process::{Resource, getrlimit, setrlimit};
use sk_pipe::share::{Share, SharedNumber, inherit};
use sk_pipe::{Error, Point, builder, pair};

use super::program::{Lives, SOON, Tried, WATCHDOG, spawn};

fn limit(resource: Resource, to: Option<u64>) -> Tried<()> {
    let mut limit = getrlimit(resource);
    limit.current = to;
    Ok(setrlimit(resource, limit)?)
}

#[track_caller]
fn is_limit<T>(result: Result<T, Error>) {
    let error = result.err().expect("it meets a limit");
    assert!(error.is_limit(), "{error}");
}

type Message = (u32, Vec<Point<u32, u32>>);

/// Rows: PIPE-32
pub(crate) fn a_limit_of_descriptors_is_an_error_and_loses_nothing() -> Tried<()> {
    let (mut anchor, point) = pair::<Message, u32>()?;
    let kid = spawn("limited_descriptors", &point)?;
    drop(point);
    // It says when it is out of them.
    assert_eq!(anchor.recv_timeout(WATCHDOG)?, 1);
    let (mut inner, moving) = pair::<u32, u32>()?;
    anchor.send(&(1, vec![])).wait()?;
    anchor.send(&(2, vec![moving])).wait()?;
    anchor.send(&(3, vec![])).wait()?;
    inner.send(&7).wait()?;
    assert_eq!(inner.recv_timeout(WATCHDOG)?, 8);
    kid.succeeded()?;
    assert!(inner.recv_timeout(WATCHDOG).unwrap_err().is_closed());
    Ok(())
}

pub(crate) fn limited_descriptors() -> Tried<()> {
    let mut point: Point<u32, Message> = inherit::receive()?;
    let (mut anchor_here, mut point_here) = pair::<u32, u32>()?;
    let (_other, moving) = pair::<u32, u32>()?;
    // What is new in the process when an end is used here for the first time.
    let before = getrlimit(Resource::Nofile).current;
    limit(Resource::Nofile, Some(64))?;
    let mut files = Vec::new();
    while let Ok(file) = std::fs::File::open("/dev/null") {
        files.push(file);
    }
    is_limit(pair::<u32, u32>());
    is_limit(builder().capacity(1 << 20).pair::<u32, u32>());
    let passed = inherit::pass(&mut std::process::Command::new("true"), &moving);
    assert!(passed.is_err_and(|error| error.is_limit()));
    // To use an end takes none.
    anchor_here.send(&1).wait()?;
    assert_eq!(point_here.recv().wait()?, 1);
    point.send(&1).wait()?;
    // A message that brings nothing arrives, and what brings something stays until there is room for it.
    assert_eq!(point.recv().timeout(WATCHDOG).wait()?.0, 1);
    for _ in 0..3 {
        is_limit(point.recv().timeout(WATCHDOG).wait());
        is_limit(point.try_recv());
    }
    assert!(point.poll(Duration::ZERO)?);
    // Room for one of the two that it needs.
    files.pop();
    is_limit(point.recv().timeout(WATCHDOG).wait());
    drop(files);
    let (number, mut points) = point.recv().timeout(WATCHDOG).wait()?;
    assert_eq!(number, 2);
    let inner = points.first_mut().ok_or("no point")?;
    let number = inner.recv().timeout(WATCHDOG).wait()?;
    inner.send(&(number + 1)).wait()?;
    assert_eq!(point.recv().timeout(WATCHDOG).wait()?.0, 3);
    limit(Resource::Nofile, before)
}

/// Rows: PIPE-32
pub(crate) fn a_limit_of_addresses_is_an_error_and_loses_nothing() -> Tried<()> {
    // The allocator of the address sanitizer takes terabytes of addresses, and ends the process where one is refused.
    if std::env::var_os("ASAN_OPTIONS").is_some() {
        return Ok(());
    }
    let (mut anchor, point) = pair::<u32, u32>()?;
    let kid = spawn("limited_addresses", &point)?;
    drop(point);
    for number in 0..100 {
        anchor.send(&number).wait()?;
        assert_eq!(anchor.recv_timeout(WATCHDOG)?, number);
    }
    kid.succeeded()
}

pub(crate) fn limited_addresses() -> Tried<()> {
    let mut point: Point<u32, u32> = inherit::receive()?;
    let before = getrlimit(Resource::As).current;
    let pages = std::fs::read_to_string("/proc/self/statm")?;
    let used: u64 = pages.split_whitespace().next().ok_or("no count of pages")?.parse()?;
    limit(Resource::As, Some(used * 4096 + (64 << 20)))?;
    is_limit(builder().capacity(1 << 28).pair::<u32, u32>());
    // There is room for small ones.
    let (mut anchor, mut here) = pair::<Vec<u8>, Vec<u8>>()?;
    anchor.send(&vec![1; 100]).wait()?;
    assert_eq!(here.recv().wait()?.len(), 100);
    limit(Resource::As, before)?;
    // A message for which there is no memory, though its first frames have come: it can still be received.
    let (mut large, mut there) = pair::<sk_pipe::Raw, sk_pipe::Raw>()?;
    let bytes = vec![1_u8; 96 << 20];
    thread::scope(|scope| -> Tried<()> {
        let sending = scope.spawn(|| {
            large.send_bytes(&[]).wait()?;
            large.send_bytes(&bytes).timeout(WATCHDOG).wait()
        });
        // That thread has all it needs.
        let mut to = Vec::new();
        there.recv_bytes(&mut to).timeout(WATCHDOG).wait()?;
        let pages = std::fs::read_to_string("/proc/self/statm")?;
        let used: u64 = pages.split_whitespace().next().ok_or("no count of pages")?.parse()?;
        limit(Resource::As, Some(used * 4096 + (32 << 20)))?;
        is_limit(there.poll(WATCHDOG));
        is_limit(there.recv_bytes(&mut to).timeout(WATCHDOG).wait());
        is_limit(there.recv_bytes(&mut to).timeout(WATCHDOG).wait());
        limit(Resource::As, before)?;
        assert_eq!(there.recv_bytes(&mut to).timeout(WATCHDOG).wait()?, bytes.len());
        assert!(to == bytes);
        Ok(sending.join().map_err(|_| "the sender panicked")??)
    })?;
    for number in 0..100 {
        assert_eq!(point.recv().timeout(WATCHDOG).wait()?, number);
        point.send(&number).wait()?;
    }
    Ok(())
}

fn count_of(folder: &str) -> Tried<usize> {
    Ok(std::fs::read_dir(folder)?.count())
}

/// Rows: PIPE-31
pub(crate) fn thousands_of_pipes_cost_few_descriptors_and_no_threads() -> Tried<()> {
    spawn("has_thousands", &())?.succeeded()
}

/// Alone in its process, so that its descriptors and threads can be counted.
pub(crate) fn has_thousands() -> Tried<()> {
    const PIPES: usize = 2000;
    let make = || builder().capacity(4096).pair::<u32, u32>();
    // What the process has for all: who lives, and a thread for tasks.
    let (mut anchor, _point) = make()?;
    let mut receive = Box::pin(anchor.recv());
    assert!(block_on(poll_immediate(&mut receive)).is_none());
    let (files, threads) = (count_of("/proc/self/fd")?, count_of("/proc/self/task")?);
    let mut anchors = Vec::new();
    let mut points = Vec::new();
    for _ in 0..PIPES {
        let (anchor, point) = make()?;
        anchors.push(anchor);
        points.push(point);
    }
    let more = count_of("/proc/self/fd")? - files;
    assert!(more <= 4 * PIPES, "{more} descriptors for {PIPES} pipes");
    for round in 0..3 {
        let mut receives: Vec<_> =
            anchors.iter_mut().map(|anchor| Box::pin(anchor.recv())).collect();
        for receive in &mut receives {
            assert!(block_on(poll_immediate(receive)).is_none());
        }
        // One more may hear of deaths for all.
        let now = count_of("/proc/self/task")?;
        assert!(now <= threads + 1, "{now} threads after {threads}");
        for (number, point) in (0..).zip(&mut points) {
            point.send(&(number + round)).wait()?;
        }
        for (number, received) in (0..).zip(block_on(join_all(receives))) {
            assert_eq!(received?, number + round);
        }
    }
    // All of them in one wait for the end.
    let receives = anchors.iter_mut().map(|anchor| anchor.recv());
    drop(points);
    for received in block_on(join_all(receives)) {
        assert!(received.unwrap_err().is_closed());
    }
    drop(anchors);
    assert_eq!(count_of("/proc/self/fd")?, files);
    Ok(())
}

/// Rows: PIPE-38
pub(crate) fn an_idle_pipe_uses_no_processor() -> Tried<()> {
    let (anchor, point) = pair::<u32, u32>()?;
    let kid = spawn("idles", &point)?;
    drop(point);
    thread::sleep(SOON);
    kid_is_idle(&kid)?;
    drop(anchor);
    kid.succeeded()
}

/// Two threads wait for both, and a task for one more.
pub(crate) fn idles() -> Tried<()> {
    let mut point: Point<u32, u32> = inherit::receive()?;
    let (mut full, mut other) = builder().capacity(4096).pair::<u32, u32>()?;
    while full.try_send(&1)? {}
    thread::scope(|scope| {
        let sends = scope.spawn(move || while full.send(&1).wait().is_ok() {});
        let mut receive = Box::pin(other.receiver()?.recv());
        let _ = block_on(poll_immediate(&mut receive));
        drop(receive);
        let (mut empty, empty_point) = pair::<u32, u32>()?;
        let waits = scope.spawn(move || block_on(empty.recv()).map_err(|error| error.is_closed()));
        let ended = point.recv().timeout(WATCHDOG).wait().unwrap_err();
        assert!(ended.is_closed(), "{ended}");
        drop((other, empty_point));
        assert!(sends.join().is_ok() && waits.join().is_ok());
        Ok(())
    })
}

/// In a second its threads have used next to nothing of a processor.
fn kid_is_idle(kid: &super::program::Kid) -> Tried<()> {
    let ticks = || -> Tried<u64> {
        let text = std::fs::read_to_string(format!("/proc/{}/stat", kid.process()))?;
        let (_, rest) = text.rsplit_once(')').ok_or("no name")?;
        let fields: Vec<&str> = rest.split_whitespace().collect();
        Ok(fields[11].parse::<u64>()? + fields[12].parse::<u64>()?)
    };
    // Once it has come to its waits.
    let mut before = ticks()?;
    for _ in 0..20 {
        thread::sleep(Duration::from_millis(200));
        let now = ticks()?;
        if std::mem::replace(&mut before, now) == now {
            break;
        }
    }
    thread::sleep(Duration::from_secs(1));
    let used = ticks()? - before;
    // A tick is 10 ms.
    if used <= 1 { Ok(()) } else { Err(format!("{used} ticks").into()) }
}

/// Rows: PIPE-38
pub(crate) fn a_pipe_leaves_nothing_behind() -> Tried<()> {
    spawn("leaves_nothing", &())?.succeeded()
}

/// What a process has: descriptors, mappings of ours, children, files of ours that have names.
fn possessions() -> Tried<[usize; 4]> {
    let maps = std::fs::read_to_string("/proc/self/maps")?;
    let maps = maps.lines().filter(|line| line.contains("sk-")).count();
    let children = format!("/proc/self/task/{}/children", std::process::id());
    let children = std::fs::read_to_string(children)?.split_whitespace().count();
    let sockets = std::fs::read_to_string("/proc/net/unix")?;
    let named = sockets.lines().filter(|line| line.contains("sk-pipe")).count();
    let shared = std::fs::read_dir("/dev/shm")?
        .filter_map(Result::ok)
        .filter(|entry| entry.file_name().to_string_lossy().contains("sk-"))
        .count();
    Ok([count_of("/proc/self/fd")?, maps, children, named + shared])
}

/// Alone in its process, so that what it has can be counted.
pub(crate) fn leaves_nothing() -> Tried<()> {
    let use_one = |turn: u32| -> Tried<()> {
        let step = Share::new()?.number("step", 0_u32)?;
        let (mut anchor, point) = builder().capacity(4096).pair::<Message, u32>()?;
        let succession = point.succession()?;
        let mut lives = Lives::of("takes_what_comes", &(point, step.clone()))?;
        let kid = lives.next()?;
        let (inner, moving) = pair::<u32, u32>()?;
        anchor.send(&(1, vec![moving])).wait()?;
        let mut receive = Box::pin(anchor.recv());
        assert_eq!(block_on(receive.as_mut())?, 1);
        drop(receive);
        // Some that are never received, and one that is half sent.
        if turn.is_multiple_of(2) {
            let (_other, moving) = pair::<u32, u32>()?;
            anchor.send(&(2, vec![moving])).wait()?;
        }
        drop((inner, succession));
        kid.kill()
    };
    // The first one leaves what the process has for all: who lives, and threads that wait for others.
    use_one(1)?;
    use_one(2)?;
    let before = possessions()?;
    for turn in 0..20 {
        use_one(turn)?;
    }
    // A thread that waited for a task lets go of the memory when it wakes.
    let deadline = std::time::Instant::now() + WATCHDOG / 2;
    let mut after = possessions()?;
    while after.iter().zip(before).any(|(after, before)| *after > before)
        && std::time::Instant::now() < deadline
    {
        thread::sleep(SOON);
        after = possessions()?;
    }
    assert!(
        after.iter().zip(before).all(|(after, before)| *after <= before),
        "{after:?} after {before:?}"
    );
    Ok(())
}

/// Takes one message, and stays.
pub(crate) fn takes_what_comes() -> Tried<()> {
    let (mut point, _step): (Point<u32, Message>, SharedNumber<u32>) = inherit::receive()?;
    let (number, _points) = point.recv().timeout(WATCHDOG).wait()?;
    point.send(&number).wait()?;
    loop {
        thread::park();
    }
}
