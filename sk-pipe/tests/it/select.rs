//! Many pipes at once.

use std::collections::HashMap;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use futures::executor::block_on;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use sk_pipe::share::inherit;
use sk_pipe::{
    Anchor, Error, Key, Nothing, Point, Raw, Receiver, Select, SelectId, builder, one_way, pair,
};

use super::{SOON, WATCHDOG};

pub(crate) type One<T> = (Anchor<T, Nothing>, Receiver<T>);

/// A small pipe in one direction.
pub(crate) fn small<T>() -> One<T> {
    let (anchor, point) = builder().capacity(4096).pair::<T, Nothing>().unwrap();
    (anchor, point.split().unwrap().1)
}

pub(crate) fn next<T>(select: &mut Select<T>) -> (SelectId, Result<T, Error>) {
    select.recv().timeout(WATCHDOG).wait().unwrap()
}

fn is_timeout<T>(select: &mut Select<T>) -> bool {
    select.recv().timeout(SOON).wait().is_err_and(|error| error.is_timeout())
}

/// Rows: PIPE-30
#[test]
fn every_message_of_many_pipes_comes_once_and_in_order() {
    const PIPES: u64 = 2000;
    const THREADS: u64 = 4;
    const MESSAGES: u64 = 5;
    let mut select = Select::new();
    let mut senders: Vec<Vec<(u64, Anchor<u64, Nothing>)>> = Vec::new();
    senders.resize_with(4, Vec::new);
    for pipe in 0..PIPES {
        let (anchor, receiver) = small();
        senders[usize::try_from(pipe % THREADS).unwrap()].push((pipe, anchor));
        select.add(receiver, move |number: u64| (pipe, number));
    }
    let threads: Vec<_> = senders
        .into_iter()
        .map(|mut some| {
            thread::spawn(move || {
                let mut random = 7_u64;
                let mut sent = vec![0; some.len()];
                let mut left = some.len() as u64 * MESSAGES;
                while left > 0 {
                    random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    let at = usize::try_from((random >> 33) % some.len() as u64).unwrap();
                    if sent[at] < MESSAGES {
                        some[at].1.send(&sent[at]).wait().unwrap();
                        sent[at] += 1;
                        left -= 1;
                    }
                }
            })
        })
        .collect();
    let mut came = vec![0; usize::try_from(PIPES).unwrap()];
    let mut ended = 0;
    while ended < PIPES {
        match next(&mut select).1 {
            Ok((pipe, number)) => {
                let pipe = usize::try_from(pipe).unwrap();
                assert_eq!(came[pipe], number, "pipe {pipe}");
                came[pipe] += 1;
            }
            Err(error) => {
                assert!(error.is_closed(), "{error}");
                ended += 1;
            }
        }
    }
    assert!(came.iter().all(|number| *number == MESSAGES));
    assert!(select.is_empty());
    threads.into_iter().for_each(|thread| thread.join().unwrap());
}

/// Rows: PIPE-30
#[test]
fn messages_of_many_types_become_one() {
    #[derive(Debug, PartialEq)]
    enum Event {
        Number(u64),
        Text(String),
        Bytes(usize),
    }
    let (mut numbers, receiver) = small::<u64>();
    let (mut texts, text_receiver) = small::<String>();
    let (mut bytes, byte_receiver) = small::<Raw>();
    let mut select = Select::new();
    let number = select.add(receiver, Event::Number);
    let text = select.add(text_receiver, Event::Text);
    let raw = select.add_bytes(byte_receiver, |bytes| Event::Bytes(bytes.len()));
    assert_eq!(select.len(), 3);
    numbers.send(&1).wait().unwrap();
    texts.send(&"two".to_owned()).wait().unwrap();
    bytes.send_bytes(b"three").wait().unwrap();
    let came: HashMap<_, _> =
        (0..3).map(|_| next(&mut select)).map(|(id, event)| (id, event.unwrap())).collect();
    assert_eq!(came[&number.id()], Event::Number(1));
    assert_eq!(came[&text.id()], Event::Text("two".to_owned()));
    assert_eq!(came[&raw.id()], Event::Bytes(5));
    bytes.send_bytes(b"more").wait().unwrap();
    let mut back = select.remove(raw).unwrap();
    let mut buffer = [0; 8];
    assert_eq!(back.recv_into(&mut buffer).wait().unwrap(), 4);
    assert!(select.remove(raw).is_none());
}

