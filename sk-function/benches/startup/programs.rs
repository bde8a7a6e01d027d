//! Writes and builds the programs that are started.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What both programs do.
const MAIN: &str = r#"
fn main() {
    if std::env::args().len() == 1 {
        return;
    }
    let start = std::time::Instant::now();
    let functions = sk_function::registry::check().unwrap();
    let took = start.elapsed();
    println!("{functions} {}", took.as_nanos());
}
"#;

/// How many functions one module holds.
const TO_A_MODULE: usize = 100;

pub(crate) struct Programs {
    folder: PathBuf,
    functions: usize,
}

impl Programs {
    /// Writes them below the target folder and builds them as programs are built that are released.
    /// The settings of other crates are those that build fast: none of their code runs at a start.
    pub(crate) fn build(functions: usize) -> Programs {
        let crate_folder = Path::new(env!("CARGO_MANIFEST_DIR"));
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("startup");
        fs::create_dir_all(folder.join("src/bin/thousand")).unwrap();
        let manifest = format!(
            "[package]\nname = \"startup\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n\
             [dependencies]\nsk-function = {{ path = '{}' }}\n\n[workspace]\n\n\
             [profile.release.package.\"*\"]\nopt-level = 1\n",
            crate_folder.display()
        );
        write(&folder.join("Cargo.toml"), &manifest);
        let of_workspace = fs::read_to_string(crate_folder.join("../Cargo.lock")).unwrap();
        if write(&folder.join("Cargo.lock.of-workspace"), &of_workspace) {
            write(&folder.join("Cargo.lock"), &of_workspace);
        }
        write(&folder.join("src/bin/none.rs"), MAIN);
        let mut main = MAIN.to_owned();
        for module in 0..functions / TO_A_MODULE {
            writeln!(main, "mod m{module};").unwrap();
            let path = folder.join(format!("src/bin/thousand/m{module}.rs"));
            write(&path, &module_text(module));
        }
        write(&folder.join("src/bin/thousand/main.rs"), &main);
        let status = Command::new(env!("CARGO"))
            .args(["build", "--release", "--offline", "--quiet"])
            .current_dir(&folder)
            .env("CARGO_TARGET_DIR", folder.join("target"))
            .env_remove("RUSTFLAGS")
            .status()
            .unwrap();
        assert!(status.success(), "the programs are not built: {status}");
        let programs = Programs { folder, functions };
        // Both have what they are to have.
        assert_eq!(programs.asked("none").0, 0);
        assert_eq!(programs.asked("thousand").0, functions);
        programs
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join("target/release").join(name)
    }

    pub(crate) fn bytes(&self, name: &str) -> usize {
        usize::try_from(fs::metadata(self.path(name)).unwrap().len()).unwrap()
    }

    /// How long the first look-up takes, in nanoseconds: the median of some starts.
    pub(crate) fn looked_up(&self, name: &str) -> u64 {
        let mut times: Vec<u64> = (0..21)
            .map(|_| {
                let (functions, took) = self.asked(name);
                assert_eq!(functions, self.functions);
                took
            })
            .collect();
        times.sort_unstable();
        times[times.len() / 2]
    }

    /// How many functions a program has, and how long it took to count them.
    fn asked(&self, name: &str) -> (usize, u64) {
        let mut command = Command::new(self.path(name));
        let output = command.arg("count").stdin(Stdio::null()).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let (functions, took) = text.trim().split_once(' ').unwrap();
        (functions.parse().unwrap(), took.parse().unwrap())
    }
}

/// Functions of some signatures, as a program has them.
fn module_text(module: usize) -> String {
    let mut text = "use sk_function::function;\n".to_owned();
    for at in 0..TO_A_MODULE {
        let (parameters, returned) = match at % 4 {
            0 => ("left: u64, right: u64", "left.wrapping_mul(right)"),
            1 => ("text: String, n: u64", "n + text.len() as u64"),
            2 => ("values: Vec<u64>", "values.iter().sum::<u64>()"),
            _ => ("n: u64", "n"),
        };
        writeln!(
            text,
            "#[function]\npub fn f{at}({parameters}) -> u64 {{\n    {returned} ^ {module}{at:03}\n}}"
        )
        .unwrap();
    }
    text
}

/// Whether there was something to write.
fn write(path: &Path, text: &str) -> bool {
    let is_new = fs::read_to_string(path).ok().as_deref() != Some(text);
    if is_new {
        fs::write(path, text).unwrap();
    }
    is_new
}
