//! The decision: again, and after which wait, or not, and why.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Origin, Retry};
use crate::outcome::{Failure, FailureKind, guarded};

/// What a function declares about being done twice.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Repeat {
    /// Doing it twice is as good as once. It is repeated when its process is lost, also where the
    /// caller wrote no [`Retry`].
    Idempotent,
    /// It must not be done twice: a policy for it is refused. Work that had not started is
    /// done elsewhere all the same.
    Never,
    /// It says nothing: once started, it is repeated only if the caller wrote a [`Retry`].
    #[default]
    Undeclared,
}

/// What was made of a piece of work so far: attempts that started, attempts that did not get so
/// far, time since the first began.
///
/// ```
/// use std::time::Duration;
/// use sk_function::{Failure, Tries};
///
/// let lost_on_the_way = Failure::signalled(9).with_no_start();
/// let made = Tries::default()
///     .and(&lost_on_the_way, Duration::from_secs(1))
///     .and(&Failure::exit(1), Duration::from_secs(2));
/// assert_eq!((made.started(), made.unstarted(), made.attempt()), (1, 1, 2));
/// assert_eq!(made.elapsed(), Duration::from_secs(2));
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tries {
    started: u32,
    unstarted: u32,
    elapsed: Duration,
}

impl Tries {
    /// With one more, which failed like this, so long after the first began.
    #[must_use]
    pub fn and(mut self, failure: &Failure, elapsed: Duration) -> Self {
        let count = if failure.has_started() { &mut self.started } else { &mut self.unstarted };
        *count = count.saturating_add(1);
        self.elapsed = elapsed;
        self
    }

    /// Attempts that started. These are the ones that a [`Retry`] limits.
    pub fn started(&self) -> u32 {
        self.started
    }

    /// Attempts that ended before their work had started.
    pub fn unstarted(&self) -> u32 {
        self.unstarted
    }

    /// The time from the start of the first attempt to the end of the last.
    pub fn elapsed(&self) -> Duration {
        self.elapsed
    }

    /// The number of the attempt that comes next, from 1.
    pub fn attempt(&self) -> u32 {
        self.started.saturating_add(1)
    }
}

/// What a [`Retry`] says to a failure.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "a decision changes nothing by itself"]
pub enum Decision {
    /// Once more.
    Again {
        /// How long to wait before it.
        after: Duration,
    },
    /// It stays as it is.
    Stop(Stop),
}

/// Why work is not repeated.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Stop {
    /// All attempts are made.
    Attempts {
        /// How many there were.
        limit: u32,
    },
    /// It did not get to start so many times that something else is wrong.
    Unstarted {
        /// How many times are borne.
        limit: u32,
    },
    /// The next attempt would start after the policy's budget of time.
    Budget {
        /// The budget.
        limit: Duration,
    },
    /// The next attempt would start after the deadline of the work.
    Deadline,
    /// It was told to end.
    Cancelled,
    /// Its function must never be repeated.
    Never,
    /// It had started, its function did not say that it is idempotent, and the caller wrote no
    /// policy.
    Undeclared,
    /// The policy leaves out failures of this kind, or errors of this type.
    Excluded {
        /// The kind of the failure.
        kind: FailureKind,
    },
    /// The predicate said no.
    Predicate,
    /// The predicate panicked.
    PredicatePanicked {
        /// With this message.
        message: String,
    },
    /// The policy has a wrong value.
    Invalid {
        /// Which, as [`Retry::check`] says it.
        message: String,
    },
}

impl Retry {
    /// How often work is sent out again that did not get to start: 16 times.
    pub const UNSTARTED_LIMIT: u32 = 16;

