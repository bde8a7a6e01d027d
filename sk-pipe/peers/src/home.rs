//! Where the rivals make their files, so that nothing is left of them.

use std::fs;
use std::path::{Path, PathBuf};

/// How names of this program begin; the pid follows, and an underscore.
const PREFIX: &str = "sk_pipe_peers_";

const SHARED_MEMORY: &str = "/dev/shm";

/// The name that all files of this run begin with. When it is dropped they are gone.
pub(crate) struct Home {
    name: String,
}

impl Home {
    pub(crate) fn new() -> Home {
        let home = Home { name: format!("{PREFIX}{}_", std::process::id()) };
        remove();
        fs::create_dir(folder(&home.name)).unwrap();
        home
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        remove();
    }
}

/// For what is not shared memory.
pub(crate) fn folder(home: &str) -> PathBuf {
    std::env::temp_dir().join(home)
}

/// Removes what this run has made, and what runs have that were killed.
pub(crate) fn remove() {
    for folder in [std::env::temp_dir().as_path(), Path::new(SHARED_MEMORY)] {
        for entry in fs::read_dir(folder).unwrap().flatten() {
            if !is_over(&entry.file_name().to_string_lossy()) {
                continue;
            }
            let path = entry.path();
            let _ = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
        }
    }
}

/// Whether a file of this name belongs to this run or to one whose process has ended.
fn is_over(name: &str) -> bool {
    let pid = name.strip_prefix(PREFIX).and_then(|rest| rest.split_once('_')?.0.parse().ok());
    pid.is_some_and(|pid: u32| {
        pid == std::process::id() || !Path::new(&format!("/proc/{pid}")).exists()
    })
}
