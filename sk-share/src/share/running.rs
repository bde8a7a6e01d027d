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
//! starter comes to all. If it dies, whoever starts, stops, reads or watches next ends its work.
//!
//! Who stops the share within a change of its own can never have come to all locks. It starts the share again: its
//! own write saw the share running, and so leaves nothing that waits.
//!
//! Who waits for a writer has not the names, which that writer may want. So others may end a start meanwhile, stop the
//! share and start it again: each start has a number, and who has come to all objects of one clears the flags of no
//! other. What it publishes late, it finds empty, or stopped again, and leaves it.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use super::layout::{ATTENTION, FAULT, STARTING, STARTS, STOPPED};
use super::space::{Object, Space};
use super::{Share, kind};
use crate::error::Error;
use crate::ground::{Found, Ground as _, Open};
use crate::memory::Commons;
use crate::sync::{Arc, Ordering};

/// How long `stop` and `start` wait for writers as a rule.
const PATIENCE: Duration = Duration::from_secs(5);

type Names<'a, 'g> = Open<'a, 'g, Commons, Space>;

/// What has the changes that wait in an object take effect.
type Publish = fn(&Space, &Found, Option<Instant>) -> Result<(), Error>;

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
    /// The memory is damaged, or the handle a copy made by fork; this is called from within a change of what is in the
    /// share ([`Error::is_reentry`]): then it runs on, if it did.
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
        let (all, is_mine) = loop {
            let step = space.with_names(deadline, |names| {
                if space.flags()? & STARTING != 0 {
                    return Ok(ControlFlow::Continue(Start::of(space, names)?));
                }
                // AcqRel: who sees it sees what was there before, and the locks below order the rest.
                let before = space.commons.u64(ATTENTION)?.fetch_or(STOPPED, Ordering::AcqRel);
                space.commons.point("share.stopped");
                Ok(ControlFlow::Break((all_that_waits(names)?, before & STOPPED == 0)))
            })?;
            match step {
                ControlFlow::Break(stopped) => break stopped,
                ControlFlow::Continue(start) => start.end(space, deadline, kind::publish)?,
            }
        };
        for found in all {
            // What was removed since then has no readers.
            let Some(object) = hold(space, &found, deadline)? else { continue };
            if let Err(error) = kind::take_lock_once(space, &object.found, deadline) {
                if is_mine && error.is_reentry() {
                    // What it cannot undo others do, as for any start.
                    let _ = self.start_with(publish_but_mine);
                }
                return Err(error);
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
    /// five seconds, or this is called from within a change of what is in the share ([`Error::is_reentry`]): then it
    /// is started, all else is published, and that is by whoever comes to it first. Damaged memory.
    pub fn start(&self) -> Result<(), Error> {
        self.start_with(kind::publish)
    }

    fn start_with(&self, publish: Publish) -> Result<(), Error> {
        let deadline = Instant::now().checked_add(PATIENCE);
        let space = &self.space;
        let start =
            space.with_names(deadline, |names| match space.flags()? & (STOPPED | STARTING) {
                0 => Ok(None),
                STOPPED => Start::begin(space, names).map(Some),
                _ => Start::of(space, names).map(Some),
            })?;
        start.map_or(Ok(()), |start| start.end(space, deadline, publish))
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

/// A start that somebody has begun.
struct Start {
    /// Which one it is.
    number: u64,
    all: Vec<Found>,
}

impl Start {
    fn begin(space: &Space, names: &Names<'_, '_>) -> Result<Start, Error> {
        // Before there is anything that another could take for its own. The names order it.
        space.commons.u64(STARTS)?.fetch_add(1, Ordering::Relaxed);
        // AcqRel: as in `stop`.
        space.commons.u64(ATTENTION)?.fetch_or(STARTING, Ordering::AcqRel);
        space.commons.point("share.starting");
        Start::of(space, names)
    }

    /// The one that is not ended.
    fn of(space: &Space, names: &Names<'_, '_>) -> Result<Start, Error> {
        let number = space.commons.u64(STARTS)?.load(Ordering::Relaxed);
        Ok(Start { number, all: all_that_waits(names)? })
    }

    /// Publishes all that waits, and lets the share run.
    fn end(
        self,
        space: &Arc<Space>,
        deadline: Option<Instant>,
        publish: Publish,
    ) -> Result<(), Error> {
        let mut first = Ok(());
        for found in &self.all {
            let published = hold(space, found, deadline).and_then(|object| match object {
                Some(object) => publish(space, &object.found, deadline),
                None => Ok(()),
            });
            // What cannot be published keeps nothing else from it.
            first = first.and(published.map_err(|error| space.report(found.serial, error)));
            space.commons.point("share.published");
        }
        first?;
        space.with_names(deadline, |_| {
            let is_this = space.commons.u64(STARTS)?.load(Ordering::Relaxed) == self.number;
            if is_this && space.flags()? & STARTING != 0 { run(space) } else { Ok(()) }
        })
    }
}

/// As [`kind::publish`], for one who has stopped what ran, within a change: its own write saw the share running, and
/// nobody has written since.
fn publish_but_mine(space: &Space, found: &Found, deadline: Option<Instant>) -> Result<(), Error> {
    match kind::publish(space, found, deadline) {
        Err(error) if error.is_reentry() && !kind::is_pending(space, found)? => Ok(()),
        result => result,
    }
}

/// With the names, once all is published.
fn run(space: &Space) -> Result<(), Error> {
    space.commons.u64(ATTENTION)?.fetch_and(!(STOPPED | STARTING), Ordering::AcqRel);
    space.commons.point("share.started");
    space.notify_activity();
    Ok(())
}

/// All objects in which changes can wait. What is made later runs as the share does then.
fn all_that_waits(names: &Names<'_, '_>) -> Result<Vec<Found>, Error> {
    let all = names.all()?.into_iter().map(|(_, found)| found);
    Ok(all.filter(kind::waits).collect())
}

/// An object that was found before, if it still has a name, kept from being freed.
fn hold(
    space: &Arc<Space>,
    &Found { index, serial, .. }: &Found,
    deadline: Option<Instant>,
) -> Result<Option<Arc<Object>>, Error> {
    space.hold(deadline, |names| names.find_serial(index, serial))
}

/// Ends a start that somebody could not end, if nobody is at the names or at what is to be published.
pub(crate) fn help_start(space: &Space) {
    let now = Some(Instant::now());
    // What keeps it from that is told to whoever starts it.
    let _ = space.with_names(now, |names| {
        if space.flags()? & STARTING == 0 {
            return Ok(());
        }
        // With the names all the time, as it waits for nobody.
        let publish = |found: &Found| {
            kind::publish(space, found, now).map_err(|error| space.report(found.serial, error))
        };
        all_that_waits(names)?.iter().map(publish).fold(Ok(()), Result::and)?;
        run(space)
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
