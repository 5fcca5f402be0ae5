//! Everything that reaches a machine from outside, as one type, and what each of it does.
//!
//! A machine's future follows from what it is made of, and from these inputs with their cycles: a recording is a list
//! of them (`recording.rs`).

use std::borrow::Cow;
use std::fmt;
use std::ops::{Deref, Range};

use armv8m::{Cycles, Register, Watchpoint};
use kernel::{ByeReason, LinkInput, LinkLoss, Violation};

use super::{Machine, RunResult, RunState};
use crate::events::DeviceEvent;
use crate::peripherals::{BoardSignal, i2c, usart};
use crate::pin::Pin;

/// Longest reason of a lost connection, in bytes; what is longer is cut.
const MAX_CAUSE: usize = 4096;

/// Bytes of an input. [`fmt::Debug`] shows only how many they are: what a cloud sends has secrets in it, and what a
/// debugger writes may.
#[derive(Clone, PartialEq, Eq)]
pub struct Bytes<'a>(Cow<'a, [u8]>);

impl fmt::Debug for Bytes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

impl Deref for Bytes<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl<'a, T: Into<Cow<'a, [u8]>>> From<T> for Bytes<'a> {
    fn from(bytes: T) -> Self {
        Self(bytes.into())
    }
}

/// Something that reaches a machine from outside, at its current cycle.
#[derive(Debug, Clone, PartialEq)]
pub enum Input<'a> {
    /// [`Machine::next_timeout`] is reached.
    Timeout,
    /// The other end of a serial port sends bytes. They arrive one by one at the port's baud rate once its receiver is
    /// on. Not accepted while the line has no room.
    Serial {
        /// Number of the port, as [`crate::serial::port_named`] has it.
        port: u8,
        /// What it sends.
        bytes: Bytes<'a>,
    },
    /// A pin is driven. An edge goes to the external interrupt controller as well.
    Pin {
        /// The pin.
        pin: Pin,
        /// Its level from now on.
        level: bool,
    },
    /// What a sensor measures changes, or it is tapped. Not accepted where no such sensor is.
    Quantity {
        /// Number of its I2C bus.
        bus: u8,
        /// Its address there.
        address: u8,
        /// Name of the quantity.
        name: Cow<'a, str>,
        /// Its value from now on.
        value: f64,
    },
    /// A connection to the cloud is being made.
    LinkConnecting,
    /// The connection is established.
    LinkConnected,
    /// The connection is lost, or could not be made.
    LinkLost {
        /// What it means to the kernel.
        kind: LinkLoss,
        /// The cause in one line.
        cause: Cow<'a, str>,
    },
    /// Bytes from the cloud.
    Received(Bytes<'a>),
    /// The kernel's clock goes forward without the application's: the host was too slow for the guest while the cloud's
    /// time continued (D220), or a debugger has halted the application, not the link (D133).
    TimeSkipped(Cycles),
    /// The device stops: what [`Machine::transmit`] gives next is the last the cloud receives.
    Shutdown,
    /// A debugger does something.
    Debugger(DebuggerInput<'a>),
}

/// What a debugger does to a machine. Reading memory and registers of the processor is not among it, as it changes
/// nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DebuggerInput<'a> {
    /// It attaches. The application halts, so that the user sees its state, and the kernel keeps the link up whatever
    /// the application requests (N20).
    Attach,
    /// It detaches, and what it set goes with it: the application resumes.
    Detach,
    /// The application halts before its first instruction until a debugger resumes it.
    HaltAtReset,
    /// The application halts, if it is not halted.
    Halt,
    /// The application resumes; one that has faulted starts again at once.
    Resume,
    /// The application executes one instruction, and further ones while its program counter is in the range.
    Step(Range<u32>),
    /// The application starts again and halts before its first instruction.
    Reset,
    /// A register of the processor is written.
    WriteRegister {
        /// The register.
        register: Register,
        /// Its new value.
        value: u32,
    },
    /// Registers of peripherals are read, which may change them: one that holds a received byte is then empty.
    ReadPeripherals {
        /// The first address.
        address: u32,
        /// Bytes to read.
        length: u32,
    },
    /// RAM or registers of peripherals are written.
    WriteMemory {
        /// The first address.
        address: u32,
        /// What is written.
        bytes: Bytes<'a>,
    },
    /// Application flash is erased.
    EraseFlash {
        /// The first address.
        address: u32,
        /// Bytes to erase.
        length: u32,
    },
    /// Application flash is written, until the process ends: the image's file does not change.
    WriteFlash {
        /// The first address.
        address: u32,
        /// What is written.
        bytes: Bytes<'a>,
    },
    /// A breakpoint is set at an instruction, or at a system call's entry.
    InsertBreakpoint(u32),
    /// A breakpoint is removed.
    RemoveBreakpoint(u32),
    /// Memory is watched.
    InsertWatchpoint(Watchpoint),
    /// Memory is no longer watched.
    RemoveWatchpoint(Watchpoint),
}

