//! The end that may move to another process.

use std::any::type_name;
use std::fmt;
use std::time::Duration;

use serde::de::{DeserializeOwned, Error as _};
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sk_cereal::{Purpose, Session};
use sk_function::{Operation, Source};
use sk_share::bytemuck::{self, Pod};
use sk_share::memory::{Descriptors, FileId, Kind, RegionId};

use crate::end::{ENDED_RECEIVING, ENDED_SENDING, End, Role};
use crate::error::{Error, Reason, Refused};
use crate::link::Link;
use crate::sync::{Arc, AtomicU8, Ordering};
use crate::waiting::{MESSAGE, ROOM, waiting};
use crate::{Plain, Raw, Receiver, Sender};

/// The end of a pipe that may move: it sends `S` and receives `R`.
///
/// It is encoded inside any value, and arrives in the process that decodes that, which has it from then on. It can move
/// as long as it is not [locked](Point::lock) and no message is half sent or half received. Used where it is, it is
/// attached there.
///
/// One process has it at a time: to decode it again while that one lives is an error. After its death the
/// next one that decodes the same bytes goes on with what was not read ([`Succession`]).
///
/// Dropping it closes it, unless it was given away.
pub struct Point<S, R> {
    end: Arc<End>,
    /// Once it is attached here.
    halves: Option<Box<(Sender<S>, Receiver<R>)>>,
    state: Arc<State>,
}

/// What encoding may change, which sees it by a shared reference.
#[derive(Debug, Default)]
pub(crate) struct State {
    flags: AtomicU8,
}

const LOCKED: u8 = 1;
const GIVEN: u8 = 2;
/// Decoded in a pass that only looks.
const IMAGE: u8 = 4;

impl State {
    fn is(&self, flag: u8) -> bool {
        self.flags.load(Ordering::Relaxed) & flag != 0
    }

    fn set(&self, flag: u8, on: bool) {
        if on {
            self.flags.fetch_or(flag, Ordering::Relaxed);
        } else {
            self.flags.fetch_and(!flag, Ordering::Relaxed);
        }
    }
}

/// The points that an encoding gives away: a table of its session.
#[derive(Debug, Default)]
pub(crate) struct Given(Vec<Arc<State>>);

impl Given {
    /// They have not left.
    pub(crate) fn take_back(&mut self) {
        self.0.drain(..).for_each(|state| state.set(GIVEN, false));
    }
}

/// A point in bytes.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Wire {
    region: [u64; 2],
    socket: FileId,
}

/// Both types of a pair as they are checked.
pub(crate) fn name_of<T>() -> String {
    type_name::<T>().to_owned()
}

impl<S, R> Point<S, R> {
    pub(crate) fn new(end: Arc<End>) -> Point<S, R> {
        Point { end, halves: None, state: Arc::default() }
    }

    fn check_here(&self) -> Result<(), Error> {
        if self.state.is(GIVEN | IMAGE) {
            return Err(Error::endpoint("the point was given away"));
        }
        Ok(())
    }

    fn attached(&mut self) -> Result<&mut (Sender<S>, Receiver<R>), Error> {
        self.check_here()?;
        if self.halves.is_none() {
            self.end.attach()?;
            let halves = self.new_halves().inspect_err(|_| {
                // It is held here, and nobody can use it: the other end would wait for a process that lives.
                self.end.close(ENDED_SENDING | ENDED_RECEIVING);
            })?;
            self.halves = Some(Box::new(halves));
        }
        // It was put there.
        self.halves.as_deref_mut().ok_or_else(|| Error::endpoint("the point is not attached"))
    }

    fn new_halves(&self) -> Result<(Sender<S>, Receiver<R>), Error> {
        Ok((Sender::new(&self.end)?, Receiver::new(&self.end)?))
    }

