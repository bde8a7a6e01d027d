//! Points on their way: in messages, lost, of another type, in a copy of the process.

use std::thread;
use std::time::Duration;

use futures::StreamExt as _;
use futures::executor::block_on;
use rustix::process::{Pid, Signal, WaitOptions, waitpid};
use sk_pipe::share::{Share, SharedNumber, inherit};
use sk_pipe::{Anchor, Error, Point, Raw, builder, pair};

use super::program::{SOON, Tried, WATCHDOG, spawn};

type Wait = fn(&mut Anchor<u32, u32>) -> Error;

/// All ways to wait for who never came.
const WAITS: [(&str, Wait); 7] = [
    ("recv", |anchor| anchor.recv().wait().unwrap_err()),
    ("recv_timeout", |anchor| anchor.recv_timeout(WATCHDOG).unwrap_err()),
    ("short timeouts", |anchor| {
        loop {
            match anchor.recv_timeout(SOON) {
                Err(error) if error.is_timeout() => {}
                other => break other.unwrap_err(),
            }
        }
    }),
    ("await", |anchor| block_on(anchor.recv()).unwrap_err()),
    ("stream", |anchor| block_on(anchor.receiver().next()).unwrap().unwrap_err()),
    ("send", |anchor| {
        loop {
            if let Err(error) = anchor.send(&1).wait() {
                break error;
            }
        }
    }),
    ("await send", |anchor| {
        loop {
            if let Err(error) = block_on(anchor.send(&1)) {
                break error;
            }
        }
    }),
];

