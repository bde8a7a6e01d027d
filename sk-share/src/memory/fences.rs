//! Fences of which one side pays for both.
//!
//! Who publishes looks whether somebody sleeps, each time; who is about to sleep looks whether something was
//! published, seldom. A full fence between store and load on both sides would do, but the publisher's waits for
//! every line of memory that it has just written, which is most of what a message costs it. So the sleeper has
//! all processors on which a publisher may run execute a full fence, by an interrupt: 1 µs where none runs, 12 µs
//! where one does **[measured on a virtual machine]**. Known as asymmetric fences (C++ proposal P1202).
//!
//! | publisher | sleeper |
//! |---|---|
//! | store, light fence, load | store, heavy fence, load |
//!
//! The interrupt comes before the publisher's store in program order, and its load sees the sleeper's store; or
//! behind it, and the sleeper's load sees the publisher's. A process is reached by interrupts once it has asked
//! for that, which takes milliseconds, so a thread of its own asks; until then its light fences are full ones.

use std::thread;
use std::time::{Duration, Instant};

use crate::sync::{AtomicBool, Ordering, compiler_fence, fence};
use crate::sys;

/// This process is reached by the heavy fences of others.
static IS_REACHED: AtomicBool = AtomicBool::new(false);
static HAS_BEGUN: AtomicBool = AtomicBool::new(false);
/// This process is forbidden (by a filter of system calls) what others may be allowed: its heavy fences meet nobody. Where the
/// kernel has no such fences nobody has light ones.
static IS_BLIND: AtomicBool = AtomicBool::new(false);

pub(super) fn ease() {
    // Relaxed: nothing follows from it but that one asks. A process forked meanwhile has nobody who asks, and full fences.
    if HAS_BEGUN.load(Ordering::Relaxed) || HAS_BEGUN.swap(true, Ordering::Relaxed) {
        return;
    }
    let reach = || {
        if sys::reach_by_barriers().is_ok() {
            // Release: the system call comes before.
            IS_REACHED.store(true, Ordering::Release);
        }
    };
    // Without a thread it stays as it is.
    let _ = thread::Builder::new().name("sk-fence".into()).stack_size(STACK).spawn(reach);
}

const STACK: usize = 64 << 10;

#[inline(always)]
pub(super) fn light() {
    // Acquire: the system call came before.
    if IS_REACHED.load(Ordering::Acquire) {
        compiler_fence(Ordering::SeqCst);
    } else {
        fence(Ordering::SeqCst);
    }
}

#[cold]
pub(super) fn heavy() {
    fence(Ordering::SeqCst);
    if let Err(error) = sys::barrier_on_all()
        && error.kind() != std::io::ErrorKind::Unsupported
    {
        IS_BLIND.store(true, Ordering::Relaxed);
    }
}

/// Until when who sleeps behind a heavy fence sleeps at most: where it met nobody, a little at a time.
pub(super) fn until(deadline: Option<Instant>) -> Option<Instant> {
    if !IS_BLIND.load(Ordering::Relaxed) {
        return deadline;
    }
    let soon = Instant::now() + NAP;
    Some(deadline.map_or(soon, |deadline| deadline.min(soon)))
}

const NAP: Duration = Duration::from_millis(1);

#[cfg(test)]
#[cfg(not(sk_portable))]
mod tests {
    use super::*;
    use crate::sync::AtomicU64;

    /// Where one fence is left out, that neither sees the other happens a few times in so many.
    const ROUNDS: u64 = 60_000;

    /// Two words far apart, and in which round each side is.
    #[repr(align(128))]
    #[derive(Default)]
    struct Line(AtomicU64);

    #[derive(Default)]
    struct Both {
        stored: [Line; 2],
        rounds: [Line; 2],
    }

    impl Both {
        /// Begins a round together with the other side, then stores, has the fence, and loads what the other stores.
        fn round(&self, me: usize, round: u64, fence: fn()) -> u64 {
            let other = 1 - me;
            self.rounds[me].0.store(round, Ordering::Release);
            let mut looks = 0_u32;
            while self.rounds[other].0.load(Ordering::Acquire) < round {
                looks += 1;
                if looks.is_multiple_of(1 << 14) {
                    thread::yield_now();
                }
            }
            // Now one is ahead, now the other, by little.
            if usize::try_from(round / 64 % 2) == Ok(me) {
                (0..round % 64 * 4).for_each(|_| std::hint::black_box(()));
            }
            self.stored[me].0.store(round, Ordering::Relaxed);
            fence();
            self.stored[other].0.load(Ordering::Relaxed)
        }
    }

    #[test]
    fn of_two_sides_one_sees_what_the_other_stored() {
        ease();
        let begin = Instant::now();
        while !IS_REACHED.load(Ordering::Acquire) {
            assert!(begin.elapsed() < Duration::from_secs(60), "this kernel has no such barriers");
            thread::yield_now();
        }
        let both = Both::default();
        let (light, heavy) = thread::scope(|scope| {
            let rounds = |me, fence| {
                let both = &both;
                move || (1..=ROUNDS).map(|round| both.round(me, round, fence)).collect::<Vec<_>>()
            };
            let often = scope.spawn(rounds(0, light));
            let seldom = rounds(1, heavy)();
            (often.join().unwrap_or_default(), seldom)
        });
        assert_eq!(light.len(), heavy.len());
        for (round, seen) in (1..).zip(light.iter().zip(&heavy)) {
            assert!(*seen.0 == round || *seen.1 == round, "round {round}: neither saw the other");
        }
    }
}
