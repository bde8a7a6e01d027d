//! A callable with its arguments, whose types only it knows.

mod builder;
mod items;
mod ready;
mod target;
mod wire;

use std::any::TypeId;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sk_cereal::Value;

use crate::argument_error::ArgumentError;
use crate::call_id::CallId;
use crate::callable::{Arguments, Callable, few};
use crate::cancel::CancelFlag;
use crate::context::Context;
use crate::declaration::{Declaration, Parameter};
use crate::execution::Execution;
use crate::image::Portable;
use crate::kind::{FunctionKind, WrongKind};
use crate::modifiers::{Modifiers, Plan};
use crate::operation::Operation;
use crate::outcome::{Failure, catch_panic};
use crate::registry::{self, Domain, NameError};
use crate::retry::{Repeat, Retry};

use ready::{Ready, Take, tried, whole, wrong_type};
use target::Target;

pub use builder::FunctionBuilder;
pub use items::{Items, StreamItems};

/// A callable with its arguments, in one value: found by name, bound by name, sent anywhere.
///
/// Arguments are kept as [`Value`]s, and become what the function takes when it is called. So a
/// whole number may be given for any type of number that it fits, and a `&str` for a `String`.
/// Where the types are known while the program is built, [`Bound`](crate::Bound) costs less.
///
/// ```
/// use sk_function::{Function, function};
///
/// #[function]
/// fn area(width: f64, height: f64) -> f64 {
///     width * height
/// }
///
/// let path = area::declaration().path();
/// let answer: f64 = Function::get(path)?.arg("width", 2)?.arg("height", 3.5)?.execute()?;
/// assert_eq!(answer, 7.0);
///
/// // A name of our own for a function with its arguments, found from anywhere in the program.
/// area::function().arg("width", 1)?.arg("height", 2.25)?.register("door")?;
/// assert_eq!(Function::get("door")?.execute::<f64>()?, 2.25);
/// assert_eq!(Function::get("door")?.arg("height", 3)?.execute::<f64>()?, 3.0);
/// assert_eq!(area::function().names(), ["door"]);
/// # Ok::<(), sk_function::BoxError>(())
/// ```
///
/// # Across processes
///
/// It is encodable, and in another process it does the same. A declared function travels by its
/// path. Another function, or a closure that captures nothing, travels as a place in the table of
/// its executable, with the identity of that build: a process of another build refuses it and
/// names both. A closure that captures something stays in its process, and encoding it is an error.
#[derive(Clone)]
pub struct Function {
    target: Target,
    /// Shared by clones until one of them is changed: a look-up by name copies two words.
    given: Option<Arc<Given>>,
}

/// What a function was given.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Given {
    /// One for each parameter, as far as any was given.
    #[serde(deserialize_with = "few")]
    arguments: Vec<Option<Value>>,
    modifiers: Modifiers,
    metadata: BTreeMap<String, Value>,
}

static NOTHING: Given =
    Given { arguments: Vec::new(), modifiers: Modifiers::none(), metadata: BTreeMap::new() };

/// Where it comes from.
impl Function {
    /// The function of this name: the path of a declared one, or a name that was given.
    ///
    /// It looks in the [external](Domain::External) domain and in the global one.
    ///
    /// # Errors
    /// No function has this name, or two are declared with it; the error names the nearest.
    pub fn get(name: &str) -> Result<Self, NameError> {
        Function::get_in(Domain::External, name)
    }

    /// The function of this name in this domain, or else in the [global](Domain::Global) one.
    ///
    /// # Errors
    /// As [`get`](Function::get).
    pub fn get_in(domain: Domain, name: &str) -> Result<Self, NameError> {
        registry::find(domain, name)
    }

    /// This function or closure, which is found again by its type if it was declared.
    ///
    /// A closure that captures something can be run here and cannot be encoded. One that captures
    /// what is not `Copy` is taken by [`local`](Function::local).
    ///
    /// ```
    /// use sk_function::Function;
    ///
    /// let add = Function::of(|a: u64, b: u64| a + b);
    /// assert_eq!(add.positional((2, 3))?.execute::<u64>()?, 5);
    /// # Ok::<(), sk_function::BoxError>(())
    /// ```
    pub fn of<F, A>(function: F) -> Self
    where
        F: Portable + Callable<A>,
        F::Output: Serialize + Send + 'static,
        A: Arguments + DeserializeOwned + 'static,
    {
        match registry::declaration_of(TypeId::of::<F>()) {
            Some(declaration) => Function::declared(declaration),
            None => Function::with(Target::of(function)),
        }
    }

