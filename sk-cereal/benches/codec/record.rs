//! A nested record: encode and decode against bincode alone in the same configuration.

use std::hint::black_box;

use sk_cereal::internal;

use crate::measure;
use crate::values::{Record, record};

pub(crate) fn run() {
    let value = record();
    let ours = internal::to_vec(&value).unwrap();
    let theirs = bincode::serde::encode_to_vec(&value, bincode::config::legacy()).unwrap();
    let mut buffer = vec![0; ours.len()];

    let mut encode = measure::Group::default();
    encode.case("record.encode", || internal::to_vec(black_box(&value)).unwrap().len());
    encode.case("record.encode.bincode", || {
        bincode::serde::encode_to_vec(black_box(&value), bincode::config::legacy()).unwrap().len()
    });
    encode.case("record.to_slice", || {
        internal::to_slice(black_box(&value), black_box(&mut buffer)).unwrap()
    });
    encode.run();

    let mut decode = measure::Group::default();
    decode.case("record.decode", || {
        internal::from_slice::<Record>(black_box(&ours)).unwrap().values.len()
    });
    decode.case("record.decode.bincode", || {
        let config = bincode::config::legacy();
        let (record, _) =
            bincode::serde::decode_from_slice::<Record, _>(black_box(&theirs), config).unwrap();
        record.values.len()
    });
    decode.run();

    let count = |work: &mut dyn FnMut()| allocation_counter::measure(work).count_total as f64;
    let to_slice = count(&mut || drop(black_box(internal::to_slice(&value, &mut buffer))));
    measure::metric("record.to_slice.allocations", to_slice, "count");
    let decoding = count(&mut || drop(black_box(internal::from_slice::<Record>(&ours))));
    let cloning = count(&mut || drop(black_box(value.clone())));
    measure::metric("record.decode.allocations", decoding, "count");
    measure::metric("record.decode.allocations_beyond_clone", decoding - cloning, "count");
    measure::metric("record.bytes", ours.len() as f64, "bytes");
}
