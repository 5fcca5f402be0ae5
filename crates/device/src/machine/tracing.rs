//! The machine's part of a trace: what happened when, in guest time.

use abi::Call;
use armv8m::{Cycles, ExceptionEvent};

use super::{Machine, StopReason};
use crate::debug::trace::decode;
use crate::debug::trace::{Entry, Fields, Lane, Tracer, What};
use crate::events::DeviceEvent;
use crate::port::Post;

/// A trace being written.
#[derive(Debug)]
pub(super) struct Tracing {
    tracer: Tracer,
    call: Option<Begun>,
}

/// A call that has not returned.
#[derive(Debug)]
struct Begun {
    at: Cycles,
    call: Call,
    registers: [u32; 4],
    arguments: Fields,
}

impl Machine {
    /// Traces everything from now on.
    pub fn trace_to(&mut self, tracer: Tracer) {
        self.cpu.record_exceptions(true);
        self.posts = Some(Vec::new());
        self.tracing = Some(Box::new(Tracing { tracer, call: None }));
        self.trace_events();
    }

    /// A call is about to be executed.
    pub(super) fn trace_call(&mut self, slot: u32, registers: [u32; 4]) {
        // First, so that the entries are in the order of time.
        self.trace_exceptions();
        let (Some(tracing), Some(call)) = (&mut self.tracing, Call::from_slot(slot)) else { return };
        let memory = |address: u32, into: &mut [u8]| self.cpu.read_memory(address, into);
        let arguments = decode::arguments(call, registers, &memory);
        tracing.call = Some(Begun { at: self.cpu.cycles(), call, registers, arguments });
    }

    /// The call returns with `status`, or does not return.
    pub(super) fn trace_return(&mut self, status: Option<abi::Status>) {
        let Some(tracing) = &mut self.tracing else { return };
        let Some(begun) = tracing.call.take() else { return };
        let memory = |address: u32, into: &mut [u8]| self.cpu.read_memory(address, into);
        // Only a call that was accepted has written results; otherwise old memory would be shown.
        let okay = status == Some(abi::Status::Okay);
        let results =
            if okay { decode::results(begun.call, begun.registers, &memory) } else { Fields::new() };
        let what = What::Call {
            name: begun.call.name(),
            arguments: begun.arguments,
            status: status.map(|status| status.name().trim_start_matches("MV_STATUS_")),
            results,
            cycles: self.cpu.cycles() - begun.at,
        };
        tracing.tracer.put(Entry { at: begun.at, lane: Lane::Application, what });
    }

    /// Exceptions since the last time, and what the kernel posted.
    pub(super) fn trace_exceptions(&mut self) {
        let Some(tracing) = &self.tracing else { return };
        for ExceptionEvent { cycle, number, entered } in self.cpu.take_exception_events() {
            let name = exception(number);
            let what = if entered { What::Entered(name) } else { What::Left(name) };
            tracing.tracer.put(Entry { at: cycle, lane: Lane::Interrupts, what });
        }
        for Post { irq, record } in self.posts.as_mut().map(std::mem::take).unwrap_or_default() {
            let mut fields = vec![("line", irq.to_string())];
            fields.extend(decode::record(&record));
            let what = What::Mark { name: "notification".into(), fields };
            tracing.tracer.put(Entry { at: self.cpu.cycles(), lane: Lane::Kernel, what });
        }
    }

    /// Events since the last time.
    pub(super) fn trace_events(&mut self) {
        if self.tracing.is_none() {
            return;
        }
        self.trace_exceptions();
        let at = self.cpu.cycles();
        let marks: Vec<_> = self.observer.untraced().filter_map(mark).collect();
        let Some(tracing) = &self.tracing else { return };
        for (lane, name, fields) in marks {
            tracing.tracer.put(Entry { at, lane, what: What::Mark { name, fields } });
        }
    }

    /// The debugger has halted the application.
    pub(super) fn trace_stop(&mut self, stop: &StopReason) {
        let at = self.cpu.cycles();
        let Some(tracing) = &self.tracing else { return };
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
        let what = What::Mark { name: name.into(), fields: Vec::new() };
        tracing.tracer.put(Entry { at, lane: Lane::Device, what });
    }
}

/// An exception by its name.
fn exception(number: u16) -> String {
    let name = match number {
        2 => "NMI",
        3 => "HardFault",
        4 => "MemManage",
        5 => "BusFault",
        6 => "UsageFault",
        11 => "SVCall",
        12 => "DebugMonitor",
        14 => "PendSV",
        15 => "SysTick",
        external => return format!("interrupt {}", external.saturating_sub(16)),
    };
    name.into()
}

/// The mark of an event; none for what the trace has otherwise.
fn mark(event: &DeviceEvent) -> Option<(Lane, String, Fields)> {
    use DeviceEvent as E;
    let field = |name, value: &dyn ToString| vec![(name, value.to_string())];
    let named = |lane, name: &str, fields| Some((lane, name.to_owned(), fields));
    match event {
        E::LinkConnecting => named(Lane::Link, "connecting", vec![]),
        E::LinkUp => named(Lane::Link, "up", vec![]),
        E::LinkDown { cause } => named(Lane::Link, "down", field("cause", cause)),
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
