//! Longer documents, whose examples run with the tests.

#[doc = include_str!("../SURVIVES.md")]
pub mod survives {}

#[doc = include_str!("../FORMAT.md")]
pub mod format {}

#[doc = include_str!("../README.md")]
pub mod readme {}
