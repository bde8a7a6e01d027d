//! From the tree to a human-readable format.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::ser::{self, Serialize, SerializeMap as _, Serializer};

use super::{DEPTH, looks_tagged};
use crate::depth::Depth;
use crate::error::in_transit;
use crate::value::Value;

/// A tree on its way to a human-readable format.
#[derive(Clone, Copy)]
pub(in crate::value) struct View<'a> {
    value: &'a Value,
    sort_keys: bool,
    depth: Depth,
}

impl<'a> View<'a> {
    pub(in crate::value) fn new(value: &'a Value, sort_keys: bool) -> Self {
        View { value, sort_keys, depth: DEPTH }
    }

    /// A part of this tree.
    fn part(self, value: &'a Value) -> Self {
        View { value, ..self }
    }

    /// An object of one entry.
    fn entry<S: Serializer, T: Serialize>(
        key: &str,
        value: &T,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(1))?;
        map.serialize_entry(key, value)?;
        map.end()
    }

    /// The entries of a map that JSON has no form for.
    fn pairs(self, entries: &'a [(Value, Value)]) -> Vec<[View<'a>; 2]> {
        let pairs = entries.iter().map(|(key, value)| [self.part(key), self.part(value)]);
        let mut pairs: Vec<_> = pairs.collect();
        if self.sort_keys {
            // A key that is too deep to be written fails when it is written.
            pairs.sort_by_cached_key(|[key, _]| serde_json::to_string(key).unwrap_or_default());
        }
        pairs
    }

    fn map<S: Serializer>(
        self,
        entries: &'a [(Value, Value)],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let mut keys: Vec<_> = match entries.iter().map(|(key, _)| key_text(key)).collect() {
            Some(keys) if are_of_one_kind(entries) => keys,
            _ => return Self::entry("$map", &self.pairs(entries), serializer),
        };
        if let [key] = keys.as_mut_slice()
            && looks_tagged(key)
        {
            key.insert(0, '$');
        }
        let mut entries: Vec<_> =
            keys.into_iter().zip(entries).map(|(key, (_, value))| (key, value)).collect();
        if self.sort_keys {
            entries.sort_by(|(a, _), (b, _)| a.cmp(b));
        }
        serializer.collect_map(entries.into_iter().map(|(key, value)| (key, self.part(value))))
    }
}

impl Serialize for View<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let value = self.value.normal();
        let inside = match value {
            Value::Some(_) | Value::Seq(_) | Value::Map(_) | Value::Variant(_) => View {
                depth: self
                    .depth
                    .container()
                    .map_err(|reason| ser::Error::custom(in_transit(reason)))?,
                ..*self
            },
            _ => *self,
        };
        inside.depth.visit(|| match value {
            Value::Null => serializer.serialize_unit(),
            Value::Bool(value) => serializer.serialize_bool(*value),
            Value::Int(value) => match (i64::try_from(*value), u64::try_from(*value)) {
                (Ok(value), _) => serializer.serialize_i64(value),
                (_, Ok(value)) => serializer.serialize_u64(value),
                _ => Self::entry("$int", &value.to_string(), serializer),
            },
            Value::UInt(value) => Self::entry("$int", &value.to_string(), serializer),
            Value::F64(value) if value.is_finite() => serializer.serialize_f64(*value),
            Value::F64(value) if value.is_nan() => {
                Self::entry("$f64", &format!("nan:{:016x}", value.to_bits()), serializer)
            }
            Value::F64(value) => Self::entry("$f64", &value.to_string(), serializer),
            Value::F32(value) if value.is_finite() => serializer.serialize_f64(readable(*value)),
            Value::F32(value) if value.is_nan() => {
                Self::entry("$f32", &format!("nan:{:08x}", value.to_bits()), serializer)
            }
            Value::F32(value) => Self::entry("$f32", &value.to_string(), serializer),
            Value::Text(value) => serializer.serialize_str(value),
            Value::Bytes(value) => Self::entry("$bytes", &BASE64.encode(value), serializer),
            Value::Some(value) => Self::entry("$some", &inside.part(value), serializer),
            Value::Seq(elements) => {
                serializer.collect_seq(elements.iter().map(|value| inside.part(value)))
            }
            Value::Map(entries) => inside.map(entries, serializer),
            Value::Variant(variant) => match &variant.value {
                None => serializer.serialize_str(&variant.name),
                Some(value) if looks_tagged(&variant.name) => {
                    Self::entry(&format!("${}", variant.name), &inside.part(value), serializer)
                }
                Some(value) => Self::entry(&variant.name, &inside.part(value), serializer),
            },
        })
    }
}

/// The double that is written for a float of single precision: that of its shortest text, 0.1 and
/// not 0.10000000149011612, if it leads back to the same float, which by double rounding it might
/// not.
fn readable(value: f32) -> f64 {
    let short: f64 = value.to_string().parse().unwrap_or(f64::NAN);
    #[expect(clippy::cast_possible_truncation, reason = "the rounding is what is looked at")]
    let back = short as f32;
    if back.to_bits() == value.to_bits() { short } else { value.into() }
}

/// The key as it stands in an object, for keys that can.
fn key_text(key: &Value) -> Option<String> {
    match key {
        Value::Text(text) => Some(text.clone()),
        Value::Int(number) => Some(number.to_string()),
        Value::UInt(number) => Some(number.to_string()),
        Value::Bool(value) => Some(value.to_string()),
        Value::Variant(variant) if variant.value.is_none() => Some(variant.name.clone()),
        _ => None,
    }
}

/// Keys of several kinds could become the same text.
fn are_of_one_kind(entries: &[(Value, Value)]) -> bool {
    let kind = |key: &Value| match key {
        Value::Int(_) | Value::UInt(_) => None,
        other => Some(std::mem::discriminant(other)),
    };
    let mut kinds = entries.iter().map(|(key, _)| kind(key));
    let first = kinds.next();
    kinds.all(|other| Some(other) == first)
}
