//! JSON text of the tree.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};
use sk_cereal::{Json, Value};

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Report {
    zeta: u8,
    alpha: Vec<f64>,
    state: State,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum State {
    Idle,
    Done { code: i32 },
}

fn json<T: Serialize>(value: &T) -> String {
    Value::of(value).unwrap().to_json(Json::compact()).unwrap()
}

/// Rows: CER-25
#[test]
fn ordinary_values_are_ordinary_json() {
    let report = Report { zeta: 1, alpha: vec![1.0, -0.0, 0.1], state: State::Done { code: -5 } };
    assert_eq!(json(&report), r#"{"zeta":1,"alpha":[1.0,-0.0,0.1],"state":{"Done":{"code":-5}}}"#);
    assert_eq!(json(&State::Idle), r#""Idle""#);
    assert_eq!(json(&(Some(1), None::<u8>, ())), "[1,null,null]");
    assert_eq!(json(&BTreeMap::from([(1_u64, "a"), (2, "b")])), r#"{"1":"a","2":"b"}"#);
    assert_eq!(json(&0.1_f32), "0.1");
    assert_eq!(json(&u64::MAX), "18446744073709551615");
}

/// Rows: CER-25
#[test]
fn the_text_is_indented_and_sorted_as_asked() {
    let tree = Value::of(&Report { zeta: 1, alpha: vec![], state: State::Idle }).unwrap();
    assert_eq!(
        tree.to_json(Json::pretty()).unwrap(),
        "{\n  \"zeta\": 1,\n  \"alpha\": [],\n  \"state\": \"Idle\"\n}"
    );
    assert_eq!(
        tree.to_json(Json::compact().indent(1).sort_keys()).unwrap(),
        "{\n \"alpha\": [],\n \"state\": \"Idle\",\n \"zeta\": 1\n}"
    );
    // Sorted at every depth, and the same text whatever the order of the map.
    let nested = |n: u32| HashMap::from_iter((0..n).map(|i| (format!("k{i:02}"), i)));
    let outer: HashMap<String, HashMap<String, u32>> =
        HashMap::from([("b".to_owned(), nested(9)), ("a".to_owned(), nested(9))]);
    let sorted = |map| Value::of(map).unwrap().to_json(Json::compact().sort_keys()).unwrap();
    let again: HashMap<_, _> = outer.clone().into_iter().collect();
    assert_eq!(sorted(&outer), sorted(&again));
    assert!(sorted(&outer).starts_with(r#"{"a":{"k00":0,"k01":1,"#));
}

/// Rows: CER-25
#[test]
fn the_json_value_of_serde_json_is_the_same_tree() {
    let report = Report { zeta: 1, alpha: vec![f64::NAN], state: State::Idle };
    let tree = Value::of(&report).unwrap();
    let theirs = serde_json::to_value(&tree).unwrap();
    assert_eq!(theirs["state"], "Idle");
    assert_eq!(theirs["alpha"][0]["$f64"], "nan:7ff8000000000000");
    let back: Value = serde_json::from_value(theirs).unwrap();
    assert!(back.to::<Report>().unwrap().alpha[0].is_nan());
}

/// Rows: CER-25
#[test]
fn what_json_has_no_form_for_is_tagged_and_look_alikes_are_escaped() {
    assert_eq!(json(&f64::INFINITY), r#"{"$f64":"inf"}"#);
    assert_eq!(json(&f32::NEG_INFINITY), r#"{"$f32":"-inf"}"#);
    assert_eq!(json(&f64::from_bits(0xfff0_0000_0000_0001)), r#"{"$f64":"nan:fff0000000000001"}"#);
    assert_eq!(json(&i128::MIN), r#"{"$int":"-170141183460469231731687303715884105728"}"#);
    assert_eq!(json(&u128::MAX), r#"{"$int":"340282366920938463463374607431768211455"}"#);
    assert_eq!(json(&Some(None::<u8>)), r#"{"$some":null}"#);
    assert_eq!(json(&c"\x01\x02\x03"), r#"{"$bytes":"AQID"}"#);
    assert_eq!(json(&BTreeMap::from([((1, 2), 3)])), r#"{"$map":[[[1,2],3]]}"#);
    assert_eq!(json(&BTreeMap::from([("$f64", 1)])), r#"{"$$f64":1}"#);
    assert_eq!(json(&BTreeMap::from([("$$some", 1)])), r#"{"$$$some":1}"#);

    for text in [r#"{"$ref":"x"}"#, r##"{"$schema":"s","$f64":"inf"}"##, r#"{"$":1}"#] {
        let tree = Value::from_json(text).unwrap();
        assert_eq!(tree.to_json(Json::compact()).unwrap(), text, "JSON from elsewhere");
    }
}

/// Rows: CER-25
#[test]
fn numbers_read_from_elsewhere_fit_the_type_or_are_an_error() {
    let to = |text: &str| Value::from_json(text).unwrap();
    assert_eq!(to("5").to::<f64>().unwrap().to_bits(), 5.0_f64.to_bits());
    assert_eq!(to("18446744073709551615").to::<u128>().unwrap(), u128::from(u64::MAX));
    assert!(to("300").to::<u8>().unwrap_err().to_string().contains("integer `300`"));
    assert!(to("-1").to::<u8>().is_err());
    assert!(to("1.5").to::<u8>().is_err());
    assert!(to(r#"{"x": 1}"#).to::<BTreeMap<u8, u8>>().is_err());
    assert_eq!(to(r#"{"7": 1}"#).to::<BTreeMap<u8, u8>>().unwrap(), BTreeMap::from([(7, 1)]));
}

/// Rows: CER-25
#[test]
fn keys_of_every_kind_come_back_through_text() {
    fn comes_back<T>(value: T)
    where
        T: Serialize + for<'de> Deserialize<'de> + PartialEq + std::fmt::Debug,
    {
        let back: T = Value::from_json(json(&value)).unwrap().to().unwrap();
        assert_eq!(back, value);
    }
    comes_back(BTreeMap::from([(Some(1_u8), 1)]));
    comes_back(BTreeMap::from([(1_u128, 1), (u128::MAX, 2)]));
    comes_back(BTreeMap::from([(i128::MIN, 1)]));
    assert_eq!(json(&BTreeMap::from([(1_u128, 1), (u128::MAX, 2)])).matches('$').count(), 0);
    // Keys of two kinds could become one text.
    let mixed = Value::Map(vec![
        (Value::Int(1), Value::Null),
        (Value::Text("1".to_owned()), Value::Bool(true)),
    ]);
    let text = mixed.to_json(Json::compact()).unwrap();
    assert_eq!(text, r#"{"$map":[[1,null],["1",true]]}"#);
    assert_eq!(Value::from_json(text).unwrap(), mixed);
}

/// Rows: CER-25
#[test]
fn maps_by_compound_keys_are_sorted_too() {
    let map = |order: &[u8]| HashMap::<(u8, u8), u8>::from_iter(order.iter().map(|i| ((*i, 0), 1)));
    let sorted = |order: &[u8]| {
        Value::of(&map(order)).unwrap().to_json(Json::compact().sort_keys()).unwrap()
    };
    let text = sorted(&[3, 1, 2]);
    assert_eq!(text, r#"{"$map":[[[1,0],1],[[2,0],1],[[3,0],1]]}"#);
    assert_eq!(sorted(&[2, 3, 1]), text);
}

/// Rows: CER-26
#[test]
fn text_that_is_not_json_is_an_error_with_line_and_column() {
    for (text, place) in [
        ("", "line 1, column 0"),
        ("{\n  \"a\": 1,\n  b}", "line 3, column 3"),
        ("[1, 2", "line 1, column 5"),
        ("[1] x", "line 1, column 5"),
        ("\u{fffd}", "line 1, column 1"),
    ] {
        let error = Value::from_json(text).unwrap_err();
        assert!(error.to_string().contains(place), "{text:?}: {error}");
    }
    assert!(Value::from_json([b'"', 0xff, b'"']).is_err());
    let error = Value::from_json("[1 2]").unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot decode sk_cereal::value::Value: expected `,` or `]` at line 1, column 4 of the JSON"
    );
    for wrong in [r#"{"$f64":"x"}"#, r#"{"$int":5}"#, r#"{"$map":[[1]]}"#, r#"{"$bytes":"*"}"#] {
        let error = Value::from_json(wrong).unwrap_err();
        assert!(error.to_string().contains("does not hold what belongs to it"), "{error}");
    }
}
