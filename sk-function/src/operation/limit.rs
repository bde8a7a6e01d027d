//! The limit of an operation.

use std::time::{Duration, Instant};

use super::Unfinished;

/// The smallest of all limits that were set.
///
/// Until the operation begins it is a span of time, since nothing runs yet that it could bound;
/// from then on an instant. The span stays beside it, for the error to name. A span that reaches
/// beyond what an [`Instant`] can say, [`Duration::MAX`] above all, is no limit.
#[derive(Clone, Copy, Default)]
pub(super) struct Limit {
    span: Option<Duration>,
    at: Option<Instant>,
}

impl Limit {
    /// One more limit, before the begin.
    pub(super) fn bound_span(&mut self, span: Duration) {
        self.span = Some(self.span.map_or(span, |old| old.min(span)));
    }

    /// The begin: from now on it is an instant.
    pub(super) fn begin(&mut self) {
        // Without a limit the clock is not read.
        if let Some(span) = self.span {
            self.at = Instant::now().checked_add(span);
        }
    }

    /// One more limit after the begin, which counts from now. Whether it is the smaller one.
    pub(super) fn bound_from_now(&mut self, span: Duration) -> bool {
        let Some(at) = Instant::now().checked_add(span) else { return false };
        let is_sooner = self.at.is_none_or(|old| at < old);
        if is_sooner {
            *self = Limit { span: Some(span), at: Some(at) };
        }
        is_sooner
    }

    pub(super) fn at(&self) -> Option<Instant> {
        self.at
    }

    /// What to say when it has passed. Without a limit nothing can pass, so whoever says that it
    /// has is a source that gave up.
    pub(super) fn passed(&self) -> Unfinished {
        match (self.at, self.span) {
            (Some(_), Some(span)) => Unfinished::TimedOut(span),
            _ => Unfinished::Lost,
        }
    }
}
