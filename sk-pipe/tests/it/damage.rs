//! Words of a pipe that no process of ours has written, anywhere in its memory: an error, or a wrong message. Never a
//! panic, a loop without end, more bytes than were sent, or a wait beyond its deadline.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use proptest::prelude::*;
use sk_cereal::{Session, internal};
use sk_pipe::{Anchor, Error, Overflow, Point, Raw, builder};
use sk_share::memory::Descriptors;

use super::WATCHDOG;

/// How long who waits among damage waits.
const PATIENCE: Duration = Duration::from_micros(500);

const CAPACITY: u64 = 4096;
const LENGTH: u64 = 4096 + 2 * CAPACITY;

/// What can be said of damage.
fn check(error: &Error) {
    let is_known = error.is_damaged()
        || error.is_closed()
        || error.is_disconnected()
        || error.is_restarting()
        || error.is_timeout()
        || error.is_limit()
        || error.is_full()
        || error.is_endpoint();
    assert!(is_known, "{error:?}");
    assert!(!error.to_string().is_empty());
}

/// Gives a point to this process once more, and lets one look at the memory on the way.
fn travel(point: Point<Raw, Raw>) -> Result<(Point<Raw, Raw>, File), sk_cereal::Error> {
    let session = Session::hand_over();
    let bytes = session.enter(|| internal::to_vec(&point))?;
    let table: Descriptors = session.take();
    let files =
        || table.as_fds().into_iter().map(|file| File::from(file.try_clone_to_owned().unwrap()));
    // The roster is longer, and the socket has no length.
    let memory = files().find(|file| file.metadata().unwrap().len() == LENGTH);
    let session = Session::hand_over();
    session.put(Descriptors::arrived(files().map(Into::into)));
    let point = session.enter(|| internal::from_slice(&bytes))?;
    Ok((point, memory.expect("the memory travels beside the point")))
}

fn pipe(policy: Overflow) -> (Anchor<Raw, Raw>, Point<Raw, Raw>, File) {
    let (anchor, point) = builder().capacity(CAPACITY).overflow(policy).pair::<Raw, Raw>().unwrap();
    let (point, memory) = travel(point).unwrap();
    (anchor, point, memory)
}

#[derive(Debug, Clone)]
enum Step {
    Flip(u64, u8),
    Store(u64, u64),
    /// A word becomes what it is and so much more.
    Add(u64, u64),
    Send(bool, usize),
    Receive(bool),
    ReceiveInto(bool, usize),
    Poll(bool),
    Unread,
    Travel,
}

/// The places of words, most of all those that say where something is.
fn place() -> impl Strategy<Value = u64> {
    let rings = prop_oneof![Just(0_u64), Just(128), Just(256), Just(384)];
    prop_oneof![
        // The words of both sides, and those of both rings.
        3 => (0_u64..2, 0_u64..5).prop_map(|(side, word)| 256 + side * 128 + word * 8),
        6 => (0_u64..2, rings).prop_map(|(ring, word)| 512 + ring * 512 + word),
        // The first frames of both.
        6 => (0_u64..2, 0_u64..40).prop_map(|(ring, word)| 4096 + ring * CAPACITY + word * 8),
        2 => (0_u64..LENGTH / 8).prop_map(|word| word * 8),
    ]
}

fn value() -> impl Strategy<Value = u64> {
    const EDGES: [u64; 11] =
        [0, 1, 7, 8, 4080, 4088, 4096, 0xFFFF_FFFF, 1 << 63, u64::MAX - 7, u64::MAX];
    prop_oneof![prop::sample::select(&EDGES[..]), 0_u64..20_000, any::<u64>()]
}

