//! What is measured: each piece of work as this process does it, and as its partner does.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use sk_pipe::{Anchor, Plain, Point, Raw as RawBytes, Receiver, Sender, builder, pair};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::measure::{self, asleep};
use crate::raw::{Awake, Raw, RawRing};

/// 64 bytes, typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Message {
    words: [u64; 8],
}

/// The same, of which every pattern of bits is one.
type PlainMessage = Plain<[u64; 8]>;

pub(crate) const MIB: usize = 1 << 20;
const FOUR: usize = 4;

/// A piece of work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Work {
    /// Round trips, both sides awake.
    RawAwake,
    PlainAwake,
    PipeAwake,
    /// Round trips, both sides asleep in between.
    RawAsleep,
    UnixAsleep,
    PipeAsleep,
    /// Round trips of tasks on tokio, both asleep in between.
    TokioUnix,
    TokioPipe,
    /// Messages of 64 bytes one way.
    RawOneWay,
    PlainOneWay,
    PipeOneWay,
    /// Messages of a mebibyte one way.
    RawBulk,
    PipeBulk,
    /// Messages one way by four pipes at once.
    FourPipes,
}

/// All that one process has for its side.
pub(crate) struct Things<E, O, P, B> {
    pub(crate) raw: Raw,
    pub(crate) socket: UnixStream,
    pub(crate) echo: E,
    pub(crate) one_way: O,
    pub(crate) plain: P,
    pub(crate) bulk: B,
    pub(crate) four: Vec<O>,
}

/// This process has the anchors.
pub(crate) type Mine = Things<
    Anchor<Message, Message>,
    Anchor<Message, u64>,
    Anchor<PlainMessage, PlainMessage>,
    Anchor<RawBytes, u64>,
>;
/// The partner has the points.
pub(crate) type Theirs = Things<
    Point<Message, Message>,
    Point<u64, Message>,
    Point<PlainMessage, PlainMessage>,
    Point<u64, RawBytes>,
>;

/// What of it travels in an encoding.
#[derive(Serialize, Deserialize)]
pub(crate) struct Points {
    pub(crate) echo: Point<Message, Message>,
    pub(crate) one_way: Point<u64, Message>,
    pub(crate) plain: Point<PlainMessage, PlainMessage>,
    pub(crate) bulk: Point<u64, RawBytes>,
    pub(crate) four: Vec<Point<u64, Message>>,
}

pub(crate) fn make(raw: Raw, socket: UnixStream) -> (Mine, Points) {
    let (echo, its_echo) = pair().unwrap();
    let (one_way, its_one_way) = pair().unwrap();
    let (plain, its_plain) = pair().unwrap();
    // As much as the bare ring has.
    let (bulk, its_bulk) = builder().capacity_there(4 * MIB as u64).pair().unwrap();
    let (four, its_four) = (0..FOUR).map(|_| pair().unwrap()).unzip();
    let mine = Things { raw, socket, echo, one_way, plain, bulk, four };
    let points = Points {
        echo: its_echo,
        one_way: its_one_way,
        plain: its_plain,
        bulk: its_bulk,
        four: its_four,
    };
    (mine, points)
}

fn message(number: u64) -> Message {
    Message { words: [number, 1, 2, 3, 4, 5, 6, 7] }
}

fn bytes_of(number: u64) -> [u8; 64] {
    let mut bytes = [7; 64];
    bytes[..8].copy_from_slice(&number.to_le_bytes());
    bytes
}

fn on_tokio<R>(work: impl Future<Output = R>) -> R {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(work)
}

fn tokio_socket(socket: &UnixStream) -> tokio::net::UnixStream {
    let socket = socket.try_clone().unwrap();
    socket.set_nonblocking(true).unwrap();
    tokio::net::UnixStream::from_std(socket).unwrap()
}

fn send_all(sender: &mut Sender<Message>, receiver: &mut Receiver<u64>, count: u64) {
    for number in 0..count {
        sender.send(&message(number)).wait().unwrap();
    }
    assert_eq!(receiver.recv().wait().unwrap(), count * (count - 1) / 2);
}

