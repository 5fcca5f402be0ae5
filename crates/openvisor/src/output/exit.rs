//! How the command ends: five exit codes, and errors that say what happened and what to do.

use std::fmt;

use crate::output;

/// The process's exit code. The numbers are promised in `--help`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// What was asked for happened.
    Done = 0,
    /// Everything was in order to begin with, yet what was asked for did not happen.
    NotHappened = 1,
    /// The command line, or a file named on it, is not usable.
    BadInput = 2,
    /// The surroundings are in the way: a busy port, a data folder in use or of another version.
    Environment = 3,
    /// A replay went another way than its recording.
    Diverged = 4,
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command ended without success: one line of what happened, and one of what to do if that is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    exit: Exit,
    what: String,
    hint: Option<String>,
}

impl Failure {
    /// What was asked for did not happen.
    pub(crate) fn not_happened(what: impl Into<String>) -> Self {
        Self::new(Exit::NotHappened, what)
    }

    /// Something on the command line, or a file it names, cannot be used.
    pub(crate) fn bad_input(what: impl Into<String>) -> Self {
        Self::new(Exit::BadInput, what)
    }

    /// The surroundings are in the way.
    pub(crate) fn environment(what: impl Into<String>) -> Self {
        Self::new(Exit::Environment, what)
    }

    /// A replay went another way than its recording.
    pub(crate) fn diverged(what: impl Into<String>) -> Self {
        Self::new(Exit::Diverged, what)
    }

    fn new(exit: Exit, what: impl Into<String>) -> Self {
        Self { exit, what: what.into(), hint: None }
    }

    /// Adds what the user can do about it.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same where it may be known.
    pub(crate) fn hint_maybe(self, hint: Option<&str>) -> Self {
        match hint {
            Some(hint) => self.hint(hint),
            None => self,
        }
    }

    /// The code the process ends with.
    pub fn exit(&self) -> Exit {
        self.exit
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        self.hint.iter().try_for_each(|hint| write!(f, "\n  {hint}"))
    }
}

impl std::error::Error for Failure {}

/// Queues `failure` for standard error, in colour where a person reads it.
pub fn report(failure: &Failure) {
    let red = anstyle::AnsiColor::Red.on_default().bold();
    // The exit code says it too, should standard error be closed.
    // What is wrong may quote a file, a server or a device.
    let what = text::escape(&failure.what);
    let hint = failure.hint.as_ref().map(|hint| format!("  {}\n", text::escape(hint))).unwrap_or_default();
    output::stderr().offer(format!("{red}error:{red:#} {what}\n{hint}").as_bytes());
}
