//! Memory: what is there, what is refused, and what damage does.

use std::fs::File;
use std::io::Write as _;
use std::os::fd::OwnedFd;
use std::sync::atomic::Ordering;

use sk_share::memory::{Kind, Region, RegionId};

const KIND: Kind = Kind::new(900);

fn again(region: &Region) -> OwnedFd {
    region.as_fd().try_clone_to_owned().unwrap()
}

fn region(limit: u64) -> Region {
    Region::create(KIND, limit, None).unwrap()
}

#[test]
fn what_one_handle_writes_another_reads() {
    let here = region(1 << 20);
    here.grow(1 << 16).unwrap();
    let there = Region::open(again(&here), KIND, Some(here.id())).unwrap();
    assert_eq!((there.id(), there.limit()), (here.id(), 1 << 20));
    for (offset, length) in [(4096, 0), (4096, 1), (4097, 6), (4101, 11), (5000, 4099), (4103, 16)]
    {
        let bytes: Vec<u8> = (0..=255).cycle().take(length).collect();
        here.write(offset, &bytes).unwrap();
        let mut read = vec![0; length];
        there.read(offset, &mut read).unwrap();
        assert_eq!(read, bytes, "{length} bytes at {offset}");
    }
    here.word32(8192).unwrap().store(7, Ordering::Release);
    assert_eq!(there.words32(8192, 2).unwrap()[0].load(Ordering::Acquire), 7);
}

/// Where a region is mapped in segments, one ends at 1 MiB and at every power of two up to 16 MiB.
#[test]
fn bytes_are_copied_across_whatever_is_mapped_apart() {
    let here = region(40 << 20);
    here.grow(33 << 20).unwrap();
    let there = Region::open(again(&here), KIND, None).unwrap();
    for end in [1_u64 << 20, 2 << 20, 4 << 20, 8 << 20, 16 << 20, 32 << 20] {
        for (before, length) in [(3, 9), (8, 8), (8, 16), (11, 3), (4093, 9001), (5, 2 << 20)] {
            let bytes: Vec<u8> = (1..=251).cycle().take(length).collect();
            let last = end - before + u64::try_from(length).unwrap();
            if last > 33 << 20 {
                continue;
            }
            here.write(last, &[7]).unwrap();
            here.write(end - before, &bytes).unwrap();
            let mut read = vec![0; length + 1];
            there.read(end - before, &mut read).unwrap();
            assert!(read[..length] == bytes && read[length] == 7, "{length} bytes before {end}");
        }
        here.write(end - 8, &42_u64.to_ne_bytes()).unwrap();
        assert_eq!(there.word64(end - 8).unwrap().load(Ordering::Relaxed), 42);
        there.word64(end).unwrap();
        there.word32(end - 4).unwrap();
        // A slice of words is in one piece or an error.
        assert_eq!(there.words64(end - 8, 2).is_err(), cfg!(sk_portable));
        assert_eq!(there.words32(end - 4, 2).is_err(), cfg!(sk_portable));
        there.words64(end, 64).unwrap();
    }
}

#[test]
fn growing_is_seen_through_handles_that_were_there_before() {
    let here = region(64 << 20);
    let there = Region::open(again(&here), KIND, None).unwrap();
    assert_eq!(there.length().unwrap(), 4096);
    assert!(there.word64(40 << 20).unwrap_err().is_outside());
    assert_eq!(here.grow((40 << 20) + 1).unwrap(), (40 << 20) + 4096);
    assert_eq!(there.word64(40 << 20).unwrap().load(Ordering::Relaxed), 0);
    assert_eq!(there.grow(100).unwrap(), (40 << 20) + 4096);
}

#[test]
fn the_limit_holds_to_the_byte_and_loses_nothing() {
    let region = region(3 * 4096 - 1);
    assert_eq!(region.limit(), 3 * 4096);
    region.grow(2 * 4096).unwrap();
    region.write(8000, b"kept").unwrap();
    let error = region.grow(3 * 4096 + 1).unwrap_err();
    assert!(error.is_limit());
    assert_eq!(error.to_string(), "cannot grow to 12289 bytes: the region's own limit is 12288");
    assert!(region.grow(u64::MAX).unwrap_err().is_limit());
    let mut kept = [0; 4];
    region.read(8000, &mut kept).unwrap();
    assert_eq!(&kept, b"kept");
    assert_eq!(region.grow(3 * 4096).unwrap(), 3 * 4096);
}