/// Rows: PIPE-30
#[test]
fn timers_go_off_in_order_and_not_early() {
    let begin = Instant::now();
    let mut select = Select::new();
    let second = select.after(SOON * 2, || "second");
    let first = select.after(SOON, || "first");
    let never = select.after(Duration::MAX, || "never");
    assert_eq!(next(&mut select).0, first);
    assert!(begin.elapsed() >= SOON);
    let (id, text) = next(&mut select);
    assert_eq!((id, text.unwrap()), (second, "second"));
    assert!(begin.elapsed() >= SOON * 2);
    assert!(is_timeout(&mut select));
    assert!(select.discard(never) && !select.discard(never) && !select.discard(first));

    let begin = Instant::now();
    let mut count = 0;
    let beat = select.every(SOON, move || {
        count += 1;
        if count == 3 { "third" } else { "beat" }
    });
    for number in 1..=3 {
        let (id, text) = next(&mut select);
        assert_eq!((id, text.unwrap()), (beat, if number == 3 { "third" } else { "beat" }));
        assert!(begin.elapsed() >= SOON * number);
    }
    // What is missed is not made up for, and the beat is kept.
    thread::sleep(SOON * 5);
    assert_eq!(next(&mut select).1.unwrap(), "beat");
    assert_eq!(next(&mut select).1.unwrap(), "beat");
    assert!(begin.elapsed() >= SOON * 9);
    assert!(select.discard(beat));
}

/// Rows: PIPE-30
#[test]
fn a_limit_passes_and_loses_nothing() {
    let (mut anchor, receiver) = small();
    let mut select = Select::new();
    select.add(receiver, |number: u32| number);
    let begin = Instant::now();
    let error = select.recv().timeout(SOON).wait().unwrap_err();
    assert!(error.is_timeout() && begin.elapsed() >= SOON);
    assert_eq!(
        error.to_string(),
        "the deadline passed, 20ms, before something came from any of the pipes"
    );
    anchor.send(&5).wait().unwrap();
    assert_eq!(next(&mut select).1.unwrap(), 5);
    block_on(async {
        assert!(select.recv().timeout(SOON).await.unwrap_err().is_timeout());
        anchor.send(&6).await.unwrap();
        assert_eq!(select.recv().timeout(WATCHDOG).await.unwrap().1.unwrap(), 6);
    });
    // What is there is taken also without any time.
    anchor.send(&7).wait().unwrap();
    let deadline = Instant::now() + WATCHDOG;
    loop {
        match select.recv().timeout(Duration::ZERO).wait() {
            Ok((_, number)) => break assert_eq!(number.unwrap(), 7),
            Err(error) => assert!(error.is_timeout() && Instant::now() < deadline),
        }
    }
}

/// Rows: PIPE-30
#[test]
fn who_waits_is_given_what_is_added_meanwhile() {
    let mut select = Select::<(u32, u32)>::new();
    let handle = select.handle();
    let (told, tells) = mpsc::channel();
    let waiting = thread::spawn(move || {
        for _ in 0..50 {
            told.send(next(&mut select)).unwrap();
        }
        select
    });
    for pipe in 0..50 {
        let (mut anchor, receiver) = small();
        if pipe % 7 == 0 {
            thread::sleep(SOON / 4);
        }
        let key = handle.add(receiver, move |number| (pipe, number)).unwrap();
        anchor.send(&(pipe * 3)).wait().unwrap();
        let (id, outcome) = tells.recv_timeout(WATCHDOG).unwrap();
        assert_eq!((id, outcome.unwrap()), (key.id(), (pipe, pipe * 3)));
        // It waits at this pipe now, which is taken away, and goes on to work.
        let mut receiver = handle.remove(key).unwrap();
        assert!(handle.remove(key).is_none());
        anchor.send(&1).wait().unwrap();
        assert_eq!(receiver.recv_timeout(WATCHDOG).unwrap(), 1);
    }
    let select = waiting.join().unwrap();
    assert!(select.is_empty());
    drop(select);
    let (mut anchor, receiver) = small::<u32>();
    assert!(handle.add(receiver, |number| (number, 0)).unwrap_err().is_closed());
    assert!(anchor.send(&1).wait().unwrap_err().is_closed());
    assert!(handle.after(SOON, || (0, 0)).unwrap_err().is_closed());
}

