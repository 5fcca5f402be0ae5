//! Collects the events of a machine. What the machine does never depends on it.

use std::collections::VecDeque;

use abi::channel::ChannelType;
use abi::{Call, Status};
use armv8m::Cpu;

use crate::debug::refused_call::{Handles, Refusal, RefusedCalls, Resource};
use crate::events::{BoardEvent, DeviceEvent, PinFilter};
use crate::pin::Pin;

/// Port and pin of the user LED, PA5.
const LED: (u8, u8) = (0, 5);

/// Offsets of the channel type and of the send buffer's length in `MvOpenChannelParams`.
const CHANNEL_TYPE_AT: u32 = 32;
const SEND_BUFFER_LEN_AT: u32 = 28;

/// Gathers events.
#[derive(Debug)]
pub(super) struct Observer {
    trace: bool,
    events: VecDeque<DeviceEvent>,
    /// How many of them are in the trace, if one is written.
    traced: usize,
    /// The handles the application holds, to name the one that is closed or cannot be used.
    handles: Handles,
    /// Which pins are reported, besides the LED.
    pins: PinFilter,
    /// Whether the lines of the log are reported.
    log: bool,
    refusals: RefusedCalls,
}

/// What is read of a call before it is executed, because the call may overwrite it.
#[derive(Clone)]
pub(super) struct Before {
    call: Option<Call>,
    arguments: [u32; 4],
    /// The handle that a closing call is about to set to zero.
    handle: u32,
}

impl Before {
    /// Reads what is needed of a call about to be executed.
    pub(super) fn new(cpu: &Cpu, slot: u32, arguments: [u32; 4]) -> Self {
        let call = Call::from_slot(slot);
        let handle = if call.is_some_and(closes) { word(cpu, arguments[0]) } else { 0 };
        Self { call, arguments, handle }
    }

    /// The handle in the first argument, of a call that uses a channel.
    pub(super) fn channel(&self) -> u32 {
        self.arguments[0]
    }
}

impl Observer {
    /// An observer; with `trace` it reports every call.
    pub(super) fn new(trace: bool) -> Self {
        Self {
            trace,
            events: VecDeque::new(),
            traced: 0,
            handles: Handles::default(),
            pins: PinFilter::default(),
            log: false,
            refusals: RefusedCalls::default(),
        }
    }

    /// Reports these pins from now on.
    pub(super) fn report_pins(&mut self, pins: PinFilter) {
        self.pins = pins;
    }

    /// Reports the lines of the log from now on, or no longer.
    pub(super) fn report_log(&mut self, reports: bool) {
        self.log = reports;
    }

    /// Adds an event.
    pub(super) fn note(&mut self, event: DeviceEvent) {
        self.events.push_back(event);
    }

    /// The events since the last call.
    pub(super) fn untraced(&mut self) -> impl Iterator<Item = &DeviceEvent> {
        let from = std::mem::replace(&mut self.traced, self.events.len());
        self.events.range(from..)
    }

    /// Takes all events.
    pub(super) fn take(&mut self) -> Vec<DeviceEvent> {
        self.traced = 0;
        std::mem::take(&mut self.events).into()
    }

    /// Takes the first event.
    pub(super) fn take_next(&mut self) -> Option<DeviceEvent> {
        self.traced = self.traced.saturating_sub(1);
        self.events.pop_front()
    }

    /// The application has started: it holds no handles yet.
    pub(super) fn forget_handles(&mut self) {
        self.handles.clear();
    }

    /// Adds what left the board; characters of one port that follow each other become one event.
    pub(super) fn note_board_events(&mut self, outputs: Vec<BoardEvent>) {
        for output in outputs {
            match output {
                BoardEvent::Pin { port, pin, level } => self.note_pin(port, pin, level),
                BoardEvent::Serial { port, byte } => self.note_character(port, byte),
                BoardEvent::Display { bus, address, picture } => {
                    self.note(DeviceEvent::Display { bus, address, picture });
                }
                BoardEvent::SystemLed { enabled } => self.note(DeviceEvent::SystemLed { enabled }),
                BoardEvent::UnknownRegister { address } => {
                    self.note(DeviceEvent::UnknownRegister { address });
                }
            }
        }
    }