    /// Both directions by themselves, for two threads or tasks. They stay in this process.
    ///
    /// # Errors
    /// It was given away, or another process has it.
    pub fn split(mut self) -> Result<(Sender<S>, Receiver<R>), Error> {
        self.attached()?;
        match self.halves.take() {
            Some(halves) => Ok(*halves),
            None => Err(Error::endpoint("the point is not attached")),
        }
    }

    /// Both directions, for two threads of a scope.
    ///
    /// # Errors
    /// As for [`split`](Self::split).
    pub fn halves(&mut self) -> Result<(&mut Sender<S>, &mut Receiver<R>), Error> {
        self.attached().map(|(sender, receiver)| (sender, receiver))
    }

    /// What sends.
    ///
    /// # Errors
    /// As for [`split`](Self::split).
    pub fn sender(&mut self) -> Result<&mut Sender<S>, Error> {
        self.attached().map(|(sender, _)| sender)
    }

    /// What receives.
    ///
    /// # Errors
    /// As for [`split`](Self::split).
    pub fn receiver(&mut self) -> Result<&mut Receiver<R>, Error> {
        self.attached().map(|(_, receiver)| receiver)
    }

    /// Keeps it here: to encode it is an error ([`Error::is_endpoint`]) until it is unlocked.
    pub fn lock(&mut self) {
        self.state.set(LOCKED, true);
    }

    /// Lets it move.
    pub fn unlock(&mut self) {
        self.state.set(LOCKED, false);
    }

    /// Whether it is kept here.
    pub fn is_locked(&self) -> bool {
        self.state.is(LOCKED)
    }

    /// Ends both directions: the other end reads what was sent, and then gets [`is_closed`](Error::is_closed).
    pub fn close(&mut self) {
        match &mut self.halves {
            Some(halves) => {
                halves.0.close();
                halves.1.close();
            }
            None if !self.state.is(GIVEN | IMAGE) => self.end.close_unused(),
            None => {}
        }
    }

    /// For who gives it to a process and starts another one when that dies: see [`Succession`].
    ///
    /// # Errors
    /// It was given away already; the memory is damaged.
    pub fn succession(&self) -> Result<Succession, Error> {
        self.check_here()?;
        self.end.supervise(self.end.role(), true)?;
        Ok(Succession { end: Arc::clone(&self.end) })
    }

    /// As [`Receiver::poll`].
    ///
    /// # Errors
    /// As for [`Receiver::poll`] and [`split`](Self::split).
    pub fn poll(&mut self, timeout: Duration) -> Result<bool, Error> {
        self.receiver()?.poll(timeout)
    }

    /// Whether a message is half sent or half received.
    fn is_busy(&self) -> bool {
        self.halves.as_ref().is_some_and(|halves| halves.0.is_busy() || halves.1.is_busy())
    }

    /// Leaves what its reader needs in the session, and gives it away if that is what the session is for.
    pub(crate) fn give(&self) -> Result<Wire, Error> {
        let session = Session::require::<Point<S, R>>()?;
        self.end.check_copied()?;
        self.check_here()?;
        if self.state.is(LOCKED) {
            return Err(Error::endpoint("the point is locked, so it stays in this process"));
        }
        if self.is_busy() {
            return Err(Error::endpoint("a message is half sent or received at the point"));
        }
        let socket = session.with(|descriptors: &mut Descriptors| {
            descriptors.add(&self.end.commons);
            descriptors.add_file(self.end.link.socket())
        })?;
        if !session.is_rehearsal() && session.purpose() == Purpose::HandOver {
            self.end.detach()?;
            self.state.set(GIVEN, true);
            session.with(|given: &mut Given| given.0.push(Arc::clone(&self.state)));
        }
        Ok(Wire { region: self.end.commons.region().id().to_words(), socket })
    }

