//! Changes of anything in a share: of one name, of those that begin alike, or of all.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;
use sk_function::{Operation, Source};

use crate::error::Error;
use crate::ground::{Attempt, EventCount, Ground as _, IN_PROGRESS, Sleep};
use crate::share::layout::{ACTIVITY, STARTING};
use crate::share::space::Space;
use crate::share::{Share, help_start, kind};
use crate::sync::{Arc, Mutex, lock};
use crate::waiting::{Waiting, waiting};

/// Something that changed in a share.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Change {
    /// Its name.
    pub name: String,
    /// What happened to it.
    pub what: ChangeKind,
}

/// What happened to something in a share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ChangeKind {
    /// It came, by this name.
    Created,
    /// Its content changed, once or more often.
    Changed,
    /// It was removed.
    Removed,
}

/// The changes of what is in a share, under names that begin alike; see [`Share::watch`].
///
/// Changes that follow closely are told as one; none is missed for good. What came and went in between
/// may not be told. It waits as an operation ([`changed`](WatchNames::changed)) and is a [`Stream`], which ends after the
/// error that ends it. Whoever wants each change of one value takes [`Shared::watch`](crate::Shared::watch).
pub struct WatchNames {
    space: Arc<Space>,
    state: Arc<Mutex<State>>,
    polled: Option<Operation<Waiting<Look>>>,
    is_over: bool,
}

type Look = Box<dyn FnMut() -> Result<Attempt<Change>, Error> + Send>;

struct State {
    prefix: String,
    /// What was last seen of each object, by its number.
    seen: HashMap<u64, (String, u64)>,
    ready: VecDeque<Change>,
}

impl Share {
    /// The changes from here on of what has a name that begins with `prefix`; an empty one is for all.
    ///
    /// ```
    /// use sk_share::{ChangeKind, Share};
    ///
    /// let share = Share::new()?;
    /// let mut changes = share.watch("job.")?;
    /// share.value("other", 0)?;
    /// let first = share.value("job.first", 0)?;
    /// let change = changes.changed().wait()?;
    /// assert_eq!((change.name.as_str(), change.what), ("job.first", ChangeKind::Created));
    /// first.set(&1)?;
    /// assert_eq!(changes.changed().wait()?.what, ChangeKind::Changed);
    /// # Ok::<(), sk_share::Error>(())
    /// ```
    ///
    /// # Errors
    /// Damaged memory.
    pub fn watch(&self, prefix: &str) -> Result<WatchNames, Error> {
        let mut state =
            State { prefix: prefix.to_owned(), seen: HashMap::new(), ready: VecDeque::new() };
        state.scan(self.space(), false)?;
        state.ready.clear();
        let state = Arc::new(Mutex::new(state));
        Ok(WatchNames { space: Arc::clone(self.space()), state, polled: None, is_over: false })
    }
}

impl State {
    /// Finds what has changed since the last scan.
    fn scan(&mut self, space: &Space, prepare: bool) -> Result<(), Error> {
        // Who died between the commit of several values and its notices has told nobody.
        if space.flags()? & IN_PROGRESS != 0 {
            space.transactions()?.help()?;
        }
        // Whoever is to end a start may be dead, and nobody else may ever come to what waits.
        if space.flags()? & STARTING != 0 {
            help_start(space);
        }
        let now = space.with_names(None, |names| {
            let mut now = HashMap::new();
            for (name, found) in names.all()? {
                if name.starts_with(&self.prefix) {
                    now.insert(found.serial, (name, kind::mark(space, &found, prepare)?));
                }
            }
            Ok(now)
        })?;
        let mut tell = |name: &String, what| {
            self.ready.push_back(Change { name: name.clone(), what });
        };
        for (serial, (name, _)) in &self.seen {
            if !now.contains_key(serial) {
                tell(name, ChangeKind::Removed);
            }
        }
        for (serial, (name, mark)) in &now {
            match self.seen.get(serial) {
                None => tell(name, ChangeKind::Created),
                Some((_, before)) if before != mark => tell(name, ChangeKind::Changed),
                Some(_) => {}
            }
        }
        self.seen = now;
        Ok(())
    }

    fn look(&mut self, space: &Space) -> Result<Attempt<Change>, Error> {
        if let Some(change) = self.ready.pop_front() {
            return Ok(Attempt::Done(change));
        }
        let deaths = space.commons.deaths();
        let activity = EventCount::at(&space.commons, ACTIVITY)?;
        let expected = activity.prepare();
        // After the count was prepared: a change from here on moves it.
        self.scan(space, true)?;
        Ok(match self.ready.pop_front() {
            Some(change) => Attempt::Done(change),
            None => Attempt::Sleep(Sleep { at: ACTIVITY, expected, deaths, owner: None }),
        })
    }
}

impl WatchNames {
    /// Waits for the next change.
    ///
    /// # Errors
    /// Damaged memory; the limit of the operation.
    pub fn changed(&mut self) -> Operation<impl Source<Output = Change, Error = Error> + use<>> {
        waiting(&self.space.commons, "something changed", self.look())
    }

    fn look(&self) -> impl FnMut() -> Result<Attempt<Change>, Error> + use<> {
        let (space, state) = (Arc::clone(&self.space), Arc::clone(&self.state));
        move || lock(&state).look(&space)
    }
}

impl Stream for WatchNames {
    type Item = Result<Change, Error>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        if this.is_over {
            return Poll::Ready(None);
        }
        let look = this.look();
        let commons = &this.space.commons;
        let operation = this
            .polled
            .get_or_insert_with(|| waiting(commons, "something changed", Box::new(look) as Look));
        Pin::new(operation).poll(cx).map(|change| {
            this.polled = None;
            this.is_over = change.is_err();
            Some(change)
        })
    }
}

impl fmt::Debug for WatchNames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WatchNames")
            .field("prefix", &lock(&self.state).prefix)
            .finish_non_exhaustive()
    }
}
