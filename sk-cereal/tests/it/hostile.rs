//! Types that lie, readers that stop early, and bytes made to hurt.

use std::collections::BTreeMap;

use allocation_counter::measure;
use serde::de::{EnumAccess, Error as _, MapAccess, SeqAccess, VariantAccess as _, Visitor};
use serde::ser::{Error as _, SerializeMap as _, SerializeSeq as _, SerializeTuple as _};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sk_cereal::{Bulk, Value, internal};

/// A type whose `Serialize` is this expression.
macro_rules! serializes_as {
    ($type:ident, $serializer:ident => $body:expr) => {
        struct $type;
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, $serializer: S) -> Result<S::Ok, S::Error> {
                $body
            }
        }
    };
}

serializes_as!(Fails, _serializer => Err(S::Error::custom("no")));

/// Rows: CER-01
#[test]
fn an_error_that_a_serialize_swallows_is_not_lost() {
    serializes_as!(Lossy, serializer => {
        let mut seq = serializer.serialize_seq(Some(3))?;
        seq.serialize_element(&1_u8)?;
        let _ = seq.serialize_element(&Fails);
        seq.serialize_element(&3_u8)?;
        seq.end()
    });
    serializes_as!(TooLong, serializer => {
        let mut tuple = serializer.serialize_tuple(2)?;
        let _ = tuple.serialize_element("a text that is beyond the limit");
        tuple.serialize_element(&2_u8)?;
        tuple.end()
    });
    let error = internal::to_vec(&Lossy).unwrap_err();
    assert!(error.to_string().contains("went on as if nothing had happened"), "{error}");
    let error = internal::Limits::default().bytes(20).to_vec(&TooLong).unwrap_err();
    assert!(error.to_string().contains("went on as if nothing had happened"), "{error}");
}

/// Rows: CER-26
#[test]
fn an_error_that_a_deserialize_swallows_is_not_lost() {
    #[derive(Debug, Serialize, Deserialize)]
    struct Lenient {
        #[serde(deserialize_with = "or_default")]
        text: Vec<String>,
        size: u64,
    }
    fn or_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(
        deserializer: D,
    ) -> Result<T, D::Error> {
        Ok(T::deserialize(deserializer).unwrap_or_default())
    }
    let text = vec!["ok".to_owned(), "damaged".to_owned()];
    let mut bytes = internal::to_vec(&Lenient { text, size: 5 }).unwrap();
    let at = bytes.len() - 8 - 3;
    bytes[at] = 0xff;
    let error = internal::from_slice::<Lenient>(&bytes).unwrap_err();
    assert!(error.to_string().contains("went on as if nothing had happened"), "{error}");
    // A tree has each part by itself, so that is fine there.
    let tree = Value::from_json(r#"{"text": [1], "size": 5}"#).unwrap();
    assert_eq!(tree.to::<Lenient>().unwrap().size, 5);
}

/// Rows: CER-26
#[test]
fn a_visitor_that_gives_up_and_is_forgiven_does_not_shift_what_follows() {
    /// Takes one number and is full.
    struct AtMostOne;
    impl<'de> Visitor<'de> for AtMostOne {
        type Value = Vec<u8>;
        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("one number")
        }
        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<u8>, A::Error> {
            let first = seq.next_element()?;
            match seq.next_element::<u8>()? {
                Some(_) => Err(A::Error::custom("full")),
                None => Ok(first.into_iter().collect()),
            }
        }
    }
    #[derive(Debug, Serialize, Deserialize)]
    struct Forgiving {
        #[serde(deserialize_with = "or_empty")]
        first: Vec<u8>,
        text: String,
    }
    fn or_empty<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        Ok(deserializer.deserialize_seq(AtMostOne).unwrap_or_default())
    }
    let bytes = internal::to_vec(&Forgiving { first: vec![9, 9, 8], text: String::new() }).unwrap();
    let error = internal::from_slice::<Forgiving>(&bytes).unwrap_err();
    assert!(!error.to_string().contains("stopped"), "{error}");
}

