//! When work that failed is done again.
//!
//! One policy serves everything that repeats: a call in this process, an item of a pool, a life of
//! a process, a part of a cycle. Its heart is [`Retry::next`], which has neither a clock nor
//! randomness in it; [`Retry::run`] and [`Retry::run_async`] are loops around it.

mod decision;
mod delay;
mod run;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::outcome::{Failure, FailureKind, is_opaque};

pub use decision::{Decision, Repeat, Stop, Tries};
pub(crate) use run::one_attempt;

pub use delay::Jitter;

/// When work that failed is done again: how often, after which delays, for which failures.
///
/// As made by [`new`](Retry::new): 3 attempts in all, 1 second between them, every failure.
///
/// ```
/// use std::time::Duration;
/// use sk_function::{Failure, FailureKind, Jitter, Retry};
///
/// let policy = Retry::new()
///     .attempts(5)
///     .delay(Duration::from_millis(1))
///     .factor(2.0)
///     .maximum_delay(Duration::from_millis(10))
///     .jitter(Jitter::Full)
///     .budget(Duration::from_secs(60))
///     .except([FailureKind::Undecodable])
///     .only_if(|failure: &Failure| failure.message() != Some("not found"));
///
/// let answer = policy.run(|context| match context.attempt() {
///     1 | 2 => Err("busy"),
///     attempt => Ok(attempt),
/// });
/// assert_eq!(answer, Ok(3));
/// ```
///
/// # What is never repeated
///
/// Whatever the policy says: what was [cancelled](Failure::is_cancelled), and what its function
/// declared as [never to be repeated](Repeat::Never). The latter is refused by
/// [`check`](Retry::check) before anything runs.
///
/// # Wrong values
///
/// No setter fails or panics. Zero attempts, a factor that is negative or not finite, a
/// [`Jitter::PlusMinus`] outside 0 to 1, and `dyn Error` as the type of an error are found by
/// [`check`](Retry::check), which every use begins with: then nothing runs, and the failure names
/// the value.
///
/// # Across processes
///
/// A policy can be encoded, unless it has a predicate ([`only_if`](Retry::only_if)): that is code,
/// so that encoding it is an error that says what to use instead.
#[derive(Clone)]
pub struct Retry {
    rules: Rules,
    predicate: Option<Predicate>,
}

type Predicate = Arc<dyn Fn(&Failure) -> bool + Send + Sync>;

/// The part of a policy that is data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename = "Retry")]
struct Rules {
    origin: Origin,
    attempts: u32,
    delay: Duration,
    factor: f64,
    maximum_delay: Option<Duration>,
    jitter: Jitter,
    budget: Option<Duration>,
    only: Option<Selection>,
    except: Selection,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Origin {
    /// The caller wrote the policy.
    Written,
    /// It stands in where the caller wrote none.
    Implied,
}

/// Failures by kind and, where they are errors, by the name of their type.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Selection {
    kinds: Vec<FailureKind>,
    errors: Vec<String>,
}

impl Retry {
    /// 3 attempts in all, 1 second between them, every failure.
    pub fn new() -> Self {
        Retry {
            rules: Rules {
                origin: Origin::Written,
                attempts: 3,
                delay: Duration::from_secs(1),
                factor: 1.0,
                maximum_delay: None,
                jitter: Jitter::None,
                budget: None,
                only: None,
                except: Selection::default(),
            },
            predicate: None,
        }
    }

    /// What holds where the caller wrote no policy: work is done again if it had not started, or if
    /// its function is [idempotent](Repeat::Idempotent) and its process was
    /// [lost](FailureKind::is_loss). 3 attempts, 100 ms between them at first and twice as much
    /// each time.
    ///
    /// ```
    /// use std::time::Duration;
    /// use sk_function::{Decision, Failure, Repeat, Retry, Stop, Tries};
    ///
    /// let policy = Retry::implied();
    /// let killed = Failure::signalled(9);
    /// let made = Tries::default().and(&killed, Duration::ZERO);
    ///
    /// let decision = policy.next(made, &killed, Repeat::Undeclared, 0);
    /// assert_eq!(decision, Decision::Stop(Stop::Undeclared));
    /// let decision = policy.next(made, &killed, Repeat::Idempotent, 0);
    /// assert_eq!(decision, Decision::Again { after: Duration::from_millis(100) });
    /// ```
    pub fn implied() -> Self {
        let mut policy = Retry::new().delay(Duration::from_millis(100)).factor(2.0);
        policy.rules.origin = Origin::Implied;
        policy.only(FailureKind::ALL.iter().copied().filter(|kind| kind.is_loss()))
    }

