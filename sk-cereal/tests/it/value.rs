//! The tree in between.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use sk_cereal::{Value, Variant, internal};

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Job {
    name: String,
    steps: Vec<Step>,
    limit: Option<f32>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Step {
    Halt,
    Wait(u8),
    Move(i8, i8),
    Say { text: String },
}

fn job() -> Job {
    let steps =
        vec![Step::Halt, Step::Wait(5), Step::Move(1, -1), Step::Say { text: "hi".to_owned() }];
    Job { name: "n".to_owned(), steps, limit: Some(0.5) }
}

/// Rows: CER-24
#[test]
fn the_tree_shows_what_the_value_holds() {
    let tree = Value::of(&job()).unwrap();
    assert_eq!(tree.get("name"), Some(&Value::Text("n".to_owned())));
    assert_eq!(tree.get("limit"), Some(&Value::F32(0.5)));
    assert_eq!(tree.get("absent"), None);
    let steps = tree.get("steps").unwrap();
    let variant =
        |name: &str, value| Value::Variant(Box::new(Variant { name: name.to_owned(), value }));
    assert_eq!(steps.at(0), Some(&variant("Halt", None)));
    assert_eq!(steps.at(1), Some(&variant("Wait", Some(Value::Int(5)))));
    let position = Value::Seq(vec![Value::Int(1), Value::Int(-1)]);
    assert_eq!(steps.at(2), Some(&variant("Move", Some(position))));
    let Some(Value::Variant(say)) = steps.at(3) else { panic!("{steps:?}") };
    assert_eq!(say.value.as_ref().unwrap().get("text"), Some(&Value::Text("hi".to_owned())));
    assert_eq!(steps.at(4), None);
}

/// Rows: CER-24
#[test]
fn a_changed_tree_rebuilds_a_changed_value() {
    let mut tree = Value::of(&job()).unwrap();
    let Value::Map(fields) = &mut tree else { panic!("{tree:?}") };
    fields[0].1 = Value::Text("changed".to_owned());
    fields.push((Value::Text("unknown".to_owned()), Value::Null));
    let back: Job = tree.to().unwrap();
    assert_eq!(back, Job { name: "changed".to_owned(), ..job() });
}

/// Rows: CER-24
#[test]
fn a_tree_within_a_value_crosses_in_every_mode() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Envelope {
        id: u8,
        payload: Value,
    }
    let payload = Value::of(&(job(), f64::NAN, u128::MAX, BTreeMap::from([((1, 2), Some(()))])));
    let envelope = Envelope { id: 1, payload: payload.unwrap() };
    let bytes = internal::to_vec(&envelope).unwrap();
    assert_eq!(internal::from_slice::<Envelope>(&bytes).unwrap(), envelope);

    type Payload = (Job, f64, u128, BTreeMap<(u8, u8), Option<()>>);
    let text = serde_json::to_string(&envelope).unwrap();
    let back: Envelope = serde_json::from_str(&text).unwrap();
    let (first, nan, large, map) = back.payload.to::<Payload>().unwrap();
    assert_eq!((first, large), (job(), u128::MAX));
    assert_eq!(nan.to_bits(), f64::NAN.to_bits());
    assert_eq!(map, BTreeMap::from([((1, 2), Some(()))]));
}

/// Rows: CER-26
#[test]
fn a_tree_that_does_not_fit_is_an_error_that_says_what_it_met() {
    let to = |value: Value| value.to::<Step>().unwrap_err().to_string();
    let map = |names: &[&str]| {
        Value::Map(names.iter().map(|name| (Value::Text((*name).into()), Value::Null)).collect())
    };
    assert!(to(Value::Int(1)).contains("integer `1`, expected a variant"));
    assert!(to(Value::Text("Nope".into())).contains("unknown variant `Nope`"));
    assert!(to(map(&[])).contains("a map of one entry"));
    assert!(to(map(&["Wait", "Halt"])).contains("a map of one entry"));
    assert!(to(Value::Text("Wait".into())).contains("expected a variant that holds something"));
    assert!(to(Value::from_json(r#"{"Halt": 5}"#).unwrap()).contains("expected a unit variant"));
    let long = Value::of(&[1, 2, 3]).unwrap();
    assert!(long.to::<(u8, u8)>().unwrap_err().to_string().contains("invalid length 3"));
}
