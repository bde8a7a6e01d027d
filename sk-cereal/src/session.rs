//! One encoding or decoding with everything that travels beside its bytes.
//!
//! Some values are more than their bytes: a handle to shared memory is an id in the bytes and a
//! descriptor beside them; two links to one value must find out that they are. What such values
//! need to leave for, or take from, the other side is kept in the tables of a session.
//!
//! serde gives a `Serialize` no place to carry a context, so the session that is entered is kept
//! per thread: [`Session::enter`] puts it in force for the length of a closure, nested sessions hide
//! the outer one until they end, also by a panic, and nothing crosses to another thread or
//! past an `.await`.
//!
//! ```
//! use serde::{Serialize, Serializer, ser::Error as _};
//! use sk_cereal::{Session, internal};
//!
//! /// What travels beside the bytes, in the order in which the bytes number it.
//! #[derive(Default)]
//! struct Descriptors(Vec<i32>);
//!
//! struct Handle(i32);
//!
//! impl Serialize for Handle {
//!     fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
//!         let session = Session::require::<Handle>().map_err(S::Error::custom)?;
//!         let index = session.with(|descriptors: &mut Descriptors| {
//!             descriptors.0.push(self.0);
//!             descriptors.0.len() as u64 - 1
//!         });
//!         serializer.serialize_u64(index)
//!     }
//! }
//!
//! assert!(internal::to_vec(&Handle(7)).unwrap_err().to_string().contains("Session"));
//!
//! let session = Session::hand_over();
//! let bytes = session.enter(|| internal::to_vec(&Handle(7)))?;
//! assert_eq!(session.take::<Descriptors>().0, [7]);
//! # Ok::<(), sk_cereal::Error>(())
//! ```

use std::any::{Any, TypeId, type_name};
use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;
use std::rc::Rc;

use crate::error::{Error, Reason, in_transit};

thread_local! {
    /// The sessions in force on this thread, the innermost last.
    static ENTERED: RefCell<Vec<Session>> = const { RefCell::new(Vec::new()) };
}

/// What an encoding is for, and so what it may do to the live value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// The value goes to another process and is not used here any more: encoding may stop a
    /// thread, drain an iterator, move an endpoint.
    HandOver,
    /// The value stays in use and its state is written down: encoding leaves it as it is.
    Snapshot,
}

/// One encoding or decoding: its purpose and the tables beside its bytes.
///
/// Clones are the same session. It stays on its thread.
#[derive(Clone)]
pub struct Session(Rc<Inner>);

struct Inner {
    purpose: Purpose,
    rehearsal: bool,
    tables: Rc<Tables>,
}

type Tables = RefCell<HashMap<TypeId, Rc<dyn Any>>>;

impl Session {
    /// A session whose values are given away.
    pub fn hand_over() -> Self {
        Session::new(Purpose::HandOver, false, Rc::default())
    }

    /// A session whose values stay in use here.
    pub fn snapshot() -> Self {
        Session::new(Purpose::Snapshot, false, Rc::default())
    }

    fn new(purpose: Purpose, rehearsal: bool, tables: Rc<Tables>) -> Self {
        Session(Rc::new(Inner { purpose, rehearsal, tables }))
    }

    /// Runs `work` with this session in force on this thread, hiding any outer one.
    ///
    /// In the destructor of a thread-local there may be no place to keep it: `work` then runs in no
    /// session.
    pub fn enter<R>(&self, work: impl FnOnce() -> R) -> R {
        /// Leaves the session when the closure ends, by a panic too.
        struct Leave;
        impl Drop for Leave {
            fn drop(&mut self) {
                ENTERED.with_borrow_mut(Vec::pop);
            }
        }
        let entered = ENTERED.try_with(|entered| entered.borrow_mut().push(self.clone()));
        let _leave = entered.ok().map(|()| Leave);
        work()
    }

    /// The session in force on this thread, if there is one.
    pub fn current() -> Option<Self> {
        // Without a thread-local (in the destructor of another one) there is no session either.
        ENTERED.try_with(|entered| entered.borrow().last().cloned()).ok().flatten()
    }

    /// The session in force, for a `T` that cannot cross without one.
    ///
    /// # Errors
    /// There is none; the error names `T`.
    pub fn require<T: ?Sized>() -> Result<Self, Error> {
        Session::current().ok_or_else(|| refusal::<T>(|type_name| Reason::NoSession { type_name }))
    }

