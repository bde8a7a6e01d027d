//! Names: checked, bound, and connected to.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, Permissions};
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use interprocess::ConnectWaitMode;
use interprocess::local_socket::traits::{Listener as _, StreamCommon as _};
use interprocess::local_socket::{
    ConnectOptions, GenericFilePath, GenericNamespaced, Listener as Socket,
    ListenerNonblockingMode, ListenerOptions, Name as SocketName, Stream, ToFsName as _,
    ToNsName as _,
};
use interprocess::os::unix::local_socket::ListenerOptionsExt as _;
use rustix::fs::{FlockOperation, Mode, OFlags};
use rustix::io::Errno;
use rustix::net::Shutdown;

use crate::error::{Error, Reason};

/// So many bytes of a name the system keeps in the address of a socket, beside one that is zero.
pub(super) const MOST: usize = if cfg!(target_os = "macos") { 103 } else { 107 };

/// A name that a socket can have: a path where there is a separator in it, else one in the namespace of the system.
#[derive(Debug, Clone)]
pub(super) struct Name(OsString);

impl Name {
    pub(super) fn new(name: &OsStr) -> Result<Name, Error> {
        let bytes = name.as_bytes();
        let wrong = |what| Err(Error::new(Reason::BadName { name: shown(name), what }));
        if bytes.is_empty() {
            return wrong("it is empty");
        }
        if bytes.contains(&0) {
            return wrong("there is a zero byte in it");
        }
        if bytes.len() > MOST {
            let (length, limit) = (bytes.len() as u64, MOST as u64);
            return Err(Error::new(Reason::LongName { name: shown(name), length, limit }));
        }
        Ok(Name(name.to_owned()))
    }

    fn path(&self) -> Option<&Path> {
        self.0.as_bytes().contains(&b'/').then(|| Path::new(&self.0))
    }

    fn of_socket(&self) -> io::Result<SocketName<'_>> {
        match self.path() {
            Some(path) => path.to_fs_name::<GenericFilePath>(),
            None => self.0.as_os_str().to_ns_name::<GenericNamespaced>(),
        }
    }

    pub(super) fn shown(&self) -> String {
        shown(&self.0)
    }

    fn failed(&self, what: &'static str, source: impl Into<io::Error>) -> Error {
        Error::new(Reason::Name { what, name: self.shown(), source: source.into() })
    }

    fn in_use(&self) -> Error {
        Error::new(Reason::NameInUse { name: self.shown() })
    }

    /// Connects; `None` where the listener lives and has no room for one more at the moment.
    pub(super) fn connect(&self) -> Result<Option<(OwnedFd, Peer)>, Error> {
        let connected = self.of_socket().and_then(|name| {
            let options = ConnectOptions::new().name(name).nonblocking_stream(true);
            options.wait_mode(ConnectWaitMode::Deferred).connect_sync()
        });
        let stream = connected.map_err(|error| match error.kind() {
            ErrorKind::NotFound | ErrorKind::ConnectionRefused => {
                Error::new(Reason::NameNotFound { name: self.shown() })
            }
            ErrorKind::PermissionDenied => {
                let what = format!("the socket file {} does not let this user in", self.shown());
                Error::new(Reason::Denied { what, process: None })
            }
            _ => self.failed("cannot connect to the name", error),
        })?;
        let peer = Peer::of(&stream)?;
        let socket = descriptor(stream);
        match rustix::net::getpeername(&socket) {
            Ok(_) => Ok(Some((socket, peer))),
            Err(Errno::NOTCONN) => Ok(None),
            Err(errno) => Err(self.failed("cannot connect to the name", errno)),
        }
    }

    /// Whether somebody listens there.
    fn is_alive(&self) -> Result<bool, Error> {
        match self.connect() {
            Ok(_) => Ok(true),
            Err(error) if error.is_not_found() => Ok(false),
            Err(error) => Err(error),
        }
    }
}

fn shown(name: &OsStr) -> String {
    const MOST_SHOWN: usize = 200;
    let text = name.to_string_lossy();
    let kept: String = text.chars().take(MOST_SHOWN).collect();
    if kept.len() < text.len() { format!("{kept:?}…") } else { format!("{kept:?}") }
}

fn descriptor(stream: Stream) -> OwnedFd {
    match stream {
        Stream::UdSocket(stream) => stream.into(),
    }
}

/// Who is at the other end of a socket, as the kernel says.
#[derive(Debug, Clone, Copy)]
pub(super) struct Peer {
    pub(super) process: Option<u32>,
    pub(super) user: Option<u32>,
}

impl Peer {
    /// Of one that is gone it may know nothing.
    fn of(stream: &Stream) -> Result<Peer, Error> {
        match stream.peer_creds() {
            Ok(found) => Ok(Peer {
                process: found.pid().and_then(|pid| u32::try_from(pid).ok()),
                user: found.euid(),
            }),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => {
                Ok(Peer { process: None, user: None })
            }
            Err(error) => Err(Error::system("cannot ask who is at the other end", 1, error)),
        }
    }

    pub(super) fn is_this_user(&self) -> bool {
        self.user == Some(rustix::process::geteuid().as_raw())
    }
}

/// So long a copy of a socket that listens no longer keeps a name: a child that is about to call `exec` has it, and
/// nobody tells when it is gone.
const LET_GO: Duration = Duration::from_secs(1);
const LOOK_AGAIN: Duration = Duration::from_millis(1);

/// A name that this process listens at.
pub(super) struct Bound {
    socket: Socket,
    process: u32,
    /// Where the name is a file. It is removed after the socket is closed.
    _file: Option<SocketFile>,
}

