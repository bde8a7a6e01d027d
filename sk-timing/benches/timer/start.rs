//! Nothing runs before `main`: a process that links sk-timing starts as one that does not.
//!
//! The linked one is this program, which returns from `main` at once when it is a child. The bare one
//! is a program of one line that is compiled here, with the same standard library.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use crate::measure::metric;

const CHILD: &str = "SK_TIMING_BENCH_CHILD";
const STARTS: usize = 300;

/// True in a process that is only started to see how long that takes.
pub(crate) fn is_child() -> bool {
    std::env::var_os(CHILD).is_some()
}

pub(crate) fn compare() {
    let folder = std::env::temp_dir().join(format!("sk-timing-bench-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let bare = compile_bare(&folder);
    let linked = std::env::current_exe().unwrap();
    let mut times = [Vec::new(), Vec::new()];
    for _ in 0..STARTS {
        for (program, times) in [bare.as_path(), linked.as_path()].into_iter().zip(&mut times) {
            let start = Instant::now();
            let status = Command::new(program).env(CHILD, "1").status().unwrap();
            times.push(start.elapsed().as_nanos() as f64);
            assert!(status.success());
        }
    }
    fs::remove_dir_all(&folder).unwrap();
    for (name, mut times) in ["process.bare", "process.linked"].into_iter().zip(times) {
        times.sort_by(f64::total_cmp);
        metric(name, times[times.len() / 2], "ns");
    }
}

fn compile_bare(folder: &Path) -> std::path::PathBuf {
    let (source, program) = (folder.join("bare.rs"), folder.join("bare"));
    let text = format!("fn main() {{ if std::env::var_os({CHILD:?}).is_none() {{ panic!() }} }}");
    fs::write(&source, text).unwrap();
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let compiled = Command::new(rustc).args(["-O", "-o"]).args([&program, &source]).status();
    assert!(compiled.unwrap().success());
    program
}