/// Rows: PIPE-30
#[test]
fn what_was_taken_out_comes_by_the_receiver_and_nothing_twice() {
    const MESSAGES: u64 = 20_000;
    let mut select = Select::<u64>::new();
    let handle = select.handle();
    let (mut anchor, receiver) = small();
    let mut key = handle.add(receiver, |number| number).unwrap();
    let sender = thread::spawn(move || (0..MESSAGES).for_each(|n| anchor.send(&n).wait().unwrap()));
    let (given, gets) = mpsc::channel();
    let waiting = thread::spawn({
        let given = given.clone();
        move || {
            while let Ok((_, outcome)) = select.recv().timeout(WATCHDOG).wait() {
                let Ok(number) = outcome else { continue };
                given.send(number).unwrap();
            }
            select
        }
    });
    // One thread waits in it while this one takes the pipe out and puts it in again.
    let mut own = 0;
    for turn in 0..200_u32 {
        let Some(mut receiver) = handle.remove(key) else { break };
        if turn % 3 == 0
            && let Ok(Some(number)) = receiver.try_recv()
        {
            given.send(number).unwrap();
            own += 1;
        }
        key = handle.add(receiver, |number| number).unwrap();
        thread::yield_now();
    }
    sender.join().unwrap();
    drop(handle);
    let select = waiting.join().unwrap();
    assert!(select.is_empty());
    drop(given);
    let mut came: Vec<_> = gets.iter().collect();
    came.sort_unstable();
    assert!(came.iter().copied().eq(0..MESSAGES), "{} came, {own} of them here", came.len());
}

/// Rows: PIPE-30
#[test]
fn an_end_is_told_once_and_after_all_messages() {
    let (mut anchor, receiver) = small();
    let mut select = Select::new();
    let handle = select.handle();
    let key = select.add(receiver, |number: u32| number);
    for number in 0..3 {
        anchor.send(&number).wait().unwrap();
    }
    drop(anchor);
    for number in 0..3 {
        assert_eq!(next(&mut select).1.unwrap(), number);
    }
    let (id, outcome) = next(&mut select);
    assert!(id == key.id() && outcome.unwrap_err().is_closed());
    assert!(select.is_empty() && select.remove(key).is_none());
    // Something may still be added.
    assert!(is_timeout(&mut select));
    drop(handle);
    let error = select.recv().timeout(WATCHDOG).wait().unwrap_err();
    assert!(error.is_closed());
    assert_eq!(error.to_string(), "nothing is in the select, and nothing can be added");
}

/// Rows: PIPE-30
#[test]
fn who_waits_hears_of_an_end_and_of_the_last_handle() {
    let (anchor, receiver) = small::<u32>();
    let mut select = Select::new();
    select.add(receiver, |number| number);
    let handle = select.handle();
    let waiting = thread::spawn(move || {
        assert!(next(&mut select).1.unwrap_err().is_closed());
        select.recv().timeout(WATCHDOG).wait().unwrap_err()
    });
    thread::sleep(SOON);
    drop(anchor);
    thread::sleep(SOON);
    drop(handle.clone());
    drop(handle);
    assert!(waiting.join().unwrap().is_closed());
}

/// Rows: PIPE-30, PIPE-38
#[test]
fn who_sleeps_in_it_hears_of_a_death_after_all_messages() {
    if inherit::is_offered() {
        // The child: it says that it is there, and waits for its death.
        let mut point: Point<u32, Nothing> = inherit::receive().unwrap();
        point.send(&1).wait().unwrap();
        point.send(&2).wait().unwrap();
        thread::sleep(WATCHDOG * 2);
        return;
    }
    let mut select = Select::new();
    let (quiet, receiver) = small::<u32>();
    select.add(receiver, |number| number);
    let (anchor, point) = pair::<Nothing, u32>().unwrap();
    let key = select.add(anchor.split().1, |number| number);
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "select::who_sleeps_in_it_hears_of_a_death_after_all_messages"]);
    let passed = inherit::pass(&mut command, &point).unwrap();
    let mut child = command.stdout(Stdio::null()).spawn().unwrap();
    drop(passed);
    assert_eq!(next(&mut select).1.unwrap(), 1);
    let killer = thread::spawn(move || {
        thread::sleep(SOON * 5);
        child.kill().unwrap();
        child
    });
    assert_eq!(next(&mut select).1.unwrap(), 2);
    let (id, outcome) = next(&mut select);
    let error = outcome.unwrap_err();
    assert!(id == key.id() && error.is_disconnected(), "{error}");
    let mut child = killer.join().unwrap();
    assert_eq!(error.process(), Some(child.id()));
    assert!(!child.wait().unwrap().success());
    assert!(select.len() == 1 && is_timeout(&mut select));
    drop(quiet);
}

