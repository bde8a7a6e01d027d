//! A region: one file without a name, mapped by everybody who holds it.
//!
//! Its first page is the header, of which section 2 of PROTOCOL.md tells.

use std::fmt;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};

use super::copy;
use crate::error::{Error, Reason};
use crate::fault;
use crate::sync::{Arc, AtomicU32, AtomicU64, Ordering};
use crate::sys::{self, Held, HeldWords, Incarnation, Memory};

const MAGIC: u64 = u64::from_le_bytes(*b"sk-share");
/// The backends lay files out differently.
const LAYOUT: u32 = if cfg!(sk_portable) { 1 << 16 | 1 } else { 1 };

/// Offsets in the header.
const AT_MAGIC: u64 = 0;
const AT_LAYOUT: u64 = 8;
pub(super) const AT_KIND: u64 = 12;
const AT_ID: u64 = 16;
const AT_ROSTER: u64 = 32;
const AT_LIMIT: u64 = 48;
const AT_LENGTH: u64 = 56;
const AT_DAMAGED: u64 = 96;

/// So much is allocated at a time: a signal has the kernel begin a piece anew, and what is there so
/// far is kept if the next piece fails.
const PIECE: u64 = 16 << 20;

/// Memory that several processes map; the handle is cheap to clone, and the memory is freed when the
/// last process has dropped its last handle or ended.
///
/// It is one file without a name, in memory where the system has such files. What a process has mapped stays
/// where it is, so that growing moves nothing. What lies in it is reached by offsets, each checked at each
/// use: a word as an atomic ([`word32`](Self::word32), [`word64`](Self::word64)), bytes by copies
/// ([`read`](Self::read), [`write`](Self::write)).
///
/// A word is always used with the same size; which one is written where its layout is.
///
/// Nothing here blocks, except that [`grow`](Self::grow) takes as long as the kernel takes to find memory.
/// The death of another process leaves the memory as it is.
///
/// ```
/// use sk_share::memory::{Kind, Region};
///
/// let region = Region::create(Kind::new(7), 1 << 30, None)?;
/// region.grow(100_000)?;
/// region.write(5000, b"seen by all")?;
///
/// // In the other process, which got the descriptor:
/// let there = Region::open(region.as_fd().try_clone_to_owned()?, Kind::new(7), Some(region.id()))?;
/// let mut bytes = [0; 11];
/// there.read(5000, &mut bytes)?;
/// assert_eq!(&bytes, b"seen by all");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Region {
    inner: Arc<Inner>,
}

struct Inner {
    map: Arc<Memory>,
    file: Arc<OwnedFd>,
    id: RegionId,
    kind: Kind,
    roster: RegionId,
    limit: u64,
    /// The largest length that was seen and found true.
    length: AtomicU64,
    incarnation: Incarnation,
}

/// Which region: 128 random bits, the same in all processes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct RegionId([u64; 2]);

/// What lies in a region; who opens one says what they expect.
///
/// Numbers below 256 belong to this workspace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Kind(u32);

impl RegionId {
    /// One that no other region has.
    pub(crate) fn random() -> Result<RegionId, Error> {
        sys::random().map(RegionId).map_err(|error| Error::system("no random bytes", 16, error))
    }

    /// The two words that it was made of.
    pub const fn from_words(words: [u64; 2]) -> RegionId {
        RegionId(words)
    }

    /// As two words, to be written down.
    pub const fn to_words(self) -> [u64; 2] {
        self.0
    }
}

impl Kind {
    /// The roster of a program.
    pub const ROSTER: Kind = Kind(1);

    /// The values of a share.
    pub const SHARE: Kind = Kind(2);

    /// The bytes of a blob.
    pub const BLOB: Kind = Kind(3);

    /// The two rings of a pipe.
    pub const PIPE: Kind = Kind(4);

    /// The kind with this number.
    pub const fn new(number: u32) -> Kind {
        Kind(number)
    }

    /// Its number.
    pub const fn number(self) -> u32 {
        self.0
    }
}

impl Region {
    /// The offset of the first byte behind the words that every region has. From here to
    /// [`FIRST_PAGE_END`](Self::FIRST_PAGE_END) is what its kind puts there.
    pub const ROOT: u64 = 128;

    /// The offset behind the page that is always there.
    pub const FIRST_PAGE_END: u64 = 4096;

