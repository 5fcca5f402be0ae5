//! The thread that writes: takes what waits, makes text or events of it, and writes them.

use std::io::{self, BufWriter, Write};

use armv8m::Cycles;

use super::entry::{Entry, Fields, Lane};
use super::line::{Lines, duration, thousands};
use super::perfetto::Events;
use super::queue::{Batch, Item, Loss, Queue, Repeated};
use super::{Format, MAX_BYTES, TraceSink};

/// Writes entries until no more can come.
pub(super) fn write_all(queue: &Queue, outputs: Vec<TraceSink>) {
    let mut sinks: Vec<Sink> = outputs.into_iter().map(Sink::new).collect();
    let mut totals = Totals::default();
    sinks.iter_mut().for_each(Sink::begin);
    let (mut batch, mut is_flushed) = (Batch::default(), true);
    while queue.take(&mut batch, is_flushed) {
        is_flushed = batch.items.is_empty() && batch.lost.is_none();
        if is_flushed {
            // Nothing happens, so that now is the moment for readers of the file to see all of it.
            sinks.iter_mut().for_each(Sink::flush);
        }
        write_batch(&batch, &mut sinks, &mut totals);
        batch.clear();
    }
    write_batch(&batch, &mut sinks, &mut totals);
    for sink in &mut sinks {
        if totals.gaps > 1 {
            let (lost, gaps) = (thousands(totals.lost), totals.gaps);
            let name = format!("{lost} entries lost in all, in {gaps} gaps");
            sink.write(&Entry::mark(totals.last, Lane::Device, name, Fields::new()), &[]);
        }
        sink.end(totals.last);
    }
}

/// What has been written so far.
#[derive(Default)]
struct Totals {
    /// The time of the last entry.
    last: Cycles,
    lost: u64,
    gaps: u64,
}

fn write_batch(batch: &Batch, sinks: &mut [Sink], totals: &mut Totals) {
    let mut captured = batch.captured.as_slice();
    for item in &batch.items {
        match item {
            Item::One(entry, length) => {
                let (own, rest) = captured.split_at_checked(*length).unwrap_or_default();
                captured = rest;
                totals.last = entry.end();
                for sink in sinks.iter_mut() {
                    sink.write(entry, own);
                }
            }
            Item::Group(group) => {
                totals.last = group.iter().map(|repeated| repeated.until).max().unwrap_or(totals.last);
                for sink in sinks.iter_mut() {
                    sink.write_group(group);
                }
            }
        }
    }
    if let Some(Loss { count, from, until }) = batch.lost {
        (totals.last, totals.lost, totals.gaps) = (until, totals.lost + count, totals.gaps + 1);
        let (count, time) = (thousands(count), duration(until - from));
        let name = format!("{count} entries lost in {time}: they were faster than the output");
        let gap = Entry::mark(from, Lane::Device, name, Fields::new());
        for sink in sinks {
            sink.write_gap(&gap);
        }
    }
}

/// Bytes that are written at once: many lines.
const BUFFER: usize = 1 << 16;

/// One trace being written.
struct Sink {
    format: Format,
    lines: Lines,
    events: Events,
    file: Output,
}

/// Where a trace goes.
struct Output {
    to: BufWriter<Box<dyn Write + Send>>,
    written: u64,
    /// Full, or broken: nothing more is written.
    closed: bool,
}

impl Sink {
    fn new(output: TraceSink) -> Self {
        let to = BufWriter::with_capacity(BUFFER, output.to);
        let file = Output { to, written: 0, closed: false };
        Self { format: output.format, lines: Lines::default(), events: Events::default(), file }
    }

    fn begin(&mut self) {
        if self.format == Format::Perfetto {
            self.file.put(&Events::begin());
        }
    }

    fn write(&mut self, entry: &Entry, captured: &[u8]) {
        if self.has_room(entry.at) {
            self.put_entry(entry, captured);
        }
    }

    fn write_group(&mut self, group: &[Repeated]) {
        if !group.first().is_some_and(|first| self.has_room(first.entry.at)) {
            return;
        }
        match self.format {
            Format::Text => {
                for repeated in group {
                    self.file.put(self.lines.repeated(repeated));
                }
            }
            Format::Perfetto => self.file.put(&self.events.group(group)),
        }
    }

    fn write_gap(&mut self, gap: &Entry) {
        if self.format == Format::Perfetto && !self.file.closed {
            self.file.put(&self.events.close_all(gap.at));
        }
        self.write(gap, &[]);
    }

    /// Whether anything more may be written; if not, the trace ends.
    fn has_room(&mut self, at: Cycles) -> bool {
        if !self.file.closed && self.file.written >= MAX_BYTES {
            let name = format!("the trace ends here: it has {MAX_BYTES} bytes, the most there may be");
            self.put_entry(&Entry::mark(at, Lane::Device, name, Fields::new()), &[]);
            self.end(at);
        }
        !self.file.closed
    }

    fn put_entry(&mut self, entry: &Entry, captured: &[u8]) {
        match self.format {
            Format::Text => self.file.put(self.lines.entry(entry, captured)),
            Format::Perfetto => self.file.put(&self.events.event(entry, captured)),
        }
    }

    fn end(&mut self, at: Cycles) {
        if self.file.closed {
            return;
        }
        if self.format == Format::Perfetto {
            self.file.put(&self.events.end(at));
        }
        self.file.flush();
        self.file.closed = true;
    }

    fn flush(&mut self) {
        self.file.flush();
    }
}

impl Output {
    fn put(&mut self, text: &str) {
        if self.closed {
            return;
        }
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
