//! Waiting for many pipes at once.

mod member;
mod ready;

use std::any::Any;
use std::collections::HashMap;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::thread::ThreadId;
use std::time::Duration;

use futures_core::Stream;
use serde::de::DeserializeOwned;
use sk_function::{Drive, Operation, Source, Unfinished, Until};

use crate::error::{Error, Reason};
use crate::sync::{Arc, AtomicU64, Condvar, Mutex, Ordering, lock};
use crate::waiting::unpark_this_thread;
use crate::{Raw, Receiver};
use member::{Bytes, Member, Pipe, Timer, Turn};
use ready::{Ready, Signal};

/// Many pipes and timers of which one waits for the next that has something.
///
/// It owns receivers of any types, each with a function that makes a `T` of a message. One turn gives one message. Who has
/// given one is asked again after all others that have something, so that no pipe keeps another from its turn.
/// What a wake-up costs does not depend on how many pipes are in it.
///
/// ```
/// use std::time::Duration;
/// use sk_pipe::{Select, one_way};
///
/// enum Event {
///     Number(u64),
///     Text(String),
///     Late,
/// }
///
/// let (mut numbers, point) = one_way::<u64>()?;
/// let (mut texts, other_point) = one_way::<String>()?;
/// let mut select = Select::new();
/// let number_key = select.add(point.split()?.1, Event::Number);
/// select.add(other_point.split()?.1, Event::Text);
/// select.after(Duration::from_secs(60), || Event::Late);
///
/// numbers.send(&7).wait()?;
/// let (id, event) = select.recv().timeout(Duration::from_secs(5)).wait()?;
/// assert!(id == number_key.id() && matches!(event?, Event::Number(7)));
///
/// texts.send(&"hello".to_owned()).wait()?;
/// let (_, event) = select.recv().wait()?;
/// assert!(matches!(event?, Event::Text(text) if text == "hello"));
///
/// let mut receiver = select.remove(number_key).expect("it was not closed");
/// numbers.send(&8).wait()?;
/// assert_eq!(receiver.recv().wait()?, 8);
/// # Ok::<(), sk_pipe::Error>(())
/// ```
///
/// While one thread waits in it, others may add and remove by a [`handle`](Select::handle).
///
/// A pipe that ends, since the other end was closed or its process died, is told once, after all its messages, as an
/// `Err` beside its number; after that it is no longer in the select. A message that does not decode, a death that another
/// life follows and a limit, as of descriptors, are told as they come, and the pipe stays.
///
/// Once nothing is in it and no handle is left, nothing can come any more: then [`recv`](Select::recv) is an error
/// ([`Error::is_closed`]), and the stream ends. Where there is a handle, an empty select waits.
///
/// Dropping it closes all receivers in it.
pub struct Select<T: 'static> {
    shared: Arc<Shared<T>>,
}

/// What is in a select, whatever it is: unique in this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SelectId(u64);

/// A pipe of messages of type `R` in a select: by it the receiver is taken out again.
pub struct Key<R> {
    id: SelectId,
    of: PhantomData<fn() -> R>,
}

/// Adds to a [`Select`] and takes out of it, on any thread, also while another one waits in it.
pub struct SelectHandle<T: 'static> {
    shared: Arc<Shared<T>>,
}

struct Shared<T> {
    state: Mutex<State<T>>,
    /// A member that was out is back, or gone.
    back: Condvar,
    ready: Arc<Ready>,
}

struct State<T> {
    places: HashMap<SelectId, Place<T>>,
    handles: usize,
    is_over: bool,
}

/// The members are the user's code, as far as their functions go: they are called and dropped while no lock is held.
enum Place<T> {
    Here(Box<dyn Member<T>>),
    /// It is being asked, on this thread.
    Out(ThreadId),
}

/// After so many that had nothing, a task lets others have the thread.
const MOST_LOOKS: usize = 256;

const SOMETHING: &str = "something came from any of the pipes";

