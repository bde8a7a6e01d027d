//! Values that change as a whole.
//!
//! ```text
//! body:   0  flip     208 bytes
//!       208  pending  u64   a block { length u64, check u64, bytes }: what was written while the share was stopped
//! ```
//!
//! Whoever writes has the lock of the flip, and then looks at the flags of the share:
//!
//! | flags | writes | reads |
//! |---|---|---|
//! | none | the flip | the flip |
//! | STOPPED | `pending`, by the store of its word | the flip |
//! | STOPPED, STARTING | publishes `pending`, then as with none | with the lock: publishes, then the flip |
//! | `IN_PROGRESS` | the flip, rolled forward if its last holder died | what is staged, if it is in the record |
//!
//! `pending` is published by a commit of its bytes and then given back. Who dies in between, or cannot give it back,
//! leaves it, and the next finds by the version in its checksum that it is committed, and gives it back: nobody writes
//! before that. There is room for that commit before anything is
//! written to `pending`, so that no start fails for want of it.

mod pending;

use std::any::type_name;
use std::fmt;
use std::marker::PhantomData;
use std::time::{Duration, Instant};

use pending::{PENDING, Waiting};
use sk_function::{Operation, Source};

use crate::codec::{Bytes, Codec, Encoded};
use crate::error::Error;
use crate::ground::{
    Arena, Attempt, Buffer, Flip, Found, Ground as _, IN_PROGRESS, Offset, Spec, Writer, into,
};
use crate::memory::Commons;
use crate::share::layout::{STARTING, STOPPED};
use crate::share::space::{Object, Space};
use crate::share::{help_start, kind};
use crate::sync::{Arc, Ordering};
use crate::waiting::waiting;
use crate::watch::Watch;

/// Where the event count of a value lies.
pub(crate) const CHANGES: u64 = 12;
pub(crate) const BODY_BYTES: u64 = PENDING + 8;

/// How long one waits for the books of the arena to free an object: whoever has stopped at them must not keep all names
/// waiting. Then it is freed the next time.
const REAP_PATIENCE: Duration = Duration::from_millis(500);

pub(crate) fn reap_deadline() -> Option<Instant> {
    Instant::now().checked_add(REAP_PATIENCE)
}

/// How often a reader looks again whose transaction ended as it looked, before it takes the lock.
const TRIES: u32 = 8;

/// A value that several processes read and change, each time as a whole.
///
/// It is a handle: cheap to clone, and in another process the same value ([`Share`](crate::Share) says how
/// it gets there). Each change is a commit with a version, one above the one before. A reader gets the last commit,
/// waits for no writer, and sees the change of any process as soon as that process's call has returned. A
/// process that dies in a change has changed nothing.
///
/// Writers wait for one another; a writer that is *stopped* (SIGSTOP) in the middle keeps others waiting
/// until it goes on, or until the time of [`within`](Shared::within).
///
/// ```
/// use serde::{Deserialize, Serialize};
/// use sk_share::Share;
///
/// #[derive(Default, Serialize, Deserialize)]
/// struct Stats {
///     files: u64,
///     bytes: u64,
/// }
///
/// let share = Share::new()?;
/// let stats = share.value("stats", Stats::default())?;
/// stats.update(|stats| {
///     stats.files += 1;
///     stats.bytes += 512;
/// })?;
/// assert_eq!(stats.get()?.bytes, 512);
/// # Ok::<(), sk_share::Error>(())
/// ```
pub struct Shared<T, C = Encoded> {
    object: Arc<Object>,
    patience: Option<Duration>,
    form: PhantomData<fn(T, C) -> T>,
}

/// What a value is in the directory of a share.
pub(crate) fn spec_of(type_name: &str) -> Spec<'_> {
    kind::spec(kind::VALUE, type_name, BODY_BYTES)
}

/// Gives a new value its first content.
pub(crate) fn make(space: &Space, found: &Found, bytes: &[u8]) -> Result<(), Error> {
    let arena = space.arena();
    Flip::at(&space.commons, found.body)?.in_arena(&arena).write(bytes, None).map(|_| ())
}

/// Gives back what a value holds besides its block.
///
/// A value that is still in the record of a transaction is kept: it would be rolled forward as a word of whatever lies
/// there then.
pub(crate) fn destroy(
    space: &Space,
    arena: &Arena<'_, Commons>,
    body: Offset,
) -> Result<(), Error> {
    space.transactions()?.let_go(body)?;
    let deadline = reap_deadline();
    let commons = &space.commons;
    for word in Flip::at(commons, body)?.block_words() {
        arena.release(word, deadline)?;
    }
    arena.release(body + PENDING, deadline)
}

