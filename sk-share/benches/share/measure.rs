//! Cases that are measured against each other, and what is printed of them.
//!
//! All cases of a group run in turn, repetition by repetition, so that a slow phase of the machine falls on all of
//! them alike; what is compared is medians of one run. A repetition in which this process or its partner had no
//! processor for long, since other programs had them, is done again, a few times at most.

use std::collections::BTreeMap;

use crate::partner::Partner;
use crate::things::{Role, Things};

const REPETITIONS: usize = 61;
const TRIES: usize = 10;
/// So much of a repetition may be lost to other programs. A sleeper that is woken takes a moment too.
const MOST_LOST: f64 = 0.1;

/// What one side did, and how long it took.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Done {
    pub(crate) count: u64,
    pub(crate) nanos: u64,
    /// For how many nanoseconds it had no processor although it could have run.
    pub(crate) lost: u64,
}

/// Whose work is counted.
#[derive(Debug, Clone, Copy)]
enum Counted {
    Mine,
    Both,
    /// Both take part in each piece of work, of which there is a number that was settled before.
    Through,
}

struct Case {
    name: &'static str,
    mine: Role,
    theirs: Option<Role>,
    counted: Counted,
}

/// Cases that are compared with one another.
#[derive(Default)]
pub(crate) struct Group {
    cases: Vec<Case>,
}

/// How often each kind of work was done, by both processes.
pub(crate) type Tally = BTreeMap<Role, u64>;

impl Group {
    /// This process does it alone.
    pub(crate) fn alone(self, name: &'static str, mine: Role) -> Group {
        self.case(name, mine, None, Counted::Mine)
    }

    /// Both do it; what both have done counts.
    pub(crate) fn contended(self, name: &'static str, role: Role) -> Group {
        self.case(name, role, Some(role), Counted::Both)
    }

    /// This process does one thing while the other does another without rest; what this one has done counts.
    pub(crate) fn under(self, name: &'static str, mine: Role, theirs: Role) -> Group {
        self.case(name, mine, Some(theirs), Counted::Mine)
    }

    /// Elements go from this process to the other.
    pub(crate) fn through(self, name: &'static str, mine: Role, theirs: Role) -> Group {
        self.case(name, mine, Some(theirs), Counted::Through)
    }

    fn case(
        mut self,
        name: &'static str,
        mine: Role,
        theirs: Option<Role>,
        counted: Counted,
    ) -> Group {
        self.cases.push(Case { name, mine, theirs, counted });
        self
    }

    /// Runs all cases, prints the median time of one piece of work in nanoseconds, and says how often each was done.
    pub(crate) fn run(self, things: &Things, partner: &Partner) -> Tally {
        let mut tally = Tally::new();
        let mut times = vec![Vec::new(); self.cases.len()];
        for _ in 0..REPETITIONS {
            for (case, times) in self.cases.iter().zip(&mut times) {
                times.push(case.repetition(things, partner, &mut tally));
            }
        }
        for (case, times) in self.cases.iter().zip(times) {
            metric(case.name, median(times), "ns");
        }
        tally
    }
}

impl Case {
    fn repetition(&self, things: &Things, partner: &Partner, tally: &mut Tally) -> f64 {
        let mut best = None;
        for _ in 0..TRIES {
            let (mine, theirs) = partner.run(things, self.mine, self.theirs);
            *tally.entry(self.mine).or_default() += mine.count;
            if let Some(role) = self.theirs {
                *tally.entry(role).or_default() += theirs.count;
            }
            assert_ne!(mine.count, 0, "{} did nothing", self.name);
            let time = match self.counted {
                Counted::Mine => mine.nanos as f64 / mine.count as f64,
                Counted::Both => {
                    // Each for as long as it ran; together they do the sum of what each does in a second.
                    let rate = |done: Done| done.count as f64 / done.nanos.max(1) as f64;
                    1.0 / (rate(mine) + rate(theirs))
                }
                Counted::Through => theirs.nanos as f64 / theirs.count as f64,
            };
            let apart = match self.counted {
                // One that came late worked alone.
                Counted::Mine | Counted::Both if self.theirs.is_some() => {
                    mine.nanos.abs_diff(theirs.nanos)
                }
                _ => 0,
            };
            let lost = mine.lost + theirs.lost + apart;
            if best.is_none_or(|(fewest, _)| lost < fewest) {
                best = Some((lost, time));
            }
            if (lost as f64) < mine.nanos as f64 * MOST_LOST {
                break;
            }
        }
        best.map_or(f64::NAN, |(_, time)| time)
    }
}

pub(crate) fn median(values: Vec<f64>) -> f64 {
    percentile(values, 50)
}

pub(crate) fn percentile(mut values: Vec<f64>, percent: usize) -> f64 {
    values.sort_by(f64::total_cmp);
    values[((values.len() - 1) * percent).div_ceil(100)]
}

/// Prints one figure.
pub(crate) fn metric(name: &str, value: f64, unit: &str) {
    println!("METRIC {name} {value} {unit}");
}
