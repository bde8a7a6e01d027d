//! What can be called with a tuple of arguments.

/// A function or closure, by the tuple of its arguments: `(f64, f64)` for `fn(f64, f64) -> f64`.
///
/// Implemented for everything that implements `Fn` with up to twelve arguments.
///
/// ```
/// use sk_function::Callable;
///
/// fn area(width: f64, height: f64) -> f64 {
///     width * height
/// }
/// assert_eq!(area.call((2.0, 3.0)), 6.0);
/// ```
pub trait Callable<Arguments> {
    /// What it returns.
    type Output;

    /// Calls it.
    fn call(&self, arguments: Arguments) -> Self::Output;
}

macro_rules! callable {
    ($($Argument:ident $argument:ident),*) => {
        impl<Function, Output, $($Argument),*> Callable<($($Argument,)*)> for Function
        where
            Function: Fn($($Argument),*) -> Output,
        {
            type Output = Output;

            fn call(&self, ($($argument,)*): ($($Argument,)*)) -> Output {
                self($($argument),*)
            }
        }
    };
}

callable! {}
callable! { A a }
callable! { A a, B b }
callable! { A a, B b, C c }
callable! { A a, B b, C c, D d }
callable! { A a, B b, C c, D d, E e }
callable! { A a, B b, C c, D d, E e, F f }
callable! { A a, B b, C c, D d, E e, F f, G g }
callable! { A a, B b, C c, D d, E e, F f, G g, H h }
callable! { A a, B b, C c, D d, E e, F f, G g, H h, I i }
callable! { A a, B b, C c, D d, E e, F f, G g, H h, I i, J j }
callable! { A a, B b, C c, D d, E e, F f, G g, H h, I i, J j, K k }
callable! { A a, B b, C c, D d, E e, F f, G g, H h, I i, J j, K k, L l }
