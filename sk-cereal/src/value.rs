//! A value as a tree that can be looked at, changed, written as JSON, and turned back.

mod de;
mod json;
mod nodes;
mod ser;

use serde::{Deserialize, Serialize};

use crate::depth::DEFAULT_DEPTH;
use crate::error::{Direction, Error};
use crate::nesting::Call;
use crate::session::Session;
use crate::track::{Off, On};

pub use json::Json;

/// A value as a tree: one node and what is below it.
///
/// ```
/// use serde::{Deserialize, Serialize};
/// use sk_cereal::{Json, Value};
///
/// #[derive(Debug, PartialEq, Serialize, Deserialize)]
/// struct Job {
///     name: String,
///     limit: Option<f64>,
/// }
///
/// let job = Job { name: "count".to_owned(), limit: Some(f64::INFINITY) };
/// let tree = Value::of(&job)?;
/// assert_eq!(tree.get("name"), Some(&Value::Text("count".to_owned())));
///
/// let text = tree.to_json(Json::pretty())?;
/// assert_eq!(text, "{\n  \"name\": \"count\",\n  \"limit\": {\n    \"$f64\": \"inf\"\n  }\n}");
/// assert_eq!(Value::from_json(&text)?.to::<Job>()?, job);
/// # Ok::<(), sk_cereal::Error>(())
/// ```
///
/// The tree describes itself, so it takes what the internal mode has to refuse: untagged enums,
/// flattened structs, fields that are left out. Types see it as a human-readable format: an IP
/// address is text, a [`Bulk`](crate::Bulk) is a sequence.
///
/// A struct is a [`Map`](Value::Map) from the names of its fields. Two trees are equal if they
/// have the same nodes in the same order, floats compared bit by bit.
///
/// A `Value` may itself be a field of a type that is encoded, in every mode: data whose type the
/// reader does not know.
#[derive(Debug, Clone, Default)]
pub enum Value {
    /// `()`, a unit struct, `None`.
    #[default]
    Null,
    /// A truth value.
    Bool(bool),
    /// An integer up to [`i128::MAX`].
    Int(i128),
    /// An integer above [`i128::MAX`].
    UInt(u128),
    /// A float of single precision.
    F32(f32),
    /// A float of double precision.
    F64(f64),
    /// A string or a char.
    Text(String),
    /// A string of bytes.
    Bytes(Vec<u8>),
    /// `Some` of a value that alone would look like `None`: a [`Null`](Value::Null) or another
    /// `Some`. Every other `Some(value)` is that value.
    Some(Box<Value>),
    /// A sequence, a tuple or an array.
    Seq(Vec<Value>),
    /// A map or a struct, in the order in which it was visited.
    Map(Vec<(Value, Value)>),
    /// A variant of an enum.
    Variant(Box<Variant>),
}

/// A variant of an enum: its name and what it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variant {
    /// The name of the variant.
    pub name: String,
    /// `None` for a unit variant, a sequence for a tuple, a map for named fields.
    pub value: Option<Value>,
}

impl Value {
    /// The tree of `value`.
    ///
    /// # Errors
    /// The value is nested deeper than 1,000, or its `Serialize` refuses.
    pub fn of<T: Serialize + ?Sized>(value: &T) -> Result<Value, Error> {
        let call = Call::begin_on_a_tree();
        let depth = call.depth(DEFAULT_DEPTH);
        ser::tree(value, &mut Off, depth).map_err(|error| {
            if !call.is_outermost() {
                return error.into_transit();
            }
            let mut track = On::new::<T>();
            let again = Session::rehearse_encoding(|| ser::tree(value, &mut track, depth));
            error.in_type::<T>(Direction::Encode).placed(again.err(), track.place())
        })
    }

    /// The `T` that this tree describes. Strings and byte slices in `T` may borrow from the tree.
    ///
    /// # Errors
    /// The tree does not fit `T`: the error names the path to the part that does not.
    pub fn to<'de, T: Deserialize<'de>>(&'de self) -> Result<T, Error> {
        let call = Call::begin_on_a_tree();
        let depth = call.depth(DEFAULT_DEPTH);
        de::read(self, &mut Off, depth).map_err(|error: Error| {
            if !call.is_outermost() {
                return error.into_transit();
            }
            let mut track = On::new::<T>();
            let again = Session::rehearse_decoding(|| de::read::<T, _>(self, &mut track, depth));
            error.in_type::<T>(Direction::Decode).placed(again.err(), track.place())
        })
    }

    /// The entry of a map, or the field of a struct, with this name.
    pub fn get(&self, name: &str) -> Option<&Value> {
        let Value::Map(entries) = self else { return None };
        let is_named = |key: &Value| matches!(key, Value::Text(text) if text == name);
        entries.iter().find(|(key, _)| is_named(key)).map(|(_, value)| value)
    }

    /// The element of a sequence at this index, counted from 0.
    pub fn at(&self, index: usize) -> Option<&Value> {
        let Value::Seq(elements) = self else { return None };
        elements.get(index)
    }

    /// An unsigned integer, in the one form that the tree has for it.
    fn unsigned(number: u128) -> Value {
        i128::try_from(number).map_or(Value::UInt(number), Value::Int)
    }

    /// What `Some(inner)` is in the tree.
    fn some(inner: Value) -> Value {
        match inner {
            Value::Null | Value::Some(_) => Value::Some(Box::new(inner)),
            other => other,
        }
    }

    /// The form in which the tree has this node: a hand-made `Some` of what is not like `None` is
    /// what it holds.
    fn normal(&self) -> &Value {
        match self {
            Value::Some(inner) if !matches!(**inner, Value::Null | Value::Some(_)) => inner,
            other => other,
        }
    }

    fn variant(name: &str, value: Option<Value>) -> Value {
        Value::Variant(Box::new(Variant { name: name.to_owned(), value }))
    }
}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Value::Null, Value::Null) => true,
            (Value::Bool(a), Value::Bool(b)) => a == b,
            (Value::Int(a), Value::Int(b)) => a == b,
            (Value::UInt(a), Value::UInt(b)) => a == b,
            (Value::F32(a), Value::F32(b)) => a.to_bits() == b.to_bits(),
            (Value::F64(a), Value::F64(b)) => a.to_bits() == b.to_bits(),
            (Value::Text(a), Value::Text(b)) => a == b,
            (Value::Bytes(a), Value::Bytes(b)) => a == b,
            (Value::Some(a), Value::Some(b)) => a == b,
            (Value::Seq(a), Value::Seq(b)) => a == b,
            (Value::Map(a), Value::Map(b)) => a == b,
            (Value::Variant(a), Value::Variant(b)) => a == b,
            _ => false,
        }
    }
}

impl Eq for Value {}