/// Why an input was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InputError {
    /// The cloud violated the link protocol; the connection must end.
    Violation(Violation),
    /// There is nothing to accept it, or no room for it. The machine is as it was before.
    NotAccepted,
    /// What the debugger requested is not possible, or in part only: there is no memory, or no breakpoint.
    NotPossible,
}

impl InputError {
    fn unless_accepted(accepted: bool) -> Result<(), Self> {
        if accepted { Ok(()) } else { Err(Self::NotAccepted) }
    }

    fn unless_possible(done: bool) -> Result<(), Self> {
        if done { Ok(()) } else { Err(Self::NotPossible) }
    }
}

impl Machine {
    /// Handles an input that arrives at its current cycle.
    ///
    /// # Errors
    /// [`InputError`]: whether the machine is as before, and whether the connection must end, depends on the variant.
    pub fn handle(&mut self, input: &Input<'_>) -> Result<(), InputError> {
        let result = self.apply(input);
        // What the application makes of it is not known until it has run.
        if !matches!(input, Input::Timeout) && result != Err(InputError::NotAccepted) {
            self.run_state = RunState::Ran;
        }
        result
    }

    fn apply(&mut self, input: &Input<'_>) -> Result<(), InputError> {
        match input {
            Input::Timeout => self.handle_timeout(),
            Input::Serial { port, bytes } => {
                return InputError::unless_accepted(self.send_serial(*port, bytes));
            }
            Input::Pin { pin, level } => self.drive_pin(*pin, *level),
            Input::Quantity { bus, address, name, value } => {
                return InputError::unless_accepted(self.set_quantity(*bus, *address, name, *value));
            }
            Input::LinkConnecting => self.on_link(DeviceEvent::LinkConnecting, LinkInput::Connecting),
            Input::LinkConnected => self.on_link(DeviceEvent::LinkUp, LinkInput::Connected),
            Input::LinkLost { kind, cause } => {
                let bye = self.enter_kernel(|kernel, _| kernel.take_bye());
                let (reason, cause) = match bye {
                    Some(reason) => (reason.label(), bye_text(reason)),
                    None => (loss_label(*kind), bounded(cause)),
                };
                let down = DeviceEvent::LinkDown { reason, cause: cause.to_owned() };
                self.on_link(down, LinkInput::Lost(*kind));
            }
            Input::Received(bytes) => return self.receive(bytes).map_err(InputError::Violation),
            Input::TimeSkipped(cycles) => self.skip_time(*cycles),
            Input::Shutdown => self.link_input(LinkInput::Shutdown),
            Input::Debugger(input) => {
                let result = self.apply_debugger(input);
                self.debugger_changed();
                return result;
            }
        }
        Ok(())
    }

    pub(super) fn apply_debugger(&mut self, input: &DebuggerInput<'_>) -> Result<(), InputError> {
        use DebuggerInput as D;
        let mut done = true;
        match input {
            D::Attach => self.attach_debugger(),
            D::Detach => self.detach_debugger(),
            D::HaltAtReset => self.halt_at_reset(),
            D::Halt => self.interrupt(),
            D::Resume => self.resume(),
            D::Step(range) => self.step(range.clone()),
            D::Reset => self.reset_and_halt(),
            D::WriteRegister { register, value } => self.set_register(*register, *value),
            D::ReadPeripherals { address, length } => {
                self.read_memory(*address, &mut vec![0; *length as usize]);
            }
            D::WriteMemory { address, bytes } => done = self.write_memory(*address, bytes),
            D::EraseFlash { address, length } => done = self.erase_flash(*address, *length),
            D::WriteFlash { address, bytes } => done = self.write_flash(*address, bytes),
            D::InsertBreakpoint(address) => done = self.insert_breakpoint(*address),
            D::RemoveBreakpoint(address) => done = self.remove_breakpoint(*address),
            D::InsertWatchpoint(watchpoint) => done = self.insert_watchpoint(watchpoint.clone()),
            D::RemoveWatchpoint(watchpoint) => done = self.remove_watchpoint(watchpoint),
        }
        InputError::unless_possible(done)
    }

    /// A loop that waits for what a debugger has written, or emptied by reading it, goes round again.
    pub(super) fn debugger_changed(&mut self) {
        self.cpu.input_changed();
        self.on_external_change();
        self.run_state = RunState::Ran;
    }

