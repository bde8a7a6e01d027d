//! The side of a pipe that receives.

mod keep;
mod rx;

use std::any::type_name;
use std::fmt;
use std::hint::spin_loop;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_core::Stream;
use rx::{Into, RESTS, Rx, STREAK};
use serde::de::DeserializeOwned;
use sk_function::{Operation, Source};
use sk_share::bytemuck::{self, Pod};

use crate::end::{ENDED_SENDING, End, Look};
use crate::error::Error;
use crate::ring::{Ring, Side};
use crate::sync::Arc;
use crate::waiting::{AtEnd, MESSAGE, waiting};
use crate::{Plain, Raw};

/// The half of a pipe's end that receives messages of type `R`.
///
/// Dropping it tells the other end, whose sends fail from then on.
pub struct Receiver<R> {
    rx: Rx,
    /// The stream is over.
    is_over: bool,
    of: PhantomData<fn() -> R>,
}

/// What one waits for who receives.
pub(crate) struct Receiving<'a, R> {
    rx: &'a mut Rx,
    of: PhantomData<fn() -> R>,
}

impl<R: DeserializeOwned> Receiving<'_, R> {
    #[inline(never)]
    fn look_for_others(&mut self) -> Result<Option<R>, Error> {
        match self.rx.look_to_take(&mut Into::Here)? {
            Some(taken) => self.rx.decode(taken).map(Some),
            None => Ok(None),
        }
    }
}

impl<R: DeserializeOwned> Look for Receiving<'_, R> {
    type Output = R;

    #[inline]
    fn look(&mut self) -> Result<Option<R>, Error> {
        if self.rx.take_here_at_once()? {
            return self.rx.decode_bytes().map(Some);
        }
        self.look_for_others()
    }

    fn is_likely(&self) -> bool {
        self.rx.ring().is_there(&self.rx.end.commons, &self.rx.reading)
    }

    fn rest(&mut self) {
        rest(self.rx);
    }

    fn place(&self) -> (Ring, Side) {
        (*self.rx.ring(), Side::Items)
    }
}

/// A writer that is read at its heels loses the memory at each message.
fn rest(rx: &mut Rx) {
    if std::mem::take(&mut rx.streak) >= STREAK {
        (0..RESTS).for_each(|_| spin_loop());
    }
}

impl<R: DeserializeOwned> AtEnd for Receiving<'_, R> {
    fn end(&self) -> &Arc<End> {
        &self.rx.end
    }
}

/// What one waits for who receives bytes.
pub(crate) struct ReceivingBytes<'a> {
    rx: &'a mut Rx,
    to: Target<'a>,
}

enum Target<'a> {
    Vec(&'a mut Vec<u8>),
    Slice(&'a mut [u8]),
}

impl Look for ReceivingBytes<'_> {
    type Output = usize;

    #[inline]
    fn look(&mut self) -> Result<Option<usize>, Error> {
        let rx = &mut *self.rx;
        let taken = match &mut self.to {
            Target::Vec(to) => {
                let taken = rx.look_to_take(&mut Into::Here)?;
                if taken.is_some() {
                    std::mem::swap(*to, &mut rx.bytes);
                }
                taken
            }
            Target::Slice(to) => rx.look_to_take(&mut Into::Buffer(to))?,
        };
        Ok(taken.map(|taken| taken.length))
    }

    fn is_likely(&self) -> bool {
        self.rx.ring().is_there(&self.rx.end.commons, &self.rx.reading)
    }

    fn rest(&mut self) {
        rest(self.rx);
    }

    fn place(&self) -> (Ring, Side) {
        (*self.rx.ring(), Side::Items)
    }
}

impl AtEnd for ReceivingBytes<'_> {
    fn end(&self) -> &Arc<End> {
        &self.rx.end
    }
}

/// What one waits for who receives plain data.
pub(crate) struct ReceivingPlain<'a, T> {
    rx: &'a mut Rx,
    of: PhantomData<fn() -> T>,
}

impl<T: Pod> ReceivingPlain<'_, T> {
    #[inline(never)]
    fn look_for_others(&mut self) -> Result<Option<T>, Error> {
        let mut value = T::zeroed();
        let bytes = bytemuck::bytes_of_mut(&mut value);
        match self.rx.look_to_take(&mut Into::Buffer(bytes))? {
            Some(taken) if taken.length == size_of::<T>() => Ok(Some(value)),
            Some(taken) => Err(Error::damaged("the length of plain data", taken.length as u64)),
            None => Ok(None),
        }
    }
}

