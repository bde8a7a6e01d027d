//! The deserializer of the internal mode.
//!
//! No length in the input is believed: text and bytes are borrowed from what is there, and a
//! sequence is told to reserve at most as many elements as there are bytes that no sequence
//! around it has been promised, so that all reservations together stay below the input's length.
//! Elements that take no bytes are paid for from a budget, by what they take in memory.
//!
//! A part that fails is remembered: a `Deserialize` that goes on all the same reads the next part
//! from the wrong place.

use std::marker::PhantomData;

use serde::de::value::U32Deserializer;
use serde::de::{self, DeserializeSeed, IntoDeserializer as _, Visitor};

use super::shape::Shape;
use super::wire::{Input, Scalar};
use super::{EMPTY_ELEMENTS, most_elements};
use crate::depth::Depth;
use crate::error::{Error, Reason};
use crate::track::{Step, Track, quoted};

/// Elements up to this size are not worth looking at whether they took bytes: a million of them,
/// which the budget allows, are 16 MiB.
const SMALL: usize = 16;

/// One value on its way out of bytes.
pub(super) struct Decoding<'de, K> {
    pub(super) input: Input<'de>,
    pub(super) track: K,
    pub(super) shape: Shape,
    /// A part has failed.
    pub(super) failed: bool,
    /// How many more elements the input may announce, those that take no bytes included.
    elements_left: u64,
    /// Elements that the last visitor left unread.
    unread: usize,
    /// Elements that open sequences have still to read, each of at least one byte.
    promised: usize,
}

impl<'de, K: Track> Decoding<'de, K> {
    pub(super) fn new(bytes: &'de [u8], track: K) -> Self {
        Decoding {
            input: Input::new(bytes),
            track,
            shape: Shape::default(),
            failed: false,
            elements_left: most_elements(bytes.len()),
            unread: 0,
            promised: 0,
        }
    }

    pub(super) fn decode<T: de::Deserialize<'de>>(&mut self, depth: Depth) -> Result<T, Error> {
        part(self, depth, PhantomData::<T>)
    }

    #[cold]
    fn failed_by(&mut self, error: Error) -> Error {
        self.failed = true;
        error
    }

    #[cold]
    fn refuse(&mut self, reason: Reason) -> Error {
        self.failed = true;
        Error::decode(reason)
    }

    #[inline]
    fn note<T>(&mut self, result: Result<T, Error>) -> Result<T, Error> {
        match result {
            Ok(value) => Ok(value),
            Err(error) => Err(self.failed_by(error)),
        }
    }
}

/// Decodes a part of the value that is being decoded `from`.
#[inline]
fn part<'de, K: Track, S: DeserializeSeed<'de>>(
    from: &mut Decoding<'de, K>,
    depth: Depth,
    seed: S,
) -> Result<S::Value, Error> {
    let result = seed.deserialize(Decoder { from: &mut *from, depth });
    from.note(result)
}

/// Decodes one part of the value.
struct Decoder<'a, 'de, K> {
    from: &'a mut Decoding<'de, K>,
    depth: Depth,
}

/// Decodes the fields of a struct, tuple or variant.
struct Fields<'a, 'de, K> {
    from: &'a mut Decoding<'de, K>,
    depth: Depth,
    level: usize,
    names: &'static [&'static str],
    most: usize,
    read: usize,
}

/// Decodes the elements of a sequence or the entries of a map.
struct Elements<'a, 'de, K> {
    from: &'a mut Decoding<'de, K>,
    depth: Depth,
    level: usize,
    read: usize,
    left: usize,
    /// How many elements to reserve room for: of each a byte must be there that nobody else waits
    /// for.
    believable: usize,
    promised_outside: usize,
}

impl<'a, 'de, K: Track> Decoder<'a, 'de, K> {
    #[inline]
    fn scalar<V: Scalar>(&mut self) -> Result<V, Error> {
        let value = self.from.input.take::<V>();
        let value = self.from.note(value)?;
        self.from.track.heard(|| value.to_string());
        Ok(value)
    }

