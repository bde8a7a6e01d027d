//! What sk-cereal does, one module per subject.

mod allocations;
mod bulk;
mod edge_cases;
mod errors;
mod hostile;
mod internal;
mod json;
mod modes;
mod own_codecs;
mod refused;
mod session;
mod std_types;
mod value;
mod wincode;
