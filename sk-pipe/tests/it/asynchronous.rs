//! Tasks at pipes.

use futures::executor::block_on;
use futures::{SinkExt as _, StreamExt as _};
use sk_pipe::{builder, pair};
use std::pin::{Pin, pin};
use std::sync::{Arc, mpsc};
use std::task::{Context, Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

use super::{SOON, WATCHDOG};

/// Rows: PIPE-31
#[test]
fn tasks_send_and_receive() {
    let (mut anchor, mut point) = pair::<u32, u32>().unwrap();
    let other = thread::spawn(move || {
        block_on(async {
            while let Ok(number) = point.recv().await {
                point.send(&(number + 1)).await.unwrap();
            }
        });
    });
    block_on(async {
        for number in 0..2000 {
            anchor.send(&number).await.unwrap();
            assert_eq!(anchor.recv().timeout(WATCHDOG).await.unwrap(), number + 1);
        }
    });
    drop(anchor);
    other.join().unwrap();
}

/// Rows: PIPE-31
#[test]
fn a_receiver_is_a_stream_and_a_sender_a_sink() {
    let (anchor, point) = builder().capacity(4096).pair::<Vec<u64>, ()>().unwrap();
    let (mut sender, _receiver) = anchor.split();
    let (_back, receiver) = point.split().unwrap();
    let other = thread::spawn(move || block_on(receiver.map(Result::unwrap).collect::<Vec<_>>()));
    let messages: Vec<_> =
        (0..500).map(|number| vec![number; 20 + 1500 * usize::from(number % 50 == 0)]).collect();
    block_on(async {
        for message in &messages {
            sender.feed(message.clone()).await.unwrap();
        }
        futures::SinkExt::<Vec<u64>>::close(&mut sender).await.unwrap();
    });
    assert_eq!(other.join().unwrap(), messages);
}

/// Rows: PIPE-31
#[tokio::test]
async fn a_receive_that_is_given_up_loses_nothing() {
    let (mut anchor, mut point) = pair::<u32, ()>().unwrap();
    let sender = tokio::task::spawn_blocking(move || {
        for number in 0..200 {
            anchor.send(&number).wait().unwrap();
            if number % 10 == 0 {
                thread::sleep(SOON / 10);
            }
        }
    });
    let mut next = 0;
    while next < 200 {
        tokio::select! {
            number = point.recv() => {
                assert_eq!(number.unwrap(), next);
                next += 1;
            }
            () = tokio::task::yield_now() => {}
        }
    }
    sender.await.unwrap();
}

/// Says that a task was woken.
struct Told(mpsc::Sender<()>);

impl Wake for Told {
    fn wake(self: Arc<Self>) {
        let _ = self.0.send(());
    }
}

/// Two tasks wait at one end, for a message and for room, and one socket rings for both. Who looks for room takes the
/// bell of the other one off it, maybe before the thread that waits for the socket has seen it.
#[test]
fn a_bell_that_another_task_took_is_heard() {
    let (anchor, point) = builder().capacity(4096).pair::<[u64; 8], u64>().unwrap();
    let (mut sender, mut receiver) = anchor.split();
    let (mut back, _there) = point.split().unwrap();
    while sender.try_send(&[0; 8]).unwrap() {}
    let mut other = Context::from_waker(Waker::noop());
    for number in 0..300 {
        let (told, is_told) = mpsc::channel();
        let waker = Waker::from(Arc::new(Told(told)));
        let mut task = Context::from_waker(&waker);
        let mut receiving = pin!(receiver.recv().into_future());
        assert!(receiving.as_mut().poll(&mut task).is_pending());
        let mut sending = pin!(sender.send(&[1; 8]).into_future());
        assert!(sending.as_mut().poll(&mut other).is_pending());
        back.send(&number).wait().unwrap();
        assert!(sending.as_mut().poll(&mut other).is_pending());
        // Sooner than the thread looks by itself.
        is_told.recv_timeout(Duration::from_secs(3)).unwrap();
        assert!(receiving.as_mut().poll(&mut task).is_ready());
    }
}

struct Task;

impl Wake for Task {
    fn wake(self: Arc<Self>) {}
}

/// Rows: PIPE-31
#[test]
fn nothing_of_a_task_is_kept_that_waits_no_more() {
    let (mut anchor, mut point) = builder().capacity(4096).pair::<u64, u64>().unwrap();
    let task = Arc::new(Task);
    let waker = Waker::from(Arc::clone(&task));
    let cx = &mut Context::from_waker(&waker);
    let is_forgotten = || {
        let begin = Instant::now();
        // The thread that wakes may have it for a moment.
        while Arc::strong_count(&task) > 2 {
            assert!(begin.elapsed() < WATCHDOG);
            thread::yield_now();
        }
    };

    // Given up.
    let mut receiving = anchor.recv();
    assert!(Pin::new(&mut receiving).poll(cx).is_pending());
    drop(receiving);
    is_forgotten();
    while anchor.try_send(&0).unwrap() {}
    let mut sending = anchor.send(&0);
    assert!(Pin::new(&mut sending).poll(cx).is_pending());
    drop(sending);
    is_forgotten();

    // Done, by a poll that nothing had asked for.
    let mut receiving = anchor.recv();
    assert!(Pin::new(&mut receiving).poll(cx).is_pending());
    point.send(&1).wait().unwrap();
    assert!(Pin::new(&mut receiving).poll(cx).is_ready());
    is_forgotten();
}

struct Panics;

impl Wake for Panics {
    fn wake(self: Arc<Self>) {
        panic!("a waker that panics on purpose");
    }
}

/// Rows: PIPE-31
#[test]
fn a_waker_that_panics_keeps_no_other_task_asleep() {
    let (mut anchor, mut point) = pair::<u64, u64>().unwrap();
    let waker = Waker::from(Arc::new(Panics));
    for number in 0..3 {
        let mut receiving = point.recv();
        let polled = Pin::new(&mut receiving).poll(&mut Context::from_waker(&waker));
        assert!(polled.is_pending());
        anchor.send(&number).wait().unwrap();
        let (mut other, mut other_point) = pair::<u64, u64>().unwrap();
        let sender = thread::spawn(move || {
            thread::sleep(SOON);
            other.send(&number).wait().unwrap();
            other
        });
        assert_eq!(block_on(other_point.recv().timeout(WATCHDOG)).unwrap(), number);
        drop(receiving);
        assert_eq!(point.recv().wait().unwrap(), number);
        sender.join().unwrap();
    }
}
