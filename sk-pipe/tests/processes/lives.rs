//! Holders that are followed by another life.

use std::thread;

use futures::executor::block_on;
use futures::future::poll_immediate;
use sk_pipe::share::{Share, SharedNumber, inherit};
use sk_pipe::{Anchor, Error, Overflow, Point, Raw, Receiver, builder, pair};

use super::program::{Lives, SOON, Tried, WATCHDOG};

/// Rows: PIPE-05
pub(crate) fn a_second_attach_while_the_holder_lives_is_an_error() -> Tried<()> {
    let (mut anchor, point) = pair::<u32, u32>()?;
    let succession = point.succession()?;
    let mut lives = Lives::of("holds", &point)?;
    let first = lives.next()?;
    assert_eq!(anchor.recv_timeout(WATCHDOG)?, first.process());
    // This process gave it away, so it is an error here too.
    let mut point = point;
    assert!(point.recv().wait().unwrap_err().is_endpoint());
    drop(point);
    lives
        .command
        .env(super::ROLE, "takes_over")
        .env("SK_PIPE_TEST_HOLDER", first.process().to_string());
    lives.next()?.succeeded()?;
    // The first one has it all the same.
    anchor.send(&7).wait()?;
    assert_eq!(anchor.recv_timeout(WATCHDOG)?, 8);
    first.kill()?;
    assert!(anchor.recv_timeout(WATCHDOG).unwrap_err().is_restarting());
    drop(succession);
    assert!(anchor.recv_timeout(WATCHDOG).unwrap_err().is_disconnected());
    Ok(())
}

pub(crate) fn holds() -> Tried<()> {
    let mut point: Point<u32, u32> = inherit::receive()?;
    point.send(&std::process::id()).wait()?;
    loop {
        let number = point.recv().wait()?;
        point.send(&(number + 1)).wait()?;
    }
}

/// Tries to.
pub(crate) fn takes_over() -> Tried<()> {
    let error = inherit::receive::<Point<u32, u32>>().err().ok_or("it has the point")?;
    let holder = std::env::var("SK_PIPE_TEST_HOLDER")?;
    let expected = format!("the point is attached: process {holder} has it, and lives");
    if error.to_string().contains(&expected) { Ok(()) } else { Err(error.into()) }
}

type Receive = fn(&mut Anchor<u32, u32>) -> Result<u32, Error>;

/// Rows: PIPE-05, PIPE-38
pub(crate) fn the_next_life_goes_on_with_what_was_not_read() -> Tried<()> {
    let receives: [(&str, Receive); 3] = [
        ("recv", |anchor| anchor.recv_timeout(WATCHDOG)),
        ("await", |anchor| block_on(anchor.recv())),
        ("poll", |anchor| {
            assert!(anchor.poll(WATCHDOG)?);
            anchor.try_recv().map(|message| message.expect("a message was there"))
        }),
    ];
    for (how, receive) in receives {
        let (mut anchor, point) = pair::<u32, u32>()?;
        let succession = point.succession()?;
        let mut lives = Lives::of("reads_some", &(point, 10_u32))?;
        // Before there is a life, too.
        for number in 0..35 {
            anchor.send(&number).wait()?;
        }
        for life in 0..3 {
            let kid = lives.next()?;
            for number in life * 10..life * 10 + 10 {
                assert_eq!(receive(&mut anchor)?, number, "{how}");
            }
            let process = kid.process();
            let waiting = thread::spawn(move || (receive(&mut anchor), anchor));
            thread::sleep(SOON);
            kid.kill()?;
            let (error, back) = waiting.join().map_err(|_| "the reader panicked")?;
            let error = error.unwrap_err();
            anchor = back;
            assert!(error.is_restarting(), "{how}: {error}");
            assert_eq!(error.process(), Some(process), "{how}");
            // It is told once, and who sends does not notice.
            assert!(anchor.recv_timeout(SOON).unwrap_err().is_timeout(), "{how}");
            assert!(!anchor.poll(SOON)?, "{how}");
            anchor.send(&(35 + life)).wait()?;
        }
        drop(succession);
        let error = receive(&mut anchor).unwrap_err();
        assert!(error.is_disconnected(), "{how}: {error}");
    }
    Ok(())
}

