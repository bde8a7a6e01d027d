//! A directory for temporary files that is full: a small file system in memory, mounted for one process.
//!
//! The process has a mount namespace of its own, so that nothing stays mounted however it ends. Unsafe is
//! what that needs. Its invariant: only the thread that asks leaves the namespace of the others, and it
//! does nothing but this test.
#![expect(unsafe_code, reason = "a thread leaves the mount namespace of its process")]

use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_change};
use rustix::thread::{UnshareFlags, unshare_unsafe};
use sk_share::memory::{Kind, Region, Roster};

const DISK: &str = "SK_SHARE_SMALL_DISK";
const NOT_PERMITTED: i32 = 77;
const MIB: u64 = 1 << 20;

#[test]
fn a_full_disk_is_an_error_that_loses_nothing_and_leaves_nothing() {
    if let Some(directory) = std::env::var_os(DISK) {
        return on_a_small_disk(Path::new(&directory));
    }
    let directory = Directory::new();
    let output = Command::new("/proc/self/exe")
        .args(["--exact", "--nocapture"])
        .arg("small_disk::a_full_disk_is_an_error_that_loses_nothing_and_leaves_nothing")
        .env(DISK, &directory.path)
        .env("TMPDIR", &directory.path)
        .output()
        .unwrap();
    if output.status.code() == Some(NOT_PERMITTED) {
        println!("SKIP this process may not mount a file system");
        return;
    }
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains("1 passed"), "{text}");
    // Nothing was mounted for anybody else, and nothing lies below.
    assert_eq!(std::fs::read_dir(&directory.path).unwrap().count(), 0);
}

fn on_a_small_disk(directory: &Path) {
    // SAFETY: descriptors and memory stay shared; only this thread sees other mounts from here on.
    let alone = unsafe { unshare_unsafe(UnshareFlags::NEWNS) };
    let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    let mounted = alone
        .and_then(|()| mount_change("/", private))
        .and_then(|()| mount("sk-share", directory, "tmpfs", MountFlags::empty(), c"size=2m"));
    if let Err(error) = mounted {
        eprintln!("{error}");
        std::process::exit(NOT_PERMITTED);
    }
    let free = || {
        let disk = rustix::fs::statvfs(directory).unwrap();
        disk.f_bfree * disk.f_frsize
    };
    assert_eq!(free(), 2 * MIB);

    let kind = Kind::new(900);
    let region = Region::create(kind, 64 * MIB, None).unwrap();
    region.write(4000, b"kept").unwrap();
    assert_eq!(region.grow(2 * MIB).unwrap(), 2 * MIB);
    region.write(2 * MIB - 4, b"last").unwrap();
    assert_eq!(free(), 0);

    let error = region.grow(2 * MIB + 1).unwrap_err();
    assert!(error.is_limit(), "{error}");
    // The end of the segment, which is what was to be allocated.
    assert!(error.to_string().contains("4194304"), "{error}");
    assert!(Region::create(kind, 4096, None).unwrap_err().is_limit());
    assert!(Roster::create().unwrap_err().is_limit());

    assert_eq!(region.length().unwrap(), 2 * MIB);
    let mut bytes = [0; 4];
    for (offset, kept) in [(4000, b"kept"), (2 * MIB - 4, b"last")] {
        region.read(offset, &mut bytes).unwrap();
        assert_eq!(&bytes, kept);
    }
    // Every page is there: none of this is a signal.
    region.write(0x1000, &vec![7; 2 * 1024 * 1024 - 0x1000]).unwrap();

    drop(region);
    assert_eq!(free(), 2 * MIB, "something is left");
    assert_eq!(std::fs::read_dir(directory).unwrap().count(), 0);
    // There is room again.
    Roster::create().unwrap();
}

/// A directory of this process, removed with this.
struct Directory {
    path: PathBuf,
}

impl Directory {
    fn new() -> Directory {
        let name = format!("sk-share-small-disk-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).unwrap();
        Directory { path }
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir(&self.path);
    }
}
