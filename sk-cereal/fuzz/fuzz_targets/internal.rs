//! Internal bytes that nobody wrote: decoding ends with an error or with a value that is as good
//! as any other, within its bounds of memory.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sk_cereal::internal;
use sk_cereal_fuzz::{DEAREST_ELEMENT, Everything, Tree, within_bounds};

fuzz_target!(|data: &[u8]| {
    // A valid beginning, so that runs are not spent on finding it; the shape is the fuzzer's.
    let mut bytes = internal::to_vec(&()).unwrap();
    bytes.truncate(4);
    bytes.extend_from_slice(data);
    check::<Everything>(&bytes);
    check::<Vec<Tree>>(&bytes);
});

fn check<T: serde::Serialize + for<'de> serde::Deserialize<'de>>(bytes: &[u8]) {
    match within_bounds(bytes, DEAREST_ELEMENT, || internal::from_slice::<T>(bytes)) {
        Ok(value) => {
            let again = internal::to_vec(&value).unwrap();
            // A hash map may change its order, nothing else does.
            assert_eq!(
                again.len(),
                internal::to_vec(&internal::from_slice::<T>(&again).unwrap()).unwrap().len()
            );
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}