    #[inline]
    fn text(&mut self) -> Result<&'de str, Error> {
        let bytes = self.bytes()?;
        match std::str::from_utf8(bytes) {
            Ok(text) => {
                self.from.track.heard(|| quoted(text));
                Ok(text)
            }
            Err(error) => {
                Err(self.from.refuse(Reason::InvalidText { valid_up_to: error.valid_up_to() }))
            }
        }
    }

    #[inline]
    fn bytes(&mut self) -> Result<&'de [u8], Error> {
        let bytes = self.from.input.take_bytes();
        self.from.note(bytes)
    }

    #[cold]
    fn not_described(self, what: &'static str, instead: &'static str) -> Error {
        self.from.refuse(Reason::Unsupported { what, detail: None, instead })
    }

    #[inline]
    fn container(&mut self) -> Result<Depth, Error> {
        self.depth.container().map_err(|reason| self.from.refuse(reason))
    }

    #[inline]
    fn wrapper(&mut self) -> Result<Depth, Error> {
        self.depth.wrapper().map_err(|reason| self.from.refuse(reason))
    }

    /// Lets `visitor` read up to `most` fields, and adds those it read to the shape.
    #[inline]
    fn fields<V: Visitor<'de>>(
        mut self,
        most: usize,
        names: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        let depth = self.container()?;
        let level = self.from.track.level();
        let mut fields = Fields { from: self.from, depth, level, names, most, read: 0 };
        let value = depth.visit_all(|| visitor.visit_seq(&mut fields));
        let value = fields.from.note(value)?;
        fields.from.shape.add_fields(fields.read);
        Ok(value)
    }

    /// Begins to read elements. They are lent out by value, which the loops of visitors like better;
    /// what is unread at their end is found in `unread` then.
    #[inline]
    fn elements(&mut self) -> Result<Elements<'_, 'de, K>, Error> {
        let depth = self.container()?;
        let left = self.from.input.take_length();
        let left = self.from.note(left)?;
        match self.from.elements_left.checked_sub(left as u64) {
            Some(rest) => self.from.elements_left = rest,
            None => {
                let beyond = self.from.input.beyond(left as u64);
                return self.from.note(Err(beyond));
            }
        }
        let level = self.from.track.level();
        let promised_outside = self.from.promised;
        let believable = left.min(self.from.input.left().saturating_sub(promised_outside));
        Ok(Elements { from: self.from, depth, level, read: 0, left, believable, promised_outside })
    }

    /// What a visitor made of elements, if it read them all: the next part begins behind the last.
    #[inline]
    fn all_read<T>(&mut self, value: Result<T, Error>) -> Result<T, Error> {
        let unread = std::mem::take(&mut self.from.unread);
        let value = self.from.note(value)?;
        match unread {
            0 => Ok(value),
            left => Err(self.from.refuse(Reason::Unread { left })),
        }
    }
}

impl<'de, K: Track> Elements<'_, 'de, K> {
    #[inline]
    fn element<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Error> {
        let before = self.from.input.left();
        let element = part(self.from, self.depth, seed)?;
        if const { size_of::<S::Value>() > SMALL } && self.from.input.left() == before {
            self.pay_for(size_of::<S::Value>())?;
        }
        self.from.track.leave(self.level);
        Ok(element)
    }

    /// An element that took no bytes takes so much memory.
    fn pay_for(&mut self, size: usize) -> Result<(), Error> {
        match self.from.elements_left.checked_sub(size as u64) {
            Some(rest) => {
                self.from.elements_left = rest;
                Ok(())
            }
            None => {
                let elements = (self.read + self.left) as u64;
                Err(self.from.refuse(Reason::TooManyEmpty { elements, limit: EMPTY_ELEMENTS }))
            }
        }
    }

    /// Goes on to the next element, and claims a byte for each one after it.
    #[inline]
    fn advance(&mut self) {
        self.left -= 1;
        self.from.promised = self.promised_outside.saturating_add(self.left);
    }
}