/// Rows: PIPE-30
#[test]
fn a_limit_of_descriptors_is_told_and_the_pipe_stays() {
    const CHILD: &str = "SK_PIPE_TEST_OF_A_LIMIT";
    if std::env::var_os(CHILD).is_none() {
        // The limit is that of a process in which nothing else goes on.
        let status = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "select::a_limit_of_descriptors_is_told_and_the_pipe_stays"])
            .env(CHILD, "1")
            .stdout(Stdio::null())
            .status();
        return assert!(status.unwrap().success());
    }
    let before = getrlimit(Resource::Nofile);
    let limit = |current| setrlimit(Resource::Nofile, Rlimit { current, ..before }).unwrap();
    let given = |select: &mut Select<_>| loop {
        match next(select).1 {
            Ok(given) => break given,
            Err(error) => assert!(error.is_limit(), "{error}"),
        }
    };
    let (mut anchor, point) = pair::<Option<Point<u32, u32>>, ()>().unwrap();
    let mut select = Select::new();
    select.add(point.split().unwrap().1, |given| given);
    // None for the thread that waits for sockets.
    limit(Some(3));
    assert!(next(&mut select).1.unwrap_err().is_limit());
    limit(before.current);
    anchor.send(&None).wait().unwrap();
    assert!(given(&mut select).is_none());
    // None for what comes beside a message.
    let (mut inner, moving) = pair::<u32, u32>().unwrap();
    anchor.send(&Some(moving)).wait().unwrap();
    limit(Some(3));
    assert!(next(&mut select).1.unwrap_err().is_limit());
    limit(before.current);
    let mut moved = given(&mut select).unwrap();
    inner.send(&7).wait().unwrap();
    assert_eq!(moved.recv_timeout(WATCHDOG).unwrap(), 7);
    assert_eq!(select.len(), 1);
}

/// Rows: PIPE-30
#[test]
fn what_does_not_decode_is_told_and_the_pipe_stays() {
    #[derive(serde::Serialize, serde::Deserialize)]
    #[serde(try_from = "u32")]
    struct Small(u32);
    impl TryFrom<u32> for Small {
        type Error = &'static str;
        fn try_from(number: u32) -> Result<Small, &'static str> {
            if number < 10 { Ok(Small(number)) } else { Err("too large") }
        }
    }
    impl From<Small> for u32 {
        fn from(small: Small) -> u32 {
            small.0
        }
    }
    let (anchor, point) = one_way::<Small>().unwrap();
    let (mut sender, _nothing) = anchor.split();
    let mut select = Select::new();
    select.add(point.split().unwrap().1, u32::from);
    sender.send(&Small(3)).wait().unwrap();
    sender.send(&Small(30)).wait().unwrap();
    sender.send(&Small(4)).wait().unwrap();
    assert_eq!(next(&mut select).1.unwrap(), 3);
    let error = next(&mut select).1.unwrap_err();
    assert!(error.is_codec(), "{error}");
    assert_eq!(next(&mut select).1.unwrap(), 4);
    assert_eq!(select.len(), 1);
}

/// Rows: PIPE-30
#[test]
fn a_pipe_that_always_has_messages_keeps_no_other_waiting() {
    let mut select = Select::new();
    let is_over = Arc::new(AtomicBool::new(false));
    let (mut busy, receiver) = small();
    let busy_key = select.add(receiver, |number: u64| number);
    let sender = thread::spawn({
        let is_over = Arc::clone(&is_over);
        move || {
            while !is_over.load(Ordering::Relaxed) && busy.send(&0).wait().is_ok() {}
        }
    });
    let (mut quiet, receiver) = small();
    let quiet_key = select.add(receiver, |number: u64| number);
    for number in 1..=20 {
        quiet.send(&number).wait().unwrap();
        loop {
            let (id, came) = next(&mut select);
            if id == quiet_key.id() {
                assert_eq!(came.unwrap(), number);
                break;
            }
            assert_eq!(id, busy_key.id());
        }
    }
    // Both have many: they take turns.
    is_over.store(true, Ordering::Relaxed);
    drop(select);
    sender.join().unwrap();
    let mut select = Select::new();
    let mut anchors = Vec::new();
    for pipe in 0..3_u64 {
        let (mut anchor, receiver) = small();
        (0..20_u64).for_each(|number| anchor.send(&number).wait().unwrap());
        select.add(receiver, move |_| pipe);
        anchors.push(anchor);
    }
    for _ in 0..20 {
        let mut turn: Vec<_> = (0..3).map(|_| next(&mut select).1.unwrap()).collect();
        turn.sort_unstable();
        assert_eq!(turn, [0, 1, 2]);
    }
}

