//! What is allocated, counted exactly.

use std::collections::HashMap;

use allocation_counter::{AllocationInfo, measure};
use serde::{Deserialize, Serialize};
use sk_cereal::{Value, internal};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Record {
    name: String,
    values: Vec<f64>,
    labels: Vec<String>,
    counts: HashMap<String, u64>,
    inner: Option<Box<Record>>,
}

fn record(depth: u8) -> Record {
    Record {
        name: format!("record {depth}"),
        values: vec![0.5; 100],
        labels: (0..10).map(|i| format!("label {i}")).collect(),
        counts: (0..10).map(|i| (format!("count {i}"), i)).collect(),
        inner: depth.checked_sub(1).map(|less| Box::new(record(less))),
    }
}

fn allocations(info: &AllocationInfo) -> u64 {
    info.count_total
}

/// Rows: CER-01
#[test]
fn to_slice_allocates_nothing() {
    let value = record(3);
    let mut buffer = vec![0; internal::encoded_len(&value).unwrap()];
    let encoded = measure(|| {
        internal::to_slice(&value, &mut buffer).unwrap();
    });
    assert_eq!(allocations(&encoded), 0);
    let counted = measure(|| {
        internal::encoded_len(&value).unwrap();
    });
    assert_eq!(allocations(&counted), 0);
}

/// Rows: CER-01
#[test]
fn decoding_allocates_what_the_record_itself_needs() {
    let value = record(3);
    let bytes = internal::to_vec(&value).unwrap();
    let mut decoded = None;
    let decoding = measure(|| decoded = Some(internal::from_slice::<Record>(&bytes).unwrap()));
    // A clone makes one allocation for each string, list, map and box, and so is the measure.
    let mut copy = None;
    let cloning = measure(|| copy = Some(value.clone()));
    assert_eq!(decoded, copy);
    assert!(allocations(&cloning) > 80);
    assert_eq!(allocations(&decoding), allocations(&cloning));
}

/// Rows: CER-01
#[test]
fn nested_hostile_lengths_reserve_no_more_than_the_input_could_fill() {
    #[derive(Debug, Deserialize)]
    #[serde(transparent)]
    struct Lists(#[expect(dead_code, reason = "it is never read that far")] Vec<Lists>);
    // Each level announces as many lists as there are bytes left.
    let levels = 900_u64;
    let mut bytes = internal::to_vec(&()).unwrap();
    for level in 0..levels {
        bytes.extend_from_slice(&((levels - level - 1) * 8).to_le_bytes());
    }
    let decoding = measure(|| {
        internal::from_slice::<Lists>(&bytes).unwrap_err();
    });
    // The path of the failure, 900 steps long, comes on top.
    let most = bytes.len() as u64 * size_of::<Lists>() as u64 + 64 * 1_024 * 2;
    assert!(decoding.bytes_max <= most, "{} of {most} bytes", decoding.bytes_max);
}

/// Rows: CER-25
#[test]
fn reading_json_takes_at_most_16_bytes_for_each_byte_of_text() {
    let repeat =
        |open: &str, part: &str, close: &str| [open, &vec![part; 20_000].join(","), close].concat();
    for text in [
        repeat("[", "1", "]"),
        repeat("[", "[]", "]"),
        repeat("[", "{}", "]"),
        repeat("[", "\"\"", "]"),
        repeat("[", "\"\\n\"", "]"),
        repeat("{", "\"\":1", "}"),
        repeat("{\"$map\":[", "[1,1]", "]}"),
        repeat("[", "{\"$f64\":\"inf\"}", "]"),
        repeat("[", "{\"$bytes\":\"\"}", "]"),
        // Not JSON, but that is only found out at the end.
        repeat("[", "1", ",,"),
        repeat("[[[[[[[", "1", "]]],,"),
        repeat("{\"a\":{\"a\":[", "1", "],1,,:,:,1:1}1:,:1:,,,"),
    ] {
        let reading = measure(|| {
            let _ = Value::from_json(&text);
        });
        let most = 16 * text.len() as u64 + 4_096;
        assert!(reading.bytes_max <= most, "{:.20}…: {} of {most}", text, reading.bytes_max);
    }
}
