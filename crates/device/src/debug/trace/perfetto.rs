//! Entries as Chrome's trace events.
//!
//! Events are in the order of their times. Exceptions, and calls during which something else happens, have an event for
//! their beginning and one for their end; what was repeated is one event with a list.

use std::borrow::Cow;
use std::fmt::Write as _;

use armv8m::Cycles;

use super::decode;
use super::entry::{CallEntry, Entry, Fields, Lane, Part, What, exception};
use super::line::{decoded, micros, status_name, thousands};
use super::queue::Repeated;

/// What is between two events.
const SEPARATOR: &str = ",\n";

/// Makes events.
#[derive(Default)]
pub(super) struct Events {
    /// Exceptions entered and not left.
    open: Vec<u16>,
    /// A call has begun, and has not returned.
    is_calling: bool,
}

impl Events {
    /// The beginning of the file: the names of the lanes.
    pub(super) fn begin() -> String {
        let lanes: Vec<String> = Lane::ALL.iter().map(|lane| lane_name(*lane)).collect();
        format!("{{\"displayTimeUnit\":\"ns\",\"traceEvents\":[\n{}", lanes.join(SEPARATOR))
    }

    /// The end of the file: what has not ended ends `at` the last time.
    pub(super) fn end(&mut self, at: Cycles) -> String {
        self.close_all(at) + "\n]}\n"
    }

    /// Ends whatever has begun: after a loss it is not known what has ended.
    pub(super) fn close_all(&mut self, at: Cycles) -> String {
        let mut events = String::new();
        for number in std::mem::take(&mut self.open).into_iter().rev() {
            events += &edge('E', &exception(number), Lane::Interrupts, at, "");
        }
        if std::mem::take(&mut self.is_calling) {
            events += &edge('E', "", Lane::Application, at, "");
        }
        events
    }

    /// The event of an entry.
    pub(super) fn event(&mut self, entry: &Entry, captured: &[u8]) -> String {
        match &entry.what {
            What::Call(call) => self.call(entry.at, call, captured),
            What::Exception { number, entered } => self.exception(entry.at, *number, *entered),
            What::Notification { irq, record } => {
                let mut fields = vec![("line", irq.to_string())];
                fields.extend(decode::record(record));
                instant("notification", Lane::Kernel, entry.at, &fields)
            }
            What::Mark { lane, name, fields } => instant(name, *lane, entry.at, fields),
        }
    }

    fn call(&mut self, at: Cycles, call: &CallEntry, captured: &[u8]) -> String {
        let (arguments, results) = decoded(call, captured);
        let status = || [("status", status_name(call).unwrap_or("does not return").to_owned())];
        let name = call.call.name();
        match call.part {
            Part::Whole => {
                let fields: Fields = arguments.into_iter().chain(status()).chain(results).collect();
                complete(name, Lane::Application, (at, at + call.cycles), &object(&fields))
            }
            Part::Begin => {
                self.is_calling = true;
                edge('B', name, Lane::Application, at, &object(&arguments))
            }
            Part::End if !std::mem::take(&mut self.is_calling) => String::new(),
            Part::End => {
                let fields: Fields = status().into_iter().chain(results).collect();
                edge('E', name, Lane::Application, at, &object(&fields))
            }
        }
    }

    fn exception(&mut self, at: Cycles, number: u16, entered: bool) -> String {
        if entered {
            self.open.push(number);
            return edge('B', &exception(number), Lane::Interrupts, at, "");
        }
        // What was entered before the trace began, or in a gap, is not known. The innermost of this number, because
        // exceptions nest.
        let Some(place) = self.open.iter().rposition(|open| *open == number) else { return String::new() };
        let inner = self.open.split_off(place);
        let left = inner.iter().rev().map(|number| edge('E', &exception(*number), Lane::Interrupts, at, ""));
        left.collect()
    }

    /// The events of a group: one of all that was repeated, and those of what occurred once.
    pub(super) fn group(&mut self, group: &[Repeated]) -> String {
        let is_listed = |repeated: &Repeated| repeated.count > 1 || repeats_exception(group, repeated);
        let Some(first) = group.iter().position(&is_listed) else { return String::new() };
        let mut events = String::new();
        for (place, repeated) in group.iter().enumerate() {
            if place == first {
                let listed: Vec<&Repeated> = group.iter().filter(|repeated| is_listed(repeated)).collect();
                events += &self.enter_group(repeated.entry.at, &listed);
            } else if !is_listed(repeated) {
                events += &self.event(&repeated.entry, &repeated.captured);
            }
        }
        events + &self.leave_group(group)
    }

    /// An exception that the group leaves has ended when it begins: the group says how often it was entered again.
    fn enter_group(&mut self, at: Cycles, listed: &[&Repeated]) -> String {
        let mut events = String::new();
        for number in listed.iter().filter_map(|repeated| left(repeated)) {
            events += &self.exception(at, number, false);
        }
        let is_call = |repeated: &&Repeated| matches!(repeated.entry.what, What::Call(_));
        let lane = if listed.iter().any(is_call) { Lane::Application } else { Lane::Interrupts };
        let until = listed.iter().map(|repeated| repeated.until).max().unwrap_or(at);
        let entries: Vec<String> = listed.iter().map(|repeated| repetition(repeated)).collect();
        let args = format!("{{\"repeated\":[{}]}}", entries.join(","));
        events + &complete(&group_name(listed), lane, (at, until), &args)
    }

