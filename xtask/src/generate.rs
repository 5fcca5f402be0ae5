//! `cargo xtask generate`: everything made from `docs/spec/abi.toml` and `docs/spec/abi-docs.toml`.
//!
//! The model is read once; each file is a pure function of it, and only [`run`] touches the disk.

mod c_names;
mod entries;
mod header;
mod linker;
mod model;
mod names;
mod rust;
mod rust_calls;
mod rust_layouts;
mod rust_linker;
mod rust_sdk;
#[cfg(test)]
mod tests;

use model::Model;

use crate::{Outcome, check_flag, workspace};

/// One generated file: its path in the repository and its content.
pub(crate) struct GeneratedFile {
    path: String,
    bytes: Vec<u8>,
}

impl GeneratedFile {
    fn text(path: impl Into<String>, text: String) -> Self {
        Self { path: path.into(), bytes: text.into_bytes() }
    }
}

/// Writes every file, or with `--check` only compares.
pub(crate) fn run(arguments: &[String]) -> Outcome {
    let check = check_flag(arguments)?;
    let files = files(&Model::read()?)?;
    if check { compare(&files) } else { write(&files) }
}

fn files(model: &Model) -> Result<Vec<GeneratedFile>, String> {
    let mut files = rust::files(model)?;
    files.push(header::file(model));
    files.extend(c_names::files(model));
    files.extend(rust_sdk::files(model)?);
    files.extend(rust_linker::files(model)?);
    files.push(linker::file(model));
    files.push(entries::file(model)?);
    Ok(files)
}

fn write(files: &[GeneratedFile]) -> Outcome {
    for file in files {
        let path = workspace::root().join(&file.path);
        let folder = path.parent().expect("a file's path is a file in a folder");
        std::fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", file.path))?;
        std::fs::write(&path, &file.bytes).map_err(|error| format!("{}: {error}", file.path))?;
    }
    Ok(())
}

fn compare(files: &[GeneratedFile]) -> Outcome {
    let stale: Vec<&str> =
        files.iter().filter(|file| !is_current(file)).map(|file| file.path.as_str()).collect();
    if stale.is_empty() {
        return Ok(());
    }
    Err(format!("stale, run `cargo xtask generate`: {}", stale.join(", ")))
}

fn is_current(file: &GeneratedFile) -> bool {
    std::fs::read(workspace::root().join(&file.path)).is_ok_and(|bytes| bytes == file.bytes)
}
