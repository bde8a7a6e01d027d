//! Types that define how they are encoded themselves, and many threads at once.

use serde::de::Error as _;
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sk_cereal::{Session, Value, internal};

use crate::modes::comes_back;

/// Encodes itself as bytes of this crate within bytes of this crate.
#[derive(Debug, Clone, PartialEq)]
struct Sealed<T>(T);

impl<T: Serialize> Serialize for Sealed<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let bytes = internal::to_vec(&self.0).map_err(S::Error::custom)?;
        serializer.serialize_bytes(&bytes)
    }
}

impl<'de, T: for<'a> Deserialize<'a>> Deserialize<'de> for Sealed<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bytes<T>(std::marker::PhantomData<T>);
        impl<T: for<'a> Deserialize<'a>> serde::de::Visitor<'_> for Bytes<T> {
            type Value = T;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("sealed bytes")
            }
            fn visit_bytes<E: serde::de::Error>(self, bytes: &[u8]) -> Result<T, E> {
                internal::from_slice(bytes).map_err(E::custom)
            }
        }
        deserializer.deserialize_bytes(Bytes(std::marker::PhantomData)).map(Sealed)
    }
}

/// A hand-written pair that packs two numbers into one.
#[derive(Debug, Clone, PartialEq)]
struct Packed {
    high: u8,
    low: u8,
}

impl Serialize for Packed {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u16(u16::from(self.high) << 8 | u16::from(self.low))
    }
}

impl<'de> Deserialize<'de> for Packed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let [high, low] = u16::deserialize(deserializer)?.to_be_bytes();
        if low == 0xee {
            return Err(D::Error::custom("0xee is never packed"));
        }
        Ok(Packed { high, low })
    }
}

/// Rows: CER-30
#[test]
fn a_type_may_define_its_own_pair_and_call_the_codec_within() {
    comes_back(Packed { high: 1, low: 2 });
    assert_eq!(internal::to_vec(&Packed { high: 1, low: 2 }).unwrap()[8..], [2, 1]);
    comes_back(vec![Sealed(Sealed(Packed { high: 3, low: 4 }))]);
    let refused = internal::to_vec(&(0_u8, Packed { high: 0, low: 0xee })).unwrap();
    let error = internal::from_slice::<(u8, Packed)>(&refused).unwrap_err();
    assert_eq!(error.path(), Some("root.1"));
    assert!(error.to_string().ends_with("0xee is never packed"), "{error}");
}

/// Rows: CER-47
#[test]
fn thirty_two_threads_encode_and_decode_at_once() {
    let start = std::sync::Barrier::new(32);
    std::thread::scope(|scope| {
        for thread in 0..32_u32 {
            let start = &start;
            scope.spawn(move || {
                let value: Vec<_> = (0..50)
                    .map(|i| (thread, Sealed((i, format!("{thread} {i}"))), vec![thread; 9]))
                    .collect();
                start.wait();
                for _ in 0..50 {
                    let session = Session::snapshot();
                    let bytes = session.enter(|| internal::to_vec(&value)).unwrap();
                    type Row = (u32, Sealed<(u32, String)>, Vec<u32>);
                    let back: Vec<Row> = internal::from_slice(&bytes).unwrap();
                    assert_eq!(back, value);
                    // Failures, whose second pass runs beside the first passes of others.
                    let error = internal::from_slice::<Vec<(u32, Sealed<bool>)>>(&bytes);
                    assert_eq!(error.unwrap_err().path(), Some("root[0].1"));
                    assert!(Value::of(&value).unwrap().at(49).is_some());
                }
            });
        }
    });
}