impl<T: 'static> Select<T> {
    /// One with nothing in it.
    pub fn new() -> Select<T> {
        let state = State { places: HashMap::new(), handles: 0, is_over: false };
        let shared =
            Shared { state: Mutex::new(state), back: Condvar::new(), ready: Arc::default() };
        Select { shared: Arc::new(shared) }
    }

    /// Adds a pipe, and what makes a `T` of its messages, on the thread that waits.
    pub fn add<R>(
        &mut self,
        receiver: Receiver<R>,
        make: impl FnMut(R) -> T + Send + 'static,
    ) -> Key<R>
    where
        R: DeserializeOwned + 'static,
    {
        Key::new(self.shared.insert(Box::new(Pipe::new(receiver, make))).0)
    }

    /// Adds a pipe of bytes, and what makes a `T` of those of a message.
    pub fn add_bytes(
        &mut self,
        receiver: Receiver<Raw>,
        make: impl FnMut(&[u8]) -> T + Send + 'static,
    ) -> Key<Raw> {
        Key::new(self.shared.insert(Box::new(Bytes::new(receiver, make))).0)
    }

    /// Gives something once, after this time and not before; then it is no longer in the select.
    pub fn after(&mut self, time: Duration, make: impl FnOnce() -> T + Send + 'static) -> SelectId {
        self.shared.insert(Box::new(once(time, make))).0
    }

    /// Gives something after each such period. What was missed while nobody waited is not made up for. A period of zero
    /// gives something at each turn.
    pub fn every(
        &mut self,
        period: Duration,
        make: impl FnMut() -> T + Send + 'static,
    ) -> SelectId {
        self.shared.insert(Box::new(each(period, make))).0
    }

    /// Takes a pipe out, with all messages that were not given. `None` if it has ended, or was taken out before.
    pub fn remove<R: 'static>(&mut self, key: Key<R>) -> Option<Receiver<R>> {
        self.shared.remove(key)
    }

    /// Takes a pipe or timer out and drops it; false if it is not in the select.
    pub fn discard(&mut self, id: SelectId) -> bool {
        self.shared.discard(id)
    }

    /// How many pipes and timers are in it.
    pub fn len(&self) -> usize {
        lock(&self.shared.state).places.len()
    }

    /// Whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What adds and removes while somebody waits.
    pub fn handle(&self) -> SelectHandle<T> {
        SelectHandle::new(&self.shared)
    }

    /// Waits for the next that has something, and gives its number and a message, or how it ended.
    ///
    /// Given up in the middle, also by dropping the future, nothing is lost.
    ///
    /// # Errors
    /// Nothing is in it and nothing can be added any more ([`Error::is_closed`]); the limit of the operation.
    pub fn recv(
        &mut self,
    ) -> Operation<impl Source<Output = (SelectId, Result<T, Error>), Error = Error> + use<'_, T>>
    {
        Operation::new(Next(&self.shared))
    }
}

impl<T: 'static> SelectHandle<T> {
    fn new(shared: &Arc<Shared<T>>) -> SelectHandle<T> {
        lock(&shared.state).handles += 1;
        SelectHandle { shared: Arc::clone(shared) }
    }

    fn insert(&self, member: Box<dyn Member<T>>) -> Result<SelectId, Error> {
        let (id, is_in) = self.shared.insert(member);
        if is_in { Ok(id) } else { Err(Error::new(Reason::Closed { what: "the select is gone" })) }
    }

    /// As [`Select::add`].
    ///
    /// # Errors
    /// The select was dropped ([`Error::is_closed`]); then the receiver is closed too.
    pub fn add<R>(
        &self,
        receiver: Receiver<R>,
        make: impl FnMut(R) -> T + Send + 'static,
    ) -> Result<Key<R>, Error>
    where
        R: DeserializeOwned + 'static,
    {
        self.insert(Box::new(Pipe::new(receiver, make))).map(Key::new)
    }

    /// As [`Select::add_bytes`].
    ///
    /// # Errors
    /// As for [`add`](Self::add).
    pub fn add_bytes(
        &self,
        receiver: Receiver<Raw>,
        make: impl FnMut(&[u8]) -> T + Send + 'static,
    ) -> Result<Key<Raw>, Error> {
        self.insert(Box::new(Bytes::new(receiver, make))).map(Key::new)
    }

    /// As [`Select::after`].
    ///
    /// # Errors
    /// As for [`add`](Self::add).
    pub fn after(
        &self,
        time: Duration,
        make: impl FnOnce() -> T + Send + 'static,
    ) -> Result<SelectId, Error> {
        self.insert(Box::new(once(time, make)))
    }

    /// As [`Select::every`].
    ///
    /// # Errors
    /// As for [`add`](Self::add).
    pub fn every(
        &self,
        period: Duration,
        make: impl FnMut() -> T + Send + 'static,
    ) -> Result<SelectId, Error> {
        self.insert(Box::new(each(period, make)))
    }

    /// As [`Select::remove`]. While the pipe is being asked it waits until that is over; from within the function of that
    /// same pipe it is `None`.
    pub fn remove<R: 'static>(&self, key: Key<R>) -> Option<Receiver<R>> {
        self.shared.remove(key)
    }

    /// As [`Select::discard`].
    pub fn discard(&self, id: SelectId) -> bool {
        self.shared.discard(id)
    }
}

