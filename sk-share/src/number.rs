//! Numbers that several processes count with.
//!
//! ```text
//! body:  0  value  u64      on a cache line of its own
//! ```
//!
//! The event count of who waits for the number lies beside the mark of removal, on a line that is seldom written:
//! an operation is one atomic instruction on the value and one load of that count. Both are sequentially
//! consistent, so that either the load sees that somebody waits, or who is about to wait sees the value.
//!
//! Integers lie as the 64 bits that they are when extended, floats as their bits.

use std::any::type_name;
use std::fmt;
use std::marker::PhantomData;
use std::ops::{
    AddAssign, BitAndAssign, BitOrAssign, BitXorAssign, MulAssign, ShlAssign, ShrAssign, SubAssign,
};

use sk_function::{Operation, Source};

use crate::error::Error;
use crate::ground::{Attempt, EventCount, Found, Ground as _, Offset, Spec};
use crate::memory::Commons;
use crate::share::kind;
use crate::share::space::{Object, Space};
use crate::sync::{Arc, AtomicU32, AtomicU64, Ordering};
use crate::sys::Held;
use crate::waiting::waiting;

pub(crate) const BODY_BYTES: u64 = 64;

mod sealed {
    pub trait Sealed {}
}

/// The numbers that [`SharedNumber`] counts with: integers of up to 64 bits and floats.
pub trait Number: Copy + PartialEq + fmt::Debug + sealed::Sealed + Send + Sync + 'static {
    #[doc(hidden)]
    fn to_bits(self) -> u64;
    #[doc(hidden)]
    fn from_bits(bits: u64) -> Self;
    /// Adds in one instruction where there is one.
    #[doc(hidden)]
    fn add_to(self, word: &AtomicU64) -> Self;
    #[doc(hidden)]
    fn times(self, other: Self) -> Self;
    #[doc(hidden)]
    fn over(self, other: Self) -> Option<Self>;
    #[doc(hidden)]
    fn remainder(self, other: Self) -> Option<Self>;
    #[doc(hidden)]
    fn negative(self) -> Self;
    #[doc(hidden)]
    fn at_least(self, other: Self) -> Self;
    #[doc(hidden)]
    fn at_most(self, other: Self) -> Self;
}

/// The integers among them: bits, powers, and arithmetic that says when it overflows.
pub trait Integer: Number {
    #[doc(hidden)]
    fn and(self, other: Self) -> Self;
    #[doc(hidden)]
    fn or(self, other: Self) -> Self;
    #[doc(hidden)]
    fn xor(self, other: Self) -> Self;
    #[doc(hidden)]
    fn not(self) -> Self;
    #[doc(hidden)]
    fn shift_left(self, by: u32) -> Self;
    #[doc(hidden)]
    fn shift_right(self, by: u32) -> Self;
    #[doc(hidden)]
    fn power(self, exponent: u32) -> Self;
    #[doc(hidden)]
    fn checked_plus(self, other: Self) -> Option<Self>;
    #[doc(hidden)]
    fn checked_minus(self, other: Self) -> Option<Self>;
    #[doc(hidden)]
    fn checked_times(self, other: Self) -> Option<Self>;
    #[doc(hidden)]
    fn saturating_plus(self, other: Self) -> Self;
    #[doc(hidden)]
    fn saturating_minus(self, other: Self) -> Self;
}

