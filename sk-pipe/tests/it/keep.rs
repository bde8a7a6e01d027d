//! Messages that stay in the pipe until they are done with.

use proptest::prelude::*;
use sk_pipe::{Error, Overflow, Point, builder, pair};

type Kept = (sk_pipe::Anchor<Vec<u8>, ()>, Point<(), Vec<u8>>);

fn kept(capacity: u64) -> Kept {
    let (anchor, mut point) =
        builder().capacity(capacity).overflow(Overflow::Fail).pair::<Vec<u8>, ()>().unwrap();
    point.halves().unwrap().1.keep().unwrap();
    (anchor, point)
}

#[test]
fn what_is_kept_takes_room_until_it_is_released() {
    let (mut anchor, mut point) = kept(4096);
    let (_, receiver) = point.halves().unwrap();
    let message = vec![7; 900];
    let mut ends = Vec::new();
    for _ in 0..4 {
        anchor.send(&message).wait().unwrap();
        assert_eq!(receiver.recv().wait().unwrap(), message);
        ends.push(receiver.position());
    }
    let error = anchor.send(&message).wait().unwrap_err();
    assert!(error.is_full() && error.to_string().contains("4096"), "{error}");
    receiver.release(ends[0]).unwrap();
    anchor.send(&message).wait().unwrap();
    assert!(anchor.send(&message).wait().unwrap_err().is_full());
    // Once more is nothing, and so is all at once.
    receiver.release(ends[0]).unwrap();
    receiver.release(ends[3]).unwrap();
    assert_eq!(receiver.recv().wait().unwrap(), message);
    for _ in 0..3 {
        anchor.send(&message).wait().unwrap();
    }
}

#[test]
fn a_position_at_which_no_message_ends_is_refused_and_frees_nothing() {
    let (mut anchor, mut point) = kept(4096);
    let (_, receiver) = point.halves().unwrap();
    for number in 0..3 {
        anchor.send(&vec![number; 20]).wait().unwrap();
    }
    receiver.recv().wait().unwrap();
    let first = receiver.position();
    receiver.recv().wait().unwrap();
    let second = receiver.position();
    receiver.release(first).unwrap();
    let before = anchor.halves().0.unread_bytes().unwrap();
    // Given back already, within one, not received yet, beyond all.
    for wrong in [0, first + 1, first + 8, second + 8, second + (second - first), u64::MAX, 1 << 62]
    {
        let error = receiver.release(wrong).unwrap_err();
        assert!(error.to_string().contains(&wrong.to_string()), "{error}");
        assert_eq!(anchor.halves().0.unread_bytes().unwrap(), before, "{wrong}");
    }
    receiver.release(second).unwrap();
    assert_eq!(receiver.recv().wait().unwrap(), [2; 20]);
}

#[test]
fn only_pipes_that_never_wait_for_room_keep() {
    let refused = |error: Error| assert!(error.to_string().contains("Overflow::Fail"), "{error}");
    let (_anchor, mut point) = pair::<u32, u32>().unwrap();
    let (_, receiver) = point.halves().unwrap();
    refused(receiver.keep().unwrap_err());
    let position = receiver.position();
    assert!(receiver.release(position).unwrap_err().to_string().contains("not kept"));
    assert!(receiver.resume(position).unwrap_err().to_string().contains("not kept"));
    let (_anchor, mut point) = builder().overflow(Overflow::DropOldest).pair::<u32, u32>().unwrap();
    refused(point.halves().unwrap().1.keep().unwrap_err());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Any order of sends, receives and releases, against a queue, round the ring many times.
    #[test]
    fn messages_come_in_order_whatever_is_kept(steps in proptest::collection::vec((0..3_u8, 0..400_usize), 1..300)) {
        let (mut anchor, mut point) = kept(4096);
        let (_, receiver) = point.halves().unwrap();
        let (mut sent, mut received, mut ends) = (0_u8, 0_u8, Vec::new());
        let mut lengths = std::collections::VecDeque::new();
        for (step, length) in steps {
            match step {
                0 => match anchor.send(&vec![sent; length]).wait() {
                    Ok(()) => {
                        lengths.push_back(length);
                        sent = sent.wrapping_add(1);
                    }
                    Err(error) => prop_assert!(error.is_full(), "{}", error),
                },
                1 => match (receiver.try_recv().unwrap(), lengths.pop_front()) {
                    (Some(message), Some(length)) => {
                        prop_assert_eq!(message, vec![received; length]);
                        received = received.wrapping_add(1);
                        ends.push(receiver.position());
                    }
                    (None, None) => {}
                    (message, length) => prop_assert!(false, "{:?} and {:?}", message, length),
                },
                _ => {
                    if !ends.is_empty() {
                        let until = length % ends.len();
                        receiver.release(ends[until]).unwrap();
                        ends.drain(..=until);
                    }
                }
            }
        }
    }
}