fn once<T>(
    time: Duration,
    make: impl FnOnce() -> T + Send + 'static,
) -> Timer<impl FnMut() -> Option<T> + Send + 'static> {
    let mut make = Some(make);
    Timer::new(time, None, move || make.take().map(|make| make()))
}

fn each<T>(
    period: Duration,
    mut make: impl FnMut() -> T + Send + 'static,
) -> Timer<impl FnMut() -> Option<T> + Send + 'static> {
    Timer::new(period, Some(period), move || Some(make()))
}

impl<T: 'static> Shared<T> {
    /// Adds a member, which is asked at once; false if the select is gone, and then the member is too.
    fn insert(&self, member: Box<dyn Member<T>>) -> (SelectId, bool) {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let id = SelectId(NEXT.fetch_add(1, Ordering::Relaxed));
        let signal = Signal::new(id, &self.ready);
        let mut state = lock(&self.state);
        if state.is_over {
            drop(state);
            drop(member);
            return (id, false);
        }
        state.places.insert(id, Place::Here(member));
        drop(state);
        signal.queue();
        (id, true)
    }

    fn remove<R: 'static>(&self, key: Key<R>) -> Option<Receiver<R>> {
        let mut state = lock(&self.state);
        loop {
            match state.places.get(&key.id)? {
                Place::Here(_) => break,
                Place::Out(thread) if *thread == std::thread::current().id() => return None,
                Place::Out(_) => {
                    let waited = self.back.wait(state);
                    state = waited.unwrap_or_else(std::sync::PoisonError::into_inner);
                }
            }
        }
        let Place::Here(member) = state.places.remove(&key.id)? else { return None };
        drop(state);
        let receiver: Box<dyn Any> = member.into_receiver()?;
        receiver.downcast().ok().map(|receiver| *receiver)
    }

    fn discard(&self, id: SelectId) -> bool {
        // One that is out is dropped by who asks it.
        let removed = lock(&self.state).places.remove(&id);
        self.back.notify_all();
        removed.is_some()
    }

    /// Whether nothing can come any more.
    fn is_finished(&self) -> bool {
        let state = lock(&self.state);
        state.places.is_empty() && state.handles == 0
    }

    /// Asks the member of this signal; `None`: it has nothing now, or is gone.
    fn ask(&self, signal: Arc<Signal>) -> Option<(SelectId, Result<T, Error>)> {
        let id = signal.id();
        let out = Place::Out(std::thread::current().id());
        let place = match lock(&self.state).places.get_mut(&id) {
            Some(place) => std::mem::replace(place, out),
            None => return None,
        };
        let Place::Here(member) = place else { return None };
        let mut out = Out { shared: self, id, member: Some(member), again: Some(&signal) };
        let waker = Waker::from(Arc::clone(&signal));
        let polled = out.member.as_mut()?.poll(&mut Context::from_waker(&waker));
        let Poll::Ready(Turn { outcome, is_last }) = polled else {
            out.again = None;
            return None;
        };
        if is_last {
            out.again = None;
            let removed = lock(&self.state).places.remove(&id);
            drop(removed);
        }
        Some((id, outcome))
    }

    fn poll_next(&self, cx: &mut Context<'_>) -> Poll<Option<(SelectId, Result<T, Error>)>> {
        for _ in 0..MOST_LOOKS {
            let Some(signal) = self.ready.next_or_wait(cx.waker()) else {
                // The waker stays, so that who adds something or drops the last handle from here on is heard.
                return if self.is_finished() { Poll::Ready(None) } else { Poll::Pending };
            };
            if let Some(outcome) = self.ask(signal) {
                return Poll::Ready(Some(outcome));
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

/// A member that is being asked. It goes back to its place, also when its function panics.
struct Out<'a, T: 'static> {
    shared: &'a Shared<T>,
    id: SelectId,
    member: Option<Box<dyn Member<T>>>,
    /// It may have more.
    again: Option<&'a Arc<Signal>>,
}

impl<T: 'static> Drop for Out<'_, T> {
    fn drop(&mut self) {
        let member = self.member.take();
        let mut state = lock(&self.shared.state);
        // One that has ended or was discarded meanwhile has no place any more.
        let left = match (state.places.get_mut(&self.id), member) {
            (Some(place), Some(member)) => {
                *place = Place::Here(member);
                None
            }
            (_, member) => member,
        };
        drop(state);
        self.shared.back.notify_all();
        drop(left);
        if let Some(signal) = self.again {
            signal.queue();
        }
    }
}

impl<T: 'static> Drop for Select<T> {
    fn drop(&mut self) {
        let mut state = lock(&self.shared.state);
        state.is_over = true;
        let places = std::mem::take(&mut state.places);
        drop(state);
        self.shared.ready.end();
        drop(places);
    }
}

impl<T: 'static> Clone for SelectHandle<T> {
    fn clone(&self) -> Self {
        SelectHandle::new(&self.shared)
    }
}

impl<T: 'static> Drop for SelectHandle<T> {
    fn drop(&mut self) {
        let mut state = lock(&self.shared.state);
        state.handles -= 1;
        let was_last = state.handles == 0 && state.places.is_empty();
        drop(state);
        if was_last {
            self.shared.ready.wake();
        }
    }
}

