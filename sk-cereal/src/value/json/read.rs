//! From a human-readable format to the tree.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::de::{self, DeserializeSeed, MapAccess, SeqAccess, Visitor};

use super::sizes::Sizes;
use super::{DEPTH, TAGS, looks_tagged};
use crate::depth::Depth;
use crate::error::in_transit;
use crate::value::Value;

/// The key under which `serde_json` hands over a number with its `arbitrary_precision`.
const NUMBER: &str = "$serde_json::private::Number";

/// Reads a tree out of a human-readable format.
#[derive(Clone, Copy)]
pub(in crate::value) struct Tree<'a> {
    depth: Depth,
    /// The sizes of the containers, where they are known beforehand.
    sizes: Option<&'a Sizes>,
}

impl<'a> Tree<'a> {
    pub(in crate::value) fn new() -> Self {
        Tree { depth: DEPTH, sizes: None }
    }

    pub(super) fn with_sizes(sizes: &'a Sizes) -> Self {
        Tree { sizes: Some(sizes), ..Tree::new() }
    }

    /// The size of the container that begins here.
    fn size(self) -> Option<usize> {
        self.sizes.and_then(Sizes::take)
    }

    fn inside<E: de::Error>(self) -> Result<Self, E> {
        let depth = self.depth.container().map_err(|reason| E::custom(in_transit(reason)))?;
        Ok(Tree { depth, ..self })
    }
}

impl<'de> DeserializeSeed<'de> for Tree<'_> {
    type Value = Value;

    fn deserialize<D: de::Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        self.depth.visit_all(|| deserializer.deserialize_any(self))
    }
}

impl<'de> Visitor<'de> for Tree<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }
    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }
    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }
    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Int(value.into()))
    }
    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Int(value.into()))
    }
    fn visit_i128<E>(self, value: i128) -> Result<Value, E> {
        Ok(Value::Int(value))
    }
    fn visit_u128<E>(self, value: u128) -> Result<Value, E> {
        Ok(Value::unsigned(value))
    }
    fn visit_f32<E>(self, value: f32) -> Result<Value, E> {
        Ok(Value::F32(value))
    }
    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::F64(value))
    }
    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::Text(value.to_owned()))
    }
    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::Text(value))
    }
    fn visit_bytes<E>(self, value: &[u8]) -> Result<Value, E> {
        Ok(Value::Bytes(value.to_vec()))
    }

    fn visit_some<D: de::Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        self.inside()?.deserialize(deserializer).map(Value::some)
    }

    fn visit_newtype_struct<D: de::Deserializer<'de>>(
        self,
        deserializer: D,
    ) -> Result<Value, D::Error> {
        self.inside()?.deserialize(deserializer)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let inside = self.inside()?;
        let mut elements = Vec::with_capacity(self.size().unwrap_or(0));
        while let Some(element) = access.next_element_seed(inside)? {
            elements.push(element);
        }
        Ok(Value::Seq(elements))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let inside = self.inside()?;
        let mut next = access.next_key_seed(inside)?;
        if matches!(&next, Some(Value::Text(key)) if key == NUMBER) {
            return access.next_value_seed(inside).and_then(|text| number(&text));
        }
        let size = self.size();
        let mut entries = Vec::with_capacity(size.unwrap_or(0));
        while let Some(key) = next {
            if size == Some(1) && matches!(&key, Value::Text(key) if key == "$map") {
                return access.next_value_seed(Pairs { inside }).map(Value::Map);
            }
            entries.push((key, access.next_value_seed(inside)?));
            next = access.next_key_seed(inside)?;
        }
        match entries.as_mut_slice() {
            [(Value::Text(key), value)] if looks_tagged(key) => {
                if TAGS.contains(&key.as_str()) {
                    return untag(key, value).ok_or_else(|| misfit(key));
                }
                key.remove(0);
            }
            _ => {}
        }
        Ok(Value::Map(entries))
    }
}

/// Reads what belongs to `$map` into its final form, without a tree of pairs in between.
struct Pairs<'a> {
    inside: Tree<'a>,
}

impl<'de> DeserializeSeed<'de> for Pairs<'_> {
    type Value = Vec<(Value, Value)>;

    fn deserialize<D: de::Deserializer<'de>>(
        self,
        deserializer: D,
    ) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Pairs<'_> {
    type Value = Vec<(Value, Value)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("pairs of a key and a value")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Self::Value, A::Error> {
        let inside = self.inside;
        let mut entries = Vec::with_capacity(inside.size().unwrap_or(0));
        while let Some(entry) = access.next_element_seed(Pair { inside })? {
            entries.push(entry);
        }
        Ok(entries)
    }
}

