//! One line for each type of the standard library, and of crates that many values are made of.

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap, HashSet, LinkedList, VecDeque};
use std::ffi::{CString, OsString};
use std::marker::PhantomData;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::num::{
    NonZeroI8, NonZeroI128, NonZeroU8, NonZeroU16, NonZeroU64, NonZeroU128, NonZeroUsize,
    Saturating, Wrapping,
};
use std::ops::{Bound, RangeFrom, RangeTo};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Mutex, RwLock};
use std::time::{Duration, Instant, SystemTime};

use serde::{Deserialize, Serialize};

use sk_cereal::{Value, internal};

use crate::modes::{comes_back, every_way};

/// Rows: CER-31
#[test]
fn each_supported_type_comes_back_equal_in_every_mode() {
    comes_back(true);
    comes_back((i8::MIN, i16::MIN, i32::MIN, i64::MIN, i128::MIN, isize::MIN));
    comes_back((i8::MAX, i16::MAX, i32::MAX, i64::MAX, i128::MAX, isize::MAX));
    comes_back((u8::MAX, u16::MAX, u32::MAX, u64::MAX, u128::MAX, usize::MAX));
    comes_back((f32::MIN_POSITIVE, f32::MAX, f64::MIN_POSITIVE, f64::MAX));
    comes_back(('a', 'ß', '\u{10ffff}', '\0'));
    comes_back(String::from("text with ünïcode and \0"));
    comes_back(Box::<str>::from("boxed"));
    comes_back(Cow::<'static, str>::Owned("cow".to_owned()));
    comes_back(());
    comes_back(PhantomData::<String>);
    comes_back((1_u8,));
    comes_back((1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12));
    comes_back([0_u16; 0]);
    comes_back([7_u16; 32]);
    comes_back([Some(1), None]);
    comes_back(Some(5_u8));
    comes_back(None::<u8>);
    comes_back((Some(Some(1_u8)), Some(None::<u8>), None::<Option<u8>>));
    comes_back((Some(()), None::<()>));
    comes_back((Ok::<u8, String>(1), Err::<u8, _>("bad".to_owned())));
    comes_back(vec![1_u64, 2, 3]);
    comes_back(vec![vec![String::new()], vec![]]);
    comes_back(vec![1_u8, 2, 3].into_boxed_slice());
    comes_back(VecDeque::from([1, 2, 3]));
    comes_back(LinkedList::from([1, 2, 3]));
    comes_back(BTreeMap::from([("b".to_owned(), 1), ("a".to_owned(), 2)]));
    comes_back(HashMap::from([(1_u64, "one".to_owned()), (2, "two".to_owned())]));
    comes_back(HashMap::from([(i128::MIN, 1), (i128::MAX, 2)]));
    comes_back(BTreeMap::from([(true, 1), (false, 0)]));
    comes_back(BTreeMap::from([('x', 1)]));
    comes_back(BTreeMap::from([(Some(1), 1), (None, 0)]));
    comes_back(BTreeMap::from([((1, 'a'), 1), ((2, 'b'), 2)]));
    comes_back(BTreeSet::from([3, 1, 2]));
    comes_back(HashSet::from(["x".to_owned(), "y".to_owned()]));
    comes_back((0..5_u8, 0..=5_u8));
    comes_back((RangeFrom { start: 5 }, RangeTo { end: 5 }));
    comes_back((Bound::Included(1), Bound::Excluded(2), Bound::<u8>::Unbounded));
    comes_back(Duration::new(5, 999_999_999));
    comes_back(SystemTime::UNIX_EPOCH + Duration::new(1_800_000_000, 123_456_789));
    comes_back((Wrapping(5_u8), Saturating(5_u8), Reverse(5_u8)));
    comes_back((NonZeroU8::MAX, NonZeroI8::MIN, NonZeroU16::MIN, NonZeroUsize::MAX));
    comes_back((NonZeroU64::MAX, NonZeroU128::MAX, NonZeroI128::MIN));
    comes_back((Ipv4Addr::LOCALHOST, Ipv6Addr::LOCALHOST, IpAddr::from([1, 2, 3, 4])));
    comes_back(SocketAddr::from(([1, 2, 3, 4], 80)));
    comes_back(SocketAddrV4::new(Ipv4Addr::BROADCAST, u16::MAX));
    comes_back(SocketAddrV6::new(Ipv6Addr::UNSPECIFIED, 1, 0, 0));
    comes_back(PathBuf::from("/a/path/ü"));
    comes_back(OsString::from("os"));
    comes_back(CString::new("c").unwrap());
    comes_back(Cell::new(5_u8));
    comes_back(RefCell::new("cell".to_owned()));
    comes_back(uuid::Uuid::from_u128(u128::MAX / 3));
    comes_back(Amount { exact: "-79228162514264337593543950.335".parse().unwrap() });
}

/// Rows: CER-31
#[test]
fn types_without_equality_come_back_with_what_they_hold() {
    for (way, back) in every_way(&BinaryHeap::from([3, 1, 2])) {
        assert_eq!(back.into_sorted_vec(), [1, 2, 3], "{way}");
    }
    for (way, back) in every_way(&(AtomicBool::new(true), AtomicI64::new(-5))) {
        assert!(back.0.into_inner(), "{way}");
        assert_eq!(back.1.load(Ordering::Relaxed), -5, "{way}");
    }
    for (way, back) in every_way(&(Mutex::new(5_u8), RwLock::new("locked".to_owned()))) {
        assert_eq!(*back.0.lock().unwrap(), 5, "{way}");
        assert_eq!(*back.1.read().unwrap(), "locked", "{way}");
    }
}

/// Rows: CER-31
#[test]
fn what_serde_itself_loses_is_lost() {
    let scoped = SocketAddrV6::new(Ipv6Addr::LOCALHOST, 80, 5, 7);
    let back: SocketAddrV6 = internal::from_slice(&internal::to_vec(&scoped).unwrap()).unwrap();
    assert_eq!(back, SocketAddrV6::new(Ipv6Addr::LOCALHOST, 80, 0, 0));
    let back: SocketAddrV6 = Value::of(&scoped).unwrap().to().unwrap();
    assert_eq!(back, SocketAddrV6::new(Ipv6Addr::LOCALHOST, 80, 0, 7));

    let before_1970 = SystemTime::UNIX_EPOCH - Duration::from_secs(1);
    assert!(internal::to_vec(&before_1970).is_err());
}

/// Rows: CER-31
#[test]
fn an_instant_keeps_its_distance_from_now_within_the_stated_loss() {
    #[derive(Serialize, Deserialize)]
    struct Lease {
        #[serde(with = "sk_cereal::instant")]
        until: Instant,
    }
    let near = Duration::from_secs(5);
    let now = Instant::now();
    for until in [now + Duration::from_secs(30), now.checked_sub(Duration::from_secs(20)).unwrap()]
    {
        for (way, back) in every_way(&Lease { until }) {
            let off = until.max(back.until) - until.min(back.until);
            assert!(off < near, "off by {off:?} through {way}");
        }
    }
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Amount {
    // By default a Decimal asks what comes next, which internal bytes cannot tell.
    #[serde(with = "rust_decimal::serde::str")]
    exact: rust_decimal::Decimal,
}
