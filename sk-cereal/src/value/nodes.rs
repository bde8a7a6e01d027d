//! A tree as a part of other values, in every mode and in every other serde format.
//!
//! A human-readable format sees what JSON shows. Any other may not be able to say what comes
//! next, and sees a flat sequence of nodes in the order in which they are met from the root: each
//! container tells how many parts follow it. Flat, because a tree as deep as the depth limit
//! would not fit within that limit as nested enums.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, DeserializeSeed as _, Deserializer, Error as _, SeqAccess, Visitor};
use serde::ser::{Serialize, SerializeSeq as _, Serializer};

use super::json::{Tree, View};
use super::{Value, Variant};
use crate::depth::DEFAULT_DEPTH;
use crate::error::{Reason, in_transit};

/// One node without its parts.
#[derive(serde::Serialize, serde::Deserialize)]
enum Node<'a> {
    Null,
    Bool(bool),
    Int(i128),
    UInt(u128),
    F32(f32),
    F64(f64),
    Text(Cow<'a, str>),
    Bytes(#[serde(with = "crate::bulk")] Cow<'a, [u8]>),
    /// One part follows.
    Some,
    /// So many parts follow.
    Seq(usize),
    /// So many pairs follow, each a key and a value.
    Map(usize),
    UnitVariant(Cow<'a, str>),
    /// One part follows.
    Variant(Cow<'a, str>),
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            return View::new(self, false).serialize(serializer);
        }
        let mut count = 0;
        let mut in_order = InOrder::of(self);
        for _ in in_order.by_ref() {
            count += 1;
        }
        if in_order.deepest > usize::from(DEFAULT_DEPTH) {
            return Err(too_deep());
        }
        let mut nodes = serializer.serialize_seq(Some(count))?;
        for value in InOrder::of(self) {
            nodes.serialize_element(&node(value))?;
        }
        nodes.end()
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            Tree::new().deserialize(deserializer)
        } else {
            deserializer.deserialize_seq(NodesVisitor)
        }
    }
}

/// All nodes of a tree, each before its parts.
struct InOrder<'a> {
    /// The nodes that are next, the last one first, with the number of containers around them.
    next: Vec<(&'a Value, usize)>,
    /// The most containers that were within one another so far.
    deepest: usize,
}

impl<'a> InOrder<'a> {
    fn of(root: &'a Value) -> Self {
        InOrder { next: vec![(root, 0)], deepest: 0 }
    }
}

impl<'a> Iterator for InOrder<'a> {
    type Item = &'a Value;

    fn next(&mut self) -> Option<&'a Value> {
        let (value, depth) = self.next.pop()?;
        let (value, inside) = (value.normal(), depth + 1);
        match value {
            Value::Some(inner) => self.next.push((inner, inside)),
            Value::Seq(elements) => {
                self.next.extend(elements.iter().rev().map(|value| (value, inside)));
            }
            Value::Map(entries) => {
                let parts = entries.iter().rev().flat_map(|(key, value)| [value, key]);
                self.next.extend(parts.map(|value| (value, inside)));
            }
            Value::Variant(variant) => {
                self.next.extend(variant.value.as_ref().map(|value| (value, inside)));
            }
            _ => return Some(value),
        }
        self.deepest = self.deepest.max(inside);
        Some(value)
    }
}

fn too_deep<E: serde::ser::Error>() -> E {
    E::custom(in_transit(Reason::TooDeep { limit: DEFAULT_DEPTH }))
}

fn node(value: &Value) -> Node<'_> {
    match value {
        Value::Null => Node::Null,
        Value::Bool(value) => Node::Bool(*value),
        Value::Int(value) => Node::Int(*value),
        Value::UInt(value) => Node::UInt(*value),
        Value::F32(value) => Node::F32(*value),
        Value::F64(value) => Node::F64(*value),
        Value::Text(value) => Node::Text(value.into()),
        Value::Bytes(value) => Node::Bytes(value.into()),
        Value::Some(_) => Node::Some,
        Value::Seq(elements) => Node::Seq(elements.len()),
        Value::Map(entries) => Node::Map(entries.len()),
        Value::Variant(variant) => match &variant.value {
            None => Node::UnitVariant((&variant.name).into()),
            Some(_) => Node::Variant((&variant.name).into()),
        },
    }
}

