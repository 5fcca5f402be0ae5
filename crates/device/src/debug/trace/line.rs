//! Entries as lines of text.

use std::borrow::Cow;
use std::fmt::Write as _;

use armv8m::Cycles;

use super::decode;
use super::entry::{CallEntry, Entry, Fields, Part, What, exception};
use super::queue::Repeated;
use super::values::{Values, put_decimal, put_padded};
use crate::memory_map::{CLOCK_HZ, CYCLES_PER_MICRO};

/// Makes lines, in memory that it keeps.
#[derive(Default)]
pub(super) struct Lines {
    line: String,
    values: Values,
}

impl Lines {
    /// The line of an entry.
    pub(super) fn entry(&mut self, entry: &Entry, captured: &[u8]) -> &str {
        self.start(entry, captured);
        self.finish()
    }

    /// The line of an entry that may have been repeated.
    pub(super) fn repeated(&mut self, repeated: &Repeated) -> &str {
        let Repeated { entry, captured, count, until, latest } = repeated;
        self.start(entry, captured);
        if *count > 1 {
            let (time, mut end) = (duration(until - entry.at), String::new());
            put_clock(&mut end, *until);
            let _ = write!(self.line, " ({} times in {time}, until {})", thousands(*count), end.trim_start());
            if let What::Call(call) = &entry.what
                && !latest.is_empty()
            {
                self.values.clear();
                decode::put_results(call.call, call.registers, latest, &mut self.values);
                self.line.push_str("; last ");
                self.put_values();
            }
        }
        self.finish()
    }

    /// Time, lane, and what happened.
    fn start(&mut self, entry: &Entry, captured: &[u8]) {
        let line = &mut self.line;
        line.clear();
        put_clock(line, entry.at);
        let lane = entry.lane().name();
        line.extend(["  ", lane, &"           "[lane.len().min(11)..], "  "]);
        match &entry.what {
            What::Call(call) => self.put_call(call, captured),
            What::Exception { number, entered: true } => line.extend(["> ", &exception(*number)]),
            What::Exception { number, entered: false } => line.extend(["< ", &exception(*number)]),
            What::Notification { irq, record } => {
                line.push_str("notification: line=");
                put_decimal(line, (*irq).into());
                line.push_str(", ");
                self.values.clear();
                decode::put_record(record, &mut self.values);
                self.put_values();
            }
            What::Mark { name, fields, .. } => {
                line.push_str(name);
                line.push_str(if fields.is_empty() { "" } else { ": " });
                put_joined(line, fields.iter().map(|(name, value)| (*name, value.as_str())));
            }
        }
    }

    fn put_call(&mut self, call: &CallEntry, captured: &[u8]) {
        let (arguments, results) = captured.split_at_checked(call.argument_bytes).unwrap_or_default();
        let name = call.call.name();
        if call.part == Part::End {
            self.line.extend(["... ", name]);
        } else {
            self.line.extend([name, "("]);
            self.values.clear();
            decode::put_arguments(call.call, call.registers, arguments, &mut self.values);
            self.put_values();
            self.line.push(')');
        }
        if call.part == Part::Begin {
            return self.line.push_str(" ...");
        }
        self.line.extend([" = ", status_name(call).unwrap_or("does not return")]);
        self.values.clear();
        if call.status == Some(abi::Status::Okay) {
            decode::put_results(call.call, call.registers, results, &mut self.values);
        }
        if !self.values.is_empty() {
            self.line.push_str("; ");
            self.put_values();
        }
        if call.cycles > 0 {
            self.line.push_str(" [");
            put_micros(&mut self.line, call.cycles);
            self.line.push_str(" us]");
        }
    }

    fn put_values(&mut self) {
        put_joined(&mut self.line, self.values.iter());
    }

    /// A value cannot break its line, whatever it contains.
    fn finish(&mut self) -> &str {
        let escaped = match text::escape(&self.line) {
            Cow::Borrowed(_) => None,
            Cow::Owned(escaped) => Some(escaped),
        };
        self.line = escaped.unwrap_or_else(|| std::mem::take(&mut self.line));
        self.line.push('\n');
        &self.line
    }
}

/// Arguments and results of a call.
pub(super) fn decoded(call: &CallEntry, captured: &[u8]) -> (Fields, Fields) {
    let (arguments, results) = captured.split_at_checked(call.argument_bytes).unwrap_or_default();
    let arguments = decode::captured_arguments(call.call, call.registers, arguments);
    let results = match call.status {
        Some(abi::Status::Okay) => decode::captured_results(call.call, call.registers, results),
        _ => Fields::new(),
    };
    (arguments, results)
}

/// The name of a call's status; none if it has not returned.
pub(super) fn status_name(call: &CallEntry) -> Option<&'static str> {
    call.status.map(|status| status.name().trim_start_matches("MV_STATUS_"))
}

fn put_joined<'v>(line: &mut String, values: impl Iterator<Item = (&'static str, &'v str)>) {
    for (index, (name, value)) in values.enumerate() {
        line.extend([if index == 0 { "" } else { ", " }, name, "=", value]);
    }
}

/// Appends seconds of guest time, in a column.
fn put_clock(line: &mut String, at: Cycles) {
    let (seconds, rest) = (at / u64::from(CLOCK_HZ), at % u64::from(CLOCK_HZ));
    put_padded(line, seconds, 6, b' ');
    line.push('.');
    put_padded(line, rest * 1000 / CYCLES_PER_MICRO, 9, b'0');
}

/// Microseconds with all the digits a cycle has.
pub(super) fn micros(cycles: Cycles) -> String {
    let mut text = String::new();
    put_micros(&mut text, cycles);
    text
}

fn put_micros(to: &mut String, cycles: Cycles) {
    put_decimal(to, cycles / CYCLES_PER_MICRO);
    // A cycle is 1/160 us, 0.00625: five digits are exact.
    let rest = cycles % CYCLES_PER_MICRO * 100_000 / CYCLES_PER_MICRO;
    if rest > 0 {
        to.push('.');
        put_padded(to, rest, 5, b'0');
        to.truncate(to.trim_end_matches('0').len());
    }
}

/// About how long this is.
pub(super) fn duration(cycles: Cycles) -> String {
    let micros = cycles / CYCLES_PER_MICRO;
    match micros {
        0..1_000 => format!("{micros} us"),
        1_000..1_000_000 => format!("{}.{} ms", micros / 1_000, micros / 100 % 10),
        _ => format!("{}.{} s", micros / 1_000_000, micros / 100_000 % 10),
    }
}

/// A number with its thousands separated.
pub(super) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut separated = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            separated.push(',');
        }
        separated.push(digit);
    }
    separated
}
