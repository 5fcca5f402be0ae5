//! Events of a device, as an observer receives them.

use abi::channel::ChannelType;
use abi::power::WakeReason;
use abi::{Call, Status};

use crate::clock::TimeScale;
use crate::debug::crash::Crash;
use crate::debug::refused_call::RefusedCall;
use crate::fault::Fault;
use crate::pin::Pin;

/// Something that leaves the microcontroller through its pins, or is worth reporting of its peripherals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BoardEvent {
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
    /// What a display shows changed.
    Display {
        /// The I2C bus it is on, as in its name.
        bus: u8,
        /// Its address there.
        address: u8,
        /// What is lit.
        picture: Picture,
    },
    /// The system LED may show the connection's state, or not.
    SystemLed {
        /// It may.
        enabled: bool,
    },
    /// The application accessed an address in the peripheral region where nothing is modelled. It read zero. Reported
    /// once for each address.
    UnknownRegister {
        /// The address, a multiple of four.
        address: u32,
    },
}

/// Which general-purpose outputs are reported.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum PinFilter {
    /// None.
    #[default]
    None,
    /// These.
    Some(Vec<Pin>),
    /// All.
    All,
}

impl PinFilter {
    /// Whether the pin is one of them.
    pub fn selects(&self, pin: Pin) -> bool {
        match self {
            Self::None => false,
            Self::Some(pins) => pins.contains(&pin),
            Self::All => true,
        }
    }
}

/// What is lit on a display of 16 by 8 LEDs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Picture {
    /// Eight LEDs a byte, the lowest bit first; two bytes a row, of which a matrix of 8 by 8 uses the first.
    pub rows: [u8; 16],
}

impl Picture {
    /// The 8 by 8 matrix, two rows a line of characters.
    pub fn matrix(&self) -> [String; 4] {
        std::array::from_fn(|line| {
            let [upper, lower] = [self.rows[4 * line], self.rows[4 * line + 2]];
            let lit = |row: u8, column: u8| row >> column & 1 == 1;
            (0..8)
                .map(|column| match (lit(upper, column), lit(lower, column)) {
                    (true, true) => '\u{2588}',
                    (true, false) => '\u{2580}',
                    (false, true) => '\u{2584}',
                    (false, false) => '\u{B7}',
                })
                .collect()
        })
    }

    /// Four digits of seven segments with a colon in the middle, as such displays are wired. Segments that make no
    /// character are `?`.
    pub fn digits(&self) -> String {
        let mut text = String::new();
        for (digit, row) in [0, 2, 6, 8].into_iter().enumerate() {
            if digit == 2 && self.rows[4] & 2 != 0 {
                text.push(':');
            }
            let segments = self.rows[row];
            let found = SEGMENTS.iter().find(|(lit, _)| *lit == segments & 0x7F);
            text.push(found.map_or('?', |(_, character)| *character));
            if segments & 0x80 != 0 {
                text.push('.');
            }
        }
        text
    }
}

