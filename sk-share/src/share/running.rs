//! Start and stop.
//!
//! ```text
//!            stop: set STOPPED, then take each lock once
//!   running ---------------------------------------------> stopped
//!      ^                                                      |
//!      |  all is published: clear both                        | start: set STARTING
//!      +--------------------------- starting <---------------+
//! ```
//!
//! The flags change with the lock of the names. Who writes has the lock of what it writes, and looks at the flags
//! then: so after each lock was taken once, no write that began before the stop is still on its way.
//! **Set STARTING is the start**: from there on whoever comes to an object first publishes what waits there, and the
//! starter comes to all. If it dies, whoever starts or stops next ends its work.

use std::time::{Duration, Instant};

use super::layout::{ATTENTION, FAULT, STARTING, STOPPED};
use super::space::Space;
use super::{Share, kind};
use crate::error::Error;
use crate::ground::{FLAGS, Found, Ground as _, Open};
use crate::memory::Commons;
use crate::sync::Ordering;

/// How long `stop` and `start` wait for writers as a rule.
const PATIENCE: Duration = Duration::from_secs(5);

impl Share {
    /// Whether it runs: changes of values take effect at once.
    ///
    /// # Errors
    /// The memory is damaged, or the handle a copy made by fork.
    pub fn is_running(&self) -> Result<bool, Error> {
        Ok(self.space.flags()? & (STOPPED | STARTING) != STOPPED)
    }

