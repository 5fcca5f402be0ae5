//! Generated files are what their sources say.

use crate::Outcome;

/// Every generator in its checking mode.
pub(super) fn run() -> Outcome {
    let flag = ["--check".to_owned()];
    crate::generate::run(&flag)?;
    crate::conformance::run(&flag)
}

/// The header compiles, and the committed images are what their sources make.
pub(super) fn sdk() -> Outcome {
    crate::sdk::run(&["--check".to_owned()])
}