/// Segments a to g from the lowest bit up, and what they are read as.
const SEGMENTS: [(u8, char); 26] = [
    (0x00, ' '),
    (0x3F, '0'),
    (0x06, '1'),
    (0x5B, '2'),
    (0x4F, '3'),
    (0x66, '4'),
    (0x6D, '5'),
    (0x7D, '6'),
    (0x07, '7'),
    (0x7F, '8'),
    (0x6F, '9'),
    (0x77, 'A'),
    (0x7C, 'b'),
    (0x39, 'C'),
    (0x58, 'c'),
    (0x5E, 'd'),
    (0x79, 'E'),
    (0x71, 'F'),
    (0x76, 'H'),
    (0x74, 'h'),
    (0x38, 'L'),
    (0x5C, 'o'),
    (0x73, 'P'),
    (0x50, 'r'),
    (0x40, '-'),
    (0x63, '\u{B0}'),
];

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
    /// The connection to the cloud is established.
    LinkUp,
    /// The connection to the cloud is lost, or could not be made.
    LinkDown {
        /// Why, as a word: what the kernel was informed of, or the cloud's reason (`ByeReason::label`).
        reason: &'static str,
        /// One line that says why.
        cause: String,
    },
    /// The application requested the network.
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
    /// The device enters deep sleep: RAM is lost, and it wakes by a restart.
    SleepsDeeply {
        /// When, in milliseconds.
        wakes_in_ms: u64,
    },
    /// The application requested a restart.
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
    /// What a display shows changed.
    Display {
        /// The I2C bus it is on, as in its name.
        bus: u8,
        /// Its address there.
        address: u8,
        /// What is lit.
        picture: Picture,
    },
    /// A serial port sent something.
    Serial {
        /// Number of the port, as in its name.
        port: u8,
        /// What it sent.
        bytes: Vec<u8>,
    },
    /// The application used a register that is not modelled; it read zero. Reported once for each address.
    UnknownRegister {
        /// The address, a multiple of four.
        address: u32,
    },
    /// A system call was made; only reported if [`Settings::trace`](crate::machine::Settings::trace) is set.
    Called {
        /// The call.
        call: Call,
        /// r0 to r3.
        arguments: [u32; 4],
        /// What was answered.
        status: Status,
    },
    /// A system call was refused. Reported for the first with this call and status since the device's start.
    CallRefused(Box<RefusedCall>),
    /// An interrupt line has been pending for a second and is not enabled in the NVIC: nothing will handle it. Reported
    /// once for each line and start.
    LineNotEnabled {
        /// The line.
        line: u16,
    },
    /// A general-purpose output other than the user LED changed; only reported for pins that were selected.
    Pin {
        /// The pin.
        pin: Pin,
        /// Its new level.
        level: bool,
    },
    /// The kernel has accepted a line for the application's log, which goes to the cloud; only reported if
    /// [`Options::report_log`](crate::Options::report_log) is set.
    Logged {
        /// The line, as the application has it.
        text: Vec<u8>,
    },
    /// The application was stopped by a fault. It restarts after a pause that doubles with each (D73).
    Faulted {
        /// What happened.
        fault: Fault,
        /// The pause, in milliseconds.
        restart_in_ms: u64,
    },
    /// Registers and backtrace of the fault reported just before.
    Crashed(Box<Crash>),
    /// A debugger has attached, or detached.
    Debugger {
        /// It has come.
        attached: bool,
    },
    /// The host is too slow for the application or for the time scale: the application's time has fallen behind.
    /// Reported once.
    FellBehind {
        /// By how much, in milliseconds of the device's time.
        behind_ms: u64,
        /// Within how much of the host's time since the device's start, in milliseconds.
        elapsed_ms: u64,
        /// How fast the device's time was to go.
        scale: TimeScale,
        /// The call that the application makes in a loop, if it does nothing else.
        polled: Option<Call>,
    },
    /// The device's clock has reached the time that was set as its end: it has stopped.
    EndReached,
    /// The application requested a reset of the processor. It restarts after a pause.
    ResetRequested {
        /// The pause, in milliseconds.
        restart_in_ms: u64,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_matrix_is_four_lines_of_half_blocks() {
        let mut rows = [0; 16];
        (rows[0], rows[2], rows[14]) = (0b1000_0001, 0b0000_0011, 0xFF);
        let lines = Picture { rows }.matrix();
        assert_eq!(lines, ["█▄·····▀", "········", "········", "▄▄▄▄▄▄▄▄"]);
    }

    #[test]
    fn digits_are_read_with_their_points_and_colon() {
        let mut rows = [0; 16];
        (rows[0], rows[2], rows[4], rows[6], rows[8]) = (0x06, 0xDB, 2, 0x4F, 0x49);
        assert_eq!(Picture { rows }.digits(), "12.:3?");
        assert_eq!(Picture { rows: [0; 16] }.digits(), "    ");
    }
}