impl<T: Pod> Look for ReceivingPlain<'_, T> {
    type Output = T;

    #[inline]
    fn look(&mut self) -> Result<Option<T>, Error> {
        let mut value = T::zeroed();
        if self.rx.take_at_once(bytemuck::bytes_of_mut(&mut value))? {
            return Ok(Some(value));
        }
        self.look_for_others()
    }

    #[inline]
    fn is_likely(&self) -> bool {
        self.rx.ring().is_there(&self.rx.end.commons, &self.rx.reading)
    }

    fn rest(&mut self) {
        rest(self.rx);
    }

    fn place(&self) -> (Ring, Side) {
        (*self.rx.ring(), Side::Items)
    }
}

impl<T: Pod> AtEnd for ReceivingPlain<'_, T> {
    fn end(&self) -> &Arc<End> {
        &self.rx.end
    }
}

/// What one waits for who wants to know whether there is something.
struct Polling<'a>(&'a mut Rx);

impl Look for Polling<'_> {
    type Output = ();

    fn look(&mut self) -> Result<Option<()>, Error> {
        self.0.end.check_copied()?;
        // An end is something to be received too: the next call tells it.
        let is_news = self.0.is_closed
            || self.0.is_whole()?
            || self.0.end.look_at_peer(ENDED_SENDING, Some(&mut self.0.told.clone())).is_err();
        Ok(is_news.then_some(()))
    }

    fn is_likely(&self) -> bool {
        self.0.ring().is_there(&self.0.end.commons, &self.0.reading)
    }

    fn place(&self) -> (Ring, Side) {
        (*self.0.ring(), Side::Items)
    }
}

impl AtEnd for Polling<'_> {
    fn end(&self) -> &Arc<End> {
        &self.0.end
    }
}

impl<R> Receiver<R> {
    pub(crate) fn new(end: &Arc<End>) -> Result<Receiver<R>, Error> {
        Ok(Receiver { rx: Rx::new(end)?, is_over: false, of: PhantomData })
    }

    /// Waits until there is something to be received, a message or the end, for no longer than this; `false` if there
    /// is not. Zero does not wait.
    ///
    /// # Errors
    /// The memory is damaged; the handle is a copy made by fork; there is no memory for a message of several parts, which can
    /// still be received ([`Error::is_limit`]).
    pub fn poll(&mut self, timeout: Duration) -> Result<bool, Error> {
        let polled = waiting("something came", Ok(Polling(&mut self.rx))).timeout(timeout).wait();
        match polled {
            Ok(()) => Ok(true),
            Err(error) if error.is_timeout() => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Receives nothing more: sends of the other end fail from now on, with [`is_closed`](Error::is_closed).
    pub fn close(&mut self) {
        self.rx.close();
    }

    /// How many bytes of messages the pipe holds that were not read.
    pub fn capacity(&self) -> u64 {
        self.rx.ring().capacity
    }

    pub(crate) fn is_busy(&self) -> bool {
        self.rx.parts.is_some()
    }

    #[inline]
    pub(crate) fn receiving(&mut self) -> Receiving<'_, R> {
        Receiving { rx: &mut self.rx, of: PhantomData }
    }

    #[inline]
    pub(crate) fn receiving_plain<T>(&mut self) -> ReceivingPlain<'_, T> {
        ReceivingPlain { rx: &mut self.rx, of: PhantomData }
    }

    #[inline]
    pub(crate) fn receiving_bytes<'a>(&'a mut self, to: &'a mut Vec<u8>) -> ReceivingBytes<'a> {
        ReceivingBytes { rx: &mut self.rx, to: Target::Vec(to) }
    }

    #[inline]
    pub(crate) fn receiving_into<'a>(&'a mut self, to: &'a mut [u8]) -> ReceivingBytes<'a> {
        ReceivingBytes { rx: &mut self.rx, to: Target::Slice(to) }
    }

    /// The task that waited waits no more.
    pub(crate) fn stop_waiting(&self) {
        self.rx.end.stop_waiting(Side::Items);
    }

    /// Drops it without a word: somebody else has the end.
    pub(crate) fn forget(mut self) {
        self.rx.is_closed = true;
    }
}

