//! No wake-up is lost: of who sleeps on a word, and of a task whose process waits at the socket.

use loom::sync::Notify;

use super::*;
use crate::modelling::{at_once, model, model_deaths};

/// A message is put while its reader falls asleep; the writer may die at each step.
///
/// ```text
///   writer                          reader
///                                   0 at the cursor
///                                   items = WAITED; fence; 0 at the cursor
///   header; fence
///   items: WAITED; items + 2, clears, wakes
///                                   sleeps on what is not there any more: looks
/// ```
///
/// If the writer dies before it published, the next one writes; if after that and before it wakes, `deaths` moves.
#[test]
fn a_reader_is_woken_by_a_message() {
    model_deaths("a_reader_is_woken_by_a_message", 3, 2, |fate, order| {
        let memory = memory();
        let writer = work(&memory, move |memory| {
            let write = |agent: &Agent| {
                put(agent, &mut RING.writing(agent).unwrap(), &message(1, 1));
            };
            let died = Agent::new(memory, 0, fate).run(write).is_none();
            if died {
                let next = lives(memory, 2);
                let mut writing = RING.writing(&next).unwrap();
                if RING.unread(&next).unwrap() == 0 && RING.reading(&next).unwrap().cursor == 0 {
                    assert!(try_put(&next, &mut writing, &message(1, 1)));
                }
            }
            died
        });
        let reader = work(&memory, |memory| {
            let agent = lives(memory, 1);
            assert_eq!(take(&agent, &mut RING.reading(&agent).unwrap()), message(1, 1));
            false
        });
        let [died, _] = at_once(order, [writer, reader]);
        died
    });
}

/// The ring is full, and a message is taken while its writer falls asleep; the reader may die at each step.
///
/// ```text
///   writer                          reader
///   no room
///                                   header: copies
///   room = WAITED; fence; no room
///                                   head; fence
///                                   room: WAITED; killed
///   (deaths = 1, woken) room
/// ```
#[test]
fn a_writer_is_woken_by_room() {
    model_deaths("a_writer_is_woken_by_room", 3, 2, |fate, order| {
        let memory = memory();
        let first = lives(&memory, 3);
        assert!(try_put(&first, &mut RING.writing(&first).unwrap(), &message(1, 2)));
        let writer = work(&memory, |memory| {
            let agent = lives(memory, 0);
            put(&agent, &mut RING.writing(&agent).unwrap(), &message(2, 2));
            false
        });
        let reader = work(&memory, move |memory| {
            let read = |agent: &Agent| try_take(agent, &mut RING.reading(agent).unwrap()).unwrap();
            let died = Agent::new(memory, 1, fate).run(read).is_none();
            if died {
                let next = lives(memory, 2);
                let mut reading = RING.reading(&next).unwrap();
                if reading.cursor == 0 {
                    assert_eq!(try_take(&next, &mut reading).unwrap(), message(1, 2));
                }
            }
            died
        });
        let [_, died] = at_once(order, [writer, reader]);
        let last = lives(&memory, 4);
        let bytes = try_take(&last, &mut RING.reading(&last).unwrap()).unwrap();
        assert_eq!(bytes, message(2, 2));
        died
    });
}

/// A task that waits at the socket, and a thread that sleeps on the word of the same side: both hear of a message.
///
/// ```text
///   writer                 task                       thread
///                          bell = 1; fence
///                                                     items = WAITED; fence
///                          0 at the cursor: waits
///   header; fence                                     0 at the cursor: sleeps
///   items: WAITED: wakes
///   bell: 1, swaps: rings
///                          header                     header
/// ```
#[test]
fn a_task_and_a_thread_are_both_woken() {
    let began = std::time::Instant::now();
    let runs: u32 = (0..3)
        .map(|order| {
            model(2, move || {
                let memory = memory();
                let socket = Arc::new(Notify::new());
                let heard = Arc::clone(&socket);
                let writer = work(&memory, move |memory| {
                    let agent = lives(memory, 0);
                    let mut writing = RING.writing(&agent).unwrap();
                    let bytes = message(1, 1);
                    assert!(RING.put(&agent, &mut writing, FIRST | LAST, &[], &bytes).unwrap());
                    if RING.wake(&agent, Side::Items).unwrap() {
                        socket.notify();
                    }
                });
                let is_there = |agent: &Agent| {
                    RING.look(agent, &RING.reading(agent).unwrap()).unwrap().map(drop)
                };
                let task = work(&memory, move |memory| {
                    let agent = lives(memory, 1);
                    while is_there(&agent).is_none() {
                        RING.set_bell(&agent, Side::Items).unwrap();
                        if is_there(&agent).is_some() {
                            break;
                        }
                        heard.wait();
                    }
                });
                let thread = work(&memory, move |memory| {
                    let agent = lives(memory, 2);
                    wait(&agent, Side::Items, || is_there(&agent));
                });
                at_once(order, [writer, task, thread]);
            })
        })
        .sum();
    println!("a_task_and_a_thread: {runs} interleavings, {:.1?}", began.elapsed());
}

/// Of two messages that come while a task sets its bell, none is left unheard: a bell that was rung for the first
/// one, and is set anew, rings for the second one too.
///
/// ```text
///   writer                          task
///                                   bell = 1; fence; 0 at the cursor: waits
///   header; fence; bell: swaps, rings
///                                   takes; 0 at the cursor
///   header; fence
///                                   bell = 1; fence; header: takes
///   bell: 1, swaps, rings
/// ```
#[test]
fn a_bell_that_is_set_anew_rings_anew() {
    let began = std::time::Instant::now();
    let runs: u32 = (0..2)
        .map(|order| {
            model(3, move || {
                let memory = memory();
                let socket = Arc::new(Notify::new());
                let heard = Arc::clone(&socket);
                let writer = work(&memory, move |memory| {
                    let agent = lives(memory, 0);
                    let mut writing = RING.writing(&agent).unwrap();
                    for _ in 0..2 {
                        assert!(RING.put(&agent, &mut writing, FIRST | LAST, &[], &[]).unwrap());
                        if RING.wake(&agent, Side::Items).unwrap() {
                            socket.notify();
                        }
                    }
                });
                let task = work(&memory, move |memory| {
                    let agent = lives(memory, 1);
                    let mut reading = RING.reading(&agent).unwrap();
                    for _ in 0..2 {
                        while try_take(&agent, &mut reading).is_none() {
                            RING.set_bell(&agent, Side::Items).unwrap();
                            if try_take(&agent, &mut reading).is_some() {
                                break;
                            }
                            heard.wait();
                        }
                    }
                });
                at_once(order, [writer, task]);
            })
        })
        .sum();
    println!("a_bell_that_is_set_anew: {runs} interleavings, {:.1?}", began.elapsed());
}