    /// The point of these bytes, with what its session holds.
    pub(crate) fn take(wire: &Wire) -> Result<Point<S, R>, Error> {
        let session = Session::require::<Point<S, R>>()?;
        let id = RegionId::from_words(wire.region);
        let is_rehearsal = session.is_rehearsal();
        let (commons, socket) = session.with(|descriptors: &mut Descriptors| {
            let commons = descriptors.find(Kind::PIPE, id)?;
            let socket = if is_rehearsal { None } else { descriptors.take_file(wire.socket) };
            Ok::<_, Error>((commons, socket))
        })?;
        let link = match socket {
            Some(socket) => Link::of(Arc::new(socket)),
            None if is_rehearsal => Link::pair()?.0,
            None => return Err(Error::new(Reason::NoSocket)),
        };
        let end = Arc::new(End::open(commons, Role::Point, link)?);
        end.check_types(&name_of::<S>(), &name_of::<R>())?;
        let mut point = Point::new(end);
        if is_rehearsal {
            point.state.set(IMAGE, true);
        } else if let Err(error) = point.attached().map(|_| ()) {
            // It is another's.
            point.state.set(IMAGE, true);
            return Err(error);
        }
        Ok(point)
    }
}

impl<S: Serialize, R> Point<S, R> {
    /// As [`Sender::send`].
    ///
    /// # Errors
    /// As for [`Sender::send`]; the point was given away, or another process has it.
    pub fn send<'a>(
        &'a mut self,
        message: &'a S,
    ) -> Operation<impl Source<Output = (), Error = Error> + use<'a, S, R>> {
        waiting(ROOM, self.attached().map(|(sender, _)| sender.sending(message)))
    }

    /// As [`Sender::try_send`].
    ///
    /// # Errors
    /// As for [`Sender::try_send`] and [`split`](Self::split).
    pub fn try_send(&mut self, message: &S) -> Result<bool, Error> {
        self.sender()?.try_send(message)
    }

    /// As [`Sender::send_timeout`].
    ///
    /// # Errors
    /// As for [`Sender::send_timeout`] and [`split`](Self::split).
    pub fn send_timeout(&mut self, message: &S, timeout: Duration) -> Result<(), Error> {
        self.sender()?.send_timeout(message, timeout)
    }
}

impl<S, R: DeserializeOwned> Point<S, R> {
    /// As [`Receiver::recv`].
    ///
    /// # Errors
    /// As for [`Receiver::recv`]; the point was given away, or another process has it.
    pub fn recv(&mut self) -> Operation<impl Source<Output = R, Error = Error> + use<'_, S, R>> {
        waiting(MESSAGE, self.attached().map(|(_, receiver)| receiver.receiving()))
    }

    /// As [`Receiver::try_recv`].
    ///
    /// # Errors
    /// As for [`Receiver::try_recv`] and [`split`](Self::split).
    pub fn try_recv(&mut self) -> Result<Option<R>, Error> {
        self.receiver()?.try_recv()
    }

    /// As [`Receiver::recv_timeout`].
    ///
    /// # Errors
    /// As for [`Receiver::recv_timeout`] and [`split`](Self::split).
    pub fn recv_timeout(&mut self, timeout: Duration) -> Result<R, Error> {
        self.receiver()?.recv_timeout(timeout)
    }
}

impl<T: Pod, R> Point<Plain<T>, R> {
    /// As [`Sender::send_plain`].
    ///
    /// # Errors
    /// As for [`Sender::send_plain`]; the point was given away, or another process has it.
    pub fn send_plain<'a>(
        &'a mut self,
        message: &'a T,
    ) -> Operation<impl Source<Output = (), Error = Error> + use<'a, T, R>> {
        let bytes = bytemuck::bytes_of(message);
        waiting(ROOM, self.attached().map(|(sender, _)| sender.sending_bytes(bytes)))
    }
}

