//! What happens, as lines for people or for machines: time since the start, who, what.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anstyle::{AnsiColor, Style};
use serde_json::{Map, Value, json};

/// Who a line is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The application, by its log lines.
    App,
    /// The virtual device: the processor and the kernel.
    Device,
    /// The connection between device and cloud.
    Link,
    /// The cloud.
    Cloud,
    /// The MQTT broker, and what is seen there.
    Broker,
    /// The demo itself, acting from outside.
    Demo,
}

impl Source {
    /// The word in the source column.
    pub fn name(self) -> &'static str {
        match self {
            Self::App => "app",
            Self::Device => "device",
            Self::Link => "link",
            Self::Cloud => "cloud",
            Self::Broker => "broker",
            Self::Demo => "demo",
        }
    }

    fn style(self) -> Style {
        match self {
            Self::App => AnsiColor::Green.on_default(),
            Self::Device => AnsiColor::Blue.on_default(),
            Self::Link => AnsiColor::Cyan.on_default(),
            Self::Cloud => AnsiColor::Magenta.on_default(),
            Self::Broker => AnsiColor::Yellow.on_default(),
            Self::Demo => Style::new().bold(),
        }
    }
}

/// How lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// For people. Styles are written always; the stream takes them out where no terminal reads.
    Text,
    /// One JSON object a line.
    Json,
    /// Nothing.
    Silent,
}

impl Form {
    /// The form a `--json` flag asks for.
    pub fn of(json: bool) -> Self {
        if json { Self::Json } else { Self::Text }
    }
}

/// A place where lines go, shared by all who have something to say.
pub struct Timeline {
    start: Instant,
    form: Form,
    out: Mutex<Box<dyn Write + Send>>,
    unread: AtomicBool,
}

impl Timeline {
    /// A timeline that starts now and writes to `out`.
    pub fn new(form: Form, out: Box<dyn Write + Send>) -> Self {
        Self { start: Instant::now(), form, out: Mutex::new(out), unread: AtomicBool::new(false) }
    }

    /// On standard output.
    pub fn on_stdout(form: Form) -> Self {
        Self::new(form, Box::new(anstream::AutoStream::auto(io::stdout())))
    }

    /// On standard error.
    pub fn on_stderr(form: Form) -> Self {
        Self::new(form, Box::new(anstream::AutoStream::auto(io::stderr())))
    }

    /// The time since the start.
    pub fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    /// Adds a line.
    pub fn say(&self, source: Source, text: impl AsRef<str>) {
        self.write(&match self.form {
            Form::Text => text_line(self.elapsed(), source, text.as_ref()),
            Form::Json => json_line(self.elapsed(), source, text.as_ref()),
            Form::Silent => return,
        });
    }

    /// Adds the lines that close the account: a name and a value each. In JSON they are the fields of one object.
    pub fn sum_up(&self, title: &str, rows: &[(&str, Value)]) {
        self.write(&match self.form {
            Form::Text => text_summary(title, rows),
            Form::Json => json_summary(title, rows),
            Form::Silent => return,
        });
    }

    /// Whether a line could not be written because nobody reads any more, as in `| head`.
    pub fn is_unread(&self) -> bool {
        self.unread.load(Ordering::Relaxed)
    }

    fn write(&self, line: &str) {
        let mut out = self.out.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if out.write_all(line.as_bytes()).and_then(|()| out.flush()).is_err() {
            self.unread.store(true, Ordering::Relaxed);
        }
    }
}

fn text_line(at: Duration, source: Source, text: &str) -> String {
    let dim = Style::new().dimmed();
    let style = source.style();
    let name = source.name();
    let seconds = at.as_secs_f64();
    format!("{dim}{seconds:9.3}{dim:#}  {style}{name:<6}{style:#}  {}\n", printable(text))
}

fn json_line(at: Duration, source: Source, text: &str) -> String {
    let at_ms = at.as_millis() as u64;
    json!({ "at_ms": at_ms, "source": source.name(), "text": text }).to_string() + "\n"
}

fn text_summary(title: &str, rows: &[(&str, Value)]) -> String {
    let bold = Style::new().bold();
    let width = rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    let mut text = format!("\n{bold}{}{bold:#}\n", printable(title));
    for (name, value) in rows {
        let value = value.as_str().map_or_else(|| value.to_string(), printable);
        let _ = writeln!(text, "  {name:<width$}  {value}");
    }
    text
}

fn json_summary(title: &str, rows: &[(&str, Value)]) -> String {
    let rows: Map<_, _> = rows.iter().map(|(name, value)| (name.replace(' ', "_"), value.clone())).collect();
    json!({ "summary": title, "values": rows }).to_string() + "\n"
}

/// `text` with everything a terminal could take for an order written out. Applications and brokers send what they like.
pub fn printable(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\t' => safe.push(' '),
            c if c.is_control() || is_invisible(c) => safe.extend(c.escape_default()),
            c => safe.push(c),
        }
    }
    safe
}

/// Characters that reorder or hide text on the line they stand in.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// A message's payload for a line: its text if it is text, else its size and start; long ones are cut.
pub fn payload(bytes: &[u8]) -> String {
    const SHOWN: usize = 120;
    match std::str::from_utf8(bytes) {
        Ok(text) if text.chars().count() <= SHOWN => text.to_owned(),
        Ok(text) => format!("{}… ({} bytes)", text.chars().take(SHOWN).collect::<String>(), bytes.len()),
        Err(_) => format!("{} bytes, not text", bytes.len()),
    }
}

#[cfg(test)]
mod tests;
