//! Arguments by name, checked together.

use serde::Serialize;

use super::Function;
use crate::argument_error::ArgumentError;

/// Gathers the arguments of a [`Function`] in any order, and checks them all when it is
/// [built](FunctionBuilder::build).
///
/// Arguments that the function has already may be given again here, once each.
///
/// ```
/// use sk_function::{ArgumentError, function};
///
/// #[function]
/// fn area(width: f64, height: f64) -> f64 {
///     width * height
/// }
///
/// let door = area::function().builder().arg("height", 2.0).arg("width", 1.5).build()?;
/// assert_eq!(door.execute::<f64>()?, 3.0);
///
/// let error = area::function().builder().arg("height", 2.0).build().unwrap_err();
/// assert!(error.to_string().contains("argument `width`"));
/// let error = area::function().builder().arg("depth", 2.0).build().unwrap_err();
/// assert!(matches!(error, ArgumentError::Unknown { .. }));
/// # Ok::<(), sk_function::BoxError>(())
/// ```
#[must_use = "a builder does nothing until it is built"]
#[derive(Debug)]
pub struct FunctionBuilder {
    function: Function,
    given: Vec<usize>,
    /// The first thing that was wrong.
    wrong: Option<ArgumentError>,
}

impl FunctionBuilder {
    pub(super) fn new(function: Function) -> Self {
        FunctionBuilder { function, given: Vec::new(), wrong: None }
    }

    /// With this argument for the parameter of this name.
    pub fn arg<T: Serialize>(mut self, name: &str, value: T) -> Self {
        if self.wrong.is_none()
            && let Err(error) = self.add(name, &value)
        {
            self.wrong = Some(error);
        }
        self
    }

    /// With a word of the caller's own beside it; see [`Function::meta`].
    pub fn meta<T: Serialize>(mut self, key: &str, value: T) -> Self {
        match self.function.clone().meta(key, value) {
            Ok(function) => self.function = function,
            Err(error) => {
                self.wrong.get_or_insert(error);
            }
        }
        self
    }

    fn add<T: Serialize>(&mut self, name: &str, value: &T) -> Result<(), ArgumentError> {
        let at = self.function.position(name)?;
        if self.given.contains(&at) {
            let function = self.function.name();
            return Err(ArgumentError::Twice { function, parameter: name.to_owned() });
        }
        let value = self.function.encoded(name, value)?;
        self.given.push(at);
        self.function.put(at, value);
        Ok(())
    }

    /// The function with its arguments.
    ///
    /// # Errors
    /// What was wrong first: an argument for no parameter, one given twice, one that is missing, one
    /// that is not what its parameter takes.
    pub fn build(self) -> Result<Function, ArgumentError> {
        if let Some(error) = self.wrong {
            return Err(error);
        }
        self.function.check_count()?;
        match self.function.wrong_type() {
            Some(wrong) => Err(wrong),
            None => Ok(self.function),
        }
    }
}
