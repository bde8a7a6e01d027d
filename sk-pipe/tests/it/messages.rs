//! Messages there and back, of all sizes, and what is full.

use std::collections::VecDeque;
use std::thread;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use sk_pipe::{Overflow, Plain, Raw, Receiver, Sender, builder, one_way, pair};

use super::{SOON, WATCHDOG};

/// Rows: PIPE-01, PIPE-02, PIPE-06, PIPE-07, PIPE-14
#[test]
fn a_command_is_answered() {
    let (mut anchor, mut point) = pair::<(u32, String), u64>().unwrap();
    thread::scope(|scope| {
        scope.spawn(move || {
            for _ in 0..1000 {
                let (number, text): (u32, String) = point.recv().wait().unwrap();
                point.send(&(u64::from(number) + text.len() as u64)).wait().unwrap();
            }
        });
        for number in 0..1000 {
            anchor.send(&(number, "abc".to_owned())).wait().unwrap();
            assert_eq!(anchor.recv_timeout(WATCHDOG).unwrap(), u64::from(number) + 3);
        }
    });
}

/// Rows: PIPE-03
#[test]
fn a_pipe_may_go_one_way() {
    let (mut anchor, mut point) = one_way::<Vec<u8>>().unwrap();
    anchor.send(&vec![1, 2]).wait().unwrap();
    assert_eq!(point.recv().wait().unwrap(), [1, 2]);
}

/// Rows: PIPE-29
#[test]
fn what_is_not_there_is_not_waited_for() {
    let (mut anchor, mut point) = pair::<u32, u32>().unwrap();
    assert_eq!(point.try_recv().unwrap(), None);
    assert!(!point.poll(Duration::ZERO).unwrap());
    let begin = Instant::now();
    let error = point.recv_timeout(SOON).unwrap_err();
    assert!(error.is_timeout() && begin.elapsed() >= SOON);
    assert_eq!(error.to_string(), "the deadline passed, 20ms, before a message came");
    assert!(!point.poll(SOON).unwrap());
    anchor.send(&5).wait().unwrap();
    assert!(point.poll(WATCHDOG).unwrap());
    assert_eq!(point.try_recv().unwrap(), Some(5));
}

/// Rows: PIPE-34
#[test]
fn a_full_pipe_waits_fails_or_forgets() {
    let (mut anchor, mut point) = builder().capacity(4096).pair::<u64, ()>().unwrap();
    assert_eq!(anchor.sender().capacity(), 4096);
    let mut sent = 0;
    while anchor.try_send(&sent).unwrap() {
        sent += 1;
    }
    assert!(sent > 100 && anchor.sender().unread_bytes().unwrap() > 4000);
    assert!(anchor.send_timeout(&0, SOON).unwrap_err().is_timeout());
    assert_eq!(point.recv().wait().unwrap(), 0);
    assert!(anchor.try_send(&sent).unwrap());

    let fail = builder().capacity(4096).overflow(Overflow::Fail);
    let (mut anchor, _point) = fail.pair::<u64, ()>().unwrap();
    let error = loop {
        if let Err(error) = anchor.send(&0).wait() {
            break error;
        }
    };
    assert!(error.is_full(), "{error}");
    assert!(error.to_string().contains("4096"), "{error}");

    let drop = builder().capacity(4096).overflow(Overflow::DropOldest);
    let (mut anchor, mut point) = drop.pair::<u64, ()>().unwrap();
    assert!(!point.poll(SOON).unwrap());
    for number in 0..10_000 {
        anchor.send(&number).wait().unwrap();
    }
    assert!(point.poll(WATCHDOG).unwrap());
    let mut seen = Vec::new();
    while let Some(number) = point.try_recv().unwrap() {
        seen.push(number);
    }
    assert_eq!(seen.last(), Some(&9999));
    assert!(seen.len() > 100 && seen.is_sorted());
    anchor.send(&1).wait().unwrap();
    assert_eq!(point.recv().wait().unwrap(), 1);
}

/// Rows: PIPE-34
#[test]
fn a_reader_that_was_dropped_past_can_ask_what_is_there() {
    let drop = builder().capacity(4096).overflow(Overflow::DropOldest);
    let (mut anchor, mut point) = drop.pair::<Vec<u64>, ()>().unwrap();
    assert!(!point.poll(Duration::ZERO).unwrap());
    for number in 0..10_000 {
        anchor.send(&vec![number; 3]).wait().unwrap();
    }
    assert!(point.poll(Duration::ZERO).unwrap());
    assert!(point.recv().wait().unwrap()[0] > 9000);
}

