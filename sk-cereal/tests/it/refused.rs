//! What bytes without names and types cannot carry is refused, not written as garbage.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize, Serializer};
use sk_cereal::{Value, internal};

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Skips {
    first: u8,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    maybe: Option<u64>,
    last: u8,
}

/// Rows: CER-01
#[test]
fn skip_serializing_if_is_refused_by_name_when_it_skips() {
    // bincode alone writes two bytes here and reads garbage or an end of input.
    let error = internal::to_vec(&Skips { first: 1, maybe: None, last: 2 }).unwrap_err();
    assert!(error.is_unsupported());
    assert_eq!(error.path(), Some("skips.maybe"));
    assert!(error.to_string().contains("skip_serializing_if"), "{error}");
    // The tree describes itself and takes it.
    let value = Skips { first: 1, maybe: None, last: 2 };
    assert_eq!(Value::of(&value).unwrap().to::<Skips>().unwrap(), value);
}

/// Rows: CER-01
#[test]
fn skip_serializing_if_in_a_variant_is_refused_too() {
    #[derive(Debug, Serialize, Deserialize)]
    enum Message {
        Told {
            #[serde(default, skip_serializing_if = "Option::is_none")]
            note: Option<String>,
            code: u8,
        },
    }
    let error = internal::to_vec(&Message::Told { note: None, code: 1 }).unwrap_err();
    assert!(error.is_unsupported());
    assert_eq!(error.path(), Some("message.Told.note"));
}

/// Rows: CER-01
#[test]
fn a_tuple_field_that_is_skipped_is_noticed_by_the_reader() {
    // serde tells no serializer that it skips a field of a tuple struct.
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Pair(u8, #[serde(default, skip_serializing_if = "Option::is_none")] Option<u8>);

    let value = vec![Pair(1, None), Pair(1, Some(7)), Pair(0, Some(0))];
    let config = bincode::config::legacy();
    let alone = bincode::serde::encode_to_vec(&value, config).unwrap();
    let (garbage, _): (Vec<Pair>, _) = bincode::serde::decode_from_slice(&alone, config).unwrap();
    assert_eq!(
        garbage,
        [Pair(1, Some(1)), Pair(7, None), Pair(1, None)],
        "what bincode makes of it"
    );

    let error = internal::from_slice::<Vec<Pair>>(&internal::to_vec(&value).unwrap()).unwrap_err();
    assert!(error.to_string().contains("another number of fields"), "{error}");
}

/// Rows: CER-01
#[test]
fn a_field_left_out_on_one_side_only_is_noticed_by_the_reader() {
    #[derive(Debug, Serialize, Deserialize)]
    struct WriteOnly {
        #[serde(skip_serializing)]
        #[expect(dead_code, reason = "what it holds is not looked at")]
        never: (),
        size: u8,
    }
    let bytes = internal::to_vec(&WriteOnly { never: (), size: 1 }).unwrap();
    let error = internal::from_slice::<WriteOnly>(&bytes).unwrap_err();
    assert!(error.to_string().contains("skip_serializing"), "{error}");

    /// Left out on both sides, which is fine.
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Local {
        #[serde(skip)]
        cache: Vec<u8>,
        size: u8,
    }
    let bytes = internal::to_vec(&Local { cache: vec![1], size: 2 }).unwrap();
    let back: Local = internal::from_slice(&bytes).unwrap();
    assert_eq!(back, Local { cache: vec![], size: 2 });
}

/// Rows: CER-01
#[test]
fn bytes_of_a_type_with_other_fields_are_noticed_even_if_they_fit() {
    #[derive(Debug, Serialize, Deserialize)]
    struct Old {
        size: u32,
    }
    #[derive(Debug, Serialize, Deserialize)]
    struct New {
        low: u16,
        high: u16,
    }
    let bytes = internal::to_vec(&Old { size: 5 }).unwrap();
    let error = internal::from_slice::<New>(&bytes).unwrap_err();
    assert!(error.to_string().contains("another number of fields"), "{error}");
    // Nesting alone is no difference.
    let bytes = internal::to_vec(&((1_u8, 2_u8), 3_u8)).unwrap();
    assert_eq!(internal::from_slice::<(u8, (u8, u8))>(&bytes).unwrap(), (1, (2, 3)));
}

/// Rows: CER-01
#[test]
fn flatten_is_refused_by_name() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Outer {
        id: u8,
        #[serde(flatten)]
        rest: BTreeMap<String, u8>,
    }
    let value = Outer { id: 1, rest: BTreeMap::from([("a".to_owned(), 2)]) };
    let error = internal::to_vec(&value).unwrap_err();
    assert!(error.is_unsupported());
    assert!(error.to_string().contains("flatten"), "{error}");
    assert_eq!(Value::of(&value).unwrap().to::<Outer>().unwrap(), value);

    // A map of the same bytes is not taken for it either.
    let bytes = internal::to_vec(&BTreeMap::from([("id".to_owned(), 1_u8)])).unwrap();
    let error = internal::from_slice::<Outer>(&bytes).unwrap_err();
    assert!(error.is_unsupported(), "{error}");
}

