//! Who connects to a name.

use std::ffi::{OsStr, OsString};
use std::os::fd::AsFd as _;
use std::time::{Duration, Instant};

use sk_cereal::Session;
use sk_function::{CancelFlag, Operation, Source, blocking};
use sk_share::memory::Descriptors;

use super::channel::{Channel, Read};
use super::handshake::{Hello, Key, Message, Prover, Refusal};
use super::name::{Name, Peer};
use super::readiness::wait_readable;
use crate::Point;
use crate::error::{Error, Reason};

/// Connects to whoever listens at the name, and gives the point of a new pipe, whose anchor the listener has.
///
/// It waits until the listener accepts, as long as its [`timeout`](Operation::timeout) allows. The name is that of the
/// [`Listener`](crate::Listener), and so are its types, seen from the other side. The listener has to run as the same
/// user, and ask for no key; see [`Connector`] for others.
///
/// ```
/// use std::time::Duration;
///
/// let name = format!("sk-pipe-doc-connect-{}", std::process::id());
/// let error = sk_pipe::connect::<u32, u32>(&name).wait().unwrap_err();
/// assert!(error.is_not_found());
///
/// let mut listener = sk_pipe::Listener::<String, u32>::bind(&name)?;
/// let other = std::thread::spawn(move || {
///     let mut point = sk_pipe::connect::<u32, String>(&name).timeout(Duration::from_secs(9)).wait()?;
///     point.send(&7).wait()
/// });
/// let mut anchor = listener.accept().wait()?;
/// assert_eq!(anchor.recv().wait()?, 7);
/// # other.join().unwrap()?;
/// # Ok::<(), sk_pipe::Error>(())
/// ```
///
/// # Errors
/// As for [`Connector::connect`].
pub fn connect<S: Send + 'static, R: Send + 'static>(
    name: impl AsRef<OsStr>,
) -> Operation<impl Source<Output = Point<S, R>, Error = Error> + Send + 'static> {
    Connector::new(name).connect()
}

/// As [`connect`], to a listener that has this key too.
///
/// ```
/// let name = format!("sk-pipe-doc-key-{}", std::process::id());
/// let mut listener = sk_pipe::Listener::<u32, u32>::builder(&name).key(b"a secret").bind()?;
/// let other = std::thread::spawn(move || {
///     sk_pipe::connect_with::<u32, u32>(&name, b"another").wait().map(|_| ())
/// });
/// assert!(listener.accept().wait().unwrap_err().is_denied());
/// assert!(other.join().unwrap().unwrap_err().is_denied());
/// # Ok::<(), sk_pipe::Error>(())
/// ```
///
/// # Errors
/// As for [`Connector::connect`].
pub fn connect_with<S: Send + 'static, R: Send + 'static>(
    name: impl AsRef<OsStr>,
    key: impl AsRef<[u8]>,
) -> Operation<impl Source<Output = Point<S, R>, Error = Error> + Send + 'static> {
    Connector::new(name).key(key).connect()
}

/// Settings of a connection by name.
///
/// ```
/// use sk_pipe::{Connector, Listener, Nothing};
///
/// let name = format!("sk-pipe-doc-connector-{}", std::process::id());
/// let mut listener = Listener::<u8, Nothing>::builder(&name).any_user().key(b"secret").bind()?;
/// let connecting = Connector::new(&name).any_user().key(b"secret").connect::<Nothing, u8>();
/// let connecting = connecting.background();
/// let mut anchor = listener.accept().wait()?;
/// anchor.send(&7).wait()?;
/// assert_eq!(connecting.wait()?.recv().wait()?, 7);
/// # Ok::<(), sk_pipe::Error>(())
/// ```
#[derive(Clone)]
#[must_use = "it connects when an operation of `connect` is waited for"]
pub struct Connector {
    name: OsString,
    key: Option<Result<Key, ()>>,
    any_user: bool,
}

