//! The GDB remote protocol over TCP: one debugger at a time, on the device's own thread.
//!
//! Threads of its own accept and read (`server`); what they read comes to the device's thread through a queue and its
//! bell. There a `Session` feeds it to the protocol's state machine, whose target is the machine itself
//! (`docs/decisions/0011-debugging.md`).

mod monitor;
mod registers;
mod server;
mod target;

use gdbstub::common::Signal;
use gdbstub::stub::state_machine::GdbStubStateMachine;
use gdbstub::stub::{GdbStub, SingleThreadStopReason};
use gdbstub::target::ext::breakpoints::WatchKind;

use crate::fault::{Fault, FaultKind};
use crate::machine::{Machine, Stop};

use server::Wire;
pub(crate) use server::{Arrival, Door};
pub use server::{DEFAULT_PORT, Server};

type Stub = GdbStubStateMachine<'static, Machine, Wire>;

/// The debugger's side of a device's thread: nobody, or one who is connected.
pub(crate) struct Session {
    door: Door,
    stub: Option<Stub>,
}

impl Session {
    /// Waits for a debugger at `door`.
    pub(crate) fn new(door: Door) -> Session {
        Session { door, stub: None }
    }

    /// Does what the debugger has asked for, and tells it when the application has stopped.
    pub(crate) fn attend(&mut self, machine: &mut Machine) {
        while let Some(arrival) = self.door.next() {
            match arrival {
                Arrival::Connected(wire) => self.begin(wire, machine),
                Arrival::Bytes(bytes) => bytes.iter().for_each(|byte| self.feed(*byte, machine)),
                Arrival::Closed => self.end(machine),
            }
        }
        self.report(machine);
    }

    fn begin(&mut self, wire: Wire, machine: &mut Machine) {
        let stub = GdbStub::builder(wire).build().ok();
        self.stub = stub.and_then(|stub| stub.run_state_machine(machine).ok());
        if self.stub.is_some() {
            machine.attach_debugger();
        }
    }

    fn end(&mut self, machine: &mut Machine) {
        if self.stub.take().is_some() {
            machine.detach_debugger();
        }
    }

    /// A debugger that breaks the protocol, or does not take its answers, is left.
    fn feed(&mut self, byte: u8, machine: &mut Machine) {
        let next = match self.stub.take() {
            None | Some(GdbStubStateMachine::Disconnected(_)) => return,
            Some(GdbStubStateMachine::Idle(stub)) => stub.incoming_data(machine, byte),
            Some(GdbStubStateMachine::Running(stub)) => stub.incoming_data(machine, byte),
            Some(GdbStubStateMachine::CtrlCInterrupt(stub)) => {
                stub.interrupt_handled(machine, None::<SingleThreadStopReason<u32>>)
            }
        };
        let next = match next {
            Ok(GdbStubStateMachine::CtrlCInterrupt(stub)) => {
                machine.interrupt();
                let stop = machine.take_stop().unwrap_or(Stop::Asked);
                stub.interrupt_handled(machine, Some(reason(&stop)))
            }
            next => next,
        };
        match next {
            Ok(GdbStubStateMachine::Disconnected(_)) | Err(_) => machine.detach_debugger(),
            Ok(stub) => self.stub = Some(stub),
        }
    }

    fn report(&mut self, machine: &mut Machine) {
        match self.stub.take() {
            Some(GdbStubStateMachine::Running(stub)) if machine.is_halted() => {
                let stop = machine.take_stop().unwrap_or(Stop::Asked);
                match stub.report_stop(machine, reason(&stop)) {
                    Ok(stub) => self.stub = Some(stub),
                    Err(_) => machine.detach_debugger(),
                }
            }
            other => self.stub = other,
        }
    }
}

/// A stop in the protocol's words.
fn reason(stop: &Stop) -> SingleThreadStopReason<u32> {
    use SingleThreadStopReason as R;
    match stop {
        Stop::Asked => R::Signal(Signal::SIGINT),
        Stop::Stepped => R::DoneStep,
        Stop::Breakpoint => R::HwBreak(()),
        Stop::Instruction | Stop::Reset => R::Signal(Signal::SIGTRAP),
        Stop::Watchpoint { address, write } => {
            let kind = if *write { WatchKind::Write } else { WatchKind::Read };
            R::Watch { tid: (), kind, addr: *address }
        }
        Stop::Fault(fault) => R::Signal(signal(fault)),
    }
}

/// The signal a fault would be on a system that has signals.
fn signal(fault: &Fault) -> Signal {
    const MEMORY: u32 = 0xFF;
    const BUS: u32 = 0xFF00;
    const STACK_OVERFLOW: u32 = 1 << 20;
    const UNALIGNED: u32 = 1 << 24;
    const DIVISION: u32 = 1 << 25;
    if let FaultKind::NoSuchCall { .. } = fault.kind {
        return Signal::SIGSYS;
    }
    match fault.cfsr {
        bits if bits & (MEMORY | STACK_OVERFLOW) != 0 => Signal::SIGSEGV,
        bits if bits & (BUS | UNALIGNED) != 0 => Signal::SIGBUS,
        bits if bits & DIVISION != 0 => Signal::SIGFPE,
        _ => Signal::SIGILL,
    }
}

#[cfg(test)]
mod tests;
