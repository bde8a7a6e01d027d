//! Sleeping on a word within one process.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use sk_share::memory::{Agent, Roster, Wait, Woken, wake_all, wake_one};

fn wait<'w>(roster: &Roster, word: &'w AtomicU32, expected: u32) -> Wait<'w> {
    Wait { word, expected, deaths: roster.deaths(), owner: None, deadline: None }
}

#[test]
fn a_word_that_has_changed_is_not_slept_on() {
    let roster = Roster::create().unwrap();
    let word = AtomicU32::new(1);
    assert_eq!(roster.wait(&wait(&roster, &word, 0)).unwrap(), Woken::Changed);
}

#[test]
fn a_deadline_ends_a_wait_and_not_before() {
    let roster = Roster::create().unwrap();
    let word = AtomicU32::new(0);
    let begin = Instant::now();
    let limit = Duration::from_millis(30);
    let wait = Wait { deadline: Some(begin + limit), ..wait(&roster, &word, 0) };
    assert_eq!(roster.wait(&wait).unwrap(), Woken::TimedOut);
    assert!(begin.elapsed() >= limit);
    // One that has passed already, with and without an agent's count.
    roster.agent().unwrap();
    assert_eq!(roster.wait(&wait).unwrap(), Woken::TimedOut);
}

#[test]
fn each_of_two_takes_its_turn() {
    let roster = Roster::create().unwrap();
    let word = AtomicU32::new(0);
    std::thread::scope(|scope| {
        for me in 0..2 {
            let (roster, word) = (&roster, &word);
            scope.spawn(move || {
                roster.agent().unwrap();
                for _ in 0..2_000 {
                    loop {
                        let deaths = roster.deaths();
                        let seen = word.load(Ordering::Acquire);
                        if seen % 2 == me {
                            break;
                        }
                        let wait =
                            Wait { word, expected: seen, deaths, owner: None, deadline: None };
                        roster.wait(&wait).unwrap();
                    }
                    word.fetch_add(1, Ordering::Release);
                    wake_one(word);
                }
            });
        }
    });
    assert_eq!(word.load(Ordering::Relaxed), 4_000);
}

/// The kernel or the thread wakes them; each has to hear of it.
#[test]
fn all_who_wait_for_a_thread_are_told_when_it_ends() {
    let roster = Roster::create().unwrap();
    let word = AtomicU32::new(0);
    let asleep = AtomicU32::new(0);
    std::thread::scope(|scope| {
        let (tell, told) = std::sync::mpsc::channel::<Agent>();
        let (end, ended) = std::sync::mpsc::channel::<()>();
        let (roster, word, asleep) = (&roster, &word, &asleep);
        scope.spawn(move || {
            tell.send(roster.agent().unwrap()).unwrap();
            ended.recv().unwrap_err();
        });
        let owner = told.recv().unwrap();
        for _ in 0..5 {
            scope.spawn(move || {
                let wait = Wait { owner: Some(owner), ..wait(roster, word, 0) };
                asleep.fetch_add(1, Ordering::Release);
                assert_eq!(roster.wait(&wait).unwrap(), Woken::OwnerDied);
            });
        }
        while asleep.load(Ordering::Acquire) < 5 {
            std::thread::yield_now();
        }
        drop(end);
    });
    assert_eq!(roster.deaths(), roster.deaths());
}

#[test]
fn leaving_wakes_who_waits_and_is_an_error_there() {
    let roster = Roster::create().unwrap();
    let word = AtomicU32::new(0);
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| roster.wait(&wait(&roster, &word, 0)));
        roster.leave();
        assert!(waiter.join().unwrap().unwrap_err().is_not_member());
    });
}

#[test]
fn all_are_woken_at_once() {
    let roster = Roster::create().unwrap();
    let word = AtomicU32::new(0);
    std::thread::scope(|scope| {
        let waiters: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| {
                    while word.load(Ordering::Acquire) == 0 {
                        roster.wait(&wait(&roster, &word, 0)).unwrap();
                    }
                })
            })
            .collect();
        word.store(1, Ordering::Release);
        wake_all(&word);
        for waiter in waiters {
            waiter.join().unwrap();
        }
    });
}

#[test]
fn nobody_sleeps_longer_than_five_seconds_at_a_time() {
    let roster = Roster::create().unwrap();
    let word = AtomicU32::new(0);
    let begin = Instant::now();
    assert_eq!(roster.wait(&wait(&roster, &word, 0)).unwrap(), Woken::LookAgain);
    assert!(begin.elapsed() >= Duration::from_secs(5));
}
