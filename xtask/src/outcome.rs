//! What each test of a run did, read from the lines that libtest and libtest-mimic print.

use anyhow::ensure;

/// One test of one target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// As printed: `module::name`.
    pub(crate) name: String,
    pub(crate) ending: Ending,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    Passed,
    Failed,
    /// By an attribute: such a test never runs, so it shows nothing.
    Ignored,
    /// The test printed `SKIP` with this reason and returned: something it needs is missing here.
    Skipped(String),
}

/// The outcomes in the output of one `cargo test … -- --show-output`.
///
/// Fails when the summary of libtest counts other numbers than were read, so that an outcome lost
/// between lines of other output is noticed.
pub(crate) fn read(output: &str) -> anyhow::Result<Vec<Outcome>> {
    let mut reader = Reader::default();
    for line in output.lines() {
        reader.line(line);
    }
    let Reader { outcomes, summaries, .. } = reader;
    if !summaries.is_empty() {
        let stated: usize = summaries.iter().sum();
        ensure!(
            stated == outcomes.len(),
            "the summary counts {stated} tests and {} outcomes were read; does a test or a child \
             of it write to the terminal past the capture of libtest?",
            outcomes.len()
        );
    }
    Ok(outcomes)
}

#[derive(Default)]
struct Reader {
    outcomes: Vec<Outcome>,
    /// Tests that each `test result:` line counts.
    summaries: Vec<usize>,
    /// The test whose captured output follows, within `---- NAME stdout ----`.
    section: Option<String>,
    /// A test that has begun, when its result comes on a line of its own.
    begun: Option<String>,
    /// A skip printed outside any section: it belongs to the result that comes next, as programs
    /// with a `main` of their own capture nothing.
    skip: Option<String>,
}

impl Reader {
    fn line(&mut self, line: &str) {
        if let Some(name) = section_name(line) {
            self.section = Some(name.to_owned());
        } else if let Some(count) = summary(line) {
            self.summaries.push(count);
            self.section = None;
        } else if let Some(reason) = line.strip_prefix("SKIP ") {
            self.skipped(reason.trim());
        } else if self.section.is_some() {
            // What a test prints about tests is its own affair.
        } else if let Some((name, rest)) = line.strip_prefix("test ").and_then(split_result) {
            match (ending(rest), rest.strip_prefix("SKIP ")) {
                (Some(ending), _) => self.ended(name, ending),
                (None, reason) => {
                    self.begun = Some(name.to_owned());
                    self.skip = reason.map(|reason| reason.trim().to_owned());
                }
            }
        } else if let Some(ending) = ending(line)
            && let Some(name) = self.begun.take()
        {
            self.ended(&name, ending);
        }
    }

    fn ended(&mut self, name: &str, ending: Ending) {
        self.begun = None;
        let ending = match (ending, self.skip.take()) {
            (Ending::Passed, Some(reason)) => Ending::Skipped(reason),
            (ending, _) => ending,
        };
        self.outcomes.push(Outcome { name: name.to_owned(), ending });
    }

    fn skipped(&mut self, reason: &str) {
        let Some(section) = &self.section else {
            self.skip = Some(reason.to_owned());
            return;
        };
        for outcome in self.outcomes.iter_mut().filter(|outcome| outcome.name == *section) {
            if outcome.ending == Ending::Passed {
                outcome.ending = Ending::Skipped(reason.to_owned());
            }
        }
    }
}

fn section_name(line: &str) -> Option<&str> {
    line.strip_prefix("---- ")?.strip_suffix(" stdout ----")
}

/// `NAME ... REST`; a doctest's name may hold dots of its own, so the last ones count.
fn split_result(line: &str) -> Option<(&str, &str)> {
    let (name, rest) =
        line.rsplit_once(" ... ").or_else(|| Some((line.strip_suffix(" ...")?, "")))?;
    let name = name.strip_suffix(" - should panic").unwrap_or(name);
    Some((name.trim(), rest.trim()))
}

fn ending(text: &str) -> Option<Ending> {
    let word = text.split([',', ' ']).next().unwrap_or_default();
    match word {
        "ok" => Some(Ending::Passed),
        "FAILED" => Some(Ending::Failed),
        "ignored" => Some(Ending::Ignored),
        _ => None,
    }
}

