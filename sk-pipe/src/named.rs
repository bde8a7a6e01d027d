//! Pipes between processes that have nothing in common but a name.

mod channel;
mod connector;
mod handshake;
mod name;
mod peer;
mod readiness;

use std::borrow::BorrowMut;
use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::marker::PhantomData;
use std::os::fd::{AsFd as _, OwnedFd};
use std::pin::Pin;
use std::sync::mpsc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures_core::Stream;
use sk_function::{Drive, Operation, Source, Unfinished, Until, blocking};

use crate::error::Error;
use crate::sync::Arc;
use crate::{Anchor, Builder};

use handshake::Key;
use name::{Bound, Name};
use peer::{Peer, Step, Terms};
use readiness::wait_readable;

pub use connector::{Connector, connect, connect_with};

/// A name at which others connect: each one gets the point of a new pipe, of which this process has the anchor. That
/// anchor sends `S` and receives `R`.
///
/// A name with a `/` in it is the path of a socket file; any other one is a name that the system keeps, which every
/// process of the machine can see and of which nothing is left behind. The file of a listener that was killed is
/// taken over by the next one, which finds it by the lock file beside it; two listeners never have one name.
///
/// Only processes of the same user are let in, whom the kernel names, and the types of both sides are compared. See
/// [`ListenerBuilder`] for keys and other users.
///
/// Handshakes go on while somebody waits for [`accept`](Listener::accept): up to 64 at a time, so that no peer waits for
/// another one that is silent or slow. Each has five seconds for each of its two or three messages.
///
/// ```
/// use sk_pipe::{Listener, connect};
///
/// let name = format!("sk-pipe-doc-listener-{}", std::process::id());
/// let mut listener = Listener::<u32, String>::bind(&name)?;
/// assert!(Listener::<(), ()>::bind(&name).unwrap_err().is_name_in_use());
///
/// let connecting = connect::<String, u32>(&name).background();
/// let mut anchor = listener.accept().wait()?;
/// let mut point = connecting.wait()?;
/// anchor.send(&7).wait()?;
/// assert_eq!(point.recv().wait()?, 7);
/// # Ok::<(), sk_pipe::Error>(())
/// ```
///
/// It is a stream of anchors, which never ends:
///
/// ```
/// use futures::StreamExt as _;
/// use sk_pipe::{Listener, connect};
///
/// let name = format!("sk-pipe-doc-stream-{}", std::process::id());
/// let mut listener = Listener::<u32, ()>::bind(&name)?;
/// futures::executor::block_on(async {
///     let connecting = connect::<(), u32>(&name).background();
///     let mut anchor = listener.next().await.unwrap()?;
///     anchor.send(&7).await?;
///     assert_eq!(connecting.await?.recv().await?, 7);
///     Ok::<(), sk_pipe::Error>(())
/// })?;
/// # Ok::<(), sk_pipe::Error>(())
/// ```
pub struct Listener<S, R> {
    bound: Arc<Bound>,
    name: Name,
    terms: Terms,
    peers: Vec<Peer<S, R>>,
    /// What became of those whose handshake is over, and was not given out.
    over: VecDeque<Over<S, R>>,
    /// Who wakes the task that accepts.
    waiting: Option<Waiting>,
}

enum Over<S, R> {
    Accepted(Box<Anchor<S, R>>),
    Refused(Error),
    Failed(Error),
}

/// So many handshakes go on at a time; who connects then waits until one is over.
const MOST_PEERS: usize = 64;
const PATIENCE: Duration = Duration::from_secs(5);

impl<S, R> Listener<S, R> {
    /// Listens at this name, for processes of this user.
    ///
    /// # Errors
    /// As for [`ListenerBuilder::bind`].
    pub fn bind(name: impl AsRef<OsStr>) -> Result<Listener<S, R>, Error> {
        Listener::<S, R>::builder(name).bind()
    }

    /// Settings of a listener at this name.
    pub fn builder(name: impl AsRef<OsStr>) -> ListenerBuilder<S, R> {
        ListenerBuilder {
            name: name.as_ref().to_owned(),
            key: None,
            any_user: false,
            patience: PATIENCE,
            pipes: crate::builder(),
            of: PhantomData,
        }
    }

