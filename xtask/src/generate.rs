//! `cargo xtask generate`: everything made from `docs/spec/abi.toml` and `docs/spec/abi-docs.toml`.
//!
//! The model is read once, each output is a pure function of it, and only [`run`] touches the disk.

mod c_names;
mod entries;
mod header;
mod linker;
mod model;
mod names;
mod rust;
mod rust_calls;
mod rust_layouts;
#[cfg(test)]
mod tests;

use model::Model;

use crate::{Outcome, check_flag, workspace};

/// One generated file: where it goes in the repository and what it holds.
pub(crate) struct Output {
    path: String,
    bytes: Vec<u8>,
}

impl Output {
    fn text(path: impl Into<String>, text: String) -> Self {
        Self { path: path.into(), bytes: text.into_bytes() }
    }
}

/// Writes every output, or with `--check` only compares.
pub(crate) fn run(arguments: &[String]) -> Outcome {
    let check = check_flag(arguments)?;
    let outputs = outputs(&Model::read()?)?;
    if check { compare(&outputs) } else { write(&outputs) }
}

fn outputs(model: &Model) -> Result<Vec<Output>, String> {
    let mut outputs = rust::files(model)?;
    outputs.push(header::file(model));
    outputs.extend(c_names::files(model));
    outputs.push(linker::file(model));
    outputs.push(entries::file(model)?);
    Ok(outputs)
}

fn write(outputs: &[Output]) -> Outcome {
    for output in outputs {
        let path = workspace::root().join(&output.path);
        let folder = path.parent().expect("an output's path names a file in a folder");
        std::fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", output.path))?;
        std::fs::write(&path, &output.bytes).map_err(|error| format!("{}: {error}", output.path))?;
    }
    Ok(())
}

fn compare(outputs: &[Output]) -> Outcome {
    let stale: Vec<&str> =
        outputs.iter().filter(|output| !is_current(output)).map(|output| output.path.as_str()).collect();
    if stale.is_empty() {
        return Ok(());
    }
    Err(format!("stale, run `cargo xtask generate`: {}", stale.join(", ")))
}

fn is_current(output: &Output) -> bool {
    std::fs::read(workspace::root().join(&output.path)).is_ok_and(|bytes| bytes == output.bytes)
}
