//! A call as data: the name of a function, its arguments, and where it is to run.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use sk_cereal::Value;

use crate::argument_error::{ArgumentError, Reason, Short};
use crate::callable::few;
use crate::declaration::Declaration;
use crate::function::Function;
use crate::kind::FunctionKind;
use crate::outcome::Failure;
use crate::registry::{self, NameError};
use crate::slot::Slot;

/// A call as it is written down and sent: exactly a function's name, its positional arguments and
/// its named ones.
///
/// [`magic!`](crate::magic) makes one that the compiler has checked. This is what arrives from
/// elsewhere, so nothing in it is believed before [`function`](Call::function) has looked.
///
/// ```
/// use sk_cereal::{Json, Value};
/// use sk_function::{Call, function};
///
/// #[function(name = "shapes.area")]
/// fn area(width: f64, height: f64) -> f64 {
///     width * height
/// }
///
/// let call = Call::new("shapes.area").arg(2.0)?.kwarg("height", 3.0)?;
/// assert_eq!(
///     Value::of(&call)?.to_json(Json::compact())?,
///     r#"{"func":"shapes.area","args":[2.0],"kwargs":{"height":3.0}}"#
/// );
/// assert_eq!(call.function()?.execute::<f64>()?, 6.0);
/// # Ok::<(), sk_function::BoxError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Call {
    func: String,
    #[serde(deserialize_with = "few")]
    args: Vec<Value>,
    #[serde(deserialize_with = "each_once")]
    kwargs: BTreeMap<String, Value>,
}

impl Call {
    /// A call of the function of this name, without arguments.
    pub fn new(func: impl Into<String>) -> Self {
        Call { func: func.into(), args: Vec::new(), kwargs: BTreeMap::new() }
    }

    /// What `magic!` makes: the first so many arguments by position, the others by name.
    pub(crate) fn of(
        declaration: &'static Declaration,
        positional: usize,
        slots: &[&dyn Slot],
    ) -> Result<Self, CallError> {
        let path = registry::name_of(declaration).map_err(|error| CallError(Wrong::Name(error)))?;
        let mut call = Call::new(path);
        for (at, (slot, parameter)) in slots.iter().zip(declaration.parameters()).enumerate() {
            let value = slot.to_value(parameter.name(), declaration.path());
            let Some(value) = value.map_err(wrong_argument)? else { continue };
            if at < positional {
                call.args.push(value);
            } else {
                call.kwargs.insert(parameter.name().to_owned(), value);
            }
        }
        Ok(call)
    }

    /// With one more positional argument.
    ///
    /// # Errors
    /// It cannot be encoded.
    pub fn arg<T: Serialize>(mut self, value: T) -> Result<Self, CallError> {
        let at = self.args.len();
        self.args.push(encoded(&at.to_string(), &value)?);
        Ok(self)
    }

    /// With this named argument.
    ///
    /// # Errors
    /// It cannot be encoded, was given already, or its name is one of the
    /// [control keywords](CONTROL_KEYWORDS), which are no arguments: they belong to [`Magic`].
    pub fn kwarg<T: Serialize>(mut self, name: &str, value: T) -> Result<Self, CallError> {
        if CONTROL_KEYWORDS.contains(&name) {
            return Err(CallError(Wrong::Control(name.to_owned())));
        }
        let value = encoded(name, &value)?;
        if self.kwargs.insert(name.to_owned(), value).is_some() {
            return Err(CallError(Wrong::Twice(name.to_owned())));
        }
        Ok(self)
    }

    /// The name of the function.
    pub fn func(&self) -> &str {
        &self.func
    }

    /// The positional arguments.
    pub fn args(&self) -> &[Value] {
        &self.args
    }

    /// The named arguments.
    pub fn kwargs(&self) -> &BTreeMap<String, Value> {
        &self.kwargs
    }