    /// The anchor of the next one who connects, which has its point by then.
    ///
    /// One who is not let in is an error of this, and the next call goes on with the others. One who dies or says
    /// nothing is passed over.
    ///
    /// # Errors
    /// Somebody has connected of another user, with another key or none ([`Error::is_denied`]), with other types
    /// ([`Error::is_other_type`]), or with something else than a handshake ([`Error::is_foreign`]); there is no memory or
    /// no descriptor for one more ([`Error::is_limit`]).
    pub fn accept(
        &mut self,
    ) -> Operation<impl Source<Output = Anchor<S, R>, Error = Error> + use<'_, S, R>> {
        Operation::new(Accepting { listener: Ok(self), only_accepted: false, of: PhantomData })
    }

    /// As [`accept`](Self::accept), for no longer than this.
    ///
    /// # Errors
    /// As for [`accept`](Self::accept); nobody has connected ([`Error::is_timeout`]).
    pub fn accept_timeout(&mut self, timeout: Duration) -> Result<Anchor<S, R>, Error> {
        self.accept().timeout(timeout).wait()
    }

    /// The next outcome, if it is there.
    fn look(&mut self) -> Option<Over<S, R>> {
        if self.over.is_empty() {
            self.go_on();
        }
        self.over.pop_front()
    }

    /// Takes every handshake as far as it goes now.
    fn go_on(&mut self) {
        for peer in std::mem::take(&mut self.peers) {
            let step = peer.step(&self.terms);
            self.note(step);
        }
        while self.peers.len() < MOST_PEERS {
            match self.bound.accept() {
                Ok(Some((socket, who))) => {
                    self.waiting = None;
                    let step = match Peer::begin(socket, who, &self.terms) {
                        Step::Waits(peer) => peer.step(&self.terms),
                        over => over,
                    };
                    self.note(step);
                }
                Ok(None) => return,
                Err(error) => return self.over.push_back(Over::Failed(error)),
            }
        }
    }

    fn note(&mut self, step: Step<S, R>) {
        let over = match step {
            Step::Waits(peer) => return self.peers.push(peer),
            Step::Gone => None,
            Step::Accepted(anchor) => Some(Over::Accepted(anchor)),
            Step::Refused(error) => Some(Over::Refused(error)),
            Step::Failed(error) => Some(Over::Failed(error)),
        };
        self.over.extend(over);
        // Its socket is waited for no longer.
        self.waiting = None;
    }

    /// Whether one more may connect.
    fn has_room(&self) -> bool {
        self.peers.len() < MOST_PEERS
    }

    /// When somebody has been silent for too long.
    fn deadline(&self) -> Option<Instant> {
        self.peers.iter().map(Peer::deadline).min()
    }

    /// Blocks until there is reason to look.
    fn sleep(&self, until: Until<'_>) -> Result<(), Error> {
        let mut files: Vec<_> = self.peers.iter().map(|peer| peer.socket().as_fd()).collect();
        if self.has_room() {
            files.push(self.bound.as_fd());
        }
        let at = [until.at(), self.deadline()].into_iter().flatten().min();
        wait_readable(&files, at, until.cancel_flag())
    }

    fn poll_next_one(&mut self, cx: &mut Context<'_>) -> Poll<Over<S, R>> {
        loop {
            if let Some(over) = self.look() {
                self.waiting = None;
                return Poll::Ready(over);
            }
            let waiting = match self.waiting.take() {
                Some(waiting) => waiting,
                None => {
                    let peers = self.peers.iter().map(|peer| Arc::clone(peer.socket()));
                    let bound = self.has_room().then(|| Arc::clone(&self.bound));
                    Waiting::new(peers.collect(), bound, self.deadline())
                }
            };
            match self.waiting.insert(waiting).readable.as_mut().poll(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(waited) => {
                    self.waiting = None;
                    if let Err(error) = waited {
                        return Poll::Ready(Over::Failed(error));
                    }
                }
            }
        }
    }
}

impl<S, R> Stream for Listener<S, R> {
    type Item = Result<Anchor<S, R>, Error>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.get_mut().poll_next_one(cx).map(|over| Some(over.into_result()))
    }
}

/// Nothing of it is pinned.
impl<S, R> Unpin for Listener<S, R> {}

impl<S, R> fmt::Debug for Listener<S, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listener").field("name", &self.name).finish_non_exhaustive()
    }
}

