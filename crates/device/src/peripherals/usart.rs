//! Serial ports. A character leaves the moment it is written, so the transmitter is always ready; received
//! characters wait in a queue until the application takes them.

use std::collections::VecDeque;

use super::{Context, Input, Lines, Peripheral, Requests, Store};
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
const IDLEIE: u32 = 1 << 4;
const RXNEIE: u32 = 1 << 5;
const TCIE: u32 = 1 << 6;
const TXEIE: u32 = 1 << 7;
const RTOIE: u32 = 1 << 26;
const FIFOEN: u32 = 1 << 29;
const TXFEIE: u32 = 1 << 30;
/// CR2: an end of receiving is told after a pause.
const RTOEN: u32 = 1 << 23;
/// CR3: direct memory access, and the FIFOs' thresholds with their interrupts.
const DMAR: u32 = 1 << 6;
const DMAT: u32 = 1 << 7;
const TXFTIE: u32 = 1 << 23;
const RXFTIE: u32 = 1 << 28;
const RXFTCFG_AT: u32 = 25;
/// Bits of a character on the line, each of which takes as many cycles as BRR says (without its finer settings).
const CHARACTER: u64 = 10;
/// Received characters at each threshold of a FIFO of eight.
const THRESHOLDS: [usize; 8] = [1, 2, 4, 6, 7, 8, 8, 8];
const RXFRQ: u32 = 1 << 3;

const IDLE: u32 = 1 << 4;
const RXNE: u32 = 1 << 5;
const TC: u32 = 1 << 6;
const TXE: u32 = 1 << 7;
const RTOF: u32 = 1 << 11;
const TEACK: u32 = 1 << 21;
const REACK: u32 = 1 << 22;
const TXFE: u32 = 1 << 23;
const RXFT: u32 = 1 << 26;
const TXFT: u32 = 1 << 27;

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
    /// IDLE and RTOF: the sender made a pause after what was taken last.
    pause: u32,
    /// The cycle at which it will have been silent for a character.
    silent_at: Option<u64>,
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
            pause: 0,
            silent_at: None,
            received: VecDeque::new(),
        }
    }

    fn enabled(&self, part: u32) -> bool {
        self.control[0] & (UE | part) == UE | part
    }

    fn status(&self) -> u32 {
        let flag = |set: bool, flag| if set { flag } else { 0 };
        let fifo = self.control[0] & FIFOEN != 0;
        let threshold = THRESHOLDS[(self.control[2] >> RXFTCFG_AT & 7) as usize];
        TXE | flag(fifo, TXFE | TXFT)
            | self.pause
            | flag(fifo && self.received.len() >= threshold, RXFT)
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

    /// Takes the next character. After the last one that has come the line is silent.
    fn take(&mut self, now: u64) -> u32 {
        let Some(byte) = self.received.pop_front() else { return 0 };
        self.silent_at = self.received.is_empty().then(|| now + CHARACTER * u64::from(self.baud.max(1)));
        byte.into()
    }

    /// The flags that interrupt, given what is asked for.
    fn interrupting(&self) -> u32 {
        let [first, _, third] = self.control;
        let asked = |control: u32, enable: u32, flag: u32| if control & enable != 0 { flag } else { 0 };
        // The first of them have the same places as their enables.
        let flags = first & (IDLEIE | RXNEIE | TCIE | TXEIE)
            | asked(first, RTOIE, RTOF)
            | asked(first, TXFEIE, TXFE)
            | asked(third, TXFTIE, TXFT)
            | asked(third, RXFTIE, RXFT);
        flags & self.status()
    }

    fn receive(&mut self, bytes: &[u8]) -> bool {
        let room = self.enabled(RE) && self.received.len() + bytes.len() <= RECEIVE_QUEUE;
        if room {
            self.silent_at = None;
            self.received.extend(bytes);
        }
        room
    }
}