/// Answers so many, and stays.
pub(crate) fn reads_some() -> Tried<()> {
    let (mut point, count): (Point<u32, u32>, u32) = inherit::receive()?;
    for _ in 0..count {
        let number = point.recv().timeout(WATCHDOG).wait()?;
        point.send(&number).wait()?;
    }
    loop {
        thread::park();
    }
}

/// A life that dies before it has written down that a message is done leaves it to the next, one that dies after that
/// does not, also if the message was not let go yet.
///
/// Rows: PIPE-05, PIPE-38
pub(crate) fn what_a_life_was_not_done_with_is_received_by_the_next() -> Tried<()> {
    let shape = builder().overflow(Overflow::Fail);
    let (mut anchor, point) = shape.pair::<u64, (u64, u64)>()?;
    let _succession = point.succession()?;
    let done = Share::new()?.number("done", 0_u64)?;
    let mut lives = Lives::of("is_done_with_some", &(point, done.clone()))?;
    for number in 0..10 {
        anchor.send(&number).wait()?;
    }
    for life in 0..3_u32 {
        let before = done.get();
        let kid = lives.next()?;
        for number in life * 2..life * 2 + 3 {
            assert_eq!(answer(anchor.halves().1)?.0, u64::from(number), "life {life}");
        }
        kid.kill()?;
        assert!(done.get() > before);
    }
    Ok(())
}

/// Receives three messages, writes down that the first two are done, and lets go of the first.
pub(crate) fn is_done_with_some() -> Tried<()> {
    let (mut point, done): (Point<(u64, u64), u64>, SharedNumber<u64>) = inherit::receive()?;
    let (sender, receiver) = point.halves()?;
    receiver.keep()?;
    receiver.resume(done.get())?;
    for turn in 0..3 {
        let number = receiver.recv().timeout(WATCHDOG).wait()?;
        if turn < 2 {
            done.set(receiver.position());
        }
        if turn < 1 {
            receiver.release(receiver.position())?;
        }
        sender.send(&(number, 0)).wait()?;
    }
    loop {
        thread::park();
    }
}

/// Rows: PIPE-05, PIPE-38
pub(crate) fn a_sender_hears_that_no_life_follows() -> Tried<()> {
    for is_full in [false, true] {
        let (mut anchor, point) = builder().capacity(4096).pair::<u32, u32>()?;
        let succession = point.succession()?;
        let kid = Lives::of("reads_some", &(point, 1_u32))?.next()?;
        anchor.send(&1).wait()?;
        assert_eq!(anchor.recv_timeout(WATCHDOG)?, 1);
        kid.kill()?;
        // It waits for the next life.
        anchor.send(&2).wait()?;
        if is_full {
            while anchor.try_send(&3)? {}
            let waiting = thread::spawn(move || anchor.send(&4).timeout(WATCHDOG).wait());
            thread::sleep(SOON);
            assert!(!waiting.is_finished());
            drop(succession);
            let error = waiting.join().map_err(|_| "the sender panicked")?.unwrap_err();
            assert!(error.is_disconnected(), "{error}");
        } else {
            drop(succession);
            // This process counts the death a moment after it.
            let error = loop {
                if let Err(error) = anchor.send(&4).timeout(WATCHDOG).wait() {
                    break error;
                }
            };
            assert!(error.is_disconnected(), "{error}");
        }
    }
    Ok(())
}

fn bytes(length: usize) -> Vec<u8> {
    (0..=250).cycle().take(length).collect()
}

fn sum_of(bytes: &[u8]) -> u64 {
    (1..).zip(bytes).fold(0, |sum: u64, (at, byte)| sum.wrapping_add(at * u64::from(*byte)))
}

/// The next answer, of whichever life.
fn answer(receiver: &mut Receiver<(u64, u64)>) -> Tried<(u64, u64)> {
    loop {
        match receiver.recv_timeout(WATCHDOG) {
            Err(error) if error.is_restarting() => {}
            answer => return Ok(answer?),
        }
    }
}

