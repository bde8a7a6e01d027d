//! A lock for many readers or one writer, by name.

use std::fmt;

use sk_function::{Operation, Source};

use super::{Hold, Holder, OfProcess, OfThread, Turn, Turns, debug, handle};
use crate::error::Error;
use crate::ground::{AgentRef, Attempt, Lease, Offset, RwLock, Waiting, WriteLease};
use crate::memory::Commons;
use crate::share::kind;
use crate::share::space::Object;
use crate::sync::Arc;
use crate::waiting::waiting;

/// A lock of several processes for many readers or one writer: a holder that dies holds it no longer.
///
/// It is a handle: cheap to clone, and in another process the same lock. A writer that waits is not kept waiting by
/// readers that come later. What it protects is up to the program.
///
/// ```
/// use sk_share::Share;
///
/// let share = Share::new()?;
/// let lock = share.rwlock("table")?;
/// let read = lock.read().wait()?;
/// assert!(lock.try_write_owned()?.is_none());
/// // Asking to write while one reads would wait for ever.
/// assert!(lock.write().wait().unwrap_err().is_reentry());
/// drop(read);
/// let write = lock.write().wait()?;
/// let read = write.downgrade()?;
/// # drop(read); Ok::<(), sk_share::Error>(())
/// ```
#[derive(Clone)]
pub struct SharedRwLock {
    object: Arc<Object>,
}

/// So many may read at once.
pub(crate) const READERS: u32 = 512;

handle!(SharedRwLock, kind::RWLOCK, "a read-write lock", RwLock::<'static, Commons>::bytes);

struct Turning;

impl Turns for Turning {
    type State = Waiting;

    fn pass_on(commons: &Commons, at: Offset, me: AgentRef, state: &mut Waiting) {
        // An error means damage, which whoever comes next is told of.
        let _ = RwLock::at(commons, at).and_then(|lock| lock.pass_on(me, state));
    }
}

impl SharedRwLock {
    /// Waits until the calling thread reads; 512 may at once. A thread that reads may read again.
    ///
    /// # Errors
    /// The thread writes ([`Error::is_reentry`]); it was removed; the limit of the operation.
    pub fn read(
        &self,
    ) -> Operation<impl Source<Output = ReadGuard<OfThread>, Error = Error> + use<>> {
        self.read_for()
    }

    /// As [`read`](Self::read) for this process: the guard may be sent to other threads.
    ///
    /// # Errors
    /// It was removed; the limit of the operation.
    pub fn read_owned(
        &self,
    ) -> Operation<impl Source<Output = ReadGuard<OfProcess>, Error = Error> + use<>> {
        self.read_for()
    }

    /// Waits until the calling thread is the only one that has it.
    ///
    /// # Errors
    /// The thread reads or writes ([`Error::is_reentry`]); it was removed; the limit of the operation.
    pub fn write(
        &self,
    ) -> Operation<impl Source<Output = WriteGuard<OfThread>, Error = Error> + use<>> {
        self.write_for()
    }

    /// As [`write`](Self::write) for this process: the guard may be sent to other threads.
    ///
    /// # Errors
    /// It was removed; the limit of the operation.
    pub fn write_owned(
        &self,
    ) -> Operation<impl Source<Output = WriteGuard<OfProcess>, Error = Error> + use<>> {
        self.write_for()
    }

    fn read_for<H: Holder>(
        &self,
    ) -> Operation<impl Source<Output = ReadGuard<H>, Error = Error> + use<H>> {
        let (mut turn, object) = (Turn::<Turning, H>::new(&self.object), Arc::clone(&self.object));
        waiting(&self.object.space.commons, "nobody wrote", move || {
            let attempt = turn.attempt(|commons, at, me, state| {
                RwLock::at(commons, at)?.attempt_read(me, state)
            })?;
            Ok(match attempt {
                Attempt::Sleep(sleep) => Attempt::Sleep(sleep),
                Attempt::Done((me, (lease, was_abandoned))) => Attempt::Done(ReadGuard {
                    hold: Hold::new(&object, (me, lease)),
                    was_abandoned,
                }),
            })
        })
    }

    fn write_for<H: Holder>(
        &self,
    ) -> Operation<impl Source<Output = WriteGuard<H>, Error = Error> + use<H>> {
        let (mut turn, object) = (Turn::<Turning, H>::new(&self.object), Arc::clone(&self.object));
        waiting(&self.object.space.commons, "nobody read or wrote", move || {
            let attempt = turn.attempt(|commons, at, me, state| {
                RwLock::at(commons, at)?.attempt_write(me, state)
            })?;
            Ok(match attempt {
                Attempt::Sleep(sleep) => Attempt::Sleep(sleep),
                Attempt::Done(held) => Attempt::Done(WriteGuard { hold: Hold::new(&object, held) }),
            })
        })
    }

    /// Reads if nobody writes or waits for that, and else gives `None`.
    ///
    /// # Errors
    /// As for [`read`](Self::read).
    pub fn try_read(&self) -> Result<Option<ReadGuard<OfThread>>, Error> {
        now(self.read())
    }

    /// As [`try_read`](Self::try_read) for this process.
    ///
    /// # Errors
    /// As for [`read_owned`](Self::read_owned).
    pub fn try_read_owned(&self) -> Result<Option<ReadGuard<OfProcess>>, Error> {
        now(self.read_owned())
    }

    /// Writes if nobody reads or writes, and else gives `None`.
    ///
    /// # Errors
    /// As for [`write`](Self::write).
    pub fn try_write(&self) -> Result<Option<WriteGuard<OfThread>>, Error> {
        now(self.write())
    }

    /// As [`try_write`](Self::try_write) for this process.
    ///
    /// # Errors
    /// As for [`write_owned`](Self::write_owned).
    pub fn try_write_owned(&self) -> Result<Option<WriteGuard<OfProcess>>, Error> {
        now(self.write_owned())
    }
}

/// The outcome of an operation that is there without a wait.
fn now<S: Source<Error = Error>>(operation: Operation<S>) -> Result<Option<S::Output>, Error> {
    match operation.timeout(std::time::Duration::ZERO).wait() {
        Err(error) if error.is_timeout() => Ok(None),
        outcome => outcome.map(Some),
    }
}

/// A lock that is held for reading; dropped, it is given back.
#[must_use = "the lock is given back when this is dropped"]
pub struct ReadGuard<H> {
    hold: Hold<Lease, H>,
    was_abandoned: bool,
}

impl<H> ReadGuard<H> {
    /// Whether a writer died, and nobody who wrote since has said that what it protects is whole again.
    #[must_use]
    pub fn was_abandoned(&self) -> bool {
        self.was_abandoned
    }
}

impl<H> Drop for ReadGuard<H> {
    fn drop(&mut self) {
        self.hold
            .give_back(|commons, at, me, lease| RwLock::at(commons, at)?.give_back_read(me, lease));
    }
}

impl<H> fmt::Debug for ReadGuard<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        debug(f, "ReadGuard", &self.hold)
    }
}

