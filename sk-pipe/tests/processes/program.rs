//! Starting children that inherit pipes.

use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal};
use serde::Serialize;
use sk_pipe::share::inherit::{self, Passed};

pub(crate) const ROLE: &str = "SK_PIPE_TEST_ROLE";

/// Whatever takes longer hangs.
pub(crate) const WATCHDOG: Duration = Duration::from_secs(60);

/// Long enough for another process to come to a wait; where it does not, the test sees less.
pub(crate) const SOON: Duration = Duration::from_millis(30);

pub(crate) type Tried<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// A child in this role, which gets this value.
pub(crate) fn spawn<T: Serialize>(role: &str, value: &T) -> Tried<Kid> {
    Lives::of(role, value)?.next()
}

/// One child after the other that get the same value.
pub(crate) struct Lives {
    pub(crate) command: Command,
    _passed: Passed,
}

impl Lives {
    pub(crate) fn of<T: Serialize>(role: &str, value: &T) -> Tried<Lives> {
        let mut command = Command::new("/proc/self/exe");
        command.env(ROLE, role).stdin(Stdio::null());
        let passed = inherit::pass(&mut command, value)?;
        Ok(Lives { command, _passed: passed })
    }

    pub(crate) fn next(&mut self) -> Tried<Kid> {
        Ok(Kid { child: self.command.spawn()? })
    }
}

/// A child process, which is gone when this is.
#[derive(Debug)]
pub(crate) struct Kid {
    child: Child,
}

impl Kid {
    pub(crate) fn process(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        // One that has ended already is not reaped before this is dropped, so its number is its own.
        let _ = rustix::process::kill_process(Pid::from_child(&self.child), signal);
    }

    /// How it ended; it has a watchdog of its own.
    pub(crate) fn ended(mut self) -> Tried<ExitStatus> {
        Ok(self.child.wait()?)
    }

    pub(crate) fn kill(self) -> Tried<()> {
        self.signal(Signal::KILL);
        self.was_killed()
    }

    pub(crate) fn was_killed(self) -> Tried<()> {
        let status = self.ended()?;
        if status.signal() == Some(9) { Ok(()) } else { Err(format!("it {status}").into()) }
    }

    pub(crate) fn succeeded(self) -> Tried<()> {
        let status = self.ended()?;
        if status.success() { Ok(()) } else { Err(format!("it {status}").into()) }
    }
}

impl Drop for Kid {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