impl<K> Drop for Elements<'_, '_, K> {
    #[inline]
    fn drop(&mut self) {
        self.from.promised = self.promised_outside;
        if self.left > 0 {
            self.from.unread = self.left;
        }
    }
}

/// Methods that read one scalar and hand it over.
macro_rules! deserialize_scalars {
    ($($method:ident => $visit:ident)*) => {$(
        #[inline]
        fn $method<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Error> {
            visitor.$visit(self.scalar()?)
        }
    )*};
}

impl<'de, K: Track> de::Deserializer<'de> for Decoder<'_, 'de, K> {
    type Error = Error;

    #[inline]
    fn is_human_readable(&self) -> bool {
        false
    }

    deserialize_scalars! {
        deserialize_bool => visit_bool
        deserialize_i8 => visit_i8
        deserialize_i16 => visit_i16
        deserialize_i32 => visit_i32
        deserialize_i64 => visit_i64
        deserialize_i128 => visit_i128
        deserialize_u8 => visit_u8
        deserialize_u16 => visit_u16
        deserialize_u32 => visit_u32
        deserialize_u64 => visit_u64
        deserialize_u128 => visit_u128
        deserialize_f32 => visit_f32
        deserialize_f64 => visit_f64
        deserialize_char => visit_char
    }

    #[inline]
    fn deserialize_str<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_borrowed_str(self.text()?)
    }

    #[inline]
    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_str(visitor)
    }

    #[inline]
    fn deserialize_bytes<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_borrowed_bytes(self.bytes()?)
    }

    #[inline]
    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_bytes(visitor)
    }

    #[inline]
    fn deserialize_option<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Error> {
        let tag = self.from.input.take::<u8>();
        match self.from.note(tag)? {
            0 => visitor.visit_none(),
            1 => {
                let depth = self.wrapper()?;
                let from = &mut *self.from;
                let value = depth.visit_all(|| visitor.visit_some(Decoder { from, depth }));
                self.from.note(value)
            }
            found => Err(self.from.refuse(Reason::InvalidByte { what: "tag of an Option", found })),
        }
    }

    #[inline]
    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_unit()
    }

    #[inline]
    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_unit()
    }

    #[inline]
    fn deserialize_newtype_struct<V: Visitor<'de>>(
        mut self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        let depth = self.wrapper()?;
        self.from.track.named(name);
        let from = &mut *self.from;
        let value = depth.visit_all(|| visitor.visit_newtype_struct(Decoder { from, depth }));
        self.from.note(value)
    }

    #[inline]
    fn deserialize_seq<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Error> {
        let elements = self.elements()?;
        let value = elements.depth.visit_all(|| visitor.visit_seq(elements));
        self.all_read(value)
    }

    #[inline]
    fn deserialize_map<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Error> {
        let elements = self.elements()?;
        let value = elements.depth.visit_all(|| visitor.visit_map(elements));
        self.all_read(value)
    }

    #[inline]
    fn deserialize_tuple<V: Visitor<'de>>(
        self,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.fields(length, &[], visitor)
    }

    #[inline]
    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.from.track.named(name);
        self.fields(length, &[], visitor)
    }

    #[inline]
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.from.track.named(name);
        self.fields(fields.len(), fields, visitor)
    }

    #[inline]
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.from.track.named(name);
        let decoder = Decoder { from: &mut *self.from, depth: self.depth };
        let value = visitor.visit_enum(Variant { decoder, variants });
        self.from.note(value)
    }

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Error> {
        Err(self.not_described(
            "a type that asks what comes next, such as an enum with #[serde(untagged)] or \
             #[serde(tag = \"…\")], or serde_json::Value",
            "use the default (externally tagged) form, or carry a sk_cereal::Value",
        ))
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Error> {
        Err(self.not_described(
            "a type that is read by field names, as #[serde(flatten)] and #[serde(tag, content)] \
             make it",
            "name the flattened struct as a field of its own, or use the default form of the enum",
        ))
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Error> {
        Err(self.not_described(
            "a part that is to be skipped without knowing its type",
            "read all of it",
        ))
    }
}

impl<'de, K: Track> de::SeqAccess<'de> for Fields<'_, 'de, K> {
    type Error = Error;

    #[inline]
    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Error> {
        if self.read == self.most {
            return Ok(None);
        }
        self.from.track.enter::<S::Value>(self.level, || match self.names.get(self.read) {
            Some(name) => Step::Field(name),
            None => Step::Position(self.read),
        });
        self.read += 1;
        let field = part(self.from, self.depth, seed)?;
        self.from.track.leave(self.level);
        Ok(Some(field))
    }

    #[inline]
    fn size_hint(&self) -> Option<usize> {
        Some(self.most - self.read)
    }
}

impl<'de, K: Track> de::SeqAccess<'de> for Elements<'_, 'de, K> {
    type Error = Error;

    #[inline]
    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Error> {
        if self.left == 0 {
            return Ok(None);
        }
        self.from.track.enter::<S::Value>(self.level, || Step::Index(self.read));
        self.read += 1;
        self.advance();
        self.element(seed).map(Some)
    }

    #[inline]
    fn size_hint(&self) -> Option<usize> {
        Some(self.believable.min(self.left))
    }
}

impl<'de, K: Track> de::MapAccess<'de> for Elements<'_, 'de, K> {
    type Error = Error;

    #[inline]
    fn next_key_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Error> {
        if self.left == 0 {
            return Ok(None);
        }
        self.from.track.enter::<S::Value>(self.level, || Step::Key(self.read));
        self.from.track.listen();
        self.advance();
        self.element(seed).map(Some)
    }

    #[inline]
    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Error> {
        self.from.track.enter_value::<S::Value>(self.level, self.read);
        self.read += 1;
        self.element(seed)
    }

    #[inline]
    fn size_hint(&self) -> Option<usize> {
        Some(self.believable.min(self.left))
    }
}

/// Decodes a variant: its index, then what it holds.
struct Variant<'a, 'de, K> {
    decoder: Decoder<'a, 'de, K>,
    variants: &'static [&'static str],
}

