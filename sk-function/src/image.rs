//! The table of all functions that can be reached from another process of this executable.
//!
//! Code travels as a place in this table, never as an address. A function gets into it when the
//! compiler makes the [`ship`] that ships it: that holds an `asm!` block which emits no instruction
//! and adds one word to a section of the object file. The linker joins the words of all crates;
//! nothing runs before `main`.
//!
//! A word is the distance to a *getter*, a function that returns the entry. The entry itself cannot
//! stand in the section, since a `TypeId` cannot be written into it. Getters differ by the entry
//! that they return, so folding of identical code never makes two entries one, although it does
//! make two functions of one code one; nothing here compares addresses of functions.
//!
//! The table is made at its first use: the entries of all getters, sorted by function and
//! signature, without duplicates (several codegen units emit the same word). All processes of one
//! executable make the same table, so an index into it is what travels. What arrives is accepted
//! only if the entry at that place has the signature that came with it: a forged or damaged
//! reference is an error and never a jump. Between different builds an index means nothing, so
//! compare [`BuildIdentity`](crate::BuildIdentity) first.
//!
//! This file is an island of unsafe code. Its invariants:
//!
//! 1. The section `sk_functions` holds nothing but words that the `asm!` block of `enter` wrote: each
//!    is 0, padding of the linker, or the distance from itself to a getter of this image. The
//!    linker bounds it by the symbols `__start_…` and `__stop_…`, and it stays mapped, and unchanged
//!    once the program is loaded.
//! 2. A [`Portable`] value of size 0 may be made from nothing. It is `Copy`, so there may be another; it
//!    is `Send`, `Sync` and `'static`, so any thread may have it at any time. That there is one at all
//!    is an assumption, which `Portable` states: in another process nobody has seen the value that
//!    was shipped. Only fn items, closures without captures and types that the program itself
//!    made callable get here.
#![expect(unsafe_code, reason = "code is found through a section that the linker joins")]

use std::any::{TypeId, type_name};
use std::arch::asm;
use std::collections::HashMap;
use std::fmt;
use std::hash::{Hash as _, Hasher};
use std::ptr::NonNull;
use std::sync::OnceLock;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::callable::{Arguments, Callable};
use crate::declaration::{Declaration, Input, Output, Start};
use crate::kind::{FunctionKind, WrongKind};
use crate::outcome::Failure;

/// Adds the distance to this getter to the section, by being compiled.
macro_rules! add_word {
    ($getter:path) => {
        // The flag `R` keeps the section although nobody names it, as rust-lld wants to be told;
        // other linkers keep it anyway.
        #[cfg(target_os = "linux")]
        // SAFETY: it emits no instruction; the word is one of invariant 1.
        unsafe {
            asm!(
                ".pushsection sk_functions,\"aR\",@progbits",
                ".balign 4",
                ".long {getter} - .",
                ".popsection",
                getter = sym $getter,
                options(nomem, nostack, preserves_flags)
            );
        }
    };
}

/// Code that can go to another process: a function, or a closure that captures nothing.
///
/// Only code travels. What a closure would capture has to be sent as an argument.
///
/// ```compile_fail
/// let name = String::from("captured");
/// sk_function::image::ship(&move |x: u64| format!("{name}{x}")).unwrap();
/// ```
///
/// A closure that captures `Copy` values passes here and is refused where it is shipped, when the
/// program is built. One that captures a zero-sized proof token which is `Copy`, `Send` and `Sync` is
/// shipped with it. So a type of no size that is `Copy`, `Send`, `Sync` and `'static` proves nothing: any
/// process of the program can come to have one. A crate whose unsafe code relies on such a token must
/// make it something else, `!Sync` for one.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot go to another process: it captures something, and only code travels",
    label = "captures something that is not `Copy`, `Send`, `Sync` and `'static`",
    note = "send what it captures along as an argument"
)]
pub trait Portable: Copy + Send + Sync + 'static {}

#[diagnostic::do_not_recommend]
impl<F: Copy + Send + Sync + 'static> Portable for F {}

