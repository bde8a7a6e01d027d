//! A command that can be shown as text to repeat, and that runs under a watchdog.
//!
//! Each command leads a process group of its own, so that everything it starts can be ended with it:
//! when its time is over, and when xtask itself is interrupted.

use std::fmt::{self, Display, Formatter};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context;
use rustix::process::{Pid, PidfdFlags, Signal};

use crate::process;
use crate::workspace::Workspace;

/// How long output is still read after a command has ended: something it left behind may hold the
/// pipe open for ever, and naming that is the work of `leftovers`.
const DRAIN: Duration = Duration::from_secs(2);

/// What a shell reports for a program that an interrupt has ended.
const INTERRUPTED: i32 = 130;

/// The leader of the process group that runs at the moment.
static RUNNING: Mutex<Option<Pid>> = Mutex::new(None);

/// One command, always run from the workspace root or a folder below it.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    root: PathBuf,
    folder: PathBuf,
    environment: Vec<(String, String)>,
    words: Vec<String>,
}

/// What a command did.
pub(crate) struct Finished {
    /// Standard output and standard error as they came.
    pub(crate) output: String,
    pub(crate) ending: Ending,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    Exited(ExitStatus),
    /// It was killed after this time, and its process group with it.
    OutOfTime(Duration),
}

impl Line {
    /// A command of these words, run from the root.
    pub(crate) fn new<W: Into<String>>(
        workspace: &Workspace,
        words: impl IntoIterator<Item = W>,
    ) -> Line {
        Line {
            root: workspace.root.clone(),
            folder: workspace.root.clone(),
            environment: Vec::new(),
            words: words.into_iter().map(Into::into).collect(),
        }
    }

    /// The same command from another folder.
    pub(crate) fn in_folder(mut self, folder: &Path) -> Line {
        self.folder = folder.to_path_buf();
        self
    }

    pub(crate) fn environment(mut self, name: &str, value: impl Into<String>) -> Line {
        self.environment.push((name.to_owned(), value.into()));
        self
    }

    pub(crate) fn words<W: Into<String>>(mut self, words: impl IntoIterator<Item = W>) -> Line {
        self.words.extend(words.into_iter().map(Into::into));
        self
    }

    /// Runs it to its end, or kills it and all that it started when `limit` is over.
    pub(crate) fn run(&self, limit: Duration) -> anyhow::Result<Finished> {
        let (reader, writer) = std::io::pipe().context("cannot make a pipe for a command")?;
        let (group, child) = Group::start(self.command(&writer)?, self)?;
        drop(writer);

        let (events, inbox) = mpsc::channel();
        pass_on_output(reader, events.clone());
        pass_on_end(child, events);

        let mut output = Vec::new();
        let mut exited = None;
        let mut out_of_time = false;
        let mut is_closed = false;
        let mut deadline = Instant::now() + limit;
        while !is_closed || exited.is_none() {
            match inbox.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(Event::Output(bytes)) => output.extend(bytes),
                Ok(Event::Closed) => is_closed = true,
                Ok(Event::Exited(status)) => {
                    exited = Some(status?);
                    deadline = Instant::now() + DRAIN;
                }
                Err(RecvTimeoutError::Timeout) if exited.is_none() && !out_of_time => {
                    out_of_time = true;
                    group.kill();
                    deadline = Instant::now() + DRAIN;
                }
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => break,
            }
        }
        let ending = match exited {
            Some(status) if !out_of_time => Ending::Exited(status),
            _ => Ending::OutOfTime(limit),
        };
        Ok(Finished { output: String::from_utf8_lossy(&output).into_owned(), ending })
    }

    fn command(&self, output: &std::io::PipeWriter) -> anyhow::Result<Command> {
        use std::os::unix::process::CommandExt;

        let (program, arguments) = self.words.split_first().context("a command without words")?;
        let share = || output.try_clone().context("cannot share the pipe of a command");
        let mut command = Command::new(program);
        command
            .args(arguments)
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .current_dir(&self.folder)
            .stdin(Stdio::null())
            .stdout(share()?)
            .stderr(share()?)
            .process_group(0);
        Ok(command)
    }
}

impl Finished {
    pub(crate) fn is_success(&self) -> bool {
        matches!(self.ending, Ending::Exited(status) if status.success())
    }
}

/// The text can be pasted into a shell at the workspace root.
impl Display for Line {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        let shorten = |text: &str| match text.strip_prefix(&format!("{}/", self.root.display())) {
            Some(rest) if self.folder == self.root => rest.to_owned(),
            _ => text.to_owned(),
        };
        let mut parts = Vec::new();
        for (name, value) in &self.environment {
            parts.push(format!("{name}={}", quoted(&shorten(value))));
        }
        parts.extend(self.words.iter().map(|word| quoted(&shorten(word))));
        let text = parts.join(" ");
        match self.folder.strip_prefix(&self.root) {
            Ok(folder) if folder.as_os_str().is_empty() => formatter.write_str(&text),
            Ok(folder) => write!(formatter, "(cd {} && {text})", folder.display()),
            Err(_) => write!(formatter, "(cd {} && {text})", self.folder.display()),
        }
    }
}

impl Display for Ending {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Ending::Exited(status) => write!(formatter, "ended with {status}"),
            Ending::OutOfTime(limit) => write!(
                formatter,
                "was not done after {} s and was killed with all it had started",
                limit.as_secs()
            ),
        }
    }
}

