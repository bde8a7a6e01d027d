//! From the tree to any serde value.

use serde::de::{self, DeserializeSeed, Error as _, IntoDeserializer as _, Unexpected, Visitor};

use super::Value;
use crate::depth::Depth;
use crate::error::Error;
use crate::track::{Step, Track, quoted};

/// The `T` that `value` describes, which may nest to `depth`.
pub(super) fn read<'de, T: de::Deserialize<'de>, K: Track>(
    value: &'de Value,
    track: &mut K,
    depth: Depth,
) -> Result<T, Error> {
    T::deserialize(Reader { value, track, depth, is_key: false })
}

/// Reads one part of the tree.
struct Reader<'de, 'a, K> {
    value: &'de Value,
    track: &'a mut K,
    depth: Depth,
    /// A key of a JSON object is text, whatever it was before.
    is_key: bool,
}

/// Reads the elements of a sequence.
struct Elements<'de, 'a, K> {
    elements: std::slice::Iter<'de, Value>,
    read: usize,
    track: &'a mut K,
    depth: Depth,
    level: usize,
}

/// Reads the entries of a map, or the fields of a struct.
struct Entries<'de, 'a, K> {
    entries: std::slice::Iter<'de, (Value, Value)>,
    current: Option<&'de (Value, Value)>,
    read: usize,
    fields: &'static [&'static str],
    track: &'a mut K,
    depth: Depth,
    level: usize,
}

/// Reads a variant of an enum: its name, then what it holds.
struct ChosenVariant<'de, 'a, K> {
    name: &'de str,
    value: Option<&'de Value>,
    variants: &'static [&'static str],
    reader: Reader<'de, 'a, K>,
}

impl<'de, K: Track> Reader<'de, '_, K> {
    fn unexpected(&self) -> Unexpected<'de> {
        match self.value {
            Value::Null => Unexpected::Unit,
            Value::Bool(value) => Unexpected::Bool(*value),
            Value::Int(value) => i64::try_from(*value)
                .map_or(Unexpected::Other("an integer beyond i64"), Unexpected::Signed),
            Value::UInt(_) => Unexpected::Other("an integer beyond i128"),
            Value::F32(value) => Unexpected::Float(f64::from(*value)),
            Value::F64(value) => Unexpected::Float(*value),
            Value::Text(value) => Unexpected::Str(value),
            Value::Bytes(value) => Unexpected::Bytes(value),
            Value::Some(_) => Unexpected::Option,
            Value::Seq(_) => Unexpected::Seq,
            Value::Map(_) => Unexpected::Map,
            Value::Variant(_) => Unexpected::Enum,
        }
    }

    fn integer<V: Visitor<'de>>(number: i128, visitor: V) -> Result<V::Value, Error> {
        if let Ok(number) = u64::try_from(number) {
            visitor.visit_u64(number)
        } else if let Ok(number) = i64::try_from(number) {
            visitor.visit_i64(number)
        } else {
            visitor.visit_i128(number)
        }
    }

    fn sequence<V: Visitor<'de>>(
        self,
        elements: &'de [Value],
        visitor: V,
    ) -> Result<V::Value, Error> {
        let depth = self.depth.container().map_err(Error::decode)?;
        let level = self.track.level();
        let mut access =
            Elements { elements: elements.iter(), read: 0, track: self.track, depth, level };
        let value = depth.visit_all(|| visitor.visit_seq(&mut access))?;
        if access.elements.len() == 0 {
            return Ok(value);
        }
        let expected = format!("{} elements", access.read);
        Err(Error::invalid_length(elements.len(), &expected.as_str()))
    }

    fn map<V: Visitor<'de>>(
        self,
        entries: &'de [(Value, Value)],
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        let depth = self.depth.container().map_err(Error::decode)?;
        let level = self.track.level();
        let mut access = Entries {
            entries: entries.iter(),
            current: None,
            read: 0,
            fields,
            track: self.track,
            depth,
            level,
        };
        let value = depth.visit_all(|| visitor.visit_map(&mut access))?;
        if access.entries.len() == 0 {
            return Ok(value);
        }
        let expected = format!("{} entries", access.read);
        Err(Error::invalid_length(entries.len(), &expected.as_str()))
    }

    fn structure<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match self.value {
            Value::Map(entries) => self.map(entries, fields, visitor),
            _ => de::Deserializer::deserialize_any(self, visitor),
        }
    }
}

