//! What a function calls.

use std::any::{TypeId, type_name};
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::answer::Answer;
use crate::callable::{Arguments, Callable};
use crate::declaration::{Declaration, Input, Output, Start};
use crate::image::{self, Code, Portable};
use crate::kind::{FunctionKind, WrongKind};
use crate::outcome::Failure;

#[derive(Clone)]
pub(super) enum Target {
    /// It travels by its path.
    Declared(&'static Declaration),
    /// It travels as a place in the table of this executable.
    Code(Code),
    /// It stays in this process.
    Local(Arc<Local>),
}

/// A closure of this process.
pub(super) struct Local {
    name: &'static str,
    arity: usize,
    callable: TypeId,
    run: Box<LocalRun>,
}

type LocalRun = dyn Fn(Input<'_>, Output<'_>) -> Result<(), Failure> + Send + Sync;

impl Target {
    pub(super) fn of<F, A>(function: F) -> Self
    where
        F: Portable + Callable<A>,
        F::Output: Serialize + Send + 'static,
        A: Arguments + DeserializeOwned + 'static,
    {
        match image::ship_if_empty(&function) {
            // A function of a dynamic library is in no table: it can be run here all the same.
            Some(Ok(reference)) => match image::accept(reference) {
                Ok(code) => Target::Code(code),
                Err(_) => Target::local(function),
            },
            Some(Err(_)) | None => Target::local(function),
        }
    }

    pub(super) fn local<F, A>(closure: F) -> Self
    where
        F: Callable<A> + Send + Sync + 'static,
        F::Output: Serialize + Send + 'static,
        A: Arguments + DeserializeOwned + 'static,
    {
        Target::Local(Arc::new(Local {
            name: type_name::<F>(),
            arity: A::COUNT,
            callable: TypeId::of::<F>(),
            run: Box::new(move |input, output| output.tell(closure.call(input.read()?))),
        }))
    }

    pub(super) fn name(&self) -> &'static str {
        match self {
            Target::Declared(declaration) => declaration.path(),
            Target::Code(code) => code.name(),
            Target::Local(local) => local.name,
        }
    }

    pub(super) fn declaration(&self) -> Option<&'static Declaration> {
        match self {
            Target::Declared(declaration) => Some(declaration),
            Target::Code(code) => code.declaration(),
            Target::Local(_) => None,
        }
    }

    pub(super) fn kind(&self) -> FunctionKind {
        self.declaration().map_or(FunctionKind::Sync, Declaration::kind)
    }

    pub(super) fn arity(&self) -> usize {
        match self {
            Target::Declared(declaration) => declaration.parameters().len(),
            Target::Code(code) => code.arity(),
            Target::Local(local) => local.arity,
        }
    }

    /// The name of a parameter, or its position where it has none.
    pub(super) fn parameter(&self, at: usize) -> String {
        let named = self.declaration().and_then(|declaration| declaration.parameters().get(at));
        named.map_or_else(|| at.to_string(), |parameter| parameter.name().to_owned())
    }

    pub(super) fn callable(&self) -> TypeId {
        match self {
            Target::Declared(declaration) => declaration.function(),
            Target::Code(code) => code.type_id(),
            Target::Local(local) => local.callable,
        }
    }

    /// Calls a synchronous function.
    pub(super) fn call(&self, input: Input<'_>) -> Result<Box<dyn Answer>, Failure> {
        let mut answer = None;
        let output = Output::Whole(&mut answer);
        match self {
            Target::Declared(declaration) => match declaration.start() {
                Start::Sync(run) => run(input, output)?,
                other => return Err(WrongKind::failure(other.kind(), FunctionKind::Sync)),
            },
            Target::Code(code) => code.start(input, output)?,
            Target::Local(local) => (local.run)(input, output)?,
        }
        answer.ok_or_else(|| Failure::disconnected("a function that told nothing"))
    }
}
