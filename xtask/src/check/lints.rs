//! Steps that are one or two cargo commands.

use std::process::Command;
use std::time::Duration;

use crate::Outcome;
use crate::process::run;
use crate::workspace::{RUST_SDK, cargo, root};

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

/// The workspace of Rust applications is formatted, has no lint warning, and builds. Its tests run on the virtual
/// device, by `crates/openvisor/tests/rust.rs`.
pub(super) fn rust_sdk() -> Outcome {
    run(rust_sdk_cargo().args(["fmt", "--all", "--check"]), FORMAT_LIMIT)?;
    // Not `--all-targets`: a library's benchmarks would need the standard library.
    let targets = ["--workspace", "--lib", "--bins", "--tests", "--release", "--locked", "--quiet"];
    run(rust_sdk_cargo().arg("clippy").args(targets).args(["--", "-D", "warnings"]), BUILD_LIMIT)?;
    run(rust_sdk_cargo().args(["build", "--release", "--locked", "--quiet"]), BUILD_LIMIT)
}

/// Cargo in the folder of Rust applications, whose configuration names the target, with a target folder of its own.
fn rust_sdk_cargo() -> Command {
    let mut command = cargo();
    command.current_dir(root().join(RUST_SDK)).env_remove("CARGO_TARGET_DIR").env_remove("RUSTFLAGS");
    command
}

/// The GitHub action's steps, the build included, run as on a runner.
pub(super) fn action() -> Outcome {
    let arguments = ["test", "--workspace", "--test", "action", "--locked", "--quiet", "--", "--ignored"];
    run(cargo().args(arguments), BUILD_LIMIT)
}

/// Documentation has no broken link, and its examples compile and run.
pub(super) fn docs() -> Outcome {
    let arguments = ["doc", "--workspace", "--no-deps", "--locked", "--quiet"];
    run(cargo().args(arguments).env("RUSTDOCFLAGS", "-D warnings"), BUILD_LIMIT)?;
    run(cargo().args(["test", "--workspace", "--doc", "--locked", "--quiet"]), BUILD_LIMIT)
}
