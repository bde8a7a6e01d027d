//! How much deeper a value may nest, and stack for as deep as it does.

use crate::error::Reason;

/// The default limit.
pub(crate) const DEFAULT_DEPTH: u16 = 1_000;

/// As many levels fit on any stack that is used at all, and most values have no more.
const SHALLOW: u16 = 8;

/// With less stack left than this, the next levels get a piece of their own. What one level of
/// decoding plain types takes fits in, or what eight levels of encoding take, about 2 KiB each in a
/// debug build.
const RED_ZONE_BYTES: usize = 512 << 10;
const PIECE_BYTES: usize = 4 << 20;

/// A level that makes something this large looks at the stack however deep it is, and wants room
/// for so many copies of it: a debug build moves it from frame to frame.
const LARGE_BYTES: usize = 1 << 10;
const COPIES: usize = 32;

/// What is left of the depth limit, counted apart for containers (struct, sequence, map, tuple,
/// variant) and for wrappers (`Some`, newtype): a list of 1,000 nodes, each an
/// `Option<Box<Node>>`, is 1,000 deep and not 2,000. Both are bounded, since a type can recurse
/// through either.
#[derive(Clone, Copy)]
pub(crate) struct Depth {
    limit: u16,
    containers: u16,
    wrappers: u16,
    /// Deep enough to look at the stack at each level.
    deep: bool,
    /// A level to look at the stack for each part.
    look: bool,
}

impl Depth {
    pub(crate) const fn new(limit: u16) -> Self {
        Depth { limit, containers: limit, wrappers: limit, deep: false, look: false }
    }

    /// The same depth, for a call of the codec within another: nobody has looked at the stack there.
    pub(crate) fn looking(self) -> Self {
        Depth { deep: true, look: true, ..self }
    }

    /// One container further in.
    #[inline]
    pub(crate) fn container(self) -> Result<Self, Reason> {
        let containers = self.less(self.containers)?;
        Ok(Depth { containers, ..self.at(containers) })
    }

    /// One wrapper further in.
    #[inline]
    pub(crate) fn wrapper(self) -> Result<Self, Reason> {
        let wrappers = self.less(self.wrappers)?;
        Ok(Depth { wrappers, ..self.at(wrappers) })
    }

    /// Visits a part at this depth whose frames are small, so that the stack of the thread does not
    /// run out: every eighth level looks.
    #[inline]
    pub(crate) fn visit<R>(self, part: impl FnOnce() -> R) -> R {
        if self.look { on_enough_stack(part) } else { part() }
    }

    /// Visits all parts at this depth, in frames that may hold what is made of them, an `R`: every
    /// level looks.
    #[inline]
    pub(crate) fn visit_all<R>(self, parts: impl FnOnce() -> R) -> R {
        if const { size_of::<R>() >= LARGE_BYTES } {
            let red_zone = RED_ZONE_BYTES.max(COPIES * size_of::<R>());
            stacker::maybe_grow(red_zone, PIECE_BYTES.max(4 * red_zone), parts)
        } else if self.deep {
            on_enough_stack(parts)
        } else {
            parts()
        }
    }

    #[inline]
    fn at(self, left: u16) -> Self {
        let deep = self.deep || self.limit - left >= SHALLOW;
        Depth { deep, look: left.is_multiple_of(SHALLOW), ..self }
    }

    #[inline]
    fn less(self, left: u16) -> Result<u16, Reason> {
        left.checked_sub(1).ok_or(Reason::TooDeep { limit: self.limit })
    }
}

/// Drops a value that came from outside and is as deep as it pleased: dropping recurses too.
pub(crate) fn drop_deep<T>(value: T) {
    on_enough_stack(|| drop(value));
}

fn on_enough_stack<R>(work: impl FnOnce() -> R) -> R {
    stacker::maybe_grow(RED_ZONE_BYTES, PIECE_BYTES, work)
}