/// A kept thread that sleeps in the place of a task.
///
/// When it is dropped, the thread is done with the sockets: a name is free as soon as its listener is gone.
struct Waiting {
    readable: Pin<Box<dyn Future<Output = Result<(), Error>> + Send>>,
    done: mpsc::Receiver<()>,
}

impl Waiting {
    fn new(peers: Vec<Arc<OwnedFd>>, bound: Option<Arc<Bound>>, at: Option<Instant>) -> Waiting {
        let (at_the_end, done) = mpsc::channel();
        let readable = blocking(move |flag| {
            let mut files: Vec<_> = peers.iter().map(|peer| peer.as_fd()).collect();
            files.extend(bound.as_ref().map(|bound| bound.as_fd()));
            let waited = wait_readable(&files, at, Some(flag));
            drop((peers, bound));
            drop::<mpsc::Sender<()>>(at_the_end);
            waited
        });
        Waiting { readable: Box::pin(readable), done }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        // Drops the operation, which has the thread return, or never begin.
        self.readable = Box::pin(std::future::pending());
        let _ = self.done.recv();
    }
}

impl<S, R> Over<S, R> {
    fn into_result(self) -> Result<Anchor<S, R>, Error> {
        match self {
            Over::Accepted(anchor) => Ok(*anchor),
            Over::Refused(error) | Over::Failed(error) => Err(error),
        }
    }
}

/// What is waited for at a listener, which is borrowed, or owned and gone afterwards.
struct Accepting<L, S, R> {
    listener: Result<L, Option<Error>>,
    /// Who is not let in is passed over.
    only_accepted: bool,
    of: PhantomData<fn() -> (S, R)>,
}

impl<L: BorrowMut<Listener<S, R>>, S, R> Accepting<L, S, R> {
    fn failure(error: &mut Option<Error>) -> Error {
        error.take().unwrap_or_else(|| Error::endpoint("the operation is over"))
    }

    /// What is told of an outcome; `None`: nothing.
    fn tell(&mut self, over: Over<S, R>) -> Option<Result<Anchor<S, R>, Error>> {
        if self.only_accepted && matches!(over, Over::Refused(_)) {
            return None;
        }
        self.listener = Err(None);
        Some(over.into_result())
    }
}

impl<L: BorrowMut<Listener<S, R>>, S, R> Source for Accepting<L, S, R> {
    type Output = Anchor<S, R>;
    type Error = Error;
    const DRIVE: Drive = Drive::Thread;