/// Rows: CER-01
#[test]
fn the_order_of_variants_counts_and_a_reader_without_names_is_believed() {
    #[derive(Debug, Serialize, Deserialize)]
    enum Written {
        A(u8),
        B(u8),
    }
    #[derive(Debug, Serialize, Deserialize)]
    enum Swapped {
        B(u8),
        A(u8),
    }
    let bytes = internal::to_vec(&vec![Written::B(1), Written::A(2)]).unwrap();
    assert!(internal::from_slice::<Vec<Swapped>>(&bytes).is_err());

    /// Reads the variants by number, and tells no names.
    #[derive(Debug, PartialEq)]
    struct Nameless(u32, u8);
    impl<'de> Deserialize<'de> for Nameless {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            struct Any;
            impl<'de> Visitor<'de> for Any {
                type Value = Nameless;
                fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                    f.write_str("a variant")
                }
                fn visit_enum<A: EnumAccess<'de>>(self, access: A) -> Result<Nameless, A::Error> {
                    let (index, inside) = access.variant()?;
                    Ok(Nameless(index, inside.newtype_variant()?))
                }
            }
            deserializer.deserialize_enum("Written", &[], Any)
        }
    }
    let read: Vec<Nameless> = internal::from_slice(&bytes).unwrap();
    assert_eq!(read, [Nameless(1, 1), Nameless(0, 2)]);
}

/// Rows: CER-21, CER-26
#[test]
fn trees_within_trees_are_explained_once() {
    use std::cell::Cell;
    thread_local! {
        static CALLS: Cell<u32> = const { Cell::new(0) };
    }
    #[derive(Debug)]
    struct Deep;
    impl<'de> Deserialize<'de> for Deep {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            CALLS.set(CALLS.get() + 1);
            match Value::deserialize(deserializer)? {
                Value::Seq(inner) => match inner.first() {
                    Some(inner) => inner.to::<Deep>().map_err(D::Error::custom),
                    None => Err(D::Error::custom("a bad leaf")),
                },
                _ => Ok(Deep),
            }
        }
    }
    let tree = Value::from_json("[".repeat(40) + &"]".repeat(40)).unwrap();
    let error = tree.to::<Deep>().unwrap_err();
    assert!(error.to_string().ends_with(": a bad leaf"), "{error}");
    assert!(CALLS.get() <= 80, "{}", CALLS.get());
}

/// Rows: CER-01
#[test]
fn lengths_and_entries_that_do_not_add_up_are_refused() {
    serializes_as!(TooMany, serializer => {
        let mut seq = serializer.serialize_seq(Some(1))?;
        seq.serialize_element(&1_u8)?;
        seq.serialize_element(&2_u8)?;
        seq.end()
    });
    serializes_as!(TwoKeys, serializer => {
        let mut map = serializer.serialize_map(Some(1))?;
        map.serialize_key(&1_u8)?;
        map.serialize_key(&2_u8)?;
        map.serialize_value(&2_u8)?;
        map.end()
    });
    serializes_as!(KeyOnly, serializer => {
        let mut map = serializer.serialize_map(Some(0))?;
        map.serialize_key(&1_u8)?;
        map.end()
    });
    let error = internal::to_vec(&TooMany).unwrap_err();
    assert!(error.to_string().contains("1 was announced and 2"), "{error}");
    for error in [
        internal::to_vec(&TwoKeys).unwrap_err(),
        internal::to_vec(&KeyOnly).unwrap_err(),
        Value::of(&TwoKeys).unwrap_err(),
        Value::of(&KeyOnly).unwrap_err(),
    ] {
        assert!(error.to_string().contains("a key or a value missing"), "{error}");
    }
    // A length is a hint to the tree, not a promise to reserve for.
    serializes_as!(Boasts, serializer => serializer.serialize_seq(Some(1 << 40))?.end());
    serializes_as!(BoastsMap, serializer => serializer.serialize_map(Some(1 << 40))?.end());
    assert_eq!(Value::of(&Boasts).unwrap(), Value::Seq(vec![]));
    assert_eq!(Value::of(&BoastsMap).unwrap(), Value::Map(vec![]));
}

/// Reads the first element of a sequence, or the first entry of a map, and stops.
#[derive(Debug, PartialEq)]
struct First<const IS_MAP: bool>(u8);