    /// Makes a region of one page that can grow to `limit` bytes, rounded up to whole pages; it names the
    /// roster of its program.
    ///
    /// # Errors
    /// The process has no descriptor or not that much address space left (`RLIMIT_AS`), or there is no
    /// memory for a page: [`is_limit`](Error::is_limit).
    pub fn create(kind: Kind, limit: u64, roster: Option<RegionId>) -> Result<Region, Error> {
        let id = RegionId::random()?;
        let roster = match roster {
            Some(roster) => roster,
            None if kind == Kind::ROSTER => id,
            None => RegionId::default(),
        };
        let limit = to_pages(limit).max(first_length());
        let file = sys::unnamed_memory("sk-share")
            .map_err(|error| Error::system("cannot make a file in memory", limit, error))?;
        let file = Arc::new(file);
        let first = first_length();
        let region = Region::map(file, id, kind, roster, limit)?;
        allocate(region.as_fd(), 0, region.end_of_file(first), first)?;
        sys::seal_shrinking(region.as_fd())
            .map_err(|error| Error::system("cannot seal a file in memory", first, error))?;
        region.reach(first)?;
        region.inner.length.store(first, Ordering::Relaxed);
        // Nobody else has it, so the order is free.
        let RegionId([id_0, id_1]) = id;
        let RegionId([roster_0, roster_1]) = roster;
        for (at, value) in [
            (AT_ID, id_0),
            (AT_ID + 8, id_1),
            (AT_ROSTER, roster_0),
            (AT_ROSTER + 8, roster_1),
            (AT_LIMIT, limit),
            (AT_LENGTH, first),
            (AT_MAGIC, MAGIC),
        ] {
            region.word64(at)?.store(value, Ordering::Relaxed);
        }
        region.word32(AT_KIND)?.store(kind.0, Ordering::Relaxed);
        region.word32(AT_LAYOUT)?.store(LAYOUT, Ordering::Release);
        Ok(region)
    }

    /// Maps the region of this descriptor, after a look whether it is one: of this kind, of this id if
    /// one is expected, of this layout, and at least as long as it says.
    ///
    /// # Errors
    /// It is something else ([`is_foreign`](Error::is_foreign)), its header is damaged, or the process
    /// has not that much address space left.
    pub fn open(file: OwnedFd, kind: Kind, id: Option<RegionId>) -> Result<Region, Error> {
        let foreign =
            |what, found: u64, expected: u64| Error::new(Reason::Foreign { what, found, expected });
        let size = sys::size_of_file(file.as_fd())
            .map_err(|error| Error::system("cannot ask a descriptor for its size", 0, error))?;
        let first = first_length();
        if size < first {
            return Err(foreign("its size", size, first));
        }
        if !sys::is_sealed_against_shrinking(file.as_fd()) {
            return Err(foreign("its seal against shrinking", 0, 1));
        }
        let file = Arc::new(file);
        let header = map(&file, first)?;
        header.reach(first).map_err(|error| Error::system(NOT_MAPPED, first, error))?;
        let look32 = |at: u64| word_of(header.words32(position(at), 1), at, first);
        let look64 = |at: u64| word_of(header.words64(position(at), 1), at, first);
        let pair = |at: u64| -> Result<RegionId, Error> {
            Ok(RegionId([
                look64(at)?.load(Ordering::Relaxed),
                look64(at + 8)?.load(Ordering::Relaxed),
            ]))
        };
        let magic = look64(AT_MAGIC)?.load(Ordering::Acquire);
        if magic != MAGIC {
            return Err(foreign("its first word", magic, MAGIC));
        }
        for (what, at, expected) in
            [("its layout", AT_LAYOUT, LAYOUT), ("its kind", AT_KIND, kind.number())]
        {
            let found = look32(at)?.load(Ordering::Relaxed);
            if found != expected {
                return Err(foreign(what, u64::from(found), u64::from(expected)));
            }
        }
        let found = pair(AT_ID)?;
        if let Some(expected) = id.filter(|expected| *expected != found) {
            return Err(Error::new(Reason::OtherRegion { found, expected }));
        }
        let limit = look64(AT_LIMIT)?.load(Ordering::Relaxed);
        if limit < first || limit != to_pages(limit) {
            return Err(Error::damaged("the limit of the region", limit, first));
        }
        let region = Region::map(file, found, kind, pair(AT_ROSTER)?, limit)?;
        let least = region.end_of_file(first);
        if size < least {
            return Err(Error::damaged("the limit of the region", limit, size));
        }
        region.reach(first)?;
        region.look_at_length()?;
        Ok(region)
    }

