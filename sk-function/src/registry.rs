//! Names of functions: those that were declared, which the linker gathers, and those that a program
//! gives at run time.
//!
//! There are three domains of names. What is in one is not seen in another, except that all see
//! what is [global](Domain::Global). Declared functions are in the external one.
//!
//! A declared path that two functions claim is nobody's: look-up says which two they are. It is
//! never one of them by luck.

use std::any::TypeId;
use std::borrow::Cow;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;
use std::sync::{OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use foldhash::fast::RandomState;
use serde::{Deserialize, Serialize};

use crate::argument_error::Short;
use crate::declaration::{Declaration, Parts, Start};
use crate::function::Function;
use crate::image::{self, Declared};
use crate::retry::Repeat;

/// Who sees a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub enum Domain {
    /// Everybody.
    Global,
    /// The layers of this workspace.
    Internal,
    /// The program: what stands where nothing is said, and what `#[function]` declares.
    #[default]
    External,
}

/// Bytes of a name at most: 1 KiB.
pub const NAME_LIMIT: usize = 1 << 10;

/// Something is wrong with a name.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum NameError {
    /// No function has it.
    Unknown {
        /// The name.
        name: String,
        /// The names that are most like it, best first.
        nearest: Vec<String>,
        /// How many names there are.
        known: usize,
    },
    /// A function has it already.
    Taken {
        /// The name.
        name: String,
    },
    /// It is empty, or longer than [`NAME_LIMIT`].
    Invalid {
        /// The name.
        name: String,
    },
    /// Two functions of one package are declared with this path.
    TwoDefinitions {
        /// The path.
        path: &'static str,
        /// Where each of them stands.
        places: Vec<String>,
    },
    /// Functions of several versions of a package have this path.
    TwoVersions {
        /// The path.
        path: &'static str,
        /// The names that say which is meant.
        names: Vec<String>,
    },
    /// The linker left out functions that were declared.
    Incomplete,
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NameError::Unknown { name, nearest, known } => {
                write!(f, "no function is named `{}`", Short(name))?;
                match nearest.as_slice() {
                    [] => {}
                    [one] => write!(f, "; the nearest of {known} is `{}`", Short(one))?,
                    names => {
                        write!(f, "; the nearest of {known} are")?;
                        for (at, name) in names.iter().enumerate() {
                            let comma = if at == 0 { "" } else { "," };
                            write!(f, "{comma} `{}`", Short(name))?;
                        }
                    }
                }
                f.write_str(
                    "; a crate that nothing names is not linked and registers nothing: if it is one \
                     of such a crate, write `use that_crate as _;`",
                )
            }
            NameError::Taken { name } => {
                write!(f, "a function is named `{}` already", Short(name))
            }
            NameError::Invalid { name } if name.is_empty() => {
                f.write_str("the name of a function cannot be empty")
            }
            NameError::Invalid { name } => write!(
                f,
                "the name of a function has at most {NAME_LIMIT} bytes, not the {} of `{}`",
                name.len(),
                Short(name)
            ),
            NameError::TwoDefinitions { path, places } => write!(
                f,
                "two functions are declared as `{path}`: {}; the usual cause is a module that both \
                 the library and the binary of one name contain, or functions of one name within \
                 the bodies of two others: give them a `name`",
                places.join(" and ")
            ),
            NameError::TwoVersions { path, names } => write!(
                f,
                "`{path}` is in several versions of its package; say which: `{}`",
                names.join("`, `")
            ),
            NameError::Incomplete => f.write_str(
                "the table of declared functions is not complete: the linker left out its section",
            ),
        }
    }
}

impl std::error::Error for NameError {}

