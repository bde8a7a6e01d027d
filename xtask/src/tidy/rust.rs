//! Rules for Rust files, unsafe code excepted.

use super::{File, Rule};
use crate::finding::Finding;
use crate::source::has_word;

pub(super) const RULES: [Rule; 6] = [header, marks, reasons, atomics, sleeps, length];

/// What says that work is unfinished: calls and words. Written in halves, or this list would be
/// found by itself and by whoever searches the tree for them.
const CALLS: [(&str, &str); 4] = [
    (concat!("#[", "ignore"), "make the test run, or remove it"),
    (concat!("todo", "!("), "write it, or return an error that says what is missing"),
    (concat!("unimplemented", "!("), "write it, or return an error that says what is missing"),
    (concat!("dbg", "!("), "remove it"),
];
const WORDS: [&str; 3] = [concat!("FIX", "ME"), concat!("TO", "DO"), concat!("XX", "X")];

const SLEEPS: [&str; 2] = [concat!("thread::", "sleep"), concat!("time::", "sleep")];

const MOST_LINES: usize = 700;

fn header(file: &File<'_>) -> Vec<Finding> {
    if file.area != "src" || file.text.starts_with("//!") {
        return Vec::new();
    }
    vec![Finding::at(
        file.path,
        1,
        "no header",
        "open the file with a `//!` line that says what it holds",
    )]
}

fn marks(file: &File<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (number, line) in file.lines() {
        for (call, instead) in CALLS {
            if line.contains(call) {
                findings.push(Finding::at(file.path, number, format!("`{call}`"), instead));
            }
        }
        for word in WORDS {
            if has_word(line, word) {
                findings.push(Finding::at(
                    file.path,
                    number,
                    format!("the mark {word}"),
                    "do it now, or open a row in FEATURES.md",
                ));
            }
        }
    }
    findings
}

/// A lint is switched off with `expect`, which goes away when it is no longer needed; where only
/// `allow` will do, it says why.
fn reasons(file: &File<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for opening in ["#[allow(", "#![allow("] {
        for (start, _) in file.code.match_indices(opening) {
            let attribute = &file.code[start..];
            let end = attribute.find(']').unwrap_or(attribute.len());
            if !has_word(&attribute[..end], "reason") {
                findings.push(Finding::at(
                    file.path,
                    file.code[..start].matches('\n').count() + 1,
                    "a lint is allowed without a reason",
                    "write `#[expect(…, reason = \"…\")]`",
                ));
            }
        }
    }
    findings
}

/// Where `sync.rs` chooses between real and modelled atomics, an import past it would not be modelled.
fn atomics(file: &File<'_>) -> Vec<Finding> {
    if !file.has_sync || file.area != "src" || file.path.ends_with("/src/sync.rs") {
        return Vec::new();
    }
    let is_import = |line: &str| {
        ["std::sync::atomic", "core::sync::atomic"].iter().any(|path| line.contains(path))
    };
    file.code_lines()
        .filter(|(_, line)| is_import(line))
        .map(|(number, _)| {
            Finding::at(
                file.path,
                number,
                "atomics of the standard library, which a model does not see",
                "take them from `crate::sync`",
            )
        })
        .collect()
}

fn sleeps(file: &File<'_>) -> Vec<Finding> {
    if file.area != "src" || file.crate_name == "xtask" {
        return Vec::new();
    }
    file.code_lines()
        .filter(|(_, line)| SLEEPS.iter().any(|sleep| line.contains(sleep)))
        .map(|(number, _)| {
            Finding::at(
                file.path,
                number,
                "a sleep in library code",
                "wait for the event itself, with a deadline",
            )
        })
        .collect()
}

fn length(file: &File<'_>) -> Vec<Finding> {
    let lines = file.text.lines().count();
    if file.area != "src" || lines <= MOST_LINES {
        return Vec::new();
    }
    vec![Finding::at(
        file.path,
        lines,
        format!("{lines} lines, more than {MOST_LINES}"),
        "do two ideas live there? Give each a file",
    )]
}

#[cfg(test)]
mod tests {
    use super::super::tests::found;
    use super::*;

    const MODULE: &str = "sk-toy/src/a.rs";

    #[test]
    fn a_module_opens_with_a_header() {
        assert_eq!(found(header, MODULE, "fn a() {}\n").len(), 1);
        assert!(found(header, MODULE, "//! A.\nfn a() {}\n").is_empty());
        assert!(found(header, "sk-toy/benches/a.rs", "fn a() {}\n").is_empty());
    }

    #[test]
    fn marks_of_unfinished_work_are_found() {
        for (call, _) in CALLS {
            assert_eq!(found(marks, MODULE, &format!("    {call}\n")).len(), 1, "{call}");
        }
        for word in WORDS {
            assert_eq!(found(marks, MODULE, &format!("// {word}: later\n")).len(), 1, "{word}");
        }
        assert!(found(marks, MODULE, "let template = \"a.XXXXXX\"; // to do it well\n").is_empty());
    }

    #[test]
    fn an_allowed_lint_has_a_reason() {
        let bare = "\n#[allow(dead_code)]\nfn a() {}\n";
        assert!(found(reasons, MODULE, bare)[0].starts_with("sk-toy/src/a.rs:2: "));
        let told = "#![allow(\n    dead_code,\n    reason = \"generated\"\n)]\n";
        assert!(found(reasons, MODULE, told).is_empty());
        assert!(found(reasons, MODULE, "// #[allow(dead_code)]\n").is_empty());
    }

    #[test]
    fn atomics_come_through_sync() {
        let import = "use std::sync::atomic::AtomicU32;\n";
        assert_eq!(found(atomics, MODULE, import).len(), 1);
        assert!(found(atomics, "sk-toy/src/sync.rs", import).is_empty());
        assert!(found(atomics, "sk-toy/tests/it/a.rs", import).is_empty());
        assert!(found(atomics, MODULE, "/// As in `std::sync::atomic`.\n").is_empty());
    }

    #[test]
    fn library_code_does_not_sleep() {
        let call = format!("    std::{}(limit);\n", SLEEPS[0]);
        assert_eq!(found(sleeps, MODULE, &call).len(), 1);
        assert!(found(sleeps, "xtask/src/a.rs", &call).is_empty());
        assert!(found(sleeps, "sk-toy/tests/it/a.rs", &call).is_empty());
        assert!(found(sleeps, MODULE, &format!("//! {call}")).is_empty());
    }

    #[test]
    fn a_long_file_is_found() {
        assert_eq!(found(length, MODULE, &"a\n".repeat(MOST_LINES + 1)).len(), 1);
        assert!(found(length, MODULE, &"a\n".repeat(MOST_LINES)).is_empty());
    }
}
