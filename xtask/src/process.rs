//! What `/proc` says about the processes of this machine.

use std::collections::HashMap;
use std::fs;
use std::path::PathBuf;

/// One process at the moment it was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Process {
    pub(crate) pid: i32,
    pub(crate) parent: i32,
    /// Clock ticks between boot and its start. With the pid it names a process for good.
    pub(crate) started: u64,
    pub(crate) is_zombie: bool,
    /// None for a zombie, a kernel thread, and a process of another user.
    pub(crate) executable: Option<PathBuf>,
    pub(crate) command: String,
}

/// Every process that `/proc` shows. One that ends meanwhile is left out.
pub(crate) fn all() -> Vec<Process> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter_map(look_at)
        .collect()
}

/// The process itself and what it has started, directly or not, as far as the parents still live.
pub(crate) fn family_of(pid: i32, processes: &[Process]) -> Vec<Process> {
    let mut family: Vec<Process> =
        processes.iter().filter(|process| process.pid == pid).cloned().collect();
    let mut next = 0;
    while let Some(parent) = family.get(next).map(|process| process.pid) {
        family.extend(processes.iter().filter(|process| process.parent == parent).cloned());
        next += 1;
    }
    family
}

/// The parent of the process, the parent of that, and so on.
pub(crate) fn ancestors_of(pid: i32, processes: &[Process]) -> Vec<i32> {
    let parents: HashMap<i32, i32> =
        processes.iter().map(|process| (process.pid, process.parent)).collect();
    std::iter::successors(parents.get(&pid).copied(), |pid| parents.get(pid).copied()).collect()
}

fn look_at(pid: i32) -> Option<Process> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (name, parent, started, is_zombie) = read_stat(&stat)?;
    let arguments = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let command = String::from_utf8_lossy(&arguments).replace('\0', " ").trim().to_owned();
    Some(Process {
        pid,
        parent,
        started,
        is_zombie,
        executable: fs::read_link(format!("/proc/{pid}/exe")).ok().map(without_deleted_mark),
        command: if command.is_empty() { format!("[{name}]") } else { command },
    })
}

/// Name, parent, start and whether it is a zombie. The name stands in parentheses and may hold
/// anything, parentheses too, so the fields are counted from the last one.
fn read_stat(stat: &str) -> Option<(String, i32, u64, bool)> {
    let (before, after) = stat.rsplit_once(')')?;
    let (_, name) = before.split_once('(')?;
    let fields: Vec<&str> = after.split_ascii_whitespace().collect();
    let state = *fields.first()?;
    let parent = fields.get(1)?.parse().ok()?;
    let started = fields.get(19)?.parse().ok()?;
    Some((name.to_owned(), parent, started, state == "Z" || state == "X"))
}

/// The kernel marks the link when the file was replaced while the program ran, as a rebuild does.
fn without_deleted_mark(path: PathBuf) -> PathBuf {
    match path.to_str().and_then(|text| text.strip_suffix(" (deleted)")) {
        Some(text) => PathBuf::from(text),
        None => path,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_found_with_its_executable() {
        let own = i32::try_from(std::process::id()).unwrap();
        let processes = all();
        let process = processes.iter().find(|process| process.pid == own).unwrap();
        assert_eq!(process.executable, std::env::current_exe().ok());
        assert!(ancestors_of(own, &processes).contains(&process.parent));
    }

    #[test]
    fn a_name_with_parentheses_does_not_shift_the_fields() {
        let fields = "S 7 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 4242 0";
        let read = read_stat(&format!("12 (a) b (c)) {fields}")).unwrap();
        assert_eq!(read, ("a) b (c)".to_owned(), 7, 4242, false));
    }

    #[test]
    fn a_family_reaches_grandchildren() {
        let process = |pid, parent| Process {
            pid,
            parent,
            started: 0,
            is_zombie: false,
            executable: None,
            command: String::new(),
        };
        let processes = [process(2, 1), process(3, 2), process(4, 3), process(5, 1)];
        let family: Vec<i32> = family_of(2, &processes).iter().map(|found| found.pid).collect();
        assert_eq!(family, [2, 3, 4]);
    }
}