    /// How many attempts are made in all, the first included: at least 1.
    #[must_use]
    pub fn attempts(mut self, attempts: u32) -> Self {
        self.rules.attempts = attempts;
        self
    }

    /// How long to wait before the second attempt.
    #[must_use]
    pub fn delay(mut self, delay: Duration) -> Self {
        self.rules.delay = delay;
        self
    }

    /// How many times longer each wait is than the one before it.
    #[must_use]
    pub fn factor(mut self, factor: f64) -> Self {
        self.rules.factor = factor;
        self
    }

    /// The longest wait there is, also where [the failure asks](Failure::with_retry_after) for a
    /// longer one.
    ///
    /// Where it is not set, no wait that the policy computes is longer than an hour, or than the
    /// [`delay`](Retry::delay) if that is longer.
    #[must_use]
    pub fn maximum_delay(mut self, maximum: Duration) -> Self {
        self.rules.maximum_delay = Some(maximum);
        self
    }

    /// How waits are spread, so that those who failed together do not come back together.
    #[must_use]
    pub fn jitter(mut self, jitter: Jitter) -> Self {
        self.rules.jitter = jitter;
        self
    }

    /// The time from the start of the first attempt in which the last one must start. A wait that
    /// would pass it is not begun.
    #[must_use]
    pub fn budget(mut self, budget: Duration) -> Self {
        self.rules.budget = Some(budget);
        self
    }

    /// Only failures of these kinds are repeated, and those of earlier `only` and
    /// [`only_error`](Retry::only_error) lines.
    #[must_use]
    pub fn only(mut self, kinds: impl IntoIterator<Item = FailureKind>) -> Self {
        self.rules.only.get_or_insert_default().add(kinds);
        self
    }

    /// Failures of these kinds are not repeated.
    #[must_use]
    pub fn except(mut self, kinds: impl IntoIterator<Item = FailureKind>) -> Self {
        self.rules.except.add(kinds);
        self
    }

    /// Errors of this type are repeated, of others only what [`only`](Retry::only) names.
    ///
    /// See [`Failure::is_error_of`] for when the type of an error is known.
    ///
    /// ```
    /// use std::{io, time::Duration};
    /// use sk_function::{Decision, Failure, Repeat, Retry, Stop, Tries};
    ///
    /// let policy = Retry::new().only_error::<io::Error>();
    /// let decide = |failure: &Failure| {
    ///     let made = Tries::default().and(failure, Duration::ZERO);
    ///     policy.next(made, failure, Repeat::Undeclared, 0)
    /// };
    /// let busy = Failure::error(&io::Error::other("busy"));
    /// assert_eq!(decide(&busy), Decision::Again { after: Duration::from_secs(1) });
    /// let wrong = Failure::error(&"x".parse::<u8>().unwrap_err());
    /// assert!(matches!(decide(&wrong), Decision::Stop(Stop::Excluded { .. })));
    /// ```
    #[must_use]
    pub fn only_error<E: ?Sized>(mut self) -> Self {
        self.rules.only.get_or_insert_default().add_error::<E>();
        self
    }

    /// Errors of this type are not repeated.
    #[must_use]
    pub fn except_error<E: ?Sized>(mut self) -> Self {
        self.rules.except.add_error::<E>();
        self
    }

    /// Only failures are repeated of which this says `true`.
    ///
    /// It is asked last, once for each failure that would be repeated without it. If it panics, the
    /// failure is not repeated. It stays in this process: a policy that has one cannot be encoded.
    #[must_use]
    pub fn only_if(mut self, predicate: impl Fn(&Failure) -> bool + Send + Sync + 'static) -> Self {
        self.predicate = Some(Arc::new(predicate));
        self
    }