impl<'de, const IS_MAP: bool> Deserialize<'de> for First<IS_MAP> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Stops;
        impl<'de> Visitor<'de> for Stops {
            type Value = u8;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("numbers")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<u8, A::Error> {
                seq.next_element()?.ok_or_else(|| A::Error::custom("empty"))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<u8, A::Error> {
                let first = map.next_entry::<u8, u8>()?;
                first.map(|(key, _)| key).ok_or_else(|| A::Error::custom("empty"))
            }
        }
        if IS_MAP {
            deserializer.deserialize_map(Stops).map(First)
        } else {
            deserializer.deserialize_seq(Stops).map(First)
        }
    }
}

/// Rows: CER-26
#[test]
fn a_reader_that_stops_early_does_not_shift_what_follows() {
    let bytes = internal::to_vec(&(vec![1_u8, 9, 0, 0, 0, 0, 0, 0, 0], vec![5_u8])).unwrap();
    let error = internal::from_slice::<(First<false>, Vec<u8>)>(&bytes).unwrap_err();
    assert!(error.to_string().contains("stopped 8 elements before the end"), "{error}");
    assert_eq!(error.path(), Some("root.0"));

    let map = BTreeMap::from([(1_u8, 1_u8), (2, 2)]);
    let error = internal::from_slice::<First<true>>(&internal::to_vec(&map).unwrap()).unwrap_err();
    assert!(error.to_string().contains("stopped 1 elements before the end"), "{error}");
    let tree = Value::of(&map).unwrap();
    assert!(tree.to::<First<true>>().unwrap_err().to_string().contains("invalid length 2"));

    let whole = internal::to_vec(&vec![7_u8]).unwrap();
    assert_eq!(internal::from_slice::<First<false>>(&whole).unwrap(), First(7));
}

/// Rows: CER-01
#[test]
fn a_variant_that_one_side_skips_is_noticed() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    enum Skips {
        First,
        #[serde(skip)]
        #[expect(dead_code, reason = "it is skipped")]
        Never,
        Third(u8),
        Fourth(u8),
    }
    // serde counts the skipped variant when it writes and not when it reads.
    let config = bincode::config::legacy();
    let alone = bincode::serde::encode_to_vec(Skips::Third(7), config).unwrap();
    let (garbage, _): (Skips, _) = bincode::serde::decode_from_slice(&alone, config).unwrap();
    assert_eq!(garbage, Skips::Fourth(7), "what bincode makes of it");

    let bytes = internal::to_vec(&Skips::Third(7)).unwrap();
    let error = internal::from_slice::<Skips>(&bytes).unwrap_err();
    assert!(
        error.to_string().contains("#[serde(skip)], #[serde(alias)] or a one-sided"),
        "{error}"
    );
    assert!(!internal::is_encodable(&Skips::Third(7)));
    assert!(internal::is_encodable(&Skips::First));
}

/// A type that is encoded by calls of the codec within one another.
#[derive(Debug, PartialEq)]
struct Nest(Option<Box<Nest>>);

impl Serialize for Nest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let inner = match &self.0 {
            Some(inner) => internal::to_vec(inner).map_err(S::Error::custom)?,
            None => vec![],
        };
        serializer.serialize_bytes(&inner)
    }
}

impl<'de> Deserialize<'de> for Nest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bytes: Bulk<u8> = Bulk::deserialize(deserializer)?;
        match bytes.0.as_slice() {
            [] => Ok(Nest(None)),
            [0] => Err(D::Error::custom("a bad leaf")),
            more => internal::from_slice(more)
                .map(|inner| Nest(Some(Box::new(inner))))
                .map_err(D::Error::custom),
        }
    }
}

/// The bytes of a [`Nest`] so deep, without its help.
fn nest_bytes(depth: usize, leaf: &[u8]) -> Vec<u8> {
    let encode = |inner: &[u8]| internal::to_vec(&Bulk(inner.to_vec())).unwrap();
    (1..depth).fold(encode(leaf), |inner, _| encode(&inner))
}