    /// The session in force, for a `T` that can be handed over but has no snapshot.
    ///
    /// # Errors
    /// There is none, or its purpose is [`Purpose::Snapshot`]; the error names `T`.
    pub fn require_hand_over<T: ?Sized>() -> Result<Self, Error> {
        let session = Session::require::<T>()?;
        match session.purpose() {
            Purpose::HandOver => Ok(session),
            Purpose::Snapshot => Err(refusal::<T>(|type_name| Reason::NoSnapshot { type_name })),
        }
    }

    /// What this encoding is for.
    pub fn purpose(&self) -> Purpose {
        self.0.purpose
    }

    /// Whether this pass only looks: it finds the path of a failure, counts bytes for
    /// [`encoded_len`](crate::internal::encoded_len) or answers
    /// [`is_encodable`](crate::internal::is_encodable), and what it makes is thrown away. A
    /// `Serialize` that would stop, drain or move something must not do so now, nor a `Deserialize`
    /// that would connect.
    ///
    /// Outside any session nobody can tell that a pass is the second one: what has side effects
    /// should [require](Session::require) one.
    pub fn is_rehearsal(&self) -> bool {
        self.0.rehearsal
    }

    /// Works on the session's table of type `T`, which is made by `Default` at its first use.
    ///
    /// Each layer keeps what is its own in a type of its own. What a failed encoding has put there
    /// stays: drop the session with the failure.
    ///
    /// # Panics
    /// Within `work` for the same `T`, as a `RefCell` does. Other tables may be used there.
    pub fn with<T: Default + 'static, R>(&self, work: impl FnOnce(&mut T) -> R) -> R {
        work(&mut self.table::<T>().borrow_mut())
    }

    /// Takes what the table of type `T` holds: what has to travel beside the bytes.
    ///
    /// # Panics
    /// Within [`with`](Session::with) of the same `T`.
    pub fn take<T: Default + 'static>(&self) -> T {
        self.table::<T>().take()
    }

    /// Gives the session its table of type `T`, in place of what it held: what has come beside the
    /// bytes.
    ///
    /// # Panics
    /// Within [`with`](Session::with) of the same `T`.
    pub fn put<T: Default + 'static>(&self, table: T) {
        // Dropped only when the table is no longer borrowed: its drop may look into it.
        drop(self.table::<T>().replace(table));
    }

    fn table<T: Default + 'static>(&self) -> Rc<RefCell<T>> {
        let table = self.0.tables.borrow().get(&TypeId::of::<T>()).map(Rc::clone);
        if let Some(table) = table.and_then(|table| table.downcast().ok()) {
            return table;
        }
        let fresh = Rc::<RefCell<T>>::default();
        self.0.tables.borrow_mut().insert(TypeId::of::<T>(), fresh.clone());
        fresh
    }

    /// Runs `pass` as a rehearsal of an encoding in the session in force, if there is one.
    pub(crate) fn rehearse_encoding<R>(pass: impl FnOnce() -> R) -> R {
        match Session::current() {
            Some(session) => Session::new(session.purpose(), true, Rc::default()).enter(pass),
            None => pass(),
        }
    }

    /// Runs `pass` as a rehearsal of a decoding, which sees the tables of the real one.
    pub(crate) fn rehearse_decoding<R>(pass: impl FnOnce() -> R) -> R {
        match Session::current() {
            Some(session) => {
                let tables = Rc::clone(&session.0.tables);
                Session::new(session.purpose(), true, tables).enter(pass)
            }
            None => pass(),
        }
    }

    /// Runs `pass` as a rehearsal of a hand-over that nobody has begun.
    pub(crate) fn rehearse_hand_over<R>(pass: impl FnOnce() -> R) -> R {
        Session::new(Purpose::HandOver, true, Rc::default()).enter(pass)
    }
}

/// The refusal of a `T`, which will pass through an error type of serde's as text.
fn refusal<T: ?Sized>(reason: impl Fn(&'static str) -> Reason) -> Error {
    let type_name = type_name::<T>();
    in_transit(reason(type_name));
    Error::encode(reason(type_name))
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("purpose", &self.purpose())
            .field("is_rehearsal", &self.is_rehearsal())
            .finish_non_exhaustive()
    }
}