/// The number of tests in `test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; …`.
fn summary(line: &str) -> Option<usize> {
    let counts = line.strip_prefix("test result: ")?.split_once(". ")?.1;
    let of = |what: &str| -> Option<usize> {
        counts.split(';').find_map(|count| count.trim().strip_suffix(what)?.trim().parse().ok())
    };
    Some(of("passed")? + of("failed")? + of("ignored")?)
}

/// Passed, failed and skipped tests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) passed: usize,
    pub(crate) failed: usize,
    pub(crate) skipped: usize,
}

impl Tally {
    /// Ignored tests are failures: what is worth writing is worth running.
    pub(crate) fn of(outcomes: &[Outcome]) -> Tally {
        let mut tally = Tally::default();
        for outcome in outcomes {
            match outcome.ending {
                Ending::Passed => tally.passed += 1,
                Ending::Failed | Ending::Ignored => tally.failed += 1,
                Ending::Skipped(_) => tally.skipped += 1,
            }
        }
        tally
    }

    pub(crate) fn add(&mut self, other: Tally) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endings(output: &str) -> Vec<(String, Ending)> {
        let outcomes = read(output).unwrap();
        outcomes.into_iter().map(|outcome| (outcome.name, outcome.ending)).collect()
    }

    #[test]
    fn results_of_libtest_are_read() {
        let output = "\nrunning 4 tests\n\
            test a::passes ... ok\n\
            test a::breaks ... FAILED\n\
            test rests ... ignored, not today\n\
            test panics - should panic ... ok\n\
            \ntest result: FAILED. 2 passed; 1 failed; 1 ignored; 0 measured; 0 filtered out\n";
        assert_eq!(
            endings(output),
            [
                ("a::passes".to_owned(), Ending::Passed),
                ("a::breaks".to_owned(), Ending::Failed),
                ("rests".to_owned(), Ending::Ignored),
                ("panics".to_owned(), Ending::Passed),
            ]
        );
    }

    #[test]
    fn a_skip_in_the_captured_output_turns_its_test_into_skipped() {
        let output = "test a ... ok\ntest b ... ok\n\nsuccesses:\n\n\
            ---- b stdout ----\nlooking\nSKIP no server\n\n\
            successes:\n    a\n    b\n\n\
            test result: ok. 2 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out\n";
        assert_eq!(
            endings(output),
            [
                ("a".to_owned(), Ending::Passed),
                ("b".to_owned(), Ending::Skipped("no server".to_owned())),
            ]
        );
    }

    #[test]
    fn a_program_without_capture_skips_before_its_result() {
        let output = "SKIP no server\ntest a ... ok\ntest b ... SKIP no disk\nok\ntest c ... ok\n";
        assert_eq!(
            endings(output),
            [
                ("a".to_owned(), Ending::Skipped("no server".to_owned())),
                ("b".to_owned(), Ending::Skipped("no disk".to_owned())),
                ("c".to_owned(), Ending::Passed),
            ]
        );
    }

    #[test]
    fn output_between_a_test_and_its_result_is_passed_over() {
        let output = "test a ... a child says hello\nand more\nok\n";
        assert_eq!(endings(output), [("a".to_owned(), Ending::Passed)]);
    }

    #[test]
    fn doc_tests_keep_their_place_in_the_name() {
        let output = "test src/lib.rs - codec::encode (line 12) ... ok\n";
        assert_eq!(
            endings(output),
            [("src/lib.rs - codec::encode (line 12)".to_owned(), Ending::Passed)]
        );
    }

    #[test]
    fn a_lost_outcome_is_an_error() {
        let output = "noise test a ... ok\ntest b ... ok\n\
            test result: ok. 2 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out\n";
        let error = read(output).unwrap_err().to_string();
        assert!(error.contains("counts 2 tests and 1 outcomes"), "{error}");
    }

    #[test]
    fn what_a_test_prints_about_tests_is_not_an_outcome() {
        let output = "test a ... ok\n\nsuccesses:\n\n---- a stdout ----\ntest inner ... FAILED\n\n\
            test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out\n";
        assert_eq!(endings(output), [("a".to_owned(), Ending::Passed)]);
    }
}
