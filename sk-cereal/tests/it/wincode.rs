//! wincode reads our bytes and we read its: a later change of the library changes no data.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_wincode::SerdeCompat;
use sk_cereal::{header, internal};

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Record {
    small: (bool, i8, u16, i32, u64),
    floats: (f32, f64),
    letters: Vec<char>,
    text: String,
    maybe: Vec<Option<u8>>,
    map: BTreeMap<String, Vec<u64>>,
    shapes: Vec<Shape>,
    array: [u8; 5],
    #[serde(with = "sk_cereal::bulk")]
    bulk: Vec<f64>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Shape {
    Point,
    Circle(f64),
    Line { from: (i8, i8), to: (i8, i8) },
    Pair(u8, u8),
}

fn record() -> Record {
    Record {
        small: (true, -1, 2, -3, u64::MAX),
        floats: (0.1, -0.0),
        letters: vec!['a', 'ß', '€', '𝄞'],
        text: "text ß".to_owned(),
        maybe: vec![None, Some(1)],
        map: BTreeMap::from([("k".to_owned(), vec![1, 2])]),
        shapes: vec![
            Shape::Point,
            Shape::Circle(1.0),
            Shape::Line { from: (0, 1), to: (2, 3) },
            Shape::Pair(1, 2),
        ],
        array: *b"array",
        bulk: vec![1.0, 2.0],
    }
}

/// Rows: CER-01
#[test]
fn wincode_and_this_crate_read_each_other() {
    let ours = internal::to_vec(&record()).unwrap();
    let (head, body) = ours.split_at(header::LEN);
    let theirs = <SerdeCompat<Record> as wincode::Serialize>::serialize(&record()).unwrap();
    assert_eq!(theirs, body);

    let read = <SerdeCompat<Record> as wincode::Deserialize>::deserialize(body).unwrap();
    assert_eq!(read, record());
    let back: Record = internal::from_slice(&[head, &theirs].concat()).unwrap();
    assert_eq!(back, record());
}

/// serde-wincode 0.1.2 has no form of its own for these two; it reads ours.
///
/// Rows: CER-01
#[test]
fn wincode_reads_our_wide_integers() {
    let wide = (i128::MIN, u128::MAX);
    let ours = internal::to_vec(&wide).unwrap();
    let body = &ours[header::LEN..];
    let read = <SerdeCompat<(i128, u128)> as wincode::Deserialize>::deserialize(body).unwrap();
    assert_eq!(read, wide);
    assert!(<SerdeCompat<i128> as wincode::Serialize>::serialize(&wide.0).is_err());
}
