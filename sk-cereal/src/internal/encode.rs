//! The serializer of the internal mode.
//!
//! It refuses what bytes without field names cannot carry, where bincode's own would write
//! something that decodes as garbage. What only the reader can notice goes into the [`Shape`]. A
//! part that fails is remembered: a `Serialize` that goes on all the same has written half a value.

use std::fmt::{self, Display, Write as _};

use serde::ser::{self, Serialize};

use super::shape::Shape;
use super::wire::{Output, Scalar, Sink};
use crate::depth::Depth;
use crate::error::{Error, Reason};
use crate::track::{Step, Track, quoted};

/// One value on its way to bytes.
pub(super) struct Encoding<S: Sink, K> {
    pub(super) output: Output<S>,
    pub(super) track: K,
    pub(super) shape: Shape,
    /// Elements of sequences and maps.
    pub(super) elements: u64,
    /// A part has failed.
    pub(super) failed: bool,
}

impl<S: Sink, K: Track> Encoding<S, K> {
    pub(super) fn new(sink: S, track: K) -> Self {
        Encoding {
            output: Output::new(sink),
            track,
            shape: Shape::default(),
            elements: 0,
            failed: false,
        }
    }

    pub(super) fn encode<T: Serialize + ?Sized>(
        &mut self,
        value: &T,
        depth: Depth,
    ) -> Result<(), Error> {
        part(self, depth, value)
    }
}

/// Encodes a part of the value that is being encoded `to`.
#[inline]
fn part<S: Sink, K: Track, T: Serialize + ?Sized>(
    to: &mut Encoding<S, K>,
    depth: Depth,
    value: &T,
) -> Result<(), Error> {
    let result = depth.visit(|| value.serialize(Encoder { to: &mut *to, depth }));
    if result.is_err() {
        to.failed = true;
    }
    result
}

/// Encodes one part of the value.
struct Encoder<'a, S: Sink, K> {
    to: &'a mut Encoding<S, K>,
    depth: Depth,
}

/// Encodes the fields of a struct, tuple or variant.
pub(super) struct Fields<'a, S: Sink, K> {
    to: &'a mut Encoding<S, K>,
    depth: Depth,
    level: usize,
    written: usize,
}

/// Encodes the elements of a sequence or the entries of a map.
pub(super) struct Elements<'a, S: Sink, K> {
    to: &'a mut Encoding<S, K>,
    depth: Depth,
    level: usize,
    announced: usize,
    written: usize,
    /// A key was written whose value was not.
    in_entry: bool,
}

impl<'a, S: Sink, K: Track> Encoder<'a, S, K> {
    #[inline]
    fn scalar<V: Scalar>(self, value: V) -> Result<(), Error> {
        self.to.track.heard(|| value.to_string());
        self.to.output.put(value)
    }

    #[inline]
    fn fields(self) -> Result<Fields<'a, S, K>, Error> {
        let depth = self.depth.container().map_err(Error::encode)?;
        let level = self.to.track.level();
        Ok(Fields { to: self.to, depth, level, written: 0 })
    }

    #[inline]
    fn elements(self, announced: usize) -> Result<Elements<'a, S, K>, Error> {
        let depth = self.depth.container().map_err(Error::encode)?;
        self.to.output.put(announced as u64)?;
        let level = self.to.track.level();
        Ok(Elements { to: self.to, depth, level, announced, written: 0, in_entry: false })
    }

    #[inline]
    fn variant(
        &mut self,
        name: &'static str,
        index: u32,
        variant: &'static str,
    ) -> Result<(), Error> {
        self.to.track.named(name);
        self.to.shape.add_variant(variant);
        self.to.output.put(index)
    }

    /// Steps into the fields of a variant; the variant itself is a step on the path.
    fn enter_variant(&mut self, variant: &'static str) {
        let level = self.to.track.level();
        self.to.track.enter_untyped(level, Step::Variant(variant));
    }
}

impl<'a, S: Sink, K: Track> ser::Serializer for Encoder<'a, S, K> {
    type Ok = ();
    type Error = Error;
    type SerializeSeq = Elements<'a, S, K>;
    type SerializeTuple = Fields<'a, S, K>;
    type SerializeTupleStruct = Fields<'a, S, K>;
    type SerializeTupleVariant = Fields<'a, S, K>;
    type SerializeMap = Elements<'a, S, K>;
    type SerializeStruct = Fields<'a, S, K>;
    type SerializeStructVariant = Fields<'a, S, K>;

    #[inline]
    fn is_human_readable(&self) -> bool {
        false
    }

