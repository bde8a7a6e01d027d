//! `cargo xtask leftovers`: after tests nothing of ours may remain: no process, no shared memory, no
//! socket, no temporary file.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use crate::flags::Leftovers;
use crate::gate::{Broken, Gate, Verdict, counted};
use crate::process::{self, Process};
use crate::workspace::{Member, Workspace};

/// What is just ending gets this long, looked at again after each `INTERVAL`: the kernel takes its
/// time to tear down a large process, and no event says that `/proc` has become empty.
const PATIENCE: Duration = Duration::from_secs(2);
const INTERVAL: Duration = Duration::from_millis(20);

/// How the names of our system objects begin.
const PREFIXES: [&str; 3] = ["sk-", "sk_", "suitkaise"];

const SHARED_MEMORY: &str = "/dev/shm";

impl Leftovers {
    pub(crate) fn run(&self, workspace: &Workspace) -> anyhow::Result<()> {
        let left = settle(|| {
            let found = Snapshot::take(workspace)?.things;
            Ok(found.into_iter().filter(Thing::is_ours).collect())
        })?;
        for thing in &left {
            println!("{}", thing.describe());
        }
        if left.is_empty() {
            println!("leftovers: none");
            Ok(())
        } else {
            bail!("{} of ours remain; end or remove them", counted(left.len(), "thing"))
        }
    }
}

/// The gate that compares with what there was before any test ran.
pub(crate) fn nothing_left<'w>(
    workspace: &'w Workspace,
    member: &'w Member,
    before: Snapshot,
) -> Gate<'w> {
    Gate::new("leftovers", Some(&member.name), move |_| {
        let repeat = "cargo xtask leftovers";
        let left = settle(|| Ok(Snapshot::take(workspace)?.since(&before)))
            .map_err(|error| Broken::with(repeat, &error))?;
        if left.is_empty() {
            return Ok(Verdict::Passed(String::new()));
        }
        let lines: Vec<String> = left.iter().map(Thing::describe).collect();
        Err(Broken {
            what: format!("the tests of this crate left {}", counted(left.len(), "thing")),
            repeat: repeat.to_owned(),
            read: None,
            output: lines.join("\n"),
        })
    })
}

/// What there is at one moment that tests could have left.
#[derive(Clone)]
pub(crate) struct Snapshot {
    things: BTreeSet<Thing>,
}

/// One thing that outlives the process that made it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Thing {
    Process { pid: i32, started: u64, command: String },
    Zombie { pid: i32, started: u64, parent: String },
    SharedMemory(String),
    TemporaryFile(String),
    AbstractSocket(String),
}

impl Snapshot {
    pub(crate) fn take(workspace: &Workspace) -> anyhow::Result<Snapshot> {
        let mut things = processes(workspace)?;
        things.extend(names_in(Path::new(SHARED_MEMORY)).into_iter().map(Thing::SharedMemory));
        things.extend(
            names_in(&std::env::temp_dir())
                .into_iter()
                .filter(|name| has_our_prefix(name))
                .map(Thing::TemporaryFile),
        );
        let sockets = fs::read_to_string("/proc/net/unix").unwrap_or_default();
        things.extend(abstract_sockets(&sockets).map(Thing::AbstractSocket));
        Ok(Snapshot { things })
    }

    /// What is here and was not there.
    fn since(self, before: &Snapshot) -> Vec<Thing> {
        self.things.difference(&before.things).cloned().collect()
    }
}

impl Thing {
    /// Everything but shared memory is ours by the way it was found. Another program may use shared
    /// memory too, so what has another name is only a leftover when it appeared during the tests.
    fn is_ours(&self) -> bool {
        match self {
            Thing::SharedMemory(name) => has_our_prefix(name.trim_start_matches("sem.")),
            _ => true,
        }
    }

    fn describe(&self) -> String {
        match self {
            Thing::Process { pid, command, .. } => format!("process {pid}: {command}"),
            Thing::Zombie { pid, parent, .. } => format!("zombie {pid}, not reaped by {parent}"),
            Thing::SharedMemory(name) => format!("shared memory {SHARED_MEMORY}/{name}"),
            Thing::TemporaryFile(name) => {
                format!("temporary file {}", std::env::temp_dir().join(name).display())
            }
            Thing::AbstractSocket(name) => format!("abstract socket {name}"),
        }
    }
}