/// Numbers and truth values: as they are, or out of the text of a JSON key.
macro_rules! deserialize_scalars {
    ($($method:ident: $type:ty => $visit:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            if let (true, Value::Text(text)) = (self.is_key, self.value)
                && let Ok(scalar) = text.parse::<$type>()
            {
                return visitor.$visit(scalar);
            }
            self.deserialize_any(visitor)
        }
    )*};
}

impl<'de, K: Track> de::Deserializer<'de> for Reader<'de, '_, K> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.value {
            Value::Null => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::Int(value) => Self::integer(*value, visitor),
            Value::UInt(value) => match i128::try_from(*value) {
                Ok(value) => Self::integer(value, visitor),
                Err(_) => visitor.visit_u128(*value),
            },
            Value::F32(value) => visitor.visit_f32(*value),
            Value::F64(value) => visitor.visit_f64(*value),
            Value::Text(value) => visitor.visit_borrowed_str(value),
            Value::Bytes(value) => visitor.visit_borrowed_bytes(value),
            Value::Some(_) => self.deserialize_option(visitor),
            Value::Seq(elements) => self.sequence(elements, visitor),
            Value::Map(entries) => self.map(entries, &[], visitor),
            Value::Variant(variant) => match &variant.value {
                None => visitor.visit_borrowed_str(&variant.name),
                Some(value) => visitor.visit_map(OneEntry {
                    name: &variant.name,
                    value: Some(value),
                    depth: self.depth.container().map_err(Error::decode)?,
                    track: self.track,
                }),
            },
        }
    }

    deserialize_scalars! {
        deserialize_bool: bool => visit_bool
        deserialize_i8: i64 => visit_i64
        deserialize_i16: i64 => visit_i64
        deserialize_i32: i64 => visit_i64
        deserialize_i64: i64 => visit_i64
        deserialize_i128: i128 => visit_i128
        deserialize_u8: u64 => visit_u64
        deserialize_u16: u64 => visit_u64
        deserialize_u32: u64 => visit_u64
        deserialize_u64: u64 => visit_u64
        deserialize_u128: u128 => visit_u128
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let inner = match self.value {
            Value::Null => return visitor.visit_none(),
            Value::Some(inner) => inner,
            other => other,
        };
        let depth = self.depth.wrapper().map_err(Error::decode)?;
        let (track, is_key) = (self.track, self.is_key);
        depth.visit_all(|| visitor.visit_some(Reader { value: inner, track, depth, is_key }))
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.track.named(name);
        let depth = self.depth.wrapper().map_err(Error::decode)?;
        depth.visit_all(|| visitor.visit_newtype_struct(Reader { depth, ..self }))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.track.named(name);
        self.structure(fields, visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.track.named(name);
        self.deserialize_any(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.track.named(name);
        let (name, value) = match self.value {
            Value::Variant(variant) => (variant.name.as_str(), variant.value.as_ref()),
            Value::Text(name) => (name.as_str(), None),
            Value::Map(entries) => match entries.as_slice() {
                [(Value::Text(name), value)] => (name.as_str(), Some(value)),
                _ => {
                    let expected = "a variant as a map of one entry with its name";
                    return Err(Error::invalid_length(entries.len(), &expected));
                }
            },
            _ => return Err(Error::invalid_type(self.unexpected(), &"a variant")),
        };
        visitor.visit_enum(ChosenVariant { name, value, variants, reader: self })
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_unit()
    }

    serde::forward_to_deserialize_any! {
        f32 f64 char str string bytes byte_buf unit unit_struct seq tuple map identifier
    }
}

impl<'de, K: Track> de::SeqAccess<'de> for Elements<'de, '_, K> {
    type Error = Error;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Error> {
        let Some(value) = self.elements.next() else { return Ok(None) };
        let index = self.read;
        self.track.enter::<S::Value>(self.level, || Step::Index(index));
        self.read += 1;
        let element = part(value, self.track, self.depth, false, seed)?;
        self.track.leave(self.level);
        Ok(Some(element))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.elements.len())
    }
}