    /// The first words of a file that [`identify`](Self::identify) knows.
    pub(crate) fn header_of(kind: Kind, id: RegionId) -> Vec<u8> {
        let RegionId([first, second]) = id;
        let kind = u64::from(LAYOUT) | u64::from(kind.0) << 32;
        [MAGIC, kind, first, second].iter().flat_map(|word| word.to_ne_bytes()).collect()
    }

    /// What a descriptor says that it is, by its first bytes.
    ///
    /// # Errors
    /// It is nothing of ours ([`is_foreign`](Error::is_foreign)).
    pub fn identify(file: BorrowedFd<'_>) -> Result<(Kind, RegionId), Error> {
        let mut header = [0; 32];
        sys::read_at(file, 0, &mut header)
            .map_err(|error| Error::system("cannot read the first bytes of a region", 32, error))?;
        let word = |at: usize| {
            let bytes = header.get(at..).and_then(<[u8]>::first_chunk);
            bytes.copied().map(u64::from_ne_bytes).unwrap_or_default()
        };
        let magic = word(0);
        if magic != MAGIC {
            let what = "its first word";
            return Err(Error::new(Reason::Foreign { what, found: magic, expected: MAGIC }));
        }
        let kind = u32::try_from(word(8) >> 32).unwrap_or_default();
        Ok((Kind(kind), RegionId([word(16), word(24)])))
    }

    /// As [`open`](Self::open) of a descriptor that this process inherited under this number, which stays
    /// open. For tests: processes of a program hand descriptors on over a socket.
    #[doc(hidden)]
    pub fn from_inherited(number: RawFd, kind: Kind) -> Result<Region, Error> {
        Region::open(Region::inherited(number)?, kind, None)
    }

    #[doc(hidden)]
    pub fn inherited(number: RawFd) -> Result<OwnedFd, Error> {
        let value = u64::from(number.unsigned_abs());
        sys::inherited(number)
            .map_err(|error| Error::system("no inherited descriptor of this number", value, error))
    }

    fn map(
        file: Arc<OwnedFd>,
        id: RegionId,
        kind: Kind,
        roster: RegionId,
        limit: u64,
    ) -> Result<Region, Error> {
        let map = Arc::new(map(&file, limit)?);
        let length = AtomicU64::new(0);
        let no_page = |error| Error::system("no page that is wiped on fork", 1, error);
        let incarnation = Incarnation::now().map_err(no_page)?;
        let inner = Inner { map, file, id, kind, roster, limit, length, incarnation };
        Ok(Region { inner: Arc::new(inner) })
    }

    /// Which region it is.
    pub fn id(&self) -> RegionId {
        self.inner.id
    }

    /// What lies in it.
    pub fn kind(&self) -> Kind {
        self.inner.kind
    }

    /// The roster of the program that it belongs to; a roster names itself, and a region that was made without
    /// one names nothing but zeros.
    pub fn roster_id(&self) -> RegionId {
        self.inner.roster
    }

    /// So many bytes it may grow to.
    pub fn limit(&self) -> u64 {
        self.inner.limit
    }

