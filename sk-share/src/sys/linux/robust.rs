//! The robust list of the calling thread: words that the kernel marks and wakes when the thread ends.
//!
//! This file is an island of unsafe code. Its invariants:
//!
//! 1. The head and the nodes are one allocation that stays where it is from before it is registered
//!    until after it is registered no more. Only the kernel and the methods of this file reach it,
//!    all of it through atomics.
//! 2. A [`RobustList`] stays on the thread that registered it: it is neither `Send` nor `Sync`.
//! 3. Each node that is linked or pending is one of the allocation, and `distance` bytes from it lies a
//!    word of the mapping that the list holds on to.
//! 4. The list that the thread had before is that of the C library, which lives as long as the
//!    thread and was empty, so that nothing of it is lost while ours takes its place.
#![expect(unsafe_code, reason = "the kernel is given the address of a list that it follows")]

use std::io;
use std::marker::PhantomData;
use std::ptr::{self, NonNull};

use super::{Memory, incarnation};
use crate::sync::{Arc, AtomicUsize, Ordering, compiler_fence};

/// What the kernel calls `robust_list_head`: three words.
#[repr(C)]
struct Head {
    first: AtomicUsize,
    /// From a node to its word, in bytes, as a wrapping difference.
    distance: AtomicUsize,
    /// The node of a word that is being taken or given back.
    pending: AtomicUsize,
}

/// Eight bytes on every platform, as far apart as the words are in the mapping.
#[repr(C, align(8))]
struct Node {
    next: AtomicUsize,
}

#[repr(C)]
struct List {
    head: Head,
    nodes: [Node; RobustList::MOST],
}

/// The robust list of this thread, until it is dropped.
///
/// A word is taken between [`begin`](Self::begin) and [`end`](Self::end), with
/// [`link`](Self::link) after it has this thread's number, and given back in the same way with
/// [`unlink`](Self::unlink) after it has no number any more. Killed anywhere, the kernel finds it.
pub(crate) struct RobustList {
    list: NonNull<List>,
    /// What the thread had before.
    previous: usize,
    /// Keeps the words mapped.
    words: Arc<Memory>,
    incarnation: u32,
    /// Invariant 2.
    thread: PhantomData<*const ()>,
}

impl RobustList {
    /// As many nodes as a list has. The kernel would follow 2,048.
    pub(crate) const MOST: usize = 512;

    /// A list for this thread, empty. `Ok(None)` if the thread holds a robust mutex of the C library.
    pub(crate) fn register(words: Arc<Memory>) -> io::Result<Option<RobustList>> {
        let incarnation = incarnation()?;
        let mut previous = ptr::null_mut::<Head>();
        let mut bytes = 0_usize;
        // SAFETY: it writes the two words it is given; 0 stands for this thread.
        let result = unsafe {
            libc::syscall(libc::SYS_get_robust_list, 0, &raw mut previous, &raw mut bytes)
        };
        if result != 0 {
            return Err(io::Error::last_os_error());
        }
        if let Some(head) = NonNull::new(previous) {
            // SAFETY: 4; the C library has it there for as long as the thread lives, and only
            // this thread changes it.
            let head = unsafe { head.as_ref() };
            let is_empty = head.first.load(Ordering::Relaxed) == ptr::from_ref(head).addr();
            if !is_empty || head.pending.load(Ordering::Relaxed) != 0 {
                return Ok(None);
            }
        }
        let list = Box::new(List {
            head: Head {
                first: AtomicUsize::new(0),
                distance: AtomicUsize::new(0),
                pending: AtomicUsize::new(0),
            },
            nodes: [const { Node { next: AtomicUsize::new(0) } }; RobustList::MOST],
        });
        let list = NonNull::from(Box::leak(list));
        let robust = RobustList {
            list,
            previous: previous.expose_provenance(),
            words,
            incarnation,
            thread: PhantomData,
        };
        let head = robust.head();
        head.first.store(robust.end_mark(), Ordering::Relaxed);
        robust.step();
        // SAFETY: 1; the list is empty, and its drop takes it back.
        if unsafe { set_robust_list(list.as_ptr().expose_provenance()) } != 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(Some(robust))
    }

