//! Serial ports: USART1 to USART3, UART4, UART5 and LPUART1, as asynchronous ports.
//!
//! Characters take their time on the line in both directions, by the baud rate the port is set to (`format`), and the
//! flags follow them: `transmitter` and `receiver` contain these, this file the registers. The other end has the same
//! settings, so there are no parity, framing or noise errors.

mod format;
mod receiver;
mod transmitter;

use armv8m::Cycles;

use format::{MME, RE, Settings, TE};
pub use receiver::LINE;
use receiver::Receiver;
use transmitter::Transmitter;

use super::{BoardSignal, Context, Lines, Peripheral, RegisterWrite, Requests};
use crate::events::BoardEvent;
use crate::memory_map::CLOCK_HZ;

/// What differs between the ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kind {
    /// Name in the reference manual.
    pub name: &'static str,
    /// First register.
    pub base: u32,
    /// Interrupt line.
    pub line: u16,
    /// Number of the port, as in its name; [`LPUART1`] for the low-power one.
    pub number: u8,
    /// Its request to be read; the one to be written is the next.
    pub receive_request: u8,
}

/// The number by which the low-power port is known.
pub const LPUART1: u8 = 0;

/// The ports of the STM32U585 this device has.
pub const PORTS: [Kind; 6] = [
    Kind { name: "USART2", base: 0x4000_4400, line: 62, number: 2, receive_request: 26 },
    Kind { name: "USART3", base: 0x4000_4800, line: 63, number: 3, receive_request: 28 },
    Kind { name: "UART4", base: 0x4000_4C00, line: 64, number: 4, receive_request: 30 },
    Kind { name: "UART5", base: 0x4000_5000, line: 65, number: 5, receive_request: 32 },
    Kind { name: "USART1", base: 0x4001_3800, line: 61, number: 1, receive_request: 24 },
    Kind { name: "LPUART1", base: 0x4600_2400, line: 66, number: LPUART1, receive_request: 34 },
];

const CR1: u32 = 0x00;
const CR2: u32 = 0x04;
const CR3: u32 = 0x08;
const BRR: u32 = 0x0C;
const GTPR: u32 = 0x10;
const RTOR: u32 = 0x14;
const RQR: u32 = 0x18;
const ISR: u32 = 0x1C;
const ICR: u32 = 0x20;
const RDR: u32 = 0x24;
const TDR: u32 = 0x28;
const PRESC: u32 = 0x2C;

/// CR1: what interrupts.
const IDLEIE: u32 = 1 << 4;
const RXNEIE: u32 = 1 << 5;
const TCIE: u32 = 1 << 6;
const TXEIE: u32 = 1 << 7;
const CMIE: u32 = 1 << 14;
const RTOIE: u32 = 1 << 26;
const TXFEIE: u32 = 1 << 30;
const RXFFIE: u32 = 1 << 31;
/// CR3: errors interrupt; one wire for both directions; direct memory access; overruns lose the older character
/// silently; no direct memory access after an error; the FIFOs' thresholds with their interrupts.
const EIE: u32 = 1;
const HDSEL: u32 = 1 << 3;
const DMAR: u32 = 1 << 6;
const DMAT: u32 = 1 << 7;
const OVRDIS: u32 = 1 << 12;
const DDRE: u32 = 1 << 13;
const TXFTIE: u32 = 1 << 23;
const RXFTCFG_AT: u32 = 25;
const RXFTIE: u32 = 1 << 28;
const TXFTCFG_AT: u32 = 29;

/// RQR.
const ABRRQ: u32 = 1;
const SBKRQ: u32 = 1 << 1;
const MMRQ: u32 = 1 << 2;
const RXFRQ: u32 = 1 << 3;
const TXFRQ: u32 = 1 << 4;
/// ICR: clears TXFE, at another bit than in ISR.
const TXFECF: u32 = 1 << 5;

