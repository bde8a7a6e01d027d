//! Calls of the codec from within the codec: a type may encode itself by calling it again.
//!
//! Only the outermost call explains a failure by a second pass. If each did, a failure `n` calls
//! deep would take 2ⁿ passes. The reason of an inner failure goes out as it is. Each inner call begins with a depth of its own, so their number is
//! limited too, and with a look at the stack, of which nobody knows how much is left.

use std::cell::Cell;

use crate::depth::Depth;
use crate::error::{Error, Reason};

/// How many calls may be within one another.
const MOST_CALLS: u32 = 64;

thread_local! {
    static CALLS: Cell<u32> = const { Cell::new(0) };
}

/// A call of the codec that has begun, until it is dropped.
pub(crate) struct Call {
    outer: u32,
}

impl Call {
    #[inline]
    pub(crate) fn begin() -> Result<Self, Error> {
        let outer = CALLS.get();
        if outer >= MOST_CALLS {
            return Err(Error::encode(Reason::TooNested { limit: MOST_CALLS }).into_transit());
        }
        CALLS.set(outer + 1);
        Ok(Call { outer })
    }

    /// A call that takes a value apart which is there already, and so comes to an end by itself.
    #[inline]
    pub(crate) fn begin_on_a_tree() -> Self {
        let outer = CALLS.get();
        CALLS.set(outer.saturating_add(1));
        Call { outer }
    }

    /// The depth for a value of this call.
    pub(crate) fn depth(&self, limit: u16) -> Depth {
        let depth = Depth::new(limit);
        if self.is_outermost() { depth } else { depth.looking() }
    }

    pub(crate) fn is_outermost(&self) -> bool {
        self.outer == 0
    }
}

impl Drop for Call {
    #[inline]
    fn drop(&mut self) {
        CALLS.set(self.outer);
    }
}