macro_rules! integers {
    ($($type:ty: $to:expr, $from:expr;)*) => {$(
        impl sealed::Sealed for $type {}

        impl Number for $type {
            #[inline]
            fn to_bits(self) -> u64 {
                $to(self)
            }
            #[inline]
            fn from_bits(bits: u64) -> Self {
                $from(bits)
            }
            #[inline]
            fn add_to(self, word: &AtomicU64) -> Self {
                let before = word.fetch_add(self.to_bits(), Ordering::SeqCst);
                Self::from_bits(before).wrapping_add(self)
            }
            fn times(self, other: Self) -> Self {
                self.wrapping_mul(other)
            }
            fn over(self, other: Self) -> Option<Self> {
                self.checked_div(other)
            }
            fn remainder(self, other: Self) -> Option<Self> {
                self.checked_rem(other)
            }
            fn negative(self) -> Self {
                self.wrapping_neg()
            }
            fn at_least(self, other: Self) -> Self {
                self.max(other)
            }
            fn at_most(self, other: Self) -> Self {
                self.min(other)
            }
        }

        impl Integer for $type {
            fn and(self, other: Self) -> Self {
                self & other
            }
            fn or(self, other: Self) -> Self {
                self | other
            }
            fn xor(self, other: Self) -> Self {
                self ^ other
            }
            fn not(self) -> Self {
                !self
            }
            fn shift_left(self, by: u32) -> Self {
                self.checked_shl(by).unwrap_or(0)
            }
            fn shift_right(self, by: u32) -> Self {
                // Beyond its bits all that is left is the sign.
                self.checked_shr(by).unwrap_or(self >> (Self::BITS - 1) >> 1_u32.min(Self::BITS - 1))
            }
            fn power(self, exponent: u32) -> Self {
                self.wrapping_pow(exponent)
            }
            fn checked_plus(self, other: Self) -> Option<Self> {
                self.checked_add(other)
            }
            fn checked_minus(self, other: Self) -> Option<Self> {
                self.checked_sub(other)
            }
            fn checked_times(self, other: Self) -> Option<Self> {
                self.checked_mul(other)
            }
            fn saturating_plus(self, other: Self) -> Self {
                self.saturating_add(other)
            }
            fn saturating_minus(self, other: Self) -> Self {
                self.saturating_sub(other)
            }
        }
    )*};
}

/// Of 64 bits those that a narrower integer keeps.
macro_rules! low {
    ($type:ty) => {
        |bits: u64| {
            #[expect(clippy::cast_possible_truncation, reason = "the bits above are its sign")]
            let low = bits as $type;
            low
        }
    };
}

integers! {
    u8: u64::from, low!(u8);
    u16: u64::from, low!(u16);
    u32: u64::from, low!(u32);
    u64: std::convert::identity, std::convert::identity;
    usize: |value: usize| value as u64, low!(usize);
    i8: |value: i8| i64::from(value).cast_unsigned(), low!(i8);
    i16: |value: i16| i64::from(value).cast_unsigned(), low!(i16);
    i32: |value: i32| i64::from(value).cast_unsigned(), low!(i32);
    i64: i64::cast_unsigned, u64::cast_signed;
    isize: |value: isize| (value as i64).cast_unsigned(), low!(isize);
}

macro_rules! floats {
    ($($type:ty: $to:expr, $from:expr;)*) => {$(
        impl sealed::Sealed for $type {}

        impl Number for $type {
            fn to_bits(self) -> u64 {
                $to(self)
            }
            fn from_bits(bits: u64) -> Self {
                $from(bits)
            }
            fn add_to(self, word: &AtomicU64) -> Self {
                change(word, |value: Self| Some(value + self)).1
            }
            fn times(self, other: Self) -> Self {
                self * other
            }
            fn over(self, other: Self) -> Option<Self> {
                Some(self / other)
            }
            fn remainder(self, other: Self) -> Option<Self> {
                Some(self % other)
            }
            fn negative(self) -> Self {
                -self
            }
            fn at_least(self, other: Self) -> Self {
                self.max(other)
            }
            fn at_most(self, other: Self) -> Self {
                self.min(other)
            }
        }
    )*};
}

floats! {
    f32: |value: f32| u64::from(value.to_bits()), |bits| f32::from_bits(u32::from_bits(bits));
    f64: f64::to_bits, f64::from_bits;
}

