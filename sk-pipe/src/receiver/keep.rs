//! Messages that stay in the pipe until whoever receives them says that they are done with.

use super::Receiver;
use super::rx::Rx;
use crate::Overflow;
use crate::error::{Error, Reason};
use crate::frame::{FIRST, LAST};

impl Rx {
    fn check_keeps(&self) -> Result<(), Error> {
        if self.keeps { Ok(()) } else { Err(Error::endpoint("messages of this pipe are not kept")) }
    }

    /// Frees what lies before this position, behind a message that ends before `received` and was not freed yet.
    fn free_until(&mut self, position: u64, received: u64) -> Result<(), Error> {
        let ring = *self.ring();
        let mut at = ring.reading(&self.end.commons)?;
        while at.cursor < position {
            let header = ring.look(&self.end.commons, &at)?.filter(|_| at.cursor < received);
            let Some(header) = header.filter(|header| header.is(FIRST) && header.is(LAST)) else {
                break;
            };
            at.cursor += header.frame_bytes();
        }
        if at.cursor != position {
            let least = ring.reading(&self.end.commons)?.cursor;
            return Err(Error::new(Reason::Position { asked: position, least, most: received }));
        }
        let keeps = std::mem::replace(&mut self.keeps, false);
        let reading = std::mem::replace(&mut self.reading, at);
        let freed = self.free();
        (self.reading, self.keeps) = (reading, keeps);
        freed
    }
}

impl<R> Receiver<R> {
    /// Has messages that are received from now on stay in the pipe, until [`release`](Self::release): who dies before that
    /// leaves them to the next life of its process. They count as unread for who sends. What travels beside a message,
    /// as ends of pipes do, stays with who received it, and a message that had it is not received again.
    ///
    /// # Errors
    /// The pipe was made otherwise than with [`Overflow::Fail`]: who waits for room would wait for a release.
    pub fn keep(&mut self) -> Result<(), Error> {
        if self.rx.end.receives_by != Overflow::Fail {
            return Err(Error::endpoint(
                "only messages of a pipe with Overflow::Fail can be kept in it",
            ));
        }
        self.rx.keeps = true;
        Ok(())
    }

    /// Behind the last message that was received, in bytes since the pipe was made: what to write down before a
    /// [`release`](Self::release), and to [`resume`](Self::resume) from in the next life.
    pub fn position(&self) -> u64 {
        self.rx.reading.cursor
    }

    /// Lets go of the messages that were received before this position.
    ///
    /// ```
    /// use sk_pipe::{Overflow, builder};
    ///
    /// let (mut anchor, mut point) = builder().overflow(Overflow::Fail).pair::<u32, ()>()?;
    /// let (_, receiver) = point.halves()?;
    /// receiver.keep()?;
    /// anchor.send(&1).wait()?;
    /// assert_eq!(receiver.recv().wait()?, 1);
    /// let done = receiver.position();
    /// // Here `done` is written down with what came of the message. A next life resumes from there.
    /// receiver.release(done)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Messages are not [kept](Self::keep); no message that is still kept ends there.
    pub fn release(&mut self, position: u64) -> Result<(), Error> {
        self.rx.end.check_copied()?;
        self.rx.check_keeps()?;
        self.rx.free_until(position, self.rx.reading.cursor)
    }

    /// Goes on behind what a life before had written down as done, and lets go of that: it may have died before its
    /// [`release`](Self::release). To be called before anything is received.
    ///
    /// # Errors
    /// As for [`release`](Self::release).
    pub fn resume(&mut self, position: u64) -> Result<(), Error> {
        self.rx.end.check_copied()?;
        self.rx.check_keeps()?;
        self.rx.free_until(position, position)?;
        self.rx.reading.cursor = position;
        Ok(())
    }
}
