//! What can be in a select: pipes of messages, pipes of bytes, and timers.

use std::any::Any;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use serde::de::DeserializeOwned;
use sk_function::{Drive, Operation, Source, Unfinished, Until};

use crate::error::Error;
use crate::{Raw, Receiver};

/// Something that gives a `T` from time to time.
pub(super) trait Member<T>: Send {
    /// What it gives next, or the promise to wake the task when it is to be asked again.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Turn<T>>;

    /// The receiver that it has, in its own type.
    fn into_receiver(self: Box<Self>) -> Option<Box<dyn Any>>;
}

pub(super) struct Turn<T> {
    pub(super) outcome: Result<T, Error>,
    /// There is nothing after it.
    pub(super) is_last: bool,
}

/// A pipe that has met a limit, as one of descriptors, is left alone for so long, so that who is told of it again and
/// again does nothing else meanwhile.
const PAUSE: Duration = Duration::from_millis(100);

pub(super) struct Pipe<R, F> {
    receiver: Receiver<R>,
    make: F,
    pause: Option<Alarm>,
}

impl<R, F> Pipe<R, F> {
    pub(super) fn new(receiver: Receiver<R>, make: F) -> Self {
        Pipe { receiver, make, pause: None }
    }

    /// Whether it is left alone now.
    fn is_paused(&mut self, cx: &mut Context<'_>) -> bool {
        let is_paused = self.pause.as_mut().is_some_and(|pause| !pause.has_gone_off(cx));
        if !is_paused {
            self.pause = None;
        }
        is_paused
    }

    fn turn<T>(&mut self, outcome: Result<T, Error>) -> Turn<T> {
        let is_limit = outcome.as_ref().is_err_and(Error::is_limit);
        if is_limit {
            self.pause = Some(Alarm::at(Instant::now() + PAUSE));
        }
        let is_last = !is_limit && outcome.as_ref().is_err_and(Error::ends_receiving);
        Turn { outcome, is_last }
    }

    fn take_receiver(self) -> Receiver<R> {
        self.receiver.stop_waiting();
        self.receiver
    }
}

impl<T, R, F> Member<T> for Pipe<R, F>
where
    R: DeserializeOwned + 'static,
    F: FnMut(R) -> T + Send,
{
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Turn<T>> {
        if self.is_paused(cx) {
            return Poll::Pending;
        }
        let Poll::Ready(outcome) = self.receiver.poll_recv(cx) else { return Poll::Pending };
        let outcome = outcome.map(|message| (self.make)(message));
        Poll::Ready(self.turn(outcome))
    }

    fn into_receiver(self: Box<Self>) -> Option<Box<dyn Any>> {
        Some(Box::new(self.take_receiver()))
    }
}

/// A pipe of bytes, and the buffer into which they are received.
pub(super) struct Bytes<F> {
    pipe: Pipe<Raw, F>,
    bytes: Vec<u8>,
}

impl<F> Bytes<F> {
    pub(super) fn new(receiver: Receiver<Raw>, make: F) -> Self {
        Bytes { pipe: Pipe::new(receiver, make), bytes: Vec::new() }
    }
}

impl<T, F: FnMut(&[u8]) -> T + Send> Member<T> for Bytes<F> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Turn<T>> {
        let Bytes { pipe, bytes } = self;
        if pipe.is_paused(cx) {
            return Poll::Pending;
        }
        let Poll::Ready(outcome) = pipe.receiver.poll_bytes(bytes, cx) else {
            return Poll::Pending;
        };
        let outcome = outcome.map(|_| (pipe.make)(bytes));
        Poll::Ready(pipe.turn(outcome))
    }

    fn into_receiver(self: Box<Self>) -> Option<Box<dyn Any>> {
        Some(Box::new(self.pipe.take_receiver()))
    }
}

/// Gives something at an instant, and then again at each period after it, if it has one.
pub(super) struct Timer<F> {
    /// `None`: later than this machine can tell.
    at: Option<Instant>,
    period: Option<Duration>,
    make: F,
    alarm: Option<Alarm>,
}

impl<F> Timer<F> {
    pub(super) fn new(after: Duration, period: Option<Duration>, make: F) -> Self {
        Timer { at: Instant::now().checked_add(after), period, make, alarm: None }
    }

    /// What was missed while nobody looked is not made up for, and the beat is kept.
    fn move_on(&mut self, period: Duration) {
        let now = Instant::now();
        let late = self.at.map_or(0, |at| now.saturating_duration_since(at).as_nanos());
        let since_beat = late.checked_rem(period.as_nanos()).unwrap_or(0);
        let since_beat = Duration::from_nanos(u64::try_from(since_beat).unwrap_or(0));
        self.at = now.checked_sub(since_beat).and_then(|beat| beat.checked_add(period));
    }
}

impl<T, F: FnMut() -> Option<T> + Send> Member<T> for Timer<F> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Turn<T>> {
        let Some(at) = self.at else { return Poll::Pending };
        if !self.alarm.get_or_insert_with(|| Alarm::at(at)).has_gone_off(cx) {
            return Poll::Pending;
        }
        self.alarm = None;
        match self.period {
            Some(period) => self.move_on(period),
            None => self.at = None,
        }
        match (self.make)() {
            Some(made) => Poll::Ready(Turn { outcome: Ok(made), is_last: self.period.is_none() }),
            None => Poll::Pending,
        }
    }

    fn into_receiver(self: Box<Self>) -> Option<Box<dyn Any>> {
        None
    }
}

/// Wakes a task at an instant, by the thread that keeps all limits.
struct Alarm(Operation<Never>);

impl Alarm {
    fn at(at: Instant) -> Alarm {
        let left = at.saturating_duration_since(Instant::now());
        Alarm(Operation::new(Never).timeout(left))
    }

    fn has_gone_off(&mut self, cx: &mut Context<'_>) -> bool {
        Pin::new(&mut self.0).poll(cx).is_ready()
    }
}

/// What never happens, so that only its limit ends it.
struct Never;

impl Source for Never {
    type Output = ();
    type Error = Unfinished;
    const DRIVE: Drive = Drive::Itself;

    fn try_take(&mut self) -> Option<Result<(), Unfinished>> {
        None
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Unfinished>> {
        Poll::Pending
    }

    fn block(&mut self, until: Until<'_>) -> Option<Result<(), Unfinished>> {
        while until.park() {}
        None
    }

    fn cancel(&mut self) {}
}
