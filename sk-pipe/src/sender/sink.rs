//! A sender as a sink of futures: one message at a time waits in it for room.

use std::pin::Pin;
use std::task::{Context, Poll};

use futures_sink::Sink;
use serde::Serialize;

use super::{Sender, Tx};
use crate::end::Look;
use crate::error::Error;
use crate::ring::{Ring, Side};
use crate::sync::Arc;

/// What one waits for who flushes.
struct Flushing<'a>(&'a mut Tx);

impl Look for Flushing<'_> {
    type Output = ();

    fn look(&mut self) -> Result<Option<()>, Error> {
        self.0.flush()?;
        Ok(self.0.pending.is_none().then_some(()))
    }

    fn is_likely(&self) -> bool {
        self.0.ring().is_read(&self.0.end.commons, &self.0.writing)
    }

    fn place(&self) -> (Ring, Side) {
        (*self.0.ring(), Side::Room)
    }
}

impl Tx {
    /// Sends what a sink was given.
    pub(super) fn flush(&mut self) -> Result<(), Error> {
        if let Some(mut message) = self.pending.take() {
            if self.look_to_send_any(&mut message)? {
                self.sent(message);
            } else {
                self.pending = Some(message);
            }
        }
        Ok(())
    }
}

impl<S> Sender<S> {
    fn poll_flushed(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let end = Arc::clone(&self.tx.end);
        end.poll(&mut Flushing(&mut self.tx), cx)
    }
}

/// One message at a time waits here for room in the pipe.
impl<S: Serialize> Sink<S> for Sender<S> {
    type Error = Error;

    fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.get_mut().poll_flushed(cx)
    }

    fn start_send(self: Pin<&mut Self>, item: S) -> Result<(), Error> {
        let tx = &mut self.get_mut().tx;
        let message = tx.encode(&item)?;
        // What was left here before is sent before; a sink is ready when nothing is.
        if tx.pending.replace(message).is_some() {
            return Err(Error::endpoint("a message was given to a sink that was not ready"));
        }
        tx.flush()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.get_mut().poll_flushed(cx)
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let sender = self.get_mut();
        let flushed = sender.poll_flushed(cx);
        if flushed.is_ready() {
            sender.close();
        }
        flushed
    }
}
