//! The threads of this process that sleep, each with its word, so that whoever notices a death can
//! wake them.
//!
//! This file is an island of unsafe code. Its invariants:
//!
//! 1. A word is in the list only while the call of [`Sleepers::during`] lasts that was given it: it is put
//!    there in that call and taken out before it returns or unwinds, both under the lock.
//! 2. The list is read under the lock, and no reference to a word of it outlives that.
#![expect(unsafe_code, reason = "a word is woken by another thread than the one that borrows it")]

use std::ptr::NonNull;

use super::{Scope, wake};
use crate::sync::{AtomicU32, Mutex, lock};

/// Who sleeps; `T` is what each of them waits for.
pub(crate) struct Sleepers<T> {
    list: Mutex<List<T>>,
}

struct List<T> {
    sleepers: Vec<Sleeper<T>>,
    next: u64,
}

struct Sleeper<T> {
    number: u64,
    word: NonNull<AtomicU32>,
    what: T,
}

// SAFETY: the word is an atomic that any thread may use, and it is there by 1.
unsafe impl<T: Send> Send for Sleeper<T> {}

impl<T> Sleepers<T> {
    pub(crate) fn new() -> Sleepers<T> {
        Sleepers { list: Mutex::new(List { sleepers: Vec::new(), next: 0 }) }
    }

    /// Runs `sleep` while this thread is in the list. Whatever [`wake`](Self::wake) found changed before
    /// this thread was in the list, `sleep` sees.
    pub(crate) fn during<R>(&self, word: &AtomicU32, what: T, sleep: impl FnOnce() -> R) -> R {
        let number = {
            let mut list = lock(&self.list);
            let number = list.next;
            list.next += 1;
            list.sleepers.push(Sleeper { number, word: NonNull::from(word), what });
            number
        };
        let _out = Out { sleepers: self, number };
        sleep()
    }

    /// Wakes those of whom this is true, and says whether there was one. It may have been between its last
    /// look and its sleep: call this again until there is none.
    pub(crate) fn wake(&self, is_meant: impl Fn(&T) -> bool) -> bool {
        let list = lock(&self.list);
        let mut last = None;
        for sleeper in list.sleepers.iter().filter(|sleeper| is_meant(&sleeper.what)) {
            if last.replace(sleeper.word) != Some(sleeper.word) {
                // SAFETY: 1 and 2; the lock is held.
                wake(unsafe { sleeper.word.as_ref() }, u32::MAX, Scope::Shared);
            }
        }
        last.is_some()
    }
}

/// Takes its sleeper out of the list.
struct Out<'s, T> {
    sleepers: &'s Sleepers<T>,
    number: u64,
}

impl<T> Drop for Out<'_, T> {
    fn drop(&mut self) {
        let sleepers = &mut lock(&self.sleepers.list).sleepers;
        if let Some(place) = sleepers.iter().position(|sleeper| sleeper.number == self.number) {
            sleepers.swap_remove(place);
        }
    }
}