impl std::fmt::Debug for Connector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connector").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Connector {
    /// Of the listener at this name.
    pub fn new(name: impl AsRef<OsStr>) -> Connector {
        Connector { name: name.as_ref().to_owned(), key: None, any_user: false }
    }

    /// The secret that the listener has too. Each proves to the other that it has it, and neither shows it. Use random
    /// bytes: a word can be guessed by whoever listens at the name in place of the right one.
    pub fn key(self, key: impl AsRef<[u8]>) -> Connector {
        Connector { key: Some(Key::new(key.as_ref()).map_err(|_| ())), ..self }
    }

    /// The listener may run as another user than this process.
    pub fn any_user(self) -> Connector {
        Connector { any_user: true, ..self }
    }

    /// Connects. The operation may be used again by a clone of the connector.
    ///
    /// # Errors
    /// Nobody listens there ([`Error::is_not_found`]); what can be no name ([`Error::is_bad_name`]); the listener is of
    /// other types ([`Error::is_other_type`]), of another user, or has another key or none ([`Error::is_denied`]), or
    /// something else listens there ([`Error::is_foreign`]); it died or dropped the listener before it had accepted
    /// ([`Error::is_disconnected`]); there is no memory or no descriptor left ([`Error::is_limit`]).
    pub fn connect<S: Send + 'static, R: Send + 'static>(
        self,
    ) -> Operation<impl Source<Output = Point<S, R>, Error = Error> + Send + 'static> {
        blocking(move |flag| self.run(flag))
    }

    fn run<S, R>(&self, flag: &CancelFlag) -> Result<Point<S, R>, Error> {
        let key = match &self.key {
            None => None,
            Some(Ok(key)) => Some(key),
            Some(Err(())) => return Err(Error::endpoint("the key is empty")),
        };
        let (mut channel, listener) = call(&Name::new(&self.name)?, flag)?;
        if !self.any_user && !listener.is_this_user() {
            let what = format!(
                "the listener runs as user {} and this process does not",
                listener.user.unwrap_or(u32::MAX)
            );
            return Err(Error::new(Reason::Denied { what, process: listener.process }));
        }
        let hello = Hello::new::<S, R>(key.is_some())?;
        // Where it is gone, what it said before it went is still to be read.
        let (_, mine) = channel.send(&Message::Hello(hello.clone()), &[])?;
        let mut talk = Talk { channel: &mut channel, listener, flag };
        let (theirs, hello_bytes) = match talk.next()? {
            (Message::Hello(theirs), bytes) => (theirs, bytes),
            _ => return Err(Error::foreign("it does not begin with its hello", 1)),
        };
        hello.check(&theirs, "the listener", listener.process)?;
        let hellos = [&mine[..], &hello_bytes[..]];
        if let Some(key) = key {
            talk.channel.send(&Message::Proof(key.prove(Prover::Connector, hellos)?), &[])?;
        }
        let (Message::Handed { proof, point }, _) = talk.next()? else {
            return Err(Error::foreign("it hands no point over", 2));
        };
        if let Some(key) = key {
            let proof = proof.unwrap_or_default();
            if !key.is_proof(&proof, Prover::Listener, hellos)? {
                return Err(talk.refused(Refusal::Key));
            }
        }
        let session = Session::hand_over();
        session.put(Descriptors::arrived(talk.channel.take_files()));
        let point: Point<S, R> = session.enter(|| Point::take(&point))?;
        talk.check_wanted()?;
        if talk.channel.send(&Message::Attached, &[])?.0 { Ok(point) } else { Err(talk.lost()) }
    }
}

/// Calls whoever listens at the name.
fn call(name: &Name, flag: &CancelFlag) -> Result<(Channel, Peer), Error> {
    /// A queue of thousands is full: nobody tells when there is room in it.
    const CALL_AGAIN: Duration = Duration::from_millis(20);
    loop {
        if let Some((socket, peer)) = name.connect()? {
            return Ok((Channel::new(socket, true), peer));
        }
        wait_readable(&[], Some(Instant::now() + CALL_AGAIN), Some(flag))?;
        if flag.is_cancelled() {
            return Err(Error::timed_out("the listener had room for one more", None));
        }
    }
}

/// The other side, as long as there is no pipe.
struct Talk<'c> {
    channel: &'c mut Channel,
    listener: Peer,
    flag: &'c CancelFlag,
}

impl Talk<'_> {
    fn next(&mut self) -> Result<(Message, Vec<u8>), Error> {
        loop {
            self.check_wanted()?;
            match self.channel.read()? {
                Read::Message(Message::Refused(why), _) => return Err(self.refused(why)),
                Read::Message(message, bytes) => return Ok((message, bytes)),
                Read::Over => return Err(self.lost()),
                Read::Nothing => {}
            }
            wait_readable(&[self.channel.socket().as_fd()], None, Some(self.flag))?;
        }
    }

    /// An error where nobody waits any more: what is not accepted by then is not begun.
    fn check_wanted(&self) -> Result<(), Error> {
        if self.flag.is_cancelled() {
            return Err(Error::timed_out("the listener accepted", None));
        }
        Ok(())
    }

    fn lost(&self) -> Error {
        let what = "went away, or dropped its listener, before it had accepted";
        Error::new(Reason::NotAccepted { what, process: self.listener.process })
    }

    fn refused(&self, why: Refusal) -> Error {
        let process = self.listener.process;
        let denied = |what: &str| Error::new(Reason::Denied { what: what.to_owned(), process });
        let gave_up = |what| Error::new(Reason::NotAccepted { what, process });
        match why {
            Refusal::User => denied("the listener takes only processes of its own user"),
            Refusal::Key => denied("the listener has another key"),
            Refusal::Slow => gave_up("gave this side up: it was too slow"),
            Refusal::Trouble => gave_up("could not make a pipe"),
        }
    }
}
