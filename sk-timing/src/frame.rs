//! One running measurement: when it began, and for how long it was paused.

/// In nanoseconds of a timer's clock.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Frame {
    began: u64,
    paused: u64,
    paused_at: Option<u64>,
}

/// What a frame has measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    /// Without what was paused.
    pub(crate) nanos: u64,
    pub(crate) paused: u64,
}

impl Frame {
    #[inline]
    pub(crate) fn begin(now: u64) -> Frame {
        Frame { began: now, paused: 0, paused_at: None }
    }

    /// What it has measured until now. A clock that was set back makes it shorter, never negative.
    #[inline]
    pub(crate) fn span(&self, now: u64) -> Span {
        let until = self.paused_at.unwrap_or(now);
        Span {
            nanos: until.saturating_sub(self.began).saturating_sub(self.paused),
            paused: self.paused.saturating_add(now.saturating_sub(until)),
        }
    }

    /// What it has measured until now, which the rest will not count again.
    pub(crate) fn lap(&mut self, now: u64) -> Span {
        let span = self.span(now);
        *self = Frame { began: now, paused: 0, paused_at: self.paused_at.map(|_| now) };
        span
    }

    /// `false` if it is paused already.
    pub(crate) fn pause(&mut self, now: u64) -> bool {
        let is_running = self.paused_at.is_none();
        self.paused_at.get_or_insert(now);
        is_running
    }

    /// `false` if it is not paused.
    pub(crate) fn resume(&mut self, now: u64) -> bool {
        let Some(paused_at) = self.paused_at.take() else { return false };
        self.paused = self.paused.saturating_add(now.saturating_sub(paused_at));
        true
    }
}
