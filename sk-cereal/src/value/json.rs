//! The tree as JSON text and back.
//!
//! What JSON has a form for is written in that form. The rest is an object of one entry whose key
//! begins with a dollar sign; [the format](crate::docs::format) lists them. An ordinary object of one
//! entry with such a key gets one more dollar sign, which is taken away when it is read. All other
//! objects are left as they are, so JSON from elsewhere (`"$ref"`, `"$schema"`) passes through
//! unchanged.

mod read;
mod sizes;
mod write;

use serde::Serialize as _;
use serde::de::DeserializeSeed as _;

use super::Value;
use crate::depth::{DEFAULT_DEPTH, Depth, drop_deep};
use crate::error::{Direction, Error, Reason, said};
use crate::header::Mode;

pub(super) use read::Tree;
use sizes::Sizes;
pub(super) use write::View;

/// How JSON text is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Json {
    indent: Option<u8>,
    sort_keys: bool,
}

impl Json {
    /// On one line, without spaces, keys in the order of the tree.
    pub fn compact() -> Self {
        Json { indent: None, sort_keys: false }
    }

    /// One line an element, two spaces a level, keys in the order of the tree.
    pub fn pretty() -> Self {
        Json::compact().indent(2)
    }

    /// One line an element, so many spaces a level.
    #[must_use]
    pub fn indent(self, spaces: u8) -> Self {
        Json { indent: Some(spaces), ..self }
    }

    /// The keys of every object in ascending order of their bytes: the same text for the same
    /// hash map, whatever its order. Entries of a map that JSON has no form for are ordered by the
    /// text of their keys. A hash set is a sequence, and keeps its order.
    #[must_use]
    pub fn sort_keys(self) -> Self {
        Json { sort_keys: true, ..self }
    }
}

impl Value {
    /// This tree as JSON text, which [`from_json`](Value::from_json) reads back to a tree that
    /// describes the same `T`: every float comes back bit by bit. How JSON says what it has no
    /// form for is told [in the format](crate::docs::format).
    ///
    /// # Errors
    /// The tree is deeper than 1,000.
    pub fn to_json(&self, layout: Json) -> Result<String, Error> {
        let view = View::new(self, layout.sort_keys);
        let mut text = Vec::new();
        let written = match layout.indent {
            None => view.serialize(&mut serde_json::Serializer::new(&mut text)),
            Some(spaces) => {
                let spaces = " ".repeat(spaces.into());
                let formatter = serde_json::ser::PrettyFormatter::with_indent(spaces.as_bytes());
                view.serialize(&mut serde_json::Serializer::with_formatter(&mut text, formatter))
            }
        };
        // Writing to memory does not fail, and serde_json writes UTF-8: what is left is the depth.
        let written = written.map_err(|error| error.to_string());
        written
            .and_then(|()| String::from_utf8(text).map_err(|error| error.to_string()))
            .map_err(|message| Error::encode(said(message)).in_type::<Value>(Direction::Encode))
    }

    /// The tree of a JSON text, as [`to_json`](Value::to_json) writes it or from elsewhere.
    ///
    /// An integer beyond 64 bits that is written as a plain number becomes the nearest float, as
    /// most readers of JSON have it. Of two entries with one key both are kept.
    ///
    /// # Errors
    /// The text is not JSON, deeper than 1,000, or holds bytes of this crate's internal mode. The
    /// error names line and column.
    pub fn from_json(text: impl AsRef<[u8]>) -> Result<Value, Error> {
        read(text.as_ref()).map_err(|error| error.in_type::<Value>(Direction::Decode))
    }
}

fn read(text: &[u8]) -> Result<Value, Error> {
    if let Some(found) = Mode::of(text) {
        return Err(Error::decode(Reason::NotJson { found }));
    }
    let sizes = Sizes::of(text);
    let mut reader = serde_json::Deserializer::from_slice(text);
    reader.disable_recursion_limit();
    let value = Tree::with_sizes(&sizes).deserialize(&mut reader).map_err(located)?;
    match reader.end() {
        Ok(()) => Ok(value),
        Err(error) => {
            drop_deep(value);
            Err(located(error))
        }
    }
}

/// What `serde_json` found, with the place that it ends its message with apart.
#[expect(clippy::needless_pass_by_value, reason = "it is the end of the error")]
fn located(error: serde_json::Error) -> Error {
    let (line, column) = (error.line(), error.column());
    let message = error.to_string();
    let place = format!(" at line {line} column {column}");
    let message = message.strip_suffix(&place).unwrap_or(&message).to_owned();
    Error::decode(Reason::Json { line, column, reason: Box::new(said(message)) })
}

const DEPTH: Depth = Depth::new(DEFAULT_DEPTH);

/// The keys that stand for what JSON has no form for.
const TAGS: [&str; 6] = ["$some", "$int", "$f64", "$f32", "$bytes", "$map"];

/// Whether an object of one entry with this key would be taken for a tag, or for one with further
/// dollar signs in front.
fn looks_tagged(key: &str) -> bool {
    let name = key.trim_start_matches('$');
    name.len() < key.len() && TAGS.iter().any(|tag| tag.strip_prefix('$') == Some(name))
}