fn receive_all(sender: &mut Sender<u64>, receiver: &mut Receiver<Message>, count: u64) {
    let mut sum = 0;
    for _ in 0..count {
        sum += receiver.recv().wait().unwrap().words[0];
    }
    sender.send(&sum).wait().unwrap();
}

impl Mine {
    /// Does it so many times, and says how long that took.
    pub(crate) fn run(&mut self, work: Work, count: u64) -> Duration {
        let begin = Instant::now();
        match work {
            Work::RawAwake => {
                let mut seen = self.raw.sequence(1);
                for number in 0..count {
                    self.raw.send(0, &bytes_of(number));
                    assert_eq!(self.raw.receive(1, &mut seen, Awake::Yes), bytes_of(number));
                }
            }
            Work::PlainAwake => {
                for number in 0..count {
                    let words = message(number).words;
                    self.plain.send_plain(&words).wait().unwrap();
                    assert_eq!(self.plain.recv_plain().wait().unwrap(), words);
                }
            }
            Work::PipeAwake => {
                for number in 0..count {
                    self.echo.send(&message(number)).wait().unwrap();
                    assert_eq!(self.echo.recv().wait().unwrap(), message(number));
                }
            }
            Work::RawAsleep => {
                let mut seen = self.raw.sequence(1);
                return asleep(count, |number| {
                    self.raw.send(0, &bytes_of(number));
                    assert_eq!(self.raw.receive(1, &mut seen, Awake::No), bytes_of(number));
                });
            }
            Work::UnixAsleep => {
                self.socket.set_nonblocking(false).unwrap();
                return asleep(count, |number| {
                    let mut bytes = [0; 64];
                    self.socket.write_all(&bytes_of(number)).unwrap();
                    self.socket.read_exact(&mut bytes).unwrap();
                    assert_eq!(bytes, bytes_of(number));
                });
            }
            Work::PipeAsleep => {
                return asleep(count, |number| {
                    self.echo.send(&message(number)).wait().unwrap();
                    assert_eq!(self.echo.recv().wait().unwrap(), message(number));
                });
            }
            Work::TokioUnix => {
                return on_tokio(async {
                    let mut socket = tokio_socket(&self.socket);
                    let mut total = Duration::ZERO;
                    for number in 0..count {
                        tokio::time::sleep(measure::ASLEEP).await;
                        let mut bytes = [0; 64];
                        let begin = Instant::now();
                        socket.write_all(&bytes_of(number)).await.unwrap();
                        socket.read_exact(&mut bytes).await.unwrap();
                        total += begin.elapsed();
                        assert_eq!(bytes, bytes_of(number));
                    }
                    total
                });
            }
            Work::TokioPipe => {
                return on_tokio(async {
                    let mut total = Duration::ZERO;
                    for number in 0..count {
                        tokio::time::sleep(measure::ASLEEP).await;
                        let begin = Instant::now();
                        self.echo.send(&message(number)).await.unwrap();
                        assert_eq!(self.echo.recv().await.unwrap(), message(number));
                        total += begin.elapsed();
                    }
                    total
                });
            }
            Work::RawOneWay => {
                let mut ring = RawRing::to_push(&self.raw, 64);
                (0..count).for_each(|number| ring.push(&bytes_of(number)));
            }
            Work::PlainOneWay => {
                let (sender, receiver) = self.plain.halves();
                for number in 0..count {
                    sender.send_plain(&message(number).words).wait().unwrap();
                }
                assert_eq!(receiver.recv_plain().wait().unwrap()[0], count * (count - 1) / 2);
            }
            Work::PipeOneWay => {
                let (sender, receiver) = self.one_way.halves();
                send_all(sender, receiver, count);
            }
            Work::RawBulk => {
                let bytes = vec![1; MIB];
                let mut ring = RawRing::to_push(&self.raw, MIB);
                (0..count).for_each(|_| ring.push(&bytes));
            }
            Work::PipeBulk => {
                let mut bytes = vec![1; MIB];
                for number in 0..count {
                    bytes[0] = u8::from(number + 1 == count);
                    self.bulk.send_bytes(&bytes).wait().unwrap();
                }
                self.bulk.recv().wait().unwrap();
            }
            Work::FourPipes => std::thread::scope(|scope| {
                for anchor in &mut self.four {
                    let (sender, receiver) = anchor.halves();
                    scope.spawn(move || send_all(sender, receiver, count / FOUR as u64));
                }
            }),
        }
        begin.elapsed()
    }
}

