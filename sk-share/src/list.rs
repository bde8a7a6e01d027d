//! Lists that change by operation.

use std::any::type_name;
use std::fmt;
use std::marker::PhantomData;
use std::time::{Duration, Instant};

use sk_function::{Operation, Source};

use crate::codec::{Bytes, Codec, Encoded};
use crate::error::Error;
use crate::ground::{Attempt, Buffer, Found, Ground as _, List, Offset, Spec, Version};
use crate::memory::Commons;
use crate::share::help_start;
use crate::share::kind;
use crate::share::layout::{GATE, STARTING};
use crate::share::space::{Object, Space};
use crate::sync::{Arc, Ordering};
use crate::value::reap_deadline;
use crate::waiting::waiting;

/// Where the shape of a list lies, the last that its maker writes.
const SHAPE: u64 = 16;

/// Where the event count of a list lies.
pub(crate) const CHANGES: u64 = 12;

/// So many bytes of an encoded element lie in the list itself: 64 with what is beside them.
const INLINE: u64 = 48;

/// Plain elements up to this size lie in the list itself.
const MOST_INLINE: usize = 4080;

/// A list that several processes change, one element at a time: a push to a million elements costs what a push to
/// ten does.
///
/// It is a handle: cheap to clone, and in another process the same list. Each operation happens as a whole or not
/// at all; a process that dies in one has changed nothing. Readers wait for no writer.
///
/// ```
/// use sk_share::Share;
///
/// let share = Share::new()?;
/// let seen = share.list::<String>("seen")?;
/// seen.push(&"one".to_owned())?;
/// seen.extend(&["two".to_owned(), "three".to_owned()])?;
/// seen.update(0, |first| first.push('!'))?;
/// assert_eq!(seen.to_vec()?, ["one!", "two", "three"]);
/// assert_eq!(seen.pop()?.as_deref(), Some("three"));
/// # Ok::<(), sk_share::Error>(())
/// ```
pub struct SharedList<T, C = Encoded> {
    object: Arc<Object>,
    patience: Option<Duration>,
    form: PhantomData<fn(T, C) -> T>,
}

