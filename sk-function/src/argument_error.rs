//! What is wrong with the arguments of a call.

use std::fmt;

use sk_cereal::Value;

/// What is wrong with the arguments of a call. Nothing ran.
///
/// As the cause of a [`Failure`](crate::Failure) it is told by its text;
/// [`is_error_of::<ArgumentError>`](crate::Failure::is_error_of) tells that it was one.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ArgumentError {
    /// The function has no parameter of this name.
    Unknown {
        /// The function.
        function: &'static str,
        /// The name that was given.
        name: String,
        /// The names that it has, in order.
        parameters: Vec<&'static str>,
    },
    /// It has no names for its parameters: it was not declared with `#[function]`.
    Nameless {
        /// The function.
        function: &'static str,
        /// The name that was given.
        name: String,
    },
    /// An argument was given twice.
    Twice {
        /// The function.
        function: &'static str,
        /// The parameter.
        parameter: String,
    },
    /// There is no argument for a parameter.
    Missing {
        /// The function.
        function: &'static str,
        /// The parameter.
        parameter: String,
    },
    /// There are more arguments than parameters.
    TooMany {
        /// The function.
        function: &'static str,
        /// How many arguments were given.
        given: usize,
        /// How many parameters there are.
        limit: usize,
    },
    /// An argument is not what its parameter takes.
    WrongType {
        /// The function.
        function: &'static str,
        /// The parameter.
        parameter: String,
        /// The type of the parameter.
        expected: &'static str,
        /// What was given.
        given: String,
        /// What stands against it.
        reason: String,
    },
    /// An argument cannot be taken apart into a [`Value`].
    NotEncodable {
        /// The function.
        function: &'static str,
        /// The parameter.
        parameter: String,
        /// Why not.
        reason: String,
    },
}

impl fmt::Display for ArgumentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ArgumentError::Unknown { function, name, parameters } => {
                write!(f, "{function} has no parameter `{}`", Short(name))?;
                match parameters.as_slice() {
                    [] => f.write_str("; it has none"),
                    names => write!(f, "; it has `{}`", names.join("`, `")),
                }
            }
            ArgumentError::Nameless { function, name } => write!(
                f,
                "{function} has no parameter `{}`: it is not declared with #[function], so its \
                 parameters have no names; give them by position",
                Short(name)
            ),
            ArgumentError::Twice { function, parameter } => {
                write!(f, "argument `{}` of {function} was given twice", Short(parameter))
            }
            ArgumentError::Missing { function, parameter } => {
                write!(f, "argument `{}` of {function} is missing", Short(parameter))
            }
            ArgumentError::TooMany { function, given, limit } => {
                write!(f, "{function} takes at most {limit} arguments, not {given}")
            }
            ArgumentError::WrongType { function, parameter, expected, given, reason } => write!(
                f,
                "argument `{parameter}` of {function} is to be {expected}, not {given}: {}",
                Reason(reason)
            ),
            ArgumentError::NotEncodable { function, parameter, reason } => {
                write!(
                    f,
                    "argument `{}` of {function} cannot be encoded: {}",
                    Short(parameter),
                    Reason(reason)
                )
            }
        }
    }
}

impl std::error::Error for ArgumentError {}

/// A text that somebody gave, cut to what a message has room for.
pub(crate) struct Short<'a>(pub(crate) &'a str);

impl fmt::Display for Short<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        cut(f, self.0, 80)
    }
}

/// What an encoder or decoder says, which may repeat the whole value.
pub(crate) struct Reason<'a>(pub(crate) &'a str);

impl fmt::Display for Reason<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        cut(f, self.0, 400)
    }
}

/// Writes so many characters of a text at most.
fn cut(f: &mut fmt::Formatter<'_>, text: &str, most: usize) -> fmt::Result {
    match text.char_indices().nth(most) {
        None => f.write_str(text),
        Some((end, _)) => {
            let shown = text.get(..end).unwrap_or_default();
            write!(f, "{shown}… ({} bytes)", text.len())
        }
    }
}

/// What a value is, in a few words.
pub(crate) fn describe(value: &Value) -> String {
    match value {
        Value::Null => "nothing".to_owned(),
        Value::Bool(value) => format!("the truth value {value}"),
        Value::Int(value) => format!("the integer {value}"),
        Value::UInt(value) => format!("the integer {value}"),
        Value::F32(value) => format!("the number {value:?}"),
        Value::F64(value) => format!("the number {value:?}"),
        Value::Text(text) => format!("the text \"{}\"", Short(text)),
        Value::Bytes(bytes) => format!("{} bytes", bytes.len()),
        Value::Seq(elements) => format!("a sequence of {}", elements.len()),
        Value::Map(entries) => format!("a map of {}", entries.len()),
        _ => "a variant or an option".to_owned(),
    }
}