/// Changes the word until nobody came in between: before and after. `None` leaves it, and both are the same.
fn change<N: Number>(word: &AtomicU64, how: impl Fn(N) -> Option<N>) -> (N, N) {
    let mut before = word.load(Ordering::SeqCst);
    loop {
        let value = N::from_bits(before);
        let Some(after) = how(value) else { return (value, value) };
        match word.compare_exchange_weak(
            before,
            after.to_bits(),
            Ordering::SeqCst,
            Ordering::SeqCst,
        ) {
            Ok(_) => return (value, after),
            Err(found) => before = found,
        }
    }
}

/// A number that several processes count with, without locks.
///
/// It is a handle: cheap to clone, and in another process the same number. Every operation is one atomic change:
/// none is lost, and whoever reads after it sees it. Overflow wraps around, as for the atomics of the standard
/// library, where nothing else is said.
///
/// In a copy of this process that `fork` makes it goes on counting too, but for no longer than the process that it was
/// forked from has a handle: the copy itself holds nothing.
///
/// **It never fails.** After its name was removed, or the share was cleared or stopped, handles that were
/// made before go on counting with one another; [`is_detached`](SharedNumber::is_detached) tells.
///
/// ```
/// use sk_share::Share;
///
/// let share = Share::new()?;
/// let mut hits = share.number("hits", 0_u64)?;
/// assert_eq!(hits.add(2), 2);
/// hits += 1;
/// assert_eq!(hits.get(), 3);
/// assert_eq!(hits.div(2), Some(1));
/// assert_eq!(hits.div(0), None);
/// # Ok::<(), sk_share::Error>(())
/// ```
pub struct SharedNumber<N> {
    object: Arc<Object>,
    value: Held<AtomicU64>,
    waited: Held<AtomicU32>,
    of: PhantomData<N>,
}

/// Where the event count of a number lies.
pub(crate) fn changes_of(found: &Found) -> Offset {
    found.spare()
}

/// What a number is in the directory of a share.
pub(crate) fn spec<N: Number>() -> Spec<'static> {
    kind::spec(kind::NUMBER, type_name::<N>(), BODY_BYTES)
}

/// Gives a new number its first value.
pub(crate) fn make(space: &Space, found: &Found, bits: u64) -> Result<(), Error> {
    space.commons.u64(found.body)?.store(bits, Ordering::Relaxed);
    Ok(())
}

impl<N: Number> SharedNumber<N> {
    pub(crate) fn new(object: Arc<Object>) -> Result<SharedNumber<N>, Error> {
        let region = object.space.commons.region();
        let value = region.hold64(object.found.body)?;
        let waited = region.hold32(changes_of(&object.found))?;
        Ok(SharedNumber { object, value, waited, of: PhantomData })
    }

    pub(crate) fn object(&self) -> &Arc<Object> {
        &self.object
    }

    /// Tells those who wait for the number.
    #[inline]
    fn changed<R>(&self, result: R) -> R {
        // Sequentially consistent, as is the change before it.
        if EventCount::<Commons>::is_waited(self.waited.load(Ordering::SeqCst)) {
            self.notify();
        }
        result
    }

    #[cold]
    fn notify(&self) {
        let space = &self.object.space;
        if let Ok(changes) = EventCount::at(&space.commons, changes_of(&self.object.found)) {
            changes.notify_if_waited();
        }
        space.notify_activity();
    }

    fn change(&self, how: impl Fn(N) -> Option<N>) -> (N, N) {
        self.changed(change(&self.value, how))
    }

    fn always(&self, how: impl Fn(N) -> N) -> N {
        self.change(|value| Some(how(value))).1
    }

    /// The number.
    #[inline]
    pub fn get(&self) -> N {
        N::from_bits(self.value.load(Ordering::SeqCst))
    }

    /// Replaces it.
    pub fn set(&self, value: N) {
        self.value.store(value.to_bits(), Ordering::SeqCst);
        self.changed(());
    }

