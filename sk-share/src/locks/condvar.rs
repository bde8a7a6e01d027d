//! A condition variable by name.

use sk_function::{Operation, Source};

use super::mutex::{self, Locking};
use super::{Holder, MutexGuard, Turn, handle};
use crate::error::Error;
use crate::ground::{Attempt, Condvar, Ground as _, Listening};
use crate::memory::Commons;
use crate::share::kind;
use crate::share::space::Object;
use crate::sync::Arc;
use crate::waiting::waiting;

/// Waiting for what others change under a [`SharedMutex`](crate::SharedMutex).
///
/// It is a handle: cheap to clone, and in another process the same one. A wait may end without a notice, as when
/// any process dies; so look again, or use [`wait_while`](SharedCondvar::wait_while).
///
/// ```
/// use sk_share::Share;
///
/// let share = Share::new()?;
/// let (mutex, changed) = (share.mutex("mutex")?, share.condvar("changed")?);
/// let stage = share.number("stage", 0)?;
///
/// let (other, its_stage, its_mutex) = (changed.clone(), stage.clone(), mutex.clone());
/// let waiter = std::thread::spawn(move || {
///     let guard = its_mutex.lock().wait()?;
///     other.wait_while(guard, move || its_stage.get() < 1).wait().map(drop)
/// });
/// let guard = mutex.lock().wait()?;
/// stage.set(1);
/// changed.notify_all()?;
/// drop(guard);
/// waiter.join().unwrap()?;
/// # Ok::<(), sk_share::Error>(())
/// ```
#[derive(Clone)]
pub struct SharedCondvar {
    object: Arc<Object>,
}

handle!(SharedCondvar, kind::CONDVAR, "a condition variable", |_| {
    Condvar::<'static, Commons>::BYTES
});

/// How far a wait has come.
enum Stage<H: Holder> {
    /// It holds the mutex and has not begun to listen.
    Holding(MutexGuard<H>),
    /// It has given the mutex back.
    Listening(Listener, Arc<Object>),
    /// It has heard something.
    Locking(Turn<Locking, H>, Arc<Object>),
    Over,
}

/// One that listens, and passes on what it may have heard if it goes away.
struct Listener {
    condvar: SharedCondvar,
    listening: Listening,
    has_slept: bool,
    is_done: bool,
}

impl Drop for Listener {
    fn drop(&mut self) {
        if !self.is_done
            && self.has_slept
            && !self.condvar.object.space.commons.has_ended()
            && let Ok(condvar) = self.condvar.condvar()
        {
            condvar.pass_on();
        }
    }
}

impl SharedCondvar {
    fn condvar(&self) -> Result<Condvar<'_, Commons>, Error> {
        self.object.check()?;
        Condvar::at(&self.object.space.commons, self.object.found.body)
    }

    /// Tells one of those who wait.
    ///
    /// # Errors
    /// It was removed.
    pub fn notify_one(&self) -> Result<(), Error> {
        self.condvar()?.notify_one();
        Ok(())
    }

    /// Tells all who wait.
    ///
    /// # Errors
    /// It was removed.
    pub fn notify_all(&self) -> Result<(), Error> {
        self.condvar()?.notify_all();
        Ok(())
    }

    /// Gives the mutex back, waits for a notice, and takes the mutex again. Nothing that is told after the mutex was
    /// given back is missed.
    ///
    /// # Errors
    /// It or the mutex was removed; the limit of the operation. Then the mutex is not held.
    pub fn wait<H: Holder>(
        &self,
        guard: MutexGuard<H>,
    ) -> Operation<impl Source<Output = MutexGuard<H>, Error = Error> + use<H>> {
        let mut is_first = true;
        self.wait_while(guard, move || std::mem::take(&mut is_first))
    }

    /// Waits as long as `is_to_wait` says, which is asked with the mutex held.
    ///
    /// # Errors
    /// As for [`wait`](SharedCondvar::wait).
    pub fn wait_while<H: Holder, P: FnMut() -> bool>(
        &self,
        guard: MutexGuard<H>,
        mut is_to_wait: P,
    ) -> Operation<impl Source<Output = MutexGuard<H>, Error = Error> + use<H, P>> {
        let condvar = self.clone();
        let mut stage = Stage::Holding(guard);
        waiting(&self.object.space.commons, "a notice", move || {
            loop {
                match std::mem::replace(&mut stage, Stage::Over) {
                    Stage::Holding(guard) => {
                        if !is_to_wait() {
                            return Ok(Attempt::Done(guard));
                        }
                        let listening = condvar.condvar()?.listen();
                        let mutex = Arc::clone(guard.object());
                        drop(guard);
                        condvar.object.space.commons.point("condvar.mutex_given");
                        let condvar = condvar.clone();
                        let listener =
                            Listener { condvar, listening, has_slept: false, is_done: false };
                        stage = Stage::Listening(listener, mutex);
                    }
                    Stage::Listening(mut listener, mutex) => {
                        let attempt = listener.condvar.condvar()?.attempt(&listener.listening);
                        // After one sleep it looks with the mutex, whatever woke it.
                        if let Attempt::Sleep(sleep) = attempt
                            && !listener.has_slept
                        {
                            listener.has_slept = true;
                            stage = Stage::Listening(listener, mutex);
                            return Ok(Attempt::Sleep(sleep));
                        }
                        listener.is_done = true;
                        stage = Stage::Locking(Turn::new(&mutex), mutex);
                    }
                    Stage::Locking(mut turn, mutex) => match mutex::look(&mut turn)? {
                        Attempt::Done(held) => stage = Stage::Holding(MutexGuard::of(&mutex, held)),
                        Attempt::Sleep(sleep) => {
                            stage = Stage::Locking(turn, mutex);
                            return Ok(Attempt::Sleep(sleep));
                        }
                    },
                    Stage::Over => return Err(Error::timed_out("a notice")),
                }
            }
        })
    }
}
