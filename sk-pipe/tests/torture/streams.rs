//! Messages with numbers, of all kinds, in both directions, and who checks them.
//!
//! A message whose send has returned arrives once, and in order. When a side dies, one message of each direction is in
//! doubt, the one it was about to send or to receive; that one arrives as a whole or not at all.

use std::time::Duration;

use futures::executor::block_on;
use serde::{Deserialize, Serialize};
use sk_pipe::share::{Share, SharedNumber, inherit};
use sk_pipe::{Error, Point, Receiver, Sender};

use super::program::{Tried, WATCHDOG};

/// Of each direction: so small that it is full now and then.
pub(crate) const CAPACITY: u64 = 4096;

#[derive(Serialize, Deserialize)]
pub(crate) struct Message {
    /// Of who sends it.
    life: u64,
    number: u64,
    bytes: Vec<u8>,
    /// What takes a descriptor beside the message.
    handle: Option<SharedNumber<u64>>,
}

/// Of one frame; of several that are less than half of the pipe; more than that; more than all of it.
const LENGTHS: [usize; 16] =
    [0, 3, 900, 20, 1500, 8, 60, 2000, 1, 2500, 100, 16, 3800, 5, 20_000, 30];

fn bytes_of(number: u64) -> Vec<u8> {
    let length = LENGTHS[usize::try_from(number).unwrap() % LENGTHS.len()];
    (0..length).map(|at| u8::try_from((at as u64 + number) % 251).unwrap()).collect()
}

impl Message {
    fn of(life: u64, number: u64, handle: &SharedNumber<u64>) -> Message {
        let handle = number.is_multiple_of(5).then(|| handle.clone());
        Message { life, number, bytes: bytes_of(number), handle }
    }

    fn check(&self) -> Tried<()> {
        if self.bytes != bytes_of(self.number) {
            return Err(format!("message {} is not whole", self.number).into());
        }
        if let Some(handle) = &self.handle {
            handle.get();
        }
        Ok(())
    }
}

/// What a child and its parent know of each other. The number of a message is one more than that of the one before.
#[derive(Clone)]
pub(crate) struct Board {
    /// What the child has sent and was told that it is sent.
    pub(crate) sent: SharedNumber<u64>,
    /// What it has received last.
    pub(crate) received: SharedNumber<u64>,
    /// The life that did.
    pub(crate) of_life: SharedNumber<u64>,
    pub(crate) lives: SharedNumber<u64>,
    pub(crate) turns: SharedNumber<u64>,
}

impl Board {
    pub(crate) fn of(share: &Share) -> Tried<Board> {
        Ok(Board {
            sent: share.number("sent", 0)?,
            received: share.number("received", 0)?,
            of_life: share.number("of life", 0)?,
            lives: share.number("lives", 0)?,
            turns: share.number("turns", 0)?,
        })
    }
}

/// Which directions there are, and where each ends.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Task {
    /// How many messages the child sends and receives; it goes on until it is killed after that.
    pub(crate) sends: u64,
    pub(crate) receives: u64,
}

pub(crate) type Passed = (Point<Message, Message>, Share, Task);

/// Sends and receives until it has done its task.
pub(crate) fn child() -> Tried<()> {
    let (point, share, task): Passed = inherit::receive()?;
    let board = Board::of(&share)?;
    let life = board.lives.add(1);
    let (sender, receiver) = point.split()?;
    std::thread::scope(|scope| {
        let sends = scope.spawn(|| send_on(sender, &board, life, task.sends));
        receive_on(receiver, &board, life, task.receives)?;
        sends.join().map_err(|_| "the sender panicked")?
    })
}

fn send_on(mut sender: Sender<Message>, board: &Board, life: u64, last: u64) -> Tried<()> {
    // The one in doubt is sent again by the next life.
    while board.sent.get() < last {
        let number = board.sent.get() + 1;
        send(&mut sender, &Message::of(life, number, &board.turns))?;
        board.sent.set(number);
        board.turns.add(1);
    }
    Ok(())
}

fn receive_on(mut receiver: Receiver<Message>, board: &Board, life: u64, last: u64) -> Tried<()> {
    // Each life before may have got one more than it could say.
    let mut in_doubt = life - board.of_life.get();
    while board.received.get() < last {
        let received = board.received.get();
        let message = match receive(&mut receiver, received) {
            // One in doubt was the last.
            Err(error) if error.is_closed() && received + in_doubt >= last => {
                board.received.set(last);
                return Ok(());
            }
            message => message?,
        };
        message.check()?;
        if !(received + 1..=received + 1 + in_doubt).contains(&message.number) {
            let text = format!("message {} came to a child after {received}", message.number);
            board.turns.set(u64::MAX / 2);
            return Err(text.into());
        }
        in_doubt = 0;
        board.received.set(message.number);
        board.of_life.set(life);
        board.turns.add(1);
    }
    Ok(())
}

/// Now as a task, now as a thread.
fn send(sender: &mut Sender<Message>, message: &Message) -> Result<(), Error> {
    let sending = sender.send(message);
    if message.number.is_multiple_of(3) {
        block_on(sending.timeout(WATCHDOG))
    } else {
        sending.timeout(WATCHDOG).wait()
    }
}

fn receive(receiver: &mut Receiver<Message>, turn: u64) -> Result<Message, Error> {
    match turn % 4 {
        0 => block_on(receiver.recv().timeout(WATCHDOG)),
        1 if receiver.poll(Duration::from_millis(1))? => receiver.recv_timeout(WATCHDOG),
        _ => receiver.recv().timeout(WATCHDOG).wait(),
    }
}

/// The side that is not killed: sends so many, as long as there is somebody.
pub(crate) fn steady_sender(
    mut sender: Sender<Message>,
    handle: &SharedNumber<u64>,
    last: u64,
) -> Tried<u64> {
    for number in 1..=last {
        match send(&mut sender, &Message::of(0, number, handle)) {
            Ok(()) => {}
            Err(error) if error.is_disconnected() || error.is_closed() => return Ok(number - 1),
            Err(error) => return Err(format!("to send {number}: {error}").into()),
        }
    }
    Ok(last)
}

/// Receives until nobody is left, and says up to what and how many deaths it was told of.
pub(crate) fn steady_receiver(mut receiver: Receiver<Message>) -> Tried<(u64, u64)> {
    let (mut life, mut last, mut deaths) = (0, 0, 0);
    loop {
        match receive(&mut receiver, last) {
            Ok(message) => {
                message.check()?;
                let is_next = message.number == last + 1
                    || message.life > life && message.number == last && last > 0;
                if !is_next || message.life < life {
                    let Message { life: of, number, .. } = message;
                    return Err(format!("{number} of life {of} came after {last} of {life}").into());
                }
                (life, last) = (message.life, message.number);
            }
            Err(error) if error.is_restarting() => deaths += 1,
            Err(error) if error.is_disconnected() || error.is_closed() => {
                return Ok((last, deaths));
            }
            Err(error) => return Err(format!("to receive after {last}: {error}").into()),
        }
    }
}
