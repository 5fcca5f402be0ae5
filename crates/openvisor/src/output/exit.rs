//! How the process ends: seven exit codes, and errors that say what happened and what to do.

use std::fmt;

use crate::output;
use crate::output::event::Event;
use crate::output::timeline::json_line;

/// The process's exit code. `--help` documents the numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// The command had the requested effect.
    Success = 0,
    /// It did not, although usage, input and environment were valid.
    Failed = 1,
    /// The command line, or a file named on it, is invalid.
    BadInput = 2,
    /// A port in use, a data folder in use or of another version.
    Environment = 3,
    /// A replay diverged from its recording.
    Diverged = 4,
    /// The application was stopped by a fault.
    Crashed = 5,
    /// A condition of `--until`, `--device-seconds` or a factory test was not met before the run ended.
    Unmet = 6,
}

impl Exit {
    /// The word for it in JSON output.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failed => "failed",
            Self::BadInput => "bad_input",
            Self::Environment => "environment",
            Self::Diverged => "diverged",
            Self::Crashed => "crashed",
            Self::Unmet => "unmet",
        }
    }
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command ended without success: what happened, in one line, and what to do about it if that is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    exit: Exit,
    message: String,
    hint: Option<String>,
}

impl Failure {
    /// Exit code 1.
    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Self::new(Exit::Failed, message)
    }

    /// Exit code 2.
    pub(crate) fn bad_input(message: impl Into<String>) -> Self {
        Self::new(Exit::BadInput, message)
    }

    /// Exit code 3.
    pub(crate) fn environment(message: impl Into<String>) -> Self {
        Self::new(Exit::Environment, message)
    }

    /// Exit code 4.
    pub(crate) fn diverged(message: impl Into<String>) -> Self {
        Self::new(Exit::Diverged, message)
    }

    /// Exit code 5.
    pub(crate) fn crashed(message: impl Into<String>) -> Self {
        Self::new(Exit::Crashed, message)
    }

    /// Exit code 6.
    pub(crate) fn unmet(message: impl Into<String>) -> Self {
        Self::new(Exit::Unmet, message)
    }

    fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into(), hint: None }
    }

    /// Adds what the user can do about it.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Says where the input is wrong, before the message.
    pub(crate) fn context(mut self, place: &str) -> Self {
        self.message = format!("{place}: {}", self.message);
        self
    }

    /// Adds a hint if there is one.
    pub(crate) fn hint_if(self, hint: Option<&str>) -> Self {
        match hint {
            Some(hint) => self.hint(hint),
            None => self,
        }
    }

    /// What happened, in one line.
    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// The exit code.
    pub fn exit(&self) -> Exit {
        self.exit
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        self.hint.iter().try_for_each(|hint| write!(f, "\n  {hint}"))
    }
}

impl std::error::Error for Failure {}

/// Queues `failure` for standard error, in colour on a terminal; with `json` as an object.
pub fn report(failure: &Failure, json: bool) {
    if json {
        let event = Event::Error {
            result: failure.exit.label(),
            exit_code: failure.exit as u8,
            detail: failure.message.clone(),
            hint: failure.hint.clone(),
        };
        output::stderr().offer(json_line(None, None, &event).as_bytes());
        return;
    }
    let red = anstyle::AnsiColor::Red.on_default().bold();
    // Escaped, because a message may quote a file, a server or a device.
    let message = text::escape(&failure.message);
    let hint = failure.hint.as_ref().map(|hint| format!("  {}\n", text::escape(hint))).unwrap_or_default();
    // Without a reader of standard error the exit code remains.
    output::stderr().offer(format!("{red}error:{red:#} {message}\n{hint}").as_bytes());
}
