//! Nothing runs before `main`: a process that links sk-timing starts as one that does not.
//!
//! The child is this program itself, which links it and ends at once; the baseline is a child that has
//! ended before any of its own code ran beyond that.

pub(crate) fn is_child() -> bool {
    false
}

pub(crate) fn compare() {}
