//! Every command that the pages show is executed, and prints what the pages show.
//!
//! The blocks of a page are executed in order, in one temporary folder that looks like a clone of the repository, as a
//! reader would who types them. A fence `sh` is a script; a fence `console` has commands after `$ ` and the output they
//! print. `openvisor` on the PATH is the program that was just built. Comments in HTML before a fence, which no reader
//! sees, say what cannot be seen from the block:
//!
//! - `<!-- test: not run: REASON -->`: the block cannot be executed here. Command lines of openvisor in it are parsed.
//! - `<!-- test: exit 5 -->`: the block's last command ends with this exit code, and not with 0.
//! - `<!-- test: background NAME: TEXT -->`: the block runs in another terminal, which is called NAME; the page
//!   continues when it has printed TEXT.
//! - `<!-- test: interrupt NAME, exit 5 -->`: Ctrl-C in that terminal, or without NAME in all. What runs there has to
//!   end with this exit code, without `exit` with 0.
//! - `<!-- test: file NAME -->`: the block, of any language, is the content of this file.
//! - `<!-- test: patch -->`: the block is a patch, which is applied.
//! - `<!-- test: setup`, lines, `-->`: commands that the page takes for granted.
//!
//! What is printed is compared with wildcards: a line `...` stands for any lines, `[..]` for any text in a line; and
//! numbers that differ between runs, such as times, addresses, ports and ids, are all the same
//! (`pages/output.rs`). Ports that the pages name are replaced with free ones.

#[path = "pages/examples.rs"]
mod examples;
#[path = "pages/markdown.rs"]
mod markdown;
#[path = "pages/output.rs"]
mod output;
#[path = "pages/shell.rs"]
mod shell;

use std::path::{Path, PathBuf};

use markdown::{Kind, Part, parts};
use shell::Session;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// Blocks that are not executed, on all pages: the number may only shrink.
const NOT_RUN: usize = 9;

/// A test for each page, so that they run side by side and each has a time limit.
macro_rules! pages {
    ($($test:ident: $path:literal,)*) => {
        const PAGES: &[&str] = &[$($path),*];
        $(
            #[test]
            fn $test() {
                execute($path);
            }
        )*
    };
}

pages! {
    the_commands_of_the_readme_run: "README.md",
    the_commands_of_ci_run: "docs/ci.md",
    the_commands_of_debugging_run: "docs/debugging.md",
    the_commands_of_exit_codes_run: "docs/exit-codes.md",
    the_commands_of_json_run: "docs/json.md",
    the_commands_of_operating_run: "docs/operating.md",
    the_commands_of_rust_run: "docs/rust.md",
    the_commands_of_testing_run: "docs/testing.md",
    the_first_application_is_built_debugged_and_replayed: "docs/first-application.md",
    the_first_cloud_is_started_operated_and_restored: "docs/first-cloud.md",
    the_commands_of_the_sdk_run: "sdk/README.md",
}

/// Executes a page from its top to its end.
fn execute(page: &str) {
    let parts = parts(page, &read(page)).unwrap_or_else(|error| panic!("{error}"));
    let mut session = Session::new(page, Path::new(ROOT));
    for part in parts {
        session.perform(&part).unwrap_or_else(|error| panic!("{page}:{}: {error}", part.line));
    }
    session.end().unwrap_or_else(|error| panic!("{page}: {error}"));
}

#[test]
fn every_page_with_commands_is_executed_and_what_is_not_run_is_counted() {
    let mut not_run = Vec::new();
    for page in pages_of_the_repository() {
        let parts = parts(&page, &read(&page)).unwrap_or_else(|error| panic!("{error}"));
        let has_commands = parts.iter().any(|part| !matches!(part.kind, Kind::NotRun { .. }));
        assert!(!has_commands || PAGES.contains(&page.as_str()), "{page} has commands: add it to PAGES");
        not_run.extend(parts.iter().filter_map(|part| reason(&page, part)));
    }
    println!("{}", not_run.join("\n"));
    assert_eq!(not_run.len(), NOT_RUN, "blocks that are not run; NOT_RUN may only shrink");
}

fn reason(page: &str, part: &Part) -> Option<String> {
    let Kind::NotRun { reason, text } = &part.kind else { return None };
    examples::check(text).unwrap_or_else(|error| panic!("{page}:{}: {error}", part.line));
    Some(format!("{page}:{}: not run: {reason}", part.line))
}

fn read(page: &str) -> String {
    let path = Path::new(ROOT).join(page);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{page}: {error}"))
}

/// All Markdown files that readers of the product get, but the record of past decisions.
fn pages_of_the_repository() -> Vec<String> {
    let root = Path::new(ROOT);
    let mut files = Vec::new();
    for folder in [root.to_path_buf(), root.join("docs"), root.join("docs/spec"), root.join("sdk")] {
        let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        files.extend(entries.filter(|path| path.extension().is_some_and(|extension| extension == "md")));
    }
    let relative = |path: &PathBuf| path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
    let mut pages: Vec<String> = files.iter().map(relative).collect();
    pages.sort();
    pages
}