impl Bound {
    pub(super) fn new(name: &Name, any_user: bool) -> Result<Bound, Error> {
        let mut file = name.path().map(|path| SocketFile::take(name, path)).transpose()?;
        let began = Instant::now();
        let socket = loop {
            let bound = name.of_socket().and_then(|of_socket| {
                let options = ListenerOptions::new().name(of_socket).reclaim_name(false);
                let options = options.nonblocking(ListenerNonblockingMode::Both);
                // Whoever may write to the file may connect.
                if file.is_some() { options.mode(0o600) } else { options }.create_sync()
            });
            match bound {
                Ok(socket) => break socket,
                Err(error) if error.kind() != ErrorKind::AddrInUse => {
                    return Err(name.failed("cannot listen at the name", error));
                }
                Err(_) if began.elapsed() > LET_GO || name.is_alive()? => return Err(name.in_use()),
                // Nobody tells when the last process has let go of it.
                Err(_) => std::thread::park_timeout(LOOK_AGAIN),
            }
        };
        if let Some(file) = &mut file {
            file.is_bound = true;
            if any_user {
                let opened = fs::set_permissions(&file.path, Permissions::from_mode(0o666));
                let what = "cannot open the socket file to all users";
                opened.map_err(|error| name.failed(what, error))?;
            }
        }
        Ok(Bound { socket, process: std::process::id(), _file: file })
    }

    /// The next one who connects; `None`: nobody waits.
    pub(super) fn accept(&self) -> Result<Option<(OwnedFd, Peer)>, Error> {
        loop {
            let stream = match self.socket.accept() {
                Ok(stream) => stream,
                Err(error) => match error.kind() {
                    ErrorKind::WouldBlock => return Ok(None),
                    // The one who connected is gone.
                    ErrorKind::ConnectionAborted | ErrorKind::Interrupted => continue,
                    _ => return Err(Error::system("cannot accept who connects", 1, error)),
                },
            };
            let peer = Peer::of(&stream)?;
            return Ok(Some((descriptor(stream), peer)));
        }
    }
}

impl Drop for Bound {
    fn drop(&mut self) {
        // A child that is about to call `exec` has a copy of the socket. Nobody is to wait in its queue. A copy made by
        // fork does not end what is not its own.
        if self.process == std::process::id() {
            let _ = rustix::net::shutdown(self.as_fd(), Shutdown::Both);
        }
    }
}

impl AsFd for Bound {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.socket {
            Socket::UdSocket(socket) => socket.as_fd(),
        }
    }
}

/// The right to the file of a socket: a lock on the file beside it, which the kernel ends with the process.
///
/// Only who has the lock makes or removes the socket file, so a stale one can be told from one that is just being
/// made. Only who has the lock removes the lock file too, so whoever got a lock looks whether the file is still there.
struct SocketFile {
    path: PathBuf,
    beside: PathBuf,
    process: u32,
    /// The file at the path is that of this process.
    is_bound: bool,
    lock: OwnedFd,
}

impl SocketFile {
    fn take(name: &Name, path: &Path) -> Result<SocketFile, Error> {
        let mut beside = path.as_os_str().to_owned();
        beside.push(".lock");
        let beside = PathBuf::from(beside);
        let lock = loop {
            let flags = OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW;
            let lock = rustix::fs::open(&beside, flags, Mode::RUSR | Mode::WUSR)
                .map_err(|errno| name.failed("cannot make the lock file of the name", errno))?;
            match rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => {}
                Err(Errno::WOULDBLOCK) => return Err(name.in_use()),
                Err(Errno::INTR) => continue,
                Err(errno) => return Err(name.failed("cannot lock the name", errno)),
            }
            let file = File::from(lock);
            let here = file.metadata().map(|it| (it.dev(), it.ino()));
            let there = fs::symlink_metadata(&beside).map(|it| (it.dev(), it.ino()));
            if matches!((here, there), (Ok(here), Ok(there)) if here == there) {
                break OwnedFd::from(file);
            }
        };
        let (path, process) = (path.to_owned(), std::process::id());
        let taken = SocketFile { path, beside, process, is_bound: false, lock };
        taken.clear(name)?;
        Ok(taken)
    }

    /// Removes what a dead listener has left.
    fn clear(&self, name: &Name) -> Result<(), Error> {
        match fs::symlink_metadata(&self.path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            Err(error) => Err(name.failed("cannot look at the file of the name", error)),
            Ok(found) if !found.file_type().is_socket() => {
                let source = io::Error::from(ErrorKind::AlreadyExists);
                Err(name.failed("there is a file that is no socket at the name", source))
            }
            // A listener of another program knows nothing of the lock.
            Ok(_) if name.is_alive()? => Err(name.in_use()),
            Ok(_) => match fs::remove_file(&self.path) {
                Ok(()) => Ok(()),
                Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
                Err(error) => Err(name.failed("cannot remove the stale socket file", error)),
            },
        }
    }
}

impl Drop for SocketFile {
    /// The lock is the last to go. A copy made by fork does not have the name.
    fn drop(&mut self) {
        if self.process == std::process::id() {
            // What cannot be removed is stale, which the next one takes over.
            if self.is_bound {
                let _ = fs::remove_file(&self.path);
            }
            let _ = fs::remove_file(&self.beside);
            // A child that is about to call `exec` has a copy of the descriptor.
            let _ = rustix::fs::flock(&self.lock, FlockOperation::Unlock);
        }
    }
}
