//! The worst values that a type can hold.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::path::PathBuf;

use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::{Strategy, any, prop_oneof, proptest};
use serde::{Deserialize, Serialize};
use sk_cereal::{Bulk, Value, internal};

use crate::modes::{comes_back, comes_back_bit_by_bit};

/// A bit of everything that has ever broken a codec.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Worst {
    floats: (f32, f64),
    #[serde(with = "sk_cereal::bulk")]
    many: Vec<f64>,
    wide: (i128, u128),
    letter: char,
    text: String,
    nothing: Nothing,
    nothings: Vec<()>,
    wrapped: Option<Option<Option<u8>>>,
    by_struct: BTreeMap<Key, Vec<Tree>>,
    by_number: BTreeMap<u64, i8>,
    by_variant: BTreeMap<Kind, bool>,
    #[serde(with = "sk_cereal::path")]
    path: PathBuf,
    names: Vec<OsString>,
    tree: Tree,
    bulk: Bulk<u16>,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Nothing;

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Key {
    part: i16,
    name: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
enum Kind {
    First,
    Second,
    #[serde(rename = "$some")]
    LikeATag,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Tree {
    Leaf,
    Number(f64),
    Pair(Box<Tree>, Box<Tree>),
    Named {
        left: Box<Tree>,
        name: String,
    },
    Many(Vec<Tree>),
    #[serde(rename = "$f64")]
    LikeATag(Option<Box<Tree>>),
}

fn worst() -> impl Strategy<Value = Worst> {
    let scalars = (
        (any::<u32>().prop_map(f32::from_bits), any::<u64>().prop_map(f64::from_bits)),
        vec(any::<u64>().prop_map(f64::from_bits), 0..20),
        any::<(i128, u128)>(),
        any::<char>(),
        tag_like_text(),
    );
    let maps = (
        btree_map((any::<i16>(), ".{0,4}").prop_map(key), vec(tree(), 0..3), 0..4),
        btree_map(any::<u64>(), any::<i8>(), 0..4),
        btree_map(kind(), any::<bool>(), 0..3),
    );
    let rest = (
        option::of(option::of(option::of(any::<u8>()))),
        vec(any::<u8>(), 0..9).prop_map(|bytes| PathBuf::from(OsString::from_vec(bytes))),
        vec(vec(any::<u8>(), 0..5).prop_map(OsString::from_vec), 0..3),
        tree(),
        vec(any::<u16>(), 0..9).prop_map(Bulk),
        0..5_usize,
    );
    (scalars, maps, rest).prop_map(|(scalars, maps, rest)| Worst {
        floats: scalars.0,
        many: scalars.1,
        wide: scalars.2,
        letter: scalars.3,
        text: scalars.4,
        nothing: Nothing,
        nothings: vec![(); rest.5],
        wrapped: rest.0,
        by_struct: maps.0,
        by_number: maps.1,
        by_variant: maps.2,
        path: rest.1,
        names: rest.2,
        tree: rest.3,
        bulk: rest.4,
    })
}

fn key((part, name): (i16, String)) -> Key {
    Key { part, name }
}

fn kind() -> impl Strategy<Value = Kind> {
    prop_oneof![
        proptest::strategy::Just(Kind::First),
        proptest::strategy::Just(Kind::Second),
        proptest::strategy::Just(Kind::LikeATag),
    ]
}

fn tree() -> impl Strategy<Value = Tree> {
    let leaf = prop_oneof![
        proptest::strategy::Just(Tree::Leaf),
        any::<u64>().prop_map(|bits| Tree::Number(f64::from_bits(bits))),
    ];
    leaf.prop_recursive(6, 40, 3, |inner| {
        let boxed = || inner.clone().prop_map(Box::new);
        prop_oneof![
            (boxed(), boxed()).prop_map(|(left, right)| Tree::Pair(left, right)),
            (boxed(), tag_like_text()).prop_map(|(left, name)| Tree::Named { left, name }),
            vec(inner.clone(), 0..3).prop_map(Tree::Many),
            option::of(boxed()).prop_map(Tree::LikeATag),
        ]
    })
}

fn tag_like_text() -> impl Strategy<Value = String> {
    prop_oneof![".{0,8}", r"\$(some|int|f64|f32|bytes|map|ref)", r"\${1,3}f64"]
}

proptest! {
    /// Rows: CER-01, CER-06, CER-24, CER-25
    #[test]
    fn an_arbitrary_value_comes_back_bit_by_bit_in_every_mode(value in worst()) {
        comes_back_bit_by_bit(&value);
    }

    /// Rows: CER-25
    #[test]
    fn an_arbitrary_map_by_text_comes_back(map in btree_map(tag_like_text(), any::<i32>(), 0..4)) {
        comes_back(map);
    }

    /// Rows: CER-01
    #[test]
    fn damaged_bytes_give_an_error_or_a_value_and_nothing_else(
        value in worst(),
        at in any::<proptest::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let mut bytes = internal::to_vec(&value).unwrap();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        // Whatever it is, it can be encoded and formatted: it is a proper value or a proper error.
        match internal::from_slice::<Worst>(&bytes) {
            Ok(value) => assert!(internal::to_vec(&value).is_ok()),
            Err(error) => assert!(error.to_string().starts_with("cannot decode ")),
        }
        assert!(internal::from_slice::<Worst>(&bytes[..at]).is_err());
    }
}

/// Rows: CER-06
#[test]
fn floats_keep_every_bit() {
    let doubles = [
        0.0,
        -0.0,
        f64::INFINITY,
        f64::NEG_INFINITY,
        f64::NAN,
        -f64::NAN,
        f64::from_bits(0x7ff0_0000_0000_0001), // a signalling NaN
        f64::from_bits(0xfff8_dead_beef_cafe),
        f64::from_bits(1), // the smallest subnormal
        0.1,
        1e16,
        1e300,
        9_007_199_254_740_993.0,
    ];
    comes_back_bit_by_bit(&doubles.to_vec());
    let singles: Vec<f32> = [0, 0x8000_0000, 1, 0x7f80_0000, 0xff80_0000, 0x7f80_0001, 0xffc1_2345]
        .into_iter()
        .map(f32::from_bits)
        .chain([0.1, 1e10, 16_777_217.0, f32::MAX, f32::MIN_POSITIVE])
        .collect();
    comes_back_bit_by_bit(&singles);
}

/// Rows: CER-06
#[test]
fn values_that_take_no_bytes_come_back() {
    comes_back(Nothing);
    comes_back(vec![Nothing; 1_000]);
    comes_back(HashMap::from([((), ())]));
    comes_back(Vec::<Vec<()>>::new());
    comes_back([Nothing; 3]);
}

/// Rows: CER-06
#[test]
fn paths_and_names_that_are_not_utf8_come_back() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Found(#[serde(with = "sk_cereal::path")] PathBuf);
    let raw = OsString::from_vec(b"/tmp/\xff\xfe".to_vec());
    comes_back(Found(raw.clone().into()));
    comes_back(vec![raw.clone()]);

    let error = internal::to_vec(&PathBuf::from(raw)).unwrap_err();
    assert!(error.to_string().contains("sk_cereal::path"), "{error}");
}

/// Rows: CER-06
#[test]
fn enums_that_hold_themselves_and_maps_with_struct_keys_come_back() {
    let leaf = || Box::new(Tree::Number(1.5));
    let tree = Tree::Many(vec![
        Tree::Pair(leaf(), Box::new(Tree::LikeATag(Some(leaf())))),
        Tree::Named { left: Box::new(Tree::LikeATag(None)), name: "$map".to_owned() },
    ]);
    comes_back(BTreeMap::from([
        (Key { part: 1, name: "one".to_owned() }, vec![tree.clone()]),
        (Key { part: 2, name: String::new() }, vec![tree, Tree::Leaf]),
    ]));
}

/// A list as long as it is deep.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Node {
    value: u8,
    next: Option<Box<Node>>,
}

fn nodes(count: usize) -> Node {
    (1..count).fold(Node { value: 0, next: None }, |inner, _| Node {
        value: 1,
        next: Some(Box::new(inner)),
    })
}

fn nested(count: usize) -> Tree {
    (1..count).fold(Tree::Leaf, |inner, _| Tree::LikeATag(Some(Box::new(inner))))
}

/// A map whose keys JSON has no form for, within another, and so on.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
struct ByPair(BTreeMap<(u8, u8), ByPair>);

fn by_pair(depth: usize) -> ByPair {
    (1..depth).fold(ByPair(BTreeMap::new()), |inner, _| ByPair([((1, 2), inner)].into()))
}

/// Rows: CER-06, CER-27
#[test]
fn a_thousand_levels_come_back_and_one_more_is_an_error() {
    comes_back(nodes(1_000));
    comes_back(nested(1_000));
    comes_back(by_pair(999));

    let error = internal::to_vec(&nodes(1_001)).unwrap_err();
    assert!(error.is_limit(), "{error}");
    assert!(error.to_string().contains("deeper than the limit of 1000"), "{error}");
    assert!(Value::of(&nodes(1_001)).unwrap_err().is_limit());

    let deep = internal::Limits::default().depth(2_000).to_vec(&nodes(1_001)).unwrap();
    assert!(internal::from_slice::<Node>(&deep).unwrap_err().is_limit());
}

/// Rows: CER-27
#[test]
fn hostile_nesting_is_an_error_whatever_the_type_recurses_through() {
    /// Recurses through nothing but `Some`.
    #[derive(Debug, Serialize, Deserialize)]
    #[serde(transparent)]
    struct Chain {
        next: Option<Box<Chain>>,
    }
    #[derive(Debug, Serialize, Deserialize)]
    struct Wrapped(Option<Box<Wrapped>>);

    let header = &internal::to_vec(&()).unwrap()[..];
    let somes = [header, &[1; 1_000_000]].concat();
    assert!(internal::from_slice::<Chain>(&somes).unwrap_err().is_limit());
    assert!(internal::from_slice::<Wrapped>(&somes).unwrap_err().is_limit());
    // A sequence of one element, a million times over.
    let ones = [1_u64.to_le_bytes(); 125_000].concat();
    let lists = [header, &ones].concat();
    #[derive(Debug, Deserialize)]
    #[serde(transparent)]
    struct Lists(#[expect(dead_code, reason = "it is never read that far")] Vec<Lists>);
    assert!(internal::from_slice::<Lists>(&lists).unwrap_err().is_limit());
    assert!(Value::from_json("[".repeat(1_000_000)).unwrap_err().is_limit());
    assert!(Value::from_json("{\"a\":".repeat(1_000_000)).unwrap_err().is_limit());
}

/// Rows: CER-27
#[test]
fn the_depth_limit_holds_on_a_thread_with_a_small_stack() {
    let bytes = internal::to_vec(&nested(1_000)).unwrap();
    let reader = std::thread::Builder::new().stack_size(128 << 10).spawn(move || {
        let tree = internal::from_slice::<Tree>(&bytes).unwrap();
        let again = internal::to_vec(&tree).unwrap();
        let value = Value::of(&tree).unwrap();
        let text = value.to_json(sk_cereal::Json::compact()).unwrap();
        let back = Value::from_json(text).unwrap();
        let error = internal::from_slice::<Tree>(&bytes[..bytes.len() - 1]).unwrap_err();
        // Dropped elsewhere: dropping is the type's own business, and recurses.
        (again == bytes, tree, value, back, error.is_truncated())
    });
    let (same, tree, value, back, truncated) = reader.unwrap().join().unwrap();
    assert!(same && truncated);
    assert_eq!(tree, nested(1_000));
    assert_eq!(back.to::<Tree>().unwrap(), value.to::<Tree>().unwrap());
}

/// Rows: CER-18
#[test]
fn is_encodable_tells_whether_a_value_comes_back() {
    let good = Worst {
        floats: (0.0, 0.0),
        many: vec![],
        wide: (0, 0),
        letter: 'x',
        text: String::new(),
        nothing: Nothing,
        nothings: vec![],
        wrapped: None,
        by_struct: BTreeMap::new(),
        by_number: BTreeMap::new(),
        by_variant: BTreeMap::new(),
        path: PathBuf::new(),
        names: vec![],
        tree: Tree::Leaf,
        bulk: Bulk(vec![]),
    };
    assert!(internal::is_encodable(&good));
    assert!(internal::is_encodable(&nodes(1_000)));
    assert!(!internal::is_encodable(&nodes(1_001)));
    assert!(!internal::is_encodable(&PathBuf::from(OsString::from_vec(vec![0xff]))));

    /// It encodes, but nobody could decode it.
    #[derive(Serialize, Deserialize)]
    #[serde(untagged)]
    enum Untagged {
        Number(u8),
    }
    assert!(internal::to_vec(&Untagged::Number(1)).is_ok());
    assert!(!internal::is_encodable(&Untagged::Number(1)));
}
