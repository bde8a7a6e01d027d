//! Several values changed or read in one step.

use std::panic::{AssertUnwindSafe, catch_unwind};

use sk_share::{Error, Share, Shared, get_together, try_update_together, update_together};

use super::patience::{SHORT, WATCHDOG, add_up};
use super::share::Sour;

fn numbered(share: &Share, count: usize) -> Vec<Shared<i64>> {
    (0..count).map(|index| share.value(&format!("value {index}"), 0).unwrap()).collect()
}

/// Rows: SHA-58
#[test]
fn tuples_of_up_to_eight_change_in_one_step() {
    let share = Share::new().unwrap();
    let all = numbered(&share, 8);
    let text = share.value("text", String::new()).unwrap();
    let plain = share.plain("plain", [0_u8; 128]).unwrap();
    let [a, b, c, d, e, f, g, h] = &all[..] else { unreachable!() };
    update_together((a,), |(a,)| *a += 1).unwrap();
    update_together((b, a), |(b, a)| *b += *a + 1).unwrap();
    // Of three types, the larger ones in blocks of their own.
    update_together((&text, c, &plain), |(text, c, plain)| {
        text.push_str(&"long".repeat(100));
        *c = 3;
        plain[99] = 3;
    })
    .unwrap();
    update_together((d, c, b, a), |all| all.0 = all.1 + all.3).unwrap();
    update_together((a, b, c, d, e), |all| all.4 = 5).unwrap();
    update_together((a, b, c, d, e, f), |all| all.5 = 6).unwrap();
    update_together((a, b, c, d, e, f, g), |all| all.6 = 7).unwrap();
    let given = update_together((a, b, c, d, e, f, g, h), |all| {
        all.7 = 8;
        "given"
    });
    assert_eq!(given.unwrap(), "given");
    let read = get_together((a, b, c, d, e, f, g, h)).unwrap();
    assert_eq!(read, (1, 2, 3, 4, 5, 6, 7, 8));
    assert_eq!(get_together(&all[..]).unwrap(), [1, 2, 3, 4, 5, 6, 7, 8]);
    assert_eq!((text.get().unwrap().len(), plain.get().unwrap()[99]), (400, 3));
    add_up(&share);
}

/// Rows: SHA-58
#[test]
fn slices_of_up_to_128_change_in_one_step() {
    let share = Share::new().unwrap();
    let all = numbered(&share, 129);
    update_together(&all[..128], |all| (1..).zip(all).for_each(|(it, value)| *value = it)).unwrap();
    let sum: i64 = get_together(&all[..128]).unwrap().iter().sum();
    assert_eq!(sum, 128 * 129 / 2);
    let error = update_together(&all[..], |_| ()).unwrap_err();
    assert!(error.is_limit() && error.to_string().contains("129"), "{error}");
    assert!(get_together(&all[..]).unwrap_err().is_limit());
    update_together(&all[..0], |none| assert!(none.is_empty())).unwrap();
    // As many as there were.
    let error = update_together(&all[..3], |all| all.truncate(2)).unwrap_err();
    assert!(error.is_limit(), "{error}");
    assert_eq!(get_together(&all[..3]).unwrap(), [1, 2, 3]);
    add_up(&share);
}

/// Rows: SHA-58
#[test]
fn what_does_not_go_together_is_refused() {
    let (share, other) = (Share::new().unwrap(), Share::new().unwrap());
    let all = numbered(&share, 2);
    let foreign = other.value("value", 0_i64).unwrap();
    let twice = update_together((&all[0], &all[1], &all[0]), |_| ()).unwrap_err();
    assert!(twice.is_reentry(), "{twice}");
    let foreign = update_together((&all[0], &foreign), |_| ()).unwrap_err();
    assert!(foreign.is_foreign(), "{foreign}");
    let within = all[0].update(|_| update_together((&all[1], &all[0]), |_| ())).unwrap();
    assert!(within.unwrap_err().is_reentry());
    let within = update_together((&all[0], &all[1]), |_| all[1].set(&9)).unwrap();
    assert!(within.unwrap_err().is_reentry());
    share.remove("value 1").unwrap();
    assert!(update_together((&all[0], &all[1]), |_| ()).unwrap_err().is_not_found());
    assert!(get_together(&all[..]).unwrap_err().is_not_found());
    assert_eq!(all[0].get().unwrap(), 0);
    add_up(&share);
}