type Points = Vec<Point<u32, u32>>;
type Waiting = (&'static str, Wait, Anchor<u32, u32>);

/// How one waits for who is lost, side by side since that takes some seconds.
fn wait_for_the_lost(anchors: Vec<Waiting>) {
    thread::scope(|scope| {
        for (how, wait, mut anchor) in anchors {
            scope.spawn(move || {
                let error = wait(&mut anchor);
                assert!(error.is_disconnected(), "{how}: {error}");
                assert_eq!(error.process(), None, "{how}");
            });
        }
    });
}

/// A pipe for each way to wait.
fn pairs() -> Tried<(Vec<Waiting>, Points)> {
    let mut anchors = Vec::new();
    let mut points = Vec::new();
    for (how, wait) in WAITS {
        let (anchor, point) = builder().capacity(4096).pair()?;
        anchors.push((how, wait, anchor));
        points.push(point);
    }
    Ok((anchors, points))
}

/// Rows: PIPE-38
pub(crate) fn a_point_lost_on_its_way_is_noticed() -> Tried<()> {
    let (anchors, points) = pairs()?;
    // It never asks for what it inherited.
    let kid = spawn("ends_at_once", &points)?;
    drop(points);
    wait_for_the_lost(anchors);
    kid.succeeded()
}

/// Rows: PIPE-32, PIPE-38
pub(crate) fn a_point_lost_in_a_message_is_noticed() -> Tried<()> {
    let (anchors, points) = pairs()?;
    let (mut anchor, point) = pair::<Vec<Point<u32, u32>>, u32>()?;
    let step = Share::new()?.number("step", 0_u32)?;
    let kid = spawn("stays_deaf", &(point, step.clone()))?;
    step.wait_until(|step| step == 1).timeout(WATCHDOG).wait()?;
    anchor.send(&points).wait()?;
    drop(points);
    // Who was sent them never read them.
    kid.kill()?;
    drop(anchor);
    wait_for_the_lost(anchors);
    Ok(())
}

type Large = (Point<u32, u32>, Vec<u8>);

/// It lies beside a message that its sender died in the middle of, at a pipe that its reader keeps.
///
/// Rows: PIPE-32, PIPE-38
pub(crate) fn a_point_lost_beside_half_a_message_is_noticed() -> Tried<()> {
    for is_killed in [true, false] {
        let (mut anchor, point) = builder().capacity(4096).pair::<Point<u32, u32>, Large>()?;
        let step = Share::new()?.number("step", 0_u32)?;
        let kid = spawn("gives_half", &(point, is_killed, step.clone()))?;
        let (mut lost, moving) = pair::<u32, u32>()?;
        anchor.send(&moving).wait()?;
        drop(moving);
        step.wait_until(|step| step == 1).timeout(WATCHDOG).wait()?;
        if is_killed {
            kid.kill()?;
        } else {
            kid.succeeded()?;
        }
        let error = anchor.recv_timeout(WATCHDOG).unwrap_err();
        assert!(if is_killed { error.is_disconnected() } else { error.is_closed() }, "{error}");
        let error = lost.recv_timeout(WATCHDOG / 3).unwrap_err();
        // Who gives up has it back, and drops it.
        assert!(if is_killed { error.is_disconnected() } else { error.is_closed() }, "{error}");
        drop(anchor);
    }
    Ok(())
}

pub(crate) fn gives_half() -> Tried<()> {
    let (mut point, is_killed, step): (Point<Large, Point<u32, u32>>, bool, SharedNumber<u32>) =
        inherit::receive()?;
    let message = (point.recv().timeout(WATCHDOG).wait()?, vec![7; 100_000]);
    let mut send = Box::pin(point.send(&message));
    assert!(block_on(futures::future::poll_immediate(&mut send)).is_none());
    step.set(1);
    if !is_killed {
        return Ok(());
    }
    loop {
        thread::park();
    }
}

/// Rows: PIPE-05, PIPE-38
pub(crate) fn who_made_a_pipe_may_die_before_its_point_arrives() -> Tried<()> {
    for is_async in [false, true] {
        let (mut anchor, point) = pair::<(), Point<Raw, Raw>>()?;
        let step = Share::new()?.number("step", 0_u32)?;
        let kid = spawn("gives_and_dies", &(point, step.clone()))?;
        let process = kid.process();
        step.wait_until(|step| step == 1).timeout(WATCHDOG).wait()?;
        kid.kill()?;
        let mut orphan = anchor.recv_timeout(WATCHDOG)?;
        let mut bytes = Vec::new();
        let mut received = || {
            let receiving = orphan.recv_bytes(&mut bytes);
            if is_async { block_on(receiving) } else { receiving.wait() }
        };
        for length in [1, 2, 3] {
            assert_eq!(received()?, length);
        }
        let error = received().unwrap_err();
        assert!(error.is_disconnected(), "{error}");
        assert_eq!(error.process(), Some(process));
        assert!(orphan.send_bytes(&[]).wait().unwrap_err().is_disconnected());
    }
    Ok(())
}

/// Sends some messages and a half into a pipe, and its point to another process.
pub(crate) fn gives_and_dies() -> Tried<()> {
    let (mut point, step): (Point<Point<Raw, Raw>, ()>, SharedNumber<u32>) = inherit::receive()?;
    let (mut anchor, moving) = pair::<Raw, Raw>()?;
    for length in [1, 2, 3] {
        anchor.send_bytes(&vec![1; length]).wait()?;
    }
    let large = vec![7; 100_000];
    let mut send = Box::pin(anchor.send_bytes(&large));
    assert!(block_on(futures::future::poll_immediate(&mut send)).is_none());
    point.send(&moving).wait()?;
    step.set(1);
    loop {
        thread::park();
    }
}

/// Rows: PIPE-32, CER-44
pub(crate) fn the_third_process_talks_while_the_one_between_is_stopped() -> Tried<()> {
    let step = Share::new()?.number("step", 0_u32)?;
    let (mut to_middle, point) = pair::<(Point<u32, u32>, SharedNumber<u32>), ()>()?;
    let middle = spawn("forwards", &(point, step.clone()))?;
    let (mut anchor, moving) = pair::<u32, u32>()?;
    // What was sent before goes along.
    anchor.send(&0).wait()?;
    to_middle.send(&(moving, step.clone())).wait()?;
    step.wait_until(|step| step == 1).timeout(WATCHDOG).wait()?;
    middle.signal(Signal::STOP);
    for number in 1..1000 {
        anchor.send(&number).wait()?;
        assert_eq!(anchor.recv_timeout(WATCHDOG)?, number);
    }
    step.set(2);
    middle.signal(Signal::CONT);
    assert_eq!(anchor.recv_timeout(WATCHDOG)?, 1000);
    middle.succeeded()?;
    // Its child was the one at the other end.
    let error = anchor.recv_timeout(WATCHDOG).unwrap_err();
    assert!(error.is_closed(), "{error}");
    Ok(())
}

type Forwarded = (Point<u32, u32>, SharedNumber<u32>);

pub(crate) fn forwards() -> Tried<()> {
    let (mut point, step): (Point<(), Forwarded>, SharedNumber<u32>) = inherit::receive()?;
    let (mut to_child, of_child) = pair::<Forwarded, ()>()?;
    let child = spawn("answers", &of_child)?;
    drop(of_child);
    // Both arrive in one message, and leave in another.
    let forwarded = point.recv().timeout(WATCHDOG).wait()?;
    to_child.send(&forwarded).wait()?;
    step.wait_until(|step| step == 2).timeout(WATCHDOG).wait()?;
    child.succeeded()
}

pub(crate) fn answers() -> Tried<()> {
    let mut from_middle: Point<(), Forwarded> = inherit::receive()?;
    let (mut point, step) = from_middle.recv().timeout(WATCHDOG).wait()?;
    assert_eq!(point.recv().timeout(WATCHDOG).wait()?, 0);
    step.set(1);
    for number in 1..1000 {
        assert_eq!(point.recv().timeout(WATCHDOG).wait()?, number);
        point.send(&number).wait()?;
    }
    step.wait_until(|step| step == 2).timeout(WATCHDOG).wait()?;
    point.send(&1000).wait()?;
    Ok(())
}

/// Rows: PIPE-32, CER-44
pub(crate) fn hundreds_of_points_travel_in_one_message() -> Tried<()> {
    for capacity in [4096, 65536] {
        let (mut anchor, point) = builder().capacity(capacity).pair::<Many, u32>()?;
        let kid = spawn("answers_all", &point)?;
        let share = Share::new()?;
        let mut anchors = Vec::new();
        let mut points = Vec::new();
        for number in 0..300_u32 {
            let (mut anchor, point) = builder().capacity(4096).pair::<u32, u32>()?;
            anchor.send(&number).wait()?;
            anchors.push(anchor);
            points.push(point);
        }
        let handles = (0..100)
            .map(|number| share.number(&format!("number {number}"), number))
            .collect::<Result<Vec<_>, _>>()?;
        anchor.send(&(points, handles.clone())).timeout(WATCHDOG).wait()?;
        for (number, anchor) in (0..).zip(&mut anchors) {
            assert_eq!(anchor.recv_timeout(WATCHDOG)?, number + 1);
        }
        assert_eq!(anchor.recv_timeout(WATCHDOG)?, 300);
        for (number, handle) in (1..).zip(&handles) {
            assert_eq!(handle.get(), number);
        }
        kid.succeeded()?;
    }
    Ok(())
}

type Many = (Vec<Point<u32, u32>>, Vec<SharedNumber<u32>>);

pub(crate) fn answers_all() -> Tried<()> {
    let mut point: Point<u32, Many> = inherit::receive()?;
    let (mut points, handles) = point.recv().timeout(WATCHDOG).wait()?;
    for point in &mut points {
        let number = point.recv().timeout(WATCHDOG).wait()?;
        point.send(&(number + 1)).wait()?;
    }
    handles.iter().for_each(|handle| {
        handle.add(1);
    });
    point.send(&u32::try_from(points.len())?).wait()?;
    Ok(())
}

/// Rows: PIPE-05
pub(crate) fn a_point_of_another_type_is_refused() -> Tried<()> {
    let (mut anchor, point) = pair::<u32, u32>()?;
    spawn("gets_another_type", &point)?.succeeded()?;
    drop(point);
    let error = anchor.recv_timeout(WATCHDOG).unwrap_err();
    assert!(error.is_disconnected(), "{error}");
    Ok(())
}

pub(crate) fn gets_another_type() -> Tried<()> {
    let error = inherit::receive::<Point<u32, String>>().err().ok_or("it has the point")?;
    let expected = "the pipe is of u32 and not of alloc::string::String";
    if error.to_string().contains(expected) { Ok(()) } else { Err(error.into()) }
}

/// That an anchor cannot be encoded does not compile, which an example in the documents shows.
///
/// Rows: PIPE-04
pub(crate) fn an_anchor_and_a_locked_point_stay() -> Tried<()> {
    let (mut to_kid, of_kid) = pair::<Vec<Point<u32, u32>>, u32>()?;
    let kid = spawn("stays_deaf", &(of_kid, Share::new()?.number("step", 0_u32)?));
    let (mut anchor, point) = pair::<u32, u32>()?;
    let mut points = vec![point];
    assert!(anchor.unlock().unwrap_err().is_endpoint());
    points[0].lock();
    let error = to_kid.send(&points).wait().unwrap_err();
    assert!(error.is_endpoint(), "{error}");
    assert_eq!(error.to_string(), "the point is locked, so it stays in this process");
    // Neither does it leave by inheritance, and it still works here.
    assert!(spawn("ends_at_once", &points).is_err());
    anchor.send(&1).wait()?;
    assert_eq!(points[0].recv().wait()?, 1);
    points[0].unlock();
    to_kid.send(&points).wait()?;
    let error = to_kid.send(&points).wait().unwrap_err();
    assert!(error.is_endpoint(), "{error}");
    drop(kid);
    Ok(())
}

/// Rows: PIPE-38
pub(crate) fn a_forked_copy_has_no_ends() -> Tried<()> {
    let (mut anchor, point) = pair::<u32, u32>()?;
    let kid = spawn("forks", &point)?;
    drop(point);
    assert_eq!(anchor.recv_timeout(WATCHDOG)?, 1);
    anchor.send(&2).wait()?;
    assert_eq!(anchor.recv_timeout(WATCHDOG)?, 3);
    assert!(anchor.recv_timeout(WATCHDOG).unwrap_err().is_closed());
    kid.succeeded()
}

pub(crate) fn forks() -> Tried<()> {
    let mut point: Point<u32, u32> = inherit::receive()?;
    let (mut inner, mut moving) = pair::<u32, u32>()?;
    let (mut unused, never) = pair::<u32, u32>()?;
    let succession = never.succession()?;
    // A task has waited, so that there is a thread for tasks.
    let mut receive = Box::pin(inner.recv());
    assert!(block_on(futures::future::poll_immediate(&mut receive)).is_none());
    drop(receive);
    point.send(&1).wait()?;
    let pid = super::fork();
    if pid == 0 {
        let is_refused = |error: Option<Error>| error.is_some_and(|error| error.is_copied());
        let mut is_right = is_refused(point.send(&9).wait().err());
        is_right &= is_refused(point.recv().wait().err());
        is_right &= is_refused(block_on(point.recv()).err());
        is_right &= is_refused(point.try_recv().err());
        is_right &= is_refused(point.poll(Duration::ZERO).err());
        is_right &= is_refused(inner.try_send(&9).err());
        is_right &= is_refused(never.succession().err());
        is_right &= inherit::pass(&mut std::process::Command::new("true"), &moving).is_err();
        // Neither closes nor gives back.
        drop((point, inner, moving, unused, never, succession));
        super::end_this_process(if is_right { 0 } else { 1 });
    }
    let (_, status) = waitpid(Pid::from_raw(pid), WaitOptions::empty())?.ok_or("no copy ended")?;
    assert_eq!(status.exit_status(), Some(0));
    assert_eq!(point.recv().timeout(WATCHDOG).wait()?, 2);
    point.send(&3).wait()?;
    inner.send(&4).wait()?;
    assert_eq!(moving.recv().timeout(WATCHDOG).wait()?, 4);
    unused.send(&5).wait()?;
    let mut never = never;
    assert_eq!(never.recv().timeout(WATCHDOG).wait()?, 5);
    Ok(())
}

/// Has an end, and never reads.
pub(crate) fn stays_deaf() -> Tried<()> {
    type Deaf = Point<u32, Vec<Point<u32, u32>>>;
    let (mut point, step): (Deaf, SharedNumber<u32>) = inherit::receive()?;
    point.sender()?;
    step.set(1);
    loop {
        thread::park();
    }
}
