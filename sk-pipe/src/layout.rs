//! What lies where in the region of a pipe. Section 1 of PROTOCOL.md.

use sk_share::ground::Offset;
use sk_share::memory::Region;

/// "Pipe", and the version of this layout.
pub(crate) const SHAPE: Offset = Region::ROOT;
pub(crate) const SHAPE_WORD: u64 = 0x5069_7065_0000_0001;
/// How many bytes the ring has into which each side writes.
pub(crate) const CAPACITIES: Offset = Region::ROOT + 8;
/// What each side does when its ring is full.
pub(crate) const POLICIES: Offset = Region::ROOT + 24;
/// The checksums of the names of what each side sends.
pub(crate) const TYPES: Offset = Region::ROOT + 40;

/// One block of a side after the other.
pub(crate) const SIDES: Offset = 256;
pub(crate) const SIDE_BYTES: u64 = 128;
/// The member that has the end, u64; 0 nobody yet.
pub(crate) const HOLDER: Offset = 0;
/// How many times it was attached, u64.
pub(crate) const LIFE: Offset = 8;
/// What the holder has ended, u64.
pub(crate) const STATE: Offset = 16;
/// Who starts another life when the holder dies, u64; 0 nobody.
pub(crate) const SUPERVISOR: Offset = 24;
/// The process of the last holder, u64, for messages.
pub(crate) const PROCESS: Offset = 32;

/// One block of a ring after the other.
pub(crate) const RINGS: Offset = 512;
pub(crate) const RING_BYTES: u64 = 512;

/// The names of what each side sends: { bytes u64, text }.
pub(crate) const NAMES: Offset = 1536;
pub(crate) const NAME_BYTES: u64 = 1024;

pub(crate) const DATA: Offset = Region::FIRST_PAGE_END;

const _: () = assert!(TYPES + 16 <= SIDES);
const _: () = assert!(SIDES + 2 * SIDE_BYTES <= RINGS);
const _: () = assert!(RINGS + 2 * RING_BYTES <= NAMES);
const _: () = assert!(NAMES + 2 * NAME_BYTES <= DATA);
