//! What lies where in the region of a share. Section 15 of PROTOCOL.md.

use crate::ground::{Arena, Directory, Gate, Offset, Transactions};
use crate::memory::{Commons, Region};

/// What has to be looked after before a read or a write: see [`ground::Transactions`](crate::ground::Transactions)
/// and the two flags below.
pub(crate) const ATTENTION: Offset = Region::ROOT;

/// Values stay as they are; what is written waits.
pub(crate) const STOPPED: u64 = 2;
/// Beside STOPPED: it is over, and what waits is to be published by whoever comes first.
pub(crate) const STARTING: u64 = 4;

/// How many starts there were: one who comes late does not take the next one for its own.
pub(crate) const STARTS: Offset = Region::ROOT + 8;

/// Closed while a share is stopped and not about to start.
pub(crate) const GATE: Gate = Gate { at: ATTENTION, mask: STOPPED | STARTING, closed: STOPPED };

/// The event count of those who watch more than one object.
pub(crate) const ACTIVITY: Offset = Region::ROOT + 16;

/// The first fault: { serial of the object 56 | reason 8 }.
pub(crate) const FAULT: Offset = Region::ROOT + 24;

pub(crate) const DIRECTORY: Offset = Region::FIRST_PAGE_END;
pub(crate) const RECORD: Offset = 8448;
pub(crate) const ARENA: Offset = 12_288;

const _: () = assert!(DIRECTORY + Directory::<'static, Commons>::BYTES <= RECORD);
const _: () = assert!(RECORD + Transactions::<'static, Commons>::BYTES <= ARENA);

const SMALLEST_CHUNK: u64 = 64 << 10;
const LARGEST_CHUNK: u64 = 1 << 20;

/// More than this many chunks are not planned as long as larger chunks would do: each takes a word.
const MOST_CHUNKS: u64 = 32 << 10;

/// How the memory below a limit is cut.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) chunk_bytes: u64,
    pub(crate) chunks: u64,
    /// Where the first chunk begins.
    pub(crate) first: Offset,
}

impl Plan {
    /// The smallest region that holds anything.
    pub(crate) const SMALLEST: u64 = 4 * SMALLEST_CHUNK;

    pub(crate) fn of(limit: u64) -> Plan {
        let wanted = limit.div_ceil(MOST_CHUNKS).next_power_of_two();
        let chunk_bytes = wanted.clamp(SMALLEST_CHUNK, LARGEST_CHUNK);
        let most = limit / chunk_bytes;
        let header = ARENA + Arena::<'static, Commons>::header_bytes(most);
        // Whole chunks, so that no block lies across a multiple of the size of a chunk.
        let first = header.next_multiple_of(chunk_bytes);
        Plan { chunk_bytes, chunks: (limit.saturating_sub(first) / chunk_bytes).max(1), first }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_limit_has_a_plan_that_fits() {
        for shift in 18..38 {
            let limit = 1 << shift;
            let plan = Plan::of(limit);
            let header = ARENA + Arena::<'static, Commons>::header_bytes(plan.chunks);
            assert!(header <= plan.first, "{plan:?}");
            assert!(plan.first + plan.chunks * plan.chunk_bytes <= limit, "{limit} {plan:?}");
            assert!(plan.first <= (limit / 8).max(192 << 10), "{limit} {plan:?}");
        }
    }
}
