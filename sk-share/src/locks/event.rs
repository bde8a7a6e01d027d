//! An event by name.

use sk_function::{Operation, Source};

use super::handle;
use crate::error::Error;
use crate::ground::Event;
use crate::memory::Commons;
use crate::share::kind;
use crate::share::space::Object;
use crate::sync::Arc;
use crate::waiting::waiting;

/// Something that has happened, until it is cleared: whoever waits goes on.
///
/// It is a handle: cheap to clone, and in another process the same event.
///
/// ```
/// use sk_share::Share;
///
/// let share = Share::new()?;
/// let ready = share.event("ready")?;
/// let other = ready.clone();
/// let waiter = std::thread::spawn(move || other.wait().wait());
/// ready.set()?;
/// waiter.join().unwrap()?;
/// ready.wait().wait()?; // at once
/// ready.clear()?;
/// assert!(!ready.is_set()?);
/// # Ok::<(), sk_share::Error>(())
/// ```
#[derive(Clone)]
pub struct SharedEvent {
    object: Arc<Object>,
}

handle!(SharedEvent, kind::EVENT, "an event", |_| Event::<'static, Commons>::BYTES);

impl SharedEvent {
    fn event(&self) -> Result<Event<'_, Commons>, Error> {
        self.object.check()?;
        Event::at(&self.object.space.commons, self.object.found.body)
    }

    /// Sets it, and wakes all who wait. Whoever goes on by it sees what was done before.
    ///
    /// # Errors
    /// It was removed.
    pub fn set(&self) -> Result<(), Error> {
        self.event()?.set();
        Ok(())
    }

    /// Clears it: who waits from now on waits for the next time.
    ///
    /// # Errors
    /// It was removed.
    pub fn clear(&self) -> Result<(), Error> {
        self.event()?.clear();
        Ok(())
    }

    /// Whether it is set.
    ///
    /// # Errors
    /// It was removed.
    pub fn is_set(&self) -> Result<bool, Error> {
        self.event()?.is_set()
    }

    /// Waits until it is set; done at once while it is.
    ///
    /// # Errors
    /// It was removed, also while this waits; the limit of the operation.
    pub fn wait(&self) -> Operation<impl Source<Output = (), Error = Error> + use<>> {
        let event = self.clone();
        waiting(&self.object.space.commons, "the event was set", move || {
            let attempt = event.event()?.attempt()?;
            // After the look, so that a removal since then moved the word.
            event.object.check()?;
            Ok(attempt)
        })
    }
}