    /// Replaces it, and gives what it was.
    pub fn swap(&self, value: N) -> N {
        let before = self.value.swap(value.to_bits(), Ordering::SeqCst);
        self.changed(N::from_bits(before))
    }

    /// Replaces it by `new` if it is `current`, for a float to the bit: NaN may be replaced, and 0.0 is not -0.0.
    ///
    /// # Errors
    /// It is not; the error is what it is.
    pub fn compare_exchange(&self, current: N, new: N) -> Result<N, N> {
        let word = &self.value;
        let mut before = word.load(Ordering::SeqCst);
        loop {
            // The bits above those of a narrow integer may be of a sum that did not fit.
            let found = N::from_bits(before);
            if found.to_bits() != current.to_bits() {
                return Err(found);
            }
            match word.compare_exchange_weak(
                before,
                new.to_bits(),
                Ordering::SeqCst,
                Ordering::SeqCst,
            ) {
                Ok(_) => return Ok(self.changed(found)),
                Err(other) => before = other,
            }
        }
    }

    /// Changes it by a closure, which is asked again if somebody else came in between. Gives what it is then.
    pub fn update(&self, change: impl Fn(N) -> N) -> N {
        self.always(change)
    }

    /// Adds, and gives the sum.
    #[inline]
    pub fn add(&self, value: N) -> N {
        self.changed(value.add_to(&self.value))
    }

    /// Subtracts, and gives the difference.
    #[inline]
    pub fn sub(&self, value: N) -> N {
        self.add(value.negative())
    }

    /// Multiplies, and gives the product.
    pub fn mul(&self, value: N) -> N {
        self.always(|number| number.times(value))
    }

    /// Divides, and gives the quotient. `None`, and no change, where there is none: an integer by zero, and the
    /// smallest by -1.
    pub fn div(&self, value: N) -> Option<N> {
        self.checked(|number| number.over(value))
    }

    /// The remainder of a division takes its place, and is given. `None`, and no change, where [`div`](Self::div)
    /// gives none.
    pub fn rem(&self, value: N) -> Option<N> {
        self.checked(|number| number.remainder(value))
    }

    /// Changes its sign, and gives what it is then.
    pub fn neg(&self) -> N {
        self.always(Number::negative)
    }

    /// Replaces it by `value` if that is more, and gives what it is then.
    pub fn max(&self, value: N) -> N {
        self.always(|number| number.at_least(value))
    }

    /// Replaces it by `value` if that is less, and gives what it is then.
    pub fn min(&self, value: N) -> N {
        self.always(|number| number.at_most(value))
    }

    fn checked(&self, how: impl Fn(N) -> Option<N>) -> Option<N> {
        let word = &self.value;
        let mut before = word.load(Ordering::SeqCst);
        loop {
            let after = how(N::from_bits(before))?;
            match word.compare_exchange_weak(
                before,
                after.to_bits(),
                Ordering::SeqCst,
                Ordering::SeqCst,
            ) {
                Ok(_) => return self.changed(Some(after)),
                Err(found) => before = found,
            }
        }
    }

    /// Whether it was removed from its share, by name or with [`clear`](crate::Share::clear). Handles of it go on
    /// counting with one another.
    #[must_use]
    pub fn is_detached(&self) -> bool {
        self.object.is_detached().unwrap_or(true)
    }

