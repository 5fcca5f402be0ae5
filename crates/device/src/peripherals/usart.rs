//! Serial ports. A character leaves the moment it is written, so the transmitter is always ready; received
//! characters wait in a queue until the application takes them.

use std::collections::VecDeque;

use super::{Context, Input, Lines, Peripheral, Store};
use crate::events::Output;

/// What tells one port from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kind {
    /// Name in the reference manual.
    pub name: &'static str,
    /// First register.
    pub base: u32,
    /// Interrupt line.
    pub line: u16,
    /// Number of the port, as in its name.
    pub number: u8,
}

/// The ports of the STM32U585 this device has.
pub const PORTS: [Kind; 3] = [
    Kind { name: "USART2", base: 0x4000_4400, line: 62, number: 2 },
    Kind { name: "USART3", base: 0x4000_4800, line: 63, number: 3 },
    Kind { name: "USART1", base: 0x4001_3800, line: 61, number: 1 },
];

/// Received characters that can wait. Beyond, the sender is told to wait.
pub const RECEIVE_QUEUE: usize = 4096;

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

const UE: u32 = 1;
const RE: u32 = 1 << 2;
const TE: u32 = 1 << 3;
const RXNEIE: u32 = 1 << 5;
const TCIE: u32 = 1 << 6;
const TXEIE: u32 = 1 << 7;
const RXFRQ: u32 = 1 << 3;

const RXNE: u32 = 1 << 5;
const TC: u32 = 1 << 6;
const TXE: u32 = 1 << 7;
const TEACK: u32 = 1 << 21;
const REACK: u32 = 1 << 22;
const TXFE: u32 = 1 << 23;

/// One port.
#[derive(Debug)]
pub struct Usart {
    kind: Kind,
    control: [u32; 3],
    baud: u32,
    guard: u32,
    timeout: u32,
    prescaler: u32,
    complete: bool,
    received: VecDeque<u8>,
}

impl Usart {
    /// A port after reset.
    pub fn new(kind: &Kind) -> Usart {
        Usart {
            kind: *kind,
            control: [0; 3],
            baud: 0,
            guard: 0,
            timeout: 0,
            prescaler: 0,
            complete: true,
            received: VecDeque::new(),
        }
    }

    fn enabled(&self, part: u32) -> bool {
        self.control[0] & (UE | part) == UE | part
    }

    fn status(&self) -> u32 {
        let flag = |set: bool, flag| if set { flag } else { 0 };
        TXE | TXFE
            | flag(self.complete, TC)
            | flag(!self.received.is_empty(), RXNE)
            | flag(self.enabled(TE), TEACK)
            | flag(self.enabled(RE), REACK)
    }

    fn transmit(&mut self, store: Store, context: &mut Context<'_>) {
        if self.enabled(TE) {
            context.outputs.push(Output::Serial { port: self.kind.number, byte: store.ones() as u8 });
            self.complete = true;
        }
    }

    fn receive(&mut self, bytes: &[u8]) -> bool {
        let room = self.enabled(RE) && self.received.len() + bytes.len() <= RECEIVE_QUEUE;
        if room {
            self.received.extend(bytes);
        }
        room
    }
}

impl Peripheral for Usart {
    fn read(&mut self, offset: u32, _context: &mut Context<'_>) -> u32 {
        match offset {
            CR1 | CR2 | CR3 => self.control[offset as usize / 4],
            BRR => self.baud,
            GTPR => self.guard,
            RTOR => self.timeout,
            ISR => self.status(),
            RDR => self.received.pop_front().map_or(0, u32::from),
            PRESC => self.prescaler,
            _ => 0,
        }
    }

    fn is_steady(&self, offset: u32) -> bool {
        offset != RDR
    }

    fn write(&mut self, offset: u32, store: Store, context: &mut Context<'_>) {
        match offset {
            CR1 | CR2 | CR3 => {
                let word = &mut self.control[offset as usize / 4];
                *word = store.over(*word, u32::MAX);
            }
            BRR => self.baud = store.over(self.baud, 0xFFFF),
            GTPR => self.guard = store.over(self.guard, 0xFFFF),
            RTOR => self.timeout = store.over(self.timeout, u32::MAX),
            RQR if store.ones() & RXFRQ != 0 => self.received.clear(),
            ICR if store.ones() & TC != 0 => self.complete = false,
            TDR => self.transmit(store, context),
            PRESC => self.prescaler = store.over(self.prescaler, 0xF),
            _ => {}
        }
    }