/// ISR.
const ORE: u32 = 1 << 3;
const IDLE: u32 = 1 << 4;
const RXNE: u32 = 1 << 5;
const TC: u32 = 1 << 6;
const TXE: u32 = 1 << 7;
const RTOF: u32 = 1 << 11;
const ABRF: u32 = 1 << 15;
const BUSY: u32 = 1 << 16;
const CMF: u32 = 1 << 17;
const SBKF: u32 = 1 << 18;
const RWU: u32 = 1 << 19;
const TEACK: u32 = 1 << 21;
const REACK: u32 = 1 << 22;
const TXFE: u32 = 1 << 23;
const RXFF: u32 = 1 << 24;
const RXFT: u32 = 1 << 26;
const TXFT: u32 = 1 << 27;

/// Enables, the control register each is in, and the flags that interrupt by it.
const INTERRUPTS: [(usize, u32, u32); 11] = [
    (0, IDLEIE, IDLE),
    (0, RXNEIE, RXNE | ORE),
    (0, TCIE, TC),
    (0, TXEIE, TXE),
    (0, CMIE, CMF),
    (0, RTOIE, RTOF),
    (0, TXFEIE, TXFE),
    (0, RXFFIE, RXFF),
    (2, EIE, ORE),
    (2, TXFTIE, TXFT),
    (2, RXFTIE, RXFT),
];

/// One port.
#[derive(Debug)]
pub struct Usart {
    kind: Kind,
    settings: Settings,
    guard: u32,
    receiver: Receiver,
    transmitter: Transmitter,
    /// A flag has changed by time alone since [`Peripheral::take_change`].
    changed: bool,
}

impl Usart {
    /// A port after reset, that loses nothing.
    pub fn new(kind: &Kind) -> Self {
        Self::with_overruns(kind, false)
    }

    /// A port after reset. With overruns what arrives while the receiver is full is lost, as on the chip.
    pub fn with_overruns(kind: &Kind, overruns: bool) -> Self {
        Self {
            kind: *kind,
            settings: Settings::new(kind.number == LPUART1, CLOCK_HZ),
            guard: 0,
            receiver: Receiver::new(overruns),
            transmitter: Transmitter::new(),
            changed: false,
        }
    }

    fn status(&self) -> u32 {
        let flag = |set: bool, flag| if set { flag } else { 0 };
        self.receiver.status(&self.settings)
            | self.transmitter.status(&self.settings)
            | flag(self.settings.is_on(TE), TEACK)
            | flag(self.settings.is_on(RE), REACK)
    }

    /// The flags that are set and enabled to interrupt.
    fn interrupting(&self) -> u32 {
        let enabled =
            INTERRUPTS.iter().filter(|(register, enable, _)| self.settings.control[*register] & enable != 0);
        enabled.fold(0, |all, (_, _, flags)| all | flags) & self.status()
    }

    fn write_control(&mut self, register: usize, write: RegisterWrite, now: Cycles) {
        let before = self.settings.clone();
        let word = &mut self.settings.control[register];
        *word = write.apply_to(*word, u32::MAX);
        let settings = &self.settings;
        // Clearing UE ends both directions at once and resets their flags (RM0456, USART_CR1).
        if before.is_on(0) && !settings.is_on(0) {
            self.transmitter = Transmitter::new();
            self.receiver.reset();
        } else if before.is_on(RE) && !settings.is_on(RE) {
            self.receiver.stop();
        }
        if settings.control[0] & MME == 0 {
            self.receiver.unmute();
        }
        if before.has_timeout() != settings.has_timeout() {
            self.receiver.set_timeout(before.has_timeout(), settings, now);
        }
        // Last: characters begin with the settings as they are now.
        self.receiver.begin(settings, now);
        self.transmitter.begin(settings, now);
    }

    fn request(&mut self, requests: u32, now: Cycles) {
        let settings = &self.settings;
        if requests & ABRRQ != 0 {
            self.receiver.measure_baud_rate();
        }
        if requests & SBKRQ != 0 {
            self.transmitter.request_break(settings, now);
        }
        if requests & MMRQ != 0 {
            self.receiver.mute(settings);
        }
        if requests & RXFRQ != 0 {
            self.receiver.flush(settings);
        }
        if requests & TXFRQ != 0 {
            self.transmitter.flush();
        }
    }

