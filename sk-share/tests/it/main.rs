//! Regions, the roster and waiting, within one process.

mod region;
mod roster;
mod wait;