#[test]
fn offsets_that_do_not_fit_are_errors() {
    let region = region(4096);
    for result in [
        region.word32(4096).map(drop),
        region.word32(4093).map(drop),
        region.word32(130).map(drop),
        region.word64(132).map(drop),
        region.words32(4092, 2).map(drop),
        region.words64(128, usize::MAX).map(drop),
        region.word64(u64::MAX).map(drop),
        region.word64(u64::MAX - 7).map(drop),
        region.read(4095, &mut [0; 2]),
        region.write(u64::MAX, &[0; 2]),
    ] {
        let error = result.unwrap_err();
        assert!(error.is_outside(), "{error}");
    }
    region.write(4095, &[1]).unwrap();
    region.read(4096, &mut []).unwrap();
}

#[test]
fn what_is_no_region_or_another_one_is_refused_by_name() {
    let null = || OwnedFd::from(File::open("/dev/null").unwrap());
    assert!(Region::open(null(), KIND, None).unwrap_err().is_foreign());
    // A file of the right size that may shrink. Only files in memory have a seal against that.
    let mut file =
        File::from(rustix::fs::memfd_create("t", rustix::fs::MemfdFlags::CLOEXEC).unwrap());
    file.write_all(&[0; 8192]).unwrap();
    let error = Region::open(file.into(), KIND, None).unwrap_err();
    let missing = if cfg!(sk_portable) { "first word" } else { "seal" };
    assert!(error.is_foreign() && error.to_string().contains(missing), "{error}");

    let region = region(4096);
    let error = Region::open(again(&region), Kind::new(901), None).unwrap_err();
    assert_eq!(error.to_string(), "not the region expected: its kind is 0x384 and not 0x385");
    let other = RegionId::from_words([1, 2]);
    let error = Region::open(again(&region), KIND, Some(other)).unwrap_err();
    assert!(error.is_foreign() && error.to_string().contains(&other.to_string()), "{error}");
}

/// Each word of the header in turn holds what it should not.
#[test]
fn a_damaged_header_is_an_error_for_whoever_opens_it_and_no_signal_for_whoever_has_it() {
    for offset in (0..64).step_by(8) {
        for value in [0, 1, u64::MAX, 1 << 40, 4097] {
            let region = region(1 << 20);
            region.word64(offset).unwrap().store(value, Ordering::Relaxed);
            match Region::open(again(&region), KIND, Some(region.id())) {
                Err(error) => assert!(
                    error.is_damaged() || error.is_foreign() || error.is_limit(),
                    "{offset} {value}: {error}"
                ),
                // The id of the roster is believed here, and compared by who joins it; a limit that
                // is another one only reserves more.
                Ok(_) => assert!((32..56).contains(&offset), "{offset} {value}"),
            }
            // Whoever had it before touches nothing that is not there.
            let _ = region.word64(1 << 19).map(|word| word.load(Ordering::Relaxed));
            region.read(4000, &mut [0; 96]).unwrap();
        }
    }
}

#[test]
fn the_first_damage_that_is_reported_stays() {
    let region = region(4096);
    assert_eq!(region.damage(), None);
    region.report_damage(3);
    region.report_damage(4);
    assert_eq!(Region::open(again(&region), KIND, None).unwrap().damage(), Some(3));
}

#[test]
fn address_space_beyond_reach_is_a_limit() {
    let error = Region::create(KIND, 1 << 62, None).unwrap_err();
    assert!(error.is_limit() || error.to_string().contains("address space"), "{error}");
    assert!(Region::create(KIND, u64::MAX, None).is_err());
}

#[test]
fn threads_that_grow_at_once_all_have_what_they_asked_for() {
    let region = region(64 << 20);
    std::thread::scope(|scope| {
        for thread in 1..=4_u64 {
            let region = &region;
            scope.spawn(move || {
                for step in 1..=16 {
                    let to = (step * thread) << 20;
                    assert!(region.grow(to).unwrap() >= to);
                    region.word64(to - 8).unwrap().fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    assert_eq!(region.length().unwrap(), 64 << 20);
}
