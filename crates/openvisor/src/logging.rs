//! The cloud's own log on standard error: what its operator has to know, each line with the device it is about.
//!
//! The timeline beside it is for whoever watches what applications do.

use clap::ValueEnum;
use tracing_subscriber::filter::LevelFilter;

/// How much is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Level {
    /// Nothing
    Off,
    /// What needs somebody
    Error,
    /// What may need somebody: refused devices, broken rules
    Warn,
    /// Who comes and goes
    Info,
    /// What devices ask for
    Debug,
    /// Everything there is
    Trace,
}

/// How lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people
    Text,
    /// One JSON object a line
    Json,
}

impl From<Level> for LevelFilter {
    fn from(level: Level) -> Self {
        match level {
            Level::Off => Self::OFF,
            Level::Error => Self::ERROR,
            Level::Warn => Self::WARN,
            Level::Info => Self::INFO,
            Level::Debug => Self::DEBUG,
            Level::Trace => Self::TRACE,
        }
    }
}

/// From now on lines of this level and above go to standard error, escaped as they are written: no call site can let a
/// device's, broker's or server's text through. Only the first call in a process does anything.
pub fn start(level: Level, format: Format) {
    let form = match format {
        Format::Text => text::Form::Text,
        Format::Json => text::Form::Json,
    };
    let lines = tracing_subscriber::fmt()
        .with_max_level(LevelFilter::from(level))
        .with_writer(move || text::Escaping::new(form, std::io::stderr()));
    // Somebody else's subscriber is no reason not to serve devices.
    let _ = match format {
        Format::Text => lines.with_ansi(false).try_init(),
        Format::Json => lines.json().flatten_event(true).try_init(),
    };
}
