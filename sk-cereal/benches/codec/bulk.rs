//! A million floats: encode and decode as one copy against memcpy of the same bytes.

use std::hint::black_box;

use sk_cereal::{Bulk, internal};

use crate::{measure, values};

pub(crate) fn run() {
    let value = Bulk(values::floats(1_000_000));
    let bytes = internal::to_vec(&value).unwrap();
    let theirs = bincode::serde::encode_to_vec(&value.0, bincode::config::legacy()).unwrap();

    let mut encode = measure::Group::default();
    encode.case("bulk.encode", || internal::to_vec(black_box(&value)).unwrap().len());
    encode.case("bulk.encode.memcpy", || black_box(black_box(&bytes).clone()).len());
    encode.run();

    // Into room that is there already, so that no allocator has a part in it.
    let mut room = vec![0; bytes.len()];
    let mut copy = vec![0; bytes.len()];
    let mut into_room = measure::Group::default();
    into_room.case("bulk.to_slice", || {
        internal::to_slice(black_box(&value), black_box(&mut room)).unwrap()
    });
    into_room.case("bulk.to_slice.memcpy", || {
        copy.copy_from_slice(black_box(&bytes));
        black_box(&mut copy).len()
    });
    into_room.run();

    let mut decode = measure::Group::default();
    decode.case("bulk.decode", || {
        internal::from_slice::<Bulk<f64>>(black_box(&bytes)).unwrap().0.len()
    });
    decode.case("bulk.decode.unaligned", {
        let mut shifted = vec![0; bytes.len() + 3];
        shifted[3..].copy_from_slice(&bytes);
        move || internal::from_slice::<Bulk<f64>>(black_box(&shifted[3..])).unwrap().0.len()
    });
    decode.case("bulk.decode.memcpy", || black_box(black_box(&value.0).clone()).len());
    decode.run();

    // Apart: what it does to the allocator would fall on the cases above.
    let mut bincode = measure::Group::default();
    bincode.case("bulk.encode.bincode", || {
        let config = bincode::config::legacy();
        bincode::serde::encode_to_vec(black_box(&value.0), config).unwrap().len()
    });
    bincode.case("bulk.decode.bincode", || {
        let config = bincode::config::legacy();
        let (floats, _) =
            bincode::serde::decode_from_slice::<Vec<f64>, _>(black_box(&theirs), config).unwrap();
        floats.len()
    });
    bincode.run();
}