struct Pair<'a> {
    inside: Tree<'a>,
}

impl<'de> DeserializeSeed<'de> for Pair<'_> {
    type Value = (Value, Value);

    fn deserialize<D: de::Deserializer<'de>>(
        self,
        deserializer: D,
    ) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_tuple(2, self)
    }
}

impl<'de> Visitor<'de> for Pair<'_> {
    type Value = (Value, Value);

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a pair of a key and a value")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Self::Value, A::Error> {
        let inside = self.inside;
        // A pair is always two.
        let _ = inside.size();
        let mut part = || access.next_element_seed(inside)?.ok_or_else(|| misfit("$map"));
        Ok((part()?, part()?))
    }
}

/// A number of `serde_json`, if somebody in the same build has turned on its `arbitrary_precision`.
fn number<E: de::Error>(text: &Value) -> Result<Value, E> {
    let Value::Text(text) = text else { return Err(misfit(NUMBER)) };
    let whole = text.parse().map(Value::Int).or_else(|_| text.parse().map(Value::unsigned)).ok();
    // "-0" is a float, as it is without that feature.
    let whole = whole.filter(|_| text != "-0");
    whole.or_else(|| text.parse().map(Value::F64).ok()).ok_or_else(|| misfit(NUMBER))
}

/// A tag with something else in it.
fn misfit<E: de::Error>(tag: &str) -> E {
    E::custom(format!("\"{tag}\" does not hold what belongs to it"))
}

/// What an object with this one key and value stands for.
fn untag(tag: &str, value: &mut Value) -> Option<Value> {
    let value = std::mem::take(value);
    match (tag, value) {
        ("$some", inner @ (Value::Null | Value::Some(_))) => Some(Value::some(inner)),
        ("$int", Value::Text(text)) => {
            text.parse().map(Value::Int).or_else(|_| text.parse().map(Value::unsigned)).ok()
        }
        ("$f64", Value::Text(text)) => match text.strip_prefix("nan:") {
            Some(bits) => u64::from_str_radix(bits, 16).ok().map(f64::from_bits),
            None => text.parse().ok(),
        }
        .map(Value::F64),
        ("$f32", Value::Text(text)) => match text.strip_prefix("nan:") {
            Some(bits) => u32::from_str_radix(bits, 16).ok().map(f32::from_bits),
            None => text.parse().ok(),
        }
        .map(Value::F32),
        ("$bytes", Value::Text(text)) => BASE64.decode(text).ok().map(Value::Bytes),
        ("$map", Value::Seq(pairs)) => pairs
            .into_iter()
            .map(|pair| match pair {
                Value::Seq(pair) => <[Value; 2]>::try_from(pair).ok().map(Into::into),
                _ => None,
            })
            .collect::<Option<Vec<(Value, Value)>>>()
            .map(Value::Map),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde::de::value::{Error, MapDeserializer};

    use super::*;

    /// The feature cannot be turned on here: it would be on for all.
    #[test]
    fn numbers_of_arbitrary_precision_are_numbers() {
        let read = |text: &'static str| {
            Tree::new().visit_map(MapDeserializer::<_, Error>::new([(NUMBER, text)].into_iter()))
        };
        assert_eq!(read("2.5").unwrap(), Value::F64(2.5));
        assert_eq!(read("-0").unwrap(), Value::F64(-0.0));
        assert_eq!(read("-7").unwrap(), Value::Int(-7));
        let largest = "340282366920938463463374607431768211455";
        assert_eq!(read(largest).unwrap(), Value::UInt(u128::MAX));
        assert!(read("x").is_err());
    }

    #[test]
    fn formats_that_know_some_keep_it() {
        struct Somes(u8);
        impl<'de> de::Deserializer<'de> for Somes {
            type Error = Error;
            fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
                match self.0.checked_sub(1) {
                    Some(less) => visitor.visit_some(Somes(less)),
                    None => visitor.visit_none(),
                }
            }
            serde::forward_to_deserialize_any! {
                bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf
                option unit unit_struct newtype_struct seq tuple tuple_struct map struct enum
                identifier ignored_any
            }
        }
        let some = |inner| Value::Some(Box::new(inner));
        assert_eq!(Tree::new().deserialize(Somes(0)).unwrap(), Value::Null);
        assert_eq!(Tree::new().deserialize(Somes(2)).unwrap(), some(some(Value::Null)));
    }
}
