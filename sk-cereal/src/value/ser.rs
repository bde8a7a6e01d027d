//! From any serde value to the tree.

use serde::ser::{self, Serialize};

use super::Value;
use crate::depth::Depth;
use crate::error::{Error, Reason};
use crate::track::{Step, Track, quoted};

/// The tree of `value`, which may nest to `depth`.
pub(super) fn tree<T: Serialize + ?Sized, K: Track>(
    value: &T,
    track: &mut K,
    depth: Depth,
) -> Result<Value, Error> {
    depth.visit(|| value.serialize(Grower { track, depth }))
}

/// Grows the tree of one part.
struct Grower<'a, K> {
    track: &'a mut K,
    depth: Depth,
}

/// Grows a sequence or a tuple.
struct Elements<'a, K> {
    grower: Grower<'a, K>,
    level: usize,
    variant: Option<&'static str>,
    elements: Vec<Value>,
}

/// Grows a map or a struct.
struct Entries<'a, K> {
    grower: Grower<'a, K>,
    level: usize,
    variant: Option<&'static str>,
    entries: Vec<(Value, Value)>,
    key: Option<Value>,
}

/// No more than this is reserved on the word of a `Serialize`.
const MOST_RESERVED: usize = 1 << 12;

impl<'a, K: Track> Grower<'a, K> {
    fn heard(self, value: Value) -> Result<Value, Error> {
        self.track.heard(|| match &value {
            Value::Text(text) => quoted(text),
            Value::Int(number) => number.to_string(),
            Value::UInt(number) => number.to_string(),
            Value::Variant(variant) => variant.name.clone(),
            other => format!("{other:?}"),
        });
        Ok(value)
    }

    fn container(self, variant: Option<&'static str>) -> Result<Self, Error> {
        let depth = self.depth.container().map_err(Error::encode)?;
        if let Some(variant) = variant {
            let level = self.track.level();
            self.track.enter_untyped(level, Step::Variant(variant));
        }
        Ok(Grower { track: self.track, depth })
    }

    fn elements(
        self,
        length: usize,
        variant: Option<&'static str>,
    ) -> Result<Elements<'a, K>, Error> {
        let grower = self.container(variant)?;
        let level = grower.track.level();
        let elements = Vec::with_capacity(length.min(MOST_RESERVED));
        Ok(Elements { grower, level, variant, elements })
    }

    fn entries(
        self,
        length: usize,
        variant: Option<&'static str>,
    ) -> Result<Entries<'a, K>, Error> {
        let grower = self.container(variant)?;
        let level = grower.track.level();
        let entries = Vec::with_capacity(length.min(MOST_RESERVED));
        Ok(Entries { grower, level, variant, entries, key: None })
    }
}

impl<'a, K: Track> ser::Serializer for Grower<'a, K> {
    type Ok = Value;
    type Error = Error;
    type SerializeSeq = Elements<'a, K>;
    type SerializeTuple = Elements<'a, K>;
    type SerializeTupleStruct = Elements<'a, K>;
    type SerializeTupleVariant = Elements<'a, K>;
    type SerializeMap = Entries<'a, K>;
    type SerializeStruct = Entries<'a, K>;
    type SerializeStructVariant = Entries<'a, K>;