/// Rows: CER-30, CER-47
#[test]
fn calls_of_the_codec_within_one_another_are_limited_and_explained_once() {
    assert!(internal::from_slice::<Nest>(&nest_bytes(60, &[])).is_ok());
    // With a second pass at each level this would take 2⁶⁰ passes.
    let error = internal::from_slice::<Nest>(&nest_bytes(60, &[0])).unwrap_err();
    assert!(error.to_string().ends_with("a bad leaf"), "{error}");
    let error = internal::from_slice::<Nest>(&nest_bytes(1_000, &[])).unwrap_err();
    assert!(error.is_limit(), "{error}");
    assert!(error.to_string().contains("more than 64 calls"), "{error}");

    let deep = (0..70).fold(Nest(None), |inner, _| Nest(Some(Box::new(inner))));
    assert!(internal::to_vec(&deep).unwrap_err().is_limit());
    assert!(internal::is_encodable(&Nest(Some(Box::new(Nest(None))))));
    // The count goes down again, also after failures.
    assert!(internal::to_vec(&5_u8).is_ok());
}

/// Rows: CER-24, CER-27
#[test]
fn nodes_of_a_tree_that_announce_too_much_reserve_nothing() {
    let header = internal::to_vec(&Value::Null).unwrap();
    let (opened, nulls) = (900_u64, 5_000_u64);
    let mut bytes = header[..8].to_vec();
    bytes.extend((opened + nulls).to_le_bytes());
    for _ in 0..opened {
        bytes.extend(9_u32.to_le_bytes());
        bytes.extend(u64::MAX.to_le_bytes());
    }
    bytes.extend((0..nulls).flat_map(|_| 0_u32.to_le_bytes()));
    let used = measure(|| assert!(internal::from_slice::<Value>(&bytes).is_err()));
    let most = 16 * bytes.len() as u64 + (512 << 10);
    assert!(used.bytes_max <= most, "{} of {most}", used.bytes_max);
}

/// Rows: CER-01
#[test]
fn elements_that_take_no_bytes_but_memory_are_paid_for() {
    #[derive(Debug, Deserialize)]
    struct Large {
        #[serde(skip, default = "zeros")]
        _zeros: [u64; 128],
    }
    fn zeros() -> [u64; 128] {
        [0; 128]
    }
    let mut bytes = internal::to_vec(&()).unwrap();
    bytes.extend((1_u64 << 20).to_le_bytes());
    let used = measure(|| {
        let error = internal::from_slice::<Vec<Large>>(&bytes).unwrap_err();
        assert!(error.is_limit(), "{error}");
    });
    assert!(used.bytes_max < 4 << 20, "{} bytes", used.bytes_max);

    /// serde tells the encoder no such sizes.
    #[derive(Debug, Clone, Serialize, Deserialize)]
    struct Cached {
        #[serde(skip)]
        _cache: [u64; 32],
    }
    let cached = |count| vec![Cached { _cache: [0; 32] }; count];
    assert!(internal::is_encodable(&cached(4_000)));
    assert!(!internal::is_encodable(&cached(5_000)));
}

/// Rows: CER-01
#[test]
fn all_sequences_together_share_one_budget_of_empty_elements() {
    // Each of the two alone would be within it.
    let most = 1_u64 << 20;
    let mut bytes = internal::to_vec(&()).unwrap();
    for length in [2, most, most] {
        bytes.extend(length.to_le_bytes());
    }
    assert!(internal::from_slice::<Vec<Vec<()>>>(&bytes).unwrap_err().is_truncated());
}

/// Rows: CER-01
#[test]
fn what_a_reader_left_unread_is_not_promised_any_more() {
    /// Fails to read a list and reads a string of bytes in its place.
    #[derive(Debug, PartialEq)]
    struct Hints(usize);
    impl<'de> Deserialize<'de> for Hints {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            struct Hint;
            impl<'de> Visitor<'de> for Hint {
                type Value = Hints;
                fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                    f.write_str("numbers")
                }
                fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Hints, A::Error> {
                    let hint = seq.size_hint().unwrap_or(0);
                    while seq.next_element::<u8>()?.is_some() {}
                    Ok(Hints(hint))
                }
            }
            deserializer.deserialize_seq(Hint)
        }
    }
    // The second list is hinted at in full, although the first was as long.
    let bytes = internal::to_vec(&vec![vec![0_u8; 100], vec![0; 100]]).unwrap();
    let hints: Vec<Hints> = internal::from_slice(&bytes).unwrap();
    assert_eq!(hints, [Hints(100), Hints(100)]);
}