    /// Whether this policy can be used for work that declared this.
    ///
    /// What starts work asks this before it starts anything.
    ///
    /// # Errors
    /// A value of the policy is wrong, or the caller wrote it for work that must never be repeated.
    ///
    /// ```
    /// use sk_function::{Repeat, Retry};
    ///
    /// let error = Retry::new().attempts(0).check(Repeat::Undeclared).unwrap_err();
    /// assert_eq!(error.to_string(), "a retry policy needs at least 1 attempt, not 0");
    ///
    /// let error = Retry::new().check(Repeat::Never).unwrap_err();
    /// assert!(error.is_never_retry());
    /// assert!(Retry::new().attempts(1).check(Repeat::Never).is_ok());
    /// ```
    pub fn check(&self, declared: Repeat) -> Result<(), RetryError> {
        self.rules.check()?;
        let is_meant = self.rules.origin == Origin::Written && self.rules.attempts > 1;
        match declared {
            Repeat::Never if is_meant => {
                Err(RetryError(Wrong::Never { attempts: self.rules.attempts }))
            }
            _ => Ok(()),
        }
    }
}

impl Rules {
    fn check(&self) -> Result<(), RetryError> {
        let wrong = match (self.attempts, self.factor, self.jitter) {
            (0, _, _) => Wrong::Attempts,
            (_, factor, _) if !(0.0..f64::INFINITY).contains(&factor) => Wrong::Factor(factor),
            (_, _, Jitter::PlusMinus(part)) if !(0.0..=1.0).contains(&part) => Wrong::Jitter(part),
            _ => match self.only.iter().chain([&self.except]).find_map(Selection::opaque) {
                Some(name) => Wrong::Opaque { name: name.to_owned() },
                None => return Ok(()),
            },
        };
        Err(RetryError(wrong))
    }
}

impl Selection {
    fn add(&mut self, kinds: impl IntoIterator<Item = FailureKind>) {
        self.kinds.extend(kinds);
    }

    fn add_error<E: ?Sized>(&mut self) {
        self.errors.push(std::any::type_name::<E>().to_owned());
    }

    /// The first type that would be any error, so that no failure is known by it.
    fn opaque(&self) -> Option<&str> {
        self.errors.iter().map(String::as_str).find(|name| is_opaque(name))
    }

    fn names(&self, failure: &Failure) -> bool {
        self.kinds.contains(&failure.kind())
            || failure
                .error_type()
                .is_some_and(|known| self.errors.iter().any(|name| name == known))
    }
}

impl Default for Retry {
    /// As [`Retry::new`].
    fn default() -> Self {
        Retry::new()
    }
}

impl fmt::Debug for Retry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Retry")
            .field("rules", &self.rules)
            .field("has_predicate", &self.predicate.is_some())
            .finish()
    }
}

impl Serialize for Retry {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::Error as _;
        if self.predicate.is_some() {
            return Err(S::Error::custom(
                "a retry policy with a predicate (Retry::only_if) cannot be encoded, since that is \
                 code of this process: name kinds by only and except, or types of errors by \
                 only_error and except_error",
            ));
        }
        self.rules.check().map_err(S::Error::custom)?;
        self.rules.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Retry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error as _;
        let rules = Rules::deserialize(deserializer)?;
        rules.check().map_err(D::Error::custom)?;
        Ok(Retry { rules, predicate: None })
    }
}

/// Why a [`Retry`] cannot be used.
#[derive(Debug, Clone)]
pub struct RetryError(Wrong);

#[derive(Debug, Clone)]
enum Wrong {
    Attempts,
    Factor(f64),
    Jitter(f64),
    Opaque { name: String },
    Never { attempts: u32 },
}

impl RetryError {
    /// The policy itself is fine, but its work must never be repeated.
    pub fn is_never_retry(&self) -> bool {
        matches!(self.0, Wrong::Never { .. })
    }
}

impl fmt::Display for RetryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Wrong::Attempts => f.write_str("a retry policy needs at least 1 attempt, not 0"),
            Wrong::Factor(factor) => {
                write!(f, "the factor of a retry policy is finite and not negative, not {factor}")
            }
            Wrong::Jitter(part) => {
                write!(f, "the jitter of a retry policy is from 0 to 1, not {part}")
            }
            Wrong::Opaque { name } => write!(
                f,
                "a retry policy that names errors of type {name}: an error is known by a type of its \
                 own only"
            ),
            Wrong::Never { attempts } => write!(
                f,
                "a retry policy of {attempts} attempts for a function that is declared \
                 never_retry: drop the policy, or the declaration"
            ),
        }
    }
}

impl std::error::Error for RetryError {}
