//! A program of several processes: the parent makes a roster and a board of words, children inherit both.

use std::os::fd::{AsRawFd as _, BorrowedFd, OwnedFd};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};
use sk_share::memory::{Kind, Member, Region, Roster, Wait, Woken, wake_all};

pub(crate) const CHILD: &str = "SK_SHARE_TEST_CHILD";
pub(crate) const ARGUMENT: &str = "SK_SHARE_TEST_ARGUMENT";
const DESCRIPTORS: &str = "SK_SHARE_TEST_DESCRIPTORS";
pub(crate) const KIND: Kind = Kind::new(900);

/// Whatever takes longer hangs.
pub(crate) const WATCHDOG: Duration = Duration::from_secs(60);

/// Words that parent and children agree on, each on a cache line of its own.
#[derive(Clone, Copy)]
pub(crate) enum At {
    Ready,
    Go,
    Done,
    Failed,
    Turn,
    Acknowledged,
    Round,
    Never,
    Values,
}

/// One process of the program.
pub(crate) struct Program {
    pub(crate) roster: Roster,
    pub(crate) board: Region,
}

pub(crate) type Tried<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

impl Program {
    pub(crate) fn new() -> Tried<Program> {
        let roster = Roster::create()?;
        let board = Region::create(KIND, 64 << 20, Some(roster.id()))?;
        board.grow(1 << 16)?;
        Ok(Program { roster, board })
    }

    /// In a child: what it inherited.
    pub(crate) fn inherited() -> Tried<Program> {
        let text = std::env::var(DESCRIPTORS)?;
        let (roster, board) = text.split_once(',').ok_or("two descriptors")?;
        let board = Region::from_inherited(board.parse()?, KIND)?;
        Ok(Program { roster: Roster::from_inherited(roster.parse()?)?, board })
    }

    pub(crate) fn word(&self, at: At) -> &AtomicU32 {
        self.board.word32(4096 + 64 * at as u64).unwrap()
    }

    pub(crate) fn value(&self, index: usize) -> &AtomicU64 {
        self.board.word64(4096 + 64 * At::Values as u64 + 8 * index as u64).unwrap()
    }

    pub(crate) fn get(&self, at: At) -> u32 {
        self.word(at).load(Ordering::Acquire)
    }

    pub(crate) fn add(&self, at: At) {
        self.word(at).fetch_add(1, Ordering::Release);
        wake_all(self.word(at));
    }

    /// Waits until the word is at least this, and fails when that takes too long.
    pub(crate) fn until(&self, at: At, least: u32) -> Tried<()> {
        let deadline = Some(Instant::now() + WATCHDOG);
        loop {
            let deaths = self.roster.deaths();
            let value = self.get(at);
            if value >= least {
                return Ok(());
            }
            let word = self.word(at);
            let wait = Wait { word, expected: value, deaths, owner: None, deadline };
            if self.roster.wait(&wait)? == Woken::TimedOut {
                return Err(format!("{value} of {least} after {WATCHDOG:?}").into());
            }
        }
    }

    /// Waits until all of these are dead, woken by nothing but their deaths.
    pub(crate) fn until_dead(&self, members: &[Member]) -> Tried<()> {
        let deadline = Some(Instant::now() + WATCHDOG);
        loop {
            let deaths = self.roster.deaths();
            let mut are_dead = true;
            for member in members {
                are_dead &= self.roster.is_member_dead(*member)?;
            }
            if are_dead {
                return Ok(());
            }
            let word = self.word(At::Never);
            let wait = Wait { word, expected: 0, deaths, owner: None, deadline };
            match self.roster.wait(&wait)? {
                Woken::Death => {}
                // The life thread of another process has woken its own sleepers on this word.
                Woken::Changed if cfg!(sk_portable) => {}
                other => return Err(format!("{other:?} in place of a death").into()),
            }
        }
    }

    pub(crate) fn member_rows(&self) -> Tried<Vec<usize>> {
        Ok(self.roster.members()?.into_iter().map(Member::row).collect())
    }

    pub(crate) fn spawn(&self, role: &str) -> Tried<Kid> {
        self.spawn_with(role, "", None)
    }

    /// A child in this role; `fault` names the step at which it is to die.
    pub(crate) fn spawn_with(&self, role: &str, argument: &str, fault: Option<&str>) -> Tried<Kid> {
        // Duplicates that survive exec, for as long as it takes.
        let roster = inheritable(self.roster.as_fd())?;
        let board = inheritable(self.board.as_fd())?;
        let mut command = Command::new("/proc/self/exe");
        command
            .env(CHILD, role)
            .env(ARGUMENT, argument)
            .env(DESCRIPTORS, format!("{},{}", roster.as_raw_fd(), board.as_raw_fd()))
            .env_remove("SK_FAULT")
            .stdin(Stdio::null());
        if let Some(fault) = fault {
            command.env("SK_FAULT", fault);
        }
        Ok(Kid { child: command.spawn()? })
    }

    /// A child that has joined and waits for its end, and which member it is.
    pub(crate) fn member(&self, index: usize, argument: &str) -> Tried<(Kid, Member)> {
        self.value(index).store(0, Ordering::Relaxed);
        let ready = self.get(At::Ready);
        let kid = self.spawn_with("member", &format!("{index} {argument}"), None)?;
        self.until(At::Ready, ready + 1)?;
        let bits = self.value(index).load(Ordering::Acquire);
        Ok((kid, Member::from_bits(bits).ok_or("no member")?))
    }
}

fn inheritable(file: BorrowedFd<'_>) -> Tried<OwnedFd> {
    let file = rustix::io::dup(file)?;
    rustix::io::fcntl_setfd(&file, rustix::io::FdFlags::empty())?;
    Ok(file)
}

/// A child process, which is gone when this is.
pub(crate) struct Kid {
    child: Child,
}

impl Kid {
    pub(crate) fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    pub(crate) fn signal(&self, signal: Signal) {
        rustix::process::kill_process(self.pid(), signal).unwrap();
    }

    pub(crate) fn kill(&self) {
        self.signal(Signal::KILL);
    }

    /// How it ended; it has a watchdog of its own.
    pub(crate) fn ended(mut self) -> Tried<ExitStatus> {
        Ok(self.child.wait()?)
    }

    pub(crate) fn was_killed(self) -> Tried<()> {
        let status = self.ended()?;
        if status.signal() == Some(9) { Ok(()) } else { Err(format!("it {status}").into()) }
    }

    pub(crate) fn succeeded(self) -> Tried<()> {
        let status = self.ended()?;
        if status.success() { Ok(()) } else { Err(format!("it {status}").into()) }
    }

    /// Returns once its first thread sleeps.
    pub(crate) fn until_asleep(&self) -> Tried<()> {
        let path = format!("/proc/{}/stat", self.pid().as_raw_nonzero());
        let end = Instant::now() + WATCHDOG;
        loop {
            let stat = std::fs::read_to_string(&path)?;
            let state = stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().next());
            if state == Some("S") {
                return Ok(());
            }
            if Instant::now() > end {
                return Err("it does not fall asleep".into());
            }
            std::thread::yield_now();
        }
    }
}

impl Drop for Kid {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