    fn try_take(&mut self) -> Option<Result<Anchor<S, R>, Error>> {
        loop {
            let over = match &mut self.listener {
                Ok(listener) => listener.borrow_mut().look()?,
                Err(error) => return Some(Err(Self::failure(error))),
            };
            if let Some(outcome) = self.tell(over) {
                return Some(outcome);
            }
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Anchor<S, R>, Error>> {
        loop {
            let polled = match &mut self.listener {
                Ok(listener) => listener.borrow_mut().poll_next_one(cx),
                Err(error) => return Poll::Ready(Err(Self::failure(error))),
            };
            let Poll::Ready(over) = polled else { return Poll::Pending };
            if let Some(outcome) = self.tell(over) {
                return Poll::Ready(outcome);
            }
        }
    }

    fn block(&mut self, until: Until<'_>) -> Option<Result<Anchor<S, R>, Error>> {
        loop {
            if let Some(outcome) = self.try_take() {
                return Some(outcome);
            }
            if until.is_over() {
                return None;
            }
            if let Ok(listener) = &mut self.listener
                && let Err(error) = listener.borrow_mut().sleep(until)
            {
                return Some(Err(error));
            }
        }
    }

    fn cancel(&mut self) {
        if let Ok(listener) = &mut self.listener {
            listener.borrow_mut().waiting = None;
        }
    }

    fn unfinished(&self, why: Unfinished) -> Error {
        match why {
            Unfinished::TimedOut(limit) => Error::timed_out("somebody connected", Some(limit)),
            why => why.into(),
        }
    }
}

/// Listens at this name for the first one who connects and is let in, and gives the name up with that.
///
/// The name is taken when this is called. Whoever is not let in is passed over.
///
/// ```
/// let name = format!("sk-pipe-doc-once-{}", std::process::id());
/// let serving = sk_pipe::serve_once::<String, ()>(&name);
/// let connecting = sk_pipe::connect::<(), String>(&name).background();
/// let mut anchor = serving.wait()?;
/// anchor.send(&"hello".to_owned()).wait()?;
/// assert_eq!(connecting.wait()?.recv().wait()?, "hello");
/// assert!(sk_pipe::connect::<(), String>(&name).wait().unwrap_err().is_not_found());
/// # Ok::<(), sk_pipe::Error>(())
/// ```
///
/// # Errors
/// As for [`ListenerBuilder::bind`]; there is no memory or no descriptor for a pipe ([`Error::is_limit`]).
pub fn serve_once<S, R>(
    name: impl AsRef<OsStr>,
) -> Operation<impl Source<Output = Anchor<S, R>, Error = Error>> {
    Listener::<S, R>::builder(name).serve_once()
}

/// Settings of a [`Listener`].
///
/// ```
/// use std::time::Duration;
/// use sk_pipe::{Connector, Listener};
///
/// let directory = std::env::temp_dir();
/// let path = directory.join(format!("sk-pipe-doc-builder-{}", std::process::id()));
/// let mut listener = Listener::<u32, u32>::builder(&path)
///     .key(b"a secret")
///     .patience(Duration::from_secs(1))
///     .capacity(4096)
///     .bind()?;
/// let connecting = Connector::new(&path).key(b"a secret").connect::<u32, u32>().background();
/// let mut anchor = listener.accept().wait()?;
/// anchor.send(&7).wait()?;
/// assert_eq!(connecting.wait()?.recv().wait()?, 7);
/// drop(listener);
/// assert!(!path.exists());
/// # Ok::<(), sk_pipe::Error>(())
/// ```
#[must_use = "nobody listens before `bind` or `serve_once`"]
pub struct ListenerBuilder<S, R> {
    name: OsString,
    key: Option<Result<Key, Error>>,
    any_user: bool,
    patience: Duration,
    pipes: Builder,
    of: PhantomData<fn(&S) -> R>,
}

impl<S, R> ListenerBuilder<S, R> {
    /// A secret that whoever connects has to have too; see [`Connector::key`].
    pub fn key(self, key: impl AsRef<[u8]>) -> Self {
        ListenerBuilder { key: Some(Key::new(key.as_ref())), ..self }
    }

    /// Lets processes of all users in, which the file of a path allows them too. Whoever is let in can read and write
    /// the memory of its pipe and see which processes are members of this program: so ask for a [key](Self::key) also.
    pub fn any_user(self) -> Self {
        ListenerBuilder { any_user: true, ..self }
    }

    /// How long one who has connected may take for each message of the handshake; five seconds unless told.
    pub fn patience(self, patience: Duration) -> Self {
        ListenerBuilder { patience, ..self }
    }

    /// As [`Builder::capacity`], of every pipe.
    pub fn capacity(self, bytes: u64) -> Self {
        let pipes = self.pipes.clone().capacity(bytes);
        self.pipes(pipes)
    }

    /// All settings of every pipe.
    pub fn pipes(self, pipes: Builder) -> Self {
        ListenerBuilder { pipes, ..self }
    }

    /// Listens.
    ///
    /// # Errors
    /// Another listener has the name ([`Error::is_name_in_use`]); it can be no name ([`Error::is_bad_name`]); the key is
    /// empty; the system refuses it.
    pub fn bind(self) -> Result<Listener<S, R>, Error> {
        let name = Name::new(&self.name)?;
        let (key, any_user) = (self.key.transpose()?, self.any_user);
        let bound = Arc::new(Bound::new(&name, any_user)?);
        let patience = self.patience;
        let terms = Terms { key, any_user, patience, pipes: self.pipes };
        let (peers, over) = (Vec::new(), VecDeque::new());
        Ok(Listener { bound, name, terms, peers, over, waiting: None })
    }

    /// As [`serve_once`](fn@serve_once), with these settings.
    ///
    /// # Errors
    /// As for [`serve_once`](fn@serve_once).
    pub fn serve_once(self) -> Operation<impl Source<Output = Anchor<S, R>, Error = Error>> {
        let listener = self.bind().map_err(Some);
        Operation::new(Accepting { listener, only_accepted: true, of: PhantomData })
    }
}

impl<S, R> fmt::Debug for ListenerBuilder<S, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ListenerBuilder").field("name", &self.name).finish_non_exhaustive()
    }
}