/// Rows: SHA-58
#[test]
fn a_step_that_fails_changes_nothing() {
    let share = Share::builder().limit_bytes(1 << 20).create().unwrap();
    let (left, right) =
        (share.value("left", 1).unwrap(), share.value("right", vec![1_u8]).unwrap());
    let failed: Result<(), String> = try_update_together((&left, &right), |(left, right)| {
        (*left, *right) = (2, vec![2]);
        Err(Said("no".to_owned()))
    })
    .map_err(|said: Said| said.0);
    assert_eq!(failed.unwrap_err(), "no");
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        update_together((&left, &right), |(left, _)| {
            *left = 3;
            panic!("in the middle");
        })
    }));
    assert!(panicked.is_err());
    // The second has no room, after the first was written.
    let full = update_together((&left, &right), |(left, right)| {
        *left = 4;
        right.resize(1 << 20, 4);
    });
    assert!(full.unwrap_err().is_limit());
    assert_eq!((left.get().unwrap(), right.get().unwrap()), (1, vec![1]));
    assert_eq!((left.version().unwrap(), right.version().unwrap()), (1, 1));
    // And what comes next begins from there.
    update_together((&left, &right), |(left, right)| (*left, *right) = (5, vec![5; 100])).unwrap();
    left.set(&6).unwrap();
    assert_eq!(get_together((&left, &right)).unwrap(), (6, vec![5; 100]));
    add_up(&share);
}

/// Rows: SHA-23, SHA-58
#[test]
fn a_fault_of_a_step_is_told_of_the_value_that_it_is_about() {
    type Step = fn(&Shared<u32>, &Shared<Vec<u8>>, &Shared<Sour>) -> Result<(), Error>;
    let steps: [(&str, &str, Step); 5] = [
        ("two", "room", |one, two, _| {
            update_together((one, two), |(_, two)| two.resize(700 << 10, 4))
        }),
        ("two", "room", |_, two, _| {
            update_together(&[two.clone()][..], |all| all[0].resize(700 << 10, 4))
        }),
        ("sour", "decode", |one, _, sour| update_together((one, sour), |_| ())),
        ("sour", "decode", |one, _, sour| get_together((one, sour)).map(|_| ())),
        ("sour", "decode", |_, _, sour| get_together(&[sour.clone()][..]).map(|_| ())),
    ];
    for (name, what, step) in steps {
        let share = Share::builder().limit_bytes(1 << 20).create().unwrap();
        let (one, two) = (share.value("one", 1).unwrap(), share.value("two", vec![1]).unwrap());
        let sour = share.value("sour", Sour(1)).unwrap();
        share.value("there", vec![0_u8; 500 << 10]).unwrap();
        // What is no fault is not told.
        assert!(update_together((&one, &one), |_| ()).unwrap_err().is_reentry());
        let own: Result<(), Said> =
            try_update_together((&one, &two), |_| Err(Said("no".to_owned())));
        own.unwrap_err();
        assert!(!share.has_error());
        let before = share.stats().unwrap().errors;
        step(&one, &two, &sour).unwrap_err();
        let text = share.error().unwrap().unwrap();
        assert!(share.has_error() && text.contains(name) && text.contains(what), "{text}");
        assert_eq!(share.stats().unwrap().errors, before + 1);
    }
}

#[derive(Debug)]
struct Said(String);

impl From<Error> for Said {
    fn from(error: Error) -> Said {
        Said(error.to_string())
    }
}

