//! The other process: the same program, on another processor, which does what it is told.

use std::process::{Child, Command};
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use rustix::thread::{CpuSet, futex};
use sk_share::{Share, inherit};

use crate::measure::Done;
use crate::raw::{Large, Raw, Small};
use crate::things::{Role, Things, Until};

const KIND: &str = "SK_SHARE_BENCH";
const RAW: &str = "SK_SHARE_BENCH_RAW";
const PROCESSORS: &str = "SK_SHARE_BENCH_PROCESSORS";

/// Whatever takes longer hangs.
const PATIENCE: Duration = Duration::from_secs(120);

/// The partner, which is gone when this is.
pub(crate) struct Partner {
    child: Child,
}

/// A child of this kind, on these processors, that has the share and the raw memory.
pub(crate) fn start(things: &Things, kind: &str, processors: &[usize]) -> Child {
    let mut command = Command::new("/proc/self/exe");
    let processors: Vec<String> = processors.iter().map(ToString::to_string).collect();
    command.env(KIND, kind).env(RAW, things.raw.path()).env(PROCESSORS, processors.join(","));
    let passed = inherit::pass(&mut command, &things.share).unwrap();
    let child = command.spawn().unwrap();
    drop(passed);
    child
}

/// What this process is to be, if it is a child: its kind and what it got.
pub(crate) fn received() -> Option<(String, Things)> {
    let kind = std::env::var(KIND).ok()?;
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL)).unwrap();
    let share: Share = inherit::receive().unwrap();
    let things = Things::of(share, Raw::open(&std::env::var(RAW).unwrap()));
    let processors = std::env::var(PROCESSORS).unwrap();
    pin(&processors.split(',').map(|number| number.parse().unwrap()).collect::<Vec<_>>());
    Some((kind, things))
}

/// Two processors that this process may use; one, twice, if there is no other.
pub(crate) fn processors() -> [usize; 2] {
    let set = rustix::thread::sched_getaffinity(None).unwrap();
    let mut usable = (0..CpuSet::MAX_CPU).filter(|processor| set.is_set(*processor));
    let first = usable.next().unwrap();
    [first, usable.next().unwrap_or(first)]
}

/// Keeps the calling thread on these processors.
pub(crate) fn pin(processors: &[usize]) {
    let mut set = CpuSet::new();
    processors.iter().for_each(|processor| set.set(*processor));
    rustix::thread::sched_setaffinity(None, &set).unwrap();
}

impl Partner {
    pub(crate) fn start(things: &Things, processor: usize) -> Partner {
        Partner { child: start(things, "partner", &[processor]) }
    }

    /// What a partner does: it waits for a command, says that it is ready, waits for the start, and works.
    pub(crate) fn main(things: &Things) -> ! {
        let raw = &things.raw;
        let command = raw.small(Small::Command);
        let mut seen = 0;
        loop {
            while command.load(SeqCst) == seen {
                let _ = futex::wait(command, futex::Flags::empty(), seen, None);
            }
            seen = command.load(SeqCst);
            let role = Role::of_number(raw.small(Small::Role).load(SeqCst));
            raw.small(Small::Ready).store(seen, SeqCst);
            wait_for(raw.small(Small::Go), seen);
            let done = things.work(role, Until::Told(raw.small(Small::Stop)));
            raw.large(Large::Count).store(done.count, SeqCst);
            raw.large(Large::Nanos).store(done.nanos, SeqCst);
            raw.large(Large::Lost).store(done.lost, SeqCst);
            raw.small(Small::Finished).store(seen, SeqCst);
        }
    }

    /// Has the partner begin this work. It goes on until [`end`](Partner::end).
    pub(crate) fn begin(&self, raw: &Raw, role: Role) {
        raw.small(Small::Stop).store(0, SeqCst);
        raw.small(Small::Role).store(role as u32, SeqCst);
        let command = raw.small(Small::Command);
        let number = command.fetch_add(1, SeqCst) + 1;
        let _ = futex::wake(command, futex::Flags::empty(), 1);
        wait_for(raw.small(Small::Ready), number);
        raw.small(Small::Go).store(number, SeqCst);
    }

    /// What the partner has done.
    pub(crate) fn end(&self, raw: &Raw) -> Done {
        raw.small(Small::Stop).store(1, SeqCst);
        wait_for(raw.small(Small::Finished), raw.small(Small::Command).load(SeqCst));
        Done {
            count: raw.large(Large::Count).load(SeqCst),
            nanos: raw.large(Large::Nanos).load(SeqCst),
            lost: raw.large(Large::Lost).load(SeqCst),
        }
    }

    /// Both work, or this process alone.
    pub(crate) fn run(&self, things: &Things, mine: Role, theirs: Option<Role>) -> (Done, Done) {
        if let Some(theirs) = theirs {
            self.begin(&things.raw, theirs);
        }
        let done = things.work(mine, Until::TimeIsOver);
        let theirs = theirs.map(|_| self.end(&things.raw));
        (done, theirs.unwrap_or_default())
    }
}

/// Looks at the word until it is `value`. Both have a processor of their own, unless other programs take it.
pub(crate) fn wait_for(word: &AtomicU32, value: u32) {
    let begin = Instant::now();
    let mut looks = 0_u32;
    while word.load(SeqCst) != value {
        looks += 1;
        if looks.is_multiple_of(1024) {
            std::thread::yield_now();
            assert!(begin.elapsed() < PATIENCE, "the other process hangs, or is gone");
        }
        std::hint::spin_loop();
    }
}

impl Drop for Partner {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