/// A function of this executable, as it travels: its place in the table and its signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Reference {
    place: u32,
    signature: u64,
}

/// A function of this executable that a [`Reference`] was accepted for.
#[derive(Clone, Copy)]
pub struct Code {
    entry: &'static Entry,
}

/// Fails to compile, when the program is built, if an `F` has anything in it.
///
/// Call it in the function that users call: the compiler then shows their line.
///
/// ```
/// pub fn map<F: sk_function::image::Portable>(function: F) {
///     const { sk_function::image::check_captures_nothing::<F>() }
/// }
/// map(|x: u64| x + 1);
/// ```
pub const fn check_captures_nothing<F>() {
    assert!(
        size_of::<F>() == 0,
        "\nthis closure or function pointer cannot go to another process: it captures something, and \
         only code travels\nsend what it captures along as an argument; instead of a function \
         pointer name the function itself\n"
    );
}

/// The place of `function` in the table of this executable.
///
/// # Errors
/// The function is in a dynamic library of Rust code, which has a table of its own; or the platform
/// is not Linux.
pub fn ship<F, A>(function: &F) -> Result<Reference, ImageError>
where
    F: Portable + Callable<A>,
    F::Output: Serialize + Send + 'static,
    A: Arguments + DeserializeOwned + 'static,
{
    const { check_captures_nothing::<F>() }
    enter::<F, A>(function);
    find(&entry::<F, A>())
}

/// As [`ship`] where `function` captures nothing; `None` where it captures something.
pub(crate) fn ship_if_empty<F, A>(function: &F) -> Option<Result<Reference, ImageError>>
where
    F: Portable + Callable<A>,
    F::Output: Serialize + Send + 'static,
    A: Arguments + DeserializeOwned + 'static,
{
    enter::<F, A>(function);
    (size_of::<F>() == 0).then(|| find(&entry::<F, A>()))
}

/// The function that `reference` names, if this executable has one of that signature there.
///
/// # Errors
/// It has not: the reference is damaged, forged or of another build.
pub fn accept(reference: Reference) -> Result<Code, ImageError> {
    let table = Table::get();
    let place = usize::try_from(reference.place).unwrap_or(usize::MAX);
    let Some(entry) = table.entries.get(place) else {
        let functions = table.entries.len();
        return Err(ImageError::NoSuchPlace { place: reference.place, functions });
    };
    if bits(entry.signature) != reference.signature {
        return Err(ImageError::OtherSignature { place: reference.place });
    }
    Ok(Code { entry })
}

/// How many functions are in the table.
pub fn functions() -> usize {
    Table::get().entries.len()
}

impl Code {
    /// The name of the function or closure as the compiler writes it: for messages, it is not unique.
    pub fn name(&self) -> &'static str {
        (self.entry.name)()
    }

    /// Decodes the arguments, a tuple, from `arguments`, calls the function, and appends what it
    /// returned to `result`, both in [`internal`](sk_cereal::internal) bytes.
    ///
    /// A panic of the function goes on; see [`catch_panic`](crate::catch_panic).
    ///
    /// # Errors
    /// The arguments cannot be decoded, or the result cannot be encoded.
    pub fn run(&self, arguments: &[u8], result: &mut Vec<u8>) -> Result<(), Failure> {
        self.start(Input::Bytes(arguments), Output::Bytes(result))
            .map_err(|failure| failure.with_function(self.name()))
    }

    /// How many arguments it takes.
    pub(crate) fn arity(&self) -> usize {
        self.entry.arity
    }

    /// The type of the function itself.
    pub(crate) fn type_id(&self) -> TypeId {
        self.entry.function
    }

    pub(crate) fn declaration(&self) -> Option<&'static Declaration> {
        self.entry.declaration.map(|declaration| declaration())
    }

    /// How it travels.
    pub(crate) fn reference(&self) -> Result<Reference, ImageError> {
        find(self.entry)
    }

    pub(crate) fn start(&self, input: Input<'_>, output: Output<'_>) -> Result<(), Failure> {
        match self.entry.start {
            Start::Sync(run) => run(input, output),
            other => Err(WrongKind::failure(other.kind(), FunctionKind::Sync)),
        }
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Code").field("name", &self.name()).finish()
    }
}