/// Looks whether every declared function can be found by its path; gives how many there are.
///
/// A program that finds functions by names does well to ask at its start.
///
/// ```
/// use sk_function::{function, registry};
///
/// #[function]
/// fn area(width: f64, height: f64) -> f64 {
///     width * height
/// }
///
/// assert!(registry::check()? >= 1);
/// # Ok::<(), registry::NameError>(())
/// ```
///
/// # Errors
/// Two functions are declared with one path, or the linker left out the table.
pub fn check() -> Result<usize, NameError> {
    let registry = Registry::get();
    if !registry.is_whole {
        return Err(NameError::Incomplete);
    }
    let external = registry.read(Domain::External);
    let mut found = 0;
    for claims in external.values().map(Named::claims) {
        if let Some(conflict) = conflict(claims) {
            return Err(conflict);
        }
        found += claims.len();
    }
    Ok(found)
}

/// The paths of all declared functions, sorted.
pub fn declared() -> Vec<&'static str> {
    let external = Registry::get().read(Domain::External);
    let first = |named: &Named| named.claims().first().map(|declaration| declaration.path());
    let mut paths: Vec<_> = external.values().filter_map(first).collect();
    paths.sort_unstable();
    paths
}

/// The names that were given at run time in this domain, sorted.
pub fn names(domain: Domain) -> Vec<String> {
    names_where(domain, |_| true)
}

/// Takes a name that was given at run time away again. Whether there was one.
///
/// Functions that were found by it before stay what they are.
pub fn forget(domain: Domain, name: &str) -> bool {
    let mut names = Registry::get().write(domain);
    if !matches!(names.get(name), Some(Named::Given(_))) {
        return false;
    }
    let removed = names.remove(name);
    // What a closure captured is dropped when nobody waits for the names.
    drop(names);
    removed.is_some()
}

/// What has a name.
enum Named {
    /// A declared function.
    Declared(&'static Declaration),
    /// Functions that are declared with one path.
    Several(Vec<&'static Declaration>),
    /// A function that was given the name at run time.
    Given(Function),
}

/// The names of one domain.
type Names = HashMap<Cow<'static, str>, Named, RandomState>;

struct Registry {
    /// What a function was declared as that is passed by value.
    by_type: HashMap<TypeId, &'static Declaration, RandomState>,
    /// Our own declaration was in the table.
    is_whole: bool,
    global: RwLock<Names>,
    internal: RwLock<Names>,
    /// The declared functions are among them.
    external: RwLock<Names>,
}

impl Registry {
    fn get() -> &'static Registry {
        static REGISTRY: OnceLock<Registry> = OnceLock::new();
        REGISTRY.get_or_init(Registry::collect)
    }

    fn collect() -> Registry {
        let mut external = Names::default();
        let mut by_type = HashMap::default();
        let mut is_whole = false;
        for declaration in image::declarations() {
            if declaration.function() == TypeId::of::<Canary>() {
                is_whole = true;
                continue;
            }
            by_type.insert(declaration.function(), declaration);
            match external.entry(Cow::Borrowed(declaration.path())) {
                Entry::Vacant(place) => {
                    place.insert(Named::Declared(declaration));
                }
                Entry::Occupied(mut place) => {
                    let mut claims = place.get().claims().to_vec();
                    claims.push(declaration);
                    place.insert(Named::Several(claims));
                }
            }
        }
        let (global, internal) = (RwLock::default(), RwLock::default());
        Registry { by_type, is_whole, global, internal, external: RwLock::new(external) }
    }

    fn names(&self, domain: Domain) -> &RwLock<Names> {
        match domain {
            Domain::Global => &self.global,
            Domain::Internal => &self.internal,
            Domain::External => &self.external,
        }
    }

    fn read(&self, domain: Domain) -> RwLockReadGuard<'_, Names> {
        self.names(domain).read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, domain: Domain) -> RwLockWriteGuard<'_, Names> {
        self.names(domain).write().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a domain sees under this name.
    fn find(&self, domain: Domain, name: &str) -> Option<Result<Function, NameError>> {
        if let Some(named) = self.read(domain).get(name) {
            return Some(named.only());
        }
        if domain != Domain::Global
            && let Some(named) = self.read(Domain::Global).get(name)
        {
            return Some(named.only());
        }
        if domain == Domain::External { self.of_version(name) } else { None }
    }

