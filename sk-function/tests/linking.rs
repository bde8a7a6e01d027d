//! The table of declared functions is whole however a program is built, and across crates.
//!
//! The programs are a workspace of their own, in `linking/`. It is built in a copy below the target
//! folder, with the lock file of our workspace, so that nothing is fetched and nothing is written
//! between the sources. The copy stays, so that only its first build takes long.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long a program may run.
const WATCHDOG: Duration = Duration::from_secs(30);

/// What `app` prints, however it was built.
const APP: &str = "\
declared app.inner.own
declared app.main_own
declared jobs.area
declared jobs.former
declared jobs.newer
declared jobs.private.deeper.later
declared jobs.private.deeper.many
declared jobs.private.hidden
declared jobs.twins.left
declared jobs.twins.right
declared jobs.within_a_generic_one
declared twins.renamed
check Ok(13)
called app.inner.own 15
called app.main_own 17
called jobs.former 20
called jobs.newer 20
called jobs.twins.left 11
called jobs.twins.right 11
called jobs.within_a_generic_one 50
called twins.renamed 11
called jobs.private.hidden 8
called jobs.private.deeper.later 13
iterated [0, 1, 2]
called jobs.area of 1.0.0 6
called jobs.area of 2.0.0 600
refused `jobs.area` is in several versions of its package; say which: `jobs.area@1.0.0`, `jobs.area@2.0.0`
refused no function is named `lonely.forgotten`; a crate that nothing names is not linked and registers nothing: if it is one of such a crate, write `use that_crate as _;`
refused no function is named `jobs.area@3.0.0`; the nearest of 12 are `jobs.area@1.0.0`, `jobs.area@2.0.0`; a crate that nothing names is not linked and registers nothing: if it is one of such a crate, write `use that_crate as _;`
refused no function is named `former`; the nearest of 12 is `jobs.former`; a crate that nothing names is not linked and registers nothing: if it is one of such a crate, write `use that_crate as _;`
child 21
child 25
child 60
child 27
child 6
child 600
";

/// What makes the profile of a debug build that of a release build. All builds have one profile name, so
/// that what these settings do not touch is built once.
const RELEASE: [&str; 6] = [
    "profile.dev.opt-level=3",
    "profile.dev.codegen-units=16",
    "profile.dev.debug-assertions=false",
    "profile.dev.overflow-checks=false",
    "profile.dev.incremental=false",
    "profile.dev.package.sk-function.opt-level=3",
];

/// All crates are optimized as one, in which what nobody names can be seen to be unused.
const WHOLE: [&str; 2] = ["profile.dev.lto='fat'", "profile.dev.codegen-units=1"];

/// The linker makes functions of one code one, and drops what nothing leads to.
const FOLDED: [&str; 2] = ["link-arg=-Wl,--icf=all", "link-arg=-Wl,--gc-sections"];

/// Rows: FUN-04, FUN-24
#[test]
fn every_declared_function_is_found_and_called_by_name_in_a_debug_build() {
    let Some(programs) = Programs::prepare() else { return };
    programs.build("app", &[], &[]);
    programs.expect("app", APP);
}

/// Rows: FUN-04, FUN-24
#[test]
fn every_declared_function_is_found_and_called_by_name_in_a_release_build() {
    let Some(programs) = Programs::prepare() else { return };
    programs.build("app", &RELEASE, &[]);
    programs.expect("app", APP);
}

#[test]
fn every_declared_function_is_found_where_the_linker_folds_functions_of_one_code() {
    let Some(programs) = Programs::prepare() else { return };
    programs.build("app", &RELEASE, &FOLDED);
    programs.expect("app", APP);
}

#[test]
fn every_declared_function_is_found_where_all_crates_are_optimized_as_one() {
    let Some(programs) = Programs::prepare() else { return };
    programs.build("app", &[&RELEASE[..], &WHOLE].concat(), &[]);
    programs.expect("app", APP);
}

#[test]
fn a_path_that_two_functions_claim_is_refused_with_both_places() {
    let Some(programs) = Programs::prepare() else { return };
    programs.build("doubled", &[], &[]);
    let place = "doubled/src/shared.rs:5 in doubled 1.0.0";
    let why = format!(
        "two functions are declared as `doubled.shared.claimed`: {place}, binary doubled and \
         {place}, library; the usual cause is a module that both the library and the binary of one \
         name contain, or functions of one name within the bodies of two others: give them a `name`"
    );
    programs.expect("doubled", &format!("check {why}\nrefused {why}\n"));
}