/// What is waited for in a select: the source of its operations.
struct Next<'a, T>(&'a Shared<T>);

impl<T: 'static> Next<'_, T> {
    fn over() -> Error {
        Error::new(Reason::Closed { what: "nothing is in the select, and nothing can be added" })
    }
}

impl<T: 'static> Source for Next<'_, T> {
    type Output = (SelectId, Result<T, Error>);
    type Error = Error;
    const DRIVE: Drive = Drive::Thread;

    /// Nothing: to look means to call functions of the user's.
    fn try_take(&mut self) -> Option<Result<Self::Output, Error>> {
        None
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Self::Output, Error>> {
        self.0.poll_next(cx).map(|next| next.ok_or_else(Self::over))
    }

    fn block(&mut self, until: Until<'_>) -> Option<Result<Self::Output, Error>> {
        let waker = unpark_this_thread();
        loop {
            match self.poll(&mut Context::from_waker(&waker)) {
                Poll::Ready(outcome) => return Some(outcome),
                Poll::Pending if !until.park() => {
                    self.0.ready.forget_waiter();
                    return None;
                }
                Poll::Pending => {}
            }
        }
    }

    fn cancel(&mut self) {
        self.0.ready.forget_waiter();
    }

    fn unfinished(&self, why: Unfinished) -> Error {
        match why {
            Unfinished::TimedOut(limit) => Error::timed_out(SOMETHING, Some(limit)),
            why => why.into(),
        }
    }
}

/// All that comes, until nothing is in it and no handle is left.
impl<T: 'static> Stream for Select<T> {
    type Item = (SelectId, Result<T, Error>);

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.shared.poll_next(cx)
    }
}

impl<R> Key<R> {
    fn new(id: SelectId) -> Key<R> {
        Key { id, of: PhantomData }
    }

    /// The number that comes beside what this pipe gives.
    pub fn id(&self) -> SelectId {
        self.id
    }
}

impl<R> Clone for Key<R> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<R> Copy for Key<R> {}

impl<R> PartialEq for Key<R> {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl<R> Eq for Key<R> {}

impl<R> Hash for Key<R> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.id.hash(state);
    }
}

impl<R> fmt::Debug for Key<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({})", self.id.0)
    }
}

impl<T: 'static> Default for Select<T> {
    fn default() -> Self {
        Select::new()
    }
}

impl<T: 'static> fmt::Debug for Select<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Select").field("len", &self.len()).finish_non_exhaustive()
    }
}

impl<T: 'static> fmt::Debug for SelectHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SelectHandle").finish_non_exhaustive()
    }
}