/// Rows: PIPE-34
#[test]
fn a_reader_among_drops_sees_whole_messages_in_order() {
    let drop = builder().capacity(4096).overflow(Overflow::DropOldest);
    let (mut anchor, mut point) = drop.pair::<Vec<u64>, ()>().unwrap();
    thread::scope(|scope| {
        scope.spawn(move || {
            for number in 0..50_000_u64 {
                let length = usize::try_from(number % 50).unwrap();
                anchor.send(&vec![number; length + 1]).wait().unwrap();
            }
        });
        let mut last = None;
        loop {
            match point.recv_timeout(WATCHDOG) {
                Ok(message) => {
                    let first = message[0];
                    assert!(message.iter().all(|number| *number == first));
                    assert_eq!(message.len() as u64, first % 50 + 1);
                    assert!(last < Some(first));
                    last = Some(first);
                }
                Err(error) => {
                    assert!(error.is_closed(), "{error}");
                    break;
                }
            }
        }
        assert_eq!(last, Some(49_999));
    });
}

/// Rows: PIPE-33
#[test]
fn bytes_are_received_into_a_given_buffer() {
    let (mut anchor, mut point) = builder().capacity(4096).pair::<Raw, Raw>().unwrap();
    anchor.send_bytes(b"hello").wait().unwrap();
    let mut small = [0; 3];
    let error = point.recv_into(&mut small).wait().unwrap_err();
    assert!(error.is_limit());
    assert_eq!(error.to_string(), "the message has 5 bytes and the buffer 3");
    let mut buffer = [0; 8];
    assert_eq!(point.recv_into(&mut buffer).wait().unwrap(), 5);
    assert_eq!(&buffer[..5], b"hello");
    anchor.send_bytes(b"").wait().unwrap();
    assert_eq!(point.recv_into(&mut buffer).wait().unwrap(), 0);
    let long: Vec<u8> = (0..=255).cycle().take(100_001).collect();
    thread::scope(|scope| {
        scope.spawn(|| anchor.send_bytes(&long).wait().unwrap());
        let mut buffer = vec![0; 100_000];
        assert!(point.recv_into(&mut buffer).wait().unwrap_err().is_limit());
        let mut buffer = vec![0; 200_000];
        assert_eq!(point.recv_into(&mut buffer).wait().unwrap(), 100_001);
        assert_eq!(buffer[..100_001], long);
    });
    anchor.send_bytes(&[7; 9]).wait().unwrap();
    let mut bytes = vec![1; 100];
    assert_eq!(point.recv_bytes(&mut bytes).wait().unwrap(), 9);
    assert_eq!(bytes, [7; 9]);
}

/// Rows: PIPE-41
#[test]
fn an_event_has_no_bytes() {
    let (mut anchor, mut point) = pair::<(), ()>().unwrap();
    for _ in 0..3 {
        anchor.send(&()).wait().unwrap();
    }
    for _ in 0..3 {
        point.recv().wait().unwrap();
    }
    assert_eq!(point.try_recv().unwrap(), None);
}

/// Rows: PIPE-08
#[test]
fn who_closes_is_heard_after_all_that_was_sent() {
    let (mut anchor, mut point) = pair::<u32, u32>().unwrap();
    anchor.send(&1).wait().unwrap();
    anchor.close();
    assert_eq!(point.recv().wait().unwrap(), 1);
    let error = point.recv().wait().unwrap_err();
    assert!(error.is_closed());
    assert_eq!(error.to_string(), "the anchor was closed");
    assert!(point.send(&1).wait().unwrap_err().is_closed());
    assert!(anchor.recv().wait().unwrap_err().is_closed());
    assert!(anchor.send(&1).wait().unwrap_err().is_closed());
}

/// Rows: PIPE-08
#[test]
fn who_waits_hears_of_the_end() {
    let (mut anchor, point) = pair::<u32, u32>().unwrap();
    thread::scope(|scope| {
        let waiting = scope.spawn(move || anchor.recv().wait().unwrap_err());
        thread::sleep(SOON);
        drop(point);
        assert!(waiting.join().unwrap().is_closed());
    });
    let (mut anchor, mut point) = builder().capacity(4096).pair::<u64, u32>().unwrap();
    assert_eq!(point.try_recv().unwrap(), None);
    thread::scope(|scope| {
        let waiting = scope.spawn(move || {
            loop {
                if let Err(error) = anchor.send(&1).wait() {
                    break error;
                }
            }
        });
        thread::sleep(SOON);
        drop(point);
        assert!(waiting.join().unwrap().is_closed());
    });
}

