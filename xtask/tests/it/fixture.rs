//! A workspace of one library, complete enough to pass every gate that needs no other tool.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

/// Removed when dropped.
pub(crate) struct Fixture {
    root: PathBuf,
}

/// What a run of xtask printed and whether it succeeded.
pub(crate) struct Ran {
    pub(crate) text: String,
    pub(crate) is_success: bool,
}

impl Fixture {
    /// The name keeps workspaces of tests that run at the same time apart.
    pub(crate) fn new(name: &str) -> Fixture {
        let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        // A run that was killed may have left it.
        let _ = fs::remove_dir_all(&root);
        let fixture = Fixture { root };
        fixture.write("Cargo.toml", ROOT_MANIFEST);
        fixture.write(".gitignore", "/target\n/tmp\n");
        fixture
            .write("FEATURES.md", &features("TOY-01", "done", "`sk-toy/tests/it/main.rs::adds`"));
        fixture.write("sk-toy/Cargo.toml", &manifest("sk-toy", ""));
        fixture.write("sk-toy/README.md", "# sk-toy\n");
        fixture.write("sk-toy/CHANGELOG.md", "# Changelog\n\n## Unreleased\n\n- It adds.\n");
        fixture.write("sk-toy/src/lib.rs", LIBRARY);
        fixture.write("sk-toy/tests/it/main.rs", INTEGRATION);
        fs::create_dir_all(fixture.root.join("tmp")).unwrap();
        fixture.git(&["init", "--quiet"]);
        fixture
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        let path = self.root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub(crate) fn remove(&self, path: &str) {
        fs::remove_file(self.root.join(path)).unwrap();
    }

    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }

    /// The folder that programs of this workspace take for the one of temporary files.
    pub(crate) fn temporary(&self) -> PathBuf {
        self.root.join("tmp")
    }

    pub(crate) fn commit(&self) {
        self.git(&["add", "--all"]);
        let author = ["-c", "user.name=toy", "-c", "user.email=toy@localhost"];
        self.git(&[&author[..], &["commit", "--quiet", "--message", "toy"]].concat());
    }

    /// Runs xtask in the workspace.
    pub(crate) fn xtask(&self, words: &[&str]) -> Ran {
        self.xtask_with(words, &[])
    }

    pub(crate) fn xtask_with(&self, words: &[&str], environment: &[(&str, &str)]) -> Ran {
        let output = self
            .command(env!("CARGO_BIN_EXE_xtask"))
            .args(words)
            .envs(environment.iter().copied())
            .output()
            .unwrap();
        Ran::of(&output)
    }

    /// Starts xtask and leaves it running.
    pub(crate) fn start_xtask(&self, words: &[&str]) -> Child {
        let mut command = self.command(env!("CARGO_BIN_EXE_xtask"));
        command.args(words).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    }

    fn git(&self, words: &[&str]) {
        let output = self.command("git").args(words).output().unwrap();
        assert!(output.status.success(), "{}", Ran::of(&output).text);
    }

    /// Free of what the run of these tests has set for itself.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(&self.root)
            .env_remove("CI")
            .env_remove("CARGO_TARGET_DIR")
            .env_remove("RUSTFLAGS")
            .env_remove("GIT_DIR")
            .env_remove("GIT_WORK_TREE")
            .env("TMPDIR", self.temporary());
        command
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.root);
    }
}

impl Ran {
    /// Fails with all that was printed unless the run succeeded.
    #[track_caller]
    pub(crate) fn succeeds(self) -> Ran {
        assert!(self.is_success, "{}", self.text);
        self
    }

    /// Fails with all that was printed if the run succeeded.
    #[track_caller]
    pub(crate) fn fails(self) -> Ran {
        assert!(!self.is_success, "{}", self.text);
        self
    }

    #[track_caller]
    pub(crate) fn says(self, part: &str) -> Ran {
        assert!(self.text.contains(part), "no {part:?} in\n{}", self.text);
        self
    }

    #[track_caller]
    pub(crate) fn says_nothing_of(self, part: &str) -> Ran {
        assert!(!self.text.contains(part), "{part:?} in\n{}", self.text);
        self
    }

    /// The very last line, in which `ci` counts tests.
    pub(crate) fn last_line(&self) -> &str {
        self.text.lines().last().unwrap_or_default()
    }

    fn of(output: &Output) -> Ran {
        let text = [&output.stdout[..], &output.stderr[..]].concat();
        Ran {
            text: String::from_utf8_lossy(&text).into_owned(),
            is_success: output.status.success(),
        }
    }
}

/// A FEATURES.md with one row.
pub(crate) fn features(id: &str, state: &str, tests: &str) -> String {
    format!(
        "# Features\n\n## sk-toy\n\n| id | behaviour | state | test |\n|---|---|---|---|\n\
         | {id} | It adds | {state} | {tests} |\n"
    )
}

/// The manifest of a member, with more lines at its end.
pub(crate) fn manifest(name: &str, more: &str) -> String {
    format!(
        "[package]\nname = \"{name}\"\ndescription = \"Toy\"\nversion.workspace = true\n\
         edition.workspace = true\nrust-version.workspace = true\nlicense.workspace = true\n\n\
         [lints]\nworkspace = true\n{more}"
    )
}

const ROOT_MANIFEST: &str = "[workspace]\nresolver = \"3\"\nmembers = [\"sk-toy\"]\n\n\
    [workspace.package]\nversion = \"0.1.0\"\nedition = \"2024\"\nrust-version = \"1.95\"\n\
    license = \"MIT\"\n\n[workspace.lints.rust]\nunsafe_code = \"deny\"\n";

const LIBRARY: &str = "//! A toy.\n\n/// The sum.\n///\n/// ```\n/// assert_eq!(sk_toy::add(1, 2), 3);\n\
    /// ```\n#[must_use]\npub fn add(left: u8, right: u8) -> u8 {\n    left + right\n}\n";

const INTEGRATION: &str = "//! Tests.\n\n/// Rows: TOY-01\n#[test]\nfn adds() {\n    assert_eq!(sk_toy::add(1, 2), 3);\n}\n";
