//! How long tests wait, and how they know that somebody waits.

use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use sk_function::{Operation, Source};
use sk_share::{Error, Share};

/// Whatever takes longer hangs.
pub(crate) const WATCHDOG: Duration = Duration::from_secs(60);

/// A wake-up that comes in this time is one: without it everybody looks again after five seconds.
pub(crate) const BEFORE_ANOTHER_LOOK: Duration = Duration::from_secs(4);

/// So short that whoever waits for nothing is soon done.
pub(crate) const SHORT: Duration = Duration::from_millis(30);

/// The books of the share add up.
#[track_caller]
pub(crate) fn add_up(share: &Share) {
    assert_eq!(share.check(None).unwrap(), [""; 0]);
}

/// An operation that was polled, and whether it was woken since.
pub(crate) struct Polled<S: Source> {
    operation: Pin<Box<Operation<S>>>,
    flag: Arc<Flag>,
}

#[derive(Default)]
struct Flag {
    woken: Mutex<bool>,
    changed: Condvar,
}

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        *self.woken.lock().unwrap() = true;
        self.changed.notify_all();
    }
}

impl<S: Source> Polled<S> {
    /// Polls it for the first time: it has to wait.
    #[track_caller]
    pub(crate) fn pending(operation: Operation<S>) -> Polled<S> {
        let mut polled = Polled { operation: Box::pin(operation), flag: Arc::default() };
        assert!(polled.poll().is_none(), "it does not wait");
        polled
    }

    pub(crate) fn poll(&mut self) -> Option<Result<S::Output, S::Error>> {
        *self.flag.woken.lock().unwrap() = false;
        let waker = Waker::from(Arc::clone(&self.flag));
        match self.operation.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(outcome) => Some(outcome),
            Poll::Pending => None,
        }
    }

    /// Waits for its wake-up.
    #[track_caller]
    pub(crate) fn is_woken(&self) {
        let woken = self.flag.woken.lock().unwrap();
        let (woken, _) = self
            .flag
            .changed
            .wait_timeout_while(woken, BEFORE_ANOTHER_LOOK, |woken| !*woken)
            .unwrap();
        assert!(*woken, "it was not woken");
    }

    /// Nobody wakes it for a while.
    #[track_caller]
    pub(crate) fn sleeps(&self) {
        std::thread::sleep(SHORT);
        assert!(!*self.flag.woken.lock().unwrap(), "it was woken");
    }

    /// Waits for its wake-ups until it is done.
    #[track_caller]
    pub(crate) fn done(mut self) -> Result<S::Output, S::Error> {
        loop {
            self.is_woken();
            if let Some(outcome) = self.poll() {
                return outcome;
            }
        }
    }

    /// It is woken, and hears that what it waits for was removed.
    #[track_caller]
    pub(crate) fn hears_of_removal(self)
    where
        S: Source<Error = Error>,
    {
        match self.done() {
            Ok(_) => panic!("it was removed, and is done"),
            Err(error) => assert!(error.is_not_found(), "{error}"),
        }
    }
}