    fn interrupts(&self, lines: &mut Lines) {
        let asked = self.control[0] & (RXNEIE | TCIE | TXEIE);
        // The flags and their enables have the same places.
        lines.set(self.kind.line, self.enabled(0) && asked & self.status() != 0);
    }

    fn input(&mut self, input: &Input<'_>) -> bool {
        match *input {
            Input::Serial(bytes) => self.receive(bytes),
            _ => false,
        }
    }

    fn reset(&mut self, _context: &mut Context<'_>) {
        *self = Usart::new(&self.kind);
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::Bench;
    use super::*;

    fn bench(control: u32) -> Bench {
        let mut bench = Bench::new(0x4000_4400, Box::new(Usart::new(&PORTS[0])));
        bench.write(0x4000_4400, control);
        bench
    }

    fn sent(byte: u8) -> Output {
        Output::Serial { port: 2, byte }
    }

    #[test]
    fn enabling_the_transmitter_is_acknowledged() {
        assert_eq!(bench(0).read(0x4000_441C), 0x0080_00C0);
        assert_eq!(bench(0x9).read(0x4000_441C), 0x00A0_00C0);
        assert_eq!(bench(0xD).read(0x4000_441C), 0x00E0_00C0);
        assert_eq!(
            bench(0xC).read(0x4000_441C),
            0x0080_00C0,
            "nothing is acknowledged while the port is off"
        );
    }

    #[test]
    fn characters_leave_in_order() {
        let mut bench = bench(0x9);
        bench.write(0x4000_4428, u32::from(b'O'));
        bench.write(0x4000_4428, u32::from(b'K'));
        assert_eq!(bench.outputs(), [sent(b'O'), sent(b'K')]);
        assert_eq!(bench.read(0x4000_441C) & 0xC0, 0xC0);
    }

    #[test]
    fn a_port_that_is_off_sends_nothing() {
        for control in [0, 1, 8] {
            let mut bench = bench(control);
            bench.write(0x4000_4428, 65);
            assert_eq!(bench.outputs(), []);
        }
    }

    #[test]
    fn clearing_completion_lasts_until_the_next_character() {
        let mut bench = bench(0x9);
        bench.write(0x4000_4420, 1 << 6);
        assert_eq!(bench.read(0x4000_441C) & 1 << 6, 0);
        bench.write(0x4000_4428, 65);
        assert_eq!(bench.read(0x4000_441C) & 1 << 6, 1 << 6);
    }

    #[test]
    fn received_characters_wait_to_be_taken() {
        let mut bench = bench(0x5 | 1 << 5);
        assert!(!bench.level(62));
        assert!(bench.input(&Input::Serial(b"hi")));
        assert!(bench.level(62));
        assert_eq!((bench.read(0x4000_4424), bench.read(0x4000_4424)), (u32::from(b'h'), u32::from(b'i')));
        assert!(!bench.level(62));
    }

    #[test]
    fn a_receiver_that_is_off_or_full_takes_nothing() {
        assert!(!bench(0x9).input(&Input::Serial(b"x")));
        let mut bench = bench(0x5);
        assert!(bench.input(&Input::Serial(&[0; RECEIVE_QUEUE])));
        assert!(!bench.input(&Input::Serial(b"x")));
    }

    #[test]
    fn the_empty_transmitter_interrupts_when_asked() {
        assert!(bench(0x9 | 1 << 7).level(62));
        assert!(!bench(0x8 | 1 << 7).level(62));
    }

    #[test]
    fn settings_read_back() {
        let mut bench = bench(0);
        bench.write(0x4000_440C, 0x56D);
        bench.write(0x4000_442C, 3);
        assert_eq!((bench.read(0x4000_440C), bench.read(0x4000_442C)), (0x56D, 3));
    }
}