/// Works on a list.
fn with<R>(
    space: &Space,
    body: Offset,
    work: impl FnOnce(&List<'_, Commons>) -> Result<R, Error>,
) -> Result<R, Error> {
    let arena = space.arena();
    work(&List::at(&space.commons, body, &arena)?.behind(GATE))
}

pub(crate) fn inline_of<T, C: Codec<T>>() -> u64 {
    match C::fixed_length() {
        Some(length) if length <= MOST_INLINE => length as u64,
        Some(_) => 0,
        None => INLINE,
    }
}

pub(crate) fn spec<T, C: Codec<T>>(type_name: &str) -> Spec<'_> {
    kind::spec(kind::LIST, type_name, List::<'static, Commons>::bytes_for(inline_of::<T, C>()))
}

pub(crate) fn make(space: &Space, found: &Found, inline: u64) -> Result<(), Error> {
    let arena = space.arena();
    List::create(&space.commons, found.body, &arena, inline).map(|_| ())
}

/// What a list is to those who do not know its elements.
pub(crate) mod whole {
    use super::*;

    pub(crate) fn destroy(space: &Space, body: Offset) -> Result<(), Error> {
        // One that was not made to the end has nothing.
        if space.commons.u64(body.wrapping_add(SHAPE))?.load(Ordering::Relaxed) == 0 {
            return Ok(());
        }
        with(space, body, |list| list.destroy(reap_deadline()))
    }

    pub(crate) fn blocks(space: &Space, body: Offset) -> Result<Vec<Offset>, Error> {
        with(space, body, |list| list.blocks(None))
    }

    pub(crate) fn take_lock_once(
        space: &Space,
        body: Offset,
        deadline: Option<Instant>,
    ) -> Result<(), Error> {
        with(space, body, |list| list.take_lock_once(deadline))
    }

    pub(crate) fn publish(
        space: &Space,
        body: Offset,
        deadline: Option<Instant>,
    ) -> Result<(), Error> {
        if with(space, body, |list| list.publish(deadline))? {
            // Not at the end of the start only, which something else may keep from coming.
            space.notify_activity();
        }
        Ok(())
    }

    pub(crate) fn is_pending(space: &Space, body: Offset) -> Result<bool, Error> {
        with(space, body, |list| Ok(list.is_pending()))
    }

    pub(crate) fn writes(space: &Space, body: Offset) -> Result<u64, Error> {
        with(space, body, |list| Ok(list.version()?.writes()))
    }

    /// How large the body is of a list of this snapshot.
    pub(crate) fn body_bytes(snapshot: &[u8]) -> u64 {
        let (inline, _) = word_of(snapshot);
        List::<'static, Commons>::bytes_for(inline.min(MOST_INLINE as u64))
    }

    pub(crate) fn mark(space: &Space, body: Offset) -> Result<u64, Error> {
        with(space, body, |list| Ok(list.version()?.mark()))
    }

    /// The elements, one after another, each behind its length; before them how many bytes one may have in the list.
    pub(crate) fn snapshot(
        space: &Space,
        body: Offset,
        deadline: Option<Instant>,
    ) -> Result<Vec<u8>, Error> {
        with(space, body, |list| {
            let mut bytes = list.inline().to_le_bytes().to_vec();
            for element in list.read_all(deadline)?.iter() {
                bytes.extend_from_slice(&(element.len() as u64).to_le_bytes());
                bytes.extend_from_slice(element);
            }
            Ok(bytes)
        })
    }

    pub(crate) fn restore(space: &Space, found: &Found, bytes: &[u8]) -> Result<(), Error> {
        let (inline, elements) = word_of(bytes);
        make(space, found, inline)?;
        with(space, found.body, |list| list.extend(elements_of(elements), None).map(|_| ()))
    }
}

/// The first eight bytes as a number, and the rest.
pub(crate) fn word_of(bytes: &[u8]) -> (u64, &[u8]) {
    bytes.split_first_chunk().map_or((0, bytes), |(word, rest)| (u64::from_le_bytes(*word), rest))
}

/// Elements that stand one after another, each behind its length.
pub(crate) fn elements_of(mut bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (length, rest) =
            bytes.split_first_chunk().map(|(at, rest)| (u64::from_le_bytes(*at), rest))?;
        let (element, rest) = rest.split_at_checked(usize::try_from(length).ok()?)?;
        bytes = rest;
        Some(element)
    })
}

/// An element that was read.
struct Element<'b>(&'b [u8]);

impl Bytes for Element<'_> {
    fn read<B: Buffer + ?Sized>(&self, buffer: &mut B) -> Result<u64, Error> {
        buffer.of_length(self.0.len())?.copy_from_slice(self.0);
        Ok(0)
    }
}

/// The value in the bytes of an element.
pub(crate) fn decode<T, C: Codec<T>>(bytes: &[u8]) -> Result<T, Error> {
    C::read(&Element(bytes)).map(|(value, _)| value)
}