/// In several frames: less than half of the pipe, more than that, and more than all of it.
///
/// Rows: PIPE-05, PIPE-38
pub(crate) fn a_message_that_a_life_had_half_read_arrives_whole_in_the_next() -> Tried<()> {
    for length in [1500, 2048, 2100, 3900, 5000, 100_000] {
        for deaths in [0, 1, 3] {
            let (anchor, point) = builder().capacity(4096).pair::<Raw, (u64, u64)>()?;
            let succession = point.succession()?;
            let step = Share::new()?.number("step", 0_u32)?;
            let mut lives = Lives::of("adds_up", &(point, step.clone()))?;
            let (mut sender, mut receiver) = anchor.split();
            let message = bytes(length);
            // So that there is room for a part only.
            let mut before = 0;
            while before < 2 && sender.try_send_bytes(&[1; 1000])? {
                before += 1;
            }
            let mut send = Box::pin(sender.send_bytes(&message));
            let mut sent = block_on(poll_immediate(&mut send));
            let mut got = Vec::new();
            for death in 0..deaths {
                step.set(0);
                let kid = lives.next()?;
                step.wait_until(|step| step == 1).timeout(WATCHDOG).wait()?;
                if death > 0 && sent.is_none() {
                    // A little more of it.
                    sent = block_on(poll_immediate(&mut send));
                }
                while got.len() < before + usize::from(sent.is_some()) {
                    got.push(answer(&mut receiver)?);
                }
                thread::sleep(SOON);
                kid.kill()?;
            }
            let kid = lives.next()?;
            if sent.is_none() {
                block_on(&mut send)?;
            }
            drop(send);
            sender.send_bytes(b"end").timeout(WATCHDOG).wait()?;
            while got.last() != Some(&(3, sum_of(b"end"))) {
                got.push(answer(&mut receiver)?);
            }
            // Each once, in order; a life that was killed had answered what it took.
            let mut expected = vec![(1000, sum_of(&[1; 1000])); before];
            expected.push((length as u64, sum_of(&message)));
            expected.push((3, sum_of(b"end")));
            assert_eq!(got, expected, "{length} after {deaths} deaths");
            drop(succession);
            drop(sender);
            kid.succeeded()?;
        }
    }
    Ok(())
}

