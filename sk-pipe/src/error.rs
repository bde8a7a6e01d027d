//! What goes wrong with a pipe.

use std::error::Error as StdError;
use std::time::Duration;
use std::{fmt, io};

use sk_cereal::Session;
use sk_function::Unfinished;

/// Why something with a pipe did not work. One word wide.
///
/// Callers ask questions of it (`is_…`); the text names the offending value and the limit.
///
/// ```
/// let (mut anchor, point) = sk_pipe::pair::<u32, u32>()?;
/// drop(point);
/// let error = anchor.recv().wait().unwrap_err();
/// assert!(error.is_closed());
/// assert_eq!(error.to_string(), "the point was dropped before it was used");
/// # Ok::<(), sk_pipe::Error>(())
/// ```
pub struct Error(Box<Reason>);

#[derive(Debug)]
pub(crate) enum Reason {
    /// The other end, or this one, was closed.
    Closed {
        what: &'static str,
    },
    /// The process of the other end is dead.
    Disconnected {
        process: Option<u32>,
    },
    /// It is dead, and another life follows.
    Restarting {
        process: Option<u32>,
    },
    /// The limit that passed, where it is known.
    TimedOut {
        what: &'static str,
        limit: Option<Duration>,
    },
    /// There is no room, and the pipe is one that does not wait for it.
    NoRoom {
        bytes: u64,
        capacity: u64,
    },
    /// Nor is there for what goes beside a message: so many of all its descriptors went.
    NoRoomBeside {
        sent: u64,
        all: u64,
    },
    TooLong {
        bytes: u64,
        limit: u64,
    },
    /// A buffer that a message does not fit into.
    SmallBuffer {
        bytes: u64,
        limit: u64,
    },
    /// Something that this end cannot do.
    Endpoint {
        what: &'static str,
    },
    /// Another process has the end.
    Held {
        process: Option<u32>,
    },
    OtherType {
        found: String,
        expected: String,
    },
    Capacity {
        asked: u64,
        least: u64,
        most: u64,
    },
    /// What both sides of a handshake send and receive: this one, and the other one.
    OtherTypes {
        names: [String; 4],
    },
    BadName {
        name: String,
        what: &'static str,
    },
    LongName {
        name: String,
        length: u64,
        limit: u64,
    },
    /// Another listener has the name.
    NameInUse {
        name: String,
    },
    /// Nobody listens at the name.
    NameNotFound {
        name: String,
    },
    /// Something with a name that the system refused.
    Name {
        what: &'static str,
        name: String,
        source: io::Error,
    },
    /// One side of a handshake does not take the other.
    Denied {
        what: String,
        process: Option<u32>,
    },
    /// No message that is kept ends there.
    Position {
        asked: u64,
        least: u64,
        most: u64,
    },
    /// What came is no handshake of ours.
    Foreign {
        what: &'static str,
        found: u64,
    },
    OtherVersion {
        found: u32,
        expected: u32,
    },
    /// The listener went away, or gave this side up, in the middle of a handshake.
    NotAccepted {
        what: &'static str,
        process: Option<u32>,
    },
    /// The handle was made by the process that this one is a copy of.
    Copied,
    /// An end arrived without its socket.
    NoSocket,
    DamagedFrame {
        position: u64,
        found: u64,
    },
    DamagedRing {
        head: u64,
        tail: u64,
        capacity: u64,
    },
    Damaged {
        what: &'static str,
        found: u64,
    },
    Share(sk_share::Error),
    Codec(sk_cereal::Error),
    Unfinished(Unfinished),
    System {
        what: &'static str,
        value: u64,
        source: io::Error,
    },
}

impl Error {
    #[cold]
    pub(crate) fn new(reason: Reason) -> Error {
        Error(Box::new(reason))
    }

    #[cold]
    pub(crate) fn too_long(bytes: u64, limit: u64) -> Error {
        Error::new(Reason::TooLong { bytes, limit })
    }

    #[cold]
    pub(crate) fn timed_out(what: &'static str, limit: Option<Duration>) -> Error {
        Error::new(Reason::TimedOut { what, limit })
    }

    #[cold]
    pub(crate) fn endpoint(what: &'static str) -> Error {
        Error::new(Reason::Endpoint { what })
    }

    #[cold]
    pub(crate) fn foreign(what: &'static str, found: u64) -> Error {
        Error::new(Reason::Foreign { what, found })
    }

    #[cold]
    pub(crate) fn damaged(what: &'static str, found: u64) -> Error {
        Error::new(Reason::Damaged { what, found })
    }

    #[cold]
    pub(crate) fn system(what: &'static str, value: u64, source: impl Into<io::Error>) -> Error {
        Error::new(Reason::System { what, value, source: source.into() })
    }

    /// True when the other end was closed or dropped in order, and all that it had sent was read; or when this one was.
    pub fn is_closed(&self) -> bool {
        matches!(*self.0, Reason::Closed { .. })
    }