impl Theirs {
    /// The other side of it.
    pub(crate) fn serve(&mut self, work: Work, count: u64) {
        match work {
            Work::RawAwake | Work::RawAsleep => {
                let awake = if work == Work::RawAwake { Awake::Yes } else { Awake::No };
                // What it has answered: the next one may have come already.
                let mut seen = self.raw.sequence(1);
                for _ in 0..count {
                    let bytes = self.raw.receive(0, &mut seen, awake);
                    self.raw.send(1, &bytes);
                }
            }
            Work::PlainAwake => {
                for _ in 0..count {
                    let words = self.plain.recv_plain().wait().unwrap();
                    self.plain.send_plain(&words).wait().unwrap();
                }
            }
            Work::PipeAwake | Work::PipeAsleep => {
                for _ in 0..count {
                    let message = self.echo.recv().wait().unwrap();
                    self.echo.send(&message).wait().unwrap();
                }
            }
            Work::UnixAsleep => {
                self.socket.set_nonblocking(false).unwrap();
                let mut bytes = [0; 64];
                for _ in 0..count {
                    self.socket.read_exact(&mut bytes).unwrap();
                    self.socket.write_all(&bytes).unwrap();
                }
            }
            Work::TokioUnix => on_tokio(async {
                let mut socket = tokio_socket(&self.socket);
                let mut bytes = [0; 64];
                for _ in 0..count {
                    socket.read_exact(&mut bytes).await.unwrap();
                    socket.write_all(&bytes).await.unwrap();
                }
            }),
            Work::TokioPipe => on_tokio(async {
                for _ in 0..count {
                    let message = self.echo.recv().await.unwrap();
                    self.echo.send(&message).await.unwrap();
                }
            }),
            Work::RawOneWay => {
                let mut ring = RawRing::to_pop(&self.raw, 64);
                let mut bytes = [0; 64];
                for number in 0..count {
                    ring.pop(&mut bytes);
                    assert_eq!(bytes, bytes_of(number));
                }
            }
            Work::PlainOneWay => {
                let (sender, receiver) = self.plain.halves().unwrap();
                let sum = (0..count).map(|_| receiver.recv_plain().wait().unwrap()[0]).sum();
                sender.send_plain(&[sum; 8]).wait().unwrap();
            }
            Work::PipeOneWay => {
                let (sender, receiver) = self.one_way.halves().unwrap();
                receive_all(sender, receiver, count);
            }
            Work::RawBulk => {
                let mut ring = RawRing::to_pop(&self.raw, MIB);
                let mut bytes = vec![0; MIB];
                for _ in 0..count {
                    ring.pop(&mut bytes);
                    assert_eq!(bytes[MIB - 1], 1);
                }
            }
            Work::PipeBulk => {
                let mut bytes = Vec::new();
                for _ in 0..count {
                    assert_eq!(self.bulk.recv_bytes(&mut bytes).wait().unwrap(), MIB);
                    assert_eq!(bytes[MIB - 1], 1);
                }
                self.bulk.send(&count).wait().unwrap();
            }
            Work::FourPipes => std::thread::scope(|scope| {
                for point in &mut self.four {
                    let (sender, receiver) = point.halves().unwrap();
                    scope.spawn(move || receive_all(sender, receiver, count / FOUR as u64));
                }
            }),
        }
    }
}
