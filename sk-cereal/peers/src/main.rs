//! Other codecs, with the values and the clock of sk-cereal's own benches.
//!
//! Encoding is to a fresh vector by each crate's ordinary call, decoding to an owned value.

#[path = "../../benches/codec/measure.rs"]
mod measure;
#[path = "../../benches/codec/values.rs"]
mod values;

use std::hint::black_box;

use serde_wincode::SerdeCompat;
use values::{Record, record};
use wincode::config::{Configuration, PREALLOCATION_SIZE_LIMIT_DISABLED};

type Floats = Vec<f64>;

/// By default wincode refuses more than 4 MiB.
const WINCODE: Configuration<true, PREALLOCATION_SIZE_LIMIT_DISABLED> =
    Configuration::default().disable_preallocation_size_limit();

fn main() {
    records();
    floats();
}

fn records() {
    let value = record();
    let wincode_bytes = wincode_encode(&value);
    let postcard_bytes = postcard::to_stdvec(&value).unwrap();
    let rkyv_bytes = rkyv::to_bytes::<rkyv::rancor::Error>(&value).unwrap();

    let mut group = measure::Group::default();
    group.case("peer.serde-wincode.record.encode", || wincode_encode(black_box(&value)).len());
    group.case("peer.postcard.record.encode", || {
        postcard::to_stdvec(black_box(&value)).unwrap().len()
    });
    group.case("peer.rkyv.record.encode", || {
        rkyv::to_bytes::<rkyv::rancor::Error>(black_box(&value)).unwrap().len()
    });
    group.case("peer.serde-wincode.record.decode", || {
        wincode_decode::<Record>(black_box(&wincode_bytes)).values.len()
    });
    group.case("peer.postcard.record.decode", || {
        postcard::from_bytes::<Record>(black_box(&postcard_bytes)).unwrap().values.len()
    });
    group.case("peer.rkyv.record.decode", || {
        let decoded = rkyv::from_bytes::<Record, rkyv::rancor::Error>(black_box(&rkyv_bytes));
        decoded.unwrap().values.len()
    });
    group.run();
    measure::metric("peer.postcard.record.bytes", postcard_bytes.len() as f64, "bytes");
    measure::metric("peer.rkyv.record.bytes", rkyv_bytes.len() as f64, "bytes");
}

fn floats() {
    let value = values::floats(1_000_000);
    let wincode_bytes = wincode_encode(&value);
    let postcard_bytes = postcard::to_stdvec(&value).unwrap();
    let rkyv_bytes = rkyv::to_bytes::<rkyv::rancor::Error>(&value).unwrap();

    let mut group = measure::Group::default();
    group.case("peer.serde-wincode.bulk.encode", || wincode_encode(black_box(&value)).len());
    group.case("peer.postcard.bulk.encode", || {
        postcard::to_stdvec(black_box(&value)).unwrap().len()
    });
    group.case("peer.rkyv.bulk.encode", || {
        rkyv::to_bytes::<rkyv::rancor::Error>(black_box(&value)).unwrap().len()
    });
    group.case("peer.serde-wincode.bulk.decode", || {
        wincode_decode::<Floats>(black_box(&wincode_bytes)).len()
    });
    group.case("peer.postcard.bulk.decode", || {
        postcard::from_bytes::<Floats>(black_box(&postcard_bytes)).unwrap().len()
    });
    group.case("peer.rkyv.bulk.decode", || {
        rkyv::from_bytes::<Floats, rkyv::rancor::Error>(black_box(&rkyv_bytes)).unwrap().len()
    });
    group.run();
}

fn wincode_encode<T: serde::Serialize>(value: &T) -> Vec<u8> {
    <SerdeCompat<T> as wincode::config::Serialize<_>>::serialize(value, WINCODE).unwrap()
}

fn wincode_decode<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> T {
    <SerdeCompat<T> as wincode::config::Deserialize<_>>::deserialize(bytes, WINCODE).unwrap()
}