    /// True when the process of the other end died, and all that it had sent was read; or when a listener went away in
    /// the middle of a handshake.
    pub fn is_disconnected(&self) -> bool {
        matches!(*self.0, Reason::Disconnected { .. } | Reason::NotAccepted { .. })
    }

    /// True when the process of the other end died and whoever supervises it will start another one, which goes on with
    /// what was not read. Told once for each death.
    pub fn is_restarting(&self) -> bool {
        matches!(*self.0, Reason::Restarting { .. })
    }

    /// The process of the other end, where it died, has the end, or was denied or denies.
    pub fn process(&self) -> Option<u32> {
        match *self.0 {
            Reason::Disconnected { process }
            | Reason::Restarting { process }
            | Reason::Held { process }
            | Reason::Denied { process, .. }
            | Reason::NotAccepted { process, .. } => process,
            _ => None,
        }
    }

    /// The error behind what a codec says, of an encoding or decoding in this session.
    #[cold]
    pub(crate) fn of_session(session: &Session, error: sk_cereal::Error) -> Error {
        session.take::<Refused>().0.unwrap_or_else(|| error.into())
    }

    /// True when the deadline passed before what was waited for came.
    pub fn is_timeout(&self) -> bool {
        matches!(*self.0, Reason::TimedOut { .. })
    }

    /// True when there is no room in a pipe that does not wait for it.
    pub fn is_full(&self) -> bool {
        matches!(*self.0, Reason::NoRoom { .. } | Reason::NoRoomBeside { .. })
    }

    /// Whether there is nothing to be received after it.
    pub(crate) fn ends_receiving(&self) -> bool {
        !(self.is_codec() || self.is_restarting())
    }

    /// True when this end cannot do what was asked: to travel while it is locked, to be used after it was given away, to
    /// be attached while another process has it. The documents call it `PipeEndpointError`.
    pub fn is_endpoint(&self) -> bool {
        matches!(*self.0, Reason::Endpoint { .. } | Reason::Held { .. })
    }

    /// True when the other end is of other types.
    pub fn is_other_type(&self) -> bool {
        matches!(*self.0, Reason::OtherType { .. } | Reason::OtherTypes { .. })
    }

    /// True when one side of a handshake does not take the other: it is of another user, or has another key or none.
    pub fn is_denied(&self) -> bool {
        matches!(*self.0, Reason::Denied { .. })
    }

    /// True when another listener has the name.
    pub fn is_name_in_use(&self) -> bool {
        matches!(*self.0, Reason::NameInUse { .. })
    }

    /// True when nobody listens at the name.
    pub fn is_not_found(&self) -> bool {
        matches!(*self.0, Reason::NameNotFound { .. })
    }

    /// True when what was given as a name can be none.
    pub fn is_bad_name(&self) -> bool {
        matches!(*self.0, Reason::BadName { .. } | Reason::LongName { .. })
    }

    /// True when what was found at a name, or came to a listener, is no handshake of this version of pipes.
    pub fn is_foreign(&self) -> bool {
        matches!(*self.0, Reason::Foreign { .. } | Reason::OtherVersion { .. })
    }

    /// True when a message could not be encoded, or its bytes not be decoded. It was not sent; or it is gone.
    pub fn is_codec(&self) -> bool {
        matches!(*self.0, Reason::Codec(_))
    }

    /// True when a limit was met: of a message, of a buffer, of the ring, of memory, of descriptors, of threads, of
    /// members.
    pub fn is_limit(&self) -> bool {
        match &*self.0 {
            Reason::TooLong { .. }
            | Reason::SmallBuffer { .. }
            | Reason::Capacity { .. }
            | Reason::LongName { .. } => true,
            Reason::Share(error) => error.is_limit(),
            Reason::System { source, .. } | Reason::Name { source, .. } => {
                source.kind() == io::ErrorKind::OutOfMemory
                    || rustix::io::Errno::from_io_error(source).is_some_and(|errno| {
                        use rustix::io::Errno;
                        [Errno::MFILE, Errno::NFILE, Errno::TOOMANYREFS, Errno::AGAIN, Errno::NOSPC]
                            .contains(&errno)
                    })
            }
            _ => false,
        }
    }

    /// True when the memory of the pipe holds what no process of ours can have written.
    pub fn is_damaged(&self) -> bool {
        match &*self.0 {
            Reason::DamagedFrame { .. } | Reason::DamagedRing { .. } | Reason::Damaged { .. } => {
                true
            }
            Reason::Share(error) => error.is_damaged() || error.is_outside(),
            _ => false,
        }
    }

    /// True when the handle belongs to the process of which this one is a copy made by `fork`.
    pub fn is_copied(&self) -> bool {
        match &*self.0 {
            Reason::Copied => true,
            Reason::Share(error) => error.is_copied(),
            _ => false,
        }
    }
}

/// Why an end could not be encoded or decoded, of which a codec keeps the text only: a table of its session.
#[derive(Default)]
pub(crate) struct Refused(pub(crate) Option<Error>);