    /// A closure that only this process can run, whatever it captures.
    ///
    /// ```
    /// use sk_function::Function;
    ///
    /// let names = vec!["zero".to_owned(), "one".to_owned()];
    /// let name = Function::local(move |at: usize| names.get(at).cloned());
    /// assert_eq!(name.clone().positional((1,))?.execute::<Option<String>>()?.as_deref(), Some("one"));
    ///
    /// let error = sk_cereal::internal::to_vec(&name).unwrap_err();
    /// assert!(error.to_string().contains("captures"));
    /// # Ok::<(), sk_function::BoxError>(())
    /// ```
    pub fn local<F, A>(closure: F) -> Self
    where
        F: Callable<A> + Send + Sync + 'static,
        F::Output: Serialize + Send + 'static,
        A: Arguments + DeserializeOwned + 'static,
    {
        Function::with(Target::local(closure))
    }

    /// A builder, which gathers arguments and checks them all at its end.
    pub fn builder(self) -> FunctionBuilder {
        FunctionBuilder::new(self)
    }

    #[doc(hidden)]
    pub fn declared(declaration: &'static Declaration) -> Self {
        Function::with(Target::Declared(declaration))
    }

    fn with(target: Target) -> Self {
        Function { target, given: None }
    }

    fn given(&self) -> &Given {
        self.given.as_deref().unwrap_or(&NOTHING)
    }

    fn given_mut(&mut self) -> &mut Given {
        Arc::make_mut(self.given.get_or_insert_default())
    }
}

/// What it is given.
impl Function {
    /// With this argument for the parameter of this name, in place of one that it may have.
    ///
    /// # Errors
    /// There is no such parameter, or the value cannot be encoded.
    pub fn arg<T: Serialize>(mut self, name: &str, value: T) -> Result<Self, ArgumentError> {
        let at = self.position(name)?;
        let value = self.encoded(name, &value)?;
        self.put(at, value);
        Ok(self)
    }

    /// With these arguments for its first parameters, in place of those that it may have.
    ///
    /// # Errors
    /// There are fewer parameters, or a value cannot be encoded.
    pub fn positional<A: Arguments + Serialize>(
        mut self,
        arguments: A,
    ) -> Result<Self, ArgumentError> {
        let limit = self.target.arity();
        if A::COUNT > limit {
            let function = self.name();
            return Err(ArgumentError::TooMany { function, given: A::COUNT, limit });
        }
        // A tuple is a sequence, one of nothing is nothing.
        if let Value::Seq(values) = self.encoded("0", &arguments)? {
            for (at, value) in values.into_iter().enumerate() {
                self.put(at, value);
            }
        }
        Ok(self)
    }

    /// With these values for its first parameters.
    pub(crate) fn positions(mut self, values: &[Value]) -> Result<Self, ArgumentError> {
        let limit = self.target.arity();
        if values.len() > limit {
            let function = self.name();
            return Err(ArgumentError::TooMany { function, given: values.len(), limit });
        }
        for (at, value) in values.iter().enumerate() {
            self.put(at, value.clone());
        }
        Ok(self)
    }

    /// With a word of the caller's own beside it, which travels with it and means nothing here.
    ///
    /// # Errors
    /// The value cannot be encoded.
    pub fn meta<T: Serialize>(mut self, key: &str, value: T) -> Result<Self, ArgumentError> {
        let value = self.encoded(key, &value)?;
        self.given_mut().metadata.insert(key.to_owned(), value);
        Ok(self)
    }

    /// Repeats the call by this policy when it fails.
    #[must_use]
    pub fn retry(mut self, policy: Retry) -> Self {
        self.given_mut().modifiers.retry(policy);
        self
    }

