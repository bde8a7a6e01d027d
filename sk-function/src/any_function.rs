//! One parameter type for everything that can be called.

use std::any::{TypeId, type_name};
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::bound::Bound;
use crate::callable::{Arguments, AsyncCallable, Callable};
use crate::cancel::CancelFlag;
use crate::context::Context;
use crate::declaration::Declaration;
use crate::execution::{Ends, Execution};
use crate::function::Function;
use crate::image::Portable;
use crate::kind::{FunctionKind, WrongKind};
use crate::modifiers::{Modifiers, Plan};
use crate::operation::Operation;
use crate::outcome::{Failure, catch_panic};
use crate::registry;
use crate::retry::Repeat;

/// Anything that can be called with an `A` and gives an `R`, whatever it was made of.
///
/// What takes a callable takes `impl `[`IntoFunction`]`<R, A, M>`, and works with this inside.
///
/// ```
/// use sk_function::{AnyFunction, Function, IntoFunction, function};
///
/// fn twice<M>(f: impl IntoFunction<u64, (u64,), M>, n: u64) -> Result<u64, sk_function::Failure> {
///     let f: AnyFunction<u64, (u64,)> = f.into_function();
///     f.execute((n,)).and_then(|once| f.execute((once,)))
/// }
///
/// #[function(name = "numbers.square")]
/// fn square(n: u64) -> u64 {
///     n * n
/// }
///
/// let step = 3;
/// assert_eq!(twice(square, 3)?, 81);                      // a function
/// assert_eq!(twice(|n: u64| n + 1, 3)?, 5);               // a closure, which names its types
/// assert_eq!(twice(move |n: u64| n + step, 3)?, 9);       // one that captures something
/// assert_eq!(twice("numbers.square", 2)?, 16);            // a name
/// assert_eq!(twice(square::function(), 2)?, 16);          // a bound function
/// # Ok::<(), sk_function::Failure>(())
/// ```
pub struct AnyFunction<R, A = ()> {
    run: Run<R, A>,
    origin: Origin,
}

enum Run<R, A> {
    Sync(Arc<dyn Runs<R, A>>),
    Async(Arc<dyn Fn(A) -> Execution<R> + Send + Sync>),
    /// Arguments and result pass through values.
    Dynamic(PhantomData<fn(A) -> R>),
}

/// How it travels.
#[derive(Clone)]
enum Origin {
    Function(Function),
    /// It stays in this process, for this reason.
    Nowhere(Failure),
    /// There is no such function.
    Nothing(Failure),
}

/// What is synchronous.
trait Runs<R, A>: Send + Sync {
    fn execute(&self, arguments: A) -> Result<R, Failure>;
    /// What waits for it, and the limit of the whole call.
    fn execution(&self, arguments: A) -> (Execution<R>, Option<Duration>);
}

/// Everything that can be called with an `A` and gives an `R`: functions and closures, synchronous
/// or async, [`Bound`] functions, [`Function`]s, and names.
///
/// `M` says which of these it is; the compiler finds it, and a function that takes a callable is
/// generic over it. A closure that captures something runs in this process only, and says so when
/// it is encoded; one that captures what is not `Copy` is passed as
/// [`Function::local`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be called with `{A}` to give `{R}`",
    note = "parameters and results are owned and implement Serialize, Deserialize, Send and 'static",
    note = "a closure that captures what is not `Copy` is passed as `Function::local(closure)`"
)]
pub trait IntoFunction<R, A = (), M = ()> {
    /// The same as the one type.
    fn into_function(self) -> AnyFunction<R, A>;
}

/// Which kind of callable an [`IntoFunction`] is.
#[doc(hidden)]
pub mod marker {
    #[derive(Debug)]
    pub struct Sync;
    #[derive(Debug)]
    pub struct Async;
    #[derive(Debug)]
    pub struct Made;
}

impl<F, R, A> IntoFunction<R, A, marker::Sync> for F
where
    F: Portable + Callable<A, Output = R>,
    R: Serialize + Send + 'static,
    A: Arguments + DeserializeOwned + Send + 'static,
{
    fn into_function(self) -> AnyFunction<R, A> {
        let origin = Origin::Function(Function::of::<F, A>(self));
        AnyFunction { run: Run::Sync(Arc::new(Direct::of(self))), origin }
    }
}

impl<F, R, A> IntoFunction<R, A, marker::Async> for F
where
    F: Portable + AsyncCallable<A, Output = R>,
    R: Send + 'static,
    A: Arguments + Send + 'static,
{
    fn into_function(self) -> AnyFunction<R, A> {
        let direct = Direct::of(self);
        let origin = match direct.declaration {
            Some(declaration) => Origin::Function(Function::declared(declaration)),
            None => Origin::Nowhere(Failure::error(&NotDeclared(type_name::<F>()))),
        };
        let run = move |arguments| direct.execution_async(arguments);
        AnyFunction { run: Run::Async(Arc::new(run)), origin }
    }
}

