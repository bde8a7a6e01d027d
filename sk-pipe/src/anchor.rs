//! The end that stays where it was made.

use std::any::type_name;
use std::fmt;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use sk_function::{Operation, Source};
use sk_share::bytemuck::Pod;

use crate::end::End;
use crate::error::Error;
use crate::sync::Arc;
use crate::{Plain, Raw, Receiver, Sender};

/// The end of a pipe that stays in the process that made it: it sends `S` and receives `R`.
///
/// It cannot travel to another process; that does not compile. Dropping it closes it.
///
/// ```compile_fail
/// let (anchor, _point) = sk_pipe::pair::<u32, u32>().unwrap();
/// sk_cereal::internal::to_vec(&anchor).unwrap();
/// ```
pub struct Anchor<S, R> {
    sender: Sender<S>,
    receiver: Receiver<R>,
}

impl<S, R> Anchor<S, R> {
    pub(crate) fn new(end: &Arc<End>) -> Result<Anchor<S, R>, Error> {
        Ok(Anchor { sender: Sender::new(end)?, receiver: Receiver::new(end)? })
    }

    /// Both directions by themselves, for two threads or tasks.
    pub fn split(self) -> (Sender<S>, Receiver<R>) {
        (self.sender, self.receiver)
    }

    /// Both directions, for two threads of a scope.
    pub fn halves(&mut self) -> (&mut Sender<S>, &mut Receiver<R>) {
        (&mut self.sender, &mut self.receiver)
    }

    /// What sends.
    pub fn sender(&mut self) -> &mut Sender<S> {
        &mut self.sender
    }

    /// What receives.
    pub fn receiver(&mut self) -> &mut Receiver<R> {
        &mut self.receiver
    }

    /// Ends both directions: the other end reads what was sent, and then gets [`is_closed`](Error::is_closed).
    pub fn close(&mut self) {
        self.sender.close();
        self.receiver.close();
    }

    /// An anchor never travels, so this changes nothing.
    pub fn lock(&mut self) {}

    /// Always an error: an anchor never travels.
    ///
    /// # Errors
    /// Always ([`Error::is_endpoint`]).
    pub fn unlock(&mut self) -> Result<(), Error> {
        Err(Error::endpoint("an anchor is always locked: it stays in the process that made it"))
    }

    /// Always true.
    pub fn is_locked(&self) -> bool {
        true
    }

    /// As [`Receiver::poll`].
    ///
    /// # Errors
    /// As for [`Receiver::poll`].
    pub fn poll(&mut self, timeout: Duration) -> Result<bool, Error> {
        self.receiver.poll(timeout)
    }
}

impl<S: Serialize, R> Anchor<S, R> {
    /// As [`Sender::send`].
    ///
    /// # Errors
    /// As for [`Sender::send`].
    #[inline]
    pub fn send<'a>(
        &'a mut self,
        message: &'a S,
    ) -> Operation<impl Source<Output = (), Error = Error> + use<'a, S, R>> {
        self.sender.send(message)
    }

    /// As [`Sender::try_send`].
    ///
    /// # Errors
    /// As for [`Sender::try_send`].
    pub fn try_send(&mut self, message: &S) -> Result<bool, Error> {
        self.sender.try_send(message)
    }

    /// As [`Sender::send_timeout`].
    ///
    /// # Errors
    /// As for [`Sender::send_timeout`].
    pub fn send_timeout(&mut self, message: &S, timeout: Duration) -> Result<(), Error> {
        self.sender.send_timeout(message, timeout)
    }
}

impl<S, R: DeserializeOwned> Anchor<S, R> {
    /// As [`Receiver::recv`].
    ///
    /// # Errors
    /// As for [`Receiver::recv`].
    #[inline]
    pub fn recv(&mut self) -> Operation<impl Source<Output = R, Error = Error> + use<'_, S, R>> {
        self.receiver.recv()
    }

    /// As [`Receiver::try_recv`].
    ///
    /// # Errors
    /// As for [`Receiver::try_recv`].
    pub fn try_recv(&mut self) -> Result<Option<R>, Error> {
        self.receiver.try_recv()
    }

    /// As [`Receiver::recv_timeout`].
    ///
    /// # Errors
    /// As for [`Receiver::recv_timeout`].
    pub fn recv_timeout(&mut self, timeout: Duration) -> Result<R, Error> {
        self.receiver.recv_timeout(timeout)
    }
}

impl<T: Pod, R> Anchor<Plain<T>, R> {
    /// As [`Sender::send_plain`].
    ///
    /// # Errors
    /// As for [`Sender::send_plain`].
    #[inline]
    pub fn send_plain<'a>(
        &'a mut self,
        message: &'a T,
    ) -> Operation<impl Source<Output = (), Error = Error> + use<'a, T, R>> {
        self.sender.send_plain(message)
    }
}

impl<S, T: Pod> Anchor<S, Plain<T>> {
    /// As [`Receiver::recv_plain`].
    ///
    /// # Errors
    /// As for [`Receiver::recv_plain`].
    #[inline]
    pub fn recv_plain(
        &mut self,
    ) -> Operation<impl Source<Output = T, Error = Error> + use<'_, S, T>> {
        self.receiver.recv_plain()
    }
}

impl<R> Anchor<Raw, R> {
    /// As [`Sender::send_bytes`].
    ///
    /// # Errors
    /// As for [`Sender::send_bytes`].
    #[inline]
    pub fn send_bytes<'a>(
        &'a mut self,
        bytes: &'a [u8],
    ) -> Operation<impl Source<Output = (), Error = Error> + use<'a, R>> {
        self.sender.send_bytes(bytes)
    }
}

impl<S> Anchor<S, Raw> {
    /// As [`Receiver::recv_bytes`].
    ///
    /// # Errors
    /// As for [`Receiver::recv_bytes`].
    #[inline]
    pub fn recv_bytes<'a>(
        &'a mut self,
        to: &'a mut Vec<u8>,
    ) -> Operation<impl Source<Output = usize, Error = Error> + use<'a, S>> {
        self.receiver.recv_bytes(to)
    }

    /// As [`Receiver::recv_into`].
    ///
    /// # Errors
    /// As for [`Receiver::recv_into`].
    #[inline]
    pub fn recv_into<'a>(
        &'a mut self,
        to: &'a mut [u8],
    ) -> Operation<impl Source<Output = usize, Error = Error> + use<'a, S>> {
        self.receiver.recv_into(to)
    }
}

impl<S, R> fmt::Debug for Anchor<S, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Anchor<{}, {}>", type_name::<S>(), type_name::<R>())
    }
}