/// Whether a change waits for the start of the share.
pub(crate) fn is_pending(commons: &Commons, body: Offset) -> Result<bool, Error> {
    Ok(commons.u64(body + PENDING)?.load(Ordering::Relaxed) != 0)
}

/// All blocks that a value holds, for a look at the books.
pub(crate) fn blocks(commons: &Commons, body: Offset) -> Result<Vec<Offset>, Error> {
    let mut blocks = Flip::at(commons, body)?.blocks()?;
    blocks.extend(Some(commons.u64(body + PENDING)?.load(Ordering::Relaxed)).filter(|at| *at != 0));
    Ok(blocks)
}

impl<T: 'static, C: Codec<T>> Shared<T, C> {
    pub(crate) fn new(object: Arc<Object>) -> Shared<T, C> {
        Shared { object, patience: None, form: PhantomData }
    }

    pub(crate) fn object(&self) -> &Arc<Object> {
        &self.object
    }

    /// The same value, as a handle whose operations wait no longer than this for the change of another
    /// process to be over, and then fail with an error that says [`is_timeout`](Error::is_timeout).
    ///
    /// Without it they wait as long as it takes. A dead process is never waited for.
    #[must_use]
    pub fn within(&self, patience: Duration) -> Shared<T, C> {
        Shared { patience: Some(patience), ..self.clone() }
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.patience.and_then(|patience| Instant::now().checked_add(patience))
    }

    /// The value.
    ///
    /// # Errors
    /// It was removed; its bytes do not decode, or are damaged.
    #[inline]
    pub fn get(&self) -> Result<T, Error> {
        self.get_versioned().map(|(value, _)| value)
    }

    /// The value and its version, for [`compare_and_set`](Shared::compare_and_set) or
    /// [`watch_from`](Shared::watch_from).
    ///
    /// # Errors
    /// As for [`get`](Shared::get).
    #[inline]
    pub fn get_versioned(&self) -> Result<(T, u64), Error> {
        let read = C::read(&Reading { object: &self.object, patience: self.patience });
        read.map_err(|error| self.object.report(error))
    }

    /// The version of the value: how many commits there were.
    ///
    /// # Errors
    /// It was removed.
    pub fn version(&self) -> Result<u64, Error> {
        self.object.check()?;
        Ok(Flip::at(&self.object.space.commons, self.object.found.body)?.version())
    }

    /// Replaces the value, and gives the version that it has now.
    ///
    /// # Errors
    /// It cannot be encoded, was removed, or there is no room: then the value is as it was.
    pub fn set(&self, value: &T) -> Result<u64, Error> {
        C::with_bytes(value, |bytes| self.writing(|writing| writing.write(bytes)))
    }

    /// Changes the value, and gives what the closure gives. Others wait until it is done.
    ///
    /// Nothing has changed if the closure panics or this process dies in it.
    ///
    /// # Errors
    /// As for [`set`](Shared::set) and [`get`](Shared::get); the closure itself changes this value
    /// ([`is_reentry`](Error::is_reentry)).
    #[inline]
    pub fn update<R>(&self, change: impl FnOnce(&mut T) -> R) -> Result<R, Error> {
        self.try_update(|value| Ok(change(value)))
    }

    /// As [`update`](Shared::update), and nothing has changed if the closure fails.
    ///
    /// # Errors
    /// That of the closure, and those of [`update`](Shared::update).
    #[inline]
    pub fn try_update<R, E: From<Error>>(
        &self,
        change: impl FnOnce(&mut T) -> Result<R, E>,
    ) -> Result<R, E> {
        let mut result = None;
        let written = self.writing(|writing| {
            let (mut value, _) = C::read(writing)?;
            match change(&mut value) {
                Ok(changed) => {
                    C::with_bytes(&value, |bytes| writing.write(bytes))?;
                    result = Some(Ok(changed));
                }
                Err(error) => result = Some(Err(error)),
            }
            Ok(())
        });
        match (written, result) {
            (Err(error), _) => Err(error.into()),
            (Ok(()), Some(result)) => result,
            // The closure above either fails or leaves a result.
            (Ok(()), None) => Err(Error::timed_out("the value was free").into()),
        }
    }

    /// Replaces the value if its version is still `version`, and gives the new version. If it is not, the inner
    /// error is the version that it has.
    ///
    /// ```
    /// use sk_share::Share;
    ///
    /// let share = Share::new()?;
    /// let price = share.value("price", 10_u32)?;
    /// let (seen, version) = price.get_versioned()?;
    /// assert!(price.compare_and_set(version, &(seen + 1))?.is_ok());
    /// assert!(price.compare_and_set(version, &0)?.is_err());
    /// # Ok::<(), sk_share::Error>(())
    /// ```
    ///
    /// While the share is stopped the first change that waits may be made like this, and no other: all that waits
    /// becomes one version, which says nothing of what it was meanwhile.
    ///
    /// # Errors
    /// As for [`set`](Shared::set); another change waits for the start of the share ([`Error::is_stopped`]).
    pub fn compare_and_set(&self, version: u64, value: &T) -> Result<Result<u64, u64>, Error> {
        C::with_bytes(value, |bytes| {
            self.writing(|writing| {
                if writing.pending()? != 0 {
                    return Err(Error::stopped("a comparison with a change that waits"));
                }
                let found = writing.version();
                if found == version { writing.write(bytes).map(Ok) } else { Ok(Err(found)) }
            })
        })
    }

    /// Whether it was removed from its share, by name or with [`clear`](crate::Share::clear).
    #[must_use]
    pub fn is_detached(&self) -> bool {
        self.object.is_detached().unwrap_or(true)
    }

    /// Waits until the predicate holds, and gives the value for which it does. It is asked at once, and then
    /// after each change; changes that follow closely are seen as one.
    ///
    /// ```
    /// use sk_share::Share;
    ///
    /// let share = Share::new()?;
    /// let stage = share.value("stage", 1_u32)?;
    /// let other = stage.clone();
    /// let waiter = std::thread::spawn(move || other.wait_until(|stage| *stage >= 2).wait());
    /// stage.set(&2)?;
    /// assert_eq!(waiter.join().unwrap()?, 2);
    /// # Ok::<(), sk_share::Error>(())
    /// ```
    ///
    /// # Errors
    /// As for [`get`](Shared::get), also when it is removed while this waits; the limit of the operation.
    pub fn wait_until<P>(
        &self,
        mut predicate: P,
    ) -> Operation<impl Source<Output = T, Error = Error> + use<T, C, P>>
    where
        P: FnMut(&T) -> bool,
    {
        let shared = self.clone();
        let mut seen = 0;
        waiting(&self.object.space.commons, "the value was as waited for", move || {
            loop {
                let version = match shared.look_for_change(seen)? {
                    Attempt::Done(version) => version,
                    Attempt::Sleep(sleep) => return Ok(Attempt::Sleep(sleep)),
                };
                seen = version;
                let (value, version) = shared.get_versioned()?;
                seen = seen.max(version);
                if predicate(&value) {
                    return Ok(Attempt::Done(value));
                }
            }
        })
    }

    pub(crate) fn look_for_change(&self, seen: u64) -> Result<Attempt<u64>, Error> {
        let flip = Flip::at(&self.object.space.commons, self.object.found.body)?;
        let mut attempt = flip.look_for_change(seen)?;
        let space = &*self.object.space;
        if matches!(attempt, Attempt::Sleep(_)) && space.flags()? & (IN_PROGRESS | STARTING) != 0 {
            // Who died between the commit of several values and the notice of this one has told nobody; whoever is to
            // end a start may be dead.
            space.transactions()?.help()?;
            help_start(space);
            attempt = flip.look_for_change(seen)?;
        }
        // After the look, so that a removal since then moved the word.
        self.object.check()?;
        Ok(attempt)
    }

    /// The changes of the value from here on, one after another; see [`Watch`].
    ///
    /// # Errors
    /// It was removed.
    pub fn watch(&self) -> Result<Watch<T, C>, Error> {
        Ok(self.watch_from(self.version()?))
    }

    /// The changes of the value after this version; `0` begins with the value as it is.
    pub fn watch_from(&self, version: u64) -> Watch<T, C> {
        Watch::new(self.clone(), version)
    }

    /// Works on the value with its lock.
    #[inline(always)]
    fn writing<R>(
        &self,
        work: impl FnOnce(&mut Writing<'_, '_, '_>) -> Result<R, Error>,
    ) -> Result<R, Error> {
        let result = with_writing(&self.object, self.deadline(), work);
        self.object.space.notify_activity();
        result.map_err(|error| self.object.report(error))
    }
}