impl<S, T: Pod> Point<S, Plain<T>> {
    /// As [`Receiver::recv_plain`].
    ///
    /// # Errors
    /// As for [`Receiver::recv_plain`]; the point was given away, or another process has it.
    pub fn recv_plain(
        &mut self,
    ) -> Operation<impl Source<Output = T, Error = Error> + use<'_, S, T>> {
        waiting(MESSAGE, self.attached().map(|(_, receiver)| receiver.receiving_plain()))
    }
}

impl<R> Point<Raw, R> {
    /// As [`Sender::send_bytes`].
    ///
    /// # Errors
    /// As for [`Sender::send_bytes`]; the point was given away, or another process has it.
    pub fn send_bytes<'a>(
        &'a mut self,
        bytes: &'a [u8],
    ) -> Operation<impl Source<Output = (), Error = Error> + use<'a, R>> {
        waiting(ROOM, self.attached().map(|(sender, _)| sender.sending_bytes(bytes)))
    }
}

impl<S> Point<S, Raw> {
    /// As [`Receiver::recv_bytes`].
    ///
    /// # Errors
    /// As for [`Receiver::recv_bytes`]; the point was given away, or another process has it.
    pub fn recv_bytes<'a>(
        &'a mut self,
        to: &'a mut Vec<u8>,
    ) -> Operation<impl Source<Output = usize, Error = Error> + use<'a, S>> {
        waiting(MESSAGE, self.attached().map(|(_, receiver)| receiver.receiving_bytes(to)))
    }

    /// As [`Receiver::recv_into`].
    ///
    /// # Errors
    /// As for [`Receiver::recv_into`]; the point was given away, or another process has it.
    pub fn recv_into<'a>(
        &'a mut self,
        to: &'a mut [u8],
    ) -> Operation<impl Source<Output = usize, Error = Error> + use<'a, S>> {
        waiting(MESSAGE, self.attached().map(|(_, receiver)| receiver.receiving_into(to)))
    }
}

impl<S, R> Serialize for Point<S, R> {
    fn serialize<Z: Serializer>(&self, serializer: Z) -> Result<Z::Ok, Z::Error> {
        self.give().map_err(|error| Z::Error::custom(refused(error)))?.serialize(serializer)
    }
}

impl<'de, S, R> Deserialize<'de> for Point<S, R> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Point<S, R>, D::Error> {
        let wire = Wire::deserialize(deserializer)?;
        Point::take(&wire).map_err(|error| D::Error::custom(refused(error)))
    }
}

/// Leaves the error in the session, and gives the text of it for the codec.
#[cold]
fn refused(error: Error) -> String {
    let text = error.to_string();
    if let Some(session) = Session::current() {
        session.put(Refused(Some(error)));
    }
    text
}

impl<S, R> Drop for Point<S, R> {
    fn drop(&mut self) {
        if self.state.is(GIVEN | IMAGE) {
            // The halves belong to somebody else now.
            if let Some(halves) = self.halves.take() {
                halves.0.forget();
                halves.1.forget();
            }
        } else if self.halves.is_none() && !self.end.is_held_here() {
            self.end.close_unused();
        }
    }
}

impl<S, R> fmt::Debug for Point<S, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Point<{}, {}>", type_name::<S>(), type_name::<R>())
    }
}

/// That a point has another life: as long as this is there, and the process that has it lives, the death of the process
/// that holds the point is not the end of the pipe. The anchor is told of it ([`Error::is_restarting`]), what was
/// not read stays, and the next process that decodes the point goes on with it.
///
/// Dropped, no life follows: then a dead holder is [disconnected](Error::is_disconnected).
#[must_use = "no life follows when this is dropped"]
pub struct Succession {
    end: Arc<End>,
}

impl Drop for Succession {
    fn drop(&mut self) {
        if self.end.check_copied().is_ok() {
            // An error would be damage, which those who use the pipe find themselves.
            let _ = self.end.supervise(self.end.role(), false);
        }
    }
}

impl fmt::Debug for Succession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Succession").finish_non_exhaustive()
    }
}
