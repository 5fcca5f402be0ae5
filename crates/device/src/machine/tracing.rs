//! The machine's part of a trace: what happened when, in guest time.

use abi::{Call, Status};
use armv8m::{Cpu, Cycles, ExceptionEvent};

use super::polling::{is_read, query_arguments};
use super::{Machine, StopReason};
use crate::debug::trace::decode;
use crate::debug::trace::{CallEntry, Entry, Fields, Lane, Part, Tracer, What};
use crate::events::DeviceEvent;
use crate::port::Post;

/// A trace being written.
#[derive(Debug)]
pub(super) struct Tracing {
    tracer: Tracer,
    /// A call that has not returned.
    call: Option<Begun>,
    /// What was captured of memory for that call; kept for its memory.
    captured: Vec<u8>,
}

/// A call that has not returned.
#[derive(Debug)]
struct Begun {
    at: Cycles,
    call: Call,
    registers: [u32; 4],
    argument_bytes: usize,
    /// Its beginning is in the trace already, because something else has happened since.
    is_written: bool,
}

impl Machine {
    /// Traces everything from now on.
    pub fn trace_to(&mut self, tracer: Tracer) {
        self.cpu.record_exceptions(tracer.shows(Lane::Interrupts));
        self.posts = tracer.shows(Lane::Kernel).then(Vec::new);
        self.tracing = Some(Box::new(Tracing { tracer, call: None, captured: Vec::new() }));
        self.trace_events();
    }

    /// A call is about to be executed.
    pub(super) fn trace_call(&mut self, slot: u32, registers: [u32; 4]) {
        if self.tracing.is_none() {
            return;
        }
        // First, so that the entries are in the order of time.
        self.trace_exceptions();
        // A restart may have ended the last one.
        self.trace_return(None);
        let Some(tracing) = &mut self.tracing else { return };
        let Some(call) = Call::from_slot(slot).filter(|call| tracing.tracer.shows_call(*call)) else {
            return;
        };
        tracing.begin(call, registers, &self.cpu);
    }

    /// The call returns with `status`, or does not return.
    pub(super) fn trace_return(&mut self, status: Option<Status>) {
        if let Some(tracing) = &mut self.tracing {
            tracing.end(status, &self.cpu);
        }
    }

    /// Exceptions since the last time, and what the kernel posted.
    pub(super) fn trace_exceptions(&mut self) {
        let Some(tracing) = &mut self.tracing else { return };
        for ExceptionEvent { cycle, number, entered } in self.cpu.take_exception_events() {
            tracing.put(Entry { at: cycle, what: What::Exception { number, entered } });
        }
        let Some(posts) = self.posts.as_mut().filter(|posts| !posts.is_empty()) else { return };
        for Post { irq, record } in posts.drain(..) {
            tracing.put(Entry { at: self.cpu.cycles(), what: What::Notification { irq, record } });
        }
    }

    /// Events since the last time.
    pub(super) fn trace_events(&mut self) {
        if self.tracing.is_none() {
            return;
        }
        self.trace_exceptions();
        let Some(tracing) = &mut self.tracing else { return };
        let at = self.cpu.cycles();
        for (lane, name, fields) in self.observer.untraced().filter_map(mark) {
            tracing.put_mark(at, lane, name, fields);
        }
        tracing.tracer.pass_time(at);
    }

    /// The debugger has halted the application.
    pub(super) fn trace_stop(&mut self, stop: &StopReason) {
        let at = self.cpu.cycles();
        let Some(tracing) = &mut self.tracing else { return };
        let name = match stop {
            StopReason::Requested => "halted by the debugger",
            StopReason::Stepped => "step complete",
            StopReason::Breakpoint => "breakpoint",
            StopReason::Instruction => "breakpoint instruction",
            StopReason::Watchpoint { .. } => "watchpoint",
            StopReason::Fault(_) => "halted by the debugger at a fault",
            StopReason::Reset => "restarted by the debugger",
            StopReason::EndOfRecording => "end of the recording",
        };
        tracing.put_mark(at, Lane::Device, name, Fields::new());
    }
}

impl Tracing {
    fn begin(&mut self, call: Call, mut registers: [u32; 4], cpu: &Cpu) {
        // Registers beyond the arguments may contain anything.
        registers[call.parameters().len().min(4)..].fill(0);
        self.captured.clear();
        let memory = |address: u32, into: &mut [u8]| cpu.read_memory(address, into);
        decode::capture_arguments(call, registers, &memory, &mut self.captured);
        let (at, argument_bytes) = (cpu.cycles(), self.captured.len());
        self.call = Some(Begun { at, call, registers, argument_bytes, is_written: false });
    }

