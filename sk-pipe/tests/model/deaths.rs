//! Who writes or reads dies at each step, and another one goes on.

use std::sync::atomic::{AtomicU8 as Plain, Ordering::SeqCst};

use super::*;
use crate::modelling::{at_once, model_deaths};

/// Both messages of a life fit into the ring at once, and those of the next one do not.
fn words(number: u8) -> usize {
    usize::from(number >= 10)
}

/// A writer dies, and another one, which has messages of its own, follows while the reader goes on. The reader gets those
/// whose `put` returned, at most the one in flight besides, as a whole, and all that the next one wrote.
///
/// ```text
///   dies                            reader                  next
///   header at 0, killed
///                                   header at 0, head = 8
///                                                           tail: 0, there is a frame: tail = 8
///                                                           header at 8
///                                   header at 8
/// ```
#[test]
fn a_writer_is_followed_by_another() {
    model_deaths("a_writer_is_followed_by_another", 2, 2, |fate, order| {
        let memory = memory();
        let returned = Arc::new(Plain::new(0));
        let seen = Arc::clone(&returned);
        let writers = work(&memory, move |memory| {
            let write = |agent: &Agent| {
                let mut writing = RING.writing(agent).unwrap();
                for number in [1, 2] {
                    put(agent, &mut writing, &message(number, 0));
                    seen.store(number, SeqCst);
                }
            };
            let died = Agent::new(memory, 0, fate).run(write).is_none();
            let next = lives(memory, 1);
            let mut writing = RING.writing(&next).unwrap();
            for number in [10, 11] {
                put(&next, &mut writing, &message(number, words(number)));
            }
            (died, 0)
        });
        let reader = work(&memory, |memory| {
            let agent = lives(memory, 2);
            let mut reading = RING.reading(&agent).unwrap();
            let mut before = 0;
            loop {
                let bytes = take(&agent, &mut reading);
                if !bytes.is_empty() {
                    assert_eq!(number(&bytes, words), 10, "of the first life after the second");
                    break;
                }
                before += 1;
            }
            assert_eq!(number(&take(&agent, &mut reading), words), 11);
            (false, before)
        });
        let [(died, _), (_, before)] = at_once(order, [writers, reader]);
        let returned = returned.load(SeqCst);
        assert!(before == returned || died && before == returned + 1, "{before} of {returned}");
        died
    });
}

/// A reader dies, and another one goes on while the writer waits for room. Of what the first one took, in the sense that
/// `free` returned, nothing comes again. The one in flight either comes as if nobody had seen it, though the first one
/// may have copied it, or is gone with the first one, if that died behind the store of `head`. Nothing else is lost,
/// and what comes is whole and in order.
///
/// ```text
///   writer                          dies                    next
///   header at 0
///                                   header at 0: copies
///   no room: sleeps                 killed
///   (deaths = 1: looks, sleeps)
///                                                           head: 0, header at 0, head = 24, wakes
///   bytes around the end
/// ```
#[test]
fn a_reader_is_followed_by_another() {
    model_deaths("a_reader_is_followed_by_another", 2, 2, |fate, order| {
        let memory = memory();
        let writer = work(&memory, |memory| {
            let agent = lives(memory, 0);
            let mut writing = RING.writing(&agent).unwrap();
            for number in 1..=3 {
                put(&agent, &mut writing, &message(number, 2));
            }
            false
        });
        let readers = work(&memory, move |memory| {
            let returned = Plain::new(0);
            let read = |agent: &Agent| {
                let mut reading = RING.reading(agent).unwrap();
                for expected in 1..=2 {
                    assert_eq!(number(&take(agent, &mut reading), |_| 2), expected);
                    returned.store(expected, SeqCst);
                }
            };
            let died = Agent::new(memory, 1, fate).run(read).is_none();
            let returned = returned.load(SeqCst);
            let next = lives(memory, 2);
            let mut reading = RING.reading(&next).unwrap();
            let freed = u8::try_from(reading.cursor / 24).unwrap();
            assert!(freed == returned || died && freed == returned + 1, "{freed} of {returned}");
            for expected in freed + 1..=3 {
                assert_eq!(number(&take(&next, &mut reading), |_| 2), expected);
            }
            died
        });
        let [_, died] = at_once(order, [writer, readers]);
        died
    });
}
