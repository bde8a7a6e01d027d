//! A ring whose writer drops the oldest messages: both move `head`.

use super::*;
use crate::modelling::{at_once, model_deaths};

/// Drops what is in the way of a message, and puts it.
fn put_anyway(agent: &Agent, writing: &mut Writing, bytes: &[u8]) {
    while !try_put(agent, writing, bytes) {
        RING.drop_oldest(agent, writing).unwrap();
    }
}

/// As a receiver reads: what was dropped meanwhile is thrown away, whatever was seen of it.
fn try_take_anyway(agent: &Agent) -> Option<Vec<u8>> {
    loop {
        let mut reading = RING.reading(agent).unwrap();
        let from = reading.cursor;
        match RING.look(agent, &reading) {
            Ok(Some(header)) => {
                let mut bytes = vec![0; header.bytes as usize];
                RING.copy_out(agent, from + HEADER, &mut bytes).unwrap();
                reading.cursor += header.frame_bytes();
                if RING.free_unless_dropped(agent, from, &reading).unwrap() {
                    return Some(bytes);
                }
            }
            other => {
                if !RING.was_dropped(agent, from).unwrap() {
                    assert!(other.unwrap().is_none());
                    return None;
                }
            }
        }
    }
}

/// What is read is whole and in order, and the last one is always there; the writer may die at each step, and another
/// one puts the last one.
///
/// ```text
///   writer                          reader
///   header at 0 (two words)
///                                   head: 0, header at 0: copies 8..16
///   head = 24; fence
///   bytes around the end, at 0..16
///                                   copies 16..24
///   header at 24
///                                   head is not 0: again
/// ```
#[test]
fn what_is_read_among_drops_is_whole() {
    model_deaths("what_is_read_among_drops_is_whole", 2, 2, |fate, order| {
        among_drops([fate, Fate::Lives], 2, order)
    });
}

/// The same where the reader dies at each step, and another one goes on.
#[test]
fn what_is_read_after_a_death_among_drops_is_whole() {
    model_deaths("what_is_read_after_a_death_among_drops_is_whole", 2, 2, |fate, order| {
        among_drops([Fate::Lives, fate], 1, order)
    });
}

/// Both have a fate, and the reader takes up to so many messages.
fn among_drops([writer, reader]: [Fate; 2], takes: usize, order: usize) -> bool {
    let memory = memory();
    let writers = work(&memory, move |memory| {
        let write = |agent: &Agent| {
            let mut writing = RING.writing(agent).unwrap();
            for number in 1..=2 {
                put_anyway(agent, &mut writing, &message(number, 2));
            }
        };
        let died = Agent::new(memory, 0, writer).run(write).is_none();
        let next = lives(memory, 1);
        put_anyway(&next, &mut RING.writing(&next).unwrap(), &message(3, 2));
        (died, Vec::new())
    });
    let readers = work(&memory, move |memory| {
        let taken = std::sync::Mutex::new(Vec::new());
        let read = |agent: &Agent| {
            for _ in 0..takes {
                if let Some(bytes) = try_take_anyway(agent) {
                    taken.lock().unwrap().push(number(&bytes, |_| 2));
                }
            }
        };
        let died = Agent::new(memory, 2, reader).run(read).is_none();
        if died {
            read(&lives(memory, 3));
        }
        (died, taken.into_inner().unwrap())
    });
    let [(writer_died, _), (reader_died, mut taken)] = at_once(order, [writers, readers]);
    let last = lives(&memory, 4);
    while let Some(bytes) = try_take_anyway(&last) {
        taken.push(number(&bytes, |_| 2));
    }
    assert!(taken.is_sorted_by(|one, two| one < two), "{taken:?}");
    assert!(taken.last() == Some(&3) || reader_died, "{taken:?}");
    writer_died || reader_died
}