    /// Its descriptor, to be handed to another process.
    pub fn as_fd(&self) -> BorrowedFd<'_> {
        self.inner.file.as_fd()
    }

    /// How many bytes are there. Others may have grown it since.
    ///
    /// # Errors
    /// The word that says so is damaged.
    pub fn length(&self) -> Result<u64, Error> {
        self.look_at_length()
    }

    /// Has at least `to` bytes there, rounded up to whole pages, and says how many there are now. Fresh
    /// bytes are zero. Processes that grow it at the same time do not disturb each other, and whoever is
    /// killed within has lost nothing; what was allocated before an error stays.
    ///
    /// Memory is allocated here and not at the first touch, so that a lack of it is an error here and not a
    /// signal there: 0.2 to 0.3 ms for each MiB.
    ///
    /// # Errors
    /// Beyond the limit of the region or of `RLIMIT_FSIZE`, or there is no memory:
    /// [`is_limit`](Error::is_limit). The handle is a copy made by fork.
    pub fn grow(&self, to: u64) -> Result<u64, Error> {
        self.check_incarnation()?;
        let limit = self.inner.limit;
        let asked = to_pages(to);
        if asked > limit || asked < to {
            let what = "the region's own limit";
            return Err(Error::new(Reason::Limit { asked: to, what, limit }));
        }
        let mut at = self.look_at_length()?;
        while at < asked {
            let next = asked.min(at.saturating_add(PIECE));
            let (from, to) = (self.end_of_file(at), self.end_of_file(next));
            fault::point("grow.begin");
            if from < to {
                allocate(self.as_fd(), from, to, asked)?;
            }
            fault::point("grow.allocated");
            // (A1) with the load in `look_at_length`. Of two that grow, the longer one counts.
            self.word64(AT_LENGTH)?.fetch_max(next, Ordering::Release);
            fault::point("grow.stored");
            self.reach(next)?;
            self.inner.length.fetch_max(next, Ordering::Release);
            at = self.look_at_length()?;
        }
        Ok(at)
    }

    /// The u32 at this offset, which is a multiple of 4. It may be a futex.
    ///
    /// # Errors
    /// It does not lie within what is there, or is not aligned.
    #[inline]
    pub fn word32(&self, offset: u64) -> Result<&AtomicU32, Error> {
        self.check(offset, size_of::<u32>())?;
        word_of(self.inner.map.words32(position(offset), 1), offset, self.inner.limit)
    }

    /// The u64 at this offset, which is a multiple of 8.
    ///
    /// # Errors
    /// It does not lie within what is there, or is not aligned.
    #[inline]
    pub fn word64(&self, offset: u64) -> Result<&AtomicU64, Error> {
        self.check(offset, size_of::<u64>())?;
        word_of(self.inner.map.words64(position(offset), 1), offset, self.inner.limit)
    }

    /// `count` u32 from this offset on, which is a multiple of 4.
    ///
    /// # Errors
    /// They do not lie within what is there, or are not aligned; or they lie in two segments of the portable
    /// backend.
    #[inline]
    pub fn words32(&self, offset: u64, count: usize) -> Result<&[AtomicU32], Error> {
        let bytes = count.saturating_mul(size_of::<u32>());
        self.check(offset, bytes)?;
        let words = self.inner.map.words32(position(offset), count);
        words.ok_or_else(|| self.not_words(offset, bytes))
    }

    /// `count` u64 from this offset on, which is a multiple of 8.
    ///
    /// # Errors
    /// They do not lie within what is there, or are not aligned; or they lie in two segments of the portable
    /// backend.
    #[inline]
    pub fn words64(&self, offset: u64, count: usize) -> Result<&[AtomicU64], Error> {
        let bytes = count.saturating_mul(size_of::<u64>());
        self.check(offset, bytes)?;
        let words = self.inner.map.words64(position(offset), count);
        words.ok_or_else(|| self.not_words(offset, bytes))
    }

    /// As [`words32`](Self::words32), found once and kept, with the memory.
    ///
    /// # Errors
    /// As for [`words32`](Self::words32).
    pub fn hold_words32(&self, offset: u64, count: usize) -> Result<HeldWords<AtomicU32>, Error> {
        self.words32(offset, count)?;
        HeldWords::words32(&self.inner.map, position(offset), count)
            .ok_or_else(|| unaligned(offset))
    }

    /// As [`words64`](Self::words64), found once and kept, with the memory.
    ///
    /// # Errors
    /// As for [`words64`](Self::words64).
    pub fn hold_words64(&self, offset: u64, count: usize) -> Result<HeldWords<AtomicU64>, Error> {
        self.words64(offset, count)?;
        HeldWords::words64(&self.inner.map, position(offset), count)
            .ok_or_else(|| unaligned(offset))
    }

    /// As [`word32`](Self::word32), found once and kept.
    pub(crate) fn hold32(&self, offset: u64) -> Result<Held<AtomicU32>, Error> {
        self.check(offset, size_of::<u32>())?;
        Held::word32(&self.inner.map, position(offset)).ok_or_else(|| unaligned(offset))
    }

    /// As [`word64`](Self::word64), found once and kept.
    pub(crate) fn hold64(&self, offset: u64) -> Result<Held<AtomicU64>, Error> {
        self.check(offset, size_of::<u64>())?;
        Held::word64(&self.inner.map, position(offset)).ok_or_else(|| unaligned(offset))
    }

    /// Copies bytes out, as relaxed words of eight: what others write meanwhile may be seen in part. Whoever
    /// needs more than that looks at a word of their own with acquire before.
    ///
    /// # Errors
    /// They do not lie within what is there.
    pub fn read(&self, offset: u64, to: &mut [u8]) -> Result<(), Error> {
        self.check(offset, to.len())?;
        let (mut at, mut to) = (offset, to);
        while !to.is_empty() {
            let (words, skip, count) = self.words_around(at, to.len())?;
            let (part, rest) = to.split_at_mut(count);
            copy::read(words, skip, part);
            at += u64::try_from(count).unwrap_or(u64::MAX);
            to = rest;
        }
        Ok(())
    }

    /// Copies bytes in, as relaxed words of eight. Bytes of others that share a word with the first or the
    /// last ones stay as they are.
    ///
    /// # Errors
    /// They do not lie within what is there.
    pub fn write(&self, offset: u64, from: &[u8]) -> Result<(), Error> {
        self.check(offset, from.len())?;
        let (mut at, mut from) = (offset, from);
        while !from.is_empty() {
            let (words, skip, count) = self.words_around(at, from.len())?;
            let (part, rest) = from.split_at(count);
            copy::write(words, skip, part);
            at += u64::try_from(count).unwrap_or(u64::MAX);
            from = rest;
        }
        Ok(())
    }

    /// Writes down, for all, that something in this region is damaged. The first reason stays. 0 is no
    /// reason and is written as 1.
    pub fn report_damage(&self, reason: u32) {
        if let Ok(word) = self.word32(AT_DAMAGED) {
            let _ = word.compare_exchange(0, reason.max(1), Ordering::Relaxed, Ordering::Relaxed);
        }
    }

    /// The first damage that anybody reported.
    pub fn damage(&self) -> Option<u32> {
        let word = self.word32(AT_DAMAGED).ok()?;
        Some(word.load(Ordering::Relaxed)).filter(|reason| *reason != 0)
    }

    /// As [`length`](Self::length), as far as it was seen and found true.
    pub(crate) fn known_length(&self) -> u64 {
        self.inner.length.load(Ordering::Acquire)
    }

    /// What holds the words in place for the kernel.
    #[cfg(not(sk_portable))]
    pub(crate) fn mapping(&self) -> &Arc<Memory> {
        &self.inner.map
    }

    /// Whether this process is a copy of the one that has the handle.
    #[inline(always)]
    pub(crate) fn is_copied(&self) -> bool {
        !self.inner.incarnation.is_this()
    }

    /// # Errors
    /// This process is a copy of the one that has the handle.
    #[inline]
    pub(crate) fn check_incarnation(&self) -> Result<(), Error> {
        if self.is_copied() { Err(Error::new(Reason::Copied)) } else { Ok(()) }
    }

    /// The words that hold these bytes, as many of them as lie together; how many bytes of the first word
    /// are before them; and how many of the bytes these words hold.
    fn words_around(
        &self,
        offset: u64,
        bytes: usize,
    ) -> Result<(&[AtomicU64], usize, usize), Error> {
        let skip = position(offset % 8);
        let bytes = bytes.min(position(self.inner.map.together_from(offset)));
        let count = bytes.saturating_add(skip).div_ceil(size_of::<u64>());
        Ok((self.words64(offset - offset % 8, count)?, skip, bytes))
    }

    /// How long the file is that has `length` bytes of this region, or is to have them.
    fn end_of_file(&self, length: u64) -> u64 {
        self.inner.map.end_of_file(length)
    }

    /// Has the first `length` bytes mapped; the file has them.
    fn reach(&self, length: u64) -> Result<(), Error> {
        self.inner.map.reach(length).map_err(|error| Error::system(NOT_MAPPED, length, error))
    }

    #[cold]
    fn not_words(&self, offset: u64, bytes: usize) -> Error {
        let together = position(self.inner.map.together_from(offset));
        let what = if bytes > together { "words in two segments" } else { "words not aligned" };
        outside(what, offset, bytes, self.inner.limit)
    }

    #[inline]
    fn check(&self, offset: u64, bytes: usize) -> Result<(), Error> {
        let end = offset.saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
        if end <= self.inner.length.load(Ordering::Acquire) {
            return Ok(());
        }
        let length = self.look_at_length()?;
        if end <= length {
            return Ok(());
        }
        Err(outside("a look", offset, bytes, length))
    }

    /// The length that the header says, compared with the file if it is more than was known. Since the
    /// file cannot shrink, what was true stays true.
    #[cold]
    fn look_at_length(&self) -> Result<u64, Error> {
        let inner = &*self.inner;
        let known = inner.length.load(Ordering::Acquire);
        let word = inner.map.words64(position(AT_LENGTH), 1);
        // (A1) with the store in `grow`.
        let length = word_of(word, AT_LENGTH, inner.limit)?.load(Ordering::Acquire);
        if length <= known && known != 0 {
            // It never shrinks; a smaller one is damage that does no harm here.
            return Ok(known);
        }
        if length > inner.limit || length != to_pages(length) || length < first_length() {
            return Err(Error::damaged("the length of the region", length, inner.limit));
        }
        let size = sys::size_of_file(inner.file.as_fd())
            .map_err(|error| Error::system("cannot ask a region for its size", length, error))?;
        if self.end_of_file(length) > size {
            return Err(Error::damaged("the length of the region", length, size));
        }
        self.reach(length)?;
        inner.length.fetch_max(length, Ordering::Release);
        Ok(length)
    }
}

