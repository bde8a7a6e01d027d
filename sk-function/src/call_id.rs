//! The id of one execution.

use std::fmt;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::str::FromStr;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::sync::process::atomic::{AtomicU64, Ordering};

/// The id of one execution: 128 bits that no other has.
///
/// It is made from the random state of std's hash maps, a counter, the process and the time. It is
/// unique, not secret: who knows some of them may guess others.
///
/// ```
/// use sk_function::CallId;
///
/// let id = CallId::new();
/// assert_ne!(id, CallId::new());
/// assert_eq!(id.to_string().len(), 32);
/// assert_eq!(id.to_string().parse(), Ok(id));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallId(u128);

impl CallId {
    /// A new one.
    #[expect(clippy::new_without_default, reason = "each is another: there is no usual one")]
    pub fn new() -> Self {
        CallId(u128::from(entropy()) << 64 | u128::from(entropy()))
    }

    /// The one with these bits.
    pub fn from_bits(bits: u128) -> Self {
        CallId(bits)
    }

    /// Its bits.
    pub fn bits(self) -> u128 {
        self.0
    }
}

/// 64 bits that differ each time, in each process, also in the copy that a fork makes. Not secret.
pub(crate) fn entropy() -> u64 {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let mut hasher = RandomState::new().build_hasher();
    // Only its being different each time counts.
    hasher.write_u64(COUNT.fetch_add(1, Ordering::Relaxed));
    hasher.write_u32(std::process::id());
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    hasher.write_u128(since.as_nanos());
    hasher.finish()
}

impl fmt::Display for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CallId({self})")
    }
}

impl FromStr for CallId {
    type Err = CallIdError;

    fn from_str(text: &str) -> Result<Self, CallIdError> {
        let is_id = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        match u128::from_str_radix(text, 16) {
            Ok(bits) if is_id => Ok(CallId(bits)),
            _ => Err(CallIdError { text: text.chars().take(40).collect() }),
        }
    }
}

impl Serialize for CallId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            self.0.serialize(serializer)
        }
    }
}

impl<'de> Deserialize<'de> for CallId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
            text.parse().map_err(serde::de::Error::custom)
        } else {
            u128::deserialize(deserializer).map(CallId)
        }
    }
}

/// A text that is no [`CallId`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallIdError {
    text: String,
}

impl fmt::Display for CallIdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is no id: 32 hexadecimal digits are needed", self.text)
    }
}

impl std::error::Error for CallIdError {}
