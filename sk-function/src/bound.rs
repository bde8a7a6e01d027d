//! A callable with its arguments, whose types the compiler knows.

use std::any::{TypeId, type_name};
use std::fmt;
use std::time::{Duration, Instant};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::argument_error::ArgumentError;
use crate::call_id::CallId;
use crate::callable::{Arguments, AsyncCallable, Callable};
use crate::cancel::CancelFlag;
use crate::context::Context;
use crate::declaration::Declaration;
use crate::execution::{Ends, Execution};
use crate::function::Function;
use crate::image::Portable;
use crate::modifiers::{Modifiers, Plan};
use crate::operation::Operation;
use crate::outcome::{BoxError, Failure, catch_panic};
use crate::registry;
use crate::retry::{Repeat, Retry};

/// A callable with its arguments, whose types the compiler knows: nothing is encoded, and a plain
/// call allocates nothing.
///
/// [`bind`] makes one by position; what stands beside a declared function makes one by name.
///
/// ```
/// use std::time::Duration;
/// use sk_function::{Retry, bind, function};
///
/// #[function]
/// fn area(width: f64, height: f64) -> f64 {
///     width * height
/// }
///
/// assert_eq!(area::bind().height(3.0).width(2.0).execute()?, 6.0);
/// assert_eq!(bind(area, (2.0, 3.0)).timeout(Duration::from_secs(5)).execute()?, 6.0);
///
/// let parse = bind(|text: String| text.parse::<u64>(), ("x".to_owned(),));
/// let failure = parse.retry(Retry::new().attempts(1)).try_execute().unwrap_err();
/// assert_eq!(failure.message(), Some("invalid digit found in string"));
/// # Ok::<(), sk_function::Failure>(())
/// ```
#[derive(Clone)]
#[must_use = "a bound function does nothing until it is executed"]
pub struct Bound<F, A> {
    function: F,
    arguments: A,
    declaration: Option<&'static Declaration>,
    modifiers: Modifiers,
}

/// This function or closure with these arguments.
///
/// A declared function is found again by its type, with what it declares.
pub fn bind<F: 'static, A: Arguments>(function: F, arguments: A) -> Bound<F, A> {
    let declaration = registry::declaration_of(TypeId::of::<F>());
    Bound { function, arguments, declaration, modifiers: Modifiers::default() }
}

/// What its caller asks.
impl<F: 'static, A: Arguments> Bound<F, A> {
    #[doc(hidden)]
    pub fn declared(
        function: F,
        arguments: A,
        declaration: &'static Declaration,
        modifiers: Modifiers,
    ) -> Self {
        Bound { function, arguments, declaration: Some(declaration), modifiers }
    }

    /// Repeats the call by this policy when it fails.
    pub fn retry(mut self, policy: Retry) -> Self {
        self.modifiers.retry(policy);
        self
    }

    /// Bounds the whole call, all attempts and the waits between them; of several limits the
    /// smaller holds.
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.modifiers.timeout(limit);
        self
    }

    /// Bounds each attempt, in place of what the function declares; of several limits the smaller
    /// holds.
    pub fn attempt_timeout(mut self, limit: Duration) -> Self {
        self.modifiers.attempt_timeout(limit);
        self
    }

    /// With this id for its execution, which is known before it starts.
    pub fn with_id(mut self, id: CallId) -> Self {
        self.modifiers.id(id);
        self
    }

    /// The arguments.
    pub fn arguments(&self) -> &A {
        &self.arguments
    }

    /// The path of a declared function; for others the name that the compiler writes, which is not
    /// unique.
    pub fn name(&self) -> &'static str {
        self.declaration.map_or_else(type_name::<F>, Declaration::path)
    }

    #[inline]
    fn is_plain(&self) -> bool {
        self.modifiers.are_none()
            && self.declaration.is_none_or(|declaration| declaration.timeout().is_none())
    }

    fn plan(&mut self) -> Plan {
        let repeat = self.declaration.map_or(Repeat::Undeclared, Declaration::repeat);
        let timeout = self.declaration.and_then(Declaration::timeout);
        Plan::new(self.name(), repeat, timeout, std::mem::take(&mut self.modifiers))
    }
}