impl<'de, K: Track> de::MapAccess<'de> for Entries<'de, '_, K> {
    type Error = Error;

    fn next_key_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Error> {
        self.current = self.entries.next();
        let Some((key, _)) = self.current else { return Ok(None) };
        let entry = self.read;
        self.track.enter::<S::Value>(self.level, || Step::Key(entry));
        self.read += 1;
        let key = part(key, self.track, self.depth, true, seed)?;
        self.track.leave(self.level);
        Ok(Some(key))
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Error> {
        let Some((key, value)) = self.current else {
            return Err(Error::custom("the value of a map entry was asked for before its key"));
        };
        let (fields, entry) = (self.fields, self.read.saturating_sub(1));
        self.track.enter::<S::Value>(self.level, || match key {
            Value::Text(key) => match fields.iter().find(|field| *field == key) {
                Some(field) => Step::Field(field),
                None => Step::Entry(quoted(key)),
            },
            Value::Int(key) => Step::Entry(key.to_string()),
            _ => Step::Entry(format!("entry {entry}")),
        });
        let value = part(value, self.track, self.depth, false, seed)?;
        self.track.leave(self.level);
        Ok(value)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.entries.len())
    }
}

/// A variant seen by a type that asks what comes next: a map of one entry.
struct OneEntry<'de, 'a, K> {
    name: &'de str,
    value: Option<&'de Value>,
    track: &'a mut K,
    depth: Depth,
}

impl<'de, K: Track> de::MapAccess<'de> for OneEntry<'de, '_, K> {
    type Error = Error;

    fn next_key_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Error> {
        if self.value.is_none() {
            return Ok(None);
        }
        seed.deserialize(de::value::BorrowedStrDeserializer::new(self.name)).map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Error> {
        match self.value.take() {
            Some(value) => part(value, self.track, self.depth, false, seed),
            None => Err(Error::custom("the value of a variant was asked for twice")),
        }
    }
}

impl<'de, 'a, K: Track> de::EnumAccess<'de> for ChosenVariant<'de, 'a, K> {
    type Error = Error;
    type Variant = Self;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self), Error> {
        let chosen: de::value::StrDeserializer<'_, Error> = self.name.into_deserializer();
        let value = seed.deserialize(chosen)?;
        if let Some(name) = self.variants.iter().find(|name| **name == self.name) {
            let level = self.reader.track.level();
            self.reader.track.enter_untyped(level, Step::Variant(name));
        }
        Ok((value, self))
    }
}

impl<'de, 'a, K: Track> ChosenVariant<'de, 'a, K> {
    /// The reader of what the variant holds.
    fn inside(self) -> Result<Reader<'de, 'a, K>, Error> {
        match self.value {
            Some(value) => Ok(Reader { value, is_key: false, ..self.reader }),
            None => {
                Err(Error::invalid_type(Unexpected::UnitVariant, &"a variant that holds something"))
            }
        }
    }
}

impl<'de, K: Track> de::VariantAccess<'de> for ChosenVariant<'de, '_, K> {
    type Error = Error;

    fn unit_variant(self) -> Result<(), Error> {
        match self.value {
            None | Some(Value::Null) => Ok(()),
            Some(_) => Err(Error::invalid_type(Unexpected::NewtypeVariant, &"a unit variant")),
        }
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, Error> {
        let inside = self.inside()?;
        let depth = inside.depth.container().map_err(Error::decode)?;
        inside.track.unwrap::<S::Value>();
        depth.visit_all(|| part(inside.value, inside.track, depth, false, seed))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Error> {
        de::Deserializer::deserialize_any(self.inside()?, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.inside()?.structure(fields, visitor)
    }
}

fn part<'de, K: Track, S: DeserializeSeed<'de>>(
    value: &'de Value,
    track: &mut K,
    depth: Depth,
    is_key: bool,
    seed: S,
) -> Result<S::Value, Error> {
    seed.deserialize(Reader { value, track, depth, is_key })
}