    /// Waits until the predicate holds, and gives the number for which it does. A number that changes and
    /// changes back may not be seen. One that was removed is waited for all the same, as handles of it go on.
    ///
    /// ```
    /// use sk_share::Share;
    ///
    /// let share = Share::new()?;
    /// let done = share.number("done", 0_u32)?;
    /// let other = done.clone();
    /// let waiter = std::thread::spawn(move || other.wait_until(|done| done >= 2).wait());
    /// done.add(1);
    /// done.add(1);
    /// assert_eq!(waiter.join().unwrap()?, 2);
    /// # Ok::<(), sk_share::Error>(())
    /// ```
    ///
    /// # Errors
    /// The handle is a copy made by fork; the limit of the operation.
    pub fn wait_until<P>(
        &self,
        mut predicate: P,
    ) -> Operation<impl Source<Output = N, Error = Error> + use<N, P>>
    where
        P: FnMut(N) -> bool,
    {
        let number = self.clone();
        waiting(&self.object.space.commons, "the number was as waited for", move || {
            let commons = &number.object.space.commons;
            let deaths = commons.deaths();
            let mut value = number.get();
            if !predicate(value) {
                let changes = EventCount::at(commons, changes_of(&number.object.found))?;
                let expected = changes.prepare();
                value = number.get();
                if !predicate(value) {
                    return Ok(Attempt::Sleep(changes.sleep(deaths, expected, None)));
                }
            }
            Ok(Attempt::Done(value))
        })
    }
}

impl<N: Integer> SharedNumber<N> {
    /// The bits that both have.
    pub fn and(&self, bits: N) -> N {
        self.always(|number| number.and(bits))
    }

    /// The bits that one of both has.
    pub fn or(&self, bits: N) -> N {
        self.always(|number| number.or(bits))
    }

    /// The bits in which they differ.
    pub fn xor(&self, bits: N) -> N {
        self.always(|number| number.xor(bits))
    }

    /// Turns each bit.
    pub fn not(&self) -> N {
        self.always(Integer::not)
    }

    /// Moves its bits up; none is left after as many as it has.
    pub fn shl(&self, by: u32) -> N {
        self.always(|number| number.shift_left(by))
    }

    /// Moves its bits down; what is left after as many as it has is its sign.
    pub fn shr(&self, by: u32) -> N {
        self.always(|number| number.shift_right(by))
    }

    /// Raises it to a power.
    pub fn pow(&self, exponent: u32) -> N {
        self.always(|number| number.power(exponent))
    }

    /// Adds; `None`, and no change, if the sum does not fit.
    pub fn checked_add(&self, value: N) -> Option<N> {
        self.checked(|number| number.checked_plus(value))
    }

    /// Subtracts; `None`, and no change, if the difference does not fit.
    pub fn checked_sub(&self, value: N) -> Option<N> {
        self.checked(|number| number.checked_minus(value))
    }

    /// Multiplies; `None`, and no change, if the product does not fit.
    pub fn checked_mul(&self, value: N) -> Option<N> {
        self.checked(|number| number.checked_times(value))
    }

    /// Adds, up to the largest that there is.
    pub fn saturating_add(&self, value: N) -> N {
        self.always(|number| number.saturating_plus(value))
    }

    /// Subtracts, down to the smallest that there is.
    pub fn saturating_sub(&self, value: N) -> N {
        self.always(|number| number.saturating_minus(value))
    }
}

macro_rules! assigning {
    ($($operator:ident, $method:ident, $by:ty, $bound:ident => $call:ident;)*) => {$(
        impl<N: $bound> $operator<$by> for SharedNumber<N> {
            fn $method(&mut self, by: $by) {
                self.$call(by);
            }
        }
    )*};
}

assigning! {
    AddAssign, add_assign, N, Number => add;
    SubAssign, sub_assign, N, Number => sub;
    MulAssign, mul_assign, N, Number => mul;
    BitAndAssign, bitand_assign, N, Integer => and;
    BitOrAssign, bitor_assign, N, Integer => or;
    BitXorAssign, bitxor_assign, N, Integer => xor;
    ShlAssign, shl_assign, u32, Integer => shl;
    ShrAssign, shr_assign, u32, Integer => shr;
}

impl<N> Clone for SharedNumber<N> {
    fn clone(&self) -> Self {
        SharedNumber {
            object: Arc::clone(&self.object),
            value: self.value.clone(),
            waited: self.waited.clone(),
            of: PhantomData,
        }
    }
}

impl<N: Number> fmt::Debug for SharedNumber<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SharedNumber({:?})", self.get())
    }
}
