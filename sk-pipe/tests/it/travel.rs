//! Points that move, as far as one process can tell.

use sk_cereal::{Session, internal};
use sk_pipe::{Overflow, Point, builder, pair};
use sk_share::Share;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use super::WATCHDOG;

/// Rows: PIPE-09, PIPE-10
#[test]
fn a_locked_point_stays() {
    let (mut anchor, mut point) = pair::<u32, u32>().unwrap();
    assert!(!point.is_locked());
    point.lock();
    assert!(point.is_locked());
    let session = Session::hand_over();
    let error = session.enter(|| internal::to_vec(&point)).unwrap_err();
    assert!(error.to_string().contains("the point is locked"), "{error}");
    point.unlock();
    session.enter(|| internal::to_vec(&point)).unwrap();
    let error = point.recv().wait().unwrap_err();
    assert!(error.is_endpoint(), "{error}");
    let _ = anchor.try_recv();
}

/// Rows: PIPE-11, PIPE-12
#[test]
fn an_anchor_is_always_locked() {
    let (mut anchor, _point) = pair::<u32, u32>().unwrap();
    assert!(anchor.is_locked());
    anchor.lock();
    assert!(anchor.is_locked());
    assert!(anchor.unlock().unwrap_err().is_endpoint());
}

/// Rows: PIPE-32, CER-44
#[test]
fn ends_of_pipes_and_handles_travel_in_messages() {
    let (mut anchor, mut point) = pair::<(Point<u32, String>, Share), ()>().unwrap();
    let (mut inner, moving) = pair::<String, u32>().unwrap();
    let share = Share::new().unwrap();
    let hits = share.number("hits", 1_u32).unwrap();
    anchor.send(&(moving, share.clone())).wait().unwrap();
    let (mut moved, there) = point.recv().wait().unwrap();
    inner.send(&"hello".to_owned()).wait().unwrap();
    assert_eq!(moved.recv().wait().unwrap(), "hello");
    moved.send(&7).wait().unwrap();
    assert_eq!(inner.recv().wait().unwrap(), 7);
    there.number("hits", 0_u32).unwrap().add(1);
    assert_eq!(hits.get(), 2);
}

/// Rows: PIPE-05
#[test]
fn a_point_that_could_not_be_sent_is_still_here() {
    let (mut anchor, point) = pair::<Point<u32, u32>, ()>().unwrap();
    drop(point);
    let (mut inner, mut moving) = pair::<u32, u32>().unwrap();
    assert!(anchor.send(&moving).wait().unwrap_err().is_closed());
    inner.send(&1).wait().unwrap();
    assert_eq!(moving.recv().wait().unwrap(), 1);
}

/// A message is dropped while it is read, and descriptors of another one are not taken for those of it.
#[test]
fn handles_among_drops_arrive_with_theirs() {
    let drop = builder().capacity(4096).overflow(Overflow::DropOldest);
    let (mut anchor, mut point) = drop.pair::<(Share, Vec<u64>), ()>().unwrap();
    let share = Share::new().unwrap();
    thread::scope(|scope| {
        scope.spawn(move || {
            for number in 0..2000 {
                let message = (share.clone(), vec![u64::MAX - number; 250]);
                while let Err(error) = anchor.send(&message).wait() {
                    // The reader has not been there for hundreds of messages.
                    assert!(error.is_full(), "{error}");
                    thread::yield_now();
                }
            }
        });
        loop {
            match point.recv_timeout(WATCHDOG) {
                Ok((_, numbers)) => assert!(numbers.iter().all(|number| *number == numbers[0])),
                Err(error) => {
                    assert!(error.is_closed(), "{error}");
                    break;
                }
            }
        }
    });
}

/// The socket holds fewer messages than the ring: who waits for it does so within its limit, and asleep.
#[test]
fn a_full_socket_is_waited_for_within_the_limit() {
    let (mut anchor, mut point) = builder().capacity(1 << 20).pair::<Share, ()>().unwrap();
    let share = Share::new().unwrap();
    // The reader has moved on, by what the writer has not had to look at.
    for _ in 0..5 {
        anchor.send(&share).wait().unwrap();
        point.recv().wait().unwrap();
    }
    let (told, outcome) = mpsc::channel();
    thread::spawn(move || {
        let mut sent = 0;
        let error = loop {
            match anchor.send_timeout(&share, Duration::from_millis(200)) {
                Ok(()) => sent += 1,
                Err(error) => break error,
            }
        };
        told.send((anchor, sent, error)).unwrap();
    });
    let (mut anchor, sent, error) = outcome.recv_timeout(WATCHDOG).expect("it ends in time");
    assert!(error.is_timeout(), "{error}");
    // Room for it is waited for as room in the ring is.
    let share = Share::new().unwrap();
    let reader = thread::spawn(move || {
        for _ in 0..sent + 1 {
            point.recv_timeout(WATCHDOG).unwrap();
        }
    });
    anchor.send_timeout(&share, WATCHDOG).unwrap();
    reader.join().unwrap();
}

/// A pipe that does not wait for room in the ring does not wait for room in the socket either.
#[test]
fn a_full_socket_is_an_error_where_nobody_waits_for_room() {
    for policy in [Overflow::Fail, Overflow::DropOldest] {
        let pipe = builder().capacity(1 << 20).overflow(policy);
        let (mut anchor, mut point) = pipe.pair::<Share, ()>().unwrap();
        let share = Share::new().unwrap();
        let (told, outcome) = mpsc::channel();
        thread::spawn(move || {
            let error = (0..100_000).find_map(|_| anchor.send(&share).wait().err());
            told.send((anchor, share, error)).unwrap();
        });
        let (mut anchor, share, error) =
            outcome.recv_timeout(WATCHDOG).expect("nothing is waited for");
        let error = error.expect("nobody has read");
        assert!(error.is_full(), "{policy:?}: {error}");
        while point.try_recv().unwrap().is_some() {}
        anchor.send(&share).wait().unwrap();
        point.recv_timeout(WATCHDOG).unwrap();
    }
}
