//! Processes that meet the limits that the system has for them: errors, and nothing is lost.

use std::io::Write as _;

use rustix::process::{Resource, getrlimit, setrlimit};
use sk_share::{Error, Share, Shared, SharedList, SharedNumber, SharedQueue, inherit};

use super::program::{Tried, spawn};

/// What a child and its parent work on.
type Both = (Share, Shared<Vec<u8>>, SharedList<Vec<u8>>, SharedQueue<Vec<u8>>, SharedNumber<u32>);

fn both() -> Tried<Both> {
    let share = Share::new()?;
    let value = share.value("value", vec![1; 1000])?;
    let list = share.list("list")?;
    let queue = share.queue("queue", 4)?;
    list.push(&vec![2; 1000])?;
    queue.push(&vec![3; 1000]).wait()?;
    let number = share.number("number", 0)?;
    Ok((share, value, list, queue, number))
}

fn limit(resource: Resource, to: u64) -> Tried<()> {
    let mut limit = getrlimit(resource);
    limit.current = Some(to);
    Ok(setrlimit(resource, limit)?)
}

#[track_caller]
fn is_limit<T>(result: Result<T, Error>, words: &[&str]) {
    let error = result.err().expect("it meets a limit");
    assert!(error.is_limit(), "{error}");
    for word in words {
        assert!(error.to_string().contains(word), "{error:?} does not say {word}");
    }
}

/// What was there is there, and changes.
fn goes_on((share, value, list, queue, number): &Both) -> Tried<()> {
    assert_eq!(value.get()?.len(), 1000);
    value.update(|value| value[0] = 9)?;
    assert_eq!(list.len()?, 1);
    list.push(&vec![2; 10])?;
    assert_eq!(list.pop()?, Some(vec![2; 10]));
    assert_eq!((queue.len()?, queue.peek()?), (1, Some(vec![3; 1000])));
    number.add(1);
    assert_eq!(share.check(None)?, [""; 0]);
    Ok(())
}

/// Rows: SHA-23
pub(crate) fn a_limit_of_files_is_an_error_and_loses_nothing() -> Tried<()> {
    let both = both()?;
    spawn("limited_files", &both)?.succeeded()?;
    // All who have it are told, and whoever has no such limit goes on.
    assert!(both.0.has_error());
    let text = both.0.error()?.unwrap_or_default();
    assert!(text.contains("room"), "{text}");
    both.1.set(&vec![7; 10 << 20])?;
    assert_eq!(both.1.get()?.len(), 10 << 20);
    assert_eq!(both.4.get(), 1);
    assert_eq!(both.0.check(None)?, [""; 0]);
    Ok(())
}

pub(crate) fn limited_files() -> Tried<()> {
    let both: Both = inherit::receive()?;
    let (share, value, list, queue, _) = &both;
    // Beyond what there is already.
    let most = share.stats()?.bytes + (1 << 20);
    limit(Resource::Fsize, most)?;
    let large = vec![0; 8 << 20];
    let words = ["RLIMIT_FSIZE", &most.to_string()];
    is_limit(value.set(&large), &words);
    is_limit(value.update(|value| value.clone_from(&large)), &words);
    is_limit(list.push(&large), &words);
    is_limit(queue.push(&large).wait(), &words);
    is_limit(share.value("large", large.clone()), &words);
    is_limit(share.queue::<u8>("wide", 1 << 20), &words);
    let error = share.blob("blob", &large).unwrap_err();
    assert!(error.is_limit(), "{error}");
    let mut writer = share.write_blob("blob")?;
    let error = writer.write_all(&large).unwrap_err();
    assert!(error.to_string().contains("RLIMIT_FSIZE"), "{error}");
    assert_eq!(share.names()?.len(), 4);
    goes_on(&both)
}

/// Rows: SHA-23
pub(crate) fn a_limit_of_addresses_is_an_error_and_loses_nothing() -> Tried<()> {
    let both = both()?;
    spawn("limited_addresses", &both)?.succeeded()?;
    assert_eq!(both.4.get(), 1);
    Ok(())
}

pub(crate) fn limited_addresses() -> Tried<()> {
    let both: Both = inherit::receive()?;
    let pages = std::fs::read_to_string("/proc/self/statm")?;
    let used: u64 = pages.split_whitespace().next().ok_or("no count of pages")?.parse()?;
    limit(Resource::As, used * 4096 + (256 << 20))?;
    // A share reserves the addresses that it may ever need; the portable one takes them as it grows.
    if !cfg!(sk_portable) {
        is_limit(Share::new(), &["RLIMIT_AS"]);
    }
    let small = Share::builder().limit_bytes(16 << 20).create()?;
    let bytes = vec![1_u8; 1 << 20];
    small.value("value", bytes.clone())?;
    // What has its addresses grows.
    both.0.value("grown", bytes)?;
    both.0.remove("grown")?;
    goes_on(&both)
}

/// Rows: SHA-23
pub(crate) fn a_limit_of_descriptors_is_an_error_and_loses_nothing() -> Tried<()> {
    let both = both()?;
    spawn("limited_descriptors", &both)?.succeeded()?;
    assert_eq!(both.4.get(), 1);
    Ok(())
}

pub(crate) fn limited_descriptors() -> Tried<()> {
    let both: Both = inherit::receive()?;
    let before = std::fs::read_dir("/proc/self/fd")?.count();
    limit(Resource::Nofile, 64)?;
    let mut files = Vec::new();
    while let Ok(file) = std::fs::File::open("/dev/null") {
        files.push(file);
    }
    assert!(files.len() + before >= 60);
    is_limit(Share::new(), &[]);
    is_limit(both.0.blob("blob", b"bytes"), &[]);
    is_limit(both.0.write_blob("blob"), &[]);
    let mut command = std::process::Command::new("true");
    is_limit(inherit::pass(&mut command, &both.0), &[]);
    both.0.value("new", 1)?;
    both.0.remove("new")?;
    goes_on(&both)?;
    drop(files);
    both.0.blob("blob", b"bytes")?;
    both.0.remove("blob")?;
    Share::new()?;
    Ok(())
}