fn step() -> impl Strategy<Value = Step> {
    let length = || prop_oneof![0_usize..100, 900_usize..1100, 2000_usize..2100, 4000_usize..9000];
    prop_oneof![
        2 => (place(), 0_u8..64).prop_map(|(at, bit)| Step::Flip(at, bit)),
        2 => (place(), value()).prop_map(|(at, value)| Step::Store(at, value)),
        1 => (place(), value()).prop_map(|(at, value)| Step::Add(at, value)),
        6 => (any::<bool>(), length()).prop_map(|(end, length)| Step::Send(end, length)),
        6 => any::<bool>().prop_map(Step::Receive),
        1 => (any::<bool>(), length()).prop_map(|(end, length)| Step::ReceiveInto(end, length)),
        1 => any::<bool>().prop_map(Step::Poll),
        1 => Just(Step::Unread),
        1 => Just(Step::Travel),
    ]
}

fn change(memory: &File, at: u64, how: impl FnOnce(u64) -> u64) {
    memory.write_all_at(&how(read(memory, at)).to_le_bytes(), at).unwrap();
}

fn read(memory: &File, at: u64) -> u64 {
    let mut word = [0; 8];
    memory.read_exact_at(&mut word, at).unwrap();
    u64::from_le_bytes(word)
}

/// Takes all steps; ends early where the point is lost.
fn run(policy: Overflow, steps: &[Step]) {
    let (mut anchor, mut point, memory) = pipe(policy);
    let mut bytes = Vec::new();
    let mut sent = 0_u64;
    for step in steps {
        let outcome = match step {
            Step::Flip(at, bit) => {
                change(&memory, *at, |word| word ^ 1 << bit);
                Ok(0)
            }
            Step::Store(at, value) => {
                change(&memory, *at, |_| *value);
                Ok(0)
            }
            Step::Add(at, value) => {
                change(&memory, *at, |word| word.wrapping_add(*value));
                Ok(0)
            }
            Step::Send(is_anchor, length) => {
                let message = vec![7; *length];
                sent += *length as u64;
                let outcome = if *is_anchor {
                    anchor.send_bytes(&message).timeout(PATIENCE).wait()
                } else {
                    point.send_bytes(&message).timeout(PATIENCE).wait()
                };
                outcome.map(|()| 0)
            }
            Step::Receive(true) => anchor.recv_bytes(&mut bytes).timeout(PATIENCE).wait(),
            Step::Receive(false) => point.recv_bytes(&mut bytes).timeout(PATIENCE).wait(),
            Step::ReceiveInto(is_anchor, length) => {
                bytes.resize(*length, 0);
                if *is_anchor {
                    anchor.recv_into(&mut bytes).timeout(PATIENCE).wait()
                } else {
                    point.recv_into(&mut bytes).timeout(PATIENCE).wait()
                }
            }
            Step::Poll(true) => anchor.poll(PATIENCE).map(usize::from),
            Step::Poll(false) => point.poll(PATIENCE).map(usize::from),
            Step::Unread => anchor.sender().unread_bytes().map(|unread| {
                assert!(unread <= CAPACITY);
                0
            }),
            Step::Travel => match travel(point) {
                Ok((arrived, _)) => {
                    point = arrived;
                    Ok(0)
                }
                Err(error) => {
                    assert!(!error.to_string().is_empty());
                    return;
                }
            },
        };
        match outcome {
            // Frames that nobody wrote lie in what was there.
            Ok(length) => assert!(length as u64 <= sent + CAPACITY, "{length} of {sent}"),
            Err(error) => check(&error),
        }
    }
}

/// Runs `work` under a watchdog.
fn in_time(work: impl FnOnce() + Send + 'static) {
    let (done, is_done) = mpsc::channel();
    let worker = thread::spawn(move || {
        work();
        let _ = done.send(());
    });
    // Dropped without a word, it panicked.
    let outcome = is_done.recv_timeout(WATCHDOG);
    assert_ne!(outcome, Err(mpsc::RecvTimeoutError::Timeout), "it does not end");
    worker.join().unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    /// Between any two operations.
    #[test]
    fn a_damaged_pipe_is_an_error_or_a_wrong_message(
        policy in prop_oneof![Just(Overflow::Block), Just(Overflow::Fail), Just(Overflow::DropOldest)],
        steps in prop::collection::vec(step(), 1..80),
    ) {
        in_time(move || run(policy, &steps));
    }
}

