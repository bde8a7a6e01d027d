//! Changes as they come.

use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};

use futures::StreamExt;
use futures::executor::block_on;
use sk_share::{ChangeKind, Share, Watching};

use super::patience::{BEFORE_ANOTHER_LOOK, Polled, SHORT, WATCHDOG, add_up};

/// Rows: SHA-53
#[test]
fn changes_that_follow_closely_are_one_and_none_is_missed() {
    let share = Share::new().unwrap();
    let value = share.value("value", 0_u32).unwrap();
    let mut changes = value.watch().unwrap();
    for change in 1..=5 {
        value.set(&change).unwrap();
    }
    assert_eq!(changes.changed().wait().unwrap(), (5, 6));
    assert!(changes.changed().timeout(SHORT).wait().unwrap_err().is_timeout());
    // From a version: also what is there already.
    assert_eq!(value.watch_from(0).changed().wait().unwrap(), (5, 6));
    assert_eq!(value.watch_from(5).changed().wait().unwrap(), (5, 6));
    let mut later = Polled::pending(value.watch_from(7).changed());
    value.set(&6).unwrap();
    later.is_woken();
    assert!(later.poll().is_none(), "that was version 7");
    value.set(&7).unwrap();
    assert_eq!(later.done().unwrap(), (7, 8));
    let writer = {
        let value = value.clone();
        std::thread::spawn(move || {
            for it in 8..2000 {
                value.set(&it).unwrap();
            }
        })
    };
    let mut last = (0, 0);
    while last.0 != 1999 {
        let change = changes.changed().timeout(WATCHDOG).wait().unwrap();
        assert!(change.0 > last.0 && change.1 > last.1 && change.1 == u64::from(change.0) + 1);
        last = change;
    }
    writer.join().unwrap();
}

/// Rows: SHA-53
#[test]
fn changes_are_a_stream_that_ends_with_the_value() {
    let share = Share::new().unwrap();
    let value = share.value("value", 0_u32).unwrap();
    let mut changes = value.watch().unwrap();
    let other = value.clone();
    let writer = std::thread::spawn(move || {
        for it in 1..=100 {
            other.set(&it).unwrap();
        }
    });
    block_on(async {
        let mut last = 0;
        while last != 100 {
            let (now, _) = changes.next().await.unwrap().unwrap();
            assert!(now > last);
            last = now;
        }
        share.remove("value").unwrap();
        let last = changes.next().await.unwrap();
        assert!(last.unwrap_err().is_not_found());
        assert!(changes.next().await.is_none());
        assert!(changes.next().await.is_none());
    });
    writer.join().unwrap();
}

/// Rows: SHA-53
#[test]
fn a_callback_is_called_until_it_is_dropped() {
    let share = Share::new().unwrap();
    let value = share.value("value", 0_u32).unwrap();
    let (tell, told) = channel();
    let watching = value.watch().unwrap().call(move |change| tell.send(change).unwrap()).unwrap();
    for change in 1..=3 {
        value.set(&change).unwrap();
        assert_eq!(told.recv_timeout(BEFORE_ANOTHER_LOOK).unwrap().unwrap().0, change);
    }
    drop(watching);
    value.set(&4).unwrap();
    // Its end of the channel is gone with the callback, and nothing is in it.
    assert!(told.recv().is_err());
    // Removed, it hears of that once.
    let (tell, told) = channel();
    let watching = value.watch().unwrap().call(move |change| tell.send(change).unwrap()).unwrap();
    share.remove("value").unwrap();
    let last = told.recv_timeout(BEFORE_ANOTHER_LOOK).unwrap();
    assert!(last.unwrap_err().is_not_found());
    assert!(told.recv().is_err());
    drop(watching);
}

/// Rows: SHA-53
#[test]
fn a_callback_may_end_itself() {
    let share = Share::new().unwrap();
    let value = share.value("value", 0_u32).unwrap();
    let own: Arc<Mutex<Option<Watching>>> = Arc::default();
    let (tell, told) = channel();
    let within = Arc::clone(&own);
    let watching = value.watch().unwrap().call(move |change| {
        drop(within.lock().unwrap().take());
        tell.send(change.unwrap().0).unwrap();
    });
    *own.lock().unwrap() = Some(watching.unwrap());
    value.set(&1).unwrap();
    assert_eq!(told.recv_timeout(BEFORE_ANOTHER_LOOK).unwrap(), 1);
    value.set(&2).unwrap();
    assert!(told.recv().is_err(), "it was called again");
    assert!(own.lock().unwrap().is_none());
}

