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
    each("memory.value.small", |share, name| drop(share.value(name, 1_u64).unwrap()));
    each("memory.value.1_kib", |share, name| {
        drop(share.plain(name, [0_u64; 128]).unwrap());
    });
    each("memory.number", |share, name| drop(share.number(name, 1_u64).unwrap()));
    each("memory.mutex", |share, name| drop(share.mutex(name).unwrap()));
    entries("memory.list.entry_8", |share| {
        let list = share.plain_list::<u64>("list").unwrap();
        list.extend(&vec![0; ENTRIES]).unwrap();
    });
    entries("memory.list.entry_64", |share| {
        let list = share.plain_list::<Words>("list").unwrap();
        list.extend(&vec![Words::default(); ENTRIES]).unwrap();
    });
    entries("memory.list.entry_text", |share| {
        let list = share.list::<String>("list").unwrap();
        list.extend(&vec![crate::things::text(); ENTRIES]).unwrap();
    });
    entries("memory.queue.entry_64", |share| {
        drop(share.plain_queue::<Words>("queue", ENTRIES as u64).unwrap());
    });
    steady();
}

/// As many as fill what a list takes at once.
const ENTRIES: usize = 1 << 16;

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

fn entries(name: &str, fill: impl Fn(&Share)) {
    let share = Share::new().unwrap();
    let before = share.stats().unwrap().used_bytes;
    fill(&share);
    let used = share.stats().unwrap().used_bytes - before;
    metric(name, used as f64 / ENTRIES as f64, "bytes");
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
    let text = fs::read_to_string("/proc/self/smaps").unwrap_or_default();
    let mut is_ours = false;
    let mut last = 0.0;
    for line in text.lines() {
        if line.contains('-') && !line.contains(':') || line.contains("memfd:") {
            is_ours = line.contains("memfd:sk-share");
        }
        if is_ours && let Some(kib) = line.strip_prefix("Rss:") {
            let kib = kib.split_whitespace().next().and_then(|kib| kib.parse::<f64>().ok());
            last = f64::max(last, kib.unwrap_or(0.0) * 1024.0);
        }
    }
    last
}