#[test]
fn halves_are_for_two_threads() {
    let (anchor, point) = pair::<u32, u32>().unwrap();
    let (mut to, mut from) = anchor.split();
    let (mut back, mut there) = point.split().unwrap();
    thread::scope(|scope| {
        scope.spawn(move || {
            for number in 0..10_000 {
                to.send(&number).wait().unwrap();
            }
        });
        scope.spawn(move || {
            for number in 0..10_000 {
                back.send(&number).wait().unwrap();
            }
        });
        scope.spawn(move || {
            for number in 0..10_000 {
                assert_eq!(there.recv().wait().unwrap(), number);
            }
            assert!(there.recv().wait().unwrap_err().is_closed());
        });
        for number in 0..10_000 {
            assert_eq!(from.recv().wait().unwrap(), number);
        }
    });
}

#[test]
fn what_cannot_be_encoded_is_not_sent() {
    let (mut anchor, mut point) = pair::<std::cell::RefCell<u32>, ()>().unwrap();
    let value = std::cell::RefCell::new(1);
    let borrowed = value.borrow_mut();
    assert!(anchor.send(&value).wait().unwrap_err().is_codec());
    drop(borrowed);
    anchor.send(&value).wait().unwrap();
    assert_eq!(point.recv().wait().unwrap().into_inner(), 1);
}

#[test]
fn capacities_that_cannot_be_are_errors() {
    for asked in [0, 1, 4095, 5000, 1 << 31, u64::MAX] {
        let error = builder().capacity(asked).pair::<(), ()>().unwrap_err();
        assert!(error.is_limit());
        assert!(error.to_string().contains(&asked.to_string()), "{error}");
        // Between the limits is not enough.
        assert!(error.to_string().contains("a power of two from 4096 to 1073741824"), "{error}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Any messages, of any sizes, in any capacity, come as they were sent.
    #[test]
    fn messages_come_as_they_were_sent(
        lengths in prop::collection::vec(prop_oneof![0_usize..200, 900_usize..1200, 4000_usize..4200, 0_usize..40_000], 1..60),
        shift in 12_u32..16,
    ) {
        let (mut anchor, mut point) = builder().capacity(1 << shift).pair::<Raw, Raw>().unwrap();
        let message = |index: usize, length: usize| -> Vec<u8> {
            (0..length).map(|at| u8::try_from((at * 7 + index) % 251).unwrap()).collect()
        };
        thread::scope(|scope| {
            scope.spawn(|| {
                for (index, length) in lengths.iter().enumerate() {
                    anchor.send_bytes(&message(index, *length)).timeout(WATCHDOG).wait().unwrap();
                }
            });
            let mut bytes = Vec::new();
            for (index, length) in lengths.iter().enumerate() {
                point.recv_bytes(&mut bytes).timeout(WATCHDOG).wait().unwrap();
                assert!(bytes == message(index, *length), "message {index} of {length} bytes");
            }
        });
    }
}

/// What one does at one end of a pipe, with a length.
#[derive(Debug, Clone)]
enum Step {
    TrySend(usize),
    /// Of what may take several frames, for no time at all: what did not fit was given up in the middle.
    Send(usize),
    TryReceive,
    ReceiveInto(usize),
    Poll,
    Close,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0_usize..900).prop_map(Step::TrySend),
        2 => (0_usize..2040).prop_map(Step::Send),
        6 => Just(Step::TryReceive),
        1 => (0_usize..900).prop_map(Step::ReceiveInto),
        2 => Just(Step::Poll),
        // Rare, since it ends most of what can be seen.
        1 => (0_u8..20).prop_map(|chance| if chance == 0 { Step::Close } else { Step::Poll }),
    ]
}

/// What a direction holds, as a queue.
struct Queue {
    policy: Overflow,
    /// The message and the bytes it takes; without one, what is left of one that was given up.
    items: VecDeque<(Option<Vec<u8>>, usize)>,
    /// What the reader went past of one that was given up, and frees with the next one.
    held: usize,
    is_closed: bool,
}

const CAPACITY: usize = 4096;
const LONGEST: usize = CAPACITY - 32;

impl Queue {
    fn new(policy: Overflow) -> Queue {
        Queue { policy, items: VecDeque::new(), held: 0, is_closed: false }
    }

    fn has_room(&self, frame: usize) -> bool {
        let used: usize = self.items.iter().map(|(_, bytes)| bytes).sum();
        used + self.held + frame + 8 <= CAPACITY
    }

    /// Whether one frame went in.
    fn push(&mut self, message: &[u8]) -> bool {
        let frame = 8 + message.len().next_multiple_of(8);
        while self.policy == Overflow::DropOldest && !self.has_room(frame) {
            self.items.pop_front();
        }
        let has_room = self.has_room(frame);
        if has_room {
            self.items.push_back((Some(message.to_vec()), frame));
        }
        has_room
    }

