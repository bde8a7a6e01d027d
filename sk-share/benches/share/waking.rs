//! How long it takes from a change to the sleeper that waited for it: a raw futex, a number and an event in turn,
//! the sleeper asleep and on another processor.

use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use rustix::thread::futex;
use rustix::time::{ClockId, clock_gettime};

use crate::measure::{Done, median, metric};
use crate::partner::{Partner, wait_for};
use crate::raw::{Large, Small};
use crate::things::{Role, Things};

const ROUNDS: u32 = 400;

/// By then a sleeper sleeps.
const ASLEEP: Duration = Duration::from_micros(300);

/// The time, as all processes have it.
pub(crate) fn now() -> u64 {
    let time = clock_gettime(ClockId::Monotonic);
    u64::try_from(time.tv_sec * 1_000_000_000 + time.tv_nsec).unwrap()
}

/// What the sleeper does.
pub(crate) fn sleep(things: &Things) -> Done {
    let raw = &things.raw;
    let awake = |round: u32| {
        raw.large(Large::Stamp).store(now(), SeqCst);
        raw.small(Small::Seen).store(round, SeqCst);
    };
    let word = raw.small(Small::Futex);
    for round in 0..ROUNDS {
        while word.load(SeqCst) == round {
            let _ = futex::wait(word, futex::Flags::empty(), round, None);
        }
        awake(3 * round + 1);
        let wanted = u64::from(round) + 1;
        things.bell.wait_until(move |bell| bell >= wanted).wait().unwrap();
        awake(3 * round + 2);
        things.event.wait().wait().unwrap();
        things.event.clear().unwrap();
        awake(3 * round + 3);
    }
    Done { count: ROUNDS.into(), ..Done::default() }
}

pub(crate) fn compare(things: &Things, partner: &Partner) {
    let raw = &things.raw;
    let word = raw.small(Small::Futex);
    let wakes: [(&str, &dyn Fn()); 3] = [
        ("wake.futex", &|| {
            word.fetch_add(1, SeqCst);
            let _ = futex::wake(word, futex::Flags::empty(), 1);
        }),
        ("wake.number", &|| _ = things.bell.add(1)),
        ("wake.event", &|| things.event.set().unwrap()),
    ];
    let mut times = wakes.map(|_| Vec::new());
    partner.begin(raw, Role::Sleeper);
    let mut seen = 0;
    for _ in 0..ROUNDS {
        for ((_, wake), times) in wakes.iter().zip(&mut times) {
            std::thread::sleep(ASLEEP);
            let begin = now();
            wake();
            seen += 1;
            wait_for(raw.small(Small::Seen), seen);
            times.push(raw.large(Large::Stamp).load(SeqCst).saturating_sub(begin) as f64);
        }
    }
    assert_eq!(partner.end(raw).count, u64::from(ROUNDS));
    for ((name, _), times) in wakes.iter().zip(times) {
        metric(name, median(times), "ns");
    }
}
