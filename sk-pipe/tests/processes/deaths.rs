//! An end whose process dies, closes, or is stopped.

use std::thread;
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use futures::executor::block_on;
use rustix::process::Signal;
use sk_pipe::share::{Share, SharedNumber, inherit};
use sk_pipe::{Anchor, Error, Point, Raw, builder, pair};

use super::program::{SOON, Tried, WATCHDOG, spawn};

/// A thousand times what it takes, and less than the five seconds after which everybody looks by himself, to whom nobody
/// told of the death.
const BOUND: Duration = Duration::from_secs(2);

/// Rows: PIPE-05, PIPE-14
pub(crate) fn a_point_given_to_a_child_works_both_ways() -> Tried<()> {
    let (mut anchor, point) = pair::<(u32, Vec<u8>), (u32, usize)>()?;
    let kid = spawn("echoes", &point)?;
    drop(point);
    for number in 0..2000_u32 {
        // Some are larger than half of the pipe, some than all of it.
        let length = if number % 100 == 99 { 30_000 * (number as usize / 100) } else { 10 };
        anchor.send(&(number, vec![1; length])).wait()?;
        assert_eq!(anchor.recv_timeout(WATCHDOG)?, (number, length));
    }
    // Many at once.
    for number in 0..1000 {
        anchor.send(&(number, vec![])).timeout(WATCHDOG).wait()?;
    }
    for number in 0..1000 {
        assert_eq!(anchor.recv_timeout(WATCHDOG)?, (number, 0));
    }
    anchor.close();
    kid.succeeded()
}

