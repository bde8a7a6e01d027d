//! Making a pipe.

use crate::end::{End, Shape};
use crate::error::Error;
use crate::point::name_of;
use crate::{Anchor, Point};

/// What a pipe does that is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Overflow {
    /// Who sends waits until there is room.
    #[default]
    Block,
    /// To send is an error ([`Error::is_full`]).
    Fail,
    /// The oldest messages that were not read are dropped. Descriptors that travelled beside them stay in the socket until
    /// the reader takes a later message: when that is full (some 278 messages on Linux), to send one with descriptors is an
    /// error ([`Error::is_full`]).
    DropOldest,
}

impl Overflow {
    pub(crate) fn to_word(self) -> u64 {
        match self {
            Overflow::Block => 0,
            Overflow::Fail => 1,
            Overflow::DropOldest => 2,
        }
    }

    pub(crate) fn from_word(word: u64) -> Option<Overflow> {
        [Overflow::Block, Overflow::Fail, Overflow::DropOldest]
            .into_iter()
            .find(|policy| policy.to_word() == word)
    }
}

/// In place of a message type: bytes as they are, by [`send_bytes`](crate::Sender::send_bytes),
/// [`recv_bytes`](crate::Receiver::recv_bytes) and [`recv_into`](crate::Receiver::recv_into).
#[derive(Debug, Clone, Copy)]
pub enum Raw {}

/// In place of a message type `T`: plain data, copied as it is, by [`send_plain`](crate::Sender::send_plain) and
/// [`recv_plain`](crate::Receiver::recv_plain). Several times as fast as a small message that is encoded.
///
/// ```
/// use sk_pipe::Plain;
///
/// let (mut anchor, mut point) = sk_pipe::pair::<Plain<[u64; 8]>, ()>()?;
/// anchor.send_plain(&[1; 8]).wait()?;
/// assert_eq!(point.recv_plain().wait()?, [1; 8]);
/// # Ok::<(), sk_pipe::Error>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Plain<T> {
    _never: Raw,
    _of: std::marker::PhantomData<T>,
}

/// In place of a message type: nothing goes in this direction, and there is no way to send or receive it.
///
/// ```compile_fail
/// let (mut anchor, _point) = sk_pipe::one_way::<u32>().unwrap();
/// let _: u32 = anchor.recv().wait().unwrap();
/// ```
///
/// ```compile_fail
/// let (_anchor, mut point) = sk_pipe::one_way::<u32>().unwrap();
/// point.send(&7).wait().unwrap();
/// ```
#[derive(Debug, Clone, Copy)]
pub enum Nothing {}

/// Both ends of a pipe.
pub type Pair<S, R> = (Anchor<S, R>, Point<R, S>);

/// A pipe: this process keeps the anchor, which sends `S` and receives `R`; the point may go to another process.
///
/// It holds 64 KiB of messages in each direction; see [`builder`] for other sizes.
///
/// ```
/// let (mut anchor, mut point) = sk_pipe::pair::<String, usize>()?;
/// anchor.send(&"how long?".to_owned()).wait()?;
/// let question: String = point.recv().wait()?;
/// point.send(&question.len()).wait()?;
/// assert_eq!(anchor.recv().wait()?, 9);
/// # Ok::<(), sk_pipe::Error>(())
/// ```
///
/// # Errors
/// There is no memory or no descriptor left, or no row for this process ([`Error::is_limit`]).
pub fn pair<S, R>() -> Result<Pair<S, R>, Error> {
    builder().pair()
}

/// A pipe in one direction: the anchor sends, the point receives, and nothing else compiles.
///
/// ```
/// let (mut anchor, mut point) = sk_pipe::one_way::<u32>()?;
/// anchor.send(&7).wait()?;
/// assert_eq!(point.recv().wait()?, 7);
/// # Ok::<(), sk_pipe::Error>(())
/// ```
///
/// # Errors
/// As for [`pair`].
pub fn one_way<T>() -> Result<Pair<T, Nothing>, Error> {
    builder().capacity_back(*crate::ring::Ring::CAPACITIES.start()).pair()
}

/// Settings of a pipe that is to be made.
///
/// ```
/// use sk_pipe::Overflow;
///
/// let (mut anchor, mut point) =
///     sk_pipe::builder().capacity(4096).overflow(Overflow::DropOldest).pair::<u64, ()>()?;
/// for number in 0..1000 {
///     anchor.send(&number).wait()?;
/// }
/// assert!(point.recv().wait()? > 500);
/// # Ok::<(), sk_pipe::Error>(())
/// ```
pub fn builder() -> Builder {
    Builder { capacities: [DEFAULT; 2], policies: [Overflow::Block; 2] }
}

const DEFAULT: u64 = 64 << 10;

/// What [`builder`] gives.
#[derive(Debug, Clone)]
#[must_use = "a builder makes a pipe when `pair` is called"]
pub struct Builder {
    capacities: [u64; 2],
    policies: [Overflow; 2],
}

impl Builder {
    /// How many bytes of messages each direction holds that were not read: a power of two from 4096 to 1 GiB, 65,536
    /// unless told. A message takes 8 bytes more than it has.
    pub fn capacity(self, bytes: u64) -> Builder {
        Builder { capacities: [bytes; 2], ..self }
    }

    /// The same for the direction from the anchor to the point only.
    pub fn capacity_there(mut self, bytes: u64) -> Builder {
        self.capacities[0] = bytes;
        self
    }

    /// The same for the direction from the point to the anchor only.
    pub fn capacity_back(mut self, bytes: u64) -> Builder {
        self.capacities[1] = bytes;
        self
    }

    /// What happens in both directions when there is no room; [`Overflow::Block`] unless told.
    pub fn overflow(self, overflow: Overflow) -> Builder {
        Builder { policies: [overflow; 2], ..self }
    }

    /// Makes the pipe.
    ///
    /// # Errors
    /// A capacity is none ([`Error::is_limit`]); else as for [`pair`](fn@pair).
    pub fn pair<S, R>(&self) -> Result<Pair<S, R>, Error> {
        let Builder { capacities, policies } = self.clone();
        let types = [name_of::<S>(), name_of::<R>()];
        let (anchor, point) = End::pair(&Shape { capacities, policies, types })?;
        Ok((Anchor::new(&anchor)?, Point::new(point)))
    }
}