impl<R: DeserializeOwned> Receiver<R> {
    /// Receives the next message, and waits for one.
    ///
    /// Given up in the middle, also by dropping the future, nothing is lost.
    ///
    /// # Errors
    /// After all that was sent: the other end was closed ([`Error::is_closed`]), its process died
    /// ([`Error::is_disconnected`]) or is between two lives ([`Error::is_restarting`], once). The message does not decode,
    /// and is gone. The limit of the operation.
    #[inline]
    pub fn recv(&mut self) -> Operation<impl Source<Output = R, Error = Error> + use<'_, R>> {
        waiting(MESSAGE, Ok(self.receiving()))
    }

    /// The next message, or the promise to wake the task.
    pub(crate) fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Result<R, Error>> {
        let end = Arc::clone(&self.rx.end);
        end.poll(&mut self.receiving(), cx)
    }

    /// Receives the next message if it is there.
    ///
    /// # Errors
    /// As for [`recv`](Self::recv).
    #[inline]
    pub fn try_recv(&mut self) -> Result<Option<R>, Error> {
        Receiving { rx: &mut self.rx, of: PhantomData }.look()
    }

    /// As [`recv`](Self::recv), for no longer than this.
    ///
    /// # Errors
    /// As for [`recv`](Self::recv); the time passed ([`Error::is_timeout`]).
    pub fn recv_timeout(&mut self, timeout: Duration) -> Result<R, Error> {
        self.recv().timeout(timeout).wait()
    }
}

impl<T: Pod> Receiver<Plain<T>> {
    /// As [`Receiver::recv`], of plain data as it is: one copy, out of the memory of the pipe.
    ///
    /// # Errors
    /// As for [`Receiver::recv`].
    #[inline]
    pub fn recv_plain(&mut self) -> Operation<impl Source<Output = T, Error = Error> + use<'_, T>> {
        waiting(MESSAGE, Ok(self.receiving_plain()))
    }

    /// As [`Receiver::try_recv`], of plain data as it is.
    ///
    /// # Errors
    /// As for [`Receiver::try_recv`].
    pub fn try_recv_plain(&mut self) -> Result<Option<T>, Error> {
        self.receiving_plain().look()
    }
}

impl Receiver<Raw> {
    /// As [`poll_recv`](Self::poll_recv), of bytes.
    pub(crate) fn poll_bytes(
        &mut self,
        to: &mut Vec<u8>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<usize, Error>> {
        let end = Arc::clone(&self.rx.end);
        end.poll(&mut self.receiving_bytes(to), cx)
    }

    /// Receives the bytes of the next message in place of what the vector holds, and says how many there are.
    ///
    /// # Errors
    /// As for [`Receiver::recv`].
    #[inline]
    pub fn recv_bytes<'a>(
        &'a mut self,
        to: &'a mut Vec<u8>,
    ) -> Operation<impl Source<Output = usize, Error = Error> + use<'a>> {
        waiting(MESSAGE, Ok(self.receiving_bytes(to)))
    }

    /// Receives the bytes of the next message into this buffer, by one copy, and says how many there are.
    ///
    /// # Errors
    /// As for [`Receiver::recv`]; the message is longer than the buffer ([`Error::is_limit`]), and can still be received.
    #[inline]
    pub fn recv_into<'a>(
        &'a mut self,
        to: &'a mut [u8],
    ) -> Operation<impl Source<Output = usize, Error = Error> + use<'a>> {
        waiting(MESSAGE, Ok(self.receiving_into(to)))
    }
}

/// Messages until the other end is closed. An error that is no end is an item, and so is a death, after which it is over.
impl<R: DeserializeOwned> Stream for Receiver<R> {
    type Item = Result<R, Error>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let receiver = self.get_mut();
        if receiver.is_over {
            return Poll::Ready(None);
        }
        receiver.poll_recv(cx).map(|item| match item {
            Err(error) if error.is_closed() => {
                receiver.is_over = true;
                None
            }
            item => {
                receiver.is_over = item.as_ref().is_err_and(Error::ends_receiving);
                Some(item)
            }
        })
    }
}

impl<R> Unpin for Receiver<R> {}

impl<R> fmt::Debug for Receiver<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Receiver<{}>", type_name::<R>())
    }
}
