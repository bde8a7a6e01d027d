//! What a run of gates has gathered, and how it is shown: one line per gate while it runs, the whole
//! story of the broken one, then the summary.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::time::{Duration, Instant};

use crate::gate::{Broken, Gate, Verdict, counted};
use crate::outcome::{self, Outcome, Tally};

/// Outcomes and skips of the gates so far.
pub(crate) struct Evidence {
    /// With `CI` set, nothing may be skipped.
    pub(crate) allows_skips: bool,
    outcomes: BTreeMap<Place, Vec<Outcome>>,
    tally: Tally,
    skips: Vec<String>,
}

/// A crate and one of its test targets.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) member: String,
    pub(crate) target: String,
}

impl Evidence {
    pub(crate) fn new(allows_skips: bool) -> Evidence {
        Evidence {
            allows_skips,
            outcomes: BTreeMap::new(),
            tally: Tally::default(),
            skips: Vec::new(),
        }
    }

    /// What the environment says about skips.
    pub(crate) fn from_environment() -> Evidence {
        let ci = std::env::var("CI").unwrap_or_default();
        Evidence::new(matches!(ci.to_ascii_lowercase().as_str(), "" | "0" | "false"))
    }

    /// Takes over what the tests of one target did.
    pub(crate) fn add(&mut self, place: Place, outcomes: Vec<Outcome>) {
        let mut tally = Tally::of(&outcomes);
        for outcome in &outcomes {
            if let outcome::Ending::Skipped(reason) = &outcome.ending {
                let Place { member, target } = &place;
                self.skips.push(format!("{member} {target} {}: {reason}", outcome.name));
            }
        }
        if !self.allows_skips {
            tally.failed += tally.skipped;
            tally.skipped = 0;
        }
        self.tally.add(tally);
        self.outcomes.entry(place).or_default().extend(outcomes);
    }

    /// What the tests of the target did; none when it has not run.
    pub(crate) fn outcomes(&self, place: &Place) -> Option<&[Outcome]> {
        self.outcomes.get(place).map(Vec::as_slice)
    }

    fn skip_gate(&mut self, member: &str, gate: &str, why: &str) {
        self.skips.push(format!("{member} {gate}: {why}"));
        self.tally.skipped += 1;
    }

    fn tally(&self) -> Tally {
        self.tally
    }
}

/// Runs the gates in order up to the first broken one. True when none is broken.
///
/// The last line counts tests. A gate that broke without a failed test counts as one failure, and a
/// skipped gate as one skip, so that the line alone never reads better than the run was.
pub(crate) fn run_gates(gates: Vec<Gate<'_>>, evidence: &mut Evidence) -> bool {
    let mut lines = Vec::new();
    let mut is_whole = true;
    for gate in gates {
        let title = format!("{:<12} {}", gate.member.unwrap_or("workspace"), gate.name);
        print!("{title:<36}");
        // Only for the eye: the line is complete once the gate has ended.
        let _ = io::stdout().flush();
        let begin = Instant::now();
        let failed_before = evidence.tally.failed;
        let verdict = (gate.work)(evidence);
        let verdict = forbid_skip(verdict, evidence, gate.member);
        let line = match &verdict {
            Ok(Verdict::Passed(note)) => closing("ok", note, begin.elapsed()),
            Ok(Verdict::Skipped(why)) => {
                evidence.skip_gate(gate.member.unwrap_or("workspace"), &gate.name, why);
                closing("skipped", why, begin.elapsed())
            }
            Err(broken) => closing("BROKEN", &broken.what, begin.elapsed()),
        };
        println!("{line}");
        lines.push(format!("{title:<36}{line}"));
        if let Err(broken) = verdict {
            is_whole = false;
            if evidence.tally.failed == failed_before {
                evidence.tally.failed += 1;
            }
            tell(&gate.name, gate.member, &broken);
            break;
        }
    }
    summarize(&lines, evidence);
    is_whole
}

fn forbid_skip(
    verdict: Result<Verdict, Broken>,
    evidence: &Evidence,
    member: Option<&str>,
) -> Result<Verdict, Broken> {
    match verdict {
        Ok(Verdict::Skipped(why)) if !evidence.allows_skips => Err(Broken {
            what: format!("skipped, which CI does not allow: {why}"),
            repeat: match member {
                Some(member) => format!("CI=1 cargo xtask ci --to {member}"),
                None => "CI=1 cargo xtask ci".to_owned(),
            },
            read: None,
            output: String::new(),
        }),
        verdict => verdict,
    }
}

fn closing(word: &str, note: &str, time: Duration) -> String {
    let note = if note.is_empty() { String::new() } else { format!(", {note}") };
    format!("{word}{note} ({:.1} s)", time.as_secs_f64())
}

fn tell(gate: &str, member: Option<&str>, broken: &Broken) {
    println!("\n{}", broken.output.trim_end());
    println!("\nbroken gate: {gate}");
    println!("crate:       {}", member.unwrap_or("the whole workspace"));
    println!("what:        {}", broken.what);
    println!("repeat:      {}", broken.repeat);
    if let Some(read) = &broken.read {
        println!("read:        {read}");
    }
}

fn summarize(lines: &[String], evidence: &Evidence) {
    println!("\nGates:");
    for line in lines {
        println!("  {line}");
    }
    if !evidence.skips.is_empty() {
        println!("\n{}:", counted(evidence.skips.len(), "skip"));
        for skip in &evidence.skips {
            println!("  {skip}");
        }
    }
    let Tally { passed, failed, skipped } = evidence.tally();
    println!("\n{passed} passed, {failed} failed, {skipped} skipped");
}