    /// Does what is due at cycle `at`; nothing is due before it.
    fn advance_to(&mut self, at: Cycles, events: &mut Vec<BoardEvent>) {
        let settings = &self.settings;
        if let Some(byte) = self.transmitter.advance(settings, at) {
            events.push(BoardEvent::Serial { port: self.kind.number, byte });
            // In half duplex (one wire) a receiver that is on receives what its own transmitter sends.
            if settings.control[2] & HDSEL != 0 && settings.is_on(RE) {
                self.receiver.arrived(byte, settings, at);
            }
        }
        self.receiver.advance(settings, at);
        self.changed = true;
    }
}

impl Peripheral for Usart {
    fn read(&mut self, offset: u32, _context: &mut Context<'_>) -> u32 {
        match offset {
            CR1 | CR2 | CR3 => self.settings.control[offset as usize / 4],
            BRR => self.settings.baud,
            GTPR => self.guard,
            RTOR => self.settings.timeout,
            ISR => self.status(),
            RDR => self.receiver.take(&self.settings),
            PRESC => self.settings.prescaler,
            _ => 0,
        }
    }

    fn is_steady(&self, offset: u32) -> bool {
        // Reading RDR takes a character; everything else changes by events alone.
        offset != RDR
    }

    fn has_read_effect(&self, offset: u32) -> bool {
        offset == RDR
    }

    fn take_change(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }

    fn write(&mut self, offset: u32, write: RegisterWrite, context: &mut Context<'_>) {
        let now = context.now;
        let settings = &mut self.settings;
        match offset {
            CR1 | CR2 | CR3 => self.write_control(offset as usize / 4, write, now),
            BRR => {
                // LPUART1's divider counts 256ths, so that it needs 20 bits.
                let writable = if settings.low_power { 0xF_FFFF } else { 0xFFFF };
                settings.baud = write.apply_to(settings.baud, writable);
            }
            GTPR => self.guard = write.apply_to(self.guard, 0xFFFF),
            RTOR => {
                settings.timeout = write.apply_to(settings.timeout, u32::MAX);
                self.receiver.set_timeout(settings.has_timeout(), settings, now);
            }
            RQR => self.request(write.ones(), now),
            ICR => {
                self.receiver.clear(write.ones());
                self.transmitter.clear(write.ones(), write.ones() & TXFECF != 0);
            }
            // Nine bits, the longest character.
            TDR => self.transmitter.write((write.ones() & 0x1FF) as u16, settings, now),
            PRESC => settings.prescaler = write.apply_to(settings.prescaler, 0xF),
            _ => {}
        }
        // What the write has made due happens at its cycle, not when the port is next looked at.
        self.advance(context);
    }

    fn interrupts(&self, lines: &mut Lines) {
        lines.set(self.kind.line, self.settings.is_on(0) && self.interrupting() != 0);
    }

    fn requests(&self, requests: &mut Requests) {
        let (receive, settings) = (self.kind.receive_request, &self.settings);
        let control = settings.control[2];
        // DDRE masks the request from an error until its flag is cleared (RM0456, USART_CR3).
        let masked = control & DDRE != 0 && self.receiver.has_overrun();
        let receives = control & DMAR != 0 && settings.is_on(0) && !masked;
        let sends = control & DMAT != 0 && settings.is_on(TE);
        requests.set(receive, receives && self.receiver.has_characters());
        requests.set(receive + 1, sends && self.transmitter.has_room(settings));
    }

    fn advance(&mut self, context: &mut Context<'_>) {
        while let Some(at) = self.next_event().filter(|at| *at <= context.now) {
            self.advance_to(at, context.events);
        }
    }

    fn next_event(&self) -> Option<Cycles> {
        [self.receiver.next_event(), self.transmitter.next_event()].into_iter().flatten().min()
    }

    fn signal(&mut self, signal: &BoardSignal<'_>, now: Cycles) -> bool {
        match *signal {
            BoardSignal::Serial(bytes) => self.receiver.send(bytes, &self.settings, now),
            BoardSignal::KernelClock { hz } => {
                self.settings.clock_hz = hz;
                true
            }
            _ => false,
        }
    }

    fn reset(&mut self, _context: &mut Context<'_>) {
        let settings = Settings::new(self.settings.low_power, self.settings.clock_hz);
        self.receiver.reset();
        (self.settings, self.guard, self.transmitter) = (settings, 0, Transmitter::new());
    }
}

#[cfg(test)]
mod tests;
