//! The GDB remote protocol over TCP: one debugger at a time, on the device's own thread.
//!
//! Threads of its own accept and read (`server`); what they read reaches the device's thread by a queue, with its
//! waker. There a `GdbConnection` finds the packets (`framing`), answers or bounds those for which the protocol's state
//! machine would end the connection (`requests`), and feeds it the rest. The machine is the state machine's target
//! (`target`). Whatever a debugger sends, the connection stays open: one packet that is not understood should not end a
//! long debugging session (`docs/decisions/0011-debugging.md`, D208).

mod framing;
mod monitor;
mod registers;
mod replay;
mod requests;
mod server;
mod target;

use std::convert::Infallible;

use framing::{Framing, Incoming, PACKET_SIZE, framed};
use gdbstub::common::Signal;
use gdbstub::stub::state_machine::GdbStubStateMachine;
use gdbstub::stub::{DisconnectReason, GdbStub, SingleThreadStopReason};
use gdbstub::target::ext::breakpoints::WatchKind;
use requests::Request;
use server::Writer;
pub use server::{DEFAULT_PORT, Server};
pub(crate) use server::{Listener, ServerEvent};

use crate::fault::{Fault, FaultKind};
use crate::machine::{DebuggerInput, StopReason};
use crate::recording::RecordedMachine;

/// A stop reply: SIGTRAP.
const STOPPED_BY_SIGTRAP: &[u8] = b"S05";

/// The stop reply at the end of a recording. The state machine has it only for targets that also run backwards.
const STOPPED_AT_END: &[u8] = b"T05thread:01;replaylog:end;";

type Stub = GdbStubStateMachine<'static, RecordedMachine, Replies>;

/// What connects a device's thread to a debugger, if one is connected.
pub(crate) struct GdbConnection {
    listener: Listener,
    client: Option<Client>,
}

impl GdbConnection {
    /// Waits for a debugger.
    pub(crate) fn new(listener: Listener) -> Self {
        Self { listener, client: None }
    }

    /// Whether a debugger has attached and not detached.
    pub(crate) fn is_attached(&self) -> bool {
        self.client.as_ref().is_some_and(|client| client.stub.is_some())
    }

    /// What was refused last, because it would change a replay.
    pub(crate) fn take_refusal(&mut self) -> Option<&'static str> {
        self.client.as_mut()?.refusal.take()
    }

    /// Handles what the debugger has sent, and reports a halt of the application.
    pub(crate) fn poll(&mut self, machine: &mut RecordedMachine) {
        while let Some(event) = self.listener.next() {
            match event {
                ServerEvent::Connected(writer) => self.client = Some(Client::new(writer)),
                ServerEvent::Bytes(bytes) => self.receive(&bytes, machine),
                ServerEvent::Closed => self.end(machine),
            }
        }
        if let Some(client) = &mut self.client {
            client.report(machine);
            if !client.flush() {
                self.end(machine);
            }
        }
    }

    fn receive(&mut self, bytes: &[u8], machine: &mut RecordedMachine) {
        for byte in bytes {
            let Some(client) = &mut self.client else { return };
            let keep_going = client.receive(*byte, machine);
            // A debugger that does not read its replies is disconnected.
            if !(client.flush() && keep_going) {
                self.end(machine);
            }
        }
    }

    fn end(&mut self, machine: &mut RecordedMachine) {
        if let Some(client) = self.client.take()
            && client.stub.is_some()
        {
            machine.control(DebuggerInput::Detach);
        }
    }
}

/// What the state machine writes, until it is sent.
#[derive(Default)]
struct Replies(Vec<u8>);

impl gdbstub::conn::Connection for Replies {
    type Error = Infallible;

