//! Words of a share that no process of ours has written, anywhere in its memory, between any two operations: an error,
//! or a wrong number, which nothing can tell. Never undefined behaviour, a panic, a loop without end, more memory than the
//! share has, or a wait beyond its deadline.
//!
//! The input is a list of steps of twelve bytes: { what u8, argument u8, three bytes of place, value u56 }.
#![no_main]

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use libfuzzer_sys::fuzz_target;
use sk_share::{Error, Share, get_together, update_together};

/// How long an operation may wait for a lock whose word says that somebody has it.
const PATIENCE: Duration = Duration::from_micros(200);

/// How long all of it may take: each step may wait for a few locks, and the machine for other work.
const WATCHDOG: Duration = Duration::from_secs(20);

fuzz_target!(|data: &[u8]| {
    Share::set_patience(PATIENCE);
    let began = Instant::now();
    let share = Share::builder().limit_bytes(1 << 20).create().unwrap();
    // All of it is there before anything is damaged.
    let setup = || -> Result<(), Error> {
        share.value("value", vec![1_u32; 10])?;
        share.value("long", vec![1_u8; 500])?;
        share.plain("plain", [1_u64; 4])?;
        share.number("number", 1_i32)?;
        share.list::<String>("list")?.extend(&["one".to_owned(), "x".repeat(100)])?;
        share.queue::<String>("queue", 4)?.try_push(&"y".repeat(100))?;
        share.mutex("mutex")?;
        share.rwlock("rwlock")?;
        share.semaphore("semaphore", 4)?;
        share.event("event")?;
        share.barrier("barrier", 1)?;
        share.condvar("condvar").map(|_| ())
    };
    setup().unwrap();
    let length = share.region().length().unwrap();
    for step in data.chunks_exact(12).take(64) {
        let word = |from: usize, to: usize| {
            let bytes = &step[from..to];
            bytes.iter().rev().fold(0_u64, |word, byte| word << 8 | u64::from(*byte))
        };
        let (place, value) = (word(2, 5), word(5, 12));
        match step[0] % 4 {
            // A bit, and a word. The first pages hold the most that can go wrong.
            0 => damage(&share, place * 8 % length, |word| word ^ 1 << (step[1] % 64)),
            1 => damage(&share, place * 8 % length, |_| value | u64::from(step[1]) << 56),
            2 => damage(&share, 128 + place * 8 % 16_384, |word| word ^ 1 << (step[1] % 64)),
            _ => {
                if let Err(error) = operate(&share, step[1], value) {
                    assert!(!error.to_string().is_empty());
                }
            }
        }
        assert!(began.elapsed() < WATCHDOG, "it does not end");
    }
    for which in 0..32 {
        let _ = operate(&share, which, 3);
    }
    assert!(began.elapsed() < WATCHDOG, "it does not end");
});

fn damage(share: &Share, at: u64, how: impl Fn(u64) -> u64) {
    // What is not there any more, or not there yet, is no word.
    if let Ok(word) = share.region().word64(at) {
        word.store(how(word.load(Ordering::Relaxed)), Ordering::Relaxed);
    }
}

fn operate(share: &Share, which: u8, value: u64) -> Result<(), Error> {
    let small = u8::try_from(value % 200).unwrap_or(0);
    match which % 32 {
        0 => drop(share.get::<Vec<u32>>("value")?.within(PATIENCE).get()?),
        1 => drop(share.get::<Vec<u32>>("value")?.within(PATIENCE).set(&vec![7; small.into()])?),
        2 => share.get::<Vec<u8>>("long")?.within(PATIENCE).update(|long| long.push(small))?,
        3 => drop(share.get_plain::<[u64; 4]>("plain")?.within(PATIENCE).get()?),
        4 => share.get_plain::<[u64; 4]>("plain")?.within(PATIENCE).update(|plain| plain[0] += 1)?,
        5 => drop(share.get_number::<i32>("number")?.add(1)),
        6 => drop(share.list::<String>("list")?.within(PATIENCE).push(&"z".repeat(small.into()))?),
        7 => drop(share.list::<String>("list")?.within(PATIENCE).to_vec()?),
        8 => drop(share.list::<String>("list")?.within(PATIENCE).pop()?),
        9 => drop(share.list::<String>("list")?.within(PATIENCE).set(value % 3, &"new".to_owned())?),
        10 => drop(share.list::<String>("list")?.within(PATIENCE).get(value % 5)?),
        11 => share.list::<String>("list")?.within(PATIENCE).truncate(value % 3)?,
        12 => drop(share.queue::<String>("queue", 4)?.within(PATIENCE).try_push(&"q".repeat(small.into()))?),
        13 => drop(share.queue::<String>("queue", 4)?.within(PATIENCE).try_pop()?),
        14 => drop(share.queue::<String>("queue", 4)?.push(&"p".to_owned()).timeout(PATIENCE).wait()?),
        15 => drop(share.queue::<String>("queue", 4)?.pop().timeout(PATIENCE).wait()?),
        16 => drop(share.mutex("mutex")?.lock().timeout(PATIENCE).wait()?),
        17 => drop(share.rwlock("rwlock")?.read().timeout(PATIENCE).wait()?),
        18 => drop(share.rwlock("rwlock")?.write_owned().timeout(PATIENCE).wait()?),
        19 => drop(share.semaphore("semaphore", 4)?.acquire(2).timeout(PATIENCE).wait()?),
        20 => share.event("event")?.set()?,
        21 => drop(share.barrier("barrier", 1)?.wait().timeout(PATIENCE).wait()?),
        22 => share.condvar("condvar")?.notify_all()?,
        23 => drop(share.remove(["value", "list", "queue", "new"][usize::from(small) % 4])?),
        24 => drop(share.value("new", vec![small; small.into()])?),
        25 => drop(share.stop(PATIENCE)?),
        26 => share.start()?,
        27 => drop(share.stats()?),
        28 => drop(share.check(Instant::now().checked_add(PATIENCE))?),
        29 => {
            let value = share.get::<Vec<u32>>("value")?.within(PATIENCE);
            let long = share.get::<Vec<u8>>("long")?.within(PATIENCE);
            update_together((&value, &long), |(value, long)| {
                value.push(1);
                long.pop();
            })?;
            drop(get_together((&value, &long))?);
        }
        30 => share.sweep(Instant::now().checked_add(PATIENCE))?,
        _ => drop(share.error()?),
    }
    Ok(())
}