    /// Whether work that just ended in `failure` is done again, and after which wait.
    ///
    /// `made` counts that attempt too. `entropy` are any 64 bits, which decide where in its
    /// [jitter](crate::Jitter) the wait falls: from 0, the least, to `u64::MAX`. The same arguments
    /// always give the same decision, if the predicate does.
    ///
    /// Work that had [not started](Failure::has_started) is always repeated, whatever is declared
    /// and however often it did start before: up to [`UNSTARTED_LIMIT`](Retry::UNSTARTED_LIMIT)
    /// times and within the budget.
    ///
    /// ```
    /// use std::time::Duration;
    /// use sk_function::{Decision, Failure, Repeat, Retry, Stop, Tries};
    ///
    /// let policy = Retry::new().attempts(2).delay(Duration::from_secs(3));
    /// let failure = Failure::exit(1);
    ///
    /// let once = Tries::default().and(&failure, Duration::from_secs(10));
    /// let decision = policy.next(once, &failure, Repeat::Undeclared, 0);
    /// assert_eq!(decision, Decision::Again { after: Duration::from_secs(3) });
    ///
    /// let twice = once.and(&failure, Duration::from_secs(20));
    /// let decision = policy.next(twice, &failure, Repeat::Undeclared, 0);
    /// assert_eq!(decision, Decision::Stop(Stop::Attempts { limit: 2 }));
    /// ```
    pub fn next(&self, made: Tries, failure: &Failure, declared: Repeat, entropy: u64) -> Decision {
        match self.wait_or_stop(made, failure, declared, entropy) {
            Ok(after) => Decision::Again { after },
            Err(stop) => Decision::Stop(stop),
        }
    }

    fn wait_or_stop(
        &self,
        made: Tries,
        failure: &Failure,
        declared: Repeat,
        entropy: u64,
    ) -> Result<Duration, Stop> {
        let rules = &self.rules;
        rules.check().map_err(|error| Stop::Invalid { message: error.to_string() })?;
        if failure.is_cancelled() {
            return Err(Stop::Cancelled);
        }
        let wait = if failure.has_started() {
            self.allows(made, failure, declared)?;
            rules.wait(made.started.saturating_sub(1), failure, entropy)
        } else {
            if made.unstarted > Self::UNSTARTED_LIMIT {
                return Err(Stop::Unstarted { limit: Self::UNSTARTED_LIMIT });
            }
            rules.wait(made.unstarted.saturating_sub(1), failure, entropy)
        };
        if let Some(limit) = rules.budget
            && made.elapsed.checked_add(wait).is_none_or(|end| end > limit)
        {
            return Err(Stop::Budget { limit });
        }
        self.agrees(failure)?;
        Ok(wait)
    }

    /// Whether work that had started may start again.
    fn allows(&self, made: Tries, failure: &Failure, declared: Repeat) -> Result<(), Stop> {
        let rules = &self.rules;
        if made.started >= rules.attempts {
            return Err(Stop::Attempts { limit: rules.attempts });
        }
        match (declared, rules.origin) {
            (Repeat::Never, _) => return Err(Stop::Never),
            (Repeat::Undeclared, Origin::Implied) => return Err(Stop::Undeclared),
            (Repeat::Undeclared, Origin::Written) | (Repeat::Idempotent, _) => {}
        }
        let is_left_out = rules.only.as_ref().is_some_and(|only| !only.names(failure));
        if is_left_out || rules.except.names(failure) {
            return Err(Stop::Excluded { kind: failure.kind() });
        }
        Ok(())
    }

    /// What the predicate says, which has no say in work that had not started.
    fn agrees(&self, failure: &Failure) -> Result<(), Stop> {
        let Some(predicate) = self.predicate.as_ref().filter(|_| failure.has_started()) else {
            return Ok(());
        };
        match guarded(|| predicate(failure)) {
            Ok(true) => Ok(()),
            Ok(false) => Err(Stop::Predicate),
            Err(message) => Err(Stop::PredicatePanicked { message }),
        }
    }
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Stop::Attempts { limit: 1 } => f.write_str("1 attempt was to be made"),
            Stop::Attempts { limit } => write!(f, "all {limit} attempts are made"),
            Stop::Unstarted { limit } => write!(f, "more than {limit} attempts did not start"),
            Stop::Budget { limit } => {
                write!(f, "the next attempt would pass the budget of {limit:?}")
            }
            Stop::Deadline => f.write_str("the next attempt would pass the deadline"),
            Stop::Cancelled => f.write_str("it was cancelled"),
            Stop::Never => f.write_str("its function is declared never_retry"),
            Stop::Undeclared => f.write_str(
                "it had started, its function is not declared idempotent, and no retry policy is \
                 given",
            ),
            Stop::Excluded { kind: FailureKind::Error } => {
                f.write_str("the retry policy leaves out this error")
            }
            Stop::Excluded { kind } => write!(f, "the retry policy leaves out this kind: {kind}"),
            Stop::Predicate => f.write_str("the predicate of the retry policy said no"),
            Stop::PredicatePanicked { message } => {
                write!(f, "the predicate of the retry policy panicked: {message}")
            }
            Stop::Invalid { message } => f.write_str(message),
        }
    }
}