    /// The function that it calls, with its arguments.
    ///
    /// Control keywords among the named arguments, as another program may send them, are left out.
    ///
    /// # Errors
    /// No function has this name, or the arguments are not those of its parameters.
    pub fn function(&self) -> Result<Function, CallError> {
        let mut function =
            Function::get(&self.func).map_err(|error| CallError(Wrong::Name(error)))?;
        function = function.positions(&self.args).map_err(wrong_argument)?;
        for (name, value) in &self.kwargs {
            if CONTROL_KEYWORDS.contains(&name.as_str()) {
                continue;
            }
            let function_name = function.name();
            let is_given = function.declaration().is_some_and(|declaration| {
                let positional = declaration.parameters().iter().take(self.args.len());
                positional.into_iter().any(|parameter| parameter.name() == name)
            });
            if is_given {
                return Err(wrong_argument(ArgumentError::Twice {
                    function: function_name,
                    parameter: name.clone(),
                }));
            }
            function = function.arg(name, value).map_err(wrong_argument)?;
        }
        Ok(function)
    }
}

/// What steers a call and is never an argument: `place` says where it runs, `pop` that it is taken
/// out of the row of calls and runs beside it.
///
/// `where` is what programs of other languages say for `place`.
pub const CONTROL_KEYWORDS: [&str; 3] = ["place", "pop", "where"];

/// Named arguments, of which none is there twice: neither value is the one that was meant.
fn each_once<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeMap<String, Value>, D::Error> {
    struct EachOnce;

    impl<'de> Visitor<'de> for EachOnce {
        type Value = BTreeMap<String, Value>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a map of named arguments")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut kwargs = BTreeMap::new();
            while let Some((name, value)) = map.next_entry::<String, Value>()? {
                match kwargs.entry(name) {
                    Entry::Vacant(place) => {
                        place.insert(value);
                    }
                    Entry::Occupied(place) => {
                        let twice = Wrong::Twice(place.key().clone());
                        return Err(A::Error::custom(CallError(twice)));
                    }
                }
            }
            Ok(kwargs)
        }
    }

    deserializer.deserialize_map(EachOnce)
}

fn encoded<T: Serialize>(name: &str, value: &T) -> Result<Value, CallError> {
    Value::of(value).map_err(|error| {
        CallError(Wrong::NotEncodable { name: name.to_owned(), reason: error.to_string() })
    })
}

fn wrong_argument(error: ArgumentError) -> CallError {
    CallError(Wrong::Argument(error))
}

/// What is wrong with a [`Call`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallError(Wrong);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Wrong {
    Name(NameError),
    Argument(ArgumentError),
    Control(String),
    Twice(String),
    NotEncodable { name: String, reason: String },
}

impl CallError {
    /// No one function has this name.
    pub fn is_name(&self) -> bool {
        matches!(self.0, Wrong::Name(_))
    }

    /// The arguments are not those of the function.
    pub fn is_argument(&self) -> bool {
        !self.is_name()
    }
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Wrong::Name(error) => error.fmt(f),
            Wrong::Argument(error) => error.fmt(f),
            Wrong::Control(name) => {
                write!(f, "`{name}` steers a call and is no argument of its function")
            }
            Wrong::Twice(name) => write!(f, "argument `{}` was given twice", Short(name)),
            Wrong::NotEncodable { name, reason } => {
                write!(f, "argument `{}` cannot be encoded: {}", Short(name), Reason(reason))
            }
        }
    }
}

impl std::error::Error for CallError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        // The texts of both are this error's own.
        None
    }
}

/// Where a call runs.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Place {
    /// On the thread of its caller.
    #[default]
    Here,
    /// On a kept thread of this process.
    Thread,
    /// In a process of its own, which ends with it.
    NewProcess,
    /// In the pool of this name.
    Pool(String),
    /// In the worker of this index.
    Worker(usize),
}