/// A container whose parts are being read.
enum Open {
    Some,
    Seq { left: usize, elements: Vec<Value> },
    Map { left: usize, key: Option<Value>, entries: Vec<(Value, Value)> },
    Variant { name: String },
}

impl Open {
    /// The container with `part` in it, or the whole of it if that was the last part.
    fn with(self, part: Value) -> Result<Value, Open> {
        match self {
            Open::Some => Ok(Value::some(part)),
            Open::Variant { name } => {
                Ok(Value::Variant(Box::new(Variant { name, value: Some(part) })))
            }
            Open::Seq { left, mut elements } => {
                elements.push(part);
                match left - 1 {
                    0 => Ok(Value::Seq(elements)),
                    left => Err(Open::Seq { left, elements }),
                }
            }
            Open::Map { left, key: None, entries } => {
                Err(Open::Map { left, key: Some(part), entries })
            }
            Open::Map { left, key: Some(key), mut entries } => {
                entries.push((key, part));
                match left - 1 {
                    0 => Ok(Value::Map(entries)),
                    left => Err(Open::Map { left, key: None, entries }),
                }
            }
        }
    }
}

struct NodesVisitor;

impl<'de> Visitor<'de> for NodesVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the nodes of a tree")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut nodes: A) -> Result<Value, A::Error> {
        let mut open: Vec<Open> = Vec::new();
        // How many nodes the open containers still wait for.
        let mut awaited = 1_usize;
        while let Some(node) = nodes.next_element()? {
            awaited = awaited.saturating_sub(1);
            let parts = match node {
                Node::Some | Node::Variant(_) => 1,
                Node::Seq(parts) => parts,
                Node::Map(entries) => entries.saturating_mul(2),
                _ => 0,
            };
            // Of the nodes that are left, those that nobody around waits for.
            let room = parts.min(nodes.size_hint().unwrap_or(0).saturating_sub(awaited));
            awaited = awaited.saturating_add(parts);
            let mut done = match node {
                Node::Null => Ok(Value::Null),
                Node::Bool(value) => Ok(Value::Bool(value)),
                Node::Int(value) => Ok(Value::Int(value)),
                Node::UInt(value) => Ok(Value::unsigned(value)),
                Node::F32(value) => Ok(Value::F32(value)),
                Node::F64(value) => Ok(Value::F64(value)),
                Node::Text(value) => Ok(Value::Text(value.into_owned())),
                Node::Bytes(value) => Ok(Value::Bytes(value.into_owned())),
                Node::Some => Err(Open::Some),
                Node::Seq(0) => Ok(Value::Seq(Vec::new())),
                Node::Seq(left) => Err(Open::Seq { left, elements: Vec::with_capacity(room) }),
                Node::Map(0) => Ok(Value::Map(Vec::new())),
                Node::Map(left) => {
                    let entries = Vec::with_capacity(room / 2);
                    Err(Open::Map { left, key: None, entries })
                }
                Node::UnitVariant(name) => Ok(Value::variant(&name, None)),
                Node::Variant(name) => Err(Open::Variant { name: name.into_owned() }),
            };
            // A part that is done may complete the container around it, and so on outwards.
            loop {
                match done {
                    Ok(value) => match open.pop() {
                        Some(container) => done = container.with(value),
                        None => return Ok(value),
                    },
                    Err(container) => {
                        if open.len() == usize::from(DEFAULT_DEPTH) {
                            let reason = Reason::TooDeep { limit: DEFAULT_DEPTH };
                            return Err(A::Error::custom(in_transit(reason)));
                        }
                        open.push(container);
                        break;
                    }
                }
            }
        }
        Err(A::Error::custom("the nodes of a tree end before the tree does"))
    }
}
