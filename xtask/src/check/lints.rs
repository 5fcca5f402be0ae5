//! Steps that are one or two cargo commands.

use std::time::Duration;

use crate::Outcome;
use crate::process::run;
use crate::workspace::cargo;

const FORMAT_LIMIT: Duration = Duration::from_mins(1);
/// Long enough for a cold build on two slow cores.
const BUILD_LIMIT: Duration = Duration::from_mins(20);

/// The formatter has nothing to change.
pub(super) fn format() -> Outcome {
    run(cargo().args(["fmt", "--all", "--check"]), FORMAT_LIMIT)
}

/// There is no lint warning.
pub(super) fn clippy() -> Outcome {
    let arguments = ["clippy", "--workspace", "--all-targets", "--locked", "--quiet", "--", "-D", "warnings"];
    run(cargo().args(arguments), BUILD_LIMIT)
}

/// The kernel and its dependencies build for a Cortex-M33.
pub(super) fn thumb() -> Outcome {
    let arguments = ["build", "--package", "kernel", "--release", "--locked", "--quiet"];
    run(cargo().args(arguments).args(["--target", super::tools::THUMB]), BUILD_LIMIT)
}

/// Documentation has no broken link, and its examples compile and run.
pub(super) fn docs() -> Outcome {
    let arguments = ["doc", "--workspace", "--no-deps", "--locked", "--quiet"];
    run(cargo().args(arguments).env("RUSTDOCFLAGS", "-D warnings"), BUILD_LIMIT)?;
    run(cargo().args(["test", "--workspace", "--doc", "--locked", "--quiet"]), BUILD_LIMIT)
}
