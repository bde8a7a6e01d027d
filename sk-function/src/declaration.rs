//! What `#[function]` writes down of a function.

use std::any::TypeId;
use std::fmt;
use std::pin::Pin;
use std::time::Duration;

use futures_core::Stream;
use sk_cereal::{Value, internal};

use crate::answer::Answer;
use crate::kind::FunctionKind;
use crate::outcome::Failure;
use crate::retry::Repeat;

/// What a function that is declared with [`#[function]`](macro@crate::function) says of itself.
///
/// ```
/// use sk_function::{Repeat, function};
///
/// #[function(idempotent)]
/// fn area(width: f64, height: f64) -> f64 {
///     width * height
/// }
///
/// let declaration = area::declaration();
/// assert!(declaration.path().ends_with(".area"));
/// assert_eq!(declaration.repeat(), Repeat::Idempotent);
/// let names: Vec<_> = declaration.parameters().iter().map(|parameter| parameter.name()).collect();
/// assert_eq!(names, ["width", "height"]);
/// ```
pub struct Declaration(Parts);

/// What the macro fills in.
#[doc(hidden)]
pub struct Parts {
    pub path: &'static str,
    pub package: &'static str,
    pub version: &'static str,
    pub file: &'static str,
    pub line: u32,
    /// The binary that it is in, if it is not in a library.
    pub binary: Option<&'static str>,
    pub parameters: Box<[Parameter]>,
    pub returns: fn() -> &'static str,
    pub repeat: Repeat,
    pub blocking: Option<&'static [&'static str]>,
    pub timeout: Option<Duration>,
    /// The type of the function itself, which is what it is when it is passed by value.
    pub function: TypeId,
    pub start: Start,
}

/// A parameter of a declared function.
pub struct Parameter {
    name: &'static str,
    type_name: fn() -> &'static str,
    fits: fn(&Value) -> Result<(), sk_cereal::Error>,
}

/// How a function is started, by its kind.
#[doc(hidden)]
#[derive(Clone, Copy)]
pub enum Start {
    Sync(Run),
    Async(fn(Input<'_>) -> Result<BoxFuture, Failure>),
    Iterator(fn(Input<'_>) -> Result<BoxIterator, Failure>),
    Stream(fn(Input<'_>) -> Result<BoxStream, Failure>),
}

/// Reads the arguments, calls the function, and tells what it returned.
pub(crate) type Run = fn(Input<'_>, Output<'_>) -> Result<(), Failure>;

#[doc(hidden)]
pub type BoxFuture = Pin<Box<dyn Future<Output = Box<dyn Answer>> + Send>>;
#[doc(hidden)]
pub type BoxIterator = Box<dyn Iterator<Item = Box<dyn Answer>> + Send>;
#[doc(hidden)]
pub type BoxStream = Pin<Box<dyn Stream<Item = Box<dyn Answer>> + Send>>;

/// The tuple of arguments, in one of the forms that it arrives in.
#[doc(hidden)]
#[derive(Clone, Copy)]
pub enum Input<'a> {
    /// [`internal`] bytes.
    Bytes(&'a [u8]),
    /// A sequence, or nothing for no arguments.
    Tree(&'a Value),
}

/// Where the returned value goes.
#[doc(hidden)]
pub enum Output<'a> {
    /// Appended, as [`internal`] bytes.
    Bytes(&'a mut Vec<u8>),
    /// As it is.
    Whole(&'a mut Option<Box<dyn Answer>>),
}

impl Declaration {
    #[doc(hidden)]
    pub fn new(parts: Parts) -> Self {
        Declaration(parts)
    }

    /// Its dotted path: crate, modules, name.
    pub fn path(&self) -> &'static str {
        self.0.path
    }

    /// The package that it is in.
    pub fn package(&self) -> &'static str {
        self.0.package
    }

    /// The version of that package.
    pub fn version(&self) -> &'static str {
        self.0.version
    }

    /// The source file that it is in, as the compiler was told it.
    pub fn file(&self) -> &'static str {
        self.0.file
    }

    /// The line of that file.
    pub fn line(&self) -> u32 {
        self.0.line
    }

    /// How it gives what it gives.
    pub fn kind(&self) -> FunctionKind {
        self.0.start.kind()
    }

    /// Its parameters, in order, without a [`Context`](crate::Context).
    pub fn parameters(&self) -> &[Parameter] {
        &self.0.parameters
    }

    /// The name of the type that it gives: what it returns, what its future gives, or what each of
    /// its items is.
    pub fn returns(&self) -> &'static str {
        (self.0.returns)()
    }

    /// What it says of being done twice.
    pub fn repeat(&self) -> Repeat {
        self.0.repeat
    }

    /// Whether it says that it blocks its thread for long: in async code it is always carried by a
    /// thread of its own.
    pub fn has_blocking_calls(&self) -> bool {
        self.0.blocking.is_some()
    }

    /// What it says that it blocks in: the texts of `#[function(blocking("…", "…"))]`.
    pub fn blocking_calls(&self) -> &'static [&'static str] {
        self.0.blocking.unwrap_or_default()
    }

    /// How long one attempt may take, if it says so and its caller does not.
    pub fn timeout(&self) -> Option<Duration> {
        self.0.timeout
    }

    pub(crate) fn function(&self) -> TypeId {
        self.0.function
    }

    pub(crate) fn start(&self) -> Start {
        self.0.start
    }

    /// Where it stands, for messages.
    pub(crate) fn place(&self) -> impl fmt::Display + '_ {
        fmt::from_fn(|f| {
            let Parts { file, line, package, version, binary, .. } = &self.0;
            write!(f, "{file}:{line} in {package} {version}")?;
            match binary {
                Some(binary) => write!(f, ", binary {binary}"),
                None => f.write_str(", library"),
            }
        })
    }
}

impl fmt::Debug for Declaration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Declaration")
            .field("path", &self.path())
            .field("kind", &self.kind())
            .finish_non_exhaustive()
    }
}

