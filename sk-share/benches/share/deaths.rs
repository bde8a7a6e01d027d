//! How long it takes from the SIGKILL of a process that holds something to the waiter in another process that has it,
//! for a small process and for one whose memory the kernel takes a while to tear down. And that a process which
//! stops in the middle of a change keeps no reader waiting.

use std::fs;
use std::process::Child;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use memmap2::{Advice, MmapMut};
use rustix::process::{Pid, Signal, kill_process};

use crate::measure::{Done, metric, percentile};
use crate::partner::{self, Partner};
use crate::raw::{Large, Small};
use crate::things::{Role, Things, count};
use crate::waking::now;

/// What is held: how the metric is called, how the child is, and who waits.
const HELD: [(&str, &str, Role); 3] = [
    ("pthread", "holds pthread", Role::WaitForPthread),
    ("mutex", "holds mutex", Role::WaitForMutex),
    ("update", "holds update", Role::WaitForUpdate),
];

/// By then a waiter sleeps.
const ASLEEP: Duration = Duration::from_millis(10);

const GIB: usize = 1 << 30;
const LARGE: usize = 4 * GIB;
const FREE_FOR_LARGE: usize = 6 * GIB;

/// What a child does that holds something until it is killed; `None` if it is no such child.
pub(crate) fn hold(things: &Things, kind: &str) -> Option<()> {
    let (kind, bytes) = kind.split_once('/')?;
    let bytes: usize = bytes.parse().ok()?;
    let mut memory = MmapMut::map_anon(bytes.max(1)).ok()?;
    // The kernel tears small pages down one by one.
    let _ = memory.advise(Advice::NoHugePage);
    let _ = memory.advise(Advice::PopulateWrite);
    memory.iter_mut().step_by(4096).for_each(|byte| *byte = 1);
    match kind {
        "holds pthread" => {
            // On a thread that holds nothing of ours: one that does has a robust list of ours.
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    things.raw.lock();
                    stay(things)
                });
            });
            None
        }
        "holds mutex" => {
            let _guard = things.mutex.lock().wait().ok()?;
            stay(things)
        }
        _ => things.plain.update(|_| stay(things)).ok(),
    }
}

fn stay(things: &Things) -> ! {
    loop {
        things.raw.small(Small::Holds).store(1, SeqCst);
        std::thread::park();
    }
}

/// What a waiter does.
pub(crate) fn wait(things: &Things, role: Role) -> Done {
    let stamp = || things.raw.large(Large::Stamp).store(now(), SeqCst);
    match role {
        Role::WaitForMutex => {
            let mut guard = things.mutex.lock().wait().unwrap();
            stamp();
            assert!(guard.was_abandoned());
            guard.repaired();
        }
        Role::WaitForUpdate => things
            .plain
            .update(|words| {
                stamp();
                count(words);
            })
            .unwrap(),
        _ => {
            things.raw.lock();
            stamp();
            things.raw.unlock();
        }
    }
    Done { count: 1, ..Done::default() }
}

/// Times of deaths: many of small processes, and a few of large ones if the machine has the memory.
pub(crate) fn compare(things: &Things, partner: &Partner, processors: [usize; 2]) {
    sizes(things, partner, processors, 0, 41, "0_gib");
    if available_bytes() < FREE_FOR_LARGE {
        metric("death.4_gib.skipped_for_want_of_memory", 1.0, "count");
    } else {
        sizes(things, partner, processors, LARGE, 5, "4_gib");
    }
}

fn sizes(
    things: &Things,
    partner: &Partner,
    processors: [usize; 2],
    bytes: usize,
    samples: usize,
    size: &str,
) {
    let mut times = HELD.map(|_| Vec::new());
    for _ in 0..samples {
        for ((_, kind, role), times) in HELD.iter().zip(&mut times) {
            let child = holder(things, kind, bytes, processors);
            partner.begin(&things.raw, *role);
            std::thread::sleep(ASLEEP);
            let begin = now();
            kill(child);
            // Asleep, so that there is a processor for the one that dies.
            std::thread::sleep(ASLEEP);
            assert_eq!(partner.end(&things.raw).count, 1);
            let took = things.raw.large(Large::Stamp).load(SeqCst).saturating_sub(begin);
            times.push(took as f64 / 1000.0);
        }
    }
    for ((name, ..), times) in HELD.iter().zip(times) {
        metric(&format!("death.{name}.{size}.median"), percentile(times.clone(), 50), "us");
        metric(&format!("death.{name}.{size}.p95"), percentile(times, 95), "us");
    }
}

/// A child that holds what it is to hold.
fn holder(things: &Things, kind: &str, bytes: usize, processors: [usize; 2]) -> Child {
    things.raw.small(Small::Holds).store(0, SeqCst);
    let child = partner::start(things, &format!("{kind}/{bytes}"), &processors);
    // Asleep meanwhile: it may be busy for seconds with its memory.
    while things.raw.small(Small::Holds).load(SeqCst) == 0 {
        std::thread::sleep(Duration::from_millis(1));
    }
    child
}

/// Kills it, and has it reaped beside what is measured: the kernel is not done with a large one for a while.
fn kill(mut child: Child) {
    child.kill().unwrap();
    std::thread::spawn(move || child.wait());
}

/// A get returns while a writer is stopped in the middle of its change.
pub(crate) fn check_stopped_writer(things: &Things, processors: [usize; 2]) {
    let before = things.plain.get().unwrap();
    let child = holder(things, "holds update", 0, processors);
    kill_process(Pid::from_child(&child), Signal::STOP).unwrap();
    std::thread::sleep(ASLEEP);
    assert_eq!(things.plain.get().unwrap(), before);
    metric("value.get.returns_while_the_writer_is_stopped", 1.0, "count");
    kill(child);
    // Whoever writes next goes on.
    things.plain.update(|_| ()).unwrap();
}

/// What the machine could give to programs; nothing, if it does not tell.
fn available_bytes() -> usize {
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<usize>().ok());
    kib.unwrap_or(0) * 1024
}
