//! `--junit`: the result of a run as a file.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::host::verdict::Verdict;
use crate::output::exit::Failure;
use crate::output::junit::{self, TestCase};

/// A report to be written when the run has ended.
pub(crate) struct TestReport {
    to: Option<(PathBuf, File)>,
    command: &'static str,
    name: String,
    start: Instant,
}

impl TestReport {
    /// Creates the file, so that one that cannot be written stops the run before it starts.
    pub(crate) fn create(path: Option<&Path>, command: &'static str, image: &Path) -> Result<Self, Failure> {
        let create = |path: &Path| match File::create(path) {
            Ok(file) => Ok((path.to_owned(), file)),
            Err(error) => {
                Err(Failure::bad_input(format!("--junit: cannot write {}: {error}", path.display())))
            }
        };
        let name = image.file_name().unwrap_or(image.as_os_str()).to_string_lossy().into_owned();
        Ok(Self { to: path.map(create).transpose()?, command, name, start: Instant::now() })
    }

    /// Writes the result of the run, and returns it.
    pub(crate) fn finish(self, verdict: &Verdict, result: Result<(), Failure>) -> Result<(), Failure> {
        let Some((path, mut file)) = self.to else { return result };
        let case = TestCase {
            name: self.name,
            class: format!("openvisor.{}", self.command),
            time: self.start.elapsed(),
            failure: result.clone().err(),
            details: verdict.crash_report().join("\n"),
            log: verdict.log(),
        };
        let text = junit::document(&format!("openvisor {}", self.command), vec![case]);
        let written = file.write_all(text.as_bytes()).map_err(|error| {
            Failure::environment(format!("--junit: cannot write {}: {error}", path.display()))
        });
        result.and(written)
    }
}