    /// Bounds the whole call, all attempts and the waits between them; of several limits the
    /// smaller holds.
    #[must_use]
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.given_mut().modifiers.timeout(limit);
        self
    }

    /// Bounds each attempt, in place of what the function declares; of several limits the smaller
    /// holds.
    #[must_use]
    pub fn attempt_timeout(mut self, limit: Duration) -> Self {
        self.given_mut().modifiers.attempt_timeout(limit);
        self
    }

    /// With this id for its execution, which is known before it starts. It stays with a copy and
    /// on the way to another process; a name that is given does not keep it.
    #[must_use]
    pub fn with_id(mut self, id: CallId) -> Self {
        self.given_mut().modifiers.id(id);
        self
    }

    pub(crate) fn with_modifiers(mut self, modifiers: Modifiers) -> Self {
        if !modifiers.are_none() {
            self.given_mut().modifiers = modifiers;
        }
        self
    }

    /// With these arguments for the parameters that have none yet, in order.
    pub(crate) fn fill<A: Arguments + Serialize>(
        mut self,
        arguments: &A,
    ) -> Result<Self, ArgumentError> {
        let Value::Seq(values) = self.encoded("0", arguments)? else { return Ok(self) };
        let limit = self.target.arity();
        let given = self.given().arguments.iter().flatten().count() + values.len();
        let mut free = 0;
        for value in values {
            while matches!(self.given().arguments.get(free), Some(Some(_))) {
                free += 1;
            }
            if free >= limit {
                return Err(ArgumentError::TooMany { function: self.name(), given, limit });
            }
            self.put(free, value);
        }
        Ok(self)
    }

    pub(crate) fn put(&mut self, at: usize, value: Value) {
        let arguments = &mut self.given_mut().arguments;
        if arguments.len() <= at {
            arguments.resize(at + 1, None);
        }
        if let Some(place) = arguments.get_mut(at) {
            *place = Some(value);
        }
    }

    fn encoded<T: Serialize>(&self, parameter: &str, value: &T) -> Result<Value, ArgumentError> {
        Value::of(value).map_err(|error| ArgumentError::NotEncodable {
            function: self.name(),
            parameter: parameter.to_owned(),
            reason: error.to_string(),
        })
    }

    fn position(&self, name: &str) -> Result<usize, ArgumentError> {
        let function = self.name();
        let Some(declaration) = self.target.declaration() else {
            return Err(ArgumentError::Nameless { function, name: name.to_owned() });
        };
        let parameters = declaration.parameters();
        parameters.iter().position(|parameter| parameter.name() == name).ok_or_else(|| {
            let parameters = parameters.iter().map(Parameter::name).collect();
            ArgumentError::Unknown { function, name: name.to_owned(), parameters }
        })
    }
}

/// What it says of itself.
impl Function {
    /// The path of a declared function; for others the name that the compiler writes, which is not
    /// unique.
    pub fn name(&self) -> &'static str {
        self.target.name()
    }

    /// How it gives what it gives.
    pub fn kind(&self) -> FunctionKind {
        self.target.kind()
    }

    /// What was written down of it, if it was declared.
    pub fn declaration(&self) -> Option<&'static Declaration> {
        self.target.declaration()
    }

    /// The argument for the parameter of this name, if it has one.
    pub fn argument(&self, name: &str) -> Option<&Value> {
        let at = self.position(name).ok()?;
        self.given().arguments.get(at)?.as_ref()
    }

    /// The arguments that it has, in the order of the parameters.
    pub fn arguments(&self) -> &[Option<Value>] {
        &self.given().arguments
    }

    /// The words of the caller's own beside it.
    pub fn metadata(&self) -> &BTreeMap<String, Value> {
        &self.given().metadata
    }

    /// Whether only this process can run it.
    pub fn is_local(&self) -> bool {
        matches!(self.target, Target::Local(_))
    }

    /// What it says of being done twice.
    pub fn repeat(&self) -> Repeat {
        self.declaration().map_or(Repeat::Undeclared, Declaration::repeat)
    }

    /// The type of what it calls: the same for all that call the same.
    pub(crate) fn callable(&self) -> TypeId {
        self.target.callable()
    }
}

/// Names.
impl Function {
    /// Gives it this name, with the arguments that it has, in the [external](Domain::External)
    /// domain.
    ///
    /// # Errors
    /// The name is taken, empty, or longer than [`NAME_LIMIT`](registry::NAME_LIMIT).
    pub fn register(self, name: &str) -> Result<(), NameError> {
        self.register_in(Domain::External, name)
    }

