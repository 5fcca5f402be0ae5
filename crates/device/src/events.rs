//! What an observer of the device is told.

use abi::channel::ChannelType;
use abi::power::WakeReason;
use abi::{Call, Status};

use crate::fault::Fault;

/// Something that leaves the microcontroller through its pins, or that its maker would want to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    /// A general-purpose output changed.
    Pin {
        /// Port of the pin, 0 for A.
        port: u8,
        /// Number of the pin in its port.
        pin: u8,
        /// Its new level.
        level: bool,
    },
    /// A serial port sent a character.
    Serial {
        /// Number of the port, as in its name.
        port: u8,
        /// The character.
        byte: u8,
    },
    /// The system LED may show the connection's state, or not.
    SystemLed {
        /// It may.
        enabled: bool,
    },
    /// The application accessed an address in the peripheral region where nothing is modelled. It read zero. Told
    /// once for each address.
    UnknownRegister {
        /// The address, a multiple of four.
        address: u32,
    },
}

/// Something that happened to the device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeviceEvent {
    /// The application starts, or starts again.
    Started {
        /// Why.
        reason: WakeReason,
    },
    /// A connection to the cloud is being made.
    LinkConnecting,
    /// The connection to the cloud stands.
    LinkUp,
    /// The connection to the cloud is gone, or could not be made.
    LinkDown {
        /// One line that says why.
        cause: String,
    },
    /// The application asked for the network.
    NetworkRequested,
    /// The application released the network.
    NetworkReleased,
    /// The application opened a channel.
    ChannelOpened {
        /// What it carries.
        channel: ChannelType,
    },
    /// The application closed a channel.
    ChannelClosed {
        /// What it carried.
        channel: ChannelType,
    },
    /// The user LED (PA5) changed.
    Led {
        /// It is lit.
        on: bool,
    },
    /// The application said whether the system LED, the kernel's own, may show the connection's state.
    SystemLed {
        /// It may.
        enabled: bool,
    },
    /// The device sleeps deeply: RAM is lost, and it starts anew.
    SleepsDeeply {
        /// When, in milliseconds.
        wakes_in_ms: u64,
    },
    /// The application asked to be started again.
    RestartRequested {
        /// The pause until then, in milliseconds; zero unless it has only just started.
        restart_in_ms: u64,
    },
    /// A factory test logged something.
    TestLog {
        /// One message.
        text: Vec<u8>,
    },
    /// A factory test is over; nothing runs any more.
    TestingComplete {
        /// 0 for passed.
        status: u32,
    },
    /// A serial port sent something.
    Serial {
        /// Number of the port, as in its name.
        port: u8,
        /// What it sent.
        bytes: Vec<u8>,
    },
    /// The application used a register that is not modelled; it read zero. Told once for each address.
    UnknownRegister {
        /// The address, a multiple of four.
        address: u32,
    },
    /// A system call was made; only told when [`Settings::trace`](crate::machine::Settings::trace) is set.
    Called {
        /// The call.
        call: Call,
        /// r0 to r3.
        arguments: [u32; 4],
        /// What was answered.
        status: Status,
    },
    /// The application was stopped by a fault. It starts again after a pause (D73).
    Faulted {
        /// What happened.
        fault: Fault,
        /// The pause, in milliseconds.
        restart_in_ms: u64,
    },
    /// A debugger has come, or is gone.
    Debugger {
        /// It has come.
        attached: bool,
    },
    /// The application asked the processor for a reset. It starts again after a pause.
    ResetRequested {
        /// The pause, in milliseconds.
        restart_in_ms: u64,
    },
}
