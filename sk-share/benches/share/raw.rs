//! What is measured against: words of a mapping of our own, and a mutex of the C library in it.
//!
//! This file is an island of unsafe code. Its invariants:
//!
//! 1. The mapping is `BYTES` long, which the file is from the beginning and stays, and is mapped as long as a [`Raw`]
//!    lives; its pointer is aligned to a page.
//! 2. Places of words are multiples of 64 below `RING`, and only atomics of one size touch each. So none overlap.
//! 3. At `MUTEX` is a mutex that `create` made before anybody else had the file; what it guards, one word and the ring
//!    from `RING` to the end, is touched only by its holder, as volatile words.
#![expect(unsafe_code, reason = "words and a mutex in memory that two processes map")]

use std::fs::{File, OpenOptions};
use std::mem::MaybeUninit;
use std::os::fd::AsRawFd as _;
use std::ptr;
use std::sync::atomic::{AtomicU32, AtomicU64};

use memmap2::{MmapOptions, MmapRaw};
use rustix::fs::MemfdFlags;

const BYTES: usize = RING + RING_BYTES;
const MUTEX: usize = 3072;
const GUARDED: usize = MUTEX + 256;
const RING: usize = 4096;
const RING_BYTES: usize = 512 << 10;
const SLOTS: u64 = 8192;
const _: () = assert!(SLOTS << 6 == 512 << 10);

/// Places of words that are used with four bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Small {
    Command,
    Ready,
    Go,
    Stop,
    Finished,
    Role,
    /// For futexes of the raw kind.
    Futex,
    /// A process that is about to be killed has what it was to have.
    Holds,
    /// How many wake-ups the sleeper has seen.
    Seen,
}

/// Places of words that are used with eight bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Large {
    Counter,
    Count,
    Nanos,
    Lost,
    Stamp,
}

/// Memory that both processes map.
pub(crate) struct Raw {
    file: File,
    map: MmapRaw,
}

impl Raw {
    pub(crate) fn create() -> Raw {
        let file = File::from(rustix::fs::memfd_create("bench", MemfdFlags::CLOEXEC).unwrap());
        file.set_len(BYTES as u64).unwrap();
        let raw = Raw::map(file);
        let mut attributes = MaybeUninit::uninit();
        // SAFETY: it makes the attributes.
        assert_eq!(unsafe { libc::pthread_mutexattr_init(attributes.as_mut_ptr()) }, 0);
        let (shared, robust) = (libc::PTHREAD_PROCESS_SHARED, libc::PTHREAD_MUTEX_ROBUST);
        // SAFETY: the attributes were made.
        unsafe { libc::pthread_mutexattr_setpshared(attributes.as_mut_ptr(), shared) };
        // SAFETY: the attributes were made.
        unsafe { libc::pthread_mutexattr_setrobust(attributes.as_mut_ptr(), robust) };
        // SAFETY: 1 and 3; nobody else has the file yet.
        let made = unsafe { libc::pthread_mutex_init(raw.mutex(), attributes.as_ptr()) };
        assert_eq!(made, 0);
        raw
    }

    pub(crate) fn open(path: &str) -> Raw {
        Raw::map(OpenOptions::new().read(true).write(true).open(path).unwrap())
    }

    fn map(file: File) -> Raw {
        let map = MmapOptions::new().len(BYTES).map_raw(&file).unwrap();
        Raw { file, map }
    }

    /// Where a child finds it as long as this process lives.
    pub(crate) fn path(&self) -> String {
        format!("/proc/{}/fd/{}", std::process::id(), self.file.as_raw_fd())
    }

    #[inline]
    pub(crate) fn small(&self, place: Small) -> &AtomicU32 {
        let word = self.map.as_mut_ptr().wrapping_add(place as usize * 64);
        // SAFETY: 1 and 2; these places end below 1024.
        unsafe { AtomicU32::from_ptr(word.cast()) }
    }

    #[inline]
    pub(crate) fn large(&self, place: Large) -> &AtomicU64 {
        let word = self.map.as_mut_ptr().wrapping_add(1024 + place as usize * 64);
        // SAFETY: 1 and 2; these places lie from 1024 on and end below `MUTEX`.
        unsafe { AtomicU64::from_ptr(word.cast()) }
    }

    fn mutex(&self) -> *mut libc::pthread_mutex_t {
        self.map.as_mut_ptr().wrapping_add(MUTEX).cast()
    }

    /// Takes the mutex, also from a dead holder, for this thread.
    #[inline]
    pub(crate) fn lock(&self) {
        // SAFETY: 3.
        let taken = unsafe { libc::pthread_mutex_lock(self.mutex()) };
        if taken == libc::EOWNERDEAD {
            // SAFETY: 3; this thread holds it.
            assert_eq!(unsafe { libc::pthread_mutex_consistent(self.mutex()) }, 0);
        } else {
            assert_eq!(taken, 0);
        }
    }

    /// Gives it back, of which this thread is the holder; for any other the mutex says that it is not.
    #[inline]
    pub(crate) fn unlock(&self) {
        // SAFETY: 3; a robust mutex looks who gives it back.
        assert_eq!(unsafe { libc::pthread_mutex_unlock(self.mutex()) }, 0);
    }

    /// Adds one to the word that the mutex guards, with the mutex.
    #[inline]
    pub(crate) fn increment(&self) {
        self.lock();
        self.add_guarded();
        self.unlock();
    }

    /// With the mutex.
    #[inline]
    fn add_guarded(&self) -> u64 {
        let word = self.map.as_mut_ptr().wrapping_add(GUARDED).cast::<u64>();
        // SAFETY: 1 and 3; the caller holds the mutex.
        let before = unsafe { ptr::read_volatile(word) };
        // SAFETY: 1 and 3; the caller holds the mutex.
        unsafe { ptr::write_volatile(word, before + 1) };
        before
    }

    /// The word that the mutex guards.
    pub(crate) fn guarded(&self) -> u64 {
        self.lock();
        let word = self.map.as_mut_ptr().wrapping_add(GUARDED).cast::<u64>();
        // SAFETY: 1 and 3; this thread holds the mutex.
        let value = unsafe { ptr::read_volatile(word) };
        self.unlock();
        value
    }

    /// Appends 64 bytes to a ring, with the mutex.
    #[inline]
    pub(crate) fn push(&self, element: &[u64; 8]) {
        self.lock();
        let slot = usize::try_from(self.add_guarded() % SLOTS).unwrap();
        let to = self.map.as_mut_ptr().wrapping_add(RING + slot * 64).cast::<[u64; 8]>();
        // SAFETY: 1 and 3; this thread holds the mutex, and the slot lies within the ring.
        unsafe { ptr::write_volatile(to, *element) };
        self.unlock();
    }
}