/// A [`Call`] and what steers it: where it runs, and whether it is popped.
///
/// What steers it is not in the [record](Magic::call) and never reaches the function.
///
/// ```
/// use sk_function::{Place, function, magic};
///
/// #[function]
/// fn area(width: f64, height: f64) -> f64 {
///     width * height
/// }
///
/// let call = magic!(area(2.0, height = 3.0, pop = true)).place(Place::Thread);
/// assert!(call.is_popped());
/// assert_eq!(call.call()?.args().len(), 1);
/// assert_eq!(call.call()?.kwargs().len(), 1);
/// assert_eq!(call.execute()?, 6.0);
/// # Ok::<(), sk_function::BoxError>(())
/// ```
#[must_use = "a call does nothing until it is executed"]
pub struct Magic<R> {
    call: Result<Call, CallError>,
    place: Place,
    is_popped: bool,
    result: PhantomData<fn() -> R>,
}

impl<R> Magic<R> {
    #[doc(hidden)]
    pub fn new(call: Result<Call, CallError>) -> Self {
        Magic { call, place: Place::Here, is_popped: false, result: PhantomData }
    }

    #[doc(hidden)]
    pub fn named(func: &str) -> Self {
        Magic::new(Ok(Call::new(func)))
    }

    #[doc(hidden)]
    pub fn arg<T: Serialize>(mut self, value: T) -> Self {
        self.call = self.call.and_then(|call| call.arg(value));
        self
    }

    #[doc(hidden)]
    pub fn kwarg<T: Serialize>(mut self, name: &str, value: T) -> Self {
        // As the compiler writes what the caller wrote, raw or not.
        let name = name.strip_prefix("r#").unwrap_or(name);
        self.call = self.call.and_then(|call| call.kwarg(name, value));
        self
    }

    /// With this place to run at.
    pub fn place(mut self, place: Place) -> Self {
        self.place = place;
        self
    }

    /// Taken out of the row of calls, to run beside it, or not.
    pub fn pop(mut self, is_popped: bool) -> Self {
        self.is_popped = is_popped;
        self
    }

    /// The record: what is sent.
    ///
    /// # Errors
    /// An argument cannot be encoded, or was given twice.
    pub fn call(&self) -> Result<&Call, CallError> {
        self.call.as_ref().map_err(Clone::clone)
    }

    /// Where it is to run.
    pub fn to_place(&self) -> &Place {
        &self.place
    }

    /// Whether it is taken out of the row of calls.
    pub fn is_popped(&self) -> bool {
        self.is_popped
    }
}

impl<R: Send + 'static> Magic<R> {
    /// Runs it at its place and blocks until it has ended.
    ///
    /// # Errors
    /// As [`Function::execute`]; the call is wrong; or its place is not in this process, which
    /// needs a layer above: the pools of sk-pool run such calls.
    pub fn execute(&self) -> Result<R, Failure> {
        let wrong = |error: CallError| Failure::error(&error).with_no_start();
        let call = self.call().map_err(wrong)?;
        let function = call.function().map_err(|error| wrong(error).with_function(call.func()))?;
        match &self.place {
            Place::Here => match function.kind() {
                FunctionKind::Async => function.operation().wait(),
                _ => function.execute(),
            },
            Place::Thread => function.operation().background().wait(),
            elsewhere => {
                let error = NotHere { place: elsewhere.clone() };
                Err(Failure::error(&error).with_no_start().with_function(function.name()))
            }
        }
    }
}

impl<R> Clone for Magic<R> {
    fn clone(&self) -> Self {
        let Magic { call, place, is_popped, result } = self;
        Magic { call: call.clone(), place: place.clone(), is_popped: *is_popped, result: *result }
    }
}

impl<R> fmt::Debug for Magic<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Magic")
            .field("call", &self.call)
            .field("place", &self.place)
            .field("is_popped", &self.is_popped)
            .finish_non_exhaustive()
    }
}

#[derive(Debug)]
struct NotHere {
    place: Place,
}

impl fmt::Display for NotHere {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "a call for {:?} is run by a layer above, such as a pool, not by the process that makes it",
            self.place
        )
    }
}

impl std::error::Error for NotHere {}