/// Why a function cannot be shipped, or a reference not be accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ImageError {
    /// The function is not in the table of this executable.
    NotInTable {
        /// Its name.
        name: &'static str,
    },
    /// The table has no such place.
    NoSuchPlace {
        /// The place that was asked for.
        place: u32,
        /// How many functions the table has.
        functions: usize,
    },
    /// The function at that place takes or returns something else.
    OtherSignature {
        /// The place that was asked for.
        place: u32,
    },
}

impl fmt::Display for ImageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ImageError::NotInTable { name } => write!(
                f,
                "{name} is not in the table of this executable: it is code of a dynamic library, or \
                 this platform has no such table yet"
            ),
            ImageError::NoSuchPlace { place, functions } => write!(
                f,
                "function {place} of {functions} does not exist: the reference is damaged or of \
                 another build"
            ),
            ImageError::OtherSignature { place } => write!(
                f,
                "function {place} has another signature: the reference is damaged or of another build"
            ),
        }
    }
}

impl std::error::Error for ImageError {}

/// What the table knows of a function.
#[doc(hidden)]
pub struct Entry {
    function: TypeId,
    signature: TypeId,
    name: fn() -> &'static str,
    arity: usize,
    /// It can be made in a process that was not given it.
    is_empty: bool,
    start: Start,
    declaration: Option<fn() -> &'static Declaration>,
}

/// What a word of the section leads to.
///
/// It makes the entry in code. As a constant each entry would hold pointers, which the loader has to
/// relocate in every process before `main`.
type Getter = fn() -> Entry;

fn entry<F, A>() -> Entry
where
    F: Portable + Callable<A>,
    F::Output: Serialize + Send + 'static,
    A: Arguments + DeserializeOwned + 'static,
{
    Entry {
        function: TypeId::of::<F>(),
        signature: TypeId::of::<fn(A) -> F::Output>(),
        name: type_name::<F>,
        arity: A::COUNT,
        is_empty: size_of::<F>() == 0,
        start: Start::Sync(run::<F, A>),
        declaration: None,
    }
}

/// A function that [`#[function]`](macro@crate::function) declares, as the type beside it.
#[doc(hidden)]
pub trait Declared: 'static {
    /// Made when it is first asked for.
    fn declaration() -> &'static Declaration;

    /// How many arguments it takes.
    const ARITY: usize;

    /// How it is started.
    const START: Start;
}

/// The entry of a declared function. Its signature is the type beside it, which no other entry has.
fn declared_entry<D: Declared>() -> Entry {
    Entry {
        function: TypeId::of::<D>(),
        signature: TypeId::of::<fn(D)>(),
        name: type_name::<D>,
        arity: D::ARITY,
        is_empty: true,
        start: D::START,
        declaration: Some(D::declaration),
    }
}

/// Puts a declared function into the table, by being compiled: the macro keeps a pointer to it in a
/// static that is used.
#[doc(hidden)]
pub fn declare<D: Declared>() {
    add_word!(declared_entry::<D>);
}

/// All functions of this executable that were declared.
pub(crate) fn declarations() -> impl Iterator<Item = &'static Declaration> {
    Table::get()
        .entries
        .iter()
        .filter_map(|entry| entry.declaration.map(|declaration| declaration()))
}

/// Calls an `F` that is made from nothing. Thin, since there is one for each function: decoding and
/// encoding are shared by all functions of one signature.
fn run<F, A>(input: Input<'_>, output: Output<'_>) -> Result<(), Failure>
where
    F: Portable + Callable<A>,
    F::Output: Serialize + Send + 'static,
    A: Arguments + DeserializeOwned,
{
    let Some(function) = (const { from_nothing::<F>() }) else {
        return Err(Failure::disconnected("a closure that captures something"));
    };
    output.tell(function.call(input.read()?))
}