pub(crate) fn echoes() -> Tried<()> {
    let mut point: Point<(u32, usize), (u32, Vec<u8>)> = inherit::receive()?;
    loop {
        match point.recv().wait() {
            Ok((number, bytes)) => point.send(&(number, bytes.len())).wait()?,
            Err(error) if error.is_closed() => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
}

type Receive = fn(&mut Anchor<u32, u32>) -> Result<u32, Error>;

/// All ways to wait for a message.
const RECEIVES: [(&str, Receive); 5] = [
    ("recv", |anchor| anchor.recv().wait()),
    ("recv_timeout", |anchor| anchor.recv_timeout(WATCHDOG)),
    ("await", |anchor| block_on(anchor.recv())),
    ("stream", |anchor| block_on(anchor.receiver().next()).expect("it is not over")),
    ("poll", |anchor| {
        // What is polled for is there.
        assert!(anchor.poll(WATCHDOG)?);
        anchor.try_recv().map(|message| message.expect("a message was there"))
    }),
];

/// Rows: PIPE-38
pub(crate) fn all_that_a_killed_child_had_sent_is_read_first() -> Tried<()> {
    for (how, receive) in RECEIVES {
        for is_blocked in [true, false] {
            let (mut anchor, point) = pair::<u32, u32>()?;
            let step = Share::new()?.number("step", 0_u32)?;
            let kid = spawn("sends_and_stays", &(point, step.clone()))?;
            step.wait_until(|step| step == 1).timeout(WATCHDOG).wait()?;
            let process = kid.process();
            let mut reader = move || {
                for number in 0..100 {
                    assert_eq!(receive(&mut anchor).unwrap(), number, "{how}");
                }
                // Whatever it had sent; and it stays dead.
                [receive(&mut anchor).unwrap_err(), anchor.recv().wait().unwrap_err()]
            };
            let errors = if is_blocked {
                let reader = thread::spawn(reader);
                thread::sleep(SOON);
                assert!(!reader.is_finished(), "{how}");
                let killed = Instant::now();
                kid.signal(Signal::KILL);
                let errors = reader.join().map_err(|_| "the reader panicked")?;
                let late = killed.elapsed();
                assert!(late < BOUND, "{how}: the death was told after {late:?}");
                kid.was_killed()?;
                errors
            } else {
                kid.kill()?;
                reader()
            };
            for error in errors {
                assert!(error.is_disconnected(), "{how}: {error}");
                assert_eq!(error.process(), Some(process), "{how}");
            }
        }
    }
    Ok(())
}

pub(crate) fn sends_and_stays() -> Tried<()> {
    let (mut point, step): (Point<u32, u32>, SharedNumber<u32>) = inherit::receive()?;
    for number in 0..100 {
        point.send(&number).wait()?;
    }
    step.set(1);
    loop {
        thread::park();
    }
}

type Send = fn(&mut Anchor<Raw, u32>) -> Result<(), Error>;

/// All ways to wait for room, with messages of one frame, and of several, of which some are read or none.
const SENDS: [(&str, Send); 5] = [
    ("send", |anchor| anchor.send_bytes(&[1; 100]).wait()),
    ("timeout", |anchor| anchor.send_bytes(&[1; 100]).timeout(WATCHDOG).wait()),
    ("await", |anchor| block_on(anchor.send_bytes(&[1; 100]))),
    ("large", |anchor| anchor.send_bytes(&[1; 100_000]).wait()),
    ("await large", |anchor| block_on(anchor.send_bytes(&[1; 100_000]))),
];

/// Rows: PIPE-06, PIPE-38
pub(crate) fn who_waits_for_room_hears_of_the_death() -> Tried<()> {
    for (how, send) in SENDS {
        let (mut anchor, point) = builder().capacity(4096).pair::<Raw, u32>()?;
        let step = Share::new()?.number("step", 0_u32)?;
        let kid = spawn("stays", &(point, step.clone()))?;
        step.wait_until(|step| step == 1).timeout(WATCHDOG).wait()?;
        let process = kid.process();
        let writer = thread::spawn(move || {
            let mut count = 0;
            let error = loop {
                if let Err(error) = send(&mut anchor) {
                    break error;
                }
                count += 1;
            };
            // It is not sent to any more, be there room or not.
            (error, anchor.send_bytes(&[]).wait().unwrap_err(), count)
        });
        thread::sleep(SOON);
        assert!(!writer.is_finished(), "{how}");
        let killed = Instant::now();
        kid.signal(Signal::KILL);
        let (error, other, count) = writer.join().map_err(|_| "the writer panicked")?;
        let late = killed.elapsed();
        assert!(late < BOUND, "{how}: the death was told after {late:?}");
        kid.was_killed()?;
        for error in [error, other] {
            assert!(error.is_disconnected(), "{how}: {error}");
            assert_eq!(error.process(), Some(process), "{how}");
        }
        assert_eq!(count > 30, !how.contains("large"), "{how}: {count}");
    }
    Ok(())
}

pub(crate) fn stays() -> Tried<()> {
    let (mut point, step): (Point<u32, Raw>, SharedNumber<u32>) = inherit::receive()?;
    // It has the point, and does not read.
    point.receiver()?;
    step.set(1);
    loop {
        thread::park();
    }
}

/// Rows: PIPE-38
pub(crate) fn a_dead_parent_is_noticed_by_its_child() -> Tried<()> {
    for is_async in [false, true] {
        let board = Share::new()?;
        let step = board.number("step", 0_u32)?;
        let kid = spawn("is_parent", &(board.clone(), is_async))?;
        step.wait_until(|step| step == 1).timeout(WATCHDOG).wait()?;
        thread::sleep(SOON);
        let process = kid.process();
        kid.kill()?;
        // The child belongs to nobody now; it says what it saw.
        step.wait_until(|step| step == 2).timeout(WATCHDOG).wait()?;
        let seen: (Vec<u32>, bool, Option<u32>) = board.get("seen")?.get()?;
        assert_eq!(seen, (vec![1, 2, 3], true, Some(process)));
    }
    Ok(())
}

pub(crate) fn is_parent() -> Tried<()> {
    let (board, is_async): (Share, bool) = inherit::receive()?;
    let (mut anchor, point) = pair::<u32, u32>()?;
    let _kid = spawn("orphan", &(board, is_async, point))?;
    for number in 1..=3 {
        anchor.send(&number).wait()?;
    }
    // It is killed before it could end its child.
    loop {
        thread::park();
    }
}

pub(crate) fn orphan() -> Tried<()> {
    let (board, is_async, mut point): (Share, bool, Point<u32, u32>) = inherit::receive()?;
    let step: SharedNumber<u32> = board.get_number("step")?;
    let mut seen = Vec::new();
    let error = loop {
        let received = if is_async { block_on(point.recv()) } else { point.recv().wait() };
        match received {
            Ok(number) => seen.push(number),
            Err(error) => break error,
        }
        if seen.len() == 3 {
            step.set(1);
        }
    };
    board.value("seen", (seen, error.is_disconnected(), error.process()))?;
    step.set(2);
    Ok(())
}

/// How a process may end that has an end of a pipe, and whether the other one hears that it was closed.
const ENDS: [(&str, bool); 6] = [
    ("close", true),
    ("return", true),
    ("panic", true),
    ("exit", false),
    ("abort", false),
    ("fault", false),
];

/// Rows: PIPE-08, PIPE-38
pub(crate) fn to_close_is_not_to_die() -> Tried<()> {
    for (how, is_closed) in ENDS {
        let (mut anchor, point) = pair::<u32, u32>()?;
        let kid = spawn("ends", &(point, how.to_owned()))?;
        let process = kid.process();
        assert_eq!(anchor.recv_timeout(WATCHDOG)?, 1, "{how}");
        let error = anchor.recv_timeout(WATCHDOG).unwrap_err();
        assert_eq!(error.is_closed(), is_closed, "{how}: {error}");
        assert_eq!(error.is_disconnected(), !is_closed, "{how}: {error}");
        if !is_closed {
            assert_eq!(error.process(), Some(process), "{how}");
        }
        // A sender hears the same, once the second direction is closed too.
        let error = loop {
            if let Err(error) = anchor.send(&1).timeout(WATCHDOG).wait() {
                break error;
            }
        };
        assert_eq!(error.is_closed(), is_closed, "{how}: {error}");
        kid.ended()?;
    }
    Ok(())
}

pub(crate) fn ends() -> Tried<()> {
    let (mut point, how): (Point<u32, u32>, String) = inherit::receive()?;
    point.send(&1).wait()?;
    match how.as_str() {
        "close" => {
            point.close();
            // Closed it is, whatever comes after.
            thread::sleep(SOON);
            std::process::abort();
        }
        "panic" => {
            std::panic::set_hook(Box::new(|_| ()));
            panic!("in the middle");
        }
        "exit" => std::process::exit(3),
        "abort" => std::process::abort(),
        "fault" => {
            rustix::process::setrlimit(
                rustix::process::Resource::Core,
                rustix::process::Rlimit { current: Some(0), maximum: Some(0) },
            )?;
            // The first one only takes the handler away.
            loop {
                rustix::process::kill_process(rustix::process::getpid(), Signal::SEGV)?;
            }
        }
        _ => Ok(()),
    }
}

/// Two children that talk, of which either is stopped for a while; the one made the pipe, the other got its point.
///
/// Rows: PIPE-32, PIPE-38
pub(crate) fn a_stopped_process_is_not_dead_and_loses_nothing() -> Tried<()> {
    const TURNS: u64 = 3000;
    let share = Share::new()?;
    let turns = share.number("turns", 0_u64)?;
    let (mut to_one, point_of_one) = pair::<(), Point<u64, u64>>()?;
    let (mut to_two, point_of_two) = pair::<Point<u64, u64>, ()>()?;
    let one = spawn("talks", &(Some(point_of_one), None::<OfTwo>, turns.clone(), TURNS))?;
    let two = spawn("talks", &(None::<OfOne>, Some(point_of_two), turns.clone(), TURNS))?;
    to_two.send(&to_one.recv_timeout(WATCHDOG)?).wait()?;
    for round in 0..20_u64 {
        let seen = turns.get();
        turns.wait_until(move |now| now > seen || now == TURNS).timeout(WATCHDOG).wait()?;
        let kid = if round % 2 == 0 { &one } else { &two };
        kid.signal(Signal::STOP);
        thread::sleep(Duration::from_millis(5 * (round % 5)));
        kid.signal(Signal::CONT);
    }
    one.succeeded()?;
    two.succeeded()?;
    assert_eq!(turns.get(), TURNS);
    assert!(to_one.recv_timeout(WATCHDOG).unwrap_err().is_closed());
    Ok(())
}

/// Two children that talk die at once; their parent hears of each.
///
/// Rows: PIPE-38
pub(crate) fn both_ends_may_die_at_once() -> Tried<()> {
    for round in 0..5 {
        let turns = Share::new()?.number("turns", 0_u64)?;
        let (mut to_one, point_of_one) = pair::<(), Point<u64, u64>>()?;
        let (mut to_two, point_of_two) = pair::<Point<u64, u64>, ()>()?;
        let one = spawn("talks", &(Some(point_of_one), None::<OfTwo>, turns.clone(), u64::MAX))?;
        let two = spawn("talks", &(None::<OfOne>, Some(point_of_two), turns.clone(), u64::MAX))?;
        to_two.send(&to_one.recv_timeout(WATCHDOG)?).wait()?;
        turns.wait_until(|turns| turns > 100).timeout(WATCHDOG).wait()?;
        let processes = [one.process(), two.process()];
        let kids = if round % 2 == 0 { [one, two] } else { [two, one] };
        kids.iter().for_each(|kid| kid.signal(Signal::KILL));
        let errors = [
            to_one.recv_timeout(WATCHDOG).unwrap_err(),
            to_two.recv_timeout(WATCHDOG).unwrap_err(),
        ];
        for (error, process) in errors.iter().zip(processes) {
            // The second may have heard of the death of the first, and ended by itself.
            assert!(error.is_disconnected() || error.is_closed(), "{error}");
            assert!(error.is_closed() || error.process() == Some(process), "{error}");
        }
        let [first, _second] = kids;
        first.was_killed()?;
    }
    Ok(())
}

type OfOne = Point<Point<u64, u64>, ()>;
type OfTwo = Point<(), Point<u64, u64>>;

pub(crate) fn talks() -> Tried<()> {
    let (one, two, turns, most): (Option<OfOne>, Option<OfTwo>, SharedNumber<u64>, u64) =
        inherit::receive()?;
    let talked = talk(one, two, &turns, most);
    // Whoever is killed with the other, or a moment later, says nothing of it between the lines of the tests.
    if most == u64::MAX { Ok(()) } else { talked }
}

fn talk(one: Option<OfOne>, two: Option<OfTwo>, turns: &SharedNumber<u64>, most: u64) -> Tried<()> {
    if let Some(mut one) = one {
        let (mut anchor, point) = pair::<u64, u64>()?;
        one.send(&point).wait()?;
        for turn in 0..most {
            anchor.send(&turn).timeout(WATCHDOG).wait()?;
            // A task and a thread take turns too.
            let answer = anchor.recv().timeout(WATCHDOG);
            let answer = if turn % 2 == 0 { answer.wait()? } else { block_on(answer)? };
            assert_eq!(answer, turn + 1);
            turns.set(turn + 1);
        }
    } else if let Some(mut two) = two {
        let mut point = two.recv().timeout(WATCHDOG).wait()?;
        for turn in 0..most {
            let question = point.recv().timeout(WATCHDOG);
            let question = if turn % 3 == 0 { block_on(question)? } else { question.wait()? };
            assert_eq!(question, turn);
            point.send(&(turn + 1)).timeout(WATCHDOG).wait()?;
        }
        assert!(point.recv().timeout(WATCHDOG).wait().unwrap_err().is_closed());
    }
    Ok(())
}