impl Peripheral for Usart {
    fn read(&mut self, offset: u32, context: &mut Context<'_>) -> u32 {
        match offset {
            CR1 | CR2 | CR3 => self.control[offset as usize / 4],
            BRR => self.baud,
            GTPR => self.guard,
            RTOR => self.timeout,
            ISR => self.status(),
            RDR => self.take(context.now),
            PRESC => self.prescaler,
            _ => 0,
        }
    }

    fn is_steady(&self, offset: u32) -> bool {
        offset != RDR && self.silent_at.is_none()
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
            ICR => {
                self.complete &= store.ones() & TC == 0;
                self.pause &= !store.ones();
            }
            TDR => self.transmit(store, context),
            PRESC => self.prescaler = store.over(self.prescaler, 0xF),
            _ => {}
        }
    }

    fn interrupts(&self, lines: &mut Lines) {
        lines.set(self.kind.line, self.enabled(0) && self.interrupting() != 0);
    }

    fn requests(&self, requests: &mut Requests) {
        let (receive, control) = (self.kind.receive_request, self.control[2]);
        requests.set(receive, control & DMAR != 0 && self.enabled(RE) && !self.received.is_empty());
        requests.set(receive + 1, control & DMAT != 0 && self.enabled(TE));
    }

    fn advance(&mut self, context: &mut Context<'_>) {
        if self.silent_at.is_some_and(|at| at <= context.now) {
            self.silent_at = None;
            self.pause = IDLE | if self.control[1] & RTOEN != 0 { RTOF } else { 0 };
        }
    }

    fn next_event(&self) -> Option<u64> {
        self.silent_at.filter(|_| self.control[0] & (IDLEIE | RTOIE) != 0)
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
        assert_eq!(bench(0).read(0x4000_441C), 0x0000_00C0);
        assert_eq!(bench(0x9).read(0x4000_441C), 0x0020_00C0);
        assert_eq!(bench(0xD).read(0x4000_441C), 0x0060_00C0);
        assert_eq!(
            bench(0xC).read(0x4000_441C),
            0x0000_00C0,
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
    fn fifos_tell_their_thresholds() {
        let mut bench = bench(0xD | 1 << 29);
        assert_eq!(bench.read(0x4000_441C) & (TXFE | TXFT | RXFT), TXFE | TXFT);
        bench.write(0x4000_4408, 1 << 25 | RXFTIE);
        bench.input(&Input::Serial(b"a"));
        assert!(!bench.level(62), "two are the threshold");
        bench.input(&Input::Serial(b"b"));
        assert!(bench.level(62));
    }

    #[test]
    fn after_the_last_character_the_line_is_idle() {
        let mut bench = bench(0x5 | IDLEIE);
        bench.write(0x4000_440C, 1389);
        bench.input(&Input::Serial(b"ab"));
        bench.read(0x4000_4424);
        assert!(!bench.level(62));
        bench.read(0x4000_4424);
        assert!(!bench.level(62));
        bench.now = 13_890;
        assert_eq!(bench.peripheral.next_event(), Some(13_890));
        assert!(bench.level(62), "silent for a character at 115200");
        bench.write(0x4000_4420, IDLE);
        assert!(!bench.level(62));
    }

    #[test]
    fn requests_stand_while_there_is_something_to_move() {
        let mut bench = bench(0xD);
        bench.write(0x4000_4408, DMAR | DMAT);
        assert_eq!((bench.requests(26), bench.requests(27)), (false, true));
        bench.input(&Input::Serial(b"a"));
        assert!(bench.requests(26));
        bench.read(0x4000_4424);
        assert!(!bench.requests(26));
    }

    #[test]
    fn settings_read_back() {
        let mut bench = bench(0);
        bench.write(0x4000_440C, 0x56D);
        bench.write(0x4000_442C, 3);
        assert_eq!((bench.read(0x4000_440C), bench.read(0x4000_442C)), (0x56D, 3));
    }
}
