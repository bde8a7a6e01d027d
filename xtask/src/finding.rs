//! One thing found wrong in the tree: where, what, and what to do instead.

use std::fmt::{self, Display, Formatter};

use anyhow::bail;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    /// Relative to the root.
    pub(crate) file: String,
    /// From one; none when the whole file is meant.
    pub(crate) line: Option<usize>,
    pub(crate) what: String,
    pub(crate) instead: String,
}

impl Finding {
    pub(crate) fn at(
        file: impl Into<String>,
        line: usize,
        what: impl Into<String>,
        instead: impl Into<String>,
    ) -> Finding {
        Finding { line: Some(line), ..Finding::in_file(file, what, instead) }
    }

    pub(crate) fn in_file(
        file: impl Into<String>,
        what: impl Into<String>,
        instead: impl Into<String>,
    ) -> Finding {
        Finding { file: file.into(), line: None, what: what.into(), instead: instead.into() }
    }
}

impl Display for Finding {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.file)?;
        if let Some(line) = self.line {
            write!(formatter, ":{line}")?;
        }
        write!(formatter, ": {}; {}", self.what, self.instead)
    }
}

/// The end of a verb that only looks: prints what it found, and fails if that is anything.
pub(crate) fn conclude(verb: &str, findings: &[Finding]) -> anyhow::Result<()> {
    for finding in findings {
        println!("{finding}");
    }
    match findings.len() {
        0 => {
            println!("{verb}: ok");
            Ok(())
        }
        1 => bail!("{verb}: 1 finding"),
        count => bail!("{verb}: {count} findings"),
    }
}