/// While both ends are at work. Who meets damage looks again, until all is over.
#[test]
fn damage_while_messages_go_ends_nobody() {
    for policy in [Overflow::Block, Overflow::Fail, Overflow::DropOldest] {
        in_time(move || {
            for seed in 0..20 {
                damage_while_messages_go(policy, seed);
            }
        });
    }
}

fn damage_while_messages_go(policy: Overflow, seed: u64) {
    let (mut anchor, mut point, memory) = pipe(policy);
    let is_over = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&is_over);
    let reader = thread::spawn(move || {
        let mut bytes = Vec::new();
        while !seen.load(Relaxed) {
            if let Err(error) = point.recv_bytes(&mut bytes).timeout(PATIENCE).wait() {
                check(&error);
            }
        }
    });
    // Marsaglia's xorshift.
    let mut random = 0x9E37_79B9_7F4A_7C15_u64.wrapping_mul(seed + 1);
    let mut next = |limit: u64| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random % limit
    };
    for _ in 0..60 {
        let message = vec![1; usize::try_from(next(3000)).unwrap()];
        if let Err(error) = anchor.send_bytes(&message).timeout(PATIENCE).wait() {
            check(&error);
        }
        if next(8) == 0 {
            let at = [512 + next(64) * 8, 4096 + next(512) * 8][usize::from(next(2) == 0)];
            let bit = next(64);
            change(&memory, at, |word| word ^ 1 << bit);
        }
    }
    is_over.store(true, Relaxed);
    reader.join().unwrap();
}

/// Where the words and the frames of the ring are that an end writes, of which the anchor is the first.
fn ring_of(end: u64) -> (u64, u64) {
    (512 + end * 512, 4096 + end * CAPACITY)
}

/// No frame is where the oldest one has to be.
#[test]
fn who_drops_what_is_damaged_is_told() {
    in_time(|| {
        let (mut anchor, _point, memory) = pipe(Overflow::DropOldest);
        for _ in 0..10 {
            anchor.send_bytes(&[1; 1000]).wait().unwrap();
        }
        let (words, frames) = ring_of(0);
        let head = read(&memory, words + 128);
        change(&memory, frames + head % CAPACITY, |_| 0);
        let error = anchor.send_bytes(&[1; 1000]).timeout(WATCHDOG).wait().unwrap_err();
        assert!(error.is_damaged(), "{error}");
    });
}

/// A bit of its header makes a message a part of one, where there are no parts.
#[test]
fn a_part_among_whole_messages_is_damage() {
    for policy in [Overflow::Fail, Overflow::DropOldest] {
        in_time(move || {
            let (mut anchor, mut point, memory) = pipe(policy);
            let mut message = 1000_u64.to_le_bytes().to_vec();
            message.resize(64, 0);
            anchor.send_bytes(&message).wait().unwrap();
            let (_, frames) = ring_of(0);
            change(&memory, frames, |header| header ^ 1 << 34);
            let mut bytes = Vec::new();
            let received = point.recv_bytes(&mut bytes).timeout(PATIENCE).wait();
            assert!(received.unwrap_err().is_damaged());
        });
    }
}

/// Who comes next believes no position from which it could not go on, and the other end does not wait for it.
#[test]
fn a_position_that_nobody_reaches_is_damage() {
    for position in [u64::MAX - 7, u64::MAX - 4095, 1 << 63] {
        let (mut anchor, point, memory) = pipe(Overflow::Block);
        for end in 0..2 {
            let (words, _) = ring_of(end);
            change(&memory, words, |_| position);
            change(&memory, words + 128, |_| position);
        }
        let error = travel(point).map(|_| ()).unwrap_err();
        assert!(error.to_string().contains("damaged"), "{error}");
        let error = anchor.recv_bytes(&mut Vec::new()).timeout(WATCHDOG).wait().unwrap_err();
        assert!(error.is_closed(), "{error}");
    }
}