    fn serialize_bool(self, value: bool) -> Result<Value, Error> {
        self.heard(Value::Bool(value))
    }
    fn serialize_i8(self, value: i8) -> Result<Value, Error> {
        self.heard(Value::Int(value.into()))
    }
    fn serialize_i16(self, value: i16) -> Result<Value, Error> {
        self.heard(Value::Int(value.into()))
    }
    fn serialize_i32(self, value: i32) -> Result<Value, Error> {
        self.heard(Value::Int(value.into()))
    }
    fn serialize_i64(self, value: i64) -> Result<Value, Error> {
        self.heard(Value::Int(value.into()))
    }
    fn serialize_i128(self, value: i128) -> Result<Value, Error> {
        self.heard(Value::Int(value))
    }
    fn serialize_u8(self, value: u8) -> Result<Value, Error> {
        self.heard(Value::Int(value.into()))
    }
    fn serialize_u16(self, value: u16) -> Result<Value, Error> {
        self.heard(Value::Int(value.into()))
    }
    fn serialize_u32(self, value: u32) -> Result<Value, Error> {
        self.heard(Value::Int(value.into()))
    }
    fn serialize_u64(self, value: u64) -> Result<Value, Error> {
        self.heard(Value::Int(value.into()))
    }
    fn serialize_u128(self, value: u128) -> Result<Value, Error> {
        self.heard(Value::unsigned(value))
    }
    fn serialize_f32(self, value: f32) -> Result<Value, Error> {
        Ok(Value::F32(value))
    }
    fn serialize_f64(self, value: f64) -> Result<Value, Error> {
        Ok(Value::F64(value))
    }
    fn serialize_char(self, value: char) -> Result<Value, Error> {
        self.heard(Value::Text(value.to_string()))
    }
    fn serialize_str(self, value: &str) -> Result<Value, Error> {
        self.heard(Value::Text(value.to_owned()))
    }
    fn serialize_bytes(self, value: &[u8]) -> Result<Value, Error> {
        Ok(Value::Bytes(value.to_vec()))
    }
    fn serialize_none(self) -> Result<Value, Error> {
        Ok(Value::Null)
    }
    fn serialize_unit(self) -> Result<Value, Error> {
        Ok(Value::Null)
    }
    fn serialize_unit_struct(self, _: &'static str) -> Result<Value, Error> {
        Ok(Value::Null)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<Value, Error> {
        let depth = self.depth.wrapper().map_err(Error::encode)?;
        self.track.unwrap::<T>();
        tree(value, self.track, depth).map(Value::some)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        value: &T,
    ) -> Result<Value, Error> {
        let depth = self.depth.wrapper().map_err(Error::encode)?;
        self.track.named(name);
        self.track.unwrap::<T>();
        tree(value, self.track, depth)
    }

    fn serialize_unit_variant(
        self,
        name: &'static str,
        _: u32,
        variant: &'static str,
    ) -> Result<Value, Error> {
        self.track.named(name);
        self.heard(Value::variant(variant, None))
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<Value, Error> {
        self.track.named(name);
        let inside = self.container(Some(variant))?;
        inside.track.unwrap::<T>();
        let value = tree(value, inside.track, inside.depth)?;
        Ok(Value::variant(variant, Some(value)))
    }

    fn serialize_seq(self, length: Option<usize>) -> Result<Self::SerializeSeq, Error> {
        self.elements(length.unwrap_or(0), None)
    }

    fn serialize_tuple(self, length: usize) -> Result<Self::SerializeTuple, Error> {
        self.elements(length, None)
    }

    fn serialize_tuple_struct(
        self,
        name: &'static str,
        length: usize,
    ) -> Result<Self::SerializeTupleStruct, Error> {
        self.track.named(name);
        self.elements(length, None)
    }

    fn serialize_tuple_variant(
        self,
        name: &'static str,
        _: u32,
        variant: &'static str,
        length: usize,
    ) -> Result<Self::SerializeTupleVariant, Error> {
        self.track.named(name);
        self.elements(length, Some(variant))
    }

    fn serialize_map(self, length: Option<usize>) -> Result<Self::SerializeMap, Error> {
        self.entries(length.unwrap_or(0), None)
    }

    fn serialize_struct(
        self,
        name: &'static str,
        length: usize,
    ) -> Result<Self::SerializeStruct, Error> {
        self.track.named(name);
        self.entries(length, None)
    }

    fn serialize_struct_variant(
        self,
        name: &'static str,
        _: u32,
        variant: &'static str,
        length: usize,
    ) -> Result<Self::SerializeStructVariant, Error> {
        self.track.named(name);
        self.entries(length, Some(variant))
    }
}

impl<K: Track> Elements<'_, K> {
    fn push<T: Serialize + ?Sized>(&mut self, step: Step, value: &T) -> Result<(), Error> {
        self.grower.track.enter::<T>(self.level, || step);
        self.elements.push(tree(value, &mut *self.grower.track, self.grower.depth)?);
        self.grower.track.leave(self.level);
        Ok(())
    }

    fn finish(self) -> Value {
        match self.variant {
            Some(variant) => Value::variant(variant, Some(Value::Seq(self.elements))),
            None => Value::Seq(self.elements),
        }
    }
}

impl<K: Track> Entries<'_, K> {
    fn push<T: Serialize + ?Sized>(&mut self, key: Value, value: &T) -> Result<(), Error> {
        self.entries.push((key, tree(value, &mut *self.grower.track, self.grower.depth)?));
        self.grower.track.leave(self.level);
        Ok(())
    }

    fn finish(self) -> Value {
        match self.variant {
            Some(variant) => Value::variant(variant, Some(Value::Map(self.entries))),
            None => Value::Map(self.entries),
        }
    }
}

impl<K: Track> ser::SerializeSeq for Elements<'_, K> {
    type Ok = Value;
    type Error = Error;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        self.push(Step::Index(self.elements.len()), value)
    }

    fn end(self) -> Result<Value, Error> {
        Ok(self.finish())
    }
}

impl<K: Track> ser::SerializeMap for Entries<'_, K> {
    type Ok = Value;
    type Error = Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Error> {
        if self.key.is_some() {
            return Err(Error::encode(Reason::HalfAnEntry));
        }
        let entry = self.entries.len();
        self.grower.track.enter::<T>(self.level, || Step::Key(entry));
        self.grower.track.listen();
        self.key = Some(tree(key, &mut *self.grower.track, self.grower.depth)?);
        self.grower.track.leave(self.level);
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        self.grower.track.enter_value::<T>(self.level, self.entries.len());
        match self.key.take() {
            Some(key) => self.push(key, value),
            None => Err(Error::encode(Reason::HalfAnEntry)),
        }
    }

    fn end(self) -> Result<Value, Error> {
        match self.key {
            None => Ok(self.finish()),
            Some(_) => Err(Error::encode(Reason::HalfAnEntry)),
        }
    }
}

/// Tuples of all kinds differ for serde in the name of one method.
macro_rules! serialize_positions {
    ($($kind:ident::$method:ident)*) => {$(
        impl<K: Track> ser::$kind for Elements<'_, K> {
            type Ok = Value;
            type Error = Error;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
                self.push(Step::Position(self.elements.len()), value)
            }

            fn end(self) -> Result<Value, Error> {
                Ok(self.finish())
            }
        }
    )*};
}

macro_rules! serialize_named_fields {
    ($($kind:ident)*) => {$(
        impl<K: Track> ser::$kind for Entries<'_, K> {
            type Ok = Value;
            type Error = Error;

            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                name: &'static str,
                value: &T,
            ) -> Result<(), Error> {
                self.grower.track.enter::<T>(self.level, || Step::Field(name));
                self.push(Value::Text(name.to_owned()), value)
            }

            fn end(self) -> Result<Value, Error> {
                Ok(self.finish())
            }
        }
    )*};
}

serialize_positions! {
    SerializeTuple::serialize_element
    SerializeTupleStruct::serialize_field
    SerializeTupleVariant::serialize_field
}
serialize_named_fields! { SerializeStruct SerializeStructVariant }