/// Running a synchronous one.
impl<F, A> Bound<F, A>
where
    F: Callable<A> + Clone + Send + 'static,
    F::Output: Send + 'static,
    A: Arguments + Clone + Send + 'static,
{
    /// Runs it here and now. It blocks until the function has returned, or a limit has passed.
    ///
    /// # Errors
    /// It panicked, or a limit has passed.
    #[inline]
    pub fn execute(self) -> Result<F::Output, Failure> {
        if self.is_plain() {
            let name = self.declaration;
            let call = || Context::enter_new(|| self.function.call(self.arguments));
            return catch_panic(call).map_err(|failure| named::<F>(name, failure));
        }
        self.execute_by(Ok)
    }

    /// Runs it here and now. An `Err` that it returns is a failure, and feeds the retry.
    ///
    /// # Errors
    /// It panicked, a limit has passed, or it returned an error.
    pub fn try_execute<T, E>(self) -> Result<T, Failure>
    where
        F: Callable<A, Output = Result<T, E>>,
        T: Send + 'static,
        E: Into<BoxError> + 'static,
    {
        self.execute_by(tried)
    }

    /// What waits for it: `.wait()`, `.await`, `.timeout(d)`, `.background()`. Awaited or in the
    /// background it is carried by a kept thread, so that it blocks no executor.
    pub fn operation(self) -> Operation<Execution<F::Output>> {
        self.operate(Ok)
    }

    /// As [`operation`](Bound::operation); an `Err` that it returns is a failure, and feeds the
    /// retry.
    pub fn try_operation<T, E>(self) -> Operation<Execution<T>>
    where
        F: Callable<A, Output = Result<T, E>>,
        T: Send + 'static,
        E: Into<BoxError> + 'static,
    {
        self.operate(tried)
    }

    fn execute_by<T: Send + 'static>(mut self, take: Take<F::Output, T>) -> Result<T, Failure> {
        let plan = self.plan();
        if plan.timeout().is_some() {
            return self.operate_by(plan, take).wait();
        }
        self.run(&plan, &CancelFlag::new(), None, take)
    }

    fn operate<T: Send + 'static>(mut self, take: Take<F::Output, T>) -> Operation<Execution<T>> {
        let plan = self.plan();
        self.operate_by(plan, take)
    }

    fn operate_by<T: Send + 'static>(
        self,
        plan: Plan,
        take: Take<F::Output, T>,
    ) -> Operation<Execution<T>> {
        let (execution, limit) = self.execution_by(plan, take);
        execution.within(limit)
    }

    /// What waits for it, and the limit of the whole call.
    pub(crate) fn into_execution(mut self) -> (Execution<F::Output>, Option<Duration>) {
        let plan = self.plan();
        self.execution_by(plan, Ok)
    }

    fn execution_by<T: Send + 'static>(
        self,
        plan: Plan,
        take: Take<F::Output, T>,
    ) -> (Execution<T>, Option<Duration>) {
        let limit = plan.timeout();
        let name = self.name();
        let work = move |flag: &CancelFlag, deadline| self.run(&plan, flag, deadline, take);
        (Execution::work(name, work), limit)
    }

    fn run<T: Send + 'static>(
        self,
        plan: &Plan,
        flag: &CancelFlag,
        deadline: Option<Instant>,
        take: Take<F::Output, T>,
    ) -> Result<T, Failure> {
        let outcome = plan.run(&plan.context(flag.clone(), deadline), || {
            let (function, arguments) = (self.function.clone(), self.arguments.clone());
            move || take(function.call(arguments))
        });
        and_dropped(plan, outcome, self)
    }
}

