//! Every interleaving of who writes and who reads a ring, with one of them dying at every step, found by loom.
//!
//! ```text
//! RUSTFLAGS="--cfg loom" cargo test --release --test model
//! ```
//!
//! The code under test is the one that ships, over the memory of words and the agents that die at a chosen step with
//! which the protocols of sk-share are modelled. Switches that no thread asks for are bounded, as each model says.
#![cfg(loom)]

mod deaths;
mod drops;
#[path = "../../../sk-share/tests/support/modelling.rs"]
mod modelling;
mod order;
#[path = "../../../sk-share/tests/support/mod.rs"]
#[expect(dead_code, reason = "it is for the models of sk-share too, which use more of it")]
mod support;
mod waking;

use std::sync::Arc;

use modelling::Work;
use sk_pipe::ring::{FIRST, HEADER, LAST, Reading, Ring, Side, Writing};
use sk_share::ground::{Attempt, Ground as _};
use support::{Agent, Fate, Memory};

/// It holds one message of two words, whose next one goes around the end, or three of none.
const RING: Ring = Ring { at: 0, data: Ring::BYTES, capacity: 32 };

fn memory() -> Arc<Memory> {
    let length = RING.data + RING.capacity;
    Memory::with_singles(length, length, 8, 100)
}

/// The bytes of a message: `words` words of its number.
fn message(number: u8, words: usize) -> Vec<u8> {
    vec![number; words * 8]
}

/// Puts a message if there is room, and wakes who waits for it; whether there was.
fn try_put(agent: &Agent, writing: &mut Writing, bytes: &[u8]) -> bool {
    let is_put = RING.put(agent, writing, FIRST | LAST, &[], bytes).unwrap();
    if is_put {
        RING.wake(agent, Side::Items).unwrap();
    }
    is_put
}

fn put(agent: &Agent, writing: &mut Writing, bytes: &[u8]) {
    wait(agent, Side::Room, || try_put(agent, writing, bytes).then_some(()));
}

/// Takes a message if there is one, and wakes who waits for its room.
fn try_take(agent: &Agent, reading: &mut Reading) -> Option<Vec<u8>> {
    let header = RING.look(agent, reading).unwrap()?;
    let mut bytes = vec![0; header.bytes as usize];
    RING.copy_out(agent, reading.cursor + HEADER, &mut bytes).unwrap();
    reading.cursor += header.frame_bytes();
    RING.free(agent, reading).unwrap();
    RING.wake(agent, Side::Room).unwrap();
    Some(bytes)
}

fn take(agent: &Agent, reading: &mut Reading) -> Vec<u8> {
    wait(agent, Side::Items, || try_take(agent, reading))
}

/// The number of a message that is whole: of as many words as its number says, by `words`.
fn number(bytes: &[u8], words: impl Fn(u8) -> usize) -> u8 {
    let number = bytes[0];
    assert_eq!(bytes, message(number, words(number)), "torn");
    number
}

/// Looks and sleeps until there is something.
fn wait<R>(agent: &Agent, side: Side, mut look: impl FnMut() -> Option<R>) -> R {
    loop {
        match RING.look_or_sleep(agent, side, || Ok(look())).unwrap() {
            Attempt::Done(done) => return done,
            Attempt::Sleep(sleep) => {
                agent.wait(&sleep, None).unwrap();
            }
        }
    }
}

fn work<T: Send + 'static>(
    memory: &Arc<Memory>,
    work: impl FnOnce(&Arc<Memory>) -> T + Send + 'static,
) -> Work<T> {
    let memory = Arc::clone(memory);
    Box::new(move || work(&memory))
}

fn lives(memory: &Arc<Memory>, index: u16) -> Agent {
    Agent::new(memory, index, Fate::Lives)
}
