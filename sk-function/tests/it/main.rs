//! What sk-function does, one module per subject.

mod any_function;
mod builder;
mod call;
mod context;
mod declared;
mod function;
mod image;
mod kinds;
mod modifiers;
mod operation;
mod outcome;
mod registry;
mod retry;