/// Sees to it that a terminal's interrupt, a termination or a hang-up of xtask also ends the process
/// group of the command that runs: being a group of its own, it would not hear of it.
pub(crate) fn end_with_us() -> anyhow::Result<()> {
    ctrlc::set_handler(|| {
        // Held to the end: whoever waits for the killed command stays there and cannot report it.
        let running = running();
        if let Some(leader) = *running {
            kill_family(leader);
        }
        std::process::exit(INTERRUPTED);
    })
    .context("cannot handle interrupts")
}

/// A started command, known to the interrupt handler until it is dropped.
struct Group {
    leader: Pid,
}

enum Event {
    Output(Vec<u8>),
    Closed,
    Exited(anyhow::Result<ExitStatus>),
}

impl Group {
    /// Takes the command by value: it holds writing ends of the pipe, and as long as one of them is
    /// open here the reader would not see the end.
    fn start(mut command: Command, line: &Line) -> anyhow::Result<(Group, Child)> {
        let mut running = running();
        let child = command.spawn().with_context(|| format!("cannot start `{line}`"))?;
        let leader = Pid::from_child(&child);
        *running = Some(leader);
        Ok((Group { leader }, child))
    }

    fn kill(&self) {
        kill_family(self.leader);
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        *running() = None;
    }
}

/// Kills the group of the leader and every process that descends from it, since tests of process
/// supervision put their children into groups of their own. A process named by a pidfd cannot be
/// mistaken for one that took over its pid.
fn kill_family(leader: Pid) {
    let family: Vec<_> = process::family_of(leader.as_raw_nonzero().get(), &process::all())
        .iter()
        .filter_map(|process| Pid::from_raw(process.pid))
        .filter_map(|pid| rustix::process::pidfd_open(pid, PidfdFlags::empty()).ok())
        .collect();
    // What cannot be signalled is gone already, which is all that is wanted.
    let _ = rustix::process::kill_process_group(leader, Signal::KILL);
    for member in family {
        let _ = rustix::process::pidfd_send_signal(&member, Signal::KILL);
    }
}

fn pass_on_output(mut reader: impl Read + Send + 'static, events: Sender<Event>) {
    thread::spawn(move || {
        let mut buffer = vec![0; 1 << 16];
        // A failing send means that nobody reads any more, a failing read that nobody writes.
        while let Ok(count @ 1..) = reader.read(&mut buffer) {
            if events.send(Event::Output(buffer[..count].to_vec())).is_err() {
                return;
            }
        }
        let _ = events.send(Event::Closed);
    });
}

fn pass_on_end(mut child: Child, events: Sender<Event>) {
    thread::spawn(move || {
        let status = child.wait().context("cannot wait for a command");
        let _ = events.send(Event::Exited(status));
    });
}

/// The value is one word that is whole whatever panicked while holding it.
fn running() -> MutexGuard<'static, Option<Pid>> {
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner)
}

fn quoted(word: &str) -> String {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "-_=./:,@%+".contains(letter);
    if !word.is_empty() && word.chars().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    fn workspace() -> Workspace {
        Workspace {
            root: std::env::temp_dir(),
            target: std::env::temp_dir().join("target"),
            members: Vec::new(),
        }
    }

    fn shell(script: &str) -> Line {
        Line::new(&workspace(), ["sh", "-c", script])
    }

    fn is_alive(pid: i32) -> bool {
        process::all().iter().any(|process| process.pid == pid && !process.is_zombie)
    }

    #[test]
    fn both_streams_come_in_their_order() {
        let finished = shell("echo one; echo two >&2; echo three; exit 3").run(LONG).unwrap();
        assert_eq!(finished.output, "one\ntwo\nthree\n");
        assert!(!finished.is_success());
        assert!(finished.ending.to_string().contains('3'), "{}", finished.ending);
    }

    /// The grandchild is in a session of its own, as the children of a supervisor may be.
    #[test]
    fn a_command_out_of_time_is_killed_with_all_it_started() {
        let limit = Duration::from_millis(500);
        let finished = shell("setsid sleep 600 & echo $!; wait").run(limit).unwrap();
        assert_eq!(finished.ending, Ending::OutOfTime(limit));
        let pid = finished.output.trim().parse().unwrap();
        let deadline = Instant::now() + LONG;
        while is_alive(pid) {
            assert!(Instant::now() < deadline, "{pid} still runs");
            thread::yield_now();
        }
    }

    #[test]
    fn what_a_command_leaves_behind_does_not_hold_it_up() {
        let finished = shell("sleep 600 & echo $!").run(LONG).unwrap();
        let pid = finished.output.trim().parse().unwrap();
        assert!(finished.is_success());
        assert!(is_alive(pid));
        let _ = rustix::process::kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL);
    }

    #[test]
    fn the_text_can_be_pasted_at_the_root() {
        let workspace = workspace();
        let target = workspace.target.join("loom").display().to_string();
        let line = Line::new(&workspace, ["cargo", "test"])
            .environment("RUSTFLAGS", "--cfg loom")
            .environment("CARGO_TARGET_DIR", target)
            .words(["it's"]);
        assert_eq!(
            line.to_string(),
            r"RUSTFLAGS='--cfg loom' CARGO_TARGET_DIR=target/loom cargo test 'it'\''s'"
        );
        let below = Line::new(&workspace, ["ls"]).in_folder(&workspace.root.join("sk-toy"));
        assert_eq!(below.to_string(), "(cd sk-toy && ls)");
    }

    #[test]
    fn a_missing_program_is_an_error_that_names_it() {
        let error = Line::new(&workspace(), ["no-such-program"]).run(LONG).err().unwrap();
        assert!(error.to_string().contains("no-such-program"), "{error}");
    }
}
