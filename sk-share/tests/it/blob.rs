//! Bytes that are written once.

use std::io::Write as _;

use sk_share::Share;

use super::patience::add_up;

/// Rows: SHA-63
#[test]
fn a_blob_is_read_in_place() {
    let share = Share::new().unwrap();
    let bytes: Vec<u8> = (0..=255).cycle().take(3_000_000).collect();
    let blob = share.blob("blob", &bytes).unwrap();
    assert!(blob[..] == bytes[..]);
    assert_eq!(blob.as_ptr().addr() % 64, 0);
    // The same bytes at the same place: nothing was copied.
    let again = share.get_blob("blob").unwrap();
    assert_eq!(again.as_ptr(), blob.as_ptr());
    assert_eq!(share.blob("blob", b"others").unwrap().as_ptr(), blob.as_ptr());
    assert!(share.blob("empty", b"").unwrap().is_empty());
    assert!(share.get_blob("none").unwrap_err().is_not_found());
    // None of it lies in the share.
    assert!(share.stats().unwrap().used_bytes < 100_000);
    share.remove("blob").unwrap();
    assert!(again.is_detached() && again.ends_with(&bytes[2_999_000..]));
    assert!(share.get_blob("blob").unwrap_err().is_not_found());
    let other = share.blob("blob", b"others").unwrap();
    assert_eq!(&other[..], b"others");
    add_up(&share);
}

/// Rows: SHA-63
#[test]
fn a_blob_is_there_once_it_is_sealed() {
    let share = Share::new().unwrap();
    let mut writer = share.write_blob("blob").unwrap();
    for piece in 0..1000 {
        write!(writer, "{piece},").unwrap();
    }
    assert!(!share.contains("blob").unwrap());
    let mut late = share.write_blob("blob").unwrap();
    late.write_all(b"late").unwrap();
    let mut later = share.write_blob("blob").unwrap();
    later.write_all(b"later").unwrap();
    let blob = writer.seal().unwrap();
    assert!(blob.starts_with(b"0,1,2,") && blob.ends_with(b"998,999,"));
    assert!(late.seal().unwrap_err().is_name_taken());
    assert!(share.get_blob("blob").unwrap().starts_with(b"0,1,"));
    // One that is dropped was never there.
    drop(share.write_blob("dropped").unwrap());
    assert_eq!(share.names().unwrap(), ["blob"]);
    drop(blob);
    assert!(later.seal().unwrap_err().is_name_taken());
    // Nobody holds it for whom it was refused.
    share.clear().unwrap();
    assert_eq!(share.stats().unwrap().detached, 0);
    add_up(&share);
}

/// Rows: SHA-63
#[test]
fn what_is_removed_keeps_no_memory() {
    let share = Share::new().unwrap();
    let ours = |name: &str| {
        let files = std::fs::read_dir("/proc/self/fd").unwrap();
        let links = files.filter_map(|file| std::fs::read_link(file.unwrap().path()).ok());
        links.filter(|link| link.to_string_lossy().contains(name)).count()
    };
    let held = share.blob("held", b"held").unwrap();
    let mut names = Vec::new();
    for round in 0..50 {
        let name = format!("blob {round}");
        share.blob(&name, &[1; 10_000]).unwrap();
        assert_eq!(share.get_blob(&name).unwrap().len(), 10_000);
        assert!(share.remove(&name).unwrap());
        names.push(ours("sk-blob-"));
    }
    // Other tests have some too, but none of these.
    assert!(names[49] < names[0] + 25, "{names:?}");
    assert_eq!(&share.get_blob("held").unwrap()[..], b"held");
    drop(held);
    assert_eq!(&share.get_blob("held").unwrap()[..], b"held");
    add_up(&share);
}
