//! Runs xtask against small workspaces of its own, made below the target directory.

mod fixture;

mod bench;
mod ci;
mod features;
mod layers;
mod leftovers;
mod release;
mod tidy;
mod torture;
