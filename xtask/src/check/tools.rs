//! Programs that the checks need beside Rust and a C compiler: installed on Debian as root, else named.

use std::process::Command;
use std::time::Duration;

use crate::Outcome;
use crate::process::{self, capture, is_on_path};
use crate::workspace::root;

/// The target the kernel must always build for.
pub(crate) const THUMB: &str = "thumbv8m.main-none-eabi";

const INSTALL_LIMIT: Duration = Duration::from_mins(10);

/// A program, and its Debian package.
const PROGRAMS: &[(&str, &str)] = &[
    ("mosquitto", "mosquitto"),
    ("mosquitto_passwd", "mosquitto"),
    ("mosquitto_pub", "mosquitto-clients"),
    ("mosquitto_sub", "mosquitto-clients"),
    ("arm-none-eabi-gcc", "gcc-arm-none-eabi"),
    ("psql", "postgresql-client"),
    ("cmake", "cmake"),
    ("make", "make"),
    ("gdb-multiarch", "gdb-multiarch"),
    ("script", "bsdutils"),
    ("gcc", "gcc"),
    ("g++", "g++"),
    ("python3", "python3"),
    // The public clients of the management API.
    ("node", "nodejs"),
    ("npm", "npm"),
    ("openssl", "openssl"),
    ("jq", "jq"),
];

/// Installs what is missing, or returns the command that does.
pub(super) fn run() -> Outcome {
    thumb_target()?;
    let missing = missing_packages();
    if missing.is_empty() {
        return Ok(());
    }
    if may_install() { install(&missing) } else { Err(advice(&missing)) }
}

fn thumb_target() -> Outcome {
    let mut list = Command::new("rustup");
    list.args(["target", "list", "--installed"]).current_dir(root());
    let installed = capture(&mut list, INSTALL_LIMIT)
        .map_err(|error| format!("{error}\ninstall rustup, or a Rust with the target {THUMB}"))?;
    if installed.output.lines().any(|line| line == THUMB) {
        return Ok(());
    }
    process::run(Command::new("rustup").args(["target", "add", THUMB]).current_dir(root()), INSTALL_LIMIT)
}

fn missing_packages() -> Vec<&'static str> {
    let missing = PROGRAMS.iter().filter(|(program, _)| !is_on_path(program));
    let mut packages: Vec<&str> = missing.map(|(_, package)| *package).collect();
    // Debian installs the server's programs outside the path.
    if test_postgres::programs().is_none() {
        packages.push("postgresql");
    }
    // A library, and no program: the compiler answers the name alone if it has none.
    if !has_newlib() {
        packages.push("libnewlib-arm-none-eabi");
    }
    if !has_venv() {
        packages.push("python3-venv");
    }
    packages.dedup();
    packages
}

/// Whether Python can make a folder of its own for a client; Debian has that in a package of its own.
fn has_venv() -> bool {
    let mut command = Command::new("python3");
    command.args(["-c", "import venv, ensurepip"]);
    capture(&mut command, INSTALL_LIMIT).is_ok_and(|ended| ended.success)
}

/// Whether the Arm compiler has a C library, for the test of `sdk/lib/newlib.c`.
fn has_newlib() -> bool {
    let mut command = Command::new("arm-none-eabi-gcc");
    command.arg("-print-file-name=nano.specs");
    capture(&mut command, INSTALL_LIMIT).is_ok_and(|ended| ended.output.trim().contains('/'))
}

/// Only as root and by `apt-get`: typically in a container.
fn may_install() -> bool {
    let mut id = Command::new("id");
    id.arg("-u");
    is_on_path("apt-get") && capture(&mut id, INSTALL_LIMIT).is_ok_and(|ended| ended.output.trim() == "0")
}

fn install(packages: &[&str]) -> Outcome {
    process::run(Command::new("apt-get").args(["update", "--quiet"]), INSTALL_LIMIT)?;
    let arguments = ["install", "--yes", "--quiet", "--no-install-recommends"];
    let mut command = Command::new("apt-get");
    command.args(arguments).args(packages).env("DEBIAN_FRONTEND", "noninteractive");
    process::run(&mut command, INSTALL_LIMIT)?;
    let still = missing_packages();
    if still.is_empty() { Ok(()) } else { Err(advice(&still)) }
}

fn advice(packages: &[&str]) -> String {
    format!(
        "the tests need programs that are not installed. On Debian or Ubuntu:\n  sudo apt-get install {}\n\
         elsewhere: install mosquitto (broker and clients), PostgreSQL, the Arm GNU toolchain (arm-none-eabi-gcc, newlib), \
         gdb-multiarch, make, CMake, Python 3 with venv, Node.js with npm, and jq",
        packages.join(" ")
    )
}