    /// An exception that the group has entered once more than left is still active.
    fn leave_group(&mut self, group: &[Repeated]) -> String {
        let end = group.iter().map(|repeated| repeated.until).max().unwrap_or(0);
        let mut events = String::new();
        for repeated in
            group.iter().filter(|repeated| repeated.count > 1 || repeats_exception(group, repeated))
        {
            let What::Exception { number, entered: true } = repeated.entry.what else { continue };
            let left = group.iter().find(|other| left(other) == Some(number));
            if left.is_none_or(|left| left.until < repeated.until) {
                events += &self.exception(end, number, true);
            }
        }
        events
    }
}

/// The exception that an entry leaves.
fn left(repeated: &Repeated) -> Option<u16> {
    match repeated.entry.what {
        What::Exception { number, entered: false } => Some(number),
        _ => None,
    }
}

/// Whether this is the entering or leaving of an exception whose counterpart was repeated.
fn repeats_exception(group: &[Repeated], repeated: &Repeated) -> bool {
    let What::Exception { number, .. } = repeated.entry.what else { return false };
    let is_same = |other: &Repeated| {
        other.count > 1 && matches!(other.entry.what, What::Exception { number: own, .. } if own == number)
    };
    group.iter().any(is_same)
}

/// What a group consists of: the names, each once.
fn group_name(listed: &[&Repeated]) -> String {
    let count: u64 = listed.iter().map(|repeated| repeated.count).max().unwrap_or(0);
    let mut names: Vec<Cow<'static, str>> = Vec::new();
    for name in listed.iter().map(|repeated| name(&repeated.entry)) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    format!("{}, {} times", names.join(" + "), thousands(count))
}

fn name(entry: &Entry) -> Cow<'static, str> {
    match &entry.what {
        What::Call(call) => Cow::Borrowed(call.call.name()),
        What::Exception { number, .. } => exception(*number),
        What::Notification { .. } => Cow::Borrowed("notification"),
        What::Mark { name, .. } => name.clone(),
    }
}

/// One thing that was repeated: times are those at which the first and the last began, in microseconds.
fn repetition(repeated: &Repeated) -> String {
    let Repeated { entry, captured, count, until, latest } = repeated;
    let (name, first, last) = (text::json_string(&name(entry)), micros(entry.at), micros(*until));
    let mut event = format!("{{\"name\":{name},\"count\":{count},\"first\":{first},\"last\":{last}");
    match &entry.what {
        What::Call(call) => {
            let (arguments, results) = decoded(call, captured);
            let status = text::json_string(status_name(call).unwrap_or_default());
            let _ = write!(event, ",\"arguments\":{},\"status\":{status}", object(&arguments));
            let _ = write!(event, ",\"results\":{}", object(&results));
            if !latest.is_empty() {
                let latest = decode::captured_results(call.call, call.registers, latest);
                let _ = write!(event, ",\"last_results\":{}", object(&latest));
            }
        }
        What::Exception { entered, .. } => {
            let _ = write!(event, ",\"entered\":{entered}");
        }
        What::Notification { .. } | What::Mark { .. } => {}
    }
    event + "}"
}

fn lane_name(lane: Lane) -> String {
    let (number, name) = (lane.number(), lane.name());
    format!(
        "{{\"ph\":\"M\",\"pid\":1,\"tid\":{number},\"name\":\"thread_name\",\"args\":{{\"name\":\"{name}\"}}}}"
    )
}

fn complete(name: &str, lane: Lane, (from, to): (u64, u64), args: &str) -> String {
    let (ts, dur) = (micros(from), micros(to.saturating_sub(from)));
    let head = head(name, lane);
    format!("{SEPARATOR}{{\"ph\":\"X\",{head},\"ts\":{ts},\"dur\":{dur},\"args\":{args}}}")
}

/// The beginning (`B`) or the end (`E`) of something.
fn edge(phase: char, name: &str, lane: Lane, at: Cycles, args: &str) -> String {
    let (head, ts) = (head(name, lane), micros(at));
    let args = if args.is_empty() { String::new() } else { format!(",\"args\":{args}") };
    format!("{SEPARATOR}{{\"ph\":\"{phase}\",{head},\"ts\":{ts}{args}}}")
}

fn instant(name: &str, lane: Lane, at: Cycles, fields: &[(&'static str, String)]) -> String {
    let (head, ts) = (head(name, lane), micros(at));
    format!("{SEPARATOR}{{\"ph\":\"i\",\"s\":\"t\",{head},\"ts\":{ts},\"args\":{}}}", object(fields))
}

fn head(name: &str, lane: Lane) -> String {
    format!("\"pid\":1,\"tid\":{},\"name\":{}", lane.number(), text::json_string(name))
}

fn object(fields: &[(&'static str, String)]) -> String {
    let members: Vec<String> = fields
        .iter()
        .map(|(name, value)| format!("{}:{}", text::json_string(name), text::json_string(value)))
        .collect();
    format!("{{{}}}", members.join(","))
}
