//! What is put by one thread is taken by another: once, in order, whole.

use super::*;
use crate::modelling::{at_once, model};

/// Puts the messages `1..=count`, takes them in another thread, and says how many interleavings there were.
fn come_as_they_were_put(count: u8, switches: usize, words: fn(u8) -> usize) -> u32 {
    (0..2)
        .map(|order| {
            model(switches, move || {
                let memory = memory();
                let writer = work(&memory, move |memory| {
                    let agent = lives(memory, 0);
                    let mut writing = RING.writing(&agent).unwrap();
                    for number in 1..=count {
                        put(&agent, &mut writing, &message(number, words(number)));
                    }
                    true
                });
                let reader = work(&memory, move |memory| {
                    let agent = lives(memory, 1);
                    let mut reading = RING.reading(&agent).unwrap();
                    for expected in 1..=count {
                        let bytes = take(&agent, &mut reading);
                        assert_eq!(bytes, message(expected, words(expected)));
                    }
                    try_take(&agent, &mut reading).is_none()
                });
                assert_eq!(at_once(order, [writer, reader]), [true, true], "one too many");
                let last = lives(&memory, 2);
                let mut writing = RING.writing(&last).unwrap();
                assert!(RING.is_all_read(&last, &mut writing).unwrap());
            })
        })
        .sum()
}

/// Each message fills the ring, and the second one goes around its end: who writes waits for room, who reads for a
/// message.
///
/// ```text
///   writer                          reader
///   bytes at 8..24; 0 at 24
///   header at 0
///                                   header at 0: copies, head = 24
///   room: bytes at 0..16; 0 at 16
///                                   0 at 24: sleeps
///   header at 24, wakes
///                                   header at 24: copies, head = 48
/// ```
#[test]
fn messages_around_the_end_come_whole_and_in_order() {
    let began = std::time::Instant::now();
    let runs = come_as_they_were_put(3, 3, |_| 2);
    println!("messages_around_the_end: {runs} interleavings, {:.1?}", began.elapsed());
}

/// Several lie in the ring at once, one of them without bytes.
///
/// ```text
///   writer                          reader
///   header at 0, header at 8
///                                   header at 0, head = 8
///   header at 16 (one word)
///                                   header at 8, header at 16, head = 32
///   header at 0, of the next lap
/// ```
#[test]
fn messages_of_several_lengths_come_whole_and_in_order() {
    let began = std::time::Instant::now();
    let runs = come_as_they_were_put(4, 2, |number| usize::from(number >= 3));
    println!("messages_of_several_lengths: {runs} interleavings, {:.1?}", began.elapsed());
}