/// Works on a value with its lock.
#[inline(always)]
pub(crate) fn with_writing<R>(
    object: &Object,
    deadline: Option<Instant>,
    work: impl FnOnce(&mut Writing<'_, '_, '_>) -> Result<R, Error>,
) -> Result<R, Error> {
    // Whether this process may have the handle is looked at where it takes the lock.
    object.check_again()?;
    let space = &*object.space;
    let arena = space.arena();
    let flip = Flip::at(&space.commons, object.found.body)?.in_arena(&arena);
    let mut writer = flip.lock(deadline)?;
    let mut writing = Writing::begin(space, object.found.body, &arena, &mut writer)?;
    // Again, now that nobody writes: what is removed does not come back.
    object.check_again()?;
    let result = work(&mut writing);
    let is_stopped = writing.is_stopped();
    drop(writer);
    if is_stopped {
        end_start(space)?;
    }
    result
}

/// For one who has left something to whoever starts the share: that one may have given up waiting for the lock.
#[cold]
fn end_start(space: &Space) -> Result<(), Error> {
    if space.flags()? & STARTING != 0 {
        help_start(space);
    }
    Ok(())
}

/// The flags of the share, for one who has the lock of this value. What its last holder has committed as a part of a
/// transaction counts.
#[inline(always)]
fn flags_with_lock(space: &Space, body: Offset, flip: &Flip<'_, Commons>) -> Result<u64, Error> {
    // After the lock: whoever stops the share takes each lock once after it has said so.
    let flags = space.flags()?;
    // Who has the lock of a value in a transaction that is in progress has taken it from its dead writer.
    if flags & IN_PROGRESS != 0 {
        roll_forward(space, body, flip)?;
    }
    Ok(flags)
}

#[cold]
fn roll_forward(space: &Space, body: Offset, flip: &Flip<'_, Commons>) -> Result<(), Error> {
    match space.transactions()?.version_of(body)? {
        Some(version) => flip.roll_forward(version),
        None => Ok(()),
    }
}

/// A value, by whoever has its lock.
pub struct Writing<'w, 'f, 'g> {
    space: &'w Space,
    body: Offset,
    arena: &'w Arena<'g, Commons>,
    /// Borrowed: a copy of it would be read before the parts it is written in have left the processor's buffer.
    writer: &'w mut Writer<'f, 'g, Commons>,
    /// What they were with the lock.
    flags: u64,
    /// What waits is not read.
    is_read_committed: bool,
}

