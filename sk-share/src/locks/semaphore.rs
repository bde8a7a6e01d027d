//! A semaphore by name.

use std::fmt;

use sk_function::{Operation, Source};

use super::{Hold, Holder, OfProcess, OfThread, Turn, Turns, debug, handle};
use crate::error::Error;
use crate::ground::{AgentRef, Attempt, Lease, Offset, Semaphore, Waiting};
use crate::memory::Commons;
use crate::share::kind;
use crate::share::space::Object;
use crate::sync::Arc;
use crate::waiting::waiting;

/// Permits of which several processes take some: a holder that dies gives back what it had.
///
/// It is a handle: cheap to clone, and in another process the same semaphore. Who waits is served in the order in which
/// they come to the front, so that a wait for many is not kept waiting by others for few.
///
/// ```
/// use std::time::Duration;
/// use sk_share::Share;
///
/// let share = Share::new()?;
/// let licences = share.semaphore("licences", 2)?;
/// let one = licences.acquire(1).wait()?;
/// let two = licences.acquire(1).wait()?;
/// let late = licences.acquire(1).timeout(Duration::from_millis(10)).wait();
/// assert!(late.unwrap_err().is_timeout());
/// drop(one);
/// assert_eq!(licences.available()?, 1);
/// # drop(two); Ok::<(), sk_share::Error>(())
/// ```
#[derive(Clone)]
pub struct SharedSemaphore {
    object: Arc<Object>,
}

handle!(SharedSemaphore, kind::SEMAPHORE, "a semaphore", Semaphore::<'static, Commons>::bytes);

struct Acquiring;

impl Turns for Acquiring {
    type State = Waiting;

    fn pass_on(commons: &Commons, at: Offset, me: AgentRef, state: &mut Waiting) {
        // An error means damage, which whoever comes next is told of.
        let _ = Semaphore::at(commons, at).and_then(|semaphore| semaphore.pass_on(me, state));
    }
}

impl SharedSemaphore {
    /// The most permits that one may have.
    pub const MOST: u32 = Semaphore::<'static, Commons>::MOST;

    fn semaphore(&self) -> Result<Semaphore<'_, Commons>, Error> {
        self.object.check()?;
        Semaphore::at(&self.object.space.commons, self.object.found.body)
    }

    /// How many permits there are in all.
    ///
    /// # Errors
    /// It was removed.
    pub fn permits(&self) -> Result<u32, Error> {
        Ok(self.semaphore()?.permits())
    }

    /// How many nobody has.
    ///
    /// # Errors
    /// It was removed.
    pub fn available(&self) -> Result<u32, Error> {
        self.semaphore()?.available()
    }

    /// Waits until the calling thread has `count` permits. The guard stays on the thread.
    ///
    /// # Errors
    /// `count` is 0 or more than there are; it was removed; the limit of the operation.
    pub fn acquire(
        &self,
        count: u32,
    ) -> Operation<impl Source<Output = Permits<OfThread>, Error = Error> + use<>> {
        self.acquire_for(count)
    }

    /// Waits until this process has `count` permits. The guard may be sent to other threads, as async tasks are.
    ///
    /// # Errors
    /// As for [`acquire`](Self::acquire).
    pub fn acquire_owned(
        &self,
        count: u32,
    ) -> Operation<impl Source<Output = Permits<OfProcess>, Error = Error> + use<>> {
        self.acquire_for(count)
    }

    fn acquire_for<H: Holder>(
        &self,
        count: u32,
    ) -> Operation<impl Source<Output = Permits<H>, Error = Error> + use<H>> {
        let mut turn = Turn::<Acquiring, H>::new(&self.object);
        let object = Arc::clone(&self.object);
        waiting(&self.object.space.commons, "the permits were there", move || {
            let attempt = turn.attempt(|commons, at, me, state| {
                Semaphore::at(commons, at)?.attempt(me, count, state)
            })?;
            Ok(match attempt {
                Attempt::Sleep(sleep) => Attempt::Sleep(sleep),
                Attempt::Done(held) => Attempt::Done(Permits { hold: Hold::new(&object, held) }),
            })
        })
    }

    /// Takes `count` permits for the calling thread if they are there and nobody waits, and else gives `None`.
    ///
    /// # Errors
    /// As for [`acquire`](Self::acquire).
    pub fn try_acquire(&self, count: u32) -> Result<Option<Permits<OfThread>>, Error> {
        self.try_acquire_for(count)
    }

    /// Takes `count` permits for this process if they are there and nobody waits, and else gives `None`.
    ///
    /// # Errors
    /// As for [`acquire`](Self::acquire).
    pub fn try_acquire_owned(&self, count: u32) -> Result<Option<Permits<OfProcess>>, Error> {
        self.try_acquire_for(count)
    }

    fn try_acquire_for<H: Holder>(&self, count: u32) -> Result<Option<Permits<H>>, Error> {
        let me = H::me(&self.object.space.commons)?;
        let lease = self.semaphore()?.try_acquire_as(me, count)?;
        Ok(lease.map(|lease| Permits { hold: Hold::new(&self.object, (me, lease)) }))
    }
}

/// Permits that are held; dropped, they are given back.
///
/// Forgotten, they are held until their holder ends.
#[must_use = "the permits are given back when this is dropped"]
pub struct Permits<H> {
    hold: Hold<Lease, H>,
}

impl<H> Permits<H> {
    /// How many they are.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.hold.lease.as_ref().map_or(0, Lease::count)
    }
}

impl<H> Drop for Permits<H> {
    fn drop(&mut self) {
        self.hold
            .give_back(|commons, at, me, lease| Semaphore::at(commons, at)?.give_back(me, lease));
    }
}

impl<H> fmt::Debug for Permits<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        debug(f, "Permits", &self.hold)
    }
}