/// A lock that is held for writing; dropped, it is given back.
#[must_use = "the lock is given back when this is dropped"]
pub struct WriteGuard<H> {
    hold: Hold<WriteLease, H>,
}

impl<H> WriteGuard<H> {
    /// Whether a writer died, and nobody has said since that what it protects is whole again.
    #[must_use]
    pub fn was_abandoned(&self) -> bool {
        self.hold.lease.as_ref().is_some_and(WriteLease::was_abandoned)
    }

    /// Says that what it protects is whole. Without this those who come next are told too.
    pub fn repaired(&mut self) {
        if let Some(lease) = &mut self.hold.lease {
            lease.repaired();
        }
    }

    /// Reads on, with no other writer in between.
    ///
    /// # Errors
    /// Damaged memory; then nothing is held.
    pub fn downgrade(mut self) -> Result<ReadGuard<H>, Error> {
        let object = Arc::clone(&self.hold.object);
        let me = self.hold.me;
        let lease = self.hold.lease.take().ok_or_else(|| Error::reentry(object.found.body))?;
        let lock = RwLock::at(&object.space.commons, object.found.body)?;
        let (lease, was_abandoned) = lock.downgrade(me, lease)?;
        Ok(ReadGuard { hold: Hold::new(&object, (me, lease)), was_abandoned })
    }
}

impl<H> Drop for WriteGuard<H> {
    fn drop(&mut self) {
        self.hold.give_back(|commons, at, me, lease| {
            RwLock::at(commons, at)?.give_back_write(me, lease)
        });
    }
}

impl<H> fmt::Debug for WriteGuard<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        debug(f, "WriteGuard", &self.hold)
    }
}
