//! Entries as text, and as Chrome's trace events.

use std::fmt::Write as _;
use std::io::{self, BufWriter, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use armv8m::Cycles;

use super::{Entry, Fields, Format, Lane, MAX_BYTES, TraceSink, What};
use crate::memory_map::{CLOCK_HZ, CYCLES_PER_MICRO};

/// How long what was written may wait in a buffer while nothing happens.
const FLUSH_AFTER: Duration = Duration::from_millis(200);

/// Writes entries until no more can come.
pub(super) fn write_all(entries: &Receiver<Entry>, lost: &AtomicU64, outputs: Vec<TraceSink>) {
    let mut sinks: Vec<Sink> = outputs.into_iter().map(Sink::new).collect();
    let mut last = 0;
    for sink in &mut sinks {
        sink.begin();
    }
    loop {
        let entry = match entries.recv_timeout(FLUSH_AFTER) {
            Ok(entry) => entry,
            // Nothing happens, so that now is the moment for readers of the file to see all of it.
            Err(RecvTimeoutError::Timeout) => {
                sinks.iter_mut().for_each(Sink::flush);
                continue;
            }
            Err(RecvTimeoutError::Disconnected) => break,
        };
        last = entry.at;
        // Before the entry: what was lost lies between it and the one before.
        let gap = loss(entry.at, lost);
        for sink in &mut sinks {
            for entry in gap.iter().chain([&entry]) {
                sink.write(entry);
            }
        }
    }
    let gap = loss(last, lost);
    for sink in &mut sinks {
        if let Some(gap) = &gap {
            sink.write(gap);
        }
        sink.end(last);
    }
}

/// The entries lost since the last call, if any.
fn loss(at: Cycles, lost: &AtomicU64) -> Option<Entry> {
    let count = lost.swap(0, Ordering::Relaxed);
    (count > 0).then(|| loss_entry(at, count))
}

fn loss_entry(at: Cycles, count: u64) -> Entry {
    let name = format!("{count} entries lost: they were faster than the output");
    Entry { at, lane: Lane::Device, what: What::Mark { name, fields: Vec::new() } }
}

/// One trace being written.
struct Sink {
    format: Format,
    to: BufWriter<Box<dyn Write + Send>>,
    written: u64,
    /// Exceptions entered and not left: name and cycle.
    open: Vec<(String, u64)>,
    /// Full, or broken: nothing more is written.
    closed: bool,
}

impl Sink {
    fn new(output: TraceSink) -> Self {
        let to = BufWriter::new(output.to);
        Self { format: output.format, to, written: 0, open: Vec::new(), closed: false }
    }

    fn begin(&mut self) {
        if self.format == Format::Perfetto {
            let lanes: Vec<String> = LANES.iter().map(|lane| lane_name(*lane)).collect();
            self.put(&format!("{{\"displayTimeUnit\":\"ns\",\"traceEvents\":[\n{}", lanes.join(",\n")));
        }
    }

    fn write(&mut self, entry: &Entry) {
        if self.closed {
            return;
        }
        if self.written >= MAX_BYTES {
            let name = format!("the trace ends here: it has {MAX_BYTES} bytes, the most there may be");
            let mark =
                Entry { at: entry.at, lane: Lane::Device, what: What::Mark { name, fields: Vec::new() } };
            self.put_entry(&mark);
            self.end(entry.at);
            return;
        }
        self.put_entry(entry);
    }

    fn put_entry(&mut self, entry: &Entry) {
        let text = match self.format {
            Format::Text => text_line(entry),
            Format::Perfetto => match self.event(entry) {
                Some(event) => format!(",\n{event}"),
                None => return,
            },
        };
        self.put(&text);
    }

    /// An exception becomes an event when it is left, with its time.
    fn event(&mut self, entry: &Entry) -> Option<String> {
        match &entry.what {
            What::Entered(name) => {
                self.open.push((name.clone(), entry.at));
                None
            }
            What::Left(name) => {
                // The innermost of this name, because exceptions nest.
                let at = self.open.iter().rposition(|(open, _)| open == name)?;
                let (name, began) = self.open.remove(at);
                Some(complete(&name, Lane::Interrupts, (began, entry.at), &[]))
            }
            What::Call { name, arguments, status, results, cycles } => {
                let status = [("status", status.unwrap_or("does not return").to_owned())];
                let fields: Vec<_> = arguments.iter().chain(&status).chain(results).cloned().collect();
                Some(complete(name, entry.lane, (entry.at, entry.at + cycles), &fields))
            }
            What::Mark { name, fields } => Some(instant(name, entry.lane, entry.at, fields)),
        }
    }

    fn end(&mut self, at: Cycles) {
        if self.closed {
            return;
        }
        if self.format == Format::Perfetto {
            // A handler that has not returned lasts until the end of the trace.
            for (name, began) in std::mem::take(&mut self.open) {
                self.put(&format!(",\n{}", complete(&name, Lane::Interrupts, (began, at), &[])));
            }
            self.put("\n]}\n");
        }
        self.flush();
        self.closed = true;
    }

    fn put(&mut self, text: &str) {
        self.written += text.len() as u64;
        if self.to.write_all(text.as_bytes()).is_err() {
            self.closed = true;
        }
    }

    fn flush(&mut self) {
        let flushed: io::Result<()> = self.to.flush();
        // A trace that cannot be written ends, and the device continues without it (D136).
        self.closed |= flushed.is_err();
    }
}

const LANES: [Lane; 5] = [Lane::Application, Lane::Interrupts, Lane::Kernel, Lane::Link, Lane::Device];

impl Lane {
    fn number(self) -> u32 {
        match self {
            Self::Application => 1,
            Self::Interrupts => 2,
            Self::Kernel => 3,
            Self::Link => 4,
            Self::Device => 5,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Application => "application",
            Self::Interrupts => "interrupts",
            Self::Kernel => "kernel",
            Self::Link => "link",
            Self::Device => "device",
        }
    }
}

fn text_line(entry: &Entry) -> String {
    let (seconds, rest) = (entry.at / u64::from(CLOCK_HZ), entry.at % u64::from(CLOCK_HZ));
    let nanos = rest * 1000 / CYCLES_PER_MICRO;
    let lane = entry.lane.name();
    let mut line = format!("{seconds:>6}.{nanos:09}  {lane:<11}  ");
    match &entry.what {
        What::Call { name, arguments, status, results, cycles } => {
            let _ = write!(line, "{name}({}) = {}", joined(arguments), status.unwrap_or("does not return"));
            if !results.is_empty() {
                let _ = write!(line, "; {}", joined(results));
            }
            if *cycles > 0 {
                let _ = write!(line, " [{} us]", micros(*cycles));
            }
        }
        What::Entered(name) => line.extend(["> ", name]),
        What::Left(name) => line.extend(["< ", name]),
        What::Mark { name, fields } if fields.is_empty() => line.push_str(name),
        What::Mark { name, fields } => line.extend([name, ": ", &joined(fields)]),
    }
    // A value cannot break its line, whatever it contains.
    text::escape(&line).into_owned() + "\n"
}

fn joined(fields: &Fields) -> String {
    fields.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(", ")
}

fn lane_name(lane: Lane) -> String {
    let (number, name) = (lane.number(), lane.name());
    format!(
        "{{\"ph\":\"M\",\"pid\":1,\"tid\":{number},\"name\":\"thread_name\",\"args\":{{\"name\":\"{name}\"}}}}"
    )
}

fn complete(name: &str, lane: Lane, (from, to): (u64, u64), fields: &[(&'static str, String)]) -> String {
    let (ts, dur) = (micros(from), micros(to.saturating_sub(from)));
    let head = head(name, lane);
    format!("{{\"ph\":\"X\",{head},\"ts\":{ts},\"dur\":{dur},\"args\":{}}}", object(fields))
}

fn instant(name: &str, lane: Lane, at: Cycles, fields: &[(&'static str, String)]) -> String {
    let (head, ts) = (head(name, lane), micros(at));
    format!("{{\"ph\":\"i\",\"s\":\"t\",{head},\"ts\":{ts},\"args\":{}}}", object(fields))
}

fn head(name: &str, lane: Lane) -> String {
    format!("\"pid\":1,\"tid\":{},\"name\":{}", lane.number(), text::json_string(name))
}

/// Microseconds with all the digits a cycle has.
fn micros(cycles: Cycles) -> String {
    // A cycle is 1/160 us, 0.00625: five digits are exact.
    let rest = cycles % CYCLES_PER_MICRO * 100_000 / CYCLES_PER_MICRO;
    let text = format!("{}.{rest:05}", cycles / CYCLES_PER_MICRO);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn object(fields: &[(&'static str, String)]) -> String {
    let members: Vec<String> = fields
        .iter()
        .map(|(name, value)| format!("{}:{}", text::json_string(name), text::json_string(value)))
        .collect();
    format!("{{{}}}", members.join(","))
}
