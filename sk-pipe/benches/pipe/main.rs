//! What a message costs beside the least that could carry it: a ping-pong and a ring in a bare mapping, a Unix stream,
//! one on tokio. All run in the same run, in turn, between this process and a partner on another processor.

mod deaths;
mod measure;
mod raw;
mod work;

use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::process::Command;

use measure::{Case, metric, pin, processors};
use raw::Raw;
use rustix::process::Signal;
use sk_pipe::share::inherit;
use sk_pipe::{Point, pair};
use work::{Points, Theirs, Things, Work};

const KIND: &str = "SK_PIPE_BENCH";
const RAW: &str = "SK_PIPE_BENCH_RAW";

/// Has the partner do a piece of work so many times; it answers when it is about to begin.
type Control = Point<(), (Work, u64)>;

fn main() {
    let processors = processors();
    match std::env::var(KIND).as_deref() {
        Ok("partner") => return partner(processors),
        Ok(kind @ (deaths::APART | deaths::ANYWHERE)) => {
            return deaths::compare_as(kind, processors);
        }
        Ok(kind) => return deaths::hold(kind),
        Err(_) => {}
    }
    let wanted: Vec<String> = std::env::args().skip(1).filter(|it| !it.starts_with('-')).collect();
    let is_wanted = |name: &str| wanted.is_empty() || wanted.iter().any(|it| name.contains(it));
    let (mine, theirs) = UnixStream::pair().unwrap();
    let (mut things, points) = work::make(Raw::create(), mine);
    let (mut control, its_control) = pair::<(Work, u64), ()>().unwrap();
    let mut command = Command::new("/proc/self/exe");
    command.env(KIND, "partner").env(RAW, things.raw.path());
    command.stdin(std::os::fd::OwnedFd::from(theirs));
    let passed = inherit::pass(&mut command, &(points, its_control)).unwrap();
    let mut child = command.spawn().unwrap();
    drop((passed, command));
    pin(&processors[..1]);
    let mut run = |work, count| {
        control.send(&(work, count)).wait().unwrap();
        control.recv().wait().unwrap();
        things.run(work, count)
    };
    let groups: [&[Case<Work>]; 6] = [
        &[
            ("round_trip.awake.raw", Work::RawAwake, 20_000),
            ("round_trip.awake.plain", Work::PlainAwake, 20_000),
            ("round_trip.awake.encoded", Work::PipeAwake, 20_000),
        ],
        &[
            ("round_trip.asleep.futex", Work::RawAsleep, 40),
            ("round_trip.asleep.unix", Work::UnixAsleep, 40),
            ("round_trip.asleep.pipe", Work::PipeAsleep, 40),
        ],
        &[
            ("round_trip.tokio.unix", Work::TokioUnix, 40),
            ("round_trip.tokio.pipe", Work::TokioPipe, 40),
        ],
        &[
            ("one_way.64.raw", Work::RawOneWay, 200_000),
            ("one_way.64.plain", Work::PlainOneWay, 200_000),
            ("one_way.64.encoded", Work::PipeOneWay, 200_000),
        ],
        &[("one_way.mib.raw", Work::RawBulk, 40), ("one_way.mib.pipe", Work::PipeBulk, 40)],
        &[
            ("four.one_pipe", Work::PipeOneWay, 200_000),
            ("four.four_pipes", Work::FourPipes, 200_000),
        ],
    ];
    for cases in groups {
        if !cases.iter().any(|(name, ..)| is_wanted(name)) {
            continue;
        }
        for ((name, work, _), time) in cases.iter().zip(measure::in_turn(cases, &mut run)) {
            metric(name, time, "ns");
            for name in other_names(*work) {
                metric(name, time, "ns");
            }
        }
    }
    drop(control);
    assert!(child.wait().unwrap().success());
    if is_wanted("death") {
        deaths::compare();
    }
    if is_wanted("memory") {
        show_memory();
    }
}

/// What a time is called where it is held against more than one.
fn other_names(work: Work) -> &'static [&'static str] {
    match work {
        Work::PlainAwake => {
            &["round_trip.awake.plain_and_ipc_channel", "round_trip.awake.plain_and_iceoryx2"]
        }
        Work::PipeAsleep => {
            &["round_trip.asleep.pipe_and_unix", "round_trip.asleep.pipe_and_iceoryx2"]
        }
        _ => &[],
    }
}

/// The partner, which is gone when its parent is.
fn partner(processors: [usize; 2]) {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL)).unwrap();
    let (points, mut control): (Points, Control) = inherit::receive().unwrap();
    let socket = UnixStream::from(std::io::stdin().as_fd().try_clone_to_owned().unwrap());
    let raw = Raw::open(&std::env::var(RAW).unwrap());
    let Points { echo, one_way, plain, bulk, four } = points;
    let mut things: Theirs = Things { raw, socket, echo, one_way, plain, bulk, four };
    pin(&processors[1..]);
    while let Ok((work, count)) = control.recv().wait() {
        control.send(&()).wait().unwrap();
        things.serve(work, count);
    }
}

/// What an idle pipe takes.
fn show_memory() {
    let descriptors = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    let (before, bytes_before) = (descriptors(), bytes_of_regions());
    let pipes: Vec<_> = (0..100).map(|_| pair::<u64, u64>().unwrap()).collect();
    let each = (descriptors() - before) as f64 / pipes.len() as f64;
    metric("memory.descriptors_of_both_ends_in_one_process", each, "count");
    let bytes = bytes_of_regions() - bytes_before;
    metric("memory.pipe", bytes as f64 / pipes.len() as f64, "bytes");
}

/// What the files take that are mapped here and have no name.
fn bytes_of_regions() -> u64 {
    std::fs::read_dir("/proc/self/fd")
        .unwrap()
        .filter_map(|file| {
            let path = file.ok()?.path();
            let name = std::fs::read_link(&path).ok()?;
            let is_ours = name.to_string_lossy().contains("sk-share");
            is_ours.then(|| std::fs::metadata(path).ok()).flatten()
        })
        .map(|metadata| metadata.len())
        .sum()
}