    #[inline]
    fn serialize_bool(self, value: bool) -> Result<(), Error> {
        self.scalar(value)
    }
    #[inline]
    fn serialize_i8(self, value: i8) -> Result<(), Error> {
        self.scalar(value)
    }
    #[inline]
    fn serialize_i16(self, value: i16) -> Result<(), Error> {
        self.scalar(value)
    }
    #[inline]
    fn serialize_i32(self, value: i32) -> Result<(), Error> {
        self.scalar(value)
    }
    #[inline]
    fn serialize_i64(self, value: i64) -> Result<(), Error> {
        self.scalar(value)
    }
    #[inline]
    fn serialize_i128(self, value: i128) -> Result<(), Error> {
        self.scalar(value)
    }
    #[inline]
    fn serialize_u8(self, value: u8) -> Result<(), Error> {
        self.scalar(value)
    }
    #[inline]
    fn serialize_u16(self, value: u16) -> Result<(), Error> {
        self.scalar(value)
    }
    #[inline]
    fn serialize_u32(self, value: u32) -> Result<(), Error> {
        self.scalar(value)
    }
    #[inline]
    fn serialize_u64(self, value: u64) -> Result<(), Error> {
        self.scalar(value)
    }
    #[inline]
    fn serialize_u128(self, value: u128) -> Result<(), Error> {
        self.scalar(value)
    }
    #[inline]
    fn serialize_f32(self, value: f32) -> Result<(), Error> {
        self.scalar(value)
    }
    #[inline]
    fn serialize_f64(self, value: f64) -> Result<(), Error> {
        self.scalar(value)
    }
    #[inline]
    fn serialize_char(self, value: char) -> Result<(), Error> {
        self.scalar(value)
    }

    #[inline]
    fn serialize_str(self, value: &str) -> Result<(), Error> {
        self.to.track.heard(|| quoted(value));
        self.to.output.put_bytes(value.as_bytes())
    }

    #[inline]
    fn serialize_bytes(self, value: &[u8]) -> Result<(), Error> {
        self.to.output.put_bytes(value)
    }

    /// Formats once, without allocating: the length is put in its place behind the text.
    fn collect_str<T: Display + ?Sized>(self, value: &T) -> Result<(), Error> {
        let at = self.to.output.written();
        self.to.output.put(0_u64)?;
        let mut text = Text { output: &mut self.to.output, written: 0, refused: None };
        let formatted = write!(text, "{value}");
        let Text { written, refused, .. } = text;
        match (refused, formatted) {
            (None, Ok(())) => {
                self.to.output.patch_length(at, written);
                Ok(())
            }
            (refused, _) => {
                self.to.failed = true;
                let said = || Error::encode(Reason::Said("its Display failed".to_owned()));
                Err(refused.unwrap_or_else(said))
            }
        }
    }

    #[inline]
    fn serialize_none(self) -> Result<(), Error> {
        self.to.output.put(0_u8)
    }

    #[inline]
    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Error> {
        let depth = self.depth.wrapper().map_err(Error::encode)?;
        self.to.track.unwrap::<T>();
        self.to.output.put(1_u8)?;
        part(self.to, depth, value)
    }

    #[inline]
    fn serialize_unit(self) -> Result<(), Error> {
        Ok(())
    }

    #[inline]
    fn serialize_unit_struct(self, _: &'static str) -> Result<(), Error> {
        Ok(())
    }

    #[inline]
    fn serialize_unit_variant(
        mut self,
        name: &'static str,
        index: u32,
        variant: &'static str,
    ) -> Result<(), Error> {
        self.to.track.heard(|| variant.to_owned());
        self.variant(name, index, variant)
    }

    #[inline]
    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        value: &T,
    ) -> Result<(), Error> {
        let depth = self.depth.wrapper().map_err(Error::encode)?;
        self.to.track.named(name);
        self.to.track.unwrap::<T>();
        part(self.to, depth, value)
    }

    #[inline]
    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        mut self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), Error> {
        let depth = self.depth.container().map_err(Error::encode)?;
        self.variant(name, index, variant)?;
        self.enter_variant(variant);
        self.to.track.unwrap::<T>();
        part(self.to, depth, value)
    }

    #[inline]
    fn serialize_seq(self, length: Option<usize>) -> Result<Self::SerializeSeq, Error> {
        match length {
            Some(length) => self.elements(length),
            None => Err(unsupported(
                "a sequence whose length is not known before its end",
                None,
                "collect it into a Vec first",
            )),
        }
    }

    #[inline]
    fn serialize_tuple(self, _: usize) -> Result<Self::SerializeTuple, Error> {
        self.fields()
    }

    #[inline]
    fn serialize_tuple_struct(
        self,
        name: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleStruct, Error> {
        self.to.track.named(name);
        self.fields()
    }

    #[inline]
    fn serialize_tuple_variant(
        mut self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleVariant, Error> {
        self.variant(name, index, variant)?;
        self.enter_variant(variant);
        self.fields()
    }

    #[inline]
    fn serialize_map(self, length: Option<usize>) -> Result<Self::SerializeMap, Error> {
        match length {
            Some(length) => self.elements(length),
            None => Err(unsupported(
                "a map whose length is not known before its end, as #[serde(flatten)] makes it",
                None,
                "name the flattened struct as a field of its own, or collect the map first",
            )),
        }
    }

    #[inline]
    fn serialize_struct(
        self,
        name: &'static str,
        _: usize,
    ) -> Result<Self::SerializeStruct, Error> {
        self.to.track.named(name);
        self.fields()
    }

    #[inline]
    fn serialize_struct_variant(
        mut self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Self::SerializeStructVariant, Error> {
        self.variant(name, index, variant)?;
        self.enter_variant(variant);
        self.fields()
    }
}

impl<S: Sink, K: Track> Fields<'_, S, K> {
    #[inline]
    fn field<T: Serialize + ?Sized>(&mut self, step: Step, value: &T) -> Result<(), Error> {
        self.written += 1;
        self.to.track.enter::<T>(self.level, || step);
        part(self.to, self.depth, value)?;
        self.to.track.leave(self.level);
        Ok(())
    }

    #[inline]
    fn position<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        self.field(Step::Position(self.written), value)
    }

    #[cold]
    fn skipped(&mut self, field: &'static str) -> Error {
        self.to.track.enter_untyped(self.level, Step::Field(field));
        unsupported(
            "#[serde(skip_serializing_if)]",
            Some(field),
            "bytes without field names cannot leave a field out; remove the attribute",
        )
    }

    #[inline]
    fn finish(self) -> Result<(), Error> {
        self.to.shape.add_fields(self.written);
        Ok(())
    }
}

