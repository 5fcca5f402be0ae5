//! When a run ends by itself, and which result it then has.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use regex_lite::Regex;

use super::run::seconds;

/// Conditions of a test.
#[derive(Args, Default)]
#[command(next_help_heading = "Test")]
pub(crate) struct VerdictOptions {
    /// Stop after this many seconds of the device's own clock: unlike with --seconds, what happens until then does not
    /// depend on the speed or load of this machine
    #[arg(long, value_name = "N", value_parser = seconds)]
    pub(crate) device_seconds: Option<Duration>,
    /// Stop with success as soon as a line matches this regular expression: one that the application logs, or writes to
    /// a serial port that is shown. Exit code 6 if the run ends before
    #[arg(long, value_name = "REGEX")]
    pub(crate) until: Option<Regex>,
    /// Stop with exit code 1 as soon as a line matches this regular expression (repeatable)
    #[arg(long, value_name = "REGEX")]
    pub(crate) fail_on: Vec<Regex>,
    /// Stop with exit code 6 if the run has not ended by itself after this many seconds of the wall clock: by --until,
    /// --device-seconds, or the end of a factory test
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub(crate) timeout: Option<Duration>,
    /// Do not fail because of a crash. Without this option, a run in which the application was stopped by a fault ends
    /// with exit code 5, however it ends; with --until it ends at the crash
    #[arg(long)]
    pub(crate) allow_crashes: bool,
    /// Write the result to FILE in the JUnit format of CI systems: one test case with the time it took, the failure,
    /// and the application's log
    #[arg(long, value_name = "FILE")]
    pub(crate) junit: Option<PathBuf>,
}

impl VerdictOptions {
    /// Whether they need the lines of the application.
    pub(crate) fn needs_lines(&self) -> bool {
        self.until.is_some() || !self.fail_on.is_empty() || self.junit.is_some()
    }
}
