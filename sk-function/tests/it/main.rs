//! What sk-function does, one module per subject.

mod context;
mod image;
mod operation;
mod outcome;
mod retry;
