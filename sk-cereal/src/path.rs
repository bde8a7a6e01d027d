//! Paths, whatever bytes they hold: for `#[serde(with = "sk_cereal::path")]`.
//!
//! serde refuses to encode a path that is not UTF-8. Here a path goes as an [`OsString`], which
//! serde carries whole. Where no field attribute reaches, as in a `Vec` of paths, hold `OsString`s.
//!
//! ```
//! # #[cfg(unix)] {
//! use std::{ffi::OsStr, os::unix::ffi::OsStrExt, path::PathBuf};
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Debug, PartialEq, Serialize, Deserialize)]
//! struct Found(#[serde(with = "sk_cereal::path")] PathBuf);
//!
//! let found = Found(OsStr::from_bytes(b"/tmp/\xff.txt").into());
//! let bytes = sk_cereal::internal::to_vec(&found)?;
//! assert_eq!(sk_cereal::internal::from_slice::<Found>(&bytes)?, found);
//! # }
//! # Ok::<(), sk_cereal::Error>(())
//! ```

use std::ffi::OsString;
use std::path::PathBuf;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Encodes the path as the operating system has it.
///
/// # Errors
/// The serializer's own.
pub fn serialize<P, S>(path: &P, serializer: S) -> Result<S::Ok, S::Error>
where
    P: AsRef<std::path::Path>,
    S: Serializer,
{
    path.as_ref().as_os_str().serialize(serializer)
}

/// Decodes what [`serialize`] wrote.
///
/// # Errors
/// The deserializer's own.
pub fn deserialize<'de, P, D>(deserializer: D) -> Result<P, D::Error>
where
    P: From<PathBuf>,
    D: Deserializer<'de>,
{
    OsString::deserialize(deserializer).map(|path| P::from(PathBuf::from(path)))
}
