//! The values that are encoded in benches, here and beside the peers.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

/// A nested record of middling size.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(sk_peers, derive(rkyv::Archive, rkyv::Serialize, rkyv::Deserialize))]
pub(crate) struct Record {
    pub(crate) id: u64,
    pub(crate) name: String,
    pub(crate) tags: Vec<String>,
    pub(crate) values: Vec<f64>,
    pub(crate) counts: HashMap<String, u64>,
    pub(crate) inner: Inner,
    pub(crate) children: Vec<Inner>,
    pub(crate) state: State,
    pub(crate) comment: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(sk_peers, derive(rkyv::Archive, rkyv::Serialize, rkyv::Deserialize))]
pub(crate) struct Inner {
    pub(crate) x: f64,
    pub(crate) y: f64,
    pub(crate) label: String,
    pub(crate) limit: Option<u32>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(sk_peers, derive(rkyv::Archive, rkyv::Serialize, rkyv::Deserialize))]
pub(crate) enum State {
    Idle,
    Running(u64),
    Failed { code: i32, reason: String },
}

/// 1,000 floats, a map of 100 entries, strings, enums and options.
pub(crate) fn record() -> Record {
    let inner = |i: u32| Inner {
        x: f64::from(i) * 0.5,
        y: -f64::from(i) / 3.0,
        label: format!("label number {i}"),
        limit: i.is_multiple_of(2).then_some(i * 1_000),
    };
    Record {
        id: 0x1234_5678_9abc_def0,
        name: "a record of middling size".to_owned(),
        tags: (0..8).map(|i| format!("tag-{i}")).collect(),
        values: floats(1_000),
        counts: (0..100_u64).map(|i| (format!("counter_{i:03}"), mix(i) >> 20)).collect(),
        inner: inner(7),
        children: (0..10).map(inner).collect(),
        state: State::Failed { code: -5, reason: "timed out waiting for a reply".to_owned() },
        comment: Some("an optional comment".to_owned()),
    }
}

/// Floats of full precision that do not repeat.
pub(crate) fn floats(count: u64) -> Vec<f64> {
    (0..count).map(|i| (mix(i) >> 11) as f64 / (1_u64 << 53) as f64).collect()
}

fn mix(i: u64) -> u64 {
    let mut x = i.wrapping_add(0x9e37_79b9_7f4a_7c15).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x ^= x >> 31;
    x.wrapping_mul(0x94d0_49bb_1331_11eb)
}
