//! An error names the path, the type and the reason.

use std::collections::BTreeMap;

use serde::ser::Error as _;
use serde::{Deserialize, Serialize, Serializer};
use sk_cereal::{Value, internal};

#[derive(Debug, Serialize, Deserialize)]
struct Job {
    name: String,
    items: Vec<Item>,
    by_name: BTreeMap<String, Item>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Item {
    good: bool,
    conn: Option<Conn>,
}

/// A connection does not cross.
#[derive(Debug, Deserialize)]
struct Conn;

impl Serialize for Conn {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(S::Error::custom("a connection does not cross processes"))
    }
}

fn job() -> Job {
    let items = (0..5).map(|_| Item::default()).collect();
    Job { name: "count".to_owned(), items, by_name: BTreeMap::new() }
}

/// Rows: CER-21
#[test]
fn an_encode_error_names_the_path_the_type_and_the_reason() {
    let mut broken = job();
    broken.items[3].conn = Some(Conn);
    for error in [
        internal::to_vec(&broken).unwrap_err(),
        internal::encoded_len(&broken).unwrap_err(),
        Value::of(&broken).unwrap_err(),
    ] {
        assert_eq!(error.path(), Some("job.items[3].conn"));
        assert_eq!(error.type_name(), Some("it::errors::Conn"));
        assert_eq!(
            error.to_string(),
            "cannot encode it::errors::Job at job.items[3].conn (it::errors::Conn): \
             a connection does not cross processes"
        );
    }
}

/// Rows: CER-21
#[test]
fn an_entry_of_a_map_is_named_by_its_key() {
    let mut broken = job();
    let item = Item { good: true, conn: Some(Conn) };
    broken.by_name = BTreeMap::from([("a".to_owned(), Item::default()), ("b\n".to_owned(), item)]);
    let path = Some("job.by_name[\"b\\n\"].conn");
    assert_eq!(internal::to_vec(&broken).unwrap_err().path(), path);
    assert_eq!(Value::of(&broken).unwrap_err().path(), path);

    let by_number = BTreeMap::from([(7_u8, Conn)]);
    assert_eq!(internal::to_vec(&by_number).unwrap_err().path(), Some("root[7]"));
    let by_tuple = BTreeMap::from([((7_u8, 8_u8), Conn)]);
    assert_eq!(internal::to_vec(&by_tuple).unwrap_err().path(), Some("root[entry 0]"));
    assert_eq!(internal::to_vec(&(1_u8, Conn)).unwrap_err().path(), Some("root.1"));
}

/// Rows: CER-26
#[test]
fn a_decode_error_names_the_path_the_type_and_the_reason() {
    let mut whole = job();
    whole.items.truncate(2);
    let mut bytes = internal::to_vec(&whole).unwrap();
    // Header, name, number of items, then two bytes an item: `good` and the tag of `conn`.
    let second_good = 8 + 8 + 5 + 8 + 2;
    assert_eq!(bytes[second_good], 0);
    bytes[second_good] = 7;
    let error = internal::from_slice::<Job>(&bytes).unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot decode it::errors::Job at job.items[1].good (bool): byte 7 is no bool"
    );

    let error = internal::from_slice::<Job>(&bytes[..8 + 8 + 3]).unwrap_err();
    assert!(error.is_truncated());
    assert_eq!(error.path(), Some("job.name"));
    assert!(error.to_string().contains("a length of 5, but only 3 bytes"), "{error}");
}

/// Rows: CER-26
#[test]
fn a_missing_field_of_a_tree_is_named_with_the_place_it_is_missing_from() {
    let text =
        r#"{"name": "n", "items": [{"good": true, "conn": null}, {"conn": null}], "by_name": {}}"#;
    let error = Value::from_json(text).unwrap().to::<Job>().unwrap_err();
    assert_eq!(error.path(), Some("job.items[1]"));
    assert!(error.to_string().ends_with("missing field `good`"), "{error}");

    let text = r#"{"name": "n", "items": [], "by_name": {"x": {"good": 5}}}"#;
    let error = Value::from_json(text).unwrap().to::<Job>().unwrap_err();
    assert_eq!(error.path(), Some("job.by_name[\"x\"].good"));
    assert!(error.to_string().contains("invalid type: integer `5`, expected a boolean"), "{error}");
}

/// Rows: CER-26
#[test]
fn a_variant_is_a_step_on_the_path() {
    #[derive(Debug, Serialize, Deserialize)]
    enum Step {
        Wait(u8),
        Go { fast: bool },
    }
    let bytes = internal::to_vec(&vec![Step::Wait(1), Step::Go { fast: true }]).unwrap();
    let mut broken = bytes.clone();
    *broken.last_mut().unwrap() = 9;
    let error = internal::from_slice::<Vec<Step>>(&broken).unwrap_err();
    assert_eq!(error.path(), Some("root[1].Go.fast"));

    let mut broken = bytes;
    broken[16] = 9;
    let error = internal::from_slice::<Vec<Step>>(&broken).unwrap_err();
    assert_eq!(error.path(), Some("root[0]"));
    assert!(error.to_string().contains("variant index 0 <= i < 2"), "{error}");
}

/// Rows: CER-21
#[test]
fn the_path_is_left_out_where_the_second_pass_ends_elsewhere() {
    /// Fails in its first call, as a value that was drained by it would, and then not at all or
    /// for another reason.
    struct Once(std::cell::Cell<u8>, bool);
    impl Serialize for Once {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            self.0.set(self.0.get() + 1);
            match (self.0.get(), self.1) {
                (1, _) => Err(S::Error::custom("drained")),
                (_, true) => Err(S::Error::custom("empty")),
                (_, false) => serializer.serialize_unit(),
            }
        }
    }
    for fails_again in [false, true] {
        let error = internal::to_vec(&[Once(0.into(), fails_again)]).unwrap_err();
        assert_eq!(error.path(), None);
        assert!(error.to_string().ends_with("Once; 1]: drained"), "{error}");
    }
}