/// The value of an `F` that has nothing in it.
const fn from_nothing<F: Portable>() -> Option<F> {
    if size_of::<F>() != 0 {
        return None;
    }
    // SAFETY: `F` has size 0, so the pointer has only to be aligned; invariant 2, the value may be made.
    Some(unsafe { NonNull::<F>::dangling().read() })
}

/// Puts the entry into the section, by being compiled.
#[inline(always)]
fn enter<F, A>(_: &F)
where
    F: Portable + Callable<A>,
    F::Output: Serialize + Send + 'static,
    A: Arguments + DeserializeOwned + 'static,
{
    add_word!(entry::<F, A>);
}

#[cfg(target_os = "linux")]
// SAFETY: invariant 1, the linker defines both symbols, since `KEEP` puts a word between them.
unsafe extern "C" {
    #[link_name = "__start_sk_functions"]
    static START: [i32; 0];
    #[link_name = "__stop_sk_functions"]
    static STOP: [i32; 0];
}

/// Makes the section exist in a program that ships nothing.
#[used]
static KEEP: fn() = || enter::<_, ()>(&nothing);

fn nothing() {}

/// The getters that the words of the section lead to.
#[cfg(target_os = "linux")]
fn getters() -> impl Iterator<Item = Getter> {
    let (start, stop) = ((&raw const START).cast::<i32>(), (&raw const STOP).cast::<i32>());
    let words = (stop.addr() - start.addr()) / size_of::<i32>();
    (0..words).filter_map(move |index| {
        let word = start.wrapping_add(index);
        // SAFETY: invariant 1, it lies before `STOP`. Volatile, since the compiler takes `START` for
        // an array of no elements.
        let distance = unsafe { word.read_volatile() };
        let getter = word.cast::<u8>().wrapping_offset(distance as isize);
        // SAFETY: invariant 1, a word that is not 0 leads to a getter.
        (distance != 0).then(|| unsafe { std::mem::transmute::<*const u8, Getter>(getter) })
    })
}

/// No section is described for this platform yet: nothing can be shipped.
#[cfg(not(target_os = "linux"))]
fn getters() -> impl Iterator<Item = Getter> {
    std::iter::empty()
}

struct Table {
    entries: Box<[Entry]>,
    places: HashMap<(TypeId, TypeId), u32>,
}

impl Table {
    fn get() -> &'static Table {
        static TABLE: OnceLock<Table> = OnceLock::new();
        TABLE.get_or_init(Table::collect)
    }

    fn collect() -> Table {
        let key = |entry: &Entry| (entry.function, entry.signature);
        let entries = getters().map(|getter| getter());
        let mut entries: Vec<_> = entries.filter(|entry| entry.is_empty).collect();
        entries.sort_unstable_by_key(key);
        entries.dedup_by_key(|entry| key(entry));
        let places = entries.iter().map(key).zip(0..).collect();
        Table { entries: entries.into(), places }
    }
}

#[inline(never)]
fn find(entry: &Entry) -> Result<Reference, ImageError> {
    match Table::get().places.get(&(entry.function, entry.signature)) {
        Some(&place) => Ok(Reference { place, signature: bits(entry.signature) }),
        None => Err(ImageError::NotInTable { name: (entry.name)() }),
    }
}

/// What a type hashes to by itself: the same number in all processes of one executable.
fn bits(type_id: TypeId) -> u64 {
    /// Hands on what it is given.
    #[derive(Default)]
    struct Through(u64);

    impl Hasher for Through {
        fn write(&mut self, bytes: &[u8]) {
            for byte in bytes {
                self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
            }
        }
        fn write_u64(&mut self, number: u64) {
            self.0 = self.0.rotate_left(32) ^ number;
        }
        fn finish(&self) -> u64 {
            self.0
        }
    }

    let mut through = Through::default();
    type_id.hash(&mut through);
    through.finish()
}