/// Says of each message how long it is and what it adds up to.
pub(crate) fn adds_up() -> Tried<()> {
    let (mut point, step): (Point<(u64, u64), Raw>, SharedNumber<u32>) = inherit::receive()?;
    step.set(1);
    let mut bytes = Vec::new();
    loop {
        match point.recv_bytes(&mut bytes).timeout(WATCHDOG).wait() {
            Ok(length) => point.send(&(length as u64, sum_of(&bytes))).wait()?,
            Err(error) if error.is_closed() => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
}

/// Rows: PIPE-05
pub(crate) fn a_message_sent_between_two_lives_arrives_once() -> Tried<()> {
    for length in [100, 1500, 2100, 3900, 100_000] {
        let (anchor, mut point) = builder().capacity(4096).pair::<Raw, (u64, u64)>()?;
        let succession = point.succession()?;
        // It was used here.
        point.sender()?;
        let step = Share::new()?.number("step", 0_u32)?;
        let mut lives = Lives::of("adds_up", &(point, step))?;
        let (mut sender, mut receiver) = anchor.split();
        for _ in 0..3 {
            let message = bytes(length);
            let mut send = Box::pin(sender.send_bytes(&message));
            // As far as there is room for it, which is all of it but for the largest.
            let sent = block_on(poll_immediate(&mut send));
            let kid = lives.next()?;
            if sent.is_none() {
                block_on(&mut send)?;
            }
            drop(send);
            sender.send_bytes(b"end").timeout(WATCHDOG).wait()?;
            let mut got = Vec::new();
            while got.last() != Some(&(3, sum_of(b"end"))) {
                got.push(answer(&mut receiver)?);
            }
            assert_eq!(got, [(length as u64, sum_of(&message)), (3, sum_of(b"end"))]);
            kid.kill()?;
        }
        drop(succession);
    }
    Ok(())
}

/// Rows: PIPE-05, PIPE-38
pub(crate) fn a_half_sent_message_of_the_dead_is_never_delivered() -> Tried<()> {
    for length in [1500, 2100, 5000, 100_000] {
        for has_read in [false, true] {
            let (mut anchor, point) = builder().capacity(4096).pair::<u32, Raw>()?;
            let succession = point.succession()?;
            let step = Share::new()?.number("step", 0_u32)?;
            let mut lives = Lives::of("sends_half", &(point, length as u64, step.clone()))?;
            let mut bytes = Vec::new();
            for life in 0..3 {
                step.set(0);
                let kid = lives.next()?;
                step.wait_until(|step| step == 1).timeout(WATCHDOG).wait()?;
                let process = kid.process();
                let read = |anchor: &mut Anchor<u32, Raw>, bytes: &mut Vec<u8>| -> Tried<()> {
                    for number in 0..3 {
                        anchor.recv_bytes(bytes).timeout(WATCHDOG).wait()?;
                        assert_eq!(*bytes, [number; 900]);
                    }
                    Ok(())
                };
                if has_read {
                    read(&mut anchor, &mut bytes)?;
                    let nothing = anchor.recv_bytes(&mut bytes).timeout(SOON).wait();
                    assert!(nothing.unwrap_err().is_timeout());
                }
                kid.kill()?;
                if !has_read {
                    read(&mut anchor, &mut bytes)?;
                }
                let error = anchor.recv_bytes(&mut bytes).timeout(WATCHDOG).wait().unwrap_err();
                assert!(error.is_restarting(), "{length}, life {life}: {error}");
                assert_eq!(error.process(), Some(process));
            }
            drop(succession);
            let error = anchor.recv_bytes(&mut bytes).timeout(WATCHDOG).wait().unwrap_err();
            assert!(error.is_disconnected(), "{error}");
        }
    }
    Ok(())
}

pub(crate) fn sends_half() -> Tried<()> {
    let (mut point, length, step): (Point<Raw, u32>, u64, SharedNumber<u32>) = inherit::receive()?;
    for number in 0..3 {
        point.send_bytes(&[number; 900]).timeout(WATCHDOG).wait()?;
    }
    let message = bytes(usize::try_from(length)?);
    let mut send = Box::pin(point.send_bytes(&message));
    let sent = block_on(poll_immediate(&mut send));
    assert!(sent.is_none());
    step.set(1);
    loop {
        thread::park();
    }
}

/// Rows: PIPE-34
pub(crate) fn a_message_given_up_half_sent_is_no_obstacle() -> Tried<()> {
    for length in [1500, 2048, 2100, 5000] {
        let (anchor, point) = builder().capacity(4096).pair::<Raw, (u64, u64)>()?;
        let step = Share::new()?.number("step", 0_u32)?;
        let (mut sender, mut receiver) = anchor.split();
        let message = bytes(length);
        let mut small = 0;
        // What is sent of it before it is given up takes about half of the pipe, or a quarter.
        let filled = if length < 2000 { 2660 } else { 2040 };
        while sender.unread_bytes()? < filled {
            sender.send_bytes(&[1; 16]).wait()?;
            small += 1;
        }
        assert!(sender.send_bytes(&message).timeout(SOON).wait().unwrap_err().is_timeout());
        let kid = Lives::of("adds_up", &(point, step))?.next()?;
        for _ in 0..small {
            assert_eq!(receiver.recv_timeout(WATCHDOG)?.0, 16);
        }
        for _ in 0..3 {
            sender.send_bytes(&message).timeout(WATCHDOG).wait()?;
            assert_eq!(receiver.recv_timeout(WATCHDOG)?, (length as u64, sum_of(&message)));
        }
        drop(sender);
        kid.succeeded()?;
    }
    Ok(())
}
