//! How long it takes from a SIGKILL until who waits at the other end knows, also when the dead one had much memory.
//!
//! Once with the dying one on a processor of its own, and once wherever the kernel puts both: then who is woken may have to
//! wait behind the kernel taking that memory down, which newer kernels interrupt at a tick only.

use std::process::{Child, Command};
use std::time::Instant;

use sk_pipe::share::inherit;
use sk_pipe::{Point, pair};

use crate::KIND;
use crate::measure::{median, metric, pin};

const ROUNDS: usize = 15;

/// A child that has a point, and so much memory.
pub(crate) fn hold(kind: &str) {
    let mut point: Point<(), ()> = inherit::receive().unwrap();
    let gibibytes: usize = kind.parse().unwrap();
    let mut memory = vec![0_u8; gibibytes << 30];
    memory.iter_mut().step_by(4096).for_each(|byte| *byte = 1);
    point.send(&()).wait().unwrap();
    // Until it is killed.
    let _ = point.recv().wait();
    assert_eq!(
        memory.iter().step_by(1 << 20).map(|byte| usize::from(*byte)).sum::<usize>() >> 10,
        gibibytes
    );
}

fn start(kind: &str, point: &Point<(), ()>) -> Child {
    let mut command = Command::new("/proc/self/exe");
    command.env(KIND, kind);
    let passed = inherit::pass(&mut command, point).unwrap();
    let child = command.spawn().unwrap();
    drop(passed);
    child
}

/// Both ways, each in a process of its own: the threads of this one are where they are.
pub(crate) fn compare() {
    for kind in [APART, ANYWHERE] {
        let status = Command::new("/proc/self/exe").env(KIND, kind).status().unwrap();
        assert!(status.success());
    }
}

pub(crate) const APART: &str = "deaths apart";
pub(crate) const ANYWHERE: &str = "deaths anywhere";

pub(crate) fn compare_as(kind: &str, processors: [usize; 2]) {
    if kind == ANYWHERE {
        metric("death.4_gib_anywhere.median", median(times(4, ROUNDS / 3, [None; 2])), "us");
        return;
    }
    // With all threads that are started from here on.
    pin(&processors[..1]);
    for (gibibytes, rounds) in [(0, ROUNDS), (4, ROUNDS / 3)] {
        let times = times(gibibytes, rounds, processors.map(Some));
        metric(&format!("death.{gibibytes}_gib.median"), median(times), "us");
    }
}

/// The times of so many deaths, of who waits on one processor and who dies on the other.
fn times(gibibytes: usize, rounds: usize, processors: [Option<usize>; 2]) -> Vec<f64> {
    let [waits_on, dies_on] = processors;
    let mut times = Vec::new();
    for _ in 0..rounds {
        let (mut anchor, point) = pair::<(), ()>().unwrap();
        dies_on.iter().for_each(|processor| pin(&[*processor]));
        let mut child = start(&gibibytes.to_string(), &point);
        waits_on.iter().for_each(|processor| pin(&[*processor]));
        drop(point);
        anchor.recv().wait().unwrap();
        let (killed, noticed) = std::thread::scope(|scope| {
            let waiter = scope.spawn(|| {
                let error = anchor.recv().wait().unwrap_err();
                assert!(error.is_disconnected(), "{error}");
                Instant::now()
            });
            std::thread::sleep(std::time::Duration::from_millis(20));
            let killed = Instant::now();
            child.kill().unwrap();
            (killed, waiter.join().unwrap())
        });
        times.push((noticed - killed).as_secs_f64() * 1e6);
        child.wait().unwrap();
    }
    times
}
