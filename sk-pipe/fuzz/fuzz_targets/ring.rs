//! Words and frames of a ring that no process of ours has written, before and between any operations of who writes and
//! who reads: an error, or a wrong message. Never a panic, a frame beyond its bounds, or a loop without end.
//!
//! The input is { capacity u8, positions u8 }, then steps of ten bytes: { what u8, argument u8, value u64 }.
#![no_main]

#[path = "../../../sk-share/tests/support/mod.rs"]
#[allow(dead_code, reason = "it is for the models of sk-share too, which use more of it")]
mod support;

use std::sync::atomic::Ordering;

use libfuzzer_sys::fuzz_target;
use sk_pipe::Error;
use sk_pipe::ring::{FIRST, HEADER, LAST, Reading, Ring, Side, Writing};
use sk_share::ground::{Attempt, Ground as _};
use support::{Agent, Fate, Memory};

/// Where the words of a ring lie: of 64 bits, and of 32.
const DOUBLES: [u64; 2] = [0, 128];
const SINGLES: [u64; 4] = [256, 260, 384, 388];

/// A little before positions would overflow, the sequence in headers begins anew, and the first lap ends.
const BEGINNINGS: [u64; 4] = [0, u64::MAX - 255, (1 << 27) - 64, 1 << 62];

struct Both {
    ring: Ring,
    agent: Agent,
    writing: Writing,
    reading: Reading,
    /// From here on the frames lie that were read and not freed.
    freed: u64,
}

fuzz_target!(|data: &[u8]| {
    let Some((&[capacity, beginning], steps)) = data.split_first_chunk() else { return };
    let ring = Ring { at: 0, data: Ring::BYTES, capacity: 32 << (capacity % 5) };
    let length = ring.data + ring.capacity;
    let memory = Memory::new(length, length, 2);
    let agent = Agent::new(&memory, 0, Fate::Lives);
    let beginning = BEGINNINGS[usize::from(beginning % 4)];
    for at in DOUBLES {
        agent.u64(at).unwrap().store(beginning, Ordering::Relaxed);
    }
    let (writing, reading) = (Writing::default(), Reading::default());
    let mut both = Both { ring, agent, writing, reading, freed: 0 };
    let _ = both.step(8, 0, 0);
    let _ = both.step(9, 0, 0);
    for step in steps.chunks_exact(10).take(200) {
        let value = step[2..].iter().rev().fold(0_u64, |value, byte| value << 8 | u64::from(*byte));
        if let Err(error) = both.step(step[0], step[1], value) {
            assert!(!error.to_string().is_empty());
        }
    }
});

impl Both {
    fn step(&mut self, what: u8, argument: u8, value: u64) -> Result<(), Error> {
        let Both { ring, agent, writing, reading, freed } = self;
        let side = if argument % 2 == 0 { Side::Items } else { Side::Room };
        match what % 20 {
            // A word, a bit of it, or so much more.
            0 => change(agent, DOUBLES[usize::from(argument % 2)], |_| value),
            1 => change(agent, DOUBLES[usize::from(argument % 2)], |word| word ^ 1 << (value % 64)),
            2 => change(agent, ring.data + value % ring.capacity / 8 * 8, |word| {
                word ^ 1 << (argument % 64)
            }),
            3 => change(agent, ring.data + u64::from(argument) * 8 % ring.capacity, |_| value),
            4 => change(agent, DOUBLES[usize::from(argument % 2)], |word| word.wrapping_add(value)),
            5 => {
                let word = agent.u32(SINGLES[usize::from(argument % 4)])?;
                word.store(u32::try_from(value % (1 << 32)).unwrap(), Ordering::Relaxed);
            }
            // A frame, where the reader looks, of any length and flags.
            6 => {
                let sequence = (reading.cursor / 8) << 40;
                let at = ring.data + (reading.cursor & (ring.capacity - 1));
                change(agent, at, |_| sequence | value % (1 << 36));
            }
            7 => assert!(ring.unread(agent)? <= ring.capacity),
            8 => *writing = ring.writing(agent)?,
            9 => {
                *reading = ring.reading(agent)?;
                *freed = reading.cursor;
            }
            10..13 => {
                let bytes = vec![argument; usize::try_from(value % (ring.capacity + 8)).unwrap()];
                let prefix = [1; 16];
                let prefix = if argument % 4 == 0 { &prefix[..] } else { &[] };
                if ring.put(agent, writing, FIRST | LAST, prefix, &bytes)? {
                    ring.wake(agent, Side::Items)?;
                }
            }
            // Until there is room, as a sender does it.
            13 => {
                let bytes = vec![argument; usize::try_from(value % ring.most()).unwrap()];
                let mut dropped = 0;
                while !ring.put(agent, writing, FIRST | LAST, &[], &bytes)? {
                    assert!(dropped <= ring.capacity / HEADER, "it does not end");
                    ring.drop_oldest(agent, writing)?;
                    dropped += 1;
                }
                ring.wake(agent, Side::Items)?;
            }
            14..17 => {
                let Some(header) = ring.look(agent, reading)? else { return Ok(()) };
                assert!(u64::from(header.bytes) <= ring.most());
                let mut bytes = vec![0; header.bytes as usize];
                ring.copy_out(agent, reading.cursor + HEADER, &mut bytes)?;
                reading.cursor += header.frame_bytes();
                match argument % 3 {
                    0 => {}
                    1 => {
                        ring.free(agent, reading)?;
                        *freed = reading.cursor;
                        ring.wake(agent, Side::Room)?;
                    }
                    _ => {
                        let is_ours = ring.free_unless_dropped(agent, *freed, reading)?;
                        let _ = ring.was_dropped(agent, *freed)?;
                        *freed = if is_ours { reading.cursor } else { *freed };
                    }
                }
            }
            17 => drop(ring.is_all_read(agent, writing)?),
            18 => {
                let attempt = ring.look_or_sleep(agent, side, || match side {
                    Side::Items => Ok(ring.look(agent, reading)?.map(|_| ())),
                    Side::Room => Ok(ring.has_room(agent, writing, value % 64)?.then_some(())),
                })?;
                assert!(matches!(attempt, Attempt::Done(()) | Attempt::Sleep(_)));
            }
            _ => {
                ring.set_bell(agent, side)?;
                assert!(ring.wake(agent, side)?);
                let _ = (ring.is_there(agent, reading), ring.is_read(agent, writing));
            }
        }
        Ok(())
    }
}

fn change(agent: &Agent, at: u64, how: impl FnOnce(u64) -> u64) {
    let word = agent.u64(at).unwrap();
    word.store(how(word.load(Ordering::Relaxed)), Ordering::Relaxed);
}