    /// From here on node `index` stands for the u32 at `offset + 8 * index` of the mapping. Nothing
    /// is linked or pending. False, and nothing is changed, where these words do not lie within.
    #[must_use]
    pub(crate) fn aim(&self, offset: usize, count: usize) -> bool {
        let Some(first) = self.words.words64(offset, count).and_then(<[_]>::first) else {
            return false;
        };
        let Some(node) = self.list().nodes.first() else { return false };
        if count > RobustList::MOST || self.head().first.load(Ordering::Relaxed) != self.end_mark()
        {
            return false;
        }
        let distance = ptr::from_ref(first).addr().wrapping_sub(ptr::from_ref(node).addr());
        self.step();
        self.head().distance.store(distance, Ordering::Relaxed);
        self.step();
        true
    }

    /// Before the word of this node is taken or given back.
    pub(crate) fn begin(&self, index: usize) {
        self.step();
        self.head().pending.store(self.address_of(index), Ordering::Relaxed);
        self.step();
    }

    /// After the word of this node was taken and linked, or given back and unlinked.
    pub(crate) fn end(&self) {
        self.step();
        self.head().pending.store(0, Ordering::Relaxed);
        self.step();
    }

    /// Puts the node in front of all others.
    pub(crate) fn link(&self, index: usize) {
        let Some(node) = self.list().nodes.get(index) else { return };
        let head = self.head();
        self.step();
        node.next.store(head.first.load(Ordering::Relaxed), Ordering::Relaxed);
        self.step();
        head.first.store(self.address_of(index), Ordering::Relaxed);
        self.step();
    }

    /// Takes the node out, wherever it is; at once if it is the first.
    pub(crate) fn unlink(&self, index: usize) {
        let Some(node) = self.list().nodes.get(index) else { return };
        let address = self.address_of(index);
        self.step();
        let mut place = &self.head().first;
        for _ in 0..=RobustList::MOST {
            let next = place.load(Ordering::Relaxed);
            if next == address {
                place.store(node.next.load(Ordering::Relaxed), Ordering::Relaxed);
                break;
            }
            let Some(follower) =
                self.list().nodes.iter().find(|node| ptr::from_ref::<Node>(node).addr() == next)
            else {
                break;
            };
            place = &follower.next;
        }
        self.step();
    }

    fn list(&self) -> &List {
        // SAFETY: 1; it is freed in our own drop.
        unsafe { self.list.as_ref() }
    }

    fn head(&self) -> &Head {
        &self.list().head
    }

    /// What the last node points to.
    fn end_mark(&self) -> usize {
        ptr::from_ref(self.head()).addr()
    }

    /// 0 for no node of ours, which for the kernel is none.
    fn address_of(&self, index: usize) -> usize {
        self.list().nodes.get(index).map_or(0, |node| ptr::from_ref(node).addr())
    }

    /// The kernel looks at this thread's own memory when the thread is over, so what counts is that
    /// the compiler keeps the order.
    fn step(&self) {
        compiler_fence(Ordering::SeqCst);
    }
}

impl Drop for RobustList {
    fn drop(&mut self) {
        // In a copy made by fork the kernel knows no list of ours, and the C library has set its own.
        if incarnation().is_ok_and(|now| now == self.incarnation) {
            // SAFETY: 4; it was this thread's list, and is still there.
            if unsafe { set_robust_list(self.previous) } != 0 {
                return;
            }
        }
        // SAFETY: 1 and 2; it came from a box, and the kernel follows it no more.
        drop(unsafe { Box::from_raw(self.list.as_ptr()) });
    }
}

/// # Safety
/// At the address is a robust list of this thread, or it is 0.
unsafe fn set_robust_list(address: usize) -> libc::c_long {
    // SAFETY: as the caller says; the kernel reads nothing before the thread ends.
    unsafe { libc::syscall(libc::SYS_set_robust_list, address, size_of::<Head>()) }
}