    /// Whatever is due at this cycle happens, and an application that it wakes executes its next instruction.
    fn handle_timeout(&mut self) {
        // One that is busy, or has just received something, has no timeout that could be due.
        if self.run_state != RunState::Ran {
            self.run(1);
        }
    }

    fn drive_pin(&mut self, pin: Pin, level: bool) {
        self.cpu.input_changed();
        self.board.drive_pin(pin, level, self.now());
        self.sync_lines();
        self.on_external_change();
    }

    fn set_quantity(&mut self, bus: u8, address: u8, name: &str, value: f64) -> bool {
        let found = usize::from(bus).checked_sub(1).and_then(|index| i2c::BUSES.get(index));
        let now = self.now();
        let quantity = BoardSignal::Quantity { address, name, value };
        let known = found.is_some_and(|kind| self.board.signal(kind.base, &quantity, now));
        if known {
            self.cpu.input_changed();
            self.sync_lines();
        }
        known
    }

    fn send_serial(&mut self, port: u8, bytes: &[u8]) -> bool {
        let found = usart::PORTS.iter().find(|kind| kind.number == port);
        let now = self.now();
        let input = BoardSignal::Serial(bytes);
        let taken = found.is_some_and(|kind| self.board.signal(kind.base, &input, now));
        if taken {
            self.cpu.input_changed();
            self.sync_lines();
            self.on_external_change();
        }
        taken
    }

    fn on_link(&mut self, event: DeviceEvent, input: LinkInput<'_>) {
        self.note_after_board(event);
        self.link_input(input);
        self.on_external_change();
    }

    fn receive(&mut self, bytes: &[u8]) -> Result<(), Violation> {
        let received = self.enter_kernel(|kernel, port| kernel.handle(port, LinkInput::Received(bytes)));
        self.on_external_change();
        received
    }

    fn skip_time(&mut self, cycles: Cycles) {
        self.skipped = self.skipped.saturating_add(cycles);
        if !self.is_off() && self.kernel_event().is_some_and(|at| at <= self.now()) {
            self.link_input(LinkInput::Timeout);
        }
        self.on_external_change();
    }

    /// Lets the application run, and time pass where it has nothing to do, up to cycle `to`; no further than a halt.
    fn advance_to(&mut self, to: Cycles) {
        while self.now() < to && !self.is_halted() {
            if self.run(to - self.now()) == RunResult::Idle && self.now() < to {
                self.pass_time(to);
            }
        }
    }
}

/// A machine is driven like every core without I/O, in its own time. What goes to the cloud is taken by
/// [`Machine::transmit`], as much of it at a time as the connection has room for.
impl sansio::StateMachine for Machine {
    type Time = Cycles;
    type Input<'a> = Input<'a>;
    type Output = DeviceEvent;
    type Error = InputError;

    const TIMEOUT: Input<'static> = Input::Timeout;

    /// Lets the application run up to `now`, then handles the input.
    fn handle(&mut self, now: Cycles, input: Input<'_>) -> Result<(), InputError> {
        self.advance_to(now);
        Self::handle(self, &input)
    }

    fn poll(&mut self, _now: Cycles) -> Option<DeviceEvent> {
        self.next_observed()
    }

    fn next_timeout(&self) -> Option<Cycles> {
        Self::next_timeout(self)
    }
}

fn bounded(cause: &str) -> &str {
    &cause[..cause.floor_char_boundary(MAX_CAUSE)]
}
/// What the reason of a `BYE` means for the operator of the device (D323).
fn loss_label(kind: LinkLoss) -> &'static str {
    match kind {
        LinkLoss::NoCarrier => "no_carrier",
        LinkLoss::Unreachable => "unreachable",
        LinkLoss::Requested => "requested",
    }
}

fn bye_text(reason: ByeReason) -> &'static str {
    match reason {
        ByeReason::Done => "the cloud ended it",
        ByeReason::Version => "the cloud speaks another version of the link",
        ByeReason::Violation => "the cloud ended it because of a violation of the link's rules",
        ByeReason::Replaced => "replaced by another connection with this device's identity",
        ByeReason::ShuttingDown => "the cloud is shutting down",
        ByeReason::Revoked => {
            "the cloud has revoked this device or does not know it; to connect again it must be provisioned again"
        }
        ByeReason::Keepalive => "the cloud received nothing for too long",
        ByeReason::Overloaded => "overloaded: the cloud has no room for the device now",
        ByeReason::Internal => "the cloud cannot serve the device because of an error of its own",
        ByeReason::Other(_) => "the cloud ended it for a reason that this version does not know",
    }
}
