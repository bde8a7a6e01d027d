//! A mutex by name.

use std::fmt;

use sk_function::{Operation, Source};

use super::{Hold, Holder, OfProcess, OfThread, Turn, Turns, debug, handle};
use crate::error::Error;
use crate::ground::{AgentRef, Attempt, Ground as _, Mutex, MutexLease, Offset, Waiting};
use crate::memory::Commons;
use crate::share::kind;
use crate::share::space::Object;
use crate::sync::Arc;
use crate::waiting::waiting;

/// A mutex of several processes: one holds it at a time, and a holder that dies holds it no longer.
///
/// It is a handle: cheap to clone, and in another process the same mutex. What it protects is up to the program.
///
/// ```
/// use sk_share::Share;
///
/// let share = Share::new()?;
/// let mutex = share.mutex("printer")?;
/// let guard = mutex.lock().wait()?;
/// assert!(mutex.try_lock_owned()?.is_none());
/// assert!(mutex.lock().wait().unwrap_err().is_reentry());
/// drop(guard);
/// assert!(mutex.try_lock()?.is_some());
/// # Ok::<(), sk_share::Error>(())
/// ```
#[derive(Clone)]
pub struct SharedMutex {
    object: Arc<Object>,
}

handle!(SharedMutex, kind::MUTEX, "a mutex", |_| Mutex::<'static, Commons>::BYTES);

pub(super) struct Locking;

impl Turns for Locking {
    type State = Waiting;

    fn pass_on(commons: &Commons, at: Offset, me: AgentRef, state: &mut Waiting) {
        // An error means damage, which whoever comes next is told of.
        let _ = Mutex::at(commons, at).and_then(|mutex| mutex.pass_on(me, state));
    }
}

/// One look of a wait for a mutex.
pub(super) fn look<H: Holder>(
    turn: &mut Turn<Locking, H>,
) -> Result<Attempt<(AgentRef, MutexLease)>, Error> {
    turn.attempt(|commons, at, me, state| Mutex::at(commons, at)?.attempt(me, state))
}

impl SharedMutex {
    /// Waits until the calling thread holds it. The guard stays on the thread.
    ///
    /// # Errors
    /// The thread holds it already ([`Error::is_reentry`]); it was removed; the limit of the operation.
    pub fn lock(
        &self,
    ) -> Operation<impl Source<Output = MutexGuard<OfThread>, Error = Error> + use<>> {
        self.lock_for()
    }

    /// Waits until this process holds it. The guard may be sent to other threads, as async tasks are.
    ///
    /// # Errors
    /// It was removed; the limit of the operation.
    pub fn lock_owned(
        &self,
    ) -> Operation<impl Source<Output = MutexGuard<OfProcess>, Error = Error> + use<>> {
        self.lock_for()
    }

    fn lock_for<H: Holder>(
        &self,
    ) -> Operation<impl Source<Output = MutexGuard<H>, Error = Error> + use<H>> {
        let mut turn = Turn::<Locking, H>::new(&self.object);
        let object = Arc::clone(&self.object);
        waiting(&self.object.space.commons, "the mutex was free", move || {
            Ok(match look(&mut turn)? {
                Attempt::Sleep(sleep) => Attempt::Sleep(sleep),
                Attempt::Done(held) => Attempt::Done(MutexGuard { hold: Hold::new(&object, held) }),
            })
        })
    }

    /// Takes it for the calling thread if it is free, and else gives `None`.
    ///
    /// # Errors
    /// As for [`lock`](Self::lock).
    pub fn try_lock(&self) -> Result<Option<MutexGuard<OfThread>>, Error> {
        self.try_lock_for()
    }

    /// Takes it for this process if it is free, and else gives `None`.
    ///
    /// # Errors
    /// As for [`lock_owned`](Self::lock_owned).
    pub fn try_lock_owned(&self) -> Result<Option<MutexGuard<OfProcess>>, Error> {
        self.try_lock_for()
    }

    fn try_lock_for<H: Holder>(&self) -> Result<Option<MutexGuard<H>>, Error> {
        self.object.check()?;
        let commons = &self.object.space.commons;
        let me = H::me(commons)?;
        let lease = Mutex::at(commons, self.object.found.body)?.try_lock_as(me)?;
        Ok(lease.map(|lease| MutexGuard { hold: Hold::new(&self.object, (me, lease)) }))
    }
}

/// A mutex that is held; dropped, it is given back.
///
/// Forgotten, it is held until its holder ends.
#[must_use = "the mutex is given back when this is dropped"]
pub struct MutexGuard<H> {
    hold: Hold<MutexLease, H>,
}

impl<H> MutexGuard<H> {
    /// Whether a holder died, and nobody has said since that what it protects is whole again.
    #[must_use]
    pub fn was_abandoned(&self) -> bool {
        self.hold.lease.as_ref().is_some_and(MutexLease::was_abandoned)
    }

    /// Says that what it protects is whole. Without this the next holder of an abandoned mutex is told too.
    pub fn repaired(&mut self) {
        if let Some(lease) = &mut self.hold.lease {
            lease.repaired();
        }
    }

    pub(super) fn object(&self) -> &Arc<Object> {
        &self.hold.object
    }

    pub(super) fn of(object: &Arc<Object>, held: (AgentRef, MutexLease)) -> MutexGuard<H> {
        MutexGuard { hold: Hold::new(object, held) }
    }
}

impl<H> Drop for MutexGuard<H> {
    fn drop(&mut self) {
        self.hold.give_back(|commons, at, me, lease| {
            commons.point("mutex.drop");
            Mutex::at(commons, at)?.give_back(me, lease)
        });
    }
}

impl<H> fmt::Debug for MutexGuard<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        debug(f, "MutexGuard", &self.hold)
    }
}