impl fmt::Debug for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Region")
            .field("id", &self.inner.id)
            .field("kind", &self.inner.kind)
            .field("limit", &self.inner.limit)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for RegionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let RegionId([first, second]) = self;
        write!(f, "{first:016x}{second:016x}")
    }
}

impl fmt::Debug for RegionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Memory for these bytes of the file, which is to become `asked` bytes long.
fn allocate(file: BorrowedFd<'_>, from: u64, to: u64, asked: u64) -> Result<(), Error> {
    // Beyond this the kernel would send a signal that kills.
    if let Some(limit) = sys::file_size_limit().filter(|limit| to > *limit) {
        let what = "the limit of this process for files, RLIMIT_FSIZE,";
        return Err(Error::new(Reason::Limit { asked: asked.max(to), what, limit }));
    }
    sys::allocate(file, from, to)
        .map_err(|error| Error::system("cannot allocate a region up to this byte", to, error))
}

const NOT_MAPPED: &str = "cannot map so many bytes of a region (RLIMIT_AS?)";

fn map(file: &Arc<OwnedFd>, bytes: u64) -> Result<Memory, Error> {
    let (what, limit) = ("what an address can be", isize::MAX as u64);
    if bytes > limit {
        return Err(Error::new(Reason::Limit { asked: bytes, what, limit }));
    }
    let reason = "cannot reserve so many bytes of address space (RLIMIT_AS?)";
    Memory::of(file, bytes).map_err(|error| Error::system(reason, bytes, error))
}

#[inline]
fn word_of<W>(words: Option<&[W]>, offset: u64, limit: u64) -> Result<&W, Error> {
    words
        .and_then(<[W]>::first)
        .ok_or_else(|| outside("a word that is not aligned", offset, size_of::<W>(), limit))
}

#[cold]
fn unaligned(offset: u64) -> Error {
    outside("a word that is not aligned", offset, 0, offset)
}

#[cold]
fn outside(what: &'static str, offset: u64, bytes: usize, length: u64) -> Error {
    let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
    Error::new(Reason::Outside { what, offset, bytes, length })
}

/// An offset as a place in the mapping; one that no mapping can have where it does not fit.
#[inline]
fn position(offset: u64) -> usize {
    usize::try_from(offset).unwrap_or(usize::MAX)
}

/// Rounded up to whole pages; down where that is out of reach.
fn to_pages(bytes: u64) -> u64 {
    let page = u64::try_from(sys::page_bytes()).unwrap_or(4096);
    bytes.checked_next_multiple_of(page).unwrap_or(bytes - bytes % page)
}

/// What every region has from the beginning.
fn first_length() -> u64 {
    to_pages(Region::FIRST_PAGE_END)
}