    /// A name that says which version is meant: `path@version`.
    #[cold]
    fn of_version(&self, name: &str) -> Option<Result<Function, NameError>> {
        let (path, version) = name.rsplit_once('@')?;
        let external = self.read(Domain::External);
        let claims = external.get(path)?.claims();
        let of_version: Vec<_> =
            claims.iter().copied().filter(|claim| claim.version() == version).collect();
        if of_version.is_empty() {
            let (name, nearest) = (name.to_owned(), versions(claims));
            return Some(Err(NameError::Unknown { name, nearest, known: external.len() }));
        }
        Some(only(&of_version))
    }

    #[cold]
    fn unknown(&self, domain: Domain, name: &str) -> NameError {
        /// Names that are told of.
        const NEAREST: usize = 3;
        /// How alike names are to be, from 0 to 1, for one to be told in place of the other.
        const ALIKE: f64 = 0.7;
        /// Bytes of a name that is compared with others: who asks may be another process, and a
        /// comparison takes the product of the lengths.
        const LONGEST: usize = 64;
        let mut names: Vec<_> = self.read(domain).keys().cloned().collect();
        if domain != Domain::Global {
            names.extend(self.read(Domain::Global).keys().cloned());
        }
        let known = names.len();
        if name.len() > LONGEST {
            return NameError::Unknown { name: name.to_owned(), nearest: Vec::new(), known };
        }
        let mut nearest: Vec<_> = names
            .into_iter()
            .filter(|candidate| candidate.len() <= LONGEST)
            .map(|candidate| (likeness(name, &candidate), candidate))
            .filter(|(likeness, _)| *likeness >= ALIKE)
            .collect();
        nearest.sort_by(|(a, left), (b, right)| b.total_cmp(a).then_with(|| left.cmp(right)));
        nearest.truncate(NEAREST);
        let nearest = nearest.into_iter().map(|(_, candidate)| candidate.into_owned()).collect();
        NameError::Unknown { name: name.to_owned(), nearest, known }
    }
}

/// How alike two names are, from 0 to 1. Who forgets the modules means the last part, who writes
/// the beginning only means what begins so.
fn likeness(asked: &str, name: &str) -> f64 {
    let last = |name: &str| name.rsplit('.').next().unwrap_or_default().to_owned();
    let whole = strsim::jaro_winkler(asked, name);
    let inner = if asked.is_empty() {
        0.0
    } else if last(asked) == last(name) {
        1.0
    } else if name.strip_prefix(asked).is_some_and(|rest| rest.starts_with('.')) {
        0.95
    } else {
        0.9 * strsim::normalized_damerau_levenshtein(&last(asked), &last(name))
    };
    whole.max(inner)
}

impl Named {
    #[inline]
    fn only(&self) -> Result<Function, NameError> {
        match self {
            Named::Declared(declaration) => Ok(Function::declared(declaration)),
            Named::Given(function) => Ok(function.clone()),
            Named::Several(claims) => only(claims),
        }
    }

    /// The functions that are declared with this name.
    fn claims(&self) -> &[&'static Declaration] {
        match self {
            Named::Declared(declaration) => std::slice::from_ref(declaration),
            Named::Several(claims) => claims,
            Named::Given(_) => &[],
        }
    }
}