/// The copy of the programs, which one test has at a time: they share what is built.
struct Programs {
    folder: PathBuf,
    _alone: std::sync::MutexGuard<'static, ()>,
}

impl Programs {
    /// Brings the copy up to date. None where there is nothing to copy: a packaged crate comes
    /// without the programs.
    fn prepare() -> Option<Programs> {
        static ALONE: Mutex<()> = Mutex::new(());
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let crate_folder = Path::new(env!("CARGO_MANIFEST_DIR"));
        let source = crate_folder.join("tests/linking");
        let lock = crate_folder.join("../Cargo.lock");
        if !source.exists() || !lock.exists() {
            println!("SKIP the programs to be linked are in the repository, not in the package");
            return None;
        }
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("linking");
        copy(&source, &folder, &|manifest| {
            let ours = ["../../../sk-cereal", "../../..", "../.."];
            let paths =
                [crate_folder.join("../sk-cereal"), crate_folder.into(), crate_folder.into()];
            ours.iter().zip(paths).fold(manifest, |text, (relative, path)| {
                text.replace(&format!("\"{relative}\""), &format!("'{}'", path.display()))
            })
        });
        // What the copy needs of it stays in it; cargo takes the rest out.
        let at = folder.join("Cargo.lock.of-workspace");
        let text = fs::read_to_string(lock).unwrap();
        if fs::read_to_string(&at).ok().as_ref() != Some(&text) {
            write(&folder.join("Cargo.lock"), &text);
            write(&at, &text);
        }
        Some(Programs { folder, _alone: alone })
    }

    /// Builds a program with these settings of its profile, and these options of the compiler for
    /// the program itself.
    fn build(&self, program: &str, profile: &[&str], options: &[&str]) {
        let start = Instant::now();
        let output = Command::new(env!("CARGO"))
            .args(["rustc", "--offline", "--quiet", "--package", program, "--bin", program])
            .args(profile.iter().flat_map(|setting| ["--config", setting]))
            .arg("--")
            .args(options.iter().flat_map(|option| ["-C", option]))
            .current_dir(&self.folder)
            .env("CARGO_TARGET_DIR", self.folder.join("target"))
            // Flags of the run that this test is part of, such as those of a sanitizer, are not ours.
            .env_remove("RUSTFLAGS")
            .env_remove("CARGO_ENCODED_RUSTFLAGS")
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{program} {profile:?} {options:?} is not built:\n{told}");
        println!("{program} {profile:?} {options:?} was built in {:?}", start.elapsed());
    }

    /// Runs a program under a watchdog and compares what it prints, line by line.
    fn expect(&self, program: &str, expected: &str) {
        let mut child = Command::new(self.folder.join("target/debug").join(program))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut from = child.stdout.take().unwrap();
        let reader = std::thread::spawn(move || {
            let mut printed = String::new();
            from.read_to_string(&mut printed).map(|_| printed)
        });
        let end = Instant::now() + WATCHDOG;
        while !reader.is_finished() {
            if Instant::now() > end {
                child.kill().unwrap();
                child.wait().unwrap();
                panic!("{program} did not end within {WATCHDOG:?}");
            }
            std::thread::park_timeout(Duration::from_millis(5));
        }
        let status = child.wait().unwrap();
        let printed = reader.join().unwrap().unwrap();
        assert!(status.success(), "{program} ended with {status} after\n{printed}");
        let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(lines(&printed), lines(expected), "of {program}");
    }
}

/// Copies sources; what is as it was stays untouched, so that cargo builds nothing anew. Manifests
/// name our crates by paths that hold in the copy.
fn copy(from: &Path, to: &Path, manifest: &dyn Fn(String) -> String) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (path, target) = (entry.path(), to.join(entry.file_name()));
        if path.is_dir() {
            copy(&path, &target, manifest);
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        let is_manifest = path.ends_with("Cargo.toml");
        write(&target, &if is_manifest { manifest(text) } else { text });
    }
}

fn write(path: &Path, text: &str) {
    if fs::read_to_string(path).ok().as_deref() != Some(text) {
        fs::write(path, text).unwrap();
    }
}