impl<'w, 'f, 'g> Writing<'w, 'f, 'g> {
    #[inline(always)]
    pub(crate) fn begin(
        space: &'w Space,
        body: Offset,
        arena: &'w Arena<'g, Commons>,
        writer: &'w mut Writer<'f, 'g, Commons>,
    ) -> Result<Writing<'w, 'f, 'g>, Error> {
        let flags = flags_with_lock(space, body, writer.flip())?;
        let mut writing = Writing { space, body, arena, writer, flags, is_read_committed: false };
        writing.publish_if_starting()?;
        Ok(writing)
    }

    #[inline(always)]
    fn publish_if_starting(&mut self) -> Result<(), Error> {
        if self.flags & STARTING != 0 { self.publish_pending() } else { Ok(()) }
    }

    pub(crate) fn version(&self) -> u64 {
        self.writer.version()
    }

    /// Commits these bytes, or leaves them to whoever starts the share.
    #[inline(always)]
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<u64, Error> {
        // Whoever was to change it may have made a copy of this process, which has no lock.
        self.space.commons.region().check_incarnation()?;
        let is_stopped = self.is_stopped();
        // A short one needs no room, and so no function that looks at `self` from outside.
        if !is_stopped && Flip::<Commons>::is_short(bytes) {
            return self.writer.commit(bytes);
        }
        let version = self.waiting().write_with_room(bytes, is_stopped)?;
        if !is_stopped {
            self.writer.repaired();
        }
        Ok(version)
    }

    /// For a transaction: writes the bytes beside the value, which then commits as this version.
    pub(crate) fn stage(&mut self, bytes: &[u8]) -> Result<u64, Error> {
        self.space.commons.region().check_incarnation()?;
        if self.is_stopped() {
            return Err(Error::stopped("a change of several values in one step"));
        }
        self.space.with_room(|| self.writer.stage(bytes))
    }

    /// From here on it reads what those read who have no lock.
    pub(crate) fn read_committed(&mut self) {
        self.is_read_committed = true;
    }

    /// Whether what is written waits for the share to be started.
    #[inline]
    fn is_stopped(&self) -> bool {
        self.flags & (STOPPED | STARTING) == STOPPED
    }

    /// Where what waits lies; 0 if nothing does, as always while the share runs.
    #[inline(always)]
    fn pending(&self) -> Result<Offset, Error> {
        if self.flags & STOPPED == 0 {
            return Ok(0);
        }
        Ok(self.space.commons.u64(self.body + PENDING)?.load(Ordering::Relaxed))
    }

    /// What functions get that are seldom called: `self` is in registers as long as none of them can see it.
    #[inline(always)]
    fn waiting(&self) -> Waiting<'w, 'f, 'g> {
        let Writing { space, body, arena, .. } = *self;
        Waiting { space, body, arena, flip: self.writer.flip(), deadline: self.writer.deadline() }
    }

    /// Commits what waits.
    #[inline(always)]
    pub(crate) fn publish_pending(&mut self) -> Result<(), Error> {
        if self.waiting().publish()? {
            self.writer.repaired();
        }
        Ok(())
    }
}