/// Rows: CER-26
#[test]
fn a_huge_key_does_not_make_a_huge_message() {
    let key = "\u{7f}".repeat(1 << 20);
    let mut bytes = internal::to_vec(&BTreeMap::from([(key, true)])).unwrap();
    *bytes.last_mut().unwrap() = 7;
    let mut length = 0;
    let used = measure(|| {
        let error = internal::from_slice::<BTreeMap<String, bool>>(&bytes).unwrap_err();
        length = error.to_string().len();
    });
    assert!(length < 1_000, "{length}");
    assert!(used.bytes_max < 2 * bytes.len() as u64, "{}", used.bytes_max);
}

/// Runs on a thread with so much stack, in KiB.
fn on_a_small_stack(kib: usize, work: impl FnOnce() + Send + 'static) {
    let thread = std::thread::Builder::new().stack_size(kib << 10).spawn(work).unwrap();
    thread.join().unwrap();
}

/// Rows: CER-27
#[test]
fn a_deep_value_that_is_thrown_away_does_not_overflow_a_small_stack() {
    on_a_small_stack(128, || {
        let text = format!("{}{} x", "[".repeat(1_000), "]".repeat(1_000));
        let error = Value::from_json(text).unwrap_err();
        assert!(error.to_string().contains("trailing characters"), "{error}");
    });
    let deep = (0..999).fold(Value::Null, |inner, _| Value::Seq(vec![inner]));
    let mut bytes = internal::to_vec(&deep).unwrap();
    bytes.push(0);
    on_a_small_stack(128, move || {
        let error = internal::from_slice::<Value>(&bytes).unwrap_err();
        assert!(error.to_string().contains("1 bytes are left over"), "{error}");
    });
}

/// Rows: CER-27
#[test]
fn levels_that_hold_large_arrays_do_not_overflow_the_stack() {
    #[derive(Serialize, Deserialize)]
    struct Block {
        #[serde(with = "sk_cereal::bulk")]
        bytes: [u8; 32_768],
        next: Option<Box<Block>>,
    }
    on_a_small_stack(2_048, || {
        let mut block = Block { bytes: [1; 32_768], next: None };
        for _ in 1..60 {
            block = Block { bytes: [2; 32_768], next: Some(Box::new(block)) };
        }
        let bytes = internal::to_vec(&block).unwrap();
        let back: Block = internal::from_slice(&bytes).unwrap();
        assert_eq!(internal::to_vec(&back).unwrap(), bytes);
        let back: Block = Value::of(&back).unwrap().to().unwrap();
        assert_eq!(internal::to_vec(&back).unwrap(), bytes);
    });
}

/// Rows: CER-27
#[test]
fn the_limit_holds_through_every_kind_of_wrapper() {
    #[derive(Debug, Serialize, Deserialize)]
    #[serde(transparent)]
    struct Somes(Option<Box<Somes>>);
    #[derive(Debug, Serialize, Deserialize)]
    struct Newtypes(Option<Box<Newtypes>>);
    #[derive(Debug, Serialize, Deserialize)]
    enum Variants {
        End,
        Next(Box<Variants>),
    }
    let somes = |count| (0..count).fold(Somes(None), |inner, _| Somes(Some(Box::new(inner))));
    let newtypes =
        |count| (1..count).fold(Newtypes(None), |inner, _| Newtypes(Some(Box::new(inner))));
    let variants =
        |count| (1..count).fold(Variants::End, |inner, _| Variants::Next(Box::new(inner)));
    on_a_small_stack(256, move || {
        let bytes = internal::to_vec(&somes(1_000)).unwrap();
        assert!(internal::from_slice::<Somes>(&bytes).is_ok());
    });
    // A newtype around a `Some` is two wrappers, a variant is one container.
    for (fits, error) in [
        (internal::to_vec(&somes(1_000)).is_ok(), internal::to_vec(&somes(1_001)).unwrap_err()),
        (internal::to_vec(&newtypes(500)).is_ok(), internal::to_vec(&newtypes(501)).unwrap_err()),
        (
            internal::to_vec(&variants(1_001)).is_ok(),
            internal::to_vec(&variants(1_002)).unwrap_err(),
        ),
        (Value::of(&somes(1_000)).is_ok(), Value::of(&somes(1_001)).unwrap_err()),
        (Value::of(&newtypes(500)).is_ok(), Value::of(&newtypes(501)).unwrap_err()),
        (Value::of(&variants(1_001)).is_ok(), Value::of(&variants(1_002)).unwrap_err()),
    ] {
        assert!(fits && error.is_limit(), "{error}");
    }
    let tree = (0..1_001).fold(Value::Text("End".to_owned()), |inner, _| {
        Value::Map(vec![(Value::Text("Next".to_owned()), inner)])
    });
    assert!(tree.to::<Variants>().unwrap_err().is_limit());
    assert!(Value::Null.to::<Newtypes>().is_ok());
}