    fn note_pin(&mut self, port: u8, pin: u8, level: bool) {
        if (port, pin) == LED {
            self.note(DeviceEvent::Led { on: level });
        } else if self.pins.selects(Pin { port, pin }) {
            self.note(DeviceEvent::Pin { pin: Pin { port, pin }, level });
        }
    }

    fn note_character(&mut self, from: u8, byte: u8) {
        match self.events.back_mut() {
            Some(DeviceEvent::Serial { port, bytes }) if *port == from => bytes.push(byte),
            _ => self.note(DeviceEvent::Serial { port: from, bytes: vec![byte] }),
        }
    }

    /// Reports a call that has returned. `next_reader` is the call that reads the next readable item of the channel,
    /// where another was made.
    pub(super) fn after_call(
        &mut self,
        cpu: &Cpu,
        before: &Before,
        status: Status,
        next_reader: Option<&'static str>,
    ) {
        let Some(call) = before.call else { return };
        let Before { arguments, handle, .. } = *before;
        if self.trace {
            self.note(DeviceEvent::Called { call, arguments, status });
        }
        if status != Status::Okay {
            return self.refused(cpu, before, status, next_reader);
        }
        match call {
            Call::RequestNetwork => self.note(DeviceEvent::NetworkRequested),
            Call::ReleaseNetwork => self.note(DeviceEvent::NetworkReleased),
            Call::ServerLog if self.log => {
                // The kernel has accepted it, so that there is memory, and no more than its limit.
                let [address, length, ..] = arguments;
                let mut text = vec![0; length.min(kernel::limits::MAX_LOG_MESSAGE) as usize];
                cpu.read_memory(address, &mut text);
                self.note(DeviceEvent::Logged { text });
            }
            _ => {}
        }
        if let Some(at) = opens(call) {
            self.opened(cpu, call, arguments, word(cpu, arguments[at]));
        } else if closes(call)
            && let Some(Resource::Channel { carries, .. }) = self.handles.closed(handle)
        {
            self.note(DeviceEvent::ChannelClosed { channel: carries });
        }
    }

    fn refused(&mut self, cpu: &Cpu, before: &Before, status: Status, next_reader: Option<&'static str>) {
        let Some(call) = before.call else { return };
        let memory = |address: u32, into: &mut [u8]| cpu.read_memory(address, into);
        let (memory, registers, handles) = (&memory, before.arguments, &self.handles);
        let refusal = self.refusals.note(&Refusal { call, registers, status, memory, handles, next_reader });
        self.events.extend(refusal.map(|refusal| DeviceEvent::CallRefused(Box::new(refusal))));
    }

    fn opened(&mut self, cpu: &Cpu, call: Call, [parameters, ..]: [u32; 4], handle: u32) {
        let resource = match call {
            Call::SetupNotifications => Resource::NotificationCentre,
            Call::RequestNetwork => Resource::Network,
            Call::OpenSystemNotification => Resource::SystemEvents,
            Call::ExternalFlashOpen => Resource::ExternalFlash,
            _ => {
                let kind = word(cpu, parameters.wrapping_add(CHANNEL_TYPE_AT));
                let Some(carries) = ChannelType::from_raw(kind) else { return };
                let send_buffer = word(cpu, parameters.wrapping_add(SEND_BUFFER_LEN_AT));
                self.note(DeviceEvent::ChannelOpened { channel: carries });
                Resource::Channel { carries, send_buffer }
            }
        };
        self.handles.opened(handle, resource);
    }
}

/// Which argument of a call that returns a handle says where.
fn opens(call: Call) -> Option<usize> {
    match call {
        Call::ExternalFlashOpen => Some(0),
        Call::OpenChannel
        | Call::SetupNotifications
        | Call::RequestNetwork
        | Call::OpenSystemNotification => Some(1),
        _ => None,
    }
}

/// Whether the first argument of a call says where the handle is that it closes.
fn closes(call: Call) -> bool {
    matches!(
        call,
        Call::CloseChannel
            | Call::CloseNotifications
            | Call::ReleaseNetwork
            | Call::CloseSystemNotification
            | Call::ExternalFlashClose
    )
}

/// A word of application memory; zero where there is none.
fn word(cpu: &Cpu, address: u32) -> u32 {
    let mut bytes = [0; 4];
    cpu.read_memory(address, &mut bytes);
    u32::from_le_bytes(bytes)
}