/// Rows: SHA-58, SHA-07
#[test]
fn the_sum_of_all_accounts_is_always_the_same() {
    const TURNS: u64 = 400;
    let share = Share::new().unwrap();
    let accounts: Vec<Shared<Vec<i64>>> = (0..4)
        .map(|index| share.value(&format!("account {index}"), vec![25; 1 + index * 8]).unwrap())
        .collect();
    let total = |all: &[Vec<i64>]| all.iter().flatten().sum::<i64>();
    let before = total(&get_together(&accounts[..]).unwrap());
    let finished = share.number("finished", 0_u32).unwrap();
    let mut changes = accounts[0].watch().unwrap();
    std::thread::scope(|scope| {
        for thread in 0..2_usize {
            let (accounts, finished) = (&accounts, &finished);
            scope.spawn(move || {
                for turn in 0..usize::try_from(TURNS).unwrap() {
                    // In whatever order they are given.
                    let (from, to) = ((turn + thread) % 4, (turn + thread + 1 + turn % 3) % 4);
                    update_together((&accounts[from], &accounts[to]), |(from, to)| {
                        from[0] -= 1;
                        to[0] += 1;
                    })
                    .unwrap();
                }
                finished.add(1);
            });
        }
        scope.spawn(|| {
            for _ in 0..TURNS {
                assert_eq!(total(&get_together(&accounts[..]).unwrap()), before);
            }
        });
        // One of them, read alone and watched: no version twice and none before another.
        let mut last = 0;
        let mut read = 0;
        loop {
            let is_last = finished.get() == 2;
            let (_, version) = accounts[0].get_versioned().unwrap();
            assert!(version >= read, "{version} was read after {read}");
            read = version;
            match changes.changed().timeout(SHORT).wait() {
                Ok((_, version)) => {
                    assert!(version > last, "{version} was told after {last}");
                    last = version;
                }
                Err(error) => assert!(error.is_timeout(), "{error}"),
            }
            if is_last {
                break;
            }
        }
    });
    assert_eq!(total(&get_together(&accounts[..]).unwrap()), before);
    add_up(&share);
}

/// Rows: SHA-18, SHA-58
#[test]
fn while_stopped_several_values_do_not_change_in_one_step() {
    let share = Share::new().unwrap();
    let all = numbered(&share, 2);
    assert!(share.stop(WATCHDOG).unwrap());
    let error = update_together((&all[0], &all[1]), |(one, _)| *one = 1).unwrap_err();
    assert!(error.is_stopped() && error.to_string().contains("start()"), "{error}");
    all[0].set(&7).unwrap();
    // What is read is as it was when it stopped.
    assert_eq!(get_together(&all[..]).unwrap(), [0, 0]);
    assert_eq!(all[0].get().unwrap(), 0);
    share.start().unwrap();
    assert_eq!(get_together(&all[..]).unwrap(), [7, 0]);
    update_together((&all[0], &all[1]), |(one, two)| (*one, *two) = (1, 2)).unwrap();
    assert_eq!(get_together(&all[..]).unwrap(), [1, 2]);
}

/// Rows: SHA-58, SHA-68
#[test]
fn a_step_is_as_patient_as_the_least_patient_handle() {
    let share = Share::new().unwrap();
    let all = numbered(&share, 2);
    std::thread::scope(|scope| {
        let (begun, begins) = std::sync::mpsc::channel();
        let (end, ends) = std::sync::mpsc::channel::<()>();
        let held = &all[1];
        scope.spawn(move || {
            held.update(|_| {
                begun.send(()).unwrap();
                ends.recv().unwrap();
            })
        });
        begins.recv().unwrap();
        let impatient = all[0].within(SHORT);
        assert!(update_together((&impatient, &all[1]), |_| ()).unwrap_err().is_timeout());
        assert!(get_together((&impatient, &all[1])).unwrap_err().is_timeout());
        // Nothing of it is held any more.
        all[0].set(&1).unwrap();
        end.send(()).unwrap();
    });
    assert_eq!(get_together(&all[..]).unwrap(), [1, 0]);
}