    /// Whether all frames of a long message went in.
    fn push_parts(&mut self, message: &[u8]) -> bool {
        let mut bytes = 0;
        let mut prefix = 8;
        for part in message.chunks(CAPACITY / 4 - 24) {
            let frame = 8 + prefix + part.len().next_multiple_of(8);
            prefix = 0;
            if !self.has_room(bytes + frame) {
                self.items.extend((bytes > 0).then_some((None, bytes)));
                return false;
            }
            bytes += frame;
        }
        self.items.push_back((Some(message.to_vec()), bytes));
        true
    }

    /// The length of the message that is next, of what was given up behind of which the reader goes.
    fn next(&mut self) -> Option<usize> {
        while let Some((None, bytes)) = self.items.front() {
            self.held = *bytes;
            self.items.pop_front();
        }
        self.items.front().and_then(|(message, _)| message.as_ref().map(Vec::len))
    }

    fn pop(&mut self) -> Option<Vec<u8>> {
        self.next()?;
        self.held = 0;
        self.items.pop_front().and_then(|(message, _)| message)
    }
}

/// Takes one step at an end that sends into `to` and receives from `from`.
fn take_step(
    (sender, receiver): &mut (Sender<Raw>, Receiver<Raw>),
    [to, from]: [&mut Queue; 2],
    step: &Step,
    number: usize,
) {
    let message = |length: usize| -> Vec<u8> {
        (0..length).map(|at| u8::try_from((at + number) % 251).unwrap()).collect()
    };
    match step {
        Step::TrySend(length) | Step::Send(length) if to.policy != Overflow::Block => {
            let message = message(length * 4);
            let sent = sender.try_send_bytes(&message);
            if message.len() > LONGEST {
                assert!(sent.unwrap_err().is_limit());
            } else if to.is_closed {
                assert!(sent.unwrap_err().is_closed());
            } else if to.push(&message) {
                assert!(sent.unwrap());
            } else {
                assert!(sent.unwrap_err().is_full());
            }
        }
        Step::TrySend(length) => {
            let message = message(length * 4);
            let sent = sender.try_send_bytes(&message);
            if message.len() > CAPACITY / 4 {
                assert!(sent.unwrap_err().is_limit());
            } else if to.is_closed {
                assert!(sent.unwrap_err().is_closed());
            } else {
                assert_eq!(sent.unwrap(), to.push(&message));
            }
        }
        Step::Send(length) => {
            let message = message(*length);
            let sent = sender.send_bytes(&message).timeout(Duration::ZERO).wait();
            if to.is_closed {
                assert!(sent.unwrap_err().is_closed());
                return;
            }
            let is_short = message.len() <= CAPACITY / 4;
            if if is_short { to.push(&message) } else { to.push_parts(&message) } {
                sent.unwrap();
            } else {
                assert!(sent.unwrap_err().is_timeout());
            }
        }
        Step::TryReceive | Step::ReceiveInto(_) => {
            let mut bytes = match step {
                Step::ReceiveInto(length) => vec![0; length * 4],
                _ => Vec::new(),
            };
            let received = match step {
                Step::ReceiveInto(_) => {
                    receiver.recv_into(&mut bytes).timeout(Duration::ZERO).wait()
                }
                _ => receiver.recv_bytes(&mut bytes).timeout(Duration::ZERO).wait(),
            };
            let next = from.next();
            match received {
                Ok(length) => assert_eq!(Some(&bytes[..length]), from.pop().as_deref()),
                Err(error) if error.is_limit() => assert!(next > Some(bytes.len()), "{error}"),
                Err(error) if error.is_closed() => assert!(next.is_none() && from.is_closed),
                Err(error) => assert!(error.is_timeout() && next.is_none() && !from.is_closed),
            }
        }
        Step::Poll => {
            let is_there = from.next().is_some() || from.is_closed;
            assert_eq!(receiver.poll(Duration::ZERO).unwrap(), is_there);
        }
        Step::Close => {
            sender.close();
            to.is_closed = true;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    /// Whatever is done at both ends, each direction is a queue of so many bytes.
    #[test]
    fn a_direction_is_a_queue(
        policy in prop_oneof![Just(Overflow::Block), Just(Overflow::Fail), Just(Overflow::DropOldest)],
        steps in prop::collection::vec((any::<bool>(), step()), 1..120),
    ) {
        let pipe = builder().capacity(CAPACITY as u64).overflow(policy);
        let (anchor, point) = pipe.pair::<Raw, Raw>().unwrap();
        let (mut anchor, mut point) = (anchor.split(), point.split().unwrap());
        let (mut there, mut back) = (Queue::new(policy), Queue::new(policy));
        for (number, (is_anchor, step)) in steps.iter().enumerate() {
            if *is_anchor {
                take_step(&mut anchor, [&mut there, &mut back], step, number);
            } else {
                take_step(&mut point, [&mut back, &mut there], step, number);
            }
        }
    }
}

/// Those of a message that was given up in the middle make room when the next one comes.
#[test]
fn what_was_given_up_makes_room() {
    let (mut anchor, point) = builder().capacity(4096).pair::<Raw, Raw>().unwrap();
    let (_sender, mut receiver) = point.split().unwrap();
    let half = [1; 2048];
    let mut bytes = Vec::new();
    for _ in 0..2 {
        anchor.send_bytes(&[0; 1000]).wait().unwrap();
    }
    // Two of its three frames go in.
    assert!(anchor.send_bytes(&half).timeout(SOON).wait().unwrap_err().is_timeout());
    thread::scope(|scope| {
        scope.spawn(|| anchor.send_bytes(&half).timeout(WATCHDOG).wait().unwrap());
        for _ in 0..2 {
            assert_eq!(receiver.recv_bytes(&mut bytes).timeout(WATCHDOG).wait().unwrap(), 1000);
        }
        assert_eq!(receiver.recv_bytes(&mut bytes).timeout(WATCHDOG).wait().unwrap(), 2048);
    });
}

/// Rows: PIPE-33
#[test]
fn plain_data_goes_as_it_is() {
    let (mut anchor, mut point) = pair::<Plain<[u64; 3]>, Plain<u8>>().unwrap();
    for number in 0..100 {
        anchor.send_plain(&[number, 2, 3]).wait().unwrap();
        assert_eq!(point.recv_plain().wait().unwrap(), [number, 2, 3]);
        point.send_plain(&7).wait().unwrap();
        assert_eq!(anchor.recv_plain().timeout(WATCHDOG).wait().unwrap(), 7);
    }
    let (sender, receiver) = anchor.halves();
    assert!(sender.try_send_plain(&[1; 3]).unwrap());
    assert_eq!(receiver.try_recv_plain().unwrap(), None);
    assert_eq!(point.receiver().unwrap().try_recv_plain().unwrap(), Some([1; 3]));
}

/// A message of which a part is there is none yet, and may never be one.
///
/// Rows: PIPE-29
#[test]
fn what_was_polled_for_is_a_whole_message() {
    let (mut anchor, mut point) = builder().capacity(4096).pair::<Vec<u8>, ()>().unwrap();
    let large = vec![2; 100_000];
    assert!(anchor.send_timeout(&large, SOON).unwrap_err().is_timeout());
    assert!(!point.poll(SOON).unwrap());
    thread::scope(|scope| {
        let writer = scope.spawn(|| anchor.send_timeout(&large, WATCHDOG));
        assert!(point.poll(WATCHDOG).unwrap());
        assert_eq!(point.try_recv().unwrap().as_deref(), Some(&large[..]));
        writer.join().unwrap().unwrap();
    });
    assert!(!point.poll(SOON).unwrap());
    // Nothing comes to who has closed, which the next call says.
    point.receiver().unwrap().close();
    assert!(point.poll(Duration::ZERO).unwrap());
    assert!(point.try_recv().unwrap_err().is_closed());
}

/// Who is told that a message was not sent may send it again: it comes once.
#[test]
fn what_was_given_up_does_not_come() {
    // More than half of the pipe, nearly all of it, and more than all.
    for length in [2049, 3000, 3900, 5000] {
        let (mut anchor, mut point) = builder().capacity(4096).pair::<Raw, ()>().unwrap();
        let message = vec![1; length];
        let mut bytes = Vec::new();
        for _ in 0..3 {
            let sent = anchor.send_bytes(&message).timeout(SOON).wait();
            assert!(sent.unwrap_err().is_timeout(), "{length}");
            // Whoever reads has it all but for its last bytes.
            let received = point.recv_bytes(&mut bytes).timeout(SOON).wait();
            assert!(received.unwrap_err().is_timeout(), "{length}");
        }
        thread::scope(|scope| {
            scope.spawn(|| {
                anchor.send_bytes(&message).timeout(WATCHDOG).wait().unwrap();
                anchor.send_bytes(&[7]).timeout(WATCHDOG).wait().unwrap();
            });
            for expected in [length, 1] {
                let received = point.recv_bytes(&mut bytes).timeout(WATCHDOG).wait().unwrap();
                assert_eq!(received, expected);
            }
        });
    }
}