impl<R, A> IntoFunction<R, A, marker::Made> for Function {
    fn into_function(self) -> AnyFunction<R, A> {
        AnyFunction { run: Run::Dynamic(PhantomData), origin: Origin::Function(self) }
    }
}

impl<R, A> IntoFunction<R, A, marker::Made> for &str {
    fn into_function(self) -> AnyFunction<R, A> {
        let origin = match Function::get(self) {
            Ok(function) => Origin::Function(function),
            Err(error) => Origin::Nothing(Failure::error(&error).with_no_start()),
        };
        AnyFunction { run: Run::Dynamic(PhantomData), origin }
    }
}

impl<R, A> IntoFunction<R, A, marker::Made> for String {
    fn into_function(self) -> AnyFunction<R, A> {
        self.as_str().into_function()
    }
}

impl<R, A> IntoFunction<R, A, marker::Made> for AnyFunction<R, A> {
    fn into_function(self) -> AnyFunction<R, A> {
        self
    }
}

impl<F, A> IntoFunction<F::Output, (), marker::Made> for Bound<F, A>
where
    F: Portable + Callable<A>,
    F::Output: Serialize + Send + 'static,
    A: Arguments + Serialize + DeserializeOwned + Clone + Send + Sync + 'static,
{
    fn into_function(self) -> AnyFunction<F::Output, ()> {
        let origin = match self.clone().function() {
            Ok(function) => Origin::Function(function),
            Err(error) => Origin::Nowhere(Failure::error(&error)),
        };
        AnyFunction { run: Run::Sync(Arc::new(self)), origin }
    }
}

/// A function or closure as it was passed, with what it declares.
#[derive(Clone, Copy)]
struct Direct<F> {
    function: F,
    declaration: Option<&'static Declaration>,
}

impl<F: Portable> Direct<F> {
    fn of(function: F) -> Self {
        Direct { function, declaration: registry::declaration_of(TypeId::of::<F>()) }
    }

    fn name(&self) -> &'static str {
        self.declaration.map_or_else(type_name::<F>, Declaration::path)
    }

    /// One attempt, since nobody asked for more.
    fn plan(&self) -> Plan {
        let repeat = self.declaration.map_or(Repeat::Undeclared, Declaration::repeat);
        let timeout = self.declaration.and_then(Declaration::timeout);
        Plan::new(self.name(), repeat, timeout, Modifiers::default())
    }

    fn run<R, A>(
        self,
        arguments: A,
        flag: &CancelFlag,
        deadline: Option<Instant>,
    ) -> Result<R, Failure>
    where
        F: Callable<A, Output = R>,
        R: Send + 'static,
        A: Arguments + Send + 'static,
    {
        let plan = self.plan();
        let mut arguments = Some(arguments);
        plan.run(&plan.context(flag.clone(), deadline), || {
            let arguments = arguments.take();
            move || arguments.map(|arguments| self.function.call(arguments)).ok_or_else(taken)
        })
    }

    fn execution_async<R, A>(self, arguments: A) -> Execution<R>
    where
        F: AsyncCallable<A, Output = R>,
        R: Send + 'static,
        A: Arguments + Send + 'static,
    {
        let (plan, flag) = (self.plan(), CancelFlag::new());
        let ends = Ends::default();
        let told = (flag.clone(), ends.clone());
        let mut arguments = Some(arguments);
        let future = async move {
            let make = || {
                let future = arguments.take().map(|arguments| self.function.call(arguments));
                async move {
                    match future {
                        Some(future) => Ok(future.await),
                        None => Err(taken()),
                    }
                }
            };
            let context = plan.context(told.0, told.1.at());
            plan.run_async(&context, make).await
        };
        let execution = Execution::future(self.name(), flag, ends, future);
        let is_blocking = self.declaration.is_some_and(Declaration::has_blocking_calls);
        if is_blocking { execution.onto_a_thread() } else { execution }
    }
}

/// There is one attempt, which takes the arguments.
fn taken() -> Failure {
    Failure::disconnected("the arguments of a call")
}

impl<F, R, A> Runs<R, A> for Direct<F>
where
    F: Portable + Callable<A, Output = R>,
    R: Send + 'static,
    A: Arguments + Send + 'static,
{
    fn execute(&self, arguments: A) -> Result<R, Failure> {
        if self.declaration.is_some_and(|declaration| declaration.timeout().is_some()) {
            return self.run(arguments, &CancelFlag::new(), None);
        }
        catch_panic(|| Context::enter_new(|| self.function.call(arguments)))
    }

    fn execution(&self, arguments: A) -> (Execution<R>, Option<Duration>) {
        let direct = *self;
        let work = move |flag: &CancelFlag, deadline| direct.run(arguments, flag, deadline);
        (Execution::work(self.name(), work), None)
    }
}