impl<S: Sink, K: Track> Elements<'_, S, K> {
    #[inline]
    fn finish(self) -> Result<(), Error> {
        self.to.elements = self.to.elements.saturating_add(self.written as u64);
        if self.in_entry {
            return Err(Error::encode(Reason::HalfAnEntry));
        }
        if self.written == self.announced {
            return Ok(());
        }
        let (announced, written) = (self.announced, self.written);
        Err(Error::encode(Reason::WrongCount { announced, written }))
    }
}

impl<S: Sink, K: Track> ser::SerializeSeq for Elements<'_, S, K> {
    type Ok = ();
    type Error = Error;

    #[inline]
    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        let index = self.written;
        self.to.track.enter::<T>(self.level, || Step::Index(index));
        self.written += 1;
        part(self.to, self.depth, value)?;
        self.to.track.leave(self.level);
        Ok(())
    }

    #[inline]
    fn end(self) -> Result<(), Error> {
        self.finish()
    }
}

impl<S: Sink, K: Track> ser::SerializeMap for Elements<'_, S, K> {
    type Ok = ();
    type Error = Error;

    #[inline]
    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Error> {
        if self.in_entry {
            return Err(Error::encode(Reason::HalfAnEntry));
        }
        self.in_entry = true;
        let entry = self.written;
        self.to.track.enter::<T>(self.level, || Step::Key(entry));
        self.to.track.listen();
        part(self.to, self.depth, key)?;
        self.to.track.leave(self.level);
        Ok(())
    }

    #[inline]
    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        if !self.in_entry {
            return Err(Error::encode(Reason::HalfAnEntry));
        }
        self.in_entry = false;
        self.to.track.enter_value::<T>(self.level, self.written);
        self.written += 1;
        part(self.to, self.depth, value)?;
        self.to.track.leave(self.level);
        Ok(())
    }

    #[inline]
    fn end(self) -> Result<(), Error> {
        self.finish()
    }
}

/// The four kinds of fields differ for serde in the name of one method.
macro_rules! serialize_positions {
    ($($kind:ident::$method:ident)*) => {$(
        impl<S: Sink, K: Track> ser::$kind for Fields<'_, S, K> {
            type Ok = ();
            type Error = Error;

            #[inline]
            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
                self.position(value)
            }

            #[inline]
            fn end(self) -> Result<(), Error> {
                self.finish()
            }
        }
    )*};
}

macro_rules! serialize_named_fields {
    ($($kind:ident)*) => {$(
        impl<S: Sink, K: Track> ser::$kind for Fields<'_, S, K> {
            type Ok = ();
            type Error = Error;

            #[inline]
            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                name: &'static str,
                value: &T,
            ) -> Result<(), Error> {
                self.field(Step::Field(name), value)
            }

            fn skip_field(&mut self, name: &'static str) -> Result<(), Error> {
                Err(self.skipped(name))
            }

            #[inline]
            fn end(self) -> Result<(), Error> {
                self.finish()
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

/// A text that is encoded piece by piece.
struct Text<'a, S: Sink> {
    output: &'a mut Output<S>,
    written: usize,
    refused: Option<Error>,
}

impl<S: Sink> fmt::Write for Text<'_, S> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.written += text.len();
        self.output.put_raw(text.as_bytes()).map_err(|error| {
            self.refused = Some(error);
            fmt::Error
        })
    }
}

#[cold]
fn unsupported(what: &'static str, detail: Option<&'static str>, instead: &'static str) -> Error {
    Error::encode(Reason::Unsupported { what, detail, instead })
}
