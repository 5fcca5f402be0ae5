//! `cargo xtask book`: builds the book of `docs/` and of the pages beside it with mdBook, and follows its links.

mod links;
mod source;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::Outcome;
use crate::process::{self, capture};
use crate::workspace::{cargo, root};

/// The version of mdBook, which the check installs: another one may make other anchors.
const VERSION: &str = "0.5.4";
/// The folder of programs that the check builds for itself.
const TOOLS: &str = "target/tools";
/// The built book.
const HTML: &str = "target/book/html";

/// Long enough for a cold build on two slow cores.
const INSTALL_LIMIT: Duration = Duration::from_mins(15);
const BUILD_LIMIT: Duration = Duration::from_mins(2);

/// Builds the book in `target/book/html`.
///
/// # Errors
/// A page that is missing, a warning of mdBook, or a link that leads nowhere.
pub(crate) fn run(arguments: &[String]) -> Outcome {
    if let Some(argument) = arguments.first() {
        return Err(format!("`cargo xtask book` takes no argument: {argument}"));
    }
    install()?;
    let pages = source::collect()?;
    build()?;
    let links = links::check(&root().join(HTML))?;
    println!("{pages} pages and {links} links: {HTML}/index.html");
    Ok(())
}

/// Builds mdBook, unless it has this version already. As a program it is not linked with anything of the project, and
/// not shipped.
///
/// # Errors
/// It cannot be downloaded or built.
pub(crate) fn install() -> Outcome {
    if program().is_some() {
        return Ok(());
    }
    let mut command = cargo();
    // Without optimization it is built in half the time, and takes seconds for a book of this size.
    command.args(["install", "mdbook", "--version", VERSION, "--locked", "--quiet", "--debug"]);
    command.args(["--no-default-features", "--features", "search", "--root", TOOLS]);
    let build = root().join(TOOLS).join("build");
    command.env("CARGO_TARGET_DIR", &build).env("CARGO_PROFILE_DEV_DEBUG", "none");
    process::run(&mut command, INSTALL_LIMIT)?;
    std::fs::remove_dir_all(&build).map_err(|error| format!("{}: {error}", build.display()))
}

/// The installed program, of the right version.
fn program() -> Option<PathBuf> {
    let installed = root().join(TOOLS).join("bin/mdbook");
    [installed, PathBuf::from("mdbook")].into_iter().find(|path| has_version(path))
}

fn has_version(program: &Path) -> bool {
    let mut command = Command::new(program);
    command.arg("--version");
    capture(&mut command, BUILD_LIMIT).is_ok_and(|ended| ended.output.trim().ends_with(VERSION))
}

fn build() -> Outcome {
    let program = program().ok_or("mdBook is not installed: run `cargo xtask check tools`")?;
    let mut command = Command::new(program);
    command.args(["build", "docs"]).current_dir(root());
    let ended = capture(&mut command, BUILD_LIMIT)?;
    let has_warning = ended.output.lines().any(|line| line.contains("WARN") || line.contains("ERROR"));
    if ended.success && !has_warning { Ok(()) } else { Err(format!("{}mdbook: {}", ended.output, ended.how)) }
}