impl<F, A> Runs<F::Output, ()> for Bound<F, A>
where
    F: Portable + Callable<A>,
    F::Output: Send + 'static,
    A: Arguments + Clone + Send + Sync + 'static,
{
    fn execute(&self, (): ()) -> Result<F::Output, Failure> {
        self.clone().execute()
    }

    fn execution(&self, (): ()) -> (Execution<F::Output>, Option<Duration>) {
        self.clone().into_execution()
    }
}

impl<R, A> AnyFunction<R, A>
where
    R: Send + 'static,
    A: Arguments + Serialize + Send + 'static,
{
    /// Calls it here and now. It blocks until the function has returned.
    ///
    /// # Errors
    /// It panicked, or failed in one of the ways of [`Function::execute`]; there is no function of
    /// the name that it was made of; it is async.
    pub fn execute(&self, arguments: A) -> Result<R, Failure> {
        match &self.run {
            Run::Sync(run) => run.execute(arguments).map_err(|failure| self.named(failure)),
            Run::Async(_) => {
                let failure = WrongKind::failure(FunctionKind::Async, FunctionKind::Sync);
                Err(self.named(failure))
            }
            Run::Dynamic(_) => self.filled(&arguments)?.execute(),
        }
    }

    /// What waits for a call of it, synchronous or async; see [`Function::operation`].
    pub fn operation(&self, arguments: A) -> Operation<Execution<R>> {
        match &self.run {
            Run::Sync(run) => {
                let (execution, limit) = run.execution(arguments);
                execution.within(limit)
            }
            Run::Async(run) => Operation::new(run(arguments)),
            Run::Dynamic(_) => match self.filled(&arguments) {
                Ok(function) => function.operation(),
                Err(failure) => Operation::new(Execution::refused(self.name(), failure)),
            },
        }
    }

    /// The function with these arguments for the parameters that have none yet.
    fn filled(&self, arguments: &A) -> Result<Function, Failure> {
        let function = self.function().map_err(Clone::clone)?.clone();
        let name = function.name();
        function
            .fill(arguments)
            .map_err(|error| Failure::error(&error).with_no_start().with_function(name))
    }
}

impl<R, A> AnyFunction<R, A> {
    /// The same with types that only it knows, which is how it travels.
    ///
    /// # Errors
    /// There is none: no function has the name that it was made of, or it is an async function
    /// that was not declared, or it has an argument that cannot be encoded.
    pub fn function(&self) -> Result<&Function, &Failure> {
        match &self.origin {
            Origin::Function(function) => Ok(function),
            Origin::Nowhere(failure) | Origin::Nothing(failure) => Err(failure),
        }
    }

    /// How it gives what it gives.
    pub fn kind(&self) -> FunctionKind {
        match &self.run {
            Run::Async(_) => FunctionKind::Async,
            Run::Sync(_) => FunctionKind::Sync,
            Run::Dynamic(_) => self.function().map_or(FunctionKind::Sync, Function::kind),
        }
    }

    /// The path of a declared function; for others the name that the compiler writes, which is not
    /// unique.
    pub fn name(&self) -> &'static str {
        self.function().map_or("a function", Function::name)
    }

    /// What it says of being done twice.
    pub fn repeat(&self) -> Repeat {
        self.function().map_or(Repeat::Undeclared, Function::repeat)
    }

    fn named(&self, failure: Failure) -> Failure {
        match failure.function() {
            Some(_) => failure,
            None => failure.with_function(self.name()),
        }
    }
}

impl<R, A> Clone for AnyFunction<R, A> {
    fn clone(&self) -> Self {
        let run = match &self.run {
            Run::Sync(run) => Run::Sync(Arc::clone(run)),
            Run::Async(run) => Run::Async(Arc::clone(run)),
            Run::Dynamic(_) => Run::Dynamic(PhantomData),
        };
        AnyFunction { run, origin: self.origin.clone() }
    }
}

impl<R, A> fmt::Debug for AnyFunction<R, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AnyFunction")
            .field("name", &self.name())
            .field("kind", &self.kind())
            .finish_non_exhaustive()
    }
}

impl<R, A> Serialize for AnyFunction<R, A> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::Error as _;
        self.function().map_err(S::Error::custom)?.serialize(serializer)
    }
}

impl<'de, R, A> Deserialize<'de> for AnyFunction<R, A> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let origin = Origin::Function(Function::deserialize(deserializer)?);
        Ok(AnyFunction { run: Run::Dynamic(PhantomData), origin })
    }
}

/// An async function that was not declared cannot be encoded.
#[derive(Debug)]
struct NotDeclared(&'static str);

impl fmt::Display for NotDeclared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the async function {} cannot be encoded; declare it with #[function]", self.0)
    }
}

impl std::error::Error for NotDeclared {}
