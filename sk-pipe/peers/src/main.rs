//! Other ways for a message of 64 bytes between two processes, with the method of sk-pipe's own
//! benches: this process and a partner on another processor, cases in turn, medians.

mod home;
mod iox;
mod ipc;
#[path = "../../benches/pipe/measure.rs"]
mod measure;

use std::process::{Child, Command};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use home::Home;
use ipc_channel::ipc::{IpcOneShotServer, IpcReceiver, IpcSender};
use measure::{Case, metric, pin, processors};
use rustix::process::Signal;
use serde::{Deserialize, Serialize};

/// A message, in which the first word counts.
type Words = [u64; 8];

/// A piece of work: by whom, and what.
type Work = (Rival, Task);

const GROUPS: [&[Case<Work>]; 3] = [
    &[
        ("peer.round_trip.awake.ipc_channel", (Rival::IpcChannel, Task::Awake), 2_000),
        ("peer.round_trip.awake.iceoryx2_polling", (Rival::Polling, Task::Awake), 20_000),
    ],
    &[
        ("peer.round_trip.asleep.ipc_channel", (Rival::IpcChannel, Task::Asleep), 40),
        ("peer.round_trip.asleep.iceoryx2", (Rival::Blocking, Task::Asleep), 40),
    ],
    &[
        ("peer.one_way.64.ipc_channel", (Rival::IpcChannel, Task::OneWay), 10_000),
        ("peer.one_way.64.iceoryx2", (Rival::Polling, Task::OneWay), 100_000),
    ],
];

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
enum Rival {
    IpcChannel,
    /// iceoryx2, where who waits looks all the time.
    Polling,
    /// iceoryx2, where who waits sleeps until an event.
    Blocking,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Task {
    /// Round trips, both sides awake.
    Awake,
    /// Round trips, both sides asleep in between.
    Asleep,
    /// Messages one way.
    OneWay,
}

/// What one process has of a way there and a way back.
trait Side {
    fn send(&self, words: &Words);
    fn receive(&self) -> Words;
}

/// All that one process has for its side.
struct Sides {
    ipc_channel: ipc::Ends,
    polling: iox::Polling,
    blocking: iox::Blocking,
}

/// What the partner gives its parent first. It is told what to do how often, and answers when it is
/// about to begin.
#[derive(Serialize, Deserialize)]
struct Given {
    orders: IpcSender<(Work, u64)>,
    answers: IpcReceiver<()>,
    ends: ipc::Ends,
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words.as_slice() {
        [] => measure_all(),
        [home, server] => partner(home, server),
        _ => panic!("no words: the two are for the partner"),
    }
}

fn measure_all() {
    let home = Home::new();
    // All that the partner is to find.
    let (polling, blocking) = iox::parent(home.name());
    let (server, server_name) = IpcOneShotServer::<Given>::new().unwrap();
    let mut command = Command::new("/proc/self/exe");
    let partner = watched(command.args([home.name(), &server_name]).spawn().unwrap());
    let (_, Given { orders, answers, ends }) = server.accept().unwrap();
    let sides = Sides { ipc_channel: ends, polling, blocking };
    let [first, _] = processors();
    pin(&[first]);
    for cases in GROUPS {
        let times = measure::in_turn(cases, |work, count| {
            orders.send((work, count)).unwrap();
            answers.recv().unwrap();
            sides.run(work, count)
        });
        for ((name, ..), time) in cases.iter().zip(times) {
            metric(name, time, "ns");
        }
    }
    drop(orders);
    partner.join().unwrap();
}

/// Waits for its end. Who is left by it would wait for ever, so this process ends with it.
fn watched(mut partner: Child) -> JoinHandle<()> {
    thread::spawn(move || {
        let status = partner.wait().unwrap();
        if !status.success() {
            eprintln!("the partner ended: {status}");
            home::remove();
            std::process::exit(1);
        }
    })
}

/// The partner, which is gone when its parent is.
fn partner(home: &str, server: &str) {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL)).unwrap();
    let (orders, its_orders) = ipc_channel::ipc::channel().unwrap();
    let (its_answers, answers) = ipc_channel::ipc::channel().unwrap();
    let (ends, its_ends) = ipc::pair();
    let (polling, blocking) = iox::partner(home);
    let sides = Sides { ipc_channel: its_ends, polling, blocking };
    let [_, second] = processors();
    pin(&[second]);
    let parent = IpcSender::connect(server.to_owned()).unwrap();
    parent.send(Given { orders, answers, ends }).unwrap();
    while let Ok((work, count)) = its_orders.recv() {
        its_answers.send(()).unwrap();
        sides.serve(work, count);
    }
}

impl Sides {
    fn run(&self, (rival, task): Work, count: u64) -> Duration {
        match rival {
            Rival::IpcChannel => run(&self.ipc_channel, task, count),
            Rival::Polling => run(&self.polling, task, count),
            Rival::Blocking => run(&self.blocking, task, count),
        }
    }

    fn serve(&self, (rival, task): Work, count: u64) {
        match rival {
            Rival::IpcChannel => serve(&self.ipc_channel, task, count),
            Rival::Polling => serve(&self.polling, task, count),
            Rival::Blocking => serve(&self.blocking, task, count),
        }
    }
}

/// Does it so many times, and says how long that took.
fn run(side: &impl Side, task: Task, count: u64) -> Duration {
    let round = |number| {
        side.send(&message(number));
        assert_eq!(side.receive(), message(number));
    };
    let begin = Instant::now();
    match task {
        Task::Awake => (0..count).for_each(round),
        Task::Asleep => return measure::asleep(count, round),
        Task::OneWay => {
            (0..count).for_each(|number| side.send(&message(number)));
            assert_eq!(side.receive()[0], count * (count - 1) / 2);
        }
    }
    begin.elapsed()
}

/// The other side of it.
fn serve(side: &impl Side, task: Task, count: u64) {
    match task {
        Task::Awake | Task::Asleep => (0..count).for_each(|_| side.send(&side.receive())),
        Task::OneWay => side.send(&message((0..count).map(|_| side.receive()[0]).sum())),
    }
}

fn message(number: u64) -> Words {
    [number, 1, 2, 3, 4, 5, 6, 7]
}
