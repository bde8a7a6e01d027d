//! What waits, on real threads and real executors.

mod ends;
mod executors;
mod kept_threads;
mod limits;
mod orders;

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use sk_function::{
    BlockingThreads, CancelFlag, Completer, Completion, Drive, Operation, Source, Unfinished,
    Until, blocking, completion,
};

type Outcome = Result<u32, Unfinished>;

/// What a test may take before it counts as hanging.
const WATCHDOG: Duration = Duration::from_secs(60);

/// A limit that no test lives to see.
pub(crate) const FAR: Duration = Duration::from_secs(3_600);

pub(crate) const fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

/// Runs a test on a thread of its own and fails if it hangs.
pub(crate) fn watched(test: impl FnOnce() + Send + 'static) {
    let (done, is_done) = mpsc::channel::<()>();
    let thread = std::thread::spawn(move || {
        test();
        drop(done);
    });
    if is_done.recv_timeout(WATCHDOG) == Err(mpsc::RecvTimeoutError::Timeout) {
        panic!("the test hangs");
    }
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

/// Waits for something that happens on another thread; the watchdog bounds it.
pub(crate) fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    for _ in 0..WATCHDOG.as_millis() {
        if is_so() {
            return;
        }
        std::thread::sleep(ms(1));
    }
    panic!("never came: {what}");
}

/// The kept threads are one set for the process: tests that count them have it for themselves.
static THREADS: RwLock<()> = RwLock::new(());

pub(crate) fn shared_threads() -> RwLockReadGuard<'static, ()> {
    let guard = THREADS.read().unwrap_or_else(PoisonError::into_inner);
    BlockingThreads::new().kept_for(ms(20)).set();
    guard
}

pub(crate) fn own_threads(at_most: usize) -> RwLockWriteGuard<'static, ()> {
    let guard = THREADS.write().unwrap_or_else(PoisonError::into_inner);
    eventually("the threads of other tests end", || BlockingThreads::running() == 0);
    BlockingThreads::new().at_most(at_most).kept_for(ms(20)).set();
    guard
}

/// How often a source began and was cancelled.
#[derive(Clone, Default)]
struct Counts {
    begun: Arc<AtomicU32>,
    cancelled: Arc<AtomicU32>,
}

impl Counts {
    fn begun(&self) -> u32 {
        self.begun.load(Ordering::SeqCst)
    }

    fn cancelled(&self) -> u32 {
        self.cancelled.load(Ordering::SeqCst)
    }
}

/// Gives 7 after a time, from a thread that stands for another process; never without a time.
struct Remote {
    after: Option<Duration>,
    counts: Counts,
    completion: Option<Completion<u32, Unfinished>>,
    /// Kept, so that what never comes is not lost either.
    completer: Option<Completer<u32, Unfinished>>,
}

impl Remote {
    fn completion(&mut self) -> &mut Completion<u32, Unfinished> {
        self.completion.as_mut().expect("begun before it is used")
    }
}

impl Source for Remote {
    type Output = u32;
    type Error = Unfinished;
    const DRIVE: Drive = Drive::Itself;

    fn begin(&mut self) {
        self.counts.begun.fetch_add(1, Ordering::SeqCst);
        let (completer, completion) = completion();
        self.completion = Some(completion);
        match self.after {
            None => self.completer = Some(completer),
            Some(after) => {
                std::thread::spawn(move || {
                    std::thread::sleep(after);
                    completer.complete(Ok(7));
                });
            }
        }
    }
    fn try_take(&mut self) -> Option<Outcome> {
        self.completion().try_take()
    }
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Outcome> {
        self.completion().poll(cx)
    }
    fn block(&mut self, until: Until<'_>) -> Option<Outcome> {
        self.completion().block(until)
    }
    fn cancel(&mut self) {
        self.counts.cancelled.fetch_add(1, Ordering::SeqCst);
    }
}

/// The same, of those that have to be driven.
struct Pulled(Remote);

impl Source for Pulled {
    type Output = u32;
    type Error = Unfinished;
    const DRIVE: Drive = Drive::Thread;

    fn begin(&mut self) {
        self.0.begin();
    }
    fn try_take(&mut self) -> Option<Outcome> {
        self.0.try_take()
    }
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Outcome> {
        self.0.poll(cx)
    }
    fn block(&mut self, until: Until<'_>) -> Option<Outcome> {
        self.0.block(until)
    }
    fn cancel(&mut self) {
        self.0.cancel();
    }
}

fn remote(after: Option<Duration>, counts: &Counts) -> Operation<Remote> {
    let counts = counts.clone();
    Operation::new(Remote { after, counts, completion: None, completer: None })
}

fn pulled(after: Option<Duration>, counts: &Counts) -> Operation<Pulled> {
    let counts = counts.clone();
    Operation::new(Pulled(Remote { after, counts, completion: None, completer: None }))
}

/// The same as a closure that blocks, and ends when its flag is set.
fn closure(
    after: Option<Duration>,
    counts: &Counts,
) -> Operation<impl Source<Output = u32, Error = Unfinished> + Send + use<>> {
    let counts = counts.clone();
    blocking(move |flag: &CancelFlag| {
        counts.begun.fetch_add(1, Ordering::SeqCst);
        if flag.wait_timeout(after.unwrap_or(Duration::MAX)) {
            counts.cancelled.fetch_add(1, Ordering::SeqCst);
            return Err(Unfinished::Cancelled);
        }
        Ok(7)
    })
}

/// A waker that counts.
#[derive(Default)]
struct Woken(AtomicU32);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl Woken {
    fn new() -> (Arc<Self>, Waker) {
        let woken = Arc::new(Woken::default());
        (Arc::clone(&woken), Waker::from(woken))
    }

    fn count(&self) -> u32 {
        self.0.load(Ordering::SeqCst)
    }
}

/// Polls once, with this waker.
fn poll_once<F: Future + Unpin>(future: &mut F, waker: &Waker) -> Poll<F::Output> {
    std::pin::Pin::new(future).poll(&mut Context::from_waker(waker))
}