    fn write(&mut self, byte: u8) -> Result<(), Infallible> {
        self.0.push(byte);
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

/// A debugger that is connected.
struct Client {
    writer: Writer,
    framing: Framing,
    /// The protocol's state; none before its first packet, and after it has detached.
    stub: Option<Stub>,
    /// The packet by which features were negotiated.
    features: Option<Vec<u8>>,
    /// It stays connected when it detaches, and may attach again (`target extended-remote`).
    is_extended: bool,
    /// The application was restarted by `run`, after which GDB continues by itself.
    is_after_run: bool,
    /// What was refused, because it would change a replay, and was not reported yet.
    refusal: Option<&'static str>,
}

impl Client {
    fn new(writer: Writer) -> Self {
        Self {
            writer,
            framing: Framing::default(),
            stub: None,
            features: None,
            is_extended: false,
            is_after_run: false,
            refusal: None,
        }
    }

    /// Handles a byte. False when the connection ends.
    fn receive(&mut self, byte: u8, machine: &mut RecordedMachine) -> bool {
        match self.framing.push(byte) {
            None => true,
            Some(Incoming::Http) => false,
            Some(Incoming::TooLong) => {
                self.framing.reply(b"E16");
                true
            }
            Some(Incoming::Interrupt) => {
                if matches!(self.stub, Some(GdbStubStateMachine::Running(_))) {
                    machine.control(DebuggerInput::Halt);
                    self.report(machine);
                }
                true
            }
            Some(Incoming::Packet(data)) => {
                // A stop that is not reported yet goes before the packet's reply.
                self.report(machine);
                self.packet(&data, machine)
            }
        }
    }

    /// Handles a packet. False when the connection ends.
    fn packet(&mut self, data: &[u8], machine: &mut RecordedMachine) -> bool {
        if self.stub.is_none() {
            self.attach(machine);
        }
        if machine.machine().has_passive_debugger()
            && let Some(refusal) = replay::refusal(data)
        {
            self.refusal = Some(refusal);
            self.framing.reply(format!("E.{refusal}").as_bytes());
            return true;
        }
        // `kill`: GDB has nothing more to do with the application, and the replay continues to its end without it. It
        // waits for a reply only where it may stay connected.
        if machine.machine().has_passive_debugger() && (data == b"k" || data.starts_with(b"vKill")) {
            self.framing.reply(b"OK");
            return data != b"k";
        }
        if self.is_automatic_continue(data) && machine.machine().is_stopped() && !machine.machine().may_stop()
        {
            self.framing.reply(STOPPED_BY_SIGTRAP);
            return true;
        }
        match requests::classify(data, machine) {
            Request::Done => true,
            Request::Reply(reply) => {
                self.framing.reply(&reply);
                true
            }
            Request::Pass(data) => self.pass(&data, machine),
        }
    }

    /// Whether this is the continue that GDB sends by itself after `run`. Without a breakpoint the application would
    /// run away, so the reply is a stop at the first instruction (D134); the next continue is the user's.
    fn is_automatic_continue(&mut self, data: &[u8]) -> bool {
        match data {
            _ if requests::is_run(data) => self.is_after_run = true,
            [b'c' | b'C', ..] | [b'v', b'C', b'o', b'n', b't', b';', b'c' | b'C', ..] => {
                return std::mem::take(&mut self.is_after_run);
            }
            [b's' | b'S', ..] | [b'v', b'C', b'o', b'n', b't', b';', ..] => self.is_after_run = false,
            _ => {}
        }
        false
    }

    fn attach(&mut self, machine: &mut RecordedMachine) {
        self.stub = stub(machine);
        machine.control(DebuggerInput::Attach);
        if let Some(features) = self.features.clone() {
            let _ = self.feed(&features, machine);
        }
    }

    /// Has the state machine handle a packet. One it does not understand gets an empty reply, as the protocol demands.
    fn pass(&mut self, data: &[u8], machine: &mut RecordedMachine) -> bool {
        let was_running = matches!(self.stub, Some(GdbStubStateMachine::Running(_)));
        let Some(replies) = self.feed(data, machine) else {
            self.reset_stub(was_running, machine);
            let malformed: &[u8] = if data.starts_with(b"qXfer:") { b"E00" } else { b"" };
            self.framing.reply(malformed);
            return true;
        };
        self.framing.send(&replies);
        self.note(data);
        let Some(GdbStubStateMachine::Disconnected(ended)) = &self.stub else { return true };
        let stays_connected = self.is_extended && ended.get_reason() == DisconnectReason::Disconnect;
        self.stub = None;
        machine.control(DebuggerInput::Detach);
        stays_connected
    }

    /// Remembers what a packet has set for the rest of the connection.
    fn note(&mut self, data: &[u8]) {
        match data {
            b"!" => self.is_extended = true,
            b"QStartNoAckMode" => self.framing.stop_acknowledging(),
            _ if data.starts_with(b"qSupported") => self.features = Some(data.to_vec()),
            _ => {}
        }
    }

    /// Feeds a packet to the state machine, and returns its reply. None if it has failed; it is then dropped.
    fn feed(&mut self, data: &[u8], machine: &mut RecordedMachine) -> Option<Vec<u8>> {
        let mut stub = self.stub.take()?;
        for byte in framed(data) {
            stub = match stub {
                GdbStubStateMachine::Idle(stub) => stub.incoming_data(machine, byte).ok()?,
                GdbStubStateMachine::Running(stub) => stub.incoming_data(machine, byte).ok()?,
                // It is in neither state before a packet's last byte.
                GdbStubStateMachine::CtrlCInterrupt(_) | GdbStubStateMachine::Disconnected(_) => return None,
            };
        }
        let replies = match &mut stub {
            GdbStubStateMachine::Idle(stub) => stub.borrow_conn(),
            GdbStubStateMachine::Running(stub) => stub.borrow_conn(),
            GdbStubStateMachine::CtrlCInterrupt(stub) => stub.borrow_conn(),
            GdbStubStateMachine::Disconnected(stub) => stub.borrow_conn(),
        };
        let replies = std::mem::take(&mut replies.0);
        self.stub = Some(stub);
        Some(replies)
    }

    /// Replaces a state machine that failed by a new one in the same state.
    fn reset_stub(&mut self, was_running: bool, machine: &mut RecordedMachine) {
        self.stub = stub(machine);
        if let Some(features) = self.features.clone() {
            let _ = self.feed(&features, machine);
        }
        if was_running {
            // This does not affect an application that is running.
            let _ = self.feed(b"c", machine);
        }
    }

    /// Reports that the application has halted, if the debugger waits for it.
    fn report(&mut self, machine: &mut RecordedMachine) {
        match self.stub.take() {
            Some(GdbStubStateMachine::Running(mut stub)) if machine.machine().is_stopped() => {
                let stop = machine.take_stop().unwrap_or(StopReason::Requested);
                stub.borrow_conn().0.clear();
                match stub.report_stop(machine, reason(&stop)) {
                    Ok(GdbStubStateMachine::Idle(mut stub)) => {
                        let replies = std::mem::take(&mut stub.borrow_conn().0);
                        match stop {
                            StopReason::EndOfRecording => self.framing.reply(STOPPED_AT_END),
                            _ => self.framing.send(&replies),
                        }
                        self.stub = Some(stub.into());
                    }
                    _ => self.reset_stub(false, machine),
                }
            }
            other => self.stub = other,
        }
    }

    /// Sends pending replies. False when the debugger does not read them.
    fn flush(&mut self) -> bool {
        let unsent = self.framing.take_unsent();
        unsent.is_empty() || self.writer.send(&unsent).is_ok()
    }
}

/// A new state machine.
fn stub(machine: &mut RecordedMachine) -> Option<Stub> {
    let stub = GdbStub::builder(Replies::default()).packet_buffer_size(PACKET_SIZE).build().ok()?;
    stub.run_state_machine(machine).ok()
}

/// A halt as a stop reason of the protocol.
fn reason(stop: &StopReason) -> SingleThreadStopReason<u32> {
    use SingleThreadStopReason as R;
    match stop {
        StopReason::Requested => R::Signal(Signal::SIGINT),
        StopReason::Stepped => R::DoneStep,
        StopReason::Breakpoint => R::HwBreak(()),
        StopReason::Instruction | StopReason::Reset | StopReason::EndOfRecording => {
            R::Signal(Signal::SIGTRAP)
        }
        StopReason::Watchpoint { address, write } => {
            let kind = if *write { WatchKind::Write } else { WatchKind::Read };
            R::Watch { tid: (), kind, addr: *address }
        }
        StopReason::Fault(fault) => R::Signal(signal(fault)),
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

/// Serves one debugger that sends `bytes` and then closes: the whole path from the socket to the machine, for a fuzz
/// target.
///
/// # Errors
/// Loopback cannot be used.
pub fn converse(machine: &mut RecordedMachine, bytes: &[u8]) -> std::io::Result<()> {
    use std::io::{Read, Write};

    /// Cycles the application may run at a time.
    const BUDGET: u64 = 1000;
    let server = Server::bind((std::net::Ipv4Addr::LOCALHOST, 0).into())?;
    let mut writer = std::net::TcpStream::connect(server.address())?;
    let mut connection = GdbConnection::new(server.open(crate::waker::Waker::new()?)?);
    writer.write_all(bytes)?;
    writer.shutdown(std::net::Shutdown::Write)?;
    writer.set_read_timeout(Some(std::time::Duration::from_millis(1)))?;
    let mut answers = [0; 4096];
    loop {
        connection.poll(machine);
        machine.run(BUDGET);
        match writer.read(&mut answers) {
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Ok(length) if length > 0 => {}
            // The debugger was disconnected: it has closed, or violated the protocol.
            _ => return Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