/// A call as data, of a function that the compiler has looked at: its path, how many arguments,
/// their names and types.
///
/// Positional arguments come first, named ones after. `place = …` and `pop = …` steer it and are no
/// arguments. With a text in place of a path nothing is checked before it runs.
///
/// ```
/// use sk_function::{Magic, Place, function, magic};
///
/// #[function(name = "shapes.volume")]
/// fn volume(width: f64, height: f64, depth: f64) -> f64 {
///     width * height * depth
/// }
///
/// let call = magic!(volume(2.0, 3.0, depth = 4.0, place = Place::Thread));
/// assert_eq!(call.call()?.func(), "shapes.volume");
/// assert_eq!(call.execute()?, 24.0);
///
/// let call: Magic<f64> = magic!("shapes.volume", 2, 3, depth = 4);
/// assert_eq!(call.execute()?, 24.0);
/// # Ok::<(), sk_function::BoxError>(())
/// ```
#[macro_export]
macro_rules! magic {
    ($name:literal $(, $($arguments:tt)*)?) => {
        $crate::__magic_text!([$crate::Magic::named($name)] $($($arguments)*)?)
    };
    (::$($path:ident)::+ ( $($arguments:tt)* )) => {
        $crate::__magic_start!([::$($path)::+] $($arguments)*)
    };
    ($($path:ident)::+ ( $($arguments:tt)* )) => {
        $crate::__magic_start!([$($path)::+] $($arguments)*)
    };
}

/// Begins with no argument, and the setters of all positions.
#[doc(hidden)]
#[macro_export]
macro_rules! __magic_start {
    ([$($path:tt)*] $($arguments:tt)*) => {
        $crate::__magic_path!(
            [$($path)*::__slots()]
            []
            [
                __argument_1 __argument_2 __argument_3 __argument_4 __argument_5 __argument_6
                __argument_7 __argument_8 __argument_9 __argument_10 __argument_11 __argument_12
            ]
            $($arguments)*
        )
    };
}

/// Takes arguments one by one: what was bound, what steers, the setters of positions to come.
#[doc(hidden)]
#[macro_export]
macro_rules! __magic_path {
    ([$($bound:tt)*] [$($steered:tt)*] $positions:tt) => { $($bound)*.__magic() $($steered)* };
    ([$($bound:tt)*] [$($steered:tt)*] $positions:tt place = $place:expr $(, $($rest:tt)*)?) => {
        $crate::__magic_path!([$($bound)*] [$($steered)* .place($place)] $positions $($($rest)*)?)
    };
    ([$($bound:tt)*] [$($steered:tt)*] $positions:tt pop = $pop:expr $(, $($rest:tt)*)?) => {
        $crate::__magic_path!([$($bound)*] [$($steered)* .pop($pop)] $positions $($($rest)*)?)
    };
    ([$($bound:tt)*] $steered:tt $positions:tt $name:ident = $value:expr $(, $($rest:tt)*)?) => {
        $crate::__magic_path!([$($bound)*.$name($value)] $steered $positions $($($rest)*)?)
    };
    (
        [$($bound:tt)*] $steered:tt [$position:ident $($positions:ident)*]
        $value:expr $(, $($rest:tt)*)?
    ) => {
        $crate::__magic_path!([$($bound)*.$position($value)] $steered [$($positions)*] $($($rest)*)?)
    };
}

/// As `__magic_path`, for a call that nobody checks.
#[doc(hidden)]
#[macro_export]
macro_rules! __magic_text {
    ([$($call:tt)*]) => { $($call)* };
    ([$($call:tt)*] place = $place:expr $(, $($rest:tt)*)?) => {
        $crate::__magic_text!([$($call)*.place($place)] $($($rest)*)?)
    };
    ([$($call:tt)*] pop = $pop:expr $(, $($rest:tt)*)?) => {
        $crate::__magic_text!([$($call)*.pop($pop)] $($($rest)*)?)
    };
    ([$($call:tt)*] $name:ident = $value:expr $(, $($rest:tt)*)?) => {
        $crate::__magic_text!([$($call)*.kwarg(stringify!($name), $value)] $($($rest)*)?)
    };
    ([$($call:tt)*] $value:expr $(, $($rest:tt)*)?) => {
        $crate::__magic_text!([$($call)*.arg($value)] $($($rest)*)?)
    };
}
