//! Entries as lines of text.

use std::fmt::Write as _;

use armv8m::Cycles;

use super::decode;
use super::entry::{CallEntry, Entry, Fields, Part, What, exception};
use super::queue::Repeated;
use crate::memory_map::{CLOCK_HZ, CYCLES_PER_MICRO};

/// The line of an entry.
pub(super) fn entry_line(entry: &Entry, captured: &[u8]) -> String {
    finished(&started(entry, captured))
}

/// The line of an entry that may have been repeated.
pub(super) fn repeated_line(repeated: &Repeated) -> String {
    let Repeated { entry, captured, count, until, latest } = repeated;
    let mut line = started(entry, captured);
    if *count > 1 {
        let (time, until) = (duration(until - entry.at), clock(*until));
        let _ = write!(line, " ({} times in {time}, until {})", thousands(*count), until.trim_start());
        if let What::Call(call) = &entry.what
            && !latest.is_empty()
        {
            let latest = decode::captured_results(call.call, call.registers, latest);
            let _ = write!(line, "; last {}", joined(&latest));
        }
    }
    finished(&line)
}

/// Time, lane, and what happened.
fn started(entry: &Entry, captured: &[u8]) -> String {
    let mut line = format!("{}  {:<11}  ", clock(entry.at), entry.lane().name());
    match &entry.what {
        What::Call(call) => put_call(&mut line, call, captured),
        What::Exception { number, entered: true } => line.extend(["> ", &exception(*number)]),
        What::Exception { number, entered: false } => line.extend(["< ", &exception(*number)]),
        What::Notification { irq, record } => {
            let _ = write!(line, "notification: line={irq}, {}", joined(&decode::record(record)));
        }
        What::Mark { name, fields, .. } if fields.is_empty() => line.push_str(name),
        What::Mark { name, fields, .. } => line.extend([name, ": ", &joined(fields)]),
    }
    line
}

fn put_call(line: &mut String, call: &CallEntry, captured: &[u8]) {
    let (arguments, results) = decoded(call, captured);
    let name = call.call.name();
    if call.part == Part::End {
        let _ = write!(line, "... {name}");
    } else {
        let _ = write!(line, "{name}({})", joined(&arguments));
    }
    if call.part == Part::Begin {
        return line.push_str(" ...");
    }
    let _ = write!(line, " = {}", status_name(call).unwrap_or("does not return"));
    if !results.is_empty() {
        let _ = write!(line, "; {}", joined(&results));
    }
    if call.cycles > 0 {
        let _ = write!(line, " [{} us]", micros(call.cycles));
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

/// A value cannot break its line, whatever it contains.
fn finished(line: &str) -> String {
    text::escape(line).into_owned() + "\n"
}

fn joined(fields: &Fields) -> String {
    fields.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(", ")
}

/// Seconds of guest time, in a column.
fn clock(at: Cycles) -> String {
    let (seconds, rest) = (at / u64::from(CLOCK_HZ), at % u64::from(CLOCK_HZ));
    format!("{seconds:>6}.{:09}", rest * 1000 / CYCLES_PER_MICRO)
}

/// Microseconds with all the digits a cycle has.
pub(super) fn micros(cycles: Cycles) -> String {
    // A cycle is 1/160 us, 0.00625: five digits are exact.
    let rest = cycles % CYCLES_PER_MICRO * 100_000 / CYCLES_PER_MICRO;
    let text = format!("{}.{rest:05}", cycles / CYCLES_PER_MICRO);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
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