/// The drop comes back when the call that is going on has.
///
/// Rows: SHA-53
#[test]
fn the_end_of_a_callback_waits_for_its_call() {
    let share = Share::new().unwrap();
    let value = share.value("value", 0_u32).unwrap();
    let done = share.number("done", 0_u32).unwrap();
    let (begun, begins) = channel();
    let its_done = done.clone();
    let watching = value.watch().unwrap().call(move |_| {
        begun.send(()).unwrap();
        std::thread::sleep(SHORT);
        its_done.add(1);
    });
    value.set(&1).unwrap();
    begins.recv_timeout(BEFORE_ANOTHER_LOOK).unwrap();
    drop(watching);
    assert_eq!(done.get(), 1);
}

/// Rows: SHA-53
#[test]
fn whatever_changes_under_a_prefix_is_told() {
    let share = Share::new().unwrap();
    let value = share.value("a.value", 0).unwrap();
    let number = share.number("a.number", 0_u8).unwrap();
    let list = share.list::<u8>("a.list").unwrap();
    let queue = share.queue::<u8>("a.queue", 2).unwrap();
    let other = share.value("b", 0).unwrap();
    let mut changes = share.watch("a.").unwrap();
    let mut all = share.watch("").unwrap();
    let told = |changes: &mut sk_share::WatchNames| {
        let change = changes.changed().timeout(BEFORE_ANOTHER_LOOK).wait().unwrap();
        (change.name, change.what)
    };
    let changed = |name: &str| (name.to_owned(), ChangeKind::Changed);
    type Act<'a> = (&'a str, Box<dyn Fn() + 'a>);
    let acts: [Act<'_>; 8] = [
        ("a.value", Box::new(|| assert_eq!(value.set(&1).unwrap(), 2))),
        ("a.value", Box::new(|| sk_share::update_together((&value,), |(it,)| *it += 1).unwrap())),
        ("a.number", Box::new(|| assert_eq!(number.add(1), 1))),
        ("a.number", Box::new(|| number.set(9))),
        ("a.list", Box::new(|| assert_eq!(list.push(&1).unwrap(), 0))),
        ("a.list", Box::new(|| list.clear().unwrap())),
        ("a.queue", Box::new(|| queue.push(&1).wait().unwrap())),
        ("a.queue", Box::new(|| assert_eq!(queue.try_pop().unwrap(), Some(1)))),
    ];
    for (name, act) in &acts {
        // Of somebody who sleeps, so that it is woken and told.
        let waits = Polled::pending(changes.changed());
        act();
        let change = waits.done().unwrap();
        assert_eq!((change.name, change.what), changed(name));
        assert_eq!(told(&mut all), changed(name));
    }
    other.set(&1).unwrap();
    assert_eq!(told(&mut all), changed("b"));
    assert!(changes.changed().timeout(SHORT).wait().unwrap_err().is_timeout());
    share.value("a.new", 0).unwrap();
    assert_eq!(told(&mut changes), ("a.new".to_owned(), ChangeKind::Created));
    share.remove("a.new").unwrap();
    assert_eq!(told(&mut changes), ("a.new".to_owned(), ChangeKind::Removed));
    // Made again is removed and created, in this order.
    share.remove("a.value").unwrap();
    share.value("a.value", 0).unwrap();
    assert_eq!(told(&mut changes), ("a.value".to_owned(), ChangeKind::Removed));
    assert_eq!(told(&mut changes), ("a.value".to_owned(), ChangeKind::Created));
    block_on(async {
        number.add(1);
        let change = changes.changed().timeout(WATCHDOG).await.unwrap();
        assert_eq!((change.name, change.what), changed("a.number"));
        number.add(1);
        let change = changes.next().await.unwrap().unwrap();
        assert_eq!((change.name, change.what), changed("a.number"));
    });
    add_up(&share);
}

/// While a share is stopped its values do not change; they have at the start.
///
/// Rows: SHA-18, SHA-53
#[test]
fn what_waits_is_told_at_the_start() {
    let share = Share::new().unwrap();
    let value = share.value("value", 0_u32).unwrap();
    let list = share.list::<u32>("list").unwrap();
    assert!(share.stop(WATCHDOG).unwrap());
    let change = Polled::pending(value.watch().unwrap().changed());
    let mut all = share.watch("").unwrap();
    value.set(&1).unwrap();
    value.set(&2).unwrap();
    list.push(&1).unwrap();
    assert!(all.changed().timeout(SHORT).wait().unwrap_err().is_timeout());
    share.start().unwrap();
    assert_eq!(change.done().unwrap(), (2, 2));
    let mut names = [(); 2].map(|()| all.changed().timeout(WATCHDOG).wait().unwrap().name);
    names.sort();
    assert_eq!(names, ["list", "value"]);
}
