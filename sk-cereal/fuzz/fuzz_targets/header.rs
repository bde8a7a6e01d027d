//! Any bytes at all, given to every reader as they are.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sk_cereal::header::{self, Mode};
use sk_cereal::internal::{self, Limits};
use sk_cereal_fuzz::within_bounds;

/// And as much again for text.
const TWO_BYTES_AN_ELEMENT: u64 = 4;

fuzz_target!(|data: &[u8]| {
    within_bounds(data, TWO_BYTES_AN_ELEMENT, || {
        let mode = Mode::of(data);
        assert!(mode.is_none() || data.len() >= header::LEN);
        let read = internal::from_slice::<(u8, String, Option<Vec<u16>>)>(data);
        if mode != Some(Mode::Internal) {
            let error = read.unwrap_err();
            assert!(error.is_wrong_header() || error.is_truncated(), "{error}");
        } else if let Ok(value) = read {
            assert_eq!(internal::to_vec(&value).unwrap(), data);
        }
        let tight = Limits::default().bytes(16).depth(1);
        if let Ok(text) = tight.from_slice::<&str>(data) {
            assert!(text.len() < 16);
        }
    });
});
