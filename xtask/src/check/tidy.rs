//! The project's own rules on its text, as an ordinary check.

use std::path::{Path, PathBuf};

use crate::Outcome;
use crate::workspace::root;

/// Crates that must not be able to do I/O, read a clock or draw randomness: without `std` the compiler sees to it.
pub(super) const CORE: &[&str] = &["abi", "kernel", "link", "mqtt", "relay", "sansio"];

/// Looks at every source file.
pub(super) fn run() -> Outcome {
    let mut objections: Vec<String> = CORE.iter().filter_map(|name| core_objection(name)).collect();
    let mut files = Vec::new();
    for folder in ["crates", "xtask", "sdk", "docs"] {
        collect(&root().join(folder), &mut files);
    }
    for file in &files {
        look_at(file, &mut objections);
    }
    println!("{} files", files.len());
    if objections.is_empty() { Ok(()) } else { Err(objections.join("\n")) }
}

fn core_objection(name: &str) -> Option<String> {
    let path = root().join("crates").join(name).join("src/lib.rs");
    let text = std::fs::read_to_string(&path).unwrap_or_default();
    let missing = ["#![no_std]", "#![forbid(unsafe_code)]"].into_iter().find(|line| !text.contains(line))?;
    Some(format!("crates/{name}/src/lib.rs: a core crate says {missing}"))
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() && path.file_name().is_some_and(|name| name != "target") {
            collect(&path, files);
        } else if path
            .extension()
            .is_some_and(|e| ["rs", "md", "toml", "c", "h", "S", "ld"].iter().any(|x| e == *x))
        {
            files.push(path);
        }
    }
}

fn look_at(path: &Path, objections: &mut Vec<String>) {
    let Ok(text) = std::fs::read_to_string(path) else { return };
    let shown = path.strip_prefix(root()).unwrap_or(path).display();
    for (number, line) in text.lines().enumerate() {
        if line.contains(concat!("/home", "/")) || line.contains(concat!("/ro", "ot/")) {
            objections.push(format!("{shown}:{}: a path of somebody's own machine", number + 1));
        }
    }
}
