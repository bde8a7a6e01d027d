//! What the fuzz targets share: the type that hostile bytes are read as, and the bound on memory.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sk_cereal::{Bulk, Value};

/// A bit of everything.
#[derive(Debug, Serialize, Deserialize)]
pub struct Everything {
    pub scalars: (bool, i8, u16, i32, u64, i128, f32, f64, char),
    pub text: String,
    pub bytes: Bulk<u32>,
    pub list: Vec<Tree>,
    pub sorted: BTreeMap<String, Option<u8>>,
    pub hashed: HashMap<u16, Vec<()>>,
    pub pause: Option<Duration>,
    pub value: Value,
    pub address: std::net::IpAddr,
    pub chain: Chain,
}

/// Recurses through every kind of container.
#[derive(Debug, Serialize, Deserialize)]
pub enum Tree {
    Leaf,
    Number(f64),
    Pair(Box<Tree>, Box<Tree>),
    Named { left: Box<Tree>, name: String },
    Many(Vec<Tree>),
    ByKey(BTreeMap<u8, Tree>),
}

/// Recurses through nothing but `Some`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Chain(pub Option<Box<Chain>>);

/// What the parts of an [`Everything`] may take in memory for each byte of the input.
///
/// A decoder reserves an element for each byte that is left at most. The dearest element here is one of
/// `hashed`: 32 bytes and one of the table's own, for 8/7 as many buckets as elements, and their number
/// rounded up to a power of two.
pub const DEAREST_ELEMENT: u64 = 33 * 16 / 7 + 1;

/// What a tree may take for each byte of JSON.
pub const NODE_OF_JSON: u64 = 16;

/// Runs `work`, which reads `input`, and panics if at its peak it holds more than a constant plus
/// `factor` times the input.
pub fn within_bounds<R>(input: &[u8], factor: u64, work: impl FnOnce() -> R) -> R {
    /// Paths of errors, stack bookkeeping, small change.
    const CONSTANT: u64 = 256 << 10;
    let mut result = None;
    let used = allocation_counter::measure(|| result = Some(work()));
    let most = CONSTANT + factor * input.len() as u64;
    assert!(used.bytes_max <= most, "{} bytes for an input of {}", used.bytes_max, input.len());
    result.expect("the closure ran")
}