impl<'a, 'de, K: Track> de::EnumAccess<'de> for Variant<'a, 'de, K> {
    type Error = Error;
    type Variant = Decoder<'a, 'de, K>;

    #[inline]
    fn variant_seed<S: DeserializeSeed<'de>>(
        self,
        seed: S,
    ) -> Result<(S::Value, Decoder<'a, 'de, K>), Error> {
        let decoder = self.decoder;
        let index = decoder.from.input.take::<u32>();
        let index = decoder.from.note(index)?;
        let chosen: U32Deserializer<Error> = index.into_deserializer();
        let value = seed.deserialize(chosen);
        let value = decoder.from.note(value)?;
        match usize::try_from(index).ok().and_then(|at| self.variants.get(at)) {
            Some(name) => {
                decoder.from.shape.add_variant(name);
                decoder.from.track.heard(|| (*name).to_owned());
                let level = decoder.from.track.level();
                decoder.from.track.enter_untyped(level, Step::Variant(name));
            }
            None => decoder.from.shape.has_nameless = true,
        }
        Ok((value, decoder))
    }
}

impl<'de, K: Track> de::VariantAccess<'de> for Decoder<'_, 'de, K> {
    type Error = Error;

    #[inline]
    fn unit_variant(self) -> Result<(), Error> {
        Ok(())
    }

    #[inline]
    fn newtype_variant_seed<S: DeserializeSeed<'de>>(mut self, seed: S) -> Result<S::Value, Error> {
        let depth = self.container()?;
        self.from.track.unwrap::<S::Value>();
        depth.visit_all(|| part(self.from, depth, seed))
    }

    #[inline]
    fn tuple_variant<V: Visitor<'de>>(self, length: usize, visitor: V) -> Result<V::Value, Error> {
        self.fields(length, &[], visitor)
    }

    #[inline]
    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.fields(fields.len(), fields, visitor)
    }
}