impl<T: 'static, C: Codec<T>> SharedList<T, C> {
    pub(crate) fn new(object: Arc<Object>) -> SharedList<T, C> {
        SharedList { object, patience: None, form: PhantomData }
    }

    pub(crate) fn object(&self) -> &Arc<Object> {
        &self.object
    }

    /// The same list, as a handle whose operations wait no longer than this for the change of another process to be
    /// over; see [`Shared::within`](crate::Shared::within).
    #[must_use]
    pub fn within(&self, patience: Duration) -> SharedList<T, C> {
        SharedList { patience: Some(patience), ..self.clone() }
    }

    fn deadline(&self) -> Option<Instant> {
        self.patience.and_then(|patience| Instant::now().checked_add(patience))
    }

    fn with<R>(
        &self,
        work: impl FnOnce(&List<'_, Commons>) -> Result<R, Error>,
    ) -> Result<R, Error> {
        let object = &*self.object;
        let result = object.check().and_then(|()| {
            with(&object.space, object.found.body, |list| {
                if object.space.flags()? & STARTING != 0 {
                    // Whoever is to end the start may be dead.
                    help_start(&object.space);
                    if list.publish(self.deadline())? {
                        object.space.notify_activity();
                    }
                }
                work(list)
            })
        });
        result.map_err(|error| object.report(error))
    }

    fn change<R>(
        &self,
        work: impl FnOnce(&List<'_, Commons>) -> Result<R, Error>,
    ) -> Result<R, Error> {
        let result = self.with(work);
        self.object.space.notify_activity();
        result
    }

    /// As [`change`](Self::change), of what may need room.
    fn grow<R>(&self, work: impl Fn(&List<'_, Commons>) -> Result<R, Error>) -> Result<R, Error> {
        self.change(|list| self.object.space.with_room(|| work(list)))
    }

    /// How many elements there are.
    ///
    /// # Errors
    /// It was removed.
    pub fn len(&self) -> Result<u64, Error> {
        self.with(|list| Ok(list.len()))
    }

    /// Whether there is none.
    ///
    /// # Errors
    /// It was removed.
    pub fn is_empty(&self) -> Result<bool, Error> {
        Ok(self.len()? == 0)
    }

    /// Appends an element, and gives its index. While the share is stopped it waits, and comes at the start.
    ///
    /// # Errors
    /// It cannot be encoded, the list was removed, or there is no room: then the list is as it was.
    pub fn push(&self, element: &T) -> Result<u64, Error> {
        C::with_bytes(element, |bytes| self.grow(|list| list.push(bytes, self.deadline())))
    }

    /// Appends several elements in one step, and gives the index of the first.
    ///
    /// # Errors
    /// As for [`push`](Self::push); then none of them is in the list.
    pub fn extend<'e>(&self, elements: impl IntoIterator<Item = &'e T>) -> Result<u64, Error> {
        let bytes = |element| C::with_bytes(element, |bytes| Ok(bytes.to_vec()));
        let elements = elements.into_iter().map(bytes).collect::<Result<Vec<_>, _>>()?;
        self.grow(|list| list.extend(&elements, self.deadline()))
    }

    /// The element at this index.
    ///
    /// # Errors
    /// It does not decode, or the list was removed.
    pub fn get(&self, index: u64) -> Result<Option<T>, Error> {
        self.read(|list, bytes| list.get(index, bytes, self.deadline()))
    }

    /// The last element.
    ///
    /// # Errors
    /// As for [`get`](Self::get).
    pub fn last(&self) -> Result<Option<T>, Error> {
        self.read(|list, bytes| list.last(bytes, self.deadline()))
    }

    fn read(
        &self,
        find: impl FnOnce(&List<'_, Commons>, &mut Vec<u8>) -> Result<bool, Error>,
    ) -> Result<Option<T>, Error> {
        self.object.space.count_read();
        let mut bytes = Vec::new();
        let is_there = self.with(|list| find(list, &mut bytes))?;
        let decoded = if is_there { decode::<T, C>(&bytes).map(Some) } else { Ok(None) };
        decoded.map_err(|error| self.object.report(error))
    }

    /// All elements, as they are at one moment.
    ///
    /// # Errors
    /// As for [`get`](Self::get).
    pub fn to_vec(&self) -> Result<Vec<T>, Error> {
        self.object.space.count_read();
        let items = self.with(|list| list.read_all(self.deadline()))?;
        let decoded = items.iter().map(decode::<T, C>).collect::<Result<_, _>>();
        decoded.map_err(|error| self.object.report(error))
    }

    /// Replaces the element at this index; `false` if there is none.
    ///
    /// # Errors
    /// As for [`push`](Self::push); the share is stopped ([`Error::is_stopped`]).
    pub fn set(&self, index: u64, element: &T) -> Result<bool, Error> {
        C::with_bytes(element, |bytes| self.grow(|list| list.set(index, bytes, self.deadline())))
    }

    /// Changes the element at this index, and gives what the closure gives; `None` if there is none. Others wait until it
    /// is done; nothing has changed if it panics or this process dies in it.
    ///
    /// # Errors
    /// As for [`set`](Self::set) and [`get`](Self::get).
    pub fn update<R>(
        &self,
        index: u64,
        change: impl FnOnce(&mut T) -> R,
    ) -> Result<Option<R>, Error> {
        let mut result = Ok(None);
        self.change(|list| {
            let change = |bytes: &mut Vec<u8>| {
                result = decode::<T, C>(bytes).and_then(|mut element| {
                    let changed = change(&mut element);
                    *bytes = C::with_bytes(&element, |bytes| Ok(bytes.to_vec()))?;
                    Ok(Some(changed))
                });
            };
            list.update(index, change, self.deadline())
        })?;
        result.map_err(|error| self.object.report(error))
    }

    /// Removes the last element, and gives it.
    ///
    /// # Errors
    /// As for [`set`](Self::set) and [`get`](Self::get).
    pub fn pop(&self) -> Result<Option<T>, Error> {
        let mut bytes = Vec::new();
        let is_there = self.change(|list| list.pop(&mut bytes, self.deadline()))?;
        let decoded = if is_there { decode::<T, C>(&bytes).map(Some) } else { Ok(None) };
        decoded.map_err(|error| self.object.report(error))
    }

    /// Removes all elements from this index on.
    ///
    /// # Errors
    /// As for [`set`](Self::set).
    pub fn truncate(&self, length: u64) -> Result<(), Error> {
        self.change(|list| list.truncate(length, self.deadline()))
    }

    /// Removes all elements.
    ///
    /// # Errors
    /// As for [`set`](Self::set).
    pub fn clear(&self) -> Result<(), Error> {
        self.truncate(0)
    }

    /// Whether it was removed from its share.
    #[must_use]
    pub fn is_detached(&self) -> bool {
        self.object.is_detached().unwrap_or(true)
    }

    /// Waits until there are at least so many elements, and gives how many there are.
    ///
    /// ```
    /// use sk_share::Share;
    ///
    /// let share = Share::new()?;
    /// let lines = share.list::<String>("lines")?;
    /// let other = lines.clone();
    /// let waiter = std::thread::spawn(move || other.wait_for_len(2).wait());
    /// lines.push(&"one".to_owned())?;
    /// lines.push(&"two".to_owned())?;
    /// assert_eq!(waiter.join().unwrap()?, 2);
    /// # Ok::<(), sk_share::Error>(())
    /// ```
    ///
    /// # Errors
    /// It was removed, also while this waits; the limit of the operation.
    pub fn wait_for_len(
        &self,
        length: u64,
    ) -> Operation<impl Source<Output = u64, Error = Error> + use<T, C>> {
        let list = self.clone();
        let mut seen = Version::default();
        waiting(&self.object.space.commons, "the list was as long", move || {
            loop {
                let attempt = list.with(|list| list.look_for_change(seen))?;
                let now = list.len()?;
                match attempt {
                    _ if now >= length => return Ok(Attempt::Done(now)),
                    Attempt::Sleep(sleep) => return Ok(Attempt::Sleep(sleep)),
                    Attempt::Done(version) => seen = version,
                }
            }
        })
    }
}

impl<T, C> Clone for SharedList<T, C> {
    fn clone(&self) -> Self {
        SharedList { object: Arc::clone(&self.object), patience: self.patience, form: PhantomData }
    }
}

impl<T, C> fmt::Debug for SharedList<T, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SharedList<{}>({})", type_name::<T>(), self.object.found.serial)
    }
}