/// Rows: CER-01
#[test]
fn untagged_and_internally_tagged_enums_are_refused_by_the_reader() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(untagged)]
    enum Untagged {
        Number(u8),
        Text(String),
    }
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(tag = "kind")]
    enum Tagged {
        Point { x: u8 },
    }
    let untagged = internal::to_vec(&Untagged::Text("x".to_owned())).unwrap();
    let error = internal::from_slice::<Untagged>(&untagged).unwrap_err();
    assert!(error.is_unsupported());
    assert!(error.to_string().contains("untagged"), "{error}");

    let tagged = internal::to_vec(&Tagged::Point { x: 1 }).unwrap();
    let error = internal::from_slice::<Tagged>(&tagged).unwrap_err();
    assert!(error.is_unsupported());
    assert!(error.to_string().contains("tag = "), "{error}");

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(tag = "kind", content = "of")]
    enum Adjacent {
        Point { x: u8 },
    }
    let value = Adjacent::Point { x: 1 };
    let error = internal::from_slice::<Adjacent>(&internal::to_vec(&value).unwrap()).unwrap_err();
    assert!(error.is_unsupported());
    assert!(error.to_string().contains("tag, content"), "{error}");
    assert_eq!(Value::of(&value).unwrap().to::<Adjacent>().unwrap(), value);

    for value in [Untagged::Number(1), Untagged::Text("x".to_owned())] {
        assert_eq!(Value::of(&value).unwrap().to::<Untagged>().unwrap(), value);
    }
    let value = Tagged::Point { x: 1 };
    assert_eq!(Value::of(&value).unwrap().to::<Tagged>().unwrap(), value);
}

/// Rows: CER-01
#[test]
fn lengths_that_are_unknown_or_wrong_are_refused() {
    struct Unknown;
    impl Serialize for Unknown {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.collect_seq((0..10).filter(|n| n % 2 == 0))
        }
    }
    struct Wrong;
    impl Serialize for Wrong {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            use serde::ser::SerializeSeq as _;
            let mut seq = serializer.serialize_seq(Some(3))?;
            seq.serialize_element(&1_u8)?;
            seq.end()
        }
    }
    assert!(internal::to_vec(&Unknown).unwrap_err().is_unsupported());
    let error = internal::to_vec(&Wrong).unwrap_err();
    assert!(error.to_string().contains("3 was announced and 1"), "{error}");
    assert_eq!(Value::of(&Unknown).unwrap().to::<Vec<u8>>().unwrap(), [0, 2, 4, 6, 8]);
}

/// Rows: CER-01
#[test]
fn elements_that_take_no_bytes_are_bounded_on_both_sides() {
    let most = 1 << 20;
    assert!(internal::is_encodable(&vec![(); most]));
    let error = internal::to_vec(&vec![(); most + 100]).unwrap_err();
    assert!(error.is_limit(), "{error}");

    // Eight bytes that announce more units than anyone could count.
    let mut hostile = internal::to_vec(&()).unwrap();
    hostile.extend_from_slice(&u64::MAX.to_le_bytes());
    assert!(internal::from_slice::<Vec<()>>(&hostile).unwrap_err().is_truncated());
}
