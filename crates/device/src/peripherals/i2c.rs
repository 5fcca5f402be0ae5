//! I2C controllers, with what is wired to the bus. An address that nothing acknowledges ends in NACKF and STOPF, as on
//! a bare board. Only the controller's side of the bus is modelled.

use armv8m::Cycles;

use super::{BoardSignal, Context, Lines, Peripheral, RegisterWrite, Requests};

/// What differs between the controllers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kind {
    /// Name in the reference manual.
    pub name: &'static str,
    /// First register.
    pub base: u32,
    /// Interrupt line of transfers.
    pub event_line: u16,
    /// Its request to be read; the one to be written is the next.
    pub receive_request: u8,
}

/// The controllers of the STM32U585 this device has.
pub const BUSES: [Kind; 2] = [
    Kind { name: "I2C1", base: 0x4000_5400, event_line: 55, receive_request: 12 },
    Kind { name: "I2C2", base: 0x4000_5800, event_line: 57, receive_request: 15 },
];

/// Something wired to a bus.
pub trait Target: Send {
    /// Its 7-bit address.
    fn address(&self) -> u8;
    /// A transfer to or from it begins.
    fn start(&mut self, _read: bool, _context: &mut Context<'_>) {}
    /// The controller writes a byte to it. Returns whether it acknowledges.
    fn write(&mut self, byte: u8, context: &mut Context<'_>) -> bool;
    /// The controller reads a byte from it.
    fn read(&mut self, context: &mut Context<'_>) -> u8;
    /// The bus is free again after a transfer.
    fn stop(&mut self, _context: &mut Context<'_>) {}
    /// The cycle at which it does something by itself.
    fn next_event(&self) -> Option<Cycles> {
        None
    }
    /// Lets time pass up to the context's now.
    fn advance(&mut self, _context: &mut Context<'_>) {}
    /// What it measures is `value` from cycle `now` on, to which it was advanced. Returns whether it measures that.
    fn set(&mut self, _quantity: &str, _value: f64, _now: Cycles) -> bool {
        false
    }
}

const CR1: u32 = 0x00;
const CR2: u32 = 0x04;
const OAR1: u32 = 0x08;
const OAR2: u32 = 0x0C;
const TIMINGR: u32 = 0x10;
const TIMEOUTR: u32 = 0x14;
const ISR: u32 = 0x18;
const ICR: u32 = 0x1C;
const RXDR: u32 = 0x24;
const TXDR: u32 = 0x28;

const PE: u32 = 1;
/// CR1's interrupt enables for transfers, which are at the bits of the flags in ISR; TCIE is for TC and TCR.
const TXIE: u32 = 1 << 1;
const RXIE: u32 = 1 << 2;
const NACKIE: u32 = 1 << 4;
const STOPIE: u32 = 1 << 5;
const TCIE: u32 = 1 << 6;
const TXDMAEN: u32 = 1 << 14;
const RXDMAEN: u32 = 1 << 15;

const RD_WRN: u32 = 1 << 10;
const ADD10: u32 = 1 << 11;
const START: u32 = 1 << 13;
const STOP: u32 = 1 << 14;
const NBYTES_AT: u32 = 16;
const RELOAD: u32 = 1 << 24;
const AUTOEND: u32 = 1 << 25;

const TXE: u32 = 1;
const TXIS: u32 = 1 << 1;
const RXNE: u32 = 1 << 2;
const NACKF: u32 = 1 << 4;
const STOPF: u32 = 1 << 5;
const TC: u32 = 1 << 6;
const TCR: u32 = 1 << 7;
const BUSY: u32 = 1 << 15;
const CLEARABLE: u32 = NACKF | STOPF;

/// One controller and its bus.
pub struct I2c {
    kind: Kind,
    control: u32,
    transfer: u32,
    own: [u32; 2],
    timing: u32,
    timeout: u32,
    flags: u32,
    received: u32,
    /// Bytes of the present chunk still to go.
    left: u32,
    targets: Vec<Box<dyn Target>>,
    /// The target of the transfer under way.
    chosen: Option<usize>,
}

impl I2c {
    /// A controller after reset, on an empty bus.
    pub fn new(kind: &Kind) -> Self {
        Self::with_targets(kind, Vec::new())
    }

    /// A controller after reset, on a bus with `targets`.
    pub fn with_targets(kind: &Kind, targets: Vec<Box<dyn Target>>) -> Self {
        Self {
            kind: *kind,
            control: 0,
            transfer: 0,
            own: [0; 2],
            timing: 0,
            timeout: 0,
            flags: TXE,
            received: 0,
            left: 0,
            targets,
            chosen: None,
        }
    }

    fn reading(&self) -> bool {
        self.transfer & RD_WRN != 0
    }

    fn write_control(&mut self, write: RegisterWrite, context: &mut Context<'_>) {
        self.control = write.apply_to(self.control, u32::MAX);
        if self.control & PE == 0 {
            // Switching the controller off lets go of the bus and clears its state, not its settings.
            self.let_go(context);
            self.flags = TXE;
        }
    }

    fn let_go(&mut self, context: &mut Context<'_>) {
        self.left = 0;
        if let Some(index) = self.chosen.take() {
            self.targets[index].stop(context);
        }
    }

    fn write_transfer(&mut self, write: RegisterWrite, context: &mut Context<'_>) {
        let requested = write.apply_to(self.transfer, u32::MAX);
        // START and STOP clear themselves (RM0456, I2C_CR2).
        self.transfer = requested & !(START | STOP);
        if self.control & PE == 0 {
            return;
        }
        if requested & START != 0 {
            self.start(context);
        } else if requested & STOP != 0 {
            self.stop(context);
        } else if self.flags & TCR != 0 && write.mask >> NBYTES_AT != 0 {
            self.flags &= !TCR;
            self.begin_chunk(context);
        }
    }

    fn start(&mut self, context: &mut Context<'_>) {
        self.flags = self.flags & !(TC | TCR | TXIS | RXNE) | BUSY | TXE;
        let (address, read) = ((self.transfer >> 1 & 0x7F) as u8, self.reading());
        // Targets have 7-bit addresses, so that none acknowledges one of ten.
        let ten_bits = self.transfer & ADD10 != 0;
        let chosen = self.targets.iter().position(|target| !ten_bits && target.address() == address);
        // A repeated start to the same target is still one transfer to it; another target sees the end of its own.
        if chosen != self.chosen {
            self.let_go(context);
        }
        self.chosen = chosen;
        match self.chosen {
            Some(index) => {
                self.targets[index].start(read, context);
                self.begin_chunk(context);
            }
            None => self.refuse(context),
        }
    }

    /// No acknowledge: the controller releases the bus by itself.
    fn refuse(&mut self, context: &mut Context<'_>) {
        self.flags |= NACKF;
        self.stop(context);
    }

    fn stop(&mut self, context: &mut Context<'_>) {
        self.flags = self.flags & !(BUSY | TXIS | TC | TCR) | STOPF;
        self.let_go(context);
    }

    fn begin_chunk(&mut self, context: &mut Context<'_>) {
        self.left = self.transfer >> NBYTES_AT & 0xFF;
        self.proceed(context);
    }

    /// Asks for the next byte, fetches it, or ends the chunk.
    fn proceed(&mut self, context: &mut Context<'_>) {
        if self.left == 0 {
            self.end_chunk(context);
        } else if !self.reading() {
            self.flags |= TXIS;
        } else if let Some(index) = self.chosen {
            self.received = self.targets[index].read(context).into();
            self.flags |= RXNE;
        }
    }

    fn end_chunk(&mut self, context: &mut Context<'_>) {
        if self.transfer & RELOAD != 0 {
            self.flags |= TCR;
        } else if self.transfer & AUTOEND != 0 {
            self.stop(context);
        } else {
            self.flags |= TC;
        }
    }

    fn give(&mut self, byte: u8, context: &mut Context<'_>) {
        // A byte written without TXIS has no place on the bus.
        let Some(index) = self.chosen.filter(|_| self.flags & TXIS != 0) else { return };
        self.flags &= !TXIS;
        self.left -= 1;
        if self.targets[index].write(byte, context) {
            self.proceed(context);
        } else {
            self.refuse(context);
        }
    }

    fn take(&mut self, context: &mut Context<'_>) -> u32 {
        if self.flags & RXNE != 0 {
            self.flags &= !RXNE;
            let byte = self.received;
            self.left = self.left.saturating_sub(1);
            self.proceed(context);
            return byte;
        }
        self.received
    }
}

impl Peripheral for I2c {
    fn read(&mut self, offset: u32, context: &mut Context<'_>) -> u32 {
        match offset {
            CR1 => self.control,
            CR2 => self.transfer,
            OAR1 => self.own[0],
            OAR2 => self.own[1],
            TIMINGR => self.timing,
            TIMEOUTR => self.timeout,
            ISR => self.flags,
            RXDR => self.take(context),
            _ => 0,
        }
    }

    fn has_read_effect(&self, offset: u32) -> bool {
        offset == RXDR
    }

    fn write(&mut self, offset: u32, write: RegisterWrite, context: &mut Context<'_>) {
        match offset {
            CR1 => self.write_control(write, context),
            CR2 => self.write_transfer(write, context),
            OAR1 => self.own[0] = write.apply_to(self.own[0], 0x87FF),
            OAR2 => self.own[1] = write.apply_to(self.own[1], 0x87FE),
            TIMINGR => self.timing = write.apply_to(self.timing, u32::MAX),
            TIMEOUTR => self.timeout = write.apply_to(self.timeout, u32::MAX),
            // The transmit register can be flushed by writing its own flag.
            ISR if write.ones() & TXE != 0 => self.flags |= TXE,
            ICR => self.flags &= !(write.ones() & CLEARABLE),
            TXDR => self.give(write.ones() as u8, context),
            _ => {}
        }
    }

    fn interrupts(&self, lines: &mut Lines) {
        // TC and TCR share one enable, which is at the bit of TC.
        let complete = if self.flags & (TC | TCR) != 0 { TCIE } else { 0 };
        let raised = self.flags & (TXIS | RXNE | NACKF | STOPF) | complete;
        let enabled = self.control & (TXIE | RXIE | NACKIE | STOPIE | TCIE);
        lines.set(self.kind.event_line, raised & enabled != 0);
    }

    fn requests(&self, requests: &mut Requests) {
        let receive = self.kind.receive_request;
        requests.set(receive, self.control & RXDMAEN != 0 && self.flags & RXNE != 0);
        requests.set(receive + 1, self.control & TXDMAEN != 0 && self.flags & TXIS != 0);
    }

    fn advance(&mut self, context: &mut Context<'_>) {
        for target in &mut self.targets {
            target.advance(context);
        }
    }

    fn next_event(&self) -> Option<Cycles> {
        self.targets.iter().filter_map(|target| target.next_event()).min()
    }

    fn signal(&mut self, signal: &BoardSignal<'_>, now: Cycles) -> bool {
        let BoardSignal::Quantity { address, name, value } = *signal else { return false };
        let found = self.targets.iter_mut().find(|target| target.address() == address);
        found.is_some_and(|target| target.set(name, value, now))
    }

    fn reset(&mut self, context: &mut Context<'_>) {
        self.let_go(context);
        let targets = std::mem::take(&mut self.targets);
        *self = Self::with_targets(&self.kind, targets);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::super::testing::Bench;
    use super::*;

    const I2C1: u32 = 0x4000_5400;
    const ISR: u32 = I2C1 + 0x18;

    /// A device that stores what is written to it and is read as 0x10, 0x11, …; it acknowledges two bytes, then none.
    struct Memory {
        written: Arc<Mutex<Vec<u8>>>,
        next: u8,
    }

    impl Target for Memory {
        fn address(&self) -> u8 {
            0x44
        }
        fn start(&mut self, _read: bool, _context: &mut Context<'_>) {
            self.next = 0x10;
        }
        fn write(&mut self, byte: u8, _context: &mut Context<'_>) -> bool {
            let mut written = self.written.lock().expect("unpoisoned");
            written.push(byte);
            written.len() <= 2
        }
        fn read(&mut self, _context: &mut Context<'_>) -> u8 {
            self.next += 1;
            self.next - 1
        }
    }

    fn bench() -> (Bench, Arc<Mutex<Vec<u8>>>) {
        let written = Arc::new(Mutex::new(Vec::new()));
        let target = Memory { written: written.clone(), next: 0 };
        let bus = I2c::with_targets(&BUSES[0], vec![Box::new(target)]);
        let mut bench = Bench::new(I2C1, Box::new(bus));
        bench.write(I2C1, 1);
        (bench, written)
    }

    #[test]
    fn an_idle_bus_is_not_busy() {
        assert_eq!(bench().0.read(ISR), 1);
    }

    #[test]
    fn an_absent_device_ends_in_nack_and_stop() {
        let (mut bench, _) = bench();
        bench.write(I2C1 + 4, 0x77 << 1 | 1 << 13 | 1 << 25 | 1 << 16);
        assert_eq!(bench.read(ISR), 1 | 1 << 4 | 1 << 5);
        assert_eq!(bench.read(I2C1 + 4) & 1 << 13, 0, "START clears itself");
        bench.write(I2C1 + 0x1C, 1 << 4 | 1 << 5);
        assert_eq!(bench.read(ISR), 1);
    }

    #[test]
    fn a_write_asks_for_each_byte_and_stops_by_itself() {
        let (mut bench, written) = bench();
        bench.write(I2C1 + 4, 0x44 << 1 | 1 << 13 | 1 << 25 | 2 << 16);
        for byte in [0xA5, 0x5A] {
            assert_eq!(bench.read(ISR), 1 | 1 << 1 | 1 << 15);
            bench.write(I2C1 + 0x28, byte);
        }
        assert_eq!(bench.read(ISR), 1 | 1 << 5);
        assert_eq!(*written.lock().expect("unpoisoned"), [0xA5, 0x5A]);
    }

    #[test]
    fn a_refused_byte_ends_in_nack_and_stop() {
        let (mut bench, _) = bench();
        bench.write(I2C1 + 4, 0x44 << 1 | 1 << 13 | 1 << 25 | 4 << 16);
        for byte in 1..=3 {
            bench.write(I2C1 + 0x28, byte);
        }
        assert_eq!(bench.read(ISR), 1 | 1 << 4 | 1 << 5);
    }

    #[test]
    fn a_write_then_read_keeps_the_bus_between() {
        let (mut bench, _) = bench();
        bench.write(I2C1 + 4, 0x44 << 1 | 1 << 13 | 1 << 16);
        bench.write(I2C1 + 0x28, 0);
        assert_eq!(bench.read(ISR), 1 | 1 << 6 | 1 << 15, "TC, and still busy");
        bench.write(I2C1 + 4, 0x44 << 1 | 1 << 10 | 1 << 13 | 1 << 25 | 2 << 16);
        assert_eq!(bench.read(ISR), 1 | 1 << 2 | 1 << 15);
        assert_eq!((bench.read(I2C1 + 0x24), bench.read(I2C1 + 0x24)), (0x10, 0x11));
        assert_eq!(bench.read(ISR), 1 | 1 << 5);
    }

    #[test]
    fn a_long_transfer_continues_chunk_by_chunk() {
        let (mut bench, _) = bench();
        bench.write(I2C1 + 4, 0x44 << 1 | 1 << 10 | 1 << 13 | 1 << 24 | 1 << 16);
        bench.read(I2C1 + 0x24);
        assert_eq!(bench.read(ISR) & 1 << 7, 1 << 7);
        bench.write(I2C1 + 4, 0x44 << 1 | 1 << 10 | 1 << 25 | 1 << 16);
        assert_eq!(bench.read(I2C1 + 0x24), 0x11);
        assert_eq!(bench.read(ISR) & 1 << 5, 1 << 5);
    }

    #[test]
    fn asking_only_for_presence_stops_at_once() {
        let (mut bench, _) = bench();
        bench.write(I2C1 + 4, 0x44 << 1 | 1 << 13 | 1 << 25);
        assert_eq!(bench.read(ISR), 1 | 1 << 5);
    }

    #[test]
    fn its_interrupt_follows_the_flags_asked_for() {
        let (mut bench, _) = bench();
        bench.write(I2C1, 1 | 1 << 5);
        assert!(!bench.level(55));
        bench.write(I2C1 + 4, 0x77 << 1 | 1 << 13 | 1 << 25);
        assert!(bench.level(55));
        bench.write(I2C1 + 0x1C, 1 << 5);
        assert!(!bench.level(55));
    }

    #[test]
    fn a_controller_that_is_off_does_nothing() {
        let (mut bench, _) = bench();
        bench.write(I2C1, 0);
        bench.write(I2C1 + 4, 0x44 << 1 | 1 << 13 | 1 << 25);
        assert_eq!(bench.read(ISR), 1);
    }
}