impl Parameter {
    #[doc(hidden)]
    pub fn new<T: serde::de::DeserializeOwned>(name: &'static str) -> Self {
        Parameter {
            name,
            type_name: std::any::type_name::<T>,
            fits: |value| value.to::<T>().map(drop),
        }
    }

    /// Its name.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The name of its type, as the compiler writes it.
    pub fn type_name(&self) -> &'static str {
        (self.type_name)()
    }

    /// Whether this value becomes an argument of its type.
    pub(crate) fn fits(&self, value: &Value) -> Result<(), sk_cereal::Error> {
        (self.fits)(value)
    }
}

impl fmt::Debug for Parameter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.type_name())
    }
}

impl Start {
    pub(crate) fn kind(self) -> FunctionKind {
        match self {
            Start::Sync(_) => FunctionKind::Sync,
            Start::Async(_) => FunctionKind::Async,
            Start::Iterator(_) => FunctionKind::Iterator,
            Start::Stream(_) => FunctionKind::Stream,
        }
    }
}

impl Input<'_> {
    /// The arguments. Not inlined, so that it is made once for all functions of these parameters.
    #[inline(never)]
    pub fn read<A: serde::de::DeserializeOwned>(self) -> Result<A, Failure> {
        let arguments = match self {
            Input::Bytes(bytes) => internal::from_slice(bytes),
            Input::Tree(tree) => tree.to(),
        };
        arguments.map_err(|error| Failure::undecodable(&error))
    }
}

impl Output<'_> {
    /// Tells a value that knows itself what it can do.
    pub fn answer(self, answer: Box<dyn Answer>) -> Result<(), Failure> {
        match self {
            Output::Bytes(bytes) => answer.append(bytes),
            Output::Whole(place) => {
                *place = Some(answer);
                Ok(())
            }
        }
    }

    /// Tells a value that can be encoded.
    #[inline(never)]
    pub fn tell<T: serde::Serialize + Send + 'static>(self, value: T) -> Result<(), Failure> {
        match self {
            Output::Bytes(bytes) => {
                internal::append(&value, bytes).map_err(|error| Failure::error(&error))
            }
            Output::Whole(place) => {
                *place = Some(crate::answer::encodable(value));
                Ok(())
            }
        }
    }
}
