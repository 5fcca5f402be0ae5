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

/// No lint speaks up anywhere.
pub(super) fn clippy() -> Outcome {
    let words = ["clippy", "--workspace", "--all-targets", "--locked", "--quiet", "--", "-D", "warnings"];
    run(cargo().args(words), BUILD_LIMIT)
}

/// The kernel, and all below it, build for the processor it is meant for.
pub(super) fn thumb() -> Outcome {
    let words = ["build", "--package", "kernel", "--release", "--locked", "--quiet"];
    run(cargo().args(words).args(["--target", super::tools::THUMB]), BUILD_LIMIT)
}

/// Documentation has no broken link, and its examples compile and run.
pub(super) fn docs() -> Outcome {
    let words = ["doc", "--workspace", "--no-deps", "--locked", "--quiet"];
    run(cargo().args(words).env("RUSTDOCFLAGS", "-D warnings"), BUILD_LIMIT)?;
    run(cargo().args(["test", "--workspace", "--doc", "--locked", "--quiet"]), BUILD_LIMIT)
}
