//! The verbs of `cargo xtask` and their flags: parser and help come from this one list.

use std::path::PathBuf;

xflags::xflags! {
    /// The gates of this workspace, layer by layer.
    cmd xtask {
        /// Runs every gate in layer order and stops at the first broken one.
        cmd ci {
            /// Stop after the gates of this crate.
            optional --to crate_name: String
        }

        /// Checks that each row FEATURES.md calls done is shown by a test that names it and passes.
        cmd features {
            /// Check names only, run nothing.
            optional --names-only
        }

        /// Runs the benches and holds what they print against `benches/budget.toml`.
        cmd bench {
            /// Only this crate.
            optional crate_name: String
            /// Write every measured number to this file.
            optional --json file: PathBuf
            /// Hold ratios to the goal itself rather than to twice the goal.
            optional --strict
            /// Measure the rival crates of `peers/` in turn with ours.
            optional --peers
        }

        /// Checks that crates depend only on crates listed before them.
        cmd layers {}

        /// Checks the text of the tree: headers, marks of unfinished work, reasons, paths.
        cmd tidy {}

        /// Lists the processes, sockets, temporary files and shared memory of ours that remain.
        cmd leftovers {}

        /// Runs fuzz targets, models, torture tests and property tests for long.
        cmd torture {
            /// Only this crate.
            optional crate_name: String
            /// How long altogether; split evenly.
            required --minutes minutes: u64
        }

        /// Checks that the tree could be released as it is.
        cmd release {
            /// Check only. Publishing itself is done by hand.
            optional --dry-run
        }
    }
}
