//! Names of functions: those that were declared, which the linker gathers, and those that a program
//! gives at run time.
//!
//! There are three domains of names. What is in one is not seen in another, except that all see
//! what is [global](Domain::Global). Declared functions are in the external one.
//!
//! A declared path that two functions claim is nobody's: look-up says which two they are. It is
//! never one of them by luck.

use std::any::TypeId;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;
use std::sync::{OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

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
                 the library and the binary of one name contain",
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
    for claims in registry.declared.values() {
        if let Some(conflict) = conflict(claims) {
            return Err(conflict);
        }
    }
    Ok(registry.declared.values().map(Vec::len).sum())
}

/// The paths of all declared functions, sorted.
pub fn declared() -> Vec<&'static str> {
    let mut paths: Vec<_> = Registry::get().declared.keys().copied().collect();
    paths.sort_unstable();
    paths
}

/// The names that were given at run time in this domain, sorted.
pub fn names(domain: Domain) -> Vec<String> {
    let registry = Registry::get();
    let mut names: Vec<_> = registry.read(domain).keys().cloned().collect();
    if domain == Domain::External {
        names.retain(|name| !registry.is_path(name));
    }
    names.sort_unstable();
    names
}

/// Takes a name that was given at run time away again. Whether there was one.
///
/// Functions that were found by it before stay what they are.
pub fn forget(domain: Domain, name: &str) -> bool {
    let registry = Registry::get();
    if domain == Domain::External && registry.is_path(name) {
        return false;
    }
    // What it was is dropped when the lock is given back.
    let removed = registry.write(domain).remove(name);
    removed.is_some()
}

/// What has a name. A look-up copies it, so a declared function stands here as what the copy is.
enum Named {
    /// One function, declared or given.
    One(Function),
    /// Functions that are declared with one path.
    Several(Vec<&'static Declaration>),
}

/// The names of one domain.
type Names = HashMap<String, Named, foldhash::fast::RandomState>;

struct Registry {
    declared: HashMap<&'static str, Vec<&'static Declaration>>,
    /// What a function was declared as that is passed by value.
    by_type: HashMap<TypeId, &'static Declaration>,
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
        let mut declared: HashMap<_, Vec<_>> = HashMap::new();
        let mut by_type = HashMap::new();
        let mut is_whole = false;
        for declaration in image::declarations() {
            if declaration.function() == TypeId::of::<Canary>() {
                is_whole = true;
                continue;
            }
            declared.entry(declaration.path()).or_default().push(declaration);
            by_type.insert(declaration.function(), declaration);
        }
        let name = |(path, claims): (&&'static str, &Vec<&'static Declaration>)| {
            let named = match claims.as_slice() {
                [one] => Named::One(Function::declared(one)),
                _ => Named::Several(claims.clone()),
            };
            ((*path).to_owned(), named)
        };
        let external = RwLock::new(declared.iter().map(name).collect());
        Registry {
            declared,
            by_type,
            is_whole,
            global: RwLock::default(),
            internal: RwLock::default(),
            external,
        }
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

    /// Whether a function is declared with this path.
    fn is_path(&self, name: &str) -> bool {
        self.declared.contains_key(name)
    }

    /// A name that says which version is meant: `path@version`.
    #[cold]
    fn of_version(&self, name: &str) -> Option<Result<Function, NameError>> {
        let (path, version) = name.rsplit_once('@')?;
        let claims = self.declared.get(path)?;
        let of_version: Vec<_> =
            claims.iter().copied().filter(|claim| claim.version() == version).collect();
        (!of_version.is_empty()).then(|| only(&of_version))
    }

    #[cold]
    fn unknown(&self, domain: Domain, name: &str) -> NameError {
        /// Names that are told of.
        const NEAREST: usize = 3;
        /// How alike names are to be, from 0 to 1, for one to be told in place of the other.
        const ALIKE: f64 = 0.55;
        let mut names: Vec<String> = self.read(domain).keys().cloned().collect();
        if domain != Domain::Global {
            names.extend(self.read(Domain::Global).keys().cloned());
        }
        let known = names.len();
        let asked = name.get(..name.floor_char_boundary(NAME_LIMIT)).unwrap_or_default();
        let mut nearest: Vec<_> = names
            .into_iter()
            .map(|candidate| (likeness(asked, &candidate), candidate))
            .filter(|(likeness, _)| *likeness >= ALIKE)
            .collect();
        nearest.sort_by(|(a, left), (b, right)| b.total_cmp(a).then_with(|| left.cmp(right)));
        nearest.truncate(NEAREST);
        let nearest = nearest.into_iter().map(|(_, candidate)| candidate).collect();
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
            Named::One(function) => Ok(function.clone()),
            Named::Several(claims) => only(claims),
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
            let mut names: Vec<_> =
                several.iter().map(|claim| format!("{path}@{}", claim.version())).collect();
            names.sort_unstable();
            Err(NameError::TwoVersions { path, names })
        }
    }
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
    let invalid = name.is_empty() || name.len() > NAME_LIMIT;
    if invalid {
        return Err(NameError::Invalid { name: name.to_owned() });
    }
    let registry = Registry::get();
    let taken = || NameError::Taken { name: name.to_owned() };
    match registry.write(domain).entry(name.to_owned()) {
        Entry::Occupied(_) => Err(taken()),
        Entry::Vacant(place) => {
            place.insert(Named::One(function));
            Ok(())
        }
    }
}

/// The names in this domain whose function calls this callable, sorted.
pub(crate) fn names_of(domain: Domain, callable: TypeId) -> Vec<String> {
    let registry = Registry::get();
    let mut names: Vec<_> = registry
        .read(domain)
        .iter()
        .filter(|(name, named)| match named {
            Named::One(function) => function.callable() == callable && !registry.is_path(name),
            Named::Several(_) => false,
        })
        .map(|(name, _)| name.clone())
        .collect();
    names.sort_unstable();
    names
}

/// A declaration of our own: while it is in the table, the section was linked.
struct Canary;

impl Declared for Canary {
    const DECLARATION: Declaration = Declaration::new(Parts {
        path: "sk_function.canary",
        package: env!("CARGO_PKG_NAME"),
        version: env!("CARGO_PKG_VERSION"),
        file: file!(),
        line: line!(),
        parameters: &[],
        returns: std::any::type_name::<()>,
        repeat: Repeat::Idempotent,
        blocking: None,
        timeout: None,
        function: TypeId::of::<Canary>(),
        start: Start::Sync(|_, output| output.tell(())),
    });
}

#[used]
static CANARY: fn() = image::declare::<Canary>;
