//! The internal mode: its calls, its header and its limits.

use serde::{Deserialize, Serialize};
use sk_cereal::Value;
use sk_cereal::header::{self, Mode};
use sk_cereal::internal::{self, Limits, ToSliceError};

/// Rows: CER-01
#[test]
fn strings_and_bytes_borrow_from_the_input() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct View<'a> {
        name: &'a str,
        #[serde(with = "raw")]
        bytes: &'a [u8],
    }
    mod raw {
        use serde::{Deserialize as _, Deserializer, Serializer};
        pub(super) fn serialize<S: Serializer>(b: &[u8], s: S) -> Result<S::Ok, S::Error> {
            s.serialize_bytes(b)
        }
        pub(super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<&'de [u8], D::Error> {
            <&[u8]>::deserialize(d)
        }
    }
    let view = View { name: "borrowed", bytes: &[1, 2, 0xff] };
    let bytes = internal::to_vec(&view).unwrap();
    let back: View<'_> = internal::from_slice(&bytes).unwrap();
    assert_eq!(back, view);
    for start in [back.name.as_ptr(), back.bytes.as_ptr()] {
        assert!(bytes.as_ptr_range().contains(&start));
    }

    let tree = Value::of(&view).unwrap();
    let Some(Value::Text(name)) = tree.get("name") else { panic!("{tree:?}") };
    let Some(Value::Bytes(bytes)) = tree.get("bytes") else { panic!("{tree:?}") };
    let back: View<'_> = tree.to().unwrap();
    assert_eq!(back, view);
    assert!(std::ptr::eq(back.name, name.as_str()) && std::ptr::eq(back.bytes, bytes.as_slice()));
}

/// Rows: CER-01
#[test]
fn to_slice_says_how_many_bytes_it_needs() {
    let value = vec!["some".to_owned(), "text".to_owned()];
    let bytes = internal::to_vec(&value).unwrap();
    for given in 0..bytes.len() {
        let error = internal::to_slice(&value, &mut vec![0; given]).unwrap_err();
        let ToSliceError::TooSmall { needed, given: told } = error else { panic!("{error}") };
        assert_eq!((needed, told), (bytes.len(), given));
    }
    let mut room = vec![0xee; bytes.len() + 3];
    assert_eq!(internal::to_slice(&value, &mut room).unwrap(), bytes.len());
    assert_eq!(room, [&bytes[..], &[0xee; 3]].concat());
    let error = internal::to_slice(&value, &mut []).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("the value needs {} bytes and the buffer has 0", bytes.len())
    );
}

/// Rows: CER-01
#[test]
fn a_failed_or_panicking_append_leaves_the_vector_as_it_was() {
    struct Panics;
    impl Serialize for Panics {
        fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            panic!("in the middle")
        }
    }
    let mut bytes = b"kept".to_vec();
    let half = (1_u64, std::cell::RefCell::new(2));
    let _borrowed = half.1.borrow_mut();
    assert!(internal::append(&half, &mut bytes).is_err());
    assert_eq!(bytes, b"kept");

    let append = std::panic::AssertUnwindSafe(|| internal::append(&(1_u64, Panics), &mut bytes));
    assert!(std::panic::catch_unwind(append).is_err());
    assert_eq!(bytes, b"kept");
}

/// Rows: CER-03
#[test]
fn bytes_of_another_mode_or_version_and_random_bytes_are_named_errors() {
    let bytes = internal::to_vec(&5_u8).unwrap();
    assert_eq!(bytes.len(), header::LEN + 1);
    assert_eq!(Mode::of(&bytes), Some(Mode::Internal));

    let with = |at: usize, byte: u8| {
        let mut bytes = bytes.clone();
        bytes[at] = byte;
        internal::from_slice::<u8>(&bytes).unwrap_err()
    };
    let error = with(2, 9);
    assert!(error.is_wrong_header());
    assert!(error.to_string().ends_with("of unknown (9) mode, expected was internal"), "{error}");
    let error = with(3, 2);
    assert!(error.is_wrong_header());
    assert!(error.to_string().contains("format version 2, this build reads 1"), "{error}");
    let error = with(0, b'{');
    assert!(error.is_wrong_header());
    assert!(error.to_string().contains("does not begin with a header"), "{error}");

    let error = internal::from_slice::<u8>(b"{\"a\": 1}").unwrap_err();
    assert!(error.is_wrong_header() && error.to_string().contains("{\\\"a"), "{error}");
    let error = Value::from_json(&bytes).unwrap_err();
    assert!(error.is_wrong_header());
    assert!(error.to_string().contains("internal mode, expected was JSON"), "{error}");

    for short in 0..bytes.len() {
        assert!(internal::from_slice::<u8>(&bytes[..short]).unwrap_err().is_truncated());
    }
}

/// Rows: CER-01
#[test]
fn bytes_behind_the_value_are_an_error() {
    let mut bytes = internal::to_vec(&5_u8).unwrap();
    bytes.extend_from_slice(b"xyz");
    let error = internal::from_slice::<u8>(&bytes).unwrap_err();
    assert!(error.to_string().contains("3 bytes are left over"), "{error}");
}

/// Rows: CER-01
#[test]
fn the_size_limit_holds_in_both_directions_to_the_byte() {
    let value = "0123456789";
    let size = internal::encoded_len(value).unwrap();
    let (exact, less) = (Limits::default().bytes(size), Limits::default().bytes(size - 1));
    let bytes = exact.to_vec(value).unwrap();
    assert_eq!(exact.from_slice::<String>(&bytes).unwrap(), value);
    assert_eq!(exact.to_slice(value, &mut [0; 99]).unwrap(), size);

    let error = less.to_vec(value).unwrap_err();
    assert!(error.is_limit());
    assert!(error.to_string().contains(&format!("the limit of {}", size - 1)), "{error}");
    assert!(less.from_slice::<String>(&bytes).unwrap_err().is_limit());
    assert!(less.encoded_len(value).unwrap_err().is_limit());
    let mut room = b"not counted".to_vec();
    assert!(less.append(value, &mut room).unwrap_err().is_limit());
    exact.append(value, &mut room).unwrap();
    assert!(
        matches!(less.to_slice(value, &mut [0; 99]), Err(ToSliceError::Encode(e)) if e.is_limit())
    );
}

/// Rows: CER-01
#[test]
fn a_length_beyond_the_input_is_an_error_and_reserves_nothing() {
    let header = &internal::to_vec(&()).unwrap()[..];
    for length in [17, 1 << 20, u64::from(u32::MAX), u64::MAX / 24, u64::MAX] {
        let bytes = [header, &length.to_le_bytes(), &[0; 16]].concat();
        assert!(internal::from_slice::<String>(&bytes).unwrap_err().is_truncated());
        assert!(internal::from_slice::<sk_cereal::Bulk<u64>>(&bytes).unwrap_err().is_truncated());
        let decoded = allocation_counter::measure(|| {
            assert!(internal::from_slice::<Vec<u64>>(&bytes).unwrap_err().is_truncated());
        });
        assert!(decoded.bytes_max < 4_096, "{length}: {} bytes", decoded.bytes_max);
    }
}