    /// Gives it this name in this domain.
    ///
    /// # Errors
    /// As [`register`](Function::register).
    pub fn register_in(mut self, domain: Domain, name: &str) -> Result<(), NameError> {
        // An id is of one execution, and a name is for many.
        if self.given.is_some() {
            self.given_mut().modifiers.forget_id();
        }
        registry::give(domain, name, self)
    }

    /// Gives it this name, and runs it.
    ///
    /// # Errors
    /// It is async or gives many values, or an argument is missing or of another type, and then it
    /// does not have the name; it cannot have the name, and then it did not run; or as
    /// [`execute`](Function::execute).
    pub fn register_and_execute<R: Send + 'static>(self, name: &str) -> Result<R, Failure> {
        self.clone().ready(FunctionKind::Sync)?;
        if let Some(wrong) = self.wrong_type() {
            return Err(self.refused(&wrong));
        }
        let named = self.clone().register(name);
        named.map_err(|error| self.refused(&error))?;
        self.execute()
    }

    /// The names that were given to functions that call the same as this one, with whatever
    /// arguments, in the external domain, sorted.
    pub fn names(&self) -> Vec<String> {
        registry::names_of(Domain::External, self.callable())
    }
}

/// Running it.
impl Function {
    /// Runs it here and now. It blocks until the function has returned, or a limit has passed.
    ///
    /// ```
    /// use std::time::Duration;
    /// use sk_function::{Function, Retry};
    ///
    /// let halve = Function::of(|n: u64| n.checked_div(2).filter(|_| n % 2 == 0))
    ///     .positional((8,))?
    ///     .retry(Retry::new().attempts(2))
    ///     .timeout(Duration::from_secs(5));
    /// assert_eq!(halve.execute::<Option<u64>>()?, Some(4));
    /// # Ok::<(), sk_function::BoxError>(())
    /// ```
    ///
    /// # Errors
    /// It panicked; a limit has passed; an argument is missing or of another type; it returns
    /// something else than `R`; it is of another [kind](FunctionKind).
    pub fn execute<R: Send + 'static>(self) -> Result<R, Failure> {
        self.run(whole::<R>)
    }

    /// Runs it here and now. An `Err` that it returns is a failure, and feeds the retry.
    ///
    /// ```
    /// use sk_function::function;
    ///
    /// #[function]
    /// fn parse(text: String) -> Result<u64, std::num::ParseIntError> {
    ///     text.parse()
    /// }
    ///
    /// assert_eq!(parse::function().arg("text", "7")?.try_execute::<u64>()?, 7);
    /// let failure = parse::function().arg("text", "x")?.try_execute::<u64>().unwrap_err();
    /// assert!(failure.is_error_of::<std::num::ParseIntError>());
    /// # Ok::<(), sk_function::BoxError>(())
    /// ```
    ///
    /// # Errors
    /// As [`execute`](Function::execute), or what it returned; it does not return a `Result`.
    pub fn try_execute<T: Send + 'static>(self) -> Result<T, Failure> {
        self.run(tried::<T>)
    }

    /// What waits for it: `.wait()`, `.await`, `.timeout(d)`, `.background()`. For synchronous
    /// functions and for async ones.
    ///
    /// Awaited or in the background a synchronous function is carried by a kept thread, so that it
    /// blocks no executor. An async one is polled where it is awaited, unless it says that it
    /// [blocks](Declaration::has_blocking_calls).
    ///
    /// ```
    /// use sk_function::function;
    ///
    /// #[function]
    /// async fn fetch(url: String) -> usize {
    ///     url.len()
    /// }
    ///
    /// # futures::executor::block_on(async {
    /// let length: usize = fetch::function().arg("url", "sk://")?.operation().await?;
    /// assert_eq!(length, 5);
    /// # Ok::<(), sk_function::BoxError>(())
    /// # })?;
    /// assert_eq!(fetch::function().arg("url", "")?.operation::<usize>().wait()?, 0);
    /// # Ok::<(), sk_function::BoxError>(())
    /// ```
    pub fn operation<R: Send + 'static>(self) -> Operation<Execution<R>> {
        self.operate(whole::<R>)
    }

    /// As [`operation`](Function::operation); an `Err` that it returns is a failure, and feeds the
    /// retry.
    pub fn try_operation<T: Send + 'static>(self) -> Operation<Execution<T>> {
        self.operate(tried::<T>)
    }

    /// Runs an iterator: each value when it is asked for.
    ///
    /// # Errors
    /// As [`execute`](Function::execute). A retry or a limit is refused: an iterator cannot be
    /// repeated from where it was.
    pub fn iterate<T: Send + 'static>(self) -> Result<Items<T>, Failure> {
        let ready = self.ready(FunctionKind::Iterator)?;
        ready.items()
    }

    /// Runs a stream: each value when its future is done.
    ///
    /// # Errors
    /// As [`iterate`](Function::iterate).
    pub fn stream<T: Send + 'static>(self) -> Result<StreamItems<T>, Failure> {
        let ready = self.ready(FunctionKind::Stream)?;
        ready.stream_items()
    }

    fn run<R: Send + 'static>(self, take: Take<R>) -> Result<R, Failure> {
        let ready = self.ready(FunctionKind::Sync)?;
        if ready.plan.timeout().is_some() {
            return ready.work(take).wait();
        }
        if ready.is_plain {
            let call = || Context::enter_new(|| ready.call(take));
            let outcome = catch_panic(call).unwrap_or_else(Err).unwrap_or_else(Err);
            return outcome.map_err(|failure| ready.plan.name(failure));
        }
        ready.run(&CancelFlag::new(), None, take)
    }

    fn operate<R: Send + 'static>(self, take: Take<R>) -> Operation<Execution<R>> {
        let function = self.name();
        let kind = self.kind();
        let is_blocking = self.declaration().is_some_and(Declaration::has_blocking_calls);
        let kind = if kind == FunctionKind::Async { kind } else { FunctionKind::Sync };
        match self.ready(kind) {
            Err(failure) => Operation::new(Execution::refused(function, failure)),
            Ok(ready) if kind == FunctionKind::Sync => ready.work(take),
            Ok(ready) => ready.future(take, is_blocking),
        }
    }

    /// All that a call of this kind needs.
    fn ready(self, kind: FunctionKind) -> Result<Ready, Failure> {
        if self.kind() != kind {
            let wrong = WrongKind::failure(self.kind(), kind);
            return Err(wrong.with_function(self.name()));
        }
        if let Err(error) = self.check_count() {
            return Err(self.refused(&error));
        }
        let declared_timeout = self.declaration().and_then(Declaration::timeout);
        // A wrong argument is found when they are read. It does not become right by trying again.
        if self.given().modifiers.has_retry()
            && let Some(wrong) = self.wrong_type()
        {
            return Err(self.refused(&wrong));
        }
        let (name, repeat) = (self.name(), self.repeat());
        let given = self.given.map(Arc::unwrap_or_clone).unwrap_or_default();
        let is_plain = given.modifiers.are_none() && declared_timeout.is_none();
        let plan = Plan::new(name, repeat, declared_timeout, given.modifiers);
        let values: Vec<Value> = given.arguments.into_iter().flatten().collect();
        let arguments = if values.is_empty() { Value::Null } else { Value::Seq(values) };
        Ok(Ready { target: self.target, arguments: Arc::new(arguments), plan, is_plain })
    }

    /// The first argument that is not what its parameter takes, where that is written down.
    fn wrong_type(&self) -> Option<ArgumentError> {
        wrong_type(self.declaration()?, self.given().arguments.iter().map(Option::as_ref))
    }

    /// Whether there is an argument for each parameter.
    fn check_count(&self) -> Result<(), ArgumentError> {
        let function = self.name();
        for at in 0..self.target.arity() {
            if !matches!(self.given().arguments.get(at), Some(Some(_))) {
                let parameter = self.target.parameter(at);
                return Err(ArgumentError::Missing { function, parameter });
            }
        }
        Ok(())
    }

    /// As the failure of a call that did not start.
    fn refused<E: std::error::Error>(&self, error: &E) -> Failure {
        Failure::error(error).with_no_start().with_function(self.name())
    }
}

impl fmt::Debug for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let given = self.given().arguments.iter().flatten().count();
        f.debug_struct("Function")
            .field("name", &self.name())
            .field("kind", &self.kind())
            .field("arguments", &format_args!("{given} of {}", self.target.arity()))
            .finish_non_exhaustive()
    }
}
