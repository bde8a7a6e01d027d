//! Parameters of a binding that have their argument or not.

use serde::Serialize;
use sk_cereal::Value;

use crate::argument_error::ArgumentError;

/// A parameter that has no argument yet.
#[derive(Debug, Clone, Copy)]
pub struct Missing;

/// The argument of a parameter.
#[derive(Debug, Clone, Copy)]
pub struct Given<T>(pub T);

/// A parameter with or without its argument, for those who do not know which.
pub trait Slot {
    /// Its argument, if it has one.
    fn to_value(
        &self,
        parameter: &'static str,
        function: &'static str,
    ) -> Result<Option<Value>, ArgumentError>;
}

impl Slot for Missing {
    fn to_value(&self, _: &'static str, _: &'static str) -> Result<Option<Value>, ArgumentError> {
        Ok(None)
    }
}

impl<T: Serialize> Slot for Given<T> {
    fn to_value(
        &self,
        parameter: &'static str,
        function: &'static str,
    ) -> Result<Option<Value>, ArgumentError> {
        Value::of(&self.0).map(Some).map_err(|error| ArgumentError::NotEncodable {
            function,
            parameter: parameter.to_owned(),
            reason: error.to_string(),
        })
    }
}
