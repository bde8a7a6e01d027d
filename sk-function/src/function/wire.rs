//! How a function travels.

use std::borrow::Cow;
use std::sync::Arc;

use serde::de::Error as _;
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Function, Given, Target};
use crate::argument_error::ArgumentError;
use crate::identity::BuildIdentity;
use crate::image::{self, Reference};
use crate::registry;

#[derive(Serialize, Deserialize)]
#[serde(rename = "Function")]
struct Wire<'a> {
    target: WireTarget<'a>,
    given: Cow<'a, Given>,
}

#[derive(Serialize, Deserialize)]
enum WireTarget<'a> {
    /// A declared function, by its path.
    Name(String),
    /// A place in the table of this build.
    Place { build: Cow<'a, BuildIdentity>, reference: Reference },
}

impl Serialize for Function {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let target = match &self.target {
            Target::Declared(declaration) => {
                WireTarget::Name(registry::name_of(declaration).map_err(S::Error::custom)?)
            }
            Target::Code(code) => WireTarget::Place {
                build: Cow::Borrowed(BuildIdentity::of_this_process().map_err(S::Error::custom)?),
                reference: code.reference().map_err(S::Error::custom)?,
            },
            Target::Local(_) => {
                return Err(S::Error::custom(format_args!(
                    "{} captures something, or is a pointer to a function, so only this process can run \
                     it; name the function itself, send what it captures as an argument, or declare \
                     a #[function] that takes it",
                    self.name()
                )));
            }
        };
        Wire { target, given: Cow::Borrowed(self.given()) }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Function {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let wire = Wire::deserialize(deserializer)?;
        let target = match wire.target {
            WireTarget::Name(name) => {
                registry::declared_as(&name).map_err(D::Error::custom)?.target
            }
            WireTarget::Place { build, reference } => {
                let here = BuildIdentity::of_this_process().map_err(D::Error::custom)?;
                here.expect(&build).map_err(D::Error::custom)?;
                Target::Code(image::accept(reference).map_err(D::Error::custom)?)
            }
        };
        let (given, limit) = (wire.given.arguments.len(), target.arity());
        if given > limit {
            let function = target.name();
            return Err(D::Error::custom(ArgumentError::TooMany { function, given, limit }));
        }
        Ok(Function { target, given: Some(Arc::new(wire.given.into_owned())) })
    }
}