/// Running an async one.
impl<F, A> Bound<F, A>
where
    F: AsyncCallable<A> + Send + 'static,
    F::Output: Send + 'static,
    A: Arguments + Clone + Send + 'static,
{
    /// What waits for it: `.wait()`, `.await`, `.timeout(d)`, `.background()`. It is polled where it
    /// is awaited, unless it says that it [blocks](Declaration::has_blocking_calls); in the
    /// background by a kept thread.
    ///
    /// ```
    /// use sk_function::bind;
    ///
    /// async fn length(text: String) -> usize {
    ///     text.len()
    /// }
    /// assert_eq!(bind(length, ("four".to_owned(),)).async_operation().wait()?, 4);
    /// # Ok::<(), sk_function::Failure>(())
    /// ```
    pub fn async_operation(self) -> Operation<Execution<F::Output>> {
        self.operate_async(Ok)
    }

    /// As [`async_operation`](Bound::async_operation); an `Err` that it gives is a failure, and
    /// feeds the retry.
    pub fn try_async_operation<T, E>(self) -> Operation<Execution<T>>
    where
        F: AsyncCallable<A, Output = Result<T, E>>,
        T: Send + 'static,
        E: Into<BoxError> + Send + 'static,
    {
        self.operate_async(tried)
    }

    fn operate_async<T: Send + 'static>(
        mut self,
        take: Take<F::Output, T>,
    ) -> Operation<Execution<T>> {
        let plan = self.plan();
        let limit = plan.timeout();
        let name = self.name();
        let is_blocking = self.declaration.is_some_and(Declaration::has_blocking_calls);
        let flag = CancelFlag::new();
        let ends = Ends::default();
        let told = (flag.clone(), ends.clone());
        let Bound { function, arguments, .. } = self;
        let future = async move {
            // It owns what it calls, so that the future need not be shared to be sent.
            let mut make = move || {
                let called = function.call(arguments.clone());
                async move { take(called.await) }
            };
            // It begins with the first poll, and so does its limit.
            let context = plan.context(told.0, told.1.at());
            let outcome = plan.run_async(&context, &mut make).await;
            and_dropped(&plan, outcome, make)
        };
        let execution = Execution::future(name, flag, ends, future);
        if is_blocking { execution.onto_a_thread() } else { execution }.within(limit)
    }
}

/// As a value whose types only it knows.
impl<F, A> Bound<F, A>
where
    F: Portable + Callable<A>,
    F::Output: Serialize + Send + 'static,
    A: Arguments + Serialize + DeserializeOwned + 'static,
{
    /// The same as a [`Function`], which has names and travels.
    ///
    /// # Errors
    /// An argument cannot be encoded.
    pub fn function(self) -> Result<Function, ArgumentError> {
        let function = match self.declaration {
            Some(declaration) => Function::declared(declaration),
            None => Function::of::<F, A>(self.function),
        };
        Ok(function.positional(self.arguments)?.with_modifiers(self.modifiers))
    }
}

/// How a returned value becomes what the caller wants.
type Take<O, T> = fn(O) -> Result<T, Failure>;

fn tried<T, E: Into<BoxError>>(returned: Result<T, E>) -> Result<T, Failure> {
    returned.map_err(|error| Failure::from(error.into()).with_error_type::<E>())
}

/// The outcome of a call, when what all its attempts were made of is gone. That is the user's too: if
/// its drop panics, the call did.
fn and_dropped<T>(
    plan: &Plan,
    outcome: Result<T, Failure>,
    made_of: impl Sized,
) -> Result<T, Failure> {
    match catch_panic(|| drop(made_of)) {
        Ok(()) => outcome,
        Err(failure) => outcome.and(Err(plan.name(failure))),
    }
}

#[cold]
fn named<F>(declaration: Option<&'static Declaration>, failure: Failure) -> Failure {
    match failure.function() {
        Some(_) => failure,
        None => failure.with_function(declaration.map_or_else(type_name::<F>, Declaration::path)),
    }
}

impl<F: 'static, A: Arguments> fmt::Debug for Bound<F, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bound").field("name", &self.name()).finish_non_exhaustive()
    }
}
