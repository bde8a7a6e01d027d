//! One gate of `ci`: a name, a crate or the whole workspace, and work that passes, is skipped or
//! breaks. The files below this module each make the gates of one kind.

pub(crate) mod whole;

pub(crate) mod alone;
pub(crate) mod test_targets;

pub(crate) mod examples;
pub(crate) mod model;
pub(crate) mod portable;
pub(crate) mod sanitizers;

pub(crate) mod fuzz;
pub(crate) mod package;

mod nightly;

use std::time::Duration;

use crate::command::Line;
use crate::finding::Finding;
use crate::report::Evidence;

/// Enough to build everything from nothing on a small machine.
pub(crate) const BUILD_LIMIT: Duration = Duration::from_secs(30 * 60);

/// What a gate does when its turn comes.
pub(crate) type Work<'w> = Box<dyn FnOnce(&mut Evidence) -> Result<Verdict, Broken> + 'w>;

pub(crate) struct Gate<'w> {
    pub(crate) name: String,
    /// The crate it belongs to; none for the whole workspace.
    pub(crate) member: Option<&'w str>,
    pub(crate) work: Work<'w>,
}

/// How a gate ends that is not broken.
pub(crate) enum Verdict {
    /// With what there is to say about it, such as a number of tests.
    Passed(String),
    /// It could not be looked at here, for this reason.
    Skipped(String),
}

/// Why a gate is broken, and how to see it again.
#[derive(Debug)]
pub(crate) struct Broken {
    pub(crate) what: String,
    /// The command that repeats exactly this, from the root.
    pub(crate) repeat: String,
    /// The file to read first.
    pub(crate) read: Option<String>,
    /// All that the command printed.
    pub(crate) output: String,
}

impl<'w> Gate<'w> {
    pub(crate) fn new(
        name: impl Into<String>,
        member: Option<&'w str>,
        work: impl FnOnce(&mut Evidence) -> Result<Verdict, Broken> + 'w,
    ) -> Gate<'w> {
        Gate { name: name.into(), member, work: Box::new(work) }
    }
}

impl Broken {
    /// The file to read is taken from the output where that names a place.
    pub(crate) fn new(what: String, repeat: String, output: String) -> Broken {
        Broken { what, repeat, read: first_place(&output), output }
    }

    /// For trouble before or beside the command that was to be run.
    pub(crate) fn with(repeat: impl Into<String>, error: &anyhow::Error) -> Broken {
        Broken {
            what: format!("{error:#}"),
            repeat: repeat.into(),
            read: None,
            output: String::new(),
        }
    }

    /// For a verb that runs the command outside `ci`.
    pub(crate) fn into_error(self) -> anyhow::Error {
        let read = self.read.map(|read| format!("\nread:   {read}")).unwrap_or_default();
        let output = self.output.trim_end();
        anyhow::anyhow!("{}\nrepeat: {}{read}\n\n{output}", self.what, self.repeat)
    }

    /// The file to read when the output names none.
    pub(crate) fn or_read(mut self, file: impl Into<String>) -> Broken {
        self.read.get_or_insert_with(|| file.into());
        self
    }
}

/// Runs the command and gives its output, or says how it broke.
pub(crate) fn pass(line: &Line, limit: Duration) -> Result<String, Broken> {
    let finished = line.run(limit).map_err(|error| Broken::with(line.to_string(), &error))?;
    if finished.is_success() {
        Ok(finished.output)
    } else {
        let what = format!("the command {}", finished.ending);
        Err(Broken::new(what, line.to_string(), finished.output))
    }
}

/// A gate that looks at files: passed without findings, else broken with all of them.
pub(crate) fn without_findings(findings: &[Finding], repeat: &str) -> Result<Verdict, Broken> {
    let Some(first) = findings.first() else { return Ok(Verdict::Passed(String::new())) };
    let lines: Vec<String> = findings.iter().map(ToString::to_string).collect();
    Err(Broken {
        what: format!("{} found", counted(findings.len(), "fault")),
        repeat: repeat.to_owned(),
        read: Some(first.file.clone()),
        output: lines.join("\n"),
    })
}

/// The first place in the tree that a compiler or a panic names, as `file:line`. Places outside it,
/// such as those of the standard library, are absolute.
fn first_place(output: &str) -> Option<String> {
    output.lines().find_map(|line| {
        let (_, place) = line.split_once("--> ").or_else(|| line.split_once(" panicked at "))?;
        let mut parts = place.trim_end().split(':');
        let (file, number) = (parts.next()?, parts.next()?);
        let is_place = file.ends_with(".rs") && number.parse::<usize>().is_ok();
        (is_place && !file.starts_with('/')).then(|| format!("{file}:{number}"))
    })
}

/// `1 test`, `2 tests`.
pub(crate) fn counted(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_place_of_the_tree_is_read() {
        let compiler = "warning: unused\n  --> sk-toy/src/lib.rs:7:9\n";
        assert_eq!(first_place(compiler).unwrap(), "sk-toy/src/lib.rs:7");
        let panic = "thread 'a' (7) panicked at /rustc/core/src/option.rs:1:2:\n\
            thread 'b' (8) panicked at sk-toy/tests/it/main.rs:12:5:\nleft\n";
        assert_eq!(first_place(panic).unwrap(), "sk-toy/tests/it/main.rs:12");
        assert_eq!(first_place("a --> b\n"), None);
    }
}
