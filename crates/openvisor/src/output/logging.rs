//! The cloud's own log on standard error: what its operator has to know, each line with the device it is about.
//!
//! The timeline beside it is for whoever watches what applications do.

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
use crate::output::timestamp;

mod rates;

use rates::{RateLimit, Rates, Suppressed, WINDOW};

/// How much is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Level {
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
pub(crate) enum Format {
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

/// The rates of this process's log, once it has been started.
static RATES: OnceLock<Arc<Rates>> = OnceLock::new();

/// From now on lines of this level and above go to standard error: queued, so that no task waits for the reader (D170), at a
/// bounded rate, since most of them can be caused by whoever reaches the port (D172), and escaped as they are written, so that no
/// call site can let a device's, broker's or server's text through (D205). Only the first call in a process does anything.
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
        Format::Json => filters.with(lines.json().flatten_event(true)).try_init(),
    };
    // Somebody else's subscriber is no reason not to serve devices.
    if started.is_err() || RATES.set(rates).is_err() {
        return;
    }
    output::stderr().set_drop_notice(Box::new(move |count| drop_notice(format, count)));
    let thread = std::thread::Builder::new().name("log-report".into());
    // Without it only the counts are missing.
    let _ = thread.spawn(|| {
        loop {
            std::thread::sleep(WINDOW);
            report_suppressed();
        }
    });
}

/// All lines of this level and above, but of the resolver's own only errors: it warns of every name that a device makes up.
fn targets(level: Level) -> Targets {
    let level = LevelFilter::from(level);
    let resolver = level.min(LevelFilter::ERROR);
    Targets::new()
        .with_default(level)
        .with_target("hickory_resolver", resolver)
        .with_target("hickory_net", resolver)
        .with_target("hickory_proto", resolver)
}

/// Says how many lines were suppressed and not yet reported. Called regularly, and before the process ends.
pub(crate) fn report_suppressed() {
    let Some(rates) = RATES.get() else { return };
    for Suppressed { kind, is_warning, count } in rates.take_suppressed(Instant::now()) {
        if is_warning {
            tracing::warn!(target: rates::REPORT, kind, count, "log lines suppressed");
        } else {
            tracing::info!(target: rates::REPORT, kind, count, "log lines suppressed");
        }
    }
}

/// Stands where lines were dropped because standard error was not read in time.
fn drop_notice(format: Format, count: u64) -> String {
    let at = timestamp::exact(wall_millis());
    let text = "log lines dropped: standard error was not read in time";
    match format {
        Format::Text => format!("{at}  WARN openvisor::output: {text} count={count}\n"),
        Format::Json => {
            let line = json!({
                "timestamp": at, "level": "WARN", "message": text, "count": count, "target": "openvisor::output",
            });
            format!("{line}\n")
        }
    }
}
