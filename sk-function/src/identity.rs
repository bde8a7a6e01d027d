//! Which build of which program a process runs.

use std::fmt;
use std::fs::File;
use std::sync::OnceLock;

use object::Object as _;
use object::read::ReadCache;
use serde::{Deserialize, Serialize};

/// The identity of a build: two processes that have the same one run the same executable.
///
/// It is the build id that the linker writes into the executable (the UUID on macOS), read once
/// from the running executable itself. A place in the [table of functions](crate::image), and bytes
/// without names, mean the same in both only then. It says nothing about the source: building the
/// same source elsewhere may give another identity.
///
/// ```
/// let here = sk_function::BuildIdentity::of_this_process()?;
/// assert_eq!(Some(here), sk_function::BuildIdentity::of_this_process().ok());
/// # Ok::<(), sk_function::BuildIdentityError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct BuildIdentity(Box<[u8]>);

impl BuildIdentity {
    /// The identity of the executable that this process runs.
    ///
    /// # Errors
    /// The executable cannot be read or parsed, or was linked without a build id
    /// (`-C link-arg=-Wl,--build-id=sha1` makes one).
    pub fn of_this_process() -> Result<&'static BuildIdentity, BuildIdentityError> {
        static IDENTITY: OnceLock<Result<BuildIdentity, BuildIdentityError>> = OnceLock::new();
        IDENTITY.get_or_init(read).as_ref().map_err(Clone::clone)
    }

    /// Refuses a process of another build.
    ///
    /// # Errors
    /// The identities differ; the error holds both.
    pub fn expect(&self, other: &BuildIdentity) -> Result<(), OtherBuild> {
        if self == other {
            return Ok(());
        }
        Err(OtherBuild { expected: self.clone(), found: other.clone() })
    }
}

impl fmt::Display for BuildIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for BuildIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BuildIdentity({self})")
    }
}

/// A process of another build answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OtherBuild {
    expected: BuildIdentity,
    found: BuildIdentity,
}

impl fmt::Display for OtherBuild {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the other process is of build {}, this one of build {}",
            self.found, self.expected
        )
    }
}

impl std::error::Error for OtherBuild {}

/// Why the identity of this process is not known.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum BuildIdentityError {
    /// The running executable cannot be read, for this reason.
    Unreadable(String),
    /// It has no build id.
    Missing,
}

impl fmt::Display for BuildIdentityError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BuildIdentityError::Unreadable(reason) => {
                write!(f, "the running executable cannot be read: {reason}")
            }
            BuildIdentityError::Missing => f.write_str(
                "the running executable has no build id; link it with -Wl,--build-id=sha1",
            ),
        }
    }
}

impl std::error::Error for BuildIdentityError {}

fn read() -> Result<BuildIdentity, BuildIdentityError> {
    let unreadable = |error: &dyn fmt::Display| BuildIdentityError::Unreadable(error.to_string());
    let file = open().map_err(|error| unreadable(&error))?;
    // Only the headers and the note are read, however large the file is.
    let cache = ReadCache::new(file);
    let executable = object::File::parse(&cache).map_err(|error| unreadable(&error))?;
    let identity = match executable.build_id().map_err(|error| unreadable(&error))? {
        Some(id) => Some(id.to_vec()),
        None => executable.mach_uuid().map_err(|error| unreadable(&error))?.map(Into::into),
    };
    identity.map(|id| BuildIdentity(id.into())).ok_or(BuildIdentityError::Missing)
}

/// The running executable itself, even if the file of its name was replaced.
fn open() -> std::io::Result<File> {
    if cfg!(target_os = "linux") {
        File::open("/proc/self/exe")
    } else {
        File::open(std::env::current_exe()?)
    }
}