/// The one that has a path, if one has.
#[cold]
fn only(claims: &[&'static Declaration]) -> Result<Function, NameError> {
    if let Some(conflict) = conflict(claims) {
        return Err(conflict);
    }
    match claims {
        [only] => Ok(Function::declared(only)),
        several => {
            let path = several.first().map_or("", |first| first.path());
            Err(NameError::TwoVersions { path, names: versions(several) })
        }
    }
}

/// The names that say which version is meant.
fn versions(claims: &[&'static Declaration]) -> Vec<String> {
    let mut names: Vec<_> =
        claims.iter().map(|claim| format!("{}@{}", claim.path(), claim.version())).collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// Two of one package and version that have one path.
fn conflict(claims: &[&'static Declaration]) -> Option<NameError> {
    for (at, first) in claims.iter().enumerate() {
        let later = claims.get(at + 1..).unwrap_or_default();
        let is_same = |second: &&&Declaration| {
            (first.package(), first.version()) == (second.package(), second.version())
        };
        if let Some(second) = later.iter().find(is_same) {
            let mut places = vec![first.place().to_string(), second.place().to_string()];
            places.sort_unstable();
            return Some(NameError::TwoDefinitions { path: first.path(), places });
        }
    }
    None
}

pub(crate) fn find(domain: Domain, name: &str) -> Result<Function, NameError> {
    let registry = Registry::get();
    registry.find(domain, name).unwrap_or_else(|| Err(registry.unknown(domain, name)))
}

/// The declared function that has this name, as another process says it.
pub(crate) fn declared_as(name: &str) -> Result<Function, NameError> {
    let registry = Registry::get();
    let claimed = match registry.read(Domain::External).get(name).map(Named::claims) {
        // A name that this program gave means nothing to others.
        Some([]) | None => None,
        Some(claims) => Some(only(claims)),
    };
    claimed
        .or_else(|| registry.of_version(name))
        .unwrap_or_else(|| Err(registry.unknown(Domain::External, name)))
}

/// The name by which another process finds a declared function.
pub(crate) fn name_of(declaration: &'static Declaration) -> Result<String, NameError> {
    let path = declaration.path();
    match find(Domain::External, path) {
        Err(NameError::TwoVersions { .. }) => Ok(format!("{path}@{}", declaration.version())),
        other => other.map(|_| path.to_owned()),
    }
}

/// What the function of this type was declared as.
pub(crate) fn declaration_of(function: TypeId) -> Option<&'static Declaration> {
    Registry::get().by_type.get(&function).copied()
}

pub(crate) fn give(domain: Domain, name: &str, function: Function) -> Result<(), NameError> {
    if name.is_empty() || name.len() > NAME_LIMIT {
        return Err(NameError::Invalid { name: name.to_owned() });
    }
    let mut names = Registry::get().write(domain);
    // It would stand in front of a declared function whose version is said.
    let is_of_version =
        |(path, _)| names.get(path).is_some_and(|named: &Named| !named.claims().is_empty());
    if name.rsplit_once('@').is_some_and(is_of_version) {
        return Err(NameError::Taken { name: name.to_owned() });
    }
    match names.entry(Cow::Owned(name.to_owned())) {
        Entry::Occupied(_) => Err(NameError::Taken { name: name.to_owned() }),
        Entry::Vacant(place) => {
            place.insert(Named::Given(function));
            Ok(())
        }
    }
}

/// The names in this domain whose function calls this callable, sorted.
pub(crate) fn names_of(domain: Domain, callable: TypeId) -> Vec<String> {
    names_where(domain, |function| function.callable() == callable)
}

/// The names that were given in this domain to such functions, sorted.
fn names_where(domain: Domain, is_wanted: impl Fn(&Function) -> bool) -> Vec<String> {
    let names = Registry::get().read(domain);
    let is_wanted = |named: &Named| matches!(named, Named::Given(function) if is_wanted(function));
    let mut wanted: Vec<_> = names
        .iter()
        .filter(|(_, named)| is_wanted(named))
        .map(|(name, _)| name.clone().into_owned())
        .collect();
    wanted.sort_unstable();
    wanted
}

/// A declaration of our own: while it is in the table, the section was linked.
struct Canary;

impl Declared for Canary {
    const ARITY: usize = 0;
    const START: Start = Start::Sync(|_, output| output.tell(()));

    fn declaration() -> &'static Declaration {
        static DECLARATION: OnceLock<Declaration> = OnceLock::new();
        DECLARATION.get_or_init(|| {
            Declaration::new(Parts {
                path: "sk_function.canary",
                package: env!("CARGO_PKG_NAME"),
                version: env!("CARGO_PKG_VERSION"),
                file: file!(),
                line: line!(),
                binary: None,
                parameters: Box::default(),
                returns: std::any::type_name::<()>,
                repeat: Repeat::Idempotent,
                blocking: None,
                timeout: None,
                function: TypeId::of::<Canary>(),
                start: Canary::START,
            })
        })
    }
}

#[used]
static CANARY: fn() = image::declare::<Canary>;
