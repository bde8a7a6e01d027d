//! Many numbers as one copy.

use serde::{Deserialize, Serialize};
use sk_cereal::{Bulk, Json, Value, internal};

use crate::modes::comes_back;

/// Rows: CER-01, CER-06
#[test]
fn numbers_of_every_kind_come_back_as_attribute_and_wrapper() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Fields {
        #[serde(with = "sk_cereal::bulk")]
        list: Vec<i128>,
        #[serde(with = "sk_cereal::bulk")]
        boxed: Box<[u16]>,
        #[serde(with = "sk_cereal::bulk")]
        array: [f32; 100],
        odd: u8,
        #[serde(with = "sk_cereal::bulk")]
        after_odd: Vec<f64>,
    }
    comes_back(Fields {
        list: vec![i128::MIN, -1, i128::MAX],
        boxed: Box::new([1, 2, u16::MAX]),
        array: [0.5; 100],
        odd: 1,
        after_odd: vec![1.5, -2.5],
    });
    comes_back((Bulk::<u8>(vec![1, 2]), Bulk::<usize>(vec![]), Bulk(vec![i64::MIN])));
    comes_back(vec![Some(Bulk(vec![0.5_f32])), None]);
}

/// Rows: CER-01
#[test]
fn the_bytes_are_the_memory_of_the_numbers_behind_their_length() {
    let bytes = internal::to_vec(&Bulk(vec![1_u16, 0x0203])).unwrap();
    let memory = [1_u16.to_ne_bytes(), 0x0203_u16.to_ne_bytes()].concat();
    assert_eq!(bytes[8..], [&4_u64.to_le_bytes()[..], &memory].concat());
    let tree = Value::of(&Bulk(vec![1_u16, 2])).unwrap();
    assert_eq!(tree.to_json(Json::compact()).unwrap(), "[1,2]");
}

/// Rows: CER-26
#[test]
fn numbers_that_do_not_fit_are_named_errors() {
    let bytes = internal::to_vec(&Bulk(vec![1_u8, 2, 3])).unwrap();
    let error = internal::from_slice::<Bulk<u16>>(&bytes).unwrap_err();
    assert!(error.to_string().contains("3 bytes are not a whole number"), "{error}");

    #[derive(Debug, Serialize, Deserialize)]
    struct Window(#[serde(with = "sk_cereal::bulk")] [u8; 2]);
    let error = internal::from_slice::<Window>(&bytes).unwrap_err();
    assert!(error.to_string().contains("an array of another length: 3"), "{error}");
    let error = Value::from_json("[1, 2, 3]").unwrap().to::<Window>().unwrap_err();
    assert!(error.to_string().contains("an array of another length: 3"), "{error}");
}