    fn end(&mut self, status: Option<Status>, cpu: &Cpu) {
        let Some(begun) = self.call.take() else { return };
        // Only a call that was accepted has written results; otherwise old memory would be shown.
        if status == Some(Status::Okay) {
            let memory = |address: u32, into: &mut [u8]| cpu.read_memory(address, into);
            decode::capture_results(begun.call, begun.registers, &memory, &mut self.captured);
        }
        let part = if begun.is_written { Part::End } else { Part::Whole };
        let at = if begun.is_written { cpu.cycles() } else { begun.at };
        let what = What::Call(begun.entry(part, status, cpu.cycles() - begun.at));
        self.tracer.put(Entry { at, what }, &self.captured);
    }

    /// Adds an entry that is no call, after the beginning of one that has not returned.
    fn put(&mut self, entry: Entry) {
        if let Some(begun) = self.call.as_mut().filter(|begun| !begun.is_written && begun.at < entry.at) {
            begun.is_written = true;
            let what = What::Call(begun.entry(Part::Begin, None, 0));
            self.tracer.put(Entry { at: begun.at, what }, &self.captured);
        }
        self.tracer.put(entry, &[]);
    }

    fn put_mark(&mut self, at: Cycles, lane: Lane, name: &'static str, fields: Fields) {
        if self.tracer.shows(lane) {
            self.put(Entry::mark(at, lane, name, fields));
        }
    }
}

impl Begun {
    fn entry(&self, part: Part, status: Option<Status>, cycles: Cycles) -> CallEntry {
        let Self { call, registers, argument_bytes, .. } = *self;
        let is_query = status.is_some_and(|status| is_without_effect(call, status));
        CallEntry { call, registers, status, part, is_query, cycles, argument_bytes }
    }
}

/// Whether a call that returned `status` has changed nothing: it only queries, or it was refused.
fn is_without_effect(call: Call, status: Status) -> bool {
    let is_query = query_arguments(call).is_some() && !is_read(call);
    status != Status::Okay || is_query || matches!(call, Call::PeriphPeek32 | Call::ReadChannel)
}

/// The mark of an event; none for what the trace has otherwise.
fn mark(event: &DeviceEvent) -> Option<(Lane, &'static str, Fields)> {
    use DeviceEvent as E;
    let field = |name, value: &dyn ToString| vec![(name, value.to_string())];
    let named = |lane, name, fields| Some((lane, name, fields));
    match event {
        E::LinkConnecting => named(Lane::Link, "connecting", vec![]),
        E::LinkUp => named(Lane::Link, "up", vec![]),
        E::LinkDown { cause, .. } => named(Lane::Link, "down", field("cause", cause)),
        E::Started { reason } => named(Lane::Device, "application starts", field("reason", &reason.name())),
        E::NetworkRequested => named(Lane::Kernel, "network requested", vec![]),
        E::NetworkReleased => named(Lane::Kernel, "network released", vec![]),
        E::ChannelOpened { channel } => named(Lane::Kernel, "channel opened", field("type", &channel.name())),
        E::ChannelClosed { channel } => named(Lane::Kernel, "channel closed", field("type", &channel.name())),
        E::Faulted { fault, .. } => named(Lane::Device, "fault", field("cause", fault)),
        E::Crashed(crash) => {
            let calls: Vec<&str> = crash.frames.iter().flat_map(|frame| &frame.sites).map(called).collect();
            named(Lane::Device, "backtrace", field("calls", &calls.join(" < ")))
        }
        E::ResetRequested { .. } => named(Lane::Device, "reset requested", vec![]),
        E::RestartRequested { .. } => named(Lane::Device, "restart requested", vec![]),
        E::SleepsDeeply { wakes_in_ms } => {
            named(Lane::Device, "deep sleep", field("wakes_in_ms", wakes_in_ms))
        }
        E::TestingComplete { status } => {
            named(Lane::Device, "factory test complete", field("status", status))
        }
        E::Debugger { attached } => named(Lane::Device, "debugger", field("attached", attached)),
        E::Led { on } => named(Lane::Device, "LED", field("on", on)),
        E::Pin { pin, level } => named(
            Lane::Device,
            "pin",
            vec![("pin", pin.to_string()), ("level", u8::from(*level).to_string())],
        ),
        E::UnknownRegister { address } => named(
            Lane::Device,
            "register that is not modelled",
            vec![("address", format!("{address:#010x}"))],
        ),
        _ => None,
    }
}

fn called(site: &crate::debug::symbols::Site) -> &str {
    site.function.as_deref().unwrap_or("unknown")
}
