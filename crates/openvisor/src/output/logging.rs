//! The cloud's own log on standard error: what its operator has to know, each line with the device it is about.
//!
//! What applications do is in the timeline instead.

use std::sync::{Arc, OnceLock};
use std::time::Instant;

use clap::ValueEnum;
use cloud::clock::wall_millis;
use serde_json::json;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{fmt, registry};

use crate::output;
use crate::output::event::VERSION;
use crate::output::timestamp;

mod json_lines;
mod rates;

use json_lines::JsonLines;
use rates::{RateLimit, Rates, Suppressed, WINDOW};

/// What is logged. The variants' comments are help text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Level {
    /// Nothing
    Off,
    /// Errors that need an operator
    Error,
    /// Problems that may need an operator: rejected devices, protocol violations
    Warn,
    /// Devices that connect and disconnect
    Info,
    /// Requests of devices
    Debug,
    /// Everything
    Trace,
}

/// How lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Lines of text
    Text,
    /// One JSON object per line
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

/// The rates of this process's log, once it has been started.
static RATES: OnceLock<Arc<Rates>> = OnceLock::new();

/// Starts the log on standard error. Lines are queued, so that no task waits for a slow reader (D170), limited in rate,
/// because any peer that reaches the port can cause most of them (D172), and escaped as they are written, so that no
/// call site can let control characters of a device, broker or server through (D205). Only the first call in a process
/// has an effect.
pub(crate) fn start(level: Level, format: Format) {
    let rates = Arc::<Rates>::default();
    let filters = registry().with(targets(level)).with(RateLimit::new(rates.clone()));
    let form = match format {
        Format::Text => text::LineFormat::Text,
        Format::Json => text::LineFormat::Json,
    };
    let lines = fmt::layer().with_writer(move || text::EscapingWriter::new(form, output::stderr().clone()));
    let started = match format {
        Format::Text => filters.with(lines.with_ansi(false)).try_init(),
        Format::Json => filters.with(lines.event_format(JsonLines)).try_init(),
    };
    // If there is a subscriber already, the cloud runs without this one.
    if started.is_err() || RATES.set(rates).is_err() {
        return;
    }
    output::stderr().set_drop_notice(Box::new(move |count| drop_notice(format, count)));
    let thread = std::thread::Builder::new().name("log-report".into());
    // Without this thread only the reports are missing.
    let _ = thread.spawn(|| {
        loop {
            std::thread::sleep(WINDOW);
            report_suppressed();
        }
    });
}

/// This program's lines of this level and above. Of libraries, whose lines are for their developers, warnings and
/// errors unless everything is wanted; and only errors of the resolver, which warns of every name that a device makes
/// up.
fn targets(level: Level) -> Targets {
    let libraries = if level == Level::Trace { LevelFilter::TRACE } else { LevelFilter::WARN };
    let level = LevelFilter::from(level);
    let resolver = level.min(LevelFilter::ERROR);
    Targets::new()
        .with_default(level.min(libraries))
        .with_target("cloud", level)
        .with_target("openvisor", level)
        .with_target("hickory_resolver", resolver)
        .with_target("hickory_net", resolver)
        .with_target("hickory_proto", resolver)
}

/// Logs how many lines were suppressed since the last report. Called regularly, and before the process ends.
pub(crate) fn report_suppressed() {
    let Some(rates) = RATES.get() else { return };
    for Suppressed { kind, is_warning, count } in rates.take_suppressed(Instant::now()) {
        if is_warning {
            tracing::warn!(name: "log_lines_suppressed", target: rates::REPORT, kind, count, "log lines suppressed");
        } else {
            tracing::info!(name: "log_lines_suppressed", target: rates::REPORT, kind, count, "log lines suppressed");
        }
    }
}

/// The line in place of those dropped because standard error was not read in time.
fn drop_notice(format: Format, count: u64) -> String {
    let at = timestamp::rfc3339(wall_millis());
    let text = "log lines dropped: standard error was not read in time";
    match format {
        Format::Text => format!("{at}  WARN openvisor::output: {text} count={count}\n"),
        Format::Json => {
            let line = json!({
                "v": VERSION, "timestamp": at, "level": "WARN", "event": "output_dropped", "message": text,
                "count": count, "target": "openvisor::output",
            });
            format!("{line}\n")
        }
    }
}
