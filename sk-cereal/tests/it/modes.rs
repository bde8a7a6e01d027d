//! Every way through this crate that a value can take.

use serde::Serialize;
use serde::de::DeserializeOwned;
use sk_cereal::{Json, Value, internal};

/// The ways a value comes back, each with its name.
pub(crate) fn every_way<T: Serialize + DeserializeOwned>(value: &T) -> Vec<(&'static str, T)> {
    let bytes = internal::to_vec(value).unwrap();
    let mut buffer = vec![0xaa; bytes.len()];
    assert_eq!(internal::to_slice(value, &mut buffer).unwrap(), bytes.len());
    assert_eq!(internal::encoded_len(value).unwrap(), bytes.len());
    let mut behind = b"before".to_vec();
    internal::append(value, &mut behind).unwrap();

    let tree = Value::of(value).unwrap();
    let compact = tree.to_json(Json::compact()).unwrap();
    let pretty = tree.to_json(Json::pretty().sort_keys()).unwrap();
    let from_json = |text: &str| Value::from_json(text).unwrap().to().unwrap();
    let tree_bytes = internal::to_vec(&tree).unwrap();
    let tree_again: Value = internal::from_slice(&tree_bytes).unwrap();
    assert_eq!(tree_again, tree);

    vec![
        ("internal", internal::from_slice(&bytes).unwrap()),
        ("to_slice", internal::from_slice(&buffer).unwrap()),
        ("append", internal::from_slice(&behind[6..]).unwrap()),
        ("tree", tree.to().unwrap()),
        ("compact JSON", from_json(&compact)),
        ("pretty JSON", from_json(&pretty)),
        ("tree in internal", tree_again.to().unwrap()),
    ]
}

/// The value comes back equal in every way.
#[track_caller]
pub(crate) fn comes_back<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(value: T) {
    for (way, back) in every_way(&value) {
        assert_eq!(back, value, "through {way}");
    }
}

/// The value comes back bit by bit in every way: encoded again it gives the same bytes.
#[track_caller]
pub(crate) fn comes_back_bit_by_bit<T: Serialize + DeserializeOwned>(value: &T) {
    let bytes = internal::to_vec(value).unwrap();
    for (way, back) in every_way(value) {
        assert_eq!(internal::to_vec(&back).unwrap(), bytes, "through {way}");
    }
}