    /// Stops it, for all processes: what is in it stays as it is now, until [`start`](Share::start). `true` if it
    /// did, `false` if a process that writes did not come to an end in `timeout`; then its write may still come.
    ///
    /// While it is stopped
    /// - reads give what was there when it stopped;
    /// - [`set`](crate::Shared::set) and [`update`](crate::Shared::update) wait in the memory, the later ones on top
    ///   of the earlier, take effect at the start, and survive the process that wrote them;
    /// - so do pushes to lists and queues, which come at the end at the start; what else changes a list, and
    ///   [`try_pop`](crate::SharedQueue::try_pop), is an error ([`Error::is_stopped`]), and
    ///   [`pop`](crate::SharedQueue::pop) waits for the start;
    /// - numbers go on, what programs synchronise with goes on, and names come and go;
    /// - what changes several values in one step is an error ([`Error::is_stopped`]).
    ///
    /// ```
    /// use std::time::Duration;
    /// use sk_share::Share;
    ///
    /// let share = Share::new()?;
    /// let level = share.value("level", 1)?;
    /// assert!(share.stop(Duration::from_secs(1))?);
    /// level.set(&2)?;
    /// assert_eq!(level.get()?, 1);
    /// share.start()?;
    /// assert_eq!(level.get()?, 2);
    /// # Ok::<(), sk_share::Error>(())
    /// ```
    ///
    /// # Errors
    /// The memory is damaged, or the handle a copy made by fork.
    pub fn stop(&self, timeout: Duration) -> Result<bool, Error> {
        let deadline = Instant::now().checked_add(timeout);
        match self.stop_until(deadline) {
            Ok(()) => Ok(true),
            Err(error) if error.is_timeout() => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn stop_until(&self, deadline: Option<Instant>) -> Result<(), Error> {
        let space = &self.space;
        let all = space.with_names(deadline, |names| {
            if space.flags()? & STARTING != 0 {
                finish_start(space, names, deadline)?;
            }
            // AcqRel: who sees it sees what was there before, and the locks below order the rest.
            space.commons.u64(ATTENTION)?.fetch_or(STOPPED, Ordering::AcqRel);
            space.commons.point("share.stopped");
            names.all()
        })?;
        // Without the names, which whoever is within a write may want before it ends.
        for (_, Found { index, serial, .. }) in all {
            // What was removed since then has no readers.
            if let Some(object) = space.hold(deadline, |names| names.find_serial(index, serial))? {
                kind::take_lock_once(space, &object.found, deadline)?;
            }
        }
        Ok(())
    }

    /// The same as [`stop`](Share::stop).
    ///
    /// # Errors
    /// As for [`stop`](Share::stop).
    pub fn exit(&self, timeout: Duration) -> Result<bool, Error> {
        self.stop(timeout)
    }

    /// Starts it again after [`stop`](Share::stop): what waited takes effect before this returns. Where it runs
    /// already nothing happens.
    ///
    /// # Errors
    /// A process that has stopped in the middle of a write keeps this from publishing something within
    /// five seconds: then that is published by whoever comes to it first. Damaged memory.
    pub fn start(&self) -> Result<(), Error> {
        let deadline = Instant::now().checked_add(PATIENCE);
        self.space.with_names(deadline, |names| {
            if self.space.flags()? & STOPPED == 0 {
                return Ok(());
            }
            self.space.commons.u64(ATTENTION)?.fetch_or(STARTING, Ordering::AcqRel);
            self.space.commons.point("share.starting");
            finish_start(&self.space, names, deadline)
        })
    }

    /// Stops the share when what this returns is dropped, also by a panic; it waits up to 5 seconds for writers
    /// then.
    ///
    /// ```
    /// use sk_share::Share;
    ///
    /// let share = Share::new()?;
    /// {
    ///     let _stop = share.stop_at_end();
    ///     share.value("level", 1)?.set(&2)?;
    /// }
    /// assert!(!share.is_running()?);
    /// # Ok::<(), sk_share::Error>(())
    /// ```
    #[must_use = "the share stops when this is dropped"]
    pub fn stop_at_end(&self) -> StopGuard {
        StopGuard { share: self.clone() }
    }

    /// Whether something went wrong with it, in whatever process; see [`error`](Share::error).
    #[must_use]
    pub fn has_error(&self) -> bool {
        self.space.commons.u64(FAULT).map_or(true, |word| word.load(Ordering::Relaxed) != 0)
    }

    /// The first thing that went wrong with it since it was made or cleared, in whatever process: the name of
    /// the object, if it still has one, and what it was.
    ///
    /// # Errors
    /// The memory is too damaged to say.
    pub fn error(&self) -> Result<Option<String>, Error> {
        let fault = self.space.commons.u64(FAULT)?.load(Ordering::Relaxed);
        if fault == 0 {
            return Ok(None);
        }
        let serial = fault >> 8;
        let all = self.space.all()?;
        let name = all.into_iter().find(|(_, found)| found.serial == serial).map(|(name, _)| name);
        let what = match fault & 0xFF {
            1 => "its memory is damaged",
            2 => "it does not encode or decode",
            3 => "there was no room for it",
            _ => "the system refused what it needs",
        };
        Ok(Some(match name {
            Some(name) => format!("{name:?}: {what}"),
            None => format!("an object that has no name: {what}"),
        }))
    }
}

/// Publishes all that waits, and lets it run.
fn finish_start(
    space: &Space,
    names: &Open<'_, '_, Commons, Space>,
    deadline: Option<Instant>,
) -> Result<(), Error> {
    let mut first = Ok(());
    for (_, found) in names.all()? {
        // What cannot be published keeps nothing else from it.
        first = first.and(kind::publish(space, &found, deadline));
        space.commons.point("share.published");
    }
    first?;
    space.commons.u64(ATTENTION)?.fetch_and(!(STOPPED | STARTING) | !FLAGS, Ordering::AcqRel);
    space.commons.point("share.started");
    space.notify_activity();
    Ok(())
}

/// Ends a start that somebody could not end, if nobody is at the names or at what is to be published.
pub(crate) fn help_start(space: &Space) {
    let now = Some(Instant::now());
    // What keeps it from that is told to whoever starts it.
    let _ = space.with_names(now, |names| {
        if space.flags()? & STARTING == 0 { Ok(()) } else { finish_start(space, names, now) }
    });
}

/// Stops a share when it is dropped.
#[derive(Debug)]
pub struct StopGuard {
    share: Share,
}

impl Drop for StopGuard {
    fn drop(&mut self) {
        // Who has to know whether it was clean calls `stop`.
        let _ = self.share.stop(PATIENCE);
    }
}
