//! What things take in memory, and that making and removing them for long does not make a share grow.

use std::fs;

use sk_share::Share;

use crate::measure::metric;
use crate::things::Words;

const MANY: usize = 1000;
const CYCLES: u64 = 2000;

pub(crate) fn show() {
    let share = Share::new().unwrap();
    metric("memory.share.empty.length", share.stats().unwrap().bytes as f64, "bytes");
    metric("memory.share.empty.resident", resident(&share), "bytes");
    metric("memory.roster.resident", resident_of(|bytes| bytes < LARGEST_ROSTER), "bytes");
    each("memory.value.small", |share, name| drop(share.value(name, 1_u64).unwrap()));
    each("memory.value.1_kib", |share, name| {
        drop(share.plain(name, [0_u64; 128]).unwrap());
    });
    each("memory.number", |share, name| drop(share.number(name, 1_u64).unwrap()));
    each("memory.mutex", |share, name| drop(share.mutex(name).unwrap()));
    entries("memory.list.entry_8", ENTRIES as f64, |share| {
        let list = share.plain_list::<u64>("list").unwrap();
        list.extend(&vec![0; ENTRIES]).unwrap();
    });
    entries("memory.list.entry_64", ENTRIES as f64, |share| {
        let list = share.plain_list::<Words>("list").unwrap();
        list.extend(&vec![Words::default(); ENTRIES]).unwrap();
    });
    entries("memory.list.entry_text", ENTRIES as f64, |share| {
        let list = share.list::<String>("list").unwrap();
        list.extend(&vec![crate::things::text(); ENTRIES]).unwrap();
    });
    entries("memory.queue.entry_64", CAPACITY as f64, |share| {
        drop(share.plain_queue::<Words>("queue", CAPACITY).unwrap());
    });
    steady();
}

/// As many as fill what a list has taken: 8, and twice as many each time.
const ENTRIES: usize = 8 * ((1 << 13) - 1);

/// Of a queue, whose ring is a power of two.
const CAPACITY: u64 = 1 << 16;

/// A roster reserves less than this, and a share more.
const LARGEST_ROSTER: u64 = 16 << 20;

/// What one object takes, as the mean of many: what is used, and what the share grew by.
fn each(name: &str, make: impl Fn(&Share, &str)) {
    let share = Share::new().unwrap();
    let before = share.stats().unwrap();
    for number in 0..MANY {
        make(&share, &format!("{number}"));
    }
    let after = share.stats().unwrap();
    let mean = |before: u64, after: u64| (after - before) as f64 / MANY as f64;
    metric(name, mean(before.used_bytes, after.used_bytes), "bytes");
    metric(&format!("{name}.grown"), mean(before.bytes, after.bytes), "bytes");
}

fn entries(name: &str, count: f64, fill: impl Fn(&Share)) {
    let share = Share::new().unwrap();
    let before = share.stats().unwrap().used_bytes;
    fill(&share);
    let used = share.stats().unwrap().used_bytes - before;
    metric(name, used as f64 / count, "bytes");
}

/// Values that come, change their length and go, and a list and a queue in use.
fn steady() {
    let share = Share::new().unwrap();
    let list = share.list::<String>("list").unwrap();
    let queue = share.queue::<String>("queue", 64).unwrap();
    let round = |cycle: u64| {
        let length = |step: u64| usize::try_from((cycle * 37 + step * 1201) % 5000).unwrap();
        for step in 0..4 {
            let value = share.value(&format!("value {step}"), vec![0_u8; length(step)]).unwrap();
            value.set(&vec![1; length(step + 1)]).unwrap();
            value.set(&vec![2; length(step + 2)]).unwrap();
        }
        for step in 0..4 {
            assert!(share.remove(&format!("value {step}")).unwrap());
        }
        for step in 0..20 {
            list.push(&"x".repeat(length(step) / 8)).unwrap();
            assert!(queue.try_push(&"y".repeat(length(step) / 8)).unwrap());
        }
        for _ in 0..20 {
            assert!(list.pop().unwrap().is_some() && queue.try_pop().unwrap().is_some());
        }
    };
    // All lengths have come by then.
    (0..CYCLES / 4).for_each(round);
    let before = share.stats().unwrap();
    (CYCLES / 4..CYCLES).for_each(round);
    let after = share.stats().unwrap();
    assert_eq!(share.check(None).unwrap(), [""; 0]);
    metric("memory.steady.grown", (after.bytes - before.bytes) as f64, "bytes");
    metric("memory.steady.used", after.used_bytes as f64 - before.used_bytes as f64, "bytes");
    metric("memory.steady.length", after.bytes as f64, "bytes");
}

/// What this process has of the share's memory in use, as far as the system tells.
fn resident(share: &Share) -> f64 {
    // Reading a name touches what a program that uses it touches.
    let _ = share.names().unwrap();
    resident_of(|bytes| bytes >= LARGEST_ROSTER)
}

/// What is resident of the mappings of shares and rosters that are of such a length.
fn resident_of(is_wanted: impl Fn(u64) -> bool) -> f64 {
    let text = fs::read_to_string("/proc/self/smaps").unwrap_or_default();
    let mut is_ours = false;
    let mut kib = 0;
    for line in text.lines() {
        let first = line.split_whitespace().next().unwrap_or_default();
        if let Some((begin, end)) = first.split_once('-') {
            let address = |text| u64::from_str_radix(text, 16).unwrap_or(0);
            let bytes = address(end).saturating_sub(address(begin));
            is_ours = line.contains("memfd:sk-share") && is_wanted(bytes);
        } else if is_ours && first == "Rss:" {
            let number = line.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok());
            kib += number.unwrap_or(0);
        }
    }
    kib as f64 * 1024.0
}