impl From<sk_share::Error> for Error {
    #[cold]
    fn from(error: sk_share::Error) -> Error {
        Error::new(Reason::Share(error))
    }
}

impl From<sk_cereal::Error> for Error {
    #[cold]
    fn from(error: sk_cereal::Error) -> Error {
        Error::new(Reason::Codec(error))
    }
}

impl From<Unfinished> for Error {
    #[cold]
    fn from(why: Unfinished) -> Error {
        match why {
            Unfinished::TimedOut(limit) => Error::timed_out("what was waited for", Some(limit)),
            why => Error::new(Reason::Unfinished(why)),
        }
    }
}

/// "process 7", or what else there is to say.
struct Process(Option<u32>);

impl fmt::Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(process) => write!(f, "process {process}"),
            None => f.write_str("the process"),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.0 {
            Reason::Closed { what } => f.write_str(what),
            Reason::Disconnected { process } => {
                write!(f, "disconnected: {} of the other end died", Process(*process))
            }
            Reason::Restarting { process } => {
                write!(f, "{} of the other end died, and another one follows", Process(*process))
            }
            Reason::TimedOut { what, limit: Some(limit) } => {
                write!(f, "the deadline passed, {limit:?}, before {what}")
            }
            Reason::TimedOut { what, limit: None } => {
                write!(f, "the deadline passed before {what}")
            }
            Reason::NoRoom { bytes, capacity } => write!(
                f,
                "no room for a message of {bytes} bytes: the pipe holds {capacity} bytes, and they are not read"
            ),
            Reason::NoRoomBeside { sent, all } => write!(
                f,
                "no room for what goes beside a message: {sent} of its {all} descriptors went, and the socket is full \
                 of others that are not read"
            ),
            Reason::TooLong { bytes, limit } => {
                write!(f, "a message of {bytes} bytes is too long: the limit is {limit}")
            }
            Reason::SmallBuffer { bytes, limit } => {
                write!(f, "the message has {bytes} bytes and the buffer {limit}")
            }
            Reason::Endpoint { what } => f.write_str(what),
            Reason::Held { process } => {
                write!(f, "the point is attached: {} has it, and lives", Process(*process))
            }
            Reason::OtherType { found, expected } => {
                write!(f, "the pipe is of {found} and not of {expected}")
            }
            Reason::Capacity { asked, least, most } => {
                write!(f, "{asked} is no capacity of a pipe: it is a power of two from {least} to {most} bytes")
            }
            Reason::OtherTypes { names: [sends, receives, there, back] } => write!(
                f,
                "this side sends {sends} and receives {receives}, and the other one sends {there} and receives {back}"
            ),
            Reason::BadName { name, what } => write!(f, "{name} is no name to listen at: {what}"),
            Reason::LongName { name, length, limit } => {
                write!(f, "the name {name} has {length} bytes, and the limit is {limit}")
            }
            Reason::NameInUse { name } => write!(f, "the name {name} is in use: a listener has it"),
            Reason::NameNotFound { name } => write!(f, "nobody listens at the name {name}"),
            Reason::Name { what, name, source } => write!(f, "{what} {name}: {source}"),
            Reason::Denied { what, .. } => f.write_str(what),
            Reason::Position { asked, least, most } => write!(
                f,
                "no message ends at position {asked}: those that are kept lie from {least} to {most}"
            ),
            Reason::Foreign { what, found } => {
                write!(f, "what came is no handshake of a pipe: {what} ({found:#x})")
            }
            Reason::OtherVersion { found, expected } => write!(
                f,
                "the other side has version {found} of the handshake and this one version {expected}"
            ),
            Reason::NotAccepted { what, process } => {
                write!(f, "{} that listens {what}", Process(*process))
            }
            Reason::Copied => {
                f.write_str("the pipe belongs to the process that this one was forked from")
            }
            Reason::NoSocket => f.write_str(
                "the point arrived without its socket: its descriptor has to travel beside the bytes",
            ),
            Reason::DamagedFrame { position, found } => {
                write!(f, "the pipe is damaged: at position {position} is {found:#x} and no frame")
            }
            Reason::DamagedRing { head, tail, capacity } => write!(
                f,
                "the pipe is damaged: it was read to {head} and written to {tail}, of {capacity} bytes"
            ),
            Reason::Damaged { what, found } => write!(f, "the pipe is damaged: {what} is {found:#x}"),
            Reason::Share(error) => error.fmt(f),
            Reason::Codec(error) => error.fmt(f),
            Reason::Unfinished(why) => why.fmt(f),
            Reason::System { what, value, source } => write!(f, "{what} ({value}): {source}"),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match &*self.0 {
            Reason::System { source, .. } | Reason::Name { source, .. } => Some(source),
            Reason::Codec(source) => source.source(),
            Reason::Share(source) => source.source(),
            _ => None,
        }
    }
}
