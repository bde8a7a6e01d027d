//! The verbs of an operation for types that become one.

/// Gives a builder type the verbs of an [`Operation`](crate::Operation): `timeout`, `wait`,
/// `background`, `operation` and `.await`.
///
/// A builder collects options and becomes an operation when it is waited for; its limit may be set
/// at any point before. The type has a field `limit: Option<Duration>` and a method
/// `fn into_source(self)` that makes the source. Both may be private. Generic parameters stand in
/// square brackets, with their bounds.
///
/// ```
/// use std::time::Duration;
/// use sk_function::{Blocking, BoxError, CancelFlag, operation_verbs};
///
/// /// Adds numbers.
/// #[must_use = "it does nothing until it is waited for: `.wait()`, `.await` or `.background()`"]
/// pub struct Sum<I> {
///     numbers: I,
///     start: u64,
///     limit: Option<Duration>,
/// }
///
/// type Work = Box<dyn FnOnce(&CancelFlag) -> Result<u64, BoxError> + Send>;
///
/// impl<I: Iterator<Item = u64> + Send + 'static> Sum<I> {
///     /// The number to begin with.
///     pub fn start(self, start: u64) -> Self {
///         Sum { start, ..self }
///     }
///
///     fn into_source(self) -> Blocking<Work, u64, BoxError> {
///         Blocking::new(Box::new(move |_: &CancelFlag| Ok(self.numbers.sum::<u64>() + self.start)))
///     }
/// }
///
/// operation_verbs! {
///     impl[I: Iterator<Item = u64> + Send + 'static] Sum<I> => Blocking<Work, u64, BoxError>
/// }
///
/// let sum = || Sum { numbers: 1..4, start: 0, limit: None };
/// let limit = Duration::from_secs(5);
/// assert_eq!(sum().timeout(limit).start(10).wait()?, 16);
/// assert_eq!(sum().start(10).background().timeout(limit).wait()?, 16);
/// assert_eq!(futures::executor::block_on(async { sum().start(1).await })?, 7);
/// # Ok::<(), BoxError>(())
/// ```
#[macro_export]
macro_rules! operation_verbs {
    (impl[$($generics:tt)*] $builder:ty => $source:ty) => {
        impl<$($generics)*> $builder {
            /// Bounds it; of several limits the smaller holds. See `Operation::timeout`.
            pub fn timeout(mut self, limit: ::core::time::Duration) -> Self {
                self.limit = ::core::option::Option::Some(match self.limit {
                    ::core::option::Option::Some(before) => ::core::cmp::Ord::min(before, limit),
                    ::core::option::Option::None => limit,
                });
                self
            }

            /// Blocks until the outcome is there or the limit has passed. See `Operation::wait`.
            ///
            /// # Errors
            /// What the work failed with, or why it did not end.
            #[track_caller]
            pub fn wait(
                self,
            ) -> ::core::result::Result<
                <$source as $crate::Source>::Output,
                <$source as $crate::Source>::Error,
            > {
                self.operation().wait()
            }

            /// Lets it run in the background. See `Operation::background`.
            pub fn background(
                self,
            ) -> $crate::Running<
                <$source as $crate::Source>::Output,
                <$source as $crate::Source>::Error,
            >
            where
                $source: ::core::marker::Send + 'static,
                <$source as $crate::Source>::Output: ::core::marker::Send + 'static,
                <$source as $crate::Source>::Error: ::core::marker::Send + 'static,
            {
                self.operation().background()
            }

            /// The operation that it describes, which has not begun.
            pub fn operation(mut self) -> $crate::Operation<$source> {
                let limit = self.limit.take();
                let operation = $crate::Operation::new(self.into_source());
                match limit {
                    ::core::option::Option::Some(limit) => operation.timeout(limit),
                    ::core::option::Option::None => operation,
                }
            }
        }

        impl<$($generics)*> ::core::future::IntoFuture for $builder {
            type Output = ::core::result::Result<
                <$source as $crate::Source>::Output,
                <$source as $crate::Source>::Error,
            >;
            type IntoFuture = $crate::Operation<$source>;

            fn into_future(self) -> Self::IntoFuture {
                self.operation()
            }
        }
    };
}
