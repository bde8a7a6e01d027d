//! Points in monotonic time: for `#[serde(with = "sk_cereal::instant")]`.
//!
//! An [`Instant`] means nothing outside its process, so it crosses as the wall-clock time that it
//! was or will be. What is lost: the moment between two readings of the clocks on each side (well
//! below a microsecond), and every step that the wall clock is set by between encoding and
//! decoding. Times before 1970 cannot cross.
//!
//! ```
//! use std::time::{Duration, Instant};
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Serialize, Deserialize)]
//! struct Lease { #[serde(with = "sk_cereal::instant")] until: Instant }
//!
//! let lease = Lease { until: Instant::now() + Duration::from_secs(5) };
//! let bytes = sk_cereal::internal::to_vec(&lease)?;
//! let back: Lease = sk_cereal::internal::from_slice(&bytes)?;
//! let off = lease.until.max(back.until) - lease.until.min(back.until);
//! assert!(off < Duration::from_secs(1));
//! # Ok::<(), sk_cereal::Error>(())
//! ```

use std::time::{Duration, Instant, SystemTime};

use serde::de::Error as _;
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Encodes `instant` as the time since 1970 of that point.
///
/// # Errors
/// The point is before 1970 or beyond what a clock can tell; or the serializer's own.
pub fn serialize<S: Serializer>(instant: &Instant, serializer: S) -> Result<S::Ok, S::Error> {
    let (here, wall) = (Instant::now(), SystemTime::now());
    let point = match instant.checked_duration_since(here) {
        Some(ahead) => wall.checked_add(ahead),
        None => wall.checked_sub(here.duration_since(*instant)),
    };
    point
        .and_then(|point| point.duration_since(SystemTime::UNIX_EPOCH).ok())
        .ok_or_else(|| S::Error::custom("an instant before 1970 or too far ahead cannot cross"))?
        .serialize(serializer)
}

/// Decodes what [`serialize`] wrote.
///
/// # Errors
/// This system's monotonic clock cannot tell that point; or the deserializer's own.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Instant, D::Error> {
    let since_epoch = Duration::deserialize(deserializer)?;
    let (here, wall) = (Instant::now(), SystemTime::now());
    SystemTime::UNIX_EPOCH
        .checked_add(since_epoch)
        .and_then(|point| match point.duration_since(wall) {
            Ok(ahead) => here.checked_add(ahead),
            Err(before) => here.checked_sub(before.duration()),
        })
        .ok_or_else(|| {
            let seconds = since_epoch.as_secs();
            D::Error::custom(format!("{seconds} s after 1970 is out of this clock's range"))
        })
}