/// Looks until nothing is left or patience is over.
fn settle(look: impl Fn() -> anyhow::Result<Vec<Thing>>) -> anyhow::Result<Vec<Thing>> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let left = look()?;
        if left.is_empty() || Instant::now() >= deadline {
            return Ok(left);
        }
        thread::sleep(INTERVAL);
    }
}

/// The processes whose executable was built by this workspace, and the zombies they have not reaped.
/// This program and its ancestors are none of them, nor is another run of it.
fn processes(workspace: &Workspace) -> anyhow::Result<BTreeSet<Thing>> {
    let all = process::all();
    let own = i32::try_from(std::process::id()).context("a pid that is no pid_t")?;
    let ancestors = process::ancestors_of(own, &all);
    let executable = std::env::current_exe().context("cannot tell which program this is")?;
    let is_ours = |process: &Process| {
        process.pid != own
            && !ancestors.contains(&process.pid)
            && process.executable.as_ref().is_some_and(|path| {
                *path != executable
                    && (path.starts_with(&workspace.target) || path.starts_with(&workspace.root))
            })
    };
    let ours = all.iter().filter(|process| is_ours(process)).map(|process| Thing::Process {
        pid: process.pid,
        started: process.started,
        command: process.command.clone(),
    });
    let parent_of = |zombie: &Process| {
        all.iter().find(|process| process.pid == zombie.parent && is_ours(process))
    };
    let zombies = all.iter().filter(|process| process.is_zombie).filter_map(|zombie| {
        let parent = parent_of(zombie)?;
        Some(Thing::Zombie {
            pid: zombie.pid,
            started: zombie.started,
            parent: format!("{} ({})", parent.pid, parent.command),
        })
    });
    Ok(ours.chain(zombies).collect())
}

/// A folder that does not exist holds nothing.
fn names_in(folder: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

/// The abstract names of ours in the text of `/proc/net/unix`, each with its `@`.
fn abstract_sockets(table: &str) -> impl Iterator<Item = String> {
    table
        .lines()
        .filter_map(|line| line.split_ascii_whitespace().nth(7))
        .filter(|name| name.strip_prefix('@').is_some_and(has_our_prefix))
        .map(str::to_owned)
}

fn has_our_prefix(name: &str) -> bool {
    PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_abstract_sockets_with_our_names_count() {
        let table = "Num RefCount Protocol Flags Type St Inode Path\n\
            0000: 00000002 00000000 00010000 0001 01 11 @sk-pipe-1\n\
            0000: 00000002 00000000 00010000 0001 01 12 /tmp/sk-file\n\
            0000: 00000002 00000000 00010000 0001 01 13 @other\n\
            0000: 00000002 00000000 00010000 0001 01 14\n";
        assert_eq!(abstract_sockets(table).collect::<Vec<_>>(), ["@sk-pipe-1"]);
    }

    #[test]
    fn only_what_is_new_is_left() {
        let snapshot = |names: &[&str]| Snapshot {
            things: names.iter().map(|name| Thing::SharedMemory((*name).to_owned())).collect(),
        };
        let left = snapshot(&["old", "new"]).since(&snapshot(&["old", "gone"]));
        assert_eq!(left, [Thing::SharedMemory("new".to_owned())]);
    }

    #[test]
    fn shared_memory_is_ours_by_its_name() {
        assert!(Thing::SharedMemory("sem.sk-lock".to_owned()).is_ours());
        assert!(Thing::SharedMemory("suitkaise-1".to_owned()).is_ours());
        assert!(!Thing::SharedMemory("pulse-shm-1".to_owned()).is_ours());
    }

    #[test]
    fn what_ends_in_time_is_not_left() {
        let looks = std::cell::Cell::new(0);
        let left = settle(|| {
            looks.set(looks.get() + 1);
            let is_there = looks.get() < 3;
            Ok(is_there.then(|| Thing::SharedMemory("brief".to_owned())).into_iter().collect())
        });
        assert!(left.unwrap().is_empty());
        assert_eq!(looks.get(), 3);
    }
}