/// Rows: CER-24, CER-27
#[test]
fn a_tree_made_by_hand_is_written_in_a_form_that_can_be_read_or_not_at_all() {
    let nested = |depth| (0..depth).fold(Value::Null, |inner, _| Value::Seq(vec![inner]));
    for error in [
        nested(1_001).to_json(sk_cereal::Json::compact()).unwrap_err(),
        internal::to_vec(&nested(1_001)).unwrap_err(),
    ] {
        assert!(error.is_limit(), "{error}");
    }
    assert!(internal::to_vec(&nested(1_000)).is_ok());

    let odd = Value::Some(Box::new(Value::Int(1)));
    let text = odd.to_json(sk_cereal::Json::compact()).unwrap();
    assert_eq!(Value::from_json(text).unwrap(), Value::Int(1));
    let bytes = internal::to_vec(&odd).unwrap();
    assert_eq!(internal::from_slice::<Value>(&bytes).unwrap(), Value::Int(1));
    assert_eq!(Value::UInt(5).to::<u8>().unwrap(), 5);
}

/// Rows: CER-01
#[test]
fn a_damaged_tag_is_named() {
    let mut bytes = internal::to_vec(&Some(5_u8)).unwrap();
    bytes[8] = 2;
    let error = internal::from_slice::<Option<u8>>(&bytes).unwrap_err();
    assert!(error.to_string().contains("byte 2 is no tag of an Option"), "{error}");
    let mut bytes = internal::to_vec(&5_u8).unwrap();
    bytes.push(0);
    let error = internal::from_slice::<u8>(&bytes).unwrap_err();
    assert!(error.to_string().contains("1 bytes are left over"), "{error}");
}

/// Rows: CER-01
#[test]
fn the_room_made_for_a_value_stays_within_the_limit() {
    let mut bytes = Vec::new();
    let limits = internal::Limits::default().bytes(100);
    limits.append(&"x".repeat(80), &mut bytes).unwrap();
    assert!(bytes.capacity() <= 100, "{}", bytes.capacity());
}

/// Rows: CER-01
#[test]
fn text_that_is_formatted_on_the_way_is_not_allocated() {
    serializes_as!(Formatted, serializer => serializer.collect_str(&format_args!("{}-{}", 5, "x")));
    let mut buffer = [0; 32];
    let used = measure(|| {
        internal::to_slice(&Formatted, &mut buffer).unwrap();
    });
    assert_eq!(used.count_total, 0);
    assert_eq!(internal::from_slice::<&str>(&buffer[..8 + 8 + 3]).unwrap(), "5-x");

    /// Can be formatted once only, as an iterator can.
    struct Once(std::cell::Cell<bool>);
    impl std::fmt::Display for Once {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            if self.0.replace(true) { Err(std::fmt::Error) } else { f.write_str("once") }
        }
    }
    impl Serialize for Once {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.collect_str(self)
        }
    }
    for bytes in [internal::to_vec(&(1_u8, Once(false.into()))).unwrap(), {
        let mut room = b"x".to_vec();
        internal::append(&(1_u8, Once(false.into())), &mut room).unwrap();
        room.split_off(1)
    }] {
        assert_eq!(internal::from_slice::<(u8, String)>(&bytes).unwrap(), (1, "once".to_owned()));
    }
    assert_eq!(internal::encoded_len(&Once(false.into())).unwrap(), 8 + 8 + 4);
    let spent = internal::to_vec(&Once(true.into())).unwrap_err();
    assert!(spent.to_string().contains("its Display failed"), "{spent}");
}
