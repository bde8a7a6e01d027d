//! Kills at random instants and at every step.

use std::thread;
use std::time::{Duration, Instant};

use futures::executor::block_on;
use rustix::process::Signal;
use sk_pipe::share::{Share, inherit};
use sk_pipe::{Overflow, Point, Succession, builder, pair};

use super::program::{Lives, SOON, Tried, WATCHDOG, spawn};
use super::streams::{Board, CAPACITY, Message, Passed, Task, steady_receiver, steady_sender};

fn number_in(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

fn seconds() -> u64 {
    number_in("SK_TORTURE_SECONDS").unwrap_or(0)
}

/// How many kills there are at least.
fn kills() -> u64 {
    number_in("SK_KILLS").unwrap_or(if seconds() > 60 { 2000 } else { 100 })
}

/// How long a child may live.
pub(crate) fn patience() -> Duration {
    WATCHDOG + Duration::from_millis(100 * kills() + 1500 * seconds())
}

/// A pipe whose anchor is used by two threads here, and a share that its children note in what they have done.
struct Stream {
    board: Board,
    lives: Lives,
    succession: Succession,
    sends: thread::JoinHandle<Tried<u64>>,
    receives: thread::JoinHandle<Tried<(u64, u64)>>,
}

impl Stream {
    fn new(task: Task) -> Tried<Stream> {
        let share = Share::new()?;
        let board = Board::of(&share)?;
        let (anchor, point) = builder().capacity(CAPACITY).pair::<Message, Message>()?;
        let succession = point.succession()?;
        let passed: Passed = (point, share, task);
        let lives = Lives::of("streams", &passed)?;
        let (sender, receiver) = anchor.split();
        let (turns, last) = (board.turns.clone(), task.receives);
        let sends = thread::spawn(move || steady_sender(sender, &turns, last));
        let receives = thread::spawn(move || steady_receiver(receiver));
        Ok(Stream { board, lives, succession, sends, receives })
    }

    /// Once no life follows: what arrived is what was sent. Says how many deaths the receiver was told of.
    fn end(self) -> Tried<u64> {
        drop(self.succession);
        let sent = self.sends.join().map_err(|_| "the sender panicked")??;
        let (received, deaths) = self.receives.join().map_err(|_| "the receiver panicked")??;
        let of_child = self.board.sent.get();
        if received != of_child && received != of_child + 1 {
            return Err(format!("{received} of {of_child} messages came from the child").into());
        }
        let by_child = self.board.received.get();
        // The last of them may lie in the pipe, unread.
        if by_child > sent + 1 {
            return Err(format!("{by_child} of {sent} messages came to the child").into());
        }
        Ok(deaths)
    }
}

/// Rows: PIPE-05, PIPE-38
pub(crate) fn processes_killed_at_any_moment_lose_nothing_that_was_sent() -> Tried<()> {
    let mut stream = Stream::new(Task { sends: u64::MAX, receives: u64::MAX })?;
    let turns = stream.board.turns.clone();
    let until = Instant::now() + Duration::from_secs(seconds());
    let mut killed = 0;
    let mut kid = stream.lives.next()?;
    while killed < kills() || Instant::now() < until {
        // Until something has come of this life, and a moment that is another one each time.
        let seen = turns.get();
        let least = seen + 1 + killed % 7;
        turns
            .wait_until(move |now| now >= least)
            .timeout(WATCHDOG)
            .wait()
            .map_err(|error| format!("after {killed} kills nothing moves from {seen}: {error}"))?;
        if turns.get() >= u64::MAX / 2 {
            return Err("a child got what it should not".into());
        }
        for _ in 0..killed * 7919 % 60_000 {
            std::hint::spin_loop();
        }
        if killed.is_multiple_of(10) {
            kid.signal(Signal::STOP);
            thread::sleep(SOON / 10);
        }
        kid.signal(Signal::KILL);
        kid.was_killed()?;
        kid = stream.lives.next()?;
        killed += 1;
    }
    kid.kill()?;
    println!("{killed} killed in {} turns", turns.get());
    let deaths = stream.end()?;
    assert!(deaths <= killed, "told of {deaths} deaths of {killed}");
    Ok(())
}

/// The steps of a process that sends, or receives, or both, and how many of its messages it takes to come there often.
const STEPS: &[&str] = &[
    "pipe.put.written",
    "pipe.put.published",
    "pipe.files.sent",
    "pipe.part.sent",
    "pipe.take.copied",
    "pipe.take.freed",
    "pipe.wait.prepared",
];

/// At each step, in each direction, when it is passed the first times and later.
///
/// Rows: PIPE-05, PIPE-38
pub(crate) fn who_dies_at_any_step_loses_nothing_that_was_sent() -> Tried<()> {
    const MESSAGES: u64 = 70;
    for step in STEPS {
        for (sends, receives) in [(MESSAGES, 0), (0, MESSAGES), (MESSAGES, MESSAGES)] {
            let mut killed = 0;
            let mut stream = Stream::new(Task { sends, receives })?;
            for pass in [1, 2, 3, 5, 8, 13, 21, 34] {
                let what = |error| format!("{step}:{pass} of {sends} and {receives}: {error}");
                stream.lives.command.env("SK_FAULT", format!("{step}:{pass}"));
                let status = stream.lives.next()?.ended()?;
                if status.success() {
                    break;
                }
                if std::os::unix::process::ExitStatusExt::signal(&status) != Some(9) {
                    return Err(what(status.to_string()).into());
                }
                killed += 1;
            }
            // Who closes when it is done ends the pipe for all lives; one that was killed is followed.
            let state = stream.board.clone();
            if state.sent.get() < sends || state.received.get() < receives {
                stream.lives.command.env_remove("SK_FAULT");
                let kid = stream.lives.next()?;
                kid.succeeded().map_err(|error| format!("{step}: {error}"))?;
            }
            let is_there = match *step {
                "pipe.put.written" | "pipe.put.published" | "pipe.files.sent"
                | "pipe.part.sent" => sends > 0,
                "pipe.take.copied" | "pipe.take.freed" => receives > 0,
                _ => true,
            };
            assert!(killed >= 3 || !is_there, "nobody came to {step} often enough: {killed}");
            assert_eq!(state.sent.get(), sends, "{step}");
            stream.end().map_err(|error| format!("{step} of {sends} and {receives}: {error}"))?;
        }
    }
    Ok(())
}

/// Rows: PIPE-05
pub(crate) fn who_dies_while_it_attaches_is_followed_by_another() -> Tried<()> {
    for step in ["pipe.attach.held", "pipe.attach.counted"] {
        let mut stream = Stream::new(Task { sends: 30, receives: 30 })?;
        for _ in 0..5 {
            stream.lives.command.env("SK_FAULT", step);
            stream.lives.next()?.was_killed()?;
        }
        stream.lives.command.env_remove("SK_FAULT");
        stream.lives.next()?.succeeded()?;
        stream.end().map_err(|error| format!("{step}: {error}"))?;
    }
    // Nobody follows.
    for step in ["pipe.attach.held", "pipe.attach.counted"] {
        for is_async in [false, true] {
            let (mut anchor, point) = pair::<u32, u32>()?;
            let mut lives = Lives::of("closes", &point)?;
            drop(point);
            lives.command.env("SK_FAULT", step);
            let kid = lives.next()?;
            let receive = anchor.recv().timeout(WATCHDOG);
            let error = if is_async { block_on(receive) } else { receive.wait() }.unwrap_err();
            assert!(error.is_disconnected(), "{step}: {error}");
            let is_known = step == "pipe.attach.counted";
            assert_eq!(error.process(), is_known.then_some(kid.process()), "{step}");
            kid.was_killed()?;
        }
    }
    Ok(())
}

/// Rows: PIPE-08, PIPE-38
pub(crate) fn who_dies_while_it_closes_has_ended() -> Tried<()> {
    let (mut anchor, point) = pair::<u32, u32>()?;
    spawn("closes", &point)?.succeeded()?;
    assert_eq!(anchor.recv_timeout(WATCHDOG)?, 1);
    assert!(anchor.recv_timeout(WATCHDOG).unwrap_err().is_closed());
    assert!(anchor.send(&1).wait().unwrap_err().is_closed());
    for is_async in [false, true] {
        let (mut anchor, point) = pair::<u32, u32>()?;
        let mut lives = Lives::of("closes", &point)?;
        drop(point);
        lives.command.env("SK_FAULT", "pipe.closed");
        let kid = lives.next()?;
        assert_eq!(anchor.recv_timeout(WATCHDOG)?, 1);
        let receive = anchor.recv().timeout(WATCHDOG);
        let error = if is_async { block_on(receive) } else { receive.wait() }.unwrap_err();
        assert!(error.is_closed(), "{error}");
        // It closed one direction, and died before it closed the other.
        kid.was_killed()?;
        let error = loop {
            if let Err(error) = anchor.send(&1).timeout(WATCHDOG).wait() {
                break error;
            }
        };
        assert!(error.is_disconnected(), "{error}");
    }
    Ok(())
}

/// Sends one, and closes.
pub(crate) fn closes() -> Tried<()> {
    let mut point: Point<u32, u32> = inherit::receive()?;
    point.send(&1).wait()?;
    point.close();
    Ok(())
}

/// Rows: PIPE-34, PIPE-38
pub(crate) fn who_dies_while_it_drops_the_oldest_leaves_whole_messages() -> Tried<()> {
    for step in ["pipe.dropped", "pipe.put.written", "pipe.put.published"] {
        let drop_oldest = builder().capacity(CAPACITY).overflow(Overflow::DropOldest);
        let (mut anchor, point) = drop_oldest.pair::<u32, (u64, Vec<u64>)>()?;
        let succession = point.succession()?;
        let mut lives = Lives::of("floods", &point)?;
        let reader = thread::spawn(move || -> Tried<(u64, u64)> {
            let (mut last, mut count) = (0, 0);
            loop {
                // Now and then it is slow.
                if count % 50 == 0 {
                    thread::sleep(Duration::from_millis(1));
                }
                match anchor.recv_timeout(WATCHDOG) {
                    Ok((number, numbers)) => {
                        let length = usize::try_from(number % 40)?;
                        if number < last || numbers != vec![number; length] {
                            return Err(format!("{number} came after {last}").into());
                        }
                        // A life begins where no other ever was.
                        last = number;
                        count += 1;
                    }
                    Err(error) if error.is_restarting() => {}
                    Err(error) if error.is_disconnected() => return Ok((last, count)),
                    Err(error) => return Err(error.into()),
                }
            }
        });
        for pass in [1, 2, 5, 50, 700, 3000] {
            lives.command.env("SK_FAULT", format!("{step}:{pass}"));
            lives.next()?.was_killed()?;
        }
        drop(succession);
        let (_, count) = reader.join().map_err(|_| "the reader panicked")??;
        assert!(count > 50, "{step}: {count}");
    }
    Ok(())
}

/// Sends until it is killed.
pub(crate) fn floods() -> Tried<()> {
    let mut point: Point<(u64, Vec<u64>), u32> = inherit::receive()?;
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
    for number in u64::try_from(now.as_micros())?.. {
        point.send(&(number, vec![number; usize::try_from(number % 40)?])).wait()?;
    }
    Ok(())
}