/// Rows: PIPE-30
#[test]
fn dropped_it_closes_what_is_in_it() {
    let mut select = Select::new();
    let handle = select.handle();
    let mut anchors = Vec::new();
    let dropped = Arc::new(AtomicU64::new(0));
    struct Count(Arc<AtomicU64>);
    impl Drop for Count {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
    for _ in 0..3 {
        let (anchor, receiver) = small::<u32>();
        let count = Count(Arc::clone(&dropped));
        // A function may have a handle of its own select.
        let own = handle.clone();
        select.add(receiver, move |_| (&count.0, own.clone()).0.load(Ordering::Relaxed));
        anchors.push(anchor);
    }
    assert!(is_timeout(&mut select));
    drop(select);
    assert_eq!(dropped.load(Ordering::Relaxed), 3);
    for mut anchor in anchors {
        assert!(anchor.send(&1).wait().unwrap_err().is_closed());
    }
    drop(handle);
}

/// Rows: PIPE-30
#[test]
fn a_function_may_change_its_select() {
    let mut select = Select::<u32>::new();
    let handle = select.handle();
    let (mut anchor, receiver) = small();
    let (mut other, other_receiver) = small();
    let mut waiting = Some(other_receiver);
    let (key, keys) = mpsc::channel::<Key<u32>>();
    let added = select.add(receiver, move |number: u32| {
        if let Some(receiver) = waiting.take() {
            handle.add(receiver, |number| number).unwrap();
        }
        let own = keys.recv().unwrap();
        assert!(handle.remove(own).is_none(), "it is in use");
        assert!(handle.discard(own.id()));
        number
    });
    key.send(added).unwrap();
    anchor.send(&1).wait().unwrap();
    assert_eq!(next(&mut select).1.unwrap(), 1);
    assert!(anchor.send(&2).wait().unwrap_err().is_closed());
    other.send(&3).wait().unwrap();
    assert_eq!(next(&mut select).1.unwrap(), 3);
}

/// Rows: PIPE-30
#[test]
fn a_function_that_panics_leaves_the_select_whole() {
    let mut select = Select::new();
    let (mut anchor, receiver) = small();
    select.add(receiver, |number: u32| {
        assert!(number != 1, "a panic on purpose");
        number
    });
    anchor.send(&1).wait().unwrap();
    anchor.send(&2).wait().unwrap();
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| next(&mut select)));
    assert!(panicked.is_err());
    assert_eq!(next(&mut select).1.unwrap(), 2);
}

/// Rows: PIPE-30, PIPE-31
#[test]
fn it_is_a_stream_that_ends() {
    let mut select = Select::new();
    let mut anchors = Vec::new();
    for pipe in 0..20_u64 {
        let (anchor, receiver) = small();
        select.add(receiver, move |number: u64| pipe * 100 + number);
        anchors.push(anchor);
    }
    let sender = thread::spawn(move || {
        for number in 0..10 {
            anchors.iter_mut().for_each(|anchor| anchor.send(&number).wait().unwrap());
            thread::sleep(SOON / 10);
        }
    });
    let came: Vec<_> = block_on(select.collect());
    sender.join().unwrap();
    let mut ends = 0;
    let mut numbers = Vec::new();
    for (_, outcome) in came {
        match outcome {
            Ok(number) => numbers.push(number),
            Err(error) => {
                assert!(error.is_closed());
                ends += 1;
            }
        }
    }
    numbers.sort_unstable();
    let expected = (0..20).flat_map(|pipe| (0..10).map(move |number| pipe * 100 + number));
    assert!(numbers.into_iter().eq(expected));
    assert_eq!(ends, 20);
}

/// Rows: PIPE-30, PIPE-31
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tasks_wait_in_it_and_give_up() {
    let mut select = Select::<(usize, u32)>::new();
    let handle = select.handle();
    let senders: Vec<_> = (0..40)
        .map(|pipe| {
            let (mut anchor, receiver) = small();
            handle.add(receiver, move |number| (pipe, number)).unwrap();
            tokio::spawn(async move {
                for number in 0..50 {
                    anchor.send(&number).await.unwrap();
                    if number % 10 == 0 {
                        tokio::time::sleep(SOON / 10).await;
                    }
                }
            })
        })
        .collect();
    let mut came = [0; 40];
    let mut ends = 0;
    while ends < 40 {
        tokio::select! {
            next = select.recv().timeout(WATCHDOG) => match next.unwrap().1 {
                Ok((pipe, number)) => {
                    assert_eq!(came[pipe], number);
                    came[pipe] += 1;
                }
                Err(error) => {
                    assert!(error.is_closed(), "{error}");
                    ends += 1;
                }
            },
            () = tokio::task::yield_now() => {}
        }
    }
    assert_eq!(came, [50; 40]);
    for sender in senders {
        sender.await.unwrap();
    }
    drop(handle);
    assert!(select.recv().await.unwrap_err().is_closed());
}