/// What waits, else the value.
impl Bytes for Writing<'_, '_, '_> {
    #[inline(always)]
    fn read<B: Buffer + ?Sized>(&self, buffer: &mut B) -> Result<u64, Error> {
        match self.pending()? {
            block if block != 0 && !self.is_read_committed => {
                into(buffer, |copy| self.waiting().read(block, copy))
            }
            _ => self.writer.read(buffer),
        }
    }
}

/// A value, by whoever has no lock.
struct Reading<'o> {
    object: &'o Object,
    patience: Option<Duration>,
}

impl Bytes for Reading<'_> {
    #[inline(always)]
    fn read<B: Buffer + ?Sized>(&self, buffer: &mut B) -> Result<u64, Error> {
        self.object.check()?;
        let space = &*self.object.space;
        space.count_read();
        if space.flags()? & (STARTING | IN_PROGRESS) == 0 {
            let flip = Flip::at(&space.commons, self.object.found.body)?;
            if let Some(version) = flip.read_short(buffer)? {
                return Ok(version);
            }
        }
        if buffer.is_short() {
            into(buffer, |copy| self.read_slowly(copy))
        } else {
            self.read_slowly(buffer)
        }
    }
}

impl Reading<'_> {
    /// One that is long, or was written while it was read.
    #[inline(never)]
    fn read_slowly<B: Buffer + ?Sized>(&self, buffer: &mut B) -> Result<u64, Error> {
        let space = &*self.object.space;
        let arena = space.arena();
        let flip = Flip::at(&space.commons, self.object.found.body)?.in_arena(&arena);
        // Only who comes to wait has reason to ask for the time.
        let deadline = || self.patience.and_then(|patience| Instant::now().checked_add(patience));
        if space.flags()? & (STARTING | IN_PROGRESS) == 0 {
            return flip.read_with(buffer, deadline);
        }
        into(buffer, |copy| self.read_carefully(&arena, &flip, copy, deadline()))
    }

    /// While a share starts, or a transaction is in progress.
    #[cold]
    fn read_carefully(
        &self,
        arena: &Arena<'_, Commons>,
        flip: &Flip<'_, Commons>,
        buffer: &mut Vec<u8>,
        deadline: Option<Instant>,
    ) -> Result<u64, Error> {
        let space = &*self.object.space;
        let transactions = space.transactions()?;
        for _ in 0..TRIES {
            if space.flags()? & STARTING != 0 {
                break;
            }
            match transactions.version_of(self.object.found.body)? {
                // It counts already, or is not in this transaction.
                Some(version) if flip.version() == version.wrapping_sub(1) => {
                    if flip.read_staged(version, buffer)? {
                        // Who cannot help can read all the same.
                        let _ = transactions.help();
                        return Ok(version);
                    }
                }
                _ => {
                    let _ = transactions.help();
                    return flip.read(buffer, deadline);
                }
            }
        }
        if space.flags()? & STARTING == 0 {
            let body = self.object.found.body;
            let mut writer = flip.lock(deadline)?;
            return Writing::begin(space, body, arena, &mut writer)?.writer.read(buffer);
        }
        // Whoever is to end the start may have been kept from it, or be dead.
        help_start(space);
        // If what waits cannot be published now, what was there before is what there is.
        let now = Some(Instant::now());
        if let Ok(mut writer) = flip.lock(now)
            && let Ok(writing) = Writing::begin(space, self.object.found.body, arena, &mut writer)
        {
            return writing.writer.read(buffer);
        }
        flip.read(buffer, deadline)
    }
}

impl<T, C> Clone for Shared<T, C> {
    fn clone(&self) -> Self {
        Shared { object: Arc::clone(&self.object), patience: self.patience, form: PhantomData }
    }
}

impl<T, C> fmt::Debug for Shared<T, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Shared<{}>({})", type_name::<T>(), self.object.found.serial)
    }
}
