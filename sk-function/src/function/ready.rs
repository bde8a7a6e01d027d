//! A call that has all it needs: how it is made, and what becomes of its answer.

use std::any::{Any, type_name};
use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use sk_cereal::Value;

use super::Target;
use crate::answer::Answer;
use crate::argument_error::{ArgumentError, describe};
use crate::cancel::CancelFlag;
use crate::declaration::{BoxFuture, Declaration, Input, Start};
use crate::execution::{Ends, Execution};
use crate::kind::{FunctionKind, WrongKind};
use crate::modifiers::Plan;
use crate::operation::Operation;
use crate::outcome::Failure;

/// A call that has all it needs.
pub(super) struct Ready {
    pub(super) target: Target,
    /// The tuple of arguments, shared by all attempts.
    pub(super) arguments: Arc<Value>,
    pub(super) plan: Plan,
    /// Neither its caller nor its declaration asks for anything.
    pub(super) is_plain: bool,
}

impl Ready {
    /// One call, here and now.
    pub(super) fn call<R: 'static>(&self, take: Take<R>) -> Result<Result<R, Failure>, Failure> {
        call(&self.target, &self.arguments, take)
    }

    pub(super) fn run<R: Send + 'static>(
        &self,
        flag: &CancelFlag,
        deadline: Option<Instant>,
        take: Take<R>,
    ) -> Result<R, Failure> {
        let context = self.plan.context(flag.clone(), deadline);
        let outcome = self.plan.run(&context, || {
            let (target, arguments) = (self.target.clone(), Arc::clone(&self.arguments));
            move || call(&target, &arguments, take)
        });
        outcome.unwrap_or_else(Err).map_err(|failure| self.plan.name(failure))
    }

    pub(super) fn work<R: Send + 'static>(self, take: Take<R>) -> Operation<Execution<R>> {
        let limit = self.plan.timeout();
        let function = self.target.name();
        let work = move |flag: &CancelFlag, deadline| self.run(flag, deadline, take);
        Execution::work(function, work).within(limit)
    }

    pub(super) fn future<R: Send + 'static>(
        self,
        take: Take<R>,
        is_blocking: bool,
    ) -> Operation<Execution<R>> {
        let limit = self.plan.timeout();
        let function = self.target.name();
        let flag = CancelFlag::new();
        let ends = Ends::default();
        let told = (flag.clone(), ends.clone());
        let future = async move {
            let make = || {
                let started = start_async(&self.target, &self.arguments);
                async move { take(started?.await) }
            };
            // It begins with the first poll, and so does its limit.
            let context = self.plan.context(told.0, told.1.at());
            let outcome = self.plan.run_async(&context, make).await;
            outcome.unwrap_or_else(Err).map_err(|failure| self.plan.name(failure))
        };
        let execution = Execution::future(function, flag, ends, future);
        if is_blocking { execution.onto_a_thread() } else { execution }.within(limit)
    }
}

fn call<R: 'static>(
    target: &Target,
    arguments: &Value,
    take: Take<R>,
) -> Result<Result<R, Failure>, Failure> {
    take(
        target
            .call(Input::Tree(arguments))
            .map_err(|failure| misfit(target, arguments, failure))?,
    )
}

fn start_async(target: &Target, arguments: &Value) -> Result<BoxFuture, Failure> {
    match target.declaration().map(Declaration::start) {
        Some(Start::Async(start)) => {
            start(Input::Tree(arguments)).map_err(|failure| misfit(target, arguments, failure))
        }
        _ => Err(WrongKind::failure(target.kind(), FunctionKind::Async)),
    }
}

/// Where arguments could not be read, which of them is at fault.
#[cold]
pub(super) fn misfit(target: &Target, arguments: &Value, failure: Failure) -> Failure {
    let (Some(declaration), Value::Seq(values)) = (target.declaration(), arguments) else {
        return failure;
    };
    if !failure.is_undecodable() {
        return failure;
    }
    match wrong_type(declaration, values.iter().map(Some)) {
        Some(wrong) => Failure::error(&wrong).with_no_start(),
        None => failure,
    }
}

/// The first argument that is not what its parameter takes.
pub(super) fn wrong_type<'a>(
    declaration: &Declaration,
    values: impl Iterator<Item = Option<&'a Value>>,
) -> Option<ArgumentError> {
    declaration.parameters().iter().zip(values).find_map(|(parameter, value)| {
        let error = parameter.fits(value?).err()?;
        Some(ArgumentError::WrongType {
            function: declaration.path(),
            parameter: parameter.name().to_owned(),
            expected: parameter.type_name(),
            given: describe(value?),
            reason: error.to_string(),
        })
    })
}

/// How an answer becomes what the caller wants. The outer failure is that of the attempt; the inner
/// one is final: the caller asked for something else than what the function gives.
pub(super) type Take<R> = fn(Box<dyn Answer>) -> Result<Result<R, Failure>, Failure>;

/// What it returned, as it is.
pub(super) fn whole<R: 'static>(answer: Box<dyn Answer>) -> Result<Result<R, Failure>, Failure> {
    let returned = answer.type_name();
    let can_be_tried = returned.starts_with("core::result::Result<");
    let wrong = || WrongOutput { returned, asked: type_name::<R>(), can_be_tried };
    Ok(cast(answer.into_any()).map_err(|_| Failure::error(&wrong())))
}

/// The value of a returned `Result`.
pub(super) fn tried<T: 'static>(answer: Box<dyn Answer>) -> Result<Result<T, Failure>, Failure> {
    let returned = answer.type_name();
    let asked = type_name::<T>();
    let Some(outcome) = answer.tried() else {
        return Ok(Err(Failure::error(&NoResult { returned })));
    };
    let wrong = || WrongOutput { returned, asked, can_be_tried: false };
    Ok(cast(outcome?).map_err(|_| Failure::error(&wrong())))
}

fn cast<R: 'static>(value: Box<dyn Any + Send>) -> Result<R, Box<dyn Any + Send>> {
    value.downcast::<R>().map(|value| *value)
}

/// It returned something else than its caller asked for.
#[derive(Debug)]
struct WrongOutput {
    returned: &'static str,
    asked: &'static str,
    can_be_tried: bool,
}

impl fmt::Display for WrongOutput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let WrongOutput { returned, asked, can_be_tried } = self;
        write!(f, "it gives {returned}, and {asked} was asked for")?;
        if *can_be_tried {
            f.write_str("; the `try_` form takes the value out of a Result")?;
        }
        Ok(())
    }
}

impl std::error::Error for WrongOutput {}

#[derive(Debug)]
struct NoResult {
    returned: &'static str,
}

impl fmt::Display for NoResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let returned = self.returned;
        write!(
            f,
            "it gives {returned}, which is no Result of a function that is declared; use the form without `try_`"
        )
    }
}

impl std::error::Error for NoResult {}
