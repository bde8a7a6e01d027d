//! Starting children that inherit shares.

use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal};
use serde::Serialize;
use sk_share::inherit;

pub(crate) const ROLE: &str = "SK_SHARE_TEST_ROLE";

/// Whatever takes longer hangs.
pub(crate) const WATCHDOG: Duration = Duration::from_secs(60);

pub(crate) type Tried<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// A child in this role, which gets this value.
pub(crate) fn spawn<T: Serialize>(role: &str, value: &T) -> Tried<Kid> {
    start(role, value, &mut Command::new("/proc/self/exe"))
}

/// As [`spawn`], by a command that may say more.
pub(crate) fn start<T: Serialize>(role: &str, value: &T, command: &mut Command) -> Tried<Kid> {
    command.env(ROLE, role).stdin(Stdio::null());
    let passed = inherit::pass(command, value)?;
    let child = command.spawn()?;
    drop(passed);
    Ok(Kid { child })
}

/// A child process, which is gone when this is.
#[derive(Debug)]
pub(crate) struct Kid {
    child: Child,
}

impl Kid {
    pub(crate) fn signal(&self, signal: Signal) {
        // One that has ended already is not reaped before this is dropped, so its number is its own.
        let _ = rustix::process::kill_process(Pid::from_child(&self.child), signal);
    }

    /// How it ended; it has a watchdog of its own.
    pub(crate) fn ended(mut self) -> Tried<ExitStatus> {
        Ok(self.child.wait()?)
    }

    /// An error if it was not; the number that it had.
    pub(crate) fn was_killed(self) -> Tried<u32> {
        let process = self.child.id();
        let status = self.ended()?;
        if status.signal() == Some(9) { Ok(process) } else { Err(format!("it {status}").into()) }
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
